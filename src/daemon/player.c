/* Starting, using, losing players.
 *
 * Callbacks, in order: on_reply (START's answers), on_closed (the channel), on_exit (the process): both gone, on_gone fires. */
#include "daemon/player.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/util.h"
#include "daemon/spawner.h"
#include "player.pb.h"
#include "protocol/output.h"

#define LOG_MODULE "player"
#include "base/log.h"

#define SPARE_MS 120000 /* how long one waits without anything being played */

struct player {
    struct daemon *daemon;
    const struct player_callbacks *callbacks; /* NULL: it waits, or its owner has gone */
    void *ctx;
    struct child process;
    struct peer *control; /* NULL once closed */
    bool alive, hung, dropped, output_lost;
    int signal;
    bool watched; /* it is told to go on at a pace of its own: when it stands still, it hangs */
    uint32_t seeks;
    uint64_t furthest_ms, risen_ms; /* the position since the last seek, and when it last rose, by the loop's clock */
};
struct players {
    struct player *spare;
    uv_timer_t timer;
};

/* --- Life --- */

static void free_when_gone(struct player *p)
{
    if (p->alive || p->control != NULL)
        return;
    if (p->daemon->players != NULL && p->daemon->players->spare == p)
        p->daemon->players->spare = NULL;
    const struct player_callbacks *callbacks = p->callbacks;
    void *ctx = p->ctx;
    enum reason why = p->hung          ? REASON_TIMED_OUT
                      : p->dropped     ? REASON_CANCELLED
                      : p->output_lost ? REASON_OUTPUT_FAILED
                                       : REASON_INTERNAL;
    int signal = p->signal;
    free(p);
    if (callbacks != NULL)
        callbacks->on_gone(why, signal, ctx);
}

static void on_exit_(struct child *process, int status, int signal)
{
    struct player *p = container_of(process, struct player, process);
    bool ours = p->dropped || p->hung;
    p->signal = ours ? 0 : signal;
    p->output_lost = !ours && signal == 0 && status == OUTPUT_LOST_STATUS;
    if (signal != 0 && !ours)
        log_error("a player was ended signal=%d", signal);
    else if (status != 0)
        log_debug("a player has ended status=%d", status);
    if (p->control != NULL)
        peer_close(p->control, REASON_NONE);
    p->alive = false;
    free_when_gone(p);
}

/* It has nothing to lose, and may hang. */
static void end_process(struct player *p)
{
    if (p->alive)
        child_end(&p->process, SIGKILL);
}

static void on_closed(struct peer *peer, enum reason why, void *ctx)
{
    struct player *p = ctx;
    (void)peer;
    (void)why;
    p->control = NULL;
    if (p->dropped || p->hung)
        end_process(p);
    free_when_gone(p);
}

static void on_frame(struct peer *peer, const struct frame *f, void *ctx)
{
    struct player *p = ctx;
    log_warn("the player said something nobody asked for type=%u", (unsigned)f->type);
    p->dropped = true;
    peer_close(peer, REASON_MALFORMED);
}

static void on_open(struct peer *peer, void *ctx)
{
    (void)peer;
    (void)ctx;
}

static int player_new(struct player **out, struct daemon *d)
{
    static const struct peer_callbacks callbacks = { .on_open = on_open, .on_frame = on_frame, .on_closed = on_closed };
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
        return -errno;
    int ours CLEANUP(closep) = pair[0], theirs CLEANUP(closep) = pair[1];
    struct player *p = calloc(1, sizeof(*p));
    if (p == NULL)
        return -ENOMEM;
    p->daemon = d;
    int r = spawner_start_player(d->spawner, &p->process, theirs, on_exit_);
    if (r != 0) {
        log_error("hearth-player could not be started error=%s", strerror(-r));
        free(p);
        return r;
    }
    p->alive = true; /* from here on p is freed by callbacks */
    r = peer_from_fd(&p->control, d->loop, ours, &callbacks, p);
    if (r != 0) {
        p->dropped = true;
        end_process(p);
        return r;
    }
    ours = -1;
    *out = p;
    return 0;
}

/* --- The one that waits --- */

static struct players *players_of(struct daemon *d);

static void on_idle(uv_timer_t *timer)
{
    struct daemon *d = timer->data;
    struct player *spare = d->players != NULL ? steal(&d->players->spare) : NULL;
    if (spare != NULL)
        player_close(spare);
}

static struct players *players_of(struct daemon *d)
{
    if (d->players != NULL || d->stopping)
        return d->players;
    d->players = calloc(1, sizeof(*d->players));
    if (d->players == NULL)
        return NULL;
    (void)uv_timer_init(d->loop, &d->players->timer); /* cannot fail */
    d->players->timer.data = d;
    return d->players;
}

void player_prepare(struct daemon *d)
{
    struct players *all = players_of(d);
    if (all == NULL || d->stopping)
        return;
    (void)uv_timer_start(&all->timer, on_idle, SPARE_MS, 0);
    if (all->spare == NULL && player_new(&all->spare, d) != 0)
        log_debug("no player waits");
}

static void on_timer_closed(uv_handle_t *handle) { free(container_of((uv_timer_t *)handle, struct players, timer)); }

void players_stop(struct daemon *d)
{
    struct players *all = steal(&d->players);
    if (all == NULL)
        return;
    if (all->spare != NULL)
        player_close(all->spare);
    uv_close((uv_handle_t *)&all->timer, on_timer_closed);
}

/* --- Use --- */

int player_take(struct player **out, struct daemon *d, const struct player_callbacks *callbacks, void *ctx)
{
    struct player *p = d->players != NULL ? steal(&d->players->spare) : NULL;
    int r = p != NULL && p->control != NULL ? 0 : player_new(&p, d);
    if (r != 0)
        return r;
    p->callbacks = callbacks;
    p->ctx = ctx;
    *out = p;
    return 0;
}

/* --- Standing still --- */

/* A device for sound or a burner may hold everything up for good reasons (a telephone call, a disc that is closed), and a picture stays. */
static void watch(struct player *p, const ply_Start *start)
{
    p->watched = start->output != ply_Output_OUTPUT_AUDIO && start->output != ply_Output_OUTPUT_DISC &&
                 strncmp(start->media_type, "image/", 6) != 0;
    p->risen_ms = uv_now(p->daemon->loop);
}

static bool stands_still(struct player *p, const struct frame *f)
{
    ply_Progress m;
    uint64_t now_ms = uv_now(p->daemon->loop);
    if (!p->watched || f->type != ply_Type_PROGRESS || CODEC_DECODE(ply_Progress, f->message, &m) != 0)
        return false;
    bool sought = m.seeks != p->seeks;
    if (!m.paused && !sought && m.position_ms <= p->furthest_ms)
        return now_ms - p->risen_ms > PLAYER_STILL_MS;
    p->seeks = m.seeks;
    p->furthest_ms = sought ? m.position_ms : u64_max(p->furthest_ms, m.position_ms);
    p->risen_ms = now_ms;
    return false;
}

static void give_up(struct player *p, struct peer *peer, const char *why)
{
    p->hung = true;
    log_error("a player hangs: it %s", why);
    peer_close(peer, REASON_TIMED_OUT);
}

static bool on_reply(struct peer *peer, const struct frame *reply, enum reason why, void *ctx)
{
    struct player *p = ctx;
    if (reply == NULL && why == REASON_TIMED_OUT)
        give_up(p, peer, "says nothing any more");
    else if (reply == NULL)
        peer_close(peer, why);
    else if (stands_still(p, reply))
        give_up(p, peer, "does not go on");
    if (reply == NULL || p->hung)
        return false;
    if (p->callbacks != NULL)
        p->callbacks->on_frame(reply, p->ctx);
    return reply->type != ply_Type_PLAYED && reply->type != ply_Type_OUTPUTS_DONE;
}

/* Takes fd, also when r says that it is not to be sent any more. */
static int hand_over(struct player *p, int r, uint16_t type, const pb_msgdesc_t *fields, const void *message, int fd)
{
    if (r == 0)
        return peer_send_fd(p->control, type, 0, fields, message, fd);
    closep(&fd);
    return r;
}

int player_start(struct player *p, int body_fd, int vault_fd, int plugin_fd, const void *start)
{
    watch(p, start);
    static const ply_Body body;
    static const ply_Vault vault;
    static const ply_Plugin plugin;
    int r = p->control != NULL ? 0 : -EPIPE;
    r = hand_over(p, r, ply_Type_BODY, ply_Body_fields, &body, body_fd);
    r = hand_over(p, r, ply_Type_VAULT, ply_Vault_fields, &vault, vault_fd);
    if (plugin_fd >= 0)
        r = hand_over(p, r, ply_Type_PLUGIN, ply_Plugin_fields, &plugin, plugin_fd);
    return r != 0 ? r
                  : peer_request(p->control, ply_Type_START, ply_Start_fields, start, slice(NULL, 0), PLAYER_SILENCE_MS,
                                 on_reply, p, NULL);
}

int player_give_disc(struct player *p, int fd)
{
    static const ply_Disc disc;
    return hand_over(p, p->control != NULL ? 0 : -EPIPE, ply_Type_DISC, ply_Disc_fields, &disc, fd);
}

int player_give_cover(struct player *p, int fd)
{
    static const ply_Cover cover;
    return hand_over(p, p->control != NULL ? 0 : -EPIPE, ply_Type_COVER, ply_Cover_fields, &cover, fd);
}

int player_ask_outputs(struct player *p)
{
    static const ply_OutputsGet ask;
    if (p->control == NULL)
        return -EPIPE;
    return peer_request(p->control, ply_Type_OUTPUTS_GET, ply_OutputsGet_fields, &ask, slice(NULL, 0),
                        PLAYER_SILENCE_MS, on_reply, p, NULL);
}

void player_tell(struct player *p, uint16_t type, const pb_msgdesc_t *fields, const void *message)
{
    if (p->control == NULL || peer_send(p->control, type, 0, fields, message, slice(NULL, 0)) != 0)
        log_debug("a player could not be told type=%u", (unsigned)type);
}

bool player_failed(const struct player *p) { return p->hung || (!p->dropped && !p->alive); }

void player_close(struct player *p)
{
    p->dropped = true;
    end_process(p);
    if (p->control != NULL)
        peer_close(p->control, REASON_CANCELLED);
}
