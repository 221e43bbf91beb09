/* cmocka with what it needs before it. */
#ifndef TEST_DISTRIBUTOR_CM_H
#define TEST_DISTRIBUTOR_CM_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#endif
