/* Bytes over TLS that no well-behaved end would send: handshake as a device, then whatever the test says. Blocking. */
#ifndef TESTS_SERVE_RAW_H
#define TESTS_SERVE_RAW_H

#include <stdbool.h>

#include "base/slice.h"

/* Connects, sends bytes, and hears until the other end closes or it was silent for quiet_ms.
 * heard: everything that came. Returns true when the other end closed. */
bool raw_speak(const char *address, struct slice bytes, int quiet_ms, struct buf *heard);
/* Connects without TLS and sends bytes. As above. */
bool raw_speak_plain(const char *address, struct slice bytes, int quiet_ms);

#endif
