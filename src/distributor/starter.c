/* The server's end of the starter. Callbacks: on_ready, for each answer and for its end; on_time, when one stays away. */
#define LOG_MODULE "starter"
#include "distributor/starter.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/helper.h"
#include "base/log.h"
#include "base/util.h"
#include "distributor/starter_internal.h"

struct starter {
    struct helper helper;
    unsigned patience_ms;
    char command[PAYMENTS_COMMAND_BYTES];
    uv_poll_t ready;
    uv_timer_t time;
    bool watched, lost;
    struct starter_run *run;
    int64_t timeout_ms; /* the run's */
};

/* --- The process ------------------------------------------------------------------------------------------------------ */

int starter_new(struct starter **out, unsigned patience_ms)
{
    int theirs = -1;
    struct starter *s = calloc(1, sizeof(*s));
    if (s == NULL)
        return -ENOMEM;
    int r = helper_fork(&s->helper, sizeof(struct starter_answer), &theirs);
    if (r == 0 && s->helper.pid == 0)
        starter_serve(theirs);
    if (r != 0) {
        free(s);
        return r;
    }
    s->patience_ms = patience_ms;
    *out = s;
    return 0;
}

void starter_free(struct starter *s)
{
    if (s == NULL)
        return;
    helper_end(&s->helper);
    free(s);
}

int starter_configure(struct starter *s, const char *command)
{
    struct starter_request q = { .kind = STARTER_CONFIGURE };
    struct starter_answer answer;
    int passed CLEANUP(closep) = -1;
    size_t len = strlen(command);
    if (len == 0) {
        helper_end(&s->helper);
        s->lost = true;
        return 0;
    }
    if (len >= sizeof(q.path))
        return -ENAMETOOLONG;
    memcpy(q.path, command, len);
    int r = helper_ask(&s->helper, s->patience_ms, &q, sizeof(q), NULL, 0, &answer, &passed);
    if (r == 0)
        r = answer.outcome;
    if (r == 0)
        memcpy(s->command, q.path, sizeof(s->command));
    return r;
}

const char *starter_command(const struct starter *s) { return s->command; }

bool starter_is_there(struct starter *s) { return s->watched && !s->lost && s->command[0] != '\0'; }

/* --- What it says ----------------------------------------------------------------------------------------------------- */

static void end_run(struct starter *s, int error, int status)
{
    struct starter_run *run = steal(&s->run);
    (void)uv_timer_stop(&s->time);
    if (run != NULL)
        run->on_ended(run, error, status);
}

static void lose(struct starter *s)
{
    (void)uv_poll_stop(&s->ready);
    s->lost = true;
    log_error("the starter of the payment command has ended: payments wait until the server is started again");
    end_run(s, -EPIPE, 0);
}

static void on_time(uv_timer_t *timer)
{
    struct starter *s = container_of(timer, struct starter, time);
    log_error("the starter of the payment command stands still");
    end_run(s, -ETIMEDOUT, 0); /* what comes late has another number than the next run's */
}

static void on_ready(uv_poll_t *handle, int status, int events)
{
    struct starter *s = container_of(handle, struct starter, ready);
    struct starter_answer answer = { 0 };
    int passed = -1;
    (void)status;
    (void)events;
    int r = helper_take(&s->helper, &answer, &passed);
    closep(&passed); /* none is wanted */
    if (r == -EAGAIN)
        return;
    if (r != 0) {
        lose(s);
        return;
    }
    if (s->run == NULL || s->run->serial != answer.serial)
        return;
    if (answer.ended != 0 || answer.outcome != 0)
        end_run(s, answer.outcome, answer.status);
    else
        (void)uv_timer_start(&s->time, on_time, (uint64_t)(s->timeout_ms + STARTER_GRACE_MS + s->patience_ms), 0);
}

int starter_watch(struct starter *s, uv_loop_t *loop)
{
    if (s->lost)
        return 0;
    int r = uv_poll_init(loop, &s->ready, s->helper.fd);
    if (r != 0)
        return r;
    (void)uv_timer_init(loop, &s->time); /* cannot fail */
    s->watched = true;
    return uv_poll_start(&s->ready, UV_READABLE, on_ready);
}

void starter_unwatch(struct starter *s)
{
    if (s->watched) {
        uv_close((uv_handle_t *)&s->ready, NULL);
        uv_close((uv_handle_t *)&s->time, NULL);
    }
    s->watched = false;
}

/* --- Runs ------------------------------------------------------------------------------------------------------------- */

int starter_run(struct starter *s, struct starter_run *run, const int fds[STARTER_FDS], int64_t timeout_ms)
{
    int64_t now_ms = clock_mono_ms(clock_system());
    struct starter_request q = {
        .kind = STARTER_RUN, .latest_ms = now_ms + s->patience_ms, .until_ms = now_ms + timeout_ms
    }; /* also of one that is started late: others count on it */
    if (!starter_is_there(s))
        return -EPIPE;
    if (s->run != NULL)
        return -EBUSY;
    int r = helper_tell(&s->helper, &q, sizeof(q), fds, STARTER_FDS);
    if (r != 0)
        return r;
    run->serial = s->helper.asked;
    s->run = run;
    s->timeout_ms = timeout_ms;
    return uv_timer_start(&s->time, on_time, s->patience_ms, 0);
}

void starter_hurry(struct starter *s)
{
    struct starter_request q = { .kind = STARTER_HURRY };
    int r = s->run != NULL ? helper_tell(&s->helper, &q, sizeof(q), NULL, 0) : 0;
    if (r != 0) /* the run's own time ends it then */
        log_warn("the payment command could not be asked to end error=%s", strerror(-r));
}
