/* status and doctor: how this device is, at a glance and looked at closely. Loop thread. */
#ifndef DAEMON_STATUS_H
#define DAEMON_STATUS_H

#include "daemon/daemon.h"

struct call;

void status_handle(struct daemon *d, struct call *c, const void *message); /* ctl STATUS_GET */
void doctor_handle(struct daemon *d, struct call *c, const void *message); /* ctl DOCTOR (doctor.c) */

#define DOCTOR_TEXT_BYTES 256
/* doctor_keys.c. False: text says what is wrong with the vault's files. */
bool doctor_keys_are_well(const struct daemon *d, char text[DOCTOR_TEXT_BYTES]);

#endif
