/* Envelopes whose signature was good before: a verification costs more than all else that is done with a small document. What is remembered is the hash of
 * the very bytes - payload, key and signature - so nothing goes stale, and whether that key may sign is judged anew each time. A small table: a later
 * envelope takes the place of an earlier one. One thread at a time. */
#ifndef CRYPTO_KNOWN_H
#define CRYPTO_KNOWN_H

#include "base/slice.h"

struct known;
struct known *known_new(size_t place_count); /* 32 bytes each; NULL without memory */
void known_free(struct known *k);            /* accepts NULL */
/* Never true of what was not added. */
bool known_has(const struct known *k, struct slice envelope);
/* Only of an envelope that verified, or was signed, just now; or, in a table of its own, of a sealed half that opened. */
void known_add(struct known *k, struct slice envelope);

#endif
