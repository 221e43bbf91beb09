/* Keys and values of the household's state. */
#include "protocol/state_values.h"

#include <stdlib.h>

#include "base/text.h"
#include "base/util.h"

/* ---- settings ------------------------------------------------------------------------------------------------ */

static bool is_number(const char *text, unsigned max, const char **end)
{
    unsigned n = 0, digits = 0;
    for (; text[digits] >= '0' && text[digits] <= '9' && digits < 5; digits++)
        n = n * 10 + (unsigned)(text[digits] - '0');
    *end = text + digits;
    return digits > 0 && n <= max && (digits == 1 || text[0] != '0');
}

static bool is_volume(const char *value)
{
    const char *end;
    return is_number(value, 100, &end) && *end == '\0';
}

static bool is_repeat(const char *value)
{
    return strcmp(value, "off") == 0 || strcmp(value, "all") == 0 || strcmp(value, "one") == 0;
}

/* automatic, fullscreen, or WIDTHxHEIGHT. */
static bool is_window(const char *value)
{
    const char *end;
    if (strcmp(value, "automatic") == 0 || strcmp(value, "fullscreen") == 0)
        return true;
    return is_number(value, 16384, &end) && value[0] != '0' && *end == 'x' && end[1] != '0' &&
           is_number(end + 1, 16384, &end) && *end == '\0';
}

static const struct {
    const char *name;
    bool (*is_valid)(const char *value);
} settings[] = { { "volume", is_volume }, { "repeat", is_repeat }, { "window", is_window } };

bool state_setting_is_known(const char *name)
{
    for (size_t i = 0; i < ARRAY_COUNT(settings); i++)
        if (strcmp(settings[i].name, name) == 0)
            return true;
    return false;
}

bool state_setting_is_valid(const char *name, const char *value)
{
    for (size_t i = 0; i < ARRAY_COUNT(settings); i++)
        if (strcmp(settings[i].name, name) == 0)
            return settings[i].is_valid(value);
    return true;
}

static void to_text(struct slice s, char *out, size_t cap)
{
    size_t len = size_min(s.len, cap - 1);
    if (len > 0)
        memcpy(out, s.data, len);
    out[len] = '\0';
}

static bool setting_is_valid(struct slice key, struct slice value)
{
    char name[STATE_SETTING_NAME_BYTES], text[STATE_SETTING_BYTES];
    if (key.len == 0 || key.len >= sizeof(name) || value.len >= sizeof(text) || !text_is_plain(value))
        return false;
    to_text(key, name, sizeof(name));
    to_text(value, text, sizeof(text));
    return strspn(name, "abcdefghijklmnopqrstuvwxyz-") == key.len && state_setting_is_valid(name, text);
}

/* ---- what is valid ------------------------------------------------------------------------------------------- */

/* One byte, 0 or 1, then a text of 1 to cap - 1 bytes. */
static bool flag_and_text(struct slice value, size_t cap)
{
    return value.len >= 2 && value.len <= cap && value.data[0] <= 1 &&
           text_is_plain(slice_sub(value, 1, value.len - 1));
}

static bool entry_is_valid(struct slice value)
{
    struct reader in = reader(value);
    struct order order;
    (void)reader_bytes(&in, ID_BYTES);
    return order_read(&in, &order) && in.rest.len < STATE_TITLE_BYTES && text_is_plain(in.rest);
}

bool state_is_valid(uint8_t kind, struct slice key, struct slice value)
{
    switch (kind) {
    case STATE_SETTING:
        return setting_is_valid(key, value);
    case STATE_POSITION:
        return key.len == ID_BYTES && value.len == 8 && get_be64(value.data) > 0 &&
               get_be64(value.data) <= STATE_POSITION_MAX;
    case STATE_WISH:
        return key.len == 2 * ID_BYTES && flag_and_text(value, STATE_TITLE_BYTES);
    case STATE_PLAYLIST:
        return key.len == PLAYLIST_ID_BYTES && flag_and_text(value, STATE_NAME_BYTES);
    case STATE_ENTRY:
        return key.len == 2 * PLAYLIST_ID_BYTES && entry_is_valid(value);
    default:
        return false;
    }
}

/* ---- one of several ------------------------------------------------------------------------------------------ */

/* The same on every device: whatever decides, all have it. */
bool state_is_before(const struct dot *a, const struct dot *b)
{
    return a->counter != b->counter ? a->counter < b->counter : dot_compare(a, b) < 0;
}

static const struct replica_item *take_one(const struct replica *r, uint8_t kind, struct slice key, bool by_flag)
{
    size_t count, first = replica_find(r, kind, key, &count);
    const struct replica_item *best = NULL;
    for (size_t i = first; i < first + count; i++) {
        const struct replica_item *item = r->items[i];
        uint8_t flag = by_flag ? replica_value(item).data[0] : 0,
                best_flag = by_flag && best != NULL ? replica_value(best).data[0] : 0;
        if (best == NULL || flag > best_flag || (flag == best_flag && state_is_before(&best->dot, &item->dot)))
            best = item;
    }
    return best;
}

const struct replica_item *state_setting(const struct replica *r, const char *name)
{
    return take_one(r, STATE_SETTING, slice_str(name), false);
}

const struct replica_item *state_playlist(const struct replica *r, const uint8_t id[PLAYLIST_ID_BYTES])
{
    return take_one(r, STATE_PLAYLIST, slice(id, PLAYLIST_ID_BYTES), true);
}

/* ---- values -------------------------------------------------------------------------------------------------- */

uint64_t state_position_of(const struct replica_item *i) { return get_be64(replica_value(i).data); }

static bool flag_and_text_of(const struct replica_item *i, char *text, size_t cap)
{
    struct slice value = replica_value(i);
    to_text(slice_sub(value, 1, value.len - 1), text, cap);
    return value.data[0] == 1;
}

bool state_wish_of(const struct replica_item *i, struct id *content, struct id *distributor,
                   char title[STATE_TITLE_BYTES])
{
    *content = id_from(i->bytes);
    *distributor = id_from(i->bytes + ID_BYTES);
    return flag_and_text_of(i, title, STATE_TITLE_BYTES);
}

bool state_playlist_of(const struct replica_item *i, char name[STATE_NAME_BYTES])
{
    return flag_and_text_of(i, name, STATE_NAME_BYTES);
}

void state_setting_of(const struct replica_item *i, char value[STATE_SETTING_BYTES])
{
    to_text(replica_value(i), value, STATE_SETTING_BYTES);
}

void state_entry_of(const struct replica_item *i, struct state_entry *out)
{
    struct reader in = reader(replica_value(i));
    *out = (struct state_entry){ .content = id_from(reader_bytes(&in, ID_BYTES).data) };
    memcpy(out->playlist, i->bytes, PLAYLIST_ID_BYTES);
    memcpy(out->id, i->bytes + PLAYLIST_ID_BYTES, PLAYLIST_ID_BYTES);
    (void)order_read(&in, &out->order); /* valid */
    to_text(in.rest, out->title, sizeof(out->title));
}

int state_position_put(uint64_t position_ms, struct buf *value) { return buf_put_u64(value, position_ms); }

static int put_flag_and_text(bool flag, const char *text, struct buf *value)
{
    int e = buf_put_u8(value, flag);
    return e == 0 ? buf_append(value, slice_str(text)) : e;
}

int state_wish_put(bool bought, const char *title, struct buf *value)
{
    return put_flag_and_text(bought, title, value);
}
int state_playlist_put(bool renamed, const char *name, struct buf *value)
{
    return put_flag_and_text(renamed, name, value);
}

int state_entry_put(const struct state_entry *e, struct buf *value)
{
    int r = buf_append(value, SLICE_ARRAY(e->content.bytes));
    if (r == 0)
        r = order_put(&e->order, value);
    return r == 0 ? buf_append(value, slice_str(e->title)) : r;
}

/* ---- a playlist ---------------------------------------------------------------------------------------------- */

static int compare_entries(const void *a, const void *b)
{
    const struct state_entry *x = a, *y = b;
    int order = order_compare(&x->order, &y->order);
    return order != 0 ? order : memcmp(x->id, y->id, PLAYLIST_ID_BYTES);
}

int state_entries(const struct replica *r, const uint8_t playlist[PLAYLIST_ID_BYTES], struct state_entry **out,
                  size_t *count)
{
    size_t none, first = replica_find(r, STATE_ENTRY, slice(playlist, PLAYLIST_ID_BYTES), &none), last = first;
    while (last < r->count && r->items[last]->kind == STATE_ENTRY &&
           memcmp(r->items[last]->bytes, playlist, PLAYLIST_ID_BYTES) == 0)
        last++;
    struct state_entry *list = calloc(last - first + 1, sizeof(*list));
    if (list == NULL)
        return -ENOMEM;
    *count = 0;
    for (size_t i = first; i < last; i++) {
        const struct replica_item *item = r->items[i];
        if (i > first && slice_equal(replica_key(item), replica_key(r->items[i - 1])))
            continue; /* moved on two devices at once: one place */
        state_entry_of(take_one(r, STATE_ENTRY, replica_key(item), false), &list[(*count)++]);
    }
    qsort(list, *count, sizeof(*list), compare_entries);
    *out = list;
    return 0;
}
