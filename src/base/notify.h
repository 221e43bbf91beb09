/* Telling the service manager that waits for it (sd_notify(3)), over a socket that is connected before a process is confined. */
#ifndef BASE_NOTIFY_H
#define BASE_NOTIFY_H

int notify_open(void); /* as NOTIFY_SOCKET says; the caller's, or -1: nobody waits */
void notify_ready(int fd);
void notify_stopping(int fd);

#endif
