/* Queries of this program: the store's positive outcomes must not be taken for reasons (protocol/reason.h). */
#ifndef DISTRIBUTOR_ROWS_H
#define DISTRIBUTOR_ROWS_H

#include "distributor/operations.h"
#include "distributor/statements.h"

/* A statement whose constraints cannot fail unless the database is damaged. 0 or -errno. */
static inline int rows_run(struct query *q)
{
    int r = query_run(q);
    return r > 0 ? -EUCLEAN : r;
}
/* As rows_run, when nobody counts what it changed: not waited for in a batch over PostgreSQL (query_later). 0 or -errno. */
static inline int rows_later(struct query *q)
{
    int r = query_later(q);
    return r > 0 ? -EUCLEAN : r;
}
/* First row: 0, OPERATIONS_ABSENT, -errno. */
static inline int rows_one(struct query *q)
{
    int r = query_one(q);
    return r == STORE_ABSENT ? OPERATIONS_ABSENT : r > 0 ? -EUCLEAN : r;
}
/* Next row of several: true while there is one; *r is 0 or -errno at the end. */
static inline bool rows_next(struct query *q, int *r)
{
    int step = query_step(q);
    *r = step == STORE_ROW ? 0 : step > 0 ? -EUCLEAN : step;
    return step == STORE_ROW;
}
static inline void rows_bind_id(struct query *q, int parameter, const struct id *id)
{
    query_bind_blob(q, parameter, SLICE_ARRAY(id->bytes));
}
/* An absent time, or another number, is NULL. */
static inline void rows_bind_time(struct query *q, int parameter, bool has, uint64_t ms)
{
    if (has)
        query_bind_u64(q, parameter, ms);
    else
        query_bind_null(q, parameter);
}

#endif
