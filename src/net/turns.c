/* A list of those who leave or wait, in the order in which they came to that; mostly empty. */
#include "net/turns.h"

#include <errno.h>
#include <stdlib.h>

struct turns {
    struct turn *first, **last;
    bool closing, telling;
};

int turns_new(struct turns **out)
{
    struct turns *s = calloc(1, sizeof(*s));
    if (s == NULL)
        return -ENOMEM;
    s->last = &s->first;
    *out = s;
    return 0;
}

static void end_if_closing(struct turns *s)
{
    if (s->closing && !s->telling && s->first == NULL)
        free(s);
}

void turns_free(struct turns *s)
{
    if (s == NULL)
        return;
    s->closing = true;
    end_if_closing(s);
}

static void append(struct turns *s, struct turn *t)
{
    t->next = NULL;
    *s->last = t;
    s->last = &t->next;
}

/* Somebody before t (NULL: anybody) leaves this content. */
static bool is_left(const struct turns *s, const struct id *content, const struct turn *t)
{
    const struct turn *other = s->first;
    while (other != t && !(other->leaves && id_equal(other->content.bytes, content->bytes)))
        other = other->next;
    return other != t;
}

bool turns_take(struct turns *s, struct turn *t)
{
    t->waits = s != NULL && is_left(s, &t->content, NULL);
    if (t->waits)
        append(s, t);
    return !t->waits;
}

void turns_leave(struct turns *s, struct turn *t)
{
    if (s != NULL && !t->waits)
        append(s, t);
    t->leaves = s != NULL;
}

static struct turn *next_turn(const struct turns *s)
{
    struct turn *t = s->first;
    while (t != NULL && !(t->waits && !is_left(s, &t->content, t)))
        t = t->next;
    return t;
}

static void take_out(struct turns *s, struct turn *t)
{
    struct turn **at = &s->first;
    while (*at != t)
        at = &(*at)->next;
    *at = t->next;
    if (t->next == NULL)
        s->last = at;
}

static void tell(struct turns *s)
{
    s->telling = true;
    for (struct turn *n = next_turn(s); n != NULL; n = next_turn(s)) {
        n->waits = false;
        if (!n->leaves)
            take_out(s, n);
        n->on_turn(n); /* may give it back at once: from the beginning */
    }
    s->telling = false;
}

void turns_give(struct turns *s, struct turn *t)
{
    bool left = t->leaves;
    if (left || t->waits)
        take_out(s, t);
    t->waits = t->leaves = false;
    if (left && !s->telling)
        tell(s);
    if (s != NULL)
        end_if_closing(s);
}
