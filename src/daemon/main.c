/* hearthd: the device daemon of a household. Only wiring here; what it does begins in daemon.c. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#define LOG_MODULE "main"
#include "base/helper.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/secret.h"
#include "base/standard.h"
#include "daemon/daemon.h"
#include "daemon/opener.h"
#include "daemon/spawner.h"

int main(int argc, char **argv)
{
    static struct daemon daemon;
    struct config config;
    struct spawner *spawner;
    struct opener *opener;
    uv_loop_t loop;
    standard_open();
    int r = config_load(&config, argc, argv);
    if (r != 0)
        return r == CONFIG_HELP ? standard_end("hearthd", EXIT_SUCCESS) : 2;
    log_init("hearthd");
    memory_keep();
    umask(077);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    if (secret_hide_process() != 0 || spawner_new(&spawner, &config, HELPER_PATIENCE_MS) != 0 ||
        opener_new(&opener, HELPER_PATIENCE_MS) != 0 || uv_loop_init(&loop) != 0) { /* it has the vault's channel */
        log_error("the helper processes could not be started");
        return EXIT_FAILURE;
    }
    r = daemon_start(&daemon, &loop, &config, spawner, opener);
    (void)uv_run(&loop, UV_RUN_DEFAULT);
    daemon_deinit(&daemon);
    (void)uv_loop_close(&loop);
    return daemon.exit_code;
}
