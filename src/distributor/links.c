/* Stringing accounts together, and taking them apart. On the connection's thread.
 * Source: seed "the user IDs of a specific user are associated with each other (strung together)"; design section 6.2. */
#define LOG_MODULE "links"
#include "distributor/links.h"

#include <stdio.h>

#include "base/log.h"
#include "distributor/accounts.h"
#include "distributor/delegations.h"
#include "distributor/devices.h"
#include "distributor/handlers.h"
#include "distributor/link_rows.h"
#include "distributor/reply.h"
#include "distributor/roster.h"
#include "distributor/rows.h"
#include "distributor/share_rows.h"
#include "distributor/tokens.h"

#define LINK_LABEL "hearth link code"
#define CODE_LIFE_MS (10 * 60 * 1000)
#define LINKS_MAX 16 /* of one account: what ACCOUNT shows */

/* --- Rows -------------------------------------------------------------------------------------------------------- */

static int bind_and_run(struct operations *o, enum statement statement, const char *user, int64_t other,
                        const char *other_user)
{
    struct query q CLEANUP(query_end) = query(o->store, statement);
    query_bind_i64(&q, 1, OPERATIONS_SELF);
    query_bind_text(&q, 2, user);
    query_bind_i64(&q, 3, other);
    query_bind_text(&q, 4, other_user);
    return rows_run(&q);
}

static int share_link(struct operations *o, const char *user, int64_t other, const char *other_user, bool removed)
{
    share_Link row = share_Link_init_zero;
    struct id id;
    int r = operations_distributor_get(o, other, &id, NULL, 0);
    if (r != 0)
        return r;
    CODEC_SET_TEXT(row.user, user);
    memcpy(row.other, id.bytes, ID_BYTES);
    CODEC_SET_TEXT(row.other_user, other_user);
    return SHARE_PUT(o, LINK, removed, share_Link, &row);
}

int link_rows_add(struct operations *o, const char *user, int64_t other, const char *other_user)
{
    int r = bind_and_run(o, LINK_ADD, user, other, other_user);
    if (r != 0 || store_changed_count(o->store) == 0)
        return r;
    r = share_link(o, user, other, other_user, false);
    return r == 0 ? roster_touch(o, OPERATIONS_SELF, user) : r;
}

int link_rows_remove(struct operations *o, const char *user, int64_t other, const char *other_user)
{
    int r = roster_touch(o, OPERATIONS_SELF, user); /* while the household still hangs together */
    if (r == 0)
        r = bind_and_run(o, LINK_DELETE, user, other, other_user);
    if (r != 0 || store_changed_count(o->store) == 0)
        return r;
    return share_link(o, user, other, other_user, true);
}

static int judge_room(struct operations *o, const char *user)
{
    struct query q CLEANUP(query_end) = query(o->store, LINK_COUNT);
    query_bind_text(&q, 1, user);
    int r = rows_one(&q);
    if (r != 0)
        return r == OPERATIONS_ABSENT ? -EUCLEAN : r;
    int64_t count = query_i64(&q, 0);
    r = query_check(&q);
    return r == 0 && count >= LINKS_MAX ? REASON_TOO_LARGE : r;
}

/* --- Code -------------------------------------------------------------------------------------------------------- */

/* One code at a time: a newer one takes the older one's place. */
static int clear_codes(struct operations *o, const char *user)
{
    struct query q CLEANUP(query_end) = query(o->store, LINK_CODE_CLEAR);
    query_bind_text(&q, 1, user);
    return rows_run(&q);
}

int links_code_get(struct operations *o, const struct caller *who, struct slice message, struct slice tail,
                   struct reply *out)
{
    (void)tail;
    msg_LinkCodeGet m;
    struct device d;
    msg_LinkCode answer = { .ends_ms = (uint64_t)who->now_ms + CODE_LIFE_MS };
    int r = REQUEST_DECODE(message, msg_LinkCodeGet, &m);
    if (r == 0)
        r = devices_caller(o, who, &d);
    if (r == 0)
        r = operations_setting(o, "address", answer.address, sizeof(answer.address));
    if (r == 0 && answer.address[0] == '\0')
        r = operations_setting(o, "listen", answer.address, sizeof(answer.address));
    if (r != 0)
        return r;
    r = clear_codes(o, d.user);
    if (r != 0)
        return r;
    char code[ACCOUNTS_INVITE_BYTES];
    uint8_t hash[32];
    accounts_code_new(o, LINK_LABEL, code, hash);
    CODEC_SET_TEXT(answer.code, code);
    struct query q CLEANUP(query_end) = query(o->store, LINK_CODE_ADD);
    query_bind_blob(&q, 1, SLICE_ARRAY(hash));
    query_bind_text(&q, 2, d.user);
    query_bind_u64(&q, 3, answer.ends_ms);
    r = rows_run(&q);
    return r == 0 ? REPLY(out, LINK_CODE, msg_LinkCode, &answer) : r;
}

static int take_code(struct operations *o, const char *code, int64_t now_ms, char user[OPERATIONS_NAME_BYTES])
{
    uint8_t hash[32];
    accounts_code_hash(LINK_LABEL, code, hash);
    struct query q CLEANUP(query_end) = query(o->store, LINK_CODE_TAKE);
    query_bind_blob(&q, 1, SLICE_ARRAY(hash));
    query_bind_i64(&q, 2, now_ms);
    int r = rows_one(&q);
    if (r != 0)
        return r == OPERATIONS_ABSENT ? REASON_BAD_CREDENTIALS : r;
    query_text(&q, 0, user, OPERATIONS_NAME_BYTES);
    return query_check(&q);
}

/* The partner's user brought our user's code: that proves both. */
int links_partner_link(struct operations *o, const struct caller *who, struct slice message, struct slice tail,
                       struct reply *out)
{
    (void)tail;
    msg_PartnerLink m;
    struct partner p;
    msg_PartnerLinked answer = msg_PartnerLinked_init_zero;
    int r = REQUEST_DECODE(message, msg_PartnerLink, &m);
    if (r == 0 && m.user[0] == '\0')
        r = REASON_MALFORMED;
    if (r == 0)
        r = delegations_partner_find(o, &who->partner, &p);
    if (r == OPERATIONS_ABSENT || (r == 0 && p.withdrawn))
        return REASON_UNKNOWN_DISTRIBUTOR;
    if (r == 0)
        r = take_code(o, m.code, who->now_ms, answer.user);
    if (r == REASON_BAD_CREDENTIALS)
        return reply_refuse(out, r, "The link code is wrong, used or over. Ask for a new one.");
    if (r == 0)
        r = judge_room(o, answer.user);
    if (r == 0)
        r = link_rows_add(o, answer.user, p.number, m.user);
    return r == 0 ? REPLY(out, PARTNER_LINKED, msg_PartnerLinked, &answer) : r;
}

/* --- LINK in two halves ------------------------------------------------------------------------------------------ */

int links_begin(struct operations *o, const struct caller *who, struct slice message, struct links_half *out,
                struct reply *reply)
{
    msg_Link m;
    struct device d;
    struct partner p;
    int r = REQUEST_DECODE(message, msg_Link, &m);
    if (r == 0)
        r = devices_caller(o, who, &d);
    if (r == 0)
        r = tokens_judge(o, who, reply);
    if (r != 0)
        return r;
    struct id id = id_from(m.distributor);
    if (id_equal(&id, &o->keys->self))
        return reply_refuse(reply, REASON_MALFORMED, "That code is of this very distributor; links are between two.");
    r = delegations_partner_find(o, &id, &p);
    if (r == OPERATIONS_ABSENT || (r == 0 && p.withdrawn))
        return reply_refuse(reply, REASON_UNKNOWN_DISTRIBUTOR, "%s has no agreement with that distributor.", o->name);
    if (r == 0)
        r = judge_room(o, d.user);
    if (r == 0 && p.address[0] == '\0') /* never the one a device names: we would knock wherever it points us */
        r = reply_refuse(reply, REASON_OFFLINE, "%s knows no address of that distributor; its operator adds it.",
                         o->name);
    if (r != 0)
        return r;
    *out = (struct links_half){ .partner = id };
    snprintf(out->address, sizeof(out->address), "%s", p.address);
    snprintf(out->code, sizeof(out->code), "%s", m.code);
    snprintf(out->user, sizeof(out->user), "%s", d.user);
    return 0;
}

int links_store(struct operations *o, const struct links_half *half, const char *partner_user, int64_t now_ms,
                struct reply *reply)
{
    (void)now_ms;
    struct partner p;
    int r = delegations_partner_find(o, &half->partner, &p);
    if (r == OPERATIONS_ABSENT)
        return REASON_UNKNOWN_DISTRIBUTOR;
    if (r == 0)
        r = link_rows_add(o, half->user, p.number, partner_user);
    if (r != 0)
        return r;
    msg_Linked answer = msg_Linked_init_zero;
    CODEC_SET_TEXT(answer.user, partner_user);
    CODEC_SET_TEXT(answer.distributor_name, p.name);
    return REPLY(reply, LINKED, msg_Linked, &answer);
}

/* --- Taking apart ------------------------------------------------------------------------------------------------ */

/* The next link of user to this distributor; *other_user is where to go on. */
static int next_link(struct operations *o, const char *user, int64_t number, char other_user[OPERATIONS_NAME_BYTES])
{
    struct query q CLEANUP(query_end) = query(o->store, LINK_NEXT);
    query_bind_text(&q, 1, user);
    query_bind_i64(&q, 2, number);
    query_bind_text(&q, 3, other_user);
    int r = rows_one(&q);
    if (r != 0)
        return r;
    if (query_i64(&q, 0) != number)
        return OPERATIONS_ABSENT;
    query_text(&q, 1, other_user, OPERATIONS_NAME_BYTES);
    return query_check(&q);
}

int links_unlink(struct operations *o, const struct caller *who, struct slice message, struct slice tail,
                 struct reply *out)
{
    (void)tail;
    msg_Unlink m;
    struct device d;
    int64_t number = 0;
    int r = REQUEST_DECODE(message, msg_Unlink, &m);
    struct id id = id_from(m.distributor);
    if (r == 0)
        r = devices_caller(o, who, &d);
    if (r == 0)
        r = operations_distributor(o, &id, &number);
    char other_user[OPERATIONS_NAME_BYTES] = "";
    out->unlinked_count = 0;
    while (r == 0 && (r = next_link(o, d.user, number, other_user)) == 0) {
        r = link_rows_remove(o, d.user, number, other_user);
        if (r == 0 && out->unlinked_count < REQUESTS_UNLINKED_MAX) {
            struct reply_unlinked *u = &out->unlinked[out->unlinked_count++];
            u->partner = id;
            snprintf(u->user, sizeof(u->user), "%s", d.user);
            snprintf(u->partner_user, sizeof(u->partner_user), "%s", other_user);
        }
    }
    if (r == OPERATIONS_ABSENT)
        r = out->unlinked_count > 0 ? 0 : REASON_NOT_FOUND;
    return r == 0 ? reply_ok(out) : r;
}

int links_remove_all(struct operations *o, const char *user, struct reply *out)
{
    for (;;) {
        struct reply_unlinked u;
        int64_t other;
        {
            struct query q CLEANUP(query_end) = query(o->store, LINK_NEXT);
            query_bind_text(&q, 1, user);
            query_bind_i64(&q, 2, 0);
            query_bind_text(&q, 3, "");
            int r = rows_one(&q);
            if (r != 0)
                return r == OPERATIONS_ABSENT ? 0 : r;
            other = query_i64(&q, 0);
            query_text(&q, 1, u.partner_user, sizeof(u.partner_user));
            query_fixed(&q, 2, u.partner.bytes, ID_BYTES);
            r = query_check(&q);
            if (r != 0)
                return r;
        }
        int r = link_rows_remove(o, user, other, u.partner_user);
        if (r != 0)
            return r;
        snprintf(u.user, sizeof(u.user), "%s", user);
        if (out != NULL && out->unlinked_count < REQUESTS_UNLINKED_MAX)
            out->unlinked[out->unlinked_count++] = u;
    }
}

/* The partner's user, seen from there, took the link apart. */
int links_partner_unlink(struct operations *o, const struct caller *who, struct slice message, struct slice tail,
                         struct reply *out)
{
    (void)tail;
    msg_PartnerUnlink m;
    int64_t number;
    int r = REQUEST_DECODE(message, msg_PartnerUnlink, &m);
    if (r == 0)
        r = operations_distributor(o, &who->partner, &number);
    if (r == OPERATIONS_ABSENT)
        return REASON_UNKNOWN_DISTRIBUTOR;
    if (r == 0)
        r = link_rows_remove(o, m.partner_user, number, m.user);
    return r == 0 ? reply_ok(out) : r;
}
