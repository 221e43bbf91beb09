/* Entering the sandbox. */
#define LOG_MODULE "sandbox"
#include "vault/sandbox.h"

#include "base/confine.h"
#include "base/log.h"
#include "base/util.h"

int sandbox_enter(const char *state_dir)
{
    const struct confine_path paths[] = {
        { state_dir, CONFINE_WRITE },
        { "/dev/urandom", CONFINE_READ }, /* SQLite seeds the names and salts of its journals from it */
    };
    int r = confine_files(paths, ARRAY_COUNT(paths), 0);
    if (r < 0)
        return r;
    if (r == CONFINE_UNAVAILABLE)
        log_warn("this kernel has no Landlock: the file system is not closed off");
    r = sandbox_filter_calls();
    if (r == SANDBOX_NO_FILTER)
        log_warn("built without libseccomp: system calls are not filtered");
    return r > 0 ? 0 : r;
}
