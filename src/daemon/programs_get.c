/* hearth programs get: a grant from the distributor, judged by the vault before anything is fetched; the sealed program into a part file; the vault
 * opens all of it; then it gets its name, and then the vault keeps the grant: that is the commit. A kill before it leaves what was there; the
 * same command afterwards gets the same, as the distributor gives the same information each time.
 *
 * Callbacks, in order: on_here, on_grant, on_checked; on_blocks and write_work (pool), on_written, as often as needed; on_verified; name_work (pool),
 * on_named; on_stored. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/file.h"
#include "base/util.h"
#include "control.pb.h"
#include "daemon/account.h"
#include "daemon/control.h"
#include "daemon/events.h"
#include "daemon/programs.h"
#include "daemon/session.h"
#include "daemon/vault_client.h"
#include "protocol/program.h"

#define BLOCKS_AT_ONCE 32
#define GRANT_BYTES_MAX 1024

struct get {
    struct daemon *daemon;
    struct call *call;
    struct account *account; /* a reference; NULL until it is known */
    ctl_ProgramGet wish;
    struct buf grant, blocks;
    vlt_Program program;                                       /* as the vault understands the grant */
    vlt_Program before;                                        /* what is here until now */
    char part[PROGRAMS_PATH_BYTES], path[PROGRAMS_PATH_BYTES]; /* part "": there is none */
    int fd;                                                    /* of the part */
    uint32_t next, asked;                                      /* blocks */
    uv_work_t work;
    int outcome;
};

static void get_free(struct get *g)
{
    closep(&g->fd);
    if (g->part[0] != '\0')
        (void)unlink(g->part);
    buf_free(&g->grant);
    buf_free(&g->blocks);
    if (g->account != NULL)
        account_unref(g->account);
    free(g);
}

static void refuse(struct get *g, int why, const char *detail)
{
    call_refuse(g->call, reason_of_error(why), detail);
    get_free(g);
}

static void refuse_as(struct get *g, const msg_Refusal *refusal)
{
    call_refuse_as(g->call, refusal);
    get_free(g);
}

static void queue(struct get *g, uv_work_cb run, uv_after_work_cb after)
{
    (void)uv_queue_work(g->daemon->loop, &g->work, run, after); /* fails only without a function */
}

/* --- 5: kept ----------------------------------------------------------------------------------------------------- */

static void on_stored(const struct answer *answer, void *ctx)
{
    struct get *g = ctx;
    char version[PROGRAM_VERSION_BYTES], old[PROGRAMS_PATH_BYTES];
    ctl_ProgramRow row;
    if (answer->why != REASON_NONE) {
        refuse_as(g, answer->refusal);
        return;
    }
    if (g->before.here && programs_path(g->daemon, &g->before, old) == 0 && strcmp(old, g->path) != 0)
        (void)unlink(old); /* of another version: it opens no more */
    programs_row(g->daemon, &g->program, &row);
    event(g->daemon, "program", "%s %s %s came from %s", program_kind_text(g->program.kind), g->program.name.name,
          program_version_text(g->program.version, version), g->account->name);
    CALL_ROW(g->call, PROGRAM_ROW, ProgramRow, &row);
    call_finish(g->call);
    get_free(g);
}

/* keep: else only judged. */
static void ask_store(struct get *g, bool keep, answer_fn on_answer)
{
    vlt_ProgramStore store = { .older = g->wish.older, .keep = keep };
    memcpy(store.distributor, g->account->distributor.bytes, ID_BYTES);
    int r = CODEC_SET_BYTES(store.grant, buf_slice(&g->grant)) != 0 ? REASON_TOO_LARGE : 0;
    int fd = r == 0 ? fcntl(g->fd, F_DUPFD_CLOEXEC, 0) : -1;
    if (r == 0)
        r = fd < 0 ? -errno
                   : vault_call_fd(g->daemon->vault,
                                   &ASK(vlt_Type_PROGRAM_STORE, vlt_Type_PROGRAM, vlt_ProgramStore, &store), fd,
                                   on_answer, g);
    if (r != 0)
        refuse(g, r, NULL);
}

/* --- 4: named ---------------------------------------------------------------------------------------------------- */

static void name_work(uv_work_t *work)
{
    struct get *g = work->data;
    g->outcome = rename(g->part, g->path) != 0 ? -errno : file_sync_parent(g->path);
}

static void on_named(uv_work_t *work, int status)
{
    struct get *g = work->data;
    (void)status;
    if (g->outcome != 0 || g->daemon->stopping) {
        refuse(g, g->outcome != 0 ? g->outcome : REASON_CANCELLED, NULL);
        return;
    }
    g->part[0] = '\0';
    ask_store(g, true, on_stored);
}

static void on_verified(const struct answer *answer, void *ctx)
{
    struct get *g = ctx;
    if (answer->why == REASON_BLOCK_CORRUPT)
        refuse(g, REASON_BLOCK_CORRUPT, "What came is not the program that its provider signed.");
    else if (answer->why != REASON_NONE)
        refuse_as(g, answer->refusal);
    else
        queue(g, name_work, on_named);
}

/* --- 3: fetched -------------------------------------------------------------------------------------------------- */

static uint32_t block_count(const struct get *g) { return program_block_count(g->program.program_bytes); }

static void write_work(uv_work_t *work)
{
    struct get *g = work->data;
    g->outcome = 0;
    if (g->fd < 0) {
        g->fd = mkostemp(g->part, O_CLOEXEC);
        if (g->fd < 0) {
            g->outcome = -errno;
            g->part[0] = '\0';
        }
    }
    if (g->outcome == 0)
        g->outcome = file_pwrite_all(g->fd, g->blocks.data, g->blocks.len, program_block_offset(g->next));
    if (g->outcome == 0 && g->next + g->asked == block_count(g))
        g->outcome = file_sync(g->fd);
}

static void ask_blocks(struct get *g);

static void on_written(uv_work_t *work, int status)
{
    struct get *g = work->data;
    (void)status;
    if (g->outcome != 0 || g->daemon->stopping) {
        refuse(g, g->outcome != 0 ? g->outcome : REASON_CANCELLED, NULL);
        return;
    }
    g->next += g->asked;
    call_progress(g->call, u64_min((uint64_t)g->next * PROGRAM_BLOCK_BYTES, g->program.program_bytes),
                  g->program.program_bytes, "fetching %s", g->program.name.name);
    if (g->next < block_count(g))
        ask_blocks(g);
    else
        ask_store(g, false, on_verified);
}

static void on_blocks(const struct answer *answer, void *ctx)
{
    struct get *g = ctx;
    msg_ProgramBlocks blocks;
    if (answer->why != REASON_NONE) {
        refuse_as(g, answer->refusal);
        return;
    }
    uint64_t end = u64_min(program_block_offset(g->next + g->asked), program_sealed_bytes(g->program.program_bytes));
    buf_clear(&g->blocks);
    bool good = CODEC_DECODE(msg_ProgramBlocks, answer->frame->message, &blocks) == 0 && blocks.first == g->next &&
                blocks.count == g->asked && answer->frame->tail.len == end - program_block_offset(g->next);
    if (!good || buf_append(&g->blocks, answer->frame->tail) != 0)
        refuse(g, good ? REASON_INTERNAL : REASON_MALFORMED, NULL);
    else
        queue(g, write_work, on_written);
}

static void ask_blocks(struct get *g)
{
    msg_ProgramBlocksGet get = { .version = g->program.version, .first = g->next };
    get.count = g->asked = block_count(g) - g->next < BLOCKS_AT_ONCE ? block_count(g) - g->next : BLOCKS_AT_ONCE;
    CODEC_SET_TEXT(get.name, g->program.name.name);
    int r =
        session_call(g->account, &ASK(msg_Type_PROGRAM_BLOCKS_GET, msg_Type_PROGRAM_BLOCKS, msg_ProgramBlocksGet, &get),
                     on_blocks, g);
    if (r != 0)
        refuse(g, r, NULL);
}

/* --- 2: judged --------------------------------------------------------------------------------------------------- */

static void on_checked(const struct answer *answer, void *ctx)
{
    struct get *g = ctx;
    if (answer->why != REASON_NONE) {
        refuse_as(g, answer->refusal);
        return;
    }
    bool good = CODEC_DECODE(vlt_Program, answer->frame->message, &g->program) == 0;
    if (good && (strcmp(g->program.name.name, g->wish.name) != 0 ||
                 (g->wish.has_version && g->wish.version != g->program.version))) {
        refuse(g, REASON_MALFORMED, "The distributor gave another program than was asked for.");
        return;
    }
    int r = good ? programs_path(g->daemon, &g->program, g->path) : REASON_MALFORMED;
    if (r == 0)
        r = file_join(g->part, sizeof(g->part), g->daemon->config.state_dir, "programs/.part-XXXXXX");
    if (r != 0) {
        g->part[0] = '\0';
        refuse(g, r, NULL);
        return;
    }
    ask_blocks(g);
}

static void on_grant(const struct answer *answer, void *ctx)
{
    struct get *g = ctx;
    vlt_ProgramCheck check = { .older = g->wish.older };
    struct ask ask = ASK(vlt_Type_PROGRAM_CHECK, vlt_Type_PROGRAM, vlt_ProgramCheck, &check);
    if (answer->why != REASON_NONE) {
        refuse_as(g, answer->refusal);
        return;
    }
    int r = buf_append(&g->grant, answer->frame->tail);
    memcpy(check.distributor, g->account->distributor.bytes, ID_BYTES);
    ask.tail = buf_slice(&g->grant);
    if (r == 0)
        r = vault_call(g->daemon->vault, &ask, on_checked, g);
    if (r != 0)
        refuse(g, r > 0 ? REASON_TOO_LARGE : r, NULL);
}

/* --- 1: asked for ------------------------------------------------------------------------------------------------ */

/* Named; or where the one that is here came from; or the only one there is. */
static int find_account(struct get *g, const vlt_Program *all, size_t count)
{
    const vlt_Program *here;
    struct account *a = NULL;
    int r = programs_choose(g->daemon, all, count, g->wish.name, g->wish.distributor, &here);
    if (r == REASON_AMBIGUOUS)
        return r;
    if (r == 0) {
        a = account_find(g->daemon, here->name.distributor);
        g->before = *here;
    }
    r = a != NULL ? 0 : account_resolve(g->daemon, g->wish.distributor, &a);
    if (r == 0)
        g->account = account_ref(a);
    return r;
}

static void on_here(const vlt_Program *all, size_t count, const msg_Refusal *refusal, void *ctx)
{
    struct get *g = ctx;
    if (refusal != NULL) {
        refuse_as(g, refusal);
        return;
    }
    int r = find_account(g, all, count);
    if (r != 0) {
        refuse(g, r, r == REASON_AMBIGUOUS ? "Several distributors may have it: name one with --from." : NULL);
        return;
    }
    msg_ProgramGet get = { .has_version = g->wish.has_version, .version = g->wish.version };
    CODEC_SET_TEXT(get.name, g->wish.name);
    r = session_call(g->account, &ASK(msg_Type_PROGRAM_GET, msg_Type_PROGRAM, msg_ProgramGet, &get), on_grant, g);
    if (r != 0)
        refuse(g, r, NULL);
}

void program_get_handle(struct daemon *d, struct call *c, const void *message)
{
    struct get *g = calloc(1, sizeof(*g));
    if (g == NULL) {
        call_refuse(c, REASON_INTERNAL, NULL);
        return;
    }
    *g = (struct get){ .daemon = d, .call = c, .wish = *(const ctl_ProgramGet *)message, .fd = -1 };
    g->grant = buf(GRANT_BYTES_MAX);
    g->blocks = buf(BLOCKS_AT_ONCE * (PROGRAM_BLOCK_BYTES + BLOCK_OVERHEAD_BYTES));
    g->work.data = g;
    int r = program_name_is_valid(g->wish.name) ? programs_collect(d, on_here, g) : REASON_UNKNOWN_PROGRAM;
    if (r != 0)
        refuse(g, r, NULL);
}
