/* Callbacks: on_line_ready and on_line_closed, of the connection. A line whose partner could not be reached rests for a while. */
#define LOG_MODULE "partners"
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "distributor/outgoing.h"
#include "distributor/partners_internal.h"

#define REST_SHARE \
    4 /* after a failed attempt, errands fail at once for so many times its length: one that is refused is */
#define REST_MAX_MS 10000 /* tried again soon, one that answers nothing does not hold up everybody */

static void line_rests(struct line *l)
{
    int64_t at_ms = partners_now_ms(l->partners), rest_ms = (at_ms - l->dialled_ms) * REST_SHARE;
    l->rests_until_ms = at_ms + (rest_ms < REST_MAX_MS ? rest_ms : REST_MAX_MS);
}

static struct errand *find_connecting(const struct line *l)
{
    for (struct errand *e = l->partners->errands; e != NULL; e = e->next)
        if (e->line == l && e->state == ERRAND_CONNECTING)
            return e;
    return NULL;
}

static void on_line_ready(void *ctx)
{
    struct line *l = ctx;
    l->ready = true;
    l->rests_until_ms = 0;
    log_info("connected address=%s", l->address);
    struct errand *e;
    while ((e = find_connecting(l)) != NULL) /* each one leaves that state; others may end with it */
        errand_go_on(e);
}

static void on_line_closed(void *ctx, enum reason why)
{
    struct line *l = ctx;
    struct partners *p = l->partners;
    if (!l->ready) {
        line_rests(l);
        log_info("not reached address=%s reason=%s", l->address, reason_code(why));
    }
    l->outgoing = NULL;
    l->ready = false;
    struct errand *e;
    while ((e = find_connecting(l)) != NULL)
        errand_end(e, -ENOTCONN, NULL, NULL);
    partners_stopped_when_idle(p);
}

struct line *line_find(struct partners *p, const struct id *id)
{
    for (struct line *l = p->lines; l != NULL; l = l->next)
        if (id_equal(l->id.bytes, id->bytes))
            return l;
    return NULL;
}

static struct line *line_get(struct partners *p, const struct id *id)
{
    struct line *l = line_find(p, id);
    if (l != NULL)
        return l;
    l = calloc(1, sizeof(*l));
    if (l == NULL)
        return NULL;
    l->partners = p;
    l->id = *id;
    l->next = p->lines;
    p->lines = l;
    return l;
}

bool line_is_resting(struct partners *p, const struct id *id)
{
    struct line *l = line_find(p, id);
    return l != NULL && l->outgoing == NULL && partners_now_ms(p) < l->rests_until_ms;
}

void line_take(struct errand *e, const char *address)
{
    static const struct outgoing_callbacks callbacks = { .on_ready = on_line_ready, .on_closed = on_line_closed };
    struct partners *p = e->partners;
    struct line *l = line_get(p, &e->partner);
    if (l == NULL) {
        errand_end(e, -ENOMEM, NULL, NULL);
        return;
    }
    e->line = l;
    e->state = ERRAND_CONNECTING;
    if (l->ready) {
        errand_go_on(e);
        return;
    }
    if (l->outgoing != NULL)
        return; /* somebody is dialling already */
    snprintf(l->address, sizeof(l->address), "%s", address);
    l->dialled_ms = partners_now_ms(p);
    int r = outgoing_open(&l->outgoing, p->server, &l->id, l->address, &callbacks, l);
    if (r != 0) {
        errand_end(e, r, NULL, NULL);
    }
}
