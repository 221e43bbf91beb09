/* Asking a player, and OUTPUTS_GET.
 *
 * Callbacks, in order: on_frame ..., on_gone. */
#include "daemon/outputs.h"

#include <stdlib.h>

#include "base/util.h"
#include "daemon/control.h"
#include "daemon/player.h"

struct asking {
    const struct outputs_callbacks *callbacks;
    void *ctx;
    struct player *player;
    bool done;
};

static void on_frame(const struct frame *f, void *ctx)
{
    struct asking *a = ctx;
    ply_Device device;
    a->done = f->type == ply_Type_OUTPUTS_DONE;
    if (f->type == ply_Type_OUTPUT && CODEC_DECODE(ply_Device, f->message, &device) == 0)
        a->callbacks->on_output(&device, a->ctx);
}

static void on_gone(enum reason why, int signal, void *ctx)
{
    struct asking a = *(struct asking *)ctx;
    (void)signal;
    free(ctx);
    a.callbacks->on_done(a.done ? REASON_NONE : why, a.ctx);
}

int outputs_ask(struct daemon *d, const struct outputs_callbacks *callbacks, void *ctx)
{
    static const struct player_callbacks of_player = { on_frame, on_gone };
    struct asking *a = calloc(1, sizeof(*a));
    int r = a != NULL ? player_take(&a->player, d, &of_player, a) : -ENOMEM;
    if (r != 0) {
        free(a);
        return r;
    }
    a->callbacks = callbacks;
    a->ctx = ctx;
    if (player_ask_outputs(a->player) != 0)
        player_close(a->player);
    return 0;
}

/* --- OUTPUTS_GET --- */

static void on_output(const ply_Device *device, void *ctx)
{
    ctl_OutputRow row;
    CODEC_SET_TEXT(row.name, device->name);
    CODEC_SET_TEXT(row.description, device->description);
    CALL_ROW((struct call *)ctx, OUTPUT_ROW, OutputRow, &row);
}

static void on_done(enum reason why, void *ctx)
{
    if (why == REASON_NONE)
        call_finish(ctx);
    else
        call_refuse(ctx, why, "The player could not say which sound outputs there are.");
}

void outputs_handle(struct daemon *d, struct call *c, const void *message)
{
    static const struct outputs_callbacks callbacks = { on_output, on_done };
    int r = outputs_ask(d, &callbacks, c);
    (void)message;
    if (r != 0)
        call_refuse(c, r == -ENOENT ? REASON_UNPLAYABLE : REASON_INTERNAL,
                    r == -ENOENT ? "The player is not installed." : NULL);
}
