/* Callbacks: run_swap (writer's and reader's thread), on_swapped. */
#define LOG_MODULE "renew"
#include "distributor/renew.h"

#include <stdlib.h>

#include "base/log.h"
#include "base/util.h"
#include "distributor/keyset.h"
#include "distributor/lobby.h"
#include "distributor/rotation.h"

/* What the server had before: connections of then may still use it, and a thread until its job has run. */
struct renewed {
    struct renewed *next;
    struct keys *keys;
    struct peer_identity *identity;
};

/* --- Reading --------------------------------------------------------------------------------------------------------- */

static bool are_other(const struct keys *a, const struct keys *b)
{
    for (enum key_purpose p = KEY_TLS; p <= KEY_SEALING; p++)
        if (memcmp(keys_public(a, p), keys_public(b, p), 32) != 0)
            return true;
    return false;
}

struct renew_reading renew_reading(void)
{
    return (struct renew_reading){ .keyset = buf(KEYSET_ENVELOPE_MAX), .last = buf(KEYSET_ENVELOPE_MAX) };
}

void renew_reading_free(struct renew_reading *r)
{
    buf_free(&r->keyset);
    buf_free(&r->last);
    keys_free(steal(&r->keys));
}

bool renew_is_due(const struct renew_reading *r) { return r->ages.of[0] != KEYS_NEWEST; }

/* Of a folder that was copied in part, or put back from an old copy, nothing is taken that would be worse than what is in memory. */
static int load_keys(struct operations *o, int64_t now_ms, struct renew_reading *read)
{
    struct keys *loaded CLEANUP(keys_freep) = NULL;
    struct keys_ages ages;
    keys_stamp(o->state_dir, &read->stamp);
    int r = rotation_load(&loaded, o->state_dir);
    if (r == 0)
        r = keys_ages_read(o, loaded, now_ms, &ages);
    if (r != 0 || !are_other(loaded, o->keys))
        return r;
    if (!keys_ages_not_older(&ages, &read->ages)) {
        log_warn("keys/ has older keys than those in use here: they are not taken");
        return 0;
    }
    read->keys = steal(&loaded);
    read->ages = ages;
    return 0;
}

/* Files that are being copied cannot be read yet; and whoever has keys that count serves on whatever lies in keys/. */
static int look_into_keys(struct operations *o, int64_t now_ms, struct renew_reading *read)
{
    struct keys_stamp stamp;
    keys_stamp(o->state_dir, &stamp);
    if (memcmp(&stamp, &read->stamp, sizeof(stamp)) == 0)
        return 0;
    int r = load_keys(o, now_ms, read);
    if (r != 0)
        log_warn("keys/ was changed and cannot be read errno=%d", -r);
    return 0;
}

/* A job may run again: what it had read before goes. */
int renew_read(struct operations *o, int64_t now_ms, struct renew_reading *r)
{
    buf_clear(&r->keyset);
    keys_free(steal(&r->keys));
    int outcome = keyset_current(o, &r->keyset);
    if (outcome == 0)
        outcome = keys_ages_read(o, o->keys, now_ms, &r->ages);
    if (outcome == 0 && slice_equal(buf_slice(&r->keyset), buf_slice(&r->last))) {
        buf_clear(&r->keyset);
        return renew_is_due(r) ? look_into_keys(o, now_ms, r) : 0;
    }
    if (outcome == 0)
        outcome = load_keys(o, now_ms, r);
    return outcome > 0 ? -EUCLEAN : outcome;
}

/* --- Going over ------------------------------------------------------------------------------------------------------ */

struct swap {
    struct writer_job job;
    struct server *server;
    const struct keys *keys;
    bool signs_again;
};

static int run_swap(struct writer_job *job, void *database)
{
    struct operations *o = database;
    const struct swap *s = container_of(job, struct swap, job);
    o->keys = s->keys;
    /* Before the next request: devices take nothing that hangs on a key block of a withdrawn key. */
    return s->signs_again ? rotation_sign_again(o, clock_wall_ms(s->server->clock)) : 0;
}

static void on_swapped(struct writer_job *job, int outcome)
{
    if (outcome != 0 && outcome != -ECANCELED) /* the periodic work tries again */
        log_error("what a withdrawn key has signed is not signed again yet errno=%d", -outcome);
    free(container_of(job, struct swap, job));
}

static int swap_in(struct server *server, struct writer *w, const struct keys *keys)
{
    struct swap *s = calloc(1, sizeof(*s));
    if (s == NULL)
        return -ENOMEM;
    s->server = server;
    s->keys = keys;
    s->signs_again = w == server->writer;
    s->job = (struct writer_job){ .run = run_swap, .on_done = on_swapped, .always = true };
    writer_submit(w, &s->job);
    return 0;
}

static int go_over(struct server *server, struct keys *keys)
{
    struct renewed *before = calloc(1, sizeof(*before));
    struct peer_identity *identity = NULL;
    struct signer tls;
    signer_from_pair(&tls, &keys->tls);
    int r = before != NULL ? peer_identity_new(&identity, &tls) : -ENOMEM;
    if (r != 0) {
        free(before);
        keys_free(keys);
        return r;
    }
    *before = (struct renewed){ server->renewed, server->keys, server->identity };
    server->renewed = before;
    server->keys = keys;
    server->identity = identity;
    lobby_set_identity(server->lobby, identity);
    r = swap_in(server, server->writer, keys);
    return r == 0 ? swap_in(server, server->reader, keys) : r;
}

static void show_keyset(struct server *server, struct renew_reading *read)
{
    buf_free(&server->keyset);
    server->keyset = read->keyset;
    read->keyset = buf(KEYSET_ENVELOPE_MAX);
    server->keyset_generation++;
    log_info("the keyset is a new one");
    lobby_show_keyset(server->lobby);
}

void renew_take(struct server *server, struct renew_reading *read)
{
    struct keys *keys = steal(&read->keys);
    if (read->keyset.len > 0) {
        buf_clear(&read->last);
        if (buf_append(&read->last, buf_slice(&read->keyset)) != 0)
            buf_clear(&read->last); /* no memory: it is read once more */
    }
    if (keys != NULL && !are_other(keys, server->keys))
        keys_free(steal(&keys)); /* taken already */
    if (read->keyset.len > 0 && !slice_equal(buf_slice(&read->keyset), buf_slice(&server->keyset)))
        show_keyset(server, read);
    buf_clear(&read->keyset); /* taken once: by the next time another one may have been issued */
    if (keys != NULL)
        log_info("goes over to the keys that are in keys/ now");
    int r = keys != NULL ? go_over(server, keys) : 0;
    if (r != 0) /* signatures of a key that was retired count for an hour, those of a withdrawn one no more */
        log_error("cannot go over to the new keys, restart the server errno=%d", -r);
}

void renew_free(struct server *server)
{
    for (struct renewed *r; (r = server->renewed) != NULL; free(r)) {
        server->renewed = r->next;
        peer_identity_free(r->identity);
        keys_free(r->keys);
    }
}
