/* A statement as a list of words, and three shapes that are looked for in it: SELECT ... FROM one WHERE, INSERT ... VALUES, and
 * UPDATE or DELETE ... WHERE. Pure; any thread. */
#include "store/pg_reach.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"

enum kind { WORD, PARAMETER, TEXT, OTHER };
struct word {
    enum kind kind;
    const char *at;
    size_t len;
    unsigned depth; /* of parentheses around it; they themselves are outside */
};
struct words {
    struct word *all;
    unsigned count;
};
#define NOWHERE UINT32_MAX

/* --- Words ------------------------------------------------------------------------------------------------------- */

static bool in_word(char c) { return isalnum((unsigned char)c) || c == '_'; }

static size_t quoted_len(const char *at)
{
    size_t len = 1;
    while (at[len] != '\0' && at[len] != *at)
        len++;
    return at[len] == '\0' ? len : len + 1;
}

/* Returns what comes behind it. */
static const char *next_word(const char *at, struct word *out)
{
    size_t len = 1;
    *out = (struct word){ .kind = OTHER, .at = at, .len = 1 };
    if (*at == '\'' || *at == '"') {
        len = quoted_len(at);
        out->kind = *at == '"' ? WORD : TEXT;
        out->at = at + 1;
        out->len = len >= 2 ? len - 2 : 0;
    } else if (in_word(*at) || *at == '$') {
        while (in_word(at[len]))
            len++;
        out->kind = *at == '$' ? PARAMETER : WORD;
        out->len = len;
    }
    return at + len;
}

static int read_words(const char *sql, struct words *out)
{
    unsigned depth = 0;
    out->count = 0;
    out->all = calloc(strlen(sql) + 1, sizeof(*out->all));
    if (out->all == NULL)
        return -ENOMEM;
    for (const char *at = sql; *at != '\0';) {
        if (isspace((unsigned char)*at)) {
            at++;
            continue;
        }
        struct word *w = &out->all[out->count++];
        at = next_word(at, w);
        depth -= w->kind == OTHER && *w->at == ')' && depth > 0;
        w->depth = depth;
        depth += w->kind == OTHER && *w->at == '(';
    }
    return 0;
}

static void words_free(struct words *w) { free(w->all); }

static bool is(const struct words *w, unsigned i, const char *text)
{
    return i < w->count && w->all[i].kind != TEXT && w->all[i].len == strlen(text) &&
           memcmp(w->all[i].at, text, w->all[i].len) == 0;
}

/* The first one from here on that is outside of parentheses. */
static unsigned find(const struct words *w, unsigned from, const char *text)
{
    for (unsigned i = from; i < w->count; i++)
        if (w->all[i].depth == 0 && is(w, i, text))
            return i;
    return NOWHERE;
}

static unsigned count_of(const struct words *w, const char *text)
{
    unsigned n = 0;
    for (unsigned i = 0; i < w->count; i++)
        n += is(w, i, text);
    return n;
}

/* The matching ")" of the "(" at open, or NOWHERE. */
static unsigned closing(const struct words *w, unsigned open)
{
    for (unsigned i = open + 1; i < w->count; i++)
        if (is(w, i, ")") && w->all[i].depth == w->all[open].depth)
            return i;
    return NOWHERE;
}

/* --- Names ------------------------------------------------------------------------------------------------------- */

static int index_of(const struct pg_names *n, const struct word *w)
{
    for (unsigned i = 0; w->kind == WORD && i < n->count; i++)
        if (strlen(n->names[i]) == w->len && memcmp(n->names[i], w->at, w->len) == 0)
            return (int)i;
    return -1;
}

/* Its index. -E2BIG: too long; -ENOMEM. */
static int add_name(struct pg_names *n, const struct word *w)
{
    int found = index_of(n, w);
    if (found >= 0)
        return found;
    if (w->kind != WORD || w->len >= PG_NAME_BYTES)
        return -E2BIG;
    if (n->count == n->cap) {
        unsigned cap = n->cap * 2 + 32;
        void *grown = realloc(n->names, cap * sizeof(*n->names));
        if (grown == NULL)
            return -ENOMEM;
        n->names = grown;
        n->cap = cap;
    }
    memset(n->names[n->count], 0, PG_NAME_BYTES);
    memcpy(n->names[n->count], w->at, w->len);
    return (int)n->count++;
}

static int tables_in(const char *script, struct pg_names *tables)
{
    struct words w CLEANUP(words_free) = { 0 };
    int r = read_words(script, &w);
    for (unsigned i = 0; r >= 0 && i < w.count; i++) {
        unsigned name = NOWHERE;
        if (is(&w, i, "CREATE") && is(&w, i + 1, "TABLE"))
            name = is(&w, i + 2, "IF") ? i + 5 : i + 2; /* IF NOT EXISTS */
        else if (is(&w, i, "RENAME") && is(&w, i + 1, "TO"))
            name = i + 2;
        if (name < w.count)
            r = add_name(tables, &w.all[name]);
    }
    return r < 0 ? r : tables->count > PG_TABLES_MAX ? -E2BIG : 0;
}

int pg_tables_of(const char *const *migrations, unsigned count, struct pg_tables *out)
{
    struct pg_tables t = { 0 };
    int r = 0;
    for (unsigned i = 0; r == 0 && i < count; i++)
        r = tables_in(migrations[i], &t.tables);
    if (r != 0)
        pg_tables_free(&t);
    else
        *out = t;
    return r;
}

void pg_tables_free(struct pg_tables *t)
{
    free(t->tables.names);
    free(t->columns.names);
    *t = (struct pg_tables){ 0 };
}

/* --- Rows -------------------------------------------------------------------------------------------------------- */

/* One condition less is more rows. */
static int add_row(struct pg_tables *names, struct pg_reach *out, const struct word *column,
                   const struct word *parameter)
{
    if (out->count == PG_COLUMNS_MAX)
        return 0;
    int index = add_name(&names->columns, column);
    if (index < 0)
        return index == -E2BIG ? 0 : index;
    out->rows[out->count].column = (unsigned)index;
    out->rows[out->count++].parameter = (int)strtol(parameter->at + 1, NULL, 10);
    return 0;
}

static bool ends_condition(const struct words *w, unsigned i)
{
    static const char *const ends[] = { "AND", "ORDER", "LIMIT", "GROUP", "RETURNING", ";" };
    for (size_t k = 0; k < ARRAY_COUNT(ends); k++)
        if (is(w, i, ends[k]))
            return true;
    return i >= w->count;
}

/* WHERE a = $1 AND t.b = $2 AND ...: all of them must hold, unless there is an OR beside them. */
static int read_conditions(const struct words *w, unsigned where, struct pg_tables *names, struct pg_reach *out)
{
    int r = 0;
    if (find(w, where, "OR") != NOWHERE || count_of(w, "BETWEEN") > 0)
        return 0;
    for (unsigned i = where; r == 0 && i < w->count; i++) {
        if (w->all[i].depth != 0 || !(i == where || is(w, i, "AND")))
            continue;
        unsigned column = is(w, i + 2, ".") ? i + 3 : i + 1;
        if (column + 2 < w->count && w->all[column].kind == WORD && is(w, column + 1, "=") &&
            w->all[column + 2].kind == PARAMETER && ends_condition(w, column + 3))
            r = add_row(names, out, &w->all[column], &w->all[column + 2]);
    }
    return r;
}

/* Keeps the conditions on columns that are named between two words, or those that are not. */
static void keep_rows(const struct words *w, unsigned from, unsigned to, bool if_named, const struct pg_tables *names,
                      struct pg_reach *out)
{
    unsigned kept = 0;
    for (unsigned i = 0; i < out->count; i++) {
        bool named = false;
        for (unsigned k = from; k < to && !named; k++)
            named = index_of(&names->columns, &w->all[k]) == (int)out->rows[i].column;
        if (named == if_named)
            out->rows[kept++] = out->rows[i];
    }
    out->count = kept;
}

/* --- Shapes ------------------------------------------------------------------------------------------------------ */

static int read_select(const struct words *w, struct pg_tables *names, struct pg_reach *out)
{
    static const char *const others[] = { "JOIN", "UNION", "EXCEPT", "INTERSECT", "WITH" };
    unsigned from = find(w, 0, "FROM");
    while (from != NOWHERE && from > 0 && is(w, from - 1, "DISTINCT")) /* IS NOT DISTINCT FROM */
        from = find(w, from + 1, "FROM");
    if (from == NOWHERE || from + 1 >= w->count || count_of(w, "SELECT") != 1)
        return 0;
    for (size_t i = 0; i < ARRAY_COUNT(others); i++)
        if (count_of(w, others[i]) > 0)
            return 0;
    unsigned where = find(w, from, "WHERE"), end = where == NOWHERE ? w->count : where;
    for (unsigned i = from; i < end; i++)
        if (is(w, i, ","))
            return 0;
    out->table = index_of(&names->tables, &w->all[from + 1]);
    return out->table >= 0 && where != NOWHERE ? read_conditions(w, where, names, out) : 0;
}

/* A row that is there already is met by the columns of the constraint alone. */
static void read_conflict(const struct words *w, unsigned from, const struct pg_tables *names, struct pg_reach *out)
{
    unsigned conflict = find(w, from, "CONFLICT"), set = find(w, from, "SET");
    if (set == NOWHERE)
        return;
    unsigned end = conflict != NOWHERE && is(w, conflict + 1, "(") ? closing(w, conflict + 1) : NOWHERE;
    if (end == NOWHERE)
        out->count = 0;
    else
        keep_rows(w, conflict + 2, end, true, names, out);
    keep_rows(w, set, w->count, false, names, out);
}

/* INSERT INTO t (a, b) VALUES ($1, 2): the columns that are given a parameter as it is. */
static int read_insert(const struct words *w, struct pg_tables *names, struct pg_reach *out)
{
    unsigned columns_end = is(w, 3, "(") ? closing(w, 3) : NOWHERE;
    unsigned open = columns_end != NOWHERE && is(w, columns_end + 1, "VALUES") ? columns_end + 2 : NOWHERE;
    unsigned end = open != NOWHERE && is(w, open, "(") ? closing(w, open) : NOWHERE;
    if (end == NOWHERE || is(w, end + 1, ","))
        return 0;
    unsigned value = open + 1;
    for (unsigned column = 4; column < columns_end; column += 2) {
        unsigned behind = value;
        while (behind < end && !(is(w, behind, ",") && w->all[behind].depth == w->all[open].depth + 1))
            behind++;
        int r = 0;
        if (behind == value + 1 && w->all[value].kind == PARAMETER)
            r = add_row(names, out, &w->all[column], &w->all[value]);
        if (r != 0)
            return r;
        value = behind + 1;
    }
    read_conflict(w, end, names, out);
    return 0;
}

/* Where the row was before, what the statement itself sets says nothing about. */
static int read_change(const struct words *w, unsigned name, struct pg_tables *names, struct pg_reach *out)
{
    unsigned where = find(w, name, "WHERE");
    int r = where != NOWHERE ? read_conditions(w, where, names, out) : 0;
    if (r == 0 && where != NOWHERE)
        keep_rows(w, name + 1, where, false, names, out);
    return r;
}

int pg_reach_of(const char *sql, struct pg_tables *names, struct pg_reach *out)
{
    struct words w CLEANUP(words_free) = { 0 };
    int r = read_words(sql, &w);
    if (r != 0)
        return r;
    *out = (struct pg_reach){ .table = -1 };
    for (unsigned i = 0; i < w.count; i++) {
        int table = index_of(&names->tables, &w.all[i]);
        if (table >= 0)
            pg_set_add(&out->tables, (unsigned)table);
    }
    out->changes = !is(&w, 0, "SELECT") && !is(&w, 0, "WITH");
    if (!out->changes)
        return read_select(&w, names, out);
    unsigned name = is(&w, 0, "UPDATE") ? 1 : 2; /* INSERT INTO, DELETE FROM */
    if (name < w.count)
        out->table = index_of(&names->tables, &w.all[name]);
    if (out->table < 0)
        return 0;
    return is(&w, 0, "INSERT") ? read_insert(&w, names, out) : read_change(&w, name, names, out);
}
