/* The terminal's state, and the signals that must not leave it changed.
 *
 * A handler has nowhere to look but a global: this is the one place of the programs that keeps any.
 *
 * Callbacks: on_ending once, at most; on_stop and on_continue in turn, while a change is in force. */
#include "base/terminal.h"

#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/util.h"

static struct termios before, changed; /* as it was; as it is meanwhile */
static const char *volatile asked;     /* the question that waits for its answer, or NULL */
static volatile sig_atomic_t active;

/* Of those that end the program; the last four are our own mistakes, which need no ruined terminal on top. */
static const int ending[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGSEGV, SIGBUS, SIGABRT, SIGFPE };
static struct sigaction former[NSIG]; /* what is done about each when there is no change */
static bool taken[NSIG];

/* In the background the terminal is somebody else's, and touching it would stop us. One that controls nobody is always ours. */
static bool is_ours(void)
{
    pid_t front = tcgetpgrp(STDIN_FILENO);
    return front < 0 || front == getpgrp();
}

static void write_question(const char *text)
{
    ssize_t n = text != NULL ? write(STDERR_FILENO, text, strlen(text)) : 0;
    (void)n; /* nobody to tell */
}

static void give_back(int how)
{
    if (active && is_ours())
        (void)tcsetattr(STDIN_FILENO, how, &before);
}

static void take_again(void)
{
    if (active && is_ours())
        (void)tcsetattr(STDIN_FILENO, TCSANOW, &changed);
}

static void on_ending(int signal_)
{
    give_back(TCSANOW); /* waits for no output: it may be held up */
    write_question(asked != NULL ? "\n" : NULL);
    (void)signal(signal_, SIG_DFL);
    (void)raise(signal_); /* delivered when this returns: ends as it would have */
}

static void handle(int signal_, void (*handler)(int))
{
    struct sigaction action = { .sa_handler = handler, .sa_flags = SA_RESTART }, old;
    sigemptyset(&action.sa_mask);
    if (sigaction(signal_, NULL, &old) != 0 || old.sa_handler == SIG_IGN || sigaction(signal_, &action, NULL) != 0)
        return;
    if (!taken[signal_])
        former[signal_] = old;
    taken[signal_] = true;
}

static void let_go(int signal_)
{
    if (taken[signal_])
        (void)sigaction(signal_, &former[signal_], NULL);
    taken[signal_] = false;
}

static void on_stop(int signal_)
{
    int saved = errno;
    sigset_t mask;
    give_back(TCSANOW);
    (void)signal(signal_, SIG_DFL);
    sigemptyset(&mask);
    sigaddset(&mask, signal_);
    (void)raise(signal_);
    (void)sigprocmask(SIG_UNBLOCK, &mask, NULL); /* stops here, and goes on here */
    handle(signal_, on_stop);
    errno = saved;
}

/* Also after a stop that could not be caught. */
static void on_continue(int signal_)
{
    int saved = errno;
    (void)signal_;
    take_again();
    if (active && is_ours())
        write_question(asked);
    errno = saved;
}

static void at_exit(void) { terminal_restore(TCSADRAIN); }

int terminal_get(struct termios *out) { return tcgetattr(STDIN_FILENO, out) == 0 ? 0 : -errno; }

int terminal_change(const struct termios *wanted, int how, const char *question)
{
    static bool prepared;
    int r = terminal_get(&before);
    if (r != 0)
        return r;
    if (!prepared && atexit(at_exit) != 0)
        return -ENOMEM;
    prepared = true;
    changed = *wanted;
    asked = question;
    active = true; /* before the change: from here on every way out restores */
    for (size_t i = 0; i < ARRAY_COUNT(ending); i++)
        handle(ending[i], on_ending);
    handle(SIGCONT, on_continue);
    handle(SIGTSTP, on_stop);
    while (tcsetattr(STDIN_FILENO, how, wanted) != 0)
        if ((r = -errno) != -EINTR) {
            terminal_restore(how);
            return r;
        }
    write_question(question);
    return 0;
}

void terminal_restore(int how)
{
    give_back(how);
    active = false;
    asked = NULL;
    for (int i = 1; i < NSIG; i++)
        let_go(i);
}

int terminal_line(char *out, size_t cap)
{
    size_t len = 0;
    for (char c = '\0';;) {
        ssize_t n = read(STDIN_FILENO, &c, 1);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0 && len == 0)
            return -ENODATA;
        if (n == 0 || c == '\n')
            break;
        if (len + 1 >= cap)
            return -EMSGSIZE;
        out[len++] = c;
    }
    out[len - (len > 0 && out[len - 1] == '\r' ? 1 : 0)] = '\0';
    return 0;
}

int terminal_secret(const char *question, char *out, size_t cap)
{
    struct termios silent;
    int r = terminal_get(&silent);
    if (r != 0)
        return r;
    silent.c_lflag &= ~(tcflag_t)ECHO;
    r = terminal_change(&silent, TCSAFLUSH, question);
    if (r != 0)
        return r;
    r = terminal_line(out, cap);
    terminal_restore(TCSAFLUSH);
    write_question("\n");
    return r;
}
