/* Columns: how wide text is on a terminal, and text that keeps within so many. */
#ifndef UI_CLI_WIDTH_H
#define UI_CLI_WIDTH_H

#include <stddef.h>

/* Of text that text_safe has passed; in a locale that cannot read it, a column a byte. */
size_t width_of(const char *text);
/* As much of text as fits into so many columns and cap bytes, cut at a character, with "..." where something is left out. Returns out. */
char *width_cut(const char *text, size_t columns, char *out, size_t cap);
/* Of the terminal behind a descriptor; 80 when it does not say. */
size_t width_of_terminal(int fd);

#endif
