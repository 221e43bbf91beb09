/* The ledger holds itself to its rules: whoever writes to the database, by whatever program, cannot leave an uneven posting,
 * change or delete a line, or give the same reason twice.
 *
 * The lines of a posting are written first, each with the balance its account has after it; the row of the posting closes it.
 * A line without its posting fails the commit (deferred foreign key); a posting whose lines do not sum to zero, or a line
 * for a posting that is closed, fails at once. */
#include "distributor/billing_schema.h"

const char billing_schema_ledger[] =
    /* Who is behind a movement of money, and why. reference: unique, so that nothing is posted twice.
     * kind: enum posting_kind. subject: the license (license_id, client, edition) or copy certificate (serial) that was sold.
     * refunds: the posting this one gives back, in whole or in part, once. */
    "ALTER TABLE ledger RENAME TO ledger_before;"
    "CREATE TABLE posting (number INTEGER PRIMARY KEY, reference TEXT NOT NULL UNIQUE"
    " CHECK (length(reference) BETWEEN 1 AND 190), kind INTEGER NOT NULL CHECK (kind BETWEEN 1 AND 9),"
    " product INTEGER, time_ms INTEGER NOT NULL, text TEXT NOT NULL,"
    " license_id BLOB CHECK (length(license_id) = 16), client BLOB CHECK (length(client) = 32), edition INTEGER,"
    " serial BLOB CHECK (length(serial) = 16), refunds INTEGER UNIQUE REFERENCES posting (number),"
    " revoked INTEGER NOT NULL DEFAULT 0 CHECK (revoked IN (0, 1))) STRICT;"
    "CREATE TABLE ledger (number INTEGER PRIMARY KEY AUTOINCREMENT,"
    " posting INTEGER NOT NULL REFERENCES posting (number) DEFERRABLE INITIALLY DEFERRED,"
    " account TEXT NOT NULL CHECK (account IN ('revenue', 'payments') OR account GLOB 'user:?*'"
    " OR account GLOB 'holder:?*' OR account GLOB 'partner:?*'),"
    " amount INTEGER NOT NULL CHECK (amount <> 0), balance INTEGER NOT NULL) STRICT;"

    /* What was there before: movements of two lines. */
    "INSERT INTO ledger (number, posting, account, amount, balance)"
    " SELECT number, movement, account, amount, balance FROM ledger_before ORDER BY number;"
    "INSERT INTO posting (number, reference, kind, time_ms, text, refunds)"
    " SELECT m.movement, 'movement:' || m.movement,"
    " CASE WHEN max(m.reverses) IS NOT NULL THEN 6 WHEN sum(CASE WHEN m.account = 'payments' THEN 1 ELSE 0 END) > 0 THEN 5"
    " WHEN max(m.text) GLOB 'License: *' THEN 1 ELSE 2 END, min(m.time_ms), max(m.text), max(b.movement)"
    " FROM ledger_before m LEFT JOIN ledger_before b ON b.number = m.reverses"
    " GROUP BY m.movement ORDER BY m.movement;"
    "DROP TABLE ledger_before;"
    "CREATE INDEX ledger_by_account ON ledger (account, number);"
    "CREATE INDEX ledger_by_posting ON ledger (posting);"

    "CREATE TRIGGER ledger_closed BEFORE INSERT ON ledger"
    " WHEN EXISTS (SELECT 1 FROM posting WHERE number = NEW.posting)"
    " BEGIN SELECT RAISE(ABORT, 'the posting is closed'); END;"
    "CREATE TRIGGER ledger_running BEFORE INSERT ON ledger WHEN NEW.balance IS NOT NEW.amount + coalesce("
    "(SELECT balance FROM ledger WHERE account = NEW.account ORDER BY number DESC LIMIT 1), 0)"
    " BEGIN SELECT RAISE(ABORT, 'not the balance after this line'); END;"
    "CREATE TRIGGER posting_even BEFORE INSERT ON posting"
    " WHEN (SELECT coalesce(sum(amount), 1) FROM ledger WHERE posting = NEW.number) <> 0"
    " BEGIN SELECT RAISE(ABORT, 'the posting does not sum to zero'); END;"
    "CREATE TRIGGER ledger_kept BEFORE UPDATE ON ledger BEGIN SELECT RAISE(ABORT, 'the ledger only grows'); END;"
    "CREATE TRIGGER ledger_whole BEFORE DELETE ON ledger BEGIN SELECT RAISE(ABORT, 'the ledger only grows'); END;"
    "CREATE TRIGGER posting_kept BEFORE UPDATE ON posting BEGIN SELECT RAISE(ABORT, 'the ledger only grows'); END;"
    "CREATE TRIGGER posting_whole BEFORE DELETE ON posting BEGIN SELECT RAISE(ABORT, 'the ledger only grows'); END;"

    /* Rights holders, and what they get of each sale of a product. tariffs: bits of enum posting_kind (1 << kind). */
    "CREATE TABLE holder (name TEXT PRIMARY KEY, full_name TEXT NOT NULL, created_ms INTEGER NOT NULL) STRICT;"
    "CREATE TABLE holder_share (product INTEGER NOT NULL REFERENCES product (number),"
    " holder TEXT NOT NULL REFERENCES holder (name), basis_points INTEGER NOT NULL CHECK (basis_points BETWEEN 0 AND 10000),"
    " fixed INTEGER NOT NULL CHECK (fixed >= 0), tariffs INTEGER NOT NULL, PRIMARY KEY (product, holder),"
    " CHECK ((basis_points = 0) <> (fixed = 0))) STRICT, WITHOUT ROWID;"

    /* Who pays for the copy certificates of a product: 'source' or 'destination'. Without a row, the setting decides. */
    "CREATE TABLE product_payer (product INTEGER PRIMARY KEY REFERENCES product (number),"
    " copy_charged TEXT NOT NULL CHECK (copy_charged IN ('source', 'destination'))) STRICT;"

    /* Payments asked of the operator's command (payments.h). At most one of a user is open. */
    "CREATE TABLE payment (number INTEGER PRIMARY KEY AUTOINCREMENT,"
    " key BLOB NOT NULL UNIQUE CHECK (length(key) = 16), user TEXT NOT NULL, amount INTEGER NOT NULL CHECK (amount > 0),"
    " payer TEXT NOT NULL, state INTEGER NOT NULL CHECK (state BETWEEN 1 AND 4), attempts INTEGER NOT NULL DEFAULT 0,"
    " prepared_ms INTEGER NOT NULL, next_ms INTEGER NOT NULL, ended_ms INTEGER, detail TEXT NOT NULL DEFAULT '') STRICT;"
    "CREATE UNIQUE INDEX payment_open ON payment (user) WHERE state IN (1, 2);"
    "CREATE INDEX payment_due ON payment (next_ms) WHERE state IN (1, 2);"
    "CREATE INDEX payment_by_user ON payment (user, number);"
    /* What the operator's command knows a user by: never a card number. */
    "CREATE TABLE payer (user TEXT PRIMARY KEY, reference TEXT NOT NULL) STRICT;";

const char billing_schema_settlement[] =
    /* What was agreed with a partner. pays: by us for each copy we certify for its customers; gets: the other way round; each a fixed amount and
     * basis points of the copy's price. charges: the most we may charge its customer's account for a copy; accepts: the other way round. */
    "CREATE TABLE partner_terms (distributor INTEGER PRIMARY KEY REFERENCES partner (distributor),"
    " pays_fixed INTEGER NOT NULL CHECK (pays_fixed >= 0), pays_points INTEGER NOT NULL CHECK (pays_points BETWEEN 0 AND 10000),"
    " gets_fixed INTEGER NOT NULL CHECK (gets_fixed >= 0), gets_points INTEGER NOT NULL CHECK (gets_points BETWEEN 0 AND 10000),"
    " charges INTEGER NOT NULL CHECK (charges >= 0), accepts INTEGER NOT NULL CHECK (accepts >= 0),"
    " gets_since_ms INTEGER NOT NULL) STRICT;" /* when gets_fixed was agreed: copies from before are not missed */
    /* Our statements: the file as it went out. last_entry: everything of the partner's account up to it was in this one or one before. */
    "CREATE TABLE settlement (number INTEGER PRIMARY KEY AUTOINCREMENT, partner INTEGER NOT NULL REFERENCES partner (distributor),"
    " from_ms INTEGER NOT NULL, until_ms INTEGER NOT NULL, last_entry INTEGER NOT NULL, row_count INTEGER NOT NULL,"
    " net INTEGER NOT NULL, issued_ms INTEGER NOT NULL, file BLOB NOT NULL) STRICT;"
    "CREATE INDEX settlement_by_partner ON settlement (partner, number);"
    /* Rows of partners' statements that we posted: none twice, whatever statement they come in. */
    "CREATE TABLE settled (issuer INTEGER NOT NULL REFERENCES distributor (number), entry INTEGER NOT NULL,"
    " serial BLOB NOT NULL CHECK (length(serial) = 16), kind INTEGER NOT NULL CHECK (kind BETWEEN 1 AND 4),"
    " amount INTEGER NOT NULL, statement INTEGER NOT NULL, PRIMARY KEY (issuer, entry), UNIQUE (issuer, serial, kind)) STRICT,"
    " WITHOUT ROWID;"
    "CREATE INDEX copy_history_by_destination ON copy_history (distributor, destination_distributor, issued_ms);";

const char billing_schema_erase[] =
    /* Names that are given to nobody again (keyed hashes), and removal rows in the outbox that will be emptied. */
    "CREATE TABLE erased_name (hash BLOB PRIMARY KEY CHECK (length(hash) = 32)) STRICT, WITHOUT ROWID;"
    "CREATE TABLE erasure (number INTEGER PRIMARY KEY, first INTEGER NOT NULL, last INTEGER NOT NULL, erased_ms INTEGER NOT NULL) STRICT;"
    /* The ledger only grows, but for one thing: the name of a user whose account is gone becomes a pseudonym, once; and the device, the
     * operator's words and the payment's reference leave the postings of a pseudonym. Amounts and times never change. */
    "DROP TRIGGER ledger_kept;"
    "CREATE TRIGGER ledger_kept BEFORE UPDATE ON ledger WHEN NOT (NEW.number = OLD.number AND NEW.posting = OLD.posting"
    " AND NEW.amount = OLD.amount AND NEW.balance = OLD.balance AND OLD.account GLOB 'user:?*'"
    " AND OLD.account NOT GLOB 'user:erased-*' AND NEW.account GLOB 'user:erased-*'"
    " AND NOT EXISTS (SELECT 1 FROM account WHERE 'user:' || user = OLD.account))"
    " BEGIN SELECT RAISE(ABORT, 'the ledger only grows'); END;"
    "DROP TRIGGER posting_kept;"
    "CREATE TRIGGER posting_kept BEFORE UPDATE ON posting WHEN NOT (NEW.number = OLD.number AND NEW.kind = OLD.kind"
    " AND NEW.product IS OLD.product AND NEW.time_ms = OLD.time_ms AND NEW.license_id IS OLD.license_id"
    " AND NEW.edition IS OLD.edition AND NEW.serial IS OLD.serial AND NEW.refunds IS OLD.refunds AND NEW.revoked = OLD.revoked"
    " AND (NEW.client IS OLD.client OR NEW.client = zeroblob(32))"
    " AND (NEW.text = OLD.text OR NEW.text IN ('Copy', 'Payment', 'Refund'))"
    " AND (NEW.reference = OLD.reference OR NEW.reference GLOB 'received:erased-*')"
    " AND EXISTS (SELECT 1 FROM ledger WHERE posting = OLD.number AND account GLOB 'user:erased-*'))"
    " BEGIN SELECT RAISE(ABORT, 'the ledger only grows'); END;";
