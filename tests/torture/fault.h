/* The n-th allocation, or the n-th system call, fails: for tests of what a program does then. Defines the functions of the C library that are meant, so
 * that whatever is linked to it, or has it loaded before itself (LD_PRELOAD), is counted: SQLite, GnuTLS and libuv as well as hearth.
 *
 * Counts calls of the whole process, in the order in which they are made, while it is armed. */
#ifndef TESTS_TORTURE_FAULT_H
#define TESTS_TORTURE_FAULT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum fault_how {
    FAULT_NONE,
    FAULT_ALLOC,  /* an allocation: ENOMEM */
    FAULT_EIO,    /* what reads, writes, opens, syncs or changes a file */
    FAULT_ENOSPC, /* what writes, makes, lengthens or names a file */
    FAULT_EINTR,  /* what a signal may interrupt */
    FAULT_EMFILE, /* what makes a descriptor */
    FAULT_SHORT,  /* a read or a write: half of it is done */
    FAULT_HOW_COUNT
};
struct fault {
    enum fault_how how;
    unsigned at;      /* which of the calls that can fail in this way: 1 is the first */
    uint32_t onwards; /* all after it, too */
};

/* What is armed and what has come of it. All of it 4 bytes wide: programs.py reads and writes it by place. */
struct fault_state {
    atomic_uint armed, wanted_count;
    struct fault wanted[2];
    atomic_uint counts[FAULT_HOW_COUNT], come, sync_failed;
    atomic_uint pid;  /* of the program that has it, when it is shared */
    char where[4096]; /* who made the call that failed first, and */
    char ended[4096]; /* where it was when a signal ended it: a line a caller */
};

/* Of count faults (at most two) each comes once. Nothing is armed at first. */
void fault_arm(const struct fault *faults, size_t count);
/* Nothing fails from here on. How many of them have come. */
unsigned fault_disarm(void);
/* How many calls that can fail in this way were made since the last fault_arm(). */
unsigned fault_count(enum fault_how how);
/* What the test itself does in between neither counts nor fails. */
void fault_pause(void);
void fault_resume(void);
/* A sync was made to fail: the program has to stop. */
bool fault_was_sync(void);
/* Blocks of memory that were allocated since fault_arm() and not freed; where[i]: who allocated it. */
size_t fault_live(void *where[], size_t room);

/* From here on this is what is armed, by whoever shares it; blocks of memory are not counted any more, so threads may be there. call: when the first
 * one comes. */
void fault_use(struct fault_state *shared, void (*call)(struct fault_state *state));
/* A call on a descriptor fails only as its kind can: files in every way, connections are interrupted or short, all else interrupted. */
extern bool fault_knows_descriptors;

/* A sync that does not fail does nothing: where no power is lost, and thousands are made. */
extern bool fault_syncs_are_free;
extern const char *const fault_names[FAULT_HOW_COUNT];

#endif
