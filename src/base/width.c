/* By the locale's idea of each character. Single thread. */
#include "base/width.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <wchar.h>

#include "base/util.h"

#define USUAL_COLUMNS 80
#define USUAL_LINES 24
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

size_t width_line(const char *text, size_t columns)
{
    mbstate_t state = { 0 };
    size_t width, first = next_character(text, &state, &width);
    size_t n = fitting(text, columns, SIZE_MAX), space = n;
    if (text[n] == '\0')
        return n;
    while (space > 0 && text[space] != ' ')
        space--;
    return space > 0 ? space : n > 0 ? n : first;
}

/* Blocks of Unicode whose letters are of bidirectional class R or AL. */
static bool turns(wchar_t c)
{
    static const struct {
        wchar_t from, to;
    } blocks[] = {
        { 0x590, 0x8ff }, { 0xfb1d, 0xfdff }, { 0xfe70, 0xfeff }, { 0x10800, 0x10fff }, { 0x1e800, 0x1efff }
    };
    for (size_t i = 0; i < ARRAY_COUNT(blocks); i++)
        if (c >= blocks[i].from && c <= blocks[i].to)
            return true;
    return false;
}

bool width_turns(const char *text)
{
    mbstate_t state = { 0 };
    wchar_t c;
    for (size_t bytes; (bytes = mbrtowc(&c, text, strlen(text), &state)) > 0 && bytes < (size_t)-2; text += bytes)
        if (turns(c))
            return true;
    return false;
}

bool width_moves(int fd)
{
    const char *terminal = getenv("TERM");
    return isatty(fd) && (terminal == NULL || strcmp(terminal, "dumb") != 0);
}

bool width_colours(int fd)
{
    const char *objection = getenv("NO_COLOR");
    return width_moves(fd) && (objection == NULL || objection[0] == '\0') && getenv("TERM") != NULL;
}

size_t width_of_terminal(int fd)
{
    struct winsize size;
    return ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : USUAL_COLUMNS;
}

size_t width_lines_of_terminal(int fd)
{
    struct winsize size;
    return ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_row > 0 ? size.ws_row : USUAL_LINES;
}
