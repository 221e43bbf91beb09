/* From a sealed file to a loaded plug-in. What is loaded is a memory file that nothing can change any more, by its number in this process: there
 * is no name that anybody else could put something else under. */
#define LOG_MODULE "plugin"
#include "player/plugin.h"

#include <ctype.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <ladspa.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/secret.h"
#include "base/text.h"
#include "base/util.h"
#include "crypto/sha256.h"
#include "player/hearth-plugin.h"
#include "protocol/program.h"
#include "vault.pb.h"

#define SEALS (F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL)
#define FILTER_BYTES 160
#define LABEL_MAX 63

struct plugin {
    int fd; /* of the memory file */
    void *handle;
    unsigned long (*frames)(void);
    char path[32], filter[FILTER_BYTES], detail[128];
};

static void plugin_closep(struct plugin **p) { plugin_close(*p); }

void plugin_close(struct plugin *p)
{
    if (!p)
        return;
    if (p->handle)
        dlclose(p->handle);
    closep(&p->fd);
    free(p);
}

const char *plugin_filter(const struct plugin *p) { return p->filter; }

unsigned long plugin_frames(const struct plugin *p) { return p->frames(); }

/* --- Into memory ------------------------------------------------------------------------------------------------- */

static int copy_in(int from, int to)
{
    struct stat st;
    if (fstat(from, &st) != 0)
        return -errno;
    if (!S_ISREG(st.st_mode) || st.st_size <= 0 || (uint64_t)st.st_size > program_sealed_bytes(PROGRAM_BYTES_MAX))
        return REASON_BLOCK_CORRUPT;
    off_t at = 0;
    while (at < st.st_size) {
        ssize_t n = sendfile(to, from, &at, (size_t)(st.st_size - at));
        if (n < 0 && errno != EINTR)
            return -errno;
        if (n == 0)
            return REASON_BLOCK_CORRUPT;
    }
    return 0;
}

/* The vault opens what is in memory in its place. */
static int ask_vault(int fd, int vault_fd, vlt_PluginOpened *out)
{
    static const vlt_PluginOpen message;
    msg_Refusal refusal;
    struct frame f;
    struct channel vault CLEANUP(channel_deinit);
    int own = fcntl(vault_fd, F_DUPFD_CLOEXEC, 0);
    if (own < 0)
        return -errno;
    channel_init(&vault, own, 0);
    int r = channel_send_fd(&vault, vlt_Type_PLUGIN_OPEN, UINT32_MAX, vlt_PluginOpen_fields, &message, fd);
    if (r == 0) {
        r = channel_read(&vault, true, &f);
        if (r > 0)
            r = -EPIPE;
    }
    if (r != 0)
        return r;
    r = reason_of_reply(&f, vlt_Type_PLUGIN_OPENED, &refusal);
    if (r == 0 && CODEC_DECODE(vlt_PluginOpened, f.message, out) != 0)
        r = REASON_MALFORMED;
    return r;
}

/* From here on nobody changes it; and it is what was signed. */
static int seal_and_compare(int fd, const vlt_PluginOpened *said)
{
    struct stat st;
    uint8_t digest[SHA256_BYTES];
    if (fcntl(fd, F_ADD_SEALS, SEALS) != 0 || fstat(fd, &st) != 0)
        return -errno;
    if (said->program_bytes == 0 || (uint64_t)st.st_size != said->program_bytes)
        return REASON_BLOCK_CORRUPT;
    void *bytes = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (bytes == MAP_FAILED)
        return -errno;
    sha256(slice(bytes, (size_t)st.st_size), digest);
    munmap(bytes, (size_t)st.st_size);
    return memcmp(digest, said->digest, sizeof(digest)) == 0 ? 0 : REASON_BLOCK_CORRUPT;
}

/* --- As code ----------------------------------------------------------------------------------------------------- */

static int unusable(struct plugin *p, const char *why)
{
    snprintf(p->detail, sizeof(p->detail), "The plug-in does not work here: %s.", why);
    return REASON_PROGRAM_UNUSABLE;
}

/* The label becomes a word of the filter's description. */
static bool is_word(const char *label)
{
    size_t len = 0;
    while (isalnum((unsigned char)label[len]) || label[len] == '_')
        len++;
    return len > 0 && len <= LABEL_MAX && label[len] == '\0';
}

static int judge_ports(struct plugin *p, const LADSPA_Descriptor *d)
{
    unsigned long in = 0, out = 0;
    for (unsigned long i = 0; i < d->PortCount; i++)
        if (LADSPA_IS_PORT_AUDIO(d->PortDescriptors[i])) {
            in += LADSPA_IS_PORT_INPUT(d->PortDescriptors[i]) != 0;
            out += LADSPA_IS_PORT_OUTPUT(d->PortDescriptors[i]) != 0;
        }
    return in == out && in >= 1 && in <= 2 ? 0 : unusable(p, "it does not take sound in and give as much out");
}

static int load(struct plugin *p, const uint8_t information[PROGRAM_INFORMATION_BYTES])
{
    snprintf(p->path, sizeof(p->path), "/proc/self/fd/%d", p->fd);
    p->handle = dlopen(p->path, RTLD_NOW | RTLD_LOCAL);
    if (!p->handle) {
        char safe[256];
        log_warn("a plug-in cannot be loaded: %s", text_safe(dlerror(), safe, sizeof(safe)));
        return unusable(p, "it is no shared object for this machine");
    }
    int (*begin)(const unsigned char *) = (int (*)(const unsigned char *))dlsym(p->handle, "hearth_plugin_begin");
    LADSPA_Descriptor_Function describe = (LADSPA_Descriptor_Function)dlsym(p->handle, "ladspa_descriptor");
    p->frames = (unsigned long (*)(void))dlsym(p->handle, "hearth_plugin_frames");
    if (!begin || !describe || !p->frames)
        return unusable(p, "it lacks a function that hearth-plugin.h names");
    if (begin(information) != 0)
        return unusable(p, "it declines what is specific to this device");
    const LADSPA_Descriptor *d = describe(0);
    if (!d || !d->Label || !is_word(d->Label))
        return unusable(p, "it has no label");
    snprintf(p->filter, sizeof(p->filter), "lavfi=[ladspa=file=%s:plugin=%s]", p->path, d->Label);
    return judge_ports(p, d);
}

static int fetch(struct plugin *p, int program_fd, int vault_fd, vlt_PluginOpened *said)
{
    p->fd = memfd_create("plug-in", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    int r = p->fd < 0 ? -errno : copy_in(program_fd, p->fd);
    if (r == 0)
        r = ask_vault(p->fd, vault_fd, said);
    return r == 0 ? seal_and_compare(p->fd, said) : r;
}

int plugin_open(struct plugin **out, int program_fd, int vault_fd, const char **detail)
{
    static char kept[sizeof(((struct plugin *)0)->detail)];
    int program CLEANUP(closep) = program_fd;
    vlt_PluginOpened said = vlt_PluginOpened_init_zero;
    struct plugin *p CLEANUP(plugin_closep) = calloc(1, sizeof(*p));
    if (!p)
        return -ENOMEM;
    p->fd = -1;
    int r = fetch(p, program, vault_fd, &said);
    if (r == 0)
        r = load(p, said.information);
    secret_wipe(&said, sizeof(said));
    if (r == REASON_BLOCK_CORRUPT)
        *detail = "The plug-in's file is damaged, or another device's: hearth programs get NAME";
    if (p->detail[0] != '\0') {
        memcpy(kept, p->detail, sizeof(kept));
        *detail = kept;
    }
    if (r == 0)
        *out = steal(&p);
    return r;
}
