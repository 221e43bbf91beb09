/* Parts of the command `program`, for its two files. */
#ifndef DISTRIBUTOR_ADMIN_PROGRAMS_H
#define DISTRIBUTOR_ADMIN_PROGRAMS_H

#include "distributor/admin.h"
#include "protocol/program.h"

enum {
    PROGRAM_NAME,
    PROGRAM_VERSION,
    PROGRAM_KIND,
    PROGRAM_KEY,
    PROGRAM_SIGNATURE,
    PROGRAM_NOTE,
    PROGRAM_UNDO,
    PROGRAM_CLIENT,
    PROGRAM_MARK,
    PROGRAM_OPTIONS
};
int admin_program_sign(struct admin *a, const char *path, const struct admin_option *options);
/* Signs bytes as the options say. 0 or an exit code. */
int admin_program_sign_bytes(struct admin *a, const struct admin_option *options, struct slice bytes,
                             struct buf *document) MUST_USE;
int admin_program_read(struct admin *a, const char *path, struct buf *bytes) MUST_USE; /* the same */

#endif
