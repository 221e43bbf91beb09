/* The operations database: its tables, as migrations. What the seed calls table (1) to (8) keeps that number here.
 *
 * Tables with a column `distributor` hold our own rows (number 1) and, where the table is shared (procedure P3), copies
 * of other distributors' rows under their numbers. Row messages of the shared ones: protocol/share.proto.
 * Never change a script that has been released: add another. */
#include "distributor/operations_schema.h"

#include "base/util.h"
#include "distributor/statements.h"

#define ID(column) #column " BLOB NOT NULL CHECK (length(" #column ") = 32)"
#define OF_DISTRIBUTOR "distributor INTEGER NOT NULL REFERENCES distributor (number)"

static const char first[] =
    "CREATE TABLE setting (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;"
    "CREATE TABLE counter (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;"

    /* Every distributor we know: ourselves (1), partners, and those whose shared rows we hold. */
    "CREATE TABLE distributor ("
    " number INTEGER PRIMARY KEY, id BLOB NOT NULL UNIQUE CHECK (length(id) = 32), name TEXT NOT NULL,"
    " keyset BLOB, keyset_sequence INTEGER NOT NULL DEFAULT 0, keyset_issued_ms INTEGER, keyset_ends_ms INTEGER,"
    " share_sequence INTEGER NOT NULL DEFAULT 0," /* of its outbox, applied here */
    " block_version INTEGER NOT NULL DEFAULT 0"   /* the newest key block it has announced */
    ") STRICT;"

    /* --- The seed's eight tables ------------------------------------------------------------------------------- */

    /* Seed table (1), shared: leaf IDs and client IDs. A client keeps its leaf for life, unless it is revoked. */
    "CREATE TABLE leaf_client (" OF_DISTRIBUTOR ", " ID(client) ","
    " category INTEGER NOT NULL, leaf INTEGER NOT NULL CHECK (leaf BETWEEN 0 AND 4294967295),"
    " PRIMARY KEY (distributor, client), UNIQUE (distributor, category, leaf)) STRICT, WITHOUT ROWID;"

    /* Seed table (2), shared: client IDs and client public key certificates. */
    "CREATE TABLE client_certificate (" OF_DISTRIBUTOR ", " ID(client) ", certificate BLOB NOT NULL,"
    " ends_ms INTEGER NOT NULL, PRIMARY KEY (distributor, client)) STRICT;"

    /* Seed table (3), shared: client IDs and user IDs. */
    "CREATE TABLE client_user (" OF_DISTRIBUTOR ", " ID(client) ", user TEXT NOT NULL, name TEXT NOT NULL,"
    " registered_ms INTEGER NOT NULL, revoked INTEGER NOT NULL CHECK (revoked IN (0, 1)),"
    " PRIMARY KEY (distributor, client)) STRICT, WITHOUT ROWID;"
    "CREATE INDEX client_user_by_user ON client_user (distributor, user);"
    "CREATE INDEX client_user_by_client ON client_user (client);"

    /* Seed table (4), never shared: user IDs and user passwords (Argon2id hashes). */
    "CREATE TABLE user_password (user TEXT PRIMARY KEY, hash TEXT NOT NULL) STRICT;"

    /* Seed table (5), shared: contents IDs and license IDs. */
    "CREATE TABLE content_license (" OF_DISTRIBUTOR ", " ID(content) ","
    " license_id BLOB NOT NULL CHECK (length(license_id) = 16),"
    " PRIMARY KEY (distributor, content), UNIQUE (distributor, license_id)) STRICT, WITHOUT ROWID;"

    /* Seed table (6), shared: user IDs and contents IDs of downloaded contents (dates and license IDs). */
    "CREATE TABLE user_content (" OF_DISTRIBUTOR ", user TEXT NOT NULL, " ID(content) ", " ID(client) ","
    " license_id BLOB NOT NULL CHECK (length(license_id) = 16), downloaded_ms INTEGER NOT NULL,"
    " PRIMARY KEY (distributor, user, content, client)) STRICT, WITHOUT ROWID;"

    /* Seed table (7), shared: user IDs and license IDs of downloaded licenses (dates). */
    "CREATE TABLE user_license (" OF_DISTRIBUTOR ", user TEXT NOT NULL,"
    " license_id BLOB NOT NULL CHECK (length(license_id) = 16), " ID(client) ", sequence INTEGER NOT NULL,"
    " downloaded_ms INTEGER NOT NULL, PRIMARY KEY (distributor, user, license_id, client)) STRICT, WITHOUT ROWID;"

    /* Seed table (8), shared: contents copy certificate issue history. state: enum certificate_state. */
    "CREATE TABLE copy_history (" OF_DISTRIBUTOR ", serial BLOB NOT NULL CHECK (length(serial) = 16), " ID(content) ","
    " license_id BLOB NOT NULL CHECK (length(license_id) = 16), user TEXT NOT NULL, " ID(source) ", " ID(destination) ","
    " destination_distributor BLOB NOT NULL CHECK (length(destination_distributor) = 32),"
    " category INTEGER NOT NULL, leaf INTEGER NOT NULL, move INTEGER NOT NULL, removable INTEGER NOT NULL,"
    " issued_ms INTEGER NOT NULL, ends_ms INTEGER NOT NULL, state INTEGER NOT NULL,"
    " PRIMARY KEY (distributor, serial)) STRICT, WITHOUT ROWID;"

    /* Shared beside the eight: accounts of one person strung together. */
    "CREATE TABLE link (" OF_DISTRIBUTOR ", user TEXT NOT NULL,"
    " other INTEGER NOT NULL REFERENCES distributor (number), other_user TEXT NOT NULL,"
    " PRIMARY KEY (distributor, user, other, other_user)) STRICT, WITHOUT ROWID;"

    /* --- Accounts and devices, ours ---------------------------------------------------------------------------- */

    "CREATE TABLE account (user TEXT PRIMARY KEY REFERENCES user_password (user), full_name TEXT NOT NULL,"
    " email TEXT NOT NULL, credit_limit INTEGER NOT NULL, created_ms INTEGER NOT NULL,"
    " household BLOB NOT NULL CHECK (length(household) = 16)) STRICT;"
    "CREATE TABLE roster (user TEXT PRIMARY KEY REFERENCES account (user), sequence INTEGER NOT NULL,"
    " digest BLOB NOT NULL, issued_ms INTEGER NOT NULL, envelope BLOB NOT NULL) STRICT;"
    /* One row a device that has ever opened a session, also of another distributor (a guest). R5. */
    "CREATE TABLE device_session (client BLOB PRIMARY KEY CHECK (length(client) = 32), session INTEGER NOT NULL,"
    " bit INTEGER NOT NULL CHECK (bit IN (0, 1)), transaction_id BLOB NOT NULL CHECK (length(transaction_id) = 16),"
    " pending INTEGER NOT NULL, generation INTEGER NOT NULL, seen_ms INTEGER NOT NULL) STRICT;"
    /* The answer that is kept until its transaction is committed. */
    "CREATE TABLE device_answer (client BLOB PRIMARY KEY REFERENCES device_session (client), message BLOB NOT NULL,"
    " tail BLOB NOT NULL) STRICT;"
    "CREATE TABLE invite (code_hash BLOB PRIMARY KEY, created_ms INTEGER NOT NULL, ends_ms INTEGER NOT NULL,"
    " used_by TEXT) STRICT, WITHOUT ROWID;"
    "CREATE TABLE link_code (code_hash BLOB PRIMARY KEY, user TEXT NOT NULL REFERENCES account (user),"
    " ends_ms INTEGER NOT NULL) STRICT, WITHOUT ROWID;"

    /* --- Key blocks -------------------------------------------------------------------------------------------- */

    "CREATE TABLE revoked_leaf (category INTEGER NOT NULL, leaf INTEGER NOT NULL, " ID(client) ","
    " revoked_ms INTEGER NOT NULL, PRIMARY KEY (category, leaf)) STRICT, WITHOUT ROWID;"
    /* Ours (root: its root key), and the newest granted by each partner (root: our partner root). Roots under storage.key. */
    "CREATE TABLE key_block (" OF_DISTRIBUTOR ", version INTEGER NOT NULL, category INTEGER NOT NULL,"
    " envelope BLOB NOT NULL, key_check BLOB NOT NULL CHECK (length(key_check) = 32), root BLOB NOT NULL,"
    " ends_ms INTEGER NOT NULL, entries BLOB NOT NULL, PRIMARY KEY (distributor, version)) STRICT;"

    /* --- Partners ---------------------------------------------------------------------------------------------- */

    "CREATE TABLE partner (distributor INTEGER PRIMARY KEY REFERENCES distributor (number), address TEXT NOT NULL,"
    " copy_key BLOB NOT NULL CHECK (length(copy_key) = 32), copy_secret BLOB NOT NULL," /* under storage.key */
    " withdrawn INTEGER NOT NULL DEFAULT 0 CHECK (withdrawn IN (0, 1)),"
    " lowest_sequence INTEGER NOT NULL DEFAULT 0," /* of delegations to it that we still honour */
    " last_sequence INTEGER NOT NULL DEFAULT 0) STRICT;"
    /* What a partner delegated to us. */
    "CREATE TABLE delegation (distributor INTEGER PRIMARY KEY REFERENCES partner (distributor), envelope BLOB NOT NULL,"
    " issued_ms INTEGER NOT NULL, ends_ms INTEGER NOT NULL, max_certificate_ms INTEGER NOT NULL) STRICT;"

    /* --- What is sold ------------------------------------------------------------------------------------------ */

    /* A product is never changed, only withdrawn: a quote names it by number. usage_for_ms counts from the purchase. */
    "CREATE TABLE product (number INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL,"
    " price INTEGER NOT NULL CHECK (price >= 0), copy_price INTEGER NOT NULL CHECK (copy_price >= 0),"
    " usage_from_ms INTEGER, usage_until_ms INTEGER, usage_for_ms INTEGER, download_from_ms INTEGER,"
    " download_until_ms INTEGER, max_copies INTEGER NOT NULL, copy_depth INTEGER NOT NULL,"
    " max_removable INTEGER NOT NULL, withdrawn INTEGER NOT NULL DEFAULT 0 CHECK (withdrawn IN (0, 1))) STRICT;"
    /* Halves under storage.key. search: the words of title, creator and album, folded (catalogue.c). */
    "CREATE TABLE content (content BLOB PRIMARY KEY CHECK (length(content) = 32), title TEXT NOT NULL, creator TEXT,"
    " album TEXT, media_type TEXT NOT NULL, duration_ms INTEGER NOT NULL, plain_bytes INTEGER NOT NULL,"
    " search TEXT NOT NULL, file_hash BLOB NOT NULL UNIQUE CHECK (length(file_hash) = 32),"
    " header_half BLOB NOT NULL, license_half BLOB NOT NULL, published_ms INTEGER NOT NULL,"
    " withdrawn INTEGER NOT NULL DEFAULT 0 CHECK (withdrawn IN (0, 1))) STRICT;"
    "CREATE INDEX content_by_title ON content (title, content);"
    "CREATE TABLE content_product (content BLOB NOT NULL REFERENCES content (content),"
    " product INTEGER NOT NULL REFERENCES product (number), PRIMARY KEY (content, product)) STRICT, WITHOUT ROWID;"

    /* --- What was issued --------------------------------------------------------------------------------------- */

    /* The license of each holder, newest sequence only. distributor, user: the holder's; account: ours, which stands for it.
     * copies, removables: made so far. state: enum license_state. */
    "CREATE TABLE license (license_id BLOB NOT NULL CHECK (length(license_id) = 16), " ID(client) ", " ID(content) ","
    " sequence INTEGER NOT NULL UNIQUE, " OF_DISTRIBUTOR ", user TEXT NOT NULL, account TEXT NOT NULL,"
    " product INTEGER NOT NULL REFERENCES product (number), usage_from_ms INTEGER, usage_until_ms INTEGER,"
    " download_from_ms INTEGER, download_until_ms INTEGER, max_copies INTEGER NOT NULL, copies INTEGER NOT NULL,"
    " max_removable INTEGER NOT NULL, removables INTEGER NOT NULL, copy_depth INTEGER NOT NULL, state INTEGER NOT NULL,"
    " issued_ms INTEGER NOT NULL, document BLOB NOT NULL, PRIMARY KEY (license_id, client)) STRICT;"
    "CREATE INDEX license_by_account ON license (account, content);"
    /* Companion of copy_history for our own certificates: the document, what it cost, and how it ended. */
    "CREATE TABLE certificate (serial BLOB PRIMARY KEY CHECK (length(serial) = 16),"
    " license_id BLOB NOT NULL, " ID(source) ", " ID(destination) ", " ID(content) ", account TEXT NOT NULL,"
    " destination_number INTEGER NOT NULL REFERENCES distributor (number), destination_user TEXT NOT NULL,"
    " product INTEGER NOT NULL, move INTEGER NOT NULL, removable INTEGER NOT NULL, counted INTEGER NOT NULL,"
    " price INTEGER NOT NULL, block_version INTEGER NOT NULL, issued_ms INTEGER NOT NULL, ends_ms INTEGER NOT NULL,"
    " state INTEGER NOT NULL, document BLOB NOT NULL, delegation BLOB, receipt BLOB, surrender BLOB) STRICT;"
    "CREATE INDEX certificate_by_license ON certificate (license_id, source, destination, state);"
    "CREATE INDEX certificate_by_end ON certificate (state, ends_ms);"

    /* --- Billing: double entry. The rows of one movement sum to zero. amount in minor units; balance: after it. --- */
    "CREATE TABLE ledger (number INTEGER PRIMARY KEY AUTOINCREMENT, movement INTEGER NOT NULL, account TEXT NOT NULL,"
    " amount INTEGER NOT NULL, balance INTEGER NOT NULL, time_ms INTEGER NOT NULL, text TEXT NOT NULL,"
    " reverses INTEGER UNIQUE) STRICT;" /* a refund: the number of the entry it gives back, once */
    "CREATE INDEX ledger_by_account ON ledger (account, number);"
    "CREATE INDEX ledger_by_movement ON ledger (movement);"

    /* --- What devices brought here for other issuers, passed on as shared rows: once each. --- */
    "CREATE TABLE relayed (digest BLOB PRIMARY KEY CHECK (length(digest) = 32), relayed_ms INTEGER NOT NULL)"
    " STRICT, WITHOUT ROWID;"

    /* --- Sharing: our signed rows in order --------------------------------------------------------------------- */
    "CREATE TABLE outbox (sequence INTEGER PRIMARY KEY, envelope BLOB NOT NULL) STRICT;";

static const char *const migrations[] = { first };

const struct store_schema operations_schema = {
    .migrations = migrations,
    .migration_count = ARRAY_COUNT(migrations),
    .statements = statements,
    .statement_count = STATEMENT_COUNT,
    .cache_kib = 8192,
};
