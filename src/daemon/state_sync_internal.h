/* What state_sync.c (links, questions), state_answer.c (answers) and state_merge.c (what comes of an answer) share. */
#ifndef DAEMON_STATE_SYNC_INTERNAL_H
#define DAEMON_STATE_SYNC_INTERNAL_H

#include "daemon/device_link.h"
#include "daemon/state_internal.h"

struct state_sibling {
    struct link_user link;
    struct state *state;
    struct state_sibling *next;
    struct id client;
    bool ready;          /* the link can be used */
    bool asking, wanted; /* a question is under way; another is to follow */
    struct buf answer;
    bool answered;                   /* the first answer on a link is whole, and now and then another */
    uint8_t heard[REPLICA_ID_BYTES]; /* our ID when it last showed what it has of our changes, */
    uint64_t told;                   /* and how many */
    int64_t asked_ms, answered_ms, complained_ms;
    struct state_answer *answering; /* under way to it; NULL: none */
    uint32_t holds;                 /* merges under way, and the link */
};

int64_t state_now_ms(const struct state *s);
/* In a current roster, and its link can be used. */
bool state_is_heard(const struct state_sibling *p);
const char *state_sibling_name(const struct state_sibling *p); /* for people */
void state_sibling_release(struct state_sibling *p);
struct state_sibling *state_sibling_find(struct state *s, const struct id *client); /* NULL: it has no link */
/* What a version that it said shows: asks, or takes another ID. */
void state_sibling_version(struct state_sibling *p, struct slice version);
/* The answer under way is refused. */
void state_answer_cancel(struct state_sibling *p);
void state_answers_start(struct state *s);
void state_answers_stop(struct state *s);
/* It shows more of our changes than we have made. */
void state_sibling_behind(struct state_sibling *p);
/* What is done every two seconds: whoever is seen and has no link is dialed; once a minute everybody is asked, and answered, for all. */
void state_tick(struct state *s);
/* Asks it for what is not here; now, or when it may be asked again. */
void state_pull(struct state_sibling *p);
/* Takes p->answer, to a version that was told under this ID. */
void state_merge(struct state_sibling *p, const uint8_t self[REPLICA_ID_BYTES]);

#endif
