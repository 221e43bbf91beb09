/* Wiping, comparing and keeping secrets. Only libsodium's memory functions are used here; ciphers live in crypto.
 * Any thread; secret_init() and secret_harden_process() before threads are started. */
#include "base/secret.h"

#include <sodium.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>

void secret_wipe(void *data, size_t len)
{
    if (len > 0)
        sodium_memzero(data, len);
}

void key32_wipe(struct key32 *k) { secret_wipe(k->bytes, sizeof(k->bytes)); }

bool secret_equal(const void *a, const void *b, size_t len) { return len == 0 || sodium_memcmp(a, b, len) == 0; }

int secret_init(void)
{
    int r = sodium_init(); /* 1: already done */
    return r < 0 ? -EIO : 0;
}

void *secret_alloc(size_t len)
{
    void *p = sodium_malloc(len);
    if (!p)
        return NULL;
    /* sodium_malloc() does not tell when its own mlock() failed, and an unlocked key may reach swap. */
    if (len > 0 && sodium_mlock(p, len) != 0) {
        sodium_free(p);
        return NULL;
    }
    memset(p, 0, len);
    return p;
}

void secret_free(void *p) { sodium_free(p); }

int secret_hide_process(void) { return prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0 ? -errno : 0; }

int secret_harden_process(void)
{
    const struct rlimit none = { 0, 0 };
    if (setrlimit(RLIMIT_CORE, &none) != 0)
        return -errno;
    int r = secret_hide_process();
    if (r != 0)
        return r;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return -errno;
    return 0;
}
