/* A track as the CLI sees it: one row, and the names in it. */
#include "daemon/library.h"

#include <stdio.h>

#include "base/util.h"
#include "daemon/account.h"
#include "daemon/library_internal.h"
#include "daemon/play.h"
#include "daemon/play_memory.h"
#include "daemon/siblings.h"
#include "protocol/play_end.h"

/* Names are labels: an account's, else what a roster says, else the short ID. */
const char *library_issuer_name(struct daemon *d, const struct id *issuer, char short_id[ID_SHORT_BYTES])
{
    struct account *a = account_find(d, issuer->bytes);
    if (a != NULL)
        return a->name;
    for (size_t i = 0; i < siblings_count(d); i++)
        if (id_equal(siblings_at(d, i)->distributor.bytes, issuer->bytes))
            return siblings_at(d, i)->distributor_name;
    id_short(issuer->bytes, short_id);
    return short_id;
}

static const char *device_name(struct daemon *d, const struct id *client, char short_id[ID_SHORT_BYTES])
{
    const struct sibling *s = siblings_find(d, client);
    id_short(client->bytes, short_id);
    return s != NULL ? s->name : short_id;
}

enum reason library_away(struct daemon *d, const struct track_license *l, msg_Refusal *out)
{
    char text[192], remedy[192], short_id[ID_SHORT_BYTES];
    if (l->state != LICENSE_SURRENDERED)
        return REASON_NONE;
    bool lent = l->has_borrower;
    const char *there = device_name(d, lent ? &l->borrower : &l->moved_to, short_id);
    if (lent) {
        (void)snprintf(
            text, sizeof(text),
            "It is checked out to %s: `hearth checkin` there brings it back. A lost device: hearth devices remove.",
            there);
        (void)snprintf(remedy, sizeof(remedy), "On %s: hearth checkin TRACK", there);
    } else if (l->has_moved_to && l->has_lender) {
        (void)snprintf(text, sizeof(text), "It was lent to this device, and is back on %s.", there);
        (void)snprintf(remedy, sizeof(remedy), "On %s: hearth checkout TRACK --to %s", there, siblings_own_name(d));
    } else if (l->has_moved_to) {
        (void)snprintf(text, sizeof(text), "Its license was moved to %s.", there);
        (void)snprintf(remedy, sizeof(remedy), "On %s: hearth move TRACK --to %s", there, siblings_own_name(d));
    } else if (l->has_lease) {
        (void)snprintf(text, sizeof(text), "Its lease was returned.");
        (void)snprintf(remedy, sizeof(remedy), "Take it again: hearth restore TRACK");
    } else {
        (void)snprintf(text, sizeof(text), "Its license was given up here.");
        remedy[0] = '\0';
    }
    reason_refusal(out, lent ? REASON_IN_USE : REASON_NO_LICENSE, text);
    if (remedy[0] != '\0')
        CODEC_SET_TEXT(out->remedy, remedy);
    return lent ? REASON_IN_USE : REASON_NO_LICENSE;
}

void library_note_end(struct daemon *d, const struct id *content, const vlt_PlayOpened *opened,
                      const vlt_PlayClosed *closed)
{
    struct track_license *l =
        opened->locked ? library_license(d, content->bytes, opened->issuer, opened->license_id, NULL) : NULL;
    if (l == NULL || play_end_code(closed->end) == NULL)
        return;
    l->end = closed->end;
    l->recovered = closed->recovered;
    l->recoveries = closed->recoveries;
    l->end_ms = (uint64_t)clock_wall_ms(d->clock);
}

static void put_end(const struct track_license *l, ctl_TrackRow *out)
{
    const char *code = play_end_code(l->end);
    if (code == NULL)
        return;
    out->has_cut_off = out->has_recovered = out->has_cut_off_ms = out->has_recoveries = true;
    CODEC_SET_TEXT(out->cut_off, code);
    out->recovered = l->recovered;
    out->recoveries = l->recoveries;
    out->cut_off_ms = l->end_ms;
}

static void put_places(struct daemon *d, const struct track *t, ctl_TrackRow *out)
{
    struct place_left places[PLACES_MAX];
    size_t count = play_memory_places(d, &t->content, places);
    out->has_position_ms = count == 1;
    out->position_ms = count == 1 ? places[0].position_ms : 0;
    out->has_positions_differ = out->positions_differ = count > 1;
}

void library_row(struct daemon *d, const struct track *t, uint32_t number, ctl_TrackRow *out)
{
    const struct track_license *l = track_license(t);
    *out = (ctl_TrackRow)ctl_TrackRow_init_zero;
    out->number = number;
    memcpy(out->content, t->content.bytes, ID_BYTES);
    CODEC_SET_TEXT(out->title, t->has_info ? t->title : "(not known yet)");
    CODEC_SET_TEXT(out->media_type, t->has_info ? t->media_type : "");
    out->has_creator = t->creator != NULL;
    CODEC_SET_TEXT(out->creator, t->creator != NULL ? t->creator : "");
    out->has_album = t->album != NULL;
    CODEC_SET_TEXT(out->album, t->album != NULL ? t->album : "");
    out->duration_ms = t->duration_ms;
    out->plain_bytes = t->plain_bytes;
    out->has_body = t->has_body;
    out->has_damaged = out->damaged = t->has_body && t->damaged;
    put_places(d, t, out);
    out->license_state = track_license_state(d, t);
    if (out->license_state == LICENSE_VALID && d->accounts == NULL)
        out->license_state =
            LICENSE_NONE; /* the vault keeps it, and uses none while this device is registered nowhere */
    if (l == NULL)
        return;
    char short_id[ID_SHORT_BYTES];
    out->has_issuer = out->has_issuer_name = out->has_license_id = out->has_conditions = true;
    memcpy(out->issuer, l->issuer.bytes, ID_BYTES);
    CODEC_SET_TEXT(out->issuer_name, library_issuer_name(d, &l->issuer, short_id));
    memcpy(out->license_id, l->license_id, 16);
    out->conditions = *l->conditions;
    out->has_lease = l->has_lease;
    out->lease = l->lease;
    out->has_lender = l->has_lender;
    if (l->has_lender)
        CODEC_SET_TEXT(out->lender, device_name(d, &l->lender, short_id));
    out->has_borrower = l->has_borrower && l->state == LICENSE_SURRENDERED;
    if (out->has_borrower)
        CODEC_SET_TEXT(out->borrower, device_name(d, &l->borrower, short_id));
    out->has_plays = l->conditions->has_max_plays || (l->has_lease && l->lease.has_max_plays);
    out->plays = l->plays;
    out->has_play_ms = l->conditions->has_max_play_ms;
    out->play_ms = l->play_ms;
    out->has_in_use = out->in_use = plays_lock(d, l->issuer.bytes, l->license_id);
    put_end(l, out);
}
