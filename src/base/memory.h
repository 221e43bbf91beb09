/* What the allocator keeps of memory that was freed. Blocks on their way come and go by the hundred; given back to the kernel each time, every page of the
 * next one is faulted in and zeroed anew, which cost a fifth of a transfer's processor time. */
#ifndef BASE_MEMORY_H
#define BASE_MEMORY_H

#define MEMORY_KEPT_BYTES \
    (4 << 20) /* at most, by each thread that allocates; more than what is under way of a transfer */

/* From now on up to MEMORY_KEPT_BYTES stay for what is allocated next. Before there are threads. */
void memory_keep(void);
/* What was kept goes back. Any thread; some milliseconds at most. */
void memory_give_back(void);

#endif
