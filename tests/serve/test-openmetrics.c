/* The text that scrapers read, byte by byte. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "distributor/openmetrics.h"

static const char expected[] = "# TYPE a counter\n"
                               "# HELP a What it counts.\n"
                               "a_total{kind=\"x\"} 7\n"
                               "a_total 18446744073709551615\n"
                               "# TYPE b_seconds gauge\n"
                               "# UNIT b_seconds seconds\n"
                               "# HELP b_seconds When.\n"
                               "b_seconds 1700000000.123\n"
                               "b_seconds{x=\"\"} -1.000\n"
                               "# TYPE c histogram\n"
                               "# HELP c Sizes.\n"
                               "c_bucket{of=\"d\",le=\"1.0\"} 1\n"
                               "c_bucket{of=\"d\",le=\"2.0\"} 1\n"
                               "c_bucket{of=\"d\",le=\"4.0\"} 2\n"
                               "c_bucket{of=\"d\",le=\"8.0\"} 2\n"
                               "c_bucket{of=\"d\",le=\"16.0\"} 2\n"
                               "c_bucket{of=\"d\",le=\"32.0\"} 2\n"
                               "c_bucket{of=\"d\",le=\"64.0\"} 2\n"
                               "c_bucket{of=\"d\",le=\"128.0\"} 2\n"
                               "c_bucket{of=\"d\",le=\"256.0\"} 2\n"
                               "c_bucket{of=\"d\",le=\"+Inf\"} 3\n"
                               "c_count{of=\"d\"} 3\n"
                               "c_sum{of=\"d\"} 261\n"
                               "# TYPE e info\n"
                               "# HELP e Who.\n"
                               "e_info{name=\"q\\\"b\\\\n\\n\"} 1\n"
                               "# EOF\n";

static void test_text(void **state)
{
    (void)state;
    struct buf out = buf(4096);
    struct openmetrics m;
    struct histogram h = { 0 };
    char label[64], labels[80] = "name=\"";
    openmetrics_begin(&m, &out);
    openmetrics_family(&m, "a", OPENMETRICS_COUNTER, "", "What it counts.");
    openmetrics_count(&m, "kind=\"x\"", 7);
    openmetrics_count(&m, "", UINT64_MAX);
    openmetrics_family(&m, "b_seconds", OPENMETRICS_GAUGE, "seconds", "When.");
    openmetrics_seconds(&m, "", 1700000000123);
    openmetrics_seconds(&m, "x=\"\"", -1000);
    openmetrics_family(&m, "c", OPENMETRICS_HISTOGRAM, "", "Sizes.");
    histogram_add(&h, &histogram_sizes, 1);
    histogram_add(&h, &histogram_sizes, 3);
    histogram_add(&h, &histogram_sizes, 257);
    openmetrics_histogram(&m, "of=\"d\"", &h, &histogram_sizes);
    openmetrics_family(&m, "e", OPENMETRICS_INFO, "", "Who.");
    strcat(labels, openmetrics_label("q\"b\\n\n", label, sizeof(label)));
    strcat(labels, "\"");
    openmetrics_info(&m, labels);
    assert_int_equal(openmetrics_end(&m), 0);
    assert_int_equal(out.len, sizeof(expected) - 1);
    assert_memory_equal(out.data, expected, out.len);
    buf_free(&out);
}

static void test_no_room(void **state)
{
    (void)state;
    struct buf out = buf(40);
    struct openmetrics m;
    openmetrics_begin(&m, &out);
    openmetrics_family(&m, "a", OPENMETRICS_COUNTER, "", "What it counts, and more than fits.");
    openmetrics_count(&m, "", 1);
    assert_int_equal(openmetrics_end(&m), BUF_FULL);
    buf_free(&out);
}

static void test_scales(void **state)
{
    (void)state;
    struct histogram h = { 0 };
    histogram_add(&h, &histogram_latency, 0);
    histogram_add(&h, &histogram_latency, 250);
    histogram_add(&h, &histogram_latency, 251);
    histogram_add(&h, &histogram_latency, 10000001);
    assert_int_equal(h.counts[0], 2);
    assert_int_equal(h.counts[1], 1);
    assert_int_equal(h.counts[histogram_latency.count], 1);
    assert_int_equal(histogram_count(&h, &histogram_latency), 4);
    assert_int_equal(h.sum, 10000502);
    struct buf out = buf(4096);
    struct openmetrics m;
    openmetrics_begin(&m, &out);
    openmetrics_family(&m, "t_seconds", OPENMETRICS_HISTOGRAM, "seconds", "Time.");
    openmetrics_histogram(&m, "", &h, &histogram_latency);
    assert_int_equal(openmetrics_end(&m), 0);
    assert_int_equal(buf_append(&out, slice("", 1)), 0);
    assert_non_null(strstr((char *)out.data, "t_seconds_bucket{le=\"0.000250\"} 2\n"));
    assert_non_null(strstr((char *)out.data, "t_seconds_bucket{le=\"10.000000\"} 3\nt_seconds_bucket{le=\"+Inf\"} 4\n"
                                             "t_seconds_count 4\nt_seconds_sum 10.000502\n"));
    buf_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_text), cmocka_unit_test(test_no_room),
                                        cmocka_unit_test(test_scales) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
