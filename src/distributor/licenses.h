/* Licenses we issued: rows, and making the signed document (Fig. 12). */
#ifndef DISTRIBUTOR_LICENSES_H
#define DISTRIBUTOR_LICENSES_H

#include "distributor/conditions.h"
#include "distributor/devices.h"
#include "distributor/operations_schema.h"

/* What a holder's vault has said of its use, over all editions. */
struct license_used {
    uint32_t plays;
    uint64_t play_ms;
    uint32_t recoveries; /* R2 */
};
struct license {
    uint8_t license_id[16];
    struct id client, content;
    uint64_t sequence;
    int64_t distributor;                 /* the holder's */
    char user[OPERATIONS_NAME_BYTES];    /* the holder's account there */
    char account[OPERATIONS_NAME_BYTES]; /* ours, which stands for it */
    uint32_t product;
    doc_Conditions conditions;
    uint32_t copies, removables, checkouts; /* made so far, of the maxima in conditions */
    struct license_used used;
    bool has_lease, has_lender;
    doc_Lease lease;
    struct id lender; /* checked out: from there */
    uint32_t state;   /* enum license_state */
    int64_t issued_ms;
};
/* 0, OPERATIONS_ABSENT, -errno. */
int licenses_find(struct operations *o, const uint8_t license_id[16], const struct id *client, struct license *out)
    MUST_USE;
int licenses_find_content(struct operations *o, const struct id *content, const struct id *client, struct license *out)
    MUST_USE;
/* From a row of SQL_LICENSE. */
int licenses_read(struct query *q, struct license *out) MUST_USE;
/* The name of another device that has a license of d's account for it. 0, OPERATIONS_ABSENT, -errno. */
int licenses_find_elsewhere(struct operations *o, const struct device *d, const struct id *content, int64_t now_ms,
                            char name[OPERATIONS_NAME_BYTES]) MUST_USE;
/* Does its holder have it now: live or moving, and not over? */
bool licenses_is_held(const struct license *l, int64_t now_ms);
int licenses_set(struct operations *o, const struct license *l, struct slice document) MUST_USE;
/* Of the edition with this sequence; nothing happens when there is a later one. */
int licenses_set_state(struct operations *o, const uint8_t license_id[16], const struct id *client, uint64_t sequence,
                       enum license_state state) MUST_USE;
/* A judged document (protocol/judge.h) as a row holds it. */
struct license_used licenses_used(const doc_Use *use);
/* What its vault has said of the use; of each what it said before stays when that was more, also in l->used. 0, -errno. Writes. */
int licenses_set_used(struct operations *o, struct license *l, const struct license_used *used) MUST_USE;
/* Of the edition with this sequence; one copy more (+1) or less (-1). */
struct licenses_made {
    int copies, removables, checkouts;
};
int licenses_count(struct operations *o, const uint8_t license_id[16], const struct id *client, uint64_t sequence,
                   struct licenses_made made) MUST_USE;

/* What the license says, all but its sealed half: fills l->sequence and l->issued_ms, and d. 0, -errno. */
int licenses_describe(struct operations *o, struct license *l, const doc_DeviceCertificate *device, int64_t now_ms,
                      doc_License *d) MUST_USE;
/* Seals and signs it. No database, any thread. 0, -EMSGSIZE, -errno. */
int licenses_seal(doc_License *d, const uint8_t sealing_key[32], const struct key32 *license_half,
                  const struct signer *signer, struct buf *document) MUST_USE;
/* Both. Fills l->sequence and l->issued_ms and signs: l's content, client and conditions, the leaf and sealing key of the
 * device's certificate. Source: seed S79-S82, S137. */
int licenses_sign(struct operations *o, struct license *l, const doc_DeviceCertificate *device,
                  const struct key32 *license_half, int64_t now_ms, const struct signer *signer, struct buf *document)
    MUST_USE;
/* Key information and license ID for one device of ours, as canonical doc.Header bytes. Source: seed S35, S36. */
int licenses_header(struct operations *o, const struct device *d, const struct id *content,
                    const struct content_halves *halves, struct buf *out) MUST_USE;
/* Records a license or content that reached a user of ours: tables (6) and (7), shared. Source: seed S38, S84. */
int licenses_record(struct operations *o, const struct license *l, int64_t now_ms) MUST_USE;
int licenses_record_content(struct operations *o, const char *user, const struct id *content, const struct id *client,
                            const uint8_t license_id[16], int64_t now_ms) MUST_USE;

#endif
