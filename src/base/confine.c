/* Landlock, as much of it as the running kernel knows. Before threads are started: each thread is confined by itself. */
#define LOG_MODULE "confinement"
#include "base/confine.h"

#include <fcntl.h>
#include <linux/landlock.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/log.h"
#include "base/util.h"

/* Newer than some headers: the kernel's ABI, from linux/landlock.h of 6.12. */
struct ruleset {
    uint64_t handled_access_fs, handled_access_net, scoped;
};
#define FS_TRUNCATE (UINT64_C(1) << 14)
#define FS_IOCTL_DEV (UINT64_C(1) << 15)
#define NET_BIND_TCP (UINT64_C(1) << 0)
#define NET_CONNECT_TCP (UINT64_C(1) << 1)
#define SCOPE_ABSTRACT_SOCKET (UINT64_C(1) << 0)
#define SCOPE_SIGNAL (UINT64_C(1) << 1)

#define FS_OF_FILES \
    (LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_READ_FILE | FS_TRUNCATE)
#define FS_READ (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define FS_WRITE                                                                                      \
    (LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR | LANDLOCK_ACCESS_FS_REMOVE_FILE | \
     LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_REFER | FS_TRUNCATE)

/* Everything the ABI version can withhold. */
static size_t all_of(int abi, struct ruleset *out)
{
    *out = (struct ruleset){ .handled_access_fs = (LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1 };
    if (abi >= 2)
        out->handled_access_fs |= LANDLOCK_ACCESS_FS_REFER;
    if (abi >= 3)
        out->handled_access_fs |= FS_TRUNCATE;
    if (abi >= 5)
        out->handled_access_fs |= FS_IOCTL_DEV;
    if (abi < 4)
        return sizeof(out->handled_access_fs);
    out->handled_access_net = NET_BIND_TCP | NET_CONNECT_TCP;
    if (abi < 6)
        return sizeof(out->handled_access_fs) + sizeof(out->handled_access_net);
    out->scoped = SCOPE_ABSTRACT_SOCKET | SCOPE_SIGNAL;
    return sizeof(*out);
}

static int allow(int ruleset, uint64_t handled, const struct confine_path *p)
{
    struct stat st;
    int fd CLEANUP(closep) = open(p->path, O_PATH | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT || errno == EACCES ? 0 : -errno;
    if (fstat(fd, &st) != 0)
        return -errno;
    static const uint64_t access[] = {
        [CONFINE_LIST] = LANDLOCK_ACCESS_FS_READ_DIR,
        [CONFINE_READ] = FS_READ,
        [CONFINE_WRITE] = FS_READ | FS_WRITE | FS_IOCTL_DEV,
    };
    struct landlock_path_beneath_attr rule = { .allowed_access = access[p->access] & handled, .parent_fd = fd };
    if (!S_ISDIR(st.st_mode))
        rule.allowed_access &= FS_OF_FILES | FS_IOCTL_DEV;
    if (syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) != 0)
        return -errno;
    return 0;
}

int confine_files(const struct confine_path *paths, size_t count, unsigned flags)
{
    long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    if (abi < 0)
        return errno == ENOSYS || errno == EOPNOTSUPP || errno == EPERM ? CONFINE_UNAVAILABLE : -errno;
    struct ruleset all;
    size_t size = all_of((int)abi, &all);
    if ((flags & CONFINE_TCP) != 0)
        all.handled_access_net = 0;
    if ((flags & CONFINE_ABSTRACT_SOCKETS) != 0)
        all.scoped &= ~SCOPE_ABSTRACT_SOCKET;
    int ruleset CLEANUP(closep) = (int)syscall(SYS_landlock_create_ruleset, &all, size, 0);
    if (ruleset < 0)
        return -errno;
    for (size_t i = 0; i < count; i++) {
        int r = allow(ruleset, all.handled_access_fs, &paths[i]);
        if (r != 0)
            return r;
    }
    return syscall(SYS_landlock_restrict_self, ruleset, 0) != 0 ? -errno : 0;
}

const struct confine_path confine_system_files[CONFINE_SYSTEM_FILES] = {
    { "/usr", CONFINE_READ },
    { "/lib", CONFINE_READ },
    { "/lib64", CONFINE_READ },
    { "/run/systemd/resolve", CONFINE_READ },
    { "/run/NetworkManager", CONFINE_READ },
    { "/run/resolvconf", CONFINE_READ },
    { "/sys/devices/system/cpu", CONFINE_READ },
    { "/proc/sys/kernel/random", CONFINE_READ },
    { "/dev/urandom", CONFINE_READ },
    { "/dev/null", CONFINE_WRITE },
};

int confine_enter(const struct confine_path *paths, size_t count, unsigned flags, int (*filter)(void))
{
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return -errno;
    int r = confine_files(paths, count, flags);
    if (r < 0)
        return r;
    bool missing = r == CONFINE_UNAVAILABLE;
    if (missing)
        log_warn("this kernel has no Landlock: the file system is not closed off");
    r = filter();
    if (r == CONFINE_UNAVAILABLE)
        log_warn("built without libseccomp: system calls are not filtered");
    return r == 0 && missing ? CONFINE_UNAVAILABLE : r;
}
