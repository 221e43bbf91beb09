/* Serving WINDOW_GIVE, BLOCK_OPEN, RECORD_ASK and PLUGIN_OPEN. The thread touches nothing but its own struct and the memory that a player hands over: no
 * database, no file, no other play.
 * Source: seed S49. */
#define LOG_MODULE "player-channel"
#include "vault/player_channel.h"

#include <limits.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "base/log.h"
#include "base/util.h"
#include "net/channel.h"
#include "net/window.h"
#include "vault.pb.h"
#include "vault/programs.h"

#define STACK_BYTES ((size_t)256 * 1024)
#define RECENT_COUNT 4 /* a container with several streams is read in as many places by turns */

/* Guarded; freed by the thread when it ends. */
struct open_content {
    struct key32 key;
    uint8_t nonce[32];
    bool has_plugin;
    struct program_secret plugin;
    uint8_t plain[]; /* one block, of the content or the plug-in */
};

struct player_channel {
    struct channel channel;
    struct window window;
    struct body_shape shape;
    struct player_limit limit;
    uint32_t recent[RECENT_COUNT]; /* the blocks opened last, the latest first; UINT32_MAX: none */
    _Atomic uint32_t opened_count;
    struct open_content *content;
    pthread_t thread;
    sem_t go; /* it waits for this */
    bool joined;
    atomic_bool dropped, ended;
};

static uint64_t cost_ms(const struct player_channel *p, uint32_t blocks)
{
    uint32_t all = p->shape.block_count;
    uint64_t each = p->limit.duration_ms / all, rest = p->limit.duration_ms % all;
    return each * blocks + (rest * blocks + all - 1) / all;
}

uint64_t player_channel_opened_ms(const struct player_channel *p) { return cost_ms(p, atomic_load(&p->opened_count)); }

bool player_channel_opened_any(const struct player_channel *p) { return atomic_load(&p->opened_count) > 0; }

/* Where among the last opened; RECENT_COUNT: it is none of them. */
static unsigned find_recent(const struct player_channel *p, uint32_t index)
{
    unsigned i = 0;
    while (i < RECENT_COUNT && p->recent[i] != index)
        i++;
    return i;
}

static void note_recent(struct player_channel *p, unsigned at, uint32_t index)
{
    memmove(p->recent + 1, p->recent, (at < RECENT_COUNT ? at : RECENT_COUNT - 1) * sizeof(p->recent[0]));
    p->recent[0] = index;
}

/* Neither a loop nor a pause makes one play more than its license has it. */
static int judge_limit(const struct player_channel *p, bool again)
{
    if (clock_mono_ms(p->limit.clock) > p->limit.until_mono_ms)
        return p->limit.ended;
    return !again && player_channel_opened_ms(p) >= p->limit.budget_ms ? REASON_USE_EXHAUSTED : 0;
}

static int take_window(struct player_channel *p, const struct frame *f)
{
    static const vlt_Done done;
    int fd CLEANUP(closep) = channel_take_fd(&p->channel);
    window_leave(&p->window);
    int r = f->tail.len > 0 || f->message.len > 0 || fd < 0 ? REASON_MALFORMED
                                                            : window_take(&p->window, p->shape.block_bytes, fd);
    if (r != 0)
        return channel_refuse(&p->channel, f->request, r > 0 ? REASON_MALFORMED : reason_of_error(r), NULL);
    return channel_send(&p->channel, vlt_Type_DONE, f->request, vlt_Done_fields, &done, slice(NULL, 0));
}

/* Opened where the player does not look, so that it gets nothing before the tag is judged. What it alters of the block meanwhile gives it nothing either: the
 * seed and the IV, of which the key stream is made, are read once, from a copy. 0, a reason to refuse, -errno. */
static int open_in_window(struct player_channel *p, uint32_t index)
{
    uint32_t len = body_block_len(&p->shape, index);
    int r = block_open(&p->content->key, p->content->nonce, index, p->shape.block_count, slice(p->window.sealed, len),
                       p->content->plain);
    if (r == 0)
        memcpy(p->window.plain, p->content->plain, len - BLOCK_OVERHEAD_BYTES);
    return r > 0 ? REASON_BLOCK_CORRUPT : r;
}

/* 0, a reason to refuse, -errno. */
static int open_block(struct player_channel *p, const struct frame *f, vlt_BlockOpen *m)
{
    if (f->type != vlt_Type_BLOCK_OPEN || CODEC_DECODE(vlt_BlockOpen, f->message, m) != 0)
        return REASON_MALFORMED;
    if (f->tail.len > 0 || m->index >= p->shape.block_count || p->window.plain == NULL)
        return REASON_MALFORMED;
    unsigned at = find_recent(p, m->index);
    int r = judge_limit(p, at < RECENT_COUNT);
    if (r == 0)
        r = open_in_window(p, m->index);
    if (r != 0)
        return r;
    note_recent(p, at, m->index);
    atomic_fetch_add(&p->opened_count, at == RECENT_COUNT);
    return 0;
}

/* Opened in the player's own memory, which comes with the request. */
static int open_plugin(struct player_channel *p, const struct frame *f)
{
    const struct program_secret *plugin = &p->content->plugin;
    int fd CLEANUP(closep) = channel_take_fd(&p->channel);
    vlt_PluginOpened message = { .program_bytes = plugin->program_bytes };
    int r = f->tail.len > 0 || f->message.len > 0 || fd < 0 ? REASON_MALFORMED : 0;
    if (r == 0)
        r = p->content->has_plugin ? program_unseal(fd, plugin, p->content->plain, true) : REASON_UNKNOWN_PROGRAM;
    if (r == REASON_BLOCK_CORRUPT)
        return channel_refuse(&p->channel, f->request, REASON_BLOCK_CORRUPT,
                              "The plug-in's file is damaged, or another device's: hearth programs get NAME");
    if (r != 0)
        return channel_refuse(&p->channel, f->request, reason_of_error(r), NULL);
    memcpy(message.digest, plugin->digest, sizeof(message.digest));
    memcpy(message.information, plugin->information.bytes, sizeof(message.information));
    r = channel_send(&p->channel, vlt_Type_PLUGIN_OPENED, f->request, vlt_PluginOpened_fields, &message,
                     slice(NULL, 0));
    secret_wipe(&message, sizeof(message));
    return r;
}

/* Whatever hearthd tells it, a player records nothing without this word. */
static int judge_record(struct player_channel *p, const struct frame *f)
{
    static const vlt_Done done;
    int r = f->tail.len > 0 || f->message.len > 0 ? REASON_MALFORMED : p->limit.record ? 0 : REASON_NOT_PERMITTED;
    if (r != 0)
        return channel_refuse(&p->channel, f->request, (enum reason)r, NULL);
    return channel_send(&p->channel, vlt_Type_DONE, f->request, vlt_Done_fields, &done, slice(NULL, 0));
}

static int serve_one(struct player_channel *p)
{
    struct frame f;
    vlt_BlockOpen m;
    int r = channel_read(&p->channel, true, &f);
    if (r != 0)
        return r;
    if (f.type == vlt_Type_WINDOW_GIVE)
        return take_window(p, &f);
    if (f.type == vlt_Type_PLUGIN_OPEN)
        return open_plugin(p, &f);
    if (f.type == vlt_Type_RECORD_ASK)
        return judge_record(p, &f);
    r = open_block(p, &f, &m);
    if (r != 0)
        return channel_refuse(&p->channel, f.request, reason_of_error(r), NULL);
    return channel_send(&p->channel, vlt_Type_BLOCK_PLAIN, f.request, vlt_BlockPlain_fields,
                        &(vlt_BlockPlain){ .index = m.index }, slice(NULL, 0));
}

static void *serve(void *arg)
{
    struct player_channel *p = arg;
    int r = CHANNEL_CLOSED;
    while (sem_wait(&p->go) != 0)
        ; /* EINTR */
    while (!atomic_load(&p->dropped)) {
        r = serve_one(p);
        if (r != 0)
            break;
    }
    if (r != CHANNEL_CLOSED && r != -EPIPE)
        log_warn("player's channel ends: outcome=%d", r);
    secret_free(steal(&p->content));
    window_leave(&p->window);           /* what is in it is the player's to wipe, which may still read it */
    shutdown(p->channel.fd, SHUT_RDWR); /* the descriptor itself is closed after joining: nobody else gets its number */
    atomic_store(&p->ended, true);
    return NULL;
}

static int start_thread(struct player_channel *p)
{
    pthread_attr_t attributes;
    int r = pthread_attr_init(&attributes);
    if (r != 0)
        return -r;
    r = pthread_attr_setstacksize(&attributes, STACK_BYTES);
    if (r == 0)
        r = pthread_create(&p->thread, &attributes, serve, p);
    pthread_attr_destroy(&attributes);
    return -r;
}

int player_channel_open(struct player_channel **out, int fd, const struct key32 *key, const uint8_t nonce[32],
                        const struct body_shape *shape, const struct player_limit *limit,
                        const struct program_secret *plugin)
{
    struct player_channel *p = calloc(1, sizeof(*p));
    if (!p) {
        closep(&fd);
        return -ENOMEM;
    }
    channel_init(&p->channel, fd, 0);
    p->shape = *shape;
    p->limit = *limit;
    memset(p->recent, 0xff, sizeof(p->recent));
    p->content = secret_alloc(sizeof(*p->content) + size_max(shape->block_bytes, plugin ? PROGRAM_BLOCK_BYTES : 0));
    int r = !p->content ? -ENOMEM : sem_init(&p->go, 0, 0) != 0 ? -errno : 0;
    if (r == 0) {
        p->content->key = *key;
        memcpy(p->content->nonce, nonce, sizeof(p->content->nonce));
        p->content->has_plugin = plugin != NULL;
        if (plugin)
            p->content->plugin = *plugin;
        r = start_thread(p);
    }
    if (r != 0) {
        secret_free(p->content);
        channel_deinit(&p->channel);
        free(p);
        return r;
    }
    *out = p;
    return 0;
}

bool player_channel_has_ended(const struct player_channel *p) { return atomic_load(&p->ended); }

void player_channel_begin(struct player_channel *p) { (void)sem_post(&p->go); }

void player_channel_stop(struct player_channel *p)
{
    if (p->joined)
        return;
    atomic_store(&p->dropped, true);
    shutdown(p->channel.fd, SHUT_RDWR);
    (void)sem_post(&p->go);
    pthread_join(p->thread, NULL);
    p->joined = true;
}

void player_channel_free(struct player_channel *p)
{
    (void)sem_destroy(&p->go);
    window_leave(&p->window);
    channel_deinit(&p->channel);
    free(p);
}
