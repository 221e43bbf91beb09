/* Discovery through the avahi-daemon of this system, when one runs: our records are published by it, and others are seen through it. By D-Bus (sd-bus), which never waits:
 * Avahi's own client library does, and cannot be in one process with avahi-core, since both export avahi_entry_group_free. Not here: others, as it sees them (discovery_system_see.c). On the loop thread.
 *
 * A daemon that goes away, freezes, or does not publish for us is told as away (our own responder goes on), and there again once it answers. Each time begins with a new
 * connection to the bus, so that nothing of the time before is left.
 *
 * Callbacks, in the order in which they fire: on_again; on_bus, and from within it on_owner (who is the daemon), on_state (does it run), on_group_made, on_host, on_done (records);
 * on_signal, on_owner_changed at any time; on_ping, on_pong; on_poll_closed, on_timer_closed. */
#define LOG_MODULE "discovery"
#include <avahi-common/alternative.h>
#include <avahi-common/error.h>
#include <avahi-common/malloc.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "base/util.h"
#include "net/discovery_system.h"

#define GROUP DAEMON ".EntryGroup"
#define PING_MS 5000
#define CALL_TIMEOUT_US (3u * 1000 * 1000)
#define PROCESS_MAX 64 /* messages at a time; the rest in the next turn of the loop */
#define RDATA_BYTES_MAX 1024

static void on_again(uv_timer_t *timer);

/* --- Calls --- */

void discovery_system_fail(struct discovery_system *s, const char *what, uint64_t again_ms)
{
    if (s->broken)
        return;
    log_debug("the system's avahi-daemon: %s", what);
    s->broken = true;
    s->try_ms = again_ms;
}

static void tell_away(struct discovery_system *s)
{
    s->told_there = false;
    if (!s->owner->stopping)
        discovery_system_away(s->owner);
}

/* What a call came to: 0, or it was dealt with. It does not want services of users (its configuration): our own responder does it, until the daemon is another one. */
static int outcome(struct discovery_system *s, sd_bus_message *reply, const char *what)
{
    const sd_bus_error *error = sd_bus_message_get_error(reply);
    char safe[128];
    if (!error)
        return 0;
    if (s->refused || s->broken)
        return -EIO; /* what followed from that */
    if (sd_bus_error_has_name(error, DAEMON ".NotPermittedError")) {
        if (!s->refused)
            log_info("the system's avahi-daemon does not publish for us");
        s->refused = true;
        tell_away(s);
    } else if (sd_bus_error_has_name(error, SD_BUS_ERROR_NO_REPLY) ||
               sd_bus_error_has_name(error, SD_BUS_ERROR_TIMEOUT)) {
        s->frozen = true; /* on_pong ends it */
        tell_away(s);
    } else {
        discovery_system_fail(s, text_safe(error->message ? error->message : what, safe, sizeof safe), TRY_AGAIN_MS);
        tell_away(s);
    }
    return -EIO;
}

void discovery_system_call(struct discovery_system *s, sd_bus_message_handler_t on_reply, const char *path,
                           const char *interface, const char *method)
{
    if (sd_bus_call_method_async(s->bus, NULL, DAEMON, path, interface, method, on_reply, s, NULL) < 0)
        discovery_system_fail(s, "it cannot be asked", TRY_AGAIN_MS);
}

static int on_done(sd_bus_message *reply, void *ctx, sd_bus_error *error)
{
    (void)error;
    return outcome(ctx, reply, "publishing"), 0;
}

int discovery_system_path(struct discovery_system *s, sd_bus_message *reply, char path[DISCOVERY_PATH_BYTES])
{
    const char *text;
    if (outcome(s, reply, "asking") != 0)
        return -EIO;
    if (sd_bus_message_read(reply, "o", &text) < 0 || strlen(text) >= DISCOVERY_PATH_BYTES) {
        discovery_system_fail(s, "an answer that is none", TRY_AGAIN_MS);
        return -EIO;
    }
    snprintf(path, DISCOVERY_PATH_BYTES, "%s", text);
    return 0;
}

/* --- Being seen: the records of discovery_publish.c, at the host that the daemon publishes itself --- */

static int add_record(struct discovery_system *s, AvahiPublishFlags flags, AvahiRecord *record)
{
    sd_bus_message *m = NULL;
    char rdata[RDATA_BYTES_MAX];
    size_t len = record ? avahi_rdata_serialize(record, rdata, sizeof rdata) : (size_t)-1;
    int r = len == (size_t)-1 ? -ENOMEM : 0;
    if (r == 0)
        r = sd_bus_message_new_method_call(s->bus, &m, DAEMON, s->group, GROUP, "AddRecord");
    if (r >= 0)
        r = sd_bus_message_append(m, "iiusqqu", AVAHI_IF_UNSPEC, AVAHI_PROTO_UNSPEC, (uint32_t)flags, record->key->name,
                                  record->key->clazz, record->key->type, record->ttl);
    if (r >= 0)
        r = sd_bus_message_append_array(m, 'y', rdata, len);
    if (r >= 0)
        r = sd_bus_call_async(s->bus, NULL, m, on_done, s, 0);
    sd_bus_message_unref(m);
    if (record)
        avahi_record_unref(record);
    return r;
}

static int add_records(struct discovery_system *s, const char *host)
{
    char name[AVAHI_DOMAIN_NAME_MAX];
    int r = avahi_service_name_join(name, sizeof name, s->instance, DISCOVERY_SERVICE, DISCOVERY_DOMAIN);
    if (r >= 0)
        r = add_record(s, 0, discovery_record_pointer(DISCOVERY_SERVICE "." DISCOVERY_DOMAIN, name));
    if (r >= 0)
        r = add_record(s, AVAHI_PUBLISH_UNIQUE, discovery_record_place(name, host, s->owner->port));
    if (r >= 0)
        r = add_record(s, AVAHI_PUBLISH_UNIQUE, discovery_record_text(name, &s->owner->self));
    if (r >= 0)
        r = add_record(
            s, 0,
            discovery_record_pointer(DISCOVERY_TYPES "." DISCOVERY_DOMAIN, DISCOVERY_SERVICE "." DISCOVERY_DOMAIN));
    return r;
}

static int on_host(sd_bus_message *reply, void *ctx, sd_bus_error *error)
{
    struct discovery_system *s = ctx;
    const char *host;
    (void)error;
    if (outcome(s, reply, "its name") != 0 || !s->told_there || s->published)
        return 0;
    if (sd_bus_message_read(reply, "s", &host) < 0 || add_records(s, host) < 0) {
        discovery_system_fail(s, "records cannot be added", TRY_AGAIN_MS);
        return 0;
    }
    s->published = true;
    discovery_system_call(s, on_done, s->group, GROUP, "Commit");
    discovery_system_browse(s);
    return 0;
}

static void publish(struct discovery_system *s) { discovery_system_call(s, on_host, "/", SERVER, "GetHostNameFqdn"); }

static void unpublish(struct discovery_system *s)
{
    s->published = false;
    if (s->group[0] != '\0')
        discovery_system_call(s, on_done, s->group, GROUP, "Reset");
}

static int on_group_made(sd_bus_message *reply, void *ctx, sd_bus_error *error)
{
    struct discovery_system *s = ctx;
    (void)error;
    if (discovery_system_path(s, reply, s->group) != 0)
        return 0;
    s->told_there = true;
    discovery_system_there(s->owner); /* our own responder says goodbye first: both would claim the same names */
    publish(s);
    return 0;
}

static void rename_instance(struct discovery_system *s)
{
    char *other = avahi_alternative_service_name(s->instance);
    if (!other)
        return;
    snprintf(s->instance, sizeof s->instance, "%s", other);
    avahi_free(other);
    log_info("the name of this device was taken, now \"%s\"", s->instance);
    unpublish(s);
    publish(s);
}

/* --- The daemon's state --- */

static void note_state(struct discovery_system *s, int32_t state)
{
    if (s->refused || s->frozen || s->broken)
        return;
    if (state == AVAHI_SERVER_FAILURE)
        discovery_system_fail(s, "it failed", TRY_AGAIN_MS);
    else if (state != AVAHI_SERVER_RUNNING) /* its host is getting a name, perhaps another one */
        unpublish(s);
    else if (s->group[0] == '\0')
        discovery_system_call(s, on_group_made, "/", SERVER, "EntryGroupNew");
    else if (!s->published)
        publish(s);
}

static int on_state(sd_bus_message *reply, void *ctx, sd_bus_error *error)
{
    struct discovery_system *s = ctx;
    int32_t state;
    (void)error;
    if (outcome(s, reply, "its state") == 0 && sd_bus_message_read(reply, "i", &state) >= 0)
        note_state(s, state);
    return 0;
}

static int on_pong(sd_bus_message *reply, void *ctx, sd_bus_error *error)
{
    struct discovery_system *s = ctx;
    (void)error;
    bool was_frozen = s->frozen;
    if (outcome(s, reply, "a ping") == 0 && was_frozen)
        discovery_system_fail(s, "it answers again", 0);
    return 0;
}

static int on_owner(sd_bus_message *reply, void *ctx, sd_bus_error *error)
{
    struct discovery_system *s = ctx;
    const char *name;
    (void)error;
    if (sd_bus_message_is_method_error(reply, NULL) || sd_bus_message_read(reply, "s", &name) < 0 ||
        strlen(name) >= sizeof s->daemon) {
        tell_away(s); /* there is a bus, and no daemon: on_owner_changed */
        return 0;
    }
    snprintf(s->daemon, sizeof s->daemon, "%s", name);
    discovery_system_call(s, on_state, "/", SERVER, "GetState");
    return 0;
}

static int on_owner_changed(sd_bus_message *m, void *ctx, sd_bus_error *error)
{
    struct discovery_system *s = ctx;
    const char *name, *before, *now;
    (void)error;
    if (sd_bus_message_read(m, "sss", &name, &before, &now) < 0 || strcmp(now, s->daemon) == 0)
        return 0;
    tell_away(s);
    discovery_system_fail(s, "it came or went", 0);
    return 0;
}

static int on_signal(sd_bus_message *m, void *ctx, sd_bus_error *error)
{
    struct discovery_system *s = ctx;
    const char *path = sd_bus_message_get_path(m), *sender = sd_bus_message_get_sender(m);
    int32_t state;
    (void)error;
    if (!sender || strcmp(sender, s->daemon) != 0 || !path || s->broken)
        return 0;
    if (sd_bus_message_is_signal(m, SERVER, "StateChanged")) {
        if (sd_bus_message_read(m, "i", &state) >= 0)
            note_state(s, state);
        return 0;
    }
    if (!s->told_there)
        return 0;
    if (sd_bus_message_is_signal(m, GROUP, "StateChanged") && strcmp(path, s->group) == 0) {
        if (sd_bus_message_read(m, "i", &state) >= 0 && state == AVAHI_ENTRY_GROUP_COLLISION)
            rename_instance(s);
    } else {
        discovery_system_see(s, m);
    }
    return 0;
}

/* --- The bus on the loop --- */

/* On a descriptor of our own: sd-bus closes its one by itself when the bus goes, and the next socket to be opened would have its number while libuv still watches it. */
struct discovery_system_watch {
    uv_poll_t poll;
    int fd, bus_fd;
    struct discovery_system *system;
    struct discovery *owner;
};

static void on_poll_closed(uv_handle_t *handle)
{
    struct discovery_system_watch *w = handle->data;
    struct discovery *d = w->owner;
    close(w->fd);
    free(w);
    discovery_forget_system(d);
}

static void hang_up(struct discovery_system *s)
{
    uv_timer_stop(&s->again);
    uv_timer_stop(&s->ping);
    if (s->watch)
        uv_close((uv_handle_t *)&steal(&s->watch)->poll, on_poll_closed);
    if (s->bus)
        sd_bus_close_unref(steal(&s->bus)); /* the daemon says goodbye for us */
    s->daemon[0] = s->group[0] = s->browser[0] = '\0';
    s->told_there = s->refused = s->published = s->frozen = s->broken = false;
}

static void try_later(struct discovery_system *s)
{
    uint64_t ms = s->try_ms;
    hang_up(s);
    if (!s->owner->stopping)
        uv_timer_start(&s->again, on_again, ms, 0);
}

static void on_bus(uv_poll_t *poll, int status, int events);

static int arm(struct discovery_system *s)
{
    uint64_t until_us;
    int events = sd_bus_get_events(s->bus);
    if (events < 0 || sd_bus_get_fd(s->bus) != s->watch->bus_fd || sd_bus_get_timeout(s->bus, &until_us) < 0)
        return -EIO;
    int r = uv_poll_start(&s->watch->poll,
                          (events & POLLIN ? UV_READABLE : 0) | (events & POLLOUT ? UV_WRITABLE : 0) | UV_DISCONNECT,
                          on_bus);
    uv_timer_stop(&s->again);
    if (r == 0 && until_us != UINT64_MAX) {
        int64_t left_ms = (int64_t)(until_us / 1000) - clock_mono_ms(clock_system()) + 1;
        uv_timer_start(&s->again, on_again, left_ms > 0 ? (uint64_t)left_ms : 0, 0);
    }
    return r;
}

/* Everything that was asked or came in; then what it left to be done. */
static void go_on(struct discovery_system *s)
{
    int r = 1;
    for (int i = 0; i < PROCESS_MAX && r > 0 && !s->broken; i++)
        r = sd_bus_process(s->bus, NULL);
    if (r < 0 || (!s->broken && arm(s) != 0)) {
        discovery_system_fail(s, "the bus is gone", TRY_AGAIN_MS);
        tell_away(s);
    }
    if (s->broken)
        try_later(s);
    else if (r > 0)
        uv_timer_start(&s->again, on_again, 0, 0);
}

static void on_bus(uv_poll_t *poll, int status, int events)
{
    (void)status;
    (void)events;
    go_on(((struct discovery_system_watch *)poll->data)->system);
}

/* A daemon that stands still would be taken for one that publishes; and resolvers that gave up are asked for again. */
static void on_ping(uv_timer_t *timer)
{
    struct discovery_system *s = timer->data;
    if (s->daemon[0] == '\0')
        return;
    discovery_system_call(s, on_pong, "/", SERVER, "GetState");
    discovery_system_resolve_again(s);
    go_on(s);
}

static int watch(struct discovery_system *s)
{
    struct discovery *d = s->owner;
    struct discovery_system_watch *w CLEANUP(freep) = calloc(1, sizeof *w);
    int bus_fd = sd_bus_get_fd(s->bus);
    int fd CLEANUP(closep) = bus_fd < 0 ? -1 : fcntl(bus_fd, F_DUPFD_CLOEXEC, 0);
    if (!w || fd < 0 || uv_poll_init(d->loop, &w->poll, fd) != 0)
        return -EIO;
    w->poll.data = w;
    w->fd = fd;
    w->bus_fd = bus_fd;
    w->system = s;
    w->owner = d;
    s->watch = steal(&w);
    fd = -1;
    d->open_handles++;
    return 0;
}

static int open_bus(struct discovery_system *s)
{
    const struct discovery *d = s->owner;
    if (!d->callbacks.connect_bus)
        return sd_bus_open_system(&s->bus);
    int fd CLEANUP(closep) = d->callbacks.connect_bus(d->ctx);
    if (fd < 0)
        return fd;
    int r = sd_bus_new(&s->bus);
    if (r >= 0)
        r = sd_bus_set_bus_client(s->bus, true);
    if (r >= 0)
        r = sd_bus_set_fd(s->bus, fd, fd);
    if (r < 0)
        return r;
    fd = -1;
    return sd_bus_start(s->bus);
}

static void begin(struct discovery_system *s)
{
    int r = open_bus(s);
    if (r >= 0)
        r = watch(s);
    if (r >= 0)
        r = sd_bus_set_method_call_timeout(s->bus, CALL_TIMEOUT_US);
    if (r >= 0)
        r = sd_bus_add_match_async(
            s->bus, NULL, "type='signal',sender='org.freedesktop.DBus',member='NameOwnerChanged',arg0='" DAEMON "'",
            on_owner_changed, NULL, s);
    if (r >= 0)
        r = sd_bus_add_match_async(s->bus, NULL, "type='signal',sender='" DAEMON "'", on_signal, NULL, s);
    if (r >= 0)
        r = sd_bus_call_method_async(s->bus, NULL, "org.freedesktop.DBus", "/org/freedesktop/DBus",
                                     "org.freedesktop.DBus", "GetNameOwner", on_owner, s, "s", DAEMON);
    if (r < 0) {
        discovery_system_fail(s, "there is no bus", TRY_AGAIN_MS);
        tell_away(s);
        try_later(s);
        return;
    }
    uv_timer_start(&s->ping, on_ping, PING_MS, PING_MS);
    go_on(s);
}

static void on_again(uv_timer_t *timer)
{
    struct discovery_system *s = timer->data;
    if (s->bus)
        go_on(s);
    else
        begin(s);
}

/* --- Life --- */

static void on_timer_closed(uv_handle_t *handle)
{
    struct discovery_system *s = handle->data;
    struct discovery *d = s->owner;
    if (--s->timers == 0)
        free(s);
    discovery_forget_system(d);
}

int discovery_system_start(struct discovery *d)
{
    struct discovery_system *s = calloc(1, sizeof *s);
    if (!s)
        return -ENOMEM;
    s->owner = d;
    snprintf(s->instance, sizeof s->instance, "%s", d->instance);
    (void)uv_timer_init(d->loop, &s->again); /* cannot fail */
    (void)uv_timer_init(d->loop, &s->ping);
    s->again.data = s->ping.data = s;
    s->timers = 2;
    d->open_handles += s->timers;
    d->system = s;
    uv_timer_start(&s->again, on_again, 0, 0);
    return 0;
}

void discovery_system_stop(struct discovery *d)
{
    struct discovery_system *s = steal(&d->system);
    if (!s)
        return;
    hang_up(s);
    uv_close((uv_handle_t *)&s->again, on_timer_closed);
    uv_close((uv_handle_t *)&s->ping, on_timer_closed);
}
