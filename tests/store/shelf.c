#include "shelf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <libpq-fe.h>

char shelf_database[STORE_PG_DATABASE_BYTES];

void shelf_by_hand(const char *script)
{
    PGconn *c = PQconnectdb(shelf_database + strlen("postgresql:"));
    assert_int_equal(PQstatus(c), CONNECTION_OK);
    PGresult *r = PQexec(c, script);
    if (PQresultStatus(r) != PGRES_COMMAND_OK && PQresultStatus(r) != PGRES_TUPLES_OK)
        fail_msg("%s: %s", script, PQerrorMessage(c));
    PQclear(r);
    PQfinish(c);
}

int shelf_make(void **state)
{
    (void)state;
    char sql[64];
    snprintf(shelf_database, sizeof(shelf_database), "postgresql:%s dbname=postgres", getenv("TOWN_POSTGRES"));
    snprintf(sql, sizeof(sql), "CREATE DATABASE store_%d", (int)getpid());
    shelf_by_hand(sql);
    snprintf(shelf_database, sizeof(shelf_database), "postgresql:%s dbname=store_%d", getenv("TOWN_POSTGRES"),
             (int)getpid());
    return 0;
}

struct store *shelf_open(const struct store_schema *schema)
{
    struct store *s;
    assert_int_equal(store_pg_open(&s, shelf_database, schema, true), 0);
    return s;
}
