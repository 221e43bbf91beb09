/* Columns: how wide text is on a terminal, and text that keeps within so many. */
#ifndef BASE_WIDTH_H
#define BASE_WIDTH_H

#include <stdbool.h>
#include <stddef.h>

/* Of text that text_safe has passed; in a locale that cannot read it, a column a byte. */
size_t width_of(const char *text);
/* As much of text as fits into so many columns and cap bytes, cut at a character, with "..." where something is left out. Returns out. */
char *width_cut(const char *text, size_t columns, char *out, size_t cap);
/* How many bytes of text stand on one line of so many columns: up to the last space that fits, or, where a word alone is longer, what fits of it. At least
 * one character, so that whoever goes on behind it comes to the end. */
size_t width_line(const char *text, size_t columns);
/* Are there letters that are written from right to left? What stands beside them moves on terminals that know how, unless they are isolated. */
bool width_turns(const char *text);
/* Of the terminal behind a descriptor; 80 when it does not say. */
size_t width_of_terminal(int fd);
/* How many lines it has; 24 when it does not say. */
size_t width_lines_of_terminal(int fd);

/* Is the descriptor a terminal on which a line can be written again (not TERM=dumb)? */
bool width_moves(int fd);
/* Is the descriptor a terminal that shows colours, and does nobody object (NO_COLOR, TERM=dumb)? */
bool width_colours(int fd);

#endif
