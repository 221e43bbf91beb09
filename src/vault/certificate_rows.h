/* The table of copy certificates received: one row for each issuer and serial (S165, S173). Only certificates.c uses it. */
#ifndef VAULT_CERTIFICATE_ROWS_H
#define VAULT_CERTIFICATE_ROWS_H

#include "protocol/documents.h"
#include "vault/certificates.h"

#define CERTIFICATE_MAX 2560
#define DELEGATION_MAX 384
#define RECEIPT_MAX 384

struct certificate_row {
    struct id issuer;
    uint8_t serial[16];
    enum certificate_state state;
    uint8_t digest[32];    /* of the certificate's envelope */
    struct id distributor; /* ours, under whose keyset it was judged */
    struct id content, source;
    uint8_t license_id[16];
    bool move, presented;
    uint64_t ends_ms;
    struct buf receipt;                       /* when stored or refused */
    struct buf certificate, delegation, info; /* while reserved */
    uint8_t list_root[32];                    /* while reserved */
};
void certificate_row_init(struct certificate_row *row);
void certificate_row_deinit(struct certificate_row *row); /* cleanup attribute, idempotent */
/* Names and facts of a judged certificate; license: the one inside. */
void certificate_row_fill(struct certificate_row *row, struct slice envelope, const struct id *distributor,
                          const doc_CopyCertificate *certificate, const doc_License *license);

/* Fills everything but the names. 0, STORE_ABSENT, -errno. */
int certificate_row_get(const struct vault *v, const void *issuer, const uint8_t serial[16],
                        struct certificate_row *row) MUST_USE;
/* The same for the row of exactly these envelope bytes; no look inside them is needed. */
int certificate_row_find(const struct vault *v, struct slice envelope, struct certificate_row *row) MUST_USE;
int certificate_row_reserve(struct vault *v, const struct certificate_row *row) MUST_USE; /* 0 or -errno */
/* state, receipt: how it ends. Only a reservation of the same bytes, or nothing, may become that (-EUCLEAN). */
int certificate_row_settle(struct vault *v, const struct certificate_row *row) MUST_USE;
int certificate_row_forget_ended(struct vault *v) MUST_USE; /* reservations only; by the mark of their distributor */
int certificate_row_release(struct vault *v, const void *issuer, const uint8_t serial[16]) MUST_USE;

#endif
