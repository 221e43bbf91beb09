/* Two distributors, two devices and documents between them, made from fixed seeds: the world of the document tests. */
#ifndef TESTS_PROTOCOL_FIXTURE_H
#define TESTS_PROTOCOL_FIXTURE_H

#include "protocol/documents.h"

#define FIXTURE_NOW 1700000000000LL
#define FIXTURE_DAY 86400000LL

struct fixture_party { /* a key pair */
    struct key32 seed;
    struct signer signer;
};
void fixture_party_init(struct fixture_party *p, uint8_t number);
struct id fixture_id(const struct fixture_party *p);

struct fixture {
    struct fixture_party root, tls, license, old_license, roster, sealing; /* B: the destination's distributor */
    struct fixture_party partner_root, partner_license, copy_key;          /* A: its partner, the issuer */
    struct fixture_party source, destination, stranger;
    struct id distributor, partner, source_id, destination_id;
    doc_Keyset keyset;         /* of B */
    doc_Keyset partner_keyset; /* of A */
    doc_Delegation delegation; /* B to A */
    doc_Ekb block;             /* of B */
    doc_License license_doc;   /* for the destination, by A */
    doc_CopyCertificate certificate;
    doc_ContentInfo info;
    uint8_t list_root[32];
    /* Filled by fixture_seal: envelopes of the above. */
    struct buf info_bytes, license_bytes, block_bytes, delegation_bytes, certificate_bytes;
    const struct signer *license_signer, *block_signer, *delegation_signer, *certificate_signer;
};
void fixture_init(struct fixture *f);
void fixture_deinit(struct fixture *f);
/* Makes the certificate one of the own distributor's (no delegation). */
void fixture_own(struct fixture *f);
/* Signs everything, from the inside out. Changes made before it are signed over; `content` fields follow the information unless
 * keep_content is set. */
void fixture_seal(struct fixture *f, bool keep_content);
/* Signs one document into out (cleared first). */
void fixture_sign(struct buf *out, enum document d, const void *payload, const struct fixture_party *by);

#endif
