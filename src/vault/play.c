/* Deciding on PLAY_OPEN, and keeping the table of open plays. The blocks are player_channel.c's. */
#include "vault/play.h"

#include <stdlib.h>

#include "base/util.h"
#include "crypto/contentkey.h"
#include "vault/headers.h"
#include "vault/keys.h"
#include "vault/licenses.h"
#include "vault/player_channel.h"
#include "vault/service.h"
#include "vault/trusted_time.h"

struct plays {
    struct {
        uint64_t number; /* 0: free */
        struct player_channel *channel;
    } slots[PLAY_COUNT_MAX];
    uint64_t last_number;
};

int plays_init(struct vault *v)
{
    v->plays = calloc(1, sizeof(*v->plays));
    return v->plays ? 0 : -ENOMEM;
}

static void close_slot(struct plays *all, unsigned i)
{
    player_channel_close(steal(&all->slots[i].channel));
    all->slots[i].number = 0;
}

void plays_deinit(struct vault *v)
{
    if (!v->plays)
        return;
    for (unsigned i = 0; i < PLAY_COUNT_MAX; i++)
        close_slot(v->plays, i);
    free(steal(&v->plays));
}

/* A slot that is free or whose player has gone; PLAY_COUNT_MAX when there is none. */
static unsigned free_slot(struct plays *all)
{
    for (unsigned i = 0; i < PLAY_COUNT_MAX; i++) {
        if (all->slots[i].channel && player_channel_has_ended(all->slots[i].channel))
            close_slot(all, i);
    }
    for (unsigned i = 0; i < PLAY_COUNT_MAX; i++) {
        if (!all->slots[i].channel)
            return i;
    }
    return PLAY_COUNT_MAX;
}

/* --- Which license --- */

struct choice {
    const uint8_t *nonce;
    struct key32 key;
    enum reason reason; /* why none did, so far: the first reason that is more than "there is none" */
};
#define CHOSEN (-EALREADY) /* ends the visiting; never leaves this file */

static bool is_limited(const doc_Conditions *c) { return c->has_usage_from_ms || c->has_usage_until_ms; }

/* Source: seed S44; against turning the clock back: design, time high-water mark. */
static int judge_time(const struct vault *v, const doc_License *l)
{
    if (!is_limited(&l->conditions))
        return 0;
    if (trusted_time_is_behind(v))
        return REASON_CLOCK_UNTRUSTED;
    return license_usable(l, (int64_t)trusted_time_now(v));
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

static int judge_license(struct vault *v, const struct license_row *row, struct choice *c)
{
    if (row->state != LICENSE_VALID)
        return row->state == LICENSE_SUSPENDED ? REASON_LICENSE_SUSPENDED : REASON_NO_LICENSE;
    if (!id_equal(row->license.client, &v->keys->client)) /* S46: its signature was verified when the row was read */
        return REASON_NO_LICENSE;
    int r = judge_time(v, &row->license);
    if (r == 0)
        r = judge_leaf(v, &row->license);
    return r != 0 ? r : derive(v, &row->license, c->nonce, &c->key);
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

static int open_slot(struct plays *all, int fd, const struct choice *c, const struct body_shape *shape,
                     uint64_t *number)
{
    unsigned i = free_slot(all);
    if (i == PLAY_COUNT_MAX) {
        closep(&fd);
        return REASON_IN_USE;
    }
    int r = player_channel_open(&all->slots[i].channel, fd, &c->key, c->nonce, shape);
    if (r == 0)
        *number = all->slots[i].number = ++all->last_number;
    return r;
}

int play_open(struct vault *v, const struct request *rq, struct reply *reply)
{
    const vlt_PlayOpen *m = rq->message;
    doc_ContentInfo info;
    struct body_shape shape;
    struct id content;
    struct choice c = { .nonce = info.nonce, .reason = REASON_NO_LICENSE };
    if (*rq->fd < 0)
        return REASON_MALFORMED;
    int r = judge_info(m, &info, &content, &shape);
    if (r == 0)
        r = licenses_of_content(v, &content, try_license, &c);
    if (r == 0) {
        r = c.reason;
        if (r == REASON_NOT_FOUND)
            reply->detail = "The license is here, the header of this content is not yet.";
    }
    if (r == CHOSEN) {
        int fd = *rq->fd;
        *rq->fd = -1;
        r = open_slot(v->plays, fd, &c, &shape, &reply->play.play);
    }
    key32_wipe(&c.key);
    reply->type = vlt_Type_PLAY_OPENED;
    reply->fields = vlt_PlayOpened_fields;
    return r;
}

int play_close(struct vault *v, const struct request *rq, struct reply *reply)
{
    (void)reply;
    const vlt_PlayClose *m = rq->message;
    for (unsigned i = 0; m->play != 0 && i < PLAY_COUNT_MAX; i++) {
        if (v->plays->slots[i].number == m->play)
            close_slot(v->plays, i);
    }
    return 0;
}
