/* Library: what this device has. Licenses as the vault lists them, body files, and the content information of both; rebuilt at every
 * start, kept in memory. Source: seed Fig. 3 (contents storage, license acquisition and management), S41, S42. Loop thread. */
#ifndef DAEMON_LIBRARY_H
#define DAEMON_LIBRARY_H

#include "control.pb.h"
#include "daemon/daemon.h"
#include "protocol/documents.h"
#include "vault.pb.h"

enum license_state {
    LICENSE_NONE = 0,
    LICENSE_VALID = 1,
    LICENSE_SUSPENDED = 2,
    LICENSE_SURRENDERED = 3,
    LICENSE_EXPIRED = 4,
    LICENSE_ASLEEP = 5, /* R3: until its lease is refreshed */
    LICENSE_USED_UP = 6
};

struct track_license {
    struct id issuer;
    uint8_t license_id[16];
    uint64_t sequence;
    uint32_t state; /* VALID, SUSPENDED, SURRENDERED, as the vault keeps it */
    int64_t issued_ms;
    const doc_Conditions *conditions; /* never NULL; the library's */
    bool has_lease, has_lender;
    bool lease_lost; /* its issuer has said that another device has it now */
    doc_Lease lease;
    struct id lender;
    bool has_borrower; /* surrendered, and it comes back from there */
    struct id borrower;
    bool has_moved_to; /* surrendered, and it is there now */
    struct id moved_to;
    bool from_vault; /* what follows is what the vault says; a document does not tell */
    uint32_t plays;  /* over all editions */
    uint64_t play_ms;
    uint32_t recoveries, end; /* R2: the last play that was cut off, as vlt_PlayEnd; 0: none was */
    bool recovered;
    uint64_t end_ms;
};
struct track {
    struct id content;
    bool has_info;                              /* the members up to list_root are known */
    char *texts;                                /* owned: what the next four are parts of */
    char *title, *creator, *album, *media_type; /* creator and album may be NULL */
    uint64_t duration_ms, plain_bytes;
    struct id publisher;
    uint8_t list_root[32];
    bool has_body;
    bool damaged; /* the body, as far as is known (damage.h) */
    bool listed;  /* body or license are here: of others only the information is known */
    struct track_license *licenses;
    size_t license_count;
};

/* Asks the vault for the licenses anew: it may know more than was told here. */
void library_refresh(struct daemon *d);
/* What a play of the license that the vault opened has come to. */
void library_note_end(struct daemon *d, const struct id *content, const vlt_PlayOpened *opened,
                      const vlt_PlayClosed *closed);
/* Reads content information and body files (on the pool), and asks the vault for the licenses. on_loaded fires once, later: 0 or -errno; until then the
 * library is empty, and nobody may put anything into it. 0, -ENOMEM. */
int library_start(struct daemon *d, void (*on_loaded)(struct daemon *d, int error)) MUST_USE;
bool library_is_loaded(const struct daemon *d);
void library_stop(struct daemon *d);

struct track *library_find(struct daemon *d, const void *content); /* borrowed until the library changes; NULL */
size_t library_count(const struct daemon *d);
size_t library_listed(const struct daemon *d);                     /* how many of them are listed */
struct track *library_at(struct daemon *d, size_t index);          /* in order of content ID */
struct track *library_by_title(struct daemon *d, size_t index);    /* all of them, in order of title (any case) */
bool library_has_title(const struct daemon *d, const char *title); /* any case */
/* Number of the last listing, content-ID prefix (4 characters at least), or unique title (any case), among what this device has.
 * 0, REASON_NOT_FOUND, REASON_AMBIGUOUS (detail then names the candidates). */
int library_resolve(struct daemon *d, const char *text, struct track **out, char *detail, size_t detail_cap) MUST_USE;
/* A license that is not here any more: where it went, and how it comes back. REASON_IN_USE, it is checked out; REASON_NO_LICENSE, moved, given
 * back or returned; both with *out. REASON_NONE: it is here (*out is as it was). */
enum reason library_away(struct daemon *d, const struct track_license *l, msg_Refusal *out) MUST_USE;
/* The license a use would take: valid before suspended before surrendered, then the latest; NULL when there is none. */
const struct track_license *track_license(const struct track *t);
enum license_state track_license_state(struct daemon *d, const struct track *t);
enum license_state track_license_state_of(const struct track_license *l, int64_t now_ms);
/* content: when it is known; NULL: all of the library is looked through. track may be NULL. NULL: not there. */
struct track_license *library_license(struct daemon *d, const void *content, const void *issuer,
                                      const uint8_t license_id[16], struct track **track);
/* A label for a distributor: the account's, else what a roster says, else the short ID (in short_id). */
const char *library_issuer_name(struct daemon *d, const struct id *issuer, char short_id[ID_SHORT_BYTES]);
void library_row(struct daemon *d, const struct track *t, uint32_t number, ctl_TrackRow *out);

/* STATE/bodies/<content-id>.body; suffix ".part", ".map" and the like. 0, -ENAMETOOLONG. */
int library_body_path(const struct daemon *d, const struct id *content, const char *suffix, char *out, size_t cap)
    MUST_USE;

/* There is a body, or a license that was not given up. */
bool track_is_listed(const struct track *t);
/* Body or state of a license were changed in place. */
void library_changed(struct daemon *d, struct track *t);

/* What others tell the library, once it is loaded. Content information must have been judged (info_judge); it is written to the database, too. */
int library_info_known(struct daemon *d, const struct id *content, struct slice info, const uint8_t list_root[32])
    MUST_USE;
/* The body file is complete, synced and renamed: or it was deleted. */
/* Of every body whose license has a download period: what was here in time is noted, now that the time is known. */
void library_tell_vault(struct daemon *d);
int library_body_changed(struct daemon *d, const struct id *content, bool has_body) MUST_USE;
/* The vault has stored this license envelope. */
int library_license_stored(struct daemon *d, struct slice envelope) MUST_USE;

#endif
