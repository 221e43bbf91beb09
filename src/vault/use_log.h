/* The use log (table use_log): for licenses that oblige to keep one. Numbers rise without gaps for each issuer, so that the issuer sees what
 * is missing; an entry is the issuer's when it has said so with its signature. Source: seed Fig. 12. */
#ifndef VAULT_USE_LOG_H
#define VAULT_USE_LOG_H

#include "vault/use.h"

/* play_ms: what the entry says if nothing more is heard of the play. 0, REASON_USE_LOG_DUE, -errno. */
int use_log_begin(struct vault *v, const doc_License *license, uint64_t play_ms, uint64_t *row) MUST_USE;
int use_log_end(struct vault *v, uint64_t row, uint64_t play_ms) MUST_USE;

#endif
