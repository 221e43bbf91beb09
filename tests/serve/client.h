/* A device, or a distributor, as a test plays it: one connection and blocking questions on a loop of the test's. */
#ifndef TESTS_SERVE_CLIENT_H
#define TESTS_SERVE_CLIENT_H

#include <stdbool.h>

#include "net/peer.h"
#include "protocol/documents.h"

#define CLIENT_WAIT_MS 20000

struct client {
    uv_loop_t *loop;
    struct key32 seed;
    struct peer_identity *identity;
    struct id id;
    struct peer *peer; /* NULL: not connected */
    bool opened, closed;
    enum reason why;
    doc_Keyset keyset; /* of the server */
    unsigned keysets, rosters_changed, unasked;
    uint64_t session;
    uint32_t bit; /* the server's */
    bool registered;
    uint64_t generation;   /* that its vault says; 0 at first */
    uint64_t said;         /* the highest, as WELCOME has it */
    enum reason presented; /* what became of the vault's statement */
};

/* The newest reply to a question: valid until the next one. */
struct answer {
    bool there;
    enum reason reason; /* REASON_NONE, or of a refusal */
    msg_Refusal refusal;
    uint16_t type;
    struct buf message, tail;
};
void answer_free(struct answer *a);

void client_init(struct client *c, uv_loop_t *loop, uint8_t name); /* the same name is the same device again */
void client_deinit(struct client *c);
/* Dials and waits for the keyset. False: it was closed before that. */
bool client_connect(struct client *c, const char *address);
void client_disconnect(struct client *c); /* and waits for the end */
/* HELLO as a device, and what its vault says then; fills session, bit, registered, said, presented. */
void client_hello(struct client *c);
/* Asks and waits for one reply or for the end of the connection (there is false then). */
void client_ask(struct client *c, uint16_t type, const pb_msgdesc_t *fields, const void *message, struct slice tail,
                struct answer *out);
/* REGISTER an existing account. */
void client_register(struct client *c, const char *user, const char *password, struct answer *out);
/* Runs the loop until *flag, or for as long as ms. */
void client_run_until(struct client *c, const bool *flag);
void client_run_ms(struct client *c, uint64_t ms);
/* Sends without waiting. */
void client_send(struct client *c, uint16_t type, uint32_t request, const pb_msgdesc_t *fields, const void *message,
                 struct slice tail);

#endif
