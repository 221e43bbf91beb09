#include "client.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "crypto/seal.h"

void answer_free(struct answer *a)
{
    buf_free(&a->message);
    buf_free(&a->tail);
    memset(a, 0, sizeof(*a));
    a->message = buf(FRAME_MESSAGE_MAX);
    a->tail = buf(FRAME_TAIL_MAX);
}

void client_init(struct client *c, uv_loop_t *loop, uint8_t name)
{
    struct signer signer;
    memset(c, 0, sizeof(*c));
    c->loop = loop;
    memset(c->seed.bytes, name, sizeof(c->seed.bytes));
    signer_from_seed(&signer, &c->seed);
    c->id = id_of_key(signer.public_key);
    assert_int_equal(peer_identity_new(&c->identity, &signer), 0);
}

void client_deinit(struct client *c)
{
    client_disconnect(c);
    peer_identity_free(c->identity);
}

static void on_timeout(uv_timer_t *t) { *(bool *)t->data = true; }

/* Runs the loop until either flag; false: the time was over. */
static bool run_until(uv_loop_t *loop, const bool *flag, const bool *other, uint64_t ms)
{
    bool over = false;
    uv_timer_t timer;
    uv_timer_init(loop, &timer);
    timer.data = &over;
    uv_update_time(loop);
    uv_timer_start(&timer, on_timeout, ms, 0);
    while (!over && !(flag != NULL && *flag) && !(other != NULL && *other))
        uv_run(loop, UV_RUN_ONCE);
    uv_close((uv_handle_t *)&timer, NULL);
    uv_run(loop, UV_RUN_NOWAIT);
    return !over;
}

void client_run_until(struct client *c, const bool *flag)
{
    if (!run_until(c->loop, flag, NULL, CLIENT_WAIT_MS))
        fail_msg("nothing happened");
}

void client_run_ms(struct client *c, uint64_t ms) { run_until(c->loop, NULL, NULL, ms); }

static void on_open(struct peer *p, void *ctx)
{
    struct client *c = ctx;
    c->opened = true;
    peer_set_tail_max(p, FRAME_TAIL_MAX);
}

static void on_frame(struct peer *p, const struct frame *f, void *ctx)
{
    struct client *c = ctx;
    if (f->type == msg_Type_KEYSET) {
        c->keysets++;
        struct dsse_view view;
        assert_int_equal(dsse_verify(f->tail, document_type(DOCUMENT_KEYSET), &view), 0);
        struct id distributor = id_of_key(view.public_key);
        int r = keyset_judge(f->tail, &distributor, 0, peer_key(p), clock_wall_ms(clock_system()), &c->keyset);
        assert_int_equal(r, 0);
    } else if (f->type == msg_Type_ROSTER_CHANGED) {
        c->rosters_changed++;
    } else {
        c->unasked++;
    }
}

static void on_closed(struct peer *p, enum reason why, void *ctx)
{
    struct client *c = ctx;
    (void)p;
    c->peer = NULL;
    c->closed = true;
    c->why = why;
}

bool client_connect(struct client *c, const char *address)
{
    static const struct peer_callbacks callbacks = { on_open, on_frame, NULL, on_closed };
    c->opened = c->closed = false;
    c->keysets = 0;
    assert_int_equal(peer_dial(&c->peer, c->loop, c->identity, address, NULL, CLIENT_WAIT_MS, &callbacks, c), 0);
    while (c->keysets == 0 && !c->closed)
        uv_run(c->loop, UV_RUN_ONCE);
    return !c->closed;
}

void client_disconnect(struct client *c)
{
    if (c->peer == NULL)
        return;
    peer_close(c->peer, REASON_CANCELLED);
    client_run_until(c, &c->closed);
}

static bool on_reply(struct peer *p, const struct frame *reply, enum reason why, void *ctx)
{
    struct answer *a = ctx;
    (void)p;
    a->there = reply != NULL;
    a->reason = why;
    if (reply != NULL) {
        a->type = reply->type;
        a->reason = reply->type == msg_Type_REFUSAL ? peer_refusal(reply, msg_Type_NONE, &a->refusal) : REASON_NONE;
        assert_int_equal(buf_append(&a->message, reply->message), 0);
        assert_int_equal(buf_append(&a->tail, reply->tail), 0);
    }
    return false;
}

void client_ask(struct client *c, uint16_t type, const pb_msgdesc_t *fields, const void *message, struct slice tail,
                struct answer *out)
{
    answer_free(out);
    if (c->peer == NULL)
        return;
    uint32_t request;
    assert_int_equal(peer_request(c->peer, type, fields, message, tail, CLIENT_WAIT_MS, on_reply, out, &request), 0);
    if (!run_until(c->loop, &out->there, &c->closed, CLIENT_WAIT_MS))
        fail_msg("no answer to type %u", type);
}

void client_send(struct client *c, uint16_t type, uint32_t request, const pb_msgdesc_t *fields, const void *message,
                 struct slice tail)
{
    assert_int_equal(peer_send(c->peer, type, request, fields, message, tail), 0);
}

/* What its vault would say: it is current. */
static void present(struct client *c)
{
    struct answer a = { 0 };
    msg_Present m = msg_Present_init_zero;
    struct buf envelope CLEANUP(buf_free) = buf(sizeof(m.statement.bytes));
    struct signer signer;
    doc_Generation g = { .session = c->session, .generation = c->generation, .current = true };
    signer_from_seed(&signer, &c->seed);
    memcpy(g.distributor, c->keyset.distributor, sizeof(g.distributor));
    memcpy(g.client, c->id.bytes, sizeof(g.client));
    rng_fill(rng_system(), g.nonce, sizeof(g.nonce));
    assert_int_equal(document_sign(&envelope, DOCUMENT_GENERATION, &g, &signer), 0);
    assert_int_equal(CODEC_SET_BYTES(m.statement, buf_slice(&envelope)), 0);
    client_ask(c, msg_Type_PRESENT, msg_Present_fields, &m, slice(NULL, 0), &a);
    c->presented = a.there ? a.reason : REASON_OFFLINE;
    answer_free(&a);
}

void client_hello(struct client *c)
{
    struct answer a = { 0 };
    msg_Hello hello = { .role = 1, .generation = 1 };
    msg_Welcome welcome;
    client_ask(c, msg_Type_HELLO, msg_Hello_fields, &hello, slice(NULL, 0), &a);
    assert_true(a.there);
    if (a.reason != REASON_NONE)
        fail_msg("hello refused: %s", reason_code(a.reason));
    assert_int_equal(CODEC_DECODE(msg_Welcome, buf_slice(&a.message), &welcome), 0);
    c->registered = welcome.registered;
    c->session = welcome.session;
    c->bit = welcome.bit;
    c->said = welcome.has_generation ? welcome.generation : 0;
    answer_free(&a);
    if (c->session != 0)
        present(c);
}

void client_register(struct client *c, const char *user, const char *password, struct answer *out)
{
    msg_Register r = msg_Register_init_zero;
    struct key32 sealing;
    memset(sealing.bytes, c->seed.bytes[0] ^ 0x55, sizeof(sealing.bytes));
    CODEC_SET_TEXT(r.user, user);
    CODEC_SET_TEXT(r.password, password);
    snprintf(r.device_name, sizeof(r.device_name), "device%u", c->seed.bytes[0]);
    seal_public_key(&sealing, r.sealing_key);
    client_ask(c, msg_Type_REGISTER, msg_Register_fields, &r, slice(NULL, 0), out);
    msg_Registered registered;
    if (out->there && out->type == msg_Type_REGISTERED) {
        assert_int_equal(CODEC_DECODE(msg_Registered, buf_slice(&out->message), &registered), 0);
        c->registered = true;
        c->session = registered.session;
        c->bit = registered.bit;
        present(c);
    }
}
