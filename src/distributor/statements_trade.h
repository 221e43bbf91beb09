/* Statements about products, contents, licenses, copy certificates and money. See statements.h. */
#ifndef DISTRIBUTOR_STATEMENTS_TRADE_H
#define DISTRIBUTOR_STATEMENTS_TRADE_H

/* conditions.h; p: a table's alias with its dot, or nothing. */
#define SQL_CONDITIONS(p)                                                                                      \
    p "usage_from_ms, " p "usage_until_ms, " p "download_from_ms, " p "download_until_ms, " p "max_copies, " p \
      "copy_depth, " p "max_removable, " p "max_plays, " p "max_play_ms, " p "max_checkouts, " p "record, " p  \
      "own_price, " p "use_log, " p "max_recoveries, " p "charge_from_ms, " p "metadata_signers"
#define SQL_PRODUCT                                                                                         \
    "p.number, p.name, p.price, p.copy_price, p.withdrawn, p.usage_for_ms, p.renew_price, p.renew_late_ms," \
    " p.lease_ms, p.lease_grace_ms, p.lease_plays, " SQL_CONDITIONS("p.")
#define SQL_OPTION \
    "product, number, name, price, copies, copy_depth, removables, usage_ms, plays, play_ms, checkouts, record"
#define SQL_CONTENT "c.content, c.title, c.creator, c.album, c.media_type, c.duration_ms, c.plain_bytes, c.withdrawn"
/* Four words at most, each as a LIKE pattern ('%' when there are fewer). */
#define SQL_SEARCH                                                                       \
    " c.withdrawn = 0 AND c.search LIKE ?1 ESCAPE '\\' AND c.search LIKE ?2 ESCAPE '\\'" \
    " AND c.search LIKE ?3 ESCAPE '\\' AND c.search LIKE ?4 ESCAPE '\\'"
#define SQL_LICENSE                                                                                                        \
    "license_id, client, content, sequence, distributor, user, account, product, copies, removables, checkouts,"           \
    " plays, play_ms, recoveries, state, issued_ms, lease_until_ms, lease_grace_ms, lease_plays, lender, " SQL_CONDITIONS( \
        "")
#define SQL_CERTIFICATE                                                                                         \
    "serial, license_id, source, destination, content, account, destination_number, destination_user, product," \
    " move, removable, counted, charge, block_version, issued_ms, ends_ms, state, document, delegation, edition, checkout"

/* A license l that its holder lost, seen from the device ?3 at the time ?4: its device was removed; or it was moved to a device that was removed,
 * and the certificate has ended unused; or it is this very device's. Each is given again once, to one device. What a removed device had begun to move may
 * arrive as long as that certificate lasts: until then it is not lost. */
#define SQL_REMOVED(number, id) \
    "EXISTS (SELECT 1 FROM client_user c WHERE c.distributor = " number " AND c.client = " id " AND c.revoked = 1)"
/* Checked out to a device that was removed: it comes back to the account. A loan that ended before is none, and one that is on its way back may
 * arrive as long as its certificate lasts. */
#define SQL_LENT_LOST                                                                                                        \
    " OR (l.state = 7 AND EXISTS (SELECT 1 FROM license b WHERE b.license_id = l.license_id AND b.lender = l.client"         \
    " AND b.state <> 3 AND (b.state = 4 OR " SQL_REMOVED(                                                                    \
        "b.distributor",                                                                                                     \
        "b.client") ")"                                                                                                      \
                    " AND NOT EXISTS (SELECT 1 FROM certificate x WHERE x.license_id = b.license_id AND x.source = b.client" \
                    " AND x.destination = l.client AND x.move = 1 AND x.state = 1 AND x.ends_ms >= ?4)))"
#define SQL_LOST                                                                                                 \
    "(l.lender IS NULL AND (((l.state = 4 OR (l.state IN (1, 2) AND " SQL_REMOVED(                               \
        "l.distributor",                                                                                         \
        "l.client") "))"                                                                                         \
                    " AND NOT EXISTS (SELECT 1 FROM certificate x WHERE x.license_id = l.license_id"             \
                    " AND x.source = l.client AND x.move = 1 AND x.state = 1 AND x.ends_ms >= ?4))"              \
                    " OR (l.state = 1 AND l.client = ?3 AND l.distributor = 1)"                                  \
                    " OR (l.state = 2 AND EXISTS (SELECT 1 FROM certificate x WHERE x.license_id = l.license_id" \
                    " AND x.source = l.client AND x.move = 1 AND x.state = 1 AND x.ends_ms < ?4"                 \
                    " AND " SQL_REMOVED("x.destination_number", "x.destination") "))" SQL_LENT_LOST "))"

/* Or a lease l that is free: it was returned, or was not and has ended. Only who names it gets it: nobody's is taken without being asked. */
#define SQL_FREE "(l.state = 6 OR (l.state = 1 AND l.client <> ?3 AND l.lease_until_ms + l.lease_grace_ms < ?4))"

#define STATEMENTS_TRADE(X)                                                                                                              \
    X(PRODUCT_ADD,                                                                                                                       \
      "INSERT INTO product (number, name, price, copy_price, usage_for_ms, renew_price, renew_late_ms,"                                  \
      " lease_ms, lease_grace_ms, lease_plays, " SQL_CONDITIONS(                                                                         \
          "") ") SELECT coalesce(max(n), 0) + 1, ?1, ?2, ?3, ?4, ?5, ?6,"                                                                \
              " ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23, ?24, ?25 FROM " SQL_NUMBERS(           \
                  product) " RETURNING number")                                                                                          \
    X(PRODUCT_SAME,                                                                                                                      \
      "SELECT number FROM product WHERE withdrawn = 0 AND (name, price, copy_price, usage_for_ms,"                                       \
      " renew_price, renew_late_ms, lease_ms, lease_grace_ms, lease_plays, " SQL_CONDITIONS(                                             \
          "") ") IS NOT DISTINCT FROM"                                                                                                   \
              " (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20,"                             \
              " ?21, ?22, ?23, ?24, ?25)")                                                                                               \
    X(PRODUCT_OPTION_ADD, "INSERT INTO product_option (" SQL_OPTION ") VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9,"                      \
                          " ?10, ?11, ?12)")                                                                                             \
    X(PRODUCT_OPTION_NEXT, "SELECT " SQL_OPTION ", withdrawn FROM product_option WHERE product = ?1 AND number > ?2"                     \
                           " ORDER BY number LIMIT 1")                                                                                   \
    X(PRODUCT_OPTION_WITHDRAW, "UPDATE product_option SET withdrawn = 1 WHERE product = ?1 AND number = ?2")                             \
    X(PRODUCT_GET, "SELECT " SQL_PRODUCT " FROM product p WHERE p.number = ?1")                                                          \
    X(PRODUCT_NEXT, "SELECT " SQL_PRODUCT " FROM product p WHERE p.number > ?1 ORDER BY p.number LIMIT 1")                               \
    X(PRODUCT_WITHDRAW, "UPDATE product SET withdrawn = 1 WHERE number = ?1")                                                            \
    X(PRODUCT_OF_CONTENT, "SELECT " SQL_PRODUCT " FROM content_product x JOIN product p ON p.number = x.product"                         \
                          " WHERE x.content = ?1 AND p.withdrawn = 0 AND p.number > ?2 ORDER BY p.number LIMIT 1")                       \
    X(CONTENT_PRODUCT_ADD, "INSERT INTO content_product (content, product) VALUES (?1, ?2) ON CONFLICT DO NOTHING")                      \
    X(CONTENT_PRODUCT_CLEAR, "DELETE FROM content_product WHERE content = ?1")                                                           \
    X(CONTENT_PRODUCT_HAS, "SELECT 1 FROM content_product WHERE content = ?1 AND product = ?2")                                          \
    X(CONTENT_ADD,                                                                                                                       \
      "INSERT INTO content (content, title, creator, album, media_type, duration_ms, plain_bytes, search,"                               \
      " file_hash, header_half, license_half, published_ms)"                                                                             \
      " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)")                                                                     \
    X(CONTENT_GET, "SELECT " SQL_CONTENT " FROM content c WHERE c.content = ?1")                                                         \
    X(CONTENT_NEXT, "SELECT " SQL_CONTENT " FROM content c WHERE c.content > ?1 ORDER BY c.content LIMIT 1")                             \
    X(CONTENT_HALVES, "SELECT c.header_half, c.license_half, l.license_id FROM content c"                                                \
                      " JOIN content_license l ON l.distributor = 1 AND l.content = c.content WHERE c.content = ?1")                     \
    X(CONTENT_BY_FILE, "SELECT content, title, withdrawn FROM content WHERE file_hash = ?1")                                             \
    X(CONTENT_WITHDRAW, "UPDATE content SET withdrawn = ?2 WHERE content = ?1")                                                          \
    X(CONTENT_FOUND, "SELECT count(*) FROM content c WHERE" SQL_SEARCH)                                                                  \
    X(CONTENT_SEARCH,                                                                                                                    \
      "SELECT " SQL_CONTENT " FROM content c WHERE" SQL_SEARCH " ORDER BY c.title, c.content LIMIT ?6 OFFSET ?5")                        \
    X(CONTENT_LICENSE_SET, "INSERT INTO content_license (distributor, content, license_id) VALUES (?1, ?2, ?3)"                          \
                           " ON CONFLICT (distributor, content) DO UPDATE SET license_id = excluded.license_id")                         \
    X(CONTENT_LICENSE_DELETE, "DELETE FROM content_license WHERE distributor = ?1 AND content = ?2")                                     \
    X(USER_CONTENT_SET, "INSERT INTO user_content (distributor, user, content, client, license_id, downloaded_ms)"                       \
                        " VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (distributor, user, content, client)"                              \
                        " DO UPDATE SET license_id = excluded.license_id, downloaded_ms = excluded.downloaded_ms")                       \
    X(USER_CONTENT_DELETE, "DELETE FROM user_content WHERE distributor = ?1 AND user = ?2 AND content = ?3"                              \
                           " AND client = ?4")                                                                                           \
    X(USER_LICENSE_SET, "INSERT INTO user_license (distributor, user, license_id, client, sequence, downloaded_ms)"                      \
                        " VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (distributor, user, license_id, client)"                           \
                        " DO UPDATE SET sequence = excluded.sequence, downloaded_ms = excluded.downloaded_ms")                           \
    X(USER_LICENSE_DELETE, "DELETE FROM user_license WHERE distributor = ?1 AND user = ?2 AND license_id = ?3"                           \
                           " AND client = ?4")                                                                                           \
    /* licenses */                                                                                                                       \
    X(LICENSE_GET, "SELECT " SQL_LICENSE " FROM license WHERE license_id = ?1 AND client = ?2")                                          \
    X(LICENSE_OF_CONTENT, "SELECT " SQL_LICENSE " FROM license WHERE client = ?2 AND license_id ="                                       \
                          " (SELECT license_id FROM content_license WHERE distributor = 1 AND content = ?1)")                            \
    X(LICENSE_DOCUMENT, "SELECT document FROM license WHERE license_id = ?1 AND client = ?2")                                            \
    /* for the operator; ?2: an account, or NULL */                                                                                      \
    X(LICENSE_NEXT,                                                                                                                      \
      "SELECT l.sequence, l.client, l.content, l.account, l.product, l.state, l.issued_ms, coalesce(c.title, ''),"                       \
      " coalesce(d.name, ''), coalesce(u.downloaded_ms, 0), coalesce(g.number, 0), coalesce(-g.amount, 0) FROM license l"                \
      " LEFT JOIN content c ON c.content = l.content"                                                                                    \
      " LEFT JOIN client_user d ON d.distributor = l.distributor AND d.client = l.client"                                                \
      " LEFT JOIN user_content u ON u.distributor = l.distributor AND u.user = l.user AND u.content = l.content AND u.client = l.client" \
      " LEFT JOIN posting p ON p.reference IN ('license:' || CAST(l.sequence AS TEXT), 'renewal:' || CAST(l.sequence AS TEXT),"          \
      " 'ownership:' || CAST(l.sequence AS TEXT))"                                                                                       \
      " LEFT JOIN ledger g ON g.posting = p.number AND g.account = 'user:' || l.account"                                                 \
      " WHERE l.sequence > ?1 AND (CAST(?2 AS TEXT) IS NULL OR l.account = ?2) ORDER BY l.sequence LIMIT 1")                             \
    X(LICENSE_LOST_NEXT,                                                                                                                 \
      "SELECT l.content, max(CASE WHEN l.state = 1 AND l.client = ?3 THEN 1 ELSE 0 END) FROM license l WHERE l.account = ?1"             \
      " AND l.content > ?2 AND " SQL_LOST " GROUP BY l.content ORDER BY l.content LIMIT 1")                                              \
    X(LICENSE_LOST,                                                                                                                      \
      "SELECT " SQL_LICENSE " FROM license l WHERE l.account = ?1 AND l.content = ?2"                                                    \
      " AND (" SQL_LOST " OR " SQL_FREE ") ORDER BY l.client = ?3 DESC, l.state DESC, l.sequence DESC LIMIT 1")                          \
    X(MOVES_VOID, "UPDATE certificate SET state = 3 WHERE license_id = ?1 AND source = ?2 AND move = 1 AND state = 1")                   \
    X(LOANS_VOID, "UPDATE license SET state = 3 WHERE license_id = ?1 AND lender = ?2 AND state <> 3")                                   \
    X(LOAN_MOVES_VOID,                                                                                                                   \
      "UPDATE certificate SET state = 3 WHERE license_id = ?1 AND destination = ?2 AND move = 1 AND state = 1"                           \
      " AND source IN (SELECT client FROM license WHERE license_id = ?1 AND lender = ?2)")                                               \
    X(LICENSE_OWNED, "SELECT 1 FROM license WHERE account = ?1 AND content = ?2 AND state IN (1, 2) LIMIT 1")                            \
    X(LICENSE_ELSEWHERE,                                                                                                                 \
      "SELECT c.name FROM license l JOIN client_user c ON c.distributor = l.distributor AND c.client = l.client"                         \
      " WHERE l.account = ?1 AND l.content = ?2 AND l.client <> ?3 AND l.state IN (1, 2) AND c.revoked = 0"                              \
      " AND (l.usage_until_ms IS NULL OR l.usage_until_ms >= ?4) ORDER BY l.sequence LIMIT 1")                                           \
    X(LICENSE_SET,                                                                                                                       \
      "INSERT INTO license (" SQL_LICENSE ", document) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8,"                                          \
      " ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23, ?24, ?25, ?26, ?27,"                                   \
      " ?28, ?29, ?30, ?31, ?32, ?33, ?34, ?35, ?36, ?37) ON CONFLICT (license_id, client) DO UPDATE SET"                                \
      " (content, sequence, distributor, user, account, product, copies, removables, checkouts, plays,"                                  \
      " play_ms, recoveries, state, issued_ms, lease_until_ms, lease_grace_ms, lease_plays, lender, document, " SQL_CONDITIONS(          \
          "") ") = (excluded.content, excluded.sequence, excluded.distributor, excluded.user,"                                           \
              " excluded.account, excluded.product, excluded.copies, excluded.removables, excluded.checkouts,"                           \
              " excluded.plays, excluded.play_ms, excluded.recoveries, excluded.state, excluded.issued_ms, excluded.lease_until_ms,"     \
              " excluded.lease_grace_ms, excluded.lease_plays, excluded.lender, excluded.document, " SQL_CONDITIONS(                     \
                  "excluded.") ")")                                                                                                      \
    X(LICENSE_USED,                                                                                                                      \
      "UPDATE license SET plays = max(plays, ?3), play_ms = max(play_ms, ?4), recoveries = max(recoveries, ?5)"                          \
      " WHERE license_id = ?1 AND client = ?2")                                                                                          \
    X(LICENSE_COUNT,                                                                                                                     \
      "UPDATE license SET copies = max(0, copies + ?3), removables = max(0, removables + ?4), checkouts = max(0, checkouts + ?6)"        \
      " WHERE license_id = ?1 AND client = ?2 AND sequence = ?5")                                                                        \
    X(LICENSE_STATE, "UPDATE license SET state = ?3 WHERE license_id = ?1 AND client = ?2 AND sequence = ?4")                            \
    X(LICENSE_REVOKE, "UPDATE license SET state = 4 WHERE client = ?1 AND state IN (1, 2)")                                              \
    X(LICENSE_REVOKE_AT, "UPDATE license SET state = 4 WHERE client = ?1 AND distributor = ?2 AND state IN (1, 2)")                      \
    X(USE_LOG_ADD,                                                                                                                       \
      "INSERT INTO use_log (client, number, account, license_id, content, began_ms, play_ms, received_ms)"                               \
      " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)")                                                                                        \
    X(USE_LOG_LAST, "SELECT coalesce(max(number), 0) FROM use_log WHERE client = ?1")                                                    \
    X(USE_LOG_NEXT, "SELECT u.received_ms, u.client, u.number, u.content, u.began_ms, u.play_ms, c.title"                                \
                    " FROM use_log u LEFT JOIN content c ON c.content = u.content WHERE u.account = ?1"                                  \
                    " AND (u.client, u.number) > (?2, ?3) ORDER BY u.client, u.number LIMIT 1")                                          \
    /* copy certificates: seed table (8) and its companion */                                                                            \
    X(HISTORY_SET, "INSERT INTO copy_history (distributor, serial, content, license_id, user, source, destination,"                      \
                   " destination_distributor, category, leaf, move, removable, issued_ms, ends_ms, state)"                               \
                   " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)"                                          \
                   " ON CONFLICT (distributor, serial) DO UPDATE SET state = excluded.state")                                            \
    X(HISTORY_DELETE, "DELETE FROM copy_history WHERE distributor = ?1 AND serial = ?2")                                                 \
    X(HISTORY_GET, "SELECT content, license_id, user, source, destination, destination_distributor, category, leaf,"                     \
                   " move, removable, issued_ms, ends_ms, state FROM copy_history"                                                       \
                   " WHERE distributor = 1 AND serial = ?1")                                                                             \
    X(HISTORY_FIND, "SELECT 1 FROM copy_history WHERE distributor = ?1 AND serial = ?2 AND source = ?3"                                  \
                    " AND destination = ?4")                                                                                             \
    X(CERTIFICATE_ADD,                                                                                                                   \
      "INSERT INTO certificate (" SQL_CERTIFICATE ") VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10,"                                   \
      " ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21)")                                                                         \
    X(CERTIFICATE_GET, "SELECT " SQL_CERTIFICATE " FROM certificate WHERE serial = ?1")                                                  \
    X(CERTIFICATE_OPEN,                                                                                                                  \
      "SELECT " SQL_CERTIFICATE " FROM certificate WHERE license_id = ?1 AND source = ?2"                                                \
      " AND destination = ?3 AND move = ?4 AND removable = ?5 AND edition = ?6 AND checkout = ?7 AND state = 1 AND length(document) > 0" \
      " ORDER BY ends_ms DESC LIMIT 1")                                                                                                  \
    X(CERTIFICATE_MOVE, "SELECT destination FROM certificate WHERE license_id = ?1 AND source = ?2 AND move = 1"                         \
                        " AND edition = ?3 AND state = 1 LIMIT 1")                                                                       \
    X(CERTIFICATE_ACCOUNT,                                                                                                               \
      "SELECT account FROM certificate WHERE license_id = ?1 AND destination = ?2 AND content = ?3 LIMIT 1")                             \
    X(CERTIFICATE_OVERDUE, "SELECT " SQL_CERTIFICATE " FROM certificate WHERE state = 1 AND move = 0 AND ends_ms < ?1"                   \
                           " ORDER BY ends_ms LIMIT 1")                                                                                  \
    X(CERTIFICATES_TO,                                                                                                                   \
      "SELECT DISTINCT c.serial FROM license l JOIN certificate c ON c.license_id = l.license_id WHERE l.account = ?1"                   \
      " AND c.destination = ?2 AND c.destination_number = ?3 AND c.move = 0 AND c.state = 1 LIMIT ?4")                                   \
    X(CERTIFICATE_GIVEN_BACK_FIND,                                                                                                       \
      "SELECT 1 FROM certificate WHERE license_id = ?1 AND source = ?2 AND state = ?3 LIMIT 1")                                          \
    X(CERTIFICATE_STATE, "UPDATE certificate SET state = ?2, receipt = coalesce(?3, receipt),"                                           \
                         " surrender = coalesce(?4, surrender) WHERE serial = ?1")                                                       \
    X(RELAYED_ADD, "INSERT INTO relayed (digest, relayed_ms) VALUES (?1, ?2) ON CONFLICT DO NOTHING")

#endif
