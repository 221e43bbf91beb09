/* Built without libsystemd: nobody is told. */
#include "daemon/notify.h"

void notify_ready(void) {}
void notify_stopping(void) {}
