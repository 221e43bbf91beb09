/* Entering the sandbox. */
#include "vault/sandbox.h"

#include "base/confine.h"
#include "base/util.h"

int sandbox_enter(const char *state_dir)
{
    const struct confine_path paths[] = {
        { state_dir, CONFINE_WRITE },
        { "/dev/urandom", CONFINE_READ }, /* SQLite seeds the names and salts of its journals from it */
    };
    int r = confine_enter(paths, ARRAY_COUNT(paths), 0, sandbox_filter_calls);
    return r > 0 ? 0 : r; /* it was said what is missing */
}
