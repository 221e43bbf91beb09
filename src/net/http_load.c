/* libcurl brings many libraries along, megabytes of them, which a device without places to fetch from should not carry: hence dlopen. */
#define LOG_MODULE "http"
#include "net/http_load.h"

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stddef.h>
#include <string.h>

#include "base/log.h"
#include "base/util.h"

static const char *const names[] = { "libcurl-gnutls.so.4", "libcurl.so.4" };

static struct http_library library;
static int outcome;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static int find_all(void *handle)
{
    static const struct {
        const char *name;
        size_t at;
    } functions[] = {
        { "curl_global_init", offsetof(struct http_library, global_init) },
        { "curl_easy_init", offsetof(struct http_library, easy_init) },
        { "curl_easy_cleanup", offsetof(struct http_library, easy_cleanup) },
        { "curl_easy_setopt", offsetof(struct http_library, easy_setopt) },
        { "curl_easy_getinfo", offsetof(struct http_library, easy_getinfo) },
        { "curl_easy_strerror", offsetof(struct http_library, easy_strerror) },
        { "curl_multi_init", offsetof(struct http_library, multi_init) },
        { "curl_multi_cleanup", offsetof(struct http_library, multi_cleanup) },
        { "curl_multi_setopt", offsetof(struct http_library, multi_setopt) },
        { "curl_multi_add_handle", offsetof(struct http_library, multi_add_handle) },
        { "curl_multi_remove_handle", offsetof(struct http_library, multi_remove_handle) },
        { "curl_multi_assign", offsetof(struct http_library, multi_assign) },
        { "curl_multi_socket_action", offsetof(struct http_library, multi_socket_action) },
        { "curl_multi_info_read", offsetof(struct http_library, multi_info_read) },
    };
    for (size_t i = 0; i < ARRAY_COUNT(functions); i++) {
        void *function = dlsym(handle, functions[i].name);
        if (function == NULL)
            return -ENOENT;
        memcpy((char *)&library + functions[i].at, &function, sizeof(function));
    }
    return library.global_init(CURL_GLOBAL_ALL) == CURLE_OK ? 0 : -ENOENT;
}

static void load(void)
{
    outcome = -ENOENT;
    for (size_t i = 0; i < ARRAY_COUNT(names) && outcome != 0; i++) {
        void *handle = dlopen(names[i], RTLD_NOW | RTLD_LOCAL);
        if (handle != NULL)
            outcome = find_all(handle); /* never closed: it has threads and tables of its own */
    }
    if (outcome != 0)
        log_warn("libcurl is not installed: bodies come from distributors and devices only");
}

int http_library(const struct http_library **out)
{
    pthread_once(&once, load);
    if (outcome == 0)
        *out = &library;
    return outcome;
}
