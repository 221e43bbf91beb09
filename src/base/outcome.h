/* Outcomes: what an int returned by a function of this project means.
 *
 * 0 is done. A negative value is fatal for the operation: it is -errno (library codes end in their wrapper
 * and become one of those) and is passed up unchanged. A positive value is an outcome that the function's own
 * header declares and that the direct caller handles.
 */
#ifndef BASE_OUTCOME_H
#define BASE_OUTCOME_H

#include <errno.h>

#define MUST_USE __attribute__((warn_unused_result))
#define PRINTF_LIKE(f, a) __attribute__((format(printf, f, a)))
#define CLEANUP(fn) __attribute__((cleanup(fn)))

#endif
