/* Configuration of hearthd: command line over file over defaults. No I/O but reading the file; before the loop runs. */
#ifndef DAEMON_CONFIG_H
#define DAEMON_CONFIG_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/outcome.h"

#define CONFIG_PATH_BYTES 1024
#define CONFIG_LABEL_BYTES 64

/* Whose `hearth fetch` is answered with a copy, at the expense of this device's license and account. */
enum config_fetch {
    CONFIG_FETCH_ALL,  /* every device of the household */
    CONFIG_FETCH_OWN,  /* those that the license's issuer certified itself, not those of a linked account elsewhere */
    CONFIG_FETCH_NONE, /* nobody's */
};
struct config {
    char state_dir[CONFIG_PATH_BYTES];   /* hearthd.db, bodies/, vault/ */
    char runtime_dir[CONFIG_PATH_BYTES]; /* hearthd.sock */
    char bodies_dir[CONFIG_PATH_BYTES];  /* STATE/bodies */
    char vault_dir[CONFIG_PATH_BYTES];   /* STATE/vault */
    char vault_key[16];                  /* how the vault keeps its storage key (vault/storage_key.h); "": as it is */
    char vault_tpm[256];                 /* which TPM; "": this machine's */
    char vault_passphrase_file[CONFIG_PATH_BYTES]; /* "": none */
    char name[CONFIG_LABEL_BYTES];                 /* of this device: a label */
    char listen_host[128];                         /* "": all interfaces */
    uint16_t listen_port;                          /* 0: any */
    bool discovery;                                /* publish and look for siblings by mDNS */
    enum config_fetch answer_fetch;
    bool places;                     /* fetch bodies from the places that distributors name */
    char ca_file[CONFIG_PATH_BYTES]; /* whose authorities are trusted for https:// places; "": the system's */
};
#define CONFIG_USAGE 1 /* what is wrong was said on standard error */
#define CONFIG_HELP 2  /* help or version was asked for and printed */
/* Fills out from argv, the configuration file (--config, else /etc/hearth/hearthd.conf for root, else
 * $XDG_CONFIG_HOME/hearth/hearthd.conf; an absent default file is fine) and the defaults. 0, CONFIG_*, -errno. */
int config_load(struct config *out, int argc, char **argv) MUST_USE;

#endif
