/* The table of statements. */
#include "distributor/statements.h"

#define STATEMENT_SQL(name, sql) [name] = sql,
const char *const statements[STATEMENT_COUNT] = { STATEMENTS(STATEMENT_SQL) };
#undef STATEMENT_SQL
