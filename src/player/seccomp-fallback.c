/* The build has no libseccomp: no system-call filter. */
#include "base/confine.h"
#include "player/sandbox.h"

int sandbox_filter_calls(void) { return CONFINE_UNAVAILABLE; }
int sandbox_filter_calls_with_sockets(void) { return CONFINE_UNAVAILABLE; }
