/* Logging in at a distributor whose policy asks for the account's password, and out again; a new password. Loop thread.
 * Source: seed S61, S113. */
#ifndef DAEMON_LOGIN_H
#define DAEMON_LOGIN_H

#include "daemon/daemon.h"

struct call;

void login_handle(struct daemon *d, struct call *c, const void *message);        /* ctl LOGIN */
void logout_handle(struct daemon *d, struct call *c, const void *message);       /* ctl LOGOUT */
void password_set_handle(struct daemon *d, struct call *c, const void *message); /* ctl PASSWORD_SET */

#endif
