/* The C library's own knobs. */
#include "base/memory.h"

#include <malloc.h>

void memory_keep(void)
{
    /* Setting one of them ends what the library adapts by itself, so both are set. They refuse nothing that is a number. */
    (void)mallopt(M_TRIM_THRESHOLD, MEMORY_KEPT_BYTES);
    (void)mallopt(M_MMAP_THRESHOLD, MEMORY_KEPT_BYTES / 2);
}

void memory_give_back(void) { (void)malloc_trim(0); }
