/* The spawner: a small process beside hearthd that starts its programs, because hearthd itself starts none once it is confined. It knows three - vault, player,
 * burner -, finds them by itself, makes their arguments and their environment by itself, and takes nothing from hearthd but descriptors and the device of
 * a burner. What it starts are children of hearthd, which hears of their end. Loop thread.
 *
 * Callbacks, in order: on_exit of a child, once, never before the starting call has returned; on_lost, when the spawner itself has ended. */
#ifndef DAEMON_SPAWNER_H
#define DAEMON_SPAWNER_H

#include <stdbool.h>
#include <sys/types.h>
#include <uv.h>

#include "base/outcome.h"
#include "daemon/config.h"

#define SPAWNER_BURNER "/usr/bin/cdrskin"
#define SPAWNER_DEVICE_BYTES 128

struct spawner;
struct child;
/* How it ended: its status, or the signal that ended it (else 0). From here on the child is the caller's again. */
typedef void (*child_exit_fn)(struct child *c, int status, int signal);
struct child { /* embedded by whoever started it; lives until on_exit */
    struct spawner *spawner;
    struct child *next;
    child_exit_fn on_exit;
    pid_t pid;
};

/* Starts the process. config: what the vault is told, from this copy alone. patience_ms: for an answer (HELPER_PATIENCE_MS). Before threads, before a descriptor is open that others must not have, and before
 * anything of a stranger was read. 0 or -errno. */
int spawner_new(struct spawner **out, const struct config *config, unsigned patience_ms) MUST_USE;
/* From here on ends are heard of. 0; -EPIPE: it has ended already; -errno. */
int spawner_watch(struct spawner *s, uv_loop_t *loop, void (*on_lost)(void *ctx), void *ctx) MUST_USE;
/* When no child is left: the process ends, and is waited for (helper_end); freed by the loop. Accepts NULL. */
void spawner_close(struct spawner *s);
/* It owes an answer that was given up. What that one started is ended when it comes. */
bool spawner_stands_still(const struct spawner *s);

/* Descriptors stay the caller's. 0; -ENOENT: the program is not installed; -EBUSY: there is a vault already, or too many children; -ETIMEDOUT: it stands still; -errno. */
int spawner_start_vault(struct spawner *s, struct child *c, int requests_fd, int sign_fd, child_exit_fn on_exit)
    MUST_USE;
int spawner_start_player(struct spawner *s, struct child *c, int control_fd, child_exit_fn on_exit) MUST_USE;
/* input: what is recorded comes from there; -1: it only looks whether there is a disc. -EINVAL: that is no device. */
int spawner_start_burner(struct spawner *s, struct child *c, const char *device, int input, child_exit_fn on_exit)
    MUST_USE;
/* The name of a device below /dev, in letters, digits and "._-/", that goes nowhere else. */
bool spawner_is_device(const char *device);
void child_end(const struct child *c, int signal); /* SIGTERM or SIGKILL; on_exit follows */

/* A connection to the system's D-Bus, where its avahi-daemon is: the one socket in the file system that hearthd still reaches. Descriptor, the caller's, or -errno. */
int spawner_connect_bus(struct spawner *s) MUST_USE;

/* Removes the file of the control socket, which is bound by hearthd before it is confined: the directory around it may hold more than is its
 * business. It is not waited for before spawner_close. */
void spawner_unbind(struct spawner *s);

/* The process's life: requests from fd, until it closes. */
_Noreturn void spawner_serve(int fd, const struct config *config);

#endif
