/* Secrets: a 32-byte key type wiped on every path out, and guarded memory for long-lived ones. */
#ifndef BASE_SECRET_H
#define BASE_SECRET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/outcome.h"

struct key32 {
    uint8_t bytes[32];
};
/* struct key32 k CLEANUP(key32_wipe); */
void key32_wipe(struct key32 *k);
void secret_wipe(void *data, size_t len);
/* Constant-time comparison; true when equal. */
bool secret_equal(const void *a, const void *b, size_t len);

/* Locked, guard-paged memory, excluded from core dumps, zeroed. NULL when out of (lockable) memory.
 * secret_init() must have succeeded once in the process (0 or -EIO). */
int secret_init(void) MUST_USE;
void *secret_alloc(size_t len);
void secret_free(void *p); /* wipes; accepts NULL */
/* No other process of the user traces this one, reads its memory or takes its descriptors; no core file. Programs that it starts are as always. 0 or -errno. */
int secret_hide_process(void) MUST_USE;
/* No core files, not traceable, no new privileges: for every process that holds secrets. 0 or -errno. */
int secret_harden_process(void) MUST_USE;

#endif
