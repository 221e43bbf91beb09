/* Deciding on PLAY_OPEN, and keeping the table of open plays. The blocks are player_channel.c's. */
#define LOG_MODULE "play"
#include "vault/play.h"

#include <stdlib.h>

#include "base/log.h"
#include "base/util.h"
#include "crypto/contentkey.h"
#include "vault/behind.h"
#include "vault/headers.h"
#include "vault/in_use.h"
#include "vault/keys.h"
#include "vault/licenses.h"
#include "vault/moves.h"
#include "vault/player_channel.h"
#include "vault/programs.h"
#include "vault/service.h"
#include "vault/trusted_time.h"
#include "vault/use.h"

/* What a request did to a slot that is not on the disk yet. */
enum change { CHANGE_NONE, CHANGE_OPENED, CHANGE_CLOSED };
struct slot {
    uint64_t number;
    bool locked;
    struct player_channel *channel; /* NULL: free */
    struct use_play use;
    enum change change;
    bool by_request; /* the one that is served now */
};
#define SLOT_COUNT (2 * PLAY_COUNT_MAX) /* those that are closed wait for the commit */
struct plays {
    struct slot slots[SLOT_COUNT];
    uint64_t last_number;
};

int plays_init(struct vault *v)
{
    uint32_t first;
    v->plays = calloc(1, sizeof(*v->plays));
    if (!v->plays)
        return -ENOMEM;
    rng_fill(v->rng, &first, sizeof(first)); /* a number of an earlier run closes nothing here */
    v->plays->last_number = (uint64_t)first << 16;
    return 0;
}

static void drop(struct slot *s)
{
    struct player_channel *channel = steal(&s->channel);
    player_channel_stop(channel);
    player_channel_free(channel);
    *s = (struct slot){ 0 };
}

/* Ends a play and settles what it costs. Should that not become durable, it is asked for again. 0 or -errno. */
static int close_slot(struct vault *v, unsigned i, vlt_PlayEnd end, struct in_use_verdict *verdict)
{
    struct slot *s = &v->plays->slots[i];
    if (!s->channel || s->change == CHANGE_CLOSED)
        return 0;
    player_channel_stop(s->channel);
    s->change = CHANGE_CLOSED;
    s->by_request = true;
    return in_use_end(v, &s->use, end, player_channel_opened_any(s->channel), player_channel_opened_ms(s->channel),
                      verdict);
}

static void undo(struct slot *s)
{
    if (s->change == CHANGE_OPENED)
        drop(s); /* its key was never of use */
    else
        s->change = CHANGE_NONE;
}

void plays_request_done(struct vault *v, bool good)
{
    for (unsigned i = 0; i < SLOT_COUNT; i++) {
        struct slot *s = &v->plays->slots[i];
        if (s->by_request && !good)
            undo(s);
        s->by_request = false;
    }
}

void plays_committed(struct vault *v, bool durable)
{
    for (unsigned i = 0; i < SLOT_COUNT; i++) {
        struct slot *s = &v->plays->slots[i];
        if (!durable)
            undo(s);
        else if (s->change == CHANGE_OPENED)
            player_channel_begin(s->channel);
        else if (s->change == CHANGE_CLOSED)
            drop(s);
        s->change = CHANGE_NONE;
    }
}

void plays_deinit(struct vault *v)
{
    struct in_use_verdict verdict;
    if (!v->plays)
        return;
    struct transaction t CLEANUP(transaction_end) = { 0 };
    int r = transaction_begin(&t, v->store);
    for (unsigned i = 0; r == 0 && i < SLOT_COUNT; i++)
        r = close_slot(v, i, vlt_PlayEnd_END_DAEMON_LOST, &verdict);
    if (r == 0)
        r = transaction_commit(&t);
    if (r != 0)
        log_warn("plays are not settled: they are at the next start");
    for (unsigned i = 0; i < SLOT_COUNT; i++)
        if (v->plays->slots[i].channel)
            drop(&v->plays->slots[i]);
    free(steal(&v->plays));
}

int plays_close_ended(struct vault *v)
{
    struct in_use_verdict verdict;
    int r = 0;
    for (unsigned i = 0; r == 0 && i < SLOT_COUNT; i++) {
        const struct player_channel *c = v->plays->slots[i].channel;
        if (c && (!v->plays->slots[i].locked || !player_channel_opened_any(c)) && player_channel_has_ended(c))
            r = close_slot(v, i, vlt_PlayEnd_END_STOPPED, &verdict);
    }
    return r;
}

/* SLOT_COUNT when there is none. */
static unsigned free_slot(const struct plays *all)
{
    unsigned found = SLOT_COUNT, open = 0;
    for (unsigned i = 0; i < SLOT_COUNT; i++) {
        open += all->slots[i].channel && all->slots[i].change != CHANGE_CLOSED;
        if (!all->slots[i].channel)
            found = i;
    }
    return open < PLAY_COUNT_MAX ? found : SLOT_COUNT;
}

bool plays_log(const struct vault *v, uint64_t log_row)
{
    for (unsigned i = 0; i < SLOT_COUNT; i++)
        if (v->plays->slots[i].channel && v->plays->slots[i].change != CHANGE_CLOSED &&
            v->plays->slots[i].use.log_row == log_row)
            return true;
    return false;
}

bool plays_use(struct vault *v, const void *issuer, const uint8_t license_id[16])
{
    for (unsigned i = 0; i < SLOT_COUNT; i++) {
        const struct slot *s = &v->plays->slots[i];
        const struct use_play *u = &s->use;
        if (s->channel && s->change != CHANGE_CLOSED && id_equal(u->issuer, issuer) &&
            memcmp(u->license_id, license_id, sizeof(u->license_id)) == 0)
            return true;
    }
    return false;
}

/* --- Which license --- */

struct choice {
    const uint8_t *nonce, *publisher;
    uint64_t duration_ms;
    bool record;
    struct key32 key;
    struct use_play use;
    bool locked;
    int64_t until_mono_ms; /* when nothing more of it is opened; INT64_MAX: never */
    enum reason ended;     /* what that is called */
    struct reply *reply;   /* its detail */
    enum reason reason;    /* why none did, so far: the first reason that is more than "there is none" */
};
#define CHOSEN (-EALREADY) /* ends the visiting; never leaves this file */

static bool is_limited(const doc_License *l)
{
    const doc_Conditions *c = &l->conditions;
    return c->has_usage_from_ms || c->has_usage_until_ms || c->has_download_from_ms || c->has_download_until_ms ||
           l->has_lease;
}

/* A play that begins in time may go on to the end of its content, and no longer. */
static void may_finish(const struct vault *v, const doc_License *l, uint64_t now_ms, struct choice *c)
{
    const doc_Conditions *allowed = &l->conditions;
    uint64_t usage = allowed->has_usage_until_ms ? allowed->usage_until_ms : INT64_MAX;
    uint64_t lease = l->has_lease ? u64_add(l->lease.until_ms, l->lease.grace_ms) : INT64_MAX;
    uint64_t end_ms = u64_add(u64_min(usage, lease), c->duration_ms);
    c->ended = lease < usage ? REASON_LEASE_ENDED : REASON_LICENSE_EXPIRED;
    if (end_ms < INT64_MAX)
        c->until_mono_ms =
            (int64_t)u64_min(u64_add((uint64_t)clock_mono_ms(v->clock), end_ms - u64_min(now_ms, end_ms)), INT64_MAX);
}

/* What has ended by the floor has ended; for the rest an untrusted time says neither yes nor no.
 * Source: seed S44; against turning the clock back: design, time high-water mark. */
static int judge_time(const struct vault *v, const doc_License *l, struct choice *c)
{
    struct trusted_time t;
    c->until_mono_ms = INT64_MAX;
    if (!is_limited(l))
        return 0;
    int r = trusted_time_get(v, l->leaf.distributor, l->issued_ms, &t);
    if (r != 0)
        return r;
    r = license_usable(l, (int64_t)t.now_ms);
    if (r == 0)
        may_finish(v, l, t.now_ms, c);
    if (trusted_time_is_trusted(&t) || r == REASON_LICENSE_EXPIRED || r == REASON_LEASE_ENDED)
        return r;
    return REASON_CLOCK_UNTRUSTED;
}

static int derive(struct vault *v, const doc_License *l, const uint8_t nonce[32], struct key32 *key)
{
    struct key32 header_half CLEANUP(key32_wipe) = { 0 }, license_half CLEANUP(key32_wipe) = { 0 };
    int r = headers_open(v, l, &header_half);
    if (r == 0)
        r = licenses_open_half(v, l, &license_half);
    if (r == 0)
        contentkey_derive(&header_half, &license_half, nonce, key);
    return r;
}

/* A device that was removed and registered again has another leaf: what it had before went back to the account. */
static int judge_leaf(struct vault *v, const doc_License *l)
{
    const struct service *s;
    int r = services_find(v, l->leaf.distributor, &s);
    return r != 0 ? r : service_has_leaf(s, &l->leaf) ? 0 : REASON_NO_LICENSE;
}

/* A disc with half a track on it is of no use to anybody. */
static int judge_whole(struct vault *v, const struct choice *c)
{
    if (c->use.budget_ms >= c->duration_ms)
        return 0;
    int r = use_settle(v, &c->use, false, 0, 0);
    return r != 0 ? r : REASON_USE_EXHAUSTED;
}

static int judge_away(struct vault *v, const struct license_row *row)
{
    if (row->state == LICENSE_SUSPENDED)
        return REASON_LICENSE_SUSPENDED;
    int r = moves_judge_lent(v, row);
    return r != 0 ? r : REASON_NO_LICENSE;
}

/* Source: R2, restriction unit. */
static int lock(struct vault *v, const doc_License *l, struct choice *c)
{
    c->locked = in_use_applies(l);
    int r = c->locked ? in_use_lock(v, l, &c->use, c->record) : 0;
    if (r != REASON_IN_USE)
        return r;
    int undone = use_settle(v, &c->use, false, 0, 0); /* another license may be chosen */
    return undone != 0 ? undone : r;
}

static int judge_license(struct vault *v, const struct license_row *row, struct choice *c)
{
    if (row->state != LICENSE_VALID)
        return judge_away(v, row);
    if (!id_equal(row->license.client, &v->keys->client)) /* S46: its signature was verified when the row was read */
        return REASON_NO_LICENSE;
    if (!id_equal(row->license.issuer,
                  c->publisher)) /* another distributor of this device cannot license what is not its own */
        return REASON_NO_LICENSE;
    const doc_Conditions *allowed = &row->license.conditions;
    int asleep = behind_counts(&row->license) ? behind_judge(v, c->reply) : 0;
    if (asleep != 0)
        return asleep;
    if (c->record && !(allowed->has_record && allowed->record))
        return REASON_NOT_PERMITTED;
    if (in_use_applies(&row->license) && plays_use(v, row->license.issuer, row->license.license_id))
        return REASON_IN_USE;
    int r = judge_time(v, &row->license, c);
    if (r == 0)
        r = judge_leaf(v, &row->license);
    if (r == 0)
        r = use_judge_download(v, &row->license);
    if (r == 0)
        r = derive(v, &row->license, c->nonce, &c->key);
    if (r == 0)
        r = use_begin(v, row, c->duration_ms, &c->use); /* last: it charges */
    if (r == 0 && c->record)
        r = judge_whole(v, c);
    return r == 0 ? lock(v, &row->license, c) : r;
}

static int try_license(struct vault *v, const struct license_row *row, void *ctx)
{
    struct choice *c = ctx;
    int r = judge_license(v, row, c);
    if (r == 0)
        return CHOSEN;
    if (r > 0 && c->reason == REASON_NO_LICENSE)
        c->reason = (enum reason)r;
    return r < 0 ? r : 0;
}

/* --- PLAY_OPEN, PLAY_CLOSE --- */

static int judge_info(const vlt_PlayOpen *m, doc_ContentInfo *info, struct id *content, struct body_shape *shape)
{
    int r = info_judge(CODEC_BYTES(m->info), m->list_root, info, content);
    if (r != 0)
        return r;
    if (!id_equal(content, m->content))
        return REASON_CONTENT_ID_MISMATCH;
    return body_shape_init(shape, info->plain_bytes, info->block_bytes, m->info.size) != 0 ? REASON_MALFORMED : 0;
}

static int open_slot(struct vault *v, int fd, const struct choice *c, const struct body_shape *shape,
                     const struct program_secret *plugin, uint64_t *number)
{
    struct plays *all = v->plays;
    struct slot *s = &all->slots[free_slot(all)]; /* play_open has seen to it */
    const struct player_limit limit = { .duration_ms = c->duration_ms,
                                        .budget_ms = c->use.allowed_ms,
                                        .clock = v->clock,
                                        .until_mono_ms = c->until_mono_ms,
                                        .ended = c->ended,
                                        .record = c->record };
    int r = player_channel_open(&s->channel, fd, &c->key, c->nonce, shape, &limit, plugin);
    if (r != 0)
        return r;
    s->use = c->use;
    s->locked = c->locked;
    s->change = CHANGE_OPENED;
    s->by_request = true;
    *number = s->number = ++all->last_number;
    return 0;
}

/* Before the license is looked at: without it there is no play, and none is charged. */
static int find_plugin(struct vault *v, const vlt_PlayOpen *m, struct program_secret *out, struct reply *reply)
{
    int r = programs_find(v, &m->plugin, PROGRAM_PLUGIN, out);
    if (r == REASON_NOT_PERMITTED)
        reply->detail = "This program is an update, the player takes plug-ins.";
    return r;
}

int play_open(struct vault *v, const struct request *rq, struct reply *reply)
{
    const vlt_PlayOpen *m = rq->message;
    doc_ContentInfo info;
    struct body_shape shape;
    struct id content;
    struct choice c = { .nonce = info.nonce, .publisher = info.publisher, .reply = reply, .reason = REASON_NO_LICENSE };
    struct program_secret plugin CLEANUP(program_secret_wipe);
    if (*rq->fd < 0)
        return REASON_MALFORMED;
    int r = judge_info(m, &info, &content, &shape);
    if (r == 0)
        r = plays_close_ended(v);
    if (r == 0 && m->has_plugin)
        r = find_plugin(v, m, &plugin, reply);
    if (r == 0 && free_slot(v->plays) == SLOT_COUNT)
        r = REASON_IN_USE;
    c.record = m->has_record && m->record;
    if (r == 0) {
        c.duration_ms = info.duration_ms != 0 ? info.duration_ms : (uint64_t)shape.block_count * USE_BLOCK_MS;
        c.duration_ms = u64_min(c.duration_ms, USE_DURATION_MAX_MS);
        r = licenses_of_content(v, &content, try_license, &c);
    }
    if (r == 0) {
        r = c.reason;
        if (r != REASON_VAULT_BEHIND)
            reply->detail = NULL;
        if (r == REASON_NOT_FOUND)
            reply->detail = "The license is here, the header of this content is not yet.";
    }
    if (r == CHOSEN) {
        int fd = *rq->fd;
        *rq->fd = -1;
        memcpy(reply->play.issuer, c.use.issuer, sizeof(reply->play.issuer));
        memcpy(reply->play.license_id, c.use.license_id, sizeof(reply->play.license_id));
        reply->play.locked = c.locked;
        r = open_slot(v, fd, &c, &shape, m->has_plugin ? &plugin : NULL, &reply->play.play);
    }
    key32_wipe(&c.key);
    reply->type = vlt_Type_PLAY_OPENED;
    reply->fields = vlt_PlayOpened_fields;
    return r;
}

int play_close(struct vault *v, const struct request *rq, struct reply *reply)
{
    const vlt_PlayClose *m = rq->message;
    struct in_use_verdict verdict = { .end = vlt_PlayEnd_END_NONE };
    int r = m->end >= vlt_PlayEnd_END_FINISHED && m->end <= vlt_PlayEnd_END_UNREADABLE ? 0 : REASON_MALFORMED;
    for (unsigned i = 0; r == 0 && m->play != 0 && i < SLOT_COUNT; i++) {
        if (v->plays->slots[i].number == m->play)
            r = close_slot(v, i, (vlt_PlayEnd)m->end, &verdict);
    }
    reply->play_closed = (vlt_PlayClosed){ .end = verdict.end,
                                           .counted = verdict.counted,
                                           .recovered = verdict.recovered,
                                           .recoveries = verdict.recoveries,
                                           .max_recoveries = verdict.max_recoveries };
    reply->type = vlt_Type_PLAY_CLOSED;
    reply->fields = vlt_PlayClosed_fields;
    return r;
}
