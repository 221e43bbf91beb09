/* A question on each network and over each protocol of it, until our own name comes back or the time is over.
 *
 * Callbacks, in the order in which they fire: on_again (asks), on_alloc, on_answer; on_end; on_closed, the last of which answers. */
#include "net/heard.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"

#define MDNS_PORT 5353
#define AGAIN_MS 400
#define PROBES_MAX (2 * HEARD_ROWS_MAX)
#define ANSWER_BYTES_MAX 4096

/* ANY? _hearth._tcp.local, as RFC 6762, 6.7 has it for those who do not speak multicast DNS themselves: the answer comes to our port.
 *
 *   ID, flags   4 bytes of 0
 *   QDCOUNT     0001; ANCOUNT, NSCOUNT, ARCOUNT 0
 *   name, type ANY (00ff), class IN with the wish for an answer to us alone (8001)
 *
 * Whoever hears a question that it was about to ask itself leaves it (7.3), and would wait for an answer to all that does not come: so it is one that browsers do not ask; and
 * without that wish, siblings that do not answer to all would be taken for dead (10.5). */
static const char question[] = "\0\0\0\0\0\1\0\0\0\0\0\0\7_hearth\4_tcp\5local\0\0\377\200\1";

struct heard;
struct probe {
    struct heard *owner;
    struct heard_row *row;
    uv_udp_t udp;
    struct sockaddr_storage to;
};
struct heard {
    uv_timer_t again, end;
    unsigned open_handles;
    bool ending;
    struct probe probes[PROBES_MAX];
    size_t probe_count;
    struct heard_row rows[HEARD_ROWS_MAX];
    size_t row_count;
    char label[16 + ID_SHORT_BYTES];
    char answer[ANSWER_BYTES_MAX];
    heard_fn on_heard;
    void *ctx;
};

static void on_closed(uv_handle_t *handle)
{
    struct heard *h = handle->type == UV_UDP ? ((struct probe *)handle->data)->owner : handle->data;
    if (--h->open_handles > 0)
        return;
    h->on_heard(h->rows, h->row_count, h->ctx);
    free(h);
}

static void end(struct heard *h)
{
    if (h->ending)
        return;
    h->ending = true;
    uv_close((uv_handle_t *)&h->again, on_closed);
    uv_close((uv_handle_t *)&h->end, on_closed);
    for (size_t i = 0; i < h->probe_count; i++)
        uv_close((uv_handle_t *)&h->probes[i].udp, on_closed);
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    struct heard *h = ((struct probe *)handle->data)->owner;
    (void)suggested;
    *buf = uv_buf_init(h->answer, sizeof h->answer); /* one at a time */
}

static void on_answer(uv_udp_t *udp, ssize_t len, const uv_buf_t *buf, const struct sockaddr *from, unsigned flags)
{
    struct probe *p = udp->data;
    struct heard *h = p->owner;
    (void)from, (void)flags;
    if (len <= 0 || !memmem(buf->base, (size_t)len, h->label, strlen(h->label)))
        return;
    p->row->heard = true;
    for (size_t i = 0; i < h->row_count; i++) {
        if (!h->rows[i].heard)
            return;
    }
    end(h);
}

static void on_again(uv_timer_t *timer)
{
    struct heard *h = timer->data;
    uv_buf_t packet = uv_buf_init((char *)(uintptr_t)question, sizeof question - 1);
    for (size_t i = 0; i < h->probe_count; i++) {
        struct probe *p = &h->probes[i];
        if (!p->row->heard) /* one that cannot be sent is not heard */
            (void)uv_udp_try_send(&p->udp, &packet, 1, (const struct sockaddr *)&p->to);
    }
}

static void on_end(uv_timer_t *timer) { end(timer->data); }

/* --- Networks --- */

static struct heard_row *row_of(struct heard *h, const char *interface)
{
    for (size_t i = 0; i < h->row_count; i++) {
        if (strcmp(h->rows[i].interface, interface) == 0)
            return &h->rows[i];
    }
    if (h->row_count == HEARD_ROWS_MAX)
        return NULL;
    struct heard_row *row = &h->rows[h->row_count++];
    snprintf(row->interface, sizeof row->interface, "%s", interface);
    return row;
}

static int open_v4(struct probe *p, const struct sockaddr_in *own)
{
    char text[INET_ADDRSTRLEN];
    struct sockaddr_in from = *own;
    from.sin_port = 0;
    int r = uv_ip4_addr("224.0.0.251", MDNS_PORT, (struct sockaddr_in *)&p->to);
    if (r == 0)
        r = uv_ip4_name(own, text, sizeof text);
    if (r == 0)
        r = uv_udp_bind(&p->udp, (const struct sockaddr *)&from, 0);
    return r == 0 ? uv_udp_set_multicast_interface(&p->udp, text) : r;
}

static int open_v6(struct probe *p, const struct sockaddr_in6 *own, const char *interface)
{
    char text[8 + IF_NAMESIZE];
    struct sockaddr_in6 from = *own, *to = (struct sockaddr_in6 *)&p->to;
    from.sin6_port = 0;
    snprintf(text, sizeof text, "::%%%s", interface);
    int r = uv_ip6_addr("ff02::fb", MDNS_PORT, to);
    to->sin6_scope_id = if_nametoindex(interface);
    if (r == 0)
        r = uv_udp_bind(&p->udp, (const struct sockaddr *)&from, UV_UDP_IPV6ONLY);
    return r == 0 ? uv_udp_set_multicast_interface(&p->udp, text) : r;
}

static void add_probe(struct heard *h, const struct ifaddrs *a)
{
    struct heard_row *row = row_of(h, a->ifa_name);
    if (!row || h->probe_count == PROBES_MAX)
        return;
    struct probe *p = &h->probes[h->probe_count];
    if (uv_udp_init(h->again.loop, &p->udp) != 0)
        return;
    h->probe_count++;
    h->open_handles++;
    p->owner = h;
    p->row = row;
    p->udp.data = p;
    const void *own = a->ifa_addr;
    int r = a->ifa_addr->sa_family == AF_INET ? open_v4(p, own) : open_v6(p, own, a->ifa_name);
    if (r == 0)
        (void)uv_udp_recv_start(&p->udp, on_alloc, on_answer); /* one that does not receive is not heard */
}

/* As discovery_publish.c: where siblings can be. */
static bool is_network(const struct ifaddrs *a, bool loopback)
{
    if (!a->ifa_addr || !(a->ifa_flags & IFF_UP) || (a->ifa_flags & IFF_POINTOPOINT))
        return false;
    if (loopback)
        return (a->ifa_flags & IFF_LOOPBACK) && a->ifa_addr->sa_family == AF_INET;
    return !(a->ifa_flags & IFF_LOOPBACK) && (a->ifa_flags & IFF_RUNNING) && (a->ifa_flags & IFF_MULTICAST) &&
           (a->ifa_addr->sa_family == AF_INET || a->ifa_addr->sa_family == AF_INET6);
}

int heard_ask(uv_loop_t *loop, const struct id *self, heard_fn on_heard, void *ctx)
{
    struct ifaddrs *all;
    char id[ID_SHORT_BYTES];
    struct heard *h = calloc(1, sizeof *h);
    if (!h)
        return -ENOMEM;
    if (getifaddrs(&all) != 0) {
        int r = -errno;
        free(h);
        return r;
    }
    h->on_heard = on_heard;
    h->ctx = ctx;
    id_short(self, id);
    snprintf(h->label, sizeof h->label, "hearth-%s", id);
    (void)uv_timer_init(loop, &h->again); /* cannot fail */
    (void)uv_timer_init(loop, &h->end);
    h->again.data = h->end.data = h;
    h->open_handles = 2;
    for (unsigned loopback = 0; loopback < 2 && h->row_count == 0; loopback++) {
        for (const struct ifaddrs *a = all; a; a = a->ifa_next) {
            if (is_network(a, loopback))
                add_probe(h, a);
        }
    }
    freeifaddrs(all);
    (void)uv_timer_start(&h->again, on_again, 0, AGAIN_MS);
    (void)uv_timer_start(&h->end, on_end, h->row_count == 0 ? 0 : HEARD_MS, 0);
    return 0;
}
