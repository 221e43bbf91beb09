/* An assertion for helpers that run outside a cmocka test as well. */
#ifndef TEST_VAULT_CHECK_H
#define TEST_VAULT_CHECK_H

#include <stdio.h>
#include <stdlib.h>

#define check(condition)                                                                  \
    do {                                                                                  \
        if (!(condition)) {                                                               \
            fprintf(stderr, "%s:%d: check failed: %s\n", __FILE__, __LINE__, #condition); \
            abort();                                                                      \
        }                                                                                 \
    } while (0)

#endif
