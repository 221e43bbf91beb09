/* A TCTI (TCG TSS 2.0 TPM Command Transmission Interface) of version 1: commands and answers as they are, one after the other. */
#include "crypto/tpm_socket.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/file.h"
#include "base/slice.h"
#include "base/util.h"

#define HEADER_BYTES 10 /* tag:2 || size:4 || code:4 */
#define ANSWER_BYTES_MAX 4096
#define MAGIC 0x686561727468ull

struct tpm_socket {
    TSS2_TCTI_CONTEXT_COMMON_V1 common; /* first */
    int fd;
    size_t len; /* of an answer that was read and not yet taken */
    uint8_t answer[ANSWER_BYTES_MAX];
};

static bool read_all(int fd, uint8_t *to, size_t len)
{
    while (len > 0) {
        ssize_t n = read(fd, to, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        to += n;
        len -= (size_t)n;
    }
    return true;
}

static TSS2_RC transmit(TSS2_TCTI_CONTEXT *context, size_t size, const uint8_t *command)
{
    struct tpm_socket *s = (struct tpm_socket *)context;
    while (size > 0) {
        ssize_t n = send(s->fd, command, size, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return TSS2_TCTI_RC_IO_ERROR;
        command += n;
        size -= (size_t)n;
    }
    s->len = 0;
    return TSS2_RC_SUCCESS;
}

static bool read_answer(struct tpm_socket *s)
{
    if (!read_all(s->fd, s->answer, HEADER_BYTES))
        return false;
    const size_t size = get_be32(s->answer + 2);
    if (size < HEADER_BYTES || size > sizeof(s->answer) ||
        !read_all(s->fd, s->answer + HEADER_BYTES, size - HEADER_BYTES))
        return false;
    s->len = size;
    return true;
}

/* answer NULL: how long it is. */
static TSS2_RC receive(TSS2_TCTI_CONTEXT *context, size_t *size, uint8_t *answer, int32_t timeout)
{
    struct tpm_socket *s = (struct tpm_socket *)context;
    (void)timeout;
    if (s->len == 0 && !read_answer(s))
        return TSS2_TCTI_RC_IO_ERROR;
    const size_t room = *size;
    *size = s->len;
    if (answer == NULL)
        return TSS2_RC_SUCCESS;
    if (room < s->len)
        return TSS2_TCTI_RC_INSUFFICIENT_BUFFER;
    memcpy(answer, s->answer, s->len);
    s->len = 0;
    return TSS2_RC_SUCCESS;
}

static void finalize(TSS2_TCTI_CONTEXT *context) { (void)context; }

static TSS2_RC refuse_locality(TSS2_TCTI_CONTEXT *context, uint8_t locality)
{
    (void)context;
    return locality == 0 ? TSS2_RC_SUCCESS : TSS2_TCTI_RC_NOT_SUPPORTED;
}

int tpm_socket_open(TSS2_TCTI_CONTEXT **out, const char *path)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    if (strlen(path) >= sizeof(address.sun_path))
        return -ENAMETOOLONG;
    memcpy(address.sun_path, path, strlen(path));
    int fd CLEANUP(closep) = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (const struct sockaddr *)&address, sizeof(address)) != 0)
        return -errno;
    struct tpm_socket *s = calloc(1, sizeof(*s));
    if (s == NULL)
        return -ENOMEM;
    s->common = (TSS2_TCTI_CONTEXT_COMMON_V1){ .magic = MAGIC,
                                               .version = 1,
                                               .transmit = transmit,
                                               .receive = receive,
                                               .finalize = finalize,
                                               .setLocality = refuse_locality };
    s->fd = fd;
    fd = -1;
    *out = (TSS2_TCTI_CONTEXT *)s;
    return 0;
}

void tpm_socket_close(TSS2_TCTI_CONTEXT *t)
{
    struct tpm_socket *s = (struct tpm_socket *)t;
    if (s != NULL)
        close(s->fd);
    free(s);
}
