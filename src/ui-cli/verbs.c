/* The table of verbs, in the order in which the overview shows them. */
#include "ui-cli/verbs.h"

#define HEADING(id, title) static const struct verb id = { .summary = title }
HEADING(this_device, "This device");
HEADING(accounts, "Accounts");
HEADING(buying, "Buying");
HEADING(library, "Library");
HEADING(playing, "Playing");
HEADING(sharing, "Sharing");

const struct verb *const verb_table[] = {
    &this_device,     &verb_status, &verb_doctor,   &verb_events,     &verb_settings, &verb_outputs, &verb_programs,
    &verb_completion, &accounts,    &verb_register, &verb_unregister, &verb_login,    &verb_logout,  &verb_passwd,
    &verb_link,       &verb_unlink, &verb_accounts, &verb_bills,      &verb_limit,    &verb_unlock,  &verb_auto_copy,
    &buying,          &verb_browse, &verb_wishlist, &verb_get,        &verb_restore,  &verb_renew,   &verb_own,
    &verb_refresh,    &verb_return, &verb_use_log,  &library,         &verb_library,  &verb_show,    &verb_playlist,
    &verb_metadata,   &verb_remove, &verb_burn,     &playing,         &verb_play,     &verb_pause,   &verb_seek,
    &verb_volume,     &verb_next,   &verb_previous, &verb_stop,       &verb_now,      &verb_queue,   &sharing,
    &verb_devices,    &verb_copy,   &verb_move,     &verb_fetch,      &verb_checkout, &verb_checkin, &verb_transfers,
    &verb_export,     &verb_import, NULL,
};
