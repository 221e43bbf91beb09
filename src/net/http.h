/* HTTP: bytes of a file that lies behind an http:// or https:// URL, by ranges, over libcurl on the loop thread. For bodies at any static
 * HTTP server, which need not be trusted: what comes is verified by whoever asks.
 *
 * libcurl is loaded when the first range is asked for: a program that never asks carries none of it, and on a system without it every
 * range ends with REASON_OFFLINE.
 *
 * Held to: status 206 with exactly the range that was asked for (cut at the end of the file), HTTP_REDIRECTS_MAX redirects to http or https and
 * none from https to http, headers of at most HTTP_HEADERS_MAX bytes, no cookies, no credentials, no proxy of the environment, no decoding. */
#ifndef NET_HTTP_H
#define NET_HTTP_H

#include <uv.h>

#include "base/slice.h"
#include "protocol/reason.h"

#define HTTP_URL_BYTES 512
#define HTTP_REDIRECTS_MAX 3
#define HTTP_HEADERS_MAX (16u << 10)

struct http;
struct http_get;

/* ca_file: whom to trust beyond nobody (PEM), or NULL or "": the system's authorities. Borrowed until http_free. 0, -ENOMEM. */
int http_new(struct http **out, uv_loop_t *loop, const char *ca_file) MUST_USE;
/* Its gets are over or cancelled (asserted). Accepts NULL; the memory goes after the loop's last callbacks. */
void http_free(struct http *h);

struct http_callbacks {
    /* Bytes in order, as they come. total_bytes: of the whole file, by the server's word. Not 0: enough, the get is cancelled. */
    int (*on_bytes)(struct slice bytes, uint64_t total_bytes, void *ctx);
    /* Once, last. REASON_NONE: all of the range has come. REASON_UNKNOWN_CONTENT: no such file. REASON_NOT_PERMITTED: an answer that is
     * not taken (no ranges, another range, too many redirects, too long headers). REASON_BAD_CREDENTIALS: TLS. Else REASON_OFFLINE,
     * REASON_TIMED_OUT, REASON_RATE_LIMITED. detail: a sentence, or NULL. */
    void (*on_done)(enum reason why, const char *detail, void *ctx);
};
/* Bytes first .. first+len-1 of url; len >= 1; what lies beyond the end of the file is left out. No callback before this returns. 0, -ENOMEM. */
int http_get_start(struct http_get **out, struct http *h, const char *url, uint64_t first, uint64_t len,
                   const struct http_callbacks *callbacks, void *ctx) MUST_USE;
/* No callback any more. From anywhere, also from its own callbacks; not after on_done. */
void http_get_cancel(struct http_get *g);

/* "bytes 0-99/1234", as Content-Range has it. False: anything else, a total that is not said included. */
bool http_range_parse(struct slice value, uint64_t *first, uint64_t *last, uint64_t *total);

#endif
