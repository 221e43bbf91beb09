/* State: what the household's devices keep in common - playlists, settings, wishes, positions -, in memory, in hearthd.db, and told to siblings at once.
 * How it is merged: protocol/replica.h; what it means: protocol/state_values.h; how siblings hear of it: state_sync.c. Loop thread.
 *
 * Edits are planned one after the other, each against the state that the one before has left; what an edit changes is stored in one transaction,
 * then taken into memory, then told to siblings, then answered. Source: design section 6.8. */
#ifndef DAEMON_STATE_H
#define DAEMON_STATE_H

#include "daemon/daemon.h"
#include "protocol/state_values.h"

struct store;
struct state_edit { /* embedded by who changes something; lives until done has fired */
    /* 0; a reason; -errno. What was planned is freed when it is not 0. */
    int (*plan)(struct state_edit *e, const struct replica *r, struct replica_change *c);
    /* Pool thread, in the same transaction; may be NULL. */
    int (*store)(struct state_edit *e, struct store *store);
    /* It is stored, and about to be taken into memory; may be NULL. */
    void (*taking)(struct state_edit *e, const struct replica_change *c);
    /* Once, never from within state_edit: plan's outcome, REASON_TOO_LARGE: there is no room, -errno: it was not stored. NULL: nobody waits. */
    void (*done)(struct state_edit *e, int outcome);
    struct state_edit *next;
};

int state_start(struct daemon *d)
    MUST_USE; /* after the library and siblings; takes up positions and volume of an earlier version */
void state_listen(struct daemon *d); /* siblings are told and heard: when links work */
void state_stop(struct daemon *d);   /* hears and tells no more; edits under way end */
void state_free(struct daemon *d);
const struct replica *state_replica(const struct daemon *d); /* borrowed; as long as nothing else runs */
void state_edit(struct daemon *d, struct state_edit *e);

/* Who wrote it, for people: a device's name. Borrowed from siblings, or short. */
const char *state_author(struct daemon *d, const struct dot *dot, char short_id[ID_SHORT_BYTES]);
/* The household's value of a setting, or what there is without one. */
void state_setting_value(const struct daemon *d, const char *name, char value[STATE_SETTING_BYTES]);

/* There is no room for a change: what makes some, and who has written most. */
void state_say_full(struct daemon *d, char *detail, size_t cap);

struct call;
/* playlists.c */
void playlists_handle(struct daemon *d, struct call *c, const void *message);     /* ctl PLAYLISTS_GET */
void playlist_handle(struct daemon *d, struct call *c, const void *message);      /* ctl PLAYLIST_GET */
void playlist_edit_handle(struct daemon *d, struct call *c, const void *message); /* ctl PLAYLIST_EDIT */
/* A name (any case) or the beginning of an ID. 0, REASON_NOT_FOUND, REASON_AMBIGUOUS. */
int playlist_resolve(struct daemon *d, const char *text, uint8_t id[PLAYLIST_ID_BYTES], char *detail, size_t cap)
    MUST_USE;
/* wishes.c */
void wishes_handle(struct daemon *d, struct call *c, const void *message);      /* ctl WISHES_GET */
void wish_add_handle(struct daemon *d, struct call *c, const void *message);    /* ctl WISH_ADD */
void wish_remove_handle(struct daemon *d, struct call *c, const void *message); /* ctl WISH_REMOVE */
void wishes_look(struct daemon *d); /* a license or a wish may have come: what is here now is said to be bought */
/* settings.c */
void settings_handle(struct daemon *d, struct call *c, const void *message);    /* ctl SETTINGS_GET */
void setting_set_handle(struct daemon *d, struct call *c, const void *message); /* ctl SETTING_SET */

#endif
