/* Building answers and refusals, for the handlers of requests.c. */
#ifndef DISTRIBUTOR_REPLY_H
#define DISTRIBUTOR_REPLY_H

#include "distributor/requests.h"

/* REPLY(out, ACCOUNT, msg_Account, &account): the answer's type and message. 0 or -errno. */
int reply_set(struct reply *r, uint16_t type, const pb_msgdesc_t *fields, const void *message) MUST_USE;
#define REPLY(out, type, T, message) reply_set((out), msg_Type_##type, T##_fields, (message))
int reply_ok(struct reply *r) MUST_USE;
/* return reply_refuse(out, REASON_X, "A sentence with %s.", detail): returns the reason. */
int reply_refuse(struct reply *r, enum reason reason, const char *format, ...) PRINTF_LIKE(3, 4) MUST_USE;
/* Decodes a request; a refusal of what cannot be read. REQUEST_DECODE(message, msg_Register, &m): 0, REASON_MALFORMED, -errno. */
#define REQUEST_DECODE(bytes, T, out) request_decode(T##_fields, T##_size, (bytes), (out), sizeof(T))
int request_decode(const pb_msgdesc_t *fields, size_t max_bytes, struct slice bytes, void *out, size_t size) MUST_USE;

#endif
