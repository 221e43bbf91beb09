/* From TRACK to sound: the body file is opened and checked, the vault judges the license and keeps the content key for a channel, and
 * the player gets the other end of that channel and the file. hearthd sees neither key nor plaintext.
 *
 * Callbacks, in order: check_file (pool), on_checked, on_opened (vault), on_player (progress, end), on_control_closed, on_player_exit,
 * on_process_closed. */
#include "daemon/play.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/util.h"
#include "daemon/child.h"
#include "daemon/control.h"
#include "daemon/events.h"
#include "daemon/leases.h"
#include "daemon/library.h"
#include "daemon/vault_client.h"
#include "net/serve.h"
#include "player.pb.h"

#define LOG_MODULE "play"
#include "base/log.h"

#define MOVED_AWAY "Its license was moved from here to another device."
#define EARLIER_REGISTRATION "Its license is of an earlier registration of this device."
#define NOT_YET "Its usage period has not begun: hearth show TRACK says when it does."
#define SILENCE_TIMEOUT_MS 30000 /* the player reports four times a second */

struct play {
    struct daemon *daemon;
    struct play *next;
    struct call *call; /* NULL once answered */
    char title[128], media_type[64], path[CONFIG_PATH_BYTES + 80];
    struct id content;
    uint32_t output;
    uv_work_t work;
    struct serve_file file;
    int outcome;
    int body_fd, player_fd; /* -1 once they are gone */
    bool vault_open;        /* the vault plays number */
    uint64_t number;
    uv_process_t process;
    bool alive;
    struct peer *control;
};
struct plays {
    struct play *first;
};

static void free_when_done(struct play *p)
{
    if (p->call != NULL || p->alive || p->control != NULL)
        return;
    for (struct play **at = &p->daemon->plays->first; *at != NULL; at = &(*at)->next)
        if (*at == p) {
            *at = p->next;
            break;
        }
    closep(&p->body_fd);
    closep(&p->player_fd);
    serve_file_deinit(&p->file);
    free(p);
}

static void on_vault_closed(const struct answer *answer, void *ctx)
{
    (void)ctx;
    if (answer->why != REASON_NONE)
        log_debug("the vault did not close a play reason=%s", answer->refusal->code);
}

/* Whatever is still there goes; the rest follows by callbacks. */
static void wind_up(struct play *p)
{
    if (p->vault_open) {
        vlt_PlayClose close_play = { .play = p->number };
        p->vault_open = false;
        if (vault_call(p->daemon->vault, &ASK(vlt_Type_PLAY_CLOSE, vlt_Type_DONE, vlt_PlayClose, &close_play),
                       on_vault_closed, NULL) != 0)
            log_debug("the vault ends the play when its channel closes");
        leases_played(p->daemon, &p->content);
    }
    if (p->control != NULL)
        peer_close(p->control, REASON_NONE);
    free_when_done(p);
}

static void refuse(struct play *p, enum reason why, const char *detail)
{
    struct call *c = steal(&p->call);
    if (c != NULL)
        call_refuse(c, why, detail);
    wind_up(p);
}

static void refuse_as(struct play *p, const msg_Refusal *refusal)
{
    struct call *c = steal(&p->call);
    if (c != NULL)
        call_refuse_as(c, refusal);
    wind_up(p);
}

/* --- 4: the player plays (S48-S50) --- */

static void take_played(struct play *p, const struct frame *f)
{
    ply_Played played;
    struct call *c = steal(&p->call);
    if (CODEC_DECODE(ply_Played, f->message, &played) != 0) {
        call_refuse(c, REASON_MALFORMED, NULL);
    } else {
        ctl_Played row = { .has_digest = played.has_digest,
                           .has_format = played.has_format,
                           .samples = played.samples };
        CODEC_SET_TEXT(row.track_title, p->title);
        memcpy(row.digest, played.digest, sizeof(row.digest));
        CODEC_SET_TEXT(row.format, played.format);
        event(p->daemon, "played", "%s was played", p->title);
        CALL_ROW(c, PLAYED, Played, &row);
        call_finish(c);
    }
    wind_up(p);
}

static bool on_player(struct peer *peer, const struct frame *reply, enum reason why, void *ctx)
{
    struct play *p = ctx;
    msg_Refusal refusal;
    ply_Progress progress;
    (void)peer;
    if (p->call == NULL)
        return false;
    if (reply == NULL) {
        refuse(p, why == REASON_TIMED_OUT ? REASON_TIMED_OUT : REASON_INTERNAL, "The player has ended unexpectedly.");
        return false;
    }
    if (reply->type == ply_Type_PROGRESS && CODEC_DECODE(ply_Progress, reply->message, &progress) == 0) {
        call_progress(p->call, progress.position_ms, progress.duration_ms, "playing");
        return true;
    }
    why = peer_refusal(reply, ply_Type_PLAYED, &refusal);
    if (why == REASON_NONE)
        take_played(p, reply);
    else if (reply->type == msg_Type_REFUSAL)
        refuse_as(p, &refusal);
    else
        refuse(p, why, NULL);
    return false;
}

static void on_control_frame(struct peer *peer, const struct frame *f, void *ctx)
{
    (void)ctx;
    log_warn("the player said something nobody asked for type=%u", (unsigned)f->type);
    peer_close(peer, REASON_MALFORMED);
}

static void on_control_open(struct peer *peer, void *ctx)
{
    (void)peer;
    (void)ctx;
}

static void on_control_closed(struct peer *peer, enum reason why, void *ctx)
{
    struct play *p = ctx;
    (void)peer;
    (void)why;
    p->control = NULL;
    if (p->alive && p->call == NULL && !uv_is_closing((uv_handle_t *)&p->process))
        (void)uv_process_kill(&p->process, SIGKILL); /* it has nothing to lose, and may hang */
    if (p->call != NULL)
        refuse(p, REASON_INTERNAL, "The player has ended unexpectedly.");
    else
        free_when_done(p);
}

static void on_process_closed(uv_handle_t *handle)
{
    struct play *p = handle->data;
    p->alive = false;
    free_when_done(p);
}

static void on_player_exit(uv_process_t *process, int64_t status, int signal)
{
    if (signal != 0 && signal != SIGKILL) /* by us */
        log_error("the player was ended signal=%d", signal);
    else if (status != 0)
        log_debug("the player has ended status=%d", (int)status);
    uv_close((uv_handle_t *)process, on_process_closed);
}

/* --- 3: the player starts --- */

static int start_player(struct play *p)
{
    static const struct peer_callbacks callbacks = { .on_open = on_control_open,
                                                     .on_frame = on_control_frame,
                                                     .on_closed = on_control_closed };
    char path[PATH_MAX];
    int pair[2];
    int r = child_find("hearth-player", "player", path);
    if (r != 0) {
        log_error("hearth-player was not found");
        return r;
    }
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
        return -errno;
    int ours CLEANUP(closep) = pair[0], theirs CLEANUP(closep) = pair[1];
    char *argv[] = { path, NULL };
    int fds[] = { p->player_fd, p->body_fd, theirs };
    p->process.data = p;
    r = child_start(&p->process, p->daemon->loop, path, argv, fds, 3, on_player_exit);
    p->alive = true;
    if (r != 0) {
        uv_close((uv_handle_t *)&p->process, on_process_closed);
        return r;
    }
    closep(&p->player_fd);
    closep(&p->body_fd);
    p->player_fd = p->body_fd = -1;
    r = peer_from_fd(&p->control, p->daemon->loop, ours, &callbacks, p);
    if (r != 0)
        return r;
    ours = -1;
    ply_Start start = { .output = p->output };
    CODEC_SET_TEXT(start.media_type, p->media_type);
    CODEC_SET_TEXT(start.title, p->title);
    return peer_request(p->control, ply_Type_START, ply_Start_fields, &start, slice(NULL, 0), SILENCE_TIMEOUT_MS,
                        on_player, p, NULL);
}

/* --- 2: the vault judges (S42-S46) --- */

/* The vault opens none of its licenses: those that seem valid are for a leaf that this device had before. They are of no use, and nothing
 * stands in the way of buying or restoring. */
static void void_licenses(struct track *t)
{
    for (size_t i = 0; i < t->license_count; i++)
        if (t->licenses[i].state == LICENSE_VALID)
            t->licenses[i].state = LICENSE_SURRENDERED;
}

/* What the vault's reason means here. NULL: no more than it says. */
static const char *explain(struct play *p, enum reason why)
{
    struct track *t = library_find(p->daemon, p->content.bytes);
    const struct track_license *l = t != NULL && t->license_count > 0 ? track_license(t) : NULL;
    if (l != NULL && why == REASON_NO_LICENSE && l->state == LICENSE_VALID) {
        void_licenses(t);
        return EARLIER_REGISTRATION;
    }
    if (l != NULL && why == REASON_NO_LICENSE && l->state == LICENSE_SURRENDERED)
        return MOVED_AWAY;
    if (l != NULL && why == REASON_NOT_PERMITTED && l->conditions.has_usage_from_ms)
        return NOT_YET;
    return NULL;
}

static void on_opened(const struct answer *answer, void *ctx)
{
    struct play *p = ctx;
    vlt_PlayOpened opened;
    const char *text = answer->why != REASON_NONE ? explain(p, answer->why) : NULL;
    if (text != NULL) {
        refuse(p, answer->why, text);
        return;
    }
    if (answer->why != REASON_NONE) {
        refuse_as(p, answer->refusal);
        return;
    }
    if (CODEC_DECODE(vlt_PlayOpened, answer->frame->message, &opened) != 0) {
        refuse(p, REASON_INTERNAL, NULL);
        return;
    }
    p->number = opened.play;
    p->vault_open = true;
    int r = p->call != NULL && call_is_watched(p->call) ? start_player(p) : REASON_CANCELLED;
    if (r != 0)
        refuse(p, r == -ENOENT ? REASON_UNPLAYABLE : reason_of_error(r),
               r == -ENOENT ? "The player is not installed." : NULL);
}

static int ask_vault(struct play *p)
{
    vlt_PlayOpen open_play = vlt_PlayOpen_init_zero;
    int pair[2];
    if (CODEC_SET_BYTES(open_play.info, buf_slice(&p->file.info)) != 0)
        return -EPROTO;
    memcpy(open_play.content, p->content.bytes, ID_BYTES);
    memcpy(open_play.list_root, p->file.list_root, sizeof(open_play.list_root));
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
        return -errno;
    p->player_fd = pair[0];
    return vault_call_fd(p->daemon->vault, &ASK(vlt_Type_PLAY_OPEN, vlt_Type_PLAY_OPENED, vlt_PlayOpen, &open_play),
                         pair[1], on_opened, p);
}

/* --- 1: the file (S48) --- */

static void check_file(uv_work_t *work)
{
    struct play *p = work->data;
    p->body_fd = open(p->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    p->outcome = p->body_fd < 0 ? -errno : serve_file_read(p->body_fd, &p->content, &p->file);
}

static void on_checked(uv_work_t *work, int status)
{
    struct play *p = work->data;
    (void)status;
    int r = p->daemon->stopping ? REASON_CANCELLED : p->outcome;
    if (r == 0)
        r = ask_vault(p);
    if (r != 0)
        refuse(p, reason_of_error(r), NULL);
}

/* Who asked has left: no sound for nobody. */
static void on_gone(struct call *c, void *ctx)
{
    struct play *p = ctx;
    (void)c;
    if (p->control != NULL)
        peer_close(p->control, REASON_CANCELLED);
}

static uint32_t output_of(const char *text)
{
    return strcmp(text, "audio") == 0    ? ply_Output_OUTPUT_AUDIO
           : strcmp(text, "digest") == 0 ? ply_Output_OUTPUT_DIGEST
           : strcmp(text, "null") == 0   ? ply_Output_OUTPUT_NULL
                                         : ply_Output_OUTPUT_NONE;
}

static struct play *play_new(struct daemon *d, struct call *c, const struct track *t, uint32_t output)
{
    if (d->plays == NULL)
        d->plays = calloc(1, sizeof(*d->plays));
    struct play *p = d->plays == NULL ? NULL : calloc(1, sizeof(*p));
    if (p == NULL)
        return NULL;
    *p = (struct play){
        .daemon = d, .call = c, .content = t->content, .output = output, .body_fd = -1, .player_fd = -1
    };
    if (library_body_path(d, &t->content, ".body", p->path, sizeof(p->path)) != 0) {
        free(p);
        return NULL;
    }
    CODEC_SET_TEXT(p->title, t->title);
    CODEC_SET_TEXT(p->media_type, t->media_type);
    p->next = d->plays->first;
    d->plays->first = p;
    return p;
}

void play_handle(struct daemon *d, struct call *c, const void *message)
{
    const ctl_Play *m = message;
    struct track *t;
    char detail[256];
    struct id id;
    int r = library_resolve(d, m->track, &t, detail, sizeof(detail));
    if (r == REASON_NOT_FOUND && id_parse(m->track, &id) == 0) {
        r = REASON_NO_LICENSE; /* a content that this device knows nothing of, named in full */
        detail[0] = '\0';
    }
    if (r != 0) {
        call_refuse(c, reason_of_error(r), detail[0] != '\0' ? detail : NULL);
        return;
    }
    if (output_of(m->output) == ply_Output_OUTPUT_NONE) {
        call_refuse(c, REASON_MALFORMED, "The output is audio, digest or null.");
        return;
    }
    enum license_state license = track_license_state(t, clock_wall_ms(d->clock));
    if (!t->has_body &&
        (license == LICENSE_NONE || license == LICENSE_SURRENDERED)) { /* S42; with a body the vault judges */
        call_refuse(c, REASON_NO_LICENSE, license == LICENSE_SURRENDERED ? MOVED_AWAY : NULL);
        return;
    }
    if (!t->has_body) {
        call_refuse(c, REASON_NOT_FOUND, "Its content is not on this device: hearth get TRACK --download-only");
        return;
    }
    struct play *p = play_new(d, c, t, output_of(m->output));
    if (p == NULL) {
        call_refuse(c, REASON_INTERNAL, NULL);
        return;
    }
    call_on_gone(c, on_gone, p);
    p->work.data = p;
    (void)uv_queue_work(d->loop, &p->work, check_file, on_checked); /* fails only without a function */
}

void plays_stop(struct daemon *d)
{
    struct play *next;
    for (struct play *p = d->plays == NULL ? NULL : d->plays->first; p != NULL; p = next) {
        next = p->next;
        if (p->control != NULL)
            peer_close(p->control, REASON_CANCELLED);
    }
}
