/* Copies and moves, as their source: the driver of protocol/copy_out.h, where their states and rules are. Rows, vault, links and people are
 * here. A copy that is DONE stays as a row, so that the same command again changes and costs nothing. Loop thread.
 * Source: seed S111-S115, S151-S153; design section 6.5. */
#ifndef DAEMON_COPY_H
#define DAEMON_COPY_H

#include "control.pb.h"
#include "daemon/device_link.h"
#include "daemon/transfers.h"

struct track;

/* Frames of a link, in which the other end is the destination. */
void copy_on_delivered(struct link *l, const struct frame *f); /* DELIVERED */
void copy_on_fetch(struct link *l, const struct frame *f);     /* FETCH */
/* May this device fetch this from here (t NULL: not known)? Nobody is asked: the configuration says who may spend what the license allows. 0, REASON_NOT_OWNED, REASON_NOT_PERMITTED. */
int copy_may_fetch(struct daemon *d, const struct id *client, const struct track *t) MUST_USE;
/* Whether this sibling is told that the track is here: under `answer-fetch = own` only what its own distributor has licensed, whatever state that license is in. */
bool copy_may_be_told(struct daemon *d, const struct id *client, const struct track *t);
/* May this device read this body from us? REASON_NONE, REASON_IN_USE (paused), REASON_NOT_OWNED. */
enum reason copies_may_read(struct daemon *d, const struct id *client, const struct id *content, bool trusted);
/* A block was queued to it. */
void copies_sent(struct daemon *d, const struct id *client, const struct id *content, uint32_t index,
                 uint32_t block_count, uint64_t bytes);

/* A license of this content has come anew (restore.c): moves of an earlier edition of it end. */
void copies_overtaken(struct daemon *d, const struct id *issuer, const struct id *content);

/* Which devices are of the household is another matter now: copies to those that were removed end. removed: one that a newer roster does not
 * name any more; NULL: all are looked after. */
void copies_household_changed(struct daemon *d, const struct id *removed);

/* What is wanted of a copy. */
struct copy_wish {
    struct id content, destination;
    bool move, removable;
    bool checkout; /* a move that comes back; or goes back, when the license has a lender */
    bool again;    /* also when it was done before */
};
/* Takes up an equal one that has not ended, or begins one. 0, REASON_ALREADY (done before), another enum reason (detail filled or empty),
 * -errno. */
int copy_begin(struct daemon *d, const struct copy_wish *wish, struct transfer **out, char *detail, size_t cap)
    MUST_USE;
struct track;
struct track_license;
/* The license that a copy would be made from. 0, an enum reason. */
int copy_license(struct daemon *d, const struct track *t, const struct track_license **out) MUST_USE;
/* The same for what COPY asks of this track, or EXPORT (removable). paid: it is under way or done, and costs nothing more. 0, an enum reason (detail
 * filled or as it was). */
int copy_weigh(struct daemon *d, const ctl_Copy *m, bool removable, const struct track *t,
               const struct track_license **out, bool *paid, char *detail, size_t cap) MUST_USE;
/* A copy, or what is like one, cannot be: with what helps where its license has left this device. why: as copy_begin; t may be NULL. */
void copy_refuse(struct daemon *d, struct call *c, const struct track *t, int why, const char *detail);
/* Is it a move to a device that was given a copy of it before? Whether that still has it the device knows. */
bool copy_merges(struct daemon *d, const ctl_Copy *m, const struct track *t);
/* For a medium: the certificate of a removable copy that is HELD; false before. Borrowed until copy_written. */
bool copy_certificate(struct transfer *t, struct slice *certificate, struct slice *delegation);
/* The medium has it durably: the certificate goes (S153), then the copy is DONE. Otherwise it stays, for another try. */
void copy_written(struct transfer *t, enum reason why, const char *detail);
void checkin_handle(struct daemon *d, struct call *c, const void *message); /* ctl CHECKIN */
/* Of export.c: a removable copy has become HELD. */
void export_held(struct daemon *d, struct transfer *t);

#endif
