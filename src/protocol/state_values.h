/* What the household keeps in common, as kinds, keys and values of a replica (replica.h), and what several values under one key mean. No I/O, any thread.
 *
 *   kind      key                              value
 *   setting   name                             text
 *   position  content ID (32)                  milliseconds (8)
 *   wish      content ID (32), distributor ID  1 when it was bought, else 0 (1); title
 *   playlist  playlist ID (16)                 1 when it was renamed, else 0 (1); name
 *   entry     playlist ID, entry ID (16)       content ID (32); order (order.h); title
 *
 * Several values under one key were written by devices that did not know of each other. Of settings, names and places one is taken, the same on every
 * device, and the next change takes the place of all; a name that was given by renaming is taken before one that was only repeated, and a wish is bought
 * when one says so. Of positions none is taken: the person is asked.
 *
 * Whoever changes something in a playlist writes its name again, so that a device that deleted the playlist at the same time does not take that
 * change with it: what was changed wins over a deletion that did not know of it. */
#ifndef PROTOCOL_STATE_VALUES_H
#define PROTOCOL_STATE_VALUES_H

#include "crypto/id.h"
#include "protocol/order.h"
#include "protocol/replica.h"

enum state_kind { STATE_SETTING = 1, STATE_POSITION, STATE_WISH, STATE_PLAYLIST, STATE_ENTRY };

#define STATE_SETTING_NAME_BYTES 32
#define STATE_SETTING_BYTES 64 /* of a value, with its end */
#define STATE_TITLE_BYTES 128
#define STATE_NAME_BYTES 64
#define PLAYLIST_ID_BYTES 16
#define STATE_POSITION_MAX (UINT64_C(1) << 40) /* milliseconds */

/* May it be in a replica? Lengths, ranges, orders; texts without anything that acts on a terminal. For replica_read. */
bool state_is_valid(uint8_t kind, struct slice key, struct slice value);
/* Known settings have values that are known, others any text. */
bool state_setting_is_known(const char *name);
bool state_setting_is_valid(const char *name, const char *value);
/* Of two changes that did not know of each other the other one is taken. No clock: it says nothing about which was made first. */
bool state_is_before(const struct dot *a, const struct dot *b);
/* What several of one key come to; none: NULL. All of an item are borrowed. */
const struct replica_item *state_setting(const struct replica *r, const char *name);
const struct replica_item *state_playlist(const struct replica *r, const uint8_t id[PLAYLIST_ID_BYTES]);

/* Of valid items only. */
uint64_t state_position_of(const struct replica_item *i);
bool state_wish_of(const struct replica_item *i, struct id *content, struct id *distributor,
                   char title[STATE_TITLE_BYTES]);                                 /* bought? */
bool state_playlist_of(const struct replica_item *i, char name[STATE_NAME_BYTES]); /* renamed? */
void state_setting_of(const struct replica_item *i, char value[STATE_SETTING_BYTES]);
struct state_entry {
    uint8_t playlist[PLAYLIST_ID_BYTES], id[PLAYLIST_ID_BYTES];
    struct id content;
    struct order order;
    char title[STATE_TITLE_BYTES]; /* "" when it is not known */
};
void state_entry_of(const struct replica_item *i, struct state_entry *out);

/* Encoders: append the value. 0, BUF_FULL, -ENOMEM. */
int state_position_put(uint64_t position_ms, struct buf *value) MUST_USE;
int state_wish_put(bool bought, const char *title, struct buf *value) MUST_USE;
int state_playlist_put(bool renamed, const char *name, struct buf *value) MUST_USE;
int state_entry_put(const struct state_entry *e, struct buf *value) MUST_USE;

/* The entries of a playlist in order, each once. *out is owned by the caller (free). 0, -ENOMEM. */
int state_entries(const struct replica *r, const uint8_t playlist[PLAYLIST_ID_BYTES], struct state_entry **out,
                  size_t *count) MUST_USE;

/* --- What nobody can see --- */
#define STATE_POSITIONS_MAX 4096 /* of the household: each device's last ones, as many of each as there is room for */
#define STATE_UNKNOWN_SETTINGS_MAX 32 /* of later versions */
#define STATE_OF_A_KEY_MAX 64         /* as many as devices that changed it without knowing of each other */
/* Plans into c, whatever else it does, the deletion of what could only fill the bounds: entries whose playlist is not there - whoever changes an entry writes its playlist with
 * it -, and what is beyond these numbers. Of the same items it takes the same, and it is a deletion like any other: two devices that have seen the same
 * have the same. *dropped: how many. 0, REPLICA_FULL, -ENOMEM. */
int state_tidy(const struct replica *r, struct replica_change *c, size_t *dropped) MUST_USE;

#endif
