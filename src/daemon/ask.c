/* One request and its one answer: what vault_call and session_call share. */
#include "daemon/ask.h"

#include <stdlib.h>

#include "base/secret.h"

int ask_copy_init(struct ask_copy *c, const struct ask *ask, answer_fn on_answer, void *ctx)
{
    void *message = NULL;
    uint8_t *tail = NULL;
    if (ask->message_size > 0) {
        message = malloc(ask->message_size);
        if (message == NULL)
            return -ENOMEM;
        memcpy(message, ask->message, ask->message_size);
    }
    if (ask->tail.len > 0) {
        tail = malloc(ask->tail.len);
        if (tail == NULL) {
            free(message);
            return -ENOMEM;
        }
        memcpy(tail, ask->tail.data, ask->tail.len);
    }
    c->ask = *ask;
    c->ask.message = message;
    c->ask.tail = slice(tail, ask->tail.len);
    if (c->ask.timeout_ms == 0)
        c->ask.timeout_ms = ASK_TIMEOUT_MS;
    c->on_answer = on_answer;
    c->ctx = ctx;
    return 0;
}

void ask_copy_deinit(struct ask_copy *c)
{
    /* A registration carries a password. */
    if (c->ask.message != NULL)
        secret_wipe((void *)c->ask.message, c->ask.message_size);
    free((void *)c->ask.message);
    free((void *)c->ask.tail.data);
    c->ask.message = NULL;
    c->ask.tail = slice(NULL, 0);
}

void ask_copy_answer(const struct ask_copy *c, const struct frame *reply, enum reason why, const char *detail)
{
    struct answer answer = { .why = why, .frame = reply };
    msg_Refusal refusal = msg_Refusal_init_zero;

    if (reply != NULL) {
        answer.why = peer_refusal(reply, c->ask.reply_type, &refusal);
        if (answer.why != REASON_NONE && refusal.code[0] == '\0')
            reason_refusal(&refusal, answer.why, NULL);
    } else {
        if (answer.why == REASON_NONE)
            answer.why = REASON_INTERNAL;
        reason_refusal(&refusal, answer.why, detail);
    }
    if (answer.why != REASON_NONE)
        answer.refusal = &refusal;
    c->on_answer(&answer, c->ctx);
}
