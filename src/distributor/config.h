/* Configuration of hearth-distributor: what an operator sets in a file, with defaults for everything.
 *
 * Precedence: default, then the file (--config FILE, else /etc/hearth/hearth-distributor.conf when it is there), then the
 * command line (the caller writes over the fields). Who the distributor is, its partners and its prices are not
 * configuration: they live in the operations database. Not for the loop thread (reads a file).
 *
 *     [server]
 *     state-dir = /var/lib/hearth-distributor
 *     listen = 0.0.0.0:7700            ; port 0 takes a free one
 *     pid-file = /run/hearth-distributor/pid
 *     address-file = /run/hearth-distributor/address
 *     token-paths = /var/lib/softhsm:/etc/hearth/pins  ; what a PKCS#11 module and PIN files need (confinement.h)
 *     payment-command = /usr/local/bin/collect         ; the only one that is ever started, whatever the database says
 *     [limits]
 *     connections = 12000
 *     connections-per-address = 12000
 *     requests-per-second = 400
 *     request-burst = 800
 *     queue-per-connection = 16
 *     idle-seconds = 180
 *     account-requests-per-minute = 30000     ; of all devices of an account together; 0: no limit
 *     address-requests-per-minute = 0         ; of those who have not said who they are
 *     partner-requests-per-minute = 60000
 *     account-rows-per-minute = 30000         ; shared rows that an account's requests write; 0: no limit
 *     partner-rows-per-minute = 60000         ; that a partner or member gives
 *     password-attempts = 5                   ; wrong ones before the first delay
 *     stop-seconds = 10                       ; for what runs when the server is stopped
 *     [log]
 *     level = info                            ; error, warn, info, debug; default: HEARTH_LOG
 *     format = text                           ; text, json; default: HEARTH_LOG_FORMAT
 *     requests = refused                      ; none, refused, all
 *     [metrics]
 *     listen = 127.0.0.1:9477                 ; for a scraper, plain HTTP: loopback only
 *     [contents]                       ; serve --role contents
 *     look-seconds = 60                ; between two looks for new bodies
 */
#ifndef DISTRIBUTOR_CONFIG_H
#define DISTRIBUTOR_CONFIG_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/outcome.h"

#define CONFIG_FILE_DEFAULT "/etc/hearth/hearth-distributor.conf"
#define CONFIG_STATE_DIR_DEFAULT "/var/lib/hearth-distributor"
#define CONFIG_LISTEN_BYTES 128
#define CONFIG_MISTAKE_BYTES 400

struct config {
    char path[PATH_MAX]; /* the file that was read, for reloading; "" when there was none */
    char state_dir[PATH_MAX];
    char listen[CONFIG_LISTEN_BYTES]; /* "host:port"; "" in a fresh one: the caller's default */
    char pid_file[PATH_MAX];          /* "" : none; holds the process ID while it serves */
    char address_file[PATH_MAX];      /* "" : none; holds "host:port" as bound once it serves */
    char payment_command[PATH_MAX];   /* "": what the database says */
    char token_paths[PATH_MAX];       /* directories with ':' between; "": those of the tokens in use */
    uint32_t connections_max;
    uint32_t connections_per_address_max;
    uint32_t requests_per_second; /* of one connection, sustained */
    uint32_t request_burst;
    uint32_t queue_max;    /* requests of one connection that wait; beyond, its socket is not read */
    uint32_t idle_seconds; /* a silent connection is closed */
    uint32_t account_rows_per_minute, partner_rows_per_minute;                                      /* 0: no limit */
    uint32_t account_requests_per_minute, address_requests_per_minute, partner_requests_per_minute; /* 0: no limit */
    uint32_t password_attempts;
    uint32_t stop_seconds;
    char log_level[8], log_format[8], log_requests[8]; /* level, format: "" leaves what the environment said */
    char metrics_listen[CONFIG_LISTEN_BYTES];          /* "": nowhere */
    uint32_t look_seconds;                             /* a contents server's */
    char mistake[CONFIG_MISTAKE_BYTES]; /* after CONFIG_MALFORMED: file, line, what is wrong, and what is allowed */
    bool directory_only;                /* serve --role directory: no device is greeted */
};

void config_init(struct config *c);
/* The defaults again for everything that a reload may change; what counts from the start stays as it is. */
void config_clear(struct config *c);
/* Reads path over *c. path NULL: the default file, whose absence is fine.
 * 0; CONFIG_MALFORMED (logged; of *c only `mistake` changes); -errno. */
#define CONFIG_MALFORMED 1
int config_read(struct config *c, const char *path) MUST_USE;
/* May this payment command be started, by what the file says? */
bool config_permits(const struct config *c, const char *command);
/* For a reload: what of fresh is another than in c but counts from the next start only is put back in fresh, and named in
 * what, "listen, pid-file", as far as there is room. Returns how many. */
unsigned config_keep(const struct config *c, struct config *fresh, char *what, size_t cap);

#endif
