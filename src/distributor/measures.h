/* Measures: figures of the operations database that are cheap to read whatever its size: counters, ends of keys, what waits for the
 * directory. No row is counted one by one; `stats` without --openmetrics does that. Any thread, over its own connection. */
#ifndef DISTRIBUTOR_MEASURES_H
#define DISTRIBUTOR_MEASURES_H

#include "distributor/keys_age.h"

#define MEASURES_KEYS 16
#define MEASURES_PARTNERS 64

struct measures {
    char name[OPERATIONS_NAME_BYTES];
    int64_t now_ms;
    uint64_t licenses, certificates, postings, ledger_entries; /* given out, made, so far */
    uint64_t certificates_open;
    uint64_t outbox, outbox_confirmed, directory_cursor;
    bool has_directory;
    uint64_t keyset_sequence, key_block_version;
    int64_t keyset_ends_ms;
    unsigned keyset_due; /* keyset.h */
    struct keys_ages ages;
    struct measures_key {
        uint32_t purpose; /* doc_Key.purpose */
        int64_t ends_ms;
    } keys[MEASURES_KEYS];
    size_t key_count;
    struct measures_partner { /* not withdrawn; without a row: nothing was delegated to us yet */
        char name[OPERATIONS_NAME_BYTES];
        int64_t delegation_ends_ms, grant_ends_ms; /* 0: none */
    } partners[MEASURES_PARTNERS];
    size_t partner_count;
    uint64_t payments_open, findings_open, epoch;
};

/* 0 or -errno. Read-only. */
int measures_read(struct operations *o, int64_t now_ms, struct measures *out) MUST_USE;

#endif
