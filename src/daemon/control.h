/* The control socket: requests of `hearth` and other tools, by a table of type, message and handler. Loop thread.
 *
 * A handler gets a call and must end it exactly once, now or later: call_finish or call_refuse. Before that, any number of rows and
 * progress. When the client leaves, rows go nowhere and the work goes on. */
#ifndef DAEMON_CONTROL_H
#define DAEMON_CONTROL_H

#include "control.pb.h"
#include "daemon/ask.h"
#include "daemon/daemon.h"

struct call;
struct control_entry {
    uint16_t type;
    const pb_msgdesc_t *fields;
    size_t size;      /* of the decoded struct */
    size_t max_bytes; /* of the encoding */
    void (*handler)(struct daemon *d, struct call *c,
                    const void *message); /* message is borrowed and wiped afterwards */
    bool early;                           /* answered while the library is still being read; the others wait for it */
};
#define CONTROL_ENTRY(TYPE, T, handler)                                                      \
    {                                                                                        \
        ctl_Type_##TYPE, ctl_##T##_fields, sizeof(ctl_##T), ctl_##T##_size, (handler), false \
    }
#define CONTROL_EARLY(TYPE, T, handler)                                                     \
    {                                                                                       \
        ctl_Type_##TYPE, ctl_##T##_fields, sizeof(ctl_##T), ctl_##T##_size, (handler), true \
    }
/* control_table.c: everything hearthd can be asked; ends with type 0. */
extern const struct control_entry control_table[];

int control_bind(struct daemon *d) MUST_USE; /* RUNTIME/hearthd.sock, where nobody is answered before control_start */
int control_start(struct daemon *d) MUST_USE;
/* Everything is there: who has been waiting is answered, in order. */
void control_ready(struct daemon *d);
void control_stop(struct daemon *d);

void call_row(struct call *c, uint16_t type, const pb_msgdesc_t *fields, const void *message);
#define CALL_ROW(c, TYPE, T, message) call_row((c), ctl_Type_##TYPE, ctl_##T##_fields, (const ctl_##T *)(message))
void call_progress(struct call *c, uint64_t done, uint64_t total, const char *format, ...) PRINTF_LIKE(4, 5);
void call_finish(struct call *c); /* c is gone */
void call_refuse(struct call *c, enum reason why,
                 const char *detail); /* c is gone; detail NULL: the standard sentence; of a full disk: ours */
void call_refuse_as(struct call *c, const msg_Refusal *refusal);  /* c is gone; passes on what another end said */
void call_choose_listing(struct daemon *d, const struct call *c); /* that of the terminal it came from */
void terminal_handle(struct daemon *d, struct call *c, const void *message); /* TERMINAL */
bool call_is_watched(const struct call *c);                                  /* the client is still there */
bool call_shares_client(const struct call *a, const struct call *b); /* both of one client that is still there */
/* on_gone fires when the client leaves before the end: for calls that would never end by themselves (followers). */
void call_on_gone(struct call *c, void (*on_gone)(struct call *c, void *ctx), void *ctx);

/* For listings without a bound: when there is no room, the rest is sent from on_room, which fires once (also when the client has left). */
bool call_has_room(const struct call *c);
void call_when_room(struct call *c, void (*on_room)(struct call *c, void *ctx), void *ctx);

#endif
