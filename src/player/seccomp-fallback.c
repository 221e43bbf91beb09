/* The build has no libseccomp: no system-call filter. */
#include "player/sandbox.h"

int sandbox_filter_calls(bool with_sockets)
{
    (void)with_sockets;
    return SANDBOX_NO_FILTER;
}
