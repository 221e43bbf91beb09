/* Reads tests/vectors. Not a general parser: the files are ours. */
#include "vectorfile.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

#define FIELDS_MAX 24

struct vector {
    const char *names[FIELDS_MAX], *values[FIELDS_MAX];
    uint8_t *bytes[FIELDS_MAX]; /* decoded on demand */
    size_t count;
};

static int find(const struct vector *v, const char *field)
{
    for (size_t i = 0; i < v->count; i++)
        if (strcmp(v->names[i], field) == 0)
            return (int)i;
    return -1;
}

static int get(const struct vector *v, const char *field)
{
    int i = find(v, field);
    if (i < 0)
        fail_msg("field %s is missing", field);
    return i;
}

bool vector_has(const struct vector *v, const char *field) { return find(v, field) >= 0; }
const char *vector_text(const struct vector *v, const char *field) { return v->values[get(v, field)]; }
uint64_t vector_number(const struct vector *v, const char *field) { return strtoull(vector_text(v, field), NULL, 0); }
bool vector_expects(const struct vector *v, const char *outcome)
{
    return strcmp(vector_text(v, "expect"), outcome) == 0;
}

static size_t decode(const char *text, uint8_t *out)
{
    size_t len = 0;
    while (*text != '\0') {
        if (*text == '"') {
            for (text++; *text != '"'; text++) {
                assert_true(*text != '\0');
                out[len++] = (uint8_t)*text;
            }
            text++;
            continue;
        }
        unsigned value;
        assert_true(isxdigit((unsigned char)text[0]) && isxdigit((unsigned char)text[1]));
        assert_int_equal(sscanf(text, "%2x", &value), 1);
        out[len++] = (uint8_t)value;
        text += 2;
    }
    return len;
}

struct slice vector_bytes(const struct vector *v, const char *field)
{
    int i = get(v, field);
    unsigned value;
    size_t count, len;
    free(v->bytes[i]);
    if (sscanf(v->values[i], "repeat %2x %zu", &value, &count) == 2) {
        ((struct vector *)v)->bytes[i] = malloc(count);
        assert_non_null(v->bytes[i]);
        memset(v->bytes[i], (int)value, count);
        return slice(v->bytes[i], count);
    }
    ((struct vector *)v)->bytes[i] = malloc(strlen(v->values[i]) + 1);
    assert_non_null(v->bytes[i]);
    len = decode(v->values[i], v->bytes[i]);
    return slice(v->bytes[i], len);
}

static void add_line(struct vector *v, char *line)
{
    char *equals = strstr(line, " =");
    assert_non_null(equals);
    assert_true(v->count < FIELDS_MAX);
    *equals = '\0';
    v->names[v->count] = line;
    v->values[v->count++] = equals + 2 + (equals[2] == ' ');
}

static void run_case(struct vector *v, void (*check)(const struct vector *v), unsigned *cases)
{
    if (v->count == 0)
        return;
    print_message("  %s\n", vector_text(v, "case"));
    check(v);
    for (size_t i = 0; i < v->count; i++)
        free(v->bytes[i]);
    memset(v, 0, sizeof *v);
    (*cases)++;
}

void vectors_run(const char *name, void (*check)(const struct vector *v))
{
    char path[512];
    struct vector v = { 0 };
    unsigned cases = 0;
    if (name[0] == '/')
        snprintf(path, sizeof path, "%s", name);
    else
        snprintf(path, sizeof path, "%s/%s", VECTOR_DIR, name);
    FILE *f = fopen(path, "r");
    if (f == NULL)
        fail_msg("cannot open %s", path);
    assert_int_equal(fseek(f, 0, SEEK_END), 0);
    size_t size = (size_t)ftell(f);
    rewind(f);
    char *text = calloc(1, size + 1);
    assert_non_null(text);
    assert_int_equal(fread(text, 1, size, f), size);
    fclose(f);
    for (char *rest = text, *line; (line = strsep(&rest, "\n")) != NULL;) {
        if (line[0] == '\0')
            run_case(&v, check, &cases);
        else if (line[0] != '#')
            add_line(&v, line);
    }
    run_case(&v, check, &cases);
    free(text);
    assert_true(cases > 0);
}
