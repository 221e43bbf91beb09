/* Metadata of contents that are here: files STATE/metadata/CONTENT-N.metadata, which the vault judges each time before anything of them is used. What it
 * has not permitted is not even parsed here. Loop thread; files on the pool.
 * Source: related system R1. */
#ifndef DAEMON_METADATA_H
#define DAEMON_METADATA_H

#include "daemon/daemon.h"
#include "messages.pb.h"
#include "protocol/metadata.h"
#include "vault.pb.h"

struct call;

#define METADATA_FILES_MAX 16 /* of one content; numbers 1 to 16 */

struct metadata_item {
    uint32_t number;     /* 0: the one to be added */
    enum reason verdict; /* REASON_NONE: permitted */
    bool known;          /* who signed it: judged is filled */
    vlt_MetadataJudged judged;
    struct buf file;    /* as it was read, and as the vault judged it */
    struct slice parts; /* of it, whole and well-formed; empty unless permitted */
    uint32_t counts[METADATA_COVER + 1];
};
struct metadata_set {
    struct id content;
    uint32_t range; /* enum metadata_range of the content, as its information says; 0: it does not */
    struct metadata_item items[METADATA_FILES_MAX + 1]; /* by number */
    unsigned count;
};
void metadata_set_free(struct metadata_set *s); /* accepts NULL */

int metadata_start(struct daemon *d) MUST_USE; /* makes the directory; blocking, at start. 0 or -errno */
/* Reads the files of a content and has each judged. extra (may be NULL): a file to be added, judged last and, when permitted, remembered by the vault.
 * Fires once, never before this has returned: set (taken by the callback), or NULL with why. 0 or -ENOMEM. */
typedef void metadata_fn(struct metadata_set *set, enum reason why, void *ctx);
int metadata_collect(struct daemon *d, const struct id *content, const char *extra, metadata_fn *on_all, void *ctx)
    MUST_USE;
#define METADATA_PATH_BYTES (CONFIG_PATH_BYTES + 96)
int metadata_path(const struct daemon *d, const struct id *content, uint32_t number, char out[METADATA_PATH_BYTES])
    MUST_USE;

/* metadata_view.c, metadata_add.c */
void metadata_get_handle(struct daemon *d, struct call *c, const void *message);    /* ctl METADATA_GET */
void metadata_add_handle(struct daemon *d, struct call *c, const void *message);    /* ctl METADATA_ADD */
void metadata_remove_handle(struct daemon *d, struct call *c, const void *message); /* ctl METADATA_REMOVE */
void metadata_vouch_handle(struct daemon *d, struct call *c, const void *message);  /* ctl METADATA_VOUCH */
/* Whom content or license permit, where its signer is not among them, and what can be done. */
const char *metadata_range_words(const struct metadata_set *set, const struct metadata_item *item);
struct _ctl_MetadataRow;
void metadata_row(const struct metadata_set *set, const struct metadata_item *item, struct _ctl_MetadataRow *out);

#endif
