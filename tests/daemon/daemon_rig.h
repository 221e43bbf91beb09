/* A real hearthd with its real vault, asked over its control socket. Nothing sleeps: answers are waited for, conditions are polled. */
#ifndef TEST_DAEMON_RIG_H
#define TEST_DAEMON_RIG_H

#include <sys/types.h>

#include "control.pb.h"
#include "net/channel.h"

#define RIG_WAIT_MS 20000

struct hearthd {
    char dir[64], socket[128];
    pid_t pid;
    struct channel control;
    uint32_t next;
    uint32_t rows; /* of the last call */
};
/* Runs $HEARTHD on a fresh directory; waits until it answers. */
void hearthd_init(struct hearthd *h);
void hearthd_start(struct hearthd *h);
int hearthd_stop(struct hearthd *h);  /* SIGTERM; the exit status */
void hearthd_kill(struct hearthd *h); /* SIGKILL; the vault goes with it */
void hearthd_deinit(struct hearthd *h);
pid_t hearthd_vault(const struct hearthd *h); /* 0: there is none */
/* hearthd's own helpers, one of which starts the vault: how many of them are in pids. */
size_t hearthd_helpers(const struct hearthd *h, pid_t *pids, size_t max);
void hearthd_connect(struct hearthd *h, struct channel *c);

/* One request; rows of row_type are decoded into row (the last one stays). REASON_NONE when finished, else the refusal's reason. */
enum reason hearthd_call(struct hearthd *h, uint16_t type, const pb_msgdesc_t *fields, const void *message,
                         uint16_t row_type, const pb_msgdesc_t *row_fields, size_t row_max, void *row, size_t row_size);
#define CALL(h, TYPE, T, message, ROW_TYPE, ROW, row)                                                        \
    hearthd_call((h), ctl_Type_##TYPE, ctl_##T##_fields, (message), ctl_Type_##ROW_TYPE, ctl_##ROW##_fields, \
                 ctl_##ROW##_size, (row), sizeof(ctl_##ROW))
/* Polls until condition(ctx) holds; fails the test after RIG_WAIT_MS. */
void wait_until(bool (*condition)(void *ctx), void *ctx, const char *what);

#endif
