/* What the files of a device share. */
#ifndef TESTS_SIMULATE_DEVICE_H
#define TESTS_SIMULATE_DEVICE_H

#include "world.h"

static inline const struct id *shop_id(struct world *w, int shop) { return &shop_at(w, shop)->keys->self; }

/* ---- device_session.c ---- */
void service_connect(struct world *w, struct device *d, int shop, int64_t delay_ms);
void service_hang_up(struct world *w, struct device *d, int shop);
uint32_t service_ask(struct world *w, struct device *d, int shop, enum asked_kind kind, int64_t n, uint16_t type,
                     struct slice message, struct slice tail);

/* ---- device_transact.c ---- */
void services_load(struct world *w, struct device *d); /* accounts, and the transactions that are outstanding */
void service_put_account(struct world *w, struct device *d, int shop, bool guest);
void service_put_transaction(struct device *d, struct world *w, int shop, struct slice id, struct slice items);
void service_send(struct world *w, struct device *d, int shop); /* the outstanding one, when it can be sent */
void service_answered(struct world *w, struct device *d, int shop, const struct event *e);
bool service_restores(struct world *w,
                      struct device *d); /* true: something has to be restored; it is asked for when it can be */
void service_quoted(struct world *w, struct device *d, int shop, const struct event *e);

/* ---- device.c ---- */
void outbox_answered(struct world *w, struct device *d, int64_t row, const struct event *e);

/* ---- device_copy.c ---- */
struct copy *copy_numbered(struct device *d, int number); /* NULL: it has ended */
struct copy *copy_of(struct world *w, const struct event *e);
struct copy *copy_new(struct world *w, struct device *d,
                      const struct copy_out_subject *about);     /* NULL: there are too many */
void copy_go(struct world *w, struct device *d, struct copy *c); /* does what is to be done now */
int content_of(const struct world *w, const struct id *content);
int device_of(const struct world *w, const struct id *client);

/* ---- device_copy_ask.c ---- */
/* The transaction, when the issuer is there and no other is under way; else copies_go comes here again. */
void copy_ask(struct world *w, struct device *d, struct copy *c);

/* ---- device_incoming.c ---- */
void incoming_hear(struct world *w, struct device *d, struct event *e);
void incoming_lost(struct world *w, struct device *d, int conn);
void incoming_free_all(struct device *d);

#endif
