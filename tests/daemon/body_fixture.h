/* A body for tests of bodies and their transfer: its parts in memory, and its file in a fresh directory. */
#ifndef TESTS_DAEMON_BODY_FIXTURE_H
#define TESTS_DAEMON_BODY_FIXTURE_H

#include "net/bodies.h"

struct body_fixture {
    char dir[64]; /* bodies/ of the source */
    struct id content;
    struct body_shape shape;
    struct buf info;
    uint8_t *blocks; /* one after the other, as in the file */
    uint8_t *list, list_root[32];
};
void body_fixture_init(struct body_fixture *b, uint64_t plain_bytes, uint32_t block_bytes); /* writes the file */
void body_fixture_deinit(struct body_fixture *b);
struct slice body_fixture_block(const struct body_fixture *b, uint32_t index);
void fresh_dir(char out[64]);
void remove_dir(const char *dir); /* with the files in it */
/* Flips one bit of a file. */
void damage(const char *path, uint64_t offset);

#endif
