/* The end of every copy that comes in, from a sibling or a medium: the body is here and durable, the certificate is checked and its
 * serial reserved. The vault commits (license, header, used serial, receipt: one transaction), the library is told, and the report to
 * the own distributor is durable before anybody is told. Every part may be repeated. Loop thread. Source: seed S171-S173. */
#ifndef DAEMON_COMMIT_H
#define DAEMON_COMMIT_H

#include "daemon/daemon.h"
#include "protocol/documents.h"

/* What a certificate says, taken from its bytes; its signature is good for some key, whether that counts is the vault's to judge. */
struct certificate_name {
    struct id issuer, content, source, destination;
    struct id own; /* the distributor of this device that the license is of */
    uint8_t serial[16];
    bool move;
    uint64_t ends_ms;
    struct buf license; /* envelope */
};
int certificate_name_read(struct slice envelope, struct certificate_name *out) MUST_USE; /* 0, an enum reason, -errno */
void certificate_name_deinit(struct certificate_name *n);

/* why REASON_NONE: receipt is set, borrowed. Fires once, never before commit_start has returned. */
typedef void (*commit_fn)(enum reason why, const char *detail, struct slice receipt, void *ctx);
/* name and info are copied. 0, -errno. */
int commit_start(struct daemon *d, const struct certificate_name *name, struct slice info, const uint8_t list_root[32],
                 commit_fn on_done, void *ctx) MUST_USE;
/* Only the end of it: a receipt the vault gave before is reported (again), in case a kill came between. */
int commit_report(struct daemon *d, const struct certificate_name *name, struct slice receipt) MUST_USE;

#endif
