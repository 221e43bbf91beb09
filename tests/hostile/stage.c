/* Steps that many cases share. */
#include "stage.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"
#include "base/util.h"

const char *stage_complain(struct stage *s, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(s->complaint, sizeof(s->complaint), format, args);
    va_end(args);
    return s->complaint;
}

/* "a|b" */
static bool is_one_of(const char *code, const char *codes)
{
    size_t len = strlen(code);
    for (const char *at = codes; at; at = strchr(at, '|') ? strchr(at, '|') + 1 : NULL)
        if (strcspn(at, "|") == len && strncmp(at, code, len) == 0)
            return true;
    return false;
}

static const char *refusal_code(const struct heard *h, char out[64])
{
    struct frame f = { h->type, h->request, h->message, h->tail };
    msg_Refusal refusal = msg_Refusal_init_zero;
    peer_refusal(&f, msg_Type_NONE, &refusal);
    snprintf(out, 64, "%s", refusal.code[0] ? refusal.code : "(no refusal that can be read)");
    return out;
}

/* ---- getting in ----------------------------------------------------------------------------------------------- */

static struct line *dial(struct stage *s, const char *address)
{
    struct line *l = line_dial(&s->wire, address);
    if (line_wait_open(l, WIRE_WAIT_MS))
        return l;
    stage_complain(s, "no connection to %s: %s", address, l->peer ? "time is over" : reason_code(l->why));
    line_free(l);
    return NULL;
}

struct line *stage_greeted_by(struct stage *s, const char *address)
{
    struct line *l = dial(s, address);
    struct heard *h CLEANUP(freep) = l ? line_hear(l, WIRE_WAIT_MS) : NULL;
    if (!l)
        return NULL;
    if (h && h->type == msg_Type_KEYSET && h->tail.len > 0)
        return l;
    stage_complain(s, "the first frame of a distributor is its keyset, not %d", h ? h->type : -1);
    line_free(l);
    return NULL;
}

/* What its vault would say: it is current. */
static bool present(struct stage *s, struct line *l, const msg_Welcome *welcome)
{
    doc_Standing standing;
    uint8_t by[32];
    msg_Present m = msg_Present_init_zero;
    struct buf envelope CLEANUP(buf_free) = buf(sizeof(m.statement.bytes));
    struct signer signer;
    if (document_open(DOCUMENT_STANDING, CODEC_BYTES(welcome->standing), &standing, sizeof(standing), by) != 0)
        return false;
    doc_Generation g = { .session = standing.session, .generation = standing.generation, .current = true };
    memcpy(g.distributor, standing.distributor, sizeof(g.distributor));
    memcpy(g.client, standing.client, sizeof(g.client));
    rng_fill(rng_system(), g.nonce, sizeof(g.nonce));
    signer_from_pair(&signer, &s->wire.key);
    if (document_sign(&envelope, DOCUMENT_GENERATION, &g, &signer) != 0 ||
        CODEC_SET_BYTES(m.statement, buf_slice(&envelope)) != 0)
        return false;
    LINE_SAY(l, msg_Type_PRESENT, 901, msg_Present, &m);
    struct heard *h CLEANUP(freep) = stage_expect_answer(s, l, msg_Type_PRESENTED, 901);
    return h != NULL;
}

struct line *stage_session(struct stage *s, const char *address, msg_Welcome *welcome)
{
    struct line *l = stage_greeted_by(s, address);
    if (!l)
        return NULL;
    msg_Hello hello = { .role = 1, .generation = 1 };
    LINE_SAY(l, msg_Type_HELLO, 1, msg_Hello, &hello);
    struct heard *h CLEANUP(freep) = stage_expect_answer(s, l, msg_Type_WELCOME, 1);
    if (h && CODEC_DECODE(msg_Welcome, h->message, welcome) == 0 && (!welcome->has_standing || present(s, l, welcome)))
        return l;
    line_free(l);
    return NULL;
}

struct line *stage_register(struct stage *s, const char *address, const char *name, msg_Registered *registered)
{
    msg_Welcome welcome;
    struct buf password CLEANUP(buf_free) = buf(200);
    struct line *l = stage_session(s, address, &welcome);
    if (!l)
        return NULL;
    msg_Register r = msg_Register_init_zero;
    CODEC_SET_TEXT(r.user, s->user);
    CODEC_SET_TEXT(r.device_name, name);
    memset(r.sealing_key, 9, sizeof(r.sealing_key));
    if (file_read(s->password_file, &password) == 0 && buf_put_u8(&password, 0) == 0) {
        char *text = (char *)password.data;
        text[strcspn(text, "\n")] = '\0';
        CODEC_SET_TEXT(r.password, text);
    }
    LINE_SAY(l, msg_Type_REGISTER, 3, msg_Register, &r);
    struct heard *h CLEANUP(freep) = stage_expect_answer(s, l, msg_Type_REGISTERED, 3);
    if (h && CODEC_DECODE(msg_Registered, h->message, registered) == 0)
        return l;
    line_free(l);
    return NULL;
}

struct line *stage_meet_as_member(struct stage *s)
{
    msg_Welcome welcome;
    msg_DeviceHello hello = { .name = "gremlin" };
    struct line *l = stage_session(s, s->distributor, &welcome);
    if (!l)
        return NULL;
    line_say(l, msg_Type_ROSTER_GET, 5, NULL, NULL, slice(NULL, 0));
    struct heard *roster CLEANUP(freep) = stage_expect_answer(s, l, msg_Type_ROSTER, 5);
    line_free(l);
    l = roster ? dial(s, s->address) : NULL;
    if (!l)
        return NULL;
    line_say(l, msg_Type_DEVICE_HELLO, 0, msg_DeviceHello_fields, &hello, roster->tail);
    struct heard *h CLEANUP(freep) = line_hear(l, WIRE_WAIT_MS);
    if (h && h->type == msg_Type_DEVICE_HELLO)
        return l;
    stage_complain(s, "the member is not greeted: type %d, %s", h ? h->type : -1, reason_code(l->why));
    line_free(l);
    return NULL;
}

/* ---- what is expected ----------------------------------------------------------------------------------------- */

const char *stage_expect_alive(struct stage *s, struct line *l)
{
    if (line_ping(l, WIRE_WAIT_MS))
        return NULL;
    return stage_complain(s, "the connection does not answer any more (%s)",
                          l->peer ? "time is over" : reason_code(l->why));
}

const char *stage_expect_end(struct stage *s, struct line *l, const char *codes)
{
    int64_t end_ms = wire_now_ms() + WIRE_WAIT_MS;
    char code[64] = "";
    while (wire_now_ms() < end_ms) {
        struct heard *h CLEANUP(freep) = line_hear(l, end_ms - wire_now_ms());
        if (!h)
            break;
        if (h->type == msg_Type_REFUSAL && !code[0])
            refusal_code(h, code);
    }
    if (!line_wait_closed(l, end_ms - wire_now_ms()))
        return stage_complain(s, "the connection stays open (refusal: %s)", code[0] ? code : "none");
    if (codes && code[0] && !is_one_of(code, codes))
        return stage_complain(s, "refused with %s, not %s", code, codes);
    return NULL;
}

const char *stage_expect_refusal(struct stage *s, struct line *l, uint32_t request, const char *codes, bool closes)
{
    int64_t end_ms = wire_now_ms() + WIRE_WAIT_MS;
    for (;;) {
        struct heard *h CLEANUP(freep) = line_hear(l, end_ms - wire_now_ms());
        char code[64];
        if (!h)
            return stage_complain(s, "no refusal (%s), expected %s", l->peer ? "time is over" : reason_code(l->why),
                                  codes);
        if (request != STAGE_ANY && h->request != request)
            continue;
        if (h->type != msg_Type_REFUSAL)
            return stage_complain(s, "answered with type %u, expected refusal %s", h->type, codes);
        if (!is_one_of(refusal_code(h, code), codes))
            return stage_complain(s, "refused with %s, expected %s", code, codes);
        break;
    }
    if (!closes)
        return stage_expect_alive(s, l);
    return line_wait_closed(l, WIRE_WAIT_MS)
               ? NULL
               : stage_complain(s, "refused with %s, but the connection stays open", codes);
}

struct heard *stage_expect_answer(struct stage *s, struct line *l, uint16_t type, uint32_t request)
{
    int64_t end_ms = wire_now_ms() + WIRE_WAIT_MS;
    for (;;) {
        struct heard *h = line_hear(l, end_ms - wire_now_ms());
        char code[64];
        if (!h) {
            stage_complain(s, "no answer of type %u: %s", type, l->peer ? "time is over" : reason_code(l->why));
            return NULL;
        }
        if (h->request == request && h->type == type)
            return h;
        if (h->request == request) {
            stage_complain(s, "type %u instead of %u: %s", h->type, type, refusal_code(h, code));
            free(h);
            return NULL;
        }
        free(h);
    }
}

const char *stage_expect_honest(struct stage *s, const char *address)
{
    struct stage honest = { .address = address };
    msg_Welcome welcome;
    wire_init(&honest.wire, 0);
    struct line *l = stage_session(&honest, address, &welcome);
    bool welcomed = l != NULL;
    line_free(l);
    wire_deinit(&honest.wire);
    return welcomed ? NULL : stage_complain(s, "an honest client afterwards: %s", honest.complaint);
}
