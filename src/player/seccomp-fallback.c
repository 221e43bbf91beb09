/* The build has no libseccomp: no system-call filter. */
#include "player/sandbox.h"

int sandbox_filter_calls(bool with_sound)
{
    (void)with_sound;
    return SANDBOX_NO_FILTER;
}
