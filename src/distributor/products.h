/* Products (the tariff) and contents, as rows. */
#ifndef DISTRIBUTOR_PRODUCTS_H
#define DISTRIBUTOR_PRODUCTS_H

#include "distributor/operations.h"
#include "protocol/documents.h"

#define PRODUCTS_NO_LIMIT UINT32_MAX

/* A way to buy a content. Never changed once made: a quote names it by number. */
struct product {
    uint32_t number;
    char name[64];
    int64_t price, copy_price; /* minor units */
    doc_Conditions conditions;
    bool has_usage_for_ms; /* usage ends so long after the purchase, and again after each renewal */
    uint64_t usage_for_ms;
    bool has_renew_price; /* without it a license is not renewed */
    int64_t renew_price;
    bool has_renew_late_ms; /* how long after its end a license may still be renewed; absent: at any time */
    uint64_t renew_late_ms;
    bool has_lease_ms; /* R3: the right stays here, and each license is a lease of so long */
    uint64_t lease_ms, lease_grace_ms;
    uint32_t lease_plays; /* of each lease; 0: not limited */
    bool withdrawn;
};
/* Finds an identical one that is on sale, or adds it; fills number. 0, REASON_MALFORMED, -errno. Writes. */
int products_add(struct operations *o, struct product *p) MUST_USE;
int products_get(struct operations *o, uint32_t number, struct product *out) MUST_USE; /* 0, OPERATIONS_ABSENT */
int products_next(struct operations *o, uint32_t after, struct product *out) MUST_USE; /* 0, OPERATIONS_ABSENT */
int products_withdraw(struct operations *o, uint32_t number) MUST_USE;                 /* 0, OPERATIONS_ABSENT */
/* What a copy under it costs, or a move, where that is charged for: lending costs what a copy does. 0, -errno. */
int products_copy_price(struct operations *o, const struct product *p, bool move, int64_t *price) MUST_USE;
/* May a license with these conditions be renewed under it, once it is over? */
bool products_renews(const struct product *p, const doc_Conditions *c);
/* Products on sale for a content, by number. 0, OPERATIONS_ABSENT. */
int products_of_content(struct operations *o, const struct id *content, uint32_t after, struct product *out) MUST_USE;
/* Is this product on sale for this content? 0, OPERATIONS_ABSENT. */
int products_offered(struct operations *o, const struct id *content, uint32_t number, struct product *out) MUST_USE;

/* What a buyer may add to a product. Never changed once made. */
struct product_option {
    uint32_t product, number;
    char name[64];
    int64_t price;
    uint32_t copies, copy_depth, removables, plays, checkouts;
    uint64_t usage_ms, play_ms;
    bool record;
    bool withdrawn;
};
#define PRODUCTS_OPTIONS_MAX 8 /* of one product on sale */
/* Fills number. 0, REASON_MALFORMED, REASON_NOT_FOUND (no such product on sale), REASON_NOT_PERMITTED (it adds nothing to it), REASON_TOO_LARGE,
 * -errno. Writes. */
int products_add_option(struct operations *o, struct product_option *option) MUST_USE;
/* The next by number; also withdrawn ones. 0, OPERATIONS_ABSENT. */
int products_next_option(struct operations *o, uint32_t product, uint32_t after, struct product_option *out) MUST_USE;
int products_withdraw_option(struct operations *o, uint32_t product, uint32_t number)
    MUST_USE; /* 0, OPERATIONS_ABSENT */
/* One on sale. 0, OPERATIONS_ABSENT. */
int products_option(struct operations *o, uint32_t product, uint32_t number, struct product_option *out) MUST_USE;

/* May it be downloaded now? */
bool products_download_open(const doc_Conditions *c, int64_t now_ms);

struct content {
    struct id id;
    char title[128], creator[128], album[128], media_type[64]; /* creator, album: "" when there is none */
    uint64_t duration_ms, plain_bytes;
    bool withdrawn;
};
int contents_find(struct operations *o, const struct id *id, struct content *out) MUST_USE; /* 0, OPERATIONS_ABSENT */
int contents_next(struct operations *o, const struct id *after, struct content *out) MUST_USE;
void contents_read(struct query *q, struct content *out); /* columns of SQL_CONTENT; query_check() afterwards */

/* The two halves of a content key and the license ID of the content (seed table (5)): wipe it. */
struct content_halves {
    struct key32 header, license;
    uint8_t license_id[16];
};
void content_halves_wipe(struct content_halves *h);
int contents_halves(struct operations *o, const struct id *id, struct content_halves *out)
    MUST_USE; /* 0, OPERATIONS_ABSENT */

/* A content that was encrypted and whose body is in place. Writes rows, product link, table (5), shares. */
struct content_new {
    struct content content;
    uint8_t file_hash[32];
    struct key32 header_half, license_half;
    int64_t now_ms;
};
int contents_add(struct operations *o, const struct content_new *n) MUST_USE;
/* The content published from a file of this hash. 0, OPERATIONS_ABSENT. */
int contents_find_file(struct operations *o, const uint8_t file_hash[32], struct content *out) MUST_USE;
int contents_withdraw(struct operations *o, const struct id *id, bool withdrawn) MUST_USE; /* 0, OPERATIONS_ABSENT */
/* Offers exactly these products for a content. */
int contents_offer(struct operations *o, const struct id *id, const uint32_t *products, size_t count) MUST_USE;

/* Letters folded for searching: lower case, whatever the script. Appends to out (cut at its bound). */
void contents_fold(const char *text, char *out, size_t cap);

#endif
