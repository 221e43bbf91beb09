/* As src/vault/main.c wires it. */
#include "vault_side.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "base/util.h"
#include "vault/keys.h"
#include "vault/requests.h"
#include "vault/start.h"

#define MUST(condition)                                                           \
    do {                                                                          \
        if (!(condition)) {                                                       \
            (void)fprintf(stderr, "%s:%d: " #condition "\n", __FILE__, __LINE__); \
            abort();                                                              \
        }                                                                         \
    } while (0)

struct vault_side {
    struct vault v;
    struct key32 storage_key;
    struct keys *keys;
};

int vault_side_open(struct vault_side **out, const char *dir, const struct clock *clock, const struct rng *rng,
                    const uint8_t boot[16], struct vault_identity *who)
{
    char path[256];
    struct vault_side *s = calloc(1, sizeof(*s));
    MUST(s);
    memset(s->storage_key.bytes, 3, sizeof(s->storage_key.bytes));
    s->v = (struct vault){ .clock = clock, .rng = rng, .storage_key = &s->storage_key };
    memcpy(s->v.boot, boot, sizeof(s->v.boot));
    (void)snprintf(path, sizeof(path), "%s/vault.db", dir);
    int r = vault_start(&s->v, path, &s->keys);
    if (r == 0)
        r = keys_generation(&s->v, &who->generation);
    if (r != 0) {
        vault_side_close(s);
        return r;
    }
    memcpy(who->client, s->keys->client.bytes, sizeof(who->client));
    memcpy(who->device_key, s->keys->pair.public_key, sizeof(who->device_key));
    memcpy(who->sealing_key, s->keys->sealing_key, sizeof(who->sealing_key));
    *out = s;
    return 0;
}

void vault_side_close(struct vault_side *s)
{
    if (!s)
        return;
    vault_stop(&s->v, s->keys);
    free(s);
}

void vault_side_ask(struct vault_side *s, struct slice frame, struct buf *answer)
{
    int ends[2];
    uint8_t bytes[65536];
    struct channel theirs;
    ssize_t got;
    MUST(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
    MUST(send(ends[0], frame.data, frame.len, 0) == (ssize_t)frame.len && shutdown(ends[0], SHUT_WR) == 0);
    channel_init(&theirs, ends[1], REQUESTS_TAIL_MAX);
    MUST(requests_serve(&s->v, &theirs) == 0);
    channel_deinit(&theirs);
    while ((got = recv(ends[0], bytes, sizeof(bytes), 0)) > 0)
        MUST(buf_append(answer, slice(bytes, (size_t)got)) == 0);
    closep(&ends[0]);
}
