/* Lists as CSV (RFC 4180) for a spreadsheet. One thread. */
#include <inttypes.h>
#include <time.h>

#include "base/text.h"
#include "base/util.h"
#include "distributor/admin.h"

/* A cell that a spreadsheet would take for a formula is made text by an apostrophe. */
static bool is_formula(const char *text) { return text[0] != '\0' && strchr("=+-@\t\r|%", text[0]) != NULL; }

static void print_text(const char *text)
{
    char safe[2048];
    text_safe(text, safe, sizeof(safe));
    fputs(is_formula(text) || is_formula(safe) ? "\"'" : "\"", stdout);
    for (const char *c = safe; *c; c++) {
        if (*c == '"')
            putchar('"');
        putchar(*c);
    }
    putchar('"');
}

static void print_time(int64_t ms)
{
    char out[32];
    struct tm t;
    time_t seconds = (time_t)(ms / 1000);
    if (gmtime_r(&seconds, &t) && strftime(out, sizeof(out), "%Y-%m-%dT%H:%M:%SZ", &t) != 0)
        fputs(out, stdout);
}

static void print_cell(const struct out_field *f)
{
    char id[ID_TEXT_BYTES];
    uint64_t positive = f->number < 0 ? 0 - (uint64_t)f->number : (uint64_t)f->number;
    switch (f->kind) {
    case OUT_TEXT:
        print_text(f->text);
        break;
    case OUT_ID:
        id_text((const uint8_t *)f->text, id);
        print_text(id);
        break;
    case OUT_FLAG:
        fputs(f->number ? "yes" : "no", stdout);
        break;
    case OUT_NUMBER:
        printf("%" PRId64, f->number);
        break;
    case OUT_MONEY: /* a number, without the currency: it has a column of its own where it matters */
        printf("%s%" PRIu64 ".%02u", f->number < 0 ? "-" : "", positive / 100, (unsigned)(positive % 100));
        break;
    case OUT_TIME:
        print_time(f->number);
        break;
    }
}

void out_csv_row(const struct out_field *fields, size_t count, bool first)
{
    for (size_t i = 0; first && i < count; i++) {
        print_text(fields[i].name);
        fputs(i + 1 < count ? "," : "\r\n", stdout);
    }
    for (size_t i = 0; i < count; i++) {
        print_cell(&fields[i]);
        fputs(i + 1 < count ? "," : "\r\n", stdout);
    }
}
