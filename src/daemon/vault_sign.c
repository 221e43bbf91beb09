/* Blocking frames over the signing channel, with a time limit. */
#include "daemon/vault_sign.h"

#include <sys/socket.h>

#include "vault.pb.h"

#define TIMEOUT_S 2
#define TAIL_MAX 0

void vault_sign_open(struct vault_sign *s, int fd)
{
    struct timeval limit = { .tv_sec = TIMEOUT_S };
    vault_sign_close(s);
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
    channel_init(&s->channel, fd, TAIL_MAX);
    s->open = true;
    s->owed = false;
    s->next_id = 1;
}

void vault_sign_close(struct vault_sign *s)
{
    if (s->open)
        channel_deinit(&s->channel);
    s->open = false;
}

static int take_signature(const struct frame *f, uint32_t id, uint8_t signature[SIGN_BYTES])
{
    vlt_TlsSigned reply;
    if (f->request != id)
        return -EPROTO;
    if (f->type == msg_Type_REFUSAL)
        return -EACCES;
    if (f->type != vlt_Type_TLS_SIGNED || CODEC_DECODE(vlt_TlsSigned, f->message, &reply) != 0)
        return -EPROTO;
    memcpy(signature, reply.signature, SIGN_BYTES);
    return 0;
}

static int exchange(struct vault_sign *s, struct slice message, uint8_t signature[SIGN_BYTES])
{
    vlt_TlsSign ask = vlt_TlsSign_init_zero;
    struct frame f;
    uint32_t id = s->next_id++;
    int r = channel_send(&s->channel, vlt_Type_TLS_SIGN, id, vlt_TlsSign_fields, &ask, message);
    if (r != 0)
        return r == -ETIMEDOUT ? -EPIPE : r; /* half a question */
    r = channel_read(&s->channel, true, &f);
    s->owed = r == -EAGAIN || r == -EWOULDBLOCK;
    if (s->owed)
        return -ETIMEDOUT;
    if (r != 0)
        return r > 0 ? -EPIPE : r;
    return take_signature(&f, id, signature);
}

/* A vault that stood still for a while answers in order: what was late comes before what is asked now, and is of no use any more. */
static int pass_over_late(struct vault_sign *s)
{
    struct frame f;
    int r = s->owed ? channel_read(&s->channel, false, &f) : 0;
    if (r == CHANNEL_NOTHING)
        return -ETIMEDOUT;
    s->owed = false;
    return r > 0 ? -EPIPE : r;
}

int vault_sign(struct vault_sign *s, struct slice message, uint8_t signature[SIGN_BYTES])
{
    if (!s->open)
        return -EPIPE;
    int r = pass_over_late(s);
    if (r == 0)
        r = exchange(s, message, signature);
    if (r != 0 && r != -EACCES && r != -ETIMEDOUT)
        vault_sign_close(s);
    return r;
}
