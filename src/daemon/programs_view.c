/* hearth programs: what is here, and what the distributors give out.
 *
 * Callbacks, in order: on_here (vault), on_page (each distributor, any number), done. */
#include <stdlib.h>

#include "base/util.h"
#include "control.pb.h"
#include "daemon/control.h"
#include "daemon/programs.h"
#include "daemon/session.h"
#include "daemon/walk.h"

#define PAGES_MAX 32

struct view {
    struct walk walk;
    struct call *call;
    ctl_ProgramsGet wish;
    vlt_Program *here;
    size_t here_count;
    bool *shown; /* of here */
    uint32_t offset, pages, rows;
    msg_Programs page;
};

static void view_end(struct view *v, const msg_Refusal *refusal)
{
    if (refusal != NULL)
        call_refuse_as(v->call, refusal);
    else if (v->rows == 0 && v->wish.name[0] != '\0')
        call_refuse(v->call, REASON_UNKNOWN_PROGRAM, NULL);
    else
        call_finish(v->call);
    free(v->here);
    free(v->shown);
    free(v);
}

static void view_fail(struct view *v, int error)
{
    msg_Refusal refusal;
    reason_refusal(&refusal, reason_of_error(error), NULL);
    view_end(v, &refusal);
}

static void show(struct view *v, const ctl_ProgramRow *row)
{
    if (v->wish.name[0] != '\0' && strcmp(v->wish.name, row->name) != 0)
        return;
    CALL_ROW(v->call, PROGRAM_ROW, ProgramRow, row);
    v->rows++;
}

static void show_offered(struct view *v, const struct account *a, const msg_ProgramItem *item)
{
    ctl_ProgramRow row = ctl_ProgramRow_init_zero;
    for (size_t i = 0; i < v->here_count; i++) {
        const vlt_Program *p = &v->here[i];
        if (!p->here || strcmp(p->name.name, item->name) != 0 || !id_equal(p->name.distributor, &a->distributor))
            continue;
        programs_row(v->walk.daemon, p, &row);
        v->shown[i] = true;
    }
    if (!row.has_version) {
        CODEC_SET_TEXT(row.name, item->name);
        memcpy(row.distributor, a->distributor.bytes, sizeof(row.distributor));
        CODEC_SET_TEXT(row.distributor_name, a->name);
        memcpy(row.provider, item->provider, sizeof(row.provider));
        row.kind = item->kind;
        row.program_bytes = item->program_bytes;
    }
    row.has_offered = row.has_provider_name = row.has_text = true;
    row.offered = item->version;
    CODEC_SET_TEXT(row.provider_name, item->provider_name);
    CODEC_SET_TEXT(row.text, item->text);
    show(v, &row);
}

static void visit(struct walk *w, struct account *a);

static void on_page(const struct answer *answer, void *ctx)
{
    struct view *v = ctx;
    struct account *a = v->walk.accounts[v->walk.index];
    int r = answer->why != REASON_NONE ? 0 : CODEC_DECODE(msg_Programs, answer->frame->message, &v->page);
    if (answer->why == REASON_NONE && r == 0) {
        for (pb_size_t i = 0; i < v->page.programs_count; i++)
            show_offered(v, a, &v->page.programs[i]);
        v->offset += v->page.programs_count;
        if (v->page.programs_count > 0 && v->offset < v->page.total && ++v->pages < PAGES_MAX &&
            call_is_watched(v->call)) {
            visit(&v->walk, a);
            return;
        }
    }
    v->offset = v->pages = 0;
    if (answer->why != REASON_NONE)
        walk_failed(&v->walk, answer);
    else if (r != 0)
        walk_error(&v->walk, REASON_MALFORMED);
    else
        walk_next(&v->walk);
}

static void visit(struct walk *w, struct account *a)
{
    struct view *v = container_of(w, struct view, walk);
    const msg_ProgramsGet get = { .offset = v->offset };
    int r = session_call(a, &ASK(msg_Type_PROGRAMS_GET, msg_Type_PROGRAMS, msg_ProgramsGet, &get), on_page, v);
    if (r != 0)
        walk_error(w, r);
}

/* What no distributor gives out now, or could not be asked about. */
static void show_rest(struct view *v)
{
    ctl_ProgramRow row;
    for (size_t i = 0; i < v->here_count; i++)
        if (v->here[i].here && !v->shown[i]) {
            programs_row(v->walk.daemon, &v->here[i], &row);
            show(v, &row);
        }
}

/* A distributor that is away does not hide what is here; nobody to ask and nothing here: that is said. */
static void done(struct walk *w)
{
    struct view *v = container_of(w, struct view, walk);
    show_rest(v);
    view_end(v, v->rows == 0 && w->answered == 0 && w->failure != REASON_NONE ? &w->refusal : NULL);
}

static void on_here(const vlt_Program *all, size_t count, const msg_Refusal *refusal, void *ctx)
{
    struct view *v = ctx;
    if (refusal != NULL) {
        view_end(v, refusal);
        return;
    }
    v->here = calloc(count + 1, sizeof(*all));
    v->shown = calloc(count + 1, sizeof(*v->shown));
    if (v->here == NULL || v->shown == NULL) {
        view_fail(v, -ENOMEM);
        return;
    }
    if (count > 0)
        memcpy(v->here, all, count * sizeof(*all));
    v->here_count = count;
    if (v->wish.here || v->walk.daemon->accounts == NULL) {
        show_rest(v);
        view_end(v, NULL);
    } else {
        walk_start(&v->walk, v->walk.daemon, NULL);
    }
}

void programs_handle(struct daemon *d, struct call *c, const void *message)
{
    struct view *v = calloc(1, sizeof(*v));
    if (v == NULL) {
        call_refuse(c, REASON_INTERNAL, NULL);
        return;
    }
    v->call = c;
    v->wish = *(const ctl_ProgramsGet *)message;
    v->walk.daemon = d;
    v->walk.visit = visit;
    v->walk.done = done;
    int r = programs_collect(d, on_here, v);
    if (r != 0)
        view_fail(v, r);
}
