/* Locks (table in_use) and what an end costs. Request thread. */
#define LOG_MODULE "in-use"
#include "vault/in_use.h"

#include <fcntl.h>
#include <unistd.h>

#include "base/log.h"
#include "base/util.h"
#include "vault/db.h"
#include "vault/sealed.h"
#include "vault/trusted_time.h"

#define LABEL "hearth vault in-use"
/* flags:1 || boot:16 || charged_ms:8 || log_row:8 || max_recoveries:4 || charge_from_ms:8 || recoveries:4 || end:1 || end_ms:8 || early_ms:8 */
#define PLAIN_BYTES 66
#define EARLIER_BYTES 58 /* a row from before early_ms was kept */
enum { FLAG_LOCKED = 1, FLAG_COUNTED = 2, FLAG_ON_DISC = 4, FLAG_RECOVERED = 8 };

/* --- The row --- */

static void pack(const struct in_use *u, uint8_t out[PLAIN_BYTES])
{
    out[0] = (uint8_t)((u->locked ? FLAG_LOCKED : 0) | (u->play.counted ? FLAG_COUNTED : 0) |
                       (u->on_disc ? FLAG_ON_DISC : 0) | (u->recovered ? FLAG_RECOVERED : 0));
    memcpy(out + 1, u->boot, 16);
    put_be64(out + 17, u->play.charged_ms);
    put_be64(out + 25, u->play.log_row);
    put_be32(out + 33, u->max_recoveries);
    put_be64(out + 37, u->charge_from_ms);
    put_be32(out + 45, u->recoveries);
    out[49] = (uint8_t)u->end;
    put_be64(out + 50, u->end_ms);
    put_be64(out + 58, u->early_ms);
}

static void unpack(const uint8_t in[PLAIN_BYTES], struct in_use *u)
{
    u->locked = in[0] & FLAG_LOCKED;
    u->play.counted = in[0] & FLAG_COUNTED;
    u->on_disc = in[0] & FLAG_ON_DISC;
    u->recovered = in[0] & FLAG_RECOVERED;
    memcpy(u->boot, in + 1, 16);
    u->play.charged_ms = get_be64(in + 17);
    u->play.log_row = get_be64(in + 25);
    u->max_recoveries = get_be32(in + 33);
    u->charge_from_ms = get_be64(in + 37);
    u->recoveries = get_be32(in + 45);
    u->end = (vlt_PlayEnd)in[49];
    u->end_ms = get_be64(in + 50);
    u->early_ms = get_be64(in + 58);
}

static int open_row(const struct vault *v, const void *issuer, const uint8_t license_id[16], struct slice sealed,
                    struct in_use *out)
{
    uint8_t bound[SEALED_LICENSE_BYTES], plain[PLAIN_BYTES] = { 0 };
    if (sealed.len != PLAIN_BYTES + SEALED_OVERHEAD_BYTES && sealed.len != EARLIER_BYTES + SEALED_OVERHEAD_BYTES)
        return -EUCLEAN;
    sealed_license(issuer, license_id, bound);
    int r = sealed_open(v, LABEL, SLICE_ARRAY(bound), sealed, plain);
    if (r != 0)
        return r;
    *out = (struct in_use){ 0 };
    unpack(plain, out);
    memcpy(out->play.issuer, issuer, sizeof(out->play.issuer));
    memcpy(out->play.license_id, license_id, sizeof(out->play.license_id));
    return 0;
}

int in_use_get(const struct vault *v, const void *issuer, const uint8_t license_id[16], struct in_use *out)
{
    struct query q CLEANUP(query_end) = query(v->store, DB_IN_USE_GET);
    *out = (struct in_use){ 0 };
    query_bind_blob(&q, 1, slice(issuer, ID_BYTES));
    query_bind_blob(&q, 2, slice(license_id, 16));
    int r = query_one(&q);
    if (r != 0)
        return r == STORE_ABSENT ? 0 : r > 0 ? -EUCLEAN : r;
    struct slice sealed = query_blob(&q, 0);
    r = query_check(&q);
    return r != 0 ? r : open_row(v, issuer, license_id, sealed, out);
}

static int put(struct vault *v, const struct in_use *u)
{
    uint8_t bound[SEALED_LICENSE_BYTES], plain[PLAIN_BYTES];
    struct buf sealed CLEANUP(buf_free) = buf(PLAIN_BYTES + SEALED_OVERHEAD_BYTES);
    pack(u, plain);
    sealed_license(u->play.issuer, u->play.license_id, bound);
    int r = sealed_put(v, LABEL, SLICE_ARRAY(bound), SLICE_ARRAY(plain), &sealed);
    if (r != 0)
        return r > 0 ? -ENOBUFS : r;
    struct query q CLEANUP(query_end) = query(v->store, DB_IN_USE_PUT);
    query_bind_blob(&q, 1, SLICE_ARRAY(u->play.issuer));
    query_bind_blob(&q, 2, SLICE_ARRAY(u->play.license_id));
    query_bind_i64(&q, 3, u->locked);
    query_bind_blob(&q, 4, buf_slice(&sealed));
    r = query_run(&q);
    return r > 0 ? -EUCLEAN : r;
}

/* --- The lock --- */

bool in_use_applies(const doc_License *l)
{
    const doc_Conditions *c = &l->conditions;
    return c->has_max_plays || c->has_max_play_ms || l->has_lease || c->has_usage_from_ms || c->has_usage_until_ms;
}

int in_use_lock(struct vault *v, const doc_License *l, const struct use_play *play, bool on_disc)
{
    const doc_Conditions *c = &l->conditions;
    struct in_use u;
    int r = in_use_get(v, play->issuer, play->license_id, &u);
    if (r != 0)
        return r;
    if (u.locked)
        return REASON_IN_USE;
    u.locked = true;
    u.on_disc = on_disc;
    memcpy(u.boot, v->boot, sizeof(u.boot));
    u.play = *play;
    u.max_recoveries = c->has_max_recoveries ? c->max_recoveries : 0;
    u.charge_from_ms = c->has_charge_from_ms ? c->charge_from_ms : 0;
    return put(v, &u);
}

/* --- The verdict --- */

/* Source: R2, recovery or penalty judgment unit: was the abort against the user's intention? */
static bool is_against_will(vlt_PlayEnd end)
{
    switch (end) {
    case vlt_PlayEnd_END_CRASHED:
    case vlt_PlayEnd_END_HUNG:
    case vlt_PlayEnd_END_OUTPUT_FAILED:
    case vlt_PlayEnd_END_UNREADABLE:
    case vlt_PlayEnd_END_DAEMON_LOST:
    case vlt_PlayEnd_END_VAULT_LOST:
    case vlt_PlayEnd_END_POWER_LOST:
        return true;
    default: /* finished, stopped, ended from outside */
        return false;
    }
}

static bool is_abort(vlt_PlayEnd end) { return end != vlt_PlayEnd_END_FINISHED; }

/* Judges one end: what of the charge stays (*used_ms; the play itself: out->counted), and what the row says from now on. Too early to count is what
 * together with the early ends before it comes to less than charge_from_ms: in slices nothing is had for nothing. A recording is kept, so it is never too
 * early. */
static void judge(struct in_use *u, vlt_PlayEnd end, bool any, uint64_t opened_ms, uint64_t now_ms,
                  struct in_use_verdict *out, uint64_t *used_ms)
{
    uint64_t early_ms = u64_add(u->early_ms, opened_ms);
    bool counts = u->play.counted && any;
    bool early = counts && is_abort(end) && !u->on_disc && early_ms < u->charge_from_ms;
    bool recovered = counts && !early && is_against_will(end) && !u->on_disc && u->recoveries < u->max_recoveries;
    u->recoveries += recovered;
    u->early_ms = early ? early_ms : counts && !recovered ? 0 : u->early_ms;
    if (is_abort(end) && any) {
        u->end = end;
        u->recovered = recovered;
        u->end_ms = now_ms;
    }
    u->locked = false;
    *used_ms = any && !recovered ? opened_ms : 0;
    *out = (struct in_use_verdict){ .end = end,
                                    .counted = counts && !recovered && !early,
                                    .recovered = recovered,
                                    .recoveries = u->recoveries,
                                    .max_recoveries = u->max_recoveries };
}

static int settle(struct vault *v, struct in_use *u, vlt_PlayEnd end, bool any, uint64_t opened_ms,
                  struct in_use_verdict *out)
{
    uint64_t used_ms, now_ms;
    int r = trusted_time_stamp(v, u->play.issuer, &now_ms);
    if (r != 0)
        return r;
    judge(u, end, any, opened_ms, now_ms, out, &used_ms);
    r = use_settle(v, &u->play, out->counted, used_ms, opened_ms);
    return r != 0 ? r : put(v, u);
}

int in_use_end(struct vault *v, const struct use_play *play, vlt_PlayEnd end, bool any, uint64_t opened_ms,
               struct in_use_verdict *out)
{
    struct in_use u;
    *out = (struct in_use_verdict){ .end = end };
    int r = in_use_get(v, play->issuer, play->license_id, &u);
    if (r != 0)
        return r;
    if (!u.locked) /* neither counted nor timed */
        return use_settle(v, play, any, opened_ms, opened_ms);
    u.play = *play;
    return settle(v, &u, end, any, opened_ms, out);
}

/* --- What an earlier run has left --- */

/* The next of them. 0, STORE_ABSENT, -errno. */
static int next_left(const struct vault *v, struct in_use *out)
{
    uint8_t issuer[ID_BYTES], license_id[16];
    struct query q CLEANUP(query_end) = query(v->store, DB_IN_USE_LOCKED);
    int r = query_one(&q);
    if (r != 0)
        return r;
    query_fixed(&q, 0, issuer, sizeof(issuer));
    query_fixed(&q, 1, license_id, sizeof(license_id));
    struct slice sealed = query_blob(&q, 2);
    r = query_check(&q);
    return r != 0 ? r : open_row(v, issuer, license_id, sealed, out);
}

static bool is_this_boot(const struct vault *v, const struct in_use *u)
{
    static const uint8_t unknown[16];
    return memcmp(v->boot, u->boot, sizeof(u->boot)) == 0 && memcmp(v->boot, unknown, sizeof(unknown)) != 0;
}

int in_use_settle_left(struct vault *v)
{
    struct in_use u;
    struct in_use_verdict verdict;
    int r;
    while ((r = next_left(v, &u)) == 0) {
        struct transaction t CLEANUP(transaction_end) = { 0 };
        if (!u.locked) /* the vault writes both together */
            return -EUCLEAN;
        vlt_PlayEnd end = is_this_boot(v, &u) ? vlt_PlayEnd_END_VAULT_LOST : vlt_PlayEnd_END_POWER_LOST;
        r = transaction_begin(&t, v->store);
        u.play.log_row = 0; /* its entry says already all that it could have taken */
        if (r == 0)
            r = settle(v, &u, end, true, u.play.charged_ms, &verdict);
        if (r == 0)
            r = transaction_commit(&t);
        if (r != 0)
            return r > 0 ? -EUCLEAN : r;
        log_info("a play was cut off: end=%d counted=%d recovered=%d", (int)end, verdict.counted, verdict.recovered);
    }
    return r == STORE_ABSENT ? 0 : r > 0 ? -EUCLEAN : r;
}

/* --- The boot --- */

static int nibble(char c) { return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1; }

void in_use_read_boot(uint8_t out[16])
{
    char text[64] = "";
    unsigned digits = 0;
    memset(out, 0, 16);
    int fd CLEANUP(closep) = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, text, sizeof(text) - 1) : 0;
    for (ssize_t i = 0; i < n && digits < 32; i++) {
        int value = nibble(text[i]);
        if (value >= 0) {
            out[digits / 2] = (uint8_t)(out[digits / 2] << 4 | value);
            digits++;
        }
    }
    if (digits != 32)
        memset(out, 0, 16);
}
