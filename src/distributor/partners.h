/* Partners: what we ask of other distributors over connections we make and keep. Delegations and key grants, fetched when a
 * request needs them and again before they end or when a newer key block is announced; links of accounts.
 *
 * Every callback fires once, on the loop thread, later than the call that it belongs to, within the time given. */
#ifndef DISTRIBUTOR_PARTNERS_H
#define DISTRIBUTOR_PARTNERS_H

#include "distributor/server.h"

int partners_start(struct partners **out, struct server *server) MUST_USE;
/* What is asked ends with -ECANCELED; later calls return -ESHUTDOWN. on_stopped fires once (at once for NULL). */
void partners_stop(struct partners *p, void (*on_stopped)(struct server *), struct server *server);

/* Keyset, delegation and key grant of a partner, judged and stored. outcome: 0, an enum reason, -errno.
 * 0, or -errno: the callback will not fire. */
typedef void (*partners_done_fn)(void *ctx, int outcome);
int partners_fetch(struct partners *p, const struct id *partner, uint64_t timeout_ms, partners_done_fn on_done,
                   void *ctx) MUST_USE;

/* The partner's own shared rows after those that are here (ROWS_GET), and its heads compared with ours; as partners_fetch. */
int partners_rows(struct partners *p, const struct id *partner, uint64_t timeout_ms, partners_done_fn on_done,
                  void *ctx) MUST_USE;
/* The same of every partner that can be reached, side by side. on_done fires once, later, when the last of them has answered or failed.
 * 0, or -errno: it will not fire. */
int partners_ask_everyone(struct partners *p, uint64_t timeout_ms, void (*on_done)(void *ctx), void *ctx) MUST_USE;
/* In the background: every tick while no directory is connected, else as often as the setting compare-every says. Called by watch.c. */
void partners_compare(struct partners *p);

/* PARTNER_LINK. user: the account at the partner that is linked now; detail: the partner's own sentence of a refusal, or NULL.
 * Both borrowed. */
typedef void (*partners_linked_fn)(void *ctx, int outcome, const char *user, const char *detail);
int partners_link(struct partners *p, const struct id *partner, const char *address, const char *code, const char *user,
                  uint64_t timeout_ms, partners_linked_fn on_linked, void *ctx) MUST_USE;
/* PARTNER_UNLINK, as far as the partner can be reached now: the shared row tells it anyway. */
void partners_unlink(struct partners *p, const struct id *partner, const char *user, const char *partner_user);

/* Looks for partners whose delegation or grant is due and fetches them, one after the other. Called by watch.c. */
void partners_refresh(struct partners *p);

/* It has connected to us: whatever kept us from reaching it may be over. */
void partners_is_there(struct partners *p, const struct id *partner);

#endif
