/* The build has no libseccomp: no system-call filter. */
#include "base/confine.h"

int confine_server_calls(unsigned flags)
{
    (void)flags;
    return CONFINE_UNAVAILABLE;
}
