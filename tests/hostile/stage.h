/* A stage for one case: against whom, as whom, and what is expected. Cases return NULL, or a sentence that says what happened
 * instead of what had to. */
#ifndef TESTS_HOSTILE_STAGE_H
#define TESTS_HOSTILE_STAGE_H

#include "protocol/documents.h"
#include "wire.h"

struct stage {
    struct wire wire;        /* a stranger, a new one each time; or the member, when the case is a member's */
    const char *address;     /* of the program under test */
    const char *distributor; /* address of a distributor the member is registered with */
    const char *user, *password_file;
    uint64_t seed;         /* of the member's key; 0: there is none */
    struct id content;     /* something that is published */
    struct id destination; /* the device at address */
    char complaint[512];
};
const char *stage_complain(struct stage *s, const char *format, ...) PRINTF_LIKE(2, 3);

typedef const char *case_fn(struct stage *s);
struct hostile_case {
    const char *name;
    case_fn *run;
    bool member; /* played with the registered key */
};
struct hostile_cases {
    const char *against;
    const struct hostile_case *cases;
    size_t count;
};
extern const struct hostile_cases against_distributor, against_distributor_member, against_device,
    against_device_member, against_copy, against_state, against_state_room, against_shelf, floods;

/* ---- steps ---- */

/* Connected, and the distributor's keyset heard. NULL: complained. The line is the caller's. */
struct line *stage_greeted_by(struct stage *s, const char *address) MUST_USE;
/* The same, HELLO said and WELCOME heard. */
struct line *stage_session(struct stage *s, const char *address, msg_Welcome *welcome) MUST_USE;
/* Registers the stage's key; keeps the session. */
struct line *stage_register(struct stage *s, const char *address, const char *name, msg_Registered *registered)
    MUST_USE;

/* A device met, DEVICE_HELLO said and heard, with the roster that lists the stage's key. */
struct line *stage_meet_as_member(struct stage *s) MUST_USE;

/* Hears frames until one is a refusal with one of the codes ("a|b"), for this request unless it is STAGE_ANY; and when closes is set, the
 * end of the connection; when not, a ping must still be answered. NULL when it was so. */
#define STAGE_ANY UINT32_MAX
const char *stage_expect_refusal(struct stage *s, struct line *l, uint32_t request, const char *codes, bool closes);
/* Closed by the other end, with or without a refusal before (whose code is one of these). codes NULL: any. */
const char *stage_expect_end(struct stage *s, struct line *l, const char *codes);
/* An answer of that type to the request; owned. NULL: complained. */
struct heard *stage_expect_answer(struct stage *s, struct line *l, uint16_t type, uint32_t request) MUST_USE;
const char *stage_expect_alive(struct stage *s, struct line *l);
/* An honest stranger gets keyset and welcome (distributor). */
const char *stage_expect_honest(struct stage *s, const char *address);

#endif
