/* The shared rows of an account that ends: withdrawn, or shared again without the person. On the connection's thread. */
#include "distributor/erase_internal.h"
#include "distributor/links.h"
#include "distributor/rows.h"
#include "distributor/share_rows.h"

/* Runs `statement` for the user until it finds no row; take: shares the row's removal and deletes it. */
typedef int take_fn(struct erasure *e, struct query *q);
static int take_one(struct erasure *e, enum statement statement, take_fn *take)
{
    struct query q CLEANUP(query_end) = query(e->o->store, statement);
    query_bind_text(&q, 1, e->user);
    int r = rows_one(&q);
    return r == 0 ? take(e, &q) : r;
}

static int take_all(struct erasure *e, enum statement statement, take_fn *take)
{
    int r;
    while ((r = take_one(e, statement, take)) == 0)
        ;
    return r == OPERATIONS_ABSENT ? 0 : r;
}

static int take_content(struct erasure *e, struct query *q)
{
    share_UserContent row = share_UserContent_init_zero;
    CODEC_SET_TEXT(row.user, e->user);
    query_fixed(q, 0, row.content, sizeof(row.content));
    query_fixed(q, 1, row.client, sizeof(row.client));
    int r = query_check(q);
    return r == 0 ? SHARE_PUT(e->o, USER_CONTENT, true, share_UserContent, &row) : r;
}

static int take_license(struct erasure *e, struct query *q)
{
    share_UserLicense row = share_UserLicense_init_zero;
    CODEC_SET_TEXT(row.user, e->user);
    query_fixed(q, 0, row.license_id, sizeof(row.license_id));
    query_fixed(q, 1, row.client, sizeof(row.client));
    int r = query_check(q);
    return r == 0 ? SHARE_PUT(e->o, USER_LICENSE, true, share_UserLicense, &row) : r;
}

static int take_history(struct erasure *e, struct query *q)
{
    share_CopyHistory row = share_CopyHistory_init_zero;
    query_fixed(q, 0, row.serial, sizeof(row.serial));
    int r = query_check(q);
    return r == 0 ? SHARE_PUT(e->o, COPY_HISTORY, true, share_CopyHistory, &row) : r;
}

/* What stays for a partner's statement, and another account's copies to a device of this one: with zeroes for the devices. */
int erase_share_kept(struct erasure *e)
{
    struct query q CLEANUP(query_end) = query(e->o->store, ERASE_KEPT_HISTORY);
    query_bind_text(&q, 1, e->pseudonym);
    int r;
    while (rows_next(&q, &r)) {
        share_CopyHistory row = share_CopyHistory_init_zero;
        query_fixed(&q, 0, row.serial, sizeof(row.serial));
        query_fixed(&q, 1, row.content, sizeof(row.content));
        query_fixed(&q, 2, row.license_id, sizeof(row.license_id));
        query_text(&q, 3, row.user, sizeof(row.user));
        query_fixed(&q, 4, row.source, sizeof(row.source));
        query_fixed(&q, 5, row.destination, sizeof(row.destination));
        query_fixed(&q, 6, row.destination_distributor, sizeof(row.destination_distributor));
        row.category = query_u32(&q, 7);
        row.leaf = query_u32(&q, 8);
        row.move = query_bool(&q, 9);
        row.removable = query_bool(&q, 10);
        row.issued_ms = query_u64(&q, 11);
        row.ends_ms = query_u64(&q, 12);
        row.state = query_u32(&q, 13);
        r = query_check(&q);
        if (r == 0) /* others replace nothing but the state of a row they have */
            r = SHARE_PUT(e->o, COPY_HISTORY, true, share_CopyHistory, &row);
        if (r == 0)
            r = SHARE_PUT(e->o, COPY_HISTORY, false, share_CopyHistory, &row);
        if (r != 0)
            return r;
    }
    return r;
}

/* revoked: what partners' customers had through it is lost with it. */
static int withdraw_device(struct erasure *e, const struct id *client)
{
    share_ClientUser user = { .revoked = true };
    share_ClientCertificate certificate = share_ClientCertificate_init_zero;
    share_LeafClient leaf = share_LeafClient_init_zero;
    memcpy(user.client, client->bytes, ID_BYTES);
    memcpy(certificate.client, client->bytes, ID_BYTES);
    memcpy(leaf.client, client->bytes, ID_BYTES);
    int r = SHARE_PUT(e->o, CLIENT_USER, true, share_ClientUser, &user);
    if (r == 0)
        r = SHARE_PUT(e->o, CLIENT_CERTIFICATE, true, share_ClientCertificate, &certificate);
    return r == 0 ? SHARE_PUT(e->o, LEAF_CLIENT, true, share_LeafClient, &leaf) : r;
}

int erase_withdraw(struct erasure *e, struct reply *out)
{
    int r = links_remove_all(e->o, e->user, out);
    if (r == 0)
        r = take_all(e, ERASE_CONTENT, take_content);
    if (r == 0)
        r = take_all(e, ERASE_USER_LICENSE, take_license);
    if (r == 0)
        r = take_all(e, ERASE_HISTORY, take_history);
    for (size_t i = 0; r == 0 && i < e->client_count; i++)
        r = withdraw_device(e, &e->clients[i]);
    return r;
}
