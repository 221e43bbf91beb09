/* Download: a body from a distributor's contents server into the library, resumable, as a transfer of kind 1 (transfers.h).
 * Implemented over receive_run. Source: seed S21-S25. Loop thread. */
#ifndef DAEMON_DOWNLOAD_H
#define DAEMON_DOWNLOAD_H

#include "daemon/account.h"

struct download_callbacks {
    void (*on_progress)(uint64_t done_bytes, uint64_t total_bytes, void *ctx); /* at most a few times a second */
    /* Once. REASON_NONE: the body is synced, renamed, and the library was told (library_info_known, library_body_changed). detail may be NULL. */
    void (*on_done)(enum reason why, const char *detail, void *ctx);
};
/* A content that is already on its way is joined, one that is complete is done at once. 0 or -errno (then no callback fires). */
int download_start(struct account *a, const struct id *content, const struct download_callbacks *callbacks, void *ctx)
    MUST_USE;

/* download_row.c: remembers that a body is under way from a distributor (download.c) or a device (fetch_body.c), or forgets it. */
void download_row_put(struct daemon *d, const struct id *content, const struct id *distributor, bool add);
/* download_room.c: what a body still wants of the disk, when left_bytes of it are missing; and whether so much is free beside the reserve (net/bodies.h). */
uint64_t download_room_missing(const struct daemon *d, const struct id *content, uint64_t left_bytes);
bool download_room_is_there(const struct daemon *d, uint64_t bytes);
/* Is there room for what is missing of this body (plain_bytes: of its content information), beside the reserve? If not, a sentence with what it takes, what is
 * free, and what makes room. */
bool download_fits(const struct daemon *d, const struct id *content, uint64_t plain_bytes, char *detail, size_t cap);

#endif
