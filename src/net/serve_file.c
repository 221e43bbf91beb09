/* A body file as it lies on the disk: everything before the blocks, checked against its name. Blocking; pool threads. */
#include <stdlib.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/util.h"
#include "crypto/merkle.h"
#include "net/serve.h"
#include "protocol/documents.h"

static int read_info(int fd, uint64_t base, struct serve_file *f)
{
    uint8_t head[12];
    int r = file_pread_all(fd, head, sizeof(head), base);
    if (r != 0)
        return r == -EIO ? REASON_BLOCK_CORRUPT : r;
    size_t len = get_be32(head + 8);
    if (memcmp(head, BODY_MAGIC, 8) != 0 || len == 0 || len > BODY_INFO_MAX)
        return REASON_BLOCK_CORRUPT;
    f->info = buf(BODY_INFO_MAX);
    r = buf_reserve(&f->info, len);
    if (r != 0)
        return r;
    r = file_pread_all(fd, f->info.data, len, base + sizeof(head));
    f->info.len = len;
    return r == -EIO ? REASON_BLOCK_CORRUPT : r;
}

static int read_shape(int fd, uint64_t base, struct serve_file *f)
{
    doc_ContentInfo info;
    int r = CODEC_DECODE(doc_ContentInfo, buf_slice(&f->info), &info);
    if (r < 0)
        return r;
    if (r > 0 || body_shape_init(&f->shape, info.plain_bytes, info.block_bytes, f->info.len) != 0)
        return REASON_BLOCK_CORRUPT;
    struct stat st;
    if (fstat(fd, &st) != 0)
        return -errno;
    return st.st_size >= 0 && (uint64_t)st.st_size == base + body_file_bytes(&f->shape) ? 0 : REASON_BLOCK_CORRUPT;
}

static int read_list(int fd, uint64_t base, struct serve_file *f)
{
    size_t len = (size_t)f->shape.block_count * MERKLE_HASH_BYTES;
    f->list = malloc(len);
    if (!f->list)
        return -ENOMEM;
    int r = file_pread_all(fd, f->list, len, base + body_list_offset(&f->shape));
    if (r != 0)
        return r == -EIO ? REASON_BLOCK_CORRUPT : r;
    merkle_root(f->list, f->shape.block_count, f->list_root);
    return 0;
}

int serve_file_read_at(int fd, uint64_t base, const struct id *content, struct serve_file *out)
{
    struct serve_file f CLEANUP(serve_file_deinit) = { .list = NULL };
    int r = read_info(fd, base, &f);
    if (r == 0)
        r = read_shape(fd, base, &f);
    if (r == 0)
        r = read_list(fd, base, &f);
    if (r != 0)
        return r;
    doc_ContentInfo info;
    struct id named;
    r = info_judge(buf_slice(&f.info), f.list_root, &info, &named);
    if (r != 0)
        return r < 0 ? r : REASON_BLOCK_CORRUPT;
    if (!id_equal(&named, content))
        return REASON_CONTENT_ID_MISMATCH;
    *out = f;
    f = (struct serve_file){ .list = NULL };
    return 0;
}

int serve_file_read(int fd, const struct id *content, struct serve_file *out)
{
    return serve_file_read_at(fd, 0, content, out);
}

void serve_file_deinit(struct serve_file *f)
{
    buf_free(&f->info);
    free(steal(&f->list));
}
