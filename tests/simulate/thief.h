/* Who stole a shop's operational key, before its operator found out and withdrew it. */
#ifndef TESTS_SIMULATE_THIEF_H
#define TESTS_SIMULATE_THIEF_H

#include "world.h"

/* Takes a copy of the key of this purpose, and of the keyset that lists it. */
void thief_steals(struct world *w, int shop, enum key_purpose purpose);
/* The keyset of this number, and all later ones, do without it. */
void thief_is_known(struct world *w, int shop, const uint8_t key[32], uint64_t sequence);

#endif
