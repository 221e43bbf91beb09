/* The rules for copy certificates, said a second time: written from docs/FORMATS.md and the design alone, with its own reading of
 * bytes and its own use of the cryptographic library. Shares no code with what it is compared with. */
#ifndef FUZZ_RULES_H
#define FUZZ_RULES_H

#include "protocol/documents.h"

/* NULL when every rule holds; else the first that does not, as a sentence. alone: without the content beside it and without times. */
const char *rules_broken(const struct certificate_case *c, bool alone);

#endif
