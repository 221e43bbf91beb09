/* One copy or move between two devices in memory: both machines, a model of what is durable at each end, a wire that can be cut anywhere,
 * and a list of faults. Every step does one thing; what is durable is done in one step and its outcome is heard in a later one, so that a
 * crash can come between. After every step the promises are checked (world_check). */
#ifndef TESTS_PROTOCOL_COPY_WORLD_H
#define TESTS_PROTOCOL_COPY_WORLD_H

#include "fixture.h"
#include "protocol/copy_in.h"
#include "protocol/copy_out.h"

#define WORLD_BLOCKS 3
#define WORLD_QUEUE 8

enum fault_kind {
    FAULT_LOSE,         /* the connection breaks, with what is on it */
    FAULT_CRASH_SOURCE, /* the process forgets what is not durable */
    FAULT_CRASH_DESTINATION,
    FAULT_CUT,     /* the next message arrives cut in the middle */
    FAULT_REPEAT,  /* the last question of the source arrives once more */
    FAULT_STORE,   /* the next store of the source fails */
    FAULT_VAULT,   /* the next question to the source's vault fails */
    FAULT_CANCEL,  /* the person at the source */
    FAULT_DECLINE, /* the person at the destination */
    FAULT_PAUSE,   /* at the source; goes on when nothing else happens */
    FAULT_AGAIN,   /* the same command again */
    FAULT_GIVEN,   /* the next certificate is an equal copy's, which is on its way back */
    FAULT_COUNT
};
struct fault {
    unsigned step;
    enum fault_kind kind;
};

enum serial_state { SERIAL_NEW = 0, SERIAL_RESERVED = 1, SERIAL_STORED = 2, SERIAL_REFUSED = 3 };
enum license_state { LICENSE_AWAKE, LICENSE_ASLEEP, LICENSE_GIVEN_UP };

struct message {
    uint16_t type;
    uint32_t request;
    struct buf bytes;
};
struct queue {
    struct message items[WORLD_QUEUE];
    unsigned count;
};

struct world {
    const struct fixture *f;
    int64_t now_ms;
    bool connected;
    struct queue to_destination, to_source;
    uint32_t next_request;

    /* the source, durable */
    enum copy_out_state row; /* 0: there is none */
    struct buf row_certificate, row_delegation, row_receipt;
    enum license_state license;
    bool body, asked, answered; /* asked: the issuer has granted it; answered: and that is kept */
    unsigned redeemed, move_done, given_back;
    /* the source, not durable */
    struct copy_out out;
    bool out_runs, out_effect_done;
    struct copy_out_action out_action;
    struct buf out_report;
    enum reason out_outcome;
    uint32_t question;  /* the open request */
    uint32_t answer_to; /* a DELIVERED of the destination */
    unsigned question_count;

    /* the destination, durable */
    enum serial_state serial;
    struct buf receipt;
    unsigned blocks, licenses, reported; /* licenses: how often one was stored */
    /* the destination, not durable: what judges, and what receives */
    struct copy_in judge, in;
    bool judge_there, in_there, judge_effect_done, in_effect_done, pulling;
    struct copy_in_action judge_action, in_action;
    uint32_t judge_request, delivering;

    /* faults waiting */
    bool cut_next, store_fails, vault_fails, given_already, cancelled, declined;
    struct buf last_question;
    uint16_t last_question_type;
};

void world_init(struct world *w, const struct fixture *f, bool move);
void world_deinit(struct world *w);
void world_fault(struct world *w, enum fault_kind kind);
bool world_step(struct world *w);        /* false: nothing can happen before time passes */
void world_sleep(struct world *w);       /* until something may happen again */
void world_check(const struct world *w); /* aborts by assertion */

#endif
