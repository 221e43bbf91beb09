/* Readiness for a service manager: notify.c with libsystemd, notify-fallback.c without. */
#ifndef DAEMON_NOTIFY_H
#define DAEMON_NOTIFY_H

void notify_ready(void);
void notify_stopping(void);

#endif
