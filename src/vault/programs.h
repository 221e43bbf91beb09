/* Programs on this device (table program): which grants it took, and opening what is sealed for it. Plug-ins are opened for the player alone;
 * updates for hearthd, which hands them to the household. The seal of a row carries what must not be altered: the grant, the provider a name
 * belongs to since it first came, and the highest version that was ever here.
 * Source: related system R4. */
#ifndef VAULT_PROGRAMS_H
#define VAULT_PROGRAMS_H

#include "protocol/program.h"
#include "vault/requests.h"

struct program_secret { /* wipe it */
    uint64_t program_bytes;
    uint8_t digest[32];
    struct key32 information, key;
};
void program_secret_wipe(struct program_secret *s);
/* For a program of this kind that is here. 0, REASON_UNKNOWN_PROGRAM, REASON_NOT_PERMITTED (another kind), -errno. */
int programs_find(struct vault *v, const vlt_ProgramName *name, enum program_kind kind, struct program_secret *out)
    MUST_USE;
/* Opens the sealed program in fd, block by block; in_place: and leaves the program there instead (nothing, when it is refused). plain: guarded,
 * PROGRAM_BLOCK_BYTES. No database: any thread. 0; REASON_BLOCK_CORRUPT: too short or long, a block that does not open, or another program. */
int program_unseal(int fd, const struct program_secret *s, uint8_t *plain, bool in_place) MUST_USE;

/* PROGRAM_CHECK: REASON_NOT_REGISTERED, REASON_KEYSET_INVALID, and those of program_grant_judge; REASON_PROVIDER_UNKNOWN: the name is another
 * provider's since it first came; REASON_PROGRAM_OUTDATED: a later version was here, or another program of this version is; REASON_MALFORMED. */
request_fn programs_check;
request_fn programs_store; /* PROGRAM_STORE: the same, and those of program_unseal over the descriptor */
request_fn programs_list;  /* PROGRAMS_GET */
request_fn programs_drop;  /* PROGRAM_DROP; one that is not here is DONE too */
request_fn programs_open;  /* PROGRAM_OPEN: programs_find for an update, program_unseal in place */

#endif
