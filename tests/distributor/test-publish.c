/* Publishing: bodies, media types, tags. What is encrypted is opened again in test-purchase. */
#include "town.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/file.h"
#include "distributor/publish.h"

static struct town town;
static char path[128];

static int set_up(void **state)
{
    (void)state;
    town_init(&town);
    snprintf(path, sizeof(path), "%s/song.flac", town.a.dir);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    town_deinit(&town);
    return 0;
}

static void write_file(size_t bytes, uint8_t value)
{
    struct buf b CLEANUP(buf_free) = buf(1 << 22);
    assert_int_equal(buf_reserve(&b, bytes + 1), 0);
    memset(b.data, value, bytes);
    b.len = bytes;
    assert_int_equal(file_replace(path, buf_slice(&b), 0600), 0);
}

static size_t files_in_bodies(void)
{
    char dir[128];
    size_t count = 0;
    snprintf(dir, sizeof(dir), "%s/bodies", town.a.dir);
    DIR *d = opendir(dir);
    assert_non_null(d);
    for (struct dirent *e; (e = readdir(d));)
        count += e->d_name[0] != '.';
    closedir(d);
    return count;
}

struct meddling {
    uint64_t last;
    bool change;
};

static void on_progress(void *ctx, uint64_t done, uint64_t all)
{
    struct meddling *m = ctx;
    assert_true(done >= m->last && done <= all);
    m->last = done;
    if (m->change && done > all / 2) {
        m->change = false;
        FILE *f = fopen(path, "r+"); /* the same size, other bytes, while it is encrypted */
        assert_non_null(f);
        assert_int_equal(fseek(f, 550000, SEEK_SET), 0);
        assert_int_equal(fputc(9, f), 9);
        fclose(f);
    }
}

static int publish(struct meddling *m, struct content_new *n)
{
    struct publish p = { .path = path, .now_ms = town.now_ms, .on_progress = on_progress, .ctx = m };
    uint8_t hash[32];
    assert_int_equal(tags_read(path, &p.tags), 0);
    assert_string_equal(p.tags.title, "song");
    int r = publish_hash(&p, hash);
    return r == 0 ? publish_body(town.a.o, &p, hash, n) : r;
}

static void sizes_around_a_block(void **state)
{
    (void)state;
    static const size_t sizes[] = { 1, 262143, 262144, 262145, 600000 };
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        struct content_new n CLEANUP(content_new_wipe) = { 0 };
        struct meddling m = { 0 };
        write_file(sizes[i], (uint8_t)i);
        assert_int_equal(publish(&m, &n), 0);
        assert_int_equal(m.last, 2 * sizes[i]);
        assert_int_equal(n.content.plain_bytes, sizes[i]);
        assert_int_equal(files_in_bodies(), i + 1);
        struct transaction t CLEANUP(transaction_end) = { 0 };
        struct content found;
        assert_int_equal(contents_find_file(town.a.o, n.file_hash, &found), OPERATIONS_ABSENT);
        assert_int_equal(transaction_begin(&t, town.a.o->store), 0);
        assert_int_equal(contents_add(town.a.o, &n), 0);
        assert_int_equal(transaction_commit(&t), 0);
        assert_int_equal(contents_find_file(town.a.o, n.file_hash, &found), 0);
        assert_true(id_equal(&found.id, &n.content.id));
        struct content_halves halves CLEANUP(content_halves_wipe);
        assert_int_equal(contents_halves(town.a.o, &found.id, &halves), 0);
        assert_memory_equal(&halves.header, &n.header_half, 32);
    }
}

static void what_fails_leaves_no_file(void **state)
{
    (void)state;
    struct content_new n CLEANUP(content_new_wipe) = { 0 };
    struct meddling m = { 0 };
    write_file(0, 0);
    assert_int_equal(publish(&m, &n), PUBLISH_EMPTY);
    write_file(600000, 1);
    m = (struct meddling){ .change = true };
    assert_int_equal(publish(&m, &n), PUBLISH_CHANGED);
    assert_int_equal(files_in_bodies(), 0);
    struct publish p = { .path = "/nowhere/at/all" };
    uint8_t hash[32];
    assert_int_equal(publish_hash(&p, hash), -ENOENT);
    p.path = town.a.dir;
    assert_int_equal(publish_hash(&p, hash), -EINVAL); /* a directory */
}

static void media_types(void **state)
{
    (void)state;
    static const struct {
        const char *head;
        size_t len;
        const char *name, *type;
    } cases[] = {
        { "fLaC\0", 5, "a.mp3", "audio/flac" }, /* content before name */
        { "OggS....OpusHead", 16, "a", "audio/ogg" },
        { "OggS....\x80theora", 15, "a.ogg", "video/ogg" },
        { "RIFF....WAVEfmt ", 16, "a", "audio/wav" },
        { "RIFF....AVI LIST", 16, "a", "video/x-msvideo" },
        { "....ftypM4A ", 12, "a", "audio/mp4" },
        { "....ftypisom", 12, "a", "video/mp4" },
        { "....ftypisom", 12, "a.m4a", "audio/mp4" },
        { "\x1a\x45\xdf\xa3.....webm", 13, "a.mkv", "video/webm" },
        { "\x1a\x45\xdf\xa3.....matroska", 17, "a", "video/x-matroska" },
        { "ID3\4", 4, "a", "audio/mpeg" },
        { "\xff\xfb\x90", 3, "a", "audio/mpeg" },
        { "\xff\xf1\x50", 3, "a", "audio/aac" },
        { "FORM....AIFF", 12, "a", "audio/aiff" },
        { "something", 9, "a.MKV", "video/x-matroska" },
        { "something", 9, "a.xyz", "application/octet-stream" },
        { "", 0, "nothing", "application/octet-stream" },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char type[64];
        tags_media_type(slice(cases[i].head, cases[i].len), cases[i].name, type);
        assert_string_equal(type, cases[i].type);
        bool is_media = cases[i].len > 0 && strcmp(cases[i].head, "something") != 0;
        assert_int_equal(tags_is_media(slice(cases[i].head, cases[i].len)), is_media);
    }
}

static void folding(void **state)
{
    (void)state;
    char out[32];
    contents_fold("TRÄUMEREI Ω", out, sizeof(out));
    assert_string_equal(out, "träumerei ω");
    contents_fold("A\xff\x80Z", out, sizeof(out)); /* not UTF-8: kept as it is */
    assert_string_equal(out, "a\xff\x80z");
    contents_fold("ÄÄÄÄ", out, 4); /* cut at a character */
    assert_string_equal(out, "ä");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(sizes_around_a_block, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_fails_leaves_no_file, set_up, tear_down),
        cmocka_unit_test(media_types),
        cmocka_unit_test(folding),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
