/* The end of every copy that comes in, from a sibling or a medium: the body is here and durable, the certificate is checked and its
 * serial reserved. The vault commits (license, header, used serial, receipt: one transaction), the library is told, and the report to
 * the own distributor is durable before anybody is told. Every part may be repeated. Loop thread. Source: seed S171-S173. */
#ifndef DAEMON_COMMIT_H
#define DAEMON_COMMIT_H

#include "daemon/daemon.h"
#include "protocol/copy_in.h"

/* why REASON_NONE: receipt is set, borrowed. Fires once, never before commit_start has returned. */
typedef void (*commit_fn)(enum reason why, const char *detail, struct slice receipt, void *ctx);
/* name and info are copied. 0, -errno. */
int commit_start(struct daemon *d, const struct certificate_name *name, struct slice info, const uint8_t list_root[32],
                 commit_fn on_done, void *ctx) MUST_USE;
/* Only the end of it: a receipt the vault gave before is reported (again), in case a kill came between. */
int commit_report(struct daemon *d, const struct certificate_name *name, struct slice receipt, commit_fn on_done,
                  void *ctx) MUST_USE;

#endif
