/* Why a server does not start, for a person; and the files that announce one that does. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "distributor/keys.h"
#include "distributor/operations.h"
#include "distributor/serve.h"
#include "store/store.h"

static const char *of_database(int r)
{
    switch (r) {
    case STORE_NEWER:
        return "its database was made by a newer version of this program: install that, or put the backup of before back";
    case OPERATIONS_MOVED:
        return "its database was moved to a server; the line above says where. If that was interrupted: `hearth-distributor database move --to` the same";
    case -ENOENT:
        return "its keys have no database, or it was not made yet; `hearth-distributor id` says what to do";
    case -EHOSTDOWN:
        return "the database server cannot be reached; the line above has its words";
    case -ECONNREFUSED:
        return "the database server does not let us in; the line above has its words";
    case -EILSEQ:
        return "the database is not of UTF-8 encoding: createdb -E UTF8 -T template0 NAME";
    case -EBUSY:
        return "the database is in use by another program for too long";
    case -ENOKEY:
        return "the database lies under a storage key that is not in keys/; the line above says which. Put back the keys/ that was saved with it";
    case -EUCLEAN:
        return "the database is damaged, or of another distributor than the keys: put a backup back (restore)";
    default:
        return NULL;
    }
}

static const char *of_listen(int r)
{
    switch (r) {
    case -EINVAL:
        return "that is no address: 0.0.0.0:7700 (all of IPv4), [::]:7700 (all), 127.0.0.1:7700";
    case -EADDRINUSE:
        return "another program listens there; `settings listen`, [server] listen or --listen name another port";
    case -EADDRNOTAVAIL:
    case -ENOENT:
        return "this machine has no such address; 0.0.0.0:PORT listens on all it has";
    case -EACCES:
        return "ports below 1024 are not for everybody; take a higher one";
    default:
        return NULL;
    }
}

static const char *of_keys(int r)
{
    switch (r) {
    case -ENOENT:
        return "no distributor was made there yet (hearth-distributor init), or its keys are gone (`hearth-distributor id` says which)";
    case -EPERM:
        return "a key file can be read by others; the line above says which: chmod 600";
    case -EACCES:
        return "a key file or a PIN file cannot be read; the line above says which. Serve as the user who owns the directory";
    case -EKEYREJECTED:
        return "the token refuses the PIN, which is not tried again before its file is changed; the line above says which file";
    case -ENXIO:
        return "the token that wraps the keys is not there, or holds another key; the line above says which";
    case -EUCLEAN:
        return "a key file is damaged; the line above says which";
    default:
        return NULL;
    }
}

void serve_explain(const struct config *config, enum serve_step step, int r, char why[SERVE_WHY_BYTES])
{
    static const char *const what[] = { [SERVE_LOCK] = "state directory",     [SERVE_KEYS] = "state directory",
                                        [SERVE_DATABASE] = "state directory", [SERVE_CONTENTS] = "state directory",
                                        [SERVE_CONSOLE] = "[metrics] listen", [SERVE_LISTEN] = "listen",
                                        [SERVE_PID_FILE] = "pid-file",        [SERVE_ADDRESS_FILE] = "address-file",
                                        [SERVE_OTHER] = "state directory" };
    const char *text = NULL, *where = config->state_dir;
    if (step == SERVE_LOCK)
        text = r == -EBUSY    ? "another server runs on it"
               : r == -ENOENT ? "there is no such directory; hearth-distributor init makes it"
               : r == -EACCES ? "this user may not write there; serve as the user who owns it"
                              : of_database(r);
    else if (step == SERVE_KEYS)
        text = of_keys(r);
    else if (step == SERVE_DATABASE)
        text = of_database(r);
    else if (step == SERVE_CONTENTS)
        text = r == -ENOENT ? "there is no contents server; make one: hearth-distributor contents init" : NULL;
    else if (step == SERVE_CONSOLE)
        text = r == -EINVAL       ? "write a loopback address, such as 127.0.0.1:9477"
               : r == -EADDRINUSE ? "another program listens there; name another port"
                                  : of_listen(r);
    else if (step == SERVE_LISTEN)
        text = of_listen(r);
    if (step == SERVE_CONSOLE && config->metrics_listen[0] != '\0')
        where = config->metrics_listen;
    else if (step == SERVE_LISTEN)
        where = config->listen;
    else if (step == SERVE_PID_FILE || step == SERVE_ADDRESS_FILE)
        where = step == SERVE_PID_FILE ? config->pid_file : config->address_file;
    snprintf(why, SERVE_WHY_BYTES, "%s %.500s: %s.", what[step], where,
             text != NULL ? text : strerror(r < 0 ? -r : EIO));
}

int serve_announce(const struct config *config, uint16_t port, enum serve_step *step)
{
    char line[CONFIG_LISTEN_BYTES + 16];
    int r = 0;
    *step = SERVE_PID_FILE;
    snprintf(line, sizeof(line), "%d\n", (int)getpid());
    if (config->pid_file[0] != '\0')
        r = file_replace(config->pid_file, slice_str(line), 0644);
    if (r != 0 || config->address_file[0] == '\0')
        return r;
    *step = SERVE_ADDRESS_FILE;
    snprintf(line, sizeof(line), "%.*s:%u\n", (int)(strrchr(config->listen, ':') - config->listen), config->listen,
             port);
    return file_replace(config->address_file, slice_str(line), 0644);
}

void serve_unannounce(const struct config *config)
{
    if (config->pid_file[0] != '\0')
        unlink(config->pid_file);
    if (config->address_file[0] != '\0')
        unlink(config->address_file);
}
