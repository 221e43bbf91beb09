/* Reads tests/vectors: cases separated by empty lines, each a list of "name = value", `#` begins a comment line.
 * Test code only: a malformed file fails the test. */
#ifndef TESTS_VECTORFILE_H
#define TESTS_VECTORFILE_H

#include <stdint.h>

#include "base/slice.h"

struct vector;
/* Runs check on each case of VECTOR_DIR/name (or of an absolute path); prints the case's name before it. At least one case or the test fails. */
void vectors_run(const char *name, void (*check)(const struct vector *v));
const char *vector_text(const struct vector *v, const char *field); /* fails the test when absent */
bool vector_has(const struct vector *v, const char *field);
/* Bytes: hex and "quoted text" in any order, or `repeat HH COUNT`. Valid until the case ends. */
struct slice vector_bytes(const struct vector *v, const char *field);
uint64_t vector_number(const struct vector *v, const char *field);
bool vector_expects(const struct vector *v, const char *outcome);

#endif
