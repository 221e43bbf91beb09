/* What a person means by TRACK: a number of the last listing, the beginning of a content ID, or a title. Source: seed S41. */
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "daemon/library_internal.h"
#include "daemon/listing.h"
#include "daemon/siblings.h"

#define PREFIX_MIN 4

/* Names the candidates: "Title (id), Title (id), ..." as far as they fit. */
static void add_candidate(char *detail, size_t cap, const struct track *t)
{
    char id[ID_SHORT_BYTES];
    size_t len = strlen(detail);
    id_short(t->content.bytes, id);
    int n = snprintf(detail + len, cap - len, "%s%s (%s)", len == 0 ? "It fits: " : ", ",
                     t->has_info ? t->title : "a license without content", id);
    if (n < 0 || (size_t)n >= cap - len)
        detail[len] = '\0';
}

struct candidates {
    struct track *first; /* NULL: none */
    unsigned count;
    char *detail;
    size_t cap;
};

static void add(struct candidates *c, struct track *t)
{
    if (c->count++ == 0) {
        c->first = t;
        return;
    }
    if (c->count == 2)
        add_candidate(c->detail, c->cap, c->first);
    add_candidate(c->detail, c->cap, t);
}

static int choose(const struct candidates *c, struct track **out)
{
    if (c->count == 1)
        *out = c->first;
    return c->count == 1 ? 0 : c->count == 0 ? REASON_NOT_FOUND : REASON_AMBIGUOUS;
}

/* Those of one title stand together. */
static int find_title(struct daemon *d, const char *text, struct track **out, char *detail, size_t cap)
{
    struct candidates c = { .detail = detail, .cap = cap };
    const struct library *l = d->library;
    for (size_t i = library_index_title(l, text); i < l->titled; i++) {
        struct track *t = l->titles[i];
        if (!t->has_info || strcasecmp(t->title, text) != 0)
            break;
        add(&c, t);
    }
    return choose(&c, out);
}

static int find_prefix(struct daemon *d, const char *text, struct track **out, char *detail, size_t cap)
{
    struct candidates c = { .detail = detail, .cap = cap };
    const struct library *l = d->library;
    for (size_t i = library_index_prefix(l, text); i < l->count; i++) {
        struct track *t = l->places[i].track;
        if (!id_has_prefix(t->content.bytes, text))
            break;
        add(&c, t);
    }
    return choose(&c, out);
}

/* Another device that is seen now may have it, for nothing. */
static void say_not_here(struct daemon *d, const char *text, bool is_number, char *detail, size_t cap)
{
    const struct sibling *seen = NULL;
    unsigned count = 0;
    for (size_t i = 0; i < siblings_count(d); i++)
        if (sibling_is_online(siblings_at(d, i))) {
            seen = seen == NULL ? siblings_at(d, i) : seen;
            count++;
        }
    (void)snprintf(detail, cap, "No track '%.64s' in this device's library.", text);
    size_t len = strlen(detail);
    if (count > 0)
        (void)snprintf(detail + len, cap - len, " Another device may have it: hearth library --on %s%s.", seen->name,
                       count > 1 ? ", or another of hearth devices" : "");
    len = strlen(detail);
    if (is_number)
        len += (size_t)snprintf(detail + len, cap - len, " Numbers are of the list that this terminal was shown last.");
    (void)snprintf(detail + len, cap - len, " What is on sale: hearth browse; then: hearth get TRACK");
}

int library_resolve(struct daemon *d, const char *text, struct track **out, char *detail, size_t detail_cap)
{
    detail[0] = '\0';
    const struct listing_entry *e = listing_number(d, listing_parse(text));
    if (e != NULL) {
        struct track *t = library_find(d, e->content.bytes);
        if (t == NULL) {
            (void)snprintf(detail, detail_cap, "%s is not in this device's library.", e->title);
            return REASON_NOT_FOUND;
        }
        *out = t;
        return 0;
    }
    int r = find_title(d, text, out, detail, detail_cap);
    if (r == REASON_NOT_FOUND && strlen(text) >= PREFIX_MIN)
        r = find_prefix(d, text, out, detail, detail_cap);
    if (r == REASON_NOT_FOUND)
        say_not_here(d, text, listing_parse(text) != 0, detail, detail_cap);
    return r;
}
