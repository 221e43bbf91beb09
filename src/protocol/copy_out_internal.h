/* Inside of copy_out: copy_out.c (states, what is next), copy_out_outcomes.c (what became of it), copy_out_talk.c (what is said to the
 * destination, and its word). */
#ifndef PROTOCOL_COPY_OUT_INTERNAL_H
#define PROTOCOL_COPY_OUT_INTERNAL_H

#include "protocol/copy_out.h"

void copy_out_set_state(struct copy_out *m, enum copy_out_state to);        /* checks the table */
void copy_out_answer(struct copy_out *m, enum reason why);                  /* next: to who waits, if anybody */
void copy_out_store(struct copy_out *m, enum copy_out_state to);            /* next */
void copy_out_end(struct copy_out *m, enum reason why, const char *detail); /* next: GONE */
void copy_out_later(struct copy_out *m, enum reason why, int64_t now_ms);
void copy_out_tell(struct copy_out *m, enum reason why, const char *detail);
void copy_out_let_go(struct copy_out *m);
void copy_out_note_serial(struct copy_out *m); /* once the certificate can be read */

/* OFFER or WITHDRAW, encoded into m->message. type: which. 0, -errno. */
int copy_out_question(struct copy_out *m, uint16_t *type) MUST_USE;
/* A refusal of the destination, or that there was no answer. */
void copy_out_refused(struct copy_out *m, enum reason why, const char *detail, int64_t now_ms);
/* The report on the receipt, into m->report: MOVE_DONE (with the surrender), REDEEM or MOVE_CANCEL. 0, -errno. */
int copy_out_report(struct copy_out *m, uint16_t type) MUST_USE;

#endif
