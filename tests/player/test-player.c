/* The real hearth-player on the real hearth-vault, with real files made by ffmpeg: what it hashes is what flac and mpv decode. */
#include "cm.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "crypto/sha256.h"
#include "player.pb.h"
#include "protocol/output.h"
#include "rig.h"

static struct rig rig;
static struct maker shop;
static char dir[] = "/tmp/hearth-player-test-XXXXXX";
static uint8_t next_seed;

struct session {
    pid_t pid;
    struct channel control;
    uint64_t play;
    unsigned progress_count;
    ply_Played played;
    msg_Refusal refusal;
};

static int setup(void **state)
{
    (void)state;
    rig_init(&rig);
    maker_init(&shop, 1, "Shop");
    assert_int_equal(rig_register(&rig, &shop), 0);
    assert_non_null(mkdtemp(dir));
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    char command[128];
    rig_deinit(&rig);
    maker_deinit(&shop);
    snprintf(command, sizeof(command), "rm -r %s", dir);
    return system(command);
}

static bool has(const char *program)
{
    char command[128];
    snprintf(command, sizeof(command), "command -v %s >/dev/null 2>&1", program);
    return system(command) == 0;
}

static void need(const char *program)
{
    if (has(program))
        return;
    print_message("SKIP: %s is not installed\n", program);
    skip();
}

/* Runs a command in the test's directory. */
static int run(const char *command)
{
    char whole[1024];
    snprintf(whole, sizeof(whole), "cd %s && { %s; } >/dev/null 2>&1 </dev/null", dir, command);
    return system(whole);
}

static struct buf slurp(const char *name)
{
    char path[128];
    struct buf b = buf(64u << 20);
    snprintf(path, sizeof(path), "%s/%s", dir, name);
    assert_int_equal(file_read(path, &b), 0);
    return b;
}

/* A file as content that this device may play; its body in the test's directory. */
static void publish(const char *name, const char *media_type, uint32_t block_bytes, struct content *c)
{
    struct buf plain = slurp(name);
    uint8_t head[12];
    char path[128];
    content_init(c, &shop, ++next_seed, media_type, buf_slice(&plain), block_bytes);
    buf_free(&plain);
    assert_int_equal(rig_buy(&rig, &shop, c, next_seed), 0);
    snprintf(path, sizeof(path), "%s/body", dir);
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    memcpy(head, "HEARTHB1", 8);
    put_be32(head + 8, (uint32_t)c->info_bytes.len);
    fwrite(head, 1, sizeof(head), f);
    fwrite(c->info_bytes.data, 1, c->info_bytes.len, f);
    fwrite(c->hashes.data, 1, c->hashes.len, f);
    fwrite(c->blocks.data, 1, c->blocks.len, f);
    assert_int_equal(fclose(f), 0);
}

static const char *trace_path; /* when set, strace watches */

static void exec_player(int control)
{
    int high = fcntl(control, F_DUPFD, 20);
    dup2(high, 3);
    closefrom(4);
    setenv("ASAN_OPTIONS", "detect_leaks=0", 0); /* as in rig.c */
    if (trace_path)
        execlp("strace", "strace", "-f", "-qq", "-o", trace_path, getenv("HEARTH_PLAYER"), NULL);
    execl(getenv("HEARTH_PLAYER"), "hearth-player", NULL);
    _exit(127);
}

/* A frame with a descriptor beside it. Takes fd. */
static void hand_over(struct session *s, uint16_t type, int fd)
{
    uint8_t frame[FRAME_HEADER_BYTES];
    char control[CMSG_SPACE(sizeof(int))] = { 0 };
    struct iovec part = { frame, sizeof(frame) };
    struct msghdr m = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control) };
    frame_header(frame, type, 0, 0, 0);
    struct cmsghdr *c = CMSG_FIRSTHDR(&m);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(c), &fd, sizeof(fd));
    assert_int_equal(sendmsg(s->control.fd, &m, 0), sizeof(frame));
    close(fd);
}

static void spawn(struct session *s)
{
    int control[2];
    memset(s, 0, sizeof(*s));
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, control), 0);
    s->pid = fork();
    if (s->pid == 0)
        exec_player(control[1]);
    close(control[1]);
    channel_init(&s->control, control[0], 0);
}

static int disc_to_hand_over = -1;

static int steal_disc(void)
{
    int fd = disc_to_hand_over;
    disc_to_hand_over = -1;
    return fd;
}

static void start_as(struct session *s, const struct content *c, const ply_Start *m)
{
    int vault;
    char path[128];
    spawn(s);
    assert_int_equal(rig_play(&rig, c, &vault, &s->play), 0);
    snprintf(path, sizeof(path), "%s/body", dir);
    int body = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(body >= 0);
    hand_over(s, ply_Type_BODY, body);
    hand_over(s, ply_Type_VAULT, vault);
    if (disc_to_hand_over >= 0)
        hand_over(s, ply_Type_DISC, steal_disc());
    assert_int_equal(channel_send(&s->control, ply_Type_START, 7, ply_Start_fields, m, slice(NULL, 0)), 0);
}

static void start(struct session *s, const struct content *c, uint32_t output, const char *media_type)
{
    ply_Start m = { .output = output, .volume = 100 };
    CODEC_SET_TEXT(m.media_type, media_type);
    CODEC_SET_TEXT(m.title, "A title");
    start_as(s, c, &m);
}

/* Until the answer: 0 and s->played, or the refusal's reason, or -EPIPE. Asserts that the player then ends. */
static int finish(struct session *s)
{
    struct frame f;
    int r = -1, status;
    while (r == -1) {
        if (channel_read(&s->control, true, &f) != 0) {
            r = -EPIPE;
            break;
        }
        assert_int_equal(f.request, 7);
        if (f.type == ply_Type_PROGRESS) {
            ply_Progress p;
            assert_int_equal(CODEC_DECODE(ply_Progress, f.message, &p), 0);
            s->progress_count++;
        } else if (f.type == msg_Type_REFUSAL) {
            assert_int_equal(CODEC_DECODE(msg_Refusal, f.message, &s->refusal), 0);
            r = reason_of_code(s->refusal.code);
        } else {
            assert_int_equal(f.type, ply_Type_PLAYED);
            assert_int_equal(CODEC_DECODE(ply_Played, f.message, &s->played), 0);
            r = 0;
        }
    }
    channel_deinit(&s->control);
    assert_int_equal(waitpid(s->pid, &status, 0), s->pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status) == 0, r == 0);
    assert_int_equal(rig_play_close(&rig, s->play), 0);
    return r;
}

static int play(struct session *s, const struct content *c, uint32_t output, const char *media_type)
{
    start(s, c, output, media_type);
    return finish(s);
}

static const struct {
    const char *name, *file, *make, *reference, *media_type, *format, *tool;
    uint32_t block_bytes;
} digests[] = {
    { "FLAC, 16 bit stereo", "a.flac", "ffmpeg -y -f lavfi -i sine=440:r=44100:d=3 -ac 2 -sample_fmt s16 a.flac",
      "flac -d -f --force-raw-format --endian=little --sign=signed -o ref a.flac", "audio/flac", "s16/2ch/44100",
      "flac", 65536 },
    { "FLAC, noise, small blocks", "b.flac",
      "ffmpeg -y -f lavfi -i anoisesrc=d=4:r=48000:seed=5 -ac 1 -sample_fmt s16 b.flac",
      "flac -d -f --force-raw-format --endian=little --sign=signed -o ref b.flac", "audio/flac", "s16/1ch/48000",
      "flac", 4096 },
    { "FLAC, 24 bit", "c.flac", "ffmpeg -y -f lavfi -i anoisesrc=d=2:r=96000:seed=6 -ac 2 -sample_fmt s32 c.flac",
      "mpv --no-config --vid=no --ao=pcm --ao-pcm-waveheader=no --ao-pcm-file=ref c.flac", "audio/flac",
      "s32/2ch/96000", "mpv", 65536 },
    { "Ogg Vorbis", "d.ogg", "ffmpeg -y -f lavfi -i anoisesrc=d=3:r=44100:seed=7 -ac 2 -c:a libvorbis d.ogg",
      "mpv --no-config --vid=no --ao=pcm --ao-pcm-waveheader=no --ao-pcm-file=ref d.ogg", "audio/ogg",
      "float/2ch/44100", "mpv", 65536 },
    { "MP3", "e.mp3", "ffmpeg -y -f lavfi -i anoisesrc=d=3:r=44100:seed=8 -ac 2 -c:a libmp3lame e.mp3",
      "mpv --no-config --vid=no --ao=pcm --ao-pcm-waveheader=no --ao-pcm-file=ref e.mp3", "audio/mpeg",
      "float/2ch/44100", "mpv", 65536 },
    { "MP4 with AAC, index at the end", "f.m4a",
      "ffmpeg -y -f lavfi -i anoisesrc=d=3:r=44100:seed=9 -ac 2 -c:a aac f.m4a",
      "mpv --no-config --vid=no --ao=pcm --ao-pcm-waveheader=no --ao-pcm-file=ref f.m4a", "audio/mp4",
      "float/2ch/44100", "mpv", 4096 },
    { "MP4 with pictures", "g.mp4",
      "ffmpeg -y -f lavfi -i testsrc=d=2:s=64x64 -f lavfi -i sine=330:d=2 -c:v mpeg4 -c:a aac -shortest g.mp4",
      "mpv --no-config --vid=no --ao=pcm --ao-pcm-waveheader=no --ao-pcm-file=ref g.mp4", "video/mp4",
      "float/1ch/44100", "mpv", 65536 },
    { "WAV", "h.wav", "ffmpeg -y -f lavfi -i anoisesrc=d=2:r=22050:seed=3 -ac 1 -c:a pcm_s16le h.wav",
      "mpv --no-config --vid=no --ao=pcm --ao-pcm-waveheader=no --ao-pcm-file=ref h.wav", "audio/x-wav",
      "s16/1ch/22050", "mpv", 65536 },
    { "Opus", "i.opus", "ffmpeg -y -f lavfi -i anoisesrc=d=2:r=48000:seed=4 -ac 2 -c:a libopus i.opus",
      "mpv --no-config --vid=no --ao=pcm --ao-pcm-waveheader=no --ao-pcm-file=ref i.opus", "audio/ogg",
      "float/2ch/48000", "mpv", 65536 },
};

static void digests_equal_the_reference(void **state)
{
    (void)state;
    need("ffmpeg");
    for (size_t i = 0; i < sizeof(digests) / sizeof(digests[0]); i++) {
        struct content c;
        struct session s;
        uint8_t expected[32];
        if (!has(digests[i].tool)) {
            print_message("SKIP: %s: %s is not installed\n", digests[i].name, digests[i].tool);
            continue;
        }
        assert_int_equal(run(digests[i].make), 0);
        assert_int_equal(run(digests[i].reference), 0);
        struct buf reference = slurp("ref");
        sha256(buf_slice(&reference), expected);
        publish(digests[i].file, digests[i].media_type, digests[i].block_bytes, &c);
        int r = play(&s, &c, ply_Output_OUTPUT_DIGEST, digests[i].media_type);
        print_message("%s: outcome=%d format=%s samples=%llu\n", digests[i].name, r, s.played.format,
                      (unsigned long long)s.played.samples);
        assert_int_equal(r, 0);
        assert_string_equal(s.played.format, digests[i].format);
        assert_true(s.played.has_digest);
        assert_memory_equal(s.played.digest, expected, 32);
        assert_true(s.played.samples > 20000);
        content_deinit(&c);
        buf_free(&reference);
    }
}

/* What a disc gets: only with the vault's word, whole sectors, and nothing into a pipe that nobody reads. */
static void disc_output(void **state)
{
    (void)state;
    struct content c;
    struct session s;
    ply_Start m = { .output = ply_Output_OUTPUT_DISC, .volume = 100, .media_type = "audio/flac", .title = "A title" };
    char path[128];
    need("ffmpeg");
    assert_int_equal(run(digests[0].make), 0);
    publish("a.flac", "audio/flac", 65536, &c);
    assert_int_equal(play(&s, &c, ply_Output_OUTPUT_DISC, "audio/flac"), REASON_MALFORMED); /* nowhere to write */
    snprintf(path, sizeof(path), "%s/disc", dir);
    int disc = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    disc_to_hand_over = disc;
    start_as(&s, &c, &m);
    assert_int_equal(finish(&s), REASON_NOT_PERMITTED); /* opened to be played */
    struct buf written = slurp("disc");
    assert_int_equal(written.len, 0);
    buf_free(&written);
    content_deinit(&c);
}

static void null_output(void **state)
{
    (void)state;
    struct content c;
    struct session s;
    need("ffmpeg");
    assert_int_equal(run(digests[0].make), 0);
    publish("a.flac", "audio/flac", 65536, &c);
    assert_int_equal(play(&s, &c, ply_Output_OUTPUT_NULL, "audio/flac"), 0);
    assert_false(s.played.has_digest);
    assert_string_equal(s.played.format, "s16/2ch/44100");
    content_deinit(&c);
}

static void unplayable(void **state)
{
    (void)state;
    struct content c;
    struct session s;
    need("ffmpeg");
    assert_int_equal(run("ffmpeg -y -f lavfi -i testsrc=d=1:s=64x64 -c:v mpeg4 silent.mp4"), 0);
    publish("silent.mp4", "video/mp4", 65536, &c);
    assert_int_equal(play(&s, &c, ply_Output_OUTPUT_DIGEST, "video/mp4"), REASON_UNPLAYABLE);
    print_message("silent: %s\n", s.refusal.text);
    content_deinit(&c);

    assert_int_equal(run("head -c 100000 /dev/urandom > noise.bin"), 0);
    publish("noise.bin", "audio/flac", 65536, &c);
    assert_int_equal(play(&s, &c, ply_Output_OUTPUT_DIGEST, "audio/flac"), REASON_UNPLAYABLE);
    print_message("noise: %s\n", s.refusal.text);
    assert_int_equal(play(&s, &c, ply_Output_OUTPUT_NULL, "application/pdf"), REASON_UNPLAYABLE);
    print_message("document: %s\n", s.refusal.text);
    content_deinit(&c);

    /* A list of other files is not followed. */
    assert_int_equal(run("cp a.flac secret.flac; printf '#EXTM3U\\n%s/secret.flac\\n' \"$PWD\" > list.m3u"), 0);
    publish("list.m3u", "audio/x-mpegurl", 4096, &c);
    assert_int_equal(play(&s, &c, ply_Output_OUTPUT_DIGEST, "audio/x-mpegurl"), REASON_UNPLAYABLE);
    content_deinit(&c);
    assert_int_equal(
        run("printf '#EXTM3U\\n#EXT-X-TARGETDURATION:3\\n#EXTINF:3,\\nfile://%s/a.flac\\n#EXT-X-ENDLIST\\n' \"$PWD\" > hls.m3u8"),
        0);
    publish("hls.m3u8", "audio/x-mpegurl", 4096, &c);
    assert_int_equal(play(&s, &c, ply_Output_OUTPUT_DIGEST, "audio/x-mpegurl"), REASON_UNPLAYABLE);
    content_deinit(&c);
}

static void change_body(long at, uint8_t flip)
{
    char path[128];
    snprintf(path, sizeof(path), "%s/body", dir);
    FILE *f = fopen(path, "r+b");
    assert_non_null(f);
    fseek(f, at, at < 0 ? SEEK_END : SEEK_SET);
    int byte = fgetc(f);
    fseek(f, -1, SEEK_CUR);
    fputc(byte ^ flip, f);
    assert_int_equal(fclose(f), 0);
}

static void corrupt_body(void **state)
{
    (void)state;
    struct content c;
    struct session s;
    char path[128];
    need("ffmpeg");
    assert_int_equal(run(digests[1].make), 0);
    publish("b.flac", "audio/flac", 4096, &c);
    change_body(-20000, 1); /* late: what has been decoded before must not count as the whole */
    assert_int_equal(play(&s, &c, ply_Output_OUTPUT_DIGEST, "audio/flac"), REASON_BLOCK_CORRUPT);
    change_body(-20000, 1);
    assert_int_equal(play(&s, &c, ply_Output_OUTPUT_DIGEST, "audio/flac"), 0);
    change_body(0, 1);
    assert_int_equal(play(&s, &c, ply_Output_OUTPUT_DIGEST, "audio/flac"), REASON_BLOCK_CORRUPT);
    change_body(0, 1);
    snprintf(path, sizeof(path), "%s/body", dir);
    assert_int_equal(truncate(path, 50000), 0);
    assert_int_equal(play(&s, &c, ply_Output_OUTPUT_DIGEST, "audio/flac"), REASON_BLOCK_CORRUPT);
    content_deinit(&c);
}

static void stopping(void **state)
{
    (void)state;
    struct content c;
    struct session s;
    ply_Stop stop = { 0 };
    need("ffmpeg");
    /* Long enough not to be over before the word arrives: the vault's answers are held back by stopping the vault. */
    assert_int_equal(run("ffmpeg -y -f lavfi -i anoisesrc=d=60:r=48000:seed=5 -ac 2 -sample_fmt s16 long.flac"), 0);
    publish("long.flac", "audio/flac", 4096, &c);
    start(&s, &c, ply_Output_OUTPUT_DIGEST, "audio/flac");
    kill(rig.pid, SIGSTOP);
    assert_int_equal(channel_send(&s.control, ply_Type_STOP, 8, ply_Stop_fields, &stop, slice(NULL, 0)), 0);
    struct frame f;
    do
        assert_int_equal(channel_read(&s.control, true, &f), 0);
    while (f.type == ply_Type_PROGRESS);
    assert_int_equal(f.type, msg_Type_REFUSAL);
    kill(rig.pid, SIGCONT);
    channel_deinit(&s.control);
    int status;
    assert_int_equal(waitpid(s.pid, &status, 0), s.pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(rig_play_close(&rig, s.play), 0);

    start(&s, &c, ply_Output_OUTPUT_DIGEST, "audio/flac"); /* hearthd dies */
    channel_deinit(&s.control);
    assert_int_equal(waitpid(s.pid, &status, 0), s.pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(rig_play_close(&rig, s.play), 0);

    start(&s, &c, ply_Output_OUTPUT_DIGEST, "audio/flac"); /* the vault ends the play */
    assert_int_equal(rig_play_close(&rig, s.play), 0);
    int r = finish(&s);
    assert_true(r > 0);
    content_deinit(&c);
}

/* From the moment its filter is set: nothing is opened but its own pipe, no socket, no program, no process. */
static void confined(void **state)
{
    (void)state;
    struct content c;
    struct session s;
    char path[128], line[4096];
    bool filtered = false;
    unsigned pipes = 0;
    need("ffmpeg");
    if (system("strace -qq -o /dev/null true >/dev/null 2>&1") != 0) {
        print_message("SKIP: strace is not installed or may not trace\n");
        skip();
    }
    snprintf(path, sizeof(path), "%s/trace", dir);
    assert_int_equal(run(digests[3].make), 0);
    publish("d.ogg", "audio/ogg", 65536, &c);
    trace_path = path;
    int r = play(&s, &c, ply_Output_OUTPUT_DIGEST, "audio/ogg");
    trace_path = NULL;
    assert_int_equal(r, 0);
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    while (fgets(line, sizeof(line), f)) {
        const char *call = strchr(line, ' ') + 1; /* after the thread's number */
        call += strspn(call, " ");
        bool failed = strstr(line, " = -1 ") != NULL;
        if (strncmp(call, "seccomp(", 8) == 0 && strstr(line, "SECCOMP_SET_MODE_FILTER") && !failed)
            filtered = true;
        if (!filtered || failed)
            continue;
        if (strncmp(call, "socket(", 7) == 0 || strncmp(call, "connect(", 8) == 0 || strncmp(call, "execve", 6) == 0 ||
            strncmp(call, "fork(", 5) == 0 || strncmp(call, "vfork(", 6) == 0)
            fail_msg("%s", line);
        if (strncmp(call, "clone(", 6) == 0 && !strstr(line, "CLONE_THREAD"))
            fail_msg("%s", line);
        if (strncmp(call, "open", 4) == 0) {
            if (!strstr(line, "\"/dev/fd/"))
                fail_msg("%s", line);
            pipes++;
        }
    }
    fclose(f);
    assert_int_equal(filtered, getenv("HEARTH_HAS_FILTER") != NULL);
    if (filtered)
        assert_true(pipes >= 1);
    else
        print_message("SKIP: built without a system-call filter\n");
    content_deinit(&c);
}

/* ALSA's null device stands in for a sound card: it takes the samples at its own pace. */
static int play_on(struct session *s, const struct content *c, const char *device)
{
    ply_Start m = { .output = ply_Output_OUTPUT_AUDIO, .volume = 100, .media_type = "audio/flac", .has_device = true };
    CODEC_SET_TEXT(m.device, device);
    start_as(s, c, &m);
    return finish(s);
}

static void sound_system(void **state)
{
    (void)state;
    struct content c;
    struct session s;
    need("ffmpeg");
    assert_int_equal(run(digests[0].make), 0);
    publish("a.flac", "audio/flac", 65536, &c);
    assert_int_equal(play_on(&s, &c, "alsa/null"), 0);
    assert_false(s.played.has_digest);
    assert_true(s.played.has_format);
    print_message("%s, told %u times\n", s.played.format, s.progress_count);
    assert_int_equal(play_on(&s, &c, "alsa/kitchen"), REASON_OUTPUT_FAILED); /* no configuration lists it */
    assert_int_equal(play_on(&s, &c, "alsa/tee"), REASON_OUTPUT_FAILED);
    content_deinit(&c);
}

static bool exists(const char *name)
{
    char path[128];
    snprintf(path, sizeof(path), "%s/%s", dir, name);
    return access(path, F_OK) == 0;
}

/* The samples into a file by the means of the sound system: by a device's name, or by the user's configuration. */
static void no_file(void **state)
{
    (void)state;
    struct content c;
    struct session s;
    char name[128], shared[] = "/dev/shm/hearth-player-test-XXXXXX", line[512];
    need("ffmpeg");
    assert_int_equal(run(digests[0].make), 0);
    publish("a.flac", "audio/flac", 65536, &c);
    snprintf(name, sizeof(name), "alsa/tee:null,%s/out.raw,raw", dir);
    assert_int_equal(play_on(&s, &c, name), REASON_MALFORMED);
    assert_int_equal(play_on(&s, &c, "alsa/tee:null,2,raw"), REASON_MALFORMED);
    assert_false(exists("out.raw"));
    int fd = mkstemp(shared); /* where other programs of the user may write */
    assert_true(fd >= 0);
    snprintf(line, sizeof(line),
             "printf 'pcm.!default { type file slave.pcm null file %s format raw }\\n"
             "pcm.!null { type file slave { pcm { type null } } file %s format raw }\\n' > .asoundrc",
             shared, shared);
    assert_int_equal(run(line), 0);
    setenv("HOME", dir, 1);
    assert_int_equal(play_on(&s, &c, "alsa/null"), 0); /* the system's */
    int r = play_on(&s, &c, "alsa/default");           /* where there is a sound card, it is played there */
    assert_true(r == 0 || r == REASON_OUTPUT_FAILED);
    assert_int_equal(lseek(fd, 0, SEEK_END), 0);
    close(fd);
    unlink(shared);
    content_deinit(&c);
}

/* The next progress that fits; fails after a while. */
static ply_Progress await(struct session *s, bool (*fits)(const ply_Progress *p, uint64_t value), uint64_t value)
{
    ply_Progress p;
    struct frame f;
    for (unsigned i = 0; i < 60; i++) { /* four a second */
        assert_int_equal(channel_read(&s->control, true, &f), 0);
        if (f.type != ply_Type_PROGRESS)
            fail_msg("type %u", f.type);
        assert_int_equal(CODEC_DECODE(ply_Progress, f.message, &p), 0);
        if (fits(&p, value))
            return p;
    }
    fail_msg("not within 60 reports: position %llu paused %d seeks %u", (unsigned long long)p.position_ms, p.paused,
             p.seeks);
    return p;
}
static bool is_running(const ply_Progress *p, uint64_t value) { return p->running && p->position_ms >= value; }
static bool is_paused(const ply_Progress *p, uint64_t value) { return p->paused == (value != 0); }
static bool has_sought(const ply_Progress *p, uint64_t value) { return p->seeks == value; }
static bool has_volume(const ply_Progress *p, uint64_t value) { return p->volume == value; }

static void tell(struct session *s, uint16_t type, const pb_msgdesc_t *fields, const void *message)
{
    assert_int_equal(channel_send(&s->control, type, 0, fields, message, slice(NULL, 0)), 0);
}

static void controls(void **state)
{
    (void)state;
    struct content c;
    struct session s;
    ply_Pause pause = { .paused = true };
    ply_Seek seek = { .position_ms = 40000 };
    ply_Volume volume = { .percent = 35 };
    ply_Start m = { .output = ply_Output_OUTPUT_SILENT, .volume = 80, .from_ms = 20000 };
    need("ffmpeg");
    assert_int_equal(run("ffmpeg -y -f lavfi -i anoisesrc=d=60:r=48000:seed=5 -ac 2 -sample_fmt s16 long.flac"), 0);
    publish("long.flac", "audio/flac", 65536, &c);
    CODEC_SET_TEXT(m.media_type, "audio/flac");
    start_as(&s, &c, &m);
    ply_Progress p = await(&s, is_running, 1);
    assert_in_range(p.position_ms, 19900, 21500);
    assert_in_range(p.duration_ms, 59900, 60100);
    assert_int_equal(p.volume, 80);
    tell(&s, ply_Type_PAUSE, ply_Pause_fields, &pause);
    p = await(&s, is_paused, true);
    uint64_t at = p.position_ms;
    for (unsigned i = 0; i < 3; i++)
        p = await(&s, is_paused, true);
    assert_in_range(p.position_ms, at, at + 100);
    tell(&s, ply_Type_SEEK, ply_Seek_fields, &seek);
    p = await(&s, has_sought, 1);
    assert_in_range(p.position_ms, 39600, 40300); /* what is buffered has not been heard */
    pause.paused = false;
    tell(&s, ply_Type_PAUSE, ply_Pause_fields, &pause);
    await(&s, is_running, 40300);
    tell(&s, ply_Type_VOLUME, ply_Volume_fields, &volume);
    await(&s, has_volume, 35);
    seek.position_ms = 59500;
    tell(&s, ply_Type_SEEK, ply_Seek_fields, &seek);
    assert_int_equal(finish(&s), 0);
    content_deinit(&c);
}

/* What comes before START ends a player, whatever it is; a player that is told nothing ends with its channel. */
static void before_start(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        uint16_t types[2];
    } cases[] = { { "nothing", { 0, 0 } },
                  { "a pause", { ply_Type_PAUSE, 0 } },
                  { "a body without a file", { ply_Type_BODY, ply_Type_SEEK } },
                  { "START without a file", { ply_Type_START, 0 } } };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct session s;
        int status;
        print_message("%s\n", cases[i].name);
        spawn(&s);
        for (size_t n = 0; n < 2 && cases[i].types[n] != 0; n++)
            assert_int_equal(
                channel_send(&s.control, cases[i].types[n], 3, ply_Stop_fields, &(ply_Stop){ 0 }, slice(NULL, 0)), 0);
        shutdown(s.control.fd, SHUT_WR);
        assert_int_equal(waitpid(s.pid, &status, 0), s.pid);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status) == 0, i == 0);
        channel_deinit(&s.control);
    }
}

static void outputs(void **state)
{
    (void)state;
    struct session s;
    struct frame f;
    int status;
    spawn(&s);
    tell(&s, ply_Type_OUTPUTS_GET, ply_OutputsGet_fields, &(ply_OutputsGet){ 0 });
    do {
        ply_Device d;
        assert_int_equal(channel_read(&s.control, true, &f), 0);
        if (f.type == ply_Type_OUTPUT) {
            assert_int_equal(CODEC_DECODE(ply_Device, f.message, &d), 0);
            print_message("%s: %s\n", d.name, d.description);
            assert_true(output_is_device(d.name));
        }
    } while (f.type == ply_Type_OUTPUT);
    assert_int_equal(f.type, ply_Type_OUTPUTS_DONE);
    assert_int_equal(waitpid(s.pid, &status, 0), s.pid);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    channel_deinit(&s.control);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(digests_equal_the_reference),
        cmocka_unit_test(disc_output),
        cmocka_unit_test(null_output),
        cmocka_unit_test(unplayable),
        cmocka_unit_test(corrupt_body),
        cmocka_unit_test(stopping),
        cmocka_unit_test(confined),
        cmocka_unit_test(sound_system),
        cmocka_unit_test(no_file),
        cmocka_unit_test(controls),
        cmocka_unit_test(before_start),
        cmocka_unit_test(outputs),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
