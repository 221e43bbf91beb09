/* status: numbers that are in memory anyway. */
#include "daemon/status.h"

#include <sys/statvfs.h>

#include "daemon/account.h"
#include "daemon/control.h"
#include "daemon/library.h"
#include "daemon/outbox.h"
#include "daemon/session.h"
#include "daemon/siblings.h"
#include "daemon/transact.h"
#include "daemon/transfers.h"
#include "daemon/vault_client.h"

void status_handle(struct daemon *d, struct call *c, const void *message)
{
    ctl_Status s = { .port = d->port, .waiting = outbox_waiting(d), .transfers = transfers_count(d) };
    (void)message;
    CODEC_SET_TEXT(s.version, HEARTH_VERSION);
    memcpy(s.client, d->self.bytes, ID_BYTES);
    CODEC_SET_TEXT(s.name, siblings_own_name(d));
    for (struct account *a = d->accounts; a != NULL; a = a->next) {
        s.distributors++;
        s.distributors_online += session_knows_us(a->session);
        s.distributors_forgotten += session_is_forgotten(a->session);
        s.waiting += transact_outstanding(a->transact);
    }
    s.has_time_untrusted = s.time_untrusted = device_time_untrusted(d) != NULL;
    s.has_distributors_forgotten = s.distributors_forgotten > 0;
    s.has_vault_silent = s.vault_silent = vault_is_silent(d->vault);
    s.devices = (uint32_t)siblings_count(d);
    for (size_t i = 0; i < siblings_count(d); i++)
        s.devices_online += sibling_is_online(siblings_at(d, i));
    s.tracks = (uint32_t)library_listed(d);
    s.has_loading = s.loading = !library_is_loaded(d);
    struct statvfs fs;
    transfers_waiting(d, &s.transfers_waiting, &s.wants_room);
    s.has_transfers_waiting = s.has_wants_room = true;
    s.has_free_bytes = statvfs(d->config.bodies_dir, &fs) == 0;
    if (s.has_free_bytes)
        s.free_bytes = (uint64_t)fs.f_bavail * fs.f_frsize;
    CALL_ROW(c, STATUS, Status, &s);
    call_finish(c);
}
