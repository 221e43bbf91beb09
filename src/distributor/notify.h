/* Tells the service manager that we are ready or stopping (sd_notify(3)); nothing where there is none, or without libsystemd. */
#ifndef DISTRIBUTOR_NOTIFY_H
#define DISTRIBUTOR_NOTIFY_H

void notify_ready(void);
void notify_stopping(void);

#endif
