/* One datagram a word. Nobody waits for an answer, and there is none. */
#include "base/notify.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/outcome.h"
#include "base/util.h"

int notify_open(void)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    const char *name = getenv("NOTIFY_SOCKET");
    size_t len = name != NULL ? strlen(name) : 0;
    if (len < 2 || len >= sizeof(address.sun_path) || (name[0] != '/' && name[0] != '@'))
        return -1;
    memcpy(address.sun_path, name, len);
    if (name[0] == '@') /* an abstract one */
        address.sun_path[0] = '\0';
    int fd CLEANUP(closep) = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0 ||
        connect(fd, (const struct sockaddr *)&address, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len)) != 0)
        return -1;
    int connected = fd;
    fd = -1;
    return connected;
}

static void tell(int fd, const char *word)
{
    if (fd >= 0)
        (void)!send(fd, word, strlen(word), MSG_NOSIGNAL);
}

void notify_ready(int fd) { tell(fd, "READY=1"); }
void notify_stopping(int fd) { tell(fd, "STOPPING=1"); }
