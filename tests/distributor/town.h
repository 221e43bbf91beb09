/* Two distributors and a household in one process, for tests of the requests: requests run as the writer thread runs them,
 * inside a savepoint of a transaction; what would travel between distributors is carried by hand.
 *
 * With TOWN_RESTART=1 in the environment every distributor is closed and opened again between any two steps. */
#ifndef TEST_DISTRIBUTOR_TOWN_H
#define TEST_DISTRIBUTOR_TOWN_H

#include "cm.h"
#include "distributor/delegations.h"
#include "distributor/keys.h"
#include "distributor/keyset.h"
#include "distributor/products.h"
#include "distributor/requests.h"
#include "distributor/share.h"
#include "protocol/txn.h"

#define TOWN_START_MS INT64_C(1780000000000)
#define TOWN_PASSWORD "correct horse"
#define TOWN_DAY_MS INT64_C(86400000)

struct town;
struct shop {
    struct town *town;
    char dir[64];
    struct keys *keys;
    struct operations *o;
    doc_Keyset keyset;
    bool unreachable; /* as a partner */
};
struct town {
    struct rng_fake rng;
    int64_t now_ms;
    struct shop a, b;
    bool directory; /* false: nobody carries shared rows */
};
void town_init(struct town *t); /* partners of each other, with a directory between them */
void town_deinit(struct town *t);
/* A third shop, and whom it knows: one way. */
void town_shop_init(struct town *t, struct shop *s, const char *name);
void town_befriend(struct shop *s, const struct shop *other, const char *name);
void town_meet(struct shop *s, const struct shop *other); /* takes its newest keyset */
void town_restart(struct shop *s);                        /* closes and opens; on its own only when asked to */
/* Another key of a purpose takes the place of the one before, which counts for what it has signed, or was withdrawn: as `keys rotate`, `keys withdraw`. */
void town_rotate(struct shop *s, enum key_purpose p, bool withdraws);
/* Carries every shared row to the other shop, as the directory would. */
void town_share(struct town *t);
/* One way, the rows after this number; which is then that of the last. */
void town_carry(struct shop *from, struct shop *to, uint64_t *after);
/* Fetches the other's keyset, delegation and grant, as the server does. */
void town_ask(struct shop *s, const struct shop *other);

/* A device: its keys, and where it stands with each shop. */
struct gadget {
    const char *name;
    struct sign_pair pair;
    struct key32 sealing;
    struct id client;
    struct caller who;   /* towards its own shop */
    struct caller guest; /* towards the other */
    uint32_t bit, guest_bit;
    uint8_t set[16384 + 2048]; /* node keys, opened */
    size_t set_len;
    struct buf certificate;
};
void gadget_init(struct town *t, struct gadget *g, const char *name);
void gadget_deinit(struct gadget *g);

/* Runs one request; asks the directory and partners as told, by hand. The reply is of the last run. */
int town_run(struct shop *s, struct caller *who, uint16_t type, const pb_msgdesc_t *fields, const void *message,
             struct slice tail, struct reply *out);
#define RUN(shop, who, type, T, message, out) \
    town_run((shop), (who), msg_Type_##type, T##_fields, (message), slice(NULL, 0), (out))
/* Decodes a reply of this type. */
#define REPLY_AS(reply, name, T, out)                                              \
    do {                                                                           \
        assert_int_equal((reply)->type, msg_Type_##name);                          \
        assert_int_equal(CODEC_DECODE(T, buf_slice(&(reply)->message), (out)), 0); \
    } while (0)

/* Steps that must succeed. */
void shop_user(struct shop *s, const char *user, int64_t credit);
struct id shop_publish(struct shop *s, const char *title, int64_t price, int64_t copy_price, uint32_t max_copies,
                       uint32_t copy_depth);
struct id shop_publish_as(struct shop *s, const char *title, const struct product *product); /* sold so and only so */
void gadget_hello(struct shop *s, struct gadget *g);
void gadget_visit(struct shop *s, struct gadget *g); /* the same as a guest */
/* What the gadget's vault would say in this caller's session: current, with the next generation. gadget_hello and gadget_register have presented one. */
void gadget_statement(struct shop *s, const struct caller *who, doc_Generation *out);
int gadget_present(struct shop *s, const struct gadget *g, struct caller *who,
                   const doc_Generation *said); /* PRESENT */
/* 0 or a reason; on success the key set is opened. */
int gadget_register(struct shop *s, struct gadget *g, const char *user, const char *password);
void town_link(struct town *t, struct gadget *of_a, struct gadget *of_b);

/* --- Transactions ------------------------------------------------------------------------------------------------ */

struct results {
    size_t count;
    msg_Result results[8];
};
struct order { /* items of the next transaction */
    struct buf tail;
    uint32_t count;
};
void order_init(struct order *o);
void order_purchase(struct order *o, struct slice quote);
/* use: what its vault says of a move; of a copy empty. */
void order_copy(struct order *o, const struct id *content, const uint8_t license_id[16], const struct id *destination,
                struct slice use, bool removable);
void order_restore(struct order *o, const struct id *content);
/* Sends it as the device's next transaction (fresh ID); frees the order. 0 with the results, or the refusal of all of it. */
int gadget_transact(struct shop *s, struct gadget *g, struct order *o, struct results *out);
int gadget_transact_guest(struct shop *s, struct gadget *g, struct order *o, struct results *out);
/* The same with everything chosen; nothing of the device's state changes. */
int gadget_transact_as(struct shop *s, struct caller *who, uint64_t session, uint32_t bit, const uint8_t id[16],
                       struct order *o, struct reply *reply);
/* One item each: 0 with the result, or its refusal. */
int gadget_quote(struct shop *s, struct gadget *g, const struct id *content, uint32_t product, struct buf *quote);
int gadget_buy(struct shop *s, struct gadget *g, const struct id *content, msg_Result *out);
/* What a vault would say, or one that its owner has taken apart: the counts of said. sequence 0: of the edition the issuer knows. */
struct slice gadget_say_used(const struct shop *s, const struct gadget *g, const uint8_t license_id[16],
                             const doc_Use *said, struct buf *out);
int gadget_copy(struct shop *s, struct gadget *g, const struct id *content, const struct gadget *to, bool move,
                bool removable, msg_Result *out);
void shop_license_id(struct shop *s, const struct id *content, uint8_t license_id[16]);

/* What the destination signs; outcome 1 stored, 2 refused. */
void gadget_receipt(const struct gadget *destination, const doc_CopyCertificate *certificate, uint32_t outcome,
                    int64_t signed_ms, struct buf *out);
int gadget_redeem(struct shop *s, struct caller *who, struct slice receipt);

/* --- What a vault would do with it: the content key, out of halves that only this device can open ------------------- */

void vault_key_of_purchase(struct shop *s, struct gadget *g, const msg_Result *result, struct key32 *key);
/* Judges the certificate as its destination does, then opens both halves. issuer: whose content it is. */
int vault_key_of_copy(struct shop *issuer, struct shop *own, struct gadget *destination, const struct id *presenter,
                      const msg_Result *result, doc_CopyCertificate *certificate, struct key32 *key);
/* Opens the first block of the body with this key. */
bool vault_plays(struct shop *issuer, const struct id *content, const struct key32 *key);

/* Its information and hash-list root, as they lie in the body file; info: appended. */
void vault_body_head(struct shop *s, const struct id *content, struct buf *info, uint8_t list_root[32]);

/* --- The whole database, to see what changed ------------------------------------------------------------------------ */

/* On a PostgreSQL server when TOWN_POSTGRES names one (a connection string): a database of its own for each shop. */
bool town_on_postgres(void);
void town_db_make(struct shop *s);
void town_db_free(struct shop *s);
/* By another connection: the first value of the first row; does the statement succeed? */
int64_t shop_ask(const struct shop *s, const char *sql);
bool shop_change(const struct shop *s, const char *sql);
/* Hash over every row of every table, leaving out those that every session or transaction writes. */
void shop_digest(struct shop *s, uint8_t out[32]);
int64_t shop_balance(struct shop *s, const char *user);
/* Ledger even, database whole. */
void shop_check(struct shop *s);

#endif
