/* The terminal's state, and the signals that must not leave it as it is.
 *
 * A handler has nowhere to look but a global: this is the one place of the program that keeps any. */
#include "ui-cli/keys.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <termios.h>
#include <unistd.h>

#include "base/util.h"

static struct termios before, single; /* as it was; key by key */
static volatile sig_atomic_t active;
static unsigned char waiting[64]; /* read, not given out */
static size_t waiting_from, waiting_to;

/* Of those that end the program; the last four are our own mistakes, which need no ruined terminal on top. */
static const int ending[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGSEGV, SIGBUS, SIGABRT, SIGFPE };

/* In the background the terminal is somebody else's, and touching it would stop us. */
static bool is_ours(void) { return tcgetpgrp(STDIN_FILENO) == getpgrp(); }

static void restore(void)
{
    if (active && is_ours())
        (void)tcsetattr(STDIN_FILENO, TCSADRAIN, &before);
}

static void on_ending(int signal_)
{
    restore();
    (void)signal(signal_, SIG_DFL);
    (void)raise(signal_); /* delivered when this returns: ends as it would have */
}

static void on_stop(int signal_);

static void handle(int signal_, void (*handler)(int))
{
    struct sigaction action = { .sa_handler = handler, .sa_flags = SA_RESTART }, old;
    sigemptyset(&action.sa_mask);
    if (sigaction(signal_, NULL, &old) == 0 && old.sa_handler != SIG_IGN)
        (void)sigaction(signal_, &action, NULL);
}

static void take_back(void)
{
    if (active && is_ours())
        (void)tcsetattr(STDIN_FILENO, TCSADRAIN, &single);
}

static void on_stop(int signal_)
{
    int saved = errno;
    sigset_t mask;
    restore();
    (void)signal(signal_, SIG_DFL);
    sigemptyset(&mask);
    sigaddset(&mask, signal_);
    (void)raise(signal_);
    (void)sigprocmask(SIG_UNBLOCK, &mask, NULL); /* stops here, and goes on here */
    handle(signal_, on_stop);
    take_back();
    errno = saved;
}

/* After a stop that could not be caught. */
static void on_continue(int signal_)
{
    int saved = errno;
    (void)signal_;
    take_back();
    errno = saved;
}

bool keys_start(void)
{
    static bool prepared;
    if (active)
        return true;
    if (!isatty(STDIN_FILENO) || !isatty(STDERR_FILENO) || tcgetattr(STDIN_FILENO, &before) != 0)
        return false;
    single = before;
    single.c_lflag &= ~(tcflag_t)(ICANON | ECHO); /* ISIG stays: Ctrl-Z and Ctrl-\ mean what they always do */
    if (before.c_lflag & ISIG)
        single.c_cc[VINTR] = _POSIX_VDISABLE; /* Ctrl-C comes as a key */
    single.c_cc[VMIN] = 1;
    single.c_cc[VTIME] = 0;
    if (!prepared) {
        prepared = true;
        (void)atexit(keys_stop);
        for (size_t i = 0; i < ARRAY_COUNT(ending); i++)
            handle(ending[i], on_ending);
        handle(SIGCONT, on_continue);
    }
    handle(SIGTSTP, on_stop);
    active = true; /* before the change: from here on every way out restores */
    waiting_from = waiting_to = 0;
    if (tcsetattr(STDIN_FILENO, TCSADRAIN, &single) == 0)
        return true;
    active = false;
    return false;
}

void keys_stop(void)
{
    restore();
    active = false;
}

/* The next byte that is there already; -1 at the end, -2 when there is none. */
static int next_byte(void)
{
    struct pollfd in = { STDIN_FILENO, POLLIN, 0 };
    if (waiting_from == waiting_to) {
        if (poll(&in, 1, 0) <= 0)
            return -2;
        ssize_t got = read(STDIN_FILENO, waiting, sizeof(waiting));
        if (got <= 0)
            return got < 0 && errno == EINTR ? -2 : -1;
        waiting_from = 0;
        waiting_to = (size_t)got;
    }
    return waiting[waiting_from++];
}

/* After ESC: "[A" or "OA" and the like. */
static int arrow(void)
{
    static const int keys[] = { KEY_UP, KEY_DOWN, KEY_RIGHT, KEY_LEFT };
    int b = next_byte();
    if (b != '[' && b != 'O')
        return KEY_OTHER;
    do
        b = next_byte();
    while ((b >= '0' && b <= '9') || b == ';');
    return b >= 'A' && b <= 'D' ? keys[b - 'A'] : KEY_OTHER;
}

int keys_next(void)
{
    int b = next_byte();
    if (b == -2)
        return KEY_NONE;
    if (b < 0)
        return KEY_END;
    if (b == before.c_cc[VINTR] && (before.c_lflag & ISIG) != 0)
        return KEY_INTERRUPT;
    return b == 0x1b ? arrow() : b == 0 ? KEY_OTHER : b;
}
