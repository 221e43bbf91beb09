#include "raw.h"

#include <arpa/inet.h>
#include <errno.h>
#include <gnutls/abstract.h>
#include <gnutls/gnutls.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/util.h"

#define PRIORITIES "NONE:+VERS-TLS1.3:+AES-256-GCM:+AEAD:+GROUP-X25519:+SIGN-EDDSA-ED25519:+CTYPE-RAWPK:+COMP-NULL"

static int dial(const char *address)
{
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    to.sin_port = htons((uint16_t)atoi(strchr(address, ':') + 1));
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof(to)) != 0)
        abort();
    return fd;
}

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

/* Until the end, or quiet_ms of silence. */
static bool hear(gnutls_session_t session, int fd, int quiet_ms, struct buf *heard)
{
    uint8_t bytes[16384];
    for (;;) {
        struct pollfd p = { .fd = fd, .events = POLLIN };
        if (gnutls_record_check_pending(session) == 0 && poll(&p, 1, quiet_ms) == 0)
            return false;
        ssize_t n = gnutls_record_recv(session, bytes, sizeof(bytes));
        if (n == 0 || (n < 0 && gnutls_error_is_fatal((int)n)))
            return true;
        if (n > 0 && buf_append(heard, slice(bytes, (size_t)n)) != 0)
            abort();
    }
}

bool raw_speak(const char *address, struct slice bytes, int quiet_ms, struct buf *heard)
{
    gnutls_certificate_credentials_t credentials;
    gnutls_session_t session;
    gnutls_datum_t alpn = { (unsigned char *)(uintptr_t) "hearth/1", 8 };
    int fd CLEANUP(closep) = dial(address), r;
    gnutls_certificate_allocate_credentials(&credentials);
    give_key(credentials);
    gnutls_init(&session, GNUTLS_CLIENT | GNUTLS_ENABLE_RAWPK | GNUTLS_NO_SIGNAL);
    if (gnutls_priority_set_direct(session, PRIORITIES, NULL) != 0)
        abort();
    gnutls_credentials_set(session, GNUTLS_CRD_CERTIFICATE, credentials);
    gnutls_alpn_set_protocols(session, &alpn, 1, 0);
    gnutls_transport_set_int(session, fd);
    do
        r = gnutls_handshake(session);
    while (r < 0 && !gnutls_error_is_fatal(r));
    if (r != 0)
        abort();
    for (size_t sent = 0; sent < bytes.len;) {
        ssize_t n = gnutls_record_send(session, bytes.data + sent, size_min(bytes.len - sent, 16384));
        if (n < 0 && gnutls_error_is_fatal((int)n))
            break; /* it hung up on us in the middle */
        sent += n > 0 ? (size_t)n : 0;
    }
    bool ended = hear(session, fd, quiet_ms, heard);
    gnutls_deinit(session);
    gnutls_certificate_free_credentials(credentials);
    return ended;
}

bool raw_speak_plain(const char *address, struct slice bytes, int quiet_ms)
{
    int fd CLEANUP(closep) = dial(address);
    uint8_t heard[4096];
    if (send(fd, bytes.data, bytes.len, MSG_NOSIGNAL) < 0)
        return true;
    for (;;) {
        struct pollfd p = { .fd = fd, .events = POLLIN };
        if (poll(&p, 1, quiet_ms) == 0)
            return false;
        if (recv(fd, heard, sizeof(heard), 0) <= 0)
            return true;
    }
}
