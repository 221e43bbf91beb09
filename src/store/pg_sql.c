/* A list of tokens, and one rule a kind of word. Pure; any thread. */
#include "store/pg_sql.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"

enum kind { SPACE, WORD, TEXT, QUOTED, PARAMETER, OTHER };
struct token {
    enum kind kind;
    const char *at;
    size_t len;
};
struct translation {
    struct token *tokens;
    size_t count;
    struct buf *out;
    int outcome; /* first failure */
    int parameters;
};

/* --- Tokens ------------------------------------------------------------------------------------------------------ */

static bool is_word(char c) { return isalnum((unsigned char)c) || c == '_'; }

static size_t literal_len(const char *at, char quote)
{
    size_t len = 1;
    while (at[len] != '\0' && (at[len] != quote || at[len + 1] == quote))
        len += at[len] == quote ? 2 : 1;
    return at[len] == '\0' ? len : len + 1;
}

static size_t run_len(const char *at, bool (*belongs)(char))
{
    size_t len = 1;
    while (at[len] != '\0' && belongs(at[len]))
        len++;
    return len;
}

static bool is_space(char c) { return isspace((unsigned char)c); }
static bool is_digit(char c) { return isdigit((unsigned char)c); }

static struct token next_token(const char *at)
{
    if (is_space(*at))
        return (struct token){ SPACE, at, run_len(at, is_space) };
    if (*at == '\'')
        return (struct token){ TEXT, at, literal_len(at, '\'') };
    if (*at == '"')
        return (struct token){ QUOTED, at, literal_len(at, '"') };
    if (*at == '?')
        return (struct token){ PARAMETER, at, run_len(at, is_digit) };
    if (is_word(*at))
        return (struct token){ WORD, at, run_len(at, is_word) };
    return (struct token){ OTHER, at, 1 };
}

static bool is(const struct translation *t, size_t i, const char *word)
{
    return i < t->count && t->tokens[i].kind != TEXT && t->tokens[i].len == strlen(word) &&
           memcmp(t->tokens[i].at, word, t->tokens[i].len) == 0;
}

static size_t skip_space(const struct translation *t, size_t i)
{
    while (i < t->count && t->tokens[i].kind == SPACE)
        i++;
    return i;
}

/* The token after the next one of this word, or the end. */
static size_t past(const struct translation *t, size_t i, const char *word)
{
    while (i < t->count && !is(t, i, word))
        i++;
    return i < t->count ? i + 1 : i;
}

/* open: at "("; returns the matching ")". *commas: on its own level. */
static size_t closing(const struct translation *t, size_t open, size_t *commas)
{
    size_t depth = 0, i = open;
    *commas = 0;
    for (; i < t->count; i++) {
        depth += is(t, i, "(");
        *commas += depth == 1 && is(t, i, ",");
        if (is(t, i, ")") && --depth == 0)
            break;
    }
    return i;
}

/* --- Rules ------------------------------------------------------------------------------------------------------- */

static void put(struct translation *t, struct slice text)
{
    if (t->outcome == 0)
        t->outcome = buf_append(t->out, text);
}

static void say(struct translation *t, const char *text) { put(t, slice_str(text)); }

static void put_token(struct translation *t, size_t i) { put(t, slice(t->tokens[i].at, t->tokens[i].len)); }

static void translate(struct translation *t, size_t i, size_t end);

static const struct {
    const char *word, *becomes;
} words[] = {
    { "INTEGER", "BIGINT" },
    { "BLOB", "BYTEA" },
    { "AUTOINCREMENT", "" },
    { "user", "\"user\"" },
    { "json_object", "json_build_object" },
};
static const struct {
    const char *function, *before, *after;
    bool several; /* only with more than one argument */
} functions[] = {
    { "max", "greatest(", ")", true },
    { "min", "least(", ")", true },
    { "zeroblob", "decode(repeat('00', ", "), 'hex')", false },
    { "hex", "upper(encode(", ", 'hex'))", false },
    { "json", "CAST(", " AS JSON)", false },
};

/* Returns the token after the call, or i when there is no rule for it. */
static size_t translate_call(struct translation *t, size_t i)
{
    size_t commas, open = i + 1;
    if (!is(t, open, "("))
        return i;
    for (size_t f = 0; f < ARRAY_COUNT(functions); f++) {
        if (!is(t, i, functions[f].function))
            continue;
        size_t end = closing(t, open, &commas);
        if (functions[f].several && commas == 0)
            return i;
        say(t, functions[f].before);
        translate(t, open + 1, end);
        say(t, functions[f].after);
        return end + 1;
    }
    return i;
}

static size_t translate_glob(struct translation *t, size_t i)
{
    size_t pattern = skip_space(t, i + 1);
    if (!is(t, i, "GLOB") || pattern >= t->count || t->tokens[pattern].kind != TEXT)
        return i;
    say(t, "LIKE ");
    for (size_t c = 0; c < t->tokens[pattern].len; c++) {
        const char *at = &t->tokens[pattern].at[c];
        put(t, *at == '*' ? slice_str("%") : *at == '?' ? slice_str("_") : slice(at, 1));
    }
    return pattern + 1;
}

/* What has no counterpart. Returns the token after it, or i. */
static size_t leave_out(const struct translation *t, size_t i)
{
    size_t next = skip_space(t, i + 1), end = i;
    if (is(t, i, "CREATE") && is(t, next, "TRIGGER"))
        end = past(t, past(t, i, "END"), ";");
    else if (is(t, i, "DROP") && is(t, next, "TRIGGER"))
        end = past(t, i, ";");
    else if (is(t, i, "STRICT") || (is(t, i, "WITHOUT") && is(t, next, "ROWID")))
        for (end = i; end < t->count && !is(t, end, ";");)
            end++;
    else if (is(t, i, "REFERENCES") && is(t, skip_space(t, past(t, i, ")")), "DEFERRABLE"))
        end = past(t, i, "DEFERRED");
    return end;
}

static size_t translate_word(struct translation *t, size_t i)
{
    size_t next = leave_out(t, i);
    if (next == i)
        next = translate_glob(t, i);
    if (next == i)
        next = translate_call(t, i);
    if (next != i)
        return next;
    if (is(t, i, "x") && i + 1 < t->count && t->tokens[i + 1].kind == TEXT) {
        say(t, "decode(");
        put_token(t, i + 1);
        say(t, ", 'hex')");
        return i + 2;
    }
    for (size_t w = 0; w < ARRAY_COUNT(words); w++) {
        if (is(t, i, words[w].word)) {
            say(t, words[w].becomes);
            return i + 1;
        }
    }
    put_token(t, i);
    return i + 1;
}

static size_t translate_parameter(struct translation *t, size_t i)
{
    int number = (int)strtol(t->tokens[i].at + 1, NULL, 10);
    if (number > t->parameters)
        t->parameters = number;
    say(t, "$");
    put(t, slice(t->tokens[i].at + 1, t->tokens[i].len - 1));
    return i + 1;
}

static void translate(struct translation *t, size_t i, size_t end)
{
    while (i < end && t->outcome == 0) {
        if (t->tokens[i].kind == WORD) {
            i = translate_word(t, i);
        } else if (t->tokens[i].kind == PARAMETER) {
            i = translate_parameter(t, i);
        } else {
            put_token(t, i);
            i++;
        }
    }
}

int pg_sql_translate(const char *sql, struct buf *out, int *parameters)
{
    struct token *tokens CLEANUP(freep) = calloc(strlen(sql) + 1, sizeof(*tokens));
    if (!tokens)
        return -ENOMEM;
    struct translation t = { .tokens = tokens, .out = out };
    for (const char *at = sql; *at != '\0'; at += tokens[t.count++].len)
        tokens[t.count] = next_token(at);
    translate(&t, 0, t.count);
    *parameters = t.parameters;
    return t.outcome;
}
