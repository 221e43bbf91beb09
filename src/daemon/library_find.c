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

static int find(struct daemon *d, const char *text, bool (*fits)(const struct track *t, const char *text),
                struct track **out, char *detail, size_t detail_cap)
{
    struct track *found = NULL;
    unsigned count = 0;
    for (size_t i = 0; i < library_count(d); i++) {
        struct track *t = library_at(d, i);
        if (!fits(t, text))
            continue;
        found = t;
        count++;
    }
    if (count == 1)
        *out = found;
    for (size_t i = 0; count > 1 && i < library_count(d); i++)
        if (fits(library_at(d, i), text))
            add_candidate(detail, detail_cap, library_at(d, i));
    return count == 1 ? 0 : count == 0 ? REASON_NOT_FOUND : REASON_AMBIGUOUS;
}

static bool fits_prefix(const struct track *t, const char *text) { return id_has_prefix(t->content.bytes, text); }
static bool fits_title(const struct track *t, const char *text)
{
    return t->has_info && strcasecmp(t->title, text) == 0;
}

/* Another device that is seen now may have it, for nothing. */
static void say_not_here(struct daemon *d, char *detail, size_t cap)
{
    const struct sibling *seen = NULL;
    unsigned count = 0;
    for (size_t i = 0; i < siblings_count(d); i++)
        if (sibling_is_online(siblings_at(d, i))) {
            seen = seen == NULL ? siblings_at(d, i) : seen;
            count++;
        }
    (void)snprintf(detail, cap, "Nothing in this device's library has this name.");
    size_t len = strlen(detail);
    if (count > 0)
        (void)snprintf(detail + len, cap - len, " Another device may have it: hearth fetch TRACK --from %s%s.",
                       seen->name, count > 1 ? ", or another of hearth devices" : "");
    len = strlen(detail);
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
    int r = find(d, text, fits_title, out, detail, detail_cap);
    if (r == REASON_NOT_FOUND && strlen(text) >= PREFIX_MIN)
        r = find(d, text, fits_prefix, out, detail, detail_cap);
    if (r == REASON_NOT_FOUND)
        say_not_here(d, detail, detail_cap);
    return r;
}
