/* Writing seed inputs (seeds.c): corpus/HARNESS/seed-NAME.bin, the pieces one after the other. */
#ifndef FUZZ_SEEDS_H
#define FUZZ_SEEDS_H

#include "world.h"

void put_parts(const char *harness, const char *name, const struct slice *parts, size_t count);
#define PUT(harness, name, ...)                                   \
    put_parts((harness), (name), (struct slice[]){ __VA_ARGS__ }, \
              sizeof((struct slice[]){ __VA_ARGS__ }) / sizeof(struct slice))
#define BYTES(...) slice((const uint8_t[]){ __VA_ARGS__ }, sizeof((const uint8_t[]){ __VA_ARGS__ }))

void seed_documents(const struct world *w); /* seeds_documents.c */
void seed_metadata(void);                   /* seeds_metadata.c */
void seed_siblings(void);                   /* seeds_siblings.c */

#endif
