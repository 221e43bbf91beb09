/* Bodies for tests: random blocks, real hashes, a real file. */
#include "body_fixture.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/file.h"
#include "base/rng.h"
#include "base/util.h"
#include "crypto/merkle.h"
#include "protocol/documents.h"

static void must(int r)
{
    if (r == 0)
        return;
    (void)fprintf(stderr, "body fixture: %d\n", r);
    abort();
}

void fresh_dir(char out[64])
{
    (void)snprintf(out, 64, "%s/hearth-bodies-XXXXXX", "/tmp");
    must(mkdtemp(out) == NULL ? -errno : 0);
}

void remove_dir(const char *dir)
{
    DIR *d = opendir(dir);
    struct dirent *e;
    char path[512];
    while (d != NULL && (e = readdir(d)) != NULL)
        if (e->d_name[0] != '.' && snprintf(path, sizeof(path), "%s/%s", dir, e->d_name) < (int)sizeof(path))
            (void)unlink(path);
    if (d != NULL)
        closedir(d);
    (void)rmdir(dir);
}

void damage(const char *path, uint64_t offset)
{
    uint8_t byte;
    int fd CLEANUP(closep) = open(path, O_RDWR);
    must(fd < 0 ? -errno : 0);
    must(file_pread_all(fd, &byte, 1, offset));
    byte ^= 1;
    must(file_pwrite_all(fd, &byte, 1, offset));
}

struct slice body_fixture_block(const struct body_fixture *b, uint32_t index)
{
    uint64_t at = body_block_offset(&b->shape, index) - body_block_offset(&b->shape, 0);
    return slice(b->blocks + at, body_block_len(&b->shape, index));
}

static void write_file(const struct body_fixture *b)
{
    char path[BODIES_PATH_BYTES];
    uint8_t head[12];
    must(bodies_path(b->dir, &b->content, BODIES_BODY, path));
    int fd CLEANUP(closep) = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
    must(fd < 0 ? -errno : 0);
    memcpy(head, BODY_MAGIC, 8);
    put_be32(head + 8, (uint32_t)b->info.len);
    must(file_pwrite_all(fd, head, sizeof(head), 0));
    must(file_pwrite_all(fd, b->info.data, b->info.len, sizeof(head)));
    must(file_pwrite_all(fd, b->list, (size_t)b->shape.block_count * 32, body_list_offset(&b->shape)));
    uint64_t first = body_block_offset(&b->shape, 0);
    must(file_pwrite_all(fd, b->blocks, body_file_bytes(&b->shape) - first, first));
}

void body_fixture_init(struct body_fixture *b, uint64_t plain_bytes, uint32_t block_bytes)
{
    uint32_t count = (uint32_t)((plain_bytes - 1) / block_bytes + 1);
    doc_ContentInfo info = { .plain_bytes = plain_bytes, .block_bytes = block_bytes, .block_count = count };
    CODEC_SET_TEXT(info.media_type, "audio/flac");
    CODEC_SET_TEXT(info.title, "Fixture");
    memset(b, 0, sizeof(*b));
    b->info = buf(BODY_INFO_MAX);
    must(CODEC_ENCODE(doc_ContentInfo, &b->info, &info));
    must(body_shape_init(&b->shape, plain_bytes, block_bytes, b->info.len));
    size_t bytes = body_file_bytes(&b->shape) - body_block_offset(&b->shape, 0);
    b->blocks = malloc(bytes);
    b->list = malloc((size_t)count * 32);
    must(b->blocks == NULL || b->list == NULL ? -ENOMEM : 0);
    struct rng_fake dice;
    rng_fake_init(&dice, plain_bytes);
    rng_fill(&dice.rng, b->blocks, bytes);
    for (uint32_t i = 0; i < count; i++)
        block_hash(body_fixture_block(b, i), b->list + (size_t)i * 32);
    merkle_root(b->list, count, b->list_root);
    body_content_id(buf_slice(&b->info), b->list_root, &b->content);
    fresh_dir(b->dir);
    write_file(b);
}

void body_fixture_deinit(struct body_fixture *b)
{
    remove_dir(b->dir);
    buf_free(&b->info);
    free(b->blocks);
    free(b->list);
}
