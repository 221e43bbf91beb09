/* Replica: what the devices of a household keep in common, merged by what each change had seen, never by a clock. No I/O, any thread.
 *
 * Terms
 *   dot      a change: the replica that made it, and which of its changes it was, from 1
 *   item     a value under a key, named by the dot of the change that wrote it
 *   version  for each replica the highest counter seen. Changes are always taken together with everything before them, so that a version says
 *            all that was ever seen, whatever has become of it
 *
 * A change takes the place of those items that its author had seen under the key - or of fewer, when it knowingly continues one of them -, and of
 * no others. Two that did not know of each other leave two items; the key's user decides what that means (state_values.h). A deletion is a
 * change without an item. It is remembered for ever, by the version alone: an item that the other end has seen and does not have was deleted
 * there. There are no tombstones, and a device that returns after years brings nothing back.
 *
 * So one question and one answer do it all: "this is my version" - "these items you have not seen; and of those you have, these are live"
 * (a whole answer). As long as both are close, a short log of what took the place of what saves the second list (a difference). The log may be
 * forgotten at any time: then the answer is whole. Answers may be lost, repeated and taken in any order.
 *
 * A change is planned here, stored by the caller in one transaction, and only then taken into memory and told to others.
 *
 * A replica ID belongs to one running copy of the database. Two copies of one that both write would give the same dots to different changes.
 * A copy that was put back knows itself by its file (state.c) and begins with a new ID; one that meets its own counter above its own value was put
 * back unnoticed: replica_rename gives it a new ID, and what it has told nobody yet counts as written anew.
 *
 * IDs are remembered while there is room. One that has no item any more tells only devices that were away what was deleted; when there are too many, such IDs are
 * forgotten, first those of no member. At worst a device that was away all the time brings back what was deleted meanwhile; nobody is kept from writing.
 *
 * Source: Preguica et al., "Dotted version vectors" (2012), and Bieniusa et al., "An optimized conflict-free replicated set" (2012), for the
 * idea. Design section 6.8. */
#ifndef PROTOCOL_REPLICA_H
#define PROTOCOL_REPLICA_H

#include "base/slice.h"

#define REPLICA_ID_BYTES 16
#define REPLICA_AUTHOR_BYTES 8 /* of an ID: its beginning, the same for all replicas of one author */
#define REPLICA_KEY_MAX 64
#define REPLICA_VALUE_MAX 512
#define REPLICA_ITEMS_MAX 16384
#define REPLICA_BYTES_MAX (2u << 20) /* of all keys and values */
#define REPLICA_SPARE_ITEMS 256      /* of these, for the kind that always has room */
#define REPLICA_SPARE_BYTES (32u << 10)
#define REPLICA_IDS_MAX 2048
#define REPLICA_IDS_REMEMBERED 1024 /* with those that have no item any more */
#define REPLICA_LOG_MAX 1024
#define REPLICA_COUNTER_MAX ((UINT64_C(1) << 48) - 1)
#define REPLICA_DOT_BYTES (REPLICA_ID_BYTES + 8)
#define REPLICA_VERSION_BYTES_MAX (REPLICA_IDS_MAX * REPLICA_DOT_BYTES)
#define REPLICA_ANSWER_BYTES_MAX (4u << 20)

struct dot {
    uint8_t replica[REPLICA_ID_BYTES];
    uint64_t counter;
};
struct dots { /* sorted, when it is a version: by replica, each once */
    struct dot *list;
    size_t count, cap;
};
struct replica_item {
    struct dot dot;
    uint8_t kind, key_len;
    uint16_t value_len;
    uint8_t bytes[]; /* key, value */
};
struct replica_removal { /* event took the place of removed */
    struct dot event, removed;
};
/* Who has a share of the bounds for itself: 1/16 of items, bytes and IDs that have items, or together a half when they are many, with two more to come. What is left is for whoever comes first,
 * an author that is no member included: so one author, or many that were invented, cannot take what a member needs. */
struct replica_members {
    bool (*has)(const uint8_t author[REPLICA_AUTHOR_BYTES], void *ctx); /* NULL: there are none */
    size_t (*count)(void *ctx);
    void *ctx;
};
struct replica {
    struct dot self;             /* own ID, and how many changes were made under it */
    uint64_t told;               /* of those, how many some other device is known to have */
    struct dots seen;            /* the version */
    struct replica_item **items; /* owned; by kind, key, dot */
    size_t count, cap;
    size_t bytes;                /* of keys and values */
    struct replica_removal *log; /* of all events that floor does not cover */
    size_t log_count, log_cap, log_max;
    struct dots floor;
    struct replica_members members; /* set by the user after replica_init */
    uint8_t
        spared; /* the same: a kind of which there are always few, so that REPLICA_SPARE_... is kept for it and it counts to nobody's share; 0: none */
};

/* What a change does: applied to a database by its user, then to the replica. */
struct replica_change {
    struct dot self;             /* afterwards */
    struct replica_item **added; /* owned until taken */
    size_t added_count, added_cap;
    struct replica_removal *removed; /* event all zero: not known. What is removed need not be here */
    size_t removed_count, removed_cap;
    struct dots seen; /* entries of the version as they become; counter 0: there is none any more */
    size_t bytes;     /* of added */
    bool whole;       /* the log begins anew */
};

int dot_compare(const struct dot *a, const struct dot *b);
bool dot_equal(const struct dot *a, const struct dot *b);
uint64_t dots_of(const struct dots *version, const uint8_t replica[REPLICA_ID_BYTES]); /* 0: none */
/* Sets an entry; counter 0 removes it. 0, -ENOMEM. */
int dots_set(struct dots *version, const struct dot *d) MUST_USE;
void dots_free(struct dots *version);

static inline struct slice replica_key(const struct replica_item *i) { return slice(i->bytes, i->key_len); }
static inline struct slice replica_value(const struct replica_item *i)
{
    return slice(i->bytes + i->key_len, i->value_len);
}

void replica_init(struct replica *r, const uint8_t id[REPLICA_ID_BYTES]);
void replica_free(struct replica *r);
/* From a database, at start: versions first, then items, in any order. 0; REPLICA_MALFORMED: it cannot have been written by this module; -ENOMEM. */
#define REPLICA_MALFORMED 1
#define REPLICA_FULL 2   /* more than the bounds allow */
#define REPLICA_BEHIND 3 /* the other end has seen more of our own changes than we have made */
int replica_load_seen(struct replica *r, const struct dot *d) MUST_USE;
int replica_load_item(struct replica *r, uint8_t kind, struct slice key, struct slice value, const struct dot *d)
    MUST_USE;

/* The first item that is not before (kind, key), and how many there are under exactly this key. */
size_t replica_find(const struct replica *r, uint8_t kind, struct slice key, size_t *count);

/* --- Changes of our own. Several may be planned into one change, at most one of a key. --- */
struct replica_change replica_change(const struct replica *r);
void replica_change_free(struct replica_change *c);
/* value.data NULL: deletes; nothing is planned where nothing is. seen: what it takes the place of; NULL: everything under the key.
 * 0, REPLICA_FULL, -ENOMEM; when it is not 0 the change is to be freed. */
int replica_put(const struct replica *r, struct replica_change *c, uint8_t kind, struct slice key, struct slice value,
                const struct dots *seen) MUST_USE;
bool replica_change_is_empty(const struct replica_change *c);
/* Room for it, so that replica_take cannot fail: before it is stored. IDs without items are left out of it, or forgotten, where there would be too many (it may be empty
 * then); what they said of deletions becomes an event of our own. REPLICA_FULL: an author has more than its share, and there is no room beside
 * it; what makes it less is never refused. 0, REPLICA_FULL, -ENOMEM. */
int replica_make_room(struct replica *r, struct replica_change *c) MUST_USE;
/* Whose items are most, for people; *items: how many. Borrowed from an item. NULL: there is none (or no memory). */
const uint8_t *replica_largest_author(const struct replica *r, size_t *items);
/* It is stored: takes it over and leaves it empty. */
void replica_take(struct replica *r, struct replica_change *c);

/* --- Others. --- */
int replica_version(const struct replica *r, struct buf *out) MUST_USE; /* appends; 0, BUF_FULL, -ENOMEM */
/* Does a version that another device has told show something that we have not seen? 0 no, 1 yes, -EINVAL: not a version. */
int replica_lacks(const struct replica *r, struct slice version) MUST_USE;
/* That device has it: what we wrote is not ours alone any more. *of_ours: how much of it. REPLICA_BEHIND: and more of ours than we made. 0, -EINVAL. */
int replica_told(struct replica *r, struct slice version, uint64_t *of_ours) MUST_USE;
/* Appends the answer to whoever has told this version. whole: also where a difference would do - it says the same, as long as nobody has lied about what was seen; a whole
 * one brings two devices together also after that. 0, REPLICA_MALFORMED, BUF_FULL never happens below ANSWER_BYTES_MAX, -ENOMEM. */
int replica_answer(const struct replica *r, struct slice version, bool whole, struct buf *out) MUST_USE;
/* Plans what an answer changes here. is_valid: judges kind, key and value of each item. The answer may be to an older version of ours, but not to one
 * from before replica_rename. 0 (the change may be empty); REPLICA_MALFORMED, REPLICA_FULL, REPLICA_BEHIND, -ENOMEM: *c is empty. */
int replica_read(const struct replica *r, struct slice answer,
                 bool (*is_valid)(uint8_t kind, struct slice key, struct slice value), struct replica_change *c)
    MUST_USE;
/* Plans the change of one's own ID: of what was written under the old one, what comes after told is written anew. Others hear of it also when that is nothing, and
 * get whole answers. 0, REPLICA_FULL, -ENOMEM. */
int replica_rename(const struct replica *r, const uint8_t id[REPLICA_ID_BYTES], uint64_t told, struct replica_change *c)
    MUST_USE;

/* Wire layout, all integers big-endian. A version is a dot a replica, rising:
 *
 *   0   16  replica     16  8  counter, 1 to REPLICA_COUNTER_MAX
 *
 * An answer:
 *
 *   1   1 difference, 2 whole
 *   4   n, then n dots: the version of who answers
 *   4   n, then n items, rising by kind, key, dot:
 *         1 kind   1 key length   2 value length   24 dot   key   value
 *   4   n, then n removals (difference: 24 event, 24 removed, in the order in which they were taken), or n dots (whole: the live ones that whoever
 *       asked has seen, rising) */

#endif
