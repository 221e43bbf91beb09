/* From a content ID to sound: the body file is opened and checked, the vault judges the license and keeps the content key for a channel, and
 * the player gets the other end of that channel and the file. hearthd sees neither key nor plaintext.
 *
 * Callbacks, in order: check_file (pool), on_checked, those of play_vault.c, on_player_frame ..., on_vault_closed, on_counted: on_end fires; and
 * on_player_gone whenever that is. */
#include "daemon/play_internal.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/file.h"
#include "base/util.h"
#include "daemon/damage.h"
#include "daemon/events.h"
#include "daemon/leases.h"
#include "daemon/library.h"
#include "daemon/play_verdict.h"
#include "daemon/player.h"
#include "daemon/programs.h"
#include "daemon/vault_client.h"
#include "net/serve.h"

#define LOG_MODULE "play"
#include "base/log.h"

#define NOT_HERE "Its content is not on this device: hearth get TRACK --download-only"

struct plays {
    struct play *first;
};

/* --- 5: the end --- */

static void free_when_done(struct play *p)
{
    if (!p->told || p->player != NULL)
        return;
    for (struct play **at = &p->daemon->plays->first; *at != NULL; at = &(*at)->next)
        if (*at == p) {
            *at = p->next;
            break;
        }
    closep(&p->body_fd);
    closep(&p->player_fd);
    closep(&p->plugin_fd);
    closep(&p->disc_fd);
    closep(&p->cover_fd);
    serve_file_deinit(&p->file);
    free(p);
}

static void tell_end(struct play *p)
{
    p->told = true;
    p->locked = false; /* and what it costs is known here */
    p->callbacks->on_end(&p->end, p->ctx);
    free_when_done(p);
}

static void on_counted(void *ctx) { tell_end(ctx); }

/* Why a play that was cut off is counted or not: told with the refusal, else as an event; and kept beside the license. */
static void take_verdict(struct play *p, const vlt_PlayClosed *closed)
{
    char text[PLAY_VERDICT_BYTES];
    msg_Refusal *refusal = &p->end.refusal;
    if (closed->end == vlt_PlayEnd_END_NONE &&
        p->opened.locked) /* another vault than opened it: it has found the lock */
        library_refresh(p->daemon);
    library_note_end(p->daemon, &p->content, &p->opened, closed);
    p->end.counted = closed->counted;
    if (play_verdict_text(closed, text)[0] == '\0')
        return;
    event(p->daemon, closed->recovered ? "recovered" : "counted", "%s: %s", p->start.title, text);
    size_t len = strlen(refusal->text);
    if (p->end.why != REASON_NONE && p->end.why != REASON_CANCELLED && len + 1 + strlen(text) < sizeof(refusal->text))
        (void)snprintf(refusal->text + len, sizeof(refusal->text) - len, " %s", text);
}

static void on_vault_closed(const struct answer *answer, void *ctx)
{
    struct play *p = ctx;
    vlt_PlayClosed closed;
    if (answer->why != REASON_NONE)
        log_warn("the vault did not close a play reason=%s", answer->refusal->code);
    else if (CODEC_DECODE(vlt_PlayClosed, answer->frame->message, &closed) == 0)
        take_verdict(p, &closed);
    leases_played(p->daemon, &p->content, on_counted, p);
}

/* What it was charged is settled before anybody hears of its end. */
void play_settle(struct play *p)
{
    vlt_PlayClose close_play = { .play = p->number, .end = p->how };
    if (p->under_way)
        return;
    if (p->player != NULL)
        player_close(p->player);
    if (!p->vault_open) {
        tell_end(p);
        return;
    }
    p->vault_open = false;
    if (vault_call(p->daemon->vault, &ASK(vlt_Type_PLAY_CLOSE, vlt_Type_PLAY_CLOSED, vlt_PlayClose, &close_play),
                   on_vault_closed, p) != 0)
        tell_end(p); /* the vault is ending, and closes it by itself */
}

/* The library is to know it: `hearth get` mends it. A plug-in's file may be meant as well, so the body is looked through. */
static void note_damage(struct play *p)
{
    if (damage_look(p->daemon, &p->content, NULL, NULL) != 0)
        log_warn("a damaged body is not noted");
}

void play_end_as(struct play *p, vlt_PlayEnd how, enum reason why, const msg_Refusal *refusal)
{
    if (p->ended)
        return;
    p->ended = true;
    p->how = how;
    p->end.why = why;
    p->end.refusal = *refusal;
    if (why == REASON_BLOCK_CORRUPT)
        note_damage(p);
    play_settle(p);
}

void play_end(struct play *p, vlt_PlayEnd how, enum reason why, const char *detail)
{
    msg_Refusal refusal;
    reason_refusal(&refusal, why, detail);
    play_end_as(p, how, why, &refusal);
}

/* --- 4: the player plays (S48-S50) --- */

static void take_played(struct play *p, const struct frame *f)
{
    if (CODEC_DECODE(ply_Played, f->message, &p->end.played) != 0) {
        play_end(p, vlt_PlayEnd_END_CRASHED, REASON_MALFORMED, NULL);
        return;
    }
    event(p->daemon, "played", "%s was played", p->start.title);
    p->ended = true;
    p->how = vlt_PlayEnd_END_FINISHED;
    play_settle(p);
}

static void on_player_frame(const struct frame *f, void *ctx)
{
    struct play *p = ctx;
    msg_Refusal refusal;
    ply_Progress progress;
    ply_Wish wish;
    if (p->ended)
        return;
    if (f->type == ply_Type_PROGRESS && CODEC_DECODE(ply_Progress, f->message, &progress) == 0) {
        p->callbacks->on_progress(&progress, p->ctx);
        return;
    }
    if (f->type == ply_Type_WISH && CODEC_DECODE(ply_Wish, f->message, &wish) == 0) {
        p->callbacks->on_wish(wish.wanted, p->ctx);
        return;
    }
    enum reason why = peer_refusal(f, ply_Type_PLAYED, &refusal);
    if (why == REASON_NONE)
        take_played(p, f);
    else if (f->type == msg_Type_REFUSAL)
        play_end_as(p, play_end_of_refusal(why), why, &refusal);
    else
        play_end(p, vlt_PlayEnd_END_CRASHED, why, NULL);
}

static void on_player_gone(enum reason why, int signal, void *ctx)
{
    struct play *p = ctx;
    char detail[96];
    p->player = NULL;
    if (p->ended) {
        free_when_done(p);
        return;
    }
    if (signal != 0)
        (void)snprintf(detail, sizeof(detail),
                       play_end_of_exit(why, signal) == vlt_PlayEnd_END_KILLED
                           ? "Somebody ended the player (signal %d)."
                           : "The player has crashed (signal %d).",
                       signal);
    else
        (void)snprintf(detail, sizeof(detail), "%s",
                       why == REASON_TIMED_OUT       ? "The player hung, and was ended."
                       : why == REASON_OUTPUT_FAILED ? "The display of its window went away."
                                                     : "The player has ended unexpectedly.");
    play_end(p, play_end_of_exit(why, signal), why == REASON_CANCELLED ? REASON_INTERNAL : why, detail);
}

/* --- 3: the player starts --- */

int play_start_player(struct play *p)
{
    ply_Pause pause = { .paused = true };
    int body_fd = p->body_fd, player_fd = p->player_fd, plugin_fd = p->plugin_fd;
    if (p->player == NULL)
        return -EPIPE;
    int disc_fd = p->disc_fd;
    p->body_fd = p->player_fd = p->plugin_fd = p->disc_fd = -1;
    int r = disc_fd >= 0 ? player_give_disc(p->player, disc_fd) : 0;
    int cover_fd = p->cover_fd;
    p->cover_fd = -1;
    if (r == 0 && cover_fd >= 0)
        r = player_give_cover(p->player, cover_fd);
    else
        closep(&cover_fd);
    if (r != 0) {
        closep(&body_fd);
        closep(&player_fd);
        closep(&plugin_fd);
        return r;
    }
    r = player_start(p->player, body_fd, player_fd, plugin_fd, &p->start);
    p->started = r == 0;
    if (r == 0 && p->pause_first)
        player_tell(p->player, ply_Type_PAUSE, ply_Pause_fields, &pause);
    return r;
}

/* --- 1: the file (S48) --- */

static void check_file(uv_work_t *work)
{
    struct play *p = work->data;
    p->outcome = file_open_regular(p->path, O_NOFOLLOW, &p->body_fd); /* what else lies there is no body */
    if (p->outcome == 0)
        p->outcome = serve_file_read(p->body_fd, &p->content, &p->file);
    else if (p->outcome == FILE_NOT_REGULAR)
        p->outcome = REASON_BLOCK_CORRUPT;
}

static void on_checked(uv_work_t *work, int status)
{
    struct play *p = work->data;
    (void)status;
    p->under_way = false;
    if (p->ended) {
        play_settle(p);
        return;
    }
    int r = p->daemon->stopping ? REASON_CANCELLED : p->outcome;
    if (r == 0)
        r = play_ask_vault(p);
    p->under_way = r == 0;
    if (r == -ENOENT)
        play_end(p, vlt_PlayEnd_END_UNREADABLE, REASON_NOT_FOUND, NOT_HERE);
    else if (r != 0)
        play_end(p, vlt_PlayEnd_END_UNREADABLE, reason_of_error(r), NULL);
}

/* --- Start --- */

/* What needs no vault to be refused (S42); with a body the vault judges. REASON_NONE, or *refusal. */
static enum reason judge_track(struct daemon *d, const struct track *t, msg_Refusal *refusal)
{
    const struct track_license *l = t == NULL ? NULL : track_license(t);
    if (t != NULL && t->has_body)
        return REASON_NONE;
    enum reason why = l == NULL ? REASON_NO_LICENSE : library_away(d, l, refusal);
    if (l != NULL && why == REASON_NONE)
        why = REASON_NOT_FOUND;
    if (l == NULL || why == REASON_NOT_FOUND)
        reason_refusal(refusal, why, why == REASON_NOT_FOUND ? NOT_HERE : NULL);
    return why;
}

/* The player loads while the file and the license are looked at. */
static void begin(struct later_item *item)
{
    static const struct player_callbacks callbacks = { on_player_frame, on_player_gone };
    struct play *p = container_of(item, struct play, later);
    const struct track *t = library_find(p->daemon, p->content.bytes);
    msg_Refusal refusal;
    enum reason why = judge_track(p->daemon, t, &refusal);
    p->under_way = false;
    if (p->ended) {
        play_settle(p);
        return;
    }
    if (why != REASON_NONE) {
        play_end_as(p, vlt_PlayEnd_END_UNREADABLE, why, &refusal);
        return;
    }
    int r = player_take(&p->player, p->daemon, &callbacks, p);
    if (r != 0) {
        play_end(p, vlt_PlayEnd_END_CRASHED, r == -ENOENT ? REASON_UNPLAYABLE : reason_of_error(r),
                 r == -ENOENT ? "The player is not installed." : NULL);
        return;
    }
    p->under_way = true;
    (void)uv_queue_work(p->daemon->loop, &p->work, check_file, on_checked); /* fails only without a function */
}

int play_start(struct play **out, struct daemon *d, const struct id *content, const ply_Start *start,
               const char *plugin, const struct play_callbacks *callbacks, void *ctx)
{
    if (d->plays == NULL)
        d->plays = calloc(1, sizeof(*d->plays));
    struct play *p = d->plays == NULL ? NULL : calloc(1, sizeof(*p));
    if (p == NULL)
        return -ENOMEM;
    *p = (struct play){ .daemon = d,
                        .callbacks = callbacks,
                        .ctx = ctx,
                        .content = *content,
                        .start = *start,
                        .body_fd = -1,
                        .player_fd = -1,
                        .plugin_fd = -1,
                        .disc_fd = -1,
                        .cover_fd = -1,
                        .under_way = true };
    const struct track *t = library_find(d, content->bytes);
    programs_split(plugin, p->plugin, p->plugin_distributor);
    CODEC_SET_TEXT(p->start.title, t != NULL && t->has_info ? t->title : "");
    CODEC_SET_TEXT(p->start.media_type, t != NULL && t->has_info ? t->media_type : "");
    if (library_body_path(d, content, ".body", p->path, sizeof(p->path)) != 0) {
        free(p);
        return -ENOMEM;
    }
    p->work.data = p;
    p->next = d->plays->first;
    d->plays->first = p;
    later_run(&d->later, &p->later, begin);
    *out = p;
    return 0;
}

void play_record(struct play *p, int fd)
{
    p->disc_fd = fd;
    p->record = true;
}

void play_await_cover(struct play *p) { p->awaits_cover = true; }

void play_cover(struct play *p, int fd)
{
    closep(&p->cover_fd);
    p->cover_fd = fd;
    p->awaits_cover = false;
    if (p->ready && !p->ended && play_start_player(p) != 0)
        play_end(p, vlt_PlayEnd_END_CRASHED, REASON_INTERNAL, NULL);
    p->ready = false;
}

/* --- Controls --- */

bool play_seek(struct play *p, uint64_t position_ms)
{
    ply_Seek m = { .position_ms = position_ms };
    if (!p->started)
        p->start.from_ms = position_ms;
    else if (p->player != NULL)
        player_tell(p->player, ply_Type_SEEK, ply_Seek_fields, &m);
    return p->started;
}

void play_pause(struct play *p, bool paused)
{
    ply_Pause m = { .paused = paused };
    if (!p->started)
        p->pause_first = paused;
    else if (p->player != NULL)
        player_tell(p->player, ply_Type_PAUSE, ply_Pause_fields, &m);
}

void play_volume(struct play *p, uint32_t percent)
{
    ply_Volume m = { .percent = percent };
    if (!p->started)
        p->start.volume = percent;
    else if (p->player != NULL)
        player_tell(p->player, ply_Type_VOLUME, ply_Volume_fields, &m);
}

/* A player that has crashed or hung before that is no play its user stopped: on_player_gone follows, and says how it ended. */
void play_stop(struct play *p)
{
    if (p->player == NULL || !player_failed(p->player))
        play_end(p, vlt_PlayEnd_END_STOPPED, REASON_CANCELLED, NULL);
}

bool plays_lock(const struct daemon *d, const void *issuer, const void *license_id)
{
    for (const struct play *p = d->plays != NULL ? d->plays->first : NULL; p != NULL; p = p->next)
        if (p->locked && id_equal(p->opened.issuer, issuer) && memcmp(p->opened.license_id, license_id, 16) == 0)
            return true;
    return false;
}

void plays_stop(struct daemon *d)
{
    struct play *next;
    for (struct play *p = d->plays == NULL ? NULL : d->plays->first; p != NULL; p = next) {
        next = p->next;
        if (!p->told)
            play_stop(p);
    }
}
