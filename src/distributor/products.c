/* Rows of products and contents. On the connection's thread. Source: seed S33, S35 (license ID of a content), S79-S81. */
#include "distributor/products.h"

#include <limits.h>
#include <locale.h>
#include <stdio.h>
#include <wchar.h>
#include <wctype.h>

#include "distributor/conditions.h"
#include "distributor/rows.h"
#include "distributor/share_rows.h"
#include "distributor/storage.h"
#include "protocol/metadata.h"

/* --- Products ---------------------------------------------------------------------------------------------------- */

static void read_optional(struct query *q, int column, bool *has, uint64_t *value)
{
    *has = !query_is_null(q, column);
    *value = *has ? query_u64(q, column) : 0;
}

static int read_product(struct query *q, struct product *out)
{
    struct product p = { .number = query_u32(q, 0), .price = query_i64(q, 2), .copy_price = query_i64(q, 3) };
    uint64_t renew_price;
    query_text(q, 1, p.name, sizeof(p.name));
    p.withdrawn = query_bool(q, 4);
    read_optional(q, 5, &p.has_usage_for_ms, &p.usage_for_ms);
    read_optional(q, 6, &p.has_renew_price, &renew_price);
    p.renew_price = (int64_t)renew_price;
    read_optional(q, 7, &p.has_renew_late_ms, &p.renew_late_ms);
    read_optional(q, 8, &p.has_lease_ms, &p.lease_ms);
    p.lease_grace_ms = query_u64(q, 9);
    p.lease_plays = query_u32(q, 10);
    conditions_read(q, 11, &p.conditions);
    *out = p;
    return query_check(q);
}

static void bind_product(struct query *q, const struct product *p)
{
    query_bind_text(q, 1, p->name);
    query_bind_i64(q, 2, p->price);
    query_bind_i64(q, 3, p->copy_price);
    rows_bind_time(q, 4, p->has_usage_for_ms, p->usage_for_ms);
    rows_bind_time(q, 5, p->has_renew_price, (uint64_t)p->renew_price);
    rows_bind_time(q, 6, p->has_renew_late_ms, p->renew_late_ms);
    rows_bind_time(q, 7, p->has_lease_ms, p->lease_ms);
    query_bind_u64(q, 8, p->lease_grace_ms);
    query_bind_i64(q, 9, p->lease_plays);
    conditions_bind(q, 10, &p->conditions);
}

static int find_same(struct operations *o, struct product *p)
{
    struct query q CLEANUP(query_end) = query(o->store, PRODUCT_SAME);
    bind_product(&q, p);
    int r = rows_one(&q);
    if (r != 0)
        return r;
    p->number = query_u32(&q, 0);
    return query_check(&q);
}

int products_add(struct operations *o, struct product *p)
{
    /* A lease is one device's at a time, and goes on by being returned: it is not copied, lent or moved. */
    const doc_Conditions *c = &p->conditions;
    bool lease = p->has_lease_ms ? p->lease_ms > 0 && c->max_copies == 0 && c->copy_depth == 0 && !c->has_max_checkouts
                                 : p->lease_grace_ms == 0 && p->lease_plays == 0;
    bool periods = !(c->has_usage_from_ms && c->has_usage_until_ms && c->usage_from_ms > c->usage_until_ms) &&
                   !(c->has_download_from_ms && c->has_download_until_ms && c->download_from_ms > c->download_until_ms);
    if (p->name[0] == '\0' || p->price < 0 || p->copy_price < 0 || p->renew_price < 0 || p->conditions.own_price < 0 ||
        !lease || !periods || (c->has_metadata_signers && !metadata_range_is_valid(&c->metadata_signers)) ||
        (c->has_max_plays && c->max_plays == 0))
        return REASON_MALFORMED;
    int r = find_same(o, p);
    if (r != OPERATIONS_ABSENT)
        return r;
    struct query q CLEANUP(query_end) = query(o->store, PRODUCT_ADD);
    bind_product(&q, p);
    r = rows_one(&q);
    if (r != 0)
        return r == OPERATIONS_ABSENT ? -EUCLEAN : r;
    p->number = query_u32(&q, 0);
    return query_check(&q);
}

int products_get(struct operations *o, uint32_t number, struct product *out)
{
    struct query q CLEANUP(query_end) = query(o->store, PRODUCT_GET);
    query_bind_i64(&q, 1, number);
    int r = rows_one(&q);
    return r == 0 ? read_product(&q, out) : r;
}

int products_next(struct operations *o, uint32_t after, struct product *out)
{
    struct query q CLEANUP(query_end) = query(o->store, PRODUCT_NEXT);
    query_bind_i64(&q, 1, after);
    int r = rows_one(&q);
    return r == 0 ? read_product(&q, out) : r;
}

int products_withdraw(struct operations *o, uint32_t number)
{
    struct query q CLEANUP(query_end) = query(o->store, PRODUCT_WITHDRAW);
    query_bind_i64(&q, 1, number);
    int r = rows_run(&q);
    return r == 0 && store_changed_count(o->store) == 0 ? OPERATIONS_ABSENT : r;
}

int products_of_content(struct operations *o, const struct id *content, uint32_t after, struct product *out)
{
    struct query q CLEANUP(query_end) = query(o->store, PRODUCT_OF_CONTENT);
    rows_bind_id(&q, 1, content);
    query_bind_i64(&q, 2, after);
    int r = rows_one(&q);
    return r == 0 ? read_product(&q, out) : r;
}

int products_offered(struct operations *o, const struct id *content, uint32_t number, struct product *out)
{
    {
        struct query q CLEANUP(query_end) = query(o->store, CONTENT_PRODUCT_HAS);
        rows_bind_id(&q, 1, content);
        query_bind_i64(&q, 2, number);
        int r = rows_one(&q);
        if (r != 0)
            return r;
    }
    int r = products_get(o, number, out);
    return r == 0 && out->withdrawn ? OPERATIONS_ABSENT : r;
}

bool products_download_open(const doc_Conditions *c, int64_t now_ms)
{
    uint64_t now = (uint64_t)now_ms;
    return !(c->has_download_from_ms && now < c->download_from_ms) &&
           !(c->has_download_until_ms && now > c->download_until_ms);
}

/* --- Options ----------------------------------------------------------------------------------------------------- */

static int read_option(struct query *q, struct product_option *out)
{
    struct product_option o = { .product = query_u32(q, 0),
                                .number = query_u32(q, 1),
                                .price = query_i64(q, 3),
                                .copies = query_u32(q, 4),
                                .copy_depth = query_u32(q, 5),
                                .removables = query_u32(q, 6),
                                .usage_ms = query_u64(q, 7),
                                .plays = query_u32(q, 8),
                                .play_ms = query_u64(q, 9),
                                .checkouts = query_u32(q, 10),
                                .record = query_bool(q, 11),
                                .withdrawn = query_bool(q, 12) };
    query_text(q, 2, o.name, sizeof(o.name));
    *out = o;
    return query_check(q);
}

int products_next_option(struct operations *o, uint32_t product, uint32_t after, struct product_option *out)
{
    struct query q CLEANUP(query_end) = query(o->store, PRODUCT_OPTION_NEXT);
    query_bind_i64(&q, 1, product);
    query_bind_i64(&q, 2, after);
    int r = rows_one(&q);
    return r == 0 ? read_option(&q, out) : r;
}

int products_option(struct operations *o, uint32_t product, uint32_t number, struct product_option *out)
{
    if (number == 0)
        return OPERATIONS_ABSENT;
    int r = products_next_option(o, product, number - 1, out);
    return r == 0 && (out->number != number || out->withdrawn) ? OPERATIONS_ABSENT : r;
}

static int judge_room(struct operations *o, uint32_t product, uint32_t *last)
{
    struct product_option other = { 0 };
    uint32_t on_sale = 0;
    int r;
    while ((r = products_next_option(o, product, other.number, &other)) == 0)
        on_sale += !other.withdrawn;
    *last = other.number;
    return r != OPERATIONS_ABSENT ? r : on_sale >= PRODUCTS_OPTIONS_MAX ? REASON_TOO_LARGE : 0;
}

/* Everything it says it adds is added: to no limit nothing can be, and a leased product is not copied or lent. */
static bool adds_to(const struct product_option *o, const struct product *p)
{
    const doc_Conditions *c = &p->conditions;
    bool copies = o->copies > 0 || o->copy_depth > 0 || o->removables > 0 || o->checkouts > 0;
    bool ends = c->has_usage_until_ms || p->has_usage_for_ms;
    bool any = copies || o->usage_ms > 0 || o->plays > 0 || o->play_ms > 0 || o->record;
    return any && !(copies && p->has_lease_ms) && (o->usage_ms == 0 || ends) && (o->plays == 0 || c->has_max_plays) &&
           (o->play_ms == 0 || c->has_max_play_ms);
}

int products_add_option(struct operations *o, struct product_option *option)
{
    struct product p;
    uint32_t last = 0;
    if (option->name[0] == '\0' || option->price < 0)
        return REASON_MALFORMED;
    int r = products_get(o, option->product, &p);
    if (r == OPERATIONS_ABSENT || (r == 0 && p.withdrawn))
        return REASON_NOT_FOUND;
    if (r == 0 && !adds_to(option, &p))
        return REASON_NOT_PERMITTED;
    if (r == 0)
        r = judge_room(o, option->product, &last);
    if (r != 0)
        return r;
    struct query q CLEANUP(query_end) = query(o->store, PRODUCT_OPTION_ADD);
    option->number = last + 1;
    query_bind_i64(&q, 1, option->product);
    query_bind_i64(&q, 2, option->number);
    query_bind_text(&q, 3, option->name);
    query_bind_i64(&q, 4, option->price);
    query_bind_i64(&q, 5, option->copies);
    query_bind_i64(&q, 6, option->copy_depth);
    query_bind_i64(&q, 7, option->removables);
    query_bind_u64(&q, 8, option->usage_ms);
    query_bind_i64(&q, 9, option->plays);
    query_bind_u64(&q, 10, option->play_ms);
    query_bind_i64(&q, 11, option->checkouts);
    query_bind_i64(&q, 12, option->record);
    return rows_run(&q);
}

int products_withdraw_option(struct operations *o, uint32_t product, uint32_t number)
{
    struct query q CLEANUP(query_end) = query(o->store, PRODUCT_OPTION_WITHDRAW);
    query_bind_i64(&q, 1, product);
    query_bind_i64(&q, 2, number);
    int r = rows_run(&q);
    return r == 0 && store_changed_count(o->store) == 0 ? OPERATIONS_ABSENT : r;
}

/* --- Contents ---------------------------------------------------------------------------------------------------- */

void contents_read(struct query *q, struct content *out)
{
    query_fixed(q, 0, out->id.bytes, sizeof(out->id.bytes));
    query_text(q, 1, out->title, sizeof(out->title));
    out->creator[0] = out->album[0] = '\0';
    if (!query_is_null(q, 2))
        query_text(q, 2, out->creator, sizeof(out->creator));
    if (!query_is_null(q, 3))
        query_text(q, 3, out->album, sizeof(out->album));
    query_text(q, 4, out->media_type, sizeof(out->media_type));
    out->duration_ms = query_u64(q, 5);
    out->plain_bytes = query_u64(q, 6);
    out->withdrawn = query_bool(q, 7);
}

static int one_content(struct operations *o, enum statement statement, const struct id *id, struct content *out)
{
    struct query q CLEANUP(query_end) = query(o->store, statement);
    rows_bind_id(&q, 1, id);
    int r = rows_one(&q);
    if (r != 0)
        return r;
    contents_read(&q, out);
    return query_check(&q);
}

int contents_find(struct operations *o, const struct id *id, struct content *out)
{
    return one_content(o, CONTENT_GET, id, out);
}

int contents_next(struct operations *o, const struct id *after, struct content *out)
{
    return one_content(o, CONTENT_NEXT, after, out);
}

int contents_find_file(struct operations *o, const uint8_t file_hash[32], struct content *out)
{
    struct id id;
    {
        struct query q CLEANUP(query_end) = query(o->store, CONTENT_BY_FILE);
        query_bind_blob(&q, 1, slice(file_hash, 32));
        int r = rows_one(&q);
        if (r != 0)
            return r;
        query_fixed(&q, 0, id.bytes, sizeof(id.bytes));
        r = query_check(&q);
        if (r != 0)
            return r;
    }
    return contents_find(o, &id, out);
}

void content_halves_wipe(struct content_halves *h) { secret_wipe(h, sizeof(*h)); }

int contents_halves(struct operations *o, const struct id *id, struct content_halves *out)
{
    struct query q CLEANUP(query_end) = query(o->store, CONTENT_HALVES);
    rows_bind_id(&q, 1, id);
    int r = rows_one(&q);
    if (r != 0)
        return r;
    query_fixed(&q, 2, out->license_id, sizeof(out->license_id));
    r = keys_reveal(o->keys, STORAGE_HEADER_HALF, SLICE_ARRAY(id->bytes), query_blob(&q, 0), &out->header);
    if (r == 0)
        r = keys_reveal(o->keys, STORAGE_LICENSE_HALF, SLICE_ARRAY(id->bytes), query_blob(&q, 1), &out->license);
    return r == 0 ? query_check(&q) : r;
}

static int add_row(struct operations *o, const struct content_new *n)
{
    const struct content *c = &n->content;
    uint8_t header[KEYS_STORED_BYTES], license[KEYS_STORED_BYTES];
    struct slice context = SLICE_ARRAY(c->id.bytes);
    int r = storage_protect(o, STORAGE_HEADER_HALF, context, &n->header_half, header);
    if (r == 0)
        r = storage_protect(o, STORAGE_LICENSE_HALF, context, &n->license_half, license);
    if (r != 0)
        return r;
    char joined[400], search[512];
    snprintf(joined, sizeof(joined), "%s\n%s\n%s", c->title, c->creator, c->album);
    contents_fold(joined, search, sizeof(search));
    struct query q CLEANUP(query_end) = query(o->store, CONTENT_ADD);
    rows_bind_id(&q, 1, &c->id);
    query_bind_text(&q, 2, c->title);
    query_bind_text(&q, 3, c->creator[0] ? c->creator : NULL);
    query_bind_text(&q, 4, c->album[0] ? c->album : NULL);
    query_bind_text(&q, 5, c->media_type);
    query_bind_u64(&q, 6, c->duration_ms);
    query_bind_u64(&q, 7, c->plain_bytes);
    query_bind_text(&q, 8, search);
    query_bind_blob(&q, 9, SLICE_ARRAY(n->file_hash));
    query_bind_blob(&q, 10, SLICE_ARRAY(header));
    query_bind_blob(&q, 11, SLICE_ARRAY(license));
    query_bind_i64(&q, 12, n->now_ms);
    return rows_run(&q);
}

/* Seed table (5): every content has one license ID of ours. */
static int add_license_id(struct operations *o, const struct id *content)
{
    share_ContentLicense row;
    memcpy(row.content, content->bytes, ID_BYTES);
    rng_fill(o->rng, row.license_id, sizeof(row.license_id));
    struct query q CLEANUP(query_end) = query(o->store, CONTENT_LICENSE_SET);
    query_bind_i64(&q, 1, OPERATIONS_SELF);
    rows_bind_id(&q, 2, content);
    query_bind_blob(&q, 3, SLICE_ARRAY(row.license_id));
    int r = rows_run(&q);
    return r == 0 ? SHARE_PUT(o, CONTENT_LICENSE, false, share_ContentLicense, &row) : r;
}

int contents_add(struct operations *o, const struct content_new *n)
{
    int r = add_row(o, n);
    return r == 0 ? add_license_id(o, &n->content.id) : r;
}

int contents_withdraw(struct operations *o, const struct id *id, bool withdrawn)
{
    struct query q CLEANUP(query_end) = query(o->store, CONTENT_WITHDRAW);
    rows_bind_id(&q, 1, id);
    query_bind_i64(&q, 2, withdrawn);
    int r = rows_run(&q);
    return r == 0 && store_changed_count(o->store) == 0 ? OPERATIONS_ABSENT : r;
}

int contents_offer(struct operations *o, const struct id *id, const uint32_t *products, size_t count)
{
    {
        struct query q CLEANUP(query_end) = query(o->store, CONTENT_PRODUCT_CLEAR);
        rows_bind_id(&q, 1, id);
        int r = rows_run(&q);
        if (r != 0)
            return r;
    }
    struct query q CLEANUP(query_end) = query(o->store, CONTENT_PRODUCT_ADD);
    int r = 0;
    for (size_t i = 0; r == 0 && i < count; i++) {
        rows_bind_id(&q, 1, id);
        query_bind_i64(&q, 2, products[i]);
        r = rows_run(&q);
    }
    return r;
}

/* --- Folding ----------------------------------------------------------------------------------------------------- */

static void free_locale(locale_t *l)
{
    if (*l != (locale_t)0)
        freelocale(*l);
}

void contents_fold(const char *text, char *out, size_t cap)
{
    locale_t utf8 CLEANUP(free_locale) = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
    locale_t before = utf8 != (locale_t)0 ? uselocale(utf8) : (locale_t)0;
    mbstate_t in = { 0 }, written = { 0 };
    size_t len = strlen(text), used = 0;
    while (len > 0) {
        wchar_t c;
        char bytes[MB_LEN_MAX];
        size_t n = mbrtowc(&c, text, len, &in), w = 1;
        if (n == (size_t)-1 || n == (size_t)-2 || n == 0) { /* not a character: compared as it is */
            in = (mbstate_t){ 0 };
            bytes[0] = *text;
            n = 1;
        } else {
            w = wcrtomb(bytes, (wchar_t)towlower((wint_t)c), &written);
            if (w == (size_t)-1)
                break;
        }
        if (w >= cap - used)
            break;
        memcpy(out + used, bytes, w);
        used += w;
        text += n;
        len -= n;
    }
    out[used] = '\0';
    if (before != (locale_t)0)
        uselocale(before);
}

int products_copy_price(struct operations *o, const struct product *p, bool move, int64_t *price)
{
    char charged[8] = "";
    int r = move ? operations_setting(o, "move-charged", charged, sizeof(charged)) : 0;
    *price = !move || strcmp(charged, "yes") == 0 ? p->copy_price : 0;
    return r;
}

bool products_renews(const struct product *p, const doc_Conditions *c)
{
    return p->has_renew_price && (c->has_usage_until_ms || conditions_are_counted(c));
}
