/* From the common SQL to PostgreSQL's. */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/util.h"
#include "store/pg_sql.h"

static const struct {
    const char *name, *from, *to;
    int parameters;
} cases[] = {
    { "parameters", "SELECT a FROM t WHERE b = ?2 AND c = ?12", "SELECT a FROM t WHERE b = $2 AND c = $12", 12 },
    { "types",
      "CREATE TABLE t (a INTEGER PRIMARY KEY AUTOINCREMENT, b BLOB) STRICT, WITHOUT ROWID;CREATE TABLE u (a TEXT) STRICT;",
      "CREATE TABLE t (a BIGINT PRIMARY KEY , b BYTEA) ;CREATE TABLE u (a TEXT) ;", 0 },
    { "a reserved name", "SELECT user, l.user, other_user, 'user' FROM user_password",
      "SELECT \"user\", l.\"user\", other_user, 'user' FROM user_password", 0 },
    { "patterns", "a GLOB 'user:?*' OR a NOT GLOB 'x*'", "a LIKE 'user:_%' OR a NOT LIKE 'x%'", 0 },
    { "scalar max", "SET a = max(a, ?1), b = max(0, min(b, max(c)))",
      "SET a = greatest(a, $1), b = greatest(0, least(b, max(c)))", 1 },
    { "aggregates", "SELECT max(a), coalesce(max(b), 0), min((a)) FROM t",
      "SELECT max(a), coalesce(max(b), 0), min((a)) FROM t", 0 },
    { "blobs", "a = zeroblob(32) OR a = x'00ff'", "a = decode(repeat('00', 32), 'hex') OR a = decode('00ff', 'hex')",
      0 },
    { "objects", "SELECT json_object('a', lower(hex(a)), 'b', json(CASE b WHEN 1 THEN 'true' END))",
      "SELECT json_build_object('a', lower(upper(encode(a, 'hex'))), 'b', CAST(CASE b WHEN 1 THEN 'true' END AS JSON))",
      0 },
    { "triggers",
      "a;CREATE TRIGGER t BEFORE INSERT ON l WHEN x BEGIN SELECT RAISE(ABORT, 'no; END'); END;DROP TRIGGER t;b", "a;b",
      0 },
    { "deferred keys", "a INTEGER REFERENCES p (n) DEFERRABLE INITIALLY DEFERRED, b INTEGER REFERENCES p (n)",
      "a BIGINT , b BIGINT REFERENCES p (n)", 0 },
    { "texts", "SELECT 'it''s ?1 INTEGER', \"BLOB\" || ?1", "SELECT 'it''s ?1 INTEGER', \"BLOB\" || $1", 1 },
    { "unfinished", "SELECT 'a", "SELECT 'a", 0 },
    { "unbalanced", "max(a, b", "greatest(a, b)", 0 },
};

static void each_word_has_its_counterpart(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct buf out CLEANUP(buf_free) = buf(4096);
        int parameters = -1;
        assert_int_equal(pg_sql_translate(cases[i].from, &out, &parameters), 0);
        assert_int_equal(buf_put_u8(&out, 0), 0);
        if (strcmp((const char *)out.data, cases[i].to) != 0)
            fail_msg("%s: %s", cases[i].name, (const char *)out.data);
        assert_int_equal(parameters, cases[i].parameters);
    }
}

static void what_does_not_fit_is_said(void **state)
{
    (void)state;
    struct buf out CLEANUP(buf_free) = buf(5);
    int parameters;
    assert_int_equal(pg_sql_translate("SELECT 1", &out, &parameters), BUF_FULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(each_word_has_its_counterpart),
                                        cmocka_unit_test(what_does_not_fit_is_said) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
