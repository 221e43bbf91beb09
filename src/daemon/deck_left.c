/* What is left of the plays and the playing time that a track's license counts. Loop thread. */
#include "base/util.h"
#include "daemon/deck_internal.h"
#include "daemon/library.h"

static const struct track_license *license_of(struct daemon *d, const struct id *content, const struct play_end *end)
{
    const struct track *t = library_find(d, content->bytes);
    if (end != NULL && end->licensed)
        return library_license(d, content->bytes, end->issuer.bytes, end->license_id, NULL);
    return t != NULL ? track_license(t) : NULL;
}

static void put_plays(ctl_Left *out, uint32_t used, uint32_t max)
{
    uint32_t left = max > used ? max - used : 0;
    if (out->has_plays && out->plays <= left)
        return;
    out->has_plays = out->has_max_plays = true;
    out->plays = left;
    out->max_plays = max;
}

bool deck_left(struct daemon *d, const struct id *content, const struct play_end *end, ctl_Left *out)
{
    const struct track_license *l = license_of(d, content, end);
    *out = (ctl_Left){ 0 };
    if (l == NULL)
        return false;
    const doc_Conditions *c = l->conditions;
    if (c->has_max_plays)
        put_plays(out, l->plays, c->max_plays);
    if (l->has_lease && l->lease.has_max_plays)
        put_plays(out, l->plays, l->lease.max_plays);
    if (c->has_max_play_ms) {
        out->has_play_ms = out->has_max_play_ms = true;
        out->max_play_ms = c->max_play_ms;
        out->play_ms = c->max_play_ms - u64_min(l->play_ms, c->max_play_ms);
    }
    out->has_charge_from_ms = out->has_plays && c->has_charge_from_ms && c->charge_from_ms > 0;
    out->charge_from_ms = c->charge_from_ms;
    return out->has_plays || out->has_play_ms;
}
