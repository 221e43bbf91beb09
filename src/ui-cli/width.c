/* By the locale's idea of each character. Single thread. */
#include "ui-cli/width.h"

#include <string.h>
#include <sys/ioctl.h>
#include <wchar.h>

#include "base/util.h"

#define USUAL_COLUMNS 80
#define CUT "..."

/* The next character: its bytes, and its columns into *columns. 0 at the end. */
static size_t next_character(const char *text, mbstate_t *state, size_t *columns)
{
    wchar_t wide;
    size_t bytes = mbrtowc(&wide, text, strlen(text), state);
    int width = bytes > 0 && bytes < (size_t)-2 ? wcwidth(wide) : 1;
    if (bytes >= (size_t)-2) { /* not of this locale */
        memset(state, 0, sizeof(*state));
        bytes = 1;
    }
    *columns = width > 0 ? (size_t)width : 0;
    return *text == '\0' ? 0 : bytes;
}

size_t width_of(const char *text)
{
    mbstate_t state = { 0 };
    size_t all = 0, columns;
    for (size_t bytes; (bytes = next_character(text, &state, &columns)) > 0; text += bytes)
        all += columns;
    return all;
}

/* How many bytes of text fit. */
static size_t fitting(const char *text, size_t columns, size_t cap)
{
    mbstate_t state = { 0 };
    size_t at = 0, used = 0, width;
    for (size_t bytes; (bytes = next_character(text + at, &state, &width)) > 0; at += bytes) {
        if (used + width > columns || at + bytes > cap)
            break;
        used += width;
    }
    return at;
}

char *width_cut(const char *text, size_t columns, char *out, size_t cap)
{
    size_t n = fitting(text, columns, cap - 1);
    const char *mark = "";
    if (text[n] != '\0' && columns > strlen(CUT) && cap > sizeof(CUT)) {
        mark = CUT;
        n = fitting(text, columns - strlen(CUT), cap - sizeof(CUT));
    }
    memcpy(out, text, n);
    memcpy(out + n, mark, strlen(mark) + 1);
    return out;
}

size_t width_of_terminal(int fd)
{
    struct winsize size;
    return ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : USUAL_COLUMNS;
}
