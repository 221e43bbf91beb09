/* Requests from hearthd: one table from type to handler, and the loop over fd 3.
 *
 * All requests that have arrived are handled in one database transaction, each in a savepoint of its own, and answered when the
 * transaction is durable: what a reply says has happened survives power loss, and many small requests share one sync.
 */
#ifndef VAULT_REQUESTS_H
#define VAULT_REQUESTS_H

#include "net/channel.h"
#include "vault.pb.h"
#include "vault/vault.h"

struct request {
    const void *message; /* the decoded struct of its type */
    struct slice tail;
    int *fd; /* descriptor that came with it or -1; a handler that keeps it leaves -1 */
};
/* What a handler fills. Without a type the answer is DONE. */
struct reply {
    uint16_t type;
    const pb_msgdesc_t *fields;
    union {
        vlt_Identity identity;
        vlt_KeysetChecked keyset;
        vlt_Distributors distributors;
        vlt_Licenses licenses;
        vlt_CertificateState certificate;
        vlt_MoveReleased released;
        vlt_MoveFinished finished;
        vlt_PlayOpened play;
        vlt_PlayClosed play_closed;
        vlt_Standing standing;
        vlt_Time time;
        vlt_CaughtUp caught_up;
        vlt_LoginProof login;
        vlt_UseSigned use_signed;
        vlt_UseLog use_log;
        vlt_UseList use_list;
        vlt_Program program;
        vlt_Programs programs;
        vlt_MetadataJudged metadata;
    };
    struct buf tail;
    const char *detail; /* beside a reason: a sentence better than the standard one; constant text */
};
#define REQUESTS_TAIL_MAX (32 * 1024) /* the largest is a roster or a device node key set */

/* 0: answered; positive: enum reason, refused and nothing changed; -errno: our own failure, nothing changed either. */
typedef int request_fn(struct vault *v, const struct request *rq, struct reply *reply);

request_fn requests_identity;
/* Serves until the channel closes. 0; -EPROTO when hearthd does not speak frames; -errno. */
int requests_serve(struct vault *v, struct channel *c) MUST_USE;

#endif
