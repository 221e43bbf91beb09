/* A hostile peer that says whatever chance gives it (chance.h): sessions of frames of any type in any order, on several connections at once, with and without
 * the greeting that would have been right. The other end may refuse and hang up as it likes. It must not answer that it failed inside, and must still serve
 * the honest afterwards; whoever runs this looks at what became of the program. */
#include "by_chance.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/util.h"
#include "chance.h"
#include "goods.h"

#define LINES_MAX 4
#define FRAMES_MAX 24
#define HONEST_EVERY 24
#define PATIENCE_MS 6
#define BURST_MAX 6

/* What a member is free to do, but ends the game. */
static const uint16_t ends_the_game[] = { msg_Type_UNREGISTER, msg_Type_DEVICE_REMOVE, msg_Type_ACCOUNT_ERASE, 0 };
/* What a device, and a distributor, is there for. */
static const uint16_t of_devices[] = {
#define T(name) msg_Type_##name
    T(OFFER),      T(DELIVERED), T(FETCH),         T(WITHDRAW),  T(INFO_GET), T(LIST_GET),
    T(BLOCKS_GET), T(STATE_GET), T(STATE_CHANGED), T(SHELF_GET), T(REFUSAL),  0
};
static const uint16_t of_distributors[] = { T(LOGIN_PROVE),    T(LOGIN),
                                            T(PASSWORD_SET),   T(UNLOCK_SPENDING),
                                            T(REGISTER),       T(DEVICE_RENAME),
                                            T(LINK_CODE_GET),  T(LINK),
                                            T(UNLINK),         T(ACCOUNT_GET),
                                            T(BILLS_GET),      T(LIMIT_SET),
                                            T(ACCOUNT_EXPORT), T(CATALOGUE_GET),
                                            T(QUOTE_GET),      T(HEADER_GET),
                                            T(TERMS_GET),      T(TRANSACT),
                                            T(TRANSACT),       T(TRANSACT),
                                            T(COMMIT),         T(REDEEM),
                                            T(REDEEMS),        T(MOVE_DONE),
                                            T(MOVE_CANCEL),    T(PRESENT),
                                            T(CATCH_UP_GET),   T(INFO_GET),
                                            T(LIST_GET),       T(BLOCKS_GET),
                                            T(USE_LOG),        T(ADDRESS_GET),
                                            T(BODIES_GET),     T(DELEGATION_GET),
                                            T(GRANT_GET),      T(PARTNER_LINK),
                                            T(ROWS_GET),       T(PROGRAMS_GET),
                                            T(PROGRAM_GET),    T(PROGRAM_BLOCKS_GET),
                                            T(SHARE_PUSH),     T(SHARE_PULL),
                                            T(QUEUED_DONE),    T(AUTO_COPY),
                                            T(HELLO),          0
#undef T
};
static const char *const texts[] = {
    "",
    "alice",
    "gremlin",
    "aurora",
    "EUR",
    "127.0.0.1:1",
    "../../etc/passwd",
    "audio/flac",
    "wav",
    "title",
    "de",
    "volume",
    "0",
    "malformed",
    "hearth://127.0.0.1:1#a",
    "A rather long text, as long as one that a person would have typed who has much to say, and then some more of it",
    NULL
};

struct player {
    struct stage *stage;
    struct chance chance;
    bool device, member;
    struct goods *goods; /* of the member, for a device: what it offers */
    struct buf roster;   /* of the member: what devices want to see first */
    struct line *lines[LINES_MAX];
    struct wire *wires[LINES_MAX]; /* a stranger is another one each time */
    uint64_t sessions, frames, heard, refused;
    uint64_t types[256], codes[REASON_COUNT]; /* that were heard, how often */
    const char *bad;
};

/* ---- the honest ------------------------------------------------------------------------------------------------- */

static const char *is_served(struct player *p)
{
    if (!p->device)
        return stage_expect_honest(p->stage, p->stage->address);
    if (p->stage->seed == 0)
        return NULL;
    struct line *l = line_dial(&p->stage->wire, p->stage->address);
    msg_DeviceHello hello = { .name = "gremlin" };
    const char *bad =
        line_wait_open(l, WIRE_WAIT_MS) ? NULL : stage_complain(p->stage, "no connection: %s", reason_code(l->why));
    if (!bad) {
        line_say(l, msg_Type_DEVICE_HELLO, 0, msg_DeviceHello_fields, &hello, buf_slice(&p->roster));
        struct heard *h CLEANUP(freep) = line_hear(l, WIRE_WAIT_MS);
        if (!h || h->type != msg_Type_DEVICE_HELLO)
            bad = stage_complain(p->stage, "the member is not greeted: %s", reason_code(l->why));
        else
            bad = stage_expect_alive(p->stage, l);
    }
    line_free(l);
    return bad;
}

static const char *get_roster(struct player *p)
{
    msg_Welcome welcome;
    struct line *l = p->stage->seed ? stage_session(p->stage, p->stage->distributor, &welcome) : NULL;
    if (!l)
        return p->stage->seed ? p->stage->complaint : NULL;
    line_say(l, msg_Type_ROSTER_GET, 5, NULL, NULL, slice(NULL, 0));
    struct heard *h CLEANUP(freep) = stage_expect_answer(p->stage, l, msg_Type_ROSTER, 5);
    line_free(l);
    return h && buf_append(&p->roster, h->tail) == 0 ? NULL : p->stage->complaint;
}

/* ---- a session -------------------------------------------------------------------------------------------------- */

static void note(struct player *p, const struct heard *h)
{
    struct frame f = { h->type, h->request, h->message, h->tail };
    msg_Refusal refusal;
    p->heard++;
    p->types[h->type % ARRAY_COUNT(p->types)]++;
    chance_hear(&p->chance, h->type, h->message, h->tail);
    if (h->type != msg_Type_REFUSAL)
        return;
    p->refused++;
    refusal = (msg_Refusal)msg_Refusal_init_zero;
    peer_refusal(&f, msg_Type_NONE, &refusal);
    for (int r = 0; r < REASON_COUNT; r++)
        p->codes[r] += strcmp(refusal.code, reason_code((enum reason)r)) == 0;
    if (p->codes[REASON_INTERNAL] > 0 && !p->bad)
        p->bad = stage_complain(p->stage, "it failed inside: %s (session %llu)", refusal.text,
                                (unsigned long long)p->sessions);
}

static void listen_to(struct player *p, struct line *l, int64_t ms)
{
    struct heard *h;
    int64_t end_ms = wire_now_ms() + ms;
    while ((h = line_hear(l, end_ms - wire_now_ms())) != NULL) {
        note(p, h);
        free(h);
    }
}

/* As it is, with a message that is none, or with a head that lies. */
static void say(struct player *p, struct line *l, uint16_t type, uint32_t request)
{
    struct buf frame CLEANUP(buf_free) = buf(FRAME_MAX), body CLEANUP(buf_free) = buf(FRAME_MAX);
    type = chance_frame(&p->chance, type, request, &frame);
    if (chance_one_in(&p->chance, 40)) {
        chance_spoil(&p->chance, &frame);
    } else if (chance_one_in(&p->chance, 5)) {
        size_t message = get_be32(frame.data + 10);
        uint8_t header[FRAME_HEADER_BYTES];
        if (buf_append(&body, slice(frame.data + FRAME_HEADER_BYTES, frame.len - FRAME_HEADER_BYTES)) != 0)
            exit(3);
        chance_spoil(&p->chance, &body);
        message = size_min(message, body.len);
        frame_header(header, type, request, message, body.len - message);
        buf_clear(&frame);
        if (buf_append(&frame, SLICE_ARRAY(header)) != 0 || buf_append(&frame, buf_slice(&body)) != 0)
            exit(3);
    }
    line_say_raw(l, buf_slice(&frame));
    p->frames++;
}

/* What it could offer honestly; or a part of that. */
static void offer(struct player *p, struct line *l)
{
    msg_Offer o;
    goods_offer(p->goods, NULL, &o);
    if (chance_one_in(&p->chance, 4))
        o.certificate.bytes[chance_below(&p->chance, o.certificate.size)] ^= 1;
    if (chance_one_in(&p->chance, 4))
        o.list_root[chance_below(&p->chance, sizeof(o.list_root))] ^= 1;
    LINE_SAY(l, msg_Type_OFFER, chance_below(&p->chance, 40) * 2 + 1, msg_Offer, &o);
    p->frames++;
}

static void serve_list(struct player *p, struct line *l, const struct heard *h)
{
    msg_ListGet get;
    uint32_t count = p->goods->shape.block_count;
    if (CODEC_DECODE(msg_ListGet, h->message, &get) != 0 || get.first > count || get.count > count - get.first)
        return;
    msg_List list = { .first = get.first };
    memcpy(list.content, get.content, ID_BYTES);
    line_say(l, msg_Type_LIST, h->request, msg_List_fields, &list,
             slice(p->goods->list + 32 * (size_t)get.first, 32 * (size_t)get.count));
}

/* Those that are asked for, mostly as they are. */
static void serve_blocks(struct player *p, struct line *l, const struct heard *h)
{
    msg_BlocksGet get;
    struct goods *g = p->goods;
    if (CODEC_DECODE(msg_BlocksGet, h->message, &get) != 0)
        return;
    for (uint32_t i = get.first; i < g->shape.block_count && i - get.first < get.count; i++) {
        uint32_t len = body_block_len(&g->shape, i), at = chance_below(&p->chance, len);
        msg_Block block = { .index = chance_one_in(&p->chance, 20) ? i + 1 : i };
        bool flipped = chance_one_in(&p->chance, 8);
        memcpy(block.content, get.content, ID_BYTES);
        g->blocks[i][at] ^= flipped;
        line_say(l, msg_Type_BLOCK, h->request, msg_Block_fields, &block,
                 slice(g->blocks[i], chance_one_in(&p->chance, 20) ? at : len));
        g->blocks[i][at] ^= flipped;
    }
}

/* Has it been answered as somebody would who has what is asked for? */
static bool is_served_well(struct player *p, struct line *l, const struct heard *h)
{
    if (!p->goods || chance_one_in(&p->chance, 8) || (h->type != msg_Type_LIST_GET && h->type != msg_Type_BLOCKS_GET))
        return false;
    (h->type == msg_Type_LIST_GET ? serve_list : serve_blocks)(p, l, h);
    return true;
}

/* The greeting that is right, by somebody who counts or does not; or none. */
static struct line *greeted(struct player *p, struct wire *w)
{
    msg_DeviceHello device = { .name = "gremlin" };
    msg_Hello hello = { .role = 1 + chance_one_in(&p->chance, 8), .generation = 1 };
    msg_Welcome welcome;
    if (!p->device && p->member) {
        struct line *session = stage_session(p->stage, p->stage->address, &welcome);
        p->chance.session = session ? welcome.session : 0;
        if (session)
            chance_hear_fields(&p->chance, msg_Welcome_fields, &welcome);
        return session;
    }
    struct line *l = line_dial(w, p->stage->address);
    l->hears_state = true;
    if (!line_wait_open(l, WIRE_WAIT_MS) || chance_one_in(&p->chance, 6))
        return l;
    if (p->device)
        line_say(l, msg_Type_DEVICE_HELLO, 0, msg_DeviceHello_fields, &device,
                 p->member || chance_one_in(&p->chance, 2) ? buf_slice(&p->roster) : slice(NULL, 0));
    else
        LINE_SAY(l, msg_Type_HELLO, 1, msg_Hello, &hello);
    return l;
}

static void dial(struct player *p, unsigned at)
{
    if (!p->member) {
        uint64_t key = (uint64_t)chance_below(&p->chance, UINT32_MAX) + 1;
        p->wires[at] = malloc(sizeof(*p->wires[at]));
        if (!p->wires[at])
            exit(3);
        wire_init(p->wires[at], key);
    }
    p->lines[at] = greeted(p, p->member ? &p->stage->wire : p->wires[at]);
    if (p->lines[at])
        listen_to(p, p->lines[at], PATIENCE_MS);
    else
        p->bad = p->stage->complaint;
}

static void hang_up(struct player *p, unsigned at)
{
    line_free(p->lines[at]);
    p->lines[at] = NULL;
    if (p->wires[at])
        wire_deinit(p->wires[at]);
    free(p->wires[at]);
    p->wires[at] = NULL;
}

/* An answer to what it asks, often; else something of its own. */
static void turn(struct player *p, struct line *l)
{
    struct heard *h CLEANUP(freep) = line_hear(l, chance_below(&p->chance, 2) ? PATIENCE_MS : 0);
    if (h)
        note(p, h);
    for (uint32_t more = chance_below(&p->chance, BURST_MAX); more > 0; more--)
        say(p, l, 0, chance_below(&p->chance, 40) * 2 + 1);
    bool asked = h && h->request != 0 && h->request % 2 == 0 &&
                 h->type != msg_Type_REFUSAL; /* who accepts a connection asks by even numbers */
    if (asked && is_served_well(p, l, h))
        return;
    if (p->goods && chance_one_in(&p->chance, 5))
        offer(p, l);
    else if (asked && chance_below(&p->chance, 4) > 0)
        say(p, l, chance_one_in(&p->chance, 3) ? 0 : h->type + 1u, h->request);
    else
        say(p, l, 0, chance_one_in(&p->chance, 8) ? 0 : chance_below(&p->chance, 40) * 2 + 1);
}

static void play_session(struct player *p, uint64_t seed)
{
    chance_seed(&p->chance, seed);
    unsigned frames = chance_below(&p->chance, FRAMES_MAX) + 1, lines = chance_below(&p->chance, LINES_MAX) + 1;
    for (unsigned i = 0; i < frames && !p->bad; i++) {
        unsigned at = chance_below(&p->chance, lines);
        struct line *l = p->lines[at];
        if (l && (!l->peer || chance_one_in(&p->chance, 16)))
            hang_up(p, at);
        if (!p->lines[at])
            dial(p, at);
        else
            turn(p, l);
    }
    for (unsigned at = 0; at < LINES_MAX; at++) {
        if (p->lines[at] && !p->bad && chance_one_in(&p->chance, 2)) {
            (void)line_flush(p->lines[at], PATIENCE_MS);
            listen_to(p, p->lines[at], PATIENCE_MS);
        }
        hang_up(p, at);
    }
    p->sessions++;
}

static void tell(const struct player *p, uint64_t from)
{
    unsigned types = 0;
    for (size_t i = 0; i < ARRAY_COUNT(p->types); i++)
        types += p->types[i] > 0;
    fprintf(stderr, "%llu sessions from seed %llu, %llu frames said, %llu heard of %u types, %llu of them refusals\n",
            (unsigned long long)p->sessions, (unsigned long long)from, (unsigned long long)p->frames,
            (unsigned long long)p->heard, types, (unsigned long long)p->refused);
    for (int r = 0; r < REASON_COUNT; r++)
        if (p->codes[r] > 0)
            fprintf(stderr, "# %6llu %s\n", (unsigned long long)p->codes[r], reason_code((enum reason)r));
}

const char *by_chance(struct stage *s, bool device, bool member, const struct span *span)
{
    struct player p = { .stage = s, .device = device, .member = member, .roster = buf(FRAME_TAIL_MAX) };
    const int64_t end_ms = wire_now_ms() + (int64_t)span->seconds * 1000;
    chance_init(&p.chance, span->from);
    signer_from_pair(&p.chance.signer, &s->wire.key);
    p.chance.texts = texts;
    p.chance.often = device ? of_devices : of_distributors;
    p.chance.never = member ? ends_the_game : NULL;
    chance_keep(&p.chance, SLICE_ARRAY(s->content.bytes));
    chance_keep(&p.chance, SLICE_ARRAY(s->destination.bytes));
    chance_keep(&p.chance, SLICE_ARRAY(s->wire.id.bytes));
    p.bad = get_roster(&p);
    p.goods = device && member ? get_goods(s) : NULL;
    if (device && member && !p.goods) /* its certificate may be out already, by chance */
        fprintf(stderr, "nothing to offer: %s\n", s->complaint);
    for (uint64_t i = 0; !p.bad && i < span->sessions && wire_now_ms() < end_ms; i++) {
        play_session(&p, span->from + i);
        if (!p.bad && i % HONEST_EVERY == HONEST_EVERY - 1)
            p.bad = is_served(&p);
    }
    if (!p.bad)
        p.bad = is_served(&p);
    tell(&p, span->from);
    goods_free(p.goods);
    chance_deinit(&p.chance);
    buf_free(&p.roster);
    return p.bad;
}
