/* Entering the player's sandbox. Its libraries are loaded by then. */
#define LOG_MODULE "sandbox"
#include "player/sandbox.h"

#include <limits.h>
#include <stdlib.h>

#include "base/confine.h"
#include "base/file.h"
#include "base/log.h"
#include "base/util.h"

/* Configuration, plug-ins and devices of ALSA, PulseAudio and PipeWire. */
static const struct confine_path sound[] = {
    { "/usr/lib", false },
    { "/usr/share/alsa", false },
    { "/usr/share/pipewire", false },
    { "/etc/alsa", false },
    { "/etc/asound.conf", false },
    { "/etc/pulse", false },
    { "/etc/pipewire", false },
    { "/etc/machine-id", false },
    { "/etc/ld.so.cache", false },
    { "/etc/nsswitch.conf", false },
    { "/etc/passwd", false },
    { "/proc/asound", false },
    { "/sys/class/sound", false },
    { "/dev/snd", true },
    { "/dev/null", true },
    { "/dev/shm", true },
};
static const char *const in_home[] = { ".config/pulse", ".config/pipewire", ".pulse-cookie", ".asoundrc" };

static int confine_with_sound(void)
{
    struct confine_path paths[ARRAY_COUNT(sound) + ARRAY_COUNT(in_home) + 1];
    char names[ARRAY_COUNT(in_home)][PATH_MAX];
    size_t count = ARRAY_COUNT(sound);
    for (size_t i = 0; i < count; i++)
        paths[i] = sound[i];
    const char *home = getenv("HOME");
    for (size_t i = 0; home && i < ARRAY_COUNT(in_home); i++) {
        if (file_join(names[i], sizeof(names[i]), home, in_home[i]) == 0)
            paths[count++] = (struct confine_path){ names[i], false };
    }
    const char *runtime = getenv("XDG_RUNTIME_DIR");
    if (runtime)
        paths[count++] = (struct confine_path){ runtime, false };
    return confine_files(paths, count);
}

int sandbox_enter(bool with_sound)
{
    int r = with_sound ? confine_with_sound() : confine_files(NULL, 0);
    if (r < 0)
        return r;
    if (r == CONFINE_UNAVAILABLE)
        log_warn("this kernel has no Landlock: the file system is not closed off");
    r = sandbox_filter_calls(with_sound);
    if (r == SANDBOX_NO_FILTER)
        log_warn("built without libseccomp: system calls are not filtered");
    return r > 0 ? 0 : r;
}
