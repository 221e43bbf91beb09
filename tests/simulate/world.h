/* A household, its distributors, their directory and the network in one process, under a clock and a chance of its own.
 *
 * Real are: the exchanges (src/protocol), the vault (vault_side.h), the distributors' requests upon their operations database (tests/distributor/
 * town.h), the directory's rows and what its members make of them, the tables and statements of hearthd.db, and SQLite. The simulation's own are: what
 * drives them (device.c, device_copy.c, as src/daemon's transact*.c, copy*.c, accept.c and outbox.c do over libuv; member.c, directory_node.c), the wire,
 * and the bodies, which are counted blocks.
 *
 * Everything that happens is an event at a time. What is durable is done in one event and its outcome is heard in a later one, so a machine can
 * stop between. Everything drawn comes from the seed: the same seed is the same trace. */
#ifndef TESTS_SIMULATE_WORLD_H
#define TESTS_SIMULATE_WORLD_H

#include <stdio.h>
#include <stdlib.h>

#include "../distributor/town.h"
#include "base/util.h"
#include "crypto/sha256.h"
#include "daemon/db.h"
#include "distributor/directory_member.h"
#include "protocol/copy_in.h"
#include "protocol/copy_out.h"
#include "protocol/greet.h"
#include "protocol/registration.h"
#include "vault.pb.h"
#include "vault_side.h"

#define DEVICES 5 /* two of anna's, two of bert's, one of a stranger's */
#define SHOPS 2
#define DIRECTORY_NODE (DEVICES + SHOPS)
#define NODES (DIRECTORY_NODE + 1)
#define SHOP_NODE(shop) (DEVICES + (shop))
#define CONTENTS 4 /* two of each shop */
#define BLOCKS 3
#define CONNS_MAX 4096
#define COPIES_MAX 16
#define ASKED_MAX 32
#define PURCHASES_MAX 256
#define STOLEN_MAX 64
#define PRICE 100
#define COPY_PRICE 20
#define RENEW_PRICE 50

/* Ends the run: the seed has found something. */
#define MUST(condition)                                                             \
    do {                                                                            \
        if (!(condition))                                                           \
            broken("%s:%d: " #condition, strrchr("/" __FILE__, '/') + 1, __LINE__); \
    } while (0)
void broken(const char *format, ...) PRINTF_LIKE(1, 2) __attribute__((noreturn));

struct world;
struct event;
typedef void event_fn(struct world *w, struct event *e);
struct event { /* freed after it ran; what it carries is its own */
    int64_t at_ms;
    uint64_t order;
    event_fn *run;
    int node; /* dropped when that has begun anew since; -1: nobody's */
    unsigned life;
    int a, b;
    int64_t n;
    uint16_t type;
    uint32_t request;
    struct buf message, tail;
};

struct
    conn { /* what one end sends arrives in order, once, or not at all; it may arrive after the connection is known to be lost */
    int ends[2]; /* the one that opened it first; -1: that end has forgotten it */
    int to;      /* as it was opened */
    bool open;
    int64_t next_ms[2];
    struct caller caller; /* as the shop knows the other end */
    enum greet_server_state greeted;
    bool busy;
    int copy;        /* between devices: of ends[0] */
    uint8_t key[32]; /* the TLS key of ends[1], when that is a shop or the directory */
};

enum asked_kind { ASKED_GREETING = 1, ASKED_REGISTER, ASKED_QUOTE, ASKED_TRANSACT, ASKED_REPORT, ASKED_REMOVE };
struct asked {
    uint32_t request; /* 0: free */
    enum asked_kind kind;
    int64_t n;
};
enum txn_stage { TXN_IDLE, TXN_STORING, TXN_SENDING, TXN_KEEPING, TXN_FINISHING };
struct service { /* a device and a shop: connection, registration, transactions */
    int conn;    /* 0: none */
    bool ready, presented, known;
    struct greet greet;
    uint64_t number;
    uint32_t bit, next_request;
    struct asked asked[ASKED_MAX];
    bool registered, wanted; /* wanted: as a guest */
    bool registering;
    struct registration registration;
    struct buf reply_tail; /* of REGISTERED */
    enum txn_stage stage;
    struct txn_client client;
    bool resumed, in_flight;
    struct buf items;
    msg_Item item;
    msg_Result result;
    int copy; /* the transaction is this copy's; 0: a purchase, or not known */
    bool quoting, renews;
    int quoted;
    bool judging; /* a new keyset: what follows it waits */
};
struct copy {
    int number; /* 0: free */
    int64_t row, tick_ms;
    struct copy_out m;
    bool adding, resumed, waits; /* waits: for the transactions before */
    int item_shop;               /* the transaction at this shop waits for the store; -1 */
    int conn, answer_conn;
    uint32_t question, answer_to;
};
struct incoming {
    bool used;
    struct copy_in m;
    int number, conn;
    uint32_t request, delivering, next_request;
    unsigned blocks;
    bool pulling, to_free;
    bool withdrawn; /* when it was committed the vault knew that what stands behind it does not count */
};
struct device {
    int node;
    char dir[96];
    struct clock_fake clock;
    struct rng_fake rng;
    struct vault_side *vault;
    struct vault_identity who;
    struct id client;
    struct db *db;
    int home; /* its shop */
    const char *user;
    struct service services[SHOPS];
    struct copy copies[COPIES_MAX];
    struct incoming incoming[COPIES_MAX];
    int64_t reports[ASKED_MAX];    /* rows of the outbox that are under way */
    int64_t parcels[ASKED_MAX];    /* the first row of what it went with */
    bool body[CONTENTS];           /* complete and synced */
    int64_t skew_ms;               /* its clock is wrong by this */
    struct buf old_license[SHOPS]; /* of each shop one that it was given */
};
enum member_pull { MEMBER_POLLS, MEMBER_ASKS };
struct member { /* a shop, towards the directory */
    int conn;
    bool ready, resynced;
    uint32_t next_request, push_request;
    uint64_t rows_seen;
    struct directory_push outbox;
    struct buf shown; /* its keyset on this connection */
    struct pull_under_way {
        uint32_t request; /* 0: none */
        struct directory_page page;
    } pulls[2];
    struct event *waiting[32]; /* requests that are run again when it has said what it has */
    size_t waiting_count;
};
enum lie {
    LIE_NONE,
    LIE_OLDER_KEYSET, /* than its newest, on every connection */
    LIE_WITHHOLDS,    /* has no more rows */
    LIE_LEAVES_OUT,   /* one of them */
    LIE_OTHER_ORDER,
    LIE_REPEATS, /* rows of before */
    LIE_CHANGES, /* a bit */
    LIE_FORGES,  /* a row, signed by itself */
    LIE_DROPS,   /* what is pushed, and says that it is stored */
    LIE_BOASTS,  /* of more rows than it has */
    LIE_COUNT
};
struct parked { /* a pull that waits for rows */
    int conn;   /* 0: none */
    uint32_t request;
    uint64_t after;
    int64_t until_ms;
};
struct directory {
    struct shop shop; /* its keys, and whom it knows */
    struct store *store;
    struct parked parked[16];
    struct buf older_keyset;
    enum lie lie;
    int lied_to; /* SHOPS: everybody */
    int64_t slow_ms, rests_ms;
    bool has_backup, put_back; /* put_back: with its next start */
    bool left_out; /* a row was, or was altered, or came before its time: of that one learns with the next row */
};
struct operator
{ /* of a shop */
    int step;
    bool begun, withdraws, is_done;
    bool has_changed_license_key, has_spoken;
    enum key_purpose purpose;
    uint8_t former[32];
    struct buf shown;               /* the keyset that the shop shows */
    uint64_t floor, floor_sequence; /* of delegations to the other shop, since that keyset; 0: it was not withdrawn */
};
struct stolen {
    int shop;
    enum key_purpose purpose;
    struct sign_pair pair; /* not of a sealing key */
    uint8_t key[32];
    struct buf keyset; /* of then */
    uint64_t sequence; /* of the keyset that does without it; 0: it is not issued yet */
    int64_t known_ms;  /* when that was issued */
};
struct content_fact {
    int shop;
    struct id id;
    uint8_t license_id[16], list_root[32];
    struct buf info;
};
struct purchase { /* one transaction that buys, by the ID under which it goes */
    uint8_t id[TXN_ID_BYTES];
    int device, shop, content;
    bool kept, granted, finished; /* kept: the license is in the vault */
    bool renewal;
    bool owed; /* it was paid for, and came signed by a key that was withdrawn meanwhile: it is restored */
};
struct world {
    struct town town;
    struct directory directory;
    struct member members[SHOPS];
    struct operator operators[SHOPS];
    struct stolen stolen[STOLEN_MAX];
    int stolen_count;
    uint64_t seed;
    struct rng_fake rng;
    bool calm, trace;
    struct event **heap;
    size_t event_count, event_cap;
    uint64_t next_order, events_run;
    struct conn *conns[CONNS_MAX];
    int conn_count, copy_count;
    bool up[NODES], halted[NODES], dirty[NODES], apart[NODES][NODES];
    bool removing[DEVICES];             /* somebody wished to; perhaps it is */
    int64_t removed_ms[DEVICES][SHOPS]; /* since when the shop knows; 0: not yet */
    unsigned life[NODES];
    unsigned restarts, power_losses, lost, repeated, directory_faults, put_back, lies, key_changes, withdrawals, thefts,
        restored, partings, renewed;
    struct device devices[DEVICES];
    struct content_fact contents[CONTENTS];
    struct purchase purchases[PURCHASES_MAX];
    int purchase_count;
    int64_t sold[CONTENTS]; /* purchases that a shop may have executed */
    struct sha256_state *digest;
    struct promises *promises;
    struct shared_facts *shared;
};

static inline struct shop *shop_at(struct world *w, int shop) { return shop == 0 ? &w->town.a : &w->town.b; }

/* ---- world.c: time, chance, wire, faults ---- */
int64_t world_mono(const struct world *w);
unsigned chance(struct world *w, unsigned of);
int64_t between(struct world *w, int64_t least, int64_t most);
struct event *after(struct world *w, int64_t delay_ms, int node, event_fn *run);
/* One that waits for something: it runs when event_now is called, if its node still lives. */
struct event *event_new(struct world *w, int node, event_fn *run);
void event_now(struct world *w, struct event *e);
void event_in(struct world *w, struct event *e, int64_t delay_ms);
void trace(struct world *w, const char *format, ...) PRINTF_LIKE(2, 3);
bool world_step(struct world *w); /* false: nothing will ever happen */
const char *node_name(int node);

bool can_reach(const struct world *w, int from, int to);
/* The connection's number, or 0: it cannot be reached now. */
int conn_open(struct world *w, int from, int to);
struct conn *conn_of(struct world *w, int conn, int node); /* NULL: node has it no more */
/* Lost for both ends, which hear of it later (conn_forget). */
void conn_break(struct world *w, int conn);
void conn_send(struct world *w, int conn, int from, uint16_t type, uint32_t request, struct slice message,
               struct slice tail);
void conn_refuse(struct world *w, int conn, int from, uint32_t request, enum reason why);
#define CONN_SEND(w, conn, from, type, request, T, message) \
    conn_send_as((w), (conn), (from), msg_Type_##type, (request), T##_fields, (message), slice(NULL, 0))
void conn_send_as(struct world *w, int conn, int from, uint16_t type, uint32_t request, const pb_msgdesc_t *fields,
                  const void *message, struct slice tail);
/* Its programs begin, upon what is on its disk. */
void node_start(struct world *w, int node);
/* The machine stops after this event; power: and loses what was not synced. */
void node_stop(struct world *w, int node, bool power);
/* To be called after anything that a node has made durable: true when its power has failed in that, and nothing of it was said. */
bool node_failed(struct world *w, int node);
void faults_start(struct world *w);

/* ---- shop_node.c ---- */
void shop_start(struct world *w, int shop);
void shop_stop(struct world *w, int shop);
event_fn shop_hears;

/* ---- operator.c: a shop's keys ---- */
void operators_begin(struct world *w);
void operators_calm(struct world *w);           /* each shop says something once more */
bool operators_are_done(const struct world *w); /* none is in the middle of a change */
void operator_start(struct world *w, int shop); /* opens its database, with the keys that are there now */
/* Are the server's keys those that count? If not it waits until it has gone over to them. */
bool operator_serves(struct world *w, int shop);
bool operator_has_withdrawn(const struct world *w, int shop, enum key_purpose purpose);

/* ---- thief.c ---- */
void thief_begin(struct world *w);

/* ---- member.c: a shop and the directory ---- */
void member_start(struct world *w, int shop);
void member_stop(struct world *w, int shop);
event_fn member_hears;
void member_lost(struct world *w, int shop, int conn);
void member_poke(struct world *w, int shop); /* there may be new rows to push */
/* Runs again when the directory has said what it has, or is not there. */
void member_ask(struct world *w, int shop, struct event *again);
/* The other shop's own rows, from itself. false: it cannot be reached, or did not give all. */
bool member_ask_origin(struct world *w, int shop);
bool members_have_settled(struct world *w); /* everybody has everybody's rows; all nodes are up */

/* ---- directory_node.c ---- */
void directory_make(struct world *w); /* once, before any seed */
void directory_start(struct world *w);
void directory_stop(struct world *w);
void directory_is_restored(struct world *w); /* between stop and start: it may be put back from an older copy */
event_fn directory_hears;
void directory_keyset(struct world *w, int shop,
                      struct buf *out); /* appends what a connection of this shop opens with */
void directory_fault(struct world *w);
void directory_calm(struct world *w);
uint64_t directory_has(struct world *w, int shop); /* how many rows of this shop */

/* ---- device.c ---- */
void device_make(struct world *w, struct device *d); /* its first start, before any seed */
void device_start(struct world *w, struct device *d);
void device_stop(struct world *w, struct device *d);
event_fn device_hears; /* of a shop */
void device_lost(struct world *w, struct device *d, int conn);
void device_visit(struct world *w, struct device *d, int shop); /* as a guest */
/* Takes a device of the same account out of the household. */
void device_wish_removal(struct world *w, struct device *d, int other);
void device_wish_purchase(struct world *w, struct device *d, int content, bool renewal);
void device_wish_restore(struct world *w, struct device *d, int content); /* what a lost device had */
bool device_is_idle(struct world *w, struct device *d);
/* Runs one request in the vault; `then` hears the answer (type, message, tail) in a later event with a, b, n. */
void ask_vault(struct world *w, struct device *d, uint16_t type, const pb_msgdesc_t *fields, const void *message,
               struct slice tail, event_fn *then, int a, int b, int64_t n);
#define ASK_VAULT(w, d, type, T, message, then, a, b, n) \
    ask_vault((w), (d), vlt_Type_##type, T##_fields, (message), slice(NULL, 0), (then), (a), (b), (n))
struct frame event_frame(const struct event *e);
enum reason event_reason(const struct event *e, uint16_t expected);
struct store *device_store(struct device *d);
void device_begin(struct device *d, struct transaction *t);
void device_commit(struct world *w, struct device *d, struct transaction *t, event_fn *then, int a, int b, int64_t n);
void service_submit(struct world *w, struct device *d, int shop, const msg_Item *item, int copy);
void service_item_stored(struct world *w, struct device *d, int shop);
void outbox_go(struct world *w, struct device *d);
void outbox_put(struct device *d, const struct id *shop, uint16_t type, struct slice message);
int shop_of_issuer(const struct world *w, const uint8_t *issuer);

/* ---- device_copy.c ---- */
void device_wish_copy(struct world *w, struct device *d, int content, int to, bool move);
void copies_load(struct world *w, struct device *d);
void copies_free(struct device *d);
void copies_go(struct world *w, struct device *d); /* transactions are free again, or a shop is there */
event_fn copies_hear;                              /* of another device */
void copies_lost(struct world *w, struct device *d, int conn);
/* A certificate was granted. true: copy_item_stored comes; false: it is kept already. */
bool copies_granted(struct world *w, struct device *d, int shop, const msg_CopyAsk *ask, const msg_Result *result);
/* A transaction ended for this copy without a certificate. */
void copies_outcome(struct world *w, struct device *d, int copy, enum reason why);
void copies_cancel(struct world *w, struct device *d);
void incoming_cancel(struct world *w, struct device *d);
bool copies_are_idle(struct world *w, const struct device *d); /* but those to a device that was removed */

/* ---- promises.c, promises_end.c, view.c ---- */
struct promises *promises_new(void);
void promises_free(struct promises *p);
void promises_open(struct world *w, int node);  /* its database is open */
void promises_close(struct world *w, int node); /* and will be closed */
/* What the vault's database says of a license: 0 (none), 1 valid, 2 suspended, 3 given up. */
int promises_license_state(struct world *w, int device, const uint8_t *issuer, const uint8_t license_id[16]);
void promises_check(struct world *w);     /* after every event */
void promises_check_end(struct world *w); /* when all is calm, and everything that was begun has ended */
unsigned promises_copied(const struct world *w, bool move); /* certificates that were redeemed */
/* The device has been told that its license is safe; it is from then on. Which content it is of. */
int promises_acknowledged(struct world *w, int device, struct slice license);

/* ---- promises_shared.c ---- */
struct shared_facts *shared_new(void);

struct sqlite3;
void shared_open(struct world *w, int node, struct sqlite3 *db); /* borrowed until shared_close */
void shared_close(struct world *w, int node);
int64_t shared_keyset(struct world *w, int node,
                      const uint8_t *distributor); /* the number of the newest that it goes by; 0: none */
void shared_check(struct world *w, int node);      /* its database has changed */

#endif
