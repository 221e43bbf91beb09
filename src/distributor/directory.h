/* The directory's side of shared tables (the seed's operations database C): takes members' signed rows in order and hands
 * out everyone's in one global order. Rows are verified under their origin's keyset; what they mean is not looked at.
 *
 * A pull that finds nothing waits for the next row, for as long as it said (bounded). Source: seed S105-S108, P3. */
#ifndef DISTRIBUTOR_DIRECTORY_H
#define DISTRIBUTOR_DIRECTORY_H

#include "distributor/directory_rows.h"
#include "distributor/server.h"

#define DIRECTORY_WAIT_MAX_MS 30000

struct session;
struct exchange;

/* Opens STATE/directory.db and its thread. 0, STORE_NEWER, -errno. */
int directory_start(struct directory **out, struct server *server) MUST_USE;
/* After the sessions are gone. on_stopped fires once (at once for NULL). */
void directory_stop(struct directory *d, void (*on_stopped)(struct server *), struct server *server);

/* SHARE_PULL does not wait in the session's queue: true when f was one (answered now or later), false otherwise. */
bool directory_pull_frame(struct session *s, const struct frame *f);
void directory_session_closed(struct session *s);
/* SHARE_PUSH: submits the exchange's job to the directory's thread; its outcome is as of requests_run. */
void directory_push(struct exchange *x, void (*on_done)(struct writer_job *job, int outcome));

/* Rows were stored: pulls that wait are answered. Accepts NULL. */
void directory_wake(struct directory *d);

#endif
