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

static int load_keys(struct operations *o, struct keys **out)
{
    struct keys *loaded CLEANUP(keys_freep) = NULL;
    int r = rotation_load(&loaded, o->state_dir);
    if (r == 0 && are_other(loaded, o->keys))
        *out = steal(&loaded);
    return r;
}

/* A job may run again: what it had read before goes. */
int renew_read(struct operations *o, struct renew_reading *r)
{
    buf_clear(&r->keyset);
    keys_free(steal(&r->keys));
    int outcome = keyset_current(o, &r->keyset);
    if (outcome == 0 && slice_equal(buf_slice(&r->keyset), buf_slice(&r->last))) {
        buf_clear(&r->keyset);
        return 0;
    }
    if (outcome == 0)
        outcome = load_keys(o, &r->keys);
    return outcome > 0 ? -EUCLEAN : outcome;
}

/* --- Going over ------------------------------------------------------------------------------------------------------ */

struct swap {
    struct writer_job job;
    const struct keys *keys;
};

static int run_swap(struct writer_job *job, void *database)
{
    struct operations *o = database;
    o->keys = container_of(job, struct swap, job)->keys;
    return 0;
}

static void on_swapped(struct writer_job *job, int outcome)
{
    (void)outcome; /* the server stops */
    free(container_of(job, struct swap, job));
}

static int swap_in(struct writer *w, const struct keys *keys)
{
    struct swap *s = calloc(1, sizeof(*s));
    if (s == NULL)
        return -ENOMEM;
    s->keys = keys;
    s->job = (struct writer_job){ .run = run_swap, .on_done = on_swapped };
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
    r = swap_in(server->writer, keys);
    return r == 0 ? swap_in(server->reader, keys) : r;
}

void renew_take(struct server *server, struct renew_reading *read)
{
    struct keys *keys = steal(&read->keys);
    if (read->keyset.len > 0) {
        buf_clear(&read->last);
        if (buf_append(&read->last, buf_slice(&read->keyset)) != 0)
            buf_clear(&read->last); /* no memory: it is read once more */
    }
    if (read->keyset.len == 0 || slice_equal(buf_slice(&read->keyset), buf_slice(&server->keyset))) {
        keys_free(keys); /* of a keyset that was taken already */
        return;
    }
    buf_free(&server->keyset);
    server->keyset = read->keyset;
    read->keyset = buf(KEYSET_ENVELOPE_MAX);
    server->keyset_generation++;
    log_info("the keyset is a new one%s", keys != NULL ? ", with new keys" : "");
    lobby_show_keyset(server->lobby);
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
