/* Accounting of what a peer makes us allocate. Not the allocation itself. One thread per quota. */
#include "base/quota.h"

#include <assert.h>

int quota_charge(struct quota *q, size_t bytes)
{
    if (q->used_bytes > q->limit_bytes || bytes > q->limit_bytes - q->used_bytes)
        return QUOTA_EXCEEDED;
    q->used_bytes += bytes;
    return 0;
}

void quota_release(struct quota *q, size_t bytes)
{
    assert(bytes <= q->used_bytes);
    q->used_bytes -= bytes;
}
