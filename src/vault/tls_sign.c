/* TLS_SIGN on the channel of its own. */
#define LOG_MODULE "tls-sign"
#include "vault/tls_sign.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "base/log.h"
#include "base/util.h"
#include "net/channel.h"
#include "vault.pb.h"
#include "vault/keys.h"

#define SPACE_COUNT 64
#define CONTEXT_BYTES 34 /* with the zero byte */
#define TAIL_MAX 1024

struct tls_sign {
    struct channel channel;
    const struct keys *keys;
    pthread_t thread;
};

bool tls_sign_is_input(struct slice input)
{
    static const char server[CONTEXT_BYTES] = "TLS 1.3, server CertificateVerify";
    static const char client[CONTEXT_BYTES] = "TLS 1.3, client CertificateVerify";
    struct reader r = reader(input);
    struct slice spaces = reader_bytes(&r, SPACE_COUNT), context = reader_bytes(&r, CONTEXT_BYTES);
    if (r.bad || (r.rest.len != 32 && r.rest.len != 48))
        return false;
    for (size_t i = 0; i < spaces.len; i++) {
        if (spaces.data[i] != 0x20)
            return false;
    }
    return slice_equal(context, SLICE_ARRAY(server)) || slice_equal(context, SLICE_ARRAY(client));
}

static int serve_one(struct tls_sign *t)
{
    struct frame f;
    vlt_TlsSign message;
    vlt_TlsSigned signature;
    int r = channel_read(&t->channel, true, &f);
    if (r != 0)
        return r;
    if (f.type != vlt_Type_TLS_SIGN || CODEC_DECODE(vlt_TlsSign, f.message, &message) != 0)
        return channel_refuse(&t->channel, f.request, REASON_MALFORMED, NULL);
    if (!tls_sign_is_input(f.tail)) {
        log_warn("refused to sign what is not a TLS 1.3 handshake: bytes=%zu", f.tail.len);
        return channel_refuse(&t->channel, f.request, REASON_NOT_PERMITTED, NULL);
    }
    struct signer signer;
    signer_from_pair(&signer, &t->keys->pair);
    r = signer.sign(signer.ctx, f.tail, signature.signature);
    if (r != 0)
        return channel_refuse(&t->channel, f.request, REASON_INTERNAL, NULL);
    return channel_send(&t->channel, vlt_Type_TLS_SIGNED, f.request, vlt_TlsSigned_fields, &signature, slice(NULL, 0));
}

static void *serve(void *arg)
{
    struct tls_sign *t = arg;
    int r;
    do
        r = serve_one(t);
    while (r == 0);
    if (r != CHANNEL_CLOSED && r != -EPIPE)
        log_warn("signing channel ends: outcome=%d", r);
    shutdown(t->channel.fd, SHUT_RDWR); /* whoever waits for a signature learns that there will be none */
    return NULL;
}

int tls_sign_start(struct tls_sign **out, int fd, const struct keys *keys)
{
    struct tls_sign *t = calloc(1, sizeof(*t));
    if (!t) {
        closep(&fd);
        return -ENOMEM;
    }
    channel_init(&t->channel, fd, TAIL_MAX);
    t->keys = keys;
    int r = pthread_create(&t->thread, NULL, serve, t);
    if (r != 0) {
        channel_deinit(&t->channel);
        free(t);
        return -r;
    }
    *out = t;
    return 0;
}

void tls_sign_stop(struct tls_sign *t)
{
    if (!t)
        return;
    shutdown(t->channel.fd, SHUT_RDWR);
    pthread_join(t->thread, NULL);
    channel_deinit(&t->channel);
    free(t);
}
