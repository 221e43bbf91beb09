/* What the operator's commands print: JSON objects, or text aligned for a terminal. One thread. */
#include <inttypes.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/text.h"
#include "base/util.h"
#include "base/width.h"
#include "distributor/admin.h"
#include "distributor/billing.h"

#define CELL_BYTES 320

/* --- JSON -------------------------------------------------------------------------------------------------------- */

static json_t *json_value(const struct out_field *f)
{
    char id[ID_TEXT_BYTES], safe[2048];
    switch (f->kind) {
    case OUT_TEXT:
        return json_string(text_safe(f->text, safe, sizeof(safe)));
    case OUT_ID:
        id_text(f->text, id);
        return json_string(id);
    case OUT_FLAG:
        return json_boolean(f->number != 0);
    case OUT_NUMBER:
    case OUT_MONEY: /* minor units */
    case OUT_TIME:  /* milliseconds since 1970 */
        break;
    }
    return json_integer(f->number);
}

/* Returns owned; NULL when out of memory. Names are spelled as in `hearth --json`: credit_limit. */
static json_t *json_of(const struct out_field *fields, size_t count)
{
    json_t *object = json_object();
    for (size_t i = 0; i < count; i++) {
        char key[64];
        snprintf(key, sizeof(key), "%s", fields[i].name);
        for (char *c = key; *c; c++)
            if (*c == '-')
                *c = '_';
        json_object_set_new(object, key, json_value(&fields[i]));
    }
    return object;
}

/* Takes value. */
static void json_print(json_t *value)
{
    if (!value || json_dumpf(value, stdout, JSON_COMPACT) != 0)
        fputs("{\"error\":{\"code\":\"internal\",\"message\":\"out of memory\"}}", stdout);
    putchar('\n');
    json_decref(value);
}

void out_error(const struct out_field *fields, size_t count)
{
    json_print(json_pack("{s:o}", "error", json_of(fields, count)));
}

/* --- Text -------------------------------------------------------------------------------------------------------- */

static void text_cell(struct admin *a, const struct out_field *f, char out[CELL_BYTES])
{
    char buffer[ID_TEXT_BYTES];
    struct tm t;
    time_t seconds = (time_t)(f->number / 1000);
    switch (f->kind) {
    case OUT_TEXT:
        text_safe(f->text, out, CELL_BYTES);
        break;
    case OUT_ID:
        id_text(f->text, buffer);
        snprintf(out, CELL_BYTES, "%s", buffer);
        break;
    case OUT_FLAG:
        snprintf(out, CELL_BYTES, "%s", f->number ? "yes" : "no");
        break;
    case OUT_NUMBER:
        if (f->number == UINT32_MAX)
            snprintf(out, CELL_BYTES, "unlimited");
        else
            snprintf(out, CELL_BYTES, "%" PRId64, f->number);
        break;
    case OUT_MONEY:
        billing_money(a->o, f->number, buffer);
        snprintf(out, CELL_BYTES, "%s", buffer);
        break;
    case OUT_TIME:
        if (f->number <= 0 || !gmtime_r(&seconds, &t) || strftime(out, CELL_BYTES, "%Y-%m-%d %H:%M:%S", &t) == 0)
            snprintf(out, CELL_BYTES, "-");
        break;
    }
}

void out_object(struct admin *a, const struct out_field *fields, size_t count)
{
    if (a->json) {
        json_print(json_of(fields, count));
        return;
    }
    for (size_t i = 0; i < count; i++) {
        char cell[CELL_BYTES];
        text_cell(a, &fields[i], cell);
        printf("%-20s %s\n", fields[i].name, cell);
    }
}

/* --- Lists ------------------------------------------------------------------------------------------------------- */

void out_list_begin(struct out_list *l, struct admin *a, const char *name)
{
    *l = (struct out_list){ .a = a, .name = name };
    if (a->json)
        l->objects = json_array();
}

static void add_cell(struct out_list *l, const char *text)
{
    if (l->cell_count == l->cell_cap) {
        size_t cap = l->cell_cap == 0 ? 64 : l->cell_cap * 2;
        char **grown = reallocarray(l->cells, cap, sizeof(*grown));
        if (!grown)
            return;
        l->cells = grown;
        l->cell_cap = cap;
    }
    char *copy = strdup(text);
    if (copy)
        l->cells[l->cell_count++] = copy;
}

void out_list_head(struct out_list *l, const struct out_field *fields, size_t count)
{
    if (l->a->json)
        l->head = json_of(fields, count);
    else if (!l->a->csv)
        out_object(l->a, fields, count);
}

void out_list_row(struct out_list *l, const struct out_field *fields, size_t count)
{
    if (l->a->json) {
        json_array_append_new(l->objects, json_of(fields, count));
        return;
    }
    if (l->a->csv) {
        out_csv_row(fields, count, l->rows++ == 0);
        return;
    }
    if (l->rows++ == 0) {
        l->columns = count;
        for (size_t i = 0; i < count; i++)
            add_cell(l, fields[i].name);
    }
    for (size_t i = 0; i < count; i++) {
        char cell[CELL_BYTES];
        text_cell(l->a, &fields[i], cell);
        add_cell(l, cell);
    }
}

static size_t widest_of(const struct out_list *l, size_t column)
{
    size_t widest = 0;
    for (size_t i = column; i < l->cell_count; i += l->columns)
        widest = size_max(widest, width_of(l->cells[i]));
    return widest;
}

static void print_table(const struct out_list *l)
{
    for (size_t at = 0; at + l->columns <= l->cell_count; at += l->columns) {
        for (size_t c = 0; c < l->columns; c++) {
            int pad = c + 1 < l->columns ? (int)(widest_of(l, c) - width_of(l->cells[at + c]) + 2) : 0;
            printf("%s%*s", l->cells[at + c], pad, "");
        }
        putchar('\n');
    }
}

/* A table that is wider than the terminal: of each row "name value" after "name value", nothing cut, since an operator copies what he reads. What
 * is empty is left out. */
static void print_rows(const struct out_list *l, size_t columns)
{
    for (size_t at = l->columns; at + l->columns <= l->cell_count; at += l->columns) {
        size_t used = 0;
        for (size_t c = 0; c < l->columns; c++) {
            const char *value = l->cells[at + c];
            if (c > 0 && (*value == '\0' || strcmp(value, "-") == 0))
                continue;
            size_t wants = width_of(l->cells[c]) + 1 + width_of(value);
            bool fits = used + 2 + wants <= columns;
            if (c > 0)
                fputs(fits ? "  " : "\n  ", stdout);
            printf("%s %s", l->cells[c], value);
            used = (c > 0 && fits ? used : 0) + (c > 0 ? 2 : 0) + wants;
        }
        putchar('\n');
    }
}

static bool is_wider(const struct out_list *l, size_t columns)
{
    size_t line = 0;
    for (size_t c = 0; c < l->columns; c++)
        line += widest_of(l, c) + (c > 0 ? 2 : 0);
    return line > columns;
}

static void free_cells(struct out_list *l)
{
    for (size_t i = 0; i < l->cell_count; i++)
        free(l->cells[i]);
    free(l->cells);
    l->cells = NULL;
    l->cell_count = 0;
}

void out_list_end(struct out_list *l)
{
    if (l->a->json) {
        json_t *all = l->head ? l->head : json_object();
        json_object_set_new(all, l->name, l->objects);
        json_print(all);
    }
    const size_t columns = isatty(STDOUT_FILENO) ? width_of_terminal(STDOUT_FILENO) : SIZE_MAX;
    if (l->columns > 0 && is_wider(l, columns))
        print_rows(l, columns);
    else if (l->columns > 0)
        print_table(l);
    else if (!l->a->json && !l->a->csv && columns != SIZE_MAX)
        puts("(none)"); /* a person wonders, a program counts lines */
    free_cells(l);
}

void out_list_drop(struct out_list *l)
{
    json_decref(l->objects);
    json_decref(l->head);
    free_cells(l);
}
