/* The server as a thief would build it: it signs with whatever keys it has, though they were withdrawn (keys_usable, replaced at link time). What devices
 * make of it is tested by test_stolen_key.py. Not a test itself. */
#include "distributor/keys_age.h"

int __wrap_keys_usable(struct operations *o, int64_t now_ms);
int __wrap_keys_usable(struct operations *o, int64_t now_ms)
{
    (void)o;
    (void)now_ms;
    return 0;
}
