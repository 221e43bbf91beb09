/* The build has no libseccomp: no system-call filter. */
#include "vault/sandbox.h"

int sandbox_filter_calls(void) { return SANDBOX_NO_FILTER; }
