/* Runs scenes:  PROGRAM [--every N] [--pairs N] [--scene NAME] [--point HOW:N[+][,HOW:N]]
 *
 * Every N-th point of each scene (1: all), and of every N-th pair where a scene wants pairs (0: none). What fails is printed with the command that
 * repeats it. One thread.
 *
 * A scene is prepared once, in a process; each point is a child of it, which has everything open as it was. Afterwards the files are put back, in place. */
#include "torture.h"

#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdint.h>
#include <sqlite3.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define FILES_MAX 64
#define FACTS_BYTES 16384
#define LIVE_MAX 8
#define PARTS_EVERY 12 /* a start has tens of thousands of allocations, most of them in SQLite's parser */
#define SECONDS_MAX 60
#define STOPPED 4 /* what a judge of a program that has stopped exits with when all is well */

enum stage { ACTING = 1, JUDGING };
static struct shared { /* of a point and its scene */
    enum stage stage;
    int outcome;
    unsigned come, counts[FAULT_HOW_COUNT];
    bool was_sync;
    size_t live;
    char facts[FACTS_BYTES];
} * shared;
struct kept { /* never closed: that would end every lock that this process has on the file */
    char path[256];
    int fd;
    uint8_t *bytes;
    size_t len;
};
static char places_kept[2][128];
static size_t place_count;
static struct kept files[FILES_MAX];
static size_t file_count;
static char before[FACTS_BYTES], after[FACTS_BYTES];
static size_t live_allowed;
static bool says_all;
static int null;

/* ---- files ------------------------------------------------------------------------------------------------------- */

void torture_place(const char *dir)
{
    MUST(place_count < 2);
    (void)snprintf(places_kept[place_count++], sizeof(places_kept[0]), "%s", dir);
}

/* The file at its path is still the one that was kept. */
static bool is_kept(const struct kept *k)
{
    struct stat now, then;
    return stat(k->path, &now) == 0 && fstat(k->fd, &then) == 0 && now.st_ino == then.st_ino;
}

static bool is_same(const struct kept *k)
{
    struct stat st;
    MUST(fstat(k->fd, &st) == 0);
    if ((size_t)st.st_size != k->len)
        return false;
    uint8_t *now = malloc(k->len + 1);
    bool same = pread(k->fd, now, k->len, 0) == (ssize_t)k->len && memcmp(now, k->bytes, k->len) == 0;
    free(now);
    return same;
}

static void each_file(const char *dir, void (*call)(const char *path))
{
    DIR *d = opendir(dir);
    struct dirent *e;
    MUST(d);
    while ((e = readdir(d))) {
        char path[512];
        struct stat st;
        (void)snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
        if (e->d_name[0] == '.' || stat(path, &st) != 0)
            continue;
        if (S_ISDIR(st.st_mode))
            each_file(path, call);
        else
            call(path);
    }
    (void)closedir(d);
}

static void keep(const char *path)
{
    struct kept *k = &files[file_count++];
    struct stat st;
    MUST(file_count <= FILES_MAX);
    (void)snprintf(k->path, sizeof(k->path), "%s", path);
    k->fd = open(path, O_RDWR | O_CLOEXEC);
    MUST(k->fd >= 0 && fstat(k->fd, &st) == 0);
    k->len = (size_t)st.st_size;
    k->bytes = malloc(k->len + 1);
    MUST(k->bytes && pread(k->fd, k->bytes, k->len, 0) == st.st_size);
}

static void remove_new(const char *path)
{
    for (size_t i = 0; i < file_count; i++)
        if (strcmp(files[i].path, path) == 0)
            return;
    MUST(unlink(path) == 0);
}

/* In place where it can be: this process may have it open. */
static void put_back(struct kept *k)
{
    if (!is_kept(k))
        k->fd = open(k->path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    MUST(k->fd >= 0);
    if (!is_same(k))
        MUST(ftruncate(k->fd, (off_t)k->len) == 0 && pwrite(k->fd, k->bytes, k->len, 0) == (ssize_t)k->len);
}

static void put_all_back(void)
{
    for (size_t i = 0; i < place_count; i++)
        each_file(places_kept[i], remove_new);
    for (size_t i = 0; i < file_count; i++)
        put_back(&files[i]);
}

/* ---- facts --------------------------------------------------------------------------------------------------------- */

/* Columns that are of chance or of time say nothing. */
static bool is_fact(const char *column)
{
    size_t len = strlen(column);
    return !(len > 3 && strcmp(column + len - 3, "_ms") == 0) && strcmp(column, "session") != 0 &&
           strcmp(column, "generation") != 0;
}

static char *facts_out;

static void add_fact(const char *text)
{
    MUST(strlen(facts_out) + strlen(text) + 1 < FACTS_BYTES);
    strcat(facts_out, text);
}

static sqlite3_stmt *ask(sqlite3 *db, const char *sql)
{
    sqlite3_stmt *s;
    MUST(sqlite3_prepare_v2(db, sql, -1, &s, NULL) == SQLITE_OK);
    return s;
}

/* How many rows, and the sum of each column of numbers. */
static void table_facts(sqlite3 *db, const char *table)
{
    char sql[4096], part[512];
    (void)snprintf(sql, sizeof(sql), "SELECT name FROM pragma_table_info('%s')", table);
    sqlite3_stmt *s = ask(db, sql);
    (void)snprintf(sql, sizeof(sql), "SELECT count(*)");
    while (sqlite3_step(s) == SQLITE_ROW) {
        const char *column = (const char *)sqlite3_column_text(s, 0);
        if (!is_fact(column))
            continue;
        (void)snprintf(part, sizeof(part),
                       ", total(CASE WHEN typeof(\"%s\") = 'integer' THEN \"%s\" %% 1000003 END), count(\"%s\")",
                       column, column, column);
        strcat(sql, part);
    }
    sqlite3_finalize(s);
    (void)snprintf(part, sizeof(part), " FROM \"%s\"", table);
    strcat(sql, part);
    s = ask(db, sql);
    MUST(sqlite3_step(s) == SQLITE_ROW);
    add_fact(table);
    for (int i = 0; i < sqlite3_column_count(s); i++) {
        (void)snprintf(part, sizeof(part), " %s", (const char *)sqlite3_column_text(s, i));
        add_fact(part);
    }
    add_fact("\n");
    sqlite3_finalize(s);
}

static void database_facts(const char *path)
{
    sqlite3 *db;
    size_t len = strlen(path);
    if (len < 3 || strcmp(path + len - 3, ".db") != 0)
        return;
    MUST(sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, NULL) == SQLITE_OK);
    MUST(sqlite3_busy_timeout(db, 5000) == SQLITE_OK);
    sqlite3_stmt *s = ask(db, "PRAGMA quick_check");
    MUST(sqlite3_step(s) == SQLITE_ROW && strcmp((const char *)sqlite3_column_text(s, 0), "ok") == 0);
    sqlite3_finalize(s);
    s = ask(db, "PRAGMA foreign_key_check");
    MUST(sqlite3_step(s) == SQLITE_DONE);
    sqlite3_finalize(s);
    s = ask(
        db,
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' AND name <> 'changes' ORDER BY name");
    while (sqlite3_step(s) == SQLITE_ROW)
        table_facts(db, (const char *)sqlite3_column_text(s, 0));
    sqlite3_finalize(s);
    MUST(sqlite3_close(db) == SQLITE_OK);
}

static void facts(char out[FACTS_BYTES])
{
    facts_out = out;
    out[0] = '\0';
    for (size_t i = 0; i < place_count; i++)
        each_file(places_kept[i], database_facts);
}

static void must_be(const char *what, const char *now, const char *one, const char *other)
{
    if (strcmp(now, one) == 0 || strcmp(now, other) == 0)
        return;
    size_t at = 0;
    while (now[at] != '\0' && now[at] == one[at])
        at++;
    while (at > 0 && now[at - 1] != '\n')
        at--;
    (void)printf("%s: is %.*s, should be %.*s\n", what, (int)strcspn(now + at, "\n"), now + at,
                 (int)strcspn(one + at, "\n"), one + at);
    (void)fflush(stdout);
    _exit(3);
}

/* ---- one point ------------------------------------------------------------------------------------------------------- */

/* GnuTLS 3.7.9 keeps the handle of a hash that it could not begin. */
static bool is_a_librarys(void *where)
{
    Dl_info info;
    return dladdr(where, &info) != 0 && info.dli_sname != NULL &&
           (strcmp(info.dli_sname, "gnutls_hash_init") == 0 || strcmp(info.dli_sname, "gnutls_hmac_init") == 0);
}

/* With everything closed. */
static void judge_memory(void)
{
    void *where[LIVE_MAX];
    shared->live = fault_live(where, LIVE_MAX);
    for (size_t i = 0, count = shared->live; i < LIVE_MAX && i < count; i++)
        shared->live -= is_a_librarys(where[i]);
    if (shared->live <= live_allowed || live_allowed == SIZE_MAX)
        return;
    (void)printf("%zu blocks stay allocated, by", shared->live);
    for (size_t i = 0; i < LIVE_MAX && i < shared->live; i++)
        (void)printf(" %p", where[i]);
    (void)printf("\n");
    (void)fflush(stdout);
    _exit(3);
}

static void judge_again(const struct scene *s)
{
    MUST(s->act() == 0);
    facts(shared->facts);
    must_be("asked again", shared->facts, after, after);
}

static void point(const struct scene *s, const struct fault *faults, size_t count, bool restarted)
{
    char now[FACTS_BYTES];
    shared->stage = ACTING;
    fault_arm(faults, count);
    shared->outcome = s->act();
    shared->come = fault_disarm();
    shared->stage = JUDGING;
    for (enum fault_how how = FAULT_ALLOC; how < FAULT_HOW_COUNT; how++)
        shared->counts[how] = fault_count(how);
    facts(now);
    if (shared->outcome == 0)
        must_be("it said that it was done", now, after, after);
    else if (!s->in_parts)
        must_be("it said that it was not done", now, before, after);
    if (!restarted)
        judge_again(s);
    s->close();
    judge_memory();
    if (restarted) {
        MUST(s->open() == 0);
        judge_again(s);
        s->close();
    }
    _exit(0);
}

/* It has stopped: what it finds when it is started again. */
static void judge_stopped(const struct scene *s)
{
    char now[FACTS_BYTES];
    s->close();
    MUST(s->open() == 0);
    facts(now);
    if (!s->in_parts)
        must_be("after it had stopped", now, before, after);
    judge_again(s);
    _exit(0);
}

static int in_child(const struct scene *s, void (*run)(const struct scene *s), const struct fault *faults, size_t count,
                    bool restarted)
{
    int status;
    pid_t pid = fork();
    MUST(pid >= 0);
    if (pid == 0) {
        (void)alarm(SECONDS_MAX);
        if (!says_all)
            (void)dup2(null, STDERR_FILENO); /* the program's log: a line for every fault */
        if (run)
            run(s);
        else
            point(s, faults, count, restarted);
    }
    MUST(waitpid(pid, &status, 0) == pid);
    return status;
}

/* ---- many ------------------------------------------------------------------------------------------------------------- */

struct tally {
    unsigned points, done, refused, stopped, failed;
};

static void say_failed(const struct scene *s, const struct fault *faults, size_t count, int status)
{
    (void)printf("%s FAILED (%s %d); again: --scene %s --point ", s->name, WIFSIGNALED(status) ? "signal" : "exit",
                 WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status), s->name);
    for (size_t i = 0; i < count; i++)
        (void)printf("%s%s:%u%s", i > 0 ? "," : "", fault_names[faults[i].how], faults[i].at,
                     faults[i].onwards ? "+" : "");
    (void)printf("\n");
    (void)fflush(stdout);
}

static void try(const struct scene *s, const struct fault *faults, size_t count, struct tally *t)
{
    memset(shared, 0, offsetof(struct shared, facts));
    int status = in_child(s, NULL, faults, count, t->points % 8 == 0);
    /* A program stops by abort(), and only then: after a sync that failed, or where there is no memory for a hash. */
    bool stopped = shared->stage == ACTING && WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
    if (stopped)
        status = in_child(s, judge_stopped, NULL, 0, false);
    put_all_back();
    t->points++;
    if (status != 0) {
        t->failed++;
        say_failed(s, faults, count, status);
    } else if (stopped) {
        t->stopped++;
    } else if (shared->outcome == 0) {
        t->done++;
    } else {
        t->refused++;
    }
}

static void learn(const struct scene *s, unsigned counts[FAULT_HOW_COUNT])
{
    s->prepare();
    for (size_t i = 0; i < place_count; i++)
        each_file(places_kept[i], keep);
    facts(before);
    after[0] = '\0';
    live_allowed = SIZE_MAX;
    pid_t pid = fork();
    int status;
    MUST(pid >= 0);
    if (pid == 0) {
        MUST(s->act() == 0);
        facts(shared->facts);
        _exit(0);
    }
    MUST(waitpid(pid, &status, 0) == pid && status == 0);
    memcpy(after, shared->facts, sizeof(after));
    put_all_back();
    status = in_child(s, NULL, NULL, 0, false);
    MUST(status == 0);
    live_allowed = shared->live;
    memcpy(counts, shared->counts, sizeof(shared->counts));
    put_all_back();
}

static void pairs(const struct scene *s, const unsigned counts[FAULT_HOW_COUNT], unsigned every, struct tally *t)
{
    unsigned long n = 0;
    for (enum fault_how a = FAULT_EIO; a < FAULT_HOW_COUNT; a++)
        for (enum fault_how b = FAULT_EIO; b < FAULT_HOW_COUNT; b++)
            for (unsigned i = 1; i <= counts[a]; i++)
                for (unsigned j = a == b ? i + 1 : 1; j <= counts[b]; j++)
                    if (n++ % every == 0)
                        try(s, (struct fault[]){ { a, i, false }, { b, j, false } }, 2, t);
}

/* In a process of its own. */
static void run_scene(const struct scene *s, unsigned every, unsigned pairs_every, const struct fault *only,
                      size_t only_count)
{
    struct tally t = { 0 };
    unsigned counts[FAULT_HOW_COUNT] = { 0 }, n = 0;
    null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    says_all = only_count > 0;
    learn(s, counts);
    every *= s->in_parts ? PARTS_EVERY : 1;
    if (only_count > 0) {
        try(s, only, only_count, &t);
        (void)printf("%s: outcome %d, %u came\n", s->name, shared->outcome, shared->come);
    }
    for (enum fault_how how = FAULT_ALLOC; only_count == 0 && how < FAULT_HOW_COUNT; how++)
        for (unsigned at = 1; at <= counts[how]; at++)
            for (unsigned onwards = 0; onwards < 2; onwards++)
                if ((how != FAULT_EINTR || !onwards) && n++ % every == 0)
                    try(s, &(struct fault){ how, at, onwards }, 1, &t);
    if (s->pairs && pairs_every > 0 && only_count == 0)
        pairs(s, counts, pairs_every, &t);
    (void)printf("%-28s %6u points: %6u done, %6u refused, %5u stopped, %u failed  (%u allocations, %u calls)\n",
                 s->name, t.points, t.done, t.refused, t.stopped, t.failed, counts[FAULT_ALLOC], counts[FAULT_EIO]);
    (void)fflush(stdout);
    for (size_t i = 0; i < place_count; i++) {
        char command[256];
        (void)snprintf(command, sizeof(command), "rm -rf '%s'", places_kept[i]);
        MUST(system(command) == 0);
    }
    shared->counts[0] = t.points;
    _exit(t.failed != 0);
}

static size_t read_point(char *text, struct fault out[2])
{
    size_t n = 0;
    for (char *part = strtok(text, ","); part && n < 2; part = strtok(NULL, ","), n++) {
        char how[16], onwards = 0;
        MUST(sscanf(part, "%15[^:]:%u%c", how, &out[n].at, &onwards) >= 2);
        out[n].onwards = onwards == '+';
        for (enum fault_how h = FAULT_ALLOC; h < FAULT_HOW_COUNT; h++)
            if (strcmp(how, fault_names[h]) == 0)
                out[n].how = h;
    }
    return n;
}

int torture_main(int argc, char **argv, const struct scene *scenes, size_t count)
{
    static const struct option options[] = { { "every", required_argument, NULL, 'e' },
                                             { "pairs", required_argument, NULL, 'p' },
                                             { "scene", required_argument, NULL, 's' },
                                             { "point", required_argument, NULL, 'o' },
                                             { 0 } };
    unsigned every = 1, pairs_every = 1;
    const char *scene = NULL;
    struct fault only[2] = { 0 };
    size_t only_count = 0;
    int o;
    while ((o = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (o == 'e')
            every = (unsigned)strtoul(optarg, NULL, 10);
        else if (o == 'p')
            pairs_every = (unsigned)strtoul(optarg, NULL, 10);
        else if (o == 's')
            scene = optarg;
        else if (o == 'o')
            only_count = read_point(optarg, only);
        else
            return 2;
    }
    if (every == 0 || optind != argc)
        return 2;
    (void)setenv("HEARTH_LOG", "error", 0);
    fault_syncs_are_free = true;
    (void)signal(SIGPIPE, SIG_IGN);
    MUST(sqlite3_config(SQLITE_CONFIG_LOOKASIDE, 0, 0) == SQLITE_OK); /* every allocation is one */
    shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    MUST(shared != MAP_FAILED);
    unsigned failed = 0, points = 0;
    for (size_t i = 0; i < count; i++) {
        if (scene && strcmp(scene, scenes[i].name) != 0)
            continue;
        (void)fflush(NULL);
        pid_t pid = fork();
        int status;
        MUST(pid >= 0);
        if (pid == 0)
            run_scene(&scenes[i], every, pairs_every, only, only_count);
        MUST(waitpid(pid, &status, 0) == pid);
        failed += status != 0;
        points += shared->counts[0];
    }
    (void)printf("%u points, %u scenes failed\n", points, failed);
    return failed != 0;
}
