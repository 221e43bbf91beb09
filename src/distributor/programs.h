/* The public store of programs: providers that are vouched for, and what they signed. Nothing in it is secret or about anybody's device: programs
 * lie as they are in STATE/programs, the rows in the operations database. What each device got is kept apart: program_history.h.
 * Source: related system R4. */
#ifndef DISTRIBUTOR_PROGRAMS_H
#define DISTRIBUTOR_PROGRAMS_H

#include "distributor/operations.h"
#include "protocol/program.h"

#define PROGRAMS_NOTE_BYTES 128

struct program_provider {
    struct id id;
    char name[OPERATIONS_NAME_BYTES]; /* ours for it */
    int64_t added_ms;
    bool withdrawn; /* nothing of it is given out */
};
/* 0, OPERATIONS_ABSENT, -errno. Next: by name, after *at (zero: the first). */
int program_providers_find(struct operations *o, const struct id *id, struct program_provider *out) MUST_USE;
int program_providers_named(struct operations *o, const char *name, struct program_provider *out) MUST_USE;
int program_providers_next(struct operations *o, struct program_provider *at) MUST_USE;
/* Writes. -EEXIST: the key or the name is there already. */
int program_providers_add(struct operations *o, const struct program_provider *p) MUST_USE;
int program_providers_withdraw(struct operations *o, const char *name, bool withdrawn) MUST_USE;

struct program {
    doc_Program said; /* by its provider */
    char provider_name[OPERATIONS_NAME_BYTES], note[PROGRAMS_NOTE_BYTES];
    uint8_t document[320]; /* hearth/program/1 */
    size_t document_bytes;
    int64_t published_ms;
    bool withdrawn; /* it, or its provider */
};
/* version 0: the newest that is given out. 0, REASON_UNKNOWN_PROGRAM, REASON_PROGRAM_WITHDRAWN, -errno. */
int programs_find(struct operations *o, const char *name, uint64_t version, struct program *out) MUST_USE;
/* The last version of a name, given out or not: 0, OPERATIONS_ABSENT, -errno. */
int programs_last(struct operations *o, const char *name, struct program *out) MUST_USE;
/* All, by name and version, after *at (zero: the first). As above. */
int programs_next(struct operations *o, struct program *at) MUST_USE;
/* The newest of each name, by name: up to `most` from number `first` on, and how many there are. */
int programs_page(struct operations *o, uint32_t first, uint32_t most, struct program *out, uint32_t *count,
                  uint32_t *total) MUST_USE;

/* Stores a program whose document was judged: the file first, durably, then the row (in the caller's transaction).
 * REASON_PROVIDER_UNKNOWN: not vouched for, or the name is another provider's. REASON_CONTENT_ID_MISMATCH: the bytes are not those that were
 * signed. REASON_ALREADY: the same is there (*out filled, given out again). REASON_USER_EXISTS: another one has this name and version. */
int programs_add(struct operations *o, const doc_Program *said, struct slice document, struct slice bytes,
                 const char *note, int64_t now_ms) MUST_USE;
/* version 0: every one. 0, OPERATIONS_ABSENT, -errno. Writes. */
int programs_withdraw(struct operations *o, const char *name, uint64_t version, bool withdrawn) MUST_USE;

#define PROGRAMS_PATH_BYTES 1200
int programs_path(const struct operations *o, const uint8_t digest[32], char out[PROGRAMS_PATH_BYTES]) MUST_USE;

#endif
