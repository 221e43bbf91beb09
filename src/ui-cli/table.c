/* Tables for people, as wide as their terminal. In files and pipes everything stands as it is. Single thread. */
#include "ui-cli/table.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "base/util.h"
#include "base/width.h"

#define TITLE_COLUMNS 48
#define TITLE_COLUMNS_MIN 16
#define COLUMNS_MIN 8
#define INDENT 4        /* of a note */
#define HIDDEN SIZE_MAX /* as a width */
#define BOLD "\033[1m"
#define PLAIN "\033[m"

static void *must(void *p)
{
    if (p != NULL)
        return p;
    fputs("hearth: out of memory\n", stderr);
    exit(1);
}

void table_init(struct table *t, size_t columns, const char *const *headings)
{
    *t = (struct table){ .columns = columns, .rows = 1, .capacity = 16 };
    t->cells = must(calloc(t->capacity, sizeof(*t->cells)));
    for (size_t i = 0; i < columns; i++)
        t->cells[0][i] = must(strdup(headings[i]));
}

void table_row(struct table *t, ...)
{
    if (t->rows == t->capacity) {
        t->capacity *= 2;
        t->cells = must(realloc(t->cells, t->capacity * sizeof(*t->cells)));
    }
    va_list args;
    va_start(args, t);
    for (size_t i = 0; i < t->columns; i++) {
        char safe[512], cut[512];
        const char *cell = text_safe(va_arg(args, const char *), safe, sizeof(safe));
        bool title = strcmp(t->cells[0][i], "TITLE") == 0; /* one that is long makes every row long */
        t->cells[t->rows][i] = must(strdup(title ? width_cut(cell, TITLE_COLUMNS, cut, sizeof(cut)) : cell));
    }
    va_end(args);
    t->rows++;
}

/* Isolated (Unicode annex 9), so that a terminal which turns right-to-left text leaves the columns beside it where they are. In files and pipes it would
 * be one more character to trip over. */
static void put_cell(const char *text)
{
    const bool isolate = isatty(STDOUT_FILENO) && width_turns(text);
    printf("%s%s%s", isolate ? "\u2068" : "", text, isolate ? "\u2069" : "");
}

void table_note(struct table *t, const char *text)
{
    const char *cells[TABLE_COLUMNS_MAX] = { text, "", "", "", "", "", "", "", "" };
    table_row(t, cells[0], cells[1], cells[2], cells[3], cells[4], cells[5], cells[6], cells[7], cells[8]);
    char **row = t->cells[t->rows - 1];
    for (size_t i = 1; i < t->columns; i++)
        free(steal(&row[i]));
}

static bool is_note(const struct table *t, size_t row) { return t->cells[row][1] == NULL; }

static size_t line_of(const struct table *t, const size_t widths[TABLE_COLUMNS_MAX])
{
    size_t line = 0;
    for (size_t i = 0; i < t->columns; i++)
        line += widths[i] == HIDDEN ? 0 : widths[i] + (i == 0 ? 0 : 2);
    return line;
}

static void widths_of(const struct table *t, size_t widths[TABLE_COLUMNS_MAX])
{
    for (size_t i = 0; i < t->columns; i++) {
        widths[i] = 0;
        for (size_t r = 0; r < t->rows; r++)
            if (!is_note(t, r) && width_of(t->cells[r][i]) > widths[i])
                widths[i] = width_of(t->cells[r][i]);
    }
}

/* Columns of which a part says enough; what a command takes as its argument, numbers, times and amounts are none. */
static bool is_elastic(const char *heading, size_t *least)
{
    static const char *const elastic[] = { "CREATOR", "ADDRESS" };
    bool title = strcmp(heading, "TITLE") == 0 || strcmp(heading, "FOR") == 0;
    *least = title ? TITLE_COLUMNS_MIN : COLUMNS_MIN;
    for (size_t i = 0; i < ARRAY_COUNT(elastic); i++)
        if (strcmp(heading, elastic[i]) == 0)
            return true;
    return title;
}

/* Takes from the column that can spare most, until the line fits. Returns how wide it is. */
static size_t shorten(const struct table *t, size_t widths[TABLE_COLUMNS_MAX], size_t line, size_t columns)
{
    size_t from = 0, least;
    for (; line > columns && from < t->columns; line -= from < t->columns) {
        from = t->columns;
        for (size_t i = 1; i < t->columns; i++)
            if (is_elastic(t->cells[0][i], &least) && widths[i] != HIDDEN && widths[i] > least &&
                (from == t->columns || widths[i] > widths[from]))
                from = i;
        if (from < t->columns)
            widths[from]--;
    }
    return line;
}

/* The column that is missed least, of those that are shown and are not the first; t->columns: none. */
static size_t dispensable(const struct table *t, const size_t widths[TABLE_COLUMNS_MAX])
{
    static const char *const order[] = { "TYPE",    "ADDRESS", "ISSUER", "DISTRIBUTOR", "BALANCE", "SIZE",
                                         "CREATOR", "DEVICES", "LENGTH", "TIME",        "COPY",    "AMOUNT" };
    for (size_t n = 0; n < ARRAY_COUNT(order); n++)
        for (size_t i = 1; i < t->columns; i++)
            if (widths[i] != HIDDEN && strcmp(t->cells[0][i], order[n]) == 0)
                return i;
    return t->columns;
}

static void cut_widest(const struct table *t, size_t widths[TABLE_COLUMNS_MAX], size_t line, size_t columns)
{
    for (; line > columns; line--) {
        size_t from = 0;
        for (size_t i = 1; i < t->columns; i++)
            if (widths[i] != HIDDEN && (widths[i] > widths[from] || from == 0))
                from = i;
        if (widths[from] == HIDDEN || widths[from] <= COLUMNS_MIN)
            return;
        widths[from]--;
    }
}

/* Texts are shortened; then whole columns are left out, rather than to cut an amount or a time; then the widest is cut. */
static void fit(const struct table *t, size_t widths[TABLE_COLUMNS_MAX], size_t line, size_t columns)
{
    size_t hidden[TABLE_COLUMNS_MAX], without;
    memcpy(hidden, widths, sizeof(hidden));
    for (line = shorten(t, widths, line, columns); line > columns; line = shorten(t, widths, line, columns)) {
        without = dispensable(t, hidden);
        if (without == t->columns)
            break;
        hidden[without] = HIDDEN;
        memcpy(widths, hidden, sizeof(hidden));
        line = line_of(t, widths);
    }
    cut_widest(t, widths, line, columns);
}

/* A line of its own, or several, each set in. */
static size_t put_note(const char *text, size_t columns)
{
    size_t lines = 0, room = columns > INDENT + COLUMNS_MIN ? columns - INDENT : COLUMNS_MIN;
    do {
        size_t n = width_line(text, room);
        char *line = must(strndup(text, n));
        printf("%*s", INDENT, "");
        put_cell(line);
        putchar('\n');
        free(line);
        text += n + strspn(text + n, " ");
        lines++;
    } while (*text != '\0');
    return lines;
}

/* How wide the row is, from its first column to the last that holds anything; *last is that one. */
static size_t row_width(const struct table *t, size_t row, const size_t widths[TABLE_COLUMNS_MAX], size_t *last)
{
    size_t at = 0, width = 0;
    *last = 0;
    for (size_t i = 0; i < t->columns; i++) {
        if (widths[i] == HIDDEN)
            continue;
        if (t->cells[row][i][0] != '\0') {
            *last = i;
            width = at + size_min(width_of(t->cells[row][i]), widths[i]);
        }
        at += widths[i] + 2;
    }
    return width;
}

static void put_row(const struct table *t, size_t row, const size_t widths[TABLE_COLUMNS_MAX], size_t last)
{
    char cut[512];
    const bool bold = row == 0 && width_colours(STDOUT_FILENO);
    fputs(bold ? BOLD : "", stdout);
    for (size_t i = 0; i <= last; i++) {
        const char *cell = t->cells[row][i];
        if (widths[i] == HIDDEN)
            continue;
        if (width_of(cell) > widths[i])
            cell = width_cut(cell, widths[i], cut, sizeof(cut));
        put_cell(cell);
        if (i < last)
            printf("%*s", (int)(widths[i] - width_of(cell)) + 2, "");
    }
    fputs(bold ? PLAIN "\n" : "\n", stdout);
}

/* What of the row goes beneath it: with commas on one line, where that is wide enough. */
static size_t put_rest(const struct table *t, size_t row, size_t columns)
{
    char rest[1100] = "";
    size_t lines = 0;
    for (size_t i = t->beneath; i < t->columns; i++) {
        const char *cell = t->cells[row][i];
        const size_t len = strlen(rest);
        if (cell[0] == '\0')
            continue;
        if (len > 0 && INDENT + width_of(rest) + 2 + width_of(cell) > columns) {
            lines += put_note(rest, columns);
            (void)snprintf(rest, sizeof(rest), "%s", cell);
        } else {
            (void)snprintf(rest + len, sizeof(rest) - len, "%s%s", len > 0 ? ", " : "", cell);
        }
    }
    return lines + (rest[0] != '\0' ? put_note(rest, columns) : 0);
}

/* Does it fit with every column, when what can be shortened is? */
static bool fits(const struct table *t, const size_t widths[TABLE_COLUMNS_MAX], size_t columns)
{
    size_t tried[TABLE_COLUMNS_MAX];
    memcpy(tried, widths, sizeof(tried));
    return shorten(t, tried, line_of(t, tried), columns) <= columns;
}

size_t table_print(struct table *t)
{
    size_t widths[TABLE_COLUMNS_MAX] = { 0 }, head[TABLE_COLUMNS_MAX], lines = 0, last;
    size_t columns = isatty(STDOUT_FILENO) ? width_of_terminal(STDOUT_FILENO) : SIZE_MAX;
    if (t->rows <= 1)
        return 0;
    widths_of(t, widths);
    memcpy(head, widths, sizeof(head));
    const bool beneath = t->beneath > 0 && !fits(t, widths, columns);
    for (size_t i = t->beneath; beneath && i < t->columns; i++)
        head[i] = HIDDEN;
    fit(t, head, line_of(t, head), columns);
    if (beneath) /* what stands in a line all the same is aligned to the same columns */
        memcpy(widths, head, t->beneath * sizeof(*widths));
    else
        memcpy(widths, head, sizeof(widths));
    for (size_t r = 0; r < t->rows; r++) {
        if (is_note(t, r)) {
            lines += put_note(t->cells[r][0], columns);
            continue;
        }
        const bool whole = row_width(t, r, widths, &last) <= columns;
        if (!beneath || whole) {
            put_row(t, r, widths, last);
            lines++;
            continue;
        }
        (void)row_width(t, r, head, &last);
        put_row(t, r, head, last);
        lines += 1 + (r > 0 ? put_rest(t, r, columns) : 0);
    }
    return lines;
}

void table_deinit(struct table *t)
{
    for (size_t r = 0; r < t->rows; r++)
        for (size_t i = 0; i < t->columns; i++)
            free(t->cells[r][i]);
    free(t->cells);
    *t = (struct table){ 0 };
}
