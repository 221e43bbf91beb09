/* The TPM's counter: an older copy of vault.db that is put back on the same machine is noticed at the start, also where no distributor is heard.
 *
 * The value lies in vault.db and in the TPM. What spends a right that is counted (behind.h: behind_counts) raises both, in this order:
 *
 *   spend and value + 1 in one transaction, durable  ->  the TPM's counter + 1  ->  the answer, the key, the certificate
 *
 *   at the start        means
 *   equal               all is well
 *   the database one    it ended between the two, and nobody had got anything: the TPM is raised
 *   ahead
 *   anything else, or   this is an older copy (or the TPM's counter was removed): behind every distributor it is registered with, until it has caught
 *   no such counter     up (behind.h); the value is the TPM's from now on
 *
 * A copy from before the last spend is never equal, and none from after it gives anything back. What spends nothing costs the TPM nothing: its memory wears
 * out. Request thread. */
#ifndef VAULT_COUNTER_H
#define VAULT_COUNTER_H

#include "protocol/documents.h"
#include "vault/vault.h"

/* At the start, before anything is changed. v->tpm NULL: the vault is not bound; one that was is behind, and no longer bound. v->counter.leave: it was, until
 * now: judged once more, and removed. A database from before there was a counter is taken as it is, once. 0, -EIO: the TPM fails; -errno. */
int counter_start(struct vault *v) MUST_USE;
/* A right of this license was spent in this transaction. */
void counter_spent(struct vault *v, const doc_License *l);
/* Before and after the commit of a transaction. 0, -errno: nothing of it may be answered, and the vault ends. */
int counter_before_commit(struct vault *v) MUST_USE;
int counter_committed(struct vault *v) MUST_USE;

#endif
