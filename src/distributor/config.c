/* One table of settings, read by inih line by line into a copy that replaces the old one only when all of it was good. */
#define LOG_MODULE "config"
#include "distributor/config.h"

#include <ini.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/text.h"
#include "base/util.h"

enum kind { TEXT, NUMBER };

struct setting {
    const char *section, *name;
    enum kind kind;
    size_t offset, cap; /* cap: bytes of a text */
    uint32_t min, max;  /* of a number */
};

#define TEXT_SETTING(section, name, field)                                                             \
    {                                                                                                  \
        section, name, TEXT, offsetof(struct config, field), sizeof(((struct config *)0)->field), 0, 0 \
    }
#define NUMBER_SETTING(section, name, field, min, max)                     \
    {                                                                      \
        section, name, NUMBER, offsetof(struct config, field), 0, min, max \
    }

static const struct setting settings[] = {
    TEXT_SETTING("server", "state-dir", state_dir),
    TEXT_SETTING("server", "listen", listen),
    TEXT_SETTING("server", "pid-file", pid_file),
    TEXT_SETTING("server", "address-file", address_file),
    NUMBER_SETTING("limits", "connections", connections_max, 1, 1000000),
    NUMBER_SETTING("limits", "connections-per-address", connections_per_address_max, 1, 1000000),
    NUMBER_SETTING("limits", "requests-per-second", requests_per_second, 1, 1000000),
    NUMBER_SETTING("limits", "request-burst", request_burst, 1, 1000000),
    NUMBER_SETTING("limits", "queue-per-connection", queue_max, 1, 256),
    NUMBER_SETTING("limits", "idle-seconds", idle_seconds, 10, 86400),
};

void config_init(struct config *c)
{
    memset(c, 0, sizeof(*c));
    snprintf(c->state_dir, sizeof(c->state_dir), "%s", CONFIG_STATE_DIR_DEFAULT);
    c->connections_max = 12000;
    c->connections_per_address_max = 12000;
    c->requests_per_second = 400;
    c->request_burst = 800;
    c->queue_max = 16;
    c->idle_seconds = 180;
}

static bool set_number(const struct setting *s, struct config *c, const char *value)
{
    char *end = NULL;
    errno = 0;
    unsigned long long v = strtoull(value, &end, 10);
    if (errno != 0 || end == value || *end != '\0' || value[0] == '-' || v < s->min || v > s->max)
        return false;
    *(uint32_t *)(void *)((char *)c + s->offset) = (uint32_t)v;
    return true;
}

static bool set_text(const struct setting *s, struct config *c, const char *value)
{
    if (strlen(value) >= s->cap)
        return false;
    memcpy((char *)c + s->offset, value, strlen(value) + 1);
    return true;
}

/* inih: one "name = value" line; 0 makes ini_parse return its line number. */
static int on_setting(void *ctx, const char *section, const char *name, const char *value)
{
    struct config *c = ctx;
    for (size_t i = 0; i < ARRAY_COUNT(settings); i++) {
        const struct setting *s = &settings[i];
        if (strcmp(s->section, section) == 0 && strcmp(s->name, name) == 0)
            return s->kind == TEXT ? set_text(s, c, value) : set_number(s, c, value);
    }
    return 0; /* a misspelt name is a mistake, not a wish to be ignored */
}

int config_read(struct config *c, const char *path)
{
    const char *file = path != NULL ? path : CONFIG_FILE_DEFAULT;
    FILE *f = fopen(file, "re");
    if (f == NULL)
        return path == NULL && errno == ENOENT ? 0 : -errno;
    struct config *fresh CLEANUP(freep) = malloc(sizeof(*fresh));
    if (fresh == NULL) {
        fclose(f);
        return -ENOMEM;
    }
    *fresh = *c;
    int line = ini_parse_file(f, on_setting, fresh);
    fclose(f);
    if (line < 0)
        return -ENOMEM;
    if (line > 0 || strlen(file) >= sizeof(fresh->path)) {
        char safe[256];
        log_error("a setting is unknown or out of range file=%s line=%d", text_safe(file, safe, sizeof(safe)), line);
        return CONFIG_MALFORMED;
    }
    snprintf(fresh->path, sizeof(fresh->path), "%s", file);
    *c = *fresh;
    return 0;
}
