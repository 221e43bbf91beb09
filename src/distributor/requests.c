/* From the type of a request to its handler, and the shapes of answers. On the connection's thread. */
#include "distributor/requests.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/util.h"
#include "distributor/accounts.h"
#include "distributor/copy_queue.h"
#include "distributor/devices.h"
#include "distributor/handlers.h"
#include "distributor/reply.h"
#include "distributor/rows.h"
#include "distributor/tokens.h"

/* Largest message is BILLS; largest tail a transaction's 256 results. */
#define MESSAGE_MAX (24 * 1024)
#define TAIL_MAX (1024 * 1024 + 4096)

struct kind {
    uint16_t type;
    enum requests_role role;
    bool read_only;
    int (*run)(struct operations *o, const struct caller *who, struct slice message, struct slice tail,
               struct reply *out);
};

static const struct kind kinds[] = {
    { msg_Type_HELLO, REQUESTS_DEVICE, false, accounts_hello },
    { msg_Type_REGISTER, REQUESTS_DEVICE, false, accounts_register },
    { msg_Type_LOGIN_PROVE, REQUESTS_DEVICE, false, tokens_prove },
    { msg_Type_LOGIN, REQUESTS_DEVICE, false, tokens_login },
    { msg_Type_LOGOUT, REQUESTS_DEVICE, false, tokens_logout },
    { msg_Type_PASSWORD_SET, REQUESTS_DEVICE, false, tokens_password_set },
    { msg_Type_ACCOUNT_ERASE, REQUESTS_DEVICE, false, erase_request },
    { msg_Type_ACCOUNT_EXPORT, REQUESTS_DEVICE, true, person_export },
    { msg_Type_LIMIT_SET, REQUESTS_DEVICE, false, spending_set },
    { msg_Type_UNLOCK_SPENDING, REQUESTS_DEVICE, false, spending_unlock },
    { msg_Type_UNREGISTER, REQUESTS_DEVICE, false, accounts_unregister },
    { msg_Type_DEVICE_RENAME, REQUESTS_DEVICE, false, devices_rename },
    { msg_Type_DEVICE_REMOVE, REQUESTS_DEVICE, false, devices_remove },
    { msg_Type_ROSTER_GET, REQUESTS_DEVICE, false, roster_get },
    { msg_Type_LINK_CODE_GET, REQUESTS_DEVICE, false, links_code_get },
    { msg_Type_UNLINK, REQUESTS_DEVICE, false, links_unlink },
    { msg_Type_ACCOUNT_GET, REQUESTS_DEVICE, true, accounts_get },
    { msg_Type_BILLS_GET, REQUESTS_DEVICE, true, billing_bills_get },
    { msg_Type_CATALOGUE_GET, REQUESTS_DEVICE, true, catalogue_get },
    { msg_Type_QUOTE_GET, REQUESTS_DEVICE, true, quotes_get },
    { msg_Type_TERMS_GET, REQUESTS_DEVICE, true, terms_get },
    { msg_Type_HEADER_GET, REQUESTS_DEVICE, false, license_issue_header },
    { msg_Type_RESTORABLE_GET, REQUESTS_DEVICE, true, restore_list },
    { msg_Type_AUTO_COPY, REQUESTS_DEVICE, false, copy_queue_switch },
    { msg_Type_QUEUED_GET, REQUESTS_DEVICE, true, copy_queue_list },
    { msg_Type_QUEUED_DONE, REQUESTS_DEVICE, false, copy_queue_done },
    { msg_Type_PRESENT, REQUESTS_DEVICE, false, standings_present },
    { msg_Type_CATCH_UP_GET, REQUESTS_DEVICE, true, catch_up_get },
    { msg_Type_TRANSACT, REQUESTS_DEVICE, false, transact_run },
    { msg_Type_COMMIT, REQUESTS_DEVICE, false, transact_commit },
    { msg_Type_REDEEM, REQUESTS_DEVICE, false, copies_redeem },
    { msg_Type_REDEEMS, REQUESTS_DEVICE, false, copies_redeem_all },
    { msg_Type_MOVE_DONE, REQUESTS_DEVICE, false, copies_move_done },
    { msg_Type_MOVE_CANCEL, REQUESTS_DEVICE, false, copies_move_cancel },
    { msg_Type_USE_LOG, REQUESTS_DEVICE, false, use_log_take },
    { msg_Type_ADDRESS_GET, REQUESTS_DEVICE, true, delegations_address },
    { msg_Type_PLACES_GET, REQUESTS_DEVICE, true, places_get },
    { msg_Type_BODIES_GET, REQUESTS_CONTENTS, true, places_bodies_get },
    { msg_Type_PROGRAMS_GET, REQUESTS_DEVICE, true, programs_list },
    { msg_Type_PROGRAM_GET, REQUESTS_DEVICE, false, programs_get },
    { msg_Type_PROGRAM_BLOCKS_GET, REQUESTS_DEVICE, true, programs_blocks },
    { msg_Type_DELEGATION_GET, REQUESTS_DISTRIBUTOR, false, delegations_get },
    { msg_Type_GRANT_GET, REQUESTS_DISTRIBUTOR, true, delegations_grant_get },
    { msg_Type_PARTNER_LINK, REQUESTS_DISTRIBUTOR, false, links_partner_link },
    { msg_Type_PARTNER_UNLINK, REQUESTS_DISTRIBUTOR, false, links_partner_unlink },
    { msg_Type_ROWS_GET, REQUESTS_DISTRIBUTOR, true, share_rows_get },
};

static const struct kind *kind_of(uint16_t type)
{
    for (size_t i = 0; i < ARRAY_COUNT(kinds); i++)
        if (kinds[i].type == type)
            return &kinds[i];
    return NULL;
}

bool requests_is_read_only(uint16_t type)
{
    const struct kind *k = kind_of(type);
    return k && k->read_only;
}

/* A device that was removed may say hello and register again, nothing else: not even look around. */
static int judge_removed(struct operations *o, const struct caller *who, uint16_t type)
{
    struct device d;
    if (who->role != REQUESTS_DEVICE || type == msg_Type_HELLO || type == msg_Type_REGISTER)
        return 0;
    int r = devices_find_own(o, &who->client, &d);
    if (r == OPERATIONS_ABSENT)
        return 0;
    return r == 0 && d.revoked ? REASON_DEVICE_REVOKED : r;
}

/* Changes of the account. A transaction is judged by transact.c: the answer to one that ran before is nobody's to refuse. LINK: links.c.
 * Source: seed S61, S113. */
static bool needs_login(uint16_t type)
{
    return type == msg_Type_DEVICE_RENAME || type == msg_Type_DEVICE_REMOVE || type == msg_Type_LINK_CODE_GET ||
           type == msg_Type_UNLINK || type == msg_Type_LIMIT_SET || type == msg_Type_AUTO_COPY ||
           type == msg_Type_ACCOUNT_EXPORT;
}

int requests_run(struct operations *o, const struct caller *who, uint16_t type, struct slice message, struct slice tail,
                 struct reply *out)
{
    const struct kind *k = kind_of(type);
    if (!k || k->role != who->role)
        return REASON_NOT_PERMITTED;
    if (tail.len > 0 && type != msg_Type_TRANSACT && type != msg_Type_REDEEMS &&
        type != msg_Type_USE_LOG) /* nobody else has a tail */
        return REASON_MALFORMED;
    int r = judge_removed(o, who, type);
    if (r == 0 && needs_login(type))
        r = tokens_judge(o, who, out);
    if (r != 0)
        return r;
    o->asking = who;
    r = k->run(o, who, message, tail, out);
    o->asking = NULL;
    return r;
}

int requests_password_hash(struct operations *o, const char *user, const struct id *client, char *out, size_t cap,
                           bool *registered)
{
    char hash[PASSWORD_HASH_BYTES] = "";
    struct query q CLEANUP(query_end) = query(o->store, PASSWORD_GET);
    query_bind_text(&q, 1, user);
    int r = rows_one(&q);
    if (r == 0) {
        query_text(&q, 0, hash, sizeof(hash));
        r = query_check(&q);
    }
    if (r < 0)
        return r;
    struct device device;
    r = devices_find_own(o, client, &device);
    if (r < 0)
        return r;
    *registered = r == 0 && !device.revoked && strcmp(device.user, user) == 0;
    snprintf(out, cap, "%s", hash);
    return 0;
}

int requests_user_of(struct operations *o, const struct id *client, char user[OPERATIONS_NAME_BYTES])
{
    struct device device;
    user[0] = '\0';
    int r = devices_find(o, client, &device);
    if (r != 0 || device.revoked)
        return r < 0 ? r : 0;
    if (device.distributor != OPERATIONS_SELF)
        return accounts_of_guest(o, &device, user);
    snprintf(user, OPERATIONS_NAME_BYTES, "%s", device.user);
    return 0;
}

/* --- Answers ----------------------------------------------------------------------------------------------------- */

void reply_init(struct reply *r) { *r = (struct reply){ .message = buf(MESSAGE_MAX), .tail = buf(TAIL_MAX) }; }

void reply_free(struct reply *r)
{
    buf_free(&r->message);
    buf_free(&r->tail);
}

int reply_set(struct reply *r, uint16_t type, const pb_msgdesc_t *fields, const void *message)
{
    buf_clear(&r->message);
    int outcome = codec_encode(&r->message, fields, message);
    if (outcome == 0)
        r->type = type;
    return outcome > 0 ? -EMSGSIZE : outcome;
}

int reply_ok(struct reply *r)
{
    msg_Ok ok = msg_Ok_init_zero;
    return REPLY(r, OK, msg_Ok, &ok);
}

int reply_refuse(struct reply *r, enum reason reason, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(r->detail, sizeof(r->detail), format, arguments);
    va_end(arguments);
    return reason;
}

int request_decode(const pb_msgdesc_t *fields, size_t max_bytes, struct slice bytes, void *out, size_t size)
{
    int r = codec_decode(fields, max_bytes, bytes, out, size);
    return r > 0 ? REASON_MALFORMED : r;
}
