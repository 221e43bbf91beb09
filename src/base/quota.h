/* What a peer makes us allocate is charged to its quota. */
#ifndef BASE_QUOTA_H
#define BASE_QUOTA_H

#include <stddef.h>

#include "base/outcome.h"

struct quota {
    size_t used_bytes, limit_bytes;
};
#define QUOTA_EXCEEDED 1
int quota_charge(struct quota *q, size_t bytes) MUST_USE; /* 0 or QUOTA_EXCEEDED (nothing charged) */
void quota_release(struct quota *q, size_t bytes);

#endif
