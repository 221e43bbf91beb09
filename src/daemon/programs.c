/* What this device has: the vault's list, and the files beside it.
 *
 * Callbacks, in order: on_page (any number). */
#include "daemon/programs.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/util.h"
#include "control.pb.h"
#include "daemon/account.h"
#include "daemon/vault_client.h"
#include "protocol/program.h"

#define PART ".part-" /* and six letters (programs_get.c) */

/* --- Files ------------------------------------------------------------------------------------------------------- */

int programs_path(const struct daemon *d, const vlt_Program *p, char out[PROGRAMS_PATH_BYTES])
{
    char version[PROGRAM_VERSION_BYTES], distributor[ID_TEXT_BYTES];
    id_text(p->name.distributor, distributor);
    int n = snprintf(out, PROGRAMS_PATH_BYTES, "%s/programs/%s-%s-%s.program", d->config.state_dir, p->name.name,
                     program_version_text(p->version, version), distributor);
    return n > 0 && n < PROGRAMS_PATH_BYTES ? 0 : -ENAMETOOLONG;
}

bool programs_has_file(const struct daemon *d, const vlt_Program *p)
{
    char path[PROGRAMS_PATH_BYTES];
    struct stat st;
    return programs_path(d, p, path) == 0 && stat(path, &st) == 0 &&
           (uint64_t)st.st_size == program_sealed_bytes(p->program_bytes);
}

int programs_start(struct daemon *d)
{
    char path[PROGRAMS_PATH_BYTES], file[PROGRAMS_PATH_BYTES + 256];
    int r = file_join(path, sizeof(path), d->config.state_dir, "programs");
    if (r == 0)
        r = file_make_dirs(path, 0700);
    DIR *dir = r == 0 ? opendir(path) : NULL;
    if (dir == NULL)
        return r != 0 ? r : -errno;
    for (const struct dirent *e; (e = readdir(dir)) != NULL;)
        if (strncmp(e->d_name, PART, strlen(PART)) == 0 && file_join(file, sizeof(file), path, e->d_name) == 0)
            (void)unlink(file);
    closedir(dir);
    return 0;
}

/* --- The vault's list -------------------------------------------------------------------------------------------- */

struct collect {
    struct daemon *daemon;
    programs_fn *on_all;
    void *ctx;
    vlt_Program *all;
    size_t count;
};

static void collect_end(struct collect *c, const msg_Refusal *refusal)
{
    c->on_all(refusal == NULL ? c->all : NULL, refusal == NULL ? c->count : 0, refusal, c->ctx);
    free(c->all);
    free(c);
}

static void collect_fail(struct collect *c, int error)
{
    msg_Refusal refusal;
    reason_refusal(&refusal, reason_of_error(error), NULL);
    collect_end(c, &refusal);
}

static int ask_page(struct collect *c);

static void on_page(const struct answer *answer, void *ctx)
{
    struct collect *c = ctx;
    if (answer->why != REASON_NONE) {
        collect_end(c, answer->refusal);
        return;
    }
    vlt_Programs *page CLEANUP(freep) = calloc(1, sizeof(*page));
    int r = page == NULL ? -ENOMEM : CODEC_DECODE(vlt_Programs, answer->frame->message, page);
    vlt_Program *grown = r == 0 ? reallocarray(c->all, c->count + page->programs_count + 1, sizeof(*grown)) : NULL;
    if (grown == NULL) {
        collect_fail(c, r > 0 ? REASON_MALFORMED : -ENOMEM);
        return;
    }
    c->all = grown;
    memcpy(c->all + c->count, page->programs, page->programs_count * sizeof(*grown));
    c->count += page->programs_count;
    if (page->programs_count == 0 || c->count >= page->total) {
        collect_end(c, NULL);
        return;
    }
    r = ask_page(c);
    if (r != 0)
        collect_fail(c, r);
}

static int ask_page(struct collect *c)
{
    const vlt_ProgramsGet get = { .offset = (uint32_t)c->count };
    return vault_call(c->daemon->vault, &ASK(vlt_Type_PROGRAMS_GET, vlt_Type_PROGRAMS, vlt_ProgramsGet, &get), on_page,
                      c);
}

int programs_collect(struct daemon *d, programs_fn *on_all, void *ctx)
{
    struct collect *c = calloc(1, sizeof(*c));
    if (c == NULL)
        return -ENOMEM;
    *c = (struct collect){ .daemon = d, .on_all = on_all, .ctx = ctx };
    int r = ask_page(c);
    if (r != 0)
        free(c);
    return r;
}

/* --- Choosing ---------------------------------------------------------------------------------------------------- */

#define PREFIX_MIN 4

static bool is_of(struct daemon *d, const uint8_t distributor[ID_BYTES], const char *text)
{
    const struct account *a = account_find(d, distributor);
    return text[0] == '\0' || (a != NULL && strcasecmp(a->name, text) == 0) ||
           (strlen(text) >= PREFIX_MIN && id_has_prefix(distributor, text));
}

int programs_choose(struct daemon *d, const vlt_Program *all, size_t count, const char *name, const char *distributor,
                    const vlt_Program **out)
{
    const vlt_Program *found = NULL;
    for (size_t i = 0; i < count; i++) {
        if (!all[i].here || strcmp(all[i].name.name, name) != 0 || !is_of(d, all[i].name.distributor, distributor))
            continue;
        if (found != NULL)
            return REASON_AMBIGUOUS;
        found = &all[i];
    }
    if (found == NULL)
        return REASON_UNKNOWN_PROGRAM;
    *out = found;
    return 0;
}

void programs_split(const char *text, char name[32], char distributor[64])
{
    const char *at = strchr(text, '@');
    size_t len = at != NULL ? (size_t)(at - text) : strlen(text);
    (void)snprintf(name, 32, "%.*s", (int)size_min(len, 31), text);
    (void)snprintf(distributor, 64, "%s", at != NULL ? at + 1 : "");
}

void programs_row(struct daemon *d, const vlt_Program *p, ctl_ProgramRow *row)
{
    const struct account *a = account_find(d, p->name.distributor);
    *row = (ctl_ProgramRow)ctl_ProgramRow_init_zero;
    CODEC_SET_TEXT(row->name, p->name.name);
    memcpy(row->distributor, p->name.distributor, sizeof(row->distributor));
    CODEC_SET_TEXT(row->distributor_name, a != NULL ? a->name : "");
    memcpy(row->provider, p->provider, sizeof(row->provider));
    row->kind = p->kind;
    row->has_version = true;
    row->version = p->version;
    row->program_bytes = p->program_bytes;
    row->has_digest = true;
    memcpy(row->digest, p->digest, sizeof(row->digest));
    row->damaged = !programs_has_file(d, p);
}
