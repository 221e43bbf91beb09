/* hearthd's end of the opener: one request at a time, whichever thread asks. */
#include "daemon/opener.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/util.h"
#include "daemon/helper.h"
#include "daemon/opener_internal.h"

struct opener {
    int fd;
    pid_t pid;
    pthread_mutex_t lock;
};

int opener_new(struct opener **out)
{
    int theirs = -1;
    struct opener *o = calloc(1, sizeof(*o));
    if (o == NULL)
        return -ENOMEM;
    int r = helper_fork(&o->pid, &o->fd, &theirs);
    if (r != 0) {
        free(o);
        return r;
    }
    if (o->pid == 0)
        opener_serve(theirs);
    (void)pthread_mutex_init(&o->lock, NULL); /* cannot fail with these attributes */
    *out = o;
    return 0;
}

void opener_free(struct opener *o)
{
    if (o == NULL)
        return;
    closep(&o->fd);
    (void)waitpid(o->pid, NULL, 0);
    (void)pthread_mutex_destroy(&o->lock);
    free(o);
}

/* *fd: what came beside the answer, or -1. 0, positive, -errno. */
static int ask(struct opener *o, enum opener_kind kind, uint32_t flags, const char *path, const char *other, int *fd)
{
    struct opener_request q = { .kind = (uint32_t)kind, .flags = flags };
    struct opener_answer answer;
    *fd = -1;
    if (strlen(path) >= sizeof(q.path) || strlen(other) >= sizeof(q.other))
        return -ENAMETOOLONG;
    memcpy(q.path, path, strlen(path));
    memcpy(q.other, other, strlen(other));
    (void)pthread_mutex_lock(&o->lock);
    int r = helper_send(o->fd, &q, sizeof(q), NULL, 0);
    if (r == 0)
        r = helper_receive(o->fd, &answer, sizeof(answer), fd);
    (void)pthread_mutex_unlock(&o->lock);
    return r == 0 ? answer.outcome : r;
}

int opener_read(struct opener *o, const char *path, int flags, int *fd)
{
    int got;
    int r = ask(o, OPENER_READ, (uint32_t)flags, path, "", &got);
    if (r == 0)
        *fd = got;
    return r;
}

int opener_list(struct opener *o, const char *path)
{
    int got;
    int r = ask(o, OPENER_LIST, 0, path, "", &got);
    return r == 0 ? got : r;
}

int opener_create(struct opener *o, const char *path, unsigned mode)
{
    int got;
    int r = ask(o, OPENER_CREATE, mode, path, "", &got);
    return r == 0 ? got : r;
}

int opener_rename(struct opener *o, const char *from, const char *to)
{
    int none;
    return ask(o, OPENER_RENAME, 0, from, to, &none);
}

int opener_remove(struct opener *o, const char *path)
{
    int none;
    return ask(o, OPENER_REMOVE, 0, path, "", &none);
}
