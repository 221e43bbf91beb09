/* Reading tags, chapters and LRC lyrics. No I/O. Any thread. */
#include "distributor/metadata_text.h"

#include <ctype.h>
#include <stdlib.h>

#include "base/text.h"
#include "base/util.h"

#define NO_LYRIC "a line of lyrics is [MM:SS.xx]TEXT, with a time or several before it"

void metadata_writer_init(struct metadata_writer *w)
{
    *w = (struct metadata_writer){ .parts = buf(METADATA_PARTS_MAX), .so_far = metadata_reader(slice(NULL, 0)) };
}

void metadata_writer_deinit(struct metadata_writer *w) { buf_free(&w->parts); }

/* --- Lines --------------------------------------------------------------------------------------------------------- */

/* The next line that says something, without its end and the blanks around it; NULL: none. */
static char *next_line(struct metadata_writer *w, char **rest)
{
    while (**rest != '\0') {
        char *line = *rest, *end = line + strcspn(line, "\n");
        *rest = *end == '\0' ? end : end + 1;
        w->line++;
        while (end > line && isspace((unsigned char)end[-1]))
            end--;
        *end = '\0';
        line += strspn(line, " \t");
        if (*line != '\0' && *line != '#')
            return line;
    }
    return NULL;
}

static char *begin(struct metadata_writer *w, char *text)
{
    static const char mark[] = "\xef\xbb\xbf"; /* some editors put it before everything */
    w->line = 0;
    return strncmp(text, mark, strlen(mark)) == 0 ? text + strlen(mark) : text;
}

static bool digits(const char **at, uint64_t *out)
{
    const char *from = *at;
    *out = 0;
    while (isdigit((unsigned char)**at) && *at - from < 9)
        *out = *out * 10 + (uint64_t)(*(*at)++ - '0');
    return *at > from;
}

/* [HH:]MM:SS[.mmm], as many digits behind the point as there are; seconds below 60, and minutes where there are hours. */
static bool read_time(const char **at, uint64_t *ms)
{
    uint64_t first, second, third, fraction = 0;
    if (!digits(at, &first) || *(*at)++ != ':' || !digits(at, &second) || second >= 60)
        return false;
    uint64_t seconds = first * 60 + second;
    if (**at == ':') {
        (*at)++;
        if (!digits(at, &third) || third >= 60)
            return false;
        seconds = seconds * 60 + third;
    }
    if (**at == '.') {
        uint64_t scale = 100;
        for ((*at)++; isdigit((unsigned char)**at); (*at)++, scale /= 10)
            fraction += scale * (uint64_t)(**at - '0');
    }
    *ms = seconds * 1000 + fraction;
    return true;
}

/* --- Parts --------------------------------------------------------------------------------------------------------- */

static int malformed(struct metadata_writer *w, const char *cause)
{
    w->cause = cause;
    return REASON_MALFORMED;
}

static const char *cause_of(const struct metadata_writer *w, const struct metadata_part *p)
{
    static const uint32_t most[] = { [METADATA_TAG] = METADATA_TAGS_MAX,
                                     [METADATA_CHAPTER] = METADATA_CHAPTERS_MAX,
                                     [METADATA_LYRIC] = METADATA_LYRICS_MAX,
                                     [METADATA_COVER] = 1 };
    if (p->kind != METADATA_COVER && !text_is_plain(p->text))
        return "it is no UTF-8, or holds a control character (an escape, say), which may act on a terminal";
    if (p->kind != METADATA_COVER && p->text.len > METADATA_TEXT_MAX)
        return "it is longer than 1023 bytes";
    if (p->start_ms > METADATA_MS_MAX)
        return "its time is too late";
    if (w->so_far.counts[p->kind] >= most[p->kind])
        return "there are too many of them";
    if (p->kind == METADATA_TAG)
        return "a tag is KEY=TEXT, its key of 1 to 31 small letters, digits and dashes";
    if (p->kind == METADATA_CHAPTER)
        return p->text.len == 0 ? "the title is missing" : "it is not later than the chapter before it";
    return "it is earlier than the line before it";
}

static int put(struct metadata_writer *w, const struct metadata_part *p)
{
    int r = metadata_put(&w->parts, &w->so_far, p);
    return r == REASON_MALFORMED ? malformed(w, cause_of(w, p)) : r;
}

/* --- Tags, chapters, cover ----------------------------------------------------------------------------------------- */

int metadata_write_tags(struct metadata_writer *w, char *text)
{
    char *rest = begin(w, text);
    for (char *line; (line = next_line(w, &rest)) != NULL;) {
        char *equals = strchr(line, '=');
        if (!equals)
            return malformed(w, "a tag is KEY=TEXT");
        const struct metadata_part tag = { .kind = METADATA_TAG,
                                           .key = slice(line, (size_t)(equals - line)),
                                           .text = slice_str(equals + 1) };
        int r = put(w, &tag);
        if (r != 0)
            return r;
    }
    return 0;
}

int metadata_write_chapters(struct metadata_writer *w, char *text)
{
    char *rest = begin(w, text);
    for (const char *line; (line = next_line(w, &rest)) != NULL;) {
        struct metadata_part chapter = { .kind = METADATA_CHAPTER };
        if (!read_time(&line, &chapter.start_ms) || (*line != ' ' && *line != '\t'))
            return malformed(w, "a chapter is [HH:]MM:SS[.mmm] TITLE");
        chapter.text = slice_str(line + strspn(line, " \t"));
        int r = put(w, &chapter);
        if (r != 0)
            return r;
    }
    return 0;
}

int metadata_write_cover(struct metadata_writer *w, struct slice picture)
{
    const struct metadata_part cover = { .kind = METADATA_COVER, .text = picture };
    w->line = 0;
    return put(w, &cover);
}

/* --- Lyrics -------------------------------------------------------------------------------------------------------- */

struct lyric {
    uint64_t start_ms;
    const char *text;
    unsigned line; /* in the file: lines at one time stay in order */
};
struct lyrics {
    struct lyric *all;
    size_t count, capacity;
    int64_t earlier_ms; /* [offset:]: so much earlier than it says */
};

static int add(struct metadata_writer *w, struct lyrics *l, uint64_t start_ms)
{
    if (l->count == METADATA_LYRICS_MAX)
        return malformed(w, "there are too many of them");
    if (l->count == l->capacity) {
        size_t more = l->capacity * 2 + 64;
        struct lyric *grown = reallocarray(l->all, more, sizeof(*grown));
        if (!grown)
            return -ENOMEM;
        l->all = grown;
        l->capacity = more;
    }
    l->all[l->count++] = (struct lyric){ start_ms, NULL, w->line };
    return 0;
}

/* The times before a line, then the line; or a tag that is none. */
static int read_lyric(struct metadata_writer *w, struct lyrics *l, const char *line)
{
    size_t before = l->count;
    uint64_t start_ms;
    while (*line == '[') {
        const char *at = line + 1, *end = strchr(line, ']');
        if (!end)
            return malformed(w, NO_LYRIC);
        if (strncmp(at, "offset:", 7) == 0)
            l->earlier_ms = strtoll(at + 7, NULL, 10);
        if (!isdigit((unsigned char)*at)) /* [ar:...] and the like, at the top */
            return l->count == before ? 0 : malformed(w, NO_LYRIC);
        if (!read_time(&at, &start_ms) || at != end)
            return malformed(w, NO_LYRIC);
        int r = add(w, l, start_ms);
        if (r != 0)
            return r;
        line = end + 1;
    }
    line += strspn(line, " \t");
    for (size_t i = before; i < l->count; i++)
        l->all[i].text = line;
    return l->count > before ? 0 : malformed(w, NO_LYRIC);
}

static int by_time(const void *a, const void *b)
{
    const struct lyric *x = a, *y = b;
    if (x->start_ms != y->start_ms)
        return x->start_ms < y->start_ms ? -1 : 1;
    return x->line < y->line ? -1 : x->line > y->line;
}

static int put_lyrics(struct metadata_writer *w, struct lyrics *l)
{
    int64_t earlier = l->earlier_ms;
    if (earlier < -INT32_MAX || earlier > INT32_MAX)
        return malformed(w, "the offset is too large");
    if (l->count > 0)
        qsort(l->all, l->count, sizeof(*l->all), by_time);
    for (size_t i = 0; i < l->count; i++) {
        int64_t at = (int64_t)u64_min(l->all[i].start_ms, METADATA_MS_MAX + 1) - earlier;
        const struct metadata_part lyric = { .kind = METADATA_LYRIC,
                                             .start_ms = at > 0 ? (uint64_t)at : 0,
                                             .text = slice_str(l->all[i].text) };
        w->line = l->all[i].line;
        int r = put(w, &lyric);
        if (r != 0)
            return r;
    }
    return 0;
}

int metadata_write_lyrics(struct metadata_writer *w, char *text)
{
    struct lyrics l = { 0 };
    char *rest = begin(w, text);
    int r = 0;
    for (const char *line; r == 0 && (line = next_line(w, &rest)) != NULL;)
        r = read_lyric(w, &l, line);
    if (r == 0)
        r = put_lyrics(w, &l);
    free(l.all);
    return r;
}
