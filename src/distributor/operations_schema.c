/* The operations database: its tables, as migrations. What the seed calls table (1) to (8) keeps that number here.
 *
 * Tables with a column `distributor` hold our own rows (number 1) and, where the table is shared (procedure P3), copies
 * of other distributors' rows under their numbers. Row messages of the shared ones: protocol/share.proto.
 * Never change a script that has been released: add another. */
#include "distributor/operations_schema.h"

#include "base/util.h"
#include "distributor/billing_schema.h"
#include "distributor/statements.h"

#define ID(column) #column " BLOB NOT NULL CHECK (length(" #column ") = 32)"
#define OF_DISTRIBUTOR "distributor INTEGER NOT NULL REFERENCES distributor (number)"

static const char
    first
        [] =
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
            "CREATE TABLE leaf_client (" OF_DISTRIBUTOR
            ", " ID(client) ","
                            " category INTEGER NOT NULL, leaf INTEGER NOT NULL CHECK (leaf BETWEEN 0 AND 4294967295),"
                            " PRIMARY KEY (distributor, client), UNIQUE (distributor, category, leaf)) STRICT, WITHOUT ROWID;"

                            /* Seed table (2), shared: client IDs and client public key certificates. */
                            "CREATE TABLE client_certificate (" OF_DISTRIBUTOR
                            ", " ID(client) ", certificate BLOB NOT NULL,"
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
                                                                                                                                                                         "CREATE TABLE user_content (" OF_DISTRIBUTOR
                                                                                                                                                                         ", user TEXT NOT NULL, " ID(
                                                                                                                                                                             content) ", " ID(client) ","
                                                                                                                                                                                                      " license_id BLOB NOT NULL CHECK (length(license_id) = 16), downloaded_ms INTEGER NOT NULL,"
                                                                                                                                                                                                      " PRIMARY KEY (distributor, user, content, client)) STRICT, WITHOUT ROWID;"

                                                                                                                                                                                                      /* Seed table (7), shared: user IDs and license IDs of downloaded licenses (dates). */
                                                                                                                                                                                                      "CREATE TABLE user_license (" OF_DISTRIBUTOR
                                                                                                                                                                                                      ", user TEXT NOT NULL,"
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
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                 "CREATE TABLE link (" OF_DISTRIBUTOR
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                 ", user TEXT NOT NULL,"
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

                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                 "CREATE TABLE revoked_leaf (category INTEGER NOT NULL, leaf INTEGER NOT NULL, " ID(
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                     client) ","
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                             " revoked_ms INTEGER NOT NULL, PRIMARY KEY (category, leaf)) STRICT, WITHOUT ROWID;"
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                             /* Ours (root: its root key), and the newest granted by each partner (root: our partner root). Roots under storage.key. */
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                             "CREATE TABLE key_block (" OF_DISTRIBUTOR
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                             ", version INTEGER NOT NULL, category INTEGER NOT NULL,"
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
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                             "CREATE TABLE license (license_id BLOB NOT NULL CHECK (length(license_id) = 16), " ID(client) ", " ID(
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                 content) ","
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                          " sequence INTEGER NOT NULL UNIQUE, " OF_DISTRIBUTOR
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                          ", user TEXT NOT NULL, account TEXT NOT NULL,"
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                          " product INTEGER NOT NULL REFERENCES product (number), usage_from_ms INTEGER, usage_until_ms INTEGER,"
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                          " download_from_ms INTEGER, download_until_ms INTEGER, max_copies INTEGER NOT NULL, copies INTEGER NOT NULL,"
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                          " max_removable INTEGER NOT NULL, removables INTEGER NOT NULL, copy_depth INTEGER NOT NULL, state INTEGER NOT NULL,"
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                          " issued_ms INTEGER NOT NULL, document BLOB NOT NULL, PRIMARY KEY (license_id, client)) STRICT;"
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                          "CREATE INDEX license_by_account ON license (account, content);"
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                          /* Companion of copy_history for our own certificates: the document, what it cost, and how it ended. */
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                          "CREATE TABLE certificate (serial BLOB PRIMARY KEY CHECK (length(serial) = 16),"
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                          " license_id BLOB NOT NULL, " ID(
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                              source) ", " ID(destination) ", " ID(content) ", account TEXT NOT NULL,"
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                            " destination_number INTEGER NOT NULL REFERENCES distributor (number), destination_user TEXT NOT NULL,"
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                            " product INTEGER NOT NULL, move INTEGER NOT NULL, removable INTEGER NOT NULL, counted INTEGER NOT NULL,"
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                            " charge INTEGER NOT NULL, block_version INTEGER NOT NULL, issued_ms INTEGER NOT NULL, ends_ms INTEGER NOT NULL,"
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                            " state INTEGER NOT NULL, document BLOB NOT NULL, delegation BLOB, edition INTEGER NOT NULL,"
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                            " receipt BLOB, surrender BLOB) STRICT;" /* edition: the sequence of the source's license */
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

/* What the payment provider knows a user by, as the user says; never a card number. The operator accepts it as the payer (table payer). */
static const char payment_reference[] = "ALTER TABLE account ADD COLUMN payment_reference TEXT NOT NULL DEFAULT '';";

/* The login token of a device (tokens.c): the hash of its public key, never shared. */
static const char login_token[] =
    "CREATE TABLE login_token (client BLOB PRIMARY KEY CHECK (length(client) = 32),"
    " token BLOB NOT NULL UNIQUE CHECK (length(token) = 32), user TEXT NOT NULL REFERENCES account (user),"
    " created_ms INTEGER NOT NULL, ends_ms INTEGER NOT NULL, used_ms INTEGER NOT NULL) STRICT;"
    "CREATE INDEX login_token_by_user ON login_token (user, client);";

/* What a household allows itself (spending.c). pin: Argon2id. period: enum spending_period. */
static const char spending[] =
    "CREATE TABLE spending_limit (user TEXT PRIMARY KEY REFERENCES account (user), amount INTEGER NOT NULL CHECK (amount >= 0),"
    " period INTEGER NOT NULL CHECK (period IN (1, 2)), pin TEXT NOT NULL, set_ms INTEGER NOT NULL) STRICT;"
    /* Devices on which the PIN was given. */
    "CREATE TABLE spending_unlock (client BLOB PRIMARY KEY CHECK (length(client) = 32),"
    " user TEXT NOT NULL REFERENCES account (user), ends_ms INTEGER NOT NULL) STRICT;";

/* The use conditions of Fig. 12 that came later, options of products, leases (R3), checkouts, and the use log. */
static const char use_conditions[] =
    "ALTER TABLE product ADD COLUMN max_plays INTEGER;"
    "ALTER TABLE product ADD COLUMN max_play_ms INTEGER;"
    "ALTER TABLE product ADD COLUMN max_checkouts INTEGER;"
    "ALTER TABLE product ADD COLUMN record INTEGER NOT NULL DEFAULT 0 CHECK (record IN (0, 1));"
    "ALTER TABLE product ADD COLUMN own_price INTEGER CHECK (own_price >= 0);"
    "ALTER TABLE product ADD COLUMN use_log INTEGER NOT NULL DEFAULT 0 CHECK (use_log IN (0, 1));"
    "ALTER TABLE product ADD COLUMN renew_price INTEGER CHECK (renew_price >= 0);" /* NULL: not to be renewed */
    "ALTER TABLE product ADD COLUMN renew_late_ms INTEGER;"                 /* after the end; NULL: at any time */
    "ALTER TABLE product ADD COLUMN lease_ms INTEGER CHECK (lease_ms > 0);" /* NULL: not leased */
    "ALTER TABLE product ADD COLUMN lease_grace_ms INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE product ADD COLUMN lease_plays INTEGER NOT NULL DEFAULT 0;" /* of each lease; 0: not limited */
    "CREATE TABLE product_option (product INTEGER NOT NULL REFERENCES product (number), number INTEGER NOT NULL,"
    " name TEXT NOT NULL, price INTEGER NOT NULL CHECK (price >= 0), copies INTEGER NOT NULL, copy_depth INTEGER NOT NULL,"
    " removables INTEGER NOT NULL, usage_ms INTEGER NOT NULL, plays INTEGER NOT NULL, play_ms INTEGER NOT NULL,"
    " checkouts INTEGER NOT NULL, record INTEGER NOT NULL CHECK (record IN (0, 1)),"
    " withdrawn INTEGER NOT NULL DEFAULT 0 CHECK (withdrawn IN (0, 1)), PRIMARY KEY (product, number)) STRICT, WITHOUT ROWID;"

    /* checkouts: made so far, as copies. plays, play_ms: used so far, as the holder's vault has said. lender: checked out from there. */
    "ALTER TABLE license ADD COLUMN max_plays INTEGER;"
    "ALTER TABLE license ADD COLUMN max_play_ms INTEGER;"
    "ALTER TABLE license ADD COLUMN max_checkouts INTEGER;"
    "ALTER TABLE license ADD COLUMN record INTEGER NOT NULL DEFAULT 0 CHECK (record IN (0, 1));"
    "ALTER TABLE license ADD COLUMN own_price INTEGER;"
    "ALTER TABLE license ADD COLUMN use_log INTEGER NOT NULL DEFAULT 0 CHECK (use_log IN (0, 1));"
    "ALTER TABLE license ADD COLUMN checkouts INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE license ADD COLUMN plays INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE license ADD COLUMN play_ms INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE license ADD COLUMN lease_until_ms INTEGER;"
    "ALTER TABLE license ADD COLUMN lease_grace_ms INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE license ADD COLUMN lease_plays INTEGER;"
    "ALTER TABLE license ADD COLUMN lender BLOB CHECK (length(lender) = 32);"
    "ALTER TABLE certificate ADD COLUMN checkout INTEGER NOT NULL DEFAULT 0 CHECK (checkout IN (0, 1));"

    /* What devices brought of the use their licenses oblige them to log. */
    "CREATE TABLE use_log (client BLOB NOT NULL CHECK (length(client) = 32), number INTEGER NOT NULL, account TEXT NOT NULL,"
    " license_id BLOB NOT NULL CHECK (length(license_id) = 16), content BLOB NOT NULL CHECK (length(content) = 32),"
    " began_ms INTEGER NOT NULL, play_ms INTEGER NOT NULL, received_ms INTEGER NOT NULL, PRIMARY KEY (client, number)) STRICT,"
    " WITHOUT ROWID;"
    "CREATE INDEX use_log_by_account ON use_log (account, received_ms);";

/* Parts of key blocks (crypto/ekb_parts.h), in versions from `since` to before `until`. key_block.kind 2: its entries are its top entries. */
static const char key_block_parts[] =
    "ALTER TABLE key_block ADD COLUMN kind INTEGER NOT NULL DEFAULT 1 CHECK (kind IN (1, 2));"
    "CREATE TABLE key_block_part (" OF_DISTRIBUTOR
    ", first_leaf INTEGER NOT NULL, since INTEGER NOT NULL, until INTEGER,"
    " iv BLOB NOT NULL CHECK (length(iv) = 12), depth INTEGER NOT NULL, node INTEGER NOT NULL, count INTEGER NOT NULL,"
    " root BLOB NOT NULL CHECK (length(root) = 32), entries BLOB NOT NULL, PRIMARY KEY (distributor, first_leaf, since))"
    " STRICT;"
    "CREATE INDEX key_block_part_by_end ON key_block_part (distributor, until);";

/* What vaults have said of themselves (standings.c), and what one that was restored has to know (catch_up.c). The indices are over what is over: they
 * cost nothing when something is issued. */
static const char restored_vaults[] =
    "CREATE TABLE device_standing (client BLOB PRIMARY KEY CHECK (length(client) = 32), generation INTEGER NOT NULL,"
    " session INTEGER NOT NULL, nonce BLOB NOT NULL CHECK (length(nonce) = 16)) STRICT, WITHOUT ROWID;"
    "CREATE TABLE relayed_serial (client BLOB NOT NULL CHECK (length(client) = 32),"
    " issuer BLOB NOT NULL CHECK (length(issuer) = 32), serial BLOB NOT NULL CHECK (length(serial) = 16),"
    " PRIMARY KEY (client, issuer, serial)) STRICT, WITHOUT ROWID;"
    "CREATE INDEX copy_history_used ON copy_history (destination) WHERE state IN (2, 3);"
    "CREATE INDEX license_given_up ON license (client) WHERE state IN (3, 6, 7);"
    "CREATE INDEX certificate_of_move ON certificate (source) WHERE move = 1;";

/* Blocks of another format (crypto/ekb.h): those from before are of no use to anybody. */
static const char key_block_masks[] =
    "DROP TABLE key_block_part;"
    "CREATE TABLE key_block_part (" OF_DISTRIBUTOR
    ", first_leaf INTEGER NOT NULL, since INTEGER NOT NULL, until INTEGER,"
    " nonce BLOB NOT NULL CHECK (length(nonce) = 16), depth INTEGER NOT NULL, node INTEGER NOT NULL, count INTEGER NOT NULL,"
    " root BLOB NOT NULL CHECK (length(root) = 32), entries BLOB NOT NULL, PRIMARY KEY (distributor, first_leaf, since))"
    " STRICT;"
    "CREATE INDEX key_block_part_by_end ON key_block_part (distributor, until);";

/* Chains over shared rows (share_chain.h). outbox.head: over it and all before it; NULL: written before there were heads. distributor.chain_*: over the
 * rows of its outbox that came here; directory_sequence: how far the directory has given them; direct_ms: since when it is behind what the
 * origin gave itself (0: it is not). All is read again once, to make the chains. */
static const char chains[] =
    "ALTER TABLE outbox ADD COLUMN head BLOB CHECK (length(head) = 32);"
    "ALTER TABLE distributor ADD COLUMN chain_sequence INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE distributor ADD COLUMN chain_head BLOB CHECK (length(chain_head) = 32);"
    "ALTER TABLE distributor ADD COLUMN directory_sequence INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE distributor ADD COLUMN direct_ms INTEGER NOT NULL DEFAULT 0;"
    "UPDATE counter SET value = 0 WHERE name = 'directory-cursor';"
    /* The newest head that each origin has signed. */
    "CREATE TABLE share_head (distributor INTEGER PRIMARY KEY REFERENCES distributor (number), sequence INTEGER NOT NULL,"
    " envelope BLOB NOT NULL) STRICT;"
    /* Which row is at the place up to which the directory was read. */
    "CREATE TABLE directory_mark (one INTEGER PRIMARY KEY CHECK (one = 1), origin BLOB NOT NULL CHECK (length(origin) = 32),"
    " sequence INTEGER NOT NULL, position INTEGER NOT NULL) STRICT;"
    /* What others did that cannot be right (findings.h). settled_ms: NULL while it is so. */
    "CREATE TABLE finding (kind TEXT NOT NULL, distributor INTEGER NOT NULL REFERENCES distributor (number), text TEXT NOT NULL,"
    " first_ms INTEGER NOT NULL, last_ms INTEGER NOT NULL, count INTEGER NOT NULL, settled_ms INTEGER,"
    " PRIMARY KEY (kind, distributor)) STRICT;";

/* The open certificate for a pair of devices is found by this alone, however many are open (CERTIFICATE_OPEN). */
static const char certificates_found[] =
    "DROP INDEX certificate_by_license;"
    "CREATE INDEX certificate_by_pair ON certificate (license_id, source, destination, state, ends_ms);";

/* Of a partner: its word on a medium (sync.h: how many of our rows it has, its copy key, when it said so), and what we gave it: until when a delegation
 * of ours lasts, and since when it is withdrawn (0: it is not). */
static const char media[] = "ALTER TABLE partner ADD COLUMN said_have INTEGER NOT NULL DEFAULT 0;"
                            "ALTER TABLE partner ADD COLUMN said_copy_key BLOB CHECK (length(said_copy_key) = 32);"
                            "ALTER TABLE partner ADD COLUMN said_ms INTEGER NOT NULL DEFAULT 0;"
                            "ALTER TABLE partner ADD COLUMN given_ends_ms INTEGER NOT NULL DEFAULT 0;"
                            "ALTER TABLE partner ADD COLUMN withdrawn_ms INTEGER NOT NULL DEFAULT 0;";

/* Where our bodies lie beside this server. server: the ID of a contents server; NULL: an HTTP directory. */
static const char places[] =
    "CREATE TABLE place (number INTEGER PRIMARY KEY, url TEXT NOT NULL UNIQUE, server BLOB CHECK (length(server) = 32),"
    " added_ms INTEGER NOT NULL) STRICT;";
/* Copies that wait for devices (copy_queue.h); who wants that has a row in auto_copy. */
static const char copy_queue[] =
    "CREATE TABLE auto_copy (user TEXT PRIMARY KEY REFERENCES account (user), since_ms INTEGER NOT NULL) STRICT;"
    "CREATE TABLE copy_queue (client BLOB NOT NULL CHECK (length(client) = 32),"
    " content BLOB NOT NULL CHECK (length(content) = 32), license_id BLOB NOT NULL CHECK (length(license_id) = 16),"
    " source BLOB NOT NULL CHECK (length(source) = 32), user TEXT NOT NULL, queued_ms INTEGER NOT NULL,"
    " ends_ms INTEGER NOT NULL, taken INTEGER NOT NULL CHECK (taken IN (0, 1)), PRIMARY KEY (client, content)) STRICT;"
    "CREATE INDEX copy_queue_by_user ON copy_queue (user);"
    "CREATE INDEX copy_queue_by_end ON copy_queue (ends_ms);";

/* The public store of programs (programs.c): what is given to anybody's device. Who got what is elsewhere (program_history.h). */
static const char programs[] =
    "CREATE TABLE program_provider (provider BLOB PRIMARY KEY CHECK (length(provider) = 32), name TEXT NOT NULL UNIQUE,"
    " added_ms INTEGER NOT NULL, withdrawn INTEGER NOT NULL DEFAULT 0 CHECK (withdrawn IN (0, 1))) STRICT, WITHOUT ROWID;"
    "CREATE TABLE program (name TEXT NOT NULL, version INTEGER NOT NULL,"
    " provider BLOB NOT NULL REFERENCES program_provider (provider), kind INTEGER NOT NULL, program_bytes INTEGER NOT NULL,"
    " digest BLOB NOT NULL CHECK (length(digest) = 32), document BLOB NOT NULL, note TEXT NOT NULL,"
    " published_ms INTEGER NOT NULL, withdrawn INTEGER NOT NULL DEFAULT 0 CHECK (withdrawn IN (0, 1)),"
    " PRIMARY KEY (name, version)) STRICT, WITHOUT ROWID;";

/* R2: how often a play that was cut off is not counted, and from when on one that its user ends is. Of products made before: as it was. */
static const char recoveries[] = "ALTER TABLE product ADD COLUMN max_recoveries INTEGER;"
                                 "ALTER TABLE product ADD COLUMN charge_from_ms INTEGER;"
                                 "ALTER TABLE license ADD COLUMN max_recoveries INTEGER;"
                                 "ALTER TABLE license ADD COLUMN charge_from_ms INTEGER;";

/* R1: whose metadata a license permits, a record; NULL: all that the content permits. */
static const char metadata_signers[] = "ALTER TABLE product ADD COLUMN metadata_signers BLOB;"
                                       "ALTER TABLE license ADD COLUMN metadata_signers BLOB;";

/* Of those, how many its holder's vault has said of: what is left moves along. */
static const char recoveries_made[] = "ALTER TABLE license ADD COLUMN recoveries INTEGER NOT NULL DEFAULT 0;";
/* Under which storage keys secrets lie, and secrets that belong to no other row (storage.h). Nothing under a key that is not listed. */
static const char storage_keys[] =
    "CREATE TABLE storage_key (number INTEGER PRIMARY KEY, id BLOB NOT NULL UNIQUE CHECK (length(id) = 8),"
    " since_ms INTEGER NOT NULL) STRICT;"
    "CREATE TABLE secret (name TEXT PRIMARY KEY, sealed BLOB NOT NULL) STRICT;";

/* Which devices of the household are served beside the account's own; a copy that waits for another distributor's customer is given as a certificate,
 * here by its serial until it is settled. */
static const char copy_queue_to[] =
    "CREATE TABLE auto_copy_to (user TEXT NOT NULL REFERENCES account (user), client BLOB NOT NULL CHECK (length(client) = 32),"
    " since_ms INTEGER NOT NULL, PRIMARY KEY (user, client)) STRICT;"
    "ALTER TABLE copy_queue ADD COLUMN serial BLOB CHECK (length(serial) = 16);";

/* Operational keys of ours that are withdrawn: no keyset lists them from then on (keyset.h). */
static const char withdrawn_keys[] =
    "CREATE TABLE withdrawn_key (key BLOB PRIMARY KEY CHECK (length(key) = 32), since_ms INTEGER NOT NULL) STRICT;";
/* Whose customer's device a copy waits for: what another distributor says of the same device does not concern it. */
#define WHOSE(table)                                                                                                 \
    "UPDATE " table                                                                                                  \
    " SET distributor = coalesce((SELECT min(c.distributor) FROM client_user c WHERE c.distributor = 1"              \
    " AND c.client = " table ".client AND c.revoked = 0), (SELECT min(c.distributor) FROM client_user c JOIN link l" \
    " ON l.distributor = 1 AND l.other = c.distributor AND l.other_user = c.user WHERE c.client = " table ".client"  \
    " AND c.revoked = 0 AND l.user = " table ".user), (SELECT min(c.distributor)"                                    \
    " FROM client_user c WHERE c.client = " table ".client AND c.revoked = 0), 1);"
static const char copy_queue_whose[] =
    "ALTER TABLE copy_queue ADD COLUMN distributor INTEGER NOT NULL DEFAULT 1;"
    "ALTER TABLE auto_copy_to ADD COLUMN distributor INTEGER NOT NULL DEFAULT 1;" WHOSE("copy_queue")
        WHOSE("auto_copy_to");

/* Of an origin: the keyset of its last keyset row that was taken in order (share_keyset.h). */
static const char chain_keyset[] = "ALTER TABLE distributor ADD COLUMN chain_keyset BLOB;";

/* Of a partner that was withdrawn: until when something may count that was issued under a delegation of before. What is not known: for ever. */
static const char floors[] = "ALTER TABLE partner ADD COLUMN floor_until_ms INTEGER NOT NULL DEFAULT 0;"
                             "UPDATE partner SET floor_until_ms = 9000000000000000000 WHERE lowest_sequence > 1;";

/* Rows of an origin that it has shown empty and not told of; which of its rows says what holds of a key (share_empty.h). */
static const char emptied[] =
    "CREATE TABLE share_emptied (distributor INTEGER NOT NULL REFERENCES distributor (number), sequence INTEGER NOT NULL, seen_ms INTEGER NOT NULL,"
    " PRIMARY KEY (distributor, sequence)) STRICT, WITHOUT ROWID;"
    "CREATE TABLE share_said (distributor INTEGER NOT NULL REFERENCES distributor (number), key BLOB NOT NULL CHECK (length(key) = 16),"
    " sequence INTEGER NOT NULL, taken_back INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (distributor, key)) STRICT, WITHOUT ROWID;"
    "CREATE INDEX share_said_sequence ON share_said (distributor, sequence);"
    "CREATE INDEX share_said_taken_back ON share_said (distributor, sequence) WHERE taken_back = 1;";

/* Servers over this database (serving.h). */
static const char serving[] = "CREATE TABLE serving (id BLOB PRIMARY KEY CHECK (length(id) = 16), place TEXT NOT NULL,"
                              " seen_ms INTEGER NOT NULL) STRICT;";

/* Until when whoever took a payment may have a command at work on it. */
static const char payment_busy[] = "ALTER TABLE payment ADD COLUMN busy_until_ms INTEGER NOT NULL DEFAULT 0;";

static const char *const migrations[] = { first,
                                          billing_schema_ledger,
                                          billing_schema_settlement,
                                          payment_reference,
                                          login_token,
                                          spending,
                                          use_conditions,
                                          billing_schema_erase,
                                          key_block_parts,
                                          restored_vaults,
                                          key_block_masks,
                                          chains,
                                          certificates_found,
                                          media,
                                          places,
                                          copy_queue,
                                          programs,
                                          recoveries,
                                          metadata_signers,
                                          recoveries_made,
                                          storage_keys,
                                          copy_queue_to,
                                          withdrawn_keys,
                                          chain_keyset,
                                          floors,
                                          copy_queue_whose,
                                          emptied,
                                          serving,
                                          payment_busy };

const struct store_schema operations_schema = {
    .migrations = migrations,
    .migration_count = ARRAY_COUNT(migrations),
    .statements = statements,
    .statement_count = STATEMENT_COUNT,
    .cache_kib = 8192,
};
