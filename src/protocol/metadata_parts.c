/* The parts of metadata: a strict reader that borrows from what it reads, and the writer beside it. No I/O. Any thread. */
#include "base/text.h"
#include "base/util.h"
#include "protocol/metadata.h"
#include "protocol/picture.h"

static const uint32_t counts_max[METADATA_COVER + 1] = { [METADATA_TAG] = METADATA_TAGS_MAX,
                                                         [METADATA_CHAPTER] = METADATA_CHAPTERS_MAX,
                                                         [METADATA_LYRIC] = METADATA_LYRICS_MAX,
                                                         [METADATA_COVER] = 1 };

static bool key_is_valid(struct slice key)
{
    for (size_t i = 0; i < key.len; i++)
        if (!memchr("abcdefghijklmnopqrstuvwxyz0123456789-", key.data[i], 37))
            return false;
    return key.len > 0 && key.len <= METADATA_KEY_MAX;
}

/* Shows as it is: what acts on a terminal or reorders a line is refused, as in every other text that comes from outside. */
static bool text_is_valid(struct slice text, size_t min)
{
    char plain[METADATA_TEXT_MAX + 1], safe[METADATA_TEXT_MAX + 1];
    if (text.len < min || text.len > METADATA_TEXT_MAX || !text_is_utf8(text))
        return false;
    if (text.len > 0)
        memcpy(plain, text.data, text.len);
    plain[text.len] = '\0';
    return strcmp(text_safe(plain, safe, sizeof(safe)), plain) == 0;
}

/* The one place where a part is judged: before it is given out, and before it is written. */
static bool follows(struct metadata_reader *r, const struct metadata_part *p)
{
    if (p->kind < METADATA_TAG || p->kind > METADATA_COVER || p->kind < r->last)
        return false;
    bool first = p->kind != r->last;
    if (r->counts[p->kind] >= counts_max[p->kind] || p->start_ms > METADATA_MS_MAX)
        return false;
    switch (p->kind) {
    case METADATA_TAG:
        if (!key_is_valid(p->key) || !text_is_valid(p->text, 1))
            return false;
        break;
    case METADATA_CHAPTER:
        if (!text_is_valid(p->text, 1) || (!first && p->start_ms <= r->last_ms))
            return false;
        break;
    case METADATA_LYRIC:
        if (!text_is_valid(p->text, 0) || (!first && p->start_ms < r->last_ms))
            return false;
        break;
    case METADATA_COVER:
        if (p->text.len > METADATA_COVER_MAX || !picture_type(p->text, METADATA_COVER_SIDE_MAX))
            return false;
        break;
    }
    r->last = p->kind;
    r->last_ms = p->start_ms;
    r->counts[p->kind]++;
    return true;
}

struct metadata_reader metadata_reader(struct slice parts) { return (struct metadata_reader){ .rest = reader(parts) }; }

int metadata_next(struct metadata_reader *r, struct metadata_part *out)
{
    if (reader_done(&r->rest))
        return METADATA_END;
    struct metadata_part p = { .kind = (enum metadata_kind)reader_u8(&r->rest) };
    struct reader inside = reader(reader_bytes(&r->rest, reader_u32(&r->rest)));
    if (r->rest.bad)
        return REASON_MALFORMED;
    if (p.kind == METADATA_TAG)
        p.key = reader_bytes(&inside, reader_u8(&inside));
    else if (p.kind != METADATA_COVER)
        p.start_ms = reader_u64(&inside);
    p.text = inside.rest;
    if (inside.bad || !follows(r, &p)) {
        r->rest.bad = true;
        return REASON_MALFORMED;
    }
    *out = p;
    return 0;
}

int metadata_parts_judge(struct slice parts, uint32_t counts[METADATA_COVER + 1])
{
    struct metadata_reader r = metadata_reader(parts);
    struct metadata_part p;
    int result;
    do
        result = metadata_next(&r, &p);
    while (result == 0);
    if (result != METADATA_END)
        return result;
    memcpy(counts, r.counts, sizeof(r.counts));
    return 0;
}

int metadata_put(struct buf *parts, struct metadata_reader *so_far, const struct metadata_part *p)
{
    size_t before = parts->len, len = p->text.len;
    if (!follows(so_far, p))
        return REASON_MALFORMED;
    len += p->kind == METADATA_TAG ? 1 + p->key.len : p->kind == METADATA_COVER ? 0 : 8;
    int r = buf_put_u8(parts, (uint8_t)p->kind);
    if (r == 0)
        r = buf_put_u32(parts, (uint32_t)len);
    if (r == 0 && p->kind == METADATA_TAG)
        r = buf_put_u8(parts, (uint8_t)p->key.len);
    if (r == 0 && p->kind == METADATA_TAG)
        r = buf_append(parts, p->key);
    if (r == 0 && (p->kind == METADATA_CHAPTER || p->kind == METADATA_LYRIC))
        r = buf_put_u64(parts, p->start_ms);
    if (r == 0)
        r = buf_append(parts, p->text);
    if (r != 0)
        parts->len = before;
    return r > 0 ? REASON_TOO_LARGE : r;
}
