/* A hostile distributor for devices to meet. */
#ifndef TESTS_HOSTILE_AS_DISTRIBUTOR_H
#define TESTS_HOSTILE_AS_DISTRIBUTOR_H

#include "crypto/keytree.h"
#include "stage.h"

/* Prints "PORT ID" and plays its part until it is ended. 2: there is no such part; 3: it cannot listen. */
int as_distributor(const char *name);
void as_distributor_list(void);

#endif
