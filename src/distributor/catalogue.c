/* CATALOGUE_GET: what is on sale, searched by words of title, creator and album, or by a whole content ID. On the connection's thread; read-only.
 * Source: seed S21-S22 (contents selection). */
#include <stdlib.h>
#include <string.h>

#include "base/util.h"

#include "distributor/conditions.h"
#include "distributor/devices.h"
#include "distributor/handlers.h"
#include "distributor/reply.h"
#include "distributor/rows.h"

#define WORDS_MAX 4
#define PATTERN_BYTES 300

/* "%word%", with LIKE's own characters escaped. */
static void pattern_of(const char *word, size_t len, char out[PATTERN_BYTES])
{
    size_t used = 0;
    out[used++] = '%';
    for (size_t i = 0; i < len && used < PATTERN_BYTES - 4; i++) {
        if (strchr("%_\\", word[i]))
            out[used++] = '\\';
        out[used++] = word[i];
    }
    out[used++] = '%';
    out[used] = '\0';
}

/* Splits the query at blanks; more words than patterns: the last pattern takes the rest as it stands. */
static void patterns_of(const char *text, char patterns[WORDS_MAX][PATTERN_BYTES])
{
    char folded[256];
    contents_fold(text, folded, sizeof(folded));
    const char *at = folded;
    for (size_t i = 0; i < WORDS_MAX; i++) {
        at += strspn(at, " ");
        size_t len = i + 1 < WORDS_MAX ? strcspn(at, " ") : strlen(at);
        pattern_of(at, len, patterns[i]);
        at += len;
    }
}

static void bind_patterns(struct query *q, char patterns[WORDS_MAX][PATTERN_BYTES])
{
    for (int i = 0; i < WORDS_MAX; i++)
        query_bind_text(q, i + 1, patterns[i]);
}

static int count_found(struct operations *o, char patterns[WORDS_MAX][PATTERN_BYTES], uint32_t *total)
{
    struct query q CLEANUP(query_end) = query(o->store, CONTENT_FOUND);
    bind_patterns(&q, patterns);
    int r = rows_one(&q);
    if (r != 0)
        return r == OPERATIONS_ABSENT ? -EUCLEAN : r;
    *total = query_u32(&q, 0);
    return query_check(&q);
}

static int is_owned(struct operations *o, const char *user, const struct id *content, bool *owned)
{
    struct query q CLEANUP(query_end) = query(o->store, LICENSE_OWNED);
    query_bind_text(&q, 1, user);
    rows_bind_id(&q, 2, content);
    int r = rows_one(&q);
    *owned = r == 0;
    return r == OPERATIONS_ABSENT ? 0 : r;
}

static int add_products(struct operations *o, const struct id *content, int64_t now_ms, msg_CatalogueItem *item)
{
    struct product p = { 0 };
    int r = 0;
    while (item->products_count < sizeof(item->products) / sizeof(item->products[0]) &&
           (r = products_of_content(o, content, p.number, &p)) == 0) {
        msg_Product *listed = &item->products[item->products_count++];
        listed->product = p.number;
        listed->price = p.price;
        listed->copy_price = p.copy_price;
        listed->conditions = conditions_of_product(&p, now_ms);
        CODEC_SET_TEXT(listed->name, p.name);
        CODEC_SET_TEXT(listed->currency, o->currency);
    }
    return r == OPERATIONS_ABSENT ? 0 : r;
}

static int add_item(struct operations *o, const char *user, const struct content *c, int64_t now_ms,
                    msg_CatalogueItem *item)
{
    memcpy(item->content, c->id.bytes, ID_BYTES);
    CODEC_SET_TEXT(item->title, c->title);
    item->has_creator = c->creator[0] != '\0';
    CODEC_SET_TEXT(item->creator, c->creator);
    item->has_album = c->album[0] != '\0';
    CODEC_SET_TEXT(item->album, c->album);
    CODEC_SET_TEXT(item->media_type, c->media_type);
    item->duration_ms = c->duration_ms;
    item->plain_bytes = c->plain_bytes;
    int r = user ? is_owned(o, user, &c->id, &item->owned) : 0;
    return r == 0 ? add_products(o, &c->id, now_ms, item) : r;
}

static int search(struct operations *o, char patterns[WORDS_MAX][PATTERN_BYTES], uint32_t offset, const char *user,
                  int64_t now_ms, msg_Catalogue *catalogue)
{
    const size_t items_max = sizeof(catalogue->items) / sizeof(catalogue->items[0]);
    struct query q CLEANUP(query_end) = query(o->store, CONTENT_SEARCH);
    bind_patterns(&q, patterns);
    query_bind_i64(&q, 5, offset);
    query_bind_i64(&q, 6, (int64_t)items_max);
    int r = 0;
    while (catalogue->items_count < items_max && rows_next(&q, &r)) {
        struct content c;
        contents_read(&q, &c);
        r = query_check(&q);
        if (r == 0)
            r = add_item(o, user, &c, now_ms, &catalogue->items[catalogue->items_count++]);
        if (r != 0)
            return r;
    }
    return r;
}

/* A whole ID means that content: who knows it need not turn the pages. 0; OPERATIONS_ABSENT: it is none, or of nothing that is on sale. */
static int by_id(struct operations *o, const msg_CatalogueGet *m, const char *user, int64_t now_ms,
                 msg_Catalogue *catalogue)
{
    struct id id;
    struct content c;
    if (id_parse(m->query, &id) != 0)
        return OPERATIONS_ABSENT;
    int r = contents_find(o, &id, &c);
    if (r == 0 && c.withdrawn)
        r = OPERATIONS_ABSENT;
    if (r == 0)
        r = add_item(o, user, &c, now_ms, &catalogue->items[0]);
    if (r == 0 && catalogue->items[0].products_count == 0)
        r = OPERATIONS_ABSENT;
    if (r != 0) {
        memset(&catalogue->items[0], 0, sizeof(catalogue->items[0]));
        return r;
    }
    catalogue->total = 1;
    catalogue->items_count = m->offset == 0;
    return 0;
}

/* Anyone may look; whoever is registered also sees what the account owns. */
int catalogue_get(struct operations *o, const struct caller *who, struct slice message, struct slice tail,
                  struct reply *out)
{
    (void)tail;
    msg_CatalogueGet m;
    int r = REQUEST_DECODE(message, msg_CatalogueGet, &m);
    if (r != 0)
        return r;
    struct device d;
    r = devices_caller(o, who, &d);
    if (r < 0)
        return r;
    const char *user = r == 0 ? d.user : NULL;
    char patterns[WORDS_MAX][PATTERN_BYTES];
    patterns_of(m.query, patterns);
    msg_Catalogue *catalogue CLEANUP(freep) = calloc(1, sizeof(*catalogue));
    if (!catalogue)
        return -ENOMEM;
    r = by_id(o, &m, user, who->now_ms, catalogue);
    if (r != OPERATIONS_ABSENT)
        return r == 0 ? REPLY(out, CATALOGUE, msg_Catalogue, catalogue) : r;
    r = count_found(o, patterns, &catalogue->total);
    if (r == 0)
        r = search(o, patterns, m.offset, user, who->now_ms, catalogue);
    return r == 0 ? REPLY(out, CATALOGUE, msg_Catalogue, catalogue) : r;
}
