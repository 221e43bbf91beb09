/* The household's accounts and devices, as a person sees and changes them: links, accounts, bills, devices. Loop thread.
 * Source: design section 6.2; seed Fig. 3 (billing process section). */
#ifndef DAEMON_HOUSEHOLD_H
#define DAEMON_HOUSEHOLD_H

#include "daemon/daemon.h"

struct call;

/* accounts_view.c */
void accounts_handle(struct daemon *d, struct call *c, const void *message); /* ctl ACCOUNTS_GET */
void bills_handle(struct daemon *d, struct call *c, const void *message);    /* ctl BILLS_GET */
/* links.c */
void link_code_handle(struct daemon *d, struct call *c, const void *message); /* ctl LINK_CODE_GET */
void link_handle(struct daemon *d, struct call *c, const void *message);      /* ctl LINK */
void unlink_handle(struct daemon *d, struct call *c, const void *message);    /* ctl UNLINK */
/* devices.c */
void devices_handle(struct daemon *d, struct call *c, const void *message);        /* ctl DEVICES_GET */
void device_rename_handle(struct daemon *d, struct call *c, const void *message);  /* ctl DEVICE_RENAME */
void device_remove_handle(struct daemon *d, struct call *c, const void *message);  /* ctl DEVICE_REMOVE */
void device_address_handle(struct daemon *d, struct call *c, const void *message); /* ctl DEVICE_ADDRESS */

#endif
