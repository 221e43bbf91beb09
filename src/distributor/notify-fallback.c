/* Without libsystemd: nobody is told. */
#include "distributor/notify.h"

void notify_ready(void) {}

void notify_stopping(void) {}
