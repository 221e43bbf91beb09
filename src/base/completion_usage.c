/* Reading a usage: words, options with their values, alternatives (|) and what may be left out ([]), nested as they are. Any thread. */
#include "base/completion_usage.h"

#include <ctype.h>
#include <string.h>

#include "base/util.h"

#define ENDS_WORD " \n[]()"

/* Where reading has come to, in words: what came before the next one, and which number it may have. */
struct at {
    struct usage_word prefix[USAGE_PREFIX_MAX];
    size_t prefix_count;
    bool vague; /* something came that is not typed as it stands: the prefix ends before it */
    unsigned first, last;
};
struct reader {
    struct usage *out;
    const char *rest, *end;
};

bool usage_is(struct usage_word w, const char *text)
{
    return strlen(text) == w.len && memcmp(w.text, text, w.len) == 0;
}

bool usage_is_literal(struct usage_word w)
{
    if (w.len < 2 || !islower((unsigned char)w.text[0]))
        return false;
    for (size_t i = 0; i < w.len; i++)
        if (!islower((unsigned char)w.text[i]) && w.text[i] != '-')
            return false;
    return true;
}

struct usage_word usage_choice(struct usage_word *choices)
{
    const char *bar = memchr(choices->text, '|', choices->len);
    struct usage_word w = { choices->text, bar ? (size_t)(bar - choices->text) : choices->len };
    size_t taken = bar ? w.len + 1 : w.len;
    choices->text += taken;
    choices->len -= taken;
    return w;
}

bool usage_has_literal(struct usage_word choices)
{
    while (choices.len > 0)
        if (usage_is_literal(usage_choice(&choices)))
            return true;
    return false;
}

static bool is_all_literal(struct usage_word choices)
{
    while (choices.len > 0)
        if (!usage_is_literal(usage_choice(&choices)))
            return false;
    return true;
}

bool usage_names_file(struct usage_word choices)
{
    static const char *const names[] = { "FILE", "FILE...", "DIR", "DIRECTORY", "F",     "OUT",
                                         "PATH", "PICTURE", "KEY", "REQUEST",   "BACKUP" };
    while (choices.len > 0) {
        struct usage_word w = usage_choice(&choices);
        if (w.len > 0 && w.text[0] == '/')
            return true;
        for (size_t i = 0; i < ARRAY_COUNT(names); i++)
            if (usage_is(w, names[i]))
                return true;
    }
    return false;
}

/* --- Reading --- */

static void skip_blanks(struct reader *r)
{
    while (r->rest < r->end && strchr(" \n", *r->rest) != NULL)
        r->rest++;
}

static struct usage_word take_word(struct reader *r)
{
    struct usage_word w = { r->rest, strcspn(r->rest, ENDS_WORD) };
    w.len = size_min(w.len, (size_t)(r->end - r->rest));
    r->rest += w.len;
    return w;
}

/* An option and, where a word follows that is none itself, its value. */
static void add_option(struct reader *r, struct usage_word name)
{
    struct usage *u = r->out;
    struct usage_word value = { NULL, 0 };
    skip_blanks(r);
    if (r->rest < r->end && strchr("[]()|", *r->rest) == NULL && strncmp(r->rest, "--", 2) != 0)
        value = take_word(r);
    for (size_t i = 0; i < u->option_count; i++)
        if (u->options[i].name.len == name.len && memcmp(u->options[i].name.text, name.text, name.len) == 0) {
            if (value.len > 0)
                u->options[i].value = value;
            return;
        }
    if (u->option_count < USAGE_OPTIONS_MAX)
        u->options[u->option_count++] = (struct usage_option){ name, value };
}

static void add_place(struct usage *u, struct at *at, struct usage_word what)
{
    bool repeats = what.len > 3 && memcmp(what.text + what.len - 3, "...", 3) == 0;
    if (u->place_count < USAGE_PLACES_MAX) {
        struct usage_place *p = &u->places[u->place_count++];
        *p = (struct usage_place){
            .prefix_count = at->prefix_count, .first = at->first, .last = repeats ? USAGE_LAST : at->last, .what = what
        };
        memcpy(p->prefix, at->prefix, sizeof(p->prefix));
    }
    if (!at->vague && at->prefix_count < USAGE_PREFIX_MAX && is_all_literal(what))
        at->prefix[at->prefix_count++] = what;
    else
        at->vague = true;
    at->first = at->first < USAGE_LAST ? at->first + 1 : USAGE_LAST;
    at->last = repeats || at->last >= USAGE_LAST ? USAGE_LAST : at->last + 1;
}

static void read_word(struct reader *r, struct at *at)
{
    struct usage_word w = take_word(r), before = w;
    if (w.len > 2 && strncmp(w.text, "--", 2) == 0) {
        add_option(r, (struct usage_word){ w.text + 2, w.len - 2 });
        return;
    }
    for (size_t i = 0; i + 3 <= w.len; i++)
        if (strncmp(w.text + i, "|--", 3) == 0) { /* TIME|--chapter N */
            before.len = i;
            break;
        }
    add_place(r->out, at, before);
    if (before.len < w.len)
        add_option(r, (struct usage_word){ w.text + before.len + 3, w.len - before.len - 3 });
}

static void read_choices(struct reader *r, struct at *at, unsigned depth);

/* Up to a bar that stands alone, or the end of what is around it. */
static void read_sequence(struct reader *r, struct at *at, unsigned depth)
{
    for (;;) {
        skip_blanks(r);
        if (r->rest == r->end || strchr("])|", *r->rest) != NULL)
            return;
        bool optional = *r->rest == '[';
        if (!optional && *r->rest != '(') {
            read_word(r, at);
            continue;
        }
        unsigned first = at->first;
        r->rest++;
        read_choices(r, at, depth + 1);
        if (optional)
            at->first = first;
    }
}

/* All alternatives begin where `at` is; behind them it is wherever any of them has come to. */
static void read_choices(struct reader *r, struct at *at, unsigned depth)
{
    struct at begin = *at;
    unsigned first = USAGE_LAST, last = begin.last;
    for (bool more = true; more;) {
        *at = begin;
        read_sequence(r, at, depth);
        first = at->first < first ? at->first : first;
        last = at->last > last ? at->last : last;
        more = r->rest < r->end && *r->rest == '|';
        if (r->rest < r->end && (more || depth > 0))
            r->rest++;
    }
    *at = begin;
    at->first = first;
    at->last = last;
    at->vague = begin.vague || last > begin.last; /* else there were options only */
}

void usage_read(struct usage *out, const char *name, const char *usage)
{
    *out = (struct usage){ 0 };
    for (const char *form = usage; *form != '\0';) {
        const char *end = form;
        while (*end != '\0' && !(end[0] == '\n' && end[1] != ' '))
            end++;
        struct reader r = { out, form, end };
        if (form != usage && strncmp(form, name, strlen(name)) == 0)
            r.rest += strlen(name);
        while (r.rest < r.end) { /* once, unless brackets do not match */
            read_choices(&r, &(struct at){ 0 }, 0);
            if (r.rest < r.end)
                r.rest++;
        }
        form = *end == '\n' ? end + 1 : end;
    }
}
