/* PLAY_OPEN and the players' channels, and TLS signatures. */
#include "cm.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/util.h"
#include "crypto/block.h"
#include "net/window.h"
#include "rig.h"

static struct rig rig;
static struct maker shop;
static struct content song;
static struct buf plain, text, document;

static int setup(void **state)
{
    (void)state;
    rig_init(&rig);
    maker_init(&shop, 1, "Shop");
    plain = buf(1 << 20);
    text = buf(1 << 20);
    document = buf(4096);
    for (uint32_t i = 0; i < 10000; i++)
        assert_int_equal(buf_put_u8(&text, (uint8_t)(i * 7 + i / 256)), 0);
    content_init(&song, &shop, 1, "audio/flac", buf_slice(&text), 4096);
    assert_int_equal(rig_register(&rig, &shop), 0);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    rig_deinit(&rig);
    content_deinit(&song);
    maker_deinit(&shop);
    buf_free(&plain);
    buf_free(&text);
    buf_free(&document);
    return 0;
}

static void blocks(void **state)
{
    (void)state;
    int fd;
    uint64_t play;
    struct channel player;
    assert_int_equal(rig_buy(&rig, &shop, &song, 5), 0);
    assert_int_equal(rig_play(&rig, &song, &fd, &play), 0);
    channel_init(&player, fd, 1 << 20);
    for (uint32_t i = 0; i < 3; i++)
        assert_int_equal(rig_open_block(&player, i, content_block(&song, i), &plain), 0);
    assert_true(slice_equal(buf_slice(&plain), buf_slice(&text)));
    buf_clear(&plain);
    assert_int_equal(rig_open_block(&player, 1, content_block(&song, 1), &plain), 0); /* any order */
    assert_true(slice_equal(buf_slice(&plain), slice_sub(buf_slice(&text), 4096, 4096)));

    struct buf bad = buf(8192);
    assert_int_equal(buf_append(&bad, content_block(&song, 1)), 0);
    assert_int_equal(rig_open_block(&player, 0, buf_slice(&bad), &plain), REASON_BLOCK_CORRUPT); /* out of its place */
    for (size_t i = 0; i < bad.len; i += 97) {
        bad.data[i] ^= 4;
        assert_int_equal(rig_open_block(&player, 1, buf_slice(&bad), &plain), REASON_BLOCK_CORRUPT);
        bad.data[i] ^= 4;
    }
    assert_int_equal(rig_open_block(&player, 2, buf_slice(&bad), &plain), REASON_BLOCK_CORRUPT);
    assert_int_equal(rig_open_block(&player, 3, buf_slice(&bad), &plain), REASON_MALFORMED); /* there is none */
    assert_int_equal(rig_open_block(&player, 1, buf_slice(&bad), &plain), 0);
    buf_free(&bad);
    assert_int_equal(rig_play_close(&rig, play), 0);
    assert_int_equal(rig_open_block(&player, 0, content_block(&song, 0), &plain), -EPIPE);
    assert_int_equal(rig_play_close(&rig, play), 0);
    channel_deinit(&player);
}

static int memory(off_t bytes, int seals)
{
    int fd = memfd_create("window", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    assert_true(fd >= 0 && ftruncate(fd, bytes) == 0 && fcntl(fd, F_ADD_SEALS, seals) == 0);
    return fd;
}

static int only_to_read(int fd)
{
    char path[32];
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    int again = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(again >= 0);
    close(fd);
    return again;
}

static int on_disk(off_t bytes)
{
    FILE *f = tmpfile();
    assert_non_null(f);
    int fd = dup(fileno(f));
    assert_true(fd >= 0 && ftruncate(fd, bytes) == 0);
    fclose(f);
    return fd;
}

static int a_pipe(void)
{
    int ends[2];
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    close(ends[0]);
    return ends[1];
}

static void windows_that_are_none(void **state)
{
    (void)state;
    enum { BYTES = 2 * 4096 + BLOCK_OVERHEAD_BYTES };
    struct channel player;
    struct window window;
    int end, good;
    assert_int_equal(rig_buy(&rig, &shop, &song, 5), 0);
    assert_int_equal(rig_play(&rig, &song, &end, &(uint64_t){ 0 }), 0);
    channel_init(&player, end, 0);
    assert_int_equal(rig_ask_block(&player, 0), REASON_MALFORMED); /* none was given yet */
    int bad[] = {
        memory(BYTES, F_SEAL_GROW),
        memory(BYTES - 1, F_SEAL_SHRINK),
        memory(BYTES + 4096, F_SEAL_SHRINK),
        memory(0, F_SEAL_SHRINK),
        memory(BYTES, F_SEAL_SHRINK | F_SEAL_WRITE),
        only_to_read(memory(BYTES, F_SEAL_SHRINK)),
        on_disk(BYTES),
        a_pipe(),
    };
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        assert_int_equal(window_make(&window, 4096, &good), 0);
        memcpy(window.sealed, content_block(&song, 0).data, content_block(&song, 0).len);
        assert_int_equal(rig_give_window(&player, good), 0);
        assert_int_equal(rig_ask_block(&player, 0), 0);
        assert_memory_equal(window.plain, text.data, 4096);
        assert_int_equal(rig_give_window(&player, bad[i]), REASON_MALFORMED);
        assert_int_equal(rig_ask_block(&player, 0), REASON_MALFORMED); /* the one before has gone */
        window_wipe(&window);
        close(good);
        close(bad[i]);
    }
    channel_deinit(&player);
}

static void as_many_as_there_is_room_for(void **state)
{
    (void)state;
    int fds[4], extra;
    uint64_t plays[4];
    assert_int_equal(rig_buy(&rig, &shop, &song, 5), 0);
    for (int i = 0; i < 4; i++)
        assert_int_equal(rig_play(&rig, &song, &fds[i], &plays[i]), 0);
    assert_int_equal(rig_play(&rig, &song, &extra, NULL), REASON_IN_USE);
    /* A player that goes makes room; the vault notices by itself. */
    shutdown(fds[2], SHUT_WR);
    struct pollfd gone = { fds[2], POLLIN, 0 };
    assert_int_equal(poll(&gone, 1, 10000), 1);
    int r;
    do
        r = rig_play(&rig, &song, &extra, NULL);
    while (r == REASON_IN_USE); /* until its thread has ended: the runner's time limit bounds it */
    assert_int_equal(r, 0);
    for (int i = 0; i < 4; i++)
        close(fds[i]);
    close(extra);
}

static void needs_license_and_header(void **state)
{
    (void)state;
    doc_License l;
    doc_Header h;
    assert_int_equal(rig_play(&rig, &song, NULL, NULL), REASON_NO_LICENSE);
    maker_header(&shop, &song, &h);
    encode_header(&h, &document);
    assert_int_equal(rig_header(&rig, buf_slice(&document)), 0);
    assert_int_equal(rig_play(&rig, &song, NULL, NULL), REASON_NO_LICENSE);
    maker_license(&shop, &shop, &rig.self, &song, 5, &l);
    sign_into(&document, DOCUMENT_LICENSE, &l, &shop.license);
    assert_int_equal(rig_license(&rig, buf_slice(&document), slice(NULL, 0)), 0);
    assert_int_equal(rig_play(&rig, &song, NULL, NULL), 0);
    struct content second;
    content_init(&second, &shop, 2, "audio/flac", slice_str("x"), 4096);
    maker_license(&shop, &shop, &rig.self, &second, 6, &l);
    sign_into(&document, DOCUMENT_LICENSE, &l, &shop.license);
    assert_int_equal(rig_license(&rig, buf_slice(&document), slice(NULL, 0)), 0);
    assert_int_equal(rig_play(&rig, &second, NULL, NULL), REASON_NOT_FOUND);
    second.id.bytes[0] ^= 1;
    assert_int_equal(rig_play(&rig, &second, NULL, NULL), REASON_CONTENT_ID_MISMATCH);
    second.id.bytes[0] ^= 1;
    second.info_bytes.len--;
    assert_int_equal(rig_play(&rig, &second, NULL, NULL), REASON_MALFORMED);
    content_deinit(&second);
}

/* The device is its customer too, and may have told it the halves. */
static void another_distributor_licenses_nothing_of_the_publishers(void **state)
{
    (void)state;
    struct maker other;
    doc_License l;
    maker_init(&other, 9, "Other");
    assert_int_equal(rig_register(&rig, &other), 0);
    maker_license(&other, &other, &rig.self, &song, 5, &l);
    assert_int_equal(rig_give(&rig, &other, &song, &l), 0);
    assert_int_equal(rig_play(&rig, &song, NULL, NULL), REASON_NO_LICENSE);
    maker_license(&shop, &shop, &rig.self, &song, 5, &l);
    assert_int_equal(rig_give(&rig, &shop, &song, &l), 0);
    assert_int_equal(rig_play(&rig, &song, NULL, NULL), 0); /* and the foreign one is not in the way */
    maker_deinit(&other);
}

static void without_descriptor(void **state)
{
    (void)state;
    static vlt_PlayOpen ask;
    assert_int_equal(rig_buy(&rig, &shop, &song, 5), 0);
    memcpy(ask.content, song.id.bytes, 32);
    assert_int_equal(CODEC_SET_BYTES(ask.info, buf_slice(&song.info_bytes)), 0);
    memcpy(ask.list_root, song.list_root, 32);
    uint32_t id = rig_send(&rig, vlt_Type_PLAY_OPEN, vlt_PlayOpen_fields, &ask, slice(NULL, 0), -1);
    assert_int_equal(rig_receive(&rig, id, vlt_Type_PLAY_OPENED, NULL, 0, NULL, 0), REASON_MALFORMED);
}

static int buy_limited(uint64_t sequence, int64_t from_ms, int64_t until_ms)
{
    doc_License l;
    doc_Header h;
    struct buf header = buf(2048);
    maker_license(&shop, &shop, &rig.self, &song, sequence, &l);
    l.conditions.has_usage_from_ms = l.conditions.has_usage_until_ms = true;
    l.conditions.usage_from_ms = (uint64_t)from_ms;
    l.conditions.usage_until_ms = (uint64_t)until_ms;
    sign_into(&document, DOCUMENT_LICENSE, &l, &shop.license);
    maker_header(&shop, &song, &h);
    encode_header(&h, &header);
    int r = rig_license(&rig, buf_slice(&document), buf_slice(&header));
    buf_free(&header);
    return r;
}

static void usage_period(void **state)
{
    (void)state;
    int64_t now_ms = maker_now();
    assert_int_equal(buy_limited(5, now_ms - DAY_MS, now_ms - 1), 0);
    assert_int_equal(rig_play(&rig, &song, NULL, NULL), REASON_LICENSE_EXPIRED);
    assert_int_equal(buy_limited(6, now_ms + DAY_MS, now_ms + 2 * DAY_MS), 0);
    assert_int_equal(rig_play(&rig, &song, NULL, NULL), REASON_NOT_PERMITTED);
    assert_int_equal(buy_limited(7, now_ms - DAY_MS, now_ms + DAY_MS), 0);
    assert_int_equal(rig_play(&rig, &song, NULL, NULL), 0);
}

static void clock_turned_back(void **state)
{
    (void)state;
    int64_t now_ms = maker_now();
    struct content free_song;
    content_init(&free_song, &shop, 2, "audio/flac", slice_str("x"), 4096);
    assert_int_equal(buy_limited(5, now_ms - DAY_MS, now_ms + 10 * DAY_MS), 0);
    assert_int_equal(rig_buy(&rig, &shop, &free_song, 6), 0);
    maker_time(&shop, &rig.self, now_ms + 4 * 60 * 1000, &document); /* within what clocks may differ */
    assert_int_equal(rig_time(&rig, &shop, buf_slice(&document)), 0);
    assert_int_equal(rig_play(&rig, &song, NULL, NULL), 0);
    maker_time(&shop, &rig.self, now_ms + DAY_MS, &document); /* seen from there, our clock was turned back a day */
    assert_int_equal(rig_time(&rig, &shop, buf_slice(&document)), 0);
    assert_int_equal(rig_play(&rig, &song, NULL, NULL), 0);      /* but its distributor has just said what time it is */
    assert_int_equal(rig_play(&rig, &free_song, NULL, NULL), 0); /* no limit, no need to know the time */
    rig_kill(&rig);
    rig_start(&rig);
    assert_int_equal(rig_play(&rig, &song, NULL, NULL), REASON_CLOCK_UNTRUSTED);
    assert_int_equal(rig_play(&rig, &free_song, NULL, NULL), 0);
    content_deinit(&free_song);
}

/* The file is in the hands of whoever holds the device: altered rows are noticed. */
static void altered_license(void **state)
{
    (void)state;
    int64_t now_ms = maker_now();
    assert_int_equal(buy_limited(5, now_ms - DAY_MS, now_ms - 1), 0);
    assert_int_equal(rig_play(&rig, &song, NULL, NULL), REASON_LICENSE_EXPIRED);
    static const char *const changes[] = {
        "UPDATE license SET sequence = 50",
        "UPDATE license SET state = 2",
        "UPDATE license SET sealed = zeroblob(length(sealed))",
    };
    char keep[256], put_back[256]; /* beside it: nothing else may be in it */
    snprintf(keep, sizeof(keep), "cp '%s/vault.db' '%s/kept'", rig.dir, rig.dir);
    snprintf(put_back, sizeof(put_back), "cp '%s/kept' '%s/vault.db'", rig.dir, rig.dir);
    rig_stop(&rig);
    assert_int_equal(system(keep), 0);
    for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
        rig_alter_and_seal(&rig, changes[i]);
        rig_start(&rig);
        assert_int_equal(rig_play(&rig, &song, NULL, NULL), REASON_INTERNAL);
        rig_stop(&rig);
        assert_int_equal(system(put_back), 0);
    }
    rig_start(&rig);
    assert_int_equal(rig_play(&rig, &song, NULL, NULL), REASON_LICENSE_EXPIRED);
}

static void tls_signatures(void **state)
{
    (void)state;
    static const char *const contexts[] = { "TLS 1.3, server CertificateVerify", "TLS 1.3, client CertificateVerify" };
    uint8_t input[64 + 34 + 48 + 1], signature[64];
    memset(input, 0x20, 64);
    for (int i = 0; i < 2; i++) {
        memcpy(input + 64, contexts[i], 34);
        memset(input + 98, 0x5a, 49);
        static const size_t hashes[] = { 32, 48 };
        for (int h = 0; h < 2; h++) {
            struct slice right = slice(input, 98 + hashes[h]);
            assert_int_equal(rig_tls(&rig, right, signature), 0);
            assert_true(sign_is_valid(rig.self.device_key, right, signature));
        }
        static const size_t lengths[] = { 0, 1, 64, 98, 129, 131, 145, 147 };
        for (size_t l = 0; l < sizeof(lengths) / sizeof(lengths[0]); l++)
            assert_int_equal(rig_tls(&rig, slice(input, lengths[l]), signature), REASON_NOT_PERMITTED);
        for (size_t at = 0; at < 98; at++) {
            input[at] ^= 1;
            assert_int_equal(rig_tls(&rig, slice(input, 130), signature), REASON_NOT_PERMITTED);
            input[at] ^= 1;
        }
    }
    struct buf pae = buf(4096);
    assert_int_equal(dsse_pae(&pae, "hearth/receipt/1", slice_str("anything")), 0);
    assert_int_equal(rig_tls(&rig, buf_slice(&pae), signature), REASON_NOT_PERMITTED);
    buf_free(&pae);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {
        T(blocks),
        T(windows_that_are_none),
        T(as_many_as_there_is_room_for),
        T(needs_license_and_header),
        T(another_distributor_licenses_nothing_of_the_publishers),
        T(without_descriptor),
        T(usage_period),
        T(clock_turned_back),
        T(altered_license),
        T(tls_signatures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
