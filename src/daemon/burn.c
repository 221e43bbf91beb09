/* From a track to a disc.
 *
 * Callbacks, in order: to an image: begin_work (pool), on_begun; to a burner: on_child_exit of the look at the drive, then the burner runs;
 * on_progress ... and on_end of the play; end_work (pool) and on_image_ended, or on_child_exit of the burner: the call is answered.
 * on_gone when the client leaves: the play ends, and all the rest follows. */
#include "daemon/burn.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/text.h"
#include "base/util.h"
#include "daemon/burn_image.h"
#include "daemon/control.h"
#include "daemon/events.h"
#include "daemon/library.h"
#include "daemon/medium.h"
#include "daemon/play.h"
#include "daemon/spawner.h"

#define LOG_MODULE "burn"
#include "base/log.h"

#define DISC_MS_MAX (80 * 60 * 1000)

enum burn_state { BURN_LOOKING = 1, BURN_OPENING, BURN_RECORDING, BURN_FINISHING };

struct burn {
    struct daemon *daemon;
    struct call *call;
    enum burn_state state;
    struct id content;
    char title[128];
    uint64_t duration_ms, samples, sectors;
    struct burn_image image; /* .audio "": a burner */
    char device[128];
    uv_work_t work;
    struct child child;
    bool child_runs;
    int child_status; /* of the one that has ended: 0 or not */
    struct play *play;
    bool cancelled; /* the client has left */
    int outcome;
    msg_Refusal refusal; /* code "": none so far */
};

/* --- The end --- */

static bool is_image(const struct burn *b) { return b->image.audio[0] != '\0'; }

static void tell_file(struct call *c, const char *path)
{
    ctl_FileRow row = ctl_FileRow_init_zero;
    CODEC_SET_TEXT(row.path, path);
    if (path[0] != '\0')
        CALL_ROW(c, FILE_ROW, FileRow, &row);
}

static void fail(struct burn *b, enum reason why, const char *detail)
{
    if (b->refusal.code[0] == '\0')
        reason_refusal(&b->refusal, why, detail);
}

/* What its file did not take, with the file's name. */
static void fail_image(struct burn *b)
{
    char detail[256];
    enum reason why = REASON_ALREADY;
    if (b->outcome == REASON_ALREADY)
        (void)snprintf(detail, sizeof(detail), "There is such a file already: choose another name, or remove it.");
    else if (b->outcome < 0)
        why = medium_why(b->outcome, b->image.audio, detail, sizeof(detail));
    else
        why = (enum reason)b->outcome;
    fail(b, why, b->outcome < 0 || why == REASON_ALREADY ? detail : NULL);
}

/* Everything has ended. */
static void finish(struct burn *b)
{
    struct call *c = b->call;
    ctl_Burned row = { .samples = b->samples, .sectors = b->sectors };
    if (is_image(b))
        burn_image_abandon(&b->image);
    if (b->refusal.code[0] != '\0') {
        event(b->daemon, "not-burned", "%s was not burned: %s", b->title, b->refusal.text);
        call_refuse_as(c, &b->refusal);
    } else {
        event(b->daemon, "burned", "%s was recorded on %s", b->title, is_image(b) ? b->image.audio : b->device);
        if (is_image(b)) {
            tell_file(c, b->image.audio);
            tell_file(c, b->image.cue);
        }
        CODEC_SET_TEXT(row.title, b->title);
        CALL_ROW(c, BURNED, Burned, &row);
        call_finish(c);
    }
    b->daemon->burn = NULL;
    free(b);
}

static void end_work(uv_work_t *work)
{
    struct burn *b = work->data;
    b->outcome = burn_image_end(&b->image, b->title, &b->sectors);
}

static void on_image_ended(uv_work_t *work, int status)
{
    struct burn *b = work->data;
    (void)status;
    if (b->outcome != 0)
        fail_image(b);
    finish(b);
}

/* --- Recording --- */

/* 44.1 kHz, 16 bit, stereo. */
static uint64_t disc_bytes(uint64_t ms) { return ms * 1764 / 10; }

static void on_progress(const ply_Progress *progress, void *ctx)
{
    struct burn *b = ctx;
    call_progress(b->call, disc_bytes(progress->position_ms), disc_bytes(b->duration_ms), "recording %.80s", b->title);
}

static void on_wish(uint32_t wanted, void *ctx)
{
    (void)wanted;
    (void)ctx;
}

static void on_end(const struct play_end *end, void *ctx)
{
    struct burn *b = ctx;
    b->play = NULL;
    b->state = BURN_FINISHING;
    b->samples = end->played.samples;
    if (end->why != REASON_NONE && b->refusal.code[0] == '\0')
        b->refusal = end->refusal;
    bool whole = b->refusal.code[0] == '\0';
    if (is_image(b) && whole) {
        (void)uv_queue_work(b->daemon->loop, &b->work, end_work, on_image_ended); /* fails only without a function */
        return;
    }
    if (!b->child_runs) {
        finish(b);
        return;
    }
    if (!whole)
        child_end(&b->child, SIGTERM); /* it leaves the drive in order; the disc is spoilt */
    else
        call_progress(b->call, 0, 0, "finishing the disc");
}

static void record_to(struct burn *b, int fd)
{
    static const struct play_callbacks callbacks = { on_progress, on_wish, on_end };
    const ply_Start start = { .output = ply_Output_OUTPUT_DISC, .volume = 100 };
    b->state = BURN_RECORDING;
    if (fd >= 0 && play_start(&b->play, b->daemon, &b->content, &start, "", &callbacks, b) == 0) {
        play_record(b->play, fd);
        return;
    }
    closep(&fd);
    fail(b, REASON_INTERNAL, NULL);
    if (b->child_runs)
        child_end(&b->child, SIGTERM); /* goes on in on_child_exit */
    else
        finish(b);
}

/* --- An image --- */

static void begin_work(uv_work_t *work)
{
    struct burn *b = work->data;
    b->outcome = burn_image_begin(&b->image, disc_bytes(b->duration_ms));
}

static void on_begun(uv_work_t *work, int status)
{
    struct burn *b = work->data;
    (void)status;
    if (b->cancelled || b->daemon->stopping)
        fail(b, REASON_CANCELLED, NULL);
    else if (b->outcome == -ENOSPC)
        fail(b, REASON_STORAGE_FULL, "There is not enough room for the image: make room there. Nothing was counted.");
    else if (b->outcome != 0)
        fail_image(b);
    if (b->refusal.code[0] != '\0')
        finish(b);
    else /* another descriptor of the same open file: what the player writes follows the head */
        record_to(b, fcntl(b->image.fd, F_DUPFD_CLOEXEC, 0));
}

/* --- A burner --- */

static void start_burner(struct burn *b);

static void on_child_exit(struct child *child, int status, int signal)
{
    struct burn *b = container_of(child, struct burn, child);
    b->child_status = status != 0 || signal != 0;
    b->child_runs = false;
    if (b->state == BURN_LOOKING) {
        if (b->cancelled || b->daemon->stopping)
            fail(b, REASON_CANCELLED, NULL);
        else if (b->child_status != 0)
            fail(
                b, REASON_NOT_FOUND,
                "There is no burner of that name, or no disc in it; hearthd's log has its own words. Nothing was counted.");
        if (b->refusal.code[0] != '\0')
            finish(b);
        else
            start_burner(b);
        return;
    }
    if (b->child_status != 0)
        fail(
            b, REASON_INTERNAL,
            "The burner gave up, and the disc is spoilt; hearthd's log has its own words. hearth show says what was counted.");
    if (b->play != NULL)
        play_stop(b->play); /* on_end finishes */
    else
        finish(b);
}

/* Is there a drive with a disc? Before anything is counted. */
static void look(struct burn *b)
{
    b->state = BURN_LOOKING;
    int r = spawner_start_burner(b->daemon->spawner, &b->child, b->device, -1, on_child_exit);
    b->child_runs = r == 0;
    if (r == 0)
        return;
    log_error("the burner could not be started error=%s", strerror(-r));
    fail(b, REASON_INTERNAL, NULL);
    finish(b);
}

/* The pipe has no name; hearthd keeps neither of its ends. */
static void start_burner(struct burn *b)
{
    int ends[2] = { -1, -1 };
    b->state = BURN_OPENING;
    int r = pipe2(ends, O_CLOEXEC) != 0 ? -errno : 0;
    if (r == 0)
        r = spawner_start_burner(b->daemon->spawner, &b->child, b->device, ends[0], on_child_exit);
    b->child_runs = r == 0;
    closep(&ends[0]);
    if (r == 0) {
        record_to(b, ends[1]);
        return;
    }
    closep(&ends[1]);
    fail(b, REASON_INTERNAL, NULL);
    finish(b);
}

/* --- BURN --- */

static void on_gone(struct call *c, void *ctx)
{
    struct burn *b = ctx;
    (void)c;
    b->cancelled = true;
    if (b->play != NULL)
        play_stop(b->play);
}

static int judge_device(const char *device, char *detail, size_t cap)
{
    if (!spawner_is_device(device)) {
        (void)snprintf(detail, cap, "A burner is named by its device: --device /dev/sr0");
        return REASON_MALFORMED;
    }
    if (access(SPAWNER_BURNER, X_OK) == 0)
        return 0;
    (void)snprintf(detail, cap,
                   "The burner program is not installed: install the package cdrskin, or write an image: --image FILE");
    return REASON_NOT_FOUND;
}

static int judge(struct burn *b, const ctl_Burn *m, char *detail, size_t cap)
{
    struct track *t;
    if (b->daemon->burn != NULL) {
        (void)snprintf(detail, cap, "Another track is being burned: wait until it is done.");
        return REASON_IN_USE;
    }
    int r = library_resolve(b->daemon, m->track, &t, detail, cap);
    if (r != 0)
        return r;
    if (m->has_device == m->has_image)
        return REASON_MALFORMED;
    r = m->has_device ? judge_device(m->device, detail, cap) : burn_image_name(&b->image, m->image);
    b->image.opener = b->daemon->opener;
    if (r == REASON_MALFORMED && m->has_image)
        (void)snprintf(detail, cap, "An image's name ends in .wav, or in .bin or .cue: a cue sheet is written beside.");
    if (r != 0)
        return r;
    if (t->duration_ms > DISC_MS_MAX) {
        (void)snprintf(detail, cap, "It is longer than a disc: 80 minutes.");
        return REASON_TOO_LARGE;
    }
    b->content = t->content;
    b->duration_ms = t->duration_ms;
    CODEC_SET_TEXT(b->title, t->has_info ? t->title : "");
    CODEC_SET_TEXT(b->device, m->has_device ? m->device : "");
    return 0;
}

void burn_handle(struct daemon *d, struct call *c, const void *message)
{
    char detail[256] = "";
    struct burn *b = calloc(1, sizeof(*b));
    if (b == NULL) {
        call_refuse(c, REASON_INTERNAL, NULL);
        return;
    }
    b->daemon = d;
    b->call = c;
    b->image.fd = -1;
    int r = judge(b, message, detail, sizeof(detail));
    if (r != 0) {
        free(b);
        call_refuse(c, reason_of_error(r), detail[0] != '\0' ? detail : NULL);
        return;
    }
    b->work.data = b;
    d->burn = b;
    call_on_gone(c, on_gone, b);
    if (is_image(b)) {
        b->state = BURN_OPENING;
        (void)uv_queue_work(d->loop, &b->work, begin_work, on_begun); /* fails only without a function */
    } else {
        look(b);
    }
}
