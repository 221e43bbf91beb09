/* A TPM of software behind a Unix socket (swtpm) whose connection stays open, for a program that may open no further one: tpm2-tss makes one a command.
 * One thread, blocking. */
#ifndef CRYPTO_TPM_SOCKET_H
#define CRYPTO_TPM_SOCKET_H

#include <tss2/tss2_tcti.h>

#include "base/outcome.h"

/* *out: tpm_socket_close. 0, -errno. */
int tpm_socket_open(TSS2_TCTI_CONTEXT **out, const char *path) MUST_USE;
void tpm_socket_close(TSS2_TCTI_CONTEXT *t); /* accepts NULL */

#endif
