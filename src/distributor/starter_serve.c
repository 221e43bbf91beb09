/* The starter's process: it judges each request as if a stranger had sent it, since the server may have been taken over. What it runs is in a session of its own, and is
 * ended with all that it started: the group is killed before its first process is waited for, so that its number cannot be another's by then. What has left the group becomes a child of this process
 * when it has lost its parent, and is killed as such: it would hold the lock on payments as long as it lives. */
#define LOG_MODULE "starter"
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/helper.h"
#include "base/log.h"
#include "base/spawn.h"
#include "base/util.h"
#include "distributor/starter_internal.h"

#define VARIABLES 3
#define LEFT_MAX 10000 /* of processes that are ended after a command */

enum patience { RUNNING, ASKED_TO_END, KILLED };
struct running {
    int pidfd; /* -1: nothing runs */
    pid_t pid;
    uint64_t serial;
    int64_t next_ms; /* when it is asked to end, or killed */
    enum patience patience;
};
struct starting {
    int socket;
    char path[PAYMENTS_COMMAND_BYTES]; /* "": not told yet */
    char *environment[VARIABLES + 1];
    struct running running;
};

static int64_t now_ms(void) { return clock_mono_ms(clock_system()); }

/* PATH, LANG and TZ alone: what an operator keeps in the environment of the server is not the command's. */
static void choose_environment(struct starting *s)
{
    static const char *const names[VARIABLES] = { "PATH=", "LANG=", "TZ=" };
    size_t count = 0;
    for (char **e = environ; *e != NULL; e++)
        for (size_t i = 0; i < VARIABLES && count < VARIABLES; i++)
            if (strncmp(*e, names[i], strlen(names[i])) == 0)
                s->environment[count++] = *e;
}

/* --- What runs ------------------------------------------------------------------------------------------------------- */

static void end_group(const struct running *r, int number) { (void)kill(-r->pid, number); }

/* Any child; 0: there is none, or this kernel does not tell. */
static pid_t find_child(void)
{
    int pid = 0;
    FILE *f = fopen("/proc/thread-self/children", "re");
    if (f == NULL || fscanf(f, "%d", &pid) != 1)
        pid = 0;
    if (f != NULL)
        (void)fclose(f);
    return pid;
}

/* The children of one that is killed are the next ones here. */
static void end_what_is_left(void)
{
    pid_t child;
    for (int i = 0; i < LEFT_MAX && (child = find_child()) > 0; i++) {
        (void)kill(child, SIGKILL);
        while (waitpid(child, NULL, 0) < 0 && errno == EINTR)
            ;
    }
}

static void be_patient_no_more(struct running *r)
{
    log_warn("the payment command takes too long: %s", r->patience == RUNNING ? "ended" : "killed");
    end_group(r, r->patience == RUNNING ? SIGTERM : SIGKILL);
    r->patience = r->patience == RUNNING ? ASKED_TO_END : KILLED;
    r->next_ms = r->patience == ASKED_TO_END ? now_ms() + STARTER_GRACE_MS : INT64_MAX;
}

/* false: the server is gone. */
static bool tell_end(struct starting *s)
{
    struct running *r = &s->running;
    int status = 0;
    pid_t ended;
    end_group(r, SIGKILL); /* what it left running ends with it */
    do
        ended = waitpid(r->pid, &status, 0);
    while (ended < 0 && errno == EINTR);
    bool by_itself = ended == r->pid && WIFEXITED(status);
    end_what_is_left();
    closep(&r->pidfd);
    r->pidfd = -1;
    struct starter_answer answer = { .serial = r->serial, .ended = 1 };
    answer.outcome = by_itself ? 0 : -EINTR;
    answer.status = by_itself ? WEXITSTATUS(status) : 0;
    return helper_send(s->socket, &answer, sizeof(answer), NULL, 0) == 0;
}

/* --- Requests -------------------------------------------------------------------------------------------------------- */

static int configure(struct starting *s, const struct starter_request *q)
{
    if (s->path[0] != '\0')
        return -EALREADY;
    if (q->path[0] != '/' || memchr(q->path, '\0', sizeof(q->path)) == NULL)
        return -EINVAL;
    memcpy(s->path, q->path, sizeof(s->path));
    return 0;
}

static int run(struct starting *s, const struct starter_request *q, const int fds[STARTER_FDS])
{
    const char *const argv[] = { s->path, NULL };
    struct running *r = &s->running;
    int64_t now = now_ms();
    if (s->path[0] == '\0' || q->until_ms > now + STARTER_TIMEOUT_MAX_MS)
        return -EINVAL;
    if (r->pidfd >= 0)
        return -EBUSY;
    if (now > q->latest_ms || now >= q->until_ms)
        return -ETIMEDOUT;
    const struct spawn what = { .path = s->path,
                                .argv = argv,
                                .environment = s->environment,
                                .input = fds[0],
                                .output = fds[1],
                                .fds = { fds[2] },
                                .fd_count = 1,
                                .apart = true };
    pid_t pid = 0;
    int pidfd = -1;
    int error = spawn(&what, &pid, &pidfd);
    if (error == 0) {
        *r = (struct running){ .pidfd = pidfd, .pid = pid, .serial = q->serial, .next_ms = q->until_ms };
        return 0;
    }
    closep(&pidfd);
    while (pid > 0 && waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        ;
    return error;
}

static void hurry(struct running *r)
{
    if (r->pidfd < 0 || r->patience != RUNNING)
        return;
    end_group(r, SIGTERM);
    r->patience = ASKED_TO_END;
    r->next_ms = now_ms() + STARTER_GRACE_MS;
}

/* false: the server is gone. */
static bool serve_one(struct starting *s)
{
    struct starter_request q;
    struct starter_answer answer = { .outcome = -EINVAL };
    int fds[HELPER_FDS_MAX];
    size_t count;
    bool good;
    if (!helper_next(s->socket, &q, sizeof(q), fds, &count, &good))
        return false;
    if (good)
        answer.serial = q.serial;
    if (good && q.kind == STARTER_CONFIGURE && count == 0)
        answer.outcome = configure(s, &q);
    else if (good && q.kind == STARTER_RUN && count == STARTER_FDS)
        answer.outcome = run(s, &q, fds);
    for (size_t i = 0; i < count; i++)
        close(fds[i]);
    if (good && q.kind == STARTER_HURRY && count == 0) {
        hurry(&s->running);
        return true;
    }
    return helper_send(s->socket, &answer, sizeof(answer), NULL, 0) == 0;
}

/* --- Life ------------------------------------------------------------------------------------------------------------ */

/* One thing that happened. false: the server is gone. */
static bool step(struct starting *s)
{
    struct running *r = &s->running;
    struct pollfd polled[] = { { .fd = s->socket, .events = POLLIN }, { .fd = r->pidfd, .events = POLLIN } };
    int64_t left_ms = r->pidfd >= 0 && r->patience != KILLED ? r->next_ms - now_ms() : -1;
    if (r->pidfd >= 0 && r->patience != KILLED && left_ms <= 0) {
        be_patient_no_more(r);
        return true;
    }
    int n = poll(polled, ARRAY_COUNT(polled), (int)left_ms);
    if (n < 0 && errno != EINTR)
        return false;
    if (n > 0 && polled[1].revents != 0)
        return tell_end(s);
    return n <= 0 || polled[0].revents == 0 || serve_one(s);
}

/* Who would hear of its end is gone: the payment is handed again, with the same key. */
static void end_what_runs(struct running *r)
{
    if (r->pidfd < 0)
        return;
    struct pollfd polled = { .fd = r->pidfd, .events = POLLIN };
    end_group(r, SIGTERM);
    (void)poll(&polled, 1, STARTER_GRACE_MS);
    end_group(r, SIGKILL);
    end_what_is_left();
}

void starter_serve(int fd)
{
    static struct starting s;
    if (helper_enter(fd) != 0 || prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0)
        _exit(EXIT_FAILURE);
    s.socket = fd;
    s.running.pidfd = -1;
    choose_environment(&s);
    while (step(&s))
        ;
    end_what_runs(&s.running);
    _exit(EXIT_SUCCESS);
}
