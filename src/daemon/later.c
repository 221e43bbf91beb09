/* Callbacks for the next turn of the loop. */
#include "daemon/later.h"

static void drain(struct later *l)
{
    struct later_item *item = l->first;
    l->first = NULL;
    l->last = &l->first;
    while (item != NULL) {
        struct later_item *next = item->next;
        item->next = NULL;
        item->run(item);
        item = next;
    }
}

static void on_idle(uv_idle_t *handle)
{
    struct later *l = handle->data;
    drain(l);
    if (l->first == NULL && l->open)
        uv_idle_stop(handle);
}

void later_init(struct later *l, uv_loop_t *loop)
{
    l->first = NULL;
    l->last = &l->first;
    l->open = true;
    (void)uv_idle_init(loop, &l->idle); /* cannot fail */
    l->idle.data = l;
}

void later_run(struct later *l, struct later_item *item, void (*run)(struct later_item *item))
{
    item->run = run;
    item->next = NULL;
    *l->last = item;
    l->last = &item->next;
    if (l->open)
        (void)uv_idle_start(&l->idle, on_idle); /* fails only without a callback */
}

void later_close(struct later *l)
{
    if (!l->open)
        return;
    l->open = false;
    while (l->first != NULL)
        drain(l);
    uv_close((uv_handle_t *)&l->idle, NULL);
}
