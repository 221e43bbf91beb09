/* The vault's database: its tables and every statement over them. One connection, on the request thread. */
#ifndef VAULT_DB_H
#define VAULT_DB_H

#include "store/store.h"

enum db_statement {
    DB_DEVICE_GET,
    DB_DEVICE_ADD,
    DB_GENERATION_GET,
    DB_GENERATION_RAISE,
    DB_STANDING_GET,
    DB_STANDING_PUT,
    DB_STANDING_BEHIND,
    DB_USED_GET,
    DB_USED_ADD,
    DB_GIVEN_UP_GET,
    DB_GIVEN_UP_RAISE,
    DB_TIME_GET,
    DB_TIME_RAISE,
    DB_KEYSET_GET,
    DB_KEYSET_PUT,
    DB_KEYSET_TRIM,
    DB_SERVICES,
    DB_SERVICE_PUT,
    DB_SERVICE_DROP,
    DB_BLOCK_VERSION_RAISE,
    DB_ROSTER_GET,
    DB_ROSTER_PUT,
    DB_ROOT_GET,
    DB_ROOT_PUT,
    DB_ROOTS_DROP,
    DB_LICENSE_GET,
    DB_LICENSE_PUT,
    DB_LICENSES_OF_CONTENT,
    DB_LICENSE_COUNT,
    DB_LICENSE_PAGE,
    DB_HEADER_GET,
    DB_HEADER_PUT,
    DB_CERTIFICATE_GET,
    DB_CERTIFICATE_NAME,
    DB_CERTIFICATE_RESERVE,
    DB_CERTIFICATE_SETTLE,
    DB_CERTIFICATE_RELEASE,
    DB_CERTIFICATE_FORGET,
    DB_LOGIN_GET,
    DB_LOGIN_PUT,
    DB_LOGIN_DROP,
    DB_MOVE_GET,
    DB_MOVE_PUT,
    DB_USE_GET,
    DB_USE_PUT,
    DB_USE_LOG_ADD,
    DB_USE_LOG_END,
    DB_USE_LOG_OPEN,
    DB_USE_LOG_DUE,
    DB_USE_LOG_TAKEN,
    DB_USE_LOG_PAGE,
    DB_STATEMENT_COUNT
};

/* Opens or creates path. 0, STORE_NEWER, -errno. */
int db_open(struct store **out, const char *path) MUST_USE;

#endif
