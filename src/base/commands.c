/* Overview, list and usage, for a screen of 80 columns. Any thread. */
#include "base/commands.h"

#include <string.h>

#define COLUMNS 80
#define NAMES_AT 18      /* the column at which names begin in the overview */
#define SUMMARIES_AT 14  /* the column at which summaries begin in the list */
#define USAGE_GOES_ON 11 /* the column at which the later lines of a usage begin */

/* Writes a word after a blank, or at the beginning of a new line that is indented so far. Returns the column after it. */
static int put_word(FILE *out, const char *word, int len, int column, int indent)
{
    if (column + 1 + len > COLUMNS) {
        fprintf(out, "\n%*s", indent, "");
        column = indent;
    } else if (column > indent) {
        fputc(' ', out);
        column++;
    }
    fprintf(out, "%.*s", len, word);
    return column + len;
}

/* Line by line: one that fits stays as it is, another one is broken between words. */
static void put_text(FILE *out, const char *text, int indent)
{
    for (const char *at = text; *at != '\0';) {
        size_t line = strcspn(at, "\n");
        int column = indent;
        if (at != text)
            fprintf(out, "\n%*s", line > 0 ? indent : 0, "");
        if (indent + (int)line <= COLUMNS) {
            fprintf(out, "%.*s", (int)line, at);
            at += line;
        }
        while (*at != '\0' && *at != '\n') {
            size_t len = strcspn(at, " \n");
            if (len > 0)
                column = put_word(out, at, (int)len, column, indent);
            at += len + (at[len] == ' ');
        }
        at += *at == '\n';
    }
    fputc('\n', out);
}

void commands_overview(const struct command *table, size_t count, FILE *out)
{
    int column = -1; /* no line is begun */
    for (size_t i = 0; i < count; i++) {
        if (table[i].name == NULL) {
            fprintf(out, "%s  %-*s", column >= 0 ? "\n" : "", NAMES_AT - 2, table[i].summary);
            column = NAMES_AT;
            continue;
        }
        if (column < 0) {
            fprintf(out, "%*s", NAMES_AT, "");
            column = NAMES_AT;
        }
        column = put_word(out, table[i].name, (int)strlen(table[i].name), column, NAMES_AT);
    }
    fputc('\n', out);
}

void commands_list(const struct command *table, size_t count, FILE *out)
{
    for (size_t i = 0; i < count; i++)
        if (table[i].name == NULL) {
            fprintf(out, "%s%s\n", i > 0 ? "\n" : "", table[i].summary);
        } else {
            fprintf(out, "  %-11s ", table[i].name);
            put_text(out, table[i].summary, SUMMARIES_AT);
        }
}

void commands_text(const char *text, FILE *out) { put_text(out, text, 0); }

/* Up to the next blank that stands in no bracket; where that is more than a line, up to the next blank at all. */
static size_t piece_of(const char *at, size_t most)
{
    size_t len = 0;
    for (int depth = 0; at[len] != '\0' && at[len] != '\n' && (depth > 0 || at[len] != ' '); len++)
        depth += at[len] == '[' || at[len] == '(' ? 1 : at[len] == ']' || at[len] == ')' ? -1 : 0;
    return len <= most ? len : strcspn(at, " \n");
}

/* One form: up to the end or the next line that is not a mere continuation of it. Returns what follows. */
static const char *put_form(FILE *out, const char *usage, int column)
{
    for (const char *at = usage; *at != '\0';) {
        if (*at == '\n' && at[1] != ' ')
            return at + 1;
        at += strspn(at, " \n");
        size_t len = piece_of(at, COLUMNS - USAGE_GOES_ON - 1);
        if (len > 0)
            column = put_word(out, at, (int)len, column, USAGE_GOES_ON);
        at += len;
    }
    return NULL;
}

void commands_usage(const char *program, const struct command *c, FILE *out)
{
    int column = fprintf(out, "usage: %s %s", program, c->name);
    const char *form = put_form(out, c->usage, column);
    while (form != NULL) {
        column = fprintf(out, "\n       %s", program) - 1;
        form = put_form(out, form, column);
    }
    fputc('\n', out);
}
