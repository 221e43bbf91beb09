/* Command line, configuration file, defaults. */
#include "daemon/config.h"

#include <errno.h>
#include <getopt.h>
#include <ini.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/file.h"
#include "base/runtime.h"
#include "base/slice.h"
#include "base/text.h"
#include "base/util.h"

static const char help[] = "usage: hearthd [--state-dir DIR] [--runtime-dir DIR] [--name NAME]\n"
                           "               [--listen HOST:PORT] [--no-discovery] [--config FILE]\n"
                           "The device daemon of a household: library, transfers, sessions with\n"
                           "distributors.\n\n"
                           "  --state-dir DIR     what must be kept (default: /var/lib/hearth,\n"
                           "                      for a user $XDG_STATE_HOME/hearth)\n"
                           "  --runtime-dir DIR   control socket (default: /run/hearth,\n"
                           "                      for a user /run/user/UID/hearth or\n"
                           "                      ~/.local/run/hearth)\n"
                           "  --name NAME         this device's name in the household (default: the host's)\n"
                           "  --listen HOST:PORT  where other devices connect (default: every interface,\n"
                           "                      any port)\n"
                           "  --no-discovery      neither publish nor look for devices by multicast DNS\n"
                           "  --config FILE       configuration (default: /etc/hearth/hearthd.conf,\n"
                           "                      for a user $XDG_CONFIG_HOME/hearth/hearthd.conf)\n"
                           "  --help, --version\n";

static int set(char *out, size_t cap, const char *value)
{
    if (strlen(value) >= cap)
        return CONFIG_USAGE;
    memcpy(out, value, strlen(value) + 1);
    return 0;
}

static int set_listen(struct config *c, const char *value)
{
    const char *colon = strrchr(value, ':');
    if (colon == NULL || (size_t)(colon - value) >= sizeof(c->listen_host))
        return CONFIG_USAGE;
    char *end;
    errno = 0;
    unsigned long port = strtoul(colon + 1, &end, 10);
    if (errno != 0 || end == colon + 1 || *end != '\0' || port > UINT16_MAX)
        return CONFIG_USAGE;
    const char *host = value;
    size_t len = (size_t)(colon - value);
    if (len >= 2 && host[0] == '[' && host[len - 1] == ']') {
        host++;
        len -= 2;
    }
    memcpy(c->listen_host, host, len);
    c->listen_host[len] = '\0';
    c->listen_port = (uint16_t)port;
    return 0;
}

static int set_name(struct config *c, const char *value)
{
    if (value[0] == '\0' || !text_is_utf8(slice_str(value)))
        return CONFIG_USAGE;
    return set(c->name, sizeof(c->name), value);
}

static int set_bool(bool *out, const char *value)
{
    bool on = strcasecmp(value, "yes") == 0 || strcasecmp(value, "on") == 0 || strcasecmp(value, "true") == 0;
    bool off = strcasecmp(value, "no") == 0 || strcasecmp(value, "off") == 0 || strcasecmp(value, "false") == 0;
    if (!on && !off)
        return CONFIG_USAGE;
    *out = on;
    return 0;
}

static int set_fetch(enum config_fetch *out, const char *value)
{
    static const char *const words[] = {
        [CONFIG_FETCH_ALL] = "all", [CONFIG_FETCH_OWN] = "own", [CONFIG_FETCH_NONE] = "none"
    };
    for (size_t i = 0; i < ARRAY_COUNT(words); i++)
        if (strcasecmp(value, words[i]) == 0) {
            *out = (enum config_fetch)i;
            return 0;
        }
    return CONFIG_USAGE;
}

static int set_key(struct config *c, const char *value)
{
    if (strcmp(value, "file") != 0 && strcmp(value, "tpm") != 0 && strcmp(value, "passphrase") != 0)
        return CONFIG_USAGE;
    return set(c->vault_key, sizeof(c->vault_key), value);
}

static int set_file(char *out, size_t cap, const char *value)
{
    return value[0] == '/' ? set(out, cap, value) : CONFIG_USAGE;
}

static int set_state_dir(struct config *c, const char *value) { return set(c->state_dir, sizeof(c->state_dir), value); }
static int set_runtime_dir(struct config *c, const char *value)
{
    return set(c->runtime_dir, sizeof(c->runtime_dir), value);
}
static int set_discovery(struct config *c, const char *value) { return set_bool(&c->discovery, value); }
static int set_answer_fetch(struct config *c, const char *value) { return set_fetch(&c->answer_fetch, value); }
static int set_tpm(struct config *c, const char *value) { return set(c->vault_tpm, sizeof(c->vault_tpm), value); }
static int set_passphrase_file(struct config *c, const char *value)
{
    return set_file(c->vault_passphrase_file, sizeof(c->vault_passphrase_file), value);
}
static int set_places(struct config *c, const char *value) { return set_bool(&c->places, value); }
static int set_ca_file(struct config *c, const char *value) { return set_file(c->ca_file, sizeof(c->ca_file), value); }

#define A_NAME "a name of up to 63 bytes"
#define A_DIRECTORY "the path of a directory, of up to 1023 bytes"
#define A_FILE "an absolute path, of up to 1023 bytes"
#define AN_ADDRESS "HOST:PORT, such as 192.168.1.2:7411, [::]:7411, or :0 for every interface and any free port"
#define YES_OR_NO "yes or no"
static const struct setting {
    const char *section, *name;
    int (*set)(struct config *c, const char *value);
    const char *allowed; /* for a person whose value is not */
} settings[] = {
    { "paths", "state-dir", set_state_dir, A_DIRECTORY },
    { "paths", "runtime-dir", set_runtime_dir, A_DIRECTORY },
    { "device", "name", set_name, A_NAME },
    { "network", "listen", set_listen, AN_ADDRESS },
    { "network", "discovery", set_discovery, YES_OR_NO },
    { "household", "answer-fetch", set_answer_fetch, "all, own or none" },
    { "vault", "key", set_key, "file, tpm or passphrase" },
    { "vault", "tpm", set_tpm, "what tpm2-tss calls the TPM, such as device:/dev/tpmrm0, of up to 255 bytes" },
    { "vault", "passphrase-file", set_passphrase_file, A_FILE },
    { "downloads", "places", set_places, YES_OR_NO },
    { "downloads", "ca-file", set_ca_file, A_FILE },
};

/* --- The file --- */

/* A file that is being read. */
struct reading {
    struct config *config;
    const char *path;
    FILE *file;
    int line;  /* of what was read last */
    int wrong; /* the first line of which it was said what is wrong; 0: none */
};

static char *read_line(char *out, int cap, void *ctx)
{
    struct reading *r = ctx;
    char *line = fgets(out, cap, r->file);
    r->line += line != NULL;
    return line;
}

static int complain(struct reading *r, const char *section, const char *name, const char *value,
                    const struct setting *s)
{
    char safe[3][128];
    (void)text_safe(section, safe[0], sizeof(safe[0]));
    (void)text_safe(name, safe[1], sizeof(safe[1]));
    (void)text_safe(value, safe[2], sizeof(safe[2]));
    if (s == NULL)
        fprintf(stderr, "hearthd: %s, line %d: there is no setting %s in [%s]; man hearthd.conf lists what there is\n",
                r->path, r->line, safe[1], safe[0]);
    else
        fprintf(stderr, "hearthd: %s, line %d: %s in [%s] cannot be \"%s\": it is %s\n", r->path, r->line, safe[1],
                safe[0], safe[2], s->allowed);
    r->wrong = r->wrong == 0 ? r->line : r->wrong;
    return 0; /* inih: failure */
}

static int on_ini(void *ctx, const char *section, const char *name, const char *value)
{
    struct reading *r = ctx;
    for (size_t i = 0; i < ARRAY_COUNT(settings); i++)
        if (strcmp(settings[i].section, section) == 0 && strcmp(settings[i].name, name) == 0)
            return settings[i].set(r->config, value) == 0 ? 1 : complain(r, section, name, value, &settings[i]);
    return complain(r, section, name, value, NULL);
}

static int read_file(struct config *c, const char *path, bool must_exist)
{
    int fd = -1;
    int r = file_open_regular(path, 0, &fd);
    if (r == -ENOENT && !must_exist)
        return 0;
    struct reading reading = { .config = c, .path = path, .file = r == 0 ? fdopen(fd, "r") : NULL };
    if (reading.file == NULL) {
        fprintf(stderr, "hearthd: %s cannot be read: %s\n", path,
                r == FILE_NOT_REGULAR ? "it is no plain file" : strerror(r < 0 ? -r : errno));
        if (fd >= 0)
            close(fd);
        return CONFIG_USAGE;
    }
    r = ini_parse_stream(read_line, &reading, on_ini, &reading);
    bool failed = ferror(reading.file) != 0;
    fclose(reading.file);
    if (r == 0 && !failed)
        return 0;
    if (failed)
        fprintf(stderr, "hearthd: %s cannot be read\n", path);
    else if (r != reading.wrong)
        fprintf(stderr, "hearthd: %s, line %d is neither [SECTION], NAME = VALUE nor # a remark\n", path, r);
    return CONFIG_USAGE;
}

/* Joins a base directory from the environment, or a fallback below $HOME. */
static int user_dir(char *out, size_t cap, const char *variable, const char *below_home, const char *name)
{
    const char *base = getenv(variable);
    int n;
    if (base != NULL && base[0] == '/') {
        n = snprintf(out, cap, "%s/%s", base, name);
    } else {
        const char *home = getenv("HOME");
        if (home == NULL || home[0] != '/')
            return CONFIG_USAGE;
        n = snprintf(out, cap, "%s/%s/%s", home, below_home, name);
    }
    return n > 0 && (size_t)n < cap ? 0 : CONFIG_USAGE;
}

/* A directory systemd made for the service comes first (it may name several; ours is the first). */
static bool from_systemd(char *out, size_t cap, const char *variable)
{
    const char *value = getenv(variable);
    if (value == NULL || value[0] != '/')
        return false;
    size_t len = strcspn(value, ":");
    if (len >= cap)
        return false;
    memcpy(out, value, len);
    out[len] = '\0';
    return true;
}

static void set_defaults(struct config *c, char *file, size_t file_cap)
{
    bool service = geteuid() == 0;
    *c = (struct config){ .discovery = true, .places = true };
    if (gethostname(c->name, sizeof(c->name) - 1) != 0 || !text_is_utf8(slice_str(c->name)) || c->name[0] == '\0')
        memcpy(c->name, "device", sizeof("device"));
    if (!from_systemd(c->state_dir, sizeof(c->state_dir), "STATE_DIRECTORY")) {
        if (service)
            (void)set(c->state_dir, sizeof(c->state_dir), "/var/lib/hearth");
        else
            (void)user_dir(c->state_dir, sizeof(c->state_dir), "XDG_STATE_HOME", ".local/state", "hearth");
    }
    if (!from_systemd(c->runtime_dir, sizeof(c->runtime_dir), "RUNTIME_DIRECTORY") &&
        runtime_dir(c->runtime_dir, sizeof(c->runtime_dir)) != 0)
        c->runtime_dir[0] = '\0'; /* an option may still name one */
    if (service)
        (void)set(file, file_cap, "/etc/hearth/hearthd.conf");
    else if (user_dir(file, file_cap, "XDG_CONFIG_HOME", ".config", "hearth/hearthd.conf") != 0)
        file[0] = '\0';
}

static int usage(const char *what)
{
    fprintf(stderr, "hearthd: %s; see hearthd --help\n", what);
    return CONFIG_USAGE;
}

/* About one argument. */
static int usage_of(const char *argument, const char *what)
{
    char problem[512], safe[256];
    (void)snprintf(problem, sizeof(problem), "%s %s", text_safe(argument, safe, sizeof(safe)), what);
    return usage(problem);
}

enum { OPT_STATE = 1, OPT_RUNTIME, OPT_NAME, OPT_LISTEN, OPT_CONFIG, OPT_NO_DISCOVERY, OPT_HELP, OPT_VERSION };
static const struct option options[] = {
    { "state-dir", required_argument, NULL, OPT_STATE },
    { "runtime-dir", required_argument, NULL, OPT_RUNTIME },
    { "name", required_argument, NULL, OPT_NAME },
    { "listen", required_argument, NULL, OPT_LISTEN },
    { "config", required_argument, NULL, OPT_CONFIG },
    { "no-discovery", no_argument, NULL, OPT_NO_DISCOVERY },
    { "help", no_argument, NULL, OPT_HELP },
    { "version", no_argument, NULL, OPT_VERSION },
    { NULL, 0, NULL, 0 },
};

static int read_argument(struct config *c, int option, const char *value)
{
    static const struct {
        const char *name;
        int (*set)(struct config *c, const char *value);
        const char *allowed;
    } valued[] = {
        [OPT_STATE] = { "--state-dir", set_state_dir, A_DIRECTORY },
        [OPT_RUNTIME] = { "--runtime-dir", set_runtime_dir, A_DIRECTORY },
        [OPT_NAME] = { "--name", set_name, A_NAME },
        [OPT_LISTEN] = { "--listen", set_listen, AN_ADDRESS },
    };
    char problem[256];
    if (option == OPT_NO_DISCOVERY)
        c->discovery = false;
    if (option >= (int)ARRAY_COUNT(valued) || valued[option].set(c, value) == 0)
        return 0;
    (void)snprintf(problem, sizeof(problem), "is no value for %s: it is %s", valued[option].name,
                   valued[option].allowed);
    return usage_of(value[0] != '\0' ? value : "nothing", problem);
}

int config_load(struct config *out, int argc, char **argv)
{
    struct config c;
    char file[CONFIG_PATH_BYTES];
    set_defaults(&c, file, sizeof(file));

    /* The file is read between the defaults and the other arguments, wherever --config stands. */
    const char *chosen = NULL;
    int option;
    opterr = 0; /* it is said here */
    optind = 1;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option == OPT_CONFIG)
            chosen = optarg;
        if (option == OPT_HELP || option == OPT_VERSION) {
            fputs(option == OPT_HELP ? help : "hearthd " HEARTH_VERSION "\n", stdout);
            return CONFIG_HELP;
        }
        if (option == '?')
            return usage_of(argv[optind - 1], "is not known, or lacks its value");
    }
    if (optind != argc)
        return usage_of(argv[optind], "is an argument too many");
    int r = chosen != NULL ? read_file(&c, chosen, true) : file[0] != '\0' ? read_file(&c, file, false) : 0;
    if (r != 0)
        return r;
    optind = 1;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1)
        if (read_argument(&c, option, optarg) != 0)
            return CONFIG_USAGE;
    if (c.state_dir[0] == '\0' || c.runtime_dir[0] == '\0')
        return usage("there is no directory for the state: give --state-dir and --runtime-dir, or set HOME");
    int n = snprintf(c.bodies_dir, sizeof(c.bodies_dir), "%s/bodies", c.state_dir);
    if (n > 0 && (size_t)n < sizeof(c.bodies_dir))
        n = snprintf(c.vault_dir, sizeof(c.vault_dir), "%s/vault", c.state_dir);
    if (n < 0 || (size_t)n >= sizeof(c.bodies_dir))
        return usage("the state directory's path is too long");
    *out = c;
    return 0;
}
