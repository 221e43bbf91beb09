/* Callbacks: run_slice (writer thread), on_slice_done (loop). */
#define LOG_MODULE "announce"
#include "distributor/announce.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/util.h"
#include "distributor/accounts.h"
#include "distributor/lobby.h"
#include "distributor/roster.h"

#define ERASED UINT64_MAX /* in place of a roster's sequence */
#define SLICE 32          /* rosters looked at in one job: a millisecond or two of the writer's time */

struct announce {
    struct server *server;
    char (*everybody)[OPERATIONS_NAME_BYTES]; /* being looked at, slice after slice; NULL: not now */
    size_t count, next;
    bool again;
};

/* Some users who are online: is their roster another one than the one announced last? */
struct slice_job {
    struct writer_job job;
    struct announce *announce;
    bool is_sweep; /* the next slice of everybody follows */
    size_t count;
    struct {
        char user[OPERATIONS_NAME_BYTES];
        uint64_t sequence;
    } rows[SLICE];
};

int announce_new(struct announce **out, struct server *server)
{
    struct announce *a = calloc(1, sizeof(*a));
    if (a == NULL)
        return -ENOMEM;
    a->server = server;
    *out = a;
    return 0;
}

void announce_free(struct announce *a)
{
    if (a == NULL)
        return;
    free(a->everybody);
    free(a);
}

int announce_collect(struct operations *o, char (**list)[OPERATIONS_NAME_BYTES], size_t *count)
{
    char user[OPERATIONS_NAME_BYTES];
    int outcome = 0;
    while (roster_take_touched(o, user)) {
        char(*grown)[OPERATIONS_NAME_BYTES] = reallocarray(*list, *count + 1, sizeof(**list));
        if (grown == NULL) {
            outcome = -ENOMEM;
            continue; /* the list in there has to become empty */
        }
        *list = grown;
        memcpy((*list)[(*count)++], user, sizeof(user));
    }
    return outcome;
}

/* Of an account that was erased there is no roster: its devices are told that there is another one, ask for it, and hear that they are not known. */
static int judge_disorder(struct operations *o, char user[OPERATIONS_NAME_BYTES], uint64_t *sequence)
{
    struct account a;
    int r = accounts_find(o, user, &a);
    if (r == OPERATIONS_ABSENT)
        *sequence = ERASED;
    else
        user[0] = '\0'; /* one account in disorder keeps nobody else waiting */
    return r < 0 && r != -EUCLEAN ? r : 0;
}

static int run_slice(struct writer_job *job, void *database)
{
    struct slice_job *s = container_of(job, struct slice_job, job);
    int64_t now_ms = clock_wall_ms(s->announce->server->clock);
    for (size_t i = 0; i < s->count; i++) {
        int r = roster_current(database, s->rows[i].user, now_ms, &s->rows[i].sequence, NULL);
        if (r > 0 || r == -EUCLEAN)
            r = judge_disorder(database, s->rows[i].user, &s->rows[i].sequence);
        if (r != 0)
            return r;
    }
    return 0;
}

static void sweep(struct announce *a);

static void on_slice_done(struct writer_job *job, int outcome)
{
    struct slice_job *s = container_of(job, struct slice_job, job);
    struct announce *a = s->announce;
    struct lobby *lobby = a->server->lobby;
    for (size_t i = 0; outcome == 0 && i < s->count; i++) {
        struct name *name = names_find(lobby_users(lobby), slice_str(s->rows[i].user));
        if (name == NULL || name->value == s->rows[i].sequence)
            continue;
        name->value = s->rows[i].sequence;
        lobby_push_roster(lobby, s->rows[i].user);
    }
    if (outcome != 0 && outcome != -ECANCELED)
        log_warn("rosters could not be brought up to date outcome=%d", outcome);
    bool go_on = s->is_sweep && outcome != -ECANCELED;
    free(s);
    if (go_on)
        sweep(a);
}

/* The first of count users, as far as they fit into one job. Returns how many were taken; 0 without memory. */
static size_t look(struct announce *a, char (*users)[OPERATIONS_NAME_BYTES], size_t count, bool is_sweep)
{
    struct slice_job *s = calloc(1, sizeof(*s));
    if (s == NULL)
        return 0;
    s->job = (struct writer_job){ .run = run_slice, .on_done = on_slice_done };
    s->announce = a;
    s->is_sweep = is_sweep;
    s->count = size_min(count, SLICE);
    for (size_t i = 0; i < s->count; i++)
        memcpy(s->rows[i].user, users[i], sizeof(s->rows[i].user));
    size_t taken = s->count;
    writer_submit(a->server->writer, &s->job);
    return taken;
}

void announce_users(struct announce *a, char (*list)[OPERATIONS_NAME_BYTES], size_t count)
{
    size_t online = 0; /* those come to the front of the list */
    for (size_t i = 0; i < count; i++)
        if (names_find(lobby_users(a->server->lobby), slice_str(list[i])) != NULL && online++ != i)
            memcpy(list[online - 1], list[i], sizeof(list[i]));
    for (size_t taken, i = 0; i < online; i += taken) {
        taken = look(a, list + i, online - i, false);
        if (taken == 0)
            return; /* they hear of it with the next change */
    }
}

/* --- Everybody -------------------------------------------------------------------------------------------------------- */

static void take_everybody(struct announce *a)
{
    const struct names *users = lobby_users(a->server->lobby);
    a->again = false;
    a->count = a->next = 0;
    a->everybody = calloc(users->count + 1, sizeof(*a->everybody));
    if (a->everybody == NULL)
        return;
    for (const struct name *n = names_next(users, NULL); n != NULL && a->count < users->count;
         n = names_next(users, n)) {
        size_t len = size_min(n->len, OPERATIONS_NAME_BYTES - 1);
        memcpy(a->everybody[a->count++], n->bytes, len);
    }
}

static void sweep(struct announce *a)
{
    size_t taken = a->next < a->count ? look(a, a->everybody + a->next, a->count - a->next, true) : 0;
    a->next += taken;
    if (taken > 0)
        return;
    free(steal(&a->everybody));
    if (a->again)
        announce_everybody(a);
}

void announce_everybody(struct announce *a)
{
    if (a->everybody != NULL) {
        a->again = true;
        return;
    }
    take_everybody(a);
    if (a->everybody != NULL)
        sweep(a);
}
