/* Statements that erase an account (erase.c). ?1: the user; ?2: its pseudonym. See statements.h. */
#ifndef DISTRIBUTOR_STATEMENTS_ERASE_H
#define DISTRIBUTOR_STATEMENTS_ERASE_H

#define SQL_ITS_CLIENTS "(SELECT client FROM client_user WHERE distributor = 1 AND user = ?1)"
#define SQL_SELF "(SELECT id FROM distributor WHERE number = 1)"

#define STATEMENTS_ERASE(X)                                                                                                         \
    X(ERASE_CLIENTS, "SELECT client FROM client_user WHERE distributor = 1 AND user = ?1 ORDER BY client")                          \
    /* rows that are withdrawn one by one */                                                                                        \
    X(ERASE_CONTENT,                                                                                                                \
      "DELETE FROM user_content WHERE (distributor, user, content, client) IN (SELECT distributor, user,"                           \
      " content, client FROM user_content WHERE distributor = 1 AND user = ?1 LIMIT 1)"                                             \
      " RETURNING content, client")                                                                                                 \
    X(ERASE_USER_LICENSE,                                                                                                           \
      "DELETE FROM user_license WHERE (distributor, user, license_id, client) IN (SELECT distributor,"                              \
      " user, license_id, client FROM user_license WHERE distributor = 1 AND user = ?1 LIMIT 1)"                                    \
      " RETURNING license_id, client")                                                                                              \
    X(ERASE_HISTORY, "DELETE FROM copy_history WHERE (distributor, serial) IN (SELECT distributor, serial"                          \
                     " FROM copy_history WHERE distributor = 1 AND user = ?1 AND destination_distributor = " SQL_SELF               \
                     " LIMIT 1) RETURNING serial")                                                                                  \
    /* ours alone */                                                                                                                \
    X(ERASE_ANSWERS, "DELETE FROM device_answer WHERE client IN " SQL_ITS_CLIENTS)                                                  \
    X(ERASE_SESSIONS, "DELETE FROM device_session WHERE client IN " SQL_ITS_CLIENTS)                                                \
    X(ERASE_REVOKED_LEAVES, "UPDATE revoked_leaf SET client = zeroblob(32) WHERE client IN " SQL_ITS_CLIENTS)                       \
    X(ERASE_TOKENS, "DELETE FROM login_token WHERE user = ?1 OR client IN " SQL_ITS_CLIENTS)                                        \
    X(ERASE_UNLOCKS, "DELETE FROM spending_unlock WHERE user = ?1 OR client IN " SQL_ITS_CLIENTS)                                   \
    X(ERASE_LIMIT, "DELETE FROM spending_limit WHERE user = ?1")                                                                    \
    X(ERASE_LINK_CODES, "DELETE FROM link_code WHERE user = ?1")                                                                    \
    X(ERASE_LINKS_OF_OTHERS, "DELETE FROM link WHERE other = 1 AND other_user = ?1")                                                \
    X(ERASE_ROSTER, "DELETE FROM roster WHERE user = ?1")                                                                           \
    X(ERASE_INVITES, "DELETE FROM invite WHERE used_by = ?1")                                                                       \
    X(ERASE_PAYER, "DELETE FROM payer WHERE user = ?1")                                                                             \
    X(ERASE_USES, "DELETE FROM use_log WHERE account = ?1 OR client IN " SQL_ITS_CLIENTS)                                           \
    X(ERASE_LICENSES, "DELETE FROM license WHERE account = ?1 OR (distributor = 1 AND user = ?1)")                                  \
    /* Copies to partners' customers stay as far as a statement to the partner names them; copies of others to a device of  \
     * this account, as far as their account is concerned. */       \
    X(ERASE_CERTIFICATES, "DELETE FROM certificate WHERE account = ?1 AND destination_number = 1")                                  \
    X(ERASE_CERTIFICATES_KEPT, "UPDATE certificate SET account = ?2, source = zeroblob(32), document = x'',"                        \
                               " delegation = NULL, receipt = NULL, surrender = NULL,"                                              \
                               " state = CASE state WHEN 1 THEN 4 ELSE state END WHERE account = ?1")                               \
    X(ERASE_CERTIFICATES_TO,                                                                                                        \
      "UPDATE certificate SET destination_user = ?2, destination = zeroblob(32), document = x'',"                                   \
      " delegation = NULL, receipt = NULL, surrender = NULL,"                                                                       \
      " state = CASE state WHEN 1 THEN 4 ELSE state END"                                                                            \
      " WHERE destination_number = 1 AND destination_user = ?1")                                                                    \
    X(ERASE_HISTORY_KEPT, "UPDATE copy_history SET user = ?2, source = zeroblob(32),"                                               \
                          " state = CASE state WHEN 1 THEN 4 ELSE state END WHERE distributor = 1 AND user = ?1")                   \
    X(ERASE_HISTORY_TO, "UPDATE copy_history SET destination = zeroblob(32), category = 0, leaf = 0,"                               \
                        " state = CASE state WHEN 1 THEN 4 ELSE state END"                                                          \
                        " WHERE distributor = 1 AND destination IN " SQL_ITS_CLIENTS)                                               \
    X(ERASE_KEPT_HISTORY, "SELECT serial, content, license_id, user, source, destination, destination_distributor,"                 \
                          " category, leaf, move, removable, issued_ms, ends_ms, state FROM copy_history"                           \
                          " WHERE distributor = 1 AND (user = ?1 OR destination = zeroblob(32)) ORDER BY serial")                   \
    X(ERASE_DEVICE_CERTIFICATES,                                                                                                    \
      "DELETE FROM client_certificate WHERE distributor = 1 AND client IN " SQL_ITS_CLIENTS)                                        \
    X(ERASE_LEAVES, "DELETE FROM leaf_client WHERE distributor = 1 AND client IN " SQL_ITS_CLIENTS)                                 \
    X(ERASE_DEVICES, "DELETE FROM client_user WHERE distributor = 1 AND user = ?1")                                                 \
    X(ERASE_ACCOUNT, "DELETE FROM account WHERE user = ?1")                                                                         \
    X(ERASE_PASSWORD, "DELETE FROM user_password WHERE user = ?1")                                                                  \
    /* Money. The text of a sale says what was sold, of a copy also where to; of a payment or refund it is the operator's words. */ \
    X(ERASE_LEDGER, "UPDATE ledger SET account = 'user:' || ?2 WHERE account = 'user:' || ?1")                                      \
    X(ERASE_POSTINGS, "UPDATE posting SET client = CASE WHEN client IS NULL THEN NULL ELSE zeroblob(32) END,"                       \
                      " text = CASE kind WHEN 2 THEN 'Copy' WHEN 5 THEN 'Payment' WHEN 6 THEN 'Refund' ELSE text END,"              \
                      " reference = CASE WHEN reference GLOB 'received:*' OR reference GLOB 'payment:*'"                            \
                      " OR reference GLOB 'paid-back:*'"                                                                            \
                      " THEN 'received:' || ?2 || ':' || number ELSE reference END"                                                 \
                      " WHERE ?1 <> ?2 AND number IN (SELECT posting FROM ledger WHERE account = 'user:' || ?2)")                   \
    /* One of them; ?3: a new key. */                                                                                               \
    X(ERASE_PAYMENT, "UPDATE payment SET user = ?2, payer = '', detail = '', key = ?3 WHERE number ="                               \
                     " (SELECT min(number) FROM payment WHERE user = ?1)")                                                          \
    /* afterwards */                                                                                                                \
    X(ERASED_NAME_HAS, "SELECT 1 FROM erased_name WHERE hash = ?1")                                                                 \
    X(ERASED_NAME_ADD, "INSERT INTO erased_name (hash) VALUES (?1) ON CONFLICT DO NOTHING")                                         \
    X(ERASURE_ADD, "INSERT INTO erasure (number, first, last, erased_ms)"                                                           \
                   " SELECT coalesce(max(number), 0) + 1, ?1, ?2, ?3 FROM erasure")                                                 \
    X(ERASURE_DUE, "SELECT number, first, last FROM erasure WHERE erased_ms < ?1 ORDER BY number LIMIT 1")                          \
    X(ERASURE_DONE, "DELETE FROM erasure WHERE number = ?1")                                                                        \
    X(OUTBOX_SET, "UPDATE outbox SET envelope = ?2 WHERE sequence = ?1")

#endif
