/* The build has no libseccomp: no system-call filter. */
#include "daemon/confinement.h"

int confinement_filter_calls(void) { return CONFINEMENT_NO_FILTER; }
