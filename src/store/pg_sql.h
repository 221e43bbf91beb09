/* From the common SQL text to PostgreSQL's, word by word. Knows nothing of tables.
 *
 *   written                          becomes
 *   ?1                               $1
 *   INTEGER, BLOB                    BIGINT, BYTEA (also in casts)
 *   AUTOINCREMENT                    nothing: rows are numbered by max(number) + 1 in the statement
 *   STRICT, WITHOUT ROWID            nothing
 *   user                             "user" (a function there)
 *   a GLOB 'x*'                      a LIKE 'x%' (literal patterns of * and ? only)
 *   max(a, b), min(a, b)             greatest, least (of values that are not NULL)
 *   zeroblob(n), x'00'               decode(…, 'hex')
 *   hex(a)                           upper(encode(a, 'hex'))
 *   json_object(…), json(a)          json_build_object(…), CAST(a AS JSON)
 *   CREATE TRIGGER …; DROP TRIGGER   nothing: what they guard the program checks itself
 *   REFERENCES … DEFERRABLE …        nothing, likewise */
#ifndef STORE_PG_SQL_H
#define STORE_PG_SQL_H

#include "base/outcome.h"
#include "base/slice.h"

/* Appends the translation of a statement or script, not terminated. *parameters: the highest ?N. 0, BUF_FULL, -ENOMEM. */
int pg_sql_translate(const char *sql, struct buf *out, int *parameters) MUST_USE;

#endif
