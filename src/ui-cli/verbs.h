/* Every verb of the command line; one .c file per group. */
#ifndef UI_CLI_VERBS_H
#define UI_CLI_VERBS_H

#include "ui-cli/cli.h"

extern const struct verb verb_status, verb_doctor, verb_events; /* verbs_daemon.c */
extern const struct verb verb_register, verb_unregister, verb_login, verb_logout, verb_passwd, verb_link, verb_unlink,
    verb_accounts, verb_bills;                                             /* verbs_accounts.c */
extern const struct verb verb_devices;                                     /* verbs_devices.c */
extern const struct verb verb_browse, verb_get, verb_restore;              /* verbs_shop.c */
extern const struct verb verb_library, verb_show, verb_play, verb_remove;  /* verbs_library.c */
extern const struct verb verb_copy, verb_move, verb_fetch, verb_transfers; /* verbs_transfers.c */
extern const struct verb verb_export, verb_import;                         /* verbs_medium.c */

/* Rows several verbs print. */
json_t *verb_track_json(const ctl_TrackRow *t);
const char *verb_license_word(const ctl_TrackRow *t);
json_t *verb_transfer_json(const ctl_TransferRow *t);

#endif
