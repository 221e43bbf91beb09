/* libcurl's multi interface on libuv. Callbacks, in the order in which they fire: on_wish, on_pause (libcurl wants a socket or a time watched), on_socket,
 * on_time (it happened), take_header, take_bytes (inside libcurl), then finish_all (what has ended; outside of it), on_closed.
 *
 * libcurl may not be called from inside its callbacks: whatever is cancelled there is only marked, and removed by sweep() afterwards. */
#define LOG_MODULE "http"
#include "net/http.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/log.h"
#include "base/util.h"
#include "net/http_load.h"

#define CONNECT_MS 10000L
#define HOST_CONNECTIONS_MAX 2L
#define STATUS_PARTIAL 206

struct http {
    uv_loop_t *loop;
    const char *ca_file;
    const struct http_library *curl; /* NULL: nothing was asked for yet */
    CURLM *multi;
    uv_timer_t timer, soon; /* soon: gets that ended before they began */
    struct http_get *first;
    unsigned handles_open, depth; /* depth: of callbacks that must not see gets disappear */
    bool freed, inside;           /* inside: libcurl runs, and may not be called */
};

struct http_get {
    struct http *http;
    struct http_get *next;
    CURL *easy; /* NULL: there is no libcurl */
    struct http_callbacks callbacks;
    void *ctx;
    uint64_t first, len, total, received;
    size_t header_bytes;
    bool has_range, begun, cancelled, done, added;
    uint64_t range_first, range_last;
    enum reason why; /* of ourselves: what came was not taken */
    const char *detail;
    CURLcode code;
};

struct http_socket {
    uv_poll_t poll;
    struct http *http;
    curl_socket_t fd;
};

/* --- Content-Range ----------------------------------------------------------------------------------------------- */

static bool take_number(struct slice *s, uint64_t *out)
{
    uint64_t v = 0;
    size_t n = 0;
    for (; n < s->len && n < 19 && s->data[n] >= '0' && s->data[n] <= '9'; n++)
        v = v * 10 + (uint64_t)(s->data[n] - '0');
    *s = slice(s->data + n, s->len - n);
    *out = v;
    return n > 0;
}

/* Header names, and what stands for nothing else, without regard to case. */
static bool take_text(struct slice *s, const char *text)
{
    size_t len = strlen(text);
    if (s->len < len || strncasecmp((const char *)s->data, text, len) != 0)
        return false;
    *s = slice(s->data + len, s->len - len);
    return true;
}

bool http_range_parse(struct slice value, uint64_t *first, uint64_t *last, uint64_t *total)
{
    while (value.len > 0 && strchr(" \t\r\n", value.data[value.len - 1]) != NULL && value.data[value.len - 1] != 0)
        value.len--;
    uint64_t f, l, t;
    bool fits = take_text(&value, "bytes ") && take_number(&value, &f) && take_text(&value, "-") &&
                take_number(&value, &l) && take_text(&value, "/") && take_number(&value, &t);
    if (!fits || value.len != 0 || f > l || l >= t)
        return false;
    *first = f;
    *last = l;
    *total = t;
    return true;
}

/* --- The end of a get -------------------------------------------------------------------------------------------- */

static void get_free(struct http_get *g)
{
    if (g->easy != NULL) {
        if (g->added)
            (void)g->http->curl->multi_remove_handle(g->http->multi, g->easy);
        g->http->curl->easy_cleanup(g->easy);
    }
    free(g);
}

static long status_of(const struct http_get *g)
{
    long status = 0;
    (void)g->http->curl->easy_getinfo(g->easy, CURLINFO_RESPONSE_CODE, &status);
    return status;
}

static enum reason of_status(long status, const char **detail)
{
    if (status == 404 || status == 410 || status == 416)
        return REASON_UNKNOWN_CONTENT;
    if (status == 429 || status == 503)
        return REASON_RATE_LIMITED;
    if (status >= 500)
        return REASON_OFFLINE;
    *detail = status == 200 ? "The server answers no ranges." : "The server answers otherwise than it was asked.";
    return REASON_NOT_PERMITTED;
}

static enum reason of_code(CURLcode code, const char **detail)
{
    switch (code) {
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CIPHER:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_ISSUER_ERROR:
        *detail = "The server's TLS certificate is not accepted.";
        return REASON_BAD_CREDENTIALS;
    case CURLE_OPERATION_TIMEDOUT:
        return REASON_TIMED_OUT;
    case CURLE_TOO_MANY_REDIRECTS:
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_URL_MALFORMAT:
    case CURLE_WEIRD_SERVER_REPLY:
    case CURLE_BAD_CONTENT_ENCODING:
        *detail = "The server answers otherwise than it was asked.";
        return REASON_NOT_PERMITTED;
    default:
        return REASON_OFFLINE;
    }
}

static enum reason judge_end(const struct http_get *g, const char **detail)
{
    *detail = g->detail;
    if (g->easy == NULL)
        return REASON_OFFLINE;
    if (g->why != REASON_NONE)
        return g->why;
    if (g->code != CURLE_OK) {
        log_debug("a get ended: %s", g->http->curl->easy_strerror(g->code));
        return of_code(g->code, detail);
    }
    if (status_of(g) != STATUS_PARTIAL)
        return of_status(status_of(g), detail);
    if (g->begun && g->received == g->range_last - g->range_first + 1)
        return REASON_NONE;
    *detail = "The server sent less than it said.";
    return REASON_OFFLINE;
}

/* Removes what was cancelled, ends what has ended: one at a time, for each may cancel or start others. */
static void sweep(struct http *h)
{
    for (struct http_get **at = &h->first; *at != NULL;) {
        struct http_get *g = *at;
        if (!g->cancelled && !g->done) {
            at = &g->next;
            continue;
        }
        *at = g->next;
        const char *detail = NULL;
        bool tell = !g->cancelled;
        enum reason why = tell ? judge_end(g, &detail) : REASON_CANCELLED;
        struct http_callbacks callbacks = g->callbacks;
        void *ctx = g->ctx;
        get_free(g);
        if (!tell)
            continue;
        callbacks.on_done(why, detail, ctx);
        at = &h->first;
    }
}

/* What was started inside libcurl. */
static void add_waiting(struct http *h)
{
    for (struct http_get *g = h->first; g != NULL; g = g->next) {
        if (g->easy == NULL || g->added || g->cancelled)
            continue;
        g->added = h->curl->multi_add_handle(h->multi, g->easy) == CURLM_OK;
        g->done = !g->added;
        g->code = g->added ? CURLE_OK : CURLE_OUT_OF_MEMORY;
    }
}

static void finish_all(struct http *h)
{
    CURLMsg *m;
    int left;
    while (h->multi != NULL && (m = h->curl->multi_info_read(h->multi, &left)) != NULL) {
        struct http_get *g = NULL;
        if (m->msg != CURLMSG_DONE)
            continue;
        CURLcode code = m->data.result;
        if (h->curl->easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, &g) != CURLE_OK || g == NULL)
            continue;
        g->code = code;
        g->done = true;
    }
    h->depth++; /* what is started or cancelled by the callbacks waits for this loop */
    add_waiting(h);
    sweep(h);
    h->depth--;
}

static void act(struct http *h, curl_socket_t fd, int events)
{
    int running;
    h->depth++;
    h->inside = true;
    (void)h->curl->multi_socket_action(h->multi, fd, events, &running);
    h->inside = false;
    h->depth--;
    finish_all(h);
}

/* --- What libcurl wants watched ---------------------------------------------------------------------------------- */

static void on_time(uv_timer_t *t) { act(container_of(t, struct http, timer), CURL_SOCKET_TIMEOUT, 0); }

static void on_soon(uv_timer_t *t) { finish_all(container_of(t, struct http, soon)); }

static int on_pause(CURLM *multi, long ms, void *ctx)
{
    struct http *h = ctx;
    (void)multi;
    if (h->freed)
        return 0;
    if (ms < 0)
        (void)uv_timer_stop(&h->timer);
    else
        (void)uv_timer_start(&h->timer, on_time, (uint64_t)ms, 0);
    return 0;
}

static void on_closed(uv_handle_t *handle)
{
    struct http *h = handle->data;
    if (handle->type == UV_POLL)
        free(container_of((uv_poll_t *)(void *)handle, struct http_socket, poll));
    if (--h->handles_open == 0)
        free(h);
}

static void on_socket(uv_poll_t *poll, int status, int events)
{
    struct http_socket *s = container_of(poll, struct http_socket, poll);
    int flags = status < 0 ? CURL_CSELECT_ERR : 0;
    flags |= events & UV_READABLE ? CURL_CSELECT_IN : 0;
    flags |= events & UV_WRITABLE ? CURL_CSELECT_OUT : 0;
    act(s->http, s->fd, flags);
}

static int on_wish(CURL *easy, curl_socket_t fd, int wish, void *ctx, void *socket_ctx)
{
    struct http *h = ctx;
    struct http_socket *s = socket_ctx;
    (void)easy;
    if (wish == CURL_POLL_REMOVE) {
        if (s != NULL) {
            (void)uv_poll_stop(&s->poll);
            uv_close((uv_handle_t *)&s->poll, on_closed);
            (void)h->curl->multi_assign(h->multi, fd, NULL);
        }
        return 0;
    }
    if (s == NULL) {
        s = calloc(1, sizeof(*s));
        if (s == NULL)
            return -1;
        s->http = h;
        s->fd = fd;
        if (uv_poll_init(h->loop, &s->poll, fd) != 0) {
            free(s);
            return -1;
        }
        s->poll.data = h;
        h->handles_open++;
        (void)h->curl->multi_assign(h->multi, fd, s);
    }
    int events = (wish & CURL_POLL_IN ? UV_READABLE : 0) | (wish & CURL_POLL_OUT ? UV_WRITABLE : 0);
    return uv_poll_start(&s->poll, events, on_socket) == 0 ? 0 : -1;
}

/* --- What comes -------------------------------------------------------------------------------------------------- */

static size_t refuse(struct http_get *g, enum reason why, const char *detail)
{
    g->why = why;
    g->detail = detail;
    return 0; /* libcurl: less than it gave, an error */
}

static size_t take_header(char *bytes, size_t size, size_t count, void *ctx)
{
    struct http_get *g = ctx;
    size_t len = size * count;
    struct slice line = slice((const uint8_t *)bytes, len);
    g->header_bytes += len;
    if (g->header_bytes > HTTP_HEADERS_MAX)
        return refuse(g, REASON_NOT_PERMITTED, "The server's headers are too long.");
    if (take_text(&line, "HTTP/")) { /* another answer begins: what a redirect said of ranges is over */
        g->has_range = false;
    } else if (take_text(&line, "Content-Range:")) {
        while (line.len > 0 && (line.data[0] == ' ' || line.data[0] == '\t'))
            line = slice(line.data + 1, line.len - 1);
        bool twice = g->has_range;
        g->has_range = !twice && http_range_parse(line, &g->range_first, &g->range_last, &g->total);
    }
    return len;
}

/* The answer is the range that was asked for, cut at the end of the file. */
static bool is_right_range(const struct http_get *g)
{
    uint64_t last = g->len > g->total || g->first > g->total - g->len ? g->total - 1 : g->first + g->len - 1;
    return g->has_range && g->range_first == g->first && g->range_last == last;
}

static size_t take_bytes(char *bytes, size_t size, size_t count, void *ctx)
{
    struct http_get *g = ctx;
    size_t len = size * count;
    if (g->cancelled)
        return 0;
    if (!g->begun) {
        const char *detail = NULL;
        long status = status_of(g);
        if (status != STATUS_PARTIAL) {
            enum reason why = of_status(status, &detail);
            return refuse(g, why, detail);
        }
        if (!is_right_range(g))
            return refuse(g, REASON_NOT_PERMITTED, "The server sends another range than it was asked for.");
        g->begun = true;
    }
    if (len > g->range_last - g->range_first + 1 - g->received)
        return refuse(g, REASON_NOT_PERMITTED, "The server sends more than it was asked for.");
    g->received += len;
    if (g->callbacks.on_bytes(slice((const uint8_t *)bytes, len), g->total, g->ctx) != 0) {
        g->cancelled = true;
        return 0;
    }
    return len;
}

/* --- Starting ---------------------------------------------------------------------------------------------------- */

static int load(struct http *h)
{
    if (h->multi != NULL)
        return 0;
    int r = http_library(&h->curl);
    if (r != 0)
        return r;
    h->multi = h->curl->multi_init();
    if (h->multi == NULL)
        return -ENOMEM;
    (void)h->curl->multi_setopt(h->multi, CURLMOPT_SOCKETFUNCTION, on_wish);
    (void)h->curl->multi_setopt(h->multi, CURLMOPT_SOCKETDATA, h);
    (void)h->curl->multi_setopt(h->multi, CURLMOPT_TIMERFUNCTION, on_pause);
    (void)h->curl->multi_setopt(h->multi, CURLMOPT_TIMERDATA, h);
    (void)h->curl->multi_setopt(h->multi, CURLMOPT_MAX_HOST_CONNECTIONS, HOST_CONNECTIONS_MAX);
    return 0;
}

static int prepare(struct http_get *g, const char *url)
{
    struct http *h = g->http;
    char range[48];
    __typeof__(curl_easy_setopt) *set = h->curl->easy_setopt;
    CURL *e = h->curl->easy_init();
    if (e == NULL)
        return -ENOMEM;
    g->easy = e;
    snprintf(range, sizeof(range), "%" PRIu64 "-%" PRIu64, g->first, g->first + g->len - 1);
    bool ok =
        set(e, CURLOPT_URL, url) == CURLE_OK && set(e, CURLOPT_RANGE, range) == CURLE_OK &&
        set(e, CURLOPT_PRIVATE, g) == CURLE_OK && set(e, CURLOPT_WRITEFUNCTION, take_bytes) == CURLE_OK &&
        set(e, CURLOPT_WRITEDATA, g) == CURLE_OK && set(e, CURLOPT_HEADERFUNCTION, take_header) == CURLE_OK &&
        set(e, CURLOPT_HEADERDATA, g) == CURLE_OK && set(e, CURLOPT_NOSIGNAL, 1L) == CURLE_OK &&
        set(e, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_MS) == CURLE_OK && set(e, CURLOPT_FOLLOWLOCATION, 1L) == CURLE_OK &&
        set(e, CURLOPT_MAXREDIRS, (long)HTTP_REDIRECTS_MAX) == CURLE_OK &&
        set(e, CURLOPT_PROTOCOLS_STR, "http,https") == CURLE_OK &&
        set(e, CURLOPT_REDIR_PROTOCOLS_STR, strncasecmp(url, "https:", 6) == 0 ? "https" : "http,https") == CURLE_OK &&
        set(e, CURLOPT_PROXY, "") == CURLE_OK && set(e, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED) == CURLE_OK &&
        set(e, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1) == CURLE_OK &&
        set(e, CURLOPT_SSL_VERIFYPEER, 1L) == CURLE_OK && set(e, CURLOPT_SSL_VERIFYHOST, 2L) == CURLE_OK &&
        set(e, CURLOPT_USERAGENT, "hearth") == CURLE_OK;
    if (ok && h->ca_file != NULL && h->ca_file[0] != '\0')
        ok = set(e, CURLOPT_CAINFO, h->ca_file) == CURLE_OK;
    if (ok && h->inside)
        (void)uv_timer_start(&h->soon, on_soon, 0, 0);
    else if (ok)
        ok = g->added = h->curl->multi_add_handle(h->multi, e) == CURLM_OK;
    if (ok)
        return 0;
    h->curl->easy_cleanup(steal(&g->easy));
    return -ENOMEM;
}

int http_get_start(struct http_get **out, struct http *h, const char *url, uint64_t first, uint64_t len,
                   const struct http_callbacks *callbacks, void *ctx)
{
    struct http_get *g CLEANUP(freep) = calloc(1, sizeof(*g));
    if (g == NULL)
        return -ENOMEM;
    g->http = h;
    g->callbacks = *callbacks;
    g->ctx = ctx;
    g->first = first;
    g->len = len;
    int r = load(h);
    if (r == 0)
        r = prepare(g, url);
    if (r == -ENOENT) { /* no library: said in the next turn, like any other end */
        g->done = true;
        (void)uv_timer_start(&h->soon, on_soon, 0, 0);
        r = 0;
    }
    if (r != 0)
        return r;
    struct http_get **at = &h->first; /* at the end: sweep() may be on its way */
    while (*at != NULL)
        at = &(*at)->next;
    *at = g;
    *out = steal(&g);
    return 0;
}

void http_get_cancel(struct http_get *g)
{
    g->cancelled = true;
    if (g->http->depth == 0)
        sweep(g->http);
    else
        (void)uv_timer_start(&g->http->soon, on_soon, 0, 0);
}

/* --- Life -------------------------------------------------------------------------------------------------------- */

int http_new(struct http **out, uv_loop_t *loop, const char *ca_file)
{
    struct http *h = calloc(1, sizeof(*h));
    if (h == NULL)
        return -ENOMEM;
    h->loop = loop;
    h->ca_file = ca_file;
    (void)uv_timer_init(loop, &h->timer);
    (void)uv_timer_init(loop, &h->soon);
    h->timer.data = h->soon.data = h;
    h->handles_open = 2;
    *out = h;
    return 0;
}

void http_free(struct http *h)
{
    if (h == NULL)
        return;
    sweep(h);
    assert(h->first == NULL && h->depth == 0);
    h->freed = true;
    if (h->multi != NULL)
        (void)h->curl->multi_cleanup(h->multi); /* takes leave of its sockets through on_wish */
    uv_close((uv_handle_t *)&h->timer, on_closed);
    uv_close((uv_handle_t *)&h->soon, on_closed);
}
