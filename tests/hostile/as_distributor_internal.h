/* Inside of as_distributor.c and as_partner.c: what a hostile distributor does, in acts. */
#ifndef TESTS_HOSTILE_AS_DISTRIBUTOR_INTERNAL_H
#define TESTS_HOSTILE_AS_DISTRIBUTOR_INTERNAL_H

#include "as_distributor.h"

#define HOUR_MS UINT64_C(3600000)

struct host;
struct act { /* what it does; every part may be absent */
    const char *name;
    void (*greet)(struct host *h, struct line *l);                              /* instead of a good keyset */
    void (*bend)(struct host *h, doc_Keyset *k);                                /* before the keyset is signed */
    void (*on_hello)(struct host *h, struct line *l, const struct heard *f);    /* instead of a good welcome */
    void (*on_register)(struct host *h, struct line *l, const struct heard *f); /* instead of a refusal */
    void (*idle)(struct host *h, struct line *l);                               /* again and again */
    void (*on_partner)(struct host *h, struct line *l, const struct heard *f);  /* what a partner of ours asks */
};
struct host {
    struct wire wire;
    struct key32 root, license;
    struct id id;
    struct id visitor;   /* the distributor that came last, by its keyset */
    uint8_t sealing[32]; /* nobody has the secret */
    uint32_t asked;      /* of a partner, so far */
    const struct act *act;
    struct line *lines[64];
    size_t line_count; /* accepted so far */
};

extern const struct act partner_acts[];
extern const size_t partner_act_count;

#endif
