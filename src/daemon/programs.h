/* Programs of distributors: plug-ins for the player, and updates. The vault judges every grant and keeps it; here is only the sealed file of each,
 * STATE/programs/NAME-VERSION-DISTRIBUTOR.program, which opens on this device alone. Loop thread; files on the pool.
 * Source: related system R4. */
#ifndef DAEMON_PROGRAMS_H
#define DAEMON_PROGRAMS_H

#include "daemon/ask.h"
#include "daemon/daemon.h"
#include "vault.pb.h"

struct call;

/* Makes the directory; removes what was left half done. Blocking, at start. 0 or -errno. */
int programs_start(struct daemon *d) MUST_USE;

#define PROGRAMS_PATH_BYTES (CONFIG_PATH_BYTES + 160)
int programs_path(const struct daemon *d, const vlt_Program *p, char out[PROGRAMS_PATH_BYTES]) MUST_USE;
/* Is its file there, as long as it should be? Looks once; blocking, but short. */
bool programs_has_file(const struct daemon *d, const vlt_Program *p);

/* What the vault has, removed ones too, by name. Fires once: all with refusal NULL, or none. all: valid until it returns. 0 or -ENOMEM. */
typedef void programs_fn(const vlt_Program *all, size_t count, const msg_Refusal *refusal, void *ctx);
int programs_collect(struct daemon *d, programs_fn *on_all, void *ctx) MUST_USE;
/* The one of this name that is here; distributor: its name, a prefix of its ID, or "". 0, REASON_UNKNOWN_PROGRAM, REASON_AMBIGUOUS. */
int programs_choose(struct daemon *d, const vlt_Program *all, size_t count, const char *name, const char *distributor,
                    const vlt_Program **out) MUST_USE;
/* "NAME" or "NAME@DISTRIBUTOR". */
void programs_split(const char *text, char name[32], char distributor[64]);

void programs_handle(struct daemon *d, struct call *c, const void *message);       /* ctl PROGRAMS_GET */
void program_get_handle(struct daemon *d, struct call *c, const void *message);    /* ctl PROGRAM_GET */
void program_remove_handle(struct daemon *d, struct call *c, const void *message); /* ctl PROGRAM_REMOVE */
void program_save_handle(struct daemon *d, struct call *c, const void *message);   /* ctl PROGRAM_SAVE */

/* The row of one that is here. */
struct _ctl_ProgramRow;
void programs_row(struct daemon *d, const vlt_Program *p, struct _ctl_ProgramRow *row);

#endif
