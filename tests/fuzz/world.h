/* A small world of keys and documents, the same in every run: two distributors, a destination, a source, a stranger.
 * "Own" is the destination's distributor; "partner" issued the copy. Everything in it is valid at WORLD_NOW_MS. */
#ifndef FUZZ_WORLD_H
#define FUZZ_WORLD_H

#include "crypto/ekb.h"
#include "protocol/documents.h"

#define WORLD_NOW_MS INT64_C(1760000000000)
#define WORLD_HOUR_MS UINT64_C(3600000)
#define WORLD_DAY_MS (24 * WORLD_HOUR_MS)
#define WORLD_BLOCK_VERSION 12
#define WORLD_LEAF 0x00c0ffee
#define WORLD_CATEGORY 1

enum who {
    WHO_OWN_ROOT,
    WHO_OWN_LICENSE,
    WHO_OWN_LICENSE_OLD, /* ended ten days ago */
    WHO_OWN_ROSTER,
    WHO_OWN_TLS,
    WHO_PARTNER_ROOT,
    WHO_PARTNER_LICENSE,
    WHO_PARTNER_COPY,
    WHO_PARTNER_COPY_OTHER, /* not delegated to */
    WHO_SELF,               /* the destination */
    WHO_SOURCE,
    WHO_STRANGER,
    WHO_COUNT
};

struct world {
    struct sign_pair keys[WHO_COUNT];
    struct id ids[WHO_COUNT]; /* of those keys */
    doc_Keyset own, partner;  /* keysets */
    struct key32 tree_secret, block_root_key;
    struct ekb block;
    uint8_t *device_set; /* of WORLD_LEAF: KEYTREE_SET_BYTES */
    uint8_t list_root[32];
    struct id content;
    struct buf info; /* canonical content information */
    /* A document of every kind, as its struct; DOCUMENT_COPY_CERTIFICATE is a partner's, under DOCUMENT_DELEGATION. */
    void *documents[DOCUMENT_COUNT];
    doc_ContentInfo content_info;
};
const struct world *world_get(void); /* made at the first call, never freed */

struct document_kind {
    const pb_msgdesc_t *fields;
    size_t payload_max, struct_bytes;
    enum who signer; /* who signs it in this world */
};
const struct document_kind *world_kind(enum document d);

/* Signs any payload bytes as that kind; appends the envelope. An empty payload, which nobody can sign, appends nothing. */
void world_sign(const struct world *w, enum document d, struct slice payload, enum who signer, struct buf *out);
/* The world's own document as payload and as envelope. */
void world_payload(const struct world *w, enum document d, struct buf *out);
void world_envelope(const struct world *w, enum document d, struct buf *out);
/* The case in which everything holds: the partner's certificate, presented by the source. delegation, certificate: buffers
 * that hold the envelopes. */
void world_case(const struct world *w, struct buf *certificate, struct buf *delegation, struct certificate_case *out);

#endif
