/* The documents of one copy certificate: what the database said about them is filled in, they are sealed and signed later. No database:
 * making them is most of what a certificate costs, and may be done on another thread than the one that filled them in. */
#ifndef DISTRIBUTOR_COPY_PAPERS_H
#define DISTRIBUTOR_COPY_PAPERS_H

#include "protocol/documents.h"

struct copy_papers {
    doc_License license;             /* all but the sealed half */
    doc_CopyCertificate certificate; /* all but the license */
    uint8_t sealing_key[32];         /* the destination's */
    struct key32 license_half;
    struct sign_pair copy_pair;   /* of a partner that lets us sign */
    const struct sign_pair *pair; /* copy_pair, or ours: borrowed */
};
void copy_papers_wipe(struct copy_papers *p);
/* Seals the half, signs the license and around it the certificate, which is appended to document. Any thread, once. 0, -EMSGSIZE, -errno.
 * Source: seed S136-S139. */
int copy_papers_make(struct copy_papers *p, struct buf *document) MUST_USE;

#endif
