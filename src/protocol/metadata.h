/* Metadata of a content from its publisher, providers of their own and third parties: tags, chapters, lyrics, a cover. Who may sign it,
 * what it is made of, and the file it travels and lies in. No I/O. Any thread.
 *
 *   range     whose metadata may be used: named in the content information, and again, perhaps narrower, in a license. Both have to permit
 *   publisher the distributor that the content information names; always permitted, but by a range of nobody
 *   vouched   a provider for whom the publisher has signed a vouch that has not ended
 *   parts     what is said, outside the signed document, which has its length and digest: verified before it is parsed
 *
 * File (big-endian): "HEARTHM1" || D:4 || document || V:4 || vouch || K:4 || keyset of the publisher || parts. V and K may be 0.
 * Vouch file: "HEARTHV1" || V:4 || vouch || K:4 || keyset.
 * Parts: any number of kind:1 || length:4 || bytes; kinds never go back (enum metadata_kind).
 *
 * Source: related system R1. */
#ifndef PROTOCOL_METADATA_H
#define PROTOCOL_METADATA_H

#include "protocol/documents.h"

#define METADATA_FILE_MAX (1u << 20)
#define METADATA_PARTS_MAX (METADATA_FILE_MAX - 8192)
#define METADATA_DOCUMENT_MAX 384 /* these three: envelopes */
#define METADATA_VOUCH_MAX 320
#define METADATA_KEYSET_MAX 3900
#define METADATA_TAGS_MAX 64
#define METADATA_CHAPTERS_MAX 512
#define METADATA_LYRICS_MAX 4096
#define METADATA_KEY_MAX 31    /* bytes of a tag's key: small letters, digits, dashes */
#define METADATA_TEXT_MAX 1023 /* bytes of any text: shown as it is, or the decoder refuses it */
#define METADATA_LANGUAGE_MAX 35
#define METADATA_COVER_MAX (768u * 1024)
#define METADATA_COVER_SIDE_MAX 4096 /* pixels: 64 MiB when it is decoded */
#define METADATA_MS_MAX (UINT64_C(1) << 40)

/* ---- Ranges ---- */

enum metadata_range {
    RANGE_NOBODY = 1,
    RANGE_PUBLISHER,
    RANGE_KEYS,    /* publisher, and the providers listed */
    RANGE_VOUCHED, /* publisher, and those it vouches for; so also when nothing is said */
    RANGE_ANYBODY,
    RANGE_KINDS
};
const char *metadata_range_text(uint32_t kind); /* "none", "publisher", "keys", "vouched", "anyone", or "?" */
/* A known kind, with keys where it has some and only there. */
bool metadata_range_is_valid(const doc_SignerRange *r);

enum metadata_signer { SIGNER_PROVIDER = 1, SIGNER_PUBLISHER = 2 };
/* Is the signer of m in the range? NULL: the default. vouched: whoever asks has judged a vouch for it. */
bool metadata_range_permits(const doc_SignerRange *r, const doc_Metadata *m, bool vouched);
/* Does a permit whatever b permits? NULL: all that the content permits. */
bool metadata_range_covers(const doc_SignerRange *a, const doc_SignerRange *b);

/* ---- Documents ---- */

/* Signature and signer: a provider's document by the key it is named after; the publisher's by a license key in its keyset at the time of issue.
 * keyset: of publisher, or NULL when it is not known. Language and sizes are such as there are. Ranges, time, sequence and content are for the
 * caller. 0, REASON_SIGNATURE_INVALID, REASON_KEYSET_INVALID (the publisher's own, and its keyset is not known), REASON_MALFORMED, -errno. */
int metadata_judge(struct slice envelope, const struct id *publisher, const doc_Keyset *keyset, doc_Metadata *out)
    MUST_USE;
/* 0 while it lasts; REASON_METADATA_ENDED (also: not begun). */
int metadata_judge_time(const doc_Metadata *m, int64_t now_ms) MUST_USE;
/* Signed by a license key of the keyset's distributor, for this provider. Whether it has ended: the caller, by its end.
 * 0, REASON_SIGNATURE_INVALID, REASON_WRONG_DESTINATION (for another provider), REASON_MALFORMED, -errno. */
int metadata_vouch_judge(struct slice envelope, const doc_Keyset *keyset, const uint8_t provider[32],
                         doc_MetadataVouch *out) MUST_USE;
/* The keyset as it lies in a file, which nobody renews: root key and sequence. Of its end the caller knows by what was signed.
 * 0, REASON_KEYSET_INVALID, REASON_SIGNATURE_INVALID, REASON_MALFORMED, -errno. */
int metadata_keyset_judge(struct slice envelope, const struct id *distributor, uint64_t lowest_sequence,
                          doc_Keyset *out) MUST_USE;

/* ---- Files ---- */

struct metadata_file { /* borrows */
    struct slice document, vouch, keyset, parts;
};
/* 0, REASON_MALFORMED. */
int metadata_file_split(struct slice file, struct metadata_file *out) MUST_USE;
int metadata_vouch_split(struct slice file, struct metadata_file *out) MUST_USE; /* vouch and keyset */
/* Appends. 0, BUF_FULL, -ENOMEM. */
int metadata_file_put(struct buf *out, const struct metadata_file *f) MUST_USE;
int metadata_vouch_put(struct buf *out, struct slice vouch, struct slice keyset) MUST_USE;
/* Are the parts those the document was signed over? */
bool metadata_parts_match(const doc_Metadata *m, struct slice parts);

/* ---- Parts (metadata_parts.c) ---- */

enum metadata_kind {
    METADATA_TAG = 1,     /* key length:1 || key || text */
    METADATA_CHAPTER = 2, /* start_ms:8 || title; each later than the one before */
    METADATA_LYRIC = 3,   /* start_ms:8 || line, which may be empty; none earlier than the one before */
    METADATA_COVER = 4    /* a JPEG or PNG picture (picture.h); one at most */
};
struct metadata_part {
    enum metadata_kind kind;
    struct slice key, text; /* text: also the picture. Borrow */
    uint64_t start_ms;
};
struct metadata_reader {
    struct reader rest;
    enum metadata_kind last;
    uint64_t last_ms;
    uint32_t counts[METADATA_COVER + 1]; /* by kind, so far */
};
struct metadata_reader metadata_reader(struct slice parts);
#define METADATA_END (-ENODATA)
/* 0, METADATA_END, REASON_MALFORMED. */
int metadata_next(struct metadata_reader *r, struct metadata_part *out) MUST_USE;
/* Reads all of it. 0 and counts, or REASON_MALFORMED. */
int metadata_parts_judge(struct slice parts, uint32_t counts[METADATA_COVER + 1]) MUST_USE;
/* Appends one; what the reader would refuse is refused here. 0, REASON_MALFORMED, BUF_FULL (as REASON_TOO_LARGE), -ENOMEM. */
int metadata_put(struct buf *parts, struct metadata_reader *so_far, const struct metadata_part *p) MUST_USE;

#endif
