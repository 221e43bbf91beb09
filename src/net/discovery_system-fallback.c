/* Built without libsystemd, and so without D-Bus: our own responder always. */
#include "net/discovery_internal.h"

int discovery_system_start(struct discovery *d)
{
    (void)d;
    return -ENOTSUP;
}

void discovery_system_stop(struct discovery *d) { (void)d; }

void discovery_system_forget(struct discovery *d, const char *path)
{
    (void)d;
    (void)path;
}

void discovery_system_browse_again(struct discovery *d) { (void)d; }
