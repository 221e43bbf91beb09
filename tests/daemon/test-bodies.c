/* Part files, resume maps and body files: what is believed after a kill, a power loss, and damage. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/util.h"
#include "../base/recorded-syncs.h"
#include "body_fixture.h"
#include "protocol/receive.h"

#define BLOCK 65536u
#define COUNT 20u /* over the size below which there is no map */

struct place {
    struct body_fixture body;
    char dir[64];
    struct body_part part;
    uint8_t have[COUNT];
};
static struct place p;

static int setup(void **state)
{
    (void)state;
    body_fixture_init(&p.body, (COUNT - 1) * BLOCK + 7, BLOCK);
    fresh_dir(p.dir);
    body_part_init(&p.part);
    return 0;
}
static int teardown(void **state)
{
    (void)state;
    body_part_deinit(&p.part);
    remove_dir(p.dir);
    body_fixture_deinit(&p.body);
    return 0;
}

static int prepare(void)
{
    body_part_deinit(&p.part);
    memset(p.have, 0xee, sizeof(p.have));
    return body_part_prepare(&p.part, p.dir, &p.body.content, &p.body.shape, buf_slice(&p.body.info), p.body.list,
                             p.have);
}
static void write_blocks(uint32_t first, uint32_t count)
{
    for (uint32_t i = first; i < first + count; i++)
        assert_int_equal(body_part_write(&p.part, i, body_fixture_block(&p.body, i)), 0);
}
static void sync_blocks(uint32_t first, uint32_t count)
{
    uint8_t marks[COUNT] = { 0 };
    memset(marks + first, RECEIVE_AT_SYNC, count);
    assert_int_equal(body_part_sync(&p.part, marks, RECEIVE_AT_SYNC), 0);
}
static void expect_marks(uint32_t first, uint32_t count, uint8_t mark)
{
    for (uint32_t i = first; i < first + count; i++)
        assert_int_equal(p.have[i], mark);
}
static const char *path_of(enum bodies_suffix suffix)
{
    static char path[BODIES_PATH_BYTES];
    assert_int_equal(bodies_path(p.dir, &p.body.content, suffix, path), 0);
    return path;
}

static void becomes_a_body(void **state)
{
    (void)state;
    struct serve_file file = { .list = NULL };
    assert_int_equal(prepare(), 0);
    expect_marks(0, COUNT, RECEIVE_MISSING);
    write_blocks(0, COUNT);
    sync_blocks(0, COUNT);
    assert_int_equal(bodies_complete(p.dir, &p.body.content, &file), REASON_NOT_FOUND);
    assert_int_equal(body_part_finish(&p.part), 0);
    assert_int_equal(bodies_complete(p.dir, &p.body.content, &file), 0);
    assert_memory_equal(file.list_root, p.body.list_root, 32);
    serve_file_deinit(&file);
    assert_int_equal(access(path_of(BODIES_PART), F_OK), -1);
    assert_int_equal(access(path_of(BODIES_MAP), F_OK), -1);
    struct buf a CLEANUP(buf_free) = buf(4 << 20), b CLEANUP(buf_free) = buf(4 << 20);
    char source[BODIES_PATH_BYTES];
    assert_int_equal(bodies_path(p.body.dir, &p.body.content, BODIES_BODY, source), 0);
    assert_int_equal(file_read(path_of(BODIES_BODY), &a), 0);
    assert_int_equal(file_read(source, &b), 0);
    assert_true(slice_equal(buf_slice(&a), buf_slice(&b))); /* byte for byte */
    struct stat st;
    assert_int_equal(stat(path_of(BODIES_BODY), &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
}

/* Nothing is marked as synced, and no body gets its name, before its bytes are on the disk; and the name is, before anybody hears of it. */
static void a_name_comes_after_the_bytes(void **state)
{
    (void)state;
    assert_int_equal(prepare(), 0);
    write_blocks(0, COUNT);
    record_syncs_anew();
    sync_blocks(0, COUNT);
    assert_string_equal(recorded_syncs, "F");
    assert_int_equal(prepare(), 0); /* killed here: the next process writes the head once more, and has every block */
    expect_marks(0, COUNT, RECEIVE_SYNCED);
    record_syncs_anew();
    assert_int_equal(body_part_finish(&p.part), 0);
    assert_string_equal(recorded_syncs, "FRD");
}

static void a_kill_keeps_what_was_written(void **state)
{
    (void)state;
    assert_int_equal(prepare(), 0);
    write_blocks(0, 5);
    sync_blocks(0, 3);
    assert_int_equal(prepare(), 0); /* as the next process does */
    expect_marks(0, 3, RECEIVE_SYNCED);
    expect_marks(3, 2, RECEIVE_WRITTEN);
    expect_marks(5, COUNT - 5, RECEIVE_MISSING);
    struct serve_file file = { .list = NULL };
    assert_int_equal(body_part_load(p.dir, &p.body.content, &file),
                     0); /* information and list need not be asked for again */
    serve_file_deinit(&file);
}

static void a_power_loss_keeps_what_was_synced(void **state)
{
    (void)state;
    assert_int_equal(prepare(), 0);
    write_blocks(0, 5);
    sync_blocks(0, 3);
    damage(path_of(BODIES_MAP), 40); /* another boot */
    assert_int_equal(prepare(), 0);
    expect_marks(0, 3, RECEIVE_SYNCED);
    expect_marks(3, COUNT - 3, RECEIVE_MISSING);
    /* And what was dropped does not come back under the new boot's ID. */
    assert_int_equal(prepare(), 0);
    expect_marks(3, COUNT - 3, RECEIVE_MISSING);
}

struct map_case {
    const char *name;
    uint64_t offset; /* damaged; UINT64_MAX: cut in half */
};
static const struct map_case map_cases[] = {
    { "magic", 0 }, { "content", 8 }, { "block count", 59 }, { "block bytes", 63 }, { "cut", UINT64_MAX },
};

static void a_foreign_map_is_not_believed(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(map_cases); i++) {
        assert_int_equal(prepare(), 0);
        write_blocks(0, COUNT);
        sync_blocks(0, COUNT);
        if (map_cases[i].offset == UINT64_MAX)
            assert_int_equal(truncate(path_of(BODIES_MAP), 70), 0);
        else
            damage(path_of(BODIES_MAP), map_cases[i].offset);
        assert_int_equal(prepare(), 0);
        for (uint32_t b = 0; b < COUNT; b++)
            if (p.have[b] != RECEIVE_MISSING)
                fail_msg("%s", map_cases[i].name);
    }
    /* A mark that nobody writes. */
    assert_int_equal(prepare(), 0);
    sync_blocks(0, COUNT);
    damage(path_of(BODIES_MAP), 64 + 2);
    assert_int_equal(prepare(), 0);
    assert_int_equal(p.have[2], RECEIVE_MISSING);
    assert_int_equal(p.have[3], RECEIVE_SYNCED);
}

static void a_part_of_another_size_starts_anew(void **state)
{
    (void)state;
    assert_int_equal(prepare(), 0);
    write_blocks(0, COUNT);
    sync_blocks(0, COUNT);
    assert_int_equal(truncate(path_of(BODIES_PART), 100), 0);
    assert_int_equal(prepare(), 0);
    expect_marks(0, COUNT, RECEIVE_MISSING);
}

static void a_link_is_not_followed(void **state)
{
    (void)state;
    char target[128];
    (void)snprintf(target, sizeof(target), "%s/elsewhere", p.dir);
    assert_int_equal(symlink(target, path_of(BODIES_PART)), 0);
    assert_true(prepare() < 0);
    assert_int_equal(access(target, F_OK), -1);
}

/* Damage before the blocks is found when the file is opened; what its blocks are worth shows when the list is known. */
static void a_damaged_head_is_found(void **state)
{
    (void)state;
    const uint64_t offsets[] = {
        0, 8, 11, 12, 40, body_list_offset(&p.body.shape), body_block_offset(&p.body.shape, 0) - 1
    };
    for (size_t i = 0; i < ARRAY_COUNT(offsets); i++) {
        struct serve_file file = { .list = NULL };
        assert_int_equal(prepare(), 0);
        write_blocks(0, COUNT);
        sync_blocks(0, COUNT);
        assert_int_equal(body_part_finish(&p.part), 0);
        damage(path_of(BODIES_BODY), offsets[i]);
        assert_true(bodies_complete(p.dir, &p.body.content, &file) > 0);
        assert_int_equal(bodies_complete(p.dir, &p.body.content, &file), REASON_NOT_FOUND);
        assert_int_equal(prepare(), 0);
        expect_marks(0, COUNT, RECEIVE_WRITTEN);
    }
}

static void make_body(void)
{
    assert_int_equal(prepare(), 0);
    write_blocks(0, COUNT);
    sync_blocks(0, COUNT);
    assert_int_equal(body_part_finish(&p.part), 0);
    assert_int_equal(bodies_verify(p.dir, &p.body.content), 0);
}

/* Any byte of a block; the file keeps its name, and the other blocks count. */
static void a_damaged_block_is_mended_in_its_place(void **state)
{
    (void)state;
    const uint32_t damaged[] = { 0, 7, COUNT - 1 };
    make_body();
    for (size_t i = 0; i < ARRAY_COUNT(damaged); i++) {
        struct serve_file file = { .list = NULL };
        uint32_t n = damaged[i];
        damage(path_of(BODIES_BODY), body_block_offset(&p.body.shape, n) + body_block_len(&p.body.shape, n) - 1);
        assert_int_equal(bodies_verify(p.dir, &p.body.content), REASON_BLOCK_CORRUPT);
        assert_int_equal(bodies_complete(p.dir, &p.body.content, &file), 0); /* up to the blocks it is */
        serve_file_deinit(&file);
        assert_int_equal(prepare(), 0);
        for (uint32_t b = 0; b < COUNT; b++)
            assert_int_equal(p.have[b], b == n ? RECEIVE_MISSING : RECEIVE_WRITTEN);
        assert_int_equal(access(path_of(BODIES_PART), F_OK), -1);
        assert_int_equal(access(path_of(BODIES_BODY), F_OK), 0);
        write_blocks(n, 1);
        record_syncs_anew();
        sync_blocks(n, 1);
        assert_int_equal(body_part_finish(&p.part), 0);
        assert_string_equal(recorded_syncs, "F");
        assert_int_equal(bodies_verify(p.dir, &p.body.content), 0);
    }
}

static void a_body_that_was_cut_is_no_body(void **state)
{
    (void)state;
    make_body();
    assert_int_equal(truncate(path_of(BODIES_BODY), (off_t)body_block_offset(&p.body.shape, 3)), 0);
    assert_int_equal(bodies_verify(p.dir, &p.body.content), REASON_BLOCK_CORRUPT);
    struct serve_file file = { .list = NULL };
    assert_true(bodies_complete(p.dir, &p.body.content, &file) > 0);
    assert_int_equal(bodies_verify(p.dir, &p.body.content), REASON_NOT_FOUND);
}

static void small_bodies_have_no_map(void **state)
{
    (void)state;
    struct body_fixture small;
    uint8_t have[1], marks[1] = { RECEIVE_AT_SYNC };
    char map[BODIES_PATH_BYTES];
    body_fixture_init(&small, 4000, 4096);
    struct body_part part;
    body_part_init(&part);
    assert_int_equal(
        body_part_prepare(&part, p.dir, &small.content, &small.shape, buf_slice(&small.info), small.list, have), 0);
    assert_int_equal(body_part_write(&part, 0, body_fixture_block(&small, 0)), 0);
    assert_int_equal(body_part_sync(&part, marks, RECEIVE_AT_SYNC), 0);
    assert_int_equal(bodies_path(p.dir, &small.content, BODIES_MAP, map), 0);
    assert_int_equal(access(map, F_OK), -1);
    assert_int_equal(body_part_finish(&part), 0);
    struct serve_file file = { .list = NULL };
    assert_int_equal(bodies_complete(p.dir, &small.content, &file), 0);
    serve_file_deinit(&file);
    assert_int_equal(bodies_remove(p.dir, &small.content), 0);
    assert_int_equal(bodies_complete(p.dir, &small.content, &file), REASON_NOT_FOUND);
    assert_int_equal(bodies_remove(p.dir, &small.content), 0); /* again */
    body_fixture_deinit(&small);
}

/* A fetch and a download of the same content: whoever is first gives the name, and the other one has what it wanted. */
static void two_at_a_time(void **state)
{
    (void)state;
    static const uint64_t sizes[] = { 4000, (COUNT - 1) * BLOCK };
    for (size_t i = 0; i < ARRAY_COUNT(sizes); i++) {
        struct body_fixture b;
        uint8_t have[COUNT];
        struct body_part parts[2];
        body_fixture_init(&b, sizes[i], BLOCK);
        for (size_t k = 0; k < 2; k++) {
            body_part_init(&parts[k]);
            assert_int_equal(
                body_part_prepare(&parts[k], p.dir, &b.content, &b.shape, buf_slice(&b.info), b.list, have), 0);
            for (uint32_t n = 0; n < b.shape.block_count; n++)
                assert_int_equal(body_part_write(&parts[k], n, body_fixture_block(&b, n)), 0);
        }
        assert_int_equal(body_part_finish(&parts[0]), 0);
        assert_int_equal(body_part_finish(&parts[1]), 0);
        assert_int_equal(bodies_verify(p.dir, &b.content), 0);
        body_fixture_deinit(&b);
    }
}

/* What was removed meanwhile is not there, though another one is. */
static void a_name_of_another_file(void **state)
{
    (void)state;
    char part[BODIES_PATH_BYTES], body[BODIES_PATH_BYTES];
    assert_int_equal(bodies_path(p.dir, &p.body.content, BODIES_PART, part), 0);
    assert_int_equal(bodies_path(p.dir, &p.body.content, BODIES_BODY, body), 0);
    assert_int_equal(prepare(), 0);
    write_blocks(0, COUNT);
    assert_int_equal(unlink(part), 0);
    assert_int_equal(body_part_rename(&p.part), -ENOENT);
    close(open(body, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    assert_int_equal(body_part_rename(&p.part), -ENOENT);
}

/* More than the file system has: said before anything is written. */
static void no_room(void **state)
{
    (void)state;
    struct body_shape huge;
    assert_int_equal(
        body_shape_init(&huge, (uint64_t)BLOCK_COUNT_MAX * BLOCK_PLAIN_MAX, BLOCK_PLAIN_MAX, p.body.info.len), 0);
    uint8_t *have = calloc(huge.block_count, 1), *list = calloc(huge.block_count, 32);
    assert_true(have && list);
    assert_int_equal(body_part_prepare(&p.part, p.dir, &p.body.content, &huge, buf_slice(&p.body.info), list, have),
                     -ENOSPC);
    free(have);
    free(list);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(becomes_a_body),
        TEST(a_name_comes_after_the_bytes),
        TEST(a_kill_keeps_what_was_written),
        TEST(a_power_loss_keeps_what_was_synced),
        TEST(a_foreign_map_is_not_believed),
        TEST(a_part_of_another_size_starts_anew),
        TEST(a_link_is_not_followed),
        TEST(a_damaged_head_is_found),
        TEST(a_damaged_block_is_mended_in_its_place),
        TEST(a_body_that_was_cut_is_no_body),
        TEST(small_bodies_have_no_map),
        TEST(two_at_a_time),
        TEST(a_name_of_another_file),
        TEST(no_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
