/* Strangers against a distributor: what they can say before anyone knows them. */
#include <stdlib.h>
#include <unistd.h>

#include "base/util.h"
#include "stage.h"

#define BYTES(...) slice((const uint8_t[]){ __VA_ARGS__ }, sizeof((const uint8_t[]){ __VA_ARGS__ }))

/* ---- bytes that are no frames --------------------------------------------------------------------------------- */

static const char *raw(struct stage *s, struct slice bytes, const char *codes)
{
    struct line *l = stage_greeted_by(s, s->address);
    if (!l)
        return s->complaint;
    line_say_raw(l, bytes);
    const char *bad = stage_expect_refusal(s, l, STAGE_ANY, codes, true);
    line_free(l);
    return bad;
}

static const char *length_4_gib(struct stage *s)
{
    return raw(s, BYTES(255, 255, 255, 255, 0, 11, 0, 0, 0, 1, 0, 0, 0, 0), "too-large");
}

static const char *length_negative(struct stage *s)
{
    return raw(s, BYTES(128, 0, 0, 0, 0, 11, 0, 0, 0, 1, 128, 0, 0, 0), "too-large");
}

static const char *length_zero(struct stage *s)
{
    return raw(s, BYTES(0, 0, 0, 0, 0, 11, 0, 0, 0, 1, 0, 0, 0, 0), "malformed");
}

static const char *length_short(struct stage *s)
{
    return raw(s, BYTES(0, 0, 0, 9, 0, 11, 0, 0, 0, 1, 0, 0, 0, 0), "malformed");
}

static const char *message_beyond_frame(struct stage *s)
{
    return raw(s, BYTES(0, 0, 0, 12, 0, 11, 0, 0, 0, 1, 0, 0, 0, 3), "malformed");
}

static const char *message_negative(struct stage *s)
{
    return raw(s, BYTES(0, 0, 0, 12, 0, 11, 0, 0, 0, 1, 255, 255, 255, 255), "malformed");
}

static const char *message_beyond_limit(struct stage *s)
{
    return raw(s, BYTES(0, 0, 96, 11, 0, 11, 0, 0, 0, 1, 0, 0, 96, 1), "too-large");
}

/* A stranger may send a keyset's worth of tail, not a body's. */
static const char *tail_beyond_limit(struct stage *s)
{
    return raw(s, BYTES(0, 1, 0, 10, 0, 11, 0, 0, 0, 1, 0, 0, 0, 0), "too-large");
}

static const char *random_bytes(struct stage *s)
{
    uint8_t noise[8192];
    rng_fill(rng_system(), noise, sizeof(noise));
    noise[0] |= 1;
    return raw(s, SLICE_ARRAY(noise), "too-large|malformed");
}

static const char *half_a_frame(struct stage *s)
{
    struct line *l = stage_greeted_by(s, s->address);
    if (!l)
        return s->complaint;
    line_say_raw(l, BYTES(0, 0, 0, 14, 0, 11, 0, 0, 0, 1, 0, 0, 0, 4, 8));
    line_flush(l, WIRE_WAIT_MS);
    line_free(l); /* gone in the middle of it */
    return NULL;
}

/* Slow, but honest: a frame that comes byte by byte is a frame. */
static const char *byte_by_byte(struct stage *s)
{
    struct buf frame CLEANUP(buf_free) = buf(256);
    msg_Hello hello = { .role = 1, .generation = 1 };
    struct line *l = stage_greeted_by(s, s->address);
    if (!l)
        return s->complaint;
    if (codec_frame(&frame, msg_Type_HELLO, 1, msg_Hello_fields, &hello, slice(NULL, 0)) != 0)
        abort();
    for (size_t i = 0; i < frame.len; i++) {
        line_say_raw(l, slice_sub(buf_slice(&frame), i, 1));
        line_flush(l, WIRE_WAIT_MS);
    }
    struct heard *h CLEANUP(freep) = stage_expect_answer(s, l, msg_Type_WELCOME, 1);
    line_free(l);
    return h ? NULL : s->complaint;
}

static const char *not_tls(struct stage *s)
{
    static const char request[] = "GET / HTTP/1.1\r\nHost: hearth\r\n\r\n";
    char answer[4096];
    int fd = wire_connect_plain(s->address);
    if (fd < 0)
        return stage_complain(s, "no connection");
    ssize_t n = write(fd, request, sizeof(request) - 1);
    struct timeval wait = { .tv_sec = 15 };
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
    while ((n = read(fd, answer, sizeof(answer))) > 0)
        if (memmem(answer, (size_t)n, "hearth/", 7))
            break; /* nothing of us may be said outside of TLS */
    close(fd);
    return n == 0 || (n < 0 && errno == ECONNRESET) ? NULL
                                                    : stage_complain(s, "it neither closed nor kept silent: %zd", n);
}

/* ---- frames out of order -------------------------------------------------------------------------------------- */

static const char *first_frame(struct stage *s, uint16_t type, const pb_msgdesc_t *fields, const void *message,
                               struct slice tail, const char *codes)
{
    struct line *l = stage_greeted_by(s, s->address);
    if (!l)
        return s->complaint;
    line_say(l, type, 1, fields, message, tail);
    const char *bad = stage_expect_refusal(s, l, 1, codes, true);
    line_free(l);
    return bad;
}

static const char *request_before_hello(struct stage *s)
{
    msg_CatalogueGet get = { .query = "" };
    return first_frame(s, msg_Type_CATALOGUE_GET, msg_CatalogueGet_fields, &get, slice(NULL, 0), "not-permitted");
}

static const char *register_before_hello(struct stage *s)
{
    msg_Register r = { .user = "alice" };
    return first_frame(s, msg_Type_REGISTER, msg_Register_fields, &r, slice(NULL, 0), "not-permitted");
}

static const char *blocks_before_hello(struct stage *s)
{
    msg_BlocksGet get = { .count = 1 };
    return first_frame(s, msg_Type_BLOCKS_GET, msg_BlocksGet_fields, &get, slice(NULL, 0), "not-permitted");
}

static const char *unknown_type_first(struct stage *s)
{
    return first_frame(s, 65535, NULL, NULL, slice(NULL, 0), "not-permitted");
}

static const char *own_keyset_first(struct stage *s)
{
    return first_frame(s, msg_Type_KEYSET, NULL, NULL, slice("not a keyset", 12), "not-permitted");
}

static const char *hello_of_role(struct stage *s, uint32_t role, struct slice tail, const char *codes)
{
    msg_Hello hello = { .role = role, .generation = 1 };
    return first_frame(s, msg_Type_HELLO, msg_Hello_fields, &hello, tail, codes);
}

static const char *hello_role_0(struct stage *s)
{
    return hello_of_role(s, 0, slice(NULL, 0), "malformed|not-permitted");
}

static const char *hello_role_3(struct stage *s)
{
    return hello_of_role(s, 3, slice(NULL, 0), "malformed|not-permitted");
}

static const char *hello_device_with_tail(struct stage *s)
{
    return hello_of_role(s, 1, slice("what is this?", 13), "malformed");
}

static const char *hello_distributor_without_keyset(struct stage *s)
{
    return hello_of_role(s, 2, slice(NULL, 0), "malformed|keyset-invalid|signature-invalid");
}

static const char *hello_distributor_garbage(struct stage *s)
{
    uint8_t noise[4000];
    rng_fill(rng_system(), noise, sizeof(noise));
    return hello_of_role(s, 2, SLICE_ARRAY(noise), "malformed|keyset-invalid|signature-invalid");
}

/* A keyset by a root nobody knows; lists_us: with the key of this connection in it. */
static const char *hello_distributor_unknown(struct stage *s, bool lists_us, const char *codes)
{
    struct key32 root = { { 1, 2, 3 } };
    struct signer signer;
    struct buf envelope CLEANUP(buf_free) = buf(8192);
    signer_from_seed(&signer, &root);
    struct id id = id_of_key(signer.public_key);
    doc_Keyset *k CLEANUP(freep) = calloc(1, sizeof(*k));
    if (!k)
        abort();
    memcpy(k->distributor, id.bytes, ID_BYTES);
    k->sequence = 1;
    k->ends_ms = INT64_MAX;
    k->keys_count = 1;
    k->keys[0] = (doc_Key){ .purpose = KEY_TLS, .ends_ms = INT64_MAX };
    if (lists_us)
        memcpy(k->keys[0].key, s->wire.key.public_key, 32);
    if (document_sign(&envelope, DOCUMENT_KEYSET, k, &signer) != 0)
        abort();
    return hello_of_role(s, 2, buf_slice(&envelope), codes);
}

static const char *hello_distributor_nobody_knows(struct stage *s)
{
    return hello_distributor_unknown(s, true, "unknown-distributor|not-permitted");
}

static const char *hello_keyset_of_another_key(struct stage *s)
{
    return hello_distributor_unknown(s, false, "keyset-invalid|unknown-distributor|not-permitted");
}

static const char *hello_long_number(struct stage *s) /* 1, written in two bytes */
{
    return raw(s, BYTES(0, 0, 0, 15, 0, 11, 0, 0, 0, 1, 0, 0, 0, 5, 8, 0x81, 0, 16, 1), "malformed");
}

static const char *hello_twice_in_one(struct stage *s) /* each field twice */
{
    return raw(s, BYTES(0, 0, 0, 18, 0, 11, 0, 0, 0, 1, 0, 0, 0, 8, 8, 1, 8, 1, 16, 1, 16, 1), "malformed");
}

static const char *second_hello(struct stage *s)
{
    msg_Welcome welcome;
    msg_Hello hello = { .role = 1, .generation = 1 };
    struct line *l = stage_session(s, s->address, &welcome);
    if (!l)
        return s->complaint;
    LINE_SAY(l, msg_Type_HELLO, 3, msg_Hello, &hello);
    const char *bad = stage_expect_refusal(s, l, 3, "not-permitted", true);
    line_free(l);
    return bad;
}

static const char *hello_and_hello_at_once(struct stage *s)
{
    msg_Hello hello = { .role = 1, .generation = 1 };
    struct line *l = stage_greeted_by(s, s->address);
    if (!l)
        return s->complaint;
    LINE_SAY(l, msg_Type_HELLO, 1, msg_Hello, &hello);
    LINE_SAY(l, msg_Type_HELLO, 3, msg_Hello, &hello);
    const char *bad = stage_expect_refusal(s, l, 3, "not-permitted", true);
    line_free(l);
    return bad;
}

/* ---- after HELLO, not registered ------------------------------------------------------------------------------ */

static const char *as_unregistered(struct stage *s, uint16_t type, const pb_msgdesc_t *fields, const void *message,
                                   struct slice tail, const char *codes)
{
    msg_Welcome welcome;
    struct line *l = stage_session(s, s->address, &welcome);
    if (!l)
        return s->complaint;
    line_say(l, type, 5, fields, message, tail);
    const char *bad = stage_expect_refusal(s, l, 5, codes, false);
    line_free(l);
    return bad;
}

static const char *unknown_type(struct stage *s)
{
    return as_unregistered(s, 60000, NULL, NULL, slice("tail", 4), "not-permitted|malformed");
}

static const char *reply_nobody_asked_for(struct stage *s)
{
    msg_Ok ok = { 0 };
    return as_unregistered(s, msg_Type_OK, msg_Ok_fields, &ok, slice(NULL, 0), "not-permitted|malformed");
}

static const char *transact_unregistered(struct stage *s)
{
    msg_Transact t = { .session = 0, .bit = 1, .transaction = { 1 }, .count = 1 };
    struct buf tail CLEANUP(buf_free) = buf(64);
    if (codec_list_put(&tail, slice(NULL, 0)) != 0)
        abort();
    return as_unregistered(s, msg_Type_TRANSACT, msg_Transact_fields, &t, buf_slice(&tail),
                           "not-registered|session-replaced|malformed");
}

static const char *blocks_unregistered(struct stage *s)
{
    msg_BlocksGet get = { .count = 1 };
    memcpy(get.content, s->content.bytes, ID_BYTES);
    return as_unregistered(s, msg_Type_BLOCKS_GET, msg_BlocksGet_fields, &get, slice(NULL, 0), "not-registered");
}

static const char *account_unregistered(struct stage *s)
{
    return as_unregistered(s, msg_Type_ACCOUNT_GET, NULL, NULL, slice(NULL, 0), "not-registered");
}

static const char *delegation_as_device(struct stage *s)
{
    msg_DelegationGet get = { { 0 } };
    return as_unregistered(s, msg_Type_DELEGATION_GET, msg_DelegationGet_fields, &get, slice(NULL, 0), "not-permitted");
}

static const char *grant_as_device(struct stage *s)
{
    msg_GrantGet get = { .category = 1 };
    return as_unregistered(s, msg_Type_GRANT_GET, msg_GrantGet_fields, &get, slice(NULL, 0), "not-permitted");
}

static const char *share_as_device(struct stage *s)
{
    msg_SharePush push = { .count = UINT32_MAX };
    return as_unregistered(s, msg_Type_SHARE_PUSH, msg_SharePush_fields, &push, slice("\xff\xff\xff\xff", 4),
                           "not-permitted");
}

static const char *pull_as_device(struct stage *s)
{
    msg_SharePull pull = { .wait_ms = UINT32_MAX };
    return as_unregistered(s, msg_Type_SHARE_PULL, msg_SharePull_fields, &pull, slice(NULL, 0), "not-permitted");
}

static const char *link_as_device(struct stage *s)
{
    msg_PartnerLink link = { .code = "abcdefgh", .user = "mallory" };
    return as_unregistered(s, msg_Type_PARTNER_LINK, msg_PartnerLink_fields, &link, slice(NULL, 0), "not-permitted");
}

static const char *register_wrong_password(struct stage *s)
{
    msg_Register r = { .user = "nobody-here", .password = "guess", .device_name = "gremlin" };
    memset(r.sealing_key, 9, sizeof(r.sealing_key));
    return as_unregistered(s, msg_Type_REGISTER, msg_Register_fields, &r, slice(NULL, 0),
                           "bad-credentials|rate-limited");
}

static const char *register_text_that_acts(struct stage *s)
{
    struct buf frame CLEANUP(buf_free) = buf(512);
    msg_Welcome welcome;
    msg_Register r = { .user = "alice", .password = "x", .device_name = "AAAA" };
    struct line *l = stage_session(s, s->address, &welcome);
    if (!l)
        return s->complaint;
    if (codec_frame(&frame, msg_Type_REGISTER, 5, msg_Register_fields, &r, slice(NULL, 0)) != 0)
        abort();
    memcpy(memmem(frame.data, frame.len, "AAAA", 4), "\033[2J", 4);
    line_say_raw(l, buf_slice(&frame));
    const char *bad = stage_expect_refusal(s, l, 5, "malformed", false);
    line_free(l);
    return bad;
}

static const char *register_with_tail(struct stage *s)
{
    msg_Register r = { .user = "alice", .password = "x", .device_name = "gremlin" };
    return as_unregistered(s, msg_Type_REGISTER, msg_Register_fields, &r, slice("tail", 4), "malformed");
}

#define CASE(function)             \
    {                              \
#function, function, false \
    }
static const struct hostile_case cases[] = {
    CASE(length_4_gib),
    CASE(length_negative),
    CASE(length_zero),
    CASE(length_short),
    CASE(message_beyond_frame),
    CASE(message_negative),
    CASE(message_beyond_limit),
    CASE(tail_beyond_limit),
    CASE(random_bytes),
    CASE(half_a_frame),
    CASE(byte_by_byte),
    CASE(not_tls),
    CASE(request_before_hello),
    CASE(register_before_hello),
    CASE(blocks_before_hello),
    CASE(unknown_type_first),
    CASE(own_keyset_first),
    CASE(hello_role_0),
    CASE(hello_role_3),
    CASE(hello_device_with_tail),
    CASE(hello_distributor_without_keyset),
    CASE(hello_distributor_garbage),
    CASE(hello_distributor_nobody_knows),
    CASE(hello_keyset_of_another_key),
    CASE(hello_long_number),
    CASE(hello_twice_in_one),
    CASE(second_hello),
    CASE(hello_and_hello_at_once),
    CASE(unknown_type),
    CASE(reply_nobody_asked_for),
    CASE(transact_unregistered),
    CASE(blocks_unregistered),
    CASE(account_unregistered),
    CASE(delegation_as_device),
    CASE(grant_as_device),
    CASE(share_as_device),
    CASE(pull_as_device),
    CASE(link_as_device),
    CASE(register_wrong_password),
    CASE(register_text_that_acts),
    CASE(register_with_tail),
};
const struct hostile_cases against_distributor = { "distributor", cases, ARRAY_COUNT(cases) };
