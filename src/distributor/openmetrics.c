/* Text only. Whole numbers are written as such; what is shown in seconds has six decimals at most. */
#include "distributor/openmetrics.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#define LINE_BYTES 512

static const char *const type_names[] = { "counter", "gauge", "histogram", "info" };

static void put(struct openmetrics *m, const char *format, ...) PRINTF_LIKE(2, 3);
static void put(struct openmetrics *m, const char *format, ...)
{
    char line[LINE_BYTES];
    va_list args;
    va_start(args, format);
    int len = vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    if (m->outcome != 0)
        return;
    m->outcome = len < 0 || (size_t)len >= sizeof(line) ? BUF_FULL : buf_append(m->out, slice(line, (size_t)len));
}

void openmetrics_begin(struct openmetrics *m, struct buf *out) { *m = (struct openmetrics){ .out = out }; }

void openmetrics_family(struct openmetrics *m, const char *name, enum openmetrics_type type, const char *unit,
                        const char *help)
{
    snprintf(m->name, sizeof(m->name), "%s", name);
    m->type = type;
    put(m, "# TYPE %s %s\n", m->name, type_names[type]);
    if (unit[0] != '\0')
        put(m, "# UNIT %s %s\n", m->name, unit);
    put(m, "# HELP %s %s\n", m->name, help);
}

/* Name, suffix and labels up to the value. */
static void put_name(struct openmetrics *m, const char *suffix, const char *labels)
{
    put(m, labels[0] != '\0' ? "%s%s{%s} " : "%s%s%s ", m->name, suffix, labels);
}

void openmetrics_count(struct openmetrics *m, const char *labels, uint64_t value)
{
    put_name(m, m->type == OPENMETRICS_COUNTER ? "_total" : "", labels);
    put(m, "%" PRIu64 "\n", value);
}

void openmetrics_number(struct openmetrics *m, const char *labels, int64_t value)
{
    put_name(m, "", labels);
    put(m, "%" PRId64 "\n", value);
}

static void put_scaled(struct openmetrics *m, uint64_t value, uint32_t unit)
{
    if (unit == 1)
        put(m, "%" PRIu64, value);
    else
        put(m, "%" PRIu64 ".%06" PRIu64, value / unit, value % unit * (1000000 / unit));
}

void openmetrics_seconds(struct openmetrics *m, const char *labels, int64_t value_ms)
{
    put_name(m, "", labels);
    put(m, "%s%" PRIu64 ".%03u\n", value_ms < 0 ? "-" : "", (uint64_t)(value_ms < 0 ? -value_ms : value_ms) / 1000,
        (unsigned)((value_ms < 0 ? -value_ms : value_ms) % 1000));
}

void openmetrics_histogram(struct openmetrics *m, const char *labels, const struct histogram *h,
                           const struct histogram_scale *scale)
{
    const char *comma = labels[0] != '\0' ? "," : "";
    uint64_t below = 0;
    for (uint32_t i = 0; i < scale->count; i++) {
        below += h->counts[i];
        put(m, "%s_bucket{%s%sle=\"", m->name, labels, comma);
        if (scale->unit == 1)
            put(m, "%" PRIu64 ".0", scale->bounds[i]);
        else
            put_scaled(m, scale->bounds[i], scale->unit);
        put(m, "\"} %" PRIu64 "\n", below);
    }
    uint64_t count = below + h->counts[scale->count];
    put(m, "%s_bucket{%s%sle=\"+Inf\"} %" PRIu64 "\n", m->name, labels, comma, count);
    put_name(m, "_count", labels);
    put(m, "%" PRIu64 "\n", count);
    put_name(m, "_sum", labels);
    put_scaled(m, h->sum, scale->unit);
    put(m, "\n");
}

void openmetrics_info(struct openmetrics *m, const char *labels)
{
    put_name(m, "_info", labels);
    put(m, "1\n");
}

int openmetrics_end(struct openmetrics *m)
{
    put(m, "# EOF\n");
    return m->outcome;
}

const char *openmetrics_label(const char *value, char *out, size_t cap)
{
    size_t len = 0;
    for (const char *c = value; *c != '\0' && len + 3 < cap; c++) {
        bool escaped = *c == '\\' || *c == '"' || *c == '\n';
        if (escaped)
            out[len++] = '\\';
        out[len++] = *c == '\n' ? 'n' : *c;
    }
    out[len] = '\0';
    return out;
}
