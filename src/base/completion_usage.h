/* What the usage of a command says about the words after it: its options, and what may stand where. For completion.c alone. */
#ifndef BASE_COMPLETION_USAGE_H
#define BASE_COMPLETION_USAGE_H

#include <stdbool.h>
#include <stddef.h>

#define USAGE_OPTIONS_MAX 64
#define USAGE_PLACES_MAX 96
#define USAGE_PREFIX_MAX 3
#define USAGE_LAST 9 /* words behind it are taken as this one */

/* A piece of the usage: a word, or alternatives "a|b|c". Borrowed from it. */
struct usage_word {
    const char *text;
    size_t len;
};
struct usage_option {
    struct usage_word name;  /* without "--" */
    struct usage_word value; /* empty: it is a flag */
};
/* What may stand as word number first..last after the command (0: right after it; options and their values are not counted) once these words came first. */
struct usage_place {
    struct usage_word prefix[USAGE_PREFIX_MAX];
    size_t prefix_count;
    unsigned first, last;
    struct usage_word what;
};
struct usage {
    struct usage_option options[USAGE_OPTIONS_MAX];
    struct usage_place places[USAGE_PLACES_MAX];
    size_t option_count, place_count;
};

/* usage: as in struct command (commands.h). What is too much for out is left out. */
void usage_read(struct usage *out, const char *name, const char *usage);

/* The next of the alternatives, which are shortened by it. */
struct usage_word usage_choice(struct usage_word *choices);
bool usage_is(struct usage_word w, const char *text);
bool usage_is_literal(struct usage_word w); /* typed as it stands */
bool usage_has_literal(struct usage_word choices);
bool usage_names_file(struct usage_word choices); /* one of them stands for a file or a directory */

#endif
