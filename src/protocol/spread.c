/* Windows, rates, and the choice. Everything is counted in bytes as on the wire. */
#include "protocol/spread.h"

#include <string.h>

#include "protocol/receive.h"

#define MEASURE_MS 200    /* of work between two looks at a rate */
#define UNMEASURED_PART 8 /* of the window, for a source that is one of several and not measured yet */
#define AHEAD_MS 500      /* a window is worth so much of its source's time */
#define WORTHWHILE_MS 100 /* taking over has to save at least that */

int spread_join(struct spread *s)
{
    for (unsigned i = 0; i < SPREAD_SOURCES_MAX; i++)
        if (!s->sources[i].here) {
            s->sources[i] = (struct spread_source){ .here = true };
            return (int)i;
        }
    return -1;
}

void spread_leave(struct spread *s, unsigned source) { s->sources[source].here = false; }

unsigned spread_count(const struct spread *s)
{
    unsigned count = 0;
    for (unsigned i = 0; i < SPREAD_SOURCES_MAX; i++)
        count += s->sources[i].here;
    return count;
}

/* --- Rates ------------------------------------------------------------------------------------------------------- */

uint64_t spread_rate(const struct spread_source *source, int64_t now_ms)
{
    bool silent = source->range_count > 0 && now_ms - source->heard_ms >= SPREAD_SILENT_MS;
    return silent ? 0 : source->rate;
}

static void measure(struct spread_source *source, uint64_t bytes, int64_t now_ms)
{
    source->brought_bytes += bytes;
    source->lately_bytes += bytes;
    source->lately_ms += now_ms > source->heard_ms ? now_ms - source->heard_ms : 0;
    source->heard_ms = now_ms;
    if (source->lately_ms < MEASURE_MS)
        return;
    uint64_t rate = source->lately_bytes * 1000 / (uint64_t)source->lately_ms;
    source->rate = source->rate == 0 ? rate : (source->rate + rate) / 2;
    source->lately_bytes = 0;
    source->lately_ms = 0;
}

/* Milliseconds until a source at this rate has brought so much; for ever when it brings nothing. */
static int64_t time_for(uint64_t bytes, uint64_t rate)
{
    return rate == 0 ? INT64_MAX / 4 : (int64_t)(bytes * 1000 / rate);
}

/* --- Ranges ------------------------------------------------------------------------------------------------------ */

static bool holds(const struct spread_source *source, uint32_t index)
{
    for (unsigned r = 0; source->here && r < source->range_count; r++)
        if (index >= source->ranges[r].next && index < source->ranges[r].end)
            return true;
    return false;
}

unsigned spread_asked(const struct spread *s, uint32_t index)
{
    unsigned count = 0;
    for (unsigned i = 0; i < SPREAD_SOURCES_MAX; i++)
        count += holds(&s->sources[i], index);
    return count;
}

bool spread_brought(struct spread *s, unsigned source, uint32_t index, size_t len, int64_t now_ms)
{
    struct spread_source *from = &s->sources[source];
    for (unsigned r = 0; from->here && r < from->range_count; r++) {
        struct spread_range *range = &from->ranges[r];
        if (range->next != index)
            continue;
        range->next++;
        from->asked_bytes -= len;
        if (range->next == range->end) {
            from->range_count--;
            memmove(range, range + 1, (from->range_count - r) * sizeof(*range));
        }
        measure(from, len, now_ms);
        return true;
    }
    return false;
}

static uint64_t bytes_of(const struct spread_body *b, uint32_t first, uint32_t count)
{
    uint64_t bytes = 0;
    for (uint32_t i = first; i < first + count; i++)
        bytes += body_block_len(b->shape, i);
    return bytes;
}

static void take(struct spread *s, const struct spread_body *b, const struct spread_ask *ask, int64_t now_ms)
{
    struct spread_source *source = &s->sources[ask->source];
    if (source->range_count == 0)
        source->heard_ms = now_ms;
    source->ranges[source->range_count++] = (struct spread_range){ ask->first, ask->first + ask->count };
    source->asked_bytes += bytes_of(b, ask->first, ask->count);
}

/* --- The choice -------------------------------------------------------------------------------------------------- */

static uint64_t window_of(const struct spread *s, const struct spread_source *source, const struct spread_body *b)
{
    if (spread_count(s) == 1)
        return b->window_bytes;
    if (source->rate == 0)
        return b->window_bytes / UNMEASURED_PART;
    return u64_min(source->rate * AHEAD_MS / 1000, b->window_bytes);
}

/* Bytes that the source may still be asked for. One that has nothing to do may always be asked for a block. */
static uint64_t room_of(const struct spread *s, const struct spread_source *source, const struct spread_body *b)
{
    uint64_t window = window_of(s, source, b), ahead = source->asked_bytes + b->arrived_bytes;
    uint64_t room = window > ahead ? window - ahead : 0;
    if (source->range_count == SPREAD_RANGES_MAX)
        return 0;
    /* Small blocks are asked for in bunches; a window smaller than a block still moves, one by one. */
    if (ahead > 0 && room < window / 4)
        return 0;
    return ahead == 0 ? u64_max(room, 1) : room;
}

/* Would the others have brought everything, this too, before? */
static bool is_left_to_others(const struct spread *s, unsigned source, const struct spread_body *b, uint64_t bytes,
                              int64_t now_ms)
{
    const struct spread_source *self = &s->sources[source];
    uint64_t rate = spread_rate(self, now_ms), others_rate = 0;
    uint64_t rest = (uint64_t)b->missing_count * (b->shape->block_bytes + BLOCK_OVERHEAD_BYTES);
    for (unsigned i = 0; i < SPREAD_SOURCES_MAX; i++)
        if (s->sources[i].here && i != source && spread_rate(&s->sources[i], now_ms) > 0) {
            others_rate += spread_rate(&s->sources[i], now_ms);
            rest += s->sources[i].asked_bytes;
        }
    return rate != 0 && others_rate != 0 &&
           time_for(self->asked_bytes + bytes, rate) > 2 * time_for(rest, others_rate) + WORTHWHILE_MS;
}

/* The first run of blocks that nobody was asked for, as far as there is room. */
static bool choose_missing(const struct spread *s, const struct spread_body *b, struct spread_ask *ask, int64_t now_ms)
{
    uint64_t room = room_of(s, &s->sources[ask->source], b), bytes = 0;
    uint32_t i = b->next_missing;
    if (room == 0 || b->missing_count == 0)
        return false;
    while (i < b->shape->block_count && b->marks[i] != RECEIVE_MISSING)
        i++;
    ask->first = i;
    for (ask->count = 0; i < b->shape->block_count && ask->count < SPREAD_RANGE_BLOCKS; i++, ask->count++) {
        uint64_t len = body_block_len(b->shape, i);
        bool idle = s->sources[ask->source].asked_bytes + b->arrived_bytes == 0;
        if (b->marks[i] != RECEIVE_MISSING || (bytes + len > room && (ask->count > 0 || !idle)))
            break;
        bytes += len;
    }
    return ask->count > 0 && !is_left_to_others(s, ask->source, b, bytes, now_ms);
}

/* Of this range, what only its source was asked for and is still to come: its last part, half of it while the source brings something. */
static bool choose_part(const struct spread *s, const struct spread_body *b, const struct spread_range *range,
                        bool silent, uint64_t room, struct spread_ask *ask)
{
    uint32_t end = range->end, first, most;
    uint64_t bytes = 0;
    while (end > range->next && (b->marks[end - 1] != RECEIVE_ASKED || spread_asked(s, end - 1) > 1))
        end--;
    most = silent ? end - range->next : (end - range->next + 1) / 2;
    for (first = end; first > range->next && end - first < most; first--) {
        uint64_t len = body_block_len(b->shape, first - 1);
        if (b->marks[first - 1] != RECEIVE_ASKED || spread_asked(s, first - 1) > 1 ||
            (bytes + len > room && first < end))
            break;
        bytes += len;
    }
    ask->first = first;
    ask->count = end - first;
    return ask->count > 0;
}

/* Everything was asked for: is there something that would be here sooner from this source, which has nothing to do? */
static bool choose_late(const struct spread *s, const struct spread_body *b, struct spread_ask *ask, int64_t now_ms)
{
    const struct spread_source *self = &s->sources[ask->source];
    uint64_t room = room_of(s, self, b);
    int64_t latest_ms = 0;
    if (b->missing_count > 0 || self->range_count > 0 || room == 0)
        return false;
    for (unsigned i = 0; i < SPREAD_SOURCES_MAX; i++) {
        const struct spread_source *other = &s->sources[i];
        struct spread_ask part = *ask;
        if (i == ask->source || !other->here || other->range_count == 0)
            continue;
        bool silent = now_ms - other->heard_ms >= SPREAD_SILENT_MS;
        if (other->rate == 0 && !silent)
            continue; /* it has just begun */
        int64_t other_ms = time_for(other->asked_bytes, spread_rate(other, now_ms));
        if (other_ms <= latest_ms)
            continue;
        for (unsigned r = other->range_count; r-- > 0;)
            if (choose_part(s, b, &other->ranges[r], silent, room, &part) && (self->rate != 0 || silent) &&
                (silent || 2 * time_for(bytes_of(b, part.first, part.count), self->rate) + WORTHWHILE_MS < other_ms)) {
                *ask = part;
                latest_ms = other_ms;
                break;
            }
    }
    return latest_ms > 0;
}

/* Who was not measured yet comes before all, to learn it, of several the one that was tried least; then the fastest. */
static bool comes_before(const struct spread_source *a, const struct spread_source *b, int64_t now_ms)
{
    if (a->rate == 0 && b->rate == 0)
        return a->brought_bytes + a->asked_bytes < b->brought_bytes + b->asked_bytes;
    if (a->rate == 0 || b->rate == 0)
        return a->rate == 0;
    return spread_rate(a, now_ms) > spread_rate(b, now_ms);
}

static unsigned by_rate(const struct spread *s, int64_t now_ms, unsigned order[SPREAD_SOURCES_MAX])
{
    unsigned count = 0;
    for (unsigned i = 0; i < SPREAD_SOURCES_MAX; i++) {
        if (!s->sources[i].here)
            continue;
        unsigned at = count++;
        for (; at > 0 && comes_before(&s->sources[i], &s->sources[order[at - 1]], now_ms); at--)
            order[at] = order[at - 1];
        order[at] = i;
    }
    return count;
}

bool spread_next(struct spread *s, const struct spread_body *b, int64_t now_ms, struct spread_ask *out)
{
    unsigned order[SPREAD_SOURCES_MAX], count = by_rate(s, now_ms, order);
    for (unsigned i = 0; i < count; i++) {
        struct spread_ask ask = { .source = order[i] };
        if (!choose_missing(s, b, &ask, now_ms) && !choose_late(s, b, &ask, now_ms))
            continue;
        take(s, b, &ask, now_ms);
        *out = ask;
        return true;
    }
    return false;
}
