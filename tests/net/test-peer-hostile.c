/* Peers and ends that do not behave: other TLS, no key, cut connections, frames that are none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <gnutls/abstract.h>
#include <gnutls/gnutls.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/util.h"
#include "pair.h"

/* --- A TLS client that does as it is told, on a thread of its own --- */

#define RIGHT "NONE:+VERS-TLS1.3:+AES-256-GCM:+AEAD:+GROUP-X25519:+SIGN-EDDSA-ED25519:+CTYPE-RAWPK:+COMP-NULL"

struct stranger {
    const char *name, *priorities, *alpn;
    bool key;
    struct slice bytes; /* sent after the handshake */
    uint16_t port;
    int handshake; /* GnuTLS code */
    struct buf heard;
    uv_thread_t thread;
    uv_async_t done;
    unsigned finished;
};

static void give_key(gnutls_certificate_credentials_t credentials)
{
    gnutls_privkey_t key;
    gnutls_pubkey_t public_key;
    gnutls_pcert_st pcert;
    gnutls_datum_t der;
    if (gnutls_privkey_init(&key) != 0 || gnutls_privkey_generate(key, GNUTLS_PK_EDDSA_ED25519, 0, 0) != 0 ||
        gnutls_pubkey_init(&public_key) != 0 || gnutls_pubkey_import_privkey(public_key, key, 0, 0) != 0 ||
        gnutls_pubkey_export2(public_key, GNUTLS_X509_FMT_DER, &der) != 0 ||
        gnutls_pcert_import_rawpk_raw(&pcert, &der, GNUTLS_X509_FMT_DER, 0, 0) != 0 ||
        gnutls_certificate_set_key(credentials, NULL, 0, &pcert, 1, key) != 0)
        abort();
    gnutls_pubkey_deinit(public_key);
    gnutls_free(der.data);
}

static void speak(struct stranger *s, gnutls_session_t session)
{
    uint8_t bytes[4096];
    ssize_t n;
    do
        s->handshake = gnutls_handshake(session);
    while (s->handshake < 0 && !gnutls_error_is_fatal(s->handshake));
    if (s->handshake != 0)
        return;
    gnutls_record_send(session, s->bytes.data, s->bytes.len);
    while ((n = gnutls_record_recv(session, bytes, sizeof bytes)) != 0) {
        if (n > 0 && buf_append(&s->heard, slice(bytes, (size_t)n)) != 0)
            abort();
        if (n < 0 && gnutls_error_is_fatal((int)n))
            return;
    }
}

static void run_stranger(void *arg)
{
    struct stranger *s = arg;
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(s->port) };
    gnutls_certificate_credentials_t credentials;
    gnutls_session_t session;
    gnutls_datum_t alpn = { (unsigned char *)(uintptr_t)s->alpn, s->alpn ? (unsigned)strlen(s->alpn) : 0 };
    int fd CLEANUP(closep) = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof to) != 0)
        abort();
    gnutls_certificate_allocate_credentials(&credentials);
    if (s->key)
        give_key(credentials);
    gnutls_init(&session, GNUTLS_CLIENT | GNUTLS_ENABLE_RAWPK);
    if (gnutls_priority_set_direct(session, s->priorities, NULL) != 0)
        abort();
    gnutls_credentials_set(session, GNUTLS_CRD_CERTIFICATE, credentials);
    if (s->alpn)
        gnutls_alpn_set_protocols(session, &alpn, 1, 0);
    gnutls_transport_set_int(session, fd);
    speak(s, session);
    gnutls_deinit(session);
    gnutls_certificate_free_credentials(credentials);
    uv_async_send(&s->done);
}

static void on_done(uv_async_t *async)
{
    struct stranger *s = async->data;
    s->finished++;
}

static void meet(struct pair *t, struct stranger *s)
{
    s->port = t->port;
    s->heard = buf(1 << 20);
    s->done.data = s;
    assert_int_equal(uv_async_init(&t->loop, &s->done, on_done), 0);
    assert_int_equal(uv_thread_create(&s->thread, run_stranger, s), 0);
    pair_until(t, &t->server.closed, 1);
    pair_until(t, &s->finished, 1);
    uv_thread_join(&s->thread);
    uv_close((uv_handle_t *)&s->done, NULL);
}

static void test_other_tls(void **state)
{
    (void)state;
    struct stranger cases[] = {
        { "no key at all", RIGHT ":+CTYPE-ALL", PEER_ALPN, false },
        { "TLS 1.2", "NORMAL:-VERS-ALL:+VERS-TLS1.2:+CTYPE-RAWPK", PEER_ALPN, true },
        { "certificates only", "NORMAL:-VERS-ALL:+VERS-TLS1.3", PEER_ALPN, true },
        { "another protocol", RIGHT, "h2", true },
        { "no protocol", RIGHT, NULL, true },
        { "no common curve", "NORMAL:-VERS-ALL:+VERS-TLS1.3:-GROUP-ALL:+GROUP-SECP256R1:-CTYPE-ALL:+CTYPE-RAWPK",
          PEER_ALPN, true },
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct pair t;
        pair_init(&t);
        meet(&t, &cases[i]);
        if (t.server.opened > 0)
            fail_msg("%s: was let in", cases[i].name);
        assert_int_equal(cases[i].heard.len, 0);
        buf_free(&cases[i].heard);
        pair_deinit(&t);
    }
}

/* --- Frames that are none --- */

static enum reason heard_reason(const struct stranger *s)
{
    struct frame f;
    size_t used, need;
    assert_int_equal(frame_split(buf_slice(&s->heard), FRAME_TAIL_MAX, &f, &used, &need), 0);
    assert_int_equal(f.request, 0);
    assert_int_equal(used, s->heard.len);
    return peer_refusal(&f, msg_Type_NONE, NULL);
}

static void test_not_a_frame(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        uint8_t bytes[24];
        size_t len;
        enum reason why;
    } cases[] = {
        { "length 0", { 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9 }, 14, REASON_MALFORMED },
        { "length 9", { 0, 0, 0, 9, 3, 232, 0, 0, 0, 0, 0, 0, 0, 0 }, 14, REASON_MALFORMED },
        { "message beyond the frame", { 0, 0, 0, 12, 3, 232, 0, 0, 0, 0, 0, 0, 0, 3, 1, 2 }, 16, REASON_MALFORMED },
        { "length of 4 GiB", { 255, 255, 255, 255, 3, 232, 0, 0, 0, 0, 0, 0, 0, 0 }, 14, REASON_TOO_LARGE },
        { "tail above the limit", { 0, 1, 0, 11, 3, 232, 0, 0, 0, 0, 0, 0, 0, 0 }, 14, REASON_TOO_LARGE },
        { "message above the limit", { 0, 0, 0x60, 11, 3, 232, 0, 0, 0, 0, 0, 0, 0x60, 1 }, 14, REASON_TOO_LARGE },
        { "after a good one",
          { 0, 0, 0, 10, 3, 232, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0 },
          24,
          REASON_OFFLINE /* its header is not complete */ },
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct pair t;
        struct stranger s = { cases[i].name, RIGHT, PEER_ALPN, true, slice(cases[i].bytes, cases[i].len) };
        pair_init(&t);
        if (cases[i].why == REASON_OFFLINE) {
            t.server.close_on_frame = true;
            meet(&t, &s);
            assert_int_equal(t.server.frames, 1);
            assert_int_equal(t.server.why, REASON_CANCELLED);
        } else {
            meet(&t, &s);
            assert_int_equal(t.server.frames, 0);
            if (t.server.why != cases[i].why || heard_reason(&s) != cases[i].why)
                fail_msg("%s: %s", cases[i].name, reason_code(t.server.why));
        }
        buf_free(&s.heard);
        pair_deinit(&t);
    }
}

/* What refuses a whole connection tells the other end why it ends. */
static void test_told_why(void **state)
{
    (void)state;
    struct pair t;
    pair_init(&t);
    pair_connect(&t);
    end_send(&t.client, 0, 100000);
    pair_until(&t, &t.client.closed, 1);
    pair_until(&t, &t.server.closed, 1);
    assert_int_equal(t.server.why, REASON_TOO_LARGE);
    assert_int_equal(t.client.why, REASON_TOO_LARGE);
    assert_int_equal(t.client.last_type, msg_Type_REFUSAL);
    pair_deinit(&t);
}

/* --- Connections cut at every byte: a relay that passes on so many and then hangs up --- */

struct relay {
    struct pair *pair;
    int listening, near, far;
    size_t left; /* bytes from the dialer that still pass */
    uv_poll_t polls[2], accepting;
    unsigned closed;
    size_t passed;
};

static void close_relay(struct relay *r)
{
    if (r->near < 0)
        return;
    for (int i = 0; i < 2; i++)
        uv_close((uv_handle_t *)&r->polls[i], NULL);
    close(r->near);
    close(r->far);
    r->near = r->far = -1;
}

static void on_relay(uv_poll_t *poll, int status, int events)
{
    struct relay *r = poll->data;
    bool outward = poll == &r->polls[0];
    uint8_t bytes[65536];
    (void)events;
    ssize_t n = status < 0 ? 0 : recv(outward ? r->near : r->far, bytes, sizeof bytes, 0);
    if (n < 0 && errno == EAGAIN)
        return;
    size_t len = n > 0 ? (size_t)n : 0;
    if (outward) {
        len = size_min(len, r->left);
        r->left -= len;
        r->passed += len;
    }
    if (len > 0 && send(outward ? r->far : r->near, bytes, len, MSG_NOSIGNAL) != (ssize_t)len)
        len = 0;
    if (n <= 0 || len == 0 || (outward && r->left == 0))
        close_relay(r);
}

static void on_near(uv_poll_t *poll, int status, int events)
{
    struct relay *r = poll->data;
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(r->pair->port) };
    (void)status;
    (void)events;
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    r->near = accept(r->listening, NULL, NULL);
    r->far = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (r->near < 0 || r->far < 0 || connect(r->far, (struct sockaddr *)&to, sizeof to) != 0)
        abort();
    for (int i = 0; i < 2; i++) {
        uv_poll_init(&r->pair->loop, &r->polls[i], i == 0 ? r->near : r->far);
        r->polls[i].data = r;
        uv_poll_start(&r->polls[i], UV_READABLE, on_relay);
    }
}

static uint16_t open_relay(struct relay *r, struct pair *t)
{
    struct sockaddr_in at = { .sin_family = AF_INET };
    socklen_t len = sizeof at;
    *r = (struct relay){ .pair = t, .near = -1, .far = -1 };
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    r->listening = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(r->listening, (struct sockaddr *)&at, sizeof at), 0);
    assert_int_equal(listen(r->listening, 10), 0);
    assert_int_equal(getsockname(r->listening, (struct sockaddr *)&at, &len), 0);
    uv_poll_init(&t->loop, &r->accepting, r->listening);
    r->accepting.data = r;
    uv_poll_start(&r->accepting, UV_READABLE, on_near);
    return ntohs(at.sin_port);
}

static void test_cut(void **state)
{
    (void)state;
    struct pair t;
    struct relay relay;
    char address[32];
    size_t cut = 0, whole = SIZE_MAX;
    pair_init(&t);
    snprintf(address, sizeof address, "127.0.0.1:%u", open_relay(&relay, &t));
    for (; cut < whole; cut++) {
        unsigned accepted = t.accepted;
        relay.left = cut == 0 ? SIZE_MAX : cut; /* the first time to see how many there are */
        relay.passed = 0;
        t.server.opened = t.server.frames = t.server.closed = 0;
        pair_dial(&t, address, &t.ids[0], PAIR_WAIT_MS);
        end_send(&t.client, 0, 10);
        end_send(&t.client, 0, 100);
        pair_until(&t, &t.accepted, accepted + 1);
        if (cut == 0) {
            pair_until(&t, &t.server.frames, 2);
            whole = relay.passed;
            peer_close(t.client.peer, REASON_CANCELLED);
        }
        pair_until(&t, &t.client.closed, 1);
        pair_until(&t, &t.server.closed, 1);
        assert_true(t.client.opened <= 1 && t.server.opened <= 1);
        /* A frame is whole or it is not there; both are in one record. */
        assert_true(t.server.frames == (cut == 0 ? 2 : 0));
        assert_int_equal(t.client.frames, 0);
    }
    assert_true(whole > 300);
    uv_close((uv_handle_t *)&relay.accepting, NULL);
    close(relay.listening);
    pair_deinit(&t);
}

/* A handshake that never goes on ends by time. */
static void test_silence(void **state)
{
    (void)state;
    struct pair t;
    struct relay relay;
    char address[32];
    pair_init(&t);
    snprintf(address, sizeof address, "127.0.0.1:%u", open_relay(&relay, &t));
    uv_poll_stop(&relay.accepting); /* connected by the kernel, and then nothing */
    pair_dial(&t, address, NULL, 200);
    pair_until(&t, &t.client.closed, 1);
    assert_int_equal(t.client.why, REASON_TIMED_OUT);
    uv_close((uv_handle_t *)&relay.accepting, NULL);
    close(relay.listening);
    pair_deinit(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_other_tls), cmocka_unit_test(test_not_a_frame), cmocka_unit_test(test_told_why),
        cmocka_unit_test(test_cut),       cmocka_unit_test(test_silence),
    };
    return cmocka_run_group_tests_name("peer-hostile", tests, NULL, NULL);
}
