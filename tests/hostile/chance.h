/* Messages by chance: of any type, with any fields, most of them well-formed, so that what lies behind the decoder is reached. What the other end has said is
 * remembered and said again in other places: its IDs, numbers, documents. The same seed, and the same heard, is the same said. One thread. */
#ifndef TESTS_HOSTILE_CHANCE_H
#define TESTS_HOSTILE_CHANCE_H

#include "base/rng.h"
#include "crypto/dsse.h"
#include "protocol/codec.h"

#define CHANCE_HEARD 64
#define CHANCE_FIRST 3        /* of these: the first ones are never forgotten */
#define CHANCE_BYTES_MAX 4096 /* of one thing that is remembered */

struct chance {
    struct rng_fake rng;
    struct signer signer;           /* of documents that are made up */
    const char *const *texts;       /* to choose from, up to NULL */
    const uint16_t *often;          /* types, up to 0: most of what is said */
    const uint16_t *never;          /* that are not said by chance, up to 0; may be NULL */
    uint64_t session;               /* for transactions; 0: none */
    struct buf heard[CHANCE_HEARD]; /* owned */
    uint64_t numbers[CHANCE_HEARD];
    size_t heard_count, number_count; /* so far; the older ones are overwritten */
};
void chance_init(struct chance *c, uint64_t seed);
void chance_deinit(struct chance *c);
void chance_seed(struct chance *c, uint64_t seed); /* keeps what was heard */
uint32_t chance_below(struct chance *c, uint32_t n);
static inline bool chance_one_in(struct chance *c, uint32_t n) { return chance_below(c, n) == 0; }

/* Remembers. bytes: an ID, a document. The first CHANCE_FIRST are to be IDs. */
void chance_keep(struct chance *c, struct slice bytes);
void chance_hear(struct chance *c, uint16_t type, struct slice message, struct slice tail);
void chance_hear_fields(struct chance *c, const pb_msgdesc_t *fields, void *message);

/* Appends a frame of a type by chance, or of this one (0: any). The type. */
uint16_t chance_frame(struct chance *c, uint16_t type, uint32_t request, struct buf *out);
/* Some bytes of it become others, are left out, or are there twice. */
void chance_spoil(struct chance *c, struct buf *frame);

#endif
