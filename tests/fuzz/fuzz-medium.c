/* Files of a removable medium as the importer reads them, and as they are written to it.
 * Promises: a certificate file that is read is written back to the same bytes; a package that is opened has the body its content ID
 * names, whole, behind its head; what is written reads as what was written, what is not written to its end leaves nothing, and why is said for a person.
 * Input: mode, then a certificate file (0), edits of a good one (1), a package (2), edits of a good one (3), or (4) where a package is written, of which
 * body, how far, and edits of the body. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/helper.h"
#include "base/text.h"
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
static void good_body(struct buf *out, struct id *content)
{
    doc_ContentInfo i = {
        .media_type = "audio/flac", .title = "Nocturne", .plain_bytes = 5000, .block_bytes = 4096, .block_count = 2
    };
    struct buf info CLEANUP(buf_free) = buf(BODY_INFO_MAX);
    struct body_shape shape;
    uint8_t block[4096 + BLOCK_OVERHEAD_BYTES] = { 1, 2, 3 }, list[2][32], root[32];
    CHECK(CODEC_ENCODE(doc_ContentInfo, &info, &i) == 0 && body_shape_init(&shape, 5000, 4096, info.len) == 0);
    for (uint32_t n = 0; n < 2; n++)
        block_hash(slice(block, body_block_len(&shape, n)), list[n]);
    merkle_root(list[0], 2, root);
    body_content_id(buf_slice(&info), root, content);
    CHECK(buf_append(out, slice(BODY_MAGIC, 8)) == 0 && buf_put_u32(out, (uint32_t)info.len) == 0);
    CHECK(buf_append(out, buf_slice(&info)) == 0 && buf_append(out, slice(list, sizeof(list))) == 0);
    for (uint32_t n = 0; n < 2; n++)
        CHECK(buf_append(out, slice(block, body_block_len(&shape, n))) == 0);
}

static void good_package(struct buf *out)
{
    msg_ExportPackage m;
    struct buf body CLEANUP(buf_free) = buf(FILE_MAX);
    struct id content;
    good_body(&body, &content);
    memcpy(m.content, content.bytes, ID_BYTES);
    put_head(out, "HEARTHP1", msg_ExportPackage_fields, &m);
    CHECK(buf_append(out, buf_slice(&body)) == 0);
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

/* ---- writing ------------------------------------------------------------------------------------------------- */

/* How a package is written: bits of a choice. */
enum { WHERE = 3, BODY = 3 << 2, NOT_TO_THE_END = 16, WITH_CERTIFICATE = 32 };
enum where { IN_PLACE, NO_DIRECTORY, NAME_TOO_LONG, OVER_A_DIRECTORY };
enum body { BODY_GOOD, BODY_NONE, BODY_LINK, BODY_EDITED };

struct stage {
    struct opener *opener;
    char dir[64], body[96], link[96], package[3 * MEDIUM_PATH_BYTES], certificate[MEDIUM_PATH_BYTES];
};

/* The process that opens files is started once; the directory, without a disk behind it where there is such a place, is made anew. */
static void stage_start(struct stage *s)
{
    static struct opener *started;
    if (!started)
        CHECK(opener_new(&started, HELPER_PATIENCE_MS) == 0);
    s->opener = started;
    snprintf(s->dir, sizeof(s->dir), "%s/hearth-fuzz-XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    CHECK(mkdtemp(s->dir));
    snprintf(s->body, sizeof(s->body), "%s/body", s->dir);
    snprintf(s->link, sizeof(s->link), "%s/link", s->dir);
    CHECK(symlink(s->body, s->link) == 0);
}

static void stage_place(struct stage *s, enum where where)
{
    static char long_name[2 * MEDIUM_PATH_BYTES];
    memset(long_name, 'a', sizeof(long_name) - 1);
    snprintf(s->package, sizeof(s->package), "%s%s/%s" MEDIUM_PACKAGE, s->dir, where == NO_DIRECTORY ? "/none" : "",
             where == NAME_TOO_LONG ? long_name : "song");
    snprintf(s->certificate, sizeof(s->certificate), "%s%s/song" MEDIUM_CERTIFICATE, s->dir,
             where == NO_DIRECTORY ? "/none" : "");
    if (where == OVER_A_DIRECTORY)
        CHECK(mkdir(s->package, 0755) == 0 && mkdir(s->certificate, 0755) == 0);
}

static void stage_end(struct stage *s)
{
    const char *const left[] = { s->body, s->link, s->package, s->certificate };
    for (size_t i = 0; i < ARRAY_COUNT(left); i++)
        (void)remove(left[i]);
    CHECK(rmdir(s->dir) == 0); /* nothing else was left */
}

static void check_why(int error, const char *dir)
{
    char detail[256], whole[256];
    enum reason why = medium_why(error, dir, detail, sizeof(detail));
    CHECK(why > 0 && why < REASON_COUNT && strlen(detail) > 0 && strstr(detail, dir));
    CHECK(strcmp(text_safe(detail, whole, sizeof(whole)), detail) == 0);
}

static int write_package(struct stage *s, const char *body, const struct id *content, bool to_the_end)
{
    struct medium_writer w;
    medium_writer_init(&w, s->opener);
    int r = medium_write_begin(&w, s->package, body, content);
    while (r == 0 && w.done_bytes < w.total_bytes)
        r = medium_write_step(&w);
    if (r == 0 && to_the_end)
        r = medium_write_end(&w);
    else if (r == 0)
        r = -ECANCELED;
    medium_writer_deinit(&w);
    return r;
}

static struct slice file_of(struct stage *s, const char *path, struct buf *out)
{
    int fd = -1;
    CHECK(medium_open(s->opener, path, &fd) == 0 && fd >= 0);
    close(fd);
    CHECK(file_read(path, out) == 0);
    return buf_slice(out);
}

static void write_certificate(struct stage *s, enum where where)
{
    struct buf made CLEANUP(buf_free) = buf(FILE_MAX), found CLEANUP(buf_free) = buf(FILE_MAX);
    msg_ExportCertificate m;
    good_certificate(world_get(), &made);
    int fd = make_file(buf_slice(&made));
    CHECK(medium_read_certificate(fd, &m) == 0);
    close(fd);
    int r = medium_write_certificate(s->opener, s->certificate, &m);
    CHECK((r == 0) == (where == IN_PLACE || where == NAME_TOO_LONG));
    if (r == 0)
        CHECK(slice_equal(file_of(s, s->certificate, &found), buf_slice(&made)));
    if (where == OVER_A_DIRECTORY) { /* what was written in part lies there still */
        char part[MEDIUM_PATH_BYTES + 8];
        snprintf(part, sizeof(part), "%s.part", s->certificate);
        CHECK(remove(part) == 0);
    }
}

static void write_files(struct input *in)
{
    struct stage s;
    uint8_t how = input_u8(in), error = input_u8(in);
    enum where where = (enum where)(how & WHERE);
    enum body body = (enum body)((how & BODY) >> 2);
    struct buf bytes CLEANUP(buf_free) = buf(FILE_MAX), package CLEANUP(buf_free) = buf(FILE_MAX);
    struct id content;
    stage_start(&s);
    stage_place(&s, where);
    good_body(&bytes, &content);
    for (int i = 0; body == BODY_EDITED && i < EDITS_MAX && in->rest.len > 0; i++)
        input_edit(in, &bytes);
    if (body != BODY_NONE)
        CHECK(file_replace(s.body, buf_slice(&bytes), 0600) == 0);
    bool good = where == IN_PLACE && body != BODY_NONE && body != BODY_LINK && !(how & NOT_TO_THE_END);
    int r = write_package(&s, body == BODY_LINK ? s.link : s.body, &content, !(how & NOT_TO_THE_END));
    CHECK((r == 0) == good && r <= 0);
    if (r == 0)
        read_package(file_of(&s, s.package, &package));
    else
        check_why(r, s.dir);
    check_why(-(int)error, s.dir);
    CHECK((medium_look(s.opener, where == NO_DIRECTORY ? s.package : s.dir) == 0) == (where != NO_DIRECTORY));
    int fd = -1;
    CHECK(medium_open(s.opener, s.link, &fd) != 0 && fd < 0); /* no link, and nothing that is none of ours */
    CHECK(body == BODY_NONE || medium_open(s.opener, s.body, &fd) == REASON_MALFORMED);
    if (how & WITH_CERTIFICATE)
        write_certificate(&s, where);
    stage_end(&s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = input(data, size);
    uint8_t mode = input_u8(&in) % 5;
    struct buf file CLEANUP(buf_free) = buf(FILE_MAX);
    if (mode == 4) {
        write_files(&in);
        return 0;
    }
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
