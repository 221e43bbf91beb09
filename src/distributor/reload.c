/* A copy is read, judged as a whole, and put in the place of the old one. Settings of the database (`settings`, partners, prices) need no
 * reload: each request reads them. */
#define LOG_MODULE "reload"
#include "distributor/reload.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/util.h"
#include "distributor/directory_client.h"
#include "distributor/metrics.h"
#include "distributor/throttle.h"

void reload_apply(struct server *server)
{
    const struct config *c = &server->config;
    bool taken = (c->log_level[0] == '\0' || log_set_level(c->log_level)) &&
                 (c->log_format[0] == '\0' || log_set_format(c->log_format));
    if (!taken) /* config.c knows the same names */
        log_warn("the log stays as it is");
    throttle_set_free_attempts(server->throttle, c->password_attempts);
}

static int refuse(struct server *server, int reason, char said[RELOAD_SAID_BYTES], const char *why)
{
    server->metrics->reloads_refused++;
    snprintf(said, RELOAD_SAID_BYTES, "%s Everything stays as it was.", why);
    log_warn("not reloaded: %s", said);
    return reason;
}

int reload(struct server *server, char said[RELOAD_SAID_BYTES])
{
    char kept[256];
    struct config *fresh CLEANUP(freep) = malloc(sizeof(*fresh));
    if (fresh == NULL)
        return refuse(server, REASON_INTERNAL, said, "There is no memory.");
    if (server->config.path[0] == '\0')
        return refuse(
            server, REASON_NOT_FOUND, said,
            "The server was started without a configuration file: start it again with serve --config FILE, or "
            "with " CONFIG_FILE_DEFAULT " there.");
    *fresh = server->config;
    config_clear(fresh); /* a line that was taken out of the file means the default again */
    int r = config_read(fresh, server->config.path);
    if (r < 0)
        return refuse(server, REASON_NOT_FOUND, said, "The configuration file cannot be read.");
    if (r > 0) {
        char why[sizeof(fresh->mistake) + 64];
        snprintf(why, sizeof(why), "The configuration has a mistake: %s.", fresh->mistake);
        return refuse(server, REASON_MALFORMED, said, why);
    }
    unsigned count = config_keep(&server->config, fresh, kept, sizeof(kept));
    server->config = *fresh;
    reload_apply(server);
    directory_client_reload(server->directory_client);
    server->metrics->reloads++;
    if (count == 0)
        snprintf(said, RELOAD_SAID_BYTES, "The configuration was read again.");
    else
        snprintf(said, RELOAD_SAID_BYTES, "The configuration was read again. These count from the next start only: %s.",
                 kept);
    log_info("reloaded: %s", said);
    return 0;
}
