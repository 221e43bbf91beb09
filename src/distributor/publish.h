/* Publishing: a media file becomes an encrypted body in STATE/bodies and a content in the catalogue.
 * Reads the file twice (hash, then encryption) and writes it once, a block at a time. Blocking; the admin command's thread. */
#ifndef DISTRIBUTOR_PUBLISH_H
#define DISTRIBUTOR_PUBLISH_H

#include "distributor/products.h"
#include "distributor/tags.h"

struct publish {
    const char *path;
    struct tags tags;               /* what the content information will say */
    const doc_SignerRange *signers; /* whose metadata it permits; NULL: nothing is said of that */
    int64_t now_ms;
    void (*on_progress)(void *ctx, uint64_t done_bytes, uint64_t all_bytes); /* may be NULL */
    void *ctx;
};
#define PUBLISH_KNOWN 1   /* this file was published before: out is that content (its tags may differ) */
#define PUBLISH_EMPTY 2   /* there is nothing in the file, or more than a body can hold */
#define PUBLISH_CHANGED 3 /* the file changed while it was read */

/* SHA-256 of the file's bytes. 0, PUBLISH_EMPTY, -errno. */
int publish_hash(const struct publish *p, uint8_t hash[32]) MUST_USE;
/* Encrypts and stores the body; the row is the caller's: publish_body, then in a transaction contents_add(new).
 * The body is durable under its name when this returns. 0, PUBLISH_CHANGED, PUBLISH_EMPTY, -errno.
 * Source: seed S34 (encrypted in advance), Fig. 9. */
int publish_body(struct operations *o, const struct publish *p, const uint8_t hash[32], struct content_new *out)
    MUST_USE;
void content_new_wipe(struct content_new *n);
/* Takes a body back whose row could not be stored. */
void publish_undo(struct operations *o, const struct content_new *n);
/* Removes what a publish that was interrupted left in STATE/bodies, where the file system has no files without a name. */
void publish_clean(const char *state_dir);
/* STATE/bodies/ID.body; 0 or -ENAMETOOLONG. */
int publish_body_path(struct operations *o, const struct id *content, char *out, size_t cap) MUST_USE;

#endif
