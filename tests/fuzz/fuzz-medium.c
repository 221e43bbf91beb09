/* Files of a removable medium as the importer reads them.
 * Promises: a certificate file that is read is written back to the same bytes; a package that is opened has the body its content ID
 * names, whole, behind its head. Input: mode, then a certificate file (0), edits of a good one (1), a package (2), edits of a good
 * one (3). */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/file.h"
#include "base/util.h"
#include "crypto/merkle.h"
#include "daemon/medium.h"
#include "fuzz.h"
#include "world.h"

#define EDITS_MAX 12
#define FILE_MAX (64u << 10)

static int make_file(struct slice content)
{
    int fd = memfd_create("medium", MFD_CLOEXEC);
    CHECK(fd >= 0 && file_pwrite_all(fd, content.data, content.len, 0) == 0);
    return fd;
}

static void put_head(struct buf *out, const char *magic, const pb_msgdesc_t *fields, const void *message)
{
    struct buf encoded CLEANUP(buf_free) = buf(4096);
    CHECK(codec_encode(&encoded, fields, message) == 0);
    CHECK(buf_append(out, slice(magic, 8)) == 0 && buf_put_u32(out, (uint32_t)encoded.len) == 0);
    CHECK(buf_append(out, buf_slice(&encoded)) == 0);
}

static void good_certificate(const struct world *w, struct buf *out)
{
    msg_ExportCertificate m = msg_ExportCertificate_init_zero;
    struct buf certificate CLEANUP(buf_free) = buf(4096), delegation CLEANUP(buf_free) = buf(4096);
    world_envelope(w, DOCUMENT_COPY_CERTIFICATE, &certificate);
    world_envelope(w, DOCUMENT_DELEGATION, &delegation);
    m.has_delegation = true;
    CHECK(CODEC_SET_BYTES(m.certificate, buf_slice(&certificate)) == 0 &&
          CODEC_SET_BYTES(m.delegation, buf_slice(&delegation)) == 0);
    put_head(out, "HEARTHC1", msg_ExportCertificate_fields, &m);
}

/* Two blocks, the second one short. Nobody reads them here: their content is for whoever has the keys. */
static void good_package(struct buf *out)
{
    doc_ContentInfo i = {
        .media_type = "audio/flac", .title = "Nocturne", .plain_bytes = 5000, .block_bytes = 4096, .block_count = 2
    };
    struct buf info CLEANUP(buf_free) = buf(BODY_INFO_MAX);
    struct body_shape shape;
    uint8_t block[4096 + BLOCK_OVERHEAD_BYTES] = { 1, 2, 3 }, list[2][32], root[32];
    msg_ExportPackage m;
    struct id content;
    CHECK(CODEC_ENCODE(doc_ContentInfo, &info, &i) == 0 && body_shape_init(&shape, 5000, 4096, info.len) == 0);
    for (uint32_t n = 0; n < 2; n++)
        block_hash(slice(block, body_block_len(&shape, n)), list[n]);
    merkle_root(list[0], 2, root);
    body_content_id(buf_slice(&info), root, &content);
    memcpy(m.content, content.bytes, ID_BYTES);
    put_head(out, "HEARTHP1", msg_ExportPackage_fields, &m);
    CHECK(buf_append(out, slice(BODY_MAGIC, 8)) == 0 && buf_put_u32(out, (uint32_t)info.len) == 0);
    CHECK(buf_append(out, buf_slice(&info)) == 0 && buf_append(out, slice(list, sizeof(list))) == 0);
    for (uint32_t n = 0; n < 2; n++)
        CHECK(buf_append(out, slice(block, body_block_len(&shape, n))) == 0);
}

static void read_certificate(struct slice file)
{
    msg_ExportCertificate read;
    int fd = make_file(file);
    int r = medium_read_certificate(fd, &read);
    close(fd);
    CHECK(r == 0 || r == REASON_MALFORMED);
    if (r)
        return;
    struct buf again CLEANUP(buf_free) = buf(FILE_MAX);
    put_head(&again, "HEARTHC1", msg_ExportCertificate_fields, &read);
    CHECK(slice_equal(buf_slice(&again), file));
}

static void read_package(struct slice file)
{
    int fd = make_file(file);
    uint64_t base = 0;
    struct id content, named;
    struct serve_file body = { 0 };
    int r = medium_read_package(fd, &base, &content, &body);
    close(fd);
    CHECK(r == 0 || r == REASON_MALFORMED || r == REASON_CONTENT_ID_MISMATCH || r == REASON_BLOCK_CORRUPT);
    if (r)
        return;
    uint8_t root[32];
    CHECK(base + body_file_bytes(&body.shape) == file.len);
    merkle_root(body.list, body.shape.block_count, root);
    CHECK(memcmp(root, body.list_root, sizeof(root)) == 0);
    body_content_id(buf_slice(&body.info), root, &named);
    CHECK(id_equal(&named, &content));
    fuzz_touch(body.list, 32 * (size_t)body.shape.block_count);
    serve_file_deinit(&body);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = input(data, size);
    uint8_t mode = input_u8(&in) % 4;
    struct buf file CLEANUP(buf_free) = buf(FILE_MAX);
    if (mode == 1)
        good_certificate(world_get(), &file);
    else if (mode == 3)
        good_package(&file);
    else
        CHECK(buf_append(&file, slice_sub(in.rest, 0, size_min(in.rest.len, FILE_MAX))) == 0);
    for (int i = 0; (mode & 1) && i < EDITS_MAX && in.rest.len > 0; i++)
        input_edit(&in, &file);
    (mode < 2 ? read_certificate : read_package)(buf_slice(&file));
    return 0;
}
