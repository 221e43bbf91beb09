/* Entering the player's sandbox. Its libraries are loaded by then. */
#include "player/sandbox.h"

#include <limits.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "base/confine.h"
#include "base/file.h"
#include "base/util.h"

/* ALSA, PulseAudio and PipeWire look for the user's configuration there; also where there is no Landlock, they find none. */
#define NO_HOME "/nonexistent"

/* What is decoded is hostile, and says itself how large it is. Measured with 4K video (3840x2160, 10 bit HEVC): 0.5 GiB on 2 processors, 1.1 GiB with the
 * 16 threads that a decoder takes at most. Sound alone takes some 100 MiB. */
#define MEMORY_WITH_WINDOW (UINT64_C(2) << 30)
#define MEMORY (UINT64_C(512) << 20)

/* Configuration and plug-ins of ALSA, PulseAudio and PipeWire as the system's administrator has them, and the devices. Nothing that the user can
 * write to: what is read here may name files, and libraries to load. */
static const struct confine_path sound[] = {
    { "/usr/lib", CONFINE_READ },
    { "/usr/share/alsa", CONFINE_READ },
    { "/usr/share/pipewire", CONFINE_READ },
    { "/etc/alsa", CONFINE_READ },
    { "/etc/asound.conf", CONFINE_READ },
    { "/etc/pulse", CONFINE_READ },
    { "/etc/pipewire", CONFINE_READ },
    { "/etc/machine-id", CONFINE_READ },
    { "/etc/ld.so.cache", CONFINE_READ },
    { "/etc/nsswitch.conf", CONFINE_READ },
    { "/etc/passwd", CONFINE_READ },
    { "/proc/asound", CONFINE_READ },
    { "/sys/class/sound", CONFINE_READ },
    { "/dev/snd", CONFINE_WRITE },
    { "/dev/null", CONFINE_WRITE },
};

/* Locales and keyboards of X11 and Wayland, and the pictures of the pointer. The sockets are reached without a rule: Landlock knows none for them. */
static const struct confine_path window[] = {
    { "/usr/lib", CONFINE_READ },         { "/usr/share/X11", CONFINE_READ }, { "/usr/share/icons", CONFINE_READ },
    { "/etc/ld.so.cache", CONFINE_READ }, { "/dev/null", CONFINE_WRITE },
};

#define PATHS_MAX (ARRAY_COUNT(sound) + ARRAY_COUNT(window) + 2)

struct allowed {
    struct confine_path paths[PATHS_MAX];
    size_t count;
    char pulse[PATH_MAX];
};

static void allow(struct allowed *a, const struct confine_path *paths, size_t count)
{
    for (size_t i = 0; i < count; i++)
        a->paths[a->count++] = paths[i];
}

static void allow_sound(struct allowed *a)
{
    const char *runtime = getenv("XDG_RUNTIME_DIR");
    allow(a, sound, ARRAY_COUNT(sound));
    if (runtime && file_join(a->pulse, sizeof(a->pulse), runtime, "pulse") == 0) /* where PulseAudio's socket lies */
        a->paths[a->count++] = (struct confine_path){ a->pulse, CONFINE_LIST };
}

static int confine(const struct sandbox *needs)
{
    struct allowed *a CLEANUP(freep) = calloc(1, sizeof(*a));
    if (!a)
        return -ENOMEM;
    if (needs->sound)
        allow_sound(a);
    if (needs->window)
        allow(a, window, ARRAY_COUNT(window));
    if (needs->window && needs->authority)
        a->paths[a->count++] = (struct confine_path){ needs->authority, CONFINE_READ };
    /* libxcb tries an abstract socket of X11 first, and gives up */
    int r = confine_enter(a->paths, a->count, needs->window ? CONFINE_ABSTRACT_SOCKETS : 0,
                          needs->sound || needs->window ? sandbox_filter_calls_with_sockets : sandbox_filter_calls);
    return r > 0 ? 0 : r; /* it was said what is missing */
}

extern void __sanitizer_set_report_fd(void *fd) __attribute__((weak));

/* Not under a sanitizer, whose own memory is far larger. */
static int limit_memory(const struct sandbox *needs)
{
    const rlim_t most = needs->window ? MEMORY_WITH_WINDOW : MEMORY;
    const struct rlimit limit = { most, most };
    return __sanitizer_set_report_fd || setrlimit(RLIMIT_DATA, &limit) == 0 ? 0 : -errno;
}

int sandbox_enter(const struct sandbox *needs)
{
    if (setenv("HOME", NO_HOME, 1) != 0)
        return -errno;
    int r = limit_memory(needs);
    return r == 0 ? confine(needs) : r;
}
