/* TLS of a peer: the only file that meets GnuTLS. TLS 1.3, raw public keys (RFC 7250) at both ends, Ed25519, no tickets.
 * GnuTLS reads from the raw buffer and writes into the wire buffer; it never touches the socket. On the loop thread. */
#define LOG_MODULE "tls"
#include <gnutls/abstract.h>
#include <gnutls/gnutls.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/util.h"
#include "net/peer_internal.h"

#define PRIORITIES \
    "NONE:+VERS-TLS1.3:+AES-128-GCM:+AES-256-GCM:+AEAD:+GROUP-X25519:+SIGN-EDDSA-ED25519:+CTYPE-RAWPK:+COMP-NULL"

struct peer_identity {
    struct signer signer;
    gnutls_certificate_credentials_t credentials;
    gnutls_priority_t priorities;
};

struct peer_tls {
    gnutls_session_t session;
    enum reason refused; /* why the other end's key was not accepted */
    bool has_key;
};

/* --- Identity: the private key is somebody who signs --- */

static int on_sign(gnutls_privkey_t key, gnutls_sign_algorithm_t algorithm, void *userdata, unsigned int flags,
                   const gnutls_datum_t *data, gnutls_datum_t *signature)
{
    const struct peer_identity *i = userdata;
    uint8_t bytes[SIGN_BYTES];
    (void)key;
    (void)flags;
    if (algorithm != GNUTLS_SIGN_EDDSA_ED25519)
        return GNUTLS_E_UNSUPPORTED_SIGNATURE_ALGORITHM;
    int r = i->signer.sign(i->signer.ctx, slice(data->data, data->size), bytes);
    if (r != 0) {
        log_error("the key of this end does not sign: %s", strerror(-r));
        return GNUTLS_E_PK_SIGN_FAILED;
    }
    signature->data = gnutls_malloc(sizeof bytes);
    if (!signature->data)
        return GNUTLS_E_MEMORY_ERROR;
    memcpy(signature->data, bytes, sizeof bytes);
    signature->size = sizeof bytes;
    return 0;
}

static int on_key_info(gnutls_privkey_t key, unsigned int flags, void *userdata)
{
    (void)key;
    (void)userdata;
    if (flags & GNUTLS_PRIVKEY_INFO_PK_ALGO)
        return GNUTLS_PK_EDDSA_ED25519;
    if (flags & GNUTLS_PRIVKEY_INFO_PK_ALGO_BITS)
        return 256;
    if (flags & GNUTLS_PRIVKEY_INFO_HAVE_SIGN_ALGO)
        return GNUTLS_FLAGS_TO_SIGN_ALGO(flags) == GNUTLS_SIGN_EDDSA_ED25519;
    if (flags & GNUTLS_PRIVKEY_INFO_SIGN_ALGO)
        return GNUTLS_SIGN_EDDSA_ED25519;
    return -1;
}

static int give_key(struct peer_identity *i)
{
    uint8_t spki[ID_SPKI_BYTES];
    gnutls_datum_t spki_datum = { spki, sizeof spki };
    gnutls_privkey_t key = NULL;
    gnutls_pcert_st pcert;
    id_spki(i->signer.public_key, spki);
    int r = gnutls_privkey_init(&key);
    if (r == 0)
        r = gnutls_privkey_import_ext4(key, i, on_sign, NULL, NULL, NULL, on_key_info, 0);
    if (r != 0) {
        gnutls_privkey_deinit(key);
        return r;
    }
    r = gnutls_pcert_import_rawpk_raw(&pcert, &spki_datum, GNUTLS_X509_FMT_DER, 0, 0);
    if (r != 0) {
        gnutls_privkey_deinit(key);
        return r;
    }
    /* GnuTLS would sign arbitrary bytes to see whether both halves match; a vault signs no such thing. */
    gnutls_certificate_set_flags(i->credentials, GNUTLS_CERTIFICATE_SKIP_KEY_CERT_MATCH);
    r = gnutls_certificate_set_key(i->credentials, NULL, 0, &pcert, 1, key); /* takes both */
    if (r < 0) {
        gnutls_pcert_deinit(&pcert);
        gnutls_privkey_deinit(key);
    }
    return r < 0 ? r : 0;
}

int peer_identity_new(struct peer_identity **out, const struct signer *signer)
{
    struct peer_identity *i = calloc(1, sizeof *i);
    if (!i)
        return -ENOMEM;
    i->signer = *signer;
    int r = gnutls_certificate_allocate_credentials(&i->credentials);
    if (r == 0)
        r = gnutls_priority_init(&i->priorities, PRIORITIES, NULL);
    if (r == 0)
        r = give_key(i);
    if (r == 0) {
        *out = i;
        return 0;
    }
    log_error("no TLS identity: %s", gnutls_strerror(r));
    peer_identity_free(i);
    return r == GNUTLS_E_MEMORY_ERROR ? -ENOMEM : -EIO;
}

void peer_identity_free(struct peer_identity *i)
{
    if (!i)
        return;
    if (i->credentials)
        gnutls_certificate_free_credentials(i->credentials);
    if (i->priorities)
        gnutls_priority_deinit(i->priorities);
    free(i);
}

/* --- Between GnuTLS and the buffers --- */

static ssize_t on_pull(gnutls_transport_ptr_t transport, void *data, size_t len)
{
    struct peer *p = transport;
    size_t got;
    int r = peer_raw_read(p, data, len, &got);
    if (r == 0)
        return (ssize_t)got;
    if (r == PEER_END)
        return 0;
    gnutls_transport_set_errno(p->tls->session, r == PEER_AGAIN ? EAGAIN : -r);
    return -1;
}

static ssize_t on_push(gnutls_transport_ptr_t transport, const void *data, size_t len)
{
    struct peer *p = transport;
    if (peer_wire_put(p, data, len) == 0)
        return (ssize_t)len;
    gnutls_transport_set_errno(p->tls->session, ENOMEM);
    return -1;
}

/* --- Whose key it is: judged during the handshake, so that a wrong end is told so by an alert --- */

/* A client that offers no protocol at all passes GNUTLS_ALPN_MANDATORY. */
static bool speaks_hearth(gnutls_session_t session)
{
    gnutls_datum_t chosen;
    return gnutls_alpn_get_selected_protocol(session, &chosen) == 0 &&
           slice_equal(slice(chosen.data, chosen.size), slice_str(PEER_ALPN));
}

static int on_peer_key(gnutls_session_t session)
{
    struct peer *p = gnutls_session_get_ptr(session);
    unsigned count = 0;
    if (!speaks_hearth(session)) {
        p->tls->refused = REASON_MALFORMED;
        return GNUTLS_E_NO_APPLICATION_PROTOCOL;
    }
    const gnutls_datum_t *spki = gnutls_certificate_get_peers(session, &count);
    p->tls->refused = REASON_BAD_CREDENTIALS;
    if (gnutls_certificate_type_get2(session, GNUTLS_CTYPE_PEERS) != GNUTLS_CRT_RAWPK || !spki || count != 1)
        return GNUTLS_E_CERTIFICATE_ERROR;
    if (id_key_of_spki(slice(spki->data, spki->size), p->key) != 0)
        return GNUTLS_E_CERTIFICATE_ERROR;
    p->id = id_of_key(p->key);
    if (p->expects && !id_equal(&p->id, &p->expected)) {
        p->tls->refused = REASON_UNKNOWN_DEVICE;
        return GNUTLS_E_CERTIFICATE_ERROR;
    }
    p->tls->refused = REASON_NONE;
    p->tls->has_key = true;
    return 0;
}

static int set_up(struct peer *p, gnutls_session_t session)
{
    static const gnutls_datum_t alpn = { (unsigned char *)(uintptr_t)PEER_ALPN, sizeof PEER_ALPN - 1 };
    const struct peer_identity *i = p->identity;
    int r = gnutls_priority_set(session, i->priorities);
    if (r == 0)
        r = gnutls_credentials_set(session, GNUTLS_CRD_CERTIFICATE, i->credentials);
    if (r == 0)
        r = gnutls_alpn_set_protocols(session, &alpn, 1, GNUTLS_ALPN_MANDATORY);
    if (r != 0)
        return r;
    if (!p->dialed)
        gnutls_certificate_server_set_request(session, GNUTLS_CERT_REQUIRE);
    gnutls_session_set_ptr(session, p);
    gnutls_session_set_verify_function(session, on_peer_key);
    gnutls_handshake_set_timeout(session, 0); /* the peer's own timer does that */
    gnutls_transport_set_ptr(session, p);
    gnutls_transport_set_pull_function(session, on_pull);
    gnutls_transport_set_push_function(session, on_push);
    return 0;
}

int peer_tls_start(struct peer *p)
{
    unsigned flags = GNUTLS_NONBLOCK | GNUTLS_NO_SIGNAL | GNUTLS_ENABLE_RAWPK | GNUTLS_NO_TICKETS;
    p->tls = calloc(1, sizeof *p->tls);
    if (!p->tls)
        return -ENOMEM;
    int r = gnutls_init(&p->tls->session, flags | (p->dialed ? GNUTLS_CLIENT : GNUTLS_SERVER));
    if (r == 0)
        r = set_up(p, p->tls->session);
    if (r == 0)
        return 0;
    log_error("no TLS session: %s", gnutls_strerror(r));
    return -EIO;
}

/* --- Handshake --- */

static enum reason reason_of_handshake(const struct peer *p, int code)
{
    if (p->tls->refused != REASON_NONE)
        return p->tls->refused;
    if (p->in.ended && code != GNUTLS_E_FATAL_ALERT_RECEIVED)
        return REASON_OFFLINE; /* cut off in the middle of something */
    switch (code) {
    case GNUTLS_E_PREMATURE_TERMINATION:
    case GNUTLS_E_PULL_ERROR:
    case GNUTLS_E_PUSH_ERROR:
        return REASON_OFFLINE;
    case GNUTLS_E_PK_SIGN_FAILED:
    case GNUTLS_E_MEMORY_ERROR:
        return REASON_INTERNAL;
    case GNUTLS_E_NO_CERTIFICATE_FOUND:
    case GNUTLS_E_CERTIFICATE_REQUIRED:
    case GNUTLS_E_CERTIFICATE_ERROR:
    case GNUTLS_E_PK_SIG_VERIFY_FAILED:
        return REASON_BAD_CREDENTIALS;
    case GNUTLS_E_FATAL_ALERT_RECEIVED:
        return REASON_NOT_PERMITTED;
    default:
        return REASON_MALFORMED;
    }
}

int peer_tls_handshake(struct peer *p, enum reason *why)
{
    int r;
    do
        r = gnutls_handshake(p->tls->session);
    while (r < 0 && !gnutls_error_is_fatal(r) && !p->in.blocked);
    if (r == 0 && p->tls->has_key)
        return 0;
    if (r < 0 && !gnutls_error_is_fatal(r))
        return PEER_AGAIN;
    log_write(p->dialed ? LOG_INFO : LOG_DEBUG, LOG_MODULE, "%s: no TLS: %s", p->address,
              r == 0 ? "no key" : gnutls_strerror(r)); /* strangers do not fill the log */
    *why = r == 0 ? REASON_BAD_CREDENTIALS : reason_of_handshake(p, r);
    if (r < 0)
        gnutls_alert_send_appropriate(p->tls->session, r);
    return -EPROTO;
}

/* --- Records --- */

int peer_tls_read(struct peer *p, void *out, size_t len, size_t *got)
{
    ssize_t n;
    /* AGAIN without a blocked socket: a record that carries nothing for us. */
    do
        n = gnutls_record_recv(p->tls->session, out, len);
    while ((n == GNUTLS_E_AGAIN || n == GNUTLS_E_INTERRUPTED) && !p->in.blocked && p->in.turn_bytes < PEER_TURN_BYTES);
    if (n > 0) {
        *got = (size_t)n;
        return 0;
    }
    switch (n) {
    case 0:
    case GNUTLS_E_PREMATURE_TERMINATION:
        return PEER_END;
    case GNUTLS_E_AGAIN:
    case GNUTLS_E_INTERRUPTED:
        if (!p->in.blocked)
            peer_pump(p);
        return PEER_AGAIN;
    case GNUTLS_E_PULL_ERROR:
        return -ECONNRESET;
    case GNUTLS_E_MEMORY_ERROR:
        return -ENOMEM;
    default:
        if (p->in.ended)
            return PEER_END;
        log_info("%s: record refused: %s", p->address, gnutls_strerror((int)n));
        return -EPROTO;
    }
}

int peer_tls_write(struct peer *p, const void *data, size_t len)
{
    ssize_t n = gnutls_record_send(p->tls->session, data, len);
    if (n == (ssize_t)len)
        return 0;
    log_warn("%s: no record: %s", p->address, n < 0 ? gnutls_strerror((int)n) : "cut short");
    return n == GNUTLS_E_MEMORY_ERROR ? -ENOMEM : -EPROTO;
}

void peer_tls_bye(struct peer *p)
{
    int r = gnutls_bye(p->tls->session, GNUTLS_SHUT_WR);
    if (r < 0)
        log_debug("%s: no close notification: %s", p->address, gnutls_strerror(r));
}

void peer_tls_free(struct peer *p)
{
    if (p->tls && p->tls->session)
        gnutls_deinit(p->tls->session);
    free(steal(&p->tls));
}
