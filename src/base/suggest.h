/* What may have been meant: of the names that there are, the one that is nearest to a word that is none of them. Any thread.
 *
 *     struct suggest s = suggest("serv");
 *     for (...) suggest_try(&s, names[i]);
 *     suggest_found(&s)                     "serve"
 */
#ifndef BASE_SUGGEST_H
#define BASE_SUGGEST_H

#include <stddef.h>

#define SUGGEST_BYTES_MAX 48 /* longer words are near to nothing */

struct suggest {
    const char *word;  /* borrowed */
    const char *found; /* borrowed from suggest_try; NULL: nothing is near by now */
    size_t distance;   /* of found; letters that are left out, added, other ones, or two that changed places */
};
struct suggest suggest(const char *word);
/* name: valid as long as found is asked for. Of two that are equally near the first one stays. */
void suggest_try(struct suggest *s, const char *name);
/* The nearest name, when it is near enough that it may have been meant: it begins with the word (of two letters or more), or a third of the word's letters are to be changed at
 * most. NULL: none. */
static inline const char *suggest_found(const struct suggest *s) { return s->found; }

#endif
