/* Rows of shared tables as another member of the directory signs them, applied to a real database.
 * Promises: no row makes us fail inside (one bad row must not stop all that follow); rows are taken in order and once; what a
 * member says of its own never touches what is ours; the ledger stays even. Input: a list of rows (table, flags, edits). */
#include <stdlib.h>

#include "base/util.h"
#include "distributor/accounts.h"
#include "distributor/devices.h"
#include "distributor/share.h"
#include "fuzz.h"
#include "messages.h"
#include "share.pb.h"
#include "shop.h"

#define ROWS_MAX 16
#define EDITS_MAX 6

/* Table numbers, the message of each and what it begins with; the last ones are none. */
enum begins { WITH_ID, WITH_USER, WITH_OTHER };
static const struct {
    uint32_t table;
    const char *message;
    enum begins begins;
} tables[] = {
    { share_Table_LEAF_CLIENT, "share_LeafClient", WITH_ID },
    { share_Table_CLIENT_CERTIFICATE, "share_ClientCertificate", WITH_ID },
    { share_Table_CLIENT_USER, "share_ClientUser", WITH_ID },
    { share_Table_CONTENT_LICENSE, "share_ContentLicense", WITH_ID },
    { share_Table_USER_CONTENT, "share_UserContent", WITH_USER },
    { share_Table_USER_LICENSE, "share_UserLicense", WITH_USER },
    { share_Table_COPY_HISTORY, "share_CopyHistory", WITH_OTHER },
    { share_Table_LINK, "share_Link", WITH_USER },
    { share_Table_KEYSET, "share_Keyset", WITH_OTHER },
    { share_Table_KEY_BLOCK, "share_KeyBlock", WITH_OTHER },
    { share_Table_REDEMPTION, "share_Redemption", WITH_OTHER },
    { share_Table_NONE, "share_Emptied", WITH_OTHER },
    { share_Table_TAKEN_BACK, "share_TakenBack", WITH_OTHER },
    { share_Table_HEAD, "share_Head", WITH_OTHER },
    { 4, "share_UserContent", WITH_USER },
    { UINT32_MAX, "share_UserContent", WITH_USER },
};

struct member {
    struct shop *shop;
    uint64_t sequence; /* of the last row it has given out */
};

static bool ours(struct member *m, enum who who)
{
    struct device device;
    int r = devices_find_own(m->shop->operations, &m->shop->world->ids[who], &device);
    CHECK(r >= 0);
    return r == 0 && !device.revoked && strcmp(device.user, SHOP_USER) == 0;
}

static void apply(struct member *m, const doc_Share *share, enum who signer, bool in_order)
{
    struct buf payload CLEANUP(buf_free) = buf(8192), envelope CLEANUP(buf_free) = buf(8192);
    struct operations *o = m->shop->operations;
    CHECK(codec_encode(&payload, doc_Share_fields, share) == 0);
    world_sign(m->shop->world, DOCUMENT_SHARE, buf_slice(&payload), signer, &envelope);
    uint8_t *exact CLEANUP(freep) = input_copy(buf_slice(&envelope));
    struct savepoint p CLEANUP(savepoint_end) = { 0 };
    CHECK(savepoint_begin(&p, o->store) == 0);
    int r = share_apply(o, slice(exact, envelope.len), WORLD_NOW_MS);
    CHECK(r == 0 || r == SHARE_GAP || (r > 0 && r < REASON_COUNT));
    if (r == 0) {
        CHECK(savepoint_release(&p) == 0);
        CHECK(signer == WHO_PARTNER_LICENSE || share->sequence <= m->sequence); /* one that is here is not read again */
        bool of_member = memcmp(share->origin, m->shop->world->ids[WHO_PARTNER_ROOT].bytes, ID_BYTES) ==
                         0; /* ours is here, and not read again */
        if (of_member && share->sequence > m->sequence)
            m->sequence = share->sequence;
    }
    /* A row of its own that is in order and rightly signed is never a reason to stop, except a keyset that does not hold. */
    if (in_order && signer == WHO_PARTNER_LICENSE && share->table != share_Table_KEYSET)
        CHECK(r == 0);
}

static void row(struct member *m, struct input *in)
{
    const struct world *w = m->shop->world;
    size_t index = input_u8(in) % ARRAY_COUNT(tables);
    uint8_t how = input_u8(in);
    const struct message *kind = message_named(tables[index].message);
    struct buf bytes CLEANUP(buf_free) = buf(4000);
    uint8_t *zero CLEANUP(freep) = calloc(1, kind->struct_bytes);
    CHECK(zero);
    if (tables[index].begins == WITH_ID)
        memcpy(zero, w->ids[how & 2 ? WHO_SELF : WHO_STRANGER].bytes, ID_BYTES);
    else if (tables[index].begins == WITH_USER)
        memcpy(zero, how & 2 ? SHOP_USER : "anna", how & 2 ? sizeof(SHOP_USER) : sizeof("anna"));
    if (tables[index].table == share_Table_LINK) {
        share_Link *link = (share_Link *)(void *)zero;
        memcpy(link->other, how & 4 ? m->shop->keys->self.bytes : w->ids[WHO_STRANGER].bytes, ID_BYTES);
        CODEC_SET_TEXT(link->other_user, SHOP_USER);
    }
    CHECK(codec_encode(&bytes, kind->fields, zero) == 0);
    for (int i = input_u8(in) % EDITS_MAX; i > 0; i--)
        input_edit(in, &bytes);
    doc_Share share = { .sequence = m->sequence + 1, .table = tables[index].table, .removed = how & 8 };
    memcpy(share.origin, w->ids[WHO_PARTNER_ROOT].bytes, ID_BYTES);
    if (how & 16)
        share.sequence = input_u64(in);
    if ((how & 96) == 96)
        memcpy(share.origin, m->shop->keys->self.bytes, ID_BYTES);
    CHECK(CODEC_SET_BYTES(share.row, buf_slice(&bytes)) == 0);
    enum who signer = (how & 96) == 32 ? (enum who)(input_u8(in) % WHO_COUNT) : WHO_PARTNER_LICENSE;
    apply(m, &share, signer, !(how & 16) && (how & 96) != 96);
}

/* A keyset row by the right root: its numbers are the input's. */
static void keyset_row(struct member *m, struct input *in)
{
    const struct world *w = m->shop->world;
    struct buf payload CLEANUP(buf_free) = buf(8192), envelope CLEANUP(buf_free) = buf(8192),
                       bytes CLEANUP(buf_free) = buf(4000);
    doc_Keyset k = w->partner;
    uint8_t how = input_u8(in);
    k.sequence = how & 1 ? input_u64(in) : k.sequence + how;
    if (how & 2)
        k.issued_ms = input_u64(in);
    if (how & 4)
        k.ends_ms = input_u64(in);
    CHECK(codec_encode(&payload, doc_Keyset_fields, &k) == 0);
    world_sign(w, DOCUMENT_KEYSET, buf_slice(&payload), WHO_PARTNER_ROOT, &envelope);
    share_Keyset message = share_Keyset_init_zero;
    CHECK(CODEC_SET_BYTES(message.keyset, buf_slice(&envelope)) == 0 &&
          CODEC_ENCODE(share_Keyset, &bytes, &message) == 0);
    doc_Share share = { .sequence = m->sequence + 1, .table = share_Table_KEYSET };
    memcpy(share.origin, w->ids[WHO_PARTNER_ROOT].bytes, ID_BYTES);
    CHECK(CODEC_SET_BYTES(share.row, buf_slice(&bytes)) == 0);
    apply(m, &share, WHO_PARTNER_LICENSE, true);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct shop *s = shop_get();
    struct input in = input(data, size);
    struct transaction t CLEANUP(transaction_end) = { 0 };
    struct member m = { .shop = s };
    rng_fake_init(&s->rng, 79);
    CHECK(transaction_begin(&t, s->operations->store) == 0);
    for (int i = 0; i < ROWS_MAX && in.rest.len > 0; i++) {
        if (input_u8(&in) % 8 == 0)
            keyset_row(&m, &in);
        else
            row(&m, &in);
        CHECK(ours(&m, WHO_SELF) && ours(&m, WHO_SOURCE) && !ours(&m, WHO_STRANGER));
    }
    bool changed;
    CHECK(operations_tick(s->operations, WORLD_NOW_MS, &changed) == 0);
    shop_check(s);
    return 0;
}
