/* Reserve: a database that was put back from an older copy goes on where nothing was used yet.
 *
 * What was issued after the copy was taken is in other hands and unknown here: licenses, certificates, session numbers, key blocks, rows at
 * the directory. So every rising number leaps: by RESERVE_LEAST, and by RESERVE_A_SECOND for each second since the copy was taken, counted in
 * milliseconds, which is more than any machine issues. The same copy may be put back twice: the second time is later, and its leap goes beyond what
 * the first one used. A file of the state directory, which no restore replaces, holds up to which time numbers have leapt there: the next
 * restore counts up to a minute more at least, and when the clock went back, to RESERVE_CLOCK_MS more.
 *
 *   counters          licenses, certificates, postings, keysets, key blocks, settlements, references: all leap
 *   leaves            leap by less: there are 2^32 (RESERVE_LEAVES_*)
 *   rows numbered     ledger entries, payments, products: a floor in the counter `floor:TABLE`
 *   device sessions   each row leaps; a device that has no row begins at `floor:session`; rosters likewise
 *   delegations       leap
 *   outbox            does not: the directory takes our rows without gaps. What it has of ours is read back from it first (share_own.h).
 *                     Without one, partners show how far we had come (share_again.h)
 *
 * Then a keyset and a key block are issued, which everybody holds for newer than what they know. Invitations, link codes, login tokens and
 * unlocked spending end, because what of them was used up or withdrawn is forgotten; nothing is collected by itself until the operator says so. */
#ifndef DISTRIBUTOR_RESERVE_H
#define DISTRIBUTOR_RESERVE_H

#include "distributor/operations.h"

#define RESERVE_LEAST (UINT64_C(1) << 20)
#define RESERVE_A_SECOND (UINT64_C(1) << 14)
#define RESERVE_LEAVES_LEAST (UINT64_C(1) << 20)
#define RESERVE_LEAVES_A_SECOND 32
#define RESERVE_PRODUCTS_LEAST 1000 /* an operator makes them by hand, or by a script */
#define RESERVE_PRODUCTS_A_SECOND 4
#define RESERVE_AGAIN_MS INT64_C(60000)
#define RESERVE_CLOCK_MS \
    (30 * INT64_C(86400000)) /* for what was issued while the clock was not to be trusted: as if that long */

struct reserve_report {
    uint64_t epoch; /* how many times this database was restored, with this one */
    uint64_t leap;
    int64_t taken_ms;
    bool was_collecting; /* payments were collected by themselves */
    int64_t collect_at;
    bool catches_up; /* there is a directory: our rows come back from it once it is reached */
};

/* The newest time that the database knows of: it was taken no earlier. 0 or -errno. */
int reserve_newest(struct operations *o, int64_t *ms) MUST_USE;
struct reserve_from {
    int64_t taken_ms;      /* when the copy was taken, or before */
    const char *state_dir; /* where it is put back: holds the file */
    bool clock_was_ahead;  /* the operator says so: times after now are of a wrong clock, and no reason to refuse */
};
/* Does all of it. -ERANGE: the clock says that this is before the copy was taken; -EOVERFLOW: leaves or product numbers have run out.
 * Within a transaction; the file is written before it ends. */
int reserve_leap(struct operations *o, const struct reserve_from *from, int64_t now_ms, struct reserve_report *out)
    MUST_USE;

#endif
