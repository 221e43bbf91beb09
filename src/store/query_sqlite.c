/* Values in and out of SQLite's statements. */
#include "store/sqlite.h"

static sqlite3_stmt *statement_of(const struct store *store, unsigned statement)
{
    return ((const struct sqlite_store *)store)->statements[statement];
}

int sqlite_bind(struct store *store, unsigned statement, int parameter, const struct value *v)
{
    sqlite3_stmt *s = statement_of(store, statement);
    const void *data = v->bytes.len > 0 ? (const void *)v->bytes.data : ""; /* a NULL pointer would bind NULL */
    int code = SQLITE_OK;
    switch (v->kind) {
    case VALUE_NULL:
        code = sqlite3_bind_null(s, parameter);
        break;
    case VALUE_I64:
        code = sqlite3_bind_int64(s, parameter, v->number);
        break;
    case VALUE_TEXT:
        code = sqlite3_bind_text64(s, parameter, data, v->bytes.len, SQLITE_TRANSIENT, SQLITE_UTF8);
        break;
    case VALUE_BLOB:
        code = sqlite3_bind_blob64(s, parameter, data, v->bytes.len, SQLITE_TRANSIENT);
        break;
    }
    return code == SQLITE_OK ? 0 : sqlite_outcome(sqlite_of(store)->db, code);
}

int sqlite_step(struct store *store, unsigned statement)
{
    int code = sqlite3_step(statement_of(store, statement));
    return code == SQLITE_ROW ? STORE_ROW : sqlite_outcome(sqlite_of(store)->db, code);
}

void sqlite_rewind(struct store *store, unsigned statement)
{
    sqlite3_reset(statement_of(store, statement)); /* repeats the last step's code, which was handled then */
    sqlite3_clear_bindings(statement_of(store, statement));
}

int sqlite_parameter_count(const struct store *store, unsigned statement)
{
    return sqlite3_bind_parameter_count(statement_of(store, statement));
}

int sqlite_columns(const struct store *store, unsigned statement)
{
    return sqlite3_column_count(statement_of(store, statement));
}

/* Blob or text; the value is fetched before its length, as SQLite asks. */
static int bytes_of(sqlite3 *db, sqlite3_stmt *s, int column, struct slice *out)
{
    const void *data = sqlite3_column_blob(s, column);
    int len = sqlite3_column_bytes(s, column);
    if (!data && len == 0 && sqlite3_errcode(db) == SQLITE_NOMEM)
        return -ENOMEM;
    *out = slice(data, data ? (size_t)len : 0);
    return 0;
}

int sqlite_column(struct store *store, unsigned statement, int column, struct value *out)
{
    sqlite3_stmt *s = statement_of(store, statement);
    *out = (struct value){ 0 };
    switch (sqlite3_column_type(s, column)) {
    case SQLITE_NULL:
        return 0;
    case SQLITE_INTEGER:
        out->kind = VALUE_I64;
        out->number = sqlite3_column_int64(s, column);
        return 0;
    case SQLITE_TEXT:
        out->kind = VALUE_TEXT;
        return bytes_of(sqlite_of(store)->db, s, column, &out->bytes);
    case SQLITE_BLOB:
        out->kind = VALUE_BLOB;
        return bytes_of(sqlite_of(store)->db, s, column, &out->bytes);
    default:
        return -EUCLEAN; /* no table of ours has floating numbers */
    }
}
