/* The in-use lock (R2): a counted or timed license is one play's from its beginning to its end, also when that end is a power failure.
 *
 *   free --PLAY_OPEN, charged--> locked --PLAY_CLOSE--> free
 *                                locked --the vault ends, or begins again--> free
 *
 * The lock is a row, written in the transaction that charges the play and before its key is let out. What the play costs is decided when the lock
 * falls, by how the play ended: hearthd says what it saw of the player (exit status, hung, output, what it was told to stop), the vault
 * what it knows itself: whether hearthd ended in disorder, whether it found the lock of an earlier run, and whether the machine has started anew since.
 *
 *   ended                                   | costs
 *   nothing was opened                      | nothing
 *   to its end; by its user                 | the play, and the time that was opened; a play that its user ends before the license's
 *                                           | charge_from_ms only the time, unless it was recorded
 *   against its user's will, not recording  | nothing, up to max_recoveries times on this device; after that as by its user
 *   found afterwards, not to be recovered   | the play, and all the time it could have taken: what was opened is not known
 *
 * hearthd could say what it likes: so recoveries are few, and counted here.
 * Source: related system R2 (restriction, event detection, recovery or penalty judgment, license recovery). */
#ifndef VAULT_IN_USE_H
#define VAULT_IN_USE_H

#include "vault.pb.h"
#include "vault/use.h"

struct in_use {
    bool locked;
    bool on_disc; /* recorded: what was opened has left the device's care */
    uint8_t boot[16];
    struct use_play play;
    uint32_t max_recoveries;
    uint64_t charge_from_ms;
    uint32_t recoveries; /* so far, over all editions */
    uint64_t early_ms;   /* opened by plays that ended too early to count, since the last that did */
    /* The last play that was cut off. */
    vlt_PlayEnd end; /* END_NONE: none was */
    bool recovered;
    uint64_t end_ms;
};
/* Zeros without a row. 0 or -errno. */
int in_use_get(const struct vault *v, const void *issuer, const uint8_t license_id[16], struct in_use *out) MUST_USE;

/* Is a play of this license to be locked? */
bool in_use_applies(const doc_License *l);
/* 0; REASON_IN_USE: another play has it; -errno. */
int in_use_lock(struct vault *v, const doc_License *l, const struct use_play *play, bool on_disc) MUST_USE;

/* What one play has come to. */
struct in_use_verdict {
    vlt_PlayEnd end;
    bool counted;   /* as a play of those that are counted */
    bool recovered; /* it is not, because of how it ended */
    uint32_t recoveries, max_recoveries;
};
/* A play of this run is over, locked or not: settles what it used and lets the license go. any: a block was opened; opened_ms: how much.
 * 0 or -errno. */
int in_use_end(struct vault *v, const struct use_play *play, vlt_PlayEnd end, bool any, uint64_t opened_ms,
               struct in_use_verdict *out) MUST_USE;
/* At the start: settles the locks that an earlier run has left. 0 or -errno. */
int in_use_settle_left(struct vault *v) MUST_USE;

/* Identity of this start of the machine, before the sandbox is entered; zeros where the system does not tell. */
void in_use_read_boot(uint8_t out[16]);

#endif
