/* Writes OpenMetrics text 1.0: a family's TYPE, UNIT and HELP, then its samples, at the end "# EOF". Knows no figure itself.
 *
 *     openmetrics_family(&out, "hearth_requests", OPENMETRICS_COUNTER, "", "Requests that ended.");
 *     openmetrics_count(&out, "kind=\"transact\"", 7);
 *
 * The samples of a family follow it before the next one begins. Failures (no room, no memory) are kept and told by
 * openmetrics_end. One thread. */
#ifndef DISTRIBUTOR_OPENMETRICS_H
#define DISTRIBUTOR_OPENMETRICS_H

#include "base/slice.h"
#include "distributor/histogram.h"

#define OPENMETRICS_MEDIA_TYPE "application/openmetrics-text; version=1.0.0; charset=utf-8"
#define OPENMETRICS_NAME_BYTES 64

enum openmetrics_type { OPENMETRICS_COUNTER, OPENMETRICS_GAUGE, OPENMETRICS_HISTOGRAM, OPENMETRICS_INFO };

struct openmetrics {
    struct buf *out; /* borrowed */
    char name[OPENMETRICS_NAME_BYTES];
    enum openmetrics_type type;
    int outcome;
};
void openmetrics_begin(struct openmetrics *m, struct buf *out);
/* unit: "" or what the name ends in, "seconds". help: ASCII without quotes. */
void openmetrics_family(struct openmetrics *m, const char *name, enum openmetrics_type type, const char *unit,
                        const char *help);
/* labels: "" or `name="value",...`, values of [a-z0-9_.-] or passed through openmetrics_label. */
void openmetrics_count(struct openmetrics *m, const char *labels, uint64_t value);
void openmetrics_number(struct openmetrics *m, const char *labels, int64_t value);
void openmetrics_seconds(struct openmetrics *m, const char *labels,
                         int64_t value_ms); /* a gauge kept in milliseconds */
void openmetrics_histogram(struct openmetrics *m, const char *labels, const struct histogram *h,
                           const struct histogram_scale *scale);
void openmetrics_info(struct openmetrics *m, const char *labels);
int openmetrics_end(struct openmetrics *m) MUST_USE; /* 0, BUF_FULL, -ENOMEM */

/* A value from outside, quoted: \, " and line ends escaped, cut where it does not fit. Returns out. */
const char *openmetrics_label(const char *value, char *out, size_t cap);

#endif
