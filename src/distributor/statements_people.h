/* Statements about settings, accounts, devices, sessions, links and rosters. See statements.h. */
#ifndef DISTRIBUTOR_STATEMENTS_PEOPLE_H
#define DISTRIBUTOR_STATEMENTS_PEOPLE_H

/* Everyone strung together with (?1, ?2). An edge between two other distributors counts when both assert it; one of ours
 * was proved at this very server (links.c). */
#define SQL_HOUSEHOLD                                                                        \
    "WITH RECURSIVE member (distributor, user) AS (SELECT ?1, ?2 UNION"                      \
    " SELECT l.other, l.other_user FROM member m JOIN link l"                                \
    " ON l.distributor = m.distributor AND l.user = m.user"                                  \
    " WHERE l.distributor = 1 OR EXISTS (SELECT 1 FROM link b WHERE b.distributor = l.other" \
    " AND b.user = l.other_user AND b.other = l.distributor AND b.other_user = l.user)) "

#define STATEMENTS_PEOPLE(X)                                                                                                                                                 \
    X(SETTING_GET, "SELECT value FROM setting WHERE name = ?1")                                                                                                              \
    X(SETTING_SET, "INSERT INTO setting (name, value) VALUES (?1, ?2)"                                                                                                       \
                   " ON CONFLICT (name) DO UPDATE SET value = excluded.value")                                                                                               \
    X(COUNTER_GET, "SELECT value FROM counter WHERE name = ?1")                                                                                                              \
    X(COUNTER_SET, "INSERT INTO counter (name, value) VALUES (?1, ?2)"                                                                                                       \
                   " ON CONFLICT (name) DO UPDATE SET value = excluded.value")                                                                                               \
    /* accounts */                                                                                                                                                           \
    X(PASSWORD_GET, "SELECT hash FROM user_password WHERE user = ?1")                                                                                                        \
    X(PASSWORD_ADD, "INSERT INTO user_password (user, hash) VALUES (?1, ?2)")                                                                                                \
    X(PASSWORD_SET, "UPDATE user_password SET hash = ?2 WHERE user = ?1")                                                                                                    \
    /* login tokens */                                                                                                                                                       \
    X(TOKEN_GET, "SELECT client, token, user, created_ms, ends_ms, used_ms FROM login_token"                                                                                 \
                 " WHERE client = ?1 AND token = ?2")                                                                                                                        \
    X(TOKEN_NEXT, "SELECT client, token, user, created_ms, ends_ms, used_ms FROM login_token"                                                                                \
                  " WHERE user = ?1 AND client > ?2 ORDER BY client LIMIT 1")                                                                                                \
    X(TOKEN_SET, "INSERT INTO login_token (client, token, user, created_ms, ends_ms, used_ms)"                                                                               \
                 " VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (client) DO UPDATE SET token = excluded.token,"                                                               \
                 " user = excluded.user, created_ms = excluded.created_ms, ends_ms = excluded.ends_ms,"                                                                      \
                 " used_ms = excluded.used_ms")                                                                                                                              \
    X(TOKEN_DELETE, "DELETE FROM login_token WHERE client = ?1")                                                                                                             \
    X(TOKENS_OF_USER_DELETE, "DELETE FROM login_token WHERE user = ?1")                                                                                                      \
    X(TOKEN_PURGE, "DELETE FROM login_token WHERE ends_ms < ?1")                                                                                                             \
    /* spending limits */                                                                                                                                                    \
    X(SPENDING_GET, "SELECT amount, period, pin FROM spending_limit WHERE user = ?1")                                                                                        \
    X(SPENDING_SET, "INSERT INTO spending_limit (user, amount, period, set_ms, pin) VALUES (?1, ?2, ?3, ?4, ?5)"                                                             \
                    " ON CONFLICT (user) DO UPDATE SET amount = excluded.amount, period = excluded.period,"                                                                  \
                    " set_ms = excluded.set_ms, pin = excluded.pin")                                                                                                         \
    X(SPENDING_SET_AMOUNT, "UPDATE spending_limit SET amount = ?2, period = ?3, set_ms = ?4 WHERE user = ?1")                                                                \
    X(SPENDING_DELETE, "DELETE FROM spending_limit WHERE user = ?1")                                                                                                         \
    X(SPENDING_UNLOCK, "INSERT INTO spending_unlock (client, user, ends_ms) VALUES (?1, ?2, ?3)"                                                                             \
                       " ON CONFLICT (client) DO UPDATE SET user = excluded.user, ends_ms = excluded.ends_ms")                                                               \
    X(SPENDING_UNLOCK_GET, "SELECT ends_ms FROM spending_unlock WHERE client = ?1 AND user = ?2 AND ends_ms > ?3")                                                           \
    X(SPENDING_LOCK, "DELETE FROM spending_unlock WHERE client = ?1")                                                                                                        \
    X(SPENDING_LOCK_USER, "DELETE FROM spending_unlock WHERE user = ?1")                                                                                                     \
    X(SPENDING_LOCK_PURGE, "DELETE FROM spending_unlock WHERE ends_ms < ?1")                                                                                                 \
    /* Each sale of the period less what was given back of that sale. Kinds 1 to 4: license, copy, renewal, ownership. */                                                    \
    X(SPENDING_SUM,                                                                                                                                                          \
      "SELECT coalesce(sum(-l.amount - coalesce((SELECT sum(b.amount) FROM posting g JOIN ledger b"                                                                          \
      " ON b.posting = g.number AND b.account = l.account WHERE g.refunds = p.number), 0)), 0)"                                                                              \
      " FROM ledger l JOIN posting p ON p.number = l.posting WHERE l.account = 'user:' || ?1 AND l.amount < 0"                                                               \
      " AND p.kind BETWEEN 1 AND 4 AND p.time_ms >= ?2")                                                                                                                     \
    X(ACCOUNT_ADD, "INSERT INTO account (user, full_name, email, credit_limit, created_ms, household)"                                                                       \
                   " VALUES (?1, ?2, ?3, ?4, ?5, ?6)")                                                                                                                       \
    X(ACCOUNT_GET,                                                                                                                                                           \
      "SELECT full_name, email, credit_limit, created_ms, household, payment_reference FROM account WHERE user = ?1")                                                        \
    X(ACCOUNT_NEXT, "SELECT user FROM account WHERE user > ?1 ORDER BY user LIMIT 1")                                                                                        \
    X(ACCOUNT_SET_CREDIT, "UPDATE account SET credit_limit = ?2 WHERE user = ?1")                                                                                            \
    X(ACCOUNT_SET_PERSON, "UPDATE account SET full_name = ?2, email = ?3 WHERE user = ?1")                                                                                   \
    X(ACCOUNT_SET_REFERENCE, "UPDATE account SET payment_reference = ?2 WHERE user = ?1")                                                                                    \
    X(INVITE_ADD, "INSERT INTO invite (code_hash, created_ms, ends_ms) VALUES (?1, ?2, ?3)")                                                                                 \
    X(INVITE_USE, "UPDATE invite SET used_by = ?2 WHERE code_hash = ?1 AND used_by IS NULL AND ends_ms >= ?3")                                                               \
    X(INVITE_PURGE, "DELETE FROM invite WHERE used_by IS NULL AND ends_ms < ?1")                                                                                             \
    /* devices: seed tables (1) to (3) */                                                                                                                                    \
    X(LEAF_GET, "SELECT category, leaf FROM leaf_client WHERE distributor = ?1 AND client = ?2")                                                                             \
    X(LEAF_SET, "INSERT INTO leaf_client (distributor, client, category, leaf) VALUES (?1, ?2, ?3, ?4)"                                                                      \
                " ON CONFLICT (distributor, client) DO UPDATE SET category = excluded.category, leaf = excluded.leaf")                                                       \
    X(LEAF_DELETE, "DELETE FROM leaf_client WHERE distributor = ?1 AND client = ?2")                                                                                         \
    X(LEAF_CLEAR, "DELETE FROM leaf_client WHERE distributor = ?1 AND category = ?2 AND leaf = ?3 AND client <> ?4")                                                         \
    X(DEVICE_CERTIFICATE_GET, "SELECT certificate FROM client_certificate WHERE distributor = ?1 AND client = ?2")                                                           \
    X(DEVICE_CERTIFICATE_SET, "INSERT INTO client_certificate (distributor, client, certificate, ends_ms)"                                                                   \
                              " VALUES (?1, ?2, ?3, ?4) ON CONFLICT (distributor, client)"                                                                                   \
                              " DO UPDATE SET certificate = excluded.certificate, ends_ms = excluded.ends_ms")                                                               \
    X(DEVICE_CERTIFICATE_DELETE, "DELETE FROM client_certificate WHERE distributor = ?1 AND client = ?2")                                                                    \
    X(DEVICE_CERTIFICATE_AFTER,                                                                                                                                              \
      "SELECT client, certificate FROM client_certificate WHERE distributor = ?1 AND client > ?2"                                                                            \
      " ORDER BY client LIMIT 1")                                                                                                                                            \
    X(DEVICE_CERTIFICATE_ENDS, "SELECT ends_ms FROM client_certificate WHERE distributor = ?1 AND client = ?2")                                                              \
    X(DEVICE_GET, "SELECT user, name, registered_ms, revoked FROM client_user WHERE distributor = ?1 AND client = ?2")                                                       \
    /* Anybody may say that a device is its customer's: we believe ourselves, then whom an account here is linked with, then a partner. */                                   \
    X(DEVICE_FIND,                                                                                                                                                           \
      "SELECT c.distributor, c.user, c.name, c.registered_ms, c.revoked FROM client_user c WHERE c.client = ?1"                                                              \
      " ORDER BY c.revoked, CASE WHEN c.distributor = 1 THEN 0"                                                                                                              \
      " WHEN EXISTS (SELECT 1 FROM link l WHERE l.distributor = 1 AND l.other = c.distributor AND l.other_user = c.user) THEN 1"                                             \
      " WHEN EXISTS (SELECT 1 FROM partner p WHERE p.distributor = c.distributor) THEN 2 ELSE 3 END, c.distributor LIMIT 1")                                                 \
    X(DEVICE_SET, "INSERT INTO client_user (distributor, client, user, name, registered_ms, revoked)"                                                                        \
                  " VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (distributor, client) DO UPDATE SET"                                                                         \
                  " user = excluded.user, name = excluded.name, registered_ms = excluded.registered_ms,"                                                                     \
                  " revoked = excluded.revoked")                                                                                                                             \
    X(DEVICE_DELETE, "DELETE FROM client_user WHERE distributor = ?1 AND client = ?2")                                                                                       \
    X(DEVICE_NEXT, "SELECT client, user, name, registered_ms, revoked FROM client_user"                                                                                      \
                   " WHERE distributor = 1 AND client > ?1 AND (?2 = '' OR user = ?2) ORDER BY client LIMIT 1")                                                              \
    X(DEVICE_COUNT, "SELECT count(*) FROM client_user WHERE distributor = ?1 AND user = ?2 AND revoked = 0")                                                                 \
    /* The one unused longest first. */                                                                                                                                      \
    X(DEVICES_BY_USE,                                                                                                                                                        \
      "SELECT c.name, max(c.registered_ms, coalesce(s.seen_ms, 0)) AS used_ms FROM client_user c"                                                                            \
      " LEFT JOIN device_session s ON s.client = c.client"                                                                                                                   \
      " WHERE c.distributor = 1 AND c.user = ?1 AND c.revoked = 0 ORDER BY used_ms, c.client LIMIT 32")                                                                      \
    /* sessions and transactions (R5) */                                                                                                                                     \
    X(SESSION_GET, "SELECT session, bit, transaction_id, pending FROM device_session WHERE client = ?1")                                                                     \
    X(SESSION_SET, "INSERT INTO device_session (client, session, bit, transaction_id, pending, generation, seen_ms)"                                                         \
                   " VALUES (?1, ?2, ?3, ?4, ?5, 0, ?6) ON CONFLICT (client) DO UPDATE SET"                                                                                  \
                   " session = excluded.session, bit = excluded.bit, transaction_id = excluded.transaction_id,"                                                              \
                   " pending = excluded.pending,"                                                                                                                            \
                   " seen_ms = excluded.seen_ms")                                                                                                                            \
    X(ANSWER_GET, "SELECT message, tail FROM device_answer WHERE client = ?1")                                                                                               \
    X(ANSWER_SET, "INSERT INTO device_answer (client, message, tail) VALUES (?1, ?2, ?3)"                                                                                    \
                  " ON CONFLICT (client) DO UPDATE SET message = excluded.message, tail = excluded.tail")                                                                    \
    X(ANSWER_DELETE, "DELETE FROM device_answer WHERE client = ?1")                                                                                                          \
    /* links */                                                                                                                                                              \
    X(LINK_ADD, "INSERT INTO link (distributor, user, other, other_user) VALUES (?1, ?2, ?3, ?4)"                                                                            \
                " ON CONFLICT DO NOTHING")                                                                                                                                   \
    X(LINK_DELETE, "DELETE FROM link WHERE distributor = ?1 AND user = ?2 AND other = ?3 AND other_user = ?4")                                                               \
    X(LINK_NEXT, "SELECT l.other, l.other_user, d.id, d.name FROM link l JOIN distributor d ON d.number = l.other"                                                           \
                 " WHERE l.distributor = 1 AND l.user = ?1 AND (l.other, l.other_user) > (?2, ?3)"                                                                           \
                 " ORDER BY l.other, l.other_user LIMIT 1")                                                                                                                  \
    X(LINK_COUNT, "SELECT count(*) FROM link WHERE distributor = 1 AND user = ?1")                                                                                           \
    X(LINK_CODE_ADD, "INSERT INTO link_code (code_hash, user, ends_ms) VALUES (?1, ?2, ?3)")                                                                                 \
    X(LINK_CODE_CLEAR, "DELETE FROM link_code WHERE user = ?1")                                                                                                              \
    X(LINK_CODE_TAKE, "DELETE FROM link_code WHERE code_hash = ?1 AND ends_ms >= ?2 RETURNING user")                                                                         \
    X(LINK_CODE_PURGE, "DELETE FROM link_code WHERE ends_ms < ?1")                                                                                                           \
    /* households */                                                                                                                                                         \
    X(HOUSEHOLD_DEVICES,                                                                                                                                                     \
      SQL_HOUSEHOLD "SELECT c.client, d.id, c.name, d.name, x.certificate FROM member m"                                                                                     \
                    " JOIN client_user c ON c.distributor = m.distributor AND c.user = m.user AND c.revoked = 0"                                                             \
                    " JOIN client_certificate x ON x.distributor = c.distributor AND x.client = c.client"                                                                    \
                    " JOIN distributor d ON d.number = c.distributor"                                                                                                        \
                    " ORDER BY c.distributor, c.registered_ms, c.client LIMIT 32")                                                                                           \
    X(HOUSEHOLD_DEVICE, SQL_HOUSEHOLD "SELECT c.distributor, c.user, c.name, c.registered_ms, c.revoked FROM member m"                                                       \
                                      " JOIN client_user c ON c.distributor = m.distributor AND c.user = m.user"                                                             \
                                      " WHERE c.client = ?3 ORDER BY c.revoked, c.distributor LIMIT 1")                                                                      \
    X(HOUSEHOLD_ACCOUNTS, SQL_HOUSEHOLD "SELECT m.user FROM member m JOIN account a ON a.user = m.user"                                                                      \
                                        " WHERE m.distributor = 1 ORDER BY m.user LIMIT 64")                                                                                 \
    X(HOUSEHOLD_COUNT, SQL_HOUSEHOLD                                                                                                                                         \
      "SELECT count(*) FROM member m JOIN client_user c ON c.distributor = m.distributor AND c.user = m.user"                                                                \
      " AND c.revoked = 0")                                                                                                                                                  \
    X(ROSTER_GET, "SELECT sequence, digest, issued_ms, envelope FROM roster WHERE user = ?1")                                                                                \
    X(ROSTER_EXPIRE, "UPDATE roster SET digest = ?1")                                                                                                                        \
    X(ROSTER_SET, "INSERT INTO roster (user, sequence, digest, issued_ms, envelope) VALUES (?1, ?2, ?3, ?4, ?5)"                                                             \
                  " ON CONFLICT (user) DO UPDATE SET sequence = excluded.sequence, digest = excluded.digest,"                                                                \
                  " issued_ms = excluded.issued_ms, envelope = excluded.envelope")                                                                                           \
    /* What is held about a person (admin_export.c): each row one JSON object, IDs in hex */                                                                                 \
    X(EXPORT_ACCOUNT,                                                                                                                                                        \
      "SELECT json_object('user', user, 'full_name', full_name, 'email', email, 'payment_reference', payment_reference,"                                                     \
      " 'payer', (SELECT reference FROM payer p WHERE p.user = a.user), 'credit_limit', credit_limit,"                                                                       \
      " 'created_ms', created_ms) FROM account a WHERE user = ?1")                                                                                                           \
    X(EXPORT_DEVICES,                                                                                                                                                        \
      "SELECT json_object('client', lower(hex(c.client)), 'name', c.name, 'registered_ms', c.registered_ms,"                                                                 \
      " 'removed', json(CASE c.revoked WHEN 1 THEN 'true' ELSE 'false' END), 'leaf', l.leaf, 'sessions', s.session, 'seen_ms', s.seen_ms, 'vault_generation', v.generation)" \
      " FROM client_user c LEFT JOIN leaf_client l ON l.distributor = 1 AND l.client = c.client"                                                                             \
      " LEFT JOIN device_session s ON s.client = c.client LEFT JOIN device_standing v ON v.client = c.client WHERE c.distributor = 1 AND c.user = ?1"                        \
      " ORDER BY c.registered_ms, c.client")                                                                                                                                 \
    X(EXPORT_ROSTERS, "SELECT json_object('sequence', sequence, 'issued_ms', issued_ms) FROM roster WHERE user = ?1")                                                        \
    X(EXPORT_LINK_CODES, "SELECT json_object('ends_ms', ends_ms) FROM link_code WHERE user = ?1")                                                                            \
    X(EXPORT_LICENSE_DOWNLOADS,                                                                                                                                              \
      "SELECT json_object('license', lower(hex(license_id)), 'client', lower(hex(client)), 'sequence', sequence,"                                                            \
      " 'downloaded_ms', downloaded_ms) FROM user_license WHERE distributor = 1 AND user = ?1 ORDER BY sequence")                                                            \
    X(EXPORT_RECEIVED,                                                                                                                                                       \
      "SELECT json_object('serial', lower(hex(serial)), 'issuer', d.name, 'content', lower(hex(content)),"                                                                   \
      " 'destination', lower(hex(destination)), 'move', move, 'state', state, 'issued_ms', issued_ms) FROM copy_history h"                                                   \
      " JOIN distributor d ON d.number = h.distributor WHERE destination IN (SELECT client FROM client_user"                                                                 \
      " WHERE distributor = 1 AND user = ?1) AND NOT (h.distributor = 1 AND h.user = ?1) ORDER BY issued_ms, serial")                                                        \
    X(EXPORT_LINKS,                                                                                                                                                          \
      "SELECT json_object('distributor', lower(hex(d.id)), 'name', d.name, 'user', l.other_user) FROM link l"                                                                \
      " JOIN distributor d ON d.number = l.other WHERE l.distributor = 1 AND l.user = ?1 ORDER BY l.other, l.other_user")                                                    \
    X(EXPORT_LINKED,                                                                                                                                                         \
      "SELECT json_object('client', lower(hex(c.client)), 'name', c.name, 'user', c.user, 'distributor', lower(hex(d.id)))"                                                  \
      " FROM link l JOIN client_user c ON c.distributor = l.other AND c.user = l.other_user"                                                                                 \
      " JOIN distributor d ON d.number = l.other WHERE l.distributor = 1 AND l.user = ?1 ORDER BY c.client")                                                                 \
    X(EXPORT_LICENSES,                                                                                                                                                       \
      "SELECT json_object('content', lower(hex(l.content)), 'title', c.title, 'client', lower(hex(l.client)),"                                                               \
      " 'product', l.product, 'state', l.state, 'copies', l.copies, 'usage_until_ms', l.usage_until_ms,"                                                                     \
      " 'plays', l.plays, 'play_ms', l.play_ms, 'recoveries', l.recoveries, 'checkouts', l.checkouts, 'lease_until_ms', l.lease_until_ms, 'lender', lower(hex(l.lender)),"   \
      " 'issued_ms', l.issued_ms) FROM license l LEFT JOIN content c ON c.content = l.content"                                                                               \
      " WHERE l.account = ?1 ORDER BY l.sequence")                                                                                                                           \
    X(EXPORT_DOWNLOADS,                                                                                                                                                      \
      "SELECT json_object('content', lower(hex(content)), 'client', lower(hex(client)), 'downloaded_ms', downloaded_ms)"                                                     \
      " FROM user_content WHERE distributor = 1 AND user = ?1 ORDER BY downloaded_ms, content, client")                                                                      \
    X(EXPORT_COPIES,                                                                                                                                                         \
      "SELECT json_object('serial', lower(hex(serial)), 'content', lower(hex(content)), 'source', lower(hex(source)),"                                                       \
      " 'destination', lower(hex(destination)), 'move', move, 'removable', removable, 'charge', charge, 'state', state,"                                                     \
      " 'issued_ms', issued_ms, 'ends_ms', ends_ms) FROM certificate WHERE account = ?1 ORDER BY issued_ms, serial")                                                         \
    X(EXPORT_ENTRIES,                                                                                                                                                        \
      "SELECT json_object('number', l.number, 'time_ms', p.time_ms, 'amount', l.amount, 'balance', l.balance,"                                                               \
      " 'text', p.text) FROM ledger l JOIN posting p ON p.number = l.posting WHERE l.account = 'user:' || ?1"                                                                \
      " ORDER BY l.number")                                                                                                                                                  \
    X(EXPORT_USES,                                                                                                                                                           \
      "SELECT json_object('client', lower(hex(client)), 'content', lower(hex(content)), 'began_ms', began_ms,"                                                               \
      " 'play_ms', play_ms, 'received_ms', received_ms) FROM use_log WHERE account = ?1 ORDER BY client, number")                                                            \
    X(EXPORT_PAYMENTS,                                                                                                                                                       \
      "SELECT json_object('number', number, 'amount', amount, 'payer', payer, 'state', state, 'prepared_ms', prepared_ms,"                                                   \
      " 'ended_ms', ended_ms, 'detail', detail) FROM payment WHERE user = ?1 ORDER BY number")                                                                               \
    X(EXPORT_LIMIT, "SELECT json_object('amount', amount, 'period', CASE period WHEN 1 THEN 'day' ELSE 'month' END,"                                                         \
                    " 'set_ms', set_ms) FROM spending_limit WHERE user = ?1")                                                                                                \
    X(EXPORT_UNLOCKED, "SELECT json_object('client', lower(hex(client)), 'ends_ms', ends_ms) FROM spending_unlock"                                                           \
                       " WHERE user = ?1 ORDER BY client")                                                                                                                   \
    X(EXPORT_LOGINS,                                                                                                                                                         \
      "SELECT json_object('client', lower(hex(client)), 'created_ms', created_ms, 'ends_ms', ends_ms, 'used_ms', used_ms)"                                                   \
      " FROM login_token WHERE user = ?1 ORDER BY client")                                                                                                                   \
    X(EXPORT_INVITATIONS,                                                                                                                                                    \
      "SELECT json_object('created_ms', created_ms, 'ends_ms', ends_ms) FROM invite WHERE used_by = ?1"                                                                      \
      " ORDER BY created_ms")                                                                                                                                                \
    /* operator's views */                                                                                                                                                   \
    X(STATS, "SELECT (SELECT count(*) FROM account),"                                                                                                                        \
             " (SELECT count(*) FROM client_user WHERE distributor = 1 AND revoked = 0),"                                                                                    \
             " (SELECT count(*) FROM content WHERE withdrawn = 0),"                                                                                                          \
             " (SELECT count(*) FROM license WHERE state IN (1, 2)),"                                                                                                        \
             " (SELECT count(*) FROM certificate),"                                                                                                                          \
             " (SELECT count(*) FROM certificate WHERE state = 1),"                                                                                                          \
             " (SELECT count(*) FROM partner WHERE withdrawn = 0),"                                                                                                          \
             " (SELECT coalesce(max(sequence), 0) FROM outbox),"                                                                                                             \
             " (SELECT count(*) FROM revoked_leaf),"                                                                                                                         \
             " (SELECT coalesce(max(version), 0) FROM key_block WHERE distributor = 1)")

#endif
