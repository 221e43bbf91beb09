/* Schema and statements of the vault's database. What the rows mean is in the file named after each table. */
#include "vault/db.h"

#include "base/util.h"

/* Identities are 32 bytes, license IDs and serials 16, times Unix milliseconds. sealed: see sealed.h. */
static const char version_1[] =
    "CREATE TABLE device (" /* keys.c */
    "  one INTEGER PRIMARY KEY CHECK (one = 1),"
    "  generation INTEGER NOT NULL,"
    "  sealed BLOB NOT NULL" /* Ed25519 seed || X25519 secret */
    ") STRICT;"

    "CREATE TABLE high_water (" /* until version 8 */
    "  one INTEGER PRIMARY KEY CHECK (one = 1),"
    "  time_ms INTEGER NOT NULL"
    ") STRICT;"

    "CREATE TABLE distributor (" /* service.c, keysets.c, rosters.c */
    "  distributor BLOB PRIMARY KEY NOT NULL,"
    "  keyset_sequence INTEGER NOT NULL," /* never falls, also when not registered */
    "  keyset BLOB,"                      /* envelope; kept for registered ones and the last few checked */
    "  checked_ms INTEGER NOT NULL,"
    "  sealed BLOB," /* device node key set; NULL: not registered */
    "  block_version INTEGER NOT NULL DEFAULT 0,"
    "  roster_sequence INTEGER NOT NULL DEFAULT 0,"
    "  roster BLOB"
    ") STRICT;"

    "CREATE TABLE root (" /* keyblock.c */
    "  distributor BLOB NOT NULL,"
    "  category INTEGER NOT NULL,"
    "  version INTEGER NOT NULL,"
    "  key_check BLOB NOT NULL,"
    "  sealed BLOB NOT NULL,"
    "  PRIMARY KEY (distributor, category, version, key_check)"
    ") STRICT;"

    "CREATE TABLE license (" /* licenses.c */
    "  issuer BLOB NOT NULL,"
    "  license_id BLOB NOT NULL,"
    "  content BLOB NOT NULL,"
    "  sequence INTEGER NOT NULL,"
    "  state INTEGER NOT NULL CHECK (state IN (1, 2, 3))," /* valid, suspended by a move, surrendered */
    "  issued_ms INTEGER NOT NULL,"
    "  conditions BLOB NOT NULL," /* for listings; the license inside `sealed` decides */
    "  sealed BLOB NOT NULL,"
    "  PRIMARY KEY (issuer, license_id)"
    ") STRICT;"
    "CREATE INDEX license_content ON license (content);"

    "CREATE TABLE header (" /* headers.c */
    "  issuer BLOB NOT NULL,"
    "  license_id BLOB NOT NULL,"
    "  content BLOB NOT NULL,"
    "  distributor BLOB NOT NULL," /* whose key block */
    "  version INTEGER NOT NULL,"
    "  header BLOB NOT NULL,"
    "  PRIMARY KEY (issuer, license_id)"
    ") STRICT;"

    "CREATE TABLE certificate (" /* certificates.c; a row stays for ever once it is not a reservation any more */
    "  issuer BLOB NOT NULL,"
    "  serial BLOB NOT NULL,"
    "  state INTEGER NOT NULL CHECK (state IN (1, 2, 3))," /* reserved, stored, refused for good */
    "  digest BLOB NOT NULL,"                              /* SHA-256 of the envelope */
    "  distributor BLOB NOT NULL,"                         /* ours, under whose keyset it was judged */
    "  content BLOB NOT NULL,"
    "  source BLOB NOT NULL,"
    "  license_id BLOB NOT NULL,"
    "  move INTEGER NOT NULL,"
    "  ends_ms INTEGER NOT NULL,"
    "  certificate BLOB,"
    "  delegation BLOB,"
    "  info BLOB,"
    "  list_root BLOB,"
    "  presented INTEGER NOT NULL," /* brought by its source; 0: found on a medium */
    "  receipt BLOB,"
    "  CHECK ((state = 1) = (receipt IS NULL)),"
    "  PRIMARY KEY (issuer, serial)"
    ") STRICT;"

    "CREATE INDEX certificate_digest ON certificate (digest);"

    "CREATE TABLE move (" /* moves.c: this device is the source */
    "  issuer BLOB NOT NULL,"
    "  serial BLOB NOT NULL,"
    "  state INTEGER NOT NULL CHECK (state IN (1, 2, 3))," /* released, finished, cancelled */
    "  digest BLOB NOT NULL,"
    "  license_id BLOB NOT NULL,"
    "  sequence INTEGER NOT NULL," /* of the license it suspended */
    "  content BLOB NOT NULL,"
    "  destination BLOB NOT NULL,"
    "  surrender BLOB,"
    "  PRIMARY KEY (issuer, serial)"
    ") STRICT;";

/* keys.c: counts what changes, in the transaction that changes it, so an older copy of this file is known by its lower count. */
#define COUNTED(table, change)                                           \
    "CREATE TRIGGER " #table "_" #change " AFTER " #change " ON " #table \
    " BEGIN UPDATE changes SET count = count + 1; END;"
static const char version_2[] =
    "CREATE TABLE changes (one INTEGER PRIMARY KEY CHECK (one = 1), count INTEGER NOT NULL) STRICT;"
    "INSERT INTO changes VALUES (1, 0);" /* clang-format off */
    COUNTED(license, INSERT) COUNTED(license, UPDATE)
    COUNTED(certificate, INSERT) COUNTED(certificate, UPDATE)
    COUNTED(move, INSERT) COUNTED(move, UPDATE); /* clang-format on */

static const char version_3[] = "CREATE TABLE login (" /* logins.c */
                                "  distributor BLOB PRIMARY KEY NOT NULL,"
                                "  sealed BLOB NOT NULL" /* the token */
                                ") STRICT;";
/* use.c, use_log.c; license.lease and lender: for listings, as conditions. */
static const char version_4[] =
    "ALTER TABLE license ADD COLUMN lease BLOB;"
    "ALTER TABLE license ADD COLUMN lender BLOB;"
    "CREATE TABLE use (issuer BLOB NOT NULL, license_id BLOB NOT NULL, sealed BLOB NOT NULL,"
    " PRIMARY KEY (issuer, license_id)) STRICT;"
    "CREATE TABLE use_log (row INTEGER PRIMARY KEY AUTOINCREMENT, issuer BLOB NOT NULL, number INTEGER NOT NULL,"
    " license_id BLOB NOT NULL, content BLOB NOT NULL, began_ms INTEGER NOT NULL, play_ms INTEGER NOT NULL,"
    " taken INTEGER NOT NULL DEFAULT 0 CHECK (taken IN (0, 1)), UNIQUE (issuer, number)) STRICT;"
    "CREATE INDEX use_log_due ON use_log (issuer, number) WHERE taken = 0;" /* clang-format off */
    COUNTED(use, INSERT) COUNTED(use, UPDATE); /* clang-format on */

/* behind.c, catch_up.c: what distributors have seen of this vault, and what an earlier copy of it did not know. */
static const char version_5[] = "CREATE TABLE standing ("
                                "  distributor BLOB PRIMARY KEY NOT NULL,"
                                "  behind INTEGER NOT NULL," /* the generation it has seen; 0: not behind */
                                "  taken BLOB,"              /* nonces of statements */
                                "  issued BLOB"
                                ") STRICT;"
                                "CREATE TABLE used_serial ("
                                "  issuer BLOB NOT NULL,"
                                "  serial BLOB NOT NULL,"
                                "  said_by BLOB NOT NULL,"
                                "  PRIMARY KEY (issuer, serial, said_by)"
                                ") STRICT, WITHOUT ROWID;"
                                "CREATE TABLE given_up ("
                                "  issuer BLOB NOT NULL,"
                                "  license_id BLOB NOT NULL,"
                                "  sequence INTEGER NOT NULL," /* editions up to this one */
                                "  PRIMARY KEY (issuer, license_id)"
                                ") STRICT, WITHOUT ROWID;";

/* programs.c; a row stays when its program was removed. */
static const char version_6[] = "CREATE TABLE program ("
                                "  distributor BLOB NOT NULL,"
                                "  name TEXT NOT NULL,"
                                "  sealed BLOB NOT NULL," /* highest version, provider, grant */
                                "  PRIMARY KEY (distributor, name)"
                                ") STRICT;";

/* moves.c: lent, and to come back; use_log.c: when its issuer said that it has it. */
static const char version_7[] = "ALTER TABLE move ADD COLUMN loan INTEGER NOT NULL DEFAULT 0 CHECK (loan IN (0, 1));"
                                "CREATE INDEX move_loan ON move (issuer, license_id) WHERE loan = 1;"
                                "ALTER TABLE use_log ADD COLUMN taken_ms INTEGER;";

/* in_use.c. locked only finds the rows; whether one is says the sealed part. */
static const char version_8[] = "CREATE TABLE in_use ("
                                "  issuer BLOB NOT NULL,"
                                "  license_id BLOB NOT NULL,"
                                "  locked INTEGER NOT NULL CHECK (locked IN (0, 1)),"
                                "  sealed BLOB NOT NULL,"
                                "  PRIMARY KEY (issuer, license_id)"
                                ") STRICT;"
                                "CREATE INDEX in_use_locked ON in_use (issuer, license_id) WHERE locked = 1;";

/* metadata.c: what was taken, so that nothing older comes back. */
static const char metadata[] = "CREATE TABLE metadata ("
                               "  content BLOB NOT NULL,"
                               "  signer BLOB NOT NULL,"
                               "  language TEXT NOT NULL,"
                               "  sealed BLOB NOT NULL," /* highest sequence, digest of its document */
                               "  PRIMARY KEY (content, signer, language)"
                               ") STRICT;"
                               "CREATE TABLE metadata_vouch ("
                               "  distributor BLOB NOT NULL,"
                               "  provider BLOB NOT NULL,"
                               "  sealed BLOB NOT NULL," /* the same */
                               "  PRIMARY KEY (distributor, provider)"
                               ") STRICT;";

/* trusted_time.c: the mark of each distributor, and the issue of the newest keyset it has shown. The one mark there was (high_water, which nothing
 * reads any more) becomes everybody's: time does not go backwards by an update. */
static const char times[] =
    "ALTER TABLE distributor ADD COLUMN time_ms INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE distributor ADD COLUMN issued_ms INTEGER NOT NULL DEFAULT 0;"
    "UPDATE distributor SET time_ms = coalesce((SELECT time_ms FROM high_water), 0) WHERE sealed IS NOT NULL;";

/* whole.c. From here on a migration adds tables, and columns that are NULL or 0 at first: it changes no row (store.h, struct store_sum). */
static const char whole[] =
    "CREATE TABLE whole (one INTEGER PRIMARY KEY CHECK (one = 1), sealed BLOB NOT NULL) STRICT;";

/* counter.c */
static const char counter[] =
    "CREATE TABLE counter (one INTEGER PRIMARY KEY CHECK (one = 1), sealed BLOB NOT NULL) STRICT;";

static const char *const migrations[] = {
    version_1, version_2, version_3, version_4, version_5, version_6,
    version_7, version_8, metadata,  times,     whole,     counter,
};

static const char *const statements[DB_STATEMENT_COUNT] = {
    [DB_DEVICE_GET] = "SELECT generation, sealed FROM device",
    [DB_DEVICE_ADD] = "INSERT INTO device (one, generation, sealed) VALUES (1, ?1, ?2)",

    [DB_DEVICE_SEAL] = "UPDATE device SET sealed = ?1",
    [DB_WHOLE_GET] = "SELECT sealed FROM whole",
    [DB_WHOLE_PUT] = "INSERT OR REPLACE INTO whole (one, sealed) VALUES (1, ?1)",

    [DB_COUNTER_GET] = "SELECT sealed FROM counter",
    [DB_COUNTER_PUT] = "INSERT OR REPLACE INTO counter (one, sealed) VALUES (1, ?1)",
    [DB_COUNTER_DROP] = "DELETE FROM counter",

    [DB_GENERATION_GET] = "SELECT generation + count FROM device, changes",

    [DB_GENERATION_RAISE] = "UPDATE changes SET count = ?1 - (SELECT generation FROM device)"
                            " WHERE count < ?1 - (SELECT generation FROM device)",

    [DB_STANDING_GET] = "SELECT behind, taken, issued FROM standing WHERE distributor = ?1",
    [DB_STANDING_PUT] = "INSERT OR REPLACE INTO standing (distributor, behind, taken, issued) VALUES (?1, ?2, ?3, ?4)",
    [DB_STANDING_ALL_BEHIND] = "INSERT INTO standing (distributor, behind) SELECT distributor, 1 FROM distributor"
                               " WHERE sealed IS NOT NULL"
                               " ON CONFLICT (distributor) DO UPDATE SET behind = 1 WHERE behind = 0",
    [DB_STANDING_BEHIND] = "SELECT s.distributor FROM standing s JOIN distributor d ON d.distributor = s.distributor"
                           " WHERE s.behind > 0 AND d.sealed IS NOT NULL LIMIT 1",
    [DB_USED_GET] = "SELECT 1 FROM used_serial WHERE issuer = ?1 AND serial = ?2 AND said_by IN (?1, ?3)",
    [DB_USED_ADD] = "INSERT OR IGNORE INTO used_serial (issuer, serial, said_by) VALUES (?1, ?2, ?3)",
    [DB_GIVEN_UP_GET] = "SELECT sequence FROM given_up WHERE issuer = ?1 AND license_id = ?2",
    [DB_GIVEN_UP_RAISE] = "INSERT INTO given_up (issuer, license_id, sequence) VALUES (?1, ?2, ?3)"
                          " ON CONFLICT (issuer, license_id) DO UPDATE SET sequence = excluded.sequence"
                          " WHERE excluded.sequence > sequence",

    [DB_TIMES] = "SELECT distributor, time_ms, issued_ms FROM distributor"
                 " WHERE sealed IS NOT NULL OR distributor = ?1",
    [DB_TIME_RAISE] = "UPDATE distributor SET time_ms = ?2 WHERE distributor = ?1 AND time_ms < ?2",

    [DB_KEYSET_GET] = "SELECT keyset_sequence, keyset, sealed IS NOT NULL FROM distributor WHERE distributor = ?1",
    [DB_KEYSET_PUT] =
        "INSERT INTO distributor (distributor, keyset_sequence, keyset, issued_ms, checked_ms)" /* checked_ms: an order, by no clock */
        " VALUES (?1, ?2, ?3, ?4, (SELECT coalesce(max(checked_ms), 0) + 1 FROM distributor))"
        " ON CONFLICT (distributor) DO UPDATE SET keyset_sequence = excluded.keyset_sequence,"
        " keyset = excluded.keyset, issued_ms = excluded.issued_ms, checked_ms = excluded.checked_ms",
    [DB_KEYSET_TRIM] = "UPDATE distributor SET keyset = NULL WHERE sealed IS NULL AND keyset IS NOT NULL"
                       " AND distributor NOT IN (SELECT distributor FROM distributor WHERE sealed IS NULL"
                       " AND keyset IS NOT NULL ORDER BY checked_ms DESC LIMIT 8)",

    [DB_SERVICES] = "SELECT distributor, keyset, sealed, block_version, roster_sequence FROM distributor"
                    " WHERE sealed IS NOT NULL ORDER BY distributor",
    [DB_SERVICE_PUT] = "UPDATE distributor SET sealed = ?2 WHERE distributor = ?1",
    [DB_SERVICE_DROP] =
        "UPDATE distributor SET sealed = NULL, roster = NULL, roster_sequence = 0 WHERE distributor = ?1",
    [DB_BLOCK_VERSION_RAISE] =
        "UPDATE distributor SET block_version = ?2 WHERE distributor = ?1 AND block_version < ?2",
    [DB_ROSTER_GET] = "SELECT roster FROM distributor WHERE distributor = ?1 AND roster IS NOT NULL",
    [DB_ROSTER_PUT] = "UPDATE distributor SET roster_sequence = ?2, roster = ?3 WHERE distributor = ?1",

    [DB_ROOT_GET] =
        "SELECT sealed FROM root WHERE distributor = ?1 AND category = ?2 AND version = ?3 AND key_check = ?4",
    [DB_ROOT_PUT] = "INSERT OR REPLACE INTO root (distributor, category, version, key_check, sealed)"
                    " VALUES (?1, ?2, ?3, ?4, ?5)",
    [DB_ROOTS_DROP] = "DELETE FROM root WHERE distributor = ?1",

    [DB_LICENSE_GET] = "SELECT issuer, license_id, content, sequence, state, sealed FROM license"
                       " WHERE issuer = ?1 AND license_id = ?2",
    [DB_LICENSE_PUT] = "INSERT OR REPLACE INTO license"
                       " (issuer, license_id, content, sequence, state, issued_ms, conditions, sealed, lease, lender)"
                       " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
    [DB_LICENSES_OF_CONTENT] = "SELECT issuer, license_id, content, sequence, state, sealed FROM license"
                               " WHERE content = ?1 ORDER BY state, sequence DESC",
    [DB_LICENSE_COUNT] = "SELECT count(*) FROM license",
    [DB_LICENSE_PAGE] =
        "SELECT issuer, license_id, content, sequence, state, issued_ms, conditions,"
        " EXISTS (SELECT 1 FROM header h WHERE h.issuer = l.issuer AND h.license_id = l.license_id), lease, lender,"
        " EXISTS (SELECT 1 FROM use u WHERE u.issuer = l.issuer AND u.license_id = l.license_id),"
        " CASE WHEN state = 3 THEN (SELECT m.destination FROM move m WHERE m.issuer = l.issuer"
        " AND m.license_id = l.license_id AND m.sequence = l.sequence AND m.state = 2 AND m.loan = 1) END,"
        " CASE WHEN state = 3 THEN (SELECT m.destination FROM move m WHERE m.issuer = l.issuer"
        " AND m.license_id = l.license_id AND m.sequence = l.sequence AND m.state = 2 AND m.loan = 0) END,"
        " EXISTS (SELECT 1 FROM in_use i WHERE i.issuer = l.issuer AND i.license_id = l.license_id)"
        " FROM license l WHERE (issuer, license_id) > (?1, ?2) ORDER BY issuer, license_id LIMIT ?3",

    [DB_HEADER_GET] = "SELECT distributor, version, header FROM header WHERE issuer = ?1 AND license_id = ?2",
    [DB_HEADER_PUT] =
        "INSERT INTO header (issuer, license_id, content, distributor, version, header)"
        " VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (issuer, license_id) DO UPDATE SET"
        " content = excluded.content, distributor = excluded.distributor, version = excluded.version,"
        " header = excluded.header WHERE excluded.distributor <> distributor OR excluded.version >= version",

    [DB_CERTIFICATE_GET] = "SELECT state, digest, distributor, content, source, license_id, move, ends_ms, presented,"
                           " receipt, certificate, delegation, info, list_root FROM certificate"
                           " WHERE issuer = ?1 AND serial = ?2",
    [DB_CERTIFICATE_NAME] = "SELECT issuer, serial FROM certificate WHERE digest = ?1",
    [DB_CERTIFICATE_RESERVE] = "INSERT INTO certificate (issuer, serial, state, digest, distributor, content, source,"
                               " license_id, move, ends_ms, presented, certificate, delegation, info, list_root)"
                               " VALUES (?1, ?2, 1, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)"
                               " ON CONFLICT (issuer, serial) DO UPDATE SET delegation = excluded.delegation,"
                               " distributor = excluded.distributor, presented = excluded.presented,"
                               " info = excluded.info, list_root = excluded.list_root"
                               " WHERE state = 1 AND digest = excluded.digest",
    [DB_CERTIFICATE_SETTLE] = "INSERT INTO certificate (issuer, serial, state, digest, distributor, content, source,"
                              " license_id, move, ends_ms, presented, receipt)"
                              " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)"
                              " ON CONFLICT (issuer, serial) DO UPDATE SET state = excluded.state,"
                              " receipt = excluded.receipt, certificate = NULL, delegation = NULL, info = NULL,"
                              " list_root = NULL WHERE state = 1 AND digest = excluded.digest",
    [DB_CERTIFICATE_RELEASE] = "DELETE FROM certificate WHERE issuer = ?1 AND serial = ?2 AND state = 1",
    [DB_CERTIFICATE_FORGET] = "DELETE FROM certificate WHERE state = 1 AND ends_ms + ?1 <"
                              " (SELECT time_ms FROM distributor d WHERE d.distributor = certificate.distributor)",

    [DB_LOGIN_GET] = "SELECT sealed FROM login WHERE distributor = ?1",
    [DB_LOGIN_PUT] = "INSERT OR REPLACE INTO login (distributor, sealed) VALUES (?1, ?2)",
    [DB_LOGIN_DROP] = "DELETE FROM login WHERE distributor = ?1",

    [DB_MOVE_GET] = "SELECT state, digest, license_id, sequence, content, destination, surrender, loan FROM move"
                    " WHERE issuer = ?1 AND serial = ?2",
    [DB_MOVE_PUT] = "INSERT OR REPLACE INTO move (issuer, serial, state, digest, license_id, sequence, content,"
                    " destination, surrender, loan) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
    [DB_MOVE_BORROWER] = "SELECT destination FROM move WHERE issuer = ?1 AND license_id = ?2 AND sequence = ?3"
                         " AND state = 2 AND loan = 1",

    [DB_USE_GET] = "SELECT sealed FROM use WHERE issuer = ?1 AND license_id = ?2",
    [DB_USE_PUT] = "INSERT INTO use (issuer, license_id, sealed) VALUES (?1, ?2, ?3)"
                   " ON CONFLICT (issuer, license_id) DO UPDATE SET sealed = excluded.sealed",
    [DB_IN_USE_GET] = "SELECT sealed FROM in_use WHERE issuer = ?1 AND license_id = ?2",
    [DB_IN_USE_PUT] =
        "INSERT INTO in_use (issuer, license_id, locked, sealed) VALUES (?1, ?2, ?3, ?4)"
        " ON CONFLICT (issuer, license_id) DO UPDATE SET locked = excluded.locked, sealed = excluded.sealed",
    [DB_IN_USE_LOCKED] = "SELECT issuer, license_id, sealed FROM in_use WHERE locked = 1 LIMIT 1",
    [DB_USE_LOG_ADD] = "INSERT INTO use_log (issuer, number, license_id, content, began_ms, play_ms) SELECT ?1,"
                       " coalesce(max(number), 0) + 1, ?2, ?3, ?4, ?5 FROM use_log WHERE issuer = ?1",
    [DB_USE_LOG_END] = "UPDATE use_log SET play_ms = ?2 WHERE row = ?1",
    [DB_USE_LOG_OPEN] = "SELECT number, license_id, content, began_ms, play_ms, row FROM use_log WHERE issuer = ?1"
                        " AND taken = 0 ORDER BY number LIMIT ?2",
    [DB_USE_LOG_DUE] = "SELECT count(*) FROM use_log WHERE issuer = ?1 AND taken = 0",
    [DB_USE_LOG_TAKEN] = "UPDATE use_log SET taken = 1, taken_ms = ?3 WHERE issuer = ?1 AND number <= ?2"
                         " AND taken = 0",
    [DB_USE_LOG_PAGE] =
        "SELECT row, issuer, number, license_id, content, began_ms, play_ms, taken, taken_ms FROM use_log"
        " WHERE row < ?1 ORDER BY row DESC LIMIT ?2",

    [DB_PROGRAM_GET] = "SELECT sealed FROM program WHERE distributor = ?1 AND name = ?2",
    [DB_PROGRAM_PUT] = "INSERT INTO program (distributor, name, sealed) VALUES (?1, ?2, ?3)"
                       " ON CONFLICT (distributor, name) DO UPDATE SET sealed = excluded.sealed",
    [DB_PROGRAM_PAGE] = "SELECT distributor, name, sealed FROM program ORDER BY name, distributor LIMIT ?2 OFFSET ?1",
    [DB_PROGRAM_COUNT] = "SELECT count(*) FROM program",
    [DB_PROGRAM_FORGET] = "DELETE FROM program WHERE distributor = ?1 AND name = ?2",

    [DB_METADATA_GET] = "SELECT sealed FROM metadata WHERE content = ?1 AND signer = ?2 AND language = ?3",
    [DB_METADATA_PUT] = "INSERT INTO metadata (content, signer, language, sealed) VALUES (?1, ?2, ?3, ?4)"
                        " ON CONFLICT (content, signer, language) DO UPDATE SET sealed = excluded.sealed",
    [DB_METADATA_VOUCH_GET] = "SELECT sealed FROM metadata_vouch WHERE distributor = ?1 AND provider = ?2",
    [DB_METADATA_VOUCH_PUT] = "INSERT INTO metadata_vouch (distributor, provider, sealed) VALUES (?1, ?2, ?3)"
                              " ON CONFLICT (distributor, provider) DO UPDATE SET sealed = excluded.sealed",
};

static const struct store_schema schema = {
    .migrations = migrations,
    .migration_count = ARRAY_COUNT(migrations),
    .statements = statements,
    .statement_count = ARRAY_COUNT(statements),
    .flags = STORE_OWN_SCHEMA | STORE_SUMMED, /* a trigger of somebody else would run with our statements */
};

int db_open(struct store **out, const char *path) { return store_open(out, path, &schema); }
