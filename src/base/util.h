/* Small things every layer needs: container_of, array length, steal. */
#ifndef BASE_UTIL_H
#define BASE_UTIL_H

#include <stddef.h>
#include <stdint.h>

#define container_of(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))
#define ARRAY_COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* Takes the pointer out of *pp and leaves NULL: ownership leaves a cleanup-managed local. */
#define steal(pp)                        \
    ({                                   \
        __auto_type steal_value = *(pp); \
        *(pp) = NULL;                    \
        steal_value;                     \
    })

static inline size_t size_min(size_t a, size_t b) { return a < b ? a : b; }
static inline size_t size_max(size_t a, size_t b) { return a > b ? a : b; }
static inline uint64_t u64_min(uint64_t a, uint64_t b) { return a < b ? a : b; }
static inline uint64_t u64_max(uint64_t a, uint64_t b) { return a > b ? a : b; }
/* The largest instead of an overflow. */
static inline uint64_t u64_add(uint64_t a, uint64_t b)
{
    uint64_t sum;
    return __builtin_add_overflow(a, b, &sum) ? UINT64_MAX : sum;
}
static inline uint32_t u32_add(uint32_t a, uint32_t b) { return (uint32_t)u64_min((uint64_t)a + b, UINT32_MAX); }

/* cleanup-attribute helpers: char *p CLEANUP(freep), int fd CLEANUP(closep) (closes when >= 0) */
void freep(void *pointer_to_pointer);
void closep(int *fd);

#endif
