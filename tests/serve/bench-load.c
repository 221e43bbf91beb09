/* The figures of a distributor under load, beside the limits of the machine from the same run.
 *   bench-load PROGRAM SCENARIO...
 *     limits     what the machine can do at most
 *     copies     copy certificates signed, billed and synced: as many as 256 connections get, then 3,000 a second begun on time
 *     ledger     the same with HEARTH_LOAD_ROWS (10,000,000) rows in the ledger
 *     strangers  how long served devices wait, alone and beside 10,000 connections that never say who they are
 *     postgres   copies by two servers over one PostgreSQL database (bench_postgres.py starts it)
 * HEARTH_LOAD_SECONDS (5) of each run, HEARTH_LOAD_RATE (3000), HEARTH_LOAD_DIR (/tmp). The load runs on the same machine. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "load.h"

#define STRANGERS 10000
#define SERVED_RATE 500 /* what the served ones ask for beside the strangers: far from what it can do */

static const char *binary, *filler;
static char *const *scenarios;
static int scenario_count;
static uv_loop_t loop;
static double without_ledger;

#define REACH_EMBEDDED 3000.0
#define REACH_POSTGRES 2000.0

static unsigned long number_of(const char *name, unsigned long otherwise)
{
    const char *text = getenv(name);
    return text != NULL ? strtoul(text, NULL, 10) : otherwise;
}

static void print_figures(const char *title, const struct load_figures *f)
{
    printf("%-58s %10.0f /s   p50 %.1f ms, p99 %.1f ms, worst %.0f ms; processor: server %.0f us, load %.0f us each\n",
           title, f->per_second, f->p50_ms, f->p99_ms, f->worst_ms, f->server_cpu_us, f->own_cpu_us);
    if (f->left > 0)
        printf("%-58s %10u      were due and could not be asked for: the rate is beyond this machine\n", "", f->left);
}

/* For the last table of scripts/bench (bench/figures.py says how). */
static void print_reach(const char *what, double value, const char *unit, const char *sense, double reach,
                        const char *beside)
{
    printf("figure\t%s\t%.*f\t%s\t%s\t%g\t%s\n", what, value < 100 ? 2 : 0, value, unit, sense, reach, beside);
}

/* reach: certificates a second that are to be had; p99: and how soon. */
static void measure_copies(struct load *l, const char *with, double reach, bool p99, double *per_second)
{
    unsigned seconds = (unsigned)number_of("HEARTH_LOAD_SECONDS", 5);
    uint64_t rate = number_of("HEARTH_LOAD_RATE", 3000);
    char title[80], beside[80];
    struct load_figures f;
    program_start(&l->server);
    load_connect(l);
    load_run(l, seconds, 0, &f);
    snprintf(title, sizeof(title), "certificates, %u connections%s, at most", LOAD_DEVICES, with);
    print_figures(title, &f);
    *per_second = f.per_second;
    snprintf(beside, sizeof(beside), "%.0f CPU us each", f.server_cpu_us);
    print_reach(title, f.per_second, "/s", "least", reach, beside);
    load_run(l, seconds, rate, &f);
    snprintf(title, sizeof(title), "certificates, %u connections%s, %llu/s offered", LOAD_DEVICES, with,
             (unsigned long long)rate);
    print_figures(title, &f);
    snprintf(beside, sizeof(beside), "%.0f/s of %llu answered in time", f.per_second, (unsigned long long)rate);
    if (p99)
        print_reach("p99 of them, evenly offered", f.p99_ms, "ms", "most", 50, beside);
    load_disconnect(l);
    program_stop(&l->server);
}

static void copies(struct load *l)
{
    load_restore(l);
    measure_copies(l, "", REACH_EMBEDDED, true, &without_ledger);
}

static void ledger(struct load *l)
{
    char rows[24], title[64];
    double with = 0;
    snprintf(rows, sizeof(rows), "%lu", number_of("HEARTH_LOAD_ROWS", 10000000));
    load_restore(l);
    const char *const fill[] = { "python3", filler, l->server.dir, rows, NULL };
    assert_int_equal(program_run(fill), 0);
    snprintf(title, sizeof(title), ", %s ledger rows", rows);
    measure_copies(l, title, 0.8 * REACH_EMBEDDED, false, &with);
    if (without_ledger > 0)
        print_reach("with those rows, of what it is without", with / without_ledger, "", "least", 0.8, "");
    if (without_ledger > 0)
        printf("%-58s %10.2f      (reach 0.80)\n", "with those rows, of what it is without", with / without_ledger);
}

static void strangers(struct load *l)
{
    unsigned seconds = (unsigned)number_of("HEARTH_LOAD_SECONDS", 5);
    unsigned count = (unsigned)number_of("HEARTH_LOAD_STRANGERS", STRANGERS);
    struct load_figures alone, beside;
    struct strangers s;
    char title[80];
    load_restore(l);
    program_start(&l->server);
    load_connect(l);
    load_run(l, seconds, SERVED_RATE, &alone);
    print_figures("certificates, 500/s offered, alone", &alone);
    strangers_start(&s, l->server.address, count);
    load_run(l, seconds, SERVED_RATE, &beside);
    snprintf(title, sizeof(title), "certificates, 500/s offered, beside %u strangers", count);
    print_figures(title, &beside);
    printf("%-58s p50 %.2f, p99 %.2f   (reach 2.00); with the strangers %.0f MiB\n", "latency, of what it is alone",
           beside.p50_ms / alone.p50_ms, beside.p99_ms / alone.p99_ms, (double)program_pss_kib(&l->server) / 1024);
    snprintf(title, sizeof(title), "p50 beside %u strangers, of what it is alone", count);
    print_reach(title, beside.p50_ms / alone.p50_ms, "", "most", 2, "");
    print_reach("p99 there, of what it is alone", beside.p99_ms / alone.p99_ms, "", "most", 2, "");
    strangers_stop(&s);
    load_disconnect(l);
    program_stop(&l->server);
}

/* As it was prepared: there is no other state to go back to. */
static void postgres(struct load *l)
{
    double per_second;
    if (getenv("HEARTH_LOAD_DATABASE") == NULL)
        fail_msg("HEARTH_LOAD_DATABASE says which database");
    program_init_beside(&l->second, &l->server);
    program_start(&l->second);
    measure_copies(l, ", 2 servers on PostgreSQL", REACH_POSTGRES, false, &per_second);
    program_stop(&l->second);
}

static void run(void **state)
{
    static const struct {
        const char *name;
        void (*run)(struct load *l);
    } all[] = { { "copies", copies }, { "ledger", ledger }, { "strangers", strangers }, { "postgres", postgres } };
    static struct load l;
    (void)state;
    load_prepare(&l, &loop, binary);
    for (int i = 0; i < scenario_count; i++) {
        if (strcmp(scenarios[i], "limits") == 0)
            load_print_limits(l.server.dir);
        for (size_t k = 0; k < ARRAY_COUNT(all); k++)
            if (strcmp(scenarios[i], all[k].name) == 0)
                all[k].run(&l);
    }
    load_deinit(&l);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(run) };
    if (argc < 4)
        return 77;
    binary = argv[1];
    filler = argv[2];
    scenarios = argv + 3;
    scenario_count = argc - 3;
    setvbuf(stdout, NULL, _IOLBF, 0);
    uv_loop_init(&loop);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
