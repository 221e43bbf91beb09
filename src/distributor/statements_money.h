/* Statements about the ledger, rights holders and payments. See statements.h. */
#ifndef DISTRIBUTOR_STATEMENTS_MONEY_H
#define DISTRIBUTOR_STATEMENTS_MONEY_H

#define SQL_LINE                                                                                              \
    "l.number, l.posting, l.account, l.amount, l.balance, p.time_ms, p.text, p.kind, p.product, p.reference," \
    " (SELECT min(b.number) FROM ledger b WHERE b.posting = p.refunds), p.revoked,"                           \
    " (SELECT u.name FROM client_user u WHERE u.distributor = 1 AND u.client = p.client)"                     \
    " FROM ledger l JOIN posting p ON p.number = l.posting"
#define SQL_POSTING \
    "number, reference, kind, product, time_ms, text, license_id, client, edition, serial, refunds, revoked FROM posting"
#define SQL_PAYMENT \
    "number, key, user, amount, payer, state, attempts, prepared_ms, next_ms, ended_ms, detail, busy_until_ms FROM payment"
/* ?1 account, ?2 and ?3 times, ?4 kind or 0 */
#define SQL_LEDGER_FILTER " p.time_ms >= ?2 AND p.time_ms < ?3 AND (?4 = 0 OR p.kind = ?4)"

#define STATEMENTS_MONEY(X)                                                                                            \
    X(POSTING_ADD,                                                                                                     \
      "INSERT INTO posting (number, reference, kind, product, time_ms, text, license_id, client, edition,"             \
      " serial, refunds, revoked) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)")                         \
    X(POSTING_FIND, "SELECT p.number, (SELECT min(number) FROM ledger WHERE posting = p.number) FROM posting p"        \
                    " WHERE p.reference = ?1")                                                                         \
    X(POSTING_GET, "SELECT " SQL_POSTING " WHERE number = ?1")                                                         \
    X(POSTING_REFUND_OF, "SELECT number FROM posting WHERE refunds = ?1")                                              \
    X(LEDGER_ADD, "INSERT INTO ledger (number, posting, account, amount, balance) VALUES (?1, ?2, ?3, ?4, ?5)")        \
    X(LEDGER_LAST, "SELECT coalesce(max(n), 0) FROM " SQL_NUMBERS(ledger))                                             \
    X(LEDGER_BALANCE, "SELECT balance FROM ledger WHERE account = ?1 ORDER BY number DESC LIMIT 1")                    \
    X(POSTING_UNEVEN, "SELECT posting FROM ledger WHERE posting >= ?1 GROUP BY posting"                                \
                      " HAVING sum(amount) <> 0 OR count(*) < 2 LIMIT 1")                                              \
    X(POSTING_SUM, "SELECT count(*), coalesce(sum(amount), 0) FROM ledger WHERE posting = ?1")                         \
    X(LEDGER_LINE, "SELECT " SQL_LINE " WHERE l.number = ?1")                                                          \
    X(LEDGER_OF_POSTING, "SELECT account, amount FROM ledger WHERE posting = ?1 ORDER BY number")                      \
    X(LEDGER_BEFORE, "SELECT " SQL_LINE " WHERE l.account = ?1 AND l.number < ?2 ORDER BY l.number DESC LIMIT ?3")     \
    X(LEDGER_PAGE, "SELECT " SQL_LINE " WHERE CAST(?1 AS TEXT) IS NULL AND" SQL_LEDGER_FILTER                          \
                   " AND l.number > ?5 ORDER BY l.number LIMIT ?6")                                                    \
    X(LEDGER_PAGE_OF, "SELECT " SQL_LINE " WHERE l.account = ?1 AND" SQL_LEDGER_FILTER                                 \
                      " AND l.number > ?5 ORDER BY l.number LIMIT ?6")                                                 \
    X(LEDGER_SUMS, "SELECT p.kind, count(*), sum(l.amount) FROM ledger l JOIN posting p ON p.number = l.posting"       \
                   " WHERE l.account = ?1 AND" SQL_LEDGER_FILTER " GROUP BY p.kind ORDER BY p.kind")                   \
    X(LEDGER_OPENING, "SELECT coalesce(sum(l.amount), 0) FROM ledger l JOIN posting p ON p.number = l.posting"         \
                      " WHERE l.account = ?1 AND p.time_ms < ?2")                                                      \
    X(LEDGER_OWING_SINCE, "SELECT p.time_ms FROM ledger l JOIN posting p ON p.number = l.posting WHERE l.account = ?1" \
                          " AND l.number > coalesce((SELECT number FROM ledger WHERE account = ?1 AND balance >= 0"    \
                          " ORDER BY number DESC LIMIT 1), 0) ORDER BY l.number LIMIT 1")                              \
    X(LEDGER_UNEVEN, "SELECT posting FROM ledger GROUP BY posting HAVING sum(amount) <> 0 OR count(*) < 2 LIMIT 1")    \
    X(LEDGER_OPEN_POSTING, "SELECT l.number FROM ledger l LEFT JOIN posting p ON p.number = l.posting"                 \
                           " WHERE p.number IS NULL LIMIT 1")                                                          \
    X(LEDGER_DRIFT,                                                                                                    \
      "SELECT number FROM (SELECT number, balance, sum(amount) OVER"                                                   \
      " (PARTITION BY account ORDER BY number) AS running FROM ledger) AS sums WHERE balance <> running LIMIT 1")      \
    X(LEDGER_TOTAL, "SELECT count(*), coalesce(sum(amount), 0),"                                                       \
                    " coalesce(sum(CASE WHEN account = 'revenue' THEN amount ELSE 0 END), 0),"                         \
                    " coalesce(sum(CASE WHEN account = 'payments' THEN amount ELSE 0 END), 0),"                        \
                    " coalesce(sum(CASE WHEN account GLOB 'user:*' THEN amount ELSE 0 END), 0),"                       \
                    " coalesce(sum(CASE WHEN account GLOB 'holder:*' THEN amount ELSE 0 END), 0),"                     \
                    " coalesce(sum(CASE WHEN account GLOB 'partner:*' THEN amount ELSE 0 END), 0) FROM ledger")        \
    /* payments */                                                                                                     \
    X(PAYMENT_LAST, "SELECT state, ended_ms FROM payment WHERE user = ?1 AND state IN (3, 4)"                          \
                    " ORDER BY number DESC LIMIT 1")                                                                   \
    X(PAYMENT_ADD, "INSERT INTO payment (number, key, user, amount, payer, state, prepared_ms, next_ms)"               \
                   " SELECT coalesce(max(n), 0) + 1, ?1, ?2, ?3, ?4, 1, ?5, ?5 FROM " SQL_NUMBERS(payment))            \
    X(PAYMENT_OPEN, "SELECT " SQL_PAYMENT " WHERE user = ?1 AND state IN (1, 2)")                                      \
    X(PAYMENT_BY_KEY, "SELECT " SQL_PAYMENT " WHERE key = ?1")                                                         \
    X(PAYMENT_GET, "SELECT " SQL_PAYMENT " WHERE number = ?1")                                                         \
    X(PAYMENT_NEXT, "SELECT " SQL_PAYMENT                                                                              \
                    " WHERE number > ?1 AND (CAST(?2 AS TEXT) IS NULL OR user = ?2) AND (?3 = 0 OR state = ?3)"        \
                    " ORDER BY number LIMIT 1")                                                                        \
    X(PAYMENT_DUE, "SELECT " SQL_PAYMENT " WHERE state IN (1, 2) AND next_ms <= ?1 ORDER BY next_ms, number LIMIT 1")  \
    X(PAYMENT_HAND, "UPDATE payment SET state = 2, attempts = ?2, next_ms = ?3, detail = ?4, busy_until_ms = ?5"       \
                    " WHERE number = ?1 AND state IN (1, 2)")                                                          \
    X(PAYMENT_AT, "UPDATE payment SET next_ms = ?2 WHERE number = ?1 AND state IN (1, 2)")                             \
    X(PAYMENT_END, "UPDATE payment SET state = ?2, ended_ms = ?3, detail = ?4 WHERE number = ?1 AND state IN (1, 2)")  \
    X(PAYER_GET, "SELECT reference FROM payer WHERE user = ?1")                                                        \
    X(PAYER_SET, "INSERT INTO payer (user, reference) VALUES (?1, ?2)"                                                 \
                 " ON CONFLICT (user) DO UPDATE SET reference = excluded.reference")                                   \
    /* settling with partners */                                                                                       \
    X(TERMS_GET, "SELECT pays_fixed, pays_points, gets_fixed, gets_points, charges, accepts, gets_since_ms"            \
                 " FROM partner_terms WHERE distributor = ?1")                                                         \
    X(TERMS_SET, "INSERT INTO partner_terms (distributor, pays_fixed, pays_points, gets_fixed, gets_points, charges,"  \
                 " accepts, gets_since_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT (distributor)"          \
                 " DO UPDATE SET pays_fixed = excluded.pays_fixed, pays_points = excluded.pays_points,"                \
                 " gets_since_ms = CASE WHEN partner_terms.gets_fixed = 0 THEN excluded.gets_since_ms"                 \
                 " ELSE partner_terms.gets_since_ms END,"                                                              \
                 " gets_fixed = excluded.gets_fixed, gets_points = excluded.gets_points,"                              \
                 " charges = excluded.charges, accepts = excluded.accepts")                                            \
    X(LEDGER_LINE_OF, "SELECT number FROM ledger WHERE posting = ?1 AND account = ?2")                                 \
    X(SETTLEMENT_LINE_NEXT, "SELECT l.number FROM ledger l JOIN posting p ON p.number = l.posting"                     \
                            " WHERE l.account = ?1 AND l.number > ?2 AND p.kind IN (2, 6, 7)"                          \
                            " AND p.reference NOT GLOB 'settled:*' ORDER BY l.number LIMIT 1")                         \
    X(SETTLEMENT_LAST, "SELECT last_entry, until_ms FROM settlement WHERE partner = ?1 ORDER BY number DESC LIMIT 1")  \
    X(SETTLEMENT_ADD, "INSERT INTO settlement (number, partner, from_ms, until_ms, last_entry, row_count, net,"        \
                      " issued_ms, file) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)")                                 \
    X(SETTLEMENT_NEXT, "SELECT number, partner, from_ms, until_ms, row_count, net, issued_ms FROM settlement"          \
                       " WHERE number > ?1 ORDER BY number LIMIT 1")                                                   \
    X(SETTLEMENT_FILE, "SELECT file FROM settlement WHERE number = ?1")                                                \
    X(SETTLED_GET, "SELECT serial, kind, amount FROM settled WHERE issuer = ?1 AND entry = ?2")                        \
    X(SETTLED_FIND, "SELECT 1 FROM settled WHERE issuer = ?1 AND serial = ?2 AND kind = ?3")                           \
    X(SETTLED_ADD, "INSERT INTO settled (issuer, entry, serial, kind, amount, statement)"                              \
                   " VALUES (?1, ?2, ?3, ?4, ?5, ?6)")                                                                 \
    X(SETTLED_MISSING, "SELECT h.serial, h.content, h.destination, h.issued_ms FROM copy_history h"                    \
                       " WHERE h.distributor = ?1 AND h.destination_distributor = ?2 AND h.issued_ms >= ?3"            \
                       " AND h.issued_ms < ?4 AND NOT EXISTS (SELECT 1 FROM settled s WHERE s.issuer = ?1"             \
                       " AND s.serial = h.serial AND s.kind = 1) ORDER BY h.serial")                                   \
    X(CERTIFICATE_RECEIPT, "SELECT receipt FROM certificate WHERE serial = ?1 AND state = 2 AND receipt IS NOT NULL")  \
    X(RELAYED_FIND, "SELECT 1 FROM relayed WHERE digest = ?1 OR digest = ?2")                                          \
    X(HISTORY_OF_PARTNER, "SELECT content, destination, destination_distributor FROM copy_history"                     \
                          " WHERE distributor = ?1 AND serial = ?2")                                                   \
    /* rights holders */                                                                                               \
    X(HOLDER_GET, "SELECT name, full_name, created_ms FROM holder WHERE name = ?1")                                    \
    X(HOLDER_NEXT, "SELECT name, full_name, created_ms FROM holder WHERE name > ?1 ORDER BY name LIMIT 1")             \
    X(HOLDER_SET, "INSERT INTO holder (name, full_name, created_ms) VALUES (?1, ?2, ?3)"                               \
                  " ON CONFLICT (name) DO UPDATE SET full_name = excluded.full_name")                                  \
    X(HOLDER_SHARE_SET, "INSERT INTO holder_share (product, holder, basis_points, fixed, tariffs)"                     \
                        " VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (product, holder) DO UPDATE SET"                     \
                        " basis_points = excluded.basis_points, fixed = excluded.fixed, tariffs = excluded.tariffs")   \
    X(HOLDER_SHARE_CLEAR, "DELETE FROM holder_share WHERE product = ?1 AND holder = ?2")                               \
    X(HOLDER_SHARES, "SELECT holder, basis_points, fixed, tariffs FROM holder_share WHERE product = ?1"                \
                     " ORDER BY holder")                                                                               \
    X(HOLDER_SHARE_NEXT, "SELECT product, basis_points, fixed, tariffs FROM holder_share WHERE holder = ?1"            \
                         " AND product > ?2 ORDER BY product LIMIT 1")                                                 \
    X(HOLDER_POINTS, "SELECT coalesce(sum(basis_points), 0), count(*) FROM holder_share WHERE product = ?1"            \
                     " AND holder <> ?2")                                                                              \
    /* who pays for copies */                                                                                          \
    X(PAYER_OF_PRODUCT, "SELECT copy_charged FROM product_payer WHERE product = ?1")                                   \
    X(PAYER_OF_PRODUCT_SET, "INSERT INTO product_payer (product, copy_charged) VALUES (?1, ?2)"                        \
                            " ON CONFLICT (product) DO UPDATE SET copy_charged = excluded.copy_charged")               \
    X(PAYER_OF_PRODUCT_CLEAR, "DELETE FROM product_payer WHERE product = ?1")                                          \
    /* certificates that the operator looks at */                                                                      \
    X(CERTIFICATE_NEXT,                                                                                                \
      "SELECT " SQL_CERTIFICATE " FROM certificate WHERE serial > ?1 AND (CAST(?2 AS TEXT) IS NULL OR account = ?2)"   \
      " AND (?3 = 0 OR state = ?3) ORDER BY serial LIMIT 1")

#endif
