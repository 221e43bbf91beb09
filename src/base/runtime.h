/* Where hearthd has its control socket when nobody says where: one rule for hearthd, which makes it, and for hearth, which looks for it. What a
 * configuration, an option or the service manager says comes before it. Any thread. */
#ifndef BASE_RUNTIME_H
#define BASE_RUNTIME_H

#include <stddef.h>

#include "base/outcome.h"

#define RUNTIME_PLACES 4
#define RUNTIME_DIR_BYTES 1024
#define RUNTIME_SOCKET "hearthd.sock" /* its name in the directory */

struct runtime_places {
    char dirs[RUNTIME_PLACES][RUNTIME_DIR_BYTES];
    size_t count;
};
/* The directories in which to look, in this order: for root /run/hearth; $XDG_RUNTIME_DIR/hearth; /run/user/UID/hearth; $HOME/.local/run/hearth; at last
 * /run/hearth, the system's. A session's directory that is not there, or is another user's (su keeps the variable), is left out. */
void runtime_places(struct runtime_places *out);
/* The one in which a hearthd of this user makes it: the first of them. 0; -ENOENT: there is none, -ENAMETOOLONG. */
int runtime_dir(char *out, size_t cap) MUST_USE;

#endif
