/* One seed: a household from registration to the day when everything has settled, in this process. */
#ifndef TESTS_SIMULATE_SEED_H
#define TESTS_SIMULATE_SEED_H

#include "world.h"

#define SEED_FIGURES 17
/* What a seed came to: "events", "killed", ... */
extern const char *const seed_figure_names[SEED_FIGURES];

/* What is there before any seed: shops, accounts, contents, devices. Their key files lie in this directory, which is there and empty. Once in a process;
 * never freed. */
struct world *seed_prepare(const char *place);
/* Runs it, once in a process after seed_prepare. Prints "seed N: F NAME, F NAME, ... trace T" when all was well; otherwise the process ends. */
void seed_run(struct world *w, uint64_t seed, bool with_trace);
/* Files of all seeds go. */
void seed_clean(const struct world *w);

#endif
