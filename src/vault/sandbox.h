/* What the vault can still do once it runs: files below its state directory, memory, threads, its open channels. Nothing else. */
#ifndef VAULT_SANDBOX_H
#define VAULT_SANDBOX_H

#include "base/outcome.h"

/* Landlock and a system-call filter. On a kernel without Landlock, or a build without libseccomp, that part is missing and a warning says so.
 * Before threads are started. 0 or -errno. */
int sandbox_enter(const char *state_dir) MUST_USE;

/* The filter alone (seccomp.c, or seccomp-fallback.c when built without). */
int sandbox_filter_calls(void) MUST_USE; /* 0, CONFINE_UNAVAILABLE, -errno */

#endif
