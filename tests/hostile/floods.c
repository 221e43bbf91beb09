/* Too much of everything, against either program: connections, slowness, requests, answers that are not read. Whoever calls looks at
 * the program's memory while and after. Each case lasts seconds. */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/util.h"
#include "stage.h"

#define HALF_OPEN_COUNT 3000
#define SLOW_COUNT 150
#define SLOW_PATIENCE_MS 25000 /* a stranger's time is 10 s */
#define FLOOD_FRAMES 400000

static void allow_many_files(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static void close_all(int *fds, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (fds[i] >= 0)
            close(fds[i]);
    free(fds);
}

/* Connections that never say a word. They are hung up on in time, and meanwhile others are served. */
static const char *half_open(struct stage *s)
{
    allow_many_files();
    int *fds = malloc(HALF_OPEN_COUNT * sizeof(*fds));
    size_t connected = 0, hung_up = 0;
    if (!fds)
        abort();
    for (size_t i = 0; i < HALF_OPEN_COUNT; i++) {
        fds[i] = wire_connect_plain(s->address);
        connected += fds[i] >= 0;
    }
    int64_t end_ms = wire_now_ms() + SLOW_PATIENCE_MS;
    while (hung_up < connected && wire_now_ms() < end_ms) {
        hung_up = 0;
        for (size_t i = 0; i < HALF_OPEN_COUNT; i++) {
            char byte;
            if (fds[i] >= 0)
                hung_up +=
                    recv(fds[i], &byte, 1, MSG_DONTWAIT | MSG_PEEK) == 0 || (errno != EAGAIN && errno != EWOULDBLOCK);
            errno = EAGAIN;
        }
        wire_turn(&s->wire);
    }
    close_all(fds, HALF_OPEN_COUNT);
    if (hung_up < connected)
        return stage_complain(s, "%zu of %zu silent connections are still open", connected - hung_up, connected);
    return NULL;
}

/* After the handshake one byte a second, for ever. */
static const char *slow_loris(struct stage *s)
{
    struct line *lines[SLOW_COUNT];
    static const uint8_t frame[] = { 0, 0, 0, 200, 0, 11, 0, 0, 0, 1, 0, 0, 0, 190 };
    size_t open = 0, at = 0;
    allow_many_files();
    for (size_t i = 0; i < SLOW_COUNT; i++)
        lines[i] = line_dial(&s->wire, s->address);
    for (size_t i = 0; i < SLOW_COUNT; i++)
        open += line_wait_open(lines[i], WIRE_WAIT_MS);
    int64_t end_ms = wire_now_ms() + SLOW_PATIENCE_MS, next_ms = 0;
    const char *bad = open > SLOW_COUNT / 4 ? NULL : stage_complain(s, "only %zu of %d came in", open, SLOW_COUNT);
    size_t left = open;
    while (!bad && left > 0 && wire_now_ms() < end_ms) {
        if (wire_now_ms() >= next_ms) {
            for (size_t i = 0; i < SLOW_COUNT; i++)
                line_say_raw(lines[i], at < sizeof(frame) ? slice(frame + at, 1) : slice("x", 1));
            at++;
            next_ms = wire_now_ms() + 1000;
        }
        wire_turn(&s->wire);
        left = 0;
        for (size_t i = 0; i < SLOW_COUNT; i++)
            left += lines[i]->peer != NULL;
    }
    if (!bad && left > 0)
        bad = stage_complain(s, "%zu of %zu slow connections are still open", left, open);
    for (size_t i = 0; i < SLOW_COUNT; i++)
        line_free(lines[i]);
    return bad;
}

/* Connections that come and go as fast as they can. */
static const char *come_and_go(struct stage *s)
{
    for (int i = 0; i < 150; i++) {
        struct line *l = line_dial(&s->wire, s->address);
        bool opened = line_wait_open(l, WIRE_WAIT_MS);
        line_free(l);
        if (!opened)
            return stage_complain(s, "connection %d was not accepted", i);
    }
    return NULL;
}

/* Says the same frame again and again and reads nothing of what comes back, until it is hung up on or enough was said. */
static const char *say_without_reading(struct stage *s, struct line *l, struct slice frame)
{
    struct buf batch CLEANUP(buf_free) = buf(128 * 1024);
    size_t said = 0;
    if (!l)
        return s->complaint;
    while (buf_append(&batch, frame) == 0)
        ;
    size_t each = batch.len / frame.len;
    peer_pause(l->peer);
    int64_t end_ms = wire_now_ms() + SLOW_PATIENCE_MS;
    while (l->peer && said < FLOOD_FRAMES && wire_now_ms() < end_ms) {
        line_say_raw(l, buf_slice(&batch));
        said += each;
        if (!line_flush(l, 1000))
            break; /* it reads no more: just as well */
    }
    int64_t look_ms = wire_now_ms() + 1500; /* time for whoever looks at the memory */
    while (wire_now_ms() < look_ms)
        wire_turn(&s->wire);
    line_free(l);
    return NULL;
}

static const char *pings_without_reading(struct stage *s)
{
    static const uint8_t ping[] = { 0, 0, 0, 10, 0, 3, 0, 0, 0, 1, 0, 0, 0, 0 };
    struct line *l = line_dial(&s->wire, s->address);
    if (!line_wait_open(l, WIRE_WAIT_MS)) {
        line_free(l);
        return stage_complain(s, "no connection");
    }
    return say_without_reading(s, l, SLICE_ARRAY(ping));
}

static const char *requests_without_reading(struct stage *s)
{
    struct buf frame CLEANUP(buf_free) = buf(256);
    msg_Welcome welcome;
    msg_CatalogueGet get = { .query = "" };
    if (codec_frame(&frame, msg_Type_CATALOGUE_GET, 5, msg_CatalogueGet_fields, &get, slice(NULL, 0)) != 0)
        abort();
    return say_without_reading(s, stage_session(s, s->address, &welcome), buf_slice(&frame));
}

static const char *blocks_without_reading(struct stage *s)
{
    struct buf frame CLEANUP(buf_free) = buf(256);
    msg_Welcome welcome;
    msg_BlocksGet get = { .count = 1 };
    memcpy(get.content, s->content.bytes, ID_BYTES);
    if (codec_frame(&frame, msg_Type_BLOCKS_GET, 5, msg_BlocksGet_fields, &get, slice(NULL, 0)) != 0)
        abort();
    return say_without_reading(s, stage_session(s, s->address, &welcome), buf_slice(&frame));
}

static const struct hostile_case cases[] = {
    { "half_open", half_open, false },
    { "slow_loris", slow_loris, false },
    { "come_and_go", come_and_go, false },
    { "pings_without_reading", pings_without_reading, false },
    { "requests_without_reading", requests_without_reading, true },
    { "blocks_without_reading", blocks_without_reading, true },
};
const struct hostile_cases floods = { "flood", cases, ARRAY_COUNT(cases) };
