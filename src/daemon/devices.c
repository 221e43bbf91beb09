/* devices: this one and its siblings; their names, addresses, and removing one. */
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "base/util.h"
#include "daemon/control.h"
#include "daemon/events.h"
#include "daemon/household.h"
#include "daemon/session.h"
#include "daemon/siblings.h"
#include "net/address.h"

#define DIAL_TIMEOUT_MS 10000

/* What the rosters say about this device; the distributor's own roster first. NULL: nothing. */
static const doc_RosterDevice *find_self(struct daemon *d, struct account **account)
{
    for (struct account *a = d->accounts; a != NULL; a = a->next) {
        const doc_RosterDevice *device = a->roster == NULL ? NULL : roster_find(a->roster, &d->self);
        if (device != NULL) {
            *account = a;
            return device;
        }
    }
    return NULL;
}

static void self_row(struct daemon *d, ctl_DeviceRow *row)
{
    struct account *a;
    const doc_RosterDevice *device = find_self(d, &a);
    *row = (ctl_DeviceRow){ .online = true, .self = true };
    memcpy(row->client, d->self.bytes, ID_BYTES);
    CODEC_SET_TEXT(row->name, device != NULL ? device->name : d->config.name);
    if (device != NULL) {
        memcpy(row->distributor, device->distributor, ID_BYTES);
        CODEC_SET_TEXT(row->distributor_name, device->distributor_name);
    } else if (d->accounts != NULL) {
        memcpy(row->distributor, d->accounts->distributor.bytes, ID_BYTES);
        CODEC_SET_TEXT(row->distributor_name, d->accounts->name);
    }
}

static void sibling_row(const struct sibling *s, ctl_DeviceRow *row)
{
    *row = (ctl_DeviceRow){ .online = sibling_is_online(s), .has_address = s->address[0] != '\0' };
    memcpy(row->client, s->client.bytes, ID_BYTES);
    memcpy(row->distributor, s->distributor.bytes, ID_BYTES);
    CODEC_SET_TEXT(row->name, s->name);
    CODEC_SET_TEXT(row->distributor_name, s->distributor_name);
    CODEC_SET_TEXT(row->address, s->address);
}

void devices_handle(struct daemon *d, struct call *c, const void *message)
{
    ctl_DeviceRow row;
    (void)message;
    self_row(d, &row);
    CALL_ROW(c, DEVICE_ROW, DeviceRow, &row);
    for (size_t i = 0; i < siblings_count(d); i++) {
        sibling_row(siblings_at(d, i), &row);
        CALL_ROW(c, DEVICE_ROW, DeviceRow, &row);
    }
    call_finish(c);
}

/* --- Changing a device at its distributor --- */

static bool is_self(struct daemon *d, const char *text, struct id *client, struct account **account)
{
    struct account *a = d->accounts;
    const doc_RosterDevice *device = find_self(d, &a);
    if (strcasecmp(device != NULL ? device->name : d->config.name, text) != 0 &&
        !(strlen(text) >= 4 && id_has_prefix(d->self.bytes, text)))
        return false;
    *client = d->self;
    *account = a;
    return true;
}

#define UNKNOWN_BYTES 160
static const char *unknown(const char *text, char out[UNKNOWN_BYTES])
{
    (void)snprintf(out, UNKNOWN_BYTES, "No device of the household is called %.64s: hearth devices lists them.", text);
    return out;
}

/* Which device, and whose word counts for it: its own distributor, or one that is linked with it. */
static int find_device(struct daemon *d, const char *text, struct id *client, struct account **account)
{
    struct sibling *s;
    int r = siblings_resolve(d, text, &s);
    bool self = is_self(d, text, client, account);
    if (r == 0 && self)
        return REASON_AMBIGUOUS;
    if (self)
        return *account == NULL ? REASON_NOT_REGISTERED : 0;
    if (r != 0)
        return r;
    struct account *own = account_find(d, s->distributor.bytes);
    *client = s->client;
    *account = own != NULL ? own : s->account;
    return 0;
}

static void on_changed(const struct answer *answer, void *ctx)
{
    struct call *c = ctx;
    if (answer->why != REASON_NONE)
        call_refuse_as(c, answer->refusal);
    else
        call_finish(c); /* the distributor pushes the new roster */
}

struct self_removal {
    struct call *call;
    struct account *account; /* a reference */
};

/* Does another device have this name? Two of one name could not be told apart. */
static bool name_is_taken(struct daemon *d, const char *name, const struct id *client)
{
    for (size_t i = 0; i < siblings_count(d); i++)
        if (strcasecmp(siblings_at(d, i)->name, name) == 0 && !id_equal(siblings_at(d, i)->client.bytes, client->bytes))
            return true;
    return strcasecmp(siblings_own_name(d), name) == 0 && !id_equal(d->self.bytes, client->bytes);
}

void device_rename_handle(struct daemon *d, struct call *c, const void *message)
{
    const ctl_DeviceRename *m = message;
    msg_DeviceRename rename = msg_DeviceRename_init_zero;
    struct id client;
    struct account *a;
    const char *detail = NULL;
    char text[UNKNOWN_BYTES];
    int r = find_device(d, m->device, &client, &a);
    if (r == REASON_NOT_FOUND)
        detail = unknown(m->device, text);
    if (r == 0 && m->name[0] == '\0') {
        r = REASON_NOT_PERMITTED;
        detail = "A device needs a name that is not empty.";
    } else if (r == 0 && name_is_taken(d, m->name, &client)) {
        r = REASON_AMBIGUOUS;
        detail = "Another device of the household has this name: hearth devices";
    }
    if (r == 0) {
        memcpy(rename.client, client.bytes, ID_BYTES);
        CODEC_SET_TEXT(rename.name, m->name);
        r = session_call(a, &ASK(msg_Type_DEVICE_RENAME, msg_Type_OK, msg_DeviceRename, &rename), on_changed, c);
    }
    if (r != 0)
        call_refuse(c, reason_of_error(r), detail);
}

static void on_self_removed(const struct answer *answer, void *ctx)
{
    struct self_removal removal = *(struct self_removal *)ctx;
    free(ctx);
    if (answer->why == REASON_NONE && removal.account->session != NULL)
        session_forgotten(removal.account->session); /* it says so itself with the next roster, too */
    account_unref(removal.account);
    on_changed(answer, removal.call);
}

/* This device itself, by its own distributor. */
static int remove_self(struct call *c, struct account *a, const struct ask *ask)
{
    struct self_removal *removal = malloc(sizeof(*removal));
    if (removal == NULL)
        return -ENOMEM;
    *removal = (struct self_removal){ c, account_ref(a) };
    int r = session_call(a, ask, on_self_removed, removal);
    if (r != 0) {
        account_unref(a);
        free(removal);
    }
    return r;
}

void device_remove_handle(struct daemon *d, struct call *c, const void *message)
{
    const ctl_DeviceRemove *m = message;
    msg_DeviceRemove removal = msg_DeviceRemove_init_zero;
    struct id client;
    struct account *a;
    int r = find_device(d, m->device, &client, &a);
    if (r == 0) {
        memcpy(removal.client, client.bytes, ID_BYTES);
        struct ask ask = ASK(msg_Type_DEVICE_REMOVE, msg_Type_OK, msg_DeviceRemove, &removal);
        const doc_RosterDevice *device = a->roster == NULL ? NULL : roster_find(a->roster, &client);
        bool own = id_equal(client.bytes, d->self.bytes) && device != NULL &&
                   id_equal(device->distributor, a->distributor.bytes);
        r = own ? remove_self(c, a, &ask) : session_call(a, &ask, on_changed, c);
    }
    char text[UNKNOWN_BYTES];
    if (r != 0)
        call_refuse(c, reason_of_error(r), r == REASON_NOT_FOUND ? unknown(m->device, text) : NULL);
}

/* --- An address by hand: who answers there must be of the household --- */

struct visit {
    struct daemon *daemon;
    struct call *call;
    struct peer *peer;
    char address[128];
    enum reason why;
    bool found;
    struct id client;
};

static void on_visit_open(struct peer *p, void *ctx)
{
    struct visit *v = ctx;
    v->client = *peer_id(p);
    v->found = siblings_find(v->daemon, v->client.bytes) != NULL;
    v->why = v->found ? REASON_NONE : REASON_NOT_OWNED;
    peer_close(p, REASON_NONE);
}

static void on_visit_frame(struct peer *p, const struct frame *f, void *ctx)
{
    (void)p;
    (void)f;
    (void)ctx;
}

/* Nothing is said to be done that is not kept. */
static void on_address_kept(int outcome, void *ctx)
{
    struct visit *v = ctx;
    const struct sibling *s = siblings_find(v->daemon, v->client.bytes);
    if (outcome != 0) {
        call_refuse(v->call, reason_of_error(outcome), "The address could not be kept.");
    } else {
        ctl_DeviceRow row;
        if (s != NULL) {
            sibling_row(s, &row);
            CODEC_SET_TEXT(row.address, v->address);
            CALL_ROW(v->call, DEVICE_ROW, DeviceRow, &row);
        }
        call_finish(v->call);
    }
    free(v);
}

static void refuse_visit(const struct visit *v, enum reason why)
{
    msg_Refusal refusal;
    char text[192];
    (void)snprintf(text, sizeof(text),
                   why == REASON_NOT_OWNED ? "What answers at %s is no device of the household."
                                           : "%s does not answer.",
                   v->address);
    reason_refusal(&refusal, why, text);
    refusal.has_remedy = true;
    CODEC_SET_TEXT(
        refusal.remedy,
        why == REASON_NOT_OWNED
            ? "hearth devices lists them; one of another account is linked first (hearth link)."
            : "Is that device on, is this its port (hearth status there), and does its firewall let it through?");
    call_refuse_as(v->call, &refusal);
}

static void on_visit_closed(struct peer *p, enum reason why, void *ctx)
{
    struct visit *v = ctx;
    bool found = v->found && siblings_find(v->daemon, v->client.bytes) != NULL;
    (void)p;
    if (found) {
        int r = siblings_set_address(v->daemon, &v->client, v->address, on_address_kept, v);
        if (r != 0)
            on_address_kept(r, v);
        return;
    }
    if (why == REASON_NOT_FOUND)
        call_refuse(v->call, REASON_NOT_FOUND, "There is no such host.");
    else
        refuse_visit(v, v->why != REASON_NONE ? v->why : why != REASON_NONE ? why : REASON_OFFLINE);
    free(v);
}

void device_address_handle(struct daemon *d, struct call *c, const void *message)
{
    static const struct peer_callbacks callbacks = { .on_open = on_visit_open,
                                                     .on_frame = on_visit_frame,
                                                     .on_closed = on_visit_closed };
    const ctl_DeviceAddress *m = message;
    char host[ADDRESS_HOST_BYTES];
    uint16_t port;
    if (address_parse(m->address, host, &port) != 0) {
        call_refuse(c, REASON_NOT_FOUND,
                    "That is no address; it must be HOST:PORT. The port: hearth status on that device.");
        return;
    }
    struct visit *v = calloc(1, sizeof(*v));
    if (v == NULL) {
        call_refuse(c, REASON_INTERNAL, NULL);
        return;
    }
    v->daemon = d;
    v->call = c;
    memcpy(v->address, m->address, sizeof(v->address));
    int r = peer_dial(&v->peer, d->loop, d->identity, m->address, NULL, DIAL_TIMEOUT_MS, &callbacks, v);
    if (r != 0) {
        call_refuse(c, reason_of_error(r), NULL);
        free(v);
    }
}
