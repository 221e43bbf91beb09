/* Outputs of the player. Names of sound devices, as libmpv has them and as people give them: "alsa", "pulse/NAME", ... */
#ifndef PROTOCOL_OUTPUT_H
#define PROTOCOL_OUTPUT_H

#include <stdbool.h>

/* A sound system that the player may use, alone or with a device of it. */
bool output_is_device(const char *name);

/* Exit status of a player that a library has ended in the middle: libX11 does so when its display goes away. */
#define OUTPUT_LOST_STATUS 3

#endif
