/* The table of verbs, in the order in which the overview shows them. */
#include "ui-cli/verbs.h"

const struct verb *const verb_table[] = {
    &verb_status,   &verb_doctor,   &verb_events,   &verb_register, &verb_unregister, &verb_login,     &verb_logout,
    &verb_passwd,   &verb_link,     &verb_unlink,   &verb_accounts, &verb_bills,      &verb_auto_copy, &verb_limit,
    &verb_unlock,   &verb_devices,  &verb_browse,   &verb_wishlist, &verb_get,        &verb_restore,   &verb_renew,
    &verb_own,      &verb_refresh,  &verb_return,   &verb_use_log,  &verb_library,    &verb_show,      &verb_play,
    &verb_pause,    &verb_seek,     &verb_volume,   &verb_next,     &verb_previous,   &verb_stop,      &verb_now,
    &verb_queue,    &verb_playlist, &verb_settings, &verb_outputs,  &verb_burn,       &verb_remove,    &verb_copy,
    &verb_move,     &verb_fetch,    &verb_checkout, &verb_checkin,  &verb_transfers,  &verb_export,    &verb_import,
    &verb_programs, &verb_metadata, NULL,
};
