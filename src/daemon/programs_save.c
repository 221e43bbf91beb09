/* hearth programs save, remove. An update is opened by the vault in memory that is handed to it, compared with the digest that its provider signed, and
 * only then written where the household wants it.
 *
 * Callbacks, in order: on_chosen (vault); read_work (pool), on_read; on_opened (vault); write_work (pool), on_written. Removing: on_chosen, on_dropped. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/util.h"
#include "control.pb.h"
#include "crypto/sha256.h"
#include "daemon/control.h"
#include "daemon/opener.h"
#include "daemon/programs.h"
#include "daemon/vault_client.h"

#define LOG_MODULE "programs"
#include "base/log.h"

struct save {
    struct daemon *daemon;
    struct call *call;
    ctl_ProgramSave wish; /* path "": to be removed */
    bool forget;
    vlt_Program program;
    char sealed[PROGRAMS_PATH_BYTES];
    int fd; /* memory: sealed, then opened */
    uv_work_t work;
    int outcome;
};

static void save_free(struct save *s)
{
    closep(&s->fd);
    free(s);
}

static void refuse(struct save *s, int why, const char *detail)
{
    call_refuse(s->call, reason_of_error(why), detail);
    save_free(s);
}

static void refuse_as(struct save *s, const msg_Refusal *refusal)
{
    call_refuse_as(s->call, refusal);
    save_free(s);
}

static int copy(int from, int to, uint64_t bytes)
{
    off_t at = 0;
    while ((uint64_t)at < bytes) {
        ssize_t n = sendfile(to, from, &at, (size_t)(bytes - (uint64_t)at));
        if (n < 0 && errno != EINTR)
            return -errno;
        if (n == 0)
            return -EIO;
    }
    return 0;
}

/* --- 3: written -------------------------------------------------------------------------------------------------- */

static int compare(const struct save *s)
{
    uint8_t digest[SHA256_BYTES];
    struct stat st;
    if (fstat(s->fd, &st) != 0)
        return -errno;
    if ((uint64_t)st.st_size != s->program.program_bytes)
        return REASON_BLOCK_CORRUPT;
    void *bytes = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, s->fd, 0);
    if (bytes == MAP_FAILED)
        return -errno;
    sha256(slice(bytes, (size_t)st.st_size), digest);
    munmap(bytes, (size_t)st.st_size);
    return memcmp(digest, s->program.digest, sizeof(digest)) == 0 ? 0 : REASON_BLOCK_CORRUPT;
}

/* The directory that holds the path. */
static int sync_parent(struct opener *o, const char *path)
{
    char dir[sizeof(((ctl_ProgramSave *)NULL)->path)];
    (void)snprintf(dir, sizeof(dir), "%s", path);
    char *slash = strrchr(dir, '/');
    slash[slash == dir ? 1 : 0] = '\0';
    int fd CLEANUP(closep) = opener_list(o, dir);
    return fd < 0 ? fd : file_sync(fd);
}

/* Whole under its name or not at all; what is there is not overwritten. */
static int write_out(const struct save *s)
{
    struct opener *o = s->daemon->opener;
    char part[sizeof(s->wish.path) + 8];
    (void)snprintf(part, sizeof(part), "%s.part", s->wish.path);
    int r = opener_remove(o, part); /* left by one that was interrupted */
    if (r != 0 && r != -ENOENT)
        return r;
    int fd CLEANUP(closep) = opener_create(o, part, 0600);
    if (fd < 0)
        return fd;
    r = copy(s->fd, fd, s->program.program_bytes);
    if (r == 0)
        r = file_sync(fd);
    if (r == 0)
        r = opener_rename(o, part, s->wish.path);
    if (r == 0)
        return sync_parent(o, s->wish.path);
    if (opener_remove(o, part) != 0)
        log_warn("a part of a program is left where it was to be saved");
    return r == -EEXIST ? REASON_ALREADY : r;
}

static void write_work(uv_work_t *work)
{
    struct save *s = work->data;
    s->outcome = compare(s);
    if (s->outcome == 0)
        s->outcome = write_out(s);
}

static void on_written(uv_work_t *work, int status)
{
    struct save *s = work->data;
    ctl_FileRow row = ctl_FileRow_init_zero;
    (void)status;
    if (s->outcome == REASON_ALREADY) {
        refuse(s, REASON_ALREADY, "There is a file of this name already: nothing is overwritten.");
    } else if (s->outcome == -EPERM) {
        refuse(s, REASON_NOT_PERMITTED, "What is saved has a name that ends in .update, .bin, .img, .fw or .hex.");
    } else if (s->outcome == -ENOENT || s->outcome == -ENOTDIR || s->outcome == -EACCES || s->outcome == -EROFS) {
        refuse(s, REASON_NOT_PERMITTED, "The file cannot be written there.");
    } else if (s->outcome != 0) {
        refuse(s, s->outcome, NULL);
    } else {
        CODEC_SET_TEXT(row.path, s->wish.path);
        CALL_ROW(s->call, FILE_ROW, FileRow, &row);
        call_finish(s->call);
        save_free(s);
    }
}

/* --- 2: opened --------------------------------------------------------------------------------------------------- */

#define DAMAGED "Its file is damaged, or another device's: hearth programs get NAME"

static void on_opened(const struct answer *answer, void *ctx)
{
    struct save *s = ctx;
    if (answer->why == REASON_BLOCK_CORRUPT)
        refuse(s, REASON_BLOCK_CORRUPT, DAMAGED);
    else if (answer->why != REASON_NONE)
        refuse_as(s, answer->refusal);
    else
        (void)uv_queue_work(s->daemon->loop, &s->work, write_work, on_written);
}

static void read_work(uv_work_t *work)
{
    struct save *s = work->data;
    struct stat st;
    int from CLEANUP(closep) = -1;
    int r = file_open_regular(s->sealed, O_NOFOLLOW, &from);
    s->fd = memfd_create("program", MFD_CLOEXEC);
    if (r != 0)
        s->outcome = r < 0 ? r : -ENOENT;
    else if (s->fd < 0 || fstat(from, &st) != 0)
        s->outcome = -errno;
    else
        s->outcome = copy(from, s->fd, (uint64_t)st.st_size);
}

static void on_read(uv_work_t *work, int status)
{
    struct save *s = work->data;
    const vlt_ProgramOpen open_program = { .name = s->program.name };
    (void)status;
    if (s->outcome != 0 || s->daemon->stopping) {
        refuse(s,
               s->outcome == -ENOENT ? REASON_BLOCK_CORRUPT
               : s->outcome != 0     ? s->outcome
                                     : REASON_CANCELLED,
               s->outcome == -ENOENT ? DAMAGED : NULL);
        return;
    }
    int fd = fcntl(s->fd, F_DUPFD_CLOEXEC, 0);
    int r = fd < 0 ? -errno
                   : vault_call_fd(s->daemon->vault,
                                   &ASK(vlt_Type_PROGRAM_OPEN, vlt_Type_PROGRAM, vlt_ProgramOpen, &open_program), fd,
                                   on_opened, s);
    if (r != 0)
        refuse(s, r, NULL);
}

/* --- 1: chosen --------------------------------------------------------------------------------------------------- */

static void on_dropped(const struct answer *answer, void *ctx)
{
    struct save *s = ctx;
    if (answer->why != REASON_NONE) {
        refuse_as(s, answer->refusal);
        return;
    }
    if (s->program.here)
        (void)unlink(s->sealed);
    call_finish(s->call);
    save_free(s);
}

static int drop(struct save *s)
{
    const vlt_ProgramDrop drop_program = { .name = s->program.name, .forget = s->forget };
    return vault_call(s->daemon->vault, &ASK(vlt_Type_PROGRAM_DROP, vlt_Type_DONE, vlt_ProgramDrop, &drop_program),
                      on_dropped, s);
}

/* One that was removed may still be forgotten. */
static int choose(struct save *s, const vlt_Program *all, size_t count)
{
    const vlt_Program *found;
    int r = programs_choose(s->daemon, all, count, s->wish.name, s->wish.distributor, &found);
    for (size_t i = 0; r == REASON_UNKNOWN_PROGRAM && s->forget && i < count; i++)
        if (!all[i].here && strcmp(all[i].name.name, s->wish.name) == 0) {
            found = &all[i];
            r = 0;
        }
    if (r == 0)
        s->program = *found;
    return r == 0 && found->here ? programs_path(s->daemon, found, s->sealed) : r;
}

static void on_chosen(const vlt_Program *all, size_t count, const msg_Refusal *refusal, void *ctx)
{
    struct save *s = ctx;
    if (refusal != NULL) {
        refuse_as(s, refusal);
        return;
    }
    int r = choose(s, all, count);
    if (r == 0 && s->wish.path[0] == '\0')
        r = drop(s);
    else if (r == 0)
        (void)uv_queue_work(s->daemon->loop, &s->work, read_work, on_read);
    if (r != 0)
        refuse(s, r,
               r == REASON_UNKNOWN_PROGRAM ? "There is no program of this name on this device: hearth programs get NAME"
               : r == REASON_AMBIGUOUS     ? "Several distributors gave one of this name: add --from DISTRIBUTOR."
                                           : NULL);
}

static void begin(struct daemon *d, struct call *c, const ctl_ProgramSave *wish, bool forget)
{
    struct save *s = calloc(1, sizeof(*s));
    if (s == NULL) {
        call_refuse(c, REASON_INTERNAL, NULL);
        return;
    }
    *s = (struct save){ .daemon = d, .call = c, .wish = *wish, .forget = forget, .fd = -1 };
    s->work.data = s;
    int r = programs_collect(d, on_chosen, s);
    if (r != 0)
        refuse(s, r, NULL);
}

void program_save_handle(struct daemon *d, struct call *c, const void *message)
{
    const ctl_ProgramSave *m = message;
    if (m->path[0] != '/')
        call_refuse(c, REASON_NOT_FOUND, "Name the file by its whole path.");
    else
        begin(d, c, m, false);
}

void program_remove_handle(struct daemon *d, struct call *c, const void *message)
{
    const ctl_ProgramRemove *m = message;
    ctl_ProgramSave wish = ctl_ProgramSave_init_zero;
    CODEC_SET_TEXT(wish.name, m->name);
    CODEC_SET_TEXT(wish.distributor, m->distributor);
    begin(d, c, &wish, m->forget);
}
