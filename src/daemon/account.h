/* Accounts: the distributors this device is registered with, or is just registering with; and, in a list of their own, those where it is a
 * guest: they issued a license that came in a copy certificate, and renew it (guests.c), or a sibling is registered there (visits.c). Loop thread.
 * Source: seed Fig. 3 (preregistration section), S1-S4. */
#ifndef DAEMON_ACCOUNT_H
#define DAEMON_ACCOUNT_H

#include "daemon/daemon.h"
#include "daemon/device_time.h"
#include "protocol/documents.h"

struct session;
struct transact;
struct queued;

struct account {
    struct daemon *daemon;
    struct account *next;
    struct id distributor;
    char name[64], user[64], address[128];
    bool registered; /* row in hearthd.db, service data in the vault */
    bool guest;      /* row in hearthd.db; known there as a device of the household */
    bool kept;       /* a guest whose connection is made again when it is lost (visits.c) */
    bool listed;     /* in daemon->accounts */
    uint32_t references;
    doc_Keyset *keyset;         /* verified by the vault; NULL until seen in this run */
    doc_Roster *roster;         /* verified by the vault; NULL until there is one */
    struct buf roster_envelope; /* the same, as signed */
    struct session *session;    /* never NULL while listed */
    struct transact *transact;  /* never NULL while listed */
    struct queued *queued;      /* a round of queued.c; NULL: none */
    struct device_time time;    /* by which its licenses are judged */
};

/* Reads the accounts and their transactions from the database and the rosters from the vault. */
int accounts_start(struct daemon *d) MUST_USE;
/* Starts their sessions. */
void accounts_connect(struct daemon *d);
void accounts_stop(struct daemon *d);

/* A new account that is not registered yet, with a session of its own; owned by the caller's reference. */
int account_new(struct account **out, struct daemon *d, const struct id *distributor, const char *address) MUST_USE;
struct account *account_ref(struct account *a);
void account_unref(struct account *a); /* the last one closes the session */
/* Takes a place in daemon->accounts (a reference of its own) and counts as registered. */
void account_add(struct account *a);
/* Takes a place in daemon->guests instead. */
void account_add_guest(struct account *a);
struct account *account_find_issuer(struct daemon *d, const void *distributor); /* in either list; NULL */
/* Leaves the list; its session ends. Documents it brought stay with the vault. */
void account_remove(struct account *a);

struct account *account_find(struct daemon *d, const void *distributor); /* 32 bytes; NULL when not registered there */
/* A name (any case) or a prefix of the ID (4 characters at least); "" names the only one.
 * 0, REASON_NOT_REGISTERED, REASON_AMBIGUOUS, REASON_UNKNOWN_DISTRIBUTOR. */
int account_resolve(struct daemon *d, const char *text, struct account **out) MUST_USE;
/* The same, also among the issuers where this device is a guest. */
int account_resolve_issuer(struct daemon *d, const char *text, struct account **out) MUST_USE;
/* Takes a roster the vault has checked. */
int account_set_roster(struct account *a, struct slice envelope) MUST_USE;

#endif
