/* The library at start: what is on the disk (library_read.c, on the pool), and meanwhile the licenses, from the vault. When both are here they are put
 * together, on the pool again, so that whoever asks how hearthd is need not wait for it; nobody has seen half a library.
 *
 * Callbacks, in order: read_work (pool) and on_read (loop); on_licenses, page after page, meanwhile; put_work (pool) and on_put (loop); then the caller's
 * on_loaded. on_licenses also after library_refresh. */
#include <stdio.h>
#include <stdlib.h>

#include "base/util.h"
#include "daemon/events.h"
#include "daemon/library_internal.h"
#include "daemon/play_verdict.h"
#include "daemon/setting.h"
#include "daemon/vault_client.h"

#define LOG_MODULE "library"
#include "base/log.h"

#define LISTINGS_MAX 3 /* that fail one after the other */
#define ENDS_TOLD "ends-told"

struct told { /* by the vault */
    struct id content;
    struct track_license license;
};
struct library_load {
    struct daemon *daemon;
    void (*on_loaded)(struct daemon *d, int error);
    uv_work_t work;
    struct library_read read; /* the pool's until on_read */
    int outcome;
    bool is_read, is_listed;
    bool is_put, again; /* put_work has the tracks and what was told; what came since is to be asked for once more */
    uint64_t ends_told_ms;
    struct told *told;
    size_t told_count, told_cap;
};

/* --- How the last plays ended --- */

static void read_ends(struct daemon *d)
{
    char value[SETTING_VALUE_BYTES];
    if (setting_read(d, ENDS_TOLD, value))
        d->library->ends_told_ms = d->library->ends_seen_ms = strtoull(value, NULL, 10);
}

static bool is_untold_end(const struct track_license *l, uint64_t told_ms)
{
    return l->end >= vlt_PlayEnd_END_DAEMON_LOST && l->end_ms > told_ms;
}

/* Nobody was there to hear of it: hearthd, the vault or the machine was lost. */
static void tell_end(struct daemon *d, const struct track *t, const struct track_license *l)
{
    char text[PLAY_VERDICT_BYTES];
    const doc_Conditions *c = l->conditions;
    if (!is_untold_end(l, d->library->ends_told_ms))
        return;
    const vlt_PlayClosed closed = { .end = l->end,
                                    .counted = c->has_max_plays || c->has_max_play_ms || l->has_lease,
                                    .recovered = l->recovered,
                                    .recoveries = l->recoveries,
                                    .max_recoveries = c->max_recoveries };
    d->library->ends_seen_ms = u64_max(d->library->ends_seen_ms, l->end_ms);
    if (play_verdict_text(&closed, text)[0] != '\0')
        event(d, closed.recovered ? "recovered" : "counted", "%s: %s", t->has_info ? t->title : "a track", text);
}

/* Each of them is told once, also after the next start. */
static void note_ends(struct daemon *d)
{
    char value[SETTING_VALUE_BYTES];
    if (d->library->ends_told_ms == d->library->ends_seen_ms)
        return;
    d->library->ends_told_ms = d->library->ends_seen_ms;
    (void)snprintf(value, sizeof(value), "%llu", (unsigned long long)d->library->ends_told_ms);
    setting_put(d, ENDS_TOLD, value);
}

/* --- Putting together --- */

static int compare_told(const void *a, const void *b)
{
    return memcmp(((const struct told *)a)->content.bytes, ((const struct told *)b)->content.bytes, ID_BYTES);
}

/* Tracks of which only the license is here: all at once, since each one alone would move the whole index. */
static int add_contents(struct library_load *load)
{
    struct id *missing CLEANUP(freep) = calloc(load->told_count + 1, sizeof(struct id));
    size_t count = 0;
    if (missing == NULL)
        return -ENOMEM;
    if (load->told_count > 0)
        qsort(load->told, load->told_count, sizeof(struct told), compare_told);
    for (size_t i = 0; i < load->told_count; i++) {
        const struct id *content = &load->told[i].content;
        bool again = count > 0 && id_equal(missing[count - 1].bytes, content->bytes);
        if (!again && library_index_find(load->read.library, content->bytes) == NULL)
            missing[count++] = *content;
    }
    return library_index_add(load->read.library, missing, count);
}

/* Into the index that nobody has seen yet. Of what was told only the ends stay that a person is to hear of. */
static int put_licenses(struct library_load *load)
{
    size_t kept = 0;
    for (size_t i = 0; i < load->told_count; i++) {
        struct told *told = &load->told[i];
        struct track *t = library_index_find(load->read.library, told->content.bytes);
        int r = t == NULL ? -ENOMEM : library_put_license(t, &told->license);
        if (r != 0)
            return r;
        if (is_untold_end(&told->license, load->ends_told_ms))
            load->told[kept++] = *told;
    }
    load->told_count = kept;
    return 0;
}

static void put_work(uv_work_t *work)
{
    struct library_load *load = work->data;
    struct library *l = load->read.library;
    load->outcome = add_contents(load);
    if (load->outcome == 0)
        load->outcome = put_licenses(load);
    if (load->outcome != 0)
        return;
    for (size_t i = 0; i < l->count; i++) {
        struct track *t = l->places[i].track;
        t->listed = track_is_listed(t);
        l->listed += t->listed;
    }
    if (l->unsorted)
        library_index_sort(l);
}

static int take_all(struct library_load *load)
{
    struct daemon *d = load->daemon;
    int r = 0;
    library_index_take(d->library, load->read.library);
    d->library->listed = load->read.library->listed;
    for (size_t i = 0; i < load->told_count; i++)
        tell_end(d, library_find(d, load->told[i].content.bytes), &load->told[i].license);
    for (struct adopted *a = load->read.adopted; r == 0 && a != NULL; a = a->next)
        r = library_store_info(d, &a->content, buf_slice(&a->info), a->list_root);
    return r;
}

static void end_load(struct library_load *load, int r)
{
    struct daemon *d = load->daemon;
    bool again = load->again;
    d->library->load = NULL;
    library_read_deinit(&load->read);
    free(load->told);
    void (*on_loaded)(struct daemon * d, int error) = load->on_loaded;
    free(load);
    if (r == 0)
        note_ends(d);
    if (r == 0 && again)
        library_refresh(d);
    on_loaded(d, r);
}

static void on_put(uv_work_t *work, int status)
{
    struct library_load *load = work->data;
    (void)status; /* never cancelled */
    int r = load->daemon->stopping ? -ECANCELED : load->outcome;
    end_load(load, r == 0 ? take_all(load) : r);
}

/* When both are here, or the end has come. */
static void look_ready(struct library_load *load)
{
    struct daemon *d = load->daemon;
    if (!load->is_read || !load->is_listed)
        return;
    if (d->stopping || load->outcome != 0) {
        end_load(load, d->stopping ? -ECANCELED : load->outcome);
        return;
    }
    load->is_put = true;
    load->ends_told_ms = d->library->ends_told_ms;
    (void)uv_queue_work(d->loop, &load->work, put_work, on_put); /* fails only without a function */
}

static int put_license(struct daemon *d, struct track *t, const struct track_license *license)
{
    if (t == NULL)
        return -ENOMEM;
    tell_end(d, t, license);
    int r = library_put_license(t, license);
    library_changed(d, t);
    return r;
}

/* --- Licenses --- */

static int fill_license(struct daemon *d, const vlt_LicenseRow *row, struct track_license *out)
{
    *out = (struct track_license){
        .issuer = id_from(row->issuer),
        .sequence = row->sequence,
        .state = row->state,
        .issued_ms = (int64_t)row->issued_ms,
        .conditions = library_index_conditions(d->library, &row->conditions),
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
    memcpy(out->license_id, row->license_id, sizeof(out->license_id));
    return out->conditions == NULL ? -ENOMEM : 0;
}

static int keep_told(struct library_load *load, const struct id *content, const struct track_license *license)
{
    if (load->told_count == load->told_cap) {
        size_t cap = load->told_cap == 0 ? 64 : load->told_cap * 2;
        struct told *more = reallocarray(load->told, cap, sizeof(*more));
        if (more == NULL)
            return -ENOMEM;
        load->told = more;
        load->told_cap = cap;
    }
    load->told[load->told_count++] = (struct told){ *content, *license };
    return 0;
}

static int take_license(struct daemon *d, const vlt_LicenseRow *row)
{
    struct id content = id_from(row->content);
    struct track_license license;
    int r = fill_license(d, row, &license);
    if (r != 0)
        return r;
    struct library_load *load = d->library->load;
    if (load != NULL && load->is_put)
        load->again = true;
    if (load != NULL)
        return load->is_put ? 0 : keep_told(load, &content, &license);
    return put_license(d, library_make(d, &content), &license);
}

static void listed(struct daemon *d)
{
    struct library_load *load = d->library->load;
    if (load == NULL) {
        note_ends(d);
        return;
    }
    if (load->is_put)
        return;
    load->is_listed = true;
    look_ready(load);
}

static void ask_licenses(struct daemon *d, const vlt_LicenseRow *after);

static void on_licenses(const struct answer *answer, void *ctx)
{
    struct daemon *d = ctx;
    vlt_Licenses *page CLEANUP(freep) = malloc(sizeof(*page));
    if (d->library == NULL)
        return;
    if (page == NULL || answer->why != REASON_NONE || CODEC_DECODE(vlt_Licenses, answer->frame->message, page) != 0) {
        if (answer->why != REASON_CANCELLED)
            log_error("the vault did not list its licenses reason=%s", reason_code(answer->why));
        if (answer->why == REASON_INTERNAL && d->library->listings_failed++ < LISTINGS_MAX)
            ask_licenses(d, NULL); /* from the first on: what is told twice is known */
        else
            listed(d);
        return;
    }
    if (page->licenses_count > 0) /* it reads on while this page is taken */
        ask_licenses(d, &page->licenses[page->licenses_count - 1]);
    for (pb_size_t i = 0; i < page->licenses_count; i++)
        if (take_license(d, &page->licenses[i]) != 0)
            log_error("out of memory");
    if (page->licenses_count == 0) {
        d->library->listings_failed = 0;
        listed(d);
    }
}

static void ask_licenses(struct daemon *d, const vlt_LicenseRow *after)
{
    vlt_LicensesGet get = { .has_after = after != NULL };
    if (after != NULL) {
        memcpy(get.after.issuer, after->issuer, sizeof(get.after.issuer));
        memcpy(get.after.license_id, after->license_id, sizeof(get.after.license_id));
    }
    if (vault_call(d->vault, &ASK(vlt_Type_LICENSES_GET, vlt_Type_LICENSES, vlt_LicensesGet, &get), on_licenses, d) !=
        0) {
        log_error("the vault was not asked for its licenses");
        if (d->library->load != NULL)
            d->library->load->is_listed = true; /* on_read goes on */
    }
}

void library_refresh(struct daemon *d) { ask_licenses(d, NULL); }

/* --- Start --- */

static void read_work(uv_work_t *work)
{
    struct library_load *load = work->data;
    const struct config *c = &load->daemon->config;
    load->outcome = library_read(&load->read, c->state_dir, c->bodies_dir);
}

static void on_read(uv_work_t *work, int status)
{
    struct library_load *load = work->data;
    (void)status; /* never cancelled */
    load->is_read = true;
    look_ready(load);
}

int library_start(struct daemon *d, void (*on_loaded)(struct daemon *d, int error))
{
    struct library_load *load CLEANUP(freep) = calloc(1, sizeof(*load));
    d->library = library_index_new();
    if (load == NULL || d->library == NULL)
        return -ENOMEM;
    load->read.library = library_index_new();
    if (load->read.library == NULL)
        return -ENOMEM;
    load->daemon = d;
    load->on_loaded = on_loaded;
    load->work.data = load;
    read_ends(d);
    d->library->load = load;
    (void)uv_queue_work(d->loop, &load->work, read_work, on_read); /* fails only without a function */
    ask_licenses(d, NULL);
    (void)steal(&load);
    return 0;
}

bool library_is_loaded(const struct daemon *d) { return d->library != NULL && d->library->load == NULL; }

void library_stop(struct daemon *d) { library_index_free(steal(&d->library)); }
