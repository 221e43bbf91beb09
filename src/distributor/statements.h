/* Every SQL statement of the operations database, beside its name. One list for each subject, in headers of their own;
 * here they become one enum and one table (statements.c). Conventions: ?1 is the distributor's number wherever rows of
 * several live in a table; OPERATIONS_SELF (1) is written out where only ours are meant. */
#ifndef DISTRIBUTOR_STATEMENTS_H
#define DISTRIBUTOR_STATEMENTS_H

/* Numbers that rows of a table may not have any more: of those it has, and its floor after a restore (reserve.h). As a table of its own. */
#define SQL_NUMBERS(table)                                                                                     \
    "(SELECT max(number) AS n FROM " #table " UNION ALL SELECT value FROM counter WHERE name = 'floor:" #table \
    "') numbers"

#include "distributor/statements_erase.h"
#include "distributor/statements_money.h"
#include "distributor/statements_operate.h"
#include "distributor/statements_partners.h"
#include "distributor/statements_people.h"
#include "distributor/statements_places.h"
#include "distributor/statements_programs.h"
#include "distributor/statements_queue.h"
#include "distributor/statements_shared.h"
#include "distributor/statements_standing.h"
#include "distributor/statements_storage.h"
#include "distributor/statements_trade.h"

#define STATEMENTS(X)      \
    STATEMENTS_OPERATE(X)  \
    STATEMENTS_PEOPLE(X)   \
    STATEMENTS_TRADE(X)    \
    STATEMENTS_PARTNERS(X) \
    STATEMENTS_MONEY(X)    \
    STATEMENTS_ERASE(X)    \
    STATEMENTS_STANDING(X) \
    STATEMENTS_SHARED(X) STATEMENTS_PROGRAMS(X) STATEMENTS_PLACES(X) STATEMENTS_QUEUE(X) STATEMENTS_STORAGE(X)

#define STATEMENT_NAME(name, sql) name,
enum statement { STATEMENTS(STATEMENT_NAME) STATEMENT_COUNT };
#undef STATEMENT_NAME

extern const char *const statements[STATEMENT_COUNT];

#endif
