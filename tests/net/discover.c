/* Runs discovery alone, for tests and benches: `discover SEED PORT` publishes the ID made of SEED and prints, a line each, with
 * milliseconds since the epoch:  MS found SHORT ADDRESS | MS lost SHORT | MS started SHORT.
 * Ends with a goodbye when standard input ends; then prints MS stopped. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "crypto/sha256.h"
#include "net/discovery.h"

static void say(const char *what, const void *id, const char *address)
{
    char text[ID_SHORT_BYTES] = "";
    if (id)
        id_short(id, text);
    printf("%lld %s %s %s\n", (long long)clock_wall_ms(clock_system()), what, text, address);
    fflush(stdout);
}

static void on_changed(const struct id *client, void *ctx)
{
    struct discovery **d = ctx;
    char found[DISCOVERY_TURN_MAX][ADDRESS_TEXT_BYTES];
    if (discovery_addresses(*d, client, false, found, DISCOVERY_TURN_MAX) > 0)
        say("found", client, found[0]);
    else
        say("lost", client, "");
}

static void on_stopped(void *ctx)
{
    (void)ctx;
    say("stopped", NULL, "");
}

static void on_input(uv_poll_t *poll, int status, int events)
{
    char c;
    (void)status;
    (void)events;
    if (read(0, &c, 1) > 0)
        return;
    uv_close((uv_handle_t *)poll, NULL);
    discovery_stop(poll->data, on_stopped, NULL);
}

int main(int argc, char **argv)
{
    static const struct discovery_callbacks callbacks = { .on_changed = on_changed };
    struct discovery *d;
    struct id self;
    uv_poll_t input;
    uv_loop_t *loop = uv_default_loop();
    log_init("discover");
    if (argc != 3) {
        fprintf(stderr, "usage: discover SEED PORT\n");
        return 2;
    }
    sha256(slice_str(argv[1]), self.bytes);
    if (discovery_start(&d, loop, &self, (uint16_t)atoi(argv[2]), &callbacks, &d) != 0)
        return 1;
    say("started", &self, "");
    uv_poll_init(loop, &input, 0);
    input.data = d;
    uv_poll_start(&input, UV_READABLE, on_input);
    uv_run(loop, UV_RUN_DEFAULT);
    return uv_loop_close(loop) == 0 ? 0 : 1;
}
