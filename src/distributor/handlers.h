/* What requests.c calls: one function for each type of request, in the file that knows the subject. */
#ifndef DISTRIBUTOR_HANDLERS_H
#define DISTRIBUTOR_HANDLERS_H

#include "distributor/requests.h"

/* Outcomes as requests_run(). */
#define HANDLER(name)                                                                                 \
    int name(struct operations *o, const struct caller *who, struct slice message, struct slice tail, \
             struct reply *out) MUST_USE

HANDLER(accounts_hello);      /* accounts.c */
HANDLER(accounts_register);   /* register.c */
HANDLER(accounts_unregister); /* accounts.c */
HANDLER(accounts_get);
HANDLER(tokens_prove); /* tokens.c */
HANDLER(tokens_login);
HANDLER(tokens_logout);
HANDLER(tokens_password_set);
HANDLER(erase_request); /* erase.c */
HANDLER(person_export); /* person.c */
HANDLER(spending_set);  /* spending.c */
HANDLER(spending_unlock);
HANDLER(devices_rename); /* devices.c */
HANDLER(devices_remove);
HANDLER(roster_get);     /* roster.c */
HANDLER(links_code_get); /* links.c */
HANDLER(links_unlink);
HANDLER(links_partner_link);
HANDLER(links_partner_unlink);
HANDLER(billing_bills_get);    /* bills.c */
HANDLER(catalogue_get);        /* catalogue.c */
HANDLER(quotes_get);           /* quotes.c */
HANDLER(terms_get);            /* terms.c */
HANDLER(license_issue_header); /* license_issue.c */
HANDLER(use_log_take);         /* leases.c */
HANDLER(restore_list);         /* restore.c */
HANDLER(programs_list);        /* program_give.c */
HANDLER(programs_get);
HANDLER(programs_blocks);
HANDLER(standings_present); /* standings.c */
HANDLER(catch_up_get);      /* catch_up.c */
HANDLER(transact_run);      /* transact.c */
HANDLER(transact_commit);
HANDLER(copies_redeem);     /* copy_settle.c */
HANDLER(copies_redeem_all); /* copy_redeem.c */
HANDLER(copies_move_done);
HANDLER(copies_move_cancel);
HANDLER(delegations_get); /* delegations.c */
HANDLER(delegations_address);
HANDLER(delegations_grant_get);
HANDLER(places_get); /* places.c */
HANDLER(places_bodies_get);
HANDLER(share_rows_get); /* share_give.c */

/* Items of a transaction, each inside a savepoint of its own; they fill the result. transact.c. */
int license_issue_purchase(struct operations *o, const struct caller *who, const msg_Purchase *item, msg_Result *result,
                           struct reply *out) MUST_USE;
int restore_run(struct operations *o, const struct caller *who, const msg_Restore *item, msg_Result *result,
                struct reply *out) MUST_USE;
int leases_refresh(struct operations *o, const struct caller *who, const msg_Refresh *item, msg_Result *result,
                   struct reply *out) MUST_USE;
/* What a Restore of this content would give the device. 0, OPERATIONS_ABSENT, -errno. */
struct device;
struct license;
int restore_find(struct operations *o, const struct device *d, const struct id *content, int64_t now_ms,
                 struct license *out) MUST_USE;
/* A copy that waits for a device (copy_queue.h), of the license that another of its household has; certified: it was given a certificate before. */
struct copy_queue_row {
    struct id content, source;
    uint8_t license_id[16];
    bool certified;
    uint8_t serial[16];
    int64_t ends_ms; /* of the certificate */
};
/* To a device of ours that asks itself: certificate and charge as by copy_issue_run, the license out of it as the result, with a header. */
int copy_issue_here(struct operations *o, const struct caller *who, const struct copy_queue_row *row,
                    const struct device *d, msg_Result *result, struct reply *out) MUST_USE;
/* To another distributor's: the certificate and the delegation, the same as before until that one is settled. Sets the row's serial and ends_ms. */
int copy_issue_guest(struct operations *o, const struct caller *who, struct copy_queue_row *row, const struct device *d,
                     msg_Result *result, struct reply *out) MUST_USE;
int copy_issue_run(struct operations *o, const struct caller *who, const msg_CopyAsk *item, msg_Result *result,
                   struct reply *out) MUST_USE;

#endif
