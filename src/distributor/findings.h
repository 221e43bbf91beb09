/* Findings: what others did that cannot be right, kept for the operator (`directory check`, `stats`, the log).
 *
 * They are gathered in memory, because a refused request takes nothing back that it found out, and written by findings_flush, which the
 * server calls once a second. On the connection's thread; never on a read-only one. */
#ifndef DISTRIBUTOR_FINDINGS_H
#define DISTRIBUTOR_FINDINGS_H

#include "distributor/operations.h"

#define FINDING_TEXT_BYTES 400

enum finding {
    FINDING_ROWS_MISSING,        /* rows exist that have not arrived */
    FINDING_ROWS_DIFFER,         /* an origin signed two different rows of one number */
    FINDING_ROWS_TAKEN_BACK,     /* an origin emptied a row that nothing came after */
    FINDING_ROWS_TOO_MANY,       /* an origin gives more rows than it may: it is read more slowly */
    FINDING_ROWS_HIDDEN,         /* an origin shows a row empty and has not told that it is */
    FINDING_ORIGIN_WENT_BACK,    /* an origin does not know rows that it gave before */
    FINDING_ROW_REFUSED,         /* a shared row with a signature that is not good */
    FINDING_DIRECTORY_WITHHOLDS, /* rows that their origin gave and the directory did not */
    FINDING_DIRECTORY_CHANGED,   /* its order is another one than before */
    FINDING_DIRECTORY_LOST,      /* it lacks rows of ours that it had confirmed */
    FINDING_DIRECTORY_REPEATS,   /* it gives again what it gave before */
    FINDING_OWN_ROWS_AHEAD,      /* others have more rows of ours than we */
    FINDING_KEYSET_DIFFERS,      /* two different keysets of one sequence */
    FINDING_KEYSET_OLDER,        /* an older keyset was shown */
    FINDING_BEYOND_DELEGATION,   /* copies for our clients that we did not allow */
    FINDING_COUNT
};
const char *finding_code(enum finding what);

/* About a distributor (its number; OPERATIONS_SELF for the directory and ourselves). format: sentences for the operator. */
void findings_note(struct operations *o, enum finding what, int64_t distributor, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* It is over, if there was any. */
void findings_settle(struct operations *o, enum finding what, int64_t distributor);
/* Writes what was gathered since. 0 or -errno. */
int findings_flush(struct operations *o, int64_t now_ms) MUST_USE;
void findings_drop(struct operations *o);

struct finding_row {
    char code[32], name[OPERATIONS_NAME_BYTES], text[FINDING_TEXT_BYTES];
    struct id id;
    int64_t distributor, first_ms, last_ms, count, settled_ms; /* settled_ms 0: it still is so */
};
/* The next one after *row (zeroed: the first). 0, OPERATIONS_ABSENT, -errno. */
int findings_next(struct operations *o, struct finding_row *row) MUST_USE;
/* How many still are so. */
int findings_open(struct operations *o, int64_t *count) MUST_USE;

#endif
