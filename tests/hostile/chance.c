/* Messages by chance, made along their schemas. */
#include "chance.h"

#include <pb_common.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/util.h"
#include "documents.pb.h"
#include "messages.pb.h"
#include "protocol/documents.h"

#define MESSAGE_MAX (64u << 10) /* encoded, and of any tail */
#define DEPTH_MAX 3             /* documents within documents */

struct kind {
    uint16_t type;
    const pb_msgdesc_t *fields;
    size_t struct_bytes, encoded_max;
};
#define TYPE(number, T) { (number), T##_fields, sizeof(T), T##_size },
static const struct kind kinds[] = {
#include "frame-types.inc"
};
#undef TYPE
/* What lies in tails and in byte fields without being signed. */
static const struct kind inner[] = { { 0, msg_Item_fields, sizeof(msg_Item), msg_Item_size },
                                     { 0, msg_Purchase_fields, sizeof(msg_Purchase), msg_Purchase_size },
                                     { 0, msg_CopyAsk_fields, sizeof(msg_CopyAsk), msg_CopyAsk_size },
                                     { 0, msg_Refresh_fields, sizeof(msg_Refresh), msg_Refresh_size },
                                     { 0, doc_ContentInfo_fields, sizeof(doc_ContentInfo), doc_ContentInfo_size } };
#define DOCUMENT(d, T) [DOCUMENT_##d] = { 0, doc_##T##_fields, sizeof(doc_##T), doc_##T##_size }
static const struct kind documents[DOCUMENT_COUNT] = { DOCUMENT(KEYSET, Keyset),
                                                       DOCUMENT(DEVICE, DeviceCertificate),
                                                       DOCUMENT(ROSTER, Roster),
                                                       DOCUMENT(LICENSE, License),
                                                       DOCUMENT(COPY_CERTIFICATE, CopyCertificate),
                                                       DOCUMENT(DELEGATION, Delegation),
                                                       DOCUMENT(EKB, Ekb),
                                                       DOCUMENT(KEY_GRANT, KeyGrant),
                                                       DOCUMENT(QUOTE, Quote),
                                                       DOCUMENT(RECEIPT, Receipt),
                                                       DOCUMENT(SURRENDER, Surrender),
                                                       DOCUMENT(TIME, SignedTime),
                                                       DOCUMENT(SHARE, Share),
                                                       DOCUMENT(SETTLEMENT, Settlement),
                                                       DOCUMENT(USE, Use),
                                                       DOCUMENT(USE_LOG, UseLog),
                                                       DOCUMENT(USE_LOG_TAKEN, UseLogTaken),
                                                       DOCUMENT(STANDING, Standing),
                                                       DOCUMENT(GENERATION, Generation),
                                                       DOCUMENT(CATCH_UP, CatchUp),
                                                       DOCUMENT(PROGRAM, Program),
                                                       DOCUMENT(PROGRAM_GRANT, ProgramGrant),
                                                       DOCUMENT(METADATA, Metadata),
                                                       DOCUMENT(METADATA_VOUCH, MetadataVouch) };

static void must(bool good)
{
    if (!good) {
        fprintf(stderr, "hostile: no memory for chance\n");
        exit(3);
    }
}

/* ---- chance, and what was heard -------------------------------------------------------------------------------- */

void chance_init(struct chance *c, uint64_t seed)
{
    *c = (struct chance){ 0 };
    for (size_t i = 0; i < CHANCE_HEARD; i++)
        c->heard[i] = buf(CHANCE_BYTES_MAX);
    chance_seed(c, seed);
}

void chance_deinit(struct chance *c)
{
    for (size_t i = 0; i < CHANCE_HEARD; i++)
        buf_free(&c->heard[i]);
}

void chance_seed(struct chance *c, uint64_t seed) { rng_fake_init(&c->rng, seed); }

uint32_t chance_below(struct chance *c, uint32_t n)
{
    uint32_t v;
    rng_fill(&c->rng.rng, &v, sizeof(v));
    return v % n;
}

void chance_keep(struct chance *c, struct slice bytes)
{
    size_t at = c->heard_count++;
    struct buf *to = &c->heard[at < CHANCE_HEARD ? at : CHANCE_FIRST + at % (CHANCE_HEARD - CHANCE_FIRST)];
    buf_clear(to);
    must(buf_append(to, slice_sub(bytes, 0, CHANCE_BYTES_MAX)) == 0);
}

static struct slice remembered(struct chance *c)
{
    size_t count = size_min(c->heard_count, CHANCE_HEARD);
    return count > 0 ? buf_slice(&c->heard[chance_below(c, (uint32_t)count)]) : slice(NULL, 0);
}

static bool is_number(pb_type_t type)
{
    return PB_LTYPE(type) >= PB_LTYPE_VARINT && PB_LTYPE(type) <= PB_LTYPE_FIXED64;
}

static uint64_t read_number(const void *from, size_t bytes)
{
    uint64_t v = 0;
    memcpy(&v, from, size_min(bytes, sizeof(v))); /* the lower ones come first here */
    return v;
}

static size_t element_count(const pb_field_iter_t *f)
{
    if (PB_HTYPE(f->type) == PB_HTYPE_REPEATED)
        return *(const pb_size_t *)f->pSize;
    return PB_HTYPE(f->type) != PB_HTYPE_OPTIONAL || *(const bool *)f->pSize;
}

void chance_hear_fields(struct chance *c, const pb_msgdesc_t *fields, void *message)
{
    pb_field_iter_t f;
    if (!pb_field_iter_begin(&f, fields, message))
        return;
    do {
        for (size_t i = 0, count = element_count(&f); i < count; i++) {
            uint8_t *element = (uint8_t *)f.pData + i * f.data_size;
            const pb_bytes_array_t *bytes = (const void *)element;
            if (PB_LTYPE_IS_SUBMSG(f.type))
                chance_hear_fields(c, f.submsg_desc, element);
            else if (PB_LTYPE(f.type) == PB_LTYPE_BYTES && bytes->size > 0)
                chance_keep(c, slice(bytes->bytes, bytes->size));
            else if (PB_LTYPE(f.type) == PB_LTYPE_FIXED_LENGTH_BYTES)
                chance_keep(c, slice(element, f.data_size));
            else if (is_number(f.type))
                c->numbers[c->number_count++ % CHANCE_HEARD] = read_number(element, f.data_size);
        }
    } while (pb_field_iter_next(&f));
}

static const struct kind *kind_of(uint16_t type)
{
    for (size_t i = 0; i < ARRAY_COUNT(kinds); i++)
        if (kinds[i].type == type)
            return &kinds[i];
    return NULL;
}

void chance_hear(struct chance *c, uint16_t type, struct slice message, struct slice tail)
{
    const struct kind *k = kind_of(type);
    void *decoded CLEANUP(freep) = k ? calloc(1, k->struct_bytes) : NULL;
    if (decoded && codec_decode(k->fields, k->encoded_max, message, decoded, k->struct_bytes) == 0)
        chance_hear_fields(c, k->fields, decoded);
    if (tail.len > 0 && tail.len <= CHANCE_BYTES_MAX)
        chance_keep(c, tail);
}

/* ---- fields ----------------------------------------------------------------------------------------------------- */

static void fill(struct chance *c, const pb_msgdesc_t *fields, void *message, unsigned depth);

static uint64_t some_number(struct chance *c)
{
    static const uint64_t edges[] = {
        0, 1, 2, 3, 255, INT32_MAX, UINT32_MAX, INT64_MAX, (uint64_t)INT64_MAX + 1, UINT64_MAX
    };
    size_t known = size_min(c->number_count, CHANCE_HEARD);
    switch (chance_below(c, 4)) {
    case 0:
        return edges[chance_below(c, ARRAY_COUNT(edges))];
    case 1:
        return chance_below(c, 16);
    default:
        return known > 0 ? c->numbers[chance_below(c, (uint32_t)known)] + chance_below(c, 3) - 1 : 0;
    }
}

static bool encode(struct chance *c, const struct kind *k, unsigned depth, struct buf *out)
{
    void *message CLEANUP(freep) = calloc(1, k->struct_bytes);
    must(message);
    fill(c, k->fields, message, depth);
    return codec_encode(out, k->fields, message) == 0;
}

/* A document, rightly signed by somebody who does not count; or a message that is no document. */
static void made_up(struct chance *c, unsigned depth, struct buf *out)
{
    struct buf payload CLEANUP(buf_free) = buf(MESSAGE_MAX);
    uint32_t d = chance_below(c, DOCUMENT_COUNT + ARRAY_COUNT(inner));
    if (d >= DOCUMENT_COUNT)
        (void)encode(c, &inner[d - DOCUMENT_COUNT], depth + 1, out);
    else if (encode(c, &documents[d], depth + 1, &payload) && payload.len > 0 &&
             dsse_sign(out, document_type((enum document)d), buf_slice(&payload), &c->signer) != 0)
        buf_clear(out); /* too large */
}

static void some_bytes(struct chance *c, unsigned depth, struct buf *out)
{
    uint8_t any[64];
    switch (chance_below(c, depth < DEPTH_MAX ? 4 : 2)) {
    case 0:
        rng_fill(&c->rng.rng, any, sizeof(any));
        must(buf_append(out, slice(any, chance_below(c, sizeof(any)))) == 0);
        break;
    case 1:
    case 2:
        must(buf_append(out, remembered(c)) == 0);
        if (chance_one_in(c, 4))
            chance_spoil(c, out);
        break;
    default:
        made_up(c, depth, out);
        break;
    }
}

static void fill_fixed(struct chance *c, uint8_t *to, size_t len)
{
    struct slice from =
        chance_one_in(c, 2) && c->heard_count > 0 ? buf_slice(&c->heard[chance_below(c, CHANCE_FIRST)]) : remembered(c);
    for (unsigned tries = 0; tries < 8 && from.len != len; tries++)
        from = remembered(c);
    if (from.len == len)
        memcpy(to, from.data, len);
    else if (chance_one_in(c, 2))
        rng_fill(&c->rng.rng, to, len);
}

static void fill_element(struct chance *c, const pb_field_iter_t *f, uint8_t *element, unsigned depth)
{
    struct buf bytes CLEANUP(buf_free) = buf(MESSAGE_MAX);
    pb_bytes_array_t *array = (void *)element;
    uint64_t number;
    size_t texts = 0;
    switch (PB_LTYPE(f->type)) {
    case PB_LTYPE_BOOL:
        *(bool *)element = chance_one_in(c, 2);
        break;
    case PB_LTYPE_BYTES:
        some_bytes(c, depth, &bytes);
        array->size = (pb_size_t)size_min(bytes.len, f->data_size - offsetof(pb_bytes_array_t, bytes));
        if (array->size > 0)
            memcpy(array->bytes, bytes.data, array->size);
        break;
    case PB_LTYPE_STRING:
        while (c->texts[texts])
            texts++;
        snprintf((char *)element, f->data_size, "%s", c->texts[chance_below(c, (uint32_t)texts)]);
        break;
    case PB_LTYPE_SUBMESSAGE:
        fill(c, f->submsg_desc, element, depth);
        break;
    case PB_LTYPE_FIXED_LENGTH_BYTES:
        fill_fixed(c, element, f->data_size);
        break;
    default:
        number = some_number(c);
        memcpy(element, &number, size_min(f->data_size, sizeof(number)));
        break;
    }
}

static void fill(struct chance *c, const pb_msgdesc_t *fields, void *message, unsigned depth)
{
    pb_field_iter_t f;
    if (!pb_field_iter_begin(&f, fields, message))
        return;
    do {
        size_t count = 1;
        if (PB_HTYPE(f.type) == PB_HTYPE_REPEATED)
            count = *(pb_size_t *)f.pSize =
                (pb_size_t)size_min(chance_one_in(c, 16) ? f.array_size : chance_below(c, 3), f.array_size);
        else if (PB_HTYPE(f.type) == PB_HTYPE_OPTIONAL)
            count = *(bool *)f.pSize = chance_below(c, 3) > 0;
        for (size_t i = 0; i < count; i++)
            fill_element(c, &f, (uint8_t *)f.pData + i * f.data_size, depth);
    } while (pb_field_iter_next(&f));
}

/* ---- frames ----------------------------------------------------------------------------------------------------- */

static void some_tail(struct chance *c, struct buf *out)
{
    struct buf item CLEANUP(buf_free) = buf(MESSAGE_MAX);
    uint32_t how = chance_below(c, 8);
    if (how < 3)
        return;
    if (how < 5)
        some_bytes(c, 0, out);
    for (uint32_t i = chance_below(c, 4); how >= 5 && i > 0; i--) { /* a list */
        buf_clear(&item);
        some_bytes(c, 0, &item);
        if (codec_list_put(out, buf_slice(&item)) != 0)
            return; /* full */
    }
}

/* In step with the session, half of the time. */
static void some_items(struct chance *c, msg_Transact *m, struct buf *tail)
{
    m->session = c->session;
    m->bit = chance_below(c, 2);
    rng_fill(&c->rng.rng, m->transaction, sizeof(m->transaction));
    m->count = chance_below(c, 3) + 1;
    for (uint32_t i = 0; i < m->count; i++) {
        struct buf encoded CLEANUP(buf_free) = buf(MESSAGE_MAX);
        msg_Item item = msg_Item_init_zero;
        uint32_t kind = chance_below(c, 4);
        fill(c, msg_Item_fields, &item, 0);
        item.has_purchase = kind == 0;
        item.has_copy = kind == 1;
        item.has_restore = kind == 2;
        item.has_refresh = kind == 3;
        if (CODEC_ENCODE(msg_Item, &encoded, &item) != 0 || codec_list_put(tail, buf_slice(&encoded)) != 0)
            return;
    }
}

static bool is_one_of(const uint16_t *types, uint16_t type)
{
    for (; types && *types; types++)
        if (*types == type)
            return true;
    return false;
}

static const struct kind *some_kind(struct chance *c)
{
    const struct kind *k;
    size_t often = 0;
    while (c->often[often])
        often++;
    do
        k = chance_one_in(c, 8) ? &kinds[chance_below(c, ARRAY_COUNT(kinds))]
                                : kind_of(c->often[chance_below(c, (uint32_t)often)]);
    while (!k || is_one_of(c->never, k->type));
    return k;
}

uint16_t chance_frame(struct chance *c, uint16_t type, uint32_t request, struct buf *out)
{
    struct buf tail CLEANUP(buf_free) = buf(MESSAGE_MAX), message CLEANUP(buf_free) = buf(MESSAGE_MAX);
    const struct kind *k = type ? kind_of(type) : NULL;
    if (!k)
        k = some_kind(c);
    if (k->type == msg_Type_TRANSACT && c->session > 0 && chance_below(c, 4) > 0) {
        msg_Transact m = msg_Transact_init_zero;
        some_items(c, &m, &tail);
        must(CODEC_ENCODE(msg_Transact, &message, &m) == 0);
    } else {
        while (!encode(c, k, 0, &message) || message.len > FRAME_MESSAGE_MAX) /* all that is allowed may be too much */
            buf_clear(&message);
        some_tail(c, &tail);
    }
    uint8_t header[FRAME_HEADER_BYTES];
    frame_header(header, k->type, request, message.len, tail.len);
    must(buf_append(out, SLICE_ARRAY(header)) == 0 && buf_append(out, buf_slice(&message)) == 0 &&
         buf_append(out, buf_slice(&tail)) == 0);
    return k->type;
}

void chance_spoil(struct chance *c, struct buf *b)
{
    if (b->len == 0)
        return;
    uint32_t at = chance_below(c, (uint32_t)b->len), some = chance_below(c, 16) + 1;
    size_t until = size_min(b->len, at + some);
    uint8_t twice[16];
    switch (chance_below(c, 4)) {
    case 0:
        b->data[at] ^= (uint8_t)(1u << chance_below(c, 8));
        break;
    case 1:
        rng_fill(&c->rng.rng, b->data + at, until - at);
        break;
    case 2:
        memmove(b->data + at, b->data + until, b->len - until);
        b->len -= until - at;
        break;
    default:
        memcpy(twice, b->data + at, until - at); /* it may move */
        if (buf_append(b, slice(twice, until - at)) != 0)
            b->len = at; /* full */
        break;
    }
}
