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

int renew_read(struct operations *o, struct buf *out, struct keys **keys)
{
    struct keys *loaded CLEANUP(keys_freep) = NULL;
    buf_clear(out);
    int r = keyset_current(o, out);
    if (r == 0)
        r = rotation_load(&loaded, o->state_dir);
    if (r == 0 && are_other(loaded, o->keys))
        *keys = steal(&loaded);
    return r > 0 ? -EUCLEAN : r;
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

void renew_take(struct server *server, struct buf *keyset, struct keys *keys)
{
    if (keyset->len == 0 || slice_equal(buf_slice(keyset), buf_slice(&server->keyset))) {
        keys_free(keys); /* of a keyset that was taken already */
        return;
    }
    buf_free(&server->keyset);
    server->keyset = *keyset;
    *keyset = buf(KEYSET_ENVELOPE_MAX);
    server->keyset_generation++;
    log_info("the keyset is a new one%s", keys != NULL ? ", with new keys" : "");
    lobby_show_keyset(server->lobby);
    int r = keys != NULL ? go_over(server, keys) : 0;
    if (r != 0) /* the old keys are listed still: nobody is refused */
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
