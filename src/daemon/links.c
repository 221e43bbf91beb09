/* Linking the accounts of two distributors, so that their devices are one household. Source: design section 6.2. */
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "base/util.h"
#include "daemon/control.h"
#include "daemon/events.h"
#include "daemon/household.h"
#include "daemon/session.h"
#include "daemon/walk.h"

#define URL_SCHEME "hearth://"
#define LINK_TIMEOUT_MS 30000 /* two distributors talk */

struct linking {
    struct call *call;
    struct account *account; /* a reference */
    msg_Link link;
};

static struct linking *linking_new(struct daemon *d, struct call *c, const char *distributor)
{
    struct account *a;
    int r = account_resolve(d, distributor, &a);
    struct linking *l = r == 0 ? calloc(1, sizeof(*l)) : NULL;
    if (l == NULL) {
        call_refuse(c, r == 0 ? REASON_INTERNAL : reason_of_error(r),
                    r == REASON_AMBIGUOUS ? "This device has several distributors: name one of them." : NULL);
        return NULL;
    }
    l->call = c;
    l->account = account_ref(a);
    return l;
}

static void linking_end(struct linking *l, const msg_Refusal *refusal)
{
    if (refusal != NULL)
        call_refuse_as(l->call, refusal);
    else
        call_finish(l->call);
    account_unref(l->account);
    free(l);
}

static void linking_fail(struct linking *l, int error)
{
    msg_Refusal refusal;
    reason_refusal(&refusal, reason_of_error(error), NULL);
    linking_end(l, &refusal);
}

/* --- A code for the other side --- */

static void on_code(const struct answer *answer, void *ctx)
{
    struct linking *l = ctx;
    msg_LinkCode code;
    char id[ID_TEXT_BYTES];
    if (answer->why != REASON_NONE) {
        linking_end(l, answer->refusal);
        return;
    }
    if (CODEC_DECODE(msg_LinkCode, answer->frame->message, &code) != 0) {
        linking_fail(l, REASON_MALFORMED);
        return;
    }
    ctl_LinkCode row = { .ends_ms = code.ends_ms };
    id_text(l->account->distributor.bytes, id);
    (void)snprintf(row.url, sizeof(row.url), URL_SCHEME "%s#%s/%s",
                   code.address[0] != '\0' ? code.address : l->account->address, id, code.code);
    CALL_ROW(l->call, LINK_CODE, LinkCode, &row);
    linking_end(l, NULL);
}

void link_code_handle(struct daemon *d, struct call *c, const void *message)
{
    const ctl_LinkCodeGet *m = message;
    struct linking *l = linking_new(d, c, m->distributor);
    msg_LinkCodeGet get = msg_LinkCodeGet_init_zero;
    if (l == NULL)
        return;
    int r =
        session_call(l->account, &ASK(msg_Type_LINK_CODE_GET, msg_Type_LINK_CODE, msg_LinkCodeGet, &get), on_code, l);
    if (r != 0)
        linking_fail(l, r);
}

/* --- Using the other side's code --- */

/* hearth://HOST:PORT#DISTRIBUTOR-ID/CODE */
static bool parse_url(const char *url, msg_Link *out)
{
    char id_part[ID_TEXT_BYTES];
    struct id id;
    if (strncasecmp(url, URL_SCHEME, strlen(URL_SCHEME)) == 0)
        url += strlen(URL_SCHEME);
    size_t address_len = strcspn(url, "#");
    const char *fragment = url + address_len;
    if (address_len == 0 || address_len >= sizeof(out->address) || *fragment != '#')
        return false;
    const char *slash = strchr(++fragment, '/');
    if (slash == NULL || (size_t)(slash - fragment) != ID_TEXT_BYTES - 1)
        return false;
    size_t code_len = strlen(slash + 1);
    if (code_len == 0 || code_len >= sizeof(out->code))
        return false;
    memcpy(id_part, fragment, ID_TEXT_BYTES - 1);
    id_part[ID_TEXT_BYTES - 1] = '\0';
    if (id_parse(id_part, &id) != 0)
        return false;
    memcpy(out->address, url, address_len);
    out->address[address_len] = '\0';
    memcpy(out->distributor, id.bytes, ID_BYTES);
    memcpy(out->code, slash + 1, code_len + 1);
    return true;
}

static void on_linked(const struct answer *answer, void *ctx)
{
    struct linking *l = ctx;
    msg_Linked linked;
    if (answer->why != REASON_NONE) {
        linking_end(l, answer->refusal);
        return;
    }
    if (CODEC_DECODE(msg_Linked, answer->frame->message, &linked) != 0) {
        linking_fail(l, REASON_MALFORMED);
        return;
    }
    event(l->account->daemon, "linked", "the account at %s is linked with %s at %s", l->account->name, linked.user,
          linked.distributor_name);
    ctl_DistributorRow row = { .linked = true, .has_address = true };
    memcpy(row.distributor, l->link.distributor, ID_BYTES);
    CODEC_SET_TEXT(row.name, linked.distributor_name);
    CODEC_SET_TEXT(row.user, linked.user);
    CODEC_SET_TEXT(row.address, l->link.address);
    CALL_ROW(l->call, DISTRIBUTOR_ROW, DistributorRow, &row);
    linking_end(l, NULL);
}

void link_handle(struct daemon *d, struct call *c, const void *message)
{
    const ctl_Link *m = message;
    msg_Link link = msg_Link_init_zero;
    if (!parse_url(m->url, &link)) {
        call_refuse(c, REASON_MALFORMED,
                    "The URL is hearth://HOST:PORT#DISTRIBUTOR-ID/CODE, as hearth link prints it.");
        return;
    }
    struct linking *l = linking_new(d, c, m->distributor);
    if (l == NULL)
        return;
    l->link = link;
    struct ask ask = ASK(msg_Type_LINK, msg_Type_LINKED, msg_Link, &link);
    ask.timeout_ms = LINK_TIMEOUT_MS;
    int r = session_call(l->account, &ask, on_linked, l);
    if (r != 0)
        linking_fail(l, r);
}

/* --- Undoing it: whichever account has the link --- */

struct unlinking {
    struct walk walk;
    struct call *call;
    char text[64];
    unsigned found;
    struct account *account; /* that has it; a reference */
    struct id distributor;
    msg_Account answer;
};

static void on_links(const struct answer *answer, void *ctx)
{
    struct unlinking *u = ctx;
    if (answer->why != REASON_NONE) {
        walk_failed(&u->walk, answer);
        return;
    }
    if (CODEC_DECODE(msg_Account, answer->frame->message, &u->answer) != 0) {
        walk_error(&u->walk, REASON_MALFORMED);
        return;
    }
    for (pb_size_t i = 0; i < u->answer.links_count; i++) {
        const msg_AccountLink *link = &u->answer.links[i];
        if (strcasecmp(link->distributor_name, u->text) != 0 &&
            !(strlen(u->text) >= 4 && id_has_prefix(link->distributor, u->text)))
            continue;
        u->found++;
        u->distributor = id_from(link->distributor);
        account_unref(u->account);
        u->account = account_ref(u->walk.accounts[u->walk.index]);
    }
    walk_next(&u->walk);
}

static void visit_links(struct walk *w, struct account *a)
{
    msg_AccountGet get = msg_AccountGet_init_zero;
    int r = session_call(a, &ASK(msg_Type_ACCOUNT_GET, msg_Type_ACCOUNT, msg_AccountGet, &get), on_links, w);
    if (r != 0)
        walk_error(w, r);
}

static void unlinking_end(struct unlinking *u, const msg_Refusal *refusal)
{
    if (refusal != NULL)
        call_refuse_as(u->call, refusal);
    else
        call_finish(u->call);
    account_unref(u->account);
    free(u);
}

static void on_unlinked(const struct answer *answer, void *ctx)
{
    struct unlinking *u = ctx;
    if (answer->why == REASON_NONE)
        event(u->walk.daemon, "unlinked", "the account at %s is no longer linked with %s", u->account->name, u->text);
    unlinking_end(u, answer->refusal);
}

static void links_done(struct walk *w)
{
    struct unlinking *u = container_of(w, struct unlinking, walk);
    msg_Refusal refusal;
    if (u->found != 1) {
        enum reason why = u->found > 1 ? REASON_AMBIGUOUS : w->failure != REASON_NONE ? w->failure : REASON_NOT_FOUND;
        if (why == w->failure)
            refusal = w->refusal;
        else
            reason_refusal(&refusal, why,
                           u->found > 1 ? NULL : "No account is linked with such a distributor: hearth accounts");
        unlinking_end(u, &refusal);
        return;
    }
    msg_Unlink unlink;
    memcpy(unlink.distributor, u->distributor.bytes, ID_BYTES);
    struct ask ask = ASK(msg_Type_UNLINK, msg_Type_OK, msg_Unlink, &unlink);
    ask.timeout_ms = LINK_TIMEOUT_MS;
    int r = session_call(u->account, &ask, on_unlinked, u);
    if (r != 0) {
        reason_refusal(&refusal, reason_of_error(r), NULL);
        unlinking_end(u, &refusal);
    }
}

void unlink_handle(struct daemon *d, struct call *c, const void *message)
{
    const ctl_Unlink *m = message;
    struct unlinking *u = d->accounts != NULL ? calloc(1, sizeof(*u)) : NULL;
    if (u == NULL) {
        call_refuse(c, d->accounts == NULL ? REASON_NOT_REGISTERED : REASON_INTERNAL, NULL);
        return;
    }
    u->call = c;
    memcpy(u->text, m->distributor, sizeof(u->text));
    u->walk.visit = visit_links;
    u->walk.done = links_done;
    walk_start(&u->walk, d, NULL);
}
