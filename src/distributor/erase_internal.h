/* Inside of erasing an account: erase.c and erase_shared.c only. */
#ifndef DISTRIBUTOR_ERASE_INTERNAL_H
#define DISTRIBUTOR_ERASE_INTERNAL_H

#include "distributor/erase.h"

#define ERASE_NEIGHBOURS_MAX 64

struct erasure {
    struct operations *o;
    const char *user;
    char pseudonym[OPERATIONS_NAME_BYTES];
    int64_t now_ms;
    struct id *clients; /* its devices, removed ones too; owned */
    size_t client_count;
    char neighbours[ERASE_NEIGHBOURS_MAX]
                   [OPERATIONS_NAME_BYTES]; /* other accounts here whose rosters name its devices */
    size_t neighbour_count;
};

/* Shares the removal of every shared row of the account, and deletes those that go one by one. out: as of erase_account. */
int erase_withdraw(struct erasure *e, struct reply *out) MUST_USE;
/* After its rows were renamed: shares those copies that stay. */
int erase_share_kept(struct erasure *e) MUST_USE;

#endif
