/* The build has no libseccomp: no system-call filter. */
#include "base/confine.h"
#include "vault/sandbox.h"

int sandbox_filter_calls(void) { return CONFINE_UNAVAILABLE; }
