/* Keys one by one, as they come from the terminal (base/terminal.h). Single thread. */
#include "ui-cli/keys.h"

#include <errno.h>
#include <poll.h>
#include <unistd.h>

#include "base/terminal.h"

static struct termios before;
static bool active;
static unsigned char waiting[64]; /* read, not given out */
static size_t waiting_from, waiting_to;

bool keys_start(void)
{
    if (active)
        return true;
    if (!isatty(STDERR_FILENO) || terminal_get(&before) != 0)
        return false;
    struct termios single = before;
    single.c_lflag &= ~(tcflag_t)(ICANON | ECHO); /* ISIG stays: Ctrl-Z and Ctrl-\ mean what they always do */
    if (before.c_lflag & ISIG)
        single.c_cc[VINTR] = _POSIX_VDISABLE; /* Ctrl-C comes as a key */
    single.c_cc[VMIN] = 1;
    single.c_cc[VTIME] = 0;
    waiting_from = waiting_to = 0;
    active = terminal_change(&single, TCSADRAIN, NULL) == 0;
    return active;
}

void keys_stop(void)
{
    if (active)
        terminal_restore(TCSADRAIN);
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
