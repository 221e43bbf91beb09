/* Running the cases: the vault serves on a thread of its own, over a socket pair as hearthd's. */
#include "time_run.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "check.h"
#include "crypto/seal.h"
#include "rig.h"
#include "vault/requests.h"
#include "vault/start.h"
#include "vault/storage_key.h"

static struct rig rig;
static struct clock_fake now;
static struct vault vault;
static struct key32 *storage_key;
static struct keys *keys;
static struct channel vault_end;
static pthread_t thread;

static struct maker shop, other, partner;
static struct content song, free_song;
static struct device target;
static struct buf document, header, sealed, heard;
static struct offer offer;
static vlt_CertificateState offered;
static uint64_t sequence;

/* --- The machine --- */

static void *serve(void *ctx)
{
    (void)ctx;
    check(requests_serve(&vault, &vault_end) == 0);
    return NULL;
}

static void start(void)
{
    char path[128];
    int ends[2];
    snprintf(path, sizeof(path), "%s/vault.db", rig.dir);
    vault = (struct vault){ .clock = &now.clock, .rng = rng_system() };
    check(storage_key_get(rig.dir, access(path, F_OK) != 0, &(struct storage_key_wish){ 0 }, vault.rng, &storage_key) ==
          0);
    vault.storage_key = storage_key;
    check(vault_start(&vault, path, &keys) == 0);
    check(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
    channel_init(&rig.requests, ends[0], 64 * 1024);
    channel_init(&vault_end, ends[1], REQUESTS_TAIL_MAX);
    rig.next = 0;
    check(pthread_create(&thread, NULL, serve, NULL) == 0);
    rig_identify(&rig);
}

static void stop(void)
{
    channel_deinit(&rig.requests);
    check(pthread_join(thread, NULL) == 0);
    channel_deinit(&vault_end);
    vault_stop(&vault, keys);
    secret_free(storage_key);
}

/* --- What it is asked --- */

static int hear(struct maker *m, int64_t ms)
{
    maker_time(m, &rig.self, NOON + ms, &document);
    if (m == &shop) {
        buf_clear(&heard);
        check(buf_append(&heard, buf_slice(&document)) == 0);
    }
    return rig_time(&rig, m, buf_slice(&document));
}

static int ask_time(const struct maker *m, vlt_Time *out)
{
    vlt_TimeGet ask;
    memcpy(ask.distributor, m->id.bytes, 32);
    uint32_t id = rig_send(&rig, vlt_Type_TIME_GET, vlt_TimeGet_fields, &ask, slice(NULL, 0), -1);
    return rig_receive(&rig, id, vlt_Type_TIME, vlt_Time_fields, vlt_Time_size, out, sizeof(*out));
}

static int state_of(const struct maker *m)
{
    vlt_Time t;
    check(ask_time(m, &t) == 0);
    return (int)t.state;
}

static int give(const struct content *c, const struct time_terms *terms)
{
    doc_License l;
    doc_Header h;
    maker_license(&shop, &shop, &rig.self, c, ++sequence, &l);
    doc_Conditions *allowed = &l.conditions;
#define LIMIT(field, ms)                                          \
    do {                                                          \
        allowed->has_##field = (ms) != 0;                         \
        allowed->field = (ms) != 0 ? (uint64_t)(NOON + (ms)) : 0; \
    } while (0)
    LIMIT(usage_from_ms, terms->from);
    LIMIT(usage_until_ms, terms->until);
    LIMIT(download_from_ms, terms->download_from);
    LIMIT(download_until_ms, terms->download_until);
    l.has_lease = terms->lease != 0;
    if (l.has_lease)
        l.lease = (doc_Lease){ .until_ms = (uint64_t)(NOON + terms->lease), .grace_ms = (uint64_t)terms->grace };
    sign_into(&document, DOCUMENT_LICENSE, &l, &shop.license);
    maker_header(&shop, c, &h);
    encode_header(&h, &header);
    return rig_license(&rig, buf_slice(&document), buf_slice(&header));
}

static int store_body(void)
{
    vlt_BodyStored ask;
    memcpy(ask.content, song.id.bytes, 32);
    uint32_t id = rig_send(&rig, vlt_Type_BODY_STORED, vlt_BodyStored_fields, &ask, slice(NULL, 0), -1);
    return rig_receive(&rig, id, vlt_Type_DONE, NULL, 0, NULL, 0);
}

static int make_offer(int64_t issued_ms, int64_t ends_ms)
{
    doc_CopyCertificate c;
    maker_copy(&shop, &shop, &target, &rig.self, &song, ++sequence, &c);
    c.issued_ms = (uint64_t)(NOON + issued_ms);
    c.ends_ms = (uint64_t)(NOON + ends_ms);
    sign_into(&offer.certificate, DOCUMENT_COPY_CERTIFICATE, &c, &shop.license);
    offer.content = &song;
    offer.presenter = &target;
    return rig_check(&rig, &offer, &offered);
}

static int release(int64_t ends_ms)
{
    doc_CopyCertificate c;
    vlt_MoveReleased out;
    maker_copy(&shop, &shop, &rig.self, &target, &song, ++sequence, &c);
    c.move = true;
    c.ends_ms = (uint64_t)(NOON + ends_ms);
    sign_into(&document, DOCUMENT_COPY_CERTIFICATE, &c, &shop.license);
    buf_clear(&sealed);
    check(buf_reserve(&sealed, document.len + SEAL_OVERHEAD_BYTES) == 0);
    check(seal_to(rig.self.sealing_key, buf_slice(&document), sealed.data) == 0);
    sealed.len = document.len + SEAL_OVERHEAD_BYTES;
    return rig_move_release(&rig, buf_slice(&sealed), &out);
}

static int show_keyset(int64_t issued_ms, int64_t ends_ms)
{
    shop.keyset.sequence++;
    shop.keyset.issued_ms = (uint64_t)(NOON + issued_ms);
    shop.keyset.ends_ms = (uint64_t)(NOON + ends_ms);
    return rig_keyset(&rig, &shop, true);
}

static int show_roster(int64_t issued_ms)
{
    maker_fixed_now_ms = NOON + issued_ms + DAY;
    maker_roster(&shop, &rig.self, ++sequence, &document);
    maker_fixed_now_ms = NOON;
    return rig_roster(&rig, &shop, buf_slice(&document));
}

/* --- Steps --- */

static void move_clocks(const struct time_step *s)
{
    bool boot = s->op == OP_BOOT, again = boot || s->op == OP_RESTART;
    if (again)
        stop();
    if (s->op == OP_PASS) {
        now.wall += s->ms;
        now.mono += s->ms;
    } else if (s->op == OP_WALL || boot) {
        now.wall = NOON + s->ms;
    }
    if (boot)
        now.mono = 1000;
    if (again)
        start();
}

static int now_differs(int64_t ms)
{
    vlt_Time t;
    check(ask_time(&shop, &t) == 0);
    return t.now_ms == (uint64_t)(NOON + ms) ? 0 : 1;
}

static int step(const struct time_step *s)
{
    struct time_terms renewed = { .until = s->ms };
    switch (s->op) {
    case OP_HEAR:
        return hear(&shop, s->ms);
    case OP_HEAR_OTHER:
        return hear(&other, s->ms);
    case OP_HEAR_PARTNER:
        return hear(&partner, s->ms);
    case OP_HEAR_AGAIN:
        return rig_time(&rig, &shop, buf_slice(&heard));
    case OP_JOIN_OTHER:
        return rig_register(&rig, &other);
    case OP_LEAVE_OTHER:
        return rig_drop(&rig, &other);
    case OP_MEET_PARTNER:
        return rig_keyset(&rig, &partner, true);
    case OP_KEYSET:
        return show_keyset(-DAY, s->ms);
    case OP_KEYSET_FROM:
        return show_keyset(s->ms, s->ms + 30 * DAY);
    case OP_ROSTER:
        return show_roster(s->ms);
    case OP_STATE:
        return state_of(&shop);
    case OP_STATE_OTHER:
        return state_of(&other);
    case OP_NOW:
        return now_differs(s->ms);
    case OP_PLAY:
        return rig_play(&rig, &song, NULL, NULL);
    case OP_PLAY_FREE:
        return rig_play(&rig, &free_song, NULL, NULL);
    case OP_BODY:
        return store_body();
    case OP_RENEW:
        return give(&song, &renewed);
    case OP_OFFER:
        return make_offer(-HOUR, s->ms);
    case OP_OFFER_FROM:
        return make_offer(s->ms, s->ms + 2 * DAY);
    case OP_COMMIT:
        return rig_commit(&rig, &offered.name, &offered);
    case OP_RELEASE:
        return release(s->ms);
    case OP_REGISTER:
        return rig_register(&rig, &shop);
    default:
        move_clocks(s);
        return 0;
    }
}

static const char *name_of(const struct time_step *s, int r)
{
    static const char *const states[] = { "0", "heard", "by the clock", "behind", "contradicted" };
    if (s->op == OP_STATE || s->op == OP_STATE_OTHER)
        return states[r];
    return s->op == OP_NOW && r != 0 ? "another time" : reason_code((enum reason)r);
}

static int run_steps(const struct time_case *c)
{
    for (size_t i = 0; i < sizeof(c->steps) / sizeof(c->steps[0]) && c->steps[i].op != OP_END; i++) {
        const struct time_step *s = &c->steps[i];
        int r = step(s);
        if (r == s->expected)
            continue;
        fprintf(stderr, "%s (%s): step %zu: %s, not %s\n", c->name, c->why, i + 1, name_of(s, r),
                name_of(s, s->expected));
        return 1;
    }
    return 0;
}

int time_run(const struct time_case *c)
{
    strcpy(rig.dir, "/tmp/hearth-time-test-XXXXXX");
    check(mkdtemp(rig.dir));
    rig.tail = buf(1 << 20);
    maker_fixed_now_ms = NOON;
    sequence = 0;
    maker_init(&shop, 1, "Shop");
    maker_init(&other, 2, "Other");
    maker_init(&partner, 3, "Partner");
    clock_fake_init(&now, NOON);
    now.mono = 5000;
    start();
    check(rig_register(&rig, &shop) == 0);
    check(give(&song, &c->terms) == 0 && give(&free_song, &(struct time_terms){ 0 }) == 0);
    int failed = run_steps(c);
    stop();
    maker_deinit(&shop);
    maker_deinit(&other);
    maker_deinit(&partner);
    rig_deinit(&rig);
    return failed;
}

void time_run_init(void)
{
    struct key32 key;
    check(secret_init() == 0);
    maker_fixed_now_ms = NOON;
    document = buf(32 * 1024);
    header = buf(2048);
    sealed = buf(8192);
    heard = buf(1024);
    offer.certificate = buf(8192);
    maker_init(&shop, 1, "Shop");
    content_init(&song, &shop, 1, "audio/flac", slice_str("a song"), 4096);
    content_init(&free_song, &shop, 2, "audio/flac", slice_str("another"), 4096);
    maker_deinit(&shop);
    maker_key(&key, 90, 1);
    sign_public_key(&key, target.device_key);
    target.client = id_of_key(target.device_key);
    maker_key(&key, 90, 2);
    seal_public_key(&key, target.sealing_key);
}

void time_run_deinit(void)
{
    struct buf *const all[] = { &document, &header, &sealed, &heard, &offer.certificate, &offer.delegation };
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        buf_free(all[i]);
    content_deinit(&song);
    content_deinit(&free_song);
}
