/* Overview, list and usage, for a screen of 80 columns. Any thread. */
#include "base/commands.h"

#include <stdbool.h>
#include <string.h>

#include "base/suggest.h"

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

/* Where the words of a line begin: behind what it is indented by; of an entry ("  --name VALUE  what it is"), where the text about it does. */
static size_t lead_of(const char *at)
{
    size_t line = strcspn(at, "\n"), lead = strspn(at, " ");
    for (size_t i = lead; lead > 0 && i + 2 < line; i++)
        if (at[i] == ' ' && at[i + 1] == ' ')
            return i + strspn(at + i, " ");
    return lead;
}

/* Does the line at `at`, len bytes so far, go on behind its line break? The source breaks lines where it has no more room: that is a blank here. It does not
 * behind a sentence or a colon; nor before a line that is empty, or indented otherwise than the text of an entry goes on. */
static bool goes_on(const char *at, size_t len, size_t lead)
{
    const char *next = at + len + 1;
    if (at[len] != '\n' || len == 0 || *next == '\0' || *next == '\n')
        return false;
    if (at[0] == ' ')
        return lead > strspn(at, " ") && strspn(next, " ") == lead;
    return *next != ' ' && strchr(".:", at[len - 1]) == NULL;
}

/* Line by line: broken between words where it does not fit. */
static void put_text(FILE *out, const char *text, int indent)
{
    for (const char *at = text; *at != '\0';) {
        size_t lead = lead_of(at), len = strcspn(at, "\n");
        while (goes_on(at, len, lead))
            len += 1 + strcspn(at + len + 1, "\n");
        const char *end = at + len;
        const int from = indent + (int)lead;
        if (at != text)
            fprintf(out, "\n%*s", len > 0 ? indent : 0, "");
        fprintf(out, "%.*s", (int)lead, at);
        at += lead;
        for (int column = from; at < end;) {
            size_t word = strcspn(at, " \n");
            if (word > 0)
                column = put_word(out, at, (int)word, column, from);
            at += word + (at + word < end);
        }
        at += *at == '\n';
    }
    fputc('\n', out);
}

const char *commands_near(const struct command *table, size_t count, const char *word)
{
    struct suggest s = suggest(word);
    for (size_t i = 0; i < count; i++)
        if (table[i].name != NULL)
            suggest_try(&s, table[i].name);
    return suggest_found(&s);
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
