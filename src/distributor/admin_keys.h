/* What the parts of the command keys share: admin_keys.c, admin_keys_root.c. */
#ifndef DISTRIBUTOR_ADMIN_KEYS_H
#define DISTRIBUTOR_ADMIN_KEYS_H

#include "distributor/admin.h"
#include "distributor/keys.h"

const char *admin_keys_purpose(uint32_t purpose); /* of a listed key; "?" */
/* A small file that the operator named. 0, or an exit code after saying why. */
int admin_keys_read(struct admin *a, const char *path, struct buf *out) MUST_USE;
const char *admin_keys_root_place(const struct admin *a); /* "a file", "a token", "elsewhere" */
/* r: of what needs the root key, or a token. Says why, and what to do; an exit code. */
int admin_keys_root_failed(struct admin *a, int r, const char *doing);

/* The commands; exit codes. */
int admin_keys_sign(struct admin *a, const char *root_file, const struct token_place *place, const char *request,
                    const char *out);
int admin_keys_root_export(struct admin *a, const char *path);
int admin_keys_root_token(struct admin *a, const struct token_place *place);
int admin_keys_wrap(struct admin *a, const struct token_place *place);

#endif
