/* Steps under faults: each is done once with the n-th allocation or system call failing, for every n, in a process of its own, and judged. */
#ifndef TESTS_TORTURE_TORTURE_H
#define TESTS_TORTURE_TORTURE_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fault.h"

#define MUST(condition)                                                                                \
    do {                                                                                               \
        if (!(condition)) {                                                                            \
            (void)printf("%s:%d: not so: %s\n", strrchr("/" __FILE__, '/') + 1, __LINE__, #condition); \
            (void)fflush(stdout);                                                                      \
            _exit(3);                                                                                  \
        }                                                                                              \
    } while (0)

/* What may become of a step: it is done and says so; or it says that it is not done, and then nothing has changed, or all of it has and asking again
 * says so; or the program stops, and is started again. In each case: asked again, it is done once; the database is whole; nothing stays allocated. */
struct scene {
    const char *name;
    void (*prepare)(void); /* all that goes before; what is on disk lies below torture_place() */
    int (*act)(void);      /* 0: done; else refused, or failed. May be called again. */
    void (*close)(void);   /* as the end of the program */
    int (*open)(void);     /* as its start, after close; 0 or why it does not */
    bool pairs;            /* and every two faults in it */
    bool in_parts;         /* of several transactions: when it failed, some of them may be there */
};
/* A folder for databases that is looked through: call once for each in prepare(). */
void torture_place(const char *dir);
int torture_main(int argc, char **argv, const struct scene *scenes, size_t count);

#endif
