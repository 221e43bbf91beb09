/* On the connection's thread. */
#include "distributor/meet.h"

#include "distributor/delegations.h"
#include "distributor/keyset.h"

/* Who it is comes out of its keyset; whether we know it, out of our partners. */
int meet_distributor(struct operations *o, struct slice keyset, const uint8_t key[32], int64_t now_ms, struct id *who,
                     doc_Keyset *out, struct buf *known)
{
    struct id signer;
    int r = document_open_keyset(keyset, out, &signer);
    if (r != 0)
        return r;
    struct id id = id_from(out->distributor);
    struct partner partner;
    bool is_self = id_equal(id.bytes, o->keys->self.bytes); /* a directory that is a distributor too */
    r = is_self ? 0 : delegations_partner_find(o, &id, &partner);
    if (r == OPERATIONS_ABSENT)
        return REASON_UNKNOWN_DISTRIBUTOR;
    if (r != 0)
        return r;
    if (!is_self && partner.withdrawn)
        return REASON_NOT_PERMITTED;
    r = keyset_meet(o, &id, keyset, key, now_ms, out);
    if (r == 0)
        *who = id;
    if (r != REASON_KEYSET_INVALID)
        return r;
    /* It may be an older copy of itself: what its own root key has signed since proves that to it. */
    int shown = keyset_known(o, &id, known);
    return shown < 0 ? shown : r;
}
