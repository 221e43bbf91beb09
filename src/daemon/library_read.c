/* What is on the disk at start: content information in the database, and body files. On the pool, over a connection of its own. */
#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/file.h"
#include "base/util.h"
#include "daemon/db.h"
#include "daemon/library_internal.h"
#include "net/bodies.h"

#define LOG_MODULE "library"
#include "base/log.h"

#define BODY_SUFFIX ".body"

/* --- The database --- */

static int read_info(struct library *l, struct store *store)
{
    struct query q CLEANUP(query_end) = query(store, DB_CONTENTS);
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
        struct track *t = library_index_make(l, &content);
        r = t == NULL ? -ENOMEM : library_index_set_info(l, t, &info, list_root);
        if (r != 0)
            return r;
    }
    return r;
}

static int read_damaged(struct library *l, struct store *store)
{
    struct query q CLEANUP(query_end) = query(store, DB_DAMAGED);
    int r;
    while ((r = query_step(&q)) == STORE_ROW) {
        struct id content;
        query_fixed(&q, 0, content.bytes, ID_BYTES);
        struct track *t = query_check(&q) == 0 ? library_index_find(l, content.bytes) : NULL;
        if (t != NULL)
            t->damaged = t->has_body;
    }
    return r == 0 ? query_check(&q) : r;
}

/* --- The directory --- */

struct files { /* content IDs, sorted */
    struct id *list;
    size_t count, cap;
};

static int add_file(struct files *f, const struct id *content)
{
    if (f->count == f->cap) {
        size_t cap = f->cap == 0 ? 64 : f->cap * 2;
        struct id *more = reallocarray(f->list, cap, sizeof(*more));
        if (more == NULL)
            return -ENOMEM;
        f->list = more;
        f->cap = cap;
    }
    f->list[f->count++] = *content;
    return 0;
}

static bool is_body(const char *name, struct id *content)
{
    char text[ID_TEXT_BYTES];
    size_t len = strlen(name);
    if (len != ID_TEXT_BYTES - 1 + strlen(BODY_SUFFIX) || strcmp(name + ID_TEXT_BYTES - 1, BODY_SUFFIX) != 0)
        return false;
    memcpy(text, name, ID_TEXT_BYTES - 1);
    text[ID_TEXT_BYTES - 1] = '\0';
    return id_parse(text, content) == 0;
}

static int compare_ids(const void *a, const void *b) { return memcmp(a, b, ID_BYTES); }

static int list_files(struct files *f, const char *path)
{
    DIR *dir = opendir(path);
    if (dir == NULL)
        return -errno;
    struct dirent *e;
    struct id content;
    int r = 0;
    while (r == 0 && (e = readdir(dir)) != NULL)
        if (is_body(e->d_name, &content))
            r = add_file(f, &content);
    closedir(dir);
    if (f->count > 0)
        qsort(f->list, f->count, sizeof(*f->list), compare_ids);
    return r;
}

/* A body without a row: it came from elsewhere, or the row was lost. All of it before the blocks is verified. */
static int adopt_file(struct library_read *read, const char *dir, const struct id *content)
{
    struct serve_file file CLEANUP(serve_file_deinit) = { 0 };
    doc_ContentInfo info;
    struct id named;
    char path[BODIES_PATH_BYTES];
    int r = bodies_path(dir, content, BODIES_BODY, path);
    int fd CLEANUP(closep) = -1;
    if (r == 0)
        r = file_open_regular(path, O_NOFOLLOW, &fd);
    if (r != 0)
        return r < 0 ? r : REASON_BLOCK_CORRUPT;
    r = serve_file_read(fd, content, &file);
    if (r == 0)
        r = info_judge(buf_slice(&file.info), file.list_root, &info, &named);
    if (r != 0)
        return r;
    struct track *t = library_index_make(read->library, content);
    struct adopted *a CLEANUP(freep) = t == NULL ? NULL : calloc(1, sizeof(*a));
    r = a == NULL ? -ENOMEM : library_index_set_info(read->library, t, &info, file.list_root);
    if (r != 0)
        return r;
    t->has_body = true;
    *a = (struct adopted){ .next = read->adopted, .content = *content, .info = file.info };
    file.info = (struct buf){ 0 };
    memcpy(a->list_root, file.list_root, sizeof(a->list_root));
    read->adopted = steal(&a);
    return 0;
}

/* Only complete, synced bodies carry this name; its blocks are verified whenever they are used. Index and files are in the same order. */
static void match_files(struct library_read *read, const char *dir, struct files *f)
{
    struct library *l = read->library;
    size_t unknown = 0, at = 0;
    for (size_t i = 0; i < f->count; i++) {
        while (at < l->count && memcmp(l->places[at].track->content.bytes, f->list[i].bytes, ID_BYTES) < 0)
            at++;
        if (at < l->count && id_equal(l->places[at].track->content.bytes, f->list[i].bytes))
            l->places[at].track->has_body = true;
        else
            f->list[unknown++] = f->list[i];
    }
    for (size_t i = 0; i < unknown; i++) {
        char name[ID_TEXT_BYTES];
        int r = adopt_file(read, dir, &f->list[i]);
        id_text(f->list[i].bytes, name);
        if (r != 0)
            log_warn("a body file is not what its name says; left alone file=%s" BODY_SUFFIX " outcome=%d", name, r);
    }
}

/* --- Both --- */

int library_read(struct library_read *read, const char *state_dir, const char *bodies_dir)
{
    struct store *store CLEANUP(store_closep) = NULL;
    struct files files = { 0 };
    int r = db_open_reader(&store, state_dir);
    if (r == 0)
        r = read_info(read->library, store);
    if (r == 0)
        r = list_files(&files, bodies_dir);
    if (r == 0)
        match_files(read, bodies_dir, &files);
    if (r == 0)
        r = read_damaged(read->library, store);
    if (r == 0)
        library_index_sort(read->library);
    free(files.list);
    return r > 0 ? -EUCLEAN : r;
}

void library_read_deinit(struct library_read *read)
{
    struct adopted *next;
    for (struct adopted *a = read->adopted; a != NULL; a = next) {
        next = a->next;
        buf_free(&a->info);
        free(a);
    }
    library_index_free(read->library);
    *read = (struct library_read){ 0 };
}
