/* Statements over what the operator looks at (measures.c). */
#ifndef DISTRIBUTOR_STATEMENTS_OPERATE_H
#define DISTRIBUTOR_STATEMENTS_OPERATE_H

/* clang-format off */
#define STATEMENTS_OPERATE(X) \
    /* newest ledger entry; certificates that are open; payments under way; our newest key block */ \
    X(MEASURES, "SELECT coalesce((SELECT max(number) FROM ledger), 0), (SELECT count(*) FROM certificate WHERE state = 1)," \
                " (SELECT count(*) FROM payment WHERE state IN (1, 2))," \
                " coalesce((SELECT max(version) FROM key_block WHERE distributor = 1), 0)") \
    X(MEASURES_PARTNERS_LIST, "SELECT d.name, coalesce(g.ends_ms, 0), coalesce((SELECT k.ends_ms FROM key_block k" \
                              " WHERE k.distributor = p.distributor ORDER BY k.version DESC LIMIT 1), 0) FROM partner p JOIN distributor d ON d.number = p.distributor" \
                              " LEFT JOIN delegation g ON g.distributor = p.distributor WHERE p.withdrawn = 0" \
                              " ORDER BY p.distributor LIMIT ?1") \
    /* A database that was put back from an older copy (reserve.c) */ \
    X(BLOCK_OWNER_NEXT, "SELECT distributor FROM key_block WHERE distributor > ?1 ORDER BY distributor LIMIT 1") \
    X(COUNTER_AFTER, "SELECT name FROM counter WHERE name > ?1 ORDER BY name LIMIT 1") \
    X(LEDGER_NEWEST, "SELECT coalesce(max(number), 0) FROM ledger") \
    X(PAYMENT_NEWEST, "SELECT coalesce(max(number), 0) FROM payment") \
    X(PRODUCT_NEWEST, "SELECT coalesce(max(number), 0) FROM product") \
    X(RESERVE_SESSIONS, "UPDATE device_session SET session = session + ?1") \
    X(RESERVE_ROSTERS, "UPDATE roster SET sequence = sequence + ?1") \
    X(RESERVE_DELEGATIONS, "UPDATE partner SET last_sequence = last_sequence + ?1") \
    X(RESERVE_STANDINGS, "UPDATE device_standing SET nonce = ?1") \
    X(RESERVE_INVITES, "DELETE FROM invite WHERE used_by IS NULL") \
    X(RESERVE_LINK_CODES, "DELETE FROM link_code") \
    X(RESERVE_TOKENS, "DELETE FROM login_token") \
    X(RESERVE_UNLOCKS, "DELETE FROM spending_unlock") \
    X(RESERVE_NEWEST, "SELECT coalesce((SELECT max(time_ms) FROM posting), 0), coalesce((SELECT max(seen_ms) FROM device_session), 0)," \
                      " coalesce((SELECT keyset_issued_ms FROM distributor WHERE number = 1), 0)," \
                      " coalesce((SELECT max(issued_ms) FROM license), 0)") \
    /* What the directory knows that we gave out, and our tables do not (share_own.c). kind, user, subject, client, sequence, time */ \
    /* kind, user, subject, client, sequence, time, title, what it costs now (-1: not on sale), came as a copy */ \
    X(LOST, "SELECT 1, ul.user, ul.license_id, ul.client, ul.sequence, ul.downloaded_ms, coalesce(co.title, '')," \
            " coalesce((SELECT min(p.price) FROM content_product cp JOIN product p ON p.number = cp.product" \
            " WHERE cp.content = cl.content AND p.withdrawn = 0), -1)," \
            " CASE WHEN EXISTS (SELECT 1 FROM copy_history h WHERE h.distributor = 1 AND h.license_id = ul.license_id" \
            " AND h.destination = ul.client) THEN 1 ELSE 0 END FROM user_license ul" \
            " LEFT JOIN license l ON l.license_id = ul.license_id AND l.client = ul.client" \
            " LEFT JOIN content_license cl ON cl.distributor = 1 AND cl.license_id = ul.license_id" \
            " LEFT JOIN content co ON co.content = cl.content" \
            " WHERE ul.distributor = 1 AND (l.license_id IS NULL OR l.sequence < ul.sequence)" \
            " UNION ALL SELECT 2, h.user, h.serial, h.destination, 0, h.issued_ms, coalesce(co.title, '')," \
            " coalesce((SELECT min(p.copy_price) FROM content_product cp JOIN product p ON p.number = cp.product" \
            " WHERE cp.content = h.content AND p.withdrawn = 0), -1), 1 FROM copy_history h" \
            " LEFT JOIN certificate c ON c.serial = h.serial LEFT JOIN content co ON co.content = h.content" \
            " WHERE h.distributor = 1 AND c.serial IS NULL" \
            " UNION ALL SELECT 3, '', f.client, f.client, f.leaf, 0, '', -1, 0 FROM leaf_client f" \
            " LEFT JOIN client_user u ON u.distributor = 1 AND u.client = f.client WHERE f.distributor = 1 AND u.client IS NULL" \
            " UNION ALL SELECT 4, '', cl.content, cl.content, 0, 0, '', -1, 0 FROM content_license cl" \
            " LEFT JOIN content c ON c.content = cl.content WHERE cl.distributor = 1 AND c.content IS NULL" \
            " ORDER BY 1, 6, 3") \
    X(SERVING_SET, "INSERT INTO serving (id, place, seen_ms) VALUES (?1, ?2, ?3) ON CONFLICT (id) DO UPDATE SET seen_ms = excluded.seen_ms") \
    X(SERVING_END, "DELETE FROM serving WHERE id = ?1") \
    X(SERVING_ELSEWHERE, "SELECT place, seen_ms FROM serving WHERE place <> ?1 AND seen_ms > ?2 AND seen_ms < ?3 ORDER BY seen_ms DESC LIMIT 1") \
    X(HAS_ACCOUNT, "SELECT 1 FROM account WHERE user = ?1") \
    X(OUTBOX_HELD, "SELECT sequence, envelope FROM outbox WHERE sequence > ?1 ORDER BY sequence LIMIT 1") \
    X(OUTBOX_DELETE, "DELETE FROM outbox WHERE sequence = ?1") \
    X(HISTORY_STATE, "SELECT state FROM copy_history WHERE distributor = 1 AND serial = ?1") \
    X(LICENSE_COPIES_MORE, "UPDATE license SET copies = copies + ?3, removables = removables + ?4 WHERE license_id = ?1 AND client = ?2") \
    X(LICENSE_STATE_AT, "UPDATE license SET state = ?4 WHERE license_id = ?1 AND client = ?2 AND state = ?3") \
    X(CERTIFICATE_REINSTATE, \
      "INSERT INTO certificate (serial, license_id, source, destination, content, account, destination_number, destination_user, product," \
      " move, removable, counted, charge, block_version, issued_ms, ends_ms, state, document, edition)" \
      " SELECT h.serial, h.license_id, h.source, h.destination, h.content, l.account, d.number, '', l.product, h.move, h.removable, 1, 0, 0," \
      " h.issued_ms, h.ends_ms, h.state, ?2, l.sequence FROM copy_history h" \
      " JOIN license l ON l.license_id = h.license_id AND l.client = h.source JOIN distributor d ON d.id = h.destination_distributor" \
      " WHERE h.distributor = 1 AND h.serial = ?1 ON CONFLICT (serial) DO UPDATE SET state = excluded.state")
/* clang-format on */

#endif
