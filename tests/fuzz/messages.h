/* Every message of the project, by number: what a harness decodes. */
#ifndef FUZZ_MESSAGES_H
#define FUZZ_MESSAGES_H

#include "protocol/codec.h"

struct message {
    const char *name; /* "msg_Offer" */
    const pb_msgdesc_t *fields;
    size_t encoded_max, struct_bytes;
};
const struct message *message_of(uint16_t number); /* some message for every number */
uint16_t message_number(const struct message *m);  /* its own number, made of its name */
size_t message_count(void);
const struct message *message_at(size_t index);
const struct message *message_named(const char *name); /* NULL when there is none */

#endif
