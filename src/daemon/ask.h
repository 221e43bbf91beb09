/* Ask: one request to the vault or to a distributor, and its one answer. The common shape of vault_call and session_call. */
#ifndef DAEMON_ASK_H
#define DAEMON_ASK_H

#include "net/peer.h"
#include "protocol/codec.h"
#include "protocol/reason.h"

#define ASK_TIMEOUT_MS 15000

struct ask {
    uint16_t type;
    uint16_t reply_type;
    const pb_msgdesc_t *fields;
    const void *message; /* borrowed: copied by the starting call, wiped when answered */
    size_t message_size;
    struct slice tail;   /* borrowed: copied */
    uint64_t timeout_ms; /* 0: ASK_TIMEOUT_MS */
};
/* struct ask a = ASK(vlt_Type_TIME_CHECK, vlt_Type_DONE, vlt_TimeCheck, &message); then a.tail if there is one. */
#define ASK(type_, reply_type_, T, message_)         \
    ((struct ask){ .type = (type_),                  \
                   .reply_type = (reply_type_),      \
                   .fields = T##_fields,             \
                   .message = (const T *)(message_), \
                   .message_size = sizeof(T) })

struct answer {
    enum reason why;            /* REASON_NONE: frame is a reply of reply_type */
    const msg_Refusal *refusal; /* what to tell a person; NULL exactly when why is REASON_NONE */
    const struct frame
        *frame; /* borrowed until the callback returns; on a refusal that came in a frame, that frame, else NULL */
};
typedef void (*answer_fn)(const struct answer *answer, void *ctx);

/* A copy of an ask that outlives its caller. */
struct ask_copy {
    struct ask ask; /* message and tail owned here */
    answer_fn on_answer;
    void *ctx;
};
int ask_copy_init(struct ask_copy *c, const struct ask *ask, answer_fn on_answer, void *ctx) MUST_USE; /* 0, -ENOMEM */
void ask_copy_deinit(struct ask_copy *c); /* wipes the message */
/* Judges a reply frame (NULL: none came, for the reason why) and fires on_answer. detail may be NULL. */
void ask_copy_answer(const struct ask_copy *c, const struct frame *reply, enum reason why, const char *detail);

#endif
