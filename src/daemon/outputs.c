/* OUTPUTS_GET: asked of a player, which has the libraries of the sound systems.
 *
 * Callbacks, in order: on_frame ..., on_gone. */
#include <stdlib.h>

#include "base/util.h"
#include "daemon/control.h"
#include "daemon/deck.h"
#include "daemon/player.h"
#include "player.pb.h"

struct asking {
    struct call *call;
    struct player *player;
    bool done;
};

static void on_frame(const struct frame *f, void *ctx)
{
    struct asking *a = ctx;
    ply_Device device;
    ctl_OutputRow row;
    a->done = f->type == ply_Type_OUTPUTS_DONE;
    if (f->type != ply_Type_OUTPUT || CODEC_DECODE(ply_Device, f->message, &device) != 0)
        return;
    CODEC_SET_TEXT(row.name, device.name);
    CODEC_SET_TEXT(row.description, device.description);
    CALL_ROW(a->call, OUTPUT_ROW, OutputRow, &row);
}

static void on_gone(enum reason why, int signal, void *ctx)
{
    struct asking *a = ctx;
    (void)signal;
    if (a->done)
        call_finish(a->call);
    else
        call_refuse(a->call, why, "The player could not say which sound outputs there are.");
    free(a);
}

void outputs_handle(struct daemon *d, struct call *c, const void *message)
{
    static const struct player_callbacks callbacks = { on_frame, on_gone };
    struct asking *a = calloc(1, sizeof(*a));
    (void)message;
    int r = a != NULL ? player_take(&a->player, d, &callbacks, a) : -ENOMEM;
    if (r != 0) {
        call_refuse(c, r == -ENOENT ? REASON_UNPLAYABLE : REASON_INTERNAL,
                    r == -ENOENT ? "The player is not installed." : NULL);
        free(a);
        return;
    }
    a->call = c;
    if (player_ask_outputs(a->player) != 0)
        player_close(a->player);
}
