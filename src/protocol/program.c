/* Judging programs and grants, and the arithmetic of sealed programs. No I/O. Any thread. */
#include "protocol/program.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/util.h"
#include "crypto/hkdf.h"

static const char *const kinds[] = { [PROGRAM_PLUGIN] = "plug-in", [PROGRAM_UPDATE] = "update" };

const char *program_kind_text(uint32_t kind)
{
    return kind >= PROGRAM_PLUGIN && kind < ARRAY_COUNT(kinds) ? kinds[kind] : "?";
}

int program_kind_parse(const char *text, uint32_t *kind)
{
    for (uint32_t i = PROGRAM_PLUGIN; i < ARRAY_COUNT(kinds); i++)
        if (strcmp(kinds[i], text) == 0) {
            *kind = i;
            return 0;
        }
    return -EINVAL;
}

int program_version_parse(const char *text, uint64_t *version)
{
    uint64_t v = 0;
    for (unsigned part = 0; part < 3; part++) {
        unsigned long number = 0;
        if (part == 0 || *text != '\0') {
            char *end;
            if (!isdigit((unsigned char)*text) || (*text == '0' && isdigit((unsigned char)text[1])))
                return -EINVAL;
            number = strtoul(text, &end, 10);
            if (number > UINT16_MAX || (*end != '\0' && (*end != '.' || part == 2 || end[1] == '\0')))
                return -EINVAL;
            text = *end == '.' ? end + 1 : end;
        }
        v = v << 16 | number;
    }
    if (v == 0)
        return -EINVAL;
    *version = v;
    return 0;
}

const char *program_version_text(uint64_t version, char out[PROGRAM_VERSION_BYTES])
{
    snprintf(out, PROGRAM_VERSION_BYTES, "%u.%u.%u", (unsigned)(version >> 32 & UINT16_MAX),
             (unsigned)(version >> 16 & UINT16_MAX), (unsigned)(version & UINT16_MAX));
    return out;
}

bool program_version_is_valid(uint64_t version) { return version != 0 && version >> 48 == 0; }

bool program_name_is_valid(const char *name)
{
    size_t len = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-");
    return len > 0 && len < PROGRAM_NAME_BYTES && name[len] == '\0' && name[0] != '-' && name[len - 1] != '-';
}

int program_judge(struct slice envelope, doc_Program *out)
{
    doc_Program read;
    uint8_t signer[32];
    int r = document_open(DOCUMENT_PROGRAM, envelope, &read, sizeof(read), signer);
    if (r != 0)
        return r;
    struct id by = id_of_key(signer);
    if (!id_equal(&by, read.provider))
        return REASON_SIGNATURE_INVALID;
    bool known = read.kind == PROGRAM_PLUGIN || read.kind == PROGRAM_UPDATE;
    if (!known || !program_name_is_valid(read.name) || !program_version_is_valid(read.version) ||
        read.program_bytes == 0 || read.program_bytes > PROGRAM_BYTES_MAX)
        return REASON_MALFORMED;
    *out = read;
    return 0;
}

int program_grant_judge(struct slice envelope, const doc_Keyset *distributor, const struct id *client,
                        doc_ProgramGrant *out, doc_Program *program)
{
    doc_ProgramGrant read;
    uint8_t signer[32];
    int r = document_open(DOCUMENT_PROGRAM_GRANT, envelope, &read, sizeof(read), signer);
    if (r != 0)
        return r;
    if (read.issued_ms > INT64_MAX || !keyset_lists(distributor, KEY_LICENSE, signer, (int64_t)read.issued_ms) ||
        !id_equal(read.distributor, distributor->distributor))
        return REASON_SIGNATURE_INVALID;
    if (!id_equal(read.client, client))
        return REASON_WRONG_DESTINATION;
    r = program_judge(CODEC_BYTES(read.program), program);
    if (r == 0)
        *out = read;
    return r;
}

void program_key(const uint8_t information[PROGRAM_INFORMATION_BYTES], const uint8_t digest[32], struct key32 *key)
{
    struct key32 from CLEANUP(key32_wipe);
    memcpy(from.bytes, information, sizeof(from.bytes));
    hkdf_key(&from, "hearth program", slice(digest, 32), key);
}

uint32_t program_block_count(uint64_t program_bytes)
{
    return (uint32_t)((program_bytes + PROGRAM_BLOCK_BYTES - 1) / PROGRAM_BLOCK_BYTES);
}

uint32_t program_block_len(uint64_t program_bytes, uint32_t index)
{
    return (uint32_t)u64_min(PROGRAM_BLOCK_BYTES, program_bytes - (uint64_t)index * PROGRAM_BLOCK_BYTES);
}

uint64_t program_block_offset(uint32_t index) { return (uint64_t)index * (PROGRAM_BLOCK_BYTES + BLOCK_OVERHEAD_BYTES); }

uint64_t program_sealed_bytes(uint64_t program_bytes)
{
    return program_bytes + (uint64_t)program_block_count(program_bytes) * BLOCK_OVERHEAD_BYTES;
}
