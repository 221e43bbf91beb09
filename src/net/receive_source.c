/* A connection as a source of a receive_run: what it is asked, and what it answers.
 *
 * Callbacks, in order: on_info, on_list, on_block (replies); on_vigil at any time. */
#include <stdlib.h>

#include "base/util.h"
#include "net/receive_run_internal.h"

#define VIGIL_MS (365ull * 24 * 3600 * 1000)
#define REPLY_TIMEOUT_MS (2 * RECEIVE_STALL_MS) /* the exchange's own deadline comes first */

/* ---- answers --------------------------------------------------------------------------------------------------- */

/* NULL frame, refusal, or another type than asked: the source is lost. True when it was. */
static bool is_lost(struct receive_source *s, const struct frame *reply, uint16_t type, enum reason why)
{
    if (!reply) {
        receive_run_lose(s, why, NULL);
        return true;
    }
    msg_Refusal refusal;
    why = peer_refusal(reply, type, &refusal);
    if (why == REASON_NONE)
        return false;
    receive_run_lose(s, why, reply->type == msg_Type_REFUSAL ? refusal.text : NULL);
    return true;
}

static bool on_info(struct peer *p, const struct frame *reply, enum reason why, void *ctx)
{
    struct receive_source *s = ctx;
    (void)p;
    s->question = 0;
    if (is_lost(s, reply, msg_Type_INFO, why))
        return false;
    msg_Info m;
    int outcome = CODEC_DECODE(msg_Info, reply->message, &m) == 0
                      ? receive_info(&s->run->exchange, CODEC_BYTES(m.info), m.list_root)
                      : RECEIVE_UNASKED;
    receive_run_taken(s, outcome);
    return false;
}

static bool on_list(struct peer *p, const struct frame *reply, enum reason why, void *ctx)
{
    struct receive_source *s = ctx;
    (void)p;
    s->question = 0;
    if (is_lost(s, reply, msg_Type_LIST, why))
        return false;
    msg_List m;
    int outcome = CODEC_DECODE(msg_List, reply->message, &m) == 0 && id_equal(m.content, &s->run->exchange.content)
                      ? receive_list(&s->run->exchange, m.first, reply->tail)
                      : RECEIVE_UNASKED;
    receive_run_taken(s, outcome);
    return false;
}

static void range_free(struct range *g)
{
    struct range **at = &g->source->ranges;
    while (*at != g)
        at = &(*at)->next;
    *at = g->next;
    free(g);
}

static bool on_block(struct peer *p, const struct frame *reply, enum reason why, void *ctx)
{
    struct range *g = ctx;
    struct receive_source *s = g->source;
    if (!reply || peer_refusal(reply, msg_Type_BLOCK, NULL) != REASON_NONE) {
        range_free(g); /* the peer has forgotten it already */
        (void)is_lost(s, reply, msg_Type_BLOCK, why);
        return false;
    }
    msg_Block m;
    int outcome = RECEIVE_UNASKED;
    if (CODEC_DECODE(msg_Block, reply->message, &m) == 0 && m.index == g->index &&
        id_equal(m.content, &s->run->exchange.content))
        outcome = receive_run_block(s, peer_keep_frame(p), m.index, reply->tail);
    bool more = outcome == 0 && ++g->index < g->end;
    if (!more)
        range_free(g);
    if (outcome != 0)
        receive_run_taken(s, outcome);
    return more;
}

static bool on_vigil(struct peer *p, const struct frame *reply, enum reason why, void *ctx)
{
    struct receive_source *s = ctx;
    (void)p;
    (void)reply; /* a PONG never comes here */
    s->vigil = 0;
    receive_run_lose(s, why, NULL);
    return false;
}

/* ---- questions ------------------------------------------------------------------------------------------------- */

static int ask_info(struct receive_source *s)
{
    msg_InfoGet m = msg_InfoGet_init_zero;
    memcpy(m.content, &s->run->exchange.content, sizeof(m.content));
    return peer_request(s->peer, msg_Type_INFO_GET, msg_InfoGet_fields, &m, slice(NULL, 0), REPLY_TIMEOUT_MS, on_info,
                        s, &s->question);
}

static int ask_list(struct receive_source *s, uint32_t first, uint32_t count)
{
    msg_ListGet m = { .first = first, .count = count };
    memcpy(m.content, &s->run->exchange.content, sizeof(m.content));
    return peer_request(s->peer, msg_Type_LIST_GET, msg_ListGet_fields, &m, slice(NULL, 0), REPLY_TIMEOUT_MS, on_list,
                        s, &s->question);
}

static int ask_blocks(struct receive_source *s, uint32_t first, uint32_t count)
{
    struct range *g = calloc(1, sizeof(*g));
    if (!g)
        return -ENOMEM;
    *g = (struct range){ .source = s, .index = first, .end = first + count };
    msg_BlocksGet m = { .first = first, .count = count };
    memcpy(m.content, &s->run->exchange.content, sizeof(m.content));
    int outcome = peer_request(s->peer, msg_Type_BLOCKS_GET, msg_BlocksGet_fields, &m, slice(NULL, 0), REPLY_TIMEOUT_MS,
                               on_block, g, &g->request);
    if (outcome != 0) {
        free(g);
        return outcome;
    }
    g->next = s->ranges;
    s->ranges = g;
    return 0;
}

int receive_source_act(struct receive_source *s, const struct receive_action *a)
{
    switch (a->kind) {
    case RECEIVE_ASK_INFO:
        return ask_info(s);
    case RECEIVE_ASK_LIST:
        return ask_list(s, a->first, a->count);
    default:
        return ask_blocks(s, a->first, a->count);
    }
}

void receive_source_watch(struct receive_source *s)
{
    peer_set_tail_max(s->peer, FRAME_TAIL_MAX);
    if (peer_request(s->peer, msg_Type_PING, NULL, NULL, slice(NULL, 0), VIGIL_MS, on_vigil, s, &s->vigil) != 0)
        s->vigil = 0; /* it was closing already: receive_run.c sees it */
}

void receive_source_forget(struct receive_source *s)
{
    if (s->question)
        peer_forget(s->peer, s->question);
    if (s->vigil)
        peer_forget(s->peer, s->vigil);
    s->question = s->vigil = 0;
    while (s->ranges) {
        struct range *g = s->ranges;
        s->ranges = g->next;
        peer_forget(s->peer, g->request);
        free(g);
    }
}
