/* A distributor as the vault meets it: signs every document a device can be given, right or wrong. All asserts; fixed seeds. */
#ifndef TEST_VAULT_MAKER_H
#define TEST_VAULT_MAKER_H

#include "crypto/contentkey.h"
#include "crypto/ekb.h"
#include "protocol/documents.h"

#define MAKER_CATEGORY 1
#define MAKER_LEAF 7
#define DAY_MS (INT64_C(24) * 3600 * 1000)

struct maker {
    struct key32 root, license, roster, tls, copy, tree;
    struct id id;
    doc_Keyset keyset;
    struct key32 block_root; /* of the newest key block */
    doc_Ekb block;
    struct ekb cover;
};
/* seed: a small number; makers with different ones have nothing in common. Key block version 1, nobody revoked. */
void maker_init(struct maker *m, uint8_t seed, const char *name);
void maker_deinit(struct maker *m);
int64_t maker_now(void);           /* the real clock, as the vault has it, or: */
extern int64_t maker_fixed_now_ms; /* when not 0 */
/* A key block of that version without the revoked leaf (UINT32_MAX: nobody). */
void maker_rekey(struct maker *m, uint64_t version, uint32_t revoked);
void maker_key(struct key32 *out, uint8_t seed, uint8_t which); /* any key, by two small numbers */
struct signer maker_signer(const struct key32 *seed);           /* borrows seed */

/* The device as hearthd shows it. */
struct device {
    struct id client;
    uint8_t device_key[32], sealing_key[32];
};

/* Each appends an envelope (or what is said) to out, which is cleared first. */
void maker_keyset(struct maker *m, struct buf *out);
void maker_certificate(struct maker *m, const struct device *d, uint32_t leaf, struct buf *out); /* hearth/device/1 */
void maker_set(struct maker *m, const struct device *d, uint32_t leaf, struct buf *out);         /* sealed key set */
void maker_time(struct maker *m, const struct device *d, int64_t time_ms, struct buf *out);
void maker_roster(struct maker *m, const struct device *d, uint64_t sequence, struct buf *out);

/* Content: its information, both halves and key. blocks: sealed ones, filled by content_fill. */
struct content {
    doc_ContentInfo info;
    struct buf info_bytes;
    uint8_t list_root[32];
    struct id id;
    uint8_t license_id[16];
    struct key32 header_half, license_half, key;
    struct body_shape *shape; /* owned */
    struct buf hashes, blocks;
};
/* From plain bytes, cut into blocks and sealed. */
void content_init(struct content *c, const struct maker *publisher, uint8_t seed, const char *media_type,
                  struct slice plain, uint32_t block_bytes);
/* duration_ms: of the playing time; 0 is not known. */
void content_init_lasting(struct content *c, const struct maker *publisher, uint8_t seed, const char *media_type,
                          struct slice plain, uint32_t block_bytes, uint64_t duration_ms);
void content_deinit(struct content *c);
struct slice content_block(const struct content *c, uint32_t index);

/* Licenses and copy certificates begin as right ones; a test changes fields before signing. */
void maker_license(const struct maker *issuer, const struct maker *home, const struct device *d,
                   const struct content *c, uint64_t sequence, doc_License *out);
void maker_header(const struct maker *m, const struct content *c, doc_Header *out);
void maker_delegation(const struct maker *delegator, const struct maker *partner, doc_Delegation *out);
/* license: signed by signer into it. home: the destination's distributor; issuer may be the same. */
void maker_copy(const struct maker *issuer, const struct maker *home, const struct device *source,
                const struct device *destination, const struct content *c, uint64_t sequence, doc_CopyCertificate *out);
void maker_copy_license(doc_CopyCertificate *certificate, const doc_License *license, const struct key32 *signer);
void maker_wrap(const struct key32 *block_root, const struct id *partner, const struct content *c, uint8_t out[60]);
void maker_entry(const struct maker *m, uint32_t leaf, doc_KeyBlockEntry *out);

void sign_into(struct buf *out, enum document d, const void *payload, const struct key32 *seed);
void encode_header(const doc_Header *h, struct buf *out);

#endif
