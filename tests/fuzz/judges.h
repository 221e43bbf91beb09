/* What the judge of each kind of document promises (fuzz-document.c). */
#ifndef FUZZ_JUDGES_H
#define FUZZ_JUDGES_H

#include "world.h"

/* A document and who has signed it. */
struct opened {
    const struct world *w;
    struct slice envelope;
    const void *payload; /* all zero when it did not open */
    enum who signer;
};
/* Judges it, and checks what was accepted; the same by its kind. Accepted? */
extern bool (*const judges[DOCUMENT_COUNT])(const struct opened *o);

#endif
