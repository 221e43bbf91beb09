/* What ends soon unless somebody does something: our keyset, a key in use, what partners gave us. One sentence each, with the command to run. Any
 * thread, over its own connection. */
#ifndef DISTRIBUTOR_ENDINGS_H
#define DISTRIBUTOR_ENDINGS_H

#include "distributor/measures.h"

#define ENDINGS_MAX 8 /* the others are in the figures (measures_text.h) */
#define ENDINGS_TEXT_BYTES 400

struct endings {
    char texts[ENDINGS_MAX][ENDINGS_TEXT_BYTES];
    size_t count, more; /* more: those that had no room */
};
/* Of figures that were read: keyset and keys within 30 days, delegations and grants within one. has_root: the root key is in a file here. */
void endings_of(const struct measures *m, bool has_root, struct endings *out);
/* 0 or -errno. Read-only. */
int endings_read(struct operations *o, int64_t now_ms, struct endings *out) MUST_USE;

#endif
