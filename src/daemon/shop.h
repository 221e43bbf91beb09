/* Buying: the catalogues of all distributors, quotes, purchases and downloads. Loop thread.
 * Source: seed Fig. 3 (contents download, license acquisition sections), S21-S25, S61-S66. */
#ifndef DAEMON_SHOP_H
#define DAEMON_SHOP_H

#include "daemon/account.h"
#include "daemon/listing.h"

struct call;

/* browse.c */
void browse_handle(struct daemon *d, struct call *c, const void *message); /* ctl BROWSE */
/* quote.c */
void quote_handle(struct daemon *d, struct call *c, const void *message); /* ctl QUOTE_GET */
/* get.c */
void get_handle(struct daemon *d, struct call *c, const void *message); /* ctl GET */

/* leases.c */
void lease_handle(struct daemon *d, struct call *c, const void *message); /* ctl LEASE */
/* use_log.c */
void use_log_handle(struct daemon *d, struct call *c, const void *message); /* ctl USE_LOG_GET */

/* restore.c */
void restore_handle(struct daemon *d, struct call *c, const void *message); /* ctl RESTORE */

/* Lookup (lookup.c): which content of which distributor TRACK means: by the last listing, the library, then the catalogues themselves. */
struct found {
    struct account *account;    /* borrowed until the callback returns */
    struct listing_entry entry; /* product_count 0: not known */
};
/* why REASON_NONE: found is set. Else detail (may be NULL) or refusal (may be NULL) tells more. */
typedef void (*lookup_fn)(const struct found *found, enum reason why, const char *detail, const msg_Refusal *refusal,
                          void *ctx);
int lookup_start(struct daemon *d, const char *track, lookup_fn on_found, void *ctx) MUST_USE; /* 0, -ENOMEM */

/* Quotes that were shown and not yet taken (quote.c); forgotten when they end. */
struct quote_kept {
    uint8_t hash[32]; /* SHA-256 of the envelope */
    struct id distributor, content;
    int64_t ends_ms;
    pb_size_t envelope_len;
    uint8_t envelope[736];
};
const struct quote_kept *quote_find(struct daemon *d, const uint8_t hash[32]); /* NULL: not known, or ended */
void quotes_free(struct daemon *d);

#endif
