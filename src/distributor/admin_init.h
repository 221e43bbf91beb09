/* What `init`, `settings` and `contents init` judge alike. One thread. */
#ifndef DISTRIBUTOR_ADMIN_INIT_H
#define DISTRIBUTOR_ADMIN_INIT_H

#include "distributor/admin.h"

/* 0, or an exit code after saying what is allowed. what: the option or setting, for the message. */
int admin_judge_listen(struct admin *a, const char *what, const char *listen) MUST_USE;
int admin_judge_address(struct admin *a, const char *what, const char *address) MUST_USE;
bool admin_is_registration(const char *text); /* invite, open, closed */
/* What others can reach: the listening address, with this host's name where it listens on all. */
void admin_address_of(const char *listen, char out[OPERATIONS_ADDRESS_BYTES]);

/* May something new begin in dir? Absent, empty, or with nothing but ours (names of a distributor's state, or with contents of a contents server's), what begins with a dot, the
 * lost+found of a disk, and the files own[] (absolute or not; NULL: none) that the command itself was told of. 0, or an exit code after naming what is foreign. */
int admin_judge_directory(struct admin *a, const char *dir, bool contents, const char *const own[], size_t count)
    MUST_USE;

#endif
