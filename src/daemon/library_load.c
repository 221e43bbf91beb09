/* The library at start: content information from the database, body files from the disk, licenses from the vault.
 *
 * Callbacks, in order: on_licenses, page after page. */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/util.h"
#include "daemon/db.h"
#include "daemon/events.h"
#include "daemon/library_internal.h"
#include "daemon/play_verdict.h"
#include "daemon/setting.h"
#include "daemon/vault_client.h"
#include "net/serve.h"

#define LOG_MODULE "library"
#include "base/log.h"

#define BODY_SUFFIX ".body"
#define ENDS_TOLD "ends-told"

static int load_info(struct daemon *d)
{
    struct query q CLEANUP(query_end) = query(db_store(d->db), DB_CONTENTS);
    int r;
    while ((r = query_step(&q)) == STORE_ROW) {
        struct id content, named;
        uint8_t list_root[32];
        doc_ContentInfo info;
        query_fixed(&q, 0, content.bytes, ID_BYTES);
        struct slice bytes = query_blob(&q, 1);
        query_fixed(&q, 2, list_root, sizeof(list_root));
        r = query_check(&q);
        if (r != 0)
            return r;
        if (info_judge(bytes, list_root, &info, &named) != 0 || !id_equal(named.bytes, content.bytes)) {
            log_warn("content information in the database is damaged; left out");
            continue;
        }
        struct track *t = library_make(d, &content);
        r = t == NULL ? -ENOMEM : library_set_info(t, &info, list_root);
        if (r != 0)
            return r;
    }
    return r;
}

/* A body file without a row: it came from elsewhere, or the row was lost. All of it before the blocks is verified. */
static int adopt_file(struct daemon *d, struct track *t, const char *path)
{
    struct serve_file file = { 0 };
    doc_ContentInfo info;
    struct id named;
    int fd CLEANUP(closep) = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return -errno;
    int r = serve_file_read(fd, &t->content, &file);
    if (r == 0)
        r = info_judge(buf_slice(&file.info), file.list_root, &info, &named);
    if (r == 0 && (r = library_set_info(t, &info, file.list_root)) == 0)
        r = library_store_info(d, &t->content, buf_slice(&file.info), file.list_root);
    serve_file_deinit(&file);
    return r;
}

static void load_file(struct daemon *d, const char *name)
{
    char text[ID_TEXT_BYTES], path[CONFIG_PATH_BYTES + 80];
    struct id content;
    size_t len = strlen(name);
    if (len != ID_TEXT_BYTES - 1 + strlen(BODY_SUFFIX) || strcmp(name + ID_TEXT_BYTES - 1, BODY_SUFFIX) != 0)
        return;
    memcpy(text, name, ID_TEXT_BYTES - 1);
    text[ID_TEXT_BYTES - 1] = '\0';
    if (id_parse(text, &content) != 0 || library_body_path(d, &content, BODY_SUFFIX, path, sizeof(path)) != 0)
        return;
    struct track *t = library_make(d, &content);
    if (t == NULL)
        return;
    /* Only complete, synced bodies carry this name; its blocks are verified whenever they are used. */
    t->has_body = t->has_info;
    if (t->has_body)
        return;
    int r = adopt_file(d, t, path);
    if (r == 0)
        t->has_body = true;
    else
        log_warn("a body file is not what its name says; left alone file=%s outcome=%d", name, r);
}

static int load_files(struct daemon *d)
{
    DIR *dir = opendir(d->config.bodies_dir);
    if (dir == NULL)
        return -errno;
    struct dirent *e;
    while ((e = readdir(dir)) != NULL)
        load_file(d, e->d_name);
    closedir(dir);
    return 0;
}

/* --- Licenses --- */

static void ask_licenses(struct daemon *d, uint32_t offset);

static void read_told(struct daemon *d)
{
    char value[SETTING_VALUE_BYTES];
    if (setting_read(d, ENDS_TOLD, value))
        d->library->ends_told_ms = d->library->ends_seen_ms = strtoull(value, NULL, 10);
}

/* Nobody was there to hear of it: hearthd, the vault or the machine was lost. */
static void tell_end(struct daemon *d, const struct track *t, const vlt_LicenseRow *row)
{
    char text[PLAY_VERDICT_BYTES];
    const doc_Conditions *c = &row->conditions;
    const vlt_PlayClosed closed = { .end = row->end,
                                    .counted = c->has_max_plays || c->has_max_play_ms || row->has_lease,
                                    .recovered = row->has_recovered && row->recovered,
                                    .recoveries = row->recoveries,
                                    .max_recoveries = c->max_recoveries };
    if (!row->has_end || row->end < vlt_PlayEnd_END_DAEMON_LOST || row->end_ms <= d->library->ends_told_ms)
        return;
    d->library->ends_seen_ms = u64_max(d->library->ends_seen_ms, row->end_ms);
    if (play_verdict_text(&closed, text)[0] != '\0')
        event(d, closed.recovered ? "recovered" : "counted", "%s: %s", t->has_info ? t->title : "a track", text);
}

/* Each of them is told once, also after the next start. */
static void note_told(struct daemon *d)
{
    char value[SETTING_VALUE_BYTES];
    if (d->library->ends_told_ms == d->library->ends_seen_ms)
        return;
    d->library->ends_told_ms = d->library->ends_seen_ms;
    (void)snprintf(value, sizeof(value), "%llu", (unsigned long long)d->library->ends_told_ms);
    setting_put(d, ENDS_TOLD, value);
}

static int take_license(struct daemon *d, const vlt_LicenseRow *row)
{
    struct id content = id_from(row->content);
    struct track *t = library_make(d, &content);
    struct track_license license = {
        .issuer = id_from(row->issuer),
        .sequence = row->sequence,
        .state = row->state,
        .issued_ms = (int64_t)row->issued_ms,
        .conditions = row->conditions,
        .has_lease = row->has_lease,
        .lease = row->lease,
        .has_lender = row->has_lender,
        .lender = id_from(row->lender),
        .has_borrower = row->has_borrower,
        .borrower = id_from(row->borrower),
        .has_moved_to = row->has_moved_to,
        .moved_to = id_from(row->moved_to),
        .from_vault = true,
        .plays = row->plays,
        .play_ms = row->play_ms,
        .recoveries = row->recoveries,
        .end = row->has_end ? row->end : 0,
        .recovered = row->has_recovered && row->recovered,
        .end_ms = row->end_ms,
    };
    memcpy(license.license_id, row->license_id, sizeof(license.license_id));
    if (t == NULL)
        return -ENOMEM;
    tell_end(d, t, row);
    return library_put_license(t, &license);
}

struct page {
    struct daemon *daemon;
    uint32_t offset;
};

static void on_licenses(const struct answer *answer, void *ctx)
{
    struct page *page CLEANUP(freep) = ctx;
    struct daemon *d = page->daemon;
    vlt_Licenses *licenses CLEANUP(freep) = malloc(sizeof(*licenses));
    if (d->library == NULL || answer->why == REASON_CANCELLED)
        return;
    if (licenses == NULL || answer->why != REASON_NONE ||
        CODEC_DECODE(vlt_Licenses, answer->frame->message, licenses) != 0) {
        log_error("the vault did not list its licenses reason=%s", reason_code(answer->why));
        return;
    }
    for (pb_size_t i = 0; i < licenses->licenses_count; i++)
        if (take_license(d, &licenses->licenses[i]) != 0)
            log_error("out of memory");
    uint32_t next = page->offset + licenses->licenses_count;
    if (licenses->licenses_count > 0 && next < licenses->total)
        ask_licenses(d, next);
    else {
        d->library->loaded = true;
        note_told(d);
    }
}

static void ask_licenses(struct daemon *d, uint32_t offset)
{
    vlt_LicensesGet get = { .offset = offset };
    struct page *page = malloc(sizeof(*page));
    if (page == NULL)
        return;
    *page = (struct page){ d, offset };
    if (vault_call(d->vault, &ASK(vlt_Type_LICENSES_GET, vlt_Type_LICENSES, vlt_LicensesGet, &get), on_licenses,
                   page) != 0)
        free(page);
}

void library_refresh(struct daemon *d) { ask_licenses(d, 0); }

int library_load(struct daemon *d)
{
    int r = load_info(d);
    read_told(d);
    if (r == 0)
        r = load_files(d);
    if (r == 0)
        ask_licenses(d, 0);
    return r > 0 ? -EUCLEAN : r;
}
