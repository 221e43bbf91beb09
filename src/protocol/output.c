/* Which sound systems there are. What a name means is the player's. */
#include "protocol/output.h"

#include <string.h>

#include "base/util.h"

bool output_is_device(const char *name)
{
    static const char *const systems[] = { "alsa", "pulse", "pipewire", "jack" };
    for (size_t i = 0; i < ARRAY_COUNT(systems); i++) {
        size_t len = strlen(systems[i]);
        if (strncmp(name, systems[i], len) == 0 && (name[len] == '\0' || (name[len] == '/' && name[len + 1] != '\0')))
            return true;
    }
    return false;
}
