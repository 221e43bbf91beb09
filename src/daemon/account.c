/* The list of accounts, and finding one by what a person types. */
#include "daemon/account.h"

#include <stdlib.h>
#include <strings.h>

#include "base/util.h"
#include "daemon/db.h"
#include "daemon/session.h"
#include "daemon/siblings.h"
#include "daemon/transact.h"
#include "daemon/vault_client.h"

#define LOG_MODULE "account"
#include "base/log.h"

int account_new(struct account **out, struct daemon *d, const struct id *distributor, const char *address)
{
    struct account *a = calloc(1, sizeof(*a));
    if (a == NULL)
        return -ENOMEM;
    a->daemon = d;
    a->distributor = *distributor;
    a->references = 1;
    a->roster_envelope = buf(FRAME_TAIL_MAX);
    CODEC_SET_TEXT(a->address, address);
    int r = transact_new(&a->transact, a);
    if (r == 0)
        r = session_new(&a->session, a);
    if (r != 0) {
        account_unref(a);
        return r;
    }
    *out = a;
    return 0;
}

struct account *account_ref(struct account *a)
{
    a->references++;
    return a;
}

void account_unref(struct account *a)
{
    if (a == NULL || --a->references > 0)
        return;
    session_free(a->session);
    transact_free(a->transact);
    free(a->keyset);
    free(a->roster);
    buf_free(&a->roster_envelope);
    free(a);
}

/* Whoever registers is a guest no more. */
static void drop_guest(struct daemon *d, const struct id *distributor)
{
    for (struct account **p = &d->guests; *p != NULL; p = &(*p)->next)
        if (id_equal((*p)->distributor.bytes, distributor->bytes)) {
            struct account *guest = *p;
            *p = guest->next;
            guest->next = NULL;
            guest->guest = guest->kept = false;
            account_unref(guest);
            return;
        }
}

void account_add(struct account *a)
{
    struct account **end = &a->daemon->accounts;
    a->registered = true;
    drop_guest(a->daemon, &a->distributor);
    if (a->listed)
        return;
    while (*end != NULL)
        end = &(*end)->next;
    *end = account_ref(a);
    a->listed = true;
    if (a->roster != NULL) /* it may have come before the account was listed */
        siblings_refresh(a->daemon);
}

void account_add_guest(struct account *a)
{
    a->guest = true;
    a->next = a->daemon->guests;
    a->daemon->guests = account_ref(a);
}

void account_remove(struct account *a)
{
    for (struct account **p = &a->daemon->accounts; *p != NULL; p = &(*p)->next)
        if (*p == a) {
            *p = a->next;
            break;
        }
    if (!a->listed)
        return;
    a->next = NULL;
    a->listed = a->registered = false;
    siblings_refresh(a->daemon);
    session_restart(a->session); /* ends the connection; nothing registers it again */
    account_unref(a);
}

struct account *account_find(struct daemon *d, const void *distributor)
{
    for (struct account *a = d->accounts; a != NULL; a = a->next)
        if (id_equal(a->distributor.bytes, distributor))
            return a;
    return NULL;
}

struct account *account_find_issuer(struct daemon *d, const void *distributor)
{
    struct account *found = account_find(d, distributor);
    for (struct account *a = d->guests; a != NULL && found == NULL; a = a->next)
        if (id_equal(a->distributor.bytes, distributor))
            found = a;
    return found;
}

/* Those of a list that fit, and the last of them. */
static unsigned count_fitting(struct account *list, const char *text, struct account **found)
{
    unsigned count = 0;
    for (struct account *a = list; a != NULL; a = a->next) {
        bool fits = text[0] == '\0' || strcasecmp(a->name, text) == 0 ||
                    (strlen(text) >= 4 && id_has_prefix(a->distributor.bytes, text));
        if (fits) {
            *found = a;
            count++;
        }
    }
    return count;
}

int account_resolve(struct daemon *d, const char *text, struct account **out)
{
    if (d->accounts == NULL)
        return REASON_NOT_REGISTERED;
    struct account *found = NULL;
    unsigned count = count_fitting(d->accounts, text, &found);
    if (count != 1)
        return count == 0 ? REASON_UNKNOWN_DISTRIBUTOR : REASON_AMBIGUOUS;
    *out = found;
    return 0;
}

int account_resolve_issuer(struct daemon *d, const char *text, struct account **out)
{
    int r = account_resolve(d, text, out);
    if ((r != REASON_NOT_REGISTERED && r != REASON_UNKNOWN_DISTRIBUTOR) || text[0] == '\0')
        return r;
    struct account *found = NULL;
    unsigned count = count_fitting(d->guests, text, &found);
    if (count != 1)
        return count == 0 ? r : REASON_AMBIGUOUS;
    *out = found;
    return 0;
}

int account_set_roster(struct account *a, struct slice envelope)
{
    uint8_t signer[32];
    doc_Roster *roster CLEANUP(freep) = malloc(sizeof(*roster));
    if (roster == NULL)
        return -ENOMEM;
    int r = document_open(DOCUMENT_ROSTER, envelope, roster, sizeof(*roster), signer);
    if (r != 0)
        return r;
    if (!id_equal(roster->distributor, a->distributor.bytes))
        return REASON_SIGNATURE_INVALID;
    struct buf kept = buf(FRAME_TAIL_MAX);
    r = buf_append(&kept, envelope);
    if (r != 0)
        return r;
    buf_free(&a->roster_envelope);
    a->roster_envelope = kept;
    free(a->roster);
    a->roster = steal(&roster);
    if (a->listed)
        siblings_refresh(a->daemon);
    return 0;
}

/* --- At start --- */

static void on_roster(const struct answer *answer, void *ctx)
{
    struct account *a = ctx;
    if (answer->why != REASON_NONE)
        log_warn("%s: the vault has no roster reason=%s", a->name, answer->refusal->code);
    else if (answer->frame->tail.len > 0 && a->roster == NULL && account_set_roster(a, answer->frame->tail) != 0)
        log_warn("%s: the vault's roster cannot be read", a->name);
    account_unref(a);
}

static void ask_roster(struct account *a)
{
    vlt_RosterGet get;
    memcpy(get.distributor, a->distributor.bytes, ID_BYTES);
    struct ask ask = ASK(vlt_Type_ROSTER_GET, vlt_Type_ROSTER, vlt_RosterGet, &get);
    if (vault_call(a->daemon->vault, &ask, on_roster, account_ref(a)) != 0)
        account_unref(a);
}

static int load_row(struct daemon *d, struct query *q)
{
    struct id distributor;
    char address[128], name[64], user[64];
    query_fixed(q, 0, distributor.bytes, ID_BYTES);
    query_text(q, 1, address, sizeof(address));
    query_text(q, 2, name, sizeof(name));
    query_text(q, 3, user, sizeof(user));
    uint32_t bit = query_u32(q, 4);
    bool guest = query_bool(q, 7);
    struct slice id = query_is_null(q, 5) ? slice(NULL, 0) : query_blob(q, 5);
    struct slice items = query_is_null(q, 6) ? slice(NULL, 0) : query_blob(q, 6);
    int r = query_check(q);
    if (r != 0)
        return r;
    struct account *a;
    r = account_new(&a, d, &distributor, address);
    if (r != 0)
        return r;
    memcpy(a->name, name, sizeof(name));
    memcpy(a->user, user, sizeof(user));
    r = transact_load(a->transact, bit, id, items);
    if (r == 0 && guest)
        account_add_guest(a);
    else if (r == 0)
        account_add(a);
    account_unref(a);
    return r;
}

int accounts_start(struct daemon *d)
{
    {
        struct query q CLEANUP(query_end) = query(db_store(d->db), DB_ACCOUNTS);
        int r;
        while ((r = query_step(&q)) == STORE_ROW) {
            r = load_row(d, &q);
            if (r != 0)
                return r < 0 ? r : -EUCLEAN;
        }
        if (r != 0)
            return r < 0 ? r : -EUCLEAN;
    }
    for (struct account *a = d->accounts; a != NULL; a = a->next)
        ask_roster(a);
    return 0;
}

void accounts_connect(struct daemon *d)
{
    for (struct account *a = d->accounts; a != NULL; a = a->next)
        session_start(a->session);
    for (struct account *a = d->guests; a != NULL; a = a->next)
        if (transact_outstanding(a->transact)) /* what was begun is finished; else nothing is asked of it */
            session_kick(a->session);
}

static void stop_all(struct account **list)
{
    while (*list != NULL) {
        struct account *a = *list;
        *list = a->next;
        a->next = NULL;
        a->listed = false;
        session_free(steal(&a->session));
        transact_free(steal(&a->transact));
        account_unref(a);
    }
}

void accounts_stop(struct daemon *d)
{
    stop_all(&d->accounts);
    stop_all(&d->guests);
}
