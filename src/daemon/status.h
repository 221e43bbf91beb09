/* status and doctor: how this device is, at a glance and looked at closely. Loop thread. */
#ifndef DAEMON_STATUS_H
#define DAEMON_STATUS_H

#include "daemon/siblings.h"

struct call;

void status_handle(struct daemon *d, struct call *c, const void *message); /* ctl STATUS_GET */
void doctor_handle(struct daemon *d, struct call *c, const void *message); /* ctl DOCTOR (doctor.c) */

#define DOCTOR_TEXT_BYTES 256
enum { DOCTOR_GOOD = 1, DOCTOR_LOOK = 2, DOCTOR_BAD = 3 }; /* ctl.CheckRow.verdict */
struct doctor_verdict {
    uint32_t how;
    char text[DOCTOR_TEXT_BYTES];
    const char *remedy; /* NULL: none is needed */
};
/* doctor_clock.c. After device_time_refresh: of what is known in memory. */
void doctor_clock(struct daemon *d, struct doctor_verdict *v);
/* doctor_keys.c. NULL: text says that the vault's files are well, and to what their key is bound; else what to do about what text says. */
const char *doctor_keys(const struct daemon *d, char text[DOCTOR_TEXT_BYTES]) MUST_USE;

/* doctor_devices.c: what answers where a sibling may be. why: REASON_NONE where it has proved its key; REASON_UNKNOWN_DEVICE where another device answers. */
struct doctor_device {
    char name[64];
    bool found, linked;
    size_t count;
    sibling_places places;
    enum reason why[SIBLING_PLACES_MAX];
};
#define DOCTOR_NOWHERE 1 /* no address is known, or none can be dialed */
/* 0: on_done comes, never before this has returned. DOCTOR_NOWHERE, -ENOMEM. */
int doctor_ask_device(struct daemon *d, const struct sibling *s,
                      void (*on_done)(const struct doctor_device *result, void *ctx), void *ctx) MUST_USE;

/* doctor_helpers.c. wrong: NULL when all is well, else in words; remedy beside it. 0: on_done comes, never before this has returned. -ENOMEM. */
int doctor_ask_helpers(struct daemon *d, void (*on_done)(const char *wrong, const char *remedy, void *ctx), void *ctx)
    MUST_USE;

#endif
