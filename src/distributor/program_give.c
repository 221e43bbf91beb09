/* Programs for devices: the list, a grant for the asking device, and the program sealed for it. What is specific to program and device is drawn
 * once and kept (program_history.h), so a request may be made as often as it takes. Source: related system R4. */
#include "distributor/program_history.h"
#include "distributor/programs.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/file.h"
#include "base/util.h"
#include "crypto/seal.h"
#include "distributor/devices.h"
#include "distributor/handlers.h"
#include "distributor/reply.h"

#define BLOCKS_MAX 32 /* in one answer */
#define PAGE ARRAY_COUNT(((msg_Programs *)0)->programs)

int programs_list(struct operations *o, const struct caller *who, struct slice message, struct slice tail,
                  struct reply *out)
{
    (void)tail;
    msg_ProgramsGet m;
    struct device d;
    struct program *page CLEANUP(freep) = calloc(PAGE, sizeof(*page));
    msg_Programs *answer CLEANUP(freep) = calloc(1, sizeof(*answer));
    uint32_t count = 0, total = 0;
    if (!page || !answer)
        return -ENOMEM;
    int r = REQUEST_DECODE(message, msg_ProgramsGet, &m);
    if (r == 0)
        r = devices_caller(o, who, &d);
    if (r == 0)
        r = programs_page(o, m.offset, PAGE, page, &count, &total);
    if (r != 0)
        return r;
    answer->total = total;
    for (answer->programs_count = 0; answer->programs_count < count; answer->programs_count++) {
        const struct program *p = &page[answer->programs_count];
        msg_ProgramItem *item = &answer->programs[answer->programs_count];
        CODEC_SET_TEXT(item->name, p->said.name);
        memcpy(item->provider, p->said.provider, sizeof(item->provider));
        CODEC_SET_TEXT(item->provider_name, p->provider_name);
        item->kind = p->said.kind;
        item->version = p->said.version;
        item->program_bytes = p->said.program_bytes;
        CODEC_SET_TEXT(item->text, p->note);
    }
    return REPLY(out, PROGRAMS, msg_Programs, answer);
}

static int sign_grant(struct operations *o, const struct caller *who, const struct program *p,
                      const doc_DeviceCertificate *certificate, const struct key32 *information, struct buf *out)
{
    doc_ProgramGrant grant = doc_ProgramGrant_init_zero;
    struct signer signer;
    memcpy(grant.distributor, o->keys->self.bytes, ID_BYTES);
    memcpy(grant.client, who->client.bytes, ID_BYTES);
    grant.issued_ms = (uint64_t)who->now_ms;
    int r = CODEC_SET_BYTES(grant.program, slice(p->document, p->document_bytes)) != 0 ? -EUCLEAN : 0;
    if (r == 0)
        r = seal_to(certificate->sealing_key, SLICE_ARRAY(information->bytes), grant.information);
    if (r != 0)
        return r;
    signer_from_pair(&signer, &o->keys->license);
    r = document_sign(out, DOCUMENT_PROGRAM_GRANT, &grant, &signer);
    return r > 0 ? -EMSGSIZE : r;
}

int programs_get(struct operations *o, const struct caller *who, struct slice message, struct slice tail,
                 struct reply *out)
{
    (void)tail;
    msg_ProgramGet m;
    struct device d;
    struct program p;
    doc_DeviceCertificate certificate;
    const msg_Program answer = msg_Program_init_zero;
    struct key32 information CLEANUP(key32_wipe);
    int r = REQUEST_DECODE(message, msg_ProgramGet, &m);
    if (r == 0 && m.has_version && !program_version_is_valid(m.version))
        r = REASON_UNKNOWN_PROGRAM;
    if (r == 0)
        r = devices_caller(o, who, &d);
    if (r == 0)
        r = programs_find(o, m.name, m.has_version ? m.version : 0, &p);
    if (r == 0)
        r = devices_certificate(o, &d, who->now_ms, &certificate);
    if (r == 0)
        r = program_history_allot(o, p.said.name, p.said.version, &d.client, who->now_ms, &information);
    if (r == 0)
        r = sign_grant(o, who, &p, &certificate, &information, &out->tail);
    return r == 0 ? REPLY(out, PROGRAM, msg_Program, &answer) : r;
}

static int put_blocks(struct operations *o, const struct program *p, const struct key32 *key, uint32_t first,
                      uint32_t count, struct buf *out)
{
    char path[PROGRAMS_PATH_BYTES];
    uint8_t plain[PROGRAM_BLOCK_BYTES];
    const uint64_t bytes = p->said.program_bytes;
    int r = programs_path(o, p->said.digest, path);
    if (r != 0)
        return r;
    int fd CLEANUP(closep) = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return -errno;
    for (uint32_t i = first; r == 0 && i < first + count; i++) {
        uint32_t len = program_block_len(bytes, i);
        r = buf_reserve(out, len + BLOCK_OVERHEAD_BYTES);
        if (r == 0)
            r = file_pread_all(fd, plain, len, (uint64_t)i * PROGRAM_BLOCK_BYTES);
        if (r == 0)
            r = block_seal(o->rng, key, p->said.digest, i, program_block_count(bytes), slice(plain, len),
                           out->data + out->len);
        if (r == 0)
            out->len += len + BLOCK_OVERHEAD_BYTES;
    }
    return r > 0 ? -EMSGSIZE : r;
}

int programs_blocks(struct operations *o, const struct caller *who, struct slice message, struct slice tail,
                    struct reply *out)
{
    (void)tail;
    msg_ProgramBlocksGet m;
    struct device d;
    struct program p;
    struct key32 information CLEANUP(key32_wipe), key CLEANUP(key32_wipe);
    int r = REQUEST_DECODE(message, msg_ProgramBlocksGet, &m);
    if (r == 0)
        r = devices_caller(o, who, &d);
    if (r == 0)
        r = program_version_is_valid(m.version) ? programs_find(o, m.name, m.version, &p) : REASON_UNKNOWN_PROGRAM;
    if (r == 0)
        r = program_history_find(o, p.said.name, &d.client, &information);
    if (r == OPERATIONS_ABSENT)
        return reply_refuse(out, REASON_NOT_PERMITTED, "This program was not given to this device: ask for it first.");
    if (r != 0)
        return r;
    uint32_t all = program_block_count(p.said.program_bytes);
    if (m.count == 0 || m.count > BLOCKS_MAX || m.first >= all || m.count > all - m.first)
        return REASON_MALFORMED;
    program_key(information.bytes, p.said.digest, &key);
    r = put_blocks(o, &p, &key, m.first, m.count, &out->tail);
    const msg_ProgramBlocks answer = { .first = m.first, .count = m.count };
    return r == 0 ? REPLY(out, PROGRAM_BLOCKS, msg_ProgramBlocks, &answer) : r;
}
