/* Life of discovery: the system's avahi-daemon is looked for first (discovery_system.c). Without one, or while it is away, Avahi's server runs in here: started from
 * the loop, started again when the clock jumps or it fails, and stopped with a goodbye.
 * Not here: records (discovery_publish.c), siblings (discovery_browse.c, discovery_sights.c). On the loop thread.
 *
 * Callbacks, in the order in which they fire: on_timer, on_server, on_restart; on_stop, on_avahi_freed, discovery_forget_handle. */
#define LOG_MODULE "discovery"
#include <avahi-common/alternative.h>
#include <avahi-common/error.h>
#include <avahi-common/malloc.h>
#include <avahi-core/log.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "base/util.h"
#include "net/discovery_internal.h"

#define RETRY_MS 5000
#define SYSTEM_WAIT_MS 1000 /* for the system's avahi-daemon to answer, before our own responder begins */
#define CLOCK_LOOK_MS 5000
#define AGAIN_MS 20000 /* what there was no room for is looked at again */
#define CLOCK_JUMP_MS 2000

/* --- Avahi's own words --- */

static void on_avahi_log(AvahiLogLevel level, const char *text)
{
    char safe[512];
    (void)level; /* what is an error to Avahi, such as an interface that went away, is everyday life to us */
    log_debug("%s", text_safe(text, safe, sizeof safe));
}

/* --- Running --- */

/* Avahi's timers count on the wall clock: when it jumps they are all wrong. */
static int64_t clock_offset_ms(void) { return clock_wall_ms(clock_system()) - clock_mono_ms(clock_system()); }

static bool clock_jumped(const struct discovery *d)
{
    int64_t by = clock_offset_ms() - d->clock_offset_ms;
    return by > CLOCK_JUMP_MS || by < -CLOCK_JUMP_MS;
}

static void end_avahi(struct discovery *d, void (*on_freed)(void *ctx))
{
    discovery_unbrowse(d);
    discovery_unpublish(d);
    if (d->server)
        avahi_server_free(steal(&d->server)); /* says goodbye */
    if (d->avahi)
        avahi_uv_free(steal(&d->avahi), on_freed, d);
    else if (on_freed)
        on_freed(d); /* from a timer: nobody's call is cut short */
}

static void on_server(AvahiServer *server, AvahiServerState state, void *ctx)
{
    struct discovery *d = ctx;
    (void)server;
    if (state == AVAHI_SERVER_COLLISION)
        discovery_rename_host(d);
    if (state == AVAHI_SERVER_FAILURE)
        discovery_restart(d, RETRY_MS);
}

void discovery_rename_host(struct discovery *d)
{
    char *other = avahi_alternative_host_name(d->host);
    if (!other)
        return;
    log_info("the host name %s was taken, now %s", d->host, other);
    snprintf(d->host, sizeof d->host, "%s", other);
    avahi_free(other);
    discovery_restart(d, 0);
}

static AvahiServer *server_new(struct discovery *d, int *error)
{
    AvahiServerConfig config;
    avahi_server_config_init(&config);
    avahi_free(config.host_name);
    config.host_name = avahi_strdup(d->host);
    config.publish_addresses = 0; /* two servers of one host would fight for ever about the reverse record */
    config.publish_hinfo = 0;
    config.publish_workstation = 0;
    config.publish_domain = 0;
    config.enable_wide_area = 0;
    config.disallow_other_stacks = 0; /* a system's own mDNS, and other devices on this host */
    config.add_service_cookie = 0;
    AvahiServer *server = avahi_server_new(avahi_uv_poll(d->avahi), &config, on_server, d, error);
    avahi_server_config_free(&config);
    return server;
}

static int start_avahi(struct discovery *d)
{
    int error = AVAHI_OK;
    if (avahi_uv_new(&d->avahi, d->loop) != 0)
        return AVAHI_ERR_NO_MEMORY;
    d->clock_offset_ms = clock_offset_ms();
    d->server = server_new(d, &error);
    if (!d->server)
        return error < 0 ? error : AVAHI_ERR_FAILURE;
    error = discovery_publish(d);
    return error < 0 ? error : discovery_browse(d);
}

static void on_timer(uv_timer_t *timer)
{
    struct discovery *d = timer->data;
    if (d->stopping || d->by == DISCOVERY_SYSTEM)
        return;
    d->by = DISCOVERY_OWN;
    if (d->server && clock_jumped(d)) {
        log_info("the clock was set: starting again");
        end_avahi(d, NULL);
    }
    if (!d->server) {
        int error = start_avahi(d);
        if (error < 0) {
            if (!d->failed_before)
                log_warn("not running, trying again: %s", avahi_strerror(error));
            d->failed_before = true;
            end_avahi(d, NULL);
            if (!d->stopping)
                uv_timer_start(&d->timer, on_timer, RETRY_MS, 0);
            return;
        }
        d->failed_before = false;
    }
    if (!d->stopping)
        uv_timer_start(&d->timer, on_timer, CLOCK_LOOK_MS, 0);
}

/* Also from within Avahi's callbacks, in which its server must not be freed. */
static void on_restart(uv_timer_t *timer)
{
    end_avahi(timer->data, NULL);
    on_timer(timer);
}

void discovery_restart(struct discovery *d, uint64_t after_ms)
{
    if (!d->stopping && d->by == DISCOVERY_OWN)
        uv_timer_start(&d->timer, on_restart, after_ms, 0);
}

/* --- The system's --- */

void discovery_system_there(struct discovery *d)
{
    log_info("published by the system's avahi-daemon");
    uv_timer_stop(&d->timer);
    d->by = DISCOVERY_SYSTEM;
    end_avahi(d, NULL); /* from the loop: nobody's call is cut short */
}

void discovery_system_away(struct discovery *d)
{
    if (d->by == DISCOVERY_OWN)
        return;
    log_info("published by our own responder: no avahi-daemon of the system");
    d->by = DISCOVERY_OWN;
    discovery_unbrowse(d);
    on_timer(&d->timer);
}

enum discovery_by discovery_by(const struct discovery *d) { return d->by; }

/* --- What was left out --- */

static void on_again(uv_timer_t *timer)
{
    struct discovery *d = timer->data;
    if (!d->crowded)
        return;
    d->crowded = false;
    if (d->by == DISCOVERY_SYSTEM)
        discovery_system_browse_again(d);
    else
        discovery_browse_again(d);
}

/* From the loop: whoever calls may be called by Avahi. */
void discovery_wanted(struct discovery *d)
{
    if (d->crowded && !d->stopping)
        uv_timer_start(&d->again, on_again, 0, AGAIN_MS);
}

/* --- Start and stop --- */

static void free_when_done(struct discovery *d)
{
    if (d->open_handles > 0)
        return;
    void (*on_stopped)(void *ctx) = d->on_stopped;
    void *ctx = d->stopped_ctx;
    free(d);
    if (on_stopped)
        on_stopped(ctx);
}

void discovery_forget_handle(uv_handle_t *handle)
{
    struct discovery *d = handle->data;
    d->open_handles--;
    free_when_done(d);
}

void discovery_forget_system(struct discovery *d)
{
    d->open_handles--;
    if (d->stopping)
        free_when_done(d);
}

static void on_avahi_freed(void *ctx)
{
    struct discovery *d = ctx;
    d->open_handles--;
    free_when_done(d);
}

static void init_timer(struct discovery *d, uv_timer_t *timer)
{
    uv_timer_init(d->loop, timer);
    timer->data = d;
    d->open_handles++;
}

int discovery_start(struct discovery **out, uv_loop_t *loop, const struct id *self, uint16_t port,
                    const struct discovery_callbacks *callbacks, void *ctx)
{
    struct discovery *d = calloc(1, sizeof *d);
    char short_id[ID_SHORT_BYTES];
    if (!d)
        return -ENOMEM;
    d->loop = loop;
    d->self = *self;
    d->port = port;
    d->callbacks = *callbacks;
    d->ctx = ctx;
    id_short(self, short_id);
    snprintf(d->host, sizeof d->host, "hearth-%s", short_id);
    snprintf(d->instance, sizeof d->instance, "%s", d->host);
    avahi_set_log_function(on_avahi_log);
    init_timer(d, &d->timer);
    init_timer(d, &d->settle);
    init_timer(d, &d->retry);
    init_timer(d, &d->again);
    uv_timer_start(&d->again, on_again, AGAIN_MS, AGAIN_MS);
    if (discovery_routes_open(d) != 0)
        log_warn("changes of addresses will not be noticed");
    bool system = discovery_system_start(d) == 0;
    uv_timer_start(&d->timer, on_timer, system ? SYSTEM_WAIT_MS : 0,
                   0); /* nothing fires before this function has returned */
    *out = d;
    return 0;
}

/* Not from within Avahi's callbacks, where the user may have called discovery_stop. */
static void on_stop(uv_timer_t *timer)
{
    struct discovery *d = timer->data;
    discovery_routes_close(d);
    discovery_system_stop(d);
    uv_close((uv_handle_t *)&d->timer, discovery_forget_handle);
    uv_close((uv_handle_t *)&d->settle, discovery_forget_handle);
    uv_close((uv_handle_t *)&d->retry, discovery_forget_handle);
    uv_close((uv_handle_t *)&d->again, discovery_forget_handle);
    d->open_handles++;
    end_avahi(d, on_avahi_freed);
}

void discovery_stop(struct discovery *d, void (*on_stopped)(void *ctx), void *ctx)
{
    if (d->stopping)
        return;
    d->stopping = true;
    d->on_stopped = on_stopped;
    d->stopped_ctx = ctx;
    uv_timer_start(&d->timer, on_stop, 0, 0);
}
