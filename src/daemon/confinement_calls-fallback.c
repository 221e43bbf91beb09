/* The build has no libseccomp: no system-call filter. */
#include "base/confine.h"
#include "daemon/confinement.h"

int confinement_filter_calls(void) { return CONFINE_UNAVAILABLE; }
