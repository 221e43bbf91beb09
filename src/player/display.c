/* Asking may take for ever (a server that stands still, a tunnel that is gone), so a thread of its own does. */
#include "player/display.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stddef.h>
#include <unistd.h>

struct probe {
    bool (*ask)(void);
    bool reached;
    int asked[2]; /* a pipe, closed with the answer */
};

static void *run(void *arg)
{
    struct probe *p = arg;
    p->reached = p->ask();
    (void)close(p->asked[1]);
    return NULL;
}

static bool asked_in_time(const struct probe *p)
{
    struct pollfd wait = { .fd = p->asked[0] };
    int r;
    do
        r = poll(&wait, 1, DISPLAY_ANSWER_MS);
    while (r < 0 && errno == EINTR);
    return r > 0;
}

static bool answers(struct probe *p)
{
    pthread_t thread;
    if (pipe2(p->asked, O_CLOEXEC) != 0 || pthread_create(&thread, NULL, run, p) != 0)
        return false;
    (void)pthread_detach(thread);
    return asked_in_time(p) && p->reached;
}

/* --- X11 --- */

static void *(*x_open)(const char *name); /* XOpenDisplay */

static bool ask_x11(void) { return x_open(NULL) != NULL; }

bool display_x11_answers(void)
{
    static struct probe probe = { .ask = ask_x11 }; /* the thread may outlive the question */
    *(void **)&x_open = dlsym(RTLD_DEFAULT, "XOpenDisplay");
    return x_open == NULL || answers(&probe);
}

/* --- Wayland --- */

static struct {
    void *(*connect)(const char *name); /* wl_display_connect */
    int (*roundtrip)(void *display);
    void (*disconnect)(void *display);
} wayland;

static bool ask_wayland(void)
{
    void *display = wayland.connect(NULL);
    bool reached = display != NULL && wayland.roundtrip(display) >= 0; /* it may be a socket behind which nobody is */
    if (display != NULL)
        wayland.disconnect(display);
    return reached;
}

bool display_wayland_answers(void)
{
    static struct probe probe = { .ask = ask_wayland };
    *(void **)&wayland.connect = dlsym(RTLD_DEFAULT, "wl_display_connect");
    *(void **)&wayland.roundtrip = dlsym(RTLD_DEFAULT, "wl_display_roundtrip");
    *(void **)&wayland.disconnect = dlsym(RTLD_DEFAULT, "wl_display_disconnect");
    return wayland.connect == NULL || wayland.roundtrip == NULL || wayland.disconnect == NULL || answers(&probe);
}
