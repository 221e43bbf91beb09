/* Table: rows under headings, made safe for a terminal and fitted to it. */
#ifndef UI_CLI_TABLE_H
#define UI_CLI_TABLE_H

#include <stddef.h>

#define TABLE_COLUMNS_MAX 9
struct table {
    size_t columns;
    size_t rows, capacity;
    char *(*cells)[TABLE_COLUMNS_MAX]; /* owned; row 0 is the heading */
    size_t
        beneath; /* from this column on a row goes on beneath itself where the terminal is too narrow for it; 0: columns are left out instead */
};
void table_init(struct table *t, size_t columns, const char *const *headings);
/* Adds a row of `columns` cells (const char *), made terminal-safe. */
void table_row(struct table *t, ...);
void table_note(struct table *t, const char *text); /* a line of its own beneath the last row */
/* Prints with aligned columns, on a terminal as wide as that is: texts such as titles are shortened, then whole columns are left out (what they say --json
 * says, too), so that no number, time or amount is cut. Notes are broken between words. Nothing but the heading: prints nothing. Returns how many lines
 * it took. */
size_t table_print(struct table *t);
void table_deinit(struct table *t);

#endif
