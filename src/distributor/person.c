/* What is held about a person: the statements, and the request ACCOUNT_EXPORT. On the connection's thread. */
#include "distributor/person.h"

#include <stdio.h>

#include "base/text.h"
#include "base/util.h"
#include "distributor/devices.h"
#include "distributor/handlers.h"
#include "distributor/operations_schema.h"
#include "distributor/program_history.h"
#include "distributor/reply.h"
#include "distributor/rows.h"

#define PAGE_ROWS 256
#define PAGE_BYTES (256 * 1024)
#define FROM_HISTORY STATEMENT_COUNT /* the confidential history of programs is a database of its own */

static const struct {
    const char *name;
    enum statement statement; /* ?1: the user; each row one JSON object */
} parts[] = {
    { "account", EXPORT_ACCOUNT },
    { "devices", EXPORT_DEVICES },
    { "rosters", EXPORT_ROSTERS },
    { "links", EXPORT_LINKS },
    { "linked_devices", EXPORT_LINKED },
    { "link_codes", EXPORT_LINK_CODES },
    { "licenses", EXPORT_LICENSES },
    { "downloads", EXPORT_DOWNLOADS },
    { "license_downloads", EXPORT_LICENSE_DOWNLOADS },
    { "copies", EXPORT_COPIES },
    { "copies_received", EXPORT_RECEIVED },
    { "receipts_relayed", EXPORT_RELAYED },
    { "entries", EXPORT_ENTRIES },
    { "uses", EXPORT_USES },
    { "payments", EXPORT_PAYMENTS },
    { "logins", EXPORT_LOGINS },
    { "spending_limit", EXPORT_LIMIT },
    { "auto_copy", EXPORT_AUTO_COPY },
    { "auto_copy_to", EXPORT_AUTO_COPY_TO },
    { "queued", EXPORT_QUEUED },
    { "unlocked", EXPORT_UNLOCKED },
    { "invitations", EXPORT_INVITATIONS },
    { "programs", FROM_HISTORY },
};
const unsigned person_part_count = ARRAY_COUNT(parts);

const char *person_part_name(unsigned part) { return parts[part].name; }

/* The statements write IDs in hex; people know them in base32. Nothing else in a row is a string of 64 hexadecimal digits. */
static void name_ids(const char *row, char out[PERSON_ROW_BYTES])
{
    size_t at = 0;
    while (*row != '\0') {
        struct id id;
        char hex[HEX_TEXT_BYTES(ID_BYTES)];
        if (*row == '"' && strspn(row + 1, "0123456789abcdef") == 2 * ID_BYTES && row[2 * ID_BYTES + 1] == '"') {
            memcpy(hex, row + 1, 2 * ID_BYTES);
            hex[2 * ID_BYTES] = '\0';
            if (hex_decode(hex, id.bytes, ID_BYTES) == 0) {
                out[at++] = '"';
                id_text(&id, out + at);
                at += ID_TEXT_BYTES - 1;
                row += 2 * ID_BYTES + 1;
                continue;
            }
        }
        out[at++] = *row++;
    }
    out[at] = '\0'; /* never longer than it was */
}

/* What devices of the account were given; the secret part is nobody's to read. */
static int read_history(struct operations *o, const char *user, uint64_t first, person_row_fn *on_row, void *ctx)
{
    struct program_allotment at = { 0 };
    struct device d;
    uint64_t number = 0;
    int r;
    while ((r = program_history_next(o, &at)) == 0) {
        char row[512], version[PROGRAM_VERSION_BYTES], client[ID_TEXT_BYTES], mark[HEX_TEXT_BYTES(PROGRAM_MARK_BYTES)];
        r = devices_find_own(o, &at.client, &d);
        if (r < 0)
            return r;
        if (r != 0 || strcmp(d.user, user) != 0 || number++ < first)
            continue;
        id_text(&at.client, client);
        hex_encode(SLICE_ARRAY(at.mark), mark);
        snprintf(row, sizeof(row),
                 "{\"name\":\"%s\",\"version\":\"%s\",\"client\":\"%s\",\"mark\":\"%s\",\"given_ms\":%lld}", at.name,
                 program_version_text(at.version, version), client, mark, (long long)at.given_ms);
        r = on_row(row, ctx);
        if (r != 0)
            return r;
    }
    return r == OPERATIONS_ABSENT ? 0 : r;
}

int person_read(struct operations *o, const char *user, unsigned part, uint64_t first, person_row_fn *on_row, void *ctx)
{
    if (parts[part].statement == FROM_HISTORY)
        return read_history(o, user, first, on_row, ctx);
    char text[PERSON_ROW_BYTES], named[PERSON_ROW_BYTES];
    uint64_t number = 0;
    int r;
    struct query q CLEANUP(query_end) = query(o->store, parts[part].statement);
    query_bind_text(&q, 1, user);
    while (rows_next(&q, &r)) {
        if (number++ < first)
            continue;
        query_text(&q, 0, text, sizeof(text));
        r = query_check(&q);
        if (r != 0)
            return r;
        name_ids(text, named);
        r = on_row(named, ctx);
        if (r != 0)
            return r;
    }
    return r;
}

/* --- ACCOUNT_EXPORT: the owner's ------------------------------------------------------------------------------------- */

#define PAGE_FULL 1

struct page {
    struct reply *out;
    uint32_t rows;
};

static int add_row(const char *row, void *ctx)
{
    struct page *p = ctx;
    if (p->rows == PAGE_ROWS || p->out->tail.len > PAGE_BYTES)
        return PAGE_FULL;
    p->rows++;
    int r = codec_list_put(&p->out->tail, slice_str(row));
    return r > 0 ? -EMSGSIZE : r;
}

int person_export(struct operations *o, const struct caller *who, struct slice message, struct slice tail,
                  struct reply *out)
{
    (void)tail;
    msg_AccountExport m;
    struct device d;
    struct page page = { .out = out };
    int r = REQUEST_DECODE(message, msg_AccountExport, &m);
    if (r == 0)
        r = devices_caller(o, who, &d);
    if (r == 0 && m.part >= person_part_count)
        r = REASON_MALFORMED;
    if (r == 0)
        r = person_read(o, d.user, m.part, m.first, add_row, &page);
    if (r != 0 && r != PAGE_FULL)
        return r;
    msg_AccountExported answer = { .count = page.rows, .more = r == PAGE_FULL };
    answer.last = !answer.more && m.part + 1 == person_part_count;
    CODEC_SET_TEXT(answer.part, parts[m.part].name);
    return REPLY(out, ACCOUNT_EXPORTED, msg_AccountExported, &answer);
}
