/* A vault in this process, with clocks that a case moves by hand, and the little language its cases are written in. */
#ifndef TEST_VAULT_TIME_RUN_H
#define TEST_VAULT_TIME_RUN_H

#include "protocol/reason.h"
#include "vault/trusted_time.h"

#define MS INT64_C(1)
#define MINUTE (60 * 1000 * MS)
#define HOUR (60 * MINUTE)
#define DAY (24 * HOUR)
#define YEAR (365 * DAY)
#define SKEW (5 * MINUTE)
/* Every time is said from noon, which is when the device was registered and its license was issued. */
#define NOON (INT64_C(1780315200) * 1000)
#define IN_1970 (-NOON)
#define IN_1970_AND(ms) (-NOON + (ms))
#define IN_2000 (INT64_C(946684800) * 1000 - NOON)

enum time_op {
    OP_END,
    OP_WALL,    /* somebody sets the clock */
    OP_PASS,    /* time goes by, awake or suspended: both clocks go on */
    OP_BOOT,    /* the machine starts again, with the clock at this */
    OP_RESTART, /* only the vault does */
    OP_HEAR,    /* the shop signs this time */
    OP_HEAR_OTHER,
    OP_HEAR_PARTNER,
    OP_HEAR_AGAIN, /* the shop's last envelope once more */
    OP_JOIN_OTHER, /* the device registers with a second distributor as well */
    OP_LEAVE_OTHER,
    OP_MEET_PARTNER, /* its keyset is shown, no more */
    OP_KEYSET,       /* the shop shows a keyset that ends at this; the next sequence */
    OP_KEYSET_FROM,  /* the same, issued at this */
    OP_ROSTER,       /* one issued at this, for two days */
    OP_STATE,        /* of the shop's time */
    OP_STATE_OTHER,
    OP_NOW, /* of the shop's time */
    OP_PLAY,
    OP_PLAY_FREE,  /* what has no limit */
    OP_BODY,       /* the content arrives */
    OP_RENEW,      /* a later edition, usable until this */
    OP_OFFER,      /* a copy certificate that ends at this is checked; issued an hour before noon */
    OP_OFFER_FROM, /* the same, issued at this, for two days */
    OP_COMMIT,
    OP_RELEASE, /* a move's certificate that ends at this is let out */
    OP_REGISTER /* keyset and service data, once more */
};
struct time_step {
    enum time_op op;
    int64_t ms;
    int expected; /* 0, an enum reason, for OP_STATE an enum time_state */
};
/* From noon; 0: none. */
struct time_terms {
    int64_t from, until, lease, grace, download_from, download_until;
};
struct time_case {
    const char *name, *why;
    struct time_terms terms;
    struct time_step steps[12];
};
extern const struct time_case time_cases[];
extern const size_t time_case_count;

/* 0, or 1 and what went otherwise was printed. */
int time_run(const struct time_case *c);
void time_run_init(void);
void time_run_deinit(void);

#endif
