/* Everything hearthd can be asked over its control socket. */
#include "daemon/account_data.h"
#include "daemon/bandwidth.h"
#include "daemon/burn.h"
#include "daemon/control.h"
#include "daemon/copy.h"
#include "daemon/deck.h"
#include "daemon/events.h"
#include "daemon/household.h"
#include "daemon/login.h"
#include "daemon/metadata.h"
#include "daemon/outputs.h"
#include "daemon/play_memory.h"
#include "daemon/programs.h"
#include "daemon/queued.h"
#include "daemon/register.h"
#include "daemon/shop.h"
#include "daemon/spending.h"
#include "daemon/status.h"
#include "daemon/terms.h"
#include "daemon/tracks.h"
#include "daemon/transfers.h"

const struct control_entry control_table[] = {
    CONTROL_EARLY(TERMINAL, Terminal, terminal_handle),
    CONTROL_EARLY(STATUS_GET, StatusGet, status_handle),
    CONTROL_ENTRY(REGISTER, Register, register_handle),
    CONTROL_ENTRY(UNREGISTER, Unregister, unregister_handle),
    CONTROL_ENTRY(LOGIN, Login, login_handle),
    CONTROL_ENTRY(LOGOUT, Logout, logout_handle),
    CONTROL_ENTRY(PASSWORD_SET, PasswordSet, password_set_handle),
    CONTROL_ENTRY(LIMIT_GET, LimitGet, limit_get_handle),
    CONTROL_ENTRY(LIMIT_SET, LimitSet, limit_set_handle),
    CONTROL_ENTRY(UNLOCK_SPENDING, UnlockSpending, unlock_spending_handle),
    CONTROL_ENTRY(AUTO_COPY, AutoCopy, auto_copy_handle),
    CONTROL_ENTRY(LINK_CODE_GET, LinkCodeGet, link_code_handle),
    CONTROL_ENTRY(LINK, Link, link_handle),
    CONTROL_ENTRY(UNLINK, Unlink, unlink_handle),
    CONTROL_ENTRY(ACCOUNTS_GET, AccountsGet, accounts_handle),
    CONTROL_ENTRY(ACCOUNT_EXPORT, AccountExport, account_export_handle),
    CONTROL_ENTRY(ACCOUNT_ERASE, AccountErase, account_erase_handle),
    CONTROL_ENTRY(BILLS_GET, BillsGet, bills_handle),
    CONTROL_EARLY(DEVICES_GET, DevicesGet, devices_handle),
    CONTROL_ENTRY(DEVICE_RENAME, DeviceRename, device_rename_handle),
    CONTROL_ENTRY(DEVICE_REMOVE, DeviceRemove, device_remove_handle),
    CONTROL_ENTRY(DEVICE_ADDRESS, DeviceAddress, device_address_handle),
    CONTROL_ENTRY(BROWSE, Browse, browse_handle),
    CONTROL_ENTRY(QUOTE_GET, QuoteGet, quote_handle),
    CONTROL_ENTRY(TERMS_GET, TermsGet, terms_handle),
    CONTROL_ENTRY(GET, Get, get_handle),
    CONTROL_ENTRY(RESTORE, Restore, restore_handle),
    CONTROL_ENTRY(LEASE, Lease, lease_handle),
    CONTROL_ENTRY(CHECKIN, Checkin, checkin_handle),
    CONTROL_ENTRY(USE_LOG_GET, UseLogGet, use_log_handle),
    CONTROL_ENTRY(LIBRARY_GET, LibraryGet, library_handle),
    CONTROL_ENTRY(SHOW, Show, show_handle),
    CONTROL_ENTRY(REMOVE, Remove, remove_handle),
    CONTROL_ENTRY(PLAY, Play, deck_play),
    CONTROL_ENTRY(PLAY_CONTROL, PlayControl, deck_control),
    CONTROL_ENTRY(NOW_GET, NowGet, deck_now),
    CONTROL_ENTRY(QUEUE_GET, QueueGet, deck_queue_get),
    CONTROL_ENTRY(QUEUE_ADD, QueueAdd, deck_queue_add),
    CONTROL_ENTRY(QUEUE_DROP, QueueDrop, deck_queue_drop),
    CONTROL_ENTRY(BURN, Burn, burn_handle),
    CONTROL_ENTRY(BANDWIDTH, Bandwidth, bandwidth_handle),
    CONTROL_ENTRY(OUTPUTS_GET, OutputsGet, outputs_handle),
    CONTROL_ENTRY(COPY, Copy, copy_handle),
    CONTROL_ENTRY(FETCH, Fetch, fetch_handle),
    CONTROL_ENTRY(TRANSFERS_GET, TransfersGet, transfers_get),
    CONTROL_ENTRY(TRANSFER_CONTROL, TransferControl, transfer_control),
    CONTROL_ENTRY(EXPORT, Export, export_handle),
    CONTROL_ENTRY(IMPORT, Import, import_handle),
    CONTROL_ENTRY(PROGRAMS_GET, ProgramsGet, programs_handle),
    CONTROL_ENTRY(PROGRAM_GET, ProgramGet, program_get_handle),
    CONTROL_ENTRY(PROGRAM_REMOVE, ProgramRemove, program_remove_handle),
    CONTROL_ENTRY(PROGRAM_SAVE, ProgramSave, program_save_handle),
    CONTROL_ENTRY(METADATA_GET, MetadataGet, metadata_get_handle),
    CONTROL_ENTRY(METADATA_ADD, MetadataAdd, metadata_add_handle),
    CONTROL_ENTRY(METADATA_REMOVE, MetadataRemove, metadata_remove_handle),
    CONTROL_ENTRY(METADATA_VOUCH, MetadataVouch, metadata_vouch_handle),
    CONTROL_ENTRY(PLAYLISTS_GET, PlaylistsGet, playlists_handle),
    CONTROL_ENTRY(PLAYLIST_GET, PlaylistGet, playlist_handle),
    CONTROL_ENTRY(PLAYLIST_EDIT, PlaylistEdit, playlist_edit_handle),
    CONTROL_ENTRY(WISHES_GET, WishesGet, wishes_handle),
    CONTROL_ENTRY(WISH_ADD, WishAdd, wish_add_handle),
    CONTROL_ENTRY(WISH_REMOVE, WishRemove, wish_remove_handle),
    CONTROL_EARLY(SETTINGS_GET, SettingsGet, settings_handle),
    CONTROL_ENTRY(SETTING_SET, SettingSet, setting_set_handle),
    CONTROL_ENTRY(POSITIONS_GET, PositionsGet, positions_handle),
    CONTROL_EARLY(EVENTS_GET, EventsGet, events_get),
    CONTROL_ENTRY(DOCTOR, Doctor, doctor_handle),
    { 0 },
};
