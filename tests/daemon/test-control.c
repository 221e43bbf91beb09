/* The control socket and the daemon's life: broken frames, a second instance, a vault that dies, ending and starting again. */
#include "cm.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/rng.h"
#include "base/util.h"
#include "check.h"
#include "daemon_rig.h"

static struct hearthd h;

static int setup(void **state)
{
    (void)state;
    hearthd_init(&h);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    hearthd_deinit(&h);
    return 0;
}

static enum reason get_status(ctl_Status *out)
{
    ctl_StatusGet get = ctl_StatusGet_init_zero;
    return CALL(&h, STATUS_GET, StatusGet, &get, STATUS, Status, out);
}

static void check_alive(void)
{
    ctl_Status s;
    assert_int_equal(get_status(&s), REASON_NONE);
}

static void answers_status(void **state)
{
    ctl_Status s;
    (void)state;
    assert_int_equal(get_status(&s), REASON_NONE);
    assert_int_equal(h.rows, 1);
    assert_string_equal(s.name, "kitchen");
    assert_int_equal(s.distributors, 0);
    assert_true(s.port > 0);
}

/* --- Broken frames --- */

static void put(struct buf *b, uint16_t type, uint32_t request, struct slice message, struct slice tail)
{
    uint8_t header[FRAME_HEADER_BYTES];
    frame_header(header, type, request, message.len, tail.len);
    check(buf_append(b, SLICE_ARRAY(header)) == 0);
    check(buf_append(b, message) == 0);
    check(buf_append(b, tail) == 0);
}

/* Sends bytes on a connection of its own. refused: the reason of the answer; -1: the connection is closed (a refusal may come first). */
static void send_raw(struct slice bytes, int refused)
{
    struct channel c;
    struct frame f;
    msg_Refusal refusal;
    hearthd_connect(&h, &c);
    assert_int_equal(channel_write(&c, bytes), 0);
    int r = channel_read(&c, true, &f);
    if (refused >= 0) {
        assert_int_equal(r, 0);
        assert_int_equal(f.type, msg_Type_REFUSAL);
        assert_int_equal(CODEC_DECODE(msg_Refusal, f.message, &refusal), 0);
        assert_int_equal(reason_of_code(refusal.code), refused);
    } else {
        while (r == 0)
            r = channel_read(&c, true, &f);
        assert_int_equal(r, CHANNEL_CLOSED);
    }
    channel_deinit(&c);
    check_alive();
}

static void refuses_broken_frames(void **state)
{
    struct buf b = buf(1 << 16);
    static const uint8_t unknown_field[] = { 0x78, 0x01 };
    uint8_t huge[FRAME_HEADER_BYTES];
    (void)state;

    put(&b, 9999, 1, slice(NULL, 0), slice(NULL, 0));
    send_raw(buf_slice(&b), REASON_MALFORMED); /* a type nobody knows */
    buf_clear(&b);
    put(&b, ctl_Type_STATUS, 1, slice(NULL, 0), slice(NULL, 0));
    send_raw(buf_slice(&b), REASON_MALFORMED); /* an answer, not a question */
    buf_clear(&b);
    put(&b, ctl_Type_STATUS_GET, 1, SLICE_ARRAY(unknown_field), slice(NULL, 0));
    send_raw(buf_slice(&b), REASON_MALFORMED); /* not canonical */
    buf_clear(&b);
    put(&b, ctl_Type_STATUS_GET, 1, slice(NULL, 0), slice_str("tail"));
    send_raw(buf_slice(&b), REASON_MALFORMED); /* with a tail */
    buf_clear(&b);
    put(&b, ctl_Type_SHOW, 1, slice(NULL, 0), slice(NULL, 0));
    send_raw(buf_slice(&b), REASON_MALFORMED); /* a required field is missing */
    buf_clear(&b);
    put(&b, ctl_Type_STATUS_GET, 0, slice(NULL, 0), slice(NULL, 0));
    send_raw(buf_slice(&b), -1); /* no request ID */
    put_be32(huge, 0xffffffff);
    memset(huge + 4, 0, sizeof(huge) - 4);
    send_raw(SLICE_ARRAY(huge), -1); /* a length no frame may have */
    memset(huge, 0, sizeof(huge));
    send_raw(SLICE_ARRAY(huge), -1); /* shorter than a header */
    buf_free(&b);
}

/* A connection made now is served: those that were left behind no longer count against the limit. */
static bool serves_new_connection(void *ctx)
{
    struct channel c;
    struct frame f;
    ctl_StatusGet get = ctl_StatusGet_init_zero;
    (void)ctx;
    hearthd_connect(&h, &c);
    bool served = channel_send(&c, ctl_Type_STATUS_GET, 1, ctl_StatusGet_fields, &get, slice(NULL, 0)) == 0 &&
                  channel_read(&c, true, &f) == 0 && f.type == ctl_Type_STATUS;
    channel_deinit(&c);
    return served;
}

static void survives_cut_and_random_bytes(void **state)
{
    struct rng_fake fake;
    struct buf b = buf(1 << 16);
    uint8_t bytes[512];
    (void)state;
    ctl_Show show = ctl_Show_init_zero;
    strcpy(show.track, "1");
    check(codec_frame(&b, ctl_Type_SHOW, 1, ctl_Show_fields, &show, slice(NULL, 0)) == 0);
    for (size_t cut = 0; cut < b.len; cut++) { /* the client goes away in the middle of a frame */
        struct channel c;
        hearthd_connect(&h, &c);
        assert_int_equal(channel_write(&c, slice(b.data, cut)), 0);
        channel_deinit(&c);
    }
    check_alive();
    rng_fake_init(&fake, 4711);
    for (unsigned i = 0; i < 200; i++) {
        struct channel c;
        rng_fill(&fake.rng, bytes, sizeof(bytes));
        if (i % 2 == 0) { /* a header that fits, so that the message is looked at */
            frame_header(bytes, (uint16_t)(ctl_Type_STATUS_GET + i % 64), 1, sizeof(bytes) - FRAME_HEADER_BYTES, 0);
        }
        hearthd_connect(&h, &c);
        (void)!channel_write(&c, SLICE_ARRAY(bytes));
        channel_deinit(&c);
    }
    check_alive();
    wait_until(serves_new_connection, NULL, "new connections are served");
    buf_free(&b);
}

#define CALLS 1024 /* of one client at a time */

/* More waiting calls than one client may have are refused, and do not take the others with them. */
static void bounds_calls_of_one_client(void **state)
{
    struct channel c;
    struct frame f;
    ctl_EventsGet follow = { .follow = true };
    unsigned refused = 0;
    (void)state;
    hearthd_connect(&h, &c);
    for (uint32_t i = 1; i <= CALLS + 32; i++)
        assert_int_equal(channel_send(&c, ctl_Type_EVENTS_GET, i, ctl_EventsGet_fields, &follow, slice(NULL, 0)), 0);
    ctl_StatusGet get = ctl_StatusGet_init_zero;
    do {
        assert_int_equal(channel_read(&c, true, &f), 0);
        refused += f.type == msg_Type_REFUSAL;
        assert_true(f.type != msg_Type_REFUSAL || f.request > CALLS);
    } while (refused < 32);
    assert_int_equal(channel_send(&c, ctl_Type_STATUS_GET, CALLS + 33, ctl_StatusGet_fields, &get, slice(NULL, 0)), 0);
    do
        assert_int_equal(channel_read(&c, true, &f), 0);
    while (f.request != CALLS + 33);
    assert_int_equal(f.type, msg_Type_REFUSAL);
    channel_deinit(&c);
    check_alive();
}

/* One command too many is told that there are so many, also behind what a terminal says first; when one has ended, the next is served. */
static void tells_who_is_one_too_many(void **state)
{
    struct channel served[64], c;
    struct frame f;
    ctl_StatusGet get = ctl_StatusGet_init_zero;
    ctl_Terminal terminal = { .session = 7 };
    msg_Refusal refusal;
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(served); i++) {
        hearthd_connect(&h, &served[i]);
        assert_int_equal(channel_send(&served[i], ctl_Type_TERMINAL, 1, ctl_Terminal_fields, &terminal, slice(NULL, 0)),
                         0);
        assert_int_equal(channel_read(&served[i], true, &f), 0);
    }
    hearthd_connect(&h, &c);
    assert_int_equal(channel_send(&c, ctl_Type_TERMINAL, 1, ctl_Terminal_fields, &terminal, slice(NULL, 0)), 0);
    assert_int_equal(channel_send(&c, ctl_Type_STATUS_GET, 2, ctl_StatusGet_fields, &get, slice(NULL, 0)), 0);
    do
        assert_int_equal(channel_read(&c, true, &f), 0);
    while (f.request != 2);
    assert_int_equal(f.type, msg_Type_REFUSAL);
    assert_int_equal(CODEC_DECODE(msg_Refusal, f.message, &refusal), 0);
    assert_string_equal(refusal.code, "rate-limited");
    assert_non_null(strstr(refusal.text, "64 commands already"));
    channel_deinit(&c);
    for (size_t i = 0; i < ARRAY_COUNT(served); i++)
        channel_deinit(&served[i]);
    wait_until(serves_new_connection, NULL, "new connections are served");
    check_alive();
}

/* --- Life --- */

static void refuses_second_instance(void **state)
{
    char dir[96];
    int status;
    (void)state;
    snprintf(dir, sizeof(dir), "%s/state", h.dir);
    pid_t pid = fork();
    check(pid >= 0);
    if (pid == 0) {
        int null = open("/dev/null", O_WRONLY);
        dup2(null, STDERR_FILENO);
        execl(getenv("HEARTHD"), "hearthd", "--state-dir", dir, "--runtime-dir", dir, "--no-discovery", NULL);
        _exit(127);
    }
    check(waitpid(pid, &status, 0) == pid);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 1);
    check_alive();
}

static bool vault_is_another(void *ctx)
{
    pid_t now = hearthd_vault(&h);
    return now > 0 && now != *(pid_t *)ctx;
}

static void restarts_vault(void **state)
{
    ctl_Status before, after;
    ctl_Doctor doctor = ctl_Doctor_init_zero;
    ctl_CheckRow row;
    (void)state;
    assert_int_equal(get_status(&before), REASON_NONE);
    for (unsigned i = 0; i < 2; i++) {
        pid_t pid = hearthd_vault(&h);
        check(pid > 0);
        kill(pid, SIGKILL);
        /* asked at once: the request waits for the next vault */
        assert_int_equal(CALL(&h, DOCTOR, Doctor, &doctor, CHECK_ROW, CheckRow, &row), REASON_NONE);
        wait_until(vault_is_another, &pid, "another vault");
    }
    assert_int_equal(get_status(&after), REASON_NONE);
    assert_memory_equal(before.client, after.client, 32);
}

static void keeps_identity_across_restart(void **state)
{
    ctl_Status before, after;
    (void)state;
    assert_int_equal(get_status(&before), REASON_NONE);
    assert_int_equal(hearthd_stop(&h), 0);
    hearthd_start(&h);
    assert_int_equal(get_status(&after), REASON_NONE);
    assert_memory_equal(before.client, after.client, 32);
    hearthd_kill(&h);
    hearthd_start(&h);
    assert_int_equal(get_status(&after), REASON_NONE);
    assert_memory_equal(before.client, after.client, 32);
}

static void refuses_what_is_not_there(void **state)
{
    ctl_Show show = ctl_Show_init_zero;
    ctl_Play play = ctl_Play_init_zero;
    ctl_Browse browse = ctl_Browse_init_zero;
    ctl_Unregister leave = ctl_Unregister_init_zero;
    ctl_DeviceRename rename = ctl_DeviceRename_init_zero;
    ctl_TrackRow track;
    ctl_Played played;
    ctl_CatalogueRow item;
    (void)state;
    strcpy(show.track, "nothing");
    play.tracks_count = 1;
    strcpy(play.tracks[0], "1");
    strcpy(play.output, "null");
    strcpy(rename.device, "nobody");
    strcpy(rename.name, "somebody");
    assert_int_equal(CALL(&h, SHOW, Show, &show, TRACK_ROW, TrackRow, &track), REASON_NOT_FOUND);
    assert_int_equal(CALL(&h, PLAY, Play, &play, PLAYED, Played, &played), REASON_NOT_FOUND);
    assert_int_equal(CALL(&h, BROWSE, Browse, &browse, CATALOGUE_ROW, CatalogueRow, &item), REASON_NOT_REGISTERED);
    assert_int_equal(CALL(&h, UNREGISTER, Unregister, &leave, TRACK_ROW, TrackRow, &track), REASON_NOT_REGISTERED);
    assert_int_equal(CALL(&h, DEVICE_RENAME, DeviceRename, &rename, TRACK_ROW, TrackRow, &track), REASON_NOT_FOUND);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_status),
        cmocka_unit_test(refuses_what_is_not_there),
        cmocka_unit_test(refuses_broken_frames),
        cmocka_unit_test(survives_cut_and_random_bytes),
        cmocka_unit_test(bounds_calls_of_one_client),
        cmocka_unit_test(tells_who_is_one_too_many),
        cmocka_unit_test(refuses_second_instance),
        cmocka_unit_test(restarts_vault),
        cmocka_unit_test(keeps_identity_across_restart),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
