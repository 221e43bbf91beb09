/* A hostile distributor: listens, and lets down every device that comes. Runs until it is ended (SIGTERM).
 * First line of output: port and distributor ID, for whoever registers. */
#include "as_distributor_internal.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/util.h"
#include "net/peer_internal.h"

static uint64_t now_ms(void) { return (uint64_t)clock_wall_ms(clock_system()); }

/* ---- good papers ---------------------------------------------------------------------------------------------- */

static void list_key(doc_Keyset *k, enum key_purpose purpose, const uint8_t key[32])
{
    doc_Key *listed = &k->keys[k->keys_count++];
    listed->purpose = purpose;
    memcpy(listed->key, key, 32);
    listed->ends_ms = now_ms() + 24 * HOUR_MS;
}

static void make_keyset(struct host *h, struct buf *out)
{
    struct signer root;
    uint8_t license[32];
    doc_Keyset *k CLEANUP(freep) = calloc(1, sizeof(*k));
    if (!k)
        abort();
    sign_public_key(&h->license, license);
    memcpy(k->distributor, h->id.bytes, ID_BYTES);
    CODEC_SET_TEXT(k->name, "wolf");
    k->sequence = 100;
    k->issued_ms = now_ms() - HOUR_MS;
    k->ends_ms = now_ms() + 24 * HOUR_MS;
    list_key(k, KEY_TLS, h->wire.key.public_key);
    list_key(k, KEY_LICENSE, license);
    list_key(k, KEY_ROSTER, license);
    if (h->act->on_partner)
        list_key(k, KEY_SEALING, h->sealing);
    if (h->act->bend)
        h->act->bend(h, k);
    signer_from_seed(&root, &h->root);
    if (document_sign(out, DOCUMENT_KEYSET, k, &root) != 0)
        abort();
}

static void say_keyset(struct host *h, struct line *l)
{
    struct buf envelope CLEANUP(buf_free) = buf(8192);
    make_keyset(h, &envelope);
    line_say(l, msg_Type_KEYSET, 0, NULL, NULL, buf_slice(&envelope));
}

static void say_welcome(struct host *h, struct line *l, const struct heard *f)
{
    msg_Welcome welcome = { 0 };
    (void)h;
    LINE_SAY(l, msg_Type_WELCOME, f->request, msg_Welcome, &welcome);
}

static void refuse(struct line *l, const struct heard *f, enum reason why)
{
    if (l->peer && peer_refuse(l->peer, f->request, why, NULL) != 0)
        abort();
}

/* ---- bad keysets ---------------------------------------------------------------------------------------------- */

static void bend_other_tls_key(struct host *h, doc_Keyset *k) { (void)h, k->keys[0].key[5] ^= 1; }

static void bend_tls_key_ended(struct host *h, doc_Keyset *k) { (void)h, k->keys[0].ends_ms = now_ms() - HOUR_MS; }

static void bend_ended(struct host *h, doc_Keyset *k) { (void)h, k->ends_ms = now_ms() - HOUR_MS; }

static void bend_of_the_future(struct host *h, doc_Keyset *k) { (void)h, k->issued_ms = now_ms() + 24 * HOUR_MS; }

static void bend_other_distributor(struct host *h, doc_Keyset *k) { (void)h, k->distributor[0] ^= 1; }

/* Each connection sees an older one. */
static void bend_older_each_time(struct host *h, doc_Keyset *k) { k->sequence -= h->line_count; }

static void greet_other_root(struct host *h, struct line *l)
{
    struct key32 root = h->root;
    h->root.bytes[0] ^= 1;
    say_keyset(h, l);
    h->root = root;
}

static void greet_garbage(struct host *h, struct line *l)
{
    uint8_t noise[3000];
    (void)h;
    rng_fill(rng_system(), noise, sizeof(noise));
    line_say(l, msg_Type_KEYSET, 0, NULL, NULL, SLICE_ARRAY(noise));
}

static void greet_flipped(struct host *h, struct line *l)
{
    struct buf envelope CLEANUP(buf_free) = buf(8192);
    make_keyset(h, &envelope);
    envelope.data[60] ^= 1;
    line_say(l, msg_Type_KEYSET, 0, NULL, NULL, buf_slice(&envelope));
}

/* Signed, but the name would act on a terminal. */
static void greet_name_that_acts(struct host *h, struct line *l)
{
    struct buf envelope CLEANUP(buf_free) = buf(8192), bent CLEANUP(buf_free) = buf(8192);
    struct signer root;
    struct dsse_view view;
    signer_from_seed(&root, &h->root);
    make_keyset(h, &envelope);
    if (dsse_verify(buf_slice(&envelope), document_type(DOCUMENT_KEYSET), &view) != 0)
        abort();
    uint8_t *name = memmem(envelope.data, envelope.len, "wolf", 4);
    memcpy(name, "\033[2J", 4);
    if (dsse_sign(&bent, document_type(DOCUMENT_KEYSET), view.payload, &root) != 0)
        abort();
    line_say(l, msg_Type_KEYSET, 0, NULL, NULL, buf_slice(&bent));
}

static void greet_empty(struct host *h, struct line *l)
{
    (void)h;
    line_say(l, msg_Type_KEYSET, 0, NULL, NULL, slice(NULL, 0));
}

static void greet_silence(struct host *h, struct line *l) { (void)h, (void)l; }

static void greet_goodbye(struct host *h, struct line *l)
{
    (void)h;
    peer_close(l->peer, REASON_NOT_PERMITTED);
}

static void greet_welcome_first(struct host *h, struct line *l)
{
    struct heard none = { .request = 0 };
    say_welcome(h, l, &none);
}

static void greet_4_gib(struct host *h, struct line *l)
{
    static const uint8_t bytes[] = { 255, 255, 255, 255, 0, 10, 0, 0, 0, 0, 0, 0, 0, 0 };
    (void)h;
    line_say_raw(l, SLICE_ARRAY(bytes));
}

static void greet_half(struct host *h, struct line *l)
{
    static const uint8_t bytes[] = { 0, 0, 4, 0, 0, 10, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3 };
    (void)h;
    line_say_raw(l, SLICE_ARRAY(bytes));
}

static void greet_two_keysets(struct host *h, struct line *l)
{
    say_keyset(h, l);
    say_keyset(h, l);
}

/* ---- bad answers ---------------------------------------------------------------------------------------------- */

static void hello_silence(struct host *h, struct line *l, const struct heard *f) { (void)h, (void)l, (void)f; }

static void hello_other_type(struct host *h, struct line *l, const struct heard *f)
{
    (void)h;
    line_say(l, msg_Type_ROSTER, f->request, NULL, NULL, slice("x", 1));
}

static void hello_garbage(struct host *h, struct line *l, const struct heard *f)
{
    struct buf frame CLEANUP(buf_free) = buf(64);
    uint8_t header[FRAME_HEADER_BYTES];
    (void)h;
    frame_header(header, msg_Type_WELCOME, f->request, 5, 0);
    if (buf_append(&frame, SLICE_ARRAY(header)) != 0 || buf_append(&frame, slice("\xff\xff\xff\xff\xff", 5)) != 0)
        abort();
    line_say_raw(l, buf_slice(&frame));
}

/* A signed time of the far future, and of a number that no clock has. */
static void hello_time(struct host *h, struct line *l, const struct heard *f)
{
    msg_Welcome welcome = {
        .registered = true, .session = UINT64_MAX, .bit = 7, .roster_sequence = UINT64_MAX, .has_time = true
    };
    struct buf envelope CLEANUP(buf_free) = buf(256);
    struct signer license;
    signer_from_seed(&license, &h->license);
    doc_SignedTime time = { .time_ms = UINT64_C(1) << 63 };
    memcpy(time.distributor, h->id.bytes, ID_BYTES);
    memcpy(time.client, peer_id(l->peer)->bytes, ID_BYTES);
    if (document_sign(&envelope, DOCUMENT_TIME, &time, &license) != 0 ||
        CODEC_SET_BYTES(welcome.time, buf_slice(&envelope)) != 0)
        abort();
    LINE_SAY(l, msg_Type_WELCOME, f->request, msg_Welcome, &welcome);
}

static void register_silence(struct host *h, struct line *l, const struct heard *f) { (void)h, (void)l, (void)f; }

static void register_garbage(struct host *h, struct line *l, const struct heard *f)
{
    msg_Registered registered = { .user = "victim", .distributor_name = "wolf", .certificate = { 8, "garbage" } };
    uint8_t tail[20000] = { 1 };
    (void)h;
    line_say(l, msg_Type_REGISTERED, f->request, msg_Registered_fields, &registered, SLICE_ARRAY(tail));
}

/* A true certificate, for another device or with a sealed set that does not open. */
static void register_certified(struct host *h, struct line *l, const struct heard *f, bool for_another)
{
    msg_Registered registered = { .user = "victim", .distributor_name = "wolf", .session = 1, .roster_sequence = 1 };
    msg_Register asked;
    struct buf envelope CLEANUP(buf_free) = buf(320);
    struct signer license;
    uint8_t tail[KEYTREE_SET_BYTES + 48] = { 1 };
    if (CODEC_DECODE(msg_Register, f->message, &asked) != 0)
        abort();
    signer_from_seed(&license, &h->license);
    doc_DeviceCertificate certificate = { .issued_ms = now_ms(), .ends_ms = now_ms() + HOUR_MS };
    memcpy(certificate.device_key, for_another ? h->wire.key.public_key : peer_key(l->peer), 32);
    memcpy(certificate.sealing_key, asked.sealing_key, 32);
    memcpy(certificate.leaf.distributor, h->id.bytes, ID_BYTES);
    if (document_sign(&envelope, DOCUMENT_DEVICE, &certificate, &license) != 0 ||
        CODEC_SET_BYTES(registered.certificate, buf_slice(&envelope)) != 0)
        abort();
    line_say(l, msg_Type_REGISTERED, f->request, msg_Registered_fields, &registered, SLICE_ARRAY(tail));
}

static void register_for_another(struct host *h, struct line *l, const struct heard *f)
{
    register_certified(h, l, f, true);
}

static void register_sealed_garbage(struct host *h, struct line *l, const struct heard *f)
{
    register_certified(h, l, f, false);
}

/* ---- never silent --------------------------------------------------------------------------------------------- */

static void idle_frames(struct line *l, uint16_t type)
{
    for (int i = 0; i < 2000 && l->peer && peer_writable(l->peer); i++)
        line_say(l, type, 0, NULL, NULL, slice(NULL, 0));
}

static void idle_pings(struct host *h, struct line *l)
{
    (void)h;
    idle_frames(l, msg_Type_PING);
}

static void idle_rosters_changed(struct host *h, struct line *l)
{
    (void)h;
    idle_frames(l, msg_Type_ROSTER_CHANGED);
}

static void idle_unknown(struct host *h, struct line *l)
{
    (void)h;
    idle_frames(l, 60000);
}

static const struct act acts[] = {
    { .name = "other_root", .greet = greet_other_root },
    { .name = "other_tls_key", .bend = bend_other_tls_key },
    { .name = "tls_key_ended", .bend = bend_tls_key_ended },
    { .name = "keyset_ended", .bend = bend_ended },
    { .name = "keyset_of_the_future", .bend = bend_of_the_future },
    { .name = "keyset_of_another", .bend = bend_other_distributor },
    { .name = "older_keyset", .bend = bend_older_each_time },
    { .name = "keyset_garbage", .greet = greet_garbage },
    { .name = "keyset_flipped", .greet = greet_flipped },
    { .name = "keyset_empty", .greet = greet_empty },
    { .name = "keyset_twice", .greet = greet_two_keysets },
    { .name = "name_that_acts", .greet = greet_name_that_acts },
    { .name = "silence", .greet = greet_silence },
    { .name = "goodbye", .greet = greet_goodbye },
    { .name = "welcome_first", .greet = greet_welcome_first },
    { .name = "frame_of_4_gib", .greet = greet_4_gib },
    { .name = "half_a_frame", .greet = greet_half },
    { .name = "no_welcome", .on_hello = hello_silence },
    { .name = "another_answer_to_hello", .on_hello = hello_other_type },
    { .name = "welcome_garbage", .on_hello = hello_garbage },
    { .name = "welcome_of_another_age", .on_hello = hello_time, .on_register = register_garbage },
    { .name = "no_answer_to_register", .on_register = register_silence },
    { .name = "registered_garbage", .on_register = register_garbage },
    { .name = "registered_for_another", .on_register = register_for_another },
    { .name = "registered_sealed_garbage", .on_register = register_sealed_garbage },
    { .name = "pings_without_end", .idle = idle_pings, .on_register = register_silence },
    { .name = "rosters_without_end", .idle = idle_rosters_changed, .on_register = register_silence },
    { .name = "unknown_without_end", .idle = idle_unknown, .on_register = register_silence },
};

/* ---- the stage ------------------------------------------------------------------------------------------------ */

static bool on_accept(struct peer *p, struct peer_callbacks *callbacks, void **ctx, void *listener_ctx)
{
    struct host *h = listener_ctx;
    if (h->line_count == ARRAY_COUNT(h->lines))
        return false;
    struct line *l = line_new(&h->wire);
    l->peer = p;
    h->lines[h->line_count++] = l;
    *callbacks = line_callbacks;
    *ctx = l;
    return true;
}

static void note_visitor(struct host *h, const struct heard *f)
{
    doc_Keyset *k CLEANUP(freep) = calloc(1, sizeof(*k));
    struct id signer;
    if (k && document_open_keyset(f->tail, k, &signer) == 0)
        h->visitor = id_from(k->distributor);
}

static void answer(struct host *h, struct line *l, const struct heard *f)
{
    if (f->type == msg_Type_HELLO && f->tail.len > 0)
        note_visitor(h, f);
    if (f->type == msg_Type_HELLO)
        (h->act->on_hello ? h->act->on_hello : say_welcome)(h, l, f);
    else if (f->type == msg_Type_REGISTER && h->act->on_register)
        h->act->on_register(h, l, f);
    else if (h->act->on_partner && f->request != 0)
        h->act->on_partner(h, l, f);
    else if (f->request != 0)
        refuse(l, f, REASON_BAD_CREDENTIALS);
}

static void attend(struct host *h, struct line *l, bool *greeted)
{
    if (l->peer && l->open && !*greeted) {
        *greeted = true;
        (h->act->greet ? h->act->greet : say_keyset)(h, l);
    }
    if (l->peer && *greeted && h->act->idle)
        h->act->idle(h, l);
    while (l->peer && l->first) {
        struct heard *f CLEANUP(freep) = line_hear(l, 0);
        answer(h, l, f);
    }
}

int as_distributor(const char *name)
{
    struct host h = { .act = NULL };
    struct peer_listener *listener;
    bool greeted[ARRAY_COUNT(h.lines)] = { false };
    uint16_t port;
    uint8_t public_key[32];
    char id[ID_TEXT_BYTES];
    for (size_t i = 0; i < ARRAY_COUNT(acts); i++)
        if (strcmp(acts[i].name, name) == 0)
            h.act = &acts[i];
    for (size_t i = 0; i < partner_act_count; i++)
        if (strcmp(partner_acts[i].name, name) == 0)
            h.act = &partner_acts[i];
    if (!h.act)
        return 2;
    wire_init(&h.wire, 0);
    rng_fill(rng_system(), h.root.bytes, sizeof(h.root.bytes));
    rng_fill(rng_system(), h.license.bytes, sizeof(h.license.bytes));
    rng_fill(rng_system(), h.sealing, sizeof(h.sealing));
    sign_public_key(&h.root, public_key);
    h.id = id_of_key(public_key);
    if (peer_listen(&listener, &h.wire.loop, h.wire.identity, "127.0.0.1", 0, ARRAY_COUNT(h.lines), on_accept, &h,
                    &port) != 0)
        return 3;
    id_text(&h.id, id);
    printf("%u %s\n", port, id);
    fflush(stdout);
    for (;;) {
        wire_turn(&h.wire);
        for (size_t i = 0; i < h.line_count; i++)
            attend(&h, h.lines[i], &greeted[i]);
    }
}

void as_distributor_list(void)
{
    for (size_t i = 0; i < ARRAY_COUNT(acts); i++)
        puts(acts[i].name);
    for (size_t i = 0; i < partner_act_count; i++)
        puts(partner_acts[i].name);
}
