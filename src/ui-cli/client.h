/* Client: one blocking connection from the command line to hearthd's control socket. Not a protocol of its own: frames of
 * control.proto. Single thread. */
#ifndef UI_CLI_CLIENT_H
#define UI_CLI_CLIENT_H

#include "control.pb.h"
#include "protocol/codec.h"
#include "protocol/frame.h"
#include "protocol/reason.h"

struct client;
#define CLIENT_REFUSED 1 /* outcome: the daemon refused; client_refusal says why */

/* socket_path NULL: HEARTH_SOCKET, else wherever hearthd may be (base/runtime.h). -ECONNREFUSED, -ENOENT and the like: nobody there; -EACCES: another
 * user's. *out is the caller's also then. */
int client_open(struct client **out, const char *socket_path) MUST_USE;
void client_free(struct client *c); /* accepts NULL */
const char *client_path(const struct client *c);
const msg_Refusal *client_refusal(const struct client *c);

/* Rows and progress of one request, in order. Returning non-zero ends the call with that value. */
typedef int (*client_row_fn)(const struct frame *row, void *ctx);
/* 0 finished, CLIENT_REFUSED, -EPROTO, -EPIPE (the daemon went away), -errno, or what on_row returned. */
int client_call(struct client *c, uint16_t type, const pb_msgdesc_t *fields, const void *message, client_row_fn on_row,
                void *ctx) MUST_USE;

/* Many requests of one type, some of them under way at a time. Each ends by on_end, in whatever order the daemon finishes them. */
struct client_many {
    uint16_t type;
    const pb_msgdesc_t *fields;
    size_t count;
    unsigned at_once;
    /* The message of one. NULL: no more are to be begun, this one included. Valid until the next call. */
    const void *(*message)(size_t index, void *ctx);
    int (*on_row)(const struct frame *row, size_t index, void *ctx); /* as client_row_fn */
    /* refusal NULL: it is finished. Returning non-zero ends all with that value. */
    int (*on_end)(size_t index, const msg_Refusal *refusal, void *ctx);
    void *ctx;
};
/* 0: all that were begun have ended; -errno as client_call, or what a callback returned. */
int client_call_many(struct client *c, const struct client_many *m) MUST_USE;
/* A request whose answer nobody reads. 0 or -errno. For what a person does while a call waits. */
int client_send(struct client *c, uint16_t type, const pb_msgdesc_t *fields, const void *message) MUST_USE;
/* While a call waits, on_ready fires whenever fd can be read; non-zero ends the call with that value. fd -1: no more. */
void client_watch(struct client *c, int fd, int (*on_ready)(void *ctx), void *ctx);

#endif
