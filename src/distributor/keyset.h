/* Our own keyset, and the kept keysets of others. Signed by the root key, with a rising sequence; issued again in time. */
#ifndef DISTRIBUTOR_KEYSET_H
#define DISTRIBUTOR_KEYSET_H

#include "distributor/operations.h"
#include "protocol/documents.h"

#define KEYSET_ENVELOPE_MAX 4000
#define KEYSET_DIFFERS 2102
#define KEYSET_FLOORS 56 /* with that many, and all keys, it is within KEYSET_ENVELOPE_MAX */
#define KEYSET_FORMER_LICENSE_KEYS \
    8 /* at most, that documents in use may be signed by: there is always room for them */

/* Appends our newest keyset envelope: what the first frame of every connection carries. Read-only. */
int keyset_current(struct operations *o, struct buf *out) MUST_USE;
/* The same, decoded. */
int keyset_own(struct operations *o, doc_Keyset *out) MUST_USE;
/* The next keyset, unsigned: our keys, the next ones that there are, those that were ours and still count, the partners' floors. No key
 * that was withdrawn. -EKEYREVOKED: one that we have was, and there is no next one: these are keys of before. */
int keyset_propose(struct operations *o, int64_t now_ms, doc_Keyset *out) MUST_USE;
/* Issues it and shares it. KEYS_NO_ROOT, KEYS_TOKEN: nothing was issued; as keyset_propose. Writes. */
int keyset_issue(struct operations *o, int64_t now_ms) MUST_USE;
/* The same where something else does not wait for it: without the root key only the log says so. Writes. */
int keyset_issue_if_possible(struct operations *o, int64_t now_ms, bool *issued) MUST_USE;
/* Takes over one that was signed elsewhere. 0; a reason: not ours, not signed by our root key, older than what there is, without the keys in
 * use or a partner's floor, or with a key that was withdrawn: *why is then the words for it, valid for ever; -errno. Writes. */
int keyset_install(struct operations *o, struct slice envelope, int64_t now_ms, const char **why) MUST_USE;
/* A key of ours that counts no more, from the next keyset on and for ever: every one that is proposed from now on lacks it. Writes. */
int keyset_withdraw(struct operations *o, const uint8_t key[32], int64_t now_ms) MUST_USE;
int keyset_is_withdrawn(struct operations *o, const uint8_t key[32], bool *yes) MUST_USE;
/* How many former license keys an own keyset lists that documents in use may be signed by, and when the first of them has become too old for that. */
void keyset_former_license_keys(const struct operations *o, const doc_Keyset *own, int64_t now_ms, unsigned *count,
                                int64_t *first_ends_ms);
/* With so many more next keys, does a TLS key leave the keyset that is in force, so that connections are under it? *until_ms: when the last of those has
 * ended; 0: none leaves. -EKEYREVOKED: as keyset_propose. Read-only. */
int keyset_drops_tls(struct operations *o, unsigned more, int64_t now_ms, int64_t *until_ms) MUST_USE;
/* How many keys a keyset lists that are withdrawn, except for shared rows of before and to be refused by. */
int keyset_count_withdrawn(struct operations *o, const doc_Keyset *k, unsigned *count) MUST_USE;
/* Issues a new one when less than half of its life is left; without the root key it only says so in the log. Writes. */
int keyset_keep_fresh(struct operations *o, int64_t now_ms, bool *changed) MUST_USE;

/* Why another one is to be issued, until it is; with the root key here that happens by itself. Read-only. */
enum keyset_due {
    KEYSET_DUE_AGE = 1,        /* half of its life is over */
    KEYSET_DUE_PARTNER = 2,    /* it lacks what was withdrawn from a partner */
    KEYSET_DUE_KEYS = 4,       /* a next key is there, and not listed */
    KEYSET_DUE_RESTORED = 8,   /* its number is below what may have been given out before a restore */
    KEYSET_DUE_WITHDRAWN = 16, /* it lists a key that was withdrawn */
};
int keyset_due(struct operations *o, int64_t now_ms, unsigned *why) MUST_USE;
/* How many more withdrawn partners a keyset has room for, and when the first of those that are listed now needs none any more (0: there is none).
 * Read-only. */
int keyset_room(struct operations *o, int64_t now_ms, unsigned *left, int64_t *until_ms) MUST_USE;
const char *keyset_due_text(unsigned why); /* of the gravest; "" for 0 */
/* The same where it is the operator's to do: with the root key here all else happens by itself, but not that a withdrawn key in use is another one. */
const char *keyset_due_asks(unsigned why, bool has_root);

/* Keysets of others, by number. keyset_of: 0, OPERATIONS_ABSENT, -errno. It verified when it was stored. */
int keyset_of(struct operations *o, int64_t distributor, doc_Keyset *out) MUST_USE;
/* Lowest sequence that may still be accepted from this distributor: 0 when none is known. */
int keyset_lowest(struct operations *o, const struct id *distributor, uint64_t *sequence) MUST_USE;
/* Appends the newest envelope that is kept of a distributor, for whoever was refused because of another. 0, OPERATIONS_ABSENT, -errno. */
int keyset_known(struct operations *o, const struct id *distributor, struct buf *out) MUST_USE;
/* A keyset that somebody shows us as ours. yes: our root key has signed it, and this database has not given it out, though it has a later number than
 * all that it has, or that of the newest one: it is an older copy of itself. Nobody else can make such a one, and `restore` begins above it. *sequence: its
 * number, when yes. 0, -errno. Read-only. */
int keyset_proves_older(struct operations *o, struct slice envelope, bool *yes, uint64_t *sequence) MUST_USE;
/* Judges and keeps a keyset of a distributor, adding its row when it is new. Never replaces a higher sequence.
 * 0 (also: nothing newer), KEYSET_DIFFERS (another one of the same sequence is kept: a finding), REASON_KEYSET_INVALID, REASON_SIGNATURE_INVALID, REASON_MALFORMED, -errno. Writes. */
int keyset_store(struct operations *o, const struct id *distributor, struct slice envelope, int64_t now_ms,
                 int64_t *number) MUST_USE;
/* The keyset that a distributor shows at the begin of a connection whose TLS key is `key`: judged, not older than what is known, kept (not our own).
 * 0 with *out, a reason, -errno. What is refused for its sequence is a finding. Writes. */
int keyset_meet(struct operations *o, const struct id *distributor, struct slice envelope, const uint8_t key[32],
                int64_t now_ms, doc_Keyset *out) MUST_USE;

#endif
