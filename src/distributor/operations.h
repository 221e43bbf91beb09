/* The operations database of one distributor (STATE/operations.db, or on a PostgreSQL server: database.h): opening, settings, counters, the periodic work.
 * The seed's eight tables and their companions are in operations_schema.c, every SQL statement in statements.c.
 *
 * One struct operations per thread and connection. All functions over it are synchronous; those that write expect an
 * open transaction of o->store (the server's writer thread; the admin commands open one of their own). What a request
 * changed is undone by rolling back the savepoint around it; nothing in memory has to be undone. */
#ifndef DISTRIBUTOR_OPERATIONS_H
#define DISTRIBUTOR_OPERATIONS_H

#include "base/clock.h"
#include "base/rng.h"
#include "crypto/ekb_parts.h"
#include "distributor/keys.h"
#include "store/store.h"

#define OPERATIONS_NAME_BYTES 64 /* of distributors, users, devices: with the terminating zero */
#define OPERATIONS_ADDRESS_BYTES 128
#define OPERATIONS_SELF 1 /* our own number in the table `distributor` */
#define OPERATIONS_CATEGORY 1

/* Outcomes beside enum reason (protocol/reason.h) */
#define OPERATIONS_ABSENT 2001 /* no such row */

/* The newest key block of a distributor, ready to be searched; kept between requests. */
struct operations_block {
    int64_t distributor; /* its number; 0 = slot unused */
    uint8_t key_check[32];
    uint32_t kind; /* which of the two */
    struct ekb ekb;
    struct ekb_parts parts; /* entries of a part: once a leaf below it was looked for */
    uint64_t used;
};
#define OPERATIONS_BLOCKS 8

struct known;    /* crypto/known.h */
struct verified; /* verified.h */
struct program_history;
struct caller; /* requests.h */
struct late;
struct tally;

struct operations {
    struct store *store;
    struct store_schema schema; /* with this connection's flags */
    const struct keys *keys;    /* borrowed */
    const struct rng *rng;      /* borrowed */
    char state_dir[1024];
    char name[OPERATIONS_NAME_BYTES]; /* ours */
    char currency[4];
    struct operations_block blocks[OPERATIONS_BLOCKS]; /* keyblocks.c */
    uint64_t block_uses;
    bool blocks_checked;             /* keyblocks_replace_unreadable */
    struct program_history *history; /* program_history.h; NULL until it is needed */
    struct verified *verified;       /* documents that were judged before */
    struct known *known;             /* signatures that were good before */
    struct late *late;               /* late.h; owned; NULL: everything is done at once */
    struct tally *tally;             /* tally.h; owned, with late */
    uint64_t rows_put;               /* so many shared rows of ours were written, in transactions kept or not */
    const struct caller *asking;     /* while a request runs: who asks (spending.h); else NULL */
    struct finding_note *findings;   /* gathered, not written yet (findings.h) */
    size_t finding_count;
    char (*touched)[OPERATIONS_NAME_BYTES]; /* roster.h */
    size_t touched_count, touched_cap;
};

enum operations_flags {
    OPERATIONS_READ_ONLY = 1,          /* for requests_is_read_only() ones, on a thread of their own */
    OPERATIONS_NO_AUTO_CHECKPOINT = 2, /* as STORE_NO_AUTO_CHECKPOINT */
    OPERATIONS_ANY_PLACE = 4,          /* also one that has moved: for whoever moves it */
};
/* Opens the database and brings it to the newest schema. keys and rng: borrowed for the life of it.
 * 0, owned by the caller; STORE_NEWER; -ENOENT when `init` has not been run; -ENOKEY: what is in it lies under a storage key that keys does not
 * hold; OPERATIONS_MOVED; -errno. */
int operations_open(struct operations **out, const char *state_dir, const struct keys *keys, const struct rng *rng,
                    unsigned flags) MUST_USE;
void operations_close(struct operations *o); /* accepts NULL */
void operations_closep(struct operations **o);

/* A database that moves to a server (database_move.h) says so itself, so that no copy of it is served by mistake. Settings of its own: */
#define OPERATIONS_GONE_TO "moved-to"        /* where it is now; from then on this one does not count */
#define OPERATIONS_NOT_COMPLETE "incomplete" /* "yes": it does not count yet */
#define OPERATIONS_MOVED 2205                /* one of them is set */
/* 0, OPERATIONS_MOVED (said in the log), -errno. In a transaction nobody can set one meanwhile. */
int operations_judge_place(struct operations *o) MUST_USE;

/* Creates the database of a new distributor: our own row, settings, first keyset and key block. From then on the keys are in use (keys_used). */
struct operations_new {
    const char *name, *currency;
    const char *listen;  /* HOST:PORT the server listens on */
    const char *address; /* HOST:PORT printed in URLs */
    bool directory;      /* serves operations database C */
    int64_t now_ms;
};
/* Has it a printable name of 1 to 63 bytes, and a currency of three capital letters? */
bool operations_new_is_valid(const struct operations_new *n);
#define OPERATIONS_TAKEN 2204 /* operations_create: the database is another distributor's */
/* 0; -EEXIST: it is ours already; OPERATIONS_TAKEN; -EINVAL for a name or currency that is none; -errno. Own transaction. */
int operations_create(const char *state_dir, const struct keys *keys, const struct rng *rng,
                      const struct operations_new *n) MUST_USE;

/* Settings: the operator's choices, as text. Names:
 *   name currency listen address directory ("yes"/"no": we serve operations database C)
 *   directory-url (hearth://HOST:PORT#ID; empty: none)   registration ("invite", "open", "closed")
 *   credit-limit (minor units, of new accounts)          certificate-days   move-charged ("yes"/"no")
 *   copy-charged ("source"/"destination": whose account pays for a copy certificate)   pay-within-days (0: no limit)
 *   login-policy ("device-key", "password", "both": tokens.h)   login-days (how long a login token lasts)
 *   payment-command (a path; empty: none)   payment-timeout (seconds)   collect-at (minor units owed; 0: by hand only)
 *   settlement-days (0: by hand only)
 *   compare-every (seconds between comparisons with partners while a directory is connected; 0: none)
 *   directory-patience (seconds until rows that the directory does not give count as held back)
 * operations_setting: the stored value, else the default; always terminated. 0 or -errno. */
int operations_setting(struct operations *o, const char *name, char *out, size_t cap) MUST_USE;
int operations_setting_i64(struct operations *o, const char *name, int64_t *out) MUST_USE;
/* 0; -EINVAL for a name there is none of. */
int operations_setting_set(struct operations *o, const char *name, const char *value) MUST_USE;

/* Rising numbers that are never given twice, even across processes: "license", "certificate", "keyset", ...
 * Writes *out = the next one, from 1. */
int operations_count(struct operations *o, const char *name, uint64_t *out) MUST_USE;
/* The last one given, 0 when none was. Read-only. */
int operations_counter(struct operations *o, const char *name, uint64_t *out) MUST_USE;
/* Sets it: for what is no rising number, and for what leaps (reserve.h). */
int operations_counter_set(struct operations *o, const char *name, uint64_t value) MUST_USE;

/* Number of a distributor in the table `distributor`: 0, OPERATIONS_ABSENT, -errno. */
int operations_distributor(struct operations *o, const struct id *id, int64_t *number) MUST_USE;
/* Of a number that exists: ID and name (cap bytes; may be NULL). */
int operations_distributor_get(struct operations *o, int64_t number, struct id *id, char *name, size_t cap) MUST_USE;
/* Finds or adds. */
int operations_distributor_add(struct operations *o, const struct id *id, const char *name, int64_t *number) MUST_USE;

/* Periodic work, in a transaction: certificates that ended unredeemed give count and price back, ended codes go, keyset
 * and roster keys are issued again in time. Call it at start and about every 30 s.
 * *keyset_changed: keyset_current() gives another one than before. */
int operations_tick(struct operations *o, int64_t now_ms, bool *keyset_changed) MUST_USE;

#endif
