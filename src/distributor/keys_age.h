/* Are the keys here those that count? The database says it, in our own keyset: another machine over the same database may have changed them, and its
 * operator not copied keys/ to this one. What keys of before would sign, nobody takes; so a server that has them runs no request (writer.h: judge),
 * looks into keys/ every second, and goes on when the right ones are there (renew.h). Commands change nothing either (admin_begin). Any thread, over
 * its own connection. */
#ifndef DISTRIBUTOR_KEYS_AGE_H
#define DISTRIBUTOR_KEYS_AGE_H

#include "distributor/operations.h"
#include "protocol/documents.h"

enum keys_age {
    KEYS_NEWEST, /* none of its purpose is listed for longer */
    KEYS_FORMER, /* another one is in use; what it signs counts until its end in the keyset */
    KEYS_GONE    /* not listed, or at its end */
};
struct keys_ages {
    enum keys_age of[KEYS_PURPOSES + 1]; /* by purpose; [0]: the oldest of all */
    int64_t until_ms;                    /* when the first of the former ones ends; INT64_MAX: there is none */
};
/* own: our keyset. */
void keys_ages_of(const doc_Keyset *own, const struct keys *k, int64_t now_ms, struct keys_ages *out);
/* By the stored keyset. 0, -errno. */
int keys_ages_read(struct operations *o, const struct keys *k, int64_t now_ms, struct keys_ages *out) MUST_USE;
/* Is none of a's older than b's? */
bool keys_ages_not_older(const struct keys_ages *a, const struct keys_ages *b);
/* May anything be signed with o's keys? 0; -EKEYREVOKED: one of them is gone; -errno. */
int keys_usable(struct operations *o, int64_t now_ms) MUST_USE;

/* What to say and do about it, at most KEYS_AGE_TEXT_BYTES; "" for the newest. */
#define KEYS_AGE_TEXT_BYTES 320
const char *keys_ages_text(const struct keys_ages *a, char out[KEYS_AGE_TEXT_BYTES]);

#endif
