/* How a program begins and ends. Single thread. */
#include "base/standard.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

void standard_open(void)
{
    /* The lowest number that is free is given out. The wrong way round: whoever uses it all the same gets an error. */
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0 && errno == EBADF)
            (void)!open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY);
}

int standard_end(const char *program, int status)
{
    errno = 0;
    int lost = fflush(stdout) != 0 || ferror(stdout) != 0, error = errno;
    if (!lost)
        return status;
    if (error != EPIPE)
        fprintf(stderr, "%s: the output cannot be written%s%s\n", program, error != 0 ? ": " : "",
                error != 0 ? strerror(error) : "");
    return status != 0 ? status : 1;
}

int standard_status(int error)
{
    switch (error) {
    case 0:
        return 0;
    case -EACCES:
    case -EPERM:
    case -EROFS:
    case -ENOKEY:
        return EX_NOPERM;
    case -EUCLEAN:
    case -EPROTONOSUPPORT:
        return EX_DATAERR;
    case -ENOTDIR:
    case -EISDIR:
    case -ELOOP:
    case -ENAMETOOLONG:
        return EX_CONFIG;
    default:
        return 1;
    }
}
