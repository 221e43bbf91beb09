/* The confidential history of programs: what is specific to each device's copy, and which versions it was given. A database of its own,
 * STATE/confidential/programs.db, in a directory nobody else may enter; the secret part of each row lies under the storage key, bound to program
 * and device. The public store (programs.h) knows nothing of it, and it nothing of the programs themselves.
 *
 * A row is durable before its information leaves, and never changes: whoever is killed when, the device gets the same again. Marks are
 * unique, so that no two devices ever have the same. Source: related system R4 (specific information distribution history). */
#ifndef DISTRIBUTOR_PROGRAM_HISTORY_H
#define DISTRIBUTOR_PROGRAM_HISTORY_H

#include "distributor/operations.h"
#include "protocol/program.h"

struct program_history; /* one a connection: operations.history, opened at the first look */

struct program_allotment {
    char name[PROGRAM_NAME_BYTES];
    struct id client;
    uint8_t mark[PROGRAM_MARK_BYTES];
    int64_t allotted_ms;
    uint64_t version; /* one that was given; 0: none was yet */
    int64_t given_ms;
};
/* What is specific to this program on this device: drawn now if it is the first time. information: guarded or wiped by the caller.
 * Notes that this version is given. Durable when 0. Transactions of its own. 0 or -errno (-EPERM: others may look into the directory). */
int program_history_allot(struct operations *o, const char *name, uint64_t version, const struct id *client,
                          int64_t now_ms, struct key32 *information) MUST_USE;
/* The same if it was given: 0, OPERATIONS_ABSENT, -errno. Read-only. */
int program_history_find(struct operations *o, const char *name, const struct id *client, struct key32 *information)
    MUST_USE;
/* Who got what, by name, device and version, after *at (zero: the first). 0, OPERATIONS_ABSENT, -errno. Nothing secret in it. */
int program_history_next(struct operations *o, struct program_allotment *at) MUST_USE;
/* Looks at up to `rows` rows after work->at (storage.h), and puts those that lie under another storage key under work->to. A transaction of its own.
 * 0; OPERATIONS_ABSENT: there is no other row (it was written anew, so that no free page holds what was); as storage_step; -errno. */
struct storage_work;
int program_history_put_under(struct operations *o, struct storage_work *work, unsigned rows) MUST_USE;
/* Devices that are not known here any more, in any state (their account was erased), leave the history, and the file is written anew.
 * Not in a transaction. 0 or -errno. */
int program_history_forget(struct operations *o) MUST_USE;
/* A consistent copy in a new file, for a backup. *any: there is a history at all; without one nothing is written. Not in a transaction. 0 or -errno. */
int program_history_backup(struct operations *o, const char *path, bool *any) MUST_USE;
void program_history_close(struct program_history *h); /* accepts NULL */

#endif
