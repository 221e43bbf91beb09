/* doctor: every part this device depends on, tested one after the other, with what to do about it.
 *
 * Each check ends in verdict() once for each of its rows, and then in next(). */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/text.h"
#include "base/util.h"
#include "daemon/control.h"
#include "daemon/db.h"
#include "daemon/library.h"
#include "daemon/outputs.h"
#include "daemon/session.h"
#include "daemon/siblings.h"
#include "daemon/status.h"
#include "daemon/vault_client.h"
#include "daemon/walk.h"
#include "net/discovery.h"
#include "net/heard.h"

#define PATIENCE_MS 5000 /* people wait */

struct doctor {
    struct walk walk; /* distributors */
    struct daemon *daemon;
    struct call *call;
    unsigned step;
    size_t sibling;
    struct later_item later;
    unsigned outputs;
    bool vault_is_silent; /* what takes the vault is not tried: each would wait, and be blamed for it */
};

static void next(struct doctor *doc);

static void verdict(struct doctor *doc, const char *name, uint32_t verdict, const char *remedy, const char *format, ...)
    PRINTF_LIKE(5, 6);

static void verdict(struct doctor *doc, const char *name, uint32_t how, const char *remedy, const char *format, ...)
{
    ctl_CheckRow row = { .verdict = how, .has_remedy = remedy != NULL };
    char text[256], safe[256];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    CODEC_SET_TEXT(row.name, name);
    CODEC_SET_TEXT(row.text, text_safe(text, safe, sizeof(safe)));
    CODEC_SET_TEXT(row.remedy, remedy != NULL ? remedy : "");
    CALL_ROW(doc->call, CHECK_ROW, CheckRow, &row);
}

/* --- The vault --- */

static void on_asked(const struct answer *answer, void *ctx)
{
    struct doctor *doc = ctx;
    uint32_t restarts = doc->daemon->vault == NULL ? 0 : vault_restarts(doc->daemon->vault);
    doc->vault_is_silent = answer->why != REASON_NONE && answer->why != REASON_VAULT_ALTERED;
    if (answer->why == REASON_VAULT_ALTERED)
        verdict(doc, "vault", DOCTOR_BAD, reason_remedy(answer->why), "%s", reason_text(answer->why));
    else if (answer->why != REASON_NONE)
        verdict(doc, "vault", DOCTOR_BAD, "Restart hearthd and read its log.", "The vault does not answer.");
    else if (restarts > 0)
        verdict(doc, "vault", DOCTOR_LOOK, "Read hearthd's log: it says why.",
                restarts == 1 ? "The vault answers, and was started again once."
                              : "The vault answers, and was started again %u times.",
                (unsigned)restarts);
    else
        verdict(doc, "vault", DOCTOR_GOOD, NULL, "The vault answers.");
    next(doc);
}

static void check_vault(struct doctor *doc)
{
    vlt_DistributorsGet get = vlt_DistributorsGet_init_zero; /* something that stands in its database */
    struct ask ask = ASK(vlt_Type_DISTRIBUTORS_GET, vlt_Type_DISTRIBUTORS, vlt_DistributorsGet, &get);
    ask.timeout_ms = PATIENCE_MS;
    if (vault_call(doc->daemon->vault, &ask, on_asked, doc) == 0)
        return;
    doc->vault_is_silent = true;
    verdict(doc, "vault", DOCTOR_BAD, NULL, "The vault cannot be asked.");
    next(doc);
}

static void check_keys(struct doctor *doc)
{
    char text[DOCTOR_TEXT_BYTES];
    const char *remedy = doctor_keys(doc->daemon, text);
    verdict(doc, "keys", remedy == NULL ? DOCTOR_GOOD : DOCTOR_BAD, remedy, "%s", text);
    next(doc);
}

static void check_confinement(struct doctor *doc)
{
    if (doc->daemon->is_confined)
        verdict(doc, "confinement", DOCTOR_GOOD, NULL,
                "hearthd is confined to its own directories, the network and what its helpers permit.");
    else
        verdict(doc, "confinement", DOCTOR_LOOK, "Read hearthd's log: it says what this kernel or this build has not.",
                "hearthd is confined in part.");
    next(doc);
}

/* --- Clock, storage, network --- */

static void on_time(void *ctx)
{
    struct doctor *doc = ctx;
    struct doctor_verdict v;
    doctor_clock(doc->daemon, &v);
    verdict(doc, "clock", v.how, v.remedy, "%s", v.text);
    next(doc);
}

/* As it is now: somebody may have set the clock. */
static void check_clock(struct doctor *doc)
{
    if (doc->vault_is_silent)
        next(doc);
    else if (device_time_refresh(doc->daemon, on_time, doc) != 0)
        on_time(doc);
}

/* A row for each distributor that has noticed. */
static void check_copy(struct doctor *doc)
{
    for (struct account *a = doc->daemon->accounts; a != NULL; a = a->next)
        if (a->registered && session_vault_is_behind(a->session))
            verdict(
                doc, "vault copy", DOCTOR_BAD,
                "Look at its log, and let the device connect to it again: hearth accounts",
                "The vault is an older copy of itself and has not caught up: counted licenses sleep, no copy is accepted.");
    next(doc);
}

static void check_storage(struct doctor *doc)
{
    struct statvfs fs;
    const char *dir = doc->daemon->config.state_dir;
    if (statvfs(dir, &fs) != 0 || access(dir, W_OK) != 0) {
        verdict(doc, "storage", DOCTOR_BAD, "Check the state directory's owner and mount.", "%s cannot be written.",
                dir);
        next(doc);
        return;
    }
    uint64_t free_mib = (uint64_t)fs.f_bavail * fs.f_frsize >> 20;
    char free_text[32];
    if (free_mib < 10240)
        (void)snprintf(free_text, sizeof(free_text), "%llu MiB", (unsigned long long)free_mib);
    else
        (void)snprintf(free_text, sizeof(free_text), "%.1f GiB", (double)free_mib / 1024);
    verdict(doc, "storage",
            free_mib < 64     ? DOCTOR_BAD
            : free_mib < 1024 ? DOCTOR_LOOK
                              : DOCTOR_GOOD,
            free_mib < 1024 ? "Make room, or remove tracks: hearth remove TRACK" : NULL, "%s are free in %s.",
            free_text, dir);
    next(doc);
}

static void check_bodies(struct doctor *doc)
{
    struct daemon *d = doc->daemon;
    const struct track *first = NULL;
    unsigned count = 0;
    for (size_t i = 0; i < library_count(d); i++) {
        const struct track *t = library_at(d, i);
        if (!t->has_body || !t->damaged)
            continue;
        first = first == NULL ? t : first;
        count++;
    }
    if (count > 0)
        verdict(doc, "content", DOCTOR_BAD, "Transfer the damaged blocks again: hearth get TRACK --download-only",
                count == 1 ? "%s is damaged." : "%s is damaged, and others are: hearth library",
                first->has_info ? first->title : "A track");
    next(doc);
}

static void check_listener(struct doctor *doc)
{
    struct daemon *d = doc->daemon;
    if (d->listener == NULL)
        verdict(doc, "listener", DOCTOR_BAD, "Choose another address: --listen HOST:PORT",
                "Other devices cannot connect to this one.");
    else
        verdict(doc, "listener", DOCTOR_GOOD, NULL, "Other devices connect to port %u.", (unsigned)d->port);
    next(doc);
}

static unsigned found_count(struct daemon *d)
{
    unsigned found = 0;
    for (size_t i = 0; i < siblings_count(d); i++)
        found += siblings_at(d, i)->found;
    return found;
}

/* What this device announces has been asked for on each network. */
static void on_heard(const struct heard_row *rows, size_t count, void *ctx)
{
    struct doctor *doc = ctx;
    struct daemon *d = doc->daemon;
    unsigned found = found_count(d), of = (unsigned)siblings_count(d);
    bool system = d->discovery != NULL && discovery_by(d->discovery) == DISCOVERY_SYSTEM;
    bool alone = count == 1 && strcmp(rows[0].interface, "lo") == 0 && found == 0 && of > 0;
    size_t unheard = 0;
    for (size_t i = 0; i < count; i++) {
        if (rows[i].heard)
            continue;
        unheard++;
        verdict(doc, "discovery", DOCTOR_BAD,
                system ? "Is UDP port 5353 let through by this device's firewall? Restart avahi-daemon."
                       : "Let UDP port 5353 through this device's firewall.",
                "What this device announces on %s is not heard there (multicast DNS).", rows[i].interface);
    }
    if (count == 0 || alone)
        verdict(doc, "discovery", DOCTOR_BAD, "Connect this device to the household's network.",
                "This device is in no network now.");
    else if (unheard < count)
        verdict(doc, "discovery", DOCTOR_GOOD, NULL, "Multicast DNS is heard, by %s; %u of %u siblings are seen.",
                system ? "the system's avahi-daemon" : "hearthd's own responder", found, of);
    next(doc);
}

static void check_discovery(struct doctor *doc)
{
    struct daemon *d = doc->daemon;
    if (d->discovery != NULL && heard_ask(d->loop, &d->self, on_heard, doc) == 0)
        return;
    verdict(doc, "discovery", DOCTOR_LOOK,
            d->config.discovery
                ? "Restart hearthd and read its log."
                : "Give addresses by hand (hearth devices add HOST:PORT), or switch it on: discovery = yes",
            d->config.discovery ? "Multicast DNS could not be started." : "Multicast DNS is switched off.");
    next(doc);
}

/* --- Distributors --- */

/* A connection may not know yet that its other end is out of reach. One that is judged so is made anew. */
static void on_answered(const struct answer *answer, void *ctx)
{
    struct doctor *doc = ctx;
    struct account *a = doc->walk.accounts[doc->walk.index];
    if (answer->why != REASON_OFFLINE && answer->why != REASON_TIMED_OUT) {
        verdict(doc, "distributor", DOCTOR_GOOD, NULL, "%s is connected at %s.", a->name, a->address);
    } else {
        verdict(doc, "distributor", DOCTOR_BAD, reason_remedy(REASON_OFFLINE),
                "%s was connected, and does not answer at %s.", a->name, a->address);
        session_restart(a->session);
    }
    walk_next(&doc->walk);
}

static bool ask_distributor(struct doctor *doc, struct account *a)
{
    struct ask ask = { .type = msg_Type_ROSTER_GET, .reply_type = msg_Type_ROSTER, .timeout_ms = PATIENCE_MS };
    if (session_call(a, &ask, on_answered, doc) == 0)
        return true;
    verdict(doc, "distributor", DOCTOR_GOOD, NULL, "%s is connected at %s.", a->name, a->address);
    return false;
}

static void on_session(const struct answer *answer, void *ctx)
{
    struct doctor *doc = ctx;
    struct account *a = doc->walk.accounts[doc->walk.index];
    if (answer->why != REASON_NONE)
        verdict(doc, "distributor", DOCTOR_BAD, answer->refusal->has_remedy ? answer->refusal->remedy : NULL, "%s",
                answer->refusal->text);
    else if (a->session != NULL && !session_knows_us(a->session))
        verdict(doc, "distributor", DOCTOR_BAD, "Register again: hearth register URL",
                "%s has removed this device from the account.", a->name);
    else if (ask_distributor(doc, a))
        return;
    walk_next(&doc->walk);
}

static void visit(struct walk *w, struct account *a)
{
    int r = session_when_ready(a, on_session, w);
    if (r != 0)
        walk_error(w, r);
}

static void walked(struct walk *w)
{
    struct doctor *doc = container_of(w, struct doctor, walk);
    if (w->index == 0)
        verdict(doc, "distributor", DOCTOR_LOOK, "hearth register URL", "This device is not registered anywhere.");
    next(doc);
}

static void check_distributors(struct doctor *doc)
{
    doc->walk.visit = visit;
    doc->walk.done = walked;
    walk_start(&doc->walk, doc->daemon, NULL);
}

/* --- Siblings: a connection to each --- */

static void check_siblings(struct doctor *doc);

static void on_again(struct later_item *item) { check_siblings(container_of(item, struct doctor, later)); }

/* The first place where it is so; NULL: nowhere. */
static const char *first_place(const struct doctor_device *r, enum reason why)
{
    for (size_t i = 0; i < r->count; i++)
        if (r->why[i] == why)
            return r->places[i];
    return NULL;
}

static void on_device(const struct doctor_device *r, void *ctx)
{
    struct doctor *doc = ctx;
    const char *here = first_place(r, REASON_NONE), *false_one = first_place(r, REASON_UNKNOWN_DEVICE);
    if (here != NULL && !r->found && doc->daemon->discovery != NULL)
        verdict(
            doc, "device", DOCTOR_LOOK,
            "Something between the two keeps multicast back (another network, a firewall, isolated clients). When its address changes: hearth devices add HOST:PORT",
            "%s answers at %s, but is not seen by multicast DNS.", r->name, here);
    else if (here != NULL)
        verdict(doc, "device", DOCTOR_GOOD, NULL, "%s answers at %s.", r->name, here);
    else if (r->found && first_place(r, REASON_UNKNOWN_DEVICE) == r->places[0])
        verdict(doc, "device", DOCTOR_BAD, "Tell where it really is: hearth devices add HOST:PORT",
                "%s is announced by multicast DNS, but nowhere does it answer.", r->name);
    else if (r->found)
        verdict(
            doc, "device", DOCTOR_BAD,
            "On that device, let its port through the firewall: hearth status there says which. If it is not there: hearth devices add HOST:PORT",
            "%s is seen by multicast DNS, but does not answer at %s (%s).", r->name, r->places[0],
            reason_code(r->why[0]));
    else if (r->linked && r->why[0] == REASON_OFFLINE)
        verdict(
            doc, "device", DOCTOR_LOOK,
            "Its port has changed, and multicast DNS does not tell the new one: hearth devices add HOST:PORT (hearth status there)",
            "%s is connected, but nothing listens at %s any more.", r->name, r->places[0]);
    else if (r->linked)
        verdict(doc, "device", DOCTOR_LOOK,
                "On that device, let its port through the firewall: hearth status there says which",
                "%s is connected, but does not answer at %s (%s).", r->name, r->places[0], reason_code(r->why[0]));
    else
        verdict(doc, "device", DOCTOR_LOOK, "Is it on, and in this network? Else: hearth devices add HOST:PORT",
                "%s does not answer at %s (%s).", r->name, r->places[0], reason_code(r->why[0]));
    if (false_one != NULL)
        verdict(
            doc, "device", here != NULL ? DOCTOR_LOOK : DOCTOR_BAD,
            "It gets nothing. Somebody in this network announces it falsely, or it has that address now: look for the device there",
            "At %s another device answers under the name of %s.", false_one, r->name);
    check_siblings(doc);
}

static void check_siblings(struct doctor *doc)
{
    struct daemon *d = doc->daemon;
    if (doc->vault_is_silent && siblings_count(d) > 0)
        verdict(doc, "device", DOCTOR_LOOK, "Mend the vault first: see above.",
                "The other devices were not tried: that takes the vault.");
    if (doc->vault_is_silent || doc->sibling >= siblings_count(d) || d->stopping) {
        next(doc);
        return;
    }
    const struct sibling *s = siblings_at(d, doc->sibling++);
    if (doctor_ask_device(d, s, on_device, doc) == 0)
        return;
    if (sibling_is_online(s)) /* it has come to us */
        verdict(doc, "device", DOCTOR_GOOD, NULL, "%s is connected; no address of it is known.", s->name);
    else
        verdict(doc, "device", DOCTOR_LOOK, "Is it on, and in this network? Else: hearth devices add HOST:PORT",
                "%s has not been seen; no address is known.", s->name);
    later_run(&d->later, &doc->later, on_again);
}

/* --- Sound --- */

static void on_output(const ply_Device *device, void *ctx)
{
    struct doctor *doc = ctx;
    doc->outputs += strchr(device->name, '/') != NULL; /* without one, the system's choice among them */
}

static void on_outputs(enum reason why, void *ctx)
{
    struct doctor *doc = ctx;
    if (why != REASON_NONE)
        verdict(doc, "sound", DOCTOR_LOOK, "See hearthd's log.",
                "The player could not say which sound outputs there are.");
    else if (doc->outputs == 0)
        verdict(doc, "sound", DOCTOR_LOOK,
                "Is a sound device connected, and may hearthd use it? Without: --output silent",
                "There is no sound output here.");
    else
        verdict(doc, "sound", DOCTOR_GOOD, NULL, "%u sound output%s: hearth outputs", doc->outputs,
                doc->outputs == 1 ? "" : "s");
    next(doc);
}

static void check_sound(struct doctor *doc)
{
    static const struct outputs_callbacks callbacks = { on_output, on_outputs };
    int r = outputs_ask(doc->daemon, &callbacks, doc);
    if (r == 0)
        return;
    verdict(doc, "sound", DOCTOR_LOOK, r == -ENOENT ? "Install hearth-player beside hearthd." : "See hearthd's log.",
            "The player cannot be started.");
    next(doc);
}

/* --- Helpers: after what has just asked the spawner --- */

static void on_helpers(const char *wrong, const char *remedy, void *ctx)
{
    struct doctor *doc = ctx;
    verdict(doc, "helpers", wrong != NULL ? DOCTOR_BAD : DOCTOR_GOOD, remedy, "%s",
            wrong != NULL ? wrong : "What opens files and starts programs for it answers.");
    next(doc);
}

static void check_helpers(struct doctor *doc)
{
    if (doctor_ask_helpers(doc->daemon, on_helpers, doc) != 0)
        next(doc);
}

/* --- In this order --- */

static void (*const checks[])(struct doctor *doc) = {
    check_vault,        check_keys, check_confinement, check_storage, check_bodies,  check_listener, check_discovery,
    check_distributors, check_copy, check_clock,       check_sound,   check_helpers, check_siblings,
};

static void next(struct doctor *doc)
{
    if (doc->step < ARRAY_COUNT(checks)) {
        checks[doc->step++](doc);
        return;
    }
    call_finish(doc->call);
    free(doc);
}

void doctor_handle(struct daemon *d, struct call *c, const void *message)
{
    struct doctor *doc = calloc(1, sizeof(*doc));
    (void)message;
    if (doc == NULL) {
        call_refuse(c, REASON_INTERNAL, NULL);
        return;
    }
    doc->daemon = d;
    doc->call = c;
    next(doc);
}
