/* Simulated households: each seed (seed.h) is one, in a process of its own.
 *
 *   simulate [--seeds N] [--from S] [--jobs N]   N seeds, from S on, each in a process of its own
 *   simulate --seed S [--trace]                  one of them, in this process
 *   simulate --replay FILE                       the seeds in a file, one a line, # begins a comment
 *   simulate --twice N                           N seeds twice: the same trace
 *
 * With --seconds S none is begun after that time. A seed that fails is printed with the command that runs it again. */
#include <getopt.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "base/secret.h"
#include "seed.h"

#define SECONDS_MAX 120

struct child {
    pid_t pid;
    int out;
    uint64_t seed;
};

/* piped: what it says is read by finish. */
static struct child start(struct world *w, uint64_t seed, bool piped, bool with_trace)
{
    int ends[2];
    MUST(pipe(ends) == 0);
    (void)fflush(NULL);
    pid_t pid = fork();
    MUST(pid >= 0);
    if (pid == 0) {
        if (piped && (dup2(ends[1], 1) < 0 || dup2(ends[1], 2) < 0))
            _exit(2);
        (void)close(ends[0]);
        MUST(setrlimit(RLIMIT_CPU, &(struct rlimit){ SECONDS_MAX, SECONDS_MAX }) ==
             0); /* of its own time: the machine may be busy */
        seed_run(w, seed, with_trace);
        (void)fflush(NULL);
        _exit(0);
    }
    (void)close(ends[1]);
    return (struct child){ pid, ends[0], seed };
}

/* What all seeds together came to. */
static void add(unsigned long long totals[SEED_FIGURES], const char *line)
{
    unsigned long long n[SEED_FIGURES];
    int used = 0;
    if (sscanf(line, "seed %*u:%n", &used) != 0 || used == 0)
        return;
    for (int i = 0; i < SEED_FIGURES; i++) {
        char *end;
        line += used;
        n[i] = strtoull(line, &end, 10);
        const char *comma = strchr(end, ',');
        if (end == line || !comma)
            return;
        used = (int)(comma + 1 - line);
    }
    for (int i = 0; i < SEED_FIGURES; i++)
        totals[i] += n[i];
}

/* true when it was well; last: its last line. */
static bool finish(struct child *c, char *last, size_t cap)
{
    char text[4096];
    size_t len = 0;
    ssize_t got;
    int status;
    while (len < sizeof(text) - 1 && (got = read(c->out, text + len, sizeof(text) - 1 - len)) > 0)
        len += (size_t)got;
    text[len] = '\0';
    (void)close(c->out);
    MUST(waitpid(c->pid, &status, 0) == c->pid);
    (void)snprintf(last, cap, "%s", text);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return true;
    (void)printf("%sseed %llu FAILED (%s %d); again: scripts/simulate --seed %llu --trace\n", text,
                 (unsigned long long)c->seed, WIFSIGNALED(status) ? "signal" : "exit",
                 WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status), (unsigned long long)c->seed);
    (void)fflush(stdout);
    return false;
}

static unsigned run_seeds(struct world *w, const uint64_t *seeds, size_t count, unsigned jobs, bool twice, time_t limit)
{
    struct child children[16];
    unsigned long long totals[SEED_FIGURES] = { 0 };
    char first[4096], last[4096];
    size_t begun = 0, ended = 0;
    unsigned failed = 0;
    time_t until = limit > 0 ? time(NULL) + limit : INT64_MAX;
    for (; ended < count && (ended < begun || time(NULL) < until); ended++) {
        for (; begun < count && begun - ended < jobs && time(NULL) < until; begun++)
            children[begun % jobs] = start(w, seeds[begun], true, false);
        bool good = finish(&children[ended % jobs], last, sizeof(last));
        failed += !good;
        add(totals, last);
        if (twice && good) {
            struct child again = start(w, seeds[ended], true, false);
            memcpy(first, last, sizeof(first));
            if (!finish(&again, last, sizeof(last)) || strcmp(first, last) != 0) {
                (void)printf("seed %llu is not the same twice:\n%s%s", (unsigned long long)seeds[ended], first, last);
                failed++;
            }
        }
    }
    (void)printf("%zu seeds, %u failed;", ended, failed);
    for (int i = 0; i < SEED_FIGURES; i++)
        (void)printf("%s %llu %s", i == 0 ? "" : ",", totals[i], seed_figure_names[i]);
    (void)printf("\n");
    return failed;
}

static uint64_t *read_seeds(const char *path, size_t *count)
{
    FILE *f = fopen(path, "r");
    char line[256];
    uint64_t *seeds = calloc(4096, sizeof(*seeds));
    MUST(f && seeds);
    while (fgets(line, sizeof(line), f))
        if (line[0] >= '0' && line[0] <= '9' && *count < 4096)
            seeds[(*count)++] = strtoull(line, NULL, 10);
    (void)fclose(f);
    return seeds;
}

static uint64_t *make_seeds(uint64_t from, size_t count)
{
    uint64_t *seeds = calloc(count + 1, sizeof(*seeds));
    MUST(seeds);
    for (size_t i = 0; i < count; i++)
        seeds[i] = from + i;
    return seeds;
}

int main(int argc, char **argv)
{
    static const struct option options[] = { { "seeds", required_argument, NULL, 'n' },
                                             { "from", required_argument, NULL, 'f' },
                                             { "seed", required_argument, NULL, 's' },
                                             { "jobs", required_argument, NULL, 'j' },
                                             { "replay", required_argument, NULL, 'r' },
                                             { "twice", required_argument, NULL, 't' },
                                             { "seconds", required_argument, NULL, 'l' },
                                             { "trace", no_argument, NULL, 'v' },
                                             { 0 } };
    uint64_t from = 1, seed = 0;
    size_t count = 20;
    time_t limit = 0;
    unsigned jobs = 2;
    bool with_trace = false, one = false, twice = false;
    const char *replay = NULL;
    int o;
    while ((o = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (o) {
        case 'n':
        case 't':
            count = strtoull(optarg, NULL, 10);
            twice = o == 't';
            break;
        case 'f':
            from = strtoull(optarg, NULL, 10);
            break;
        case 's':
            seed = strtoull(optarg, NULL, 10);
            one = true;
            break;
        case 'j':
            jobs = (unsigned)strtoul(optarg, NULL, 10);
            break;
        case 'l':
            limit = strtol(optarg, NULL, 10);
            break;
        case 'r':
            replay = optarg;
            break;
        case 'v':
            with_trace = true;
            break;
        default:
            return 2;
        }
    }
    if (jobs < 1 || jobs > 16 || optind != argc)
        return 2;
    (void)setenv("HEARTH_LOG", "error", 0);
    log_init("simulate");
    /* Key files are synced, which here is worth nothing. */
    char place[64];
    (void)snprintf(place, sizeof(place), "%s/hearth-simulate-XXXXXX",
                   access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    MUST(secret_init() == 0 && mkdtemp(place));
    struct world *w = seed_prepare(place);
    unsigned failed = 0;
    if (one) {
        char last[16];
        struct child c = start(w, seed, false, with_trace);
        failed = !finish(&c, last, sizeof(last));
    } else {
        count = replay ? 0 : count;
        uint64_t *seeds = replay ? read_seeds(replay, &count) : make_seeds(from, count);
        failed = run_seeds(w, seeds, count, jobs, twice, limit);
        free(seeds);
    }
    seed_clean(w);
    (void)fflush(stdout);
    _exit(failed != 0); /* the world is not taken apart */
}
