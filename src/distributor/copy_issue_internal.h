/* Inside of issuing copy certificates, shared by copy_judge.c (may it be issued) and copy_issue.c (making it). */
#ifndef DISTRIBUTOR_COPY_ISSUE_INTERNAL_H
#define DISTRIBUTOR_COPY_ISSUE_INTERNAL_H

#include "distributor/copies.h"
#include "distributor/give.h"
#include "distributor/keyblocks.h"
#include "distributor/settlements.h"

/* One certificate in the making, filled judgement by judgement. */
struct making {
    struct operations *o;
    const struct caller *who;
    const msg_CopyAsk *ask;
    struct reply *out; /* detail of a refusal; whom to ask */
    struct device source, destination;
    doc_DeviceCertificate source_certificate, destination_certificate;
    struct license license; /* the source's */
    struct license held;    /* the destination's, when has_held: whatever became of it */
    bool has_held;
    struct content content;
    struct product product;
    struct give_authority authority;   /* to sign for the destination */
    int64_t lasts_ms, ends_at_most_ms; /* life of a certificate, by our setting and by the delegation */
    struct keyblocks_newest block;
    struct copy copy;
};

/* copy_judge.c */
int copy_judge_parties(struct making *m) MUST_USE; /* who, what, where to; then m->copy is described */
int copy_judge_terms(struct making *m) MUST_USE;   /* is it needed, how often, for how much */
/* What the destination's license would say. */
doc_Conditions copy_conditions_there(const struct making *m);
bool copy_is_checkin(const struct making *m);

#endif
