/* What this device has, asked and told. Not here: how it is kept (library_index.c), reading it at start (library_load.c), finding what a person means
 * (library_find.c). */
#include "daemon/library.h"

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "base/util.h"
#include "crypto/body.h"
#include "daemon/account.h"
#include "daemon/damage.h"
#include "daemon/db.h"
#include "daemon/library_internal.h"
#include "daemon/siblings.h"
#include "daemon/vault_client.h"

#define LOG_MODULE "library"
#include "base/log.h"

/* --- Finding --- */

struct track *library_find(struct daemon *d, const void *content)
{
    return d->library == NULL ? NULL : library_index_find(d->library, content);
}

struct track *library_make(struct daemon *d, const struct id *content)
{
    return d->library == NULL ? NULL : library_index_make(d->library, content);
}

size_t library_count(const struct daemon *d) { return d->library == NULL ? 0 : d->library->count; }
struct track *library_at(struct daemon *d, size_t index) { return d->library->places[index].track; }
struct track *library_by_title(struct daemon *d, size_t index) { return d->library->titles[index]; }

bool library_has_title(const struct daemon *d, const char *title)
{
    const struct library *l = d->library;
    size_t at = library_index_title(l, title);
    return at < l->titled && l->titles[at]->has_info && strcasecmp(l->titles[at]->title, title) == 0;
}

size_t library_listed(const struct daemon *d) { return d->library == NULL ? 0 : d->library->listed; }

bool track_is_listed(const struct track *t)
{
    const struct track_license *l = track_license(t);
    return t->has_body || (l != NULL && l->state != LICENSE_SURRENDERED);
}

void library_changed(struct daemon *d, struct track *t)
{
    bool before = t->listed;
    t->listed = track_is_listed(t);
    if (t->listed != before)
        d->library->listed = t->listed ? d->library->listed + 1 : d->library->listed - 1;
}

/* --- What is known of a track --- */

int library_put_license(struct track *t, const struct track_license *license)
{
    for (size_t i = 0; i < t->license_count; i++) {
        struct track_license *old = &t->licenses[i];
        if (!id_equal(old->issuer.bytes, license->issuer.bytes) ||
            memcmp(old->license_id, license->license_id, 16) != 0)
            continue;
        if (license->sequence < old->sequence)
            return 0;
        struct track_license known = *old;
        *old = *license;
        if (!license->from_vault) {
            old->plays = known.plays;
            old->play_ms = known.play_ms;
            old->recoveries = known.recoveries;
            old->end = known.end;
            old->recovered = known.recovered;
            old->end_ms = known.end_ms;
        }
        return 0;
    }
    struct track_license *more = reallocarray(t->licenses, t->license_count + 1, sizeof(*more));
    if (more == NULL)
        return -ENOMEM;
    t->licenses = more;
    t->licenses[t->license_count++] = *license;
    return 0;
}

static int rank(uint32_t state) { return state == LICENSE_VALID ? 2 : state == LICENSE_SUSPENDED ? 1 : 0; }

const struct track_license *track_license(const struct track *t)
{
    const struct track_license *best = NULL;
    for (size_t i = 0; i < t->license_count; i++) {
        const struct track_license *l = &t->licenses[i];
        if (best == NULL || rank(l->state) > rank(best->state) ||
            (rank(l->state) == rank(best->state) && l->issued_ms > best->issued_ms))
            best = l;
    }
    return best;
}

static bool is_used_up(const struct track_license *l)
{
    const doc_Conditions *c = l->conditions;
    return (c->has_max_plays && l->plays >= c->max_plays) || (c->has_max_play_ms && l->play_ms >= c->max_play_ms);
}

static bool is_asleep(const struct track_license *l, uint64_t now_ms)
{
    return l->has_lease && (now_ms > u64_add(l->lease.until_ms, l->lease.grace_ms) ||
                            (l->lease.has_max_plays && l->plays >= l->lease.max_plays));
}

enum license_state track_license_state_of(const struct track_license *l, int64_t now_ms)
{
    if (l->state != LICENSE_VALID)
        return (enum license_state)l->state;
    if (l->conditions->has_usage_until_ms && l->conditions->usage_until_ms < (uint64_t)now_ms)
        return LICENSE_EXPIRED;
    return is_used_up(l) ? LICENSE_USED_UP : is_asleep(l, (uint64_t)now_ms) ? LICENSE_ASLEEP : LICENSE_VALID;
}

enum license_state track_license_state(struct daemon *d, const struct track *t)
{
    const struct track_license *l = track_license(t);
    return l == NULL ? LICENSE_NONE : track_license_state_of(l, device_time_for(d, &l->issuer));
}

static struct track_license *license_of(struct track *t, const void *issuer, const uint8_t license_id[16])
{
    for (size_t i = 0; i < t->license_count; i++)
        if (id_equal(t->licenses[i].issuer.bytes, issuer) && memcmp(t->licenses[i].license_id, license_id, 16) == 0)
            return &t->licenses[i];
    return NULL;
}

struct track_license *library_license(struct daemon *d, const void *content, const void *issuer,
                                      const uint8_t license_id[16], struct track **track)
{
    struct track *t = content == NULL ? NULL : library_find(d, content);
    struct track_license *found = t == NULL ? NULL : license_of(t, issuer, license_id);
    for (size_t i = 0; found == NULL && content == NULL && i < library_count(d); i++) {
        t = library_at(d, i);
        found = license_of(t, issuer, license_id);
    }
    if (found != NULL && track != NULL)
        *track = t;
    return found;
}

int library_body_path(const struct daemon *d, const struct id *content, const char *suffix, char *out, size_t cap)
{
    char text[ID_TEXT_BYTES];
    id_text(content->bytes, text);
    int n = snprintf(out, cap, "%s/%s%s", d->config.bodies_dir, text, suffix);
    return n > 0 && (size_t)n < cap ? 0 : -ENAMETOOLONG;
}

/* --- What others tell --- */

struct info_job {
    struct db_job job;
    struct id content;
    struct buf info;
    uint8_t list_root[32];
};

static int store_info(struct store *store, struct db_job *job)
{
    struct info_job *i = container_of(job, struct info_job, job);
    struct query q CLEANUP(query_end) = query(store, DB_CONTENT_PUT);
    query_bind_blob(&q, 1, SLICE_ARRAY(i->content.bytes));
    query_bind_blob(&q, 2, buf_slice(&i->info));
    query_bind_blob(&q, 3, SLICE_ARRAY(i->list_root));
    return query_run(&q);
}

static void on_info_stored(struct db_job *job, int outcome)
{
    struct info_job *i = container_of(job, struct info_job, job);
    (void)outcome; /* asked for again when it is missing after a start; the queue has logged it */
    buf_free(&i->info);
    free(i);
}

int library_store_info(struct daemon *d, const struct id *content, struct slice info, const uint8_t list_root[32])
{
    struct info_job *i = calloc(1, sizeof(*i));
    if (i == NULL)
        return -ENOMEM;
    i->content = *content;
    i->info = buf(BODY_INFO_MAX);
    memcpy(i->list_root, list_root, sizeof(i->list_root));
    int r = buf_append(&i->info, info);
    if (r != 0) {
        free(i);
        return r < 0 ? r : -EINVAL;
    }
    i->job.work = store_info;
    i->job.done = on_info_stored;
    db_run(d->db, &i->job);
    return 0;
}

int library_info_known(struct daemon *d, const struct id *content, struct slice info, const uint8_t list_root[32])
{
    doc_ContentInfo decoded;
    struct id named;
    struct track *t = library_make(d, content);
    if (t == NULL)
        return -ENOMEM;
    if (t->has_info)
        return 0;
    int r = info_judge(info, list_root, &decoded, &named);
    if (r != 0 || !id_equal(named.bytes, content->bytes))
        return r < 0 ? r : -EPROTO;
    r = library_index_set_info(d->library, t, &decoded, list_root);
    return r == 0 ? library_store_info(d, content, info, list_root) : r;
}

static void on_told(const struct answer *answer, void *ctx)
{
    (void)ctx;
    if (answer->why != REASON_NONE)
        log_warn("the vault was not told of a body reason=%s", answer->refusal->code);
}

/* License and body are here: where the license has a download period, the vault notes whether that was in time. */
static void tell_vault(struct daemon *d, const struct track *t)
{
    bool period = false;
    for (size_t i = 0; i < t->license_count; i++)
        period |= t->licenses[i].conditions->has_download_from_ms || t->licenses[i].conditions->has_download_until_ms;
    vlt_BodyStored m;
    memcpy(m.content, t->content.bytes, sizeof(m.content));
    if (period && t->has_body &&
        vault_call(d->vault, &ASK(vlt_Type_BODY_STORED, vlt_Type_DONE, vlt_BodyStored, &m), on_told, NULL) != 0)
        log_warn("the vault was not told of a body");
}

void library_tell_vault(struct daemon *d)
{
    for (size_t i = 0; i < library_count(d); i++)
        tell_vault(d, library_at(d, i));
}

int library_body_changed(struct daemon *d, const struct id *content, bool has_body)
{
    struct track *t = library_make(d, content);
    if (t == NULL)
        return -ENOMEM;
    t->has_body = has_body;
    library_changed(d, t);
    damage_note(d, content, false); /* what has arrived was verified, block by block */
    tell_vault(d, t);
    return 0;
}

int library_license_stored(struct daemon *d, struct slice envelope)
{
    doc_License license;
    int r = document_peek(DOCUMENT_LICENSE, envelope, &license, sizeof(license)); /* the vault has it by now */
    if (r != 0)
        return r < 0 ? r : -EPROTO;
    struct id content = id_from(license.content);
    struct track *t = library_make(d, &content);
    struct track_license row = {
        .issuer = id_from(license.issuer),
        .sequence = license.sequence,
        .state = LICENSE_VALID,
        .issued_ms = (int64_t)license.issued_ms,
        .conditions = t == NULL ? NULL : library_index_conditions(d->library, &license.conditions),
        .has_lease = license.has_lease,
        .lease = license.lease,
        .has_lender = license.has_lender,
        .lender = id_from(license.lender),
    };
    memcpy(row.license_id, license.license_id, sizeof(row.license_id));
    r = row.conditions == NULL ? -ENOMEM : library_put_license(t, &row);
    if (r != 0)
        return r;
    library_changed(d, t);
    tell_vault(d, t);
    return 0;
}
