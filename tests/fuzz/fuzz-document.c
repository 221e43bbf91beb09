/* Signed documents of every kind: opening, and the judge of that kind behind it.
 * Promises: an envelope that was touched is refused; what opens names the key that signed it and encodes to the payload that was
 * signed; a judge accepts only keys its distributor listed for that purpose, and documents about the right parties in their time.
 * Input: kind, mode, signer, then raw envelope (mode 0), raw payload to be signed (1), edits of the world's payload, signed (2),
 * or edits of the world's envelope (3). */
#include <stdlib.h>

#include "base/util.h"
#include "fuzz.h"
#include "judges.h"

#define ENVELOPE_MAX (DSSE_PAYLOAD_MAX + 256)
#define EDITS_MAX 24

static enum who who_signed(const struct world *w, const uint8_t key[32])
{
    int who = 0;
    while (who < WHO_COUNT && memcmp(w->keys[who].public_key, key, 32) != 0)
        who++;
    CHECK(who < WHO_COUNT); /* nobody else ever signed anything */
    return (enum who)who;
}

/* Unverified, it says the same, or nothing. */
static void peek(enum document d, struct slice envelope, int opened, const void *decoded)
{
    size_t bytes = world_kind(d)->struct_bytes;
    void *peeked CLEANUP(freep) = calloc(1, bytes);
    CHECK(peeked);
    int r = document_peek(d, envelope, peeked, bytes);
    CHECK(r == 0 || (r == REASON_MALFORMED && opened != 0));
    CHECK(opened != 0 || memcmp(peeked, decoded, bytes) == 0);
}

/* payload: what was signed, NULL when the envelope is somebody else's work. Does it open? */
static bool open_document(const struct world *w, enum document d, struct slice wire, const struct slice *payload)
{
    const struct document_kind *kind = world_kind(d);
    uint8_t *exact CLEANUP(freep) = input_copy(wire), *decoded CLEANUP(freep) = calloc(1, kind->struct_bytes), key[32];
    struct slice envelope = slice(exact, wire.len);
    CHECK(decoded);
    struct opened o = { w, envelope, decoded, WHO_STRANGER };
    int r = document_open(d, envelope, decoded, kind->struct_bytes, key);
    CHECK(r >= 0);
    peek(d, envelope, r, decoded);
    if (r) {
        CHECK(r == REASON_MALFORMED || r == REASON_SIGNATURE_INVALID);
        CHECK(!judges[d](&o));
        return false;
    }
    o.signer = who_signed(w, key);
    struct buf again CLEANUP(buf_free) = buf(kind->payload_max);
    CHECK(codec_encode(&again, kind->fields, decoded) == 0);
    CHECK(!payload || slice_equal(buf_slice(&again), *payload));
    for (int other = 0; other < DOCUMENT_COUNT; other++) { /* one kind never passes for another */
        struct dsse_view view;
        if (other != (int)d)
            CHECK(dsse_verify(envelope, document_type((enum document)other), &view) == DSSE_WRONG_TYPE);
    }
    (void)judges[d](&o);
    return true;
}

static void edit(struct input *in, struct buf *target)
{
    for (int i = 0; i < EDITS_MAX && in->rest.len > 0; i++)
        input_edit(in, target);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct world *w = world_get();
    struct input in = input(data, size);
    enum document d = (enum document)(input_u8(&in) % DOCUMENT_COUNT);
    uint8_t mode = input_u8(&in) % 4, choice = input_u8(&in);
    enum who signer = choice == 0 ? world_kind(d)->signer : (enum who)(choice % WHO_COUNT);
    struct buf payload CLEANUP(buf_free) = buf(DSSE_PAYLOAD_MAX), envelope CLEANUP(buf_free) = buf(ENVELOPE_MAX);

    if (mode == 0) {
        (void)open_document(w, d, input_rest(&in), NULL);
    } else if (mode == 3) {
        world_envelope(w, d, &payload);
        CHECK(buf_append(&envelope, buf_slice(&payload)) == 0);
        edit(&in, &envelope);
        if (slice_equal(buf_slice(&envelope), buf_slice(&payload)))
            return 0;
        CHECK(!open_document(w, d, buf_slice(&envelope), NULL));
    } else {
        if (mode == 1)
            CHECK(buf_append(&payload, slice_sub(in.rest, 0, size_min(in.rest.len, DSSE_PAYLOAD_MAX))) == 0);
        else
            world_payload(w, d, &payload);
        if (mode == 2)
            edit(&in, &payload);
        world_sign(w, d, buf_slice(&payload), signer, &envelope);
        struct slice signed_payload = buf_slice(&payload);
        (void)open_document(w, d, buf_slice(&envelope), &signed_payload);
    }
    return 0;
}
