/* What requests are going to ask the database, asked for a whole batch at once (requests.h): for transactions, and copies in them, which are
 * most of what is written. Nothing is judged here; what is left out is asked when it is needed. On the connection's thread. */
#include <stdlib.h>

#include "base/util.h"
#include "distributor/copies.h"
#include "distributor/ledger.h"
#include "distributor/requests.h"
#include "distributor/rows.h"
#include "protocol/codec.h"

#define ITEMS_AHEAD 8 /* a longer transaction has its batch nearly to itself */

static void ask_session(struct operations *o, const struct id *client)
{
    struct query q CLEANUP(query_end) = query(o->store, SESSION_GET);
    rows_bind_id(&q, 1, client);
    query_ahead(&q);
}

static void ask_license(struct operations *o, const uint8_t license_id[16], const struct id *client)
{
    struct query q CLEANUP(query_end) = query(o->store, LICENSE_GET);
    query_bind_blob(&q, 1, slice(license_id, 16));
    rows_bind_id(&q, 2, client);
    query_ahead(&q);
}

static void ask_balance(struct operations *o, const char *user)
{
    char account[LEDGER_ACCOUNT_BYTES];
    ledger_account_user(user, account);
    struct query q CLEANUP(query_end) = query(o->store, LEDGER_BALANCE);
    query_bind_text(&q, 1, account);
    query_ahead(&q);
}

/* The license says which edition a certificate is of, and who pays. */
static void ask_certificate(struct operations *o, const struct caller *who, const msg_CopyAsk *ask)
{
    struct license l;
    if (licenses_find(o, ask->license_id, &who->client, &l) != 0)
        return;
    struct copy like = { .source = who->client,
                         .destination = id_from(ask->destination),
                         .move = ask->move,
                         .removable = ask->removable,
                         .checkout = ask->has_checkout && ask->checkout && !l.has_lender,
                         .edition = l.sequence };
    memcpy(like.license_id, ask->license_id, sizeof(like.license_id));
    copies_ask_open(o, &like);
    ask_balance(o, l.account);
}

static void ask_copy(struct operations *o, const struct caller *who, const msg_CopyAsk *ask, unsigned pass)
{
    struct id destination = id_from(ask->destination);
    if (pass == 0) {
        ask_license(o, ask->license_id, &who->client);
        ask_license(o, ask->license_id, &destination);
    } else {
        ask_certificate(o, who, ask);
    }
}

void requests_ahead(struct operations *o, const struct caller *who, uint16_t type, struct slice message,
                    struct slice tail, unsigned pass)
{
    msg_Item *item CLEANUP(freep) = NULL;
    struct reader items = reader(tail);
    struct slice bytes;
    (void)message;
    if (who->role != REQUESTS_DEVICE || (type != msg_Type_TRANSACT && type != msg_Type_COMMIT))
        return;
    if (pass == 0)
        ask_session(o, &who->client);
    if (type != msg_Type_TRANSACT || (item = calloc(1, sizeof(*item))) == NULL)
        return;
    for (unsigned i = 0; i < ITEMS_AHEAD && codec_list_next(&items, msg_Item_size, &bytes) == 0; i++)
        if (CODEC_DECODE(msg_Item, bytes, item) == 0 && item->has_copy)
            ask_copy(o, who, &item->copy, pass);
}
