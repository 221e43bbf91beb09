/* Outputs of the player. Names of sound devices, as libmpv has them and as people give them: "alsa", "alsa/hw:CARD=PCH,DEV=0", "pulse/NAME", ... */
#ifndef PROTOCOL_OUTPUT_H
#define PROTOCOL_OUTPUT_H

#include <stdbool.h>

enum output_device {
    OUTPUT_NO_DEVICE,        /* no name of a device; or of ALSA one with parameters that name no card */
    OUTPUT_DEVICE,           /* a sound system that the player may use, alone or with a device of it */
    OUTPUT_DEVICE_IF_LISTED, /* a name of ALSA's that the system's configuration may give: the player's own list decides */
};
enum output_device output_judge(const char *name);
bool output_is_device(const char *name); /* may be one, as far as can be told without the list */

/* Exit status of a player that a library has ended in the middle: libX11 does so when its display goes away. */
#define OUTPUT_LOST_STATUS 3

#endif
