/* A search in the library: words in title, creator or album, any case. Any thread. */
#ifndef DAEMON_LIBRARY_QUERY_H
#define DAEMON_LIBRARY_QUERY_H

#include "daemon/library.h"

struct library_query {
    char text[128], other; /* other: its first character in the other case */
    size_t len;            /* 0: everything fits */
};
void library_query_init(struct library_query *q, const char *text); /* text: NULL is "" */
/* Is it listed, and does it fit? */
bool library_query_fits(const struct library_query *q, const struct track *t);

#endif
