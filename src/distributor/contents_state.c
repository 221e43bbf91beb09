/* Reading and writing it. */
#define LOG_MODULE "contents"
#include "distributor/contents_state.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/rng.h"
#include "base/util.h"
#include "crypto/sign.h"

#define KEY_FILE "contents.key"
#define CONF_FILE "contents.conf"
#define CONF_MAX (64u << 10)
#define PATH_BYTES 1100

void contents_state_deinit(struct contents_state *s) { key32_wipe(&s->seed); }

int contents_state_save(const struct contents_state *s)
{
    char path[PATH_BYTES], line[2 * PLACE_TEXT_MAX];
    struct buf out CLEANUP(buf_free) = buf(CONF_MAX);
    snprintf(line, sizeof(line), "listen %s\naddress %s\n", s->listen, s->address);
    int r = buf_append(&out, slice_str(line));
    for (size_t i = 0; r == 0 && i < s->principal_count; i++) {
        snprintf(line, sizeof(line), "follow %s\n", s->principals[i].text);
        r = buf_append(&out, slice_str(line));
    }
    if (r == 0)
        r = file_join(path, sizeof(path), s->dir, CONF_FILE);
    return r != 0 ? (r > 0 ? -EFBIG : r) : file_replace(path, buf_slice(&out), 0600);
}

int contents_state_create(const char *dir, const char *listen, const char *address)
{
    struct contents_state s = { 0 };
    struct key32 seed CLEANUP(key32_wipe);
    char path[PATH_BYTES];
    snprintf(s.dir, sizeof(s.dir), "%s", dir);
    snprintf(s.listen, sizeof(s.listen), "%s", listen);
    snprintf(s.address, sizeof(s.address), "%s", address);
    int r = file_join(path, sizeof(path), dir, "bodies");
    if (r == 0)
        r = file_make_dirs(path, 0700);
    if (r == 0)
        r = file_join(path, sizeof(path), dir, KEY_FILE);
    if (r != 0)
        return r;
    if (access(path, F_OK) == 0)
        return -EEXIST;
    r = contents_state_save(&s);
    rng_fill(rng_system(), seed.bytes, sizeof(seed.bytes));
    return r == 0 ? file_replace(path, SLICE_ARRAY(seed.bytes), 0600) : r; /* last: it says that all is there */
}

static int load_key(struct contents_state *s)
{
    char path[PATH_BYTES];
    struct stat st;
    struct signer signer;
    struct buf bytes CLEANUP(buf_free) = buf(sizeof(s->seed.bytes));
    int r = file_join(path, sizeof(path), s->dir, KEY_FILE);
    if (r == 0)
        r = file_read_regular(path, &bytes);
    if (r < 0)
        return r;
    if (r > 0 || bytes.len != sizeof(s->seed.bytes) || stat(path, &st) != 0 || (st.st_mode & 077) != 0) {
        log_error("the key file is damaged, or others may read it: path=%s", path);
        return -EUCLEAN;
    }
    memcpy(s->seed.bytes, bytes.data, sizeof(s->seed.bytes));
    secret_wipe(bytes.data, bytes.len);
    signer_from_seed(&signer, &s->seed);
    s->self = id_of_key(signer.public_key);
    return 0;
}

static int take_line(struct contents_state *s, const char *line)
{
    struct place p;
    if (strncmp(line, "listen ", 7) == 0)
        return (size_t)snprintf(s->listen, sizeof(s->listen), "%s", line + 7) < sizeof(s->listen) ? 0 : -EUCLEAN;
    if (strncmp(line, "address ", 8) == 0)
        return (size_t)snprintf(s->address, sizeof(s->address), "%s", line + 8) < sizeof(s->address) ? 0 : -EUCLEAN;
    if (strncmp(line, "follow ", 7) != 0 || s->principal_count == CONTENTS_PRINCIPALS_MAX ||
        place_parse(line + 7, &p) != 0 || p.kind != PLACE_SERVER)
        return line[0] == '\0' || line[0] == '#' ? 0 : -EUCLEAN;
    s->principals[s->principal_count++] = p;
    return 0;
}

static int load_conf(struct contents_state *s)
{
    char path[PATH_BYTES];
    struct buf text CLEANUP(buf_free) = buf(CONF_MAX);
    int r = file_join(path, sizeof(path), s->dir, CONF_FILE);
    if (r == 0)
        r = file_read_regular(path, &text);
    if (r == 0)
        r = buf_append(&text, slice_str("\n"));
    if (r != 0)
        return r > 0 ? -EUCLEAN : r;
    text.data[text.len - 1] = '\0';
    for (char *line = (char *)text.data, *next; r == 0 && line != NULL; line = next) {
        next = strchr(line, '\n');
        if (next != NULL)
            *next++ = '\0';
        r = take_line(s, line);
    }
    if (r != 0)
        log_error("a line cannot be understood: path=%s", path);
    return r;
}

int contents_state_load(struct contents_state *s, const char *dir)
{
    *s = (struct contents_state){ 0 };
    if ((size_t)snprintf(s->dir, sizeof(s->dir), "%s", dir) >= sizeof(s->dir))
        return -ENAMETOOLONG;
    int r = load_key(s);
    if (r == 0)
        r = load_conf(s);
    if (r != 0)
        contents_state_deinit(s);
    return r;
}
