/* How a play ended (vault.proto, PlayEnd), for programs and for people. */
#ifndef PROTOCOL_PLAY_END_H
#define PROTOCOL_PLAY_END_H

#include <stdint.h>

#include "vault.pb.h"

const char *play_end_code(uint32_t end);        /* "power-lost"; NULL: not cut off, played to its end */
const char *play_end_text(uint32_t end);        /* "the power was lost", after "because"; NULL: the same */
vlt_PlayEnd play_end_of_code(const char *code); /* END_NONE: a code this version does not know */

#endif
