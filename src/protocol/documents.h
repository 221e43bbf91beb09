/* Documents: signing, opening and judging each payload type. Everything one party asserts to another passes here.
 *
 * Judging functions return 0 or a positive enum reason, or negative -errno. Outputs only on 0. now_ms: wall time used for end
 * dates; allowed clock skew is DOCUMENTS_SKEW_MS. No I/O, any thread. Generated structs (doc_*) are the in-memory form. */
#ifndef PROTOCOL_DOCUMENTS_H
#define PROTOCOL_DOCUMENTS_H

#include "crypto/dsse.h"
#include "crypto/id.h"
#include "documents.pb.h"
#include "protocol/codec.h"
#include "protocol/reason.h"

#define DOCUMENTS_SKEW_MS (5 * 60 * 1000)

enum document {
    DOCUMENT_KEYSET,
    DOCUMENT_DEVICE,
    DOCUMENT_ROSTER,
    DOCUMENT_LICENSE,
    DOCUMENT_COPY_CERTIFICATE,
    DOCUMENT_DELEGATION,
    DOCUMENT_EKB,
    DOCUMENT_KEY_GRANT,
    DOCUMENT_QUOTE,
    DOCUMENT_RECEIPT,
    DOCUMENT_SURRENDER,
    DOCUMENT_TIME,
    DOCUMENT_SHARE,
    DOCUMENT_SETTLEMENT,
    DOCUMENT_USE,
    DOCUMENT_USE_LOG,
    DOCUMENT_USE_LOG_TAKEN,
    DOCUMENT_STANDING,
    DOCUMENT_GENERATION,
    DOCUMENT_CATCH_UP,
    DOCUMENT_PROGRAM,
    DOCUMENT_PROGRAM_GRANT,
    DOCUMENT_METADATA,
    DOCUMENT_METADATA_VOUCH,
    DOCUMENT_COUNT
};
const char *document_type(enum document d); /* "hearth/license/1" */
/* Encodes payload (the doc_ struct of that kind), signs, appends the envelope. 0, BUF_FULL, -errno. */
int document_sign(struct buf *out, enum document d, const void *payload, const struct signer *signer) MUST_USE;
/* Verifies the signature, which is Ed25519, then decodes. Who signed is in signer_key; whether it may is for the functions below.
 * 0, REASON_SIGNATURE_INVALID, REASON_MALFORMED, -errno. */
int document_open(enum document d, struct slice envelope, void *payload, size_t payload_size, uint8_t signer_key[32])
    MUST_USE;
/* The same, with a memory of what was good before (crypto/known.h; NULL: none). */
int document_open_known(struct known *known, enum document d, struct slice envelope, void *payload, size_t payload_size,
                        uint8_t signer_key[32]) MUST_USE;
/* Decodes without verifying, as strictly: of what was verified already where it came from, or will be before anything follows from it.
 * 0, REASON_MALFORMED, -errno. */
int document_peek(enum document d, struct slice envelope, void *payload, size_t payload_size) MUST_USE;
/* The same of a keyset, whose signer may be an ES256 key: its ID, which the algorithm is a part of. */
int document_open_keyset(struct slice envelope, doc_Keyset *payload, struct id *signer) MUST_USE;

/* KEY_SHARED: a license key that was withdrawn; until the next keyset it counts for what it has signed for the directory, which takes rows only in order and
 * from their origin's own connection. KEY_WITHDRAWN: the same, later. By both nothing is accepted that a device is given, and a certificate may be refused. */
enum key_purpose { KEY_TLS = 1, KEY_LICENSE = 2, KEY_ROSTER = 3, KEY_SEALING = 4, KEY_SHARED = 5, KEY_WITHDRAWN = 6 };
/* Is key listed for this purpose, with an end date not before at_ms? */
bool keyset_lists(const doc_Keyset *k, enum key_purpose purpose, const uint8_t key[32], int64_t at_ms);
/* A license key, or one that was, for rows of the directory, which say nothing of their time. */
bool keyset_lists_shared(const doc_Keyset *k, const uint8_t key[32]);
/* A license key that was withdrawn, and counted then. */
bool keyset_lists_withdrawn(const doc_Keyset *k, const uint8_t key[32], int64_t at_ms);
/* The newest key of a purpose (latest end date); NULL when there is none. */
const uint8_t *keyset_key(const doc_Keyset *k, enum key_purpose purpose);

/* Root key hashes to distributor; sequence >= lowest_sequence; not ended; tls_key (may be NULL) listed for TLS.
 * REASON_KEYSET_INVALID, REASON_SIGNATURE_INVALID, REASON_MALFORMED. */
int keyset_judge(struct slice envelope, const struct id *distributor, uint64_t lowest_sequence, const uint8_t *tls_key,
                 int64_t now_ms, doc_Keyset *out) MUST_USE;
/* Signed by a license key of keyset's distributor (a key that has ended still verifies documents issued before its end).
 * REASON_SIGNATURE_INVALID, REASON_CERTIFICATE_EXPIRED. client: who it certifies. */
int device_judge(struct slice envelope, const doc_Keyset *keyset, int64_t now_ms, doc_DeviceCertificate *out,
                 struct id *client) MUST_USE;
/* Signed by a roster key of keyset; distributor matches; not ended. Sequence is the caller's. */
int roster_judge(struct slice envelope, const doc_Keyset *keyset, int64_t now_ms, doc_Roster *out) MUST_USE;
const doc_RosterDevice *roster_find(const doc_Roster *r, const struct id *client);
/* Signed directly by a license key of keyset (the issuer's own). No judgement of times: see license_usable. */
int license_judge(struct slice envelope, const doc_Keyset *issuer, doc_License *out) MUST_USE;
/* Usage period and lease against now_ms. 0, REASON_LICENSE_EXPIRED, REASON_LEASE_ENDED, REASON_NOT_PERMITTED (not yet). Source: seed S44;
 * related system R3. */
int license_usable(const doc_License *l, int64_t now_ms) MUST_USE;
/* In force: signed by the delegator's license key, not below its floor for the partner, within its times.
 * REASON_SIGNATURE_INVALID, REASON_DELEGATION_INVALID, REASON_MALFORMED. The second asks whether it ever was: without floor and times, and by a key that may
 * have been withdrawn since. */
int delegation_judge(struct slice envelope, const doc_Keyset *delegator, int64_t now_ms, doc_Delegation *out) MUST_USE;
int delegation_judge_past(struct slice envelope, const doc_Keyset *delegator, doc_Delegation *out) MUST_USE;
int ekb_judge(struct slice envelope, const doc_Keyset *distributor, doc_Ekb *out) MUST_USE;
int ekb_judge_known(struct known *known, struct slice envelope, const doc_Keyset *distributor, doc_Ekb *out) MUST_USE;
/* The same by a key that may have been withdrawn since: nothing is opened with it any more. */
int ekb_judge_past(struct known *known, struct slice envelope, const doc_Keyset *distributor, doc_Ekb *out) MUST_USE;
/* The entry is one that a block of this kind has: index and parts. Whether it opens, the vault sees. 0, REASON_MALFORMED. */
int ekb_entry_judge(const doc_Ekb *block, const doc_KeyBlockEntry *entry) MUST_USE;
/* REASON_WRONG_DESTINATION: granted to another partner. REASON_CERTIFICATE_EXPIRED: over, or not yet. */
int grant_judge(struct slice envelope, const doc_Keyset *granter, const struct id *partner, int64_t now_ms,
                doc_KeyGrant *out) MUST_USE;
/* REASON_WRONG_DESTINATION: quoted to another device. REASON_QUOTE_CHANGED: its time is over. */
int quote_judge(struct slice envelope, const doc_Keyset *distributor, const struct id *client, int64_t now_ms,
                doc_Quote *out) MUST_USE;
int time_judge(struct slice envelope, const doc_Keyset *distributor, const struct id *client, doc_SignedTime *out)
    MUST_USE;
/* The signer's key hashes to the destination named. REASON_SIGNATURE_INVALID, REASON_MALFORMED (also: unknown outcome). */
enum receipt_outcome { RECEIPT_STORED = 1, RECEIPT_REFUSED = 2 };
int receipt_judge(struct slice envelope, doc_Receipt *out) MUST_USE;
int receipt_judge_known(struct known *known, struct slice envelope, doc_Receipt *out) MUST_USE;
int surrender_judge(struct slice envelope, doc_Surrender *out) MUST_USE;
int use_judge(struct slice envelope, doc_Use *out) MUST_USE;
/* Does a move give its destination no more than was left where the license is? Of `used` the counts alone are read. */
bool use_covers_move(const doc_Conditions *here, const doc_Use *used, const doc_CopyCertificate *move,
                     const doc_Conditions *there);
#define USE_LOG_DUE_COUNT 200 /* entries an issuer has not confirmed: no further play until it has */
/* Also: at least one entry, numbers without a gap. */
int use_log_judge(struct slice envelope, doc_UseLog *out) MUST_USE;
/* REASON_WRONG_DESTINATION: said to another device. */
int use_log_taken_judge(struct slice envelope, const doc_Keyset *issuer, const struct id *client, doc_UseLogTaken *out)
    MUST_USE;
/* REASON_WRONG_DESTINATION: about another partner. */
int settlement_judge(struct slice envelope, const doc_Keyset *issuer, const struct id *partner, doc_Settlement *out)
    MUST_USE;
int share_judge(struct slice envelope, const doc_Keyset *origin, doc_Share *out) MUST_USE;

/* Content information: canonical, sane shape (crypto/body.h), printable. id: computed from info and list_root.
 * 0, REASON_MALFORMED. */
int info_judge(struct slice info, const uint8_t list_root[32], doc_ContentInfo *out, struct id *content) MUST_USE;

/* Everything S162-S170 asks that needs no database: what a copy certificate must satisfy at its destination.
 * Source: seed S162, S163, S168, S169; design sections 2 and 6.5. */
struct certificate_case {
    const doc_Keyset *keyset;             /* of the destination's own distributor */
    struct id self;                       /* the destination's client ID */
    const struct id *presenter;           /* whoever brought it, or NULL for a medium */
    struct slice certificate, delegation; /* delegation empty when the issuer is the own distributor */
    struct slice info;                    /* content information of the content beside it */
    const uint8_t *list_root;             /* 32 bytes */
    uint64_t lowest_block_version;        /* newest key block this device knows */
    int64_t now_ms;
    struct known *known; /* signatures that were good before; NULL: all are verified */
};
struct certificate_facts {
    doc_CopyCertificate certificate;
    doc_License license;
    doc_Ekb block;
    doc_ContentInfo info;
};
/* In this order: envelope and signature; delegation (scope, floor, end, copy key, publisher is the partner, life within its limit);
 * license inside (same signer key, same issuer, content, client); issue and end time; destination is self; presenter is the source, or of a copy the issuer; content ID.
 * 0, REASON_MALFORMED, REASON_SIGNATURE_INVALID, REASON_DELEGATION_INVALID, REASON_CERTIFICATE_EXPIRED, REASON_WRONG_DESTINATION,
 * REASON_NOT_PERMITTED, REASON_CONTENT_ID_MISMATCH, REASON_KEY_BLOCK_OUTDATED. */
int certificate_judge(const struct certificate_case *c, struct certificate_facts *out) MUST_USE;
/* The same without the content beside it and without times, and by keys that were withdrawn since: to refuse a serial for good, or to answer a withdrawal. */
int certificate_judge_alone(const struct certificate_case *c, struct certificate_facts *out) MUST_USE;

#endif
