/* The functions of libcurl that http.c calls, found when they are needed first. Loop thread. */
#ifndef NET_HTTP_LOAD_H
#define NET_HTTP_LOAD_H

#define CURL_DISABLE_TYPECHECK
#include <curl/curl.h>

#include "base/outcome.h"

struct http_library {
    __typeof__(curl_global_init) *global_init;
    __typeof__(curl_easy_init) *easy_init;
    __typeof__(curl_easy_cleanup) *easy_cleanup;
    __typeof__(curl_easy_setopt) *easy_setopt;
    __typeof__(curl_easy_getinfo) *easy_getinfo;
    __typeof__(curl_easy_strerror) *easy_strerror;
    __typeof__(curl_multi_init) *multi_init;
    __typeof__(curl_multi_cleanup) *multi_cleanup;
    __typeof__(curl_multi_setopt) *multi_setopt;
    __typeof__(curl_multi_add_handle) *multi_add_handle;
    __typeof__(curl_multi_remove_handle) *multi_remove_handle;
    __typeof__(curl_multi_assign) *multi_assign;
    __typeof__(curl_multi_socket_action) *multi_socket_action;
    __typeof__(curl_multi_info_read) *multi_info_read;
};
/* Loaded once, for the life of the process. 0; -ENOENT: there is none here (logged once). */
int http_library(const struct http_library **out) MUST_USE;

#endif
