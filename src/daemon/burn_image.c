/* Writing the files of an image. */
#define LOG_MODULE "burn"
#include "daemon/burn_image.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/text.h"
#include "base/util.h"
#include "daemon/opener.h"
#include "protocol/reason.h"

#define WAV_HEAD_BYTES 44
#define RATE 44100
#define FRAME_BYTES 4

static bool ends_in(const char *path, const char *suffix)
{
    size_t len = strlen(path), of = strlen(suffix);
    return len > of && strcmp(path + len - of, suffix) == 0 && path[len - of - 1] != '/';
}

int burn_image_name(struct burn_image *image, const char *path)
{
    *image = (struct burn_image){ .fd = -1, .wav = ends_in(path, ".wav") };
    size_t len = strlen(path);
    if (path[0] != '/' || len + sizeof(".part") > BURN_PATH_BYTES ||
        !(image->wav || ends_in(path, ".bin") || ends_in(path, ".cue")))
        return REASON_MALFORMED;
    memcpy(image->audio, path, len + 1);
    if (!image->wav) {
        memcpy(image->cue, path, len + 1);
        memcpy(image->audio + len - 4, ".bin", 4);
        memcpy(image->cue + len - 4, ".cue", 4);
    }
    (void)snprintf(image->part, sizeof(image->part), "%s.part", path);
    return 0;
}

static bool exists(const char *path)
{
    struct stat st;
    return path[0] != '\0' && lstat(path, &st) == 0;
}

/* A file system that cannot say has the room, as far as is known. */
static int reserve(int fd, uint64_t bytes)
{
    if (bytes == 0 || fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, (off_t)bytes) == 0)
        return 0;
    return errno == ENOSPC || errno == EDQUOT || errno == EFBIG ? -ENOSPC : 0;
}

int burn_image_begin(struct burn_image *image, uint64_t bytes)
{
    static const uint8_t room[WAV_HEAD_BYTES];
    if (exists(image->audio) || exists(image->cue))
        return REASON_ALREADY;
    int r = opener_remove(image->opener, image->part); /* left by one that was interrupted */
    if (r != 0 && r != -ENOENT)
        return r;
    image->fd = opener_create(image->opener, image->part, 0600);
    if (image->fd < 0)
        return image->fd;
    r = reserve(image->fd, bytes);
    if (r != 0)
        return r;
    if (image->wav && write(image->fd, room, sizeof(room)) != (ssize_t)sizeof(room))
        return errno != 0 ? -errno : -EIO;
    return 0;
}

/* 0 "RIFF" | 4 bytes that follow | 8 "WAVEfmt " | 16 16:4 | 20 PCM:2 | 22 channels:2 | 24 rate:4 | 28 bytes a second:4 | 32 bytes a frame:2 |
 * 34 bits a sample:2 | 36 "data" | 40 bytes that follow; all little-endian */
static void wav_head(uint8_t head[WAV_HEAD_BYTES], uint32_t bytes)
{
    const struct {
        uint8_t at, len;
        uint32_t value;
    } numbers[] = {
        { 4, 4, bytes + WAV_HEAD_BYTES - 8 }, { 16, 4, 16 },          { 20, 2, 1 },  { 22, 2, 2 },    { 24, 4, RATE },
        { 28, 4, RATE * FRAME_BYTES },        { 32, 2, FRAME_BYTES }, { 34, 2, 16 }, { 40, 4, bytes }
    };
    memcpy(head, "RIFF", 4);
    memcpy(head + 8, "WAVEfmt ", 8);
    memcpy(head + 36, "data", 4);
    for (size_t i = 0; i < ARRAY_COUNT(numbers); i++)
        for (unsigned b = 0; b < numbers[i].len; b++)
            head[numbers[i].at + b] = (uint8_t)(numbers[i].value >> (8 * b));
}

static void remove_again(const struct burn_image *image, const char *path)
{
    int r = opener_remove(image->opener, path);
    if (r != 0 && r != -ENOENT)
        log_warn("a part of an image is left error=%s", strerror(-r));
}

static int write_cue(const struct burn_image *image, const char *title)
{
    char name[256], label[128];
    const char *slash = strrchr(image->audio, '/');
    (void)snprintf(name, sizeof(name), "%.255s", slash + 1);
    (void)snprintf(label, sizeof(label), "%.79s", title);
    for (char *c = label; *c != '\0'; c++) /* the format has no way to quote a quote */
        *c = *c == '"' ? '\'' : *c;
    for (char *c = name; *c != '\0'; c++)
        if (*c == '"' || *c == '\n')
            return -EINVAL;
    int fd CLEANUP(closep) = opener_create(image->opener, image->cue, 0600);
    if (fd < 0)
        return fd == -EEXIST ? REASON_ALREADY : fd;
    int n = dprintf(fd, "FILE \"%s\" BINARY\n  TRACK 01 AUDIO\n    TITLE \"%s\"\n    INDEX 01 00:00:00\n", name, label);
    if (n < 0 || fsync(fd) != 0) {
        int r = -errno;
        remove_again(image, image->cue);
        return r;
    }
    return 0;
}

/* Its name is to outlast a power failure. What is written is charged, so a file system that cannot promise that changes nothing any more. */
static void sync_name(const struct burn_image *image)
{
    char dir[OPENER_PATH_BYTES];
    (void)snprintf(dir, sizeof(dir), "%s", image->audio);
    *strrchr(dir, '/') = '\0';
    int fd CLEANUP(closep) = opener_list(image->opener, dir[0] != '\0' ? dir : "/");
    if (fd < 0 || fsync(fd) != 0)
        log_warn("the folder of an image cannot be synced error=%s", strerror(fd < 0 ? -fd : errno));
}

int burn_image_end(struct burn_image *image, const char *title, uint64_t *sectors)
{
    uint8_t head[WAV_HEAD_BYTES];
    struct stat st;
    if (fstat(image->fd, &st) != 0)
        return -errno;
    uint64_t bytes = (uint64_t)st.st_size - (image->wav ? WAV_HEAD_BYTES : 0);
    if (bytes == 0 || bytes % BURN_SECTOR_BYTES != 0 || bytes > UINT32_MAX - WAV_HEAD_BYTES)
        return -EIO;
    if (ftruncate(image->fd, st.st_size) != 0) /* it was a little less than what was reserved */
        return -errno;
    wav_head(head, (uint32_t)bytes);
    if (image->wav && pwrite(image->fd, head, sizeof(head), 0) != (ssize_t)sizeof(head))
        return -EIO;
    if (fsync(image->fd) != 0)
        return -errno;
    int r = image->cue[0] != '\0' ? write_cue(image, title) : 0;
    if (r != 0)
        return r;
    r = opener_rename(image->opener, image->part, image->audio);
    if (r != 0 && image->cue[0] != '\0')
        remove_again(image, image->cue);
    if (r == -EEXIST)
        r = REASON_ALREADY;
    if (r == 0) {
        sync_name(image);
        *sectors = bytes / BURN_SECTOR_BYTES;
    }
    closep(&image->fd);
    if (r == 0)
        image->part[0] = '\0';
    image->fd = -1;
    return r;
}

void burn_image_abandon(struct burn_image *image)
{
    closep(&image->fd);
    image->fd = -1;
    if (image->part[0] != '\0')
        remove_again(image, image->part);
    image->part[0] = '\0';
}
