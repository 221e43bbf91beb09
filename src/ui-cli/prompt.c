/* Asking at the terminal; passwords without echo. Single thread. */
#include "ui-cli/prompt.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/secret.h"
#include "base/terminal.h"
#include "base/util.h"
#include "ui-cli/cli.h"

bool prompt_possible(void) { return isatty(STDIN_FILENO) && isatty(STDERR_FILENO); }

int prompt_line(const char *question, char *out, size_t cap)
{
    if (!prompt_possible())
        return -ENOTTY;
    fprintf(stderr, "%s", question);
    fflush(stderr);
    return terminal_line(out, cap);
}

int prompt_input(const char *question, char *out, size_t cap)
{
    return prompt_possible() ? prompt_line(question, out, cap) : terminal_line(out, cap);
}

bool prompt_yes(const char *question)
{
    char answer[16];
    if (prompt_line(question, answer, sizeof(answer)) != 0)
        return false;
    return strcmp(answer, "y") == 0 || strcmp(answer, "Y") == 0 || strcmp(answer, "yes") == 0;
}

int prompt_secret(const char *question, char *out, size_t cap)
{
    if (!prompt_possible())
        return -ENOTTY;
    return terminal_secret(question, out, cap);
}

int prompt_secret_file(const char *path, char *out, size_t cap)
{
    struct buf content CLEANUP(buf_free) = buf(4096);
    int r = file_read(path, &content);
    if (r == BUF_FULL)
        r = -EMSGSIZE;
    if (r != 0)
        return r;
    const uint8_t *end = memchr(content.data, '\n', content.len);
    size_t len = end != NULL ? (size_t)(end - content.data) : content.len;
    if (len > 0 && content.data[len - 1] == '\r')
        len--;
    if (len + 1 > cap || memchr(content.data, '\0', len) != NULL) {
        r = -EMSGSIZE;
    } else {
        memcpy(out, content.data, len);
        out[len] = '\0';
    }
    secret_wipe(content.data, content.len);
    return r;
}

int prompt_password(struct cli *cli, const char *option, const char *question, const char *file, bool twice, char *out,
                    size_t cap)
{
    char message[256], again[256];
    int r = file != NULL ? prompt_secret_file(file, out, cap) : prompt_secret(question, out, cap);
    if (r == -ENOTTY) {
        snprintf(message, sizeof(message), "there is no terminal to ask for the %s: give --%s-file FILE", option,
                 option);
        return cli_usage(cli, message);
    }
    if (r == -ENODATA) {
        snprintf(message, sizeof(message), "no %s was given: nothing was changed", option);
        return cli_fail(cli, "bad-credentials", message, NULL);
    }
    if (r != 0) {
        snprintf(message, sizeof(message), "the %s cannot be read%s%.128s: %s", option, file != NULL ? ": " : "",
                 file != NULL ? file : "", strerror(-r));
        return cli_fail(cli, "not-found", message, NULL);
    }
    if (file != NULL || !twice)
        return -1;
    r = prompt_secret("Once more: ", again, sizeof(again));
    bool same = r == 0 && strcmp(again, out) == 0;
    secret_wipe(again, sizeof(again));
    return same ? -1 : cli_fail(cli, "bad-credentials", "the two differ", NULL);
}
