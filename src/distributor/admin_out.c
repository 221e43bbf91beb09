/* What the operator's commands print: JSON objects, or text aligned for a terminal. One thread. */
#include <inttypes.h>
#include <stdlib.h>
#include <time.h>

#include "base/text.h"
#include "base/util.h"
#include "distributor/admin.h"
#include "distributor/billing.h"

#define CELL_BYTES 320

/* --- JSON -------------------------------------------------------------------------------------------------------- */

static void json_string(const char *text)
{
    char safe[2048];
    text_safe(text, safe, sizeof(safe)); /* valid UTF-8 without controls */
    putchar('"');
    for (const char *c = safe; *c; c++) {
        if (*c == '"' || *c == '\\')
            putchar('\\');
        putchar(*c);
    }
    putchar('"');
}

static void json_field(const struct out_field *f)
{
    json_string(f->name);
    putchar(':');
    char id[ID_TEXT_BYTES];
    switch (f->kind) {
    case OUT_TEXT:
        json_string(f->text);
        break;
    case OUT_ID:
        id_text(f->text, id);
        json_string(id);
        break;
    case OUT_FLAG:
        fputs(f->number ? "true" : "false", stdout);
        break;
    case OUT_NUMBER:
    case OUT_MONEY: /* minor units */
    case OUT_TIME:  /* milliseconds since 1970 */
        printf("%" PRId64, f->number);
        break;
    }
}

static void json_object(const struct out_field *fields, size_t count)
{
    putchar('{');
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            putchar(',');
        json_field(&fields[i]);
    }
    putchar('}');
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
        json_object(fields, count);
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
    if (!a->json)
        return;
    putchar('{');
    json_string(name);
    fputs(":[", stdout);
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

void out_list_row(struct out_list *l, const struct out_field *fields, size_t count)
{
    if (l->a->json) {
        if (l->rows++ > 0)
            putchar(',');
        json_object(fields, count);
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

/* Characters, not bytes; enough for alignment of most scripts. */
static size_t width_of(const char *text)
{
    size_t n = 0;
    for (; *text; text++)
        n += ((unsigned char)*text & 0xc0) != 0x80;
    return n;
}

static void print_table(const struct out_list *l)
{
    for (size_t at = 0; at + l->columns <= l->cell_count; at += l->columns) {
        for (size_t c = 0; c < l->columns; c++) {
            size_t widest = 0;
            for (size_t i = c; i < l->cell_count; i += l->columns)
                if (width_of(l->cells[i]) > widest)
                    widest = width_of(l->cells[i]);
            int pad = c + 1 < l->columns ? (int)(widest - width_of(l->cells[at + c]) + 2) : 0;
            printf("%s%*s", l->cells[at + c], pad, "");
        }
        putchar('\n');
    }
}

void out_list_end(struct out_list *l)
{
    if (l->a->json)
        fputs("]}\n", stdout);
    else if (l->columns > 0)
        print_table(l);
    for (size_t i = 0; i < l->cell_count; i++)
        free(l->cells[i]);
    free(l->cells);
    l->cells = NULL;
    l->cell_count = 0;
}
