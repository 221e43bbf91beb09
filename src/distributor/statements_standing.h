/* Statements over what we have seen of vaults (standings.c, catch_up.c). */
#ifndef DISTRIBUTOR_STATEMENTS_STANDING_H
#define DISTRIBUTOR_STATEMENTS_STANDING_H

/* clang-format off */
#define STATEMENTS_STANDING(X) \
    X(STANDING_GET, "SELECT generation, session, nonce FROM device_standing WHERE client = ?1") \
    X(STANDING_SET, "INSERT INTO device_standing (client, generation, session, nonce) VALUES (?1, ?2, ?3, ?4)" \
                    " ON CONFLICT (client) DO UPDATE SET generation = excluded.generation, session = excluded.session," \
                    " nonce = excluded.nonce") \
    X(STANDING_DROP, "DELETE FROM device_standing WHERE client = ?1") \
    X(RELAYED_SERIAL_ADD, "INSERT INTO relayed_serial (client, issuer, serial) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING") \
    X(EXPORT_RELAYED, "SELECT json_object('client', lower(hex(client)), 'issuer', lower(hex(issuer)), 'serial', lower(hex(serial)))" \
                      " FROM relayed_serial WHERE client IN (SELECT client FROM client_user WHERE distributor = 1 AND user = ?1)" \
                      " ORDER BY client, issuer, serial") \
    X(ERASE_STANDINGS, "DELETE FROM device_standing WHERE client IN (SELECT client FROM client_user WHERE distributor = 1 AND user = ?1)") \
    X(ERASE_RELAYED, "DELETE FROM relayed_serial WHERE client IN (SELECT client FROM client_user WHERE distributor = 1 AND user = ?1)") \
    /* kind, issuer, name, sequence; of moves also license, content, destination, certificate. A move stays in it while its source may still have to \
     * finish it: until its license is back under a later sequence. */ \
    X(CATCH_UP_PAGE, \
      /* Of those that ours deal with alone: anybody else may say what it likes of our device. */ \
      "WITH RECURSIVE member (distributor, user) AS (SELECT c.distributor, c.user FROM client_user c WHERE c.distributor = 1 AND c.client = ?1 UNION" \
      " SELECT l.other, l.other_user FROM member m JOIN link l ON l.distributor = m.distributor AND l.user = m.user" \
      " WHERE l.distributor = 1 OR EXISTS (SELECT 1 FROM link b WHERE b.distributor = l.other" \
      " AND b.user = l.other_user AND b.other = l.distributor AND b.other_user = l.user)) " \
      "SELECT * FROM (SELECT 1 AS kind, d.id AS issuer, h.serial AS name, CAST(NULL AS INTEGER) AS edition, CAST(NULL AS BLOB) AS license_id, CAST(NULL AS BLOB) AS content, CAST(NULL AS BLOB) AS destination, CAST(NULL AS BLOB) AS document" \
      " FROM copy_history h JOIN distributor d ON d.number = h.distributor WHERE h.destination = ?1 AND h.state IN (2, 3)" \
      " AND (h.distributor = 1 OR EXISTS (SELECT 1 FROM partner p WHERE p.distributor = h.distributor)" \
      " OR EXISTS (SELECT 1 FROM link l WHERE l.distributor = 1 AND l.other = h.distributor)" \
      " OR EXISTS (SELECT 1 FROM member m WHERE m.distributor = h.distributor))" \
      " UNION SELECT 1, issuer, serial, CAST(NULL AS INTEGER), CAST(NULL AS BLOB), CAST(NULL AS BLOB), CAST(NULL AS BLOB), CAST(NULL AS BLOB) FROM relayed_serial WHERE client = ?1" \
      " UNION ALL SELECT 2, ?2, license_id, sequence, CAST(NULL AS BLOB), CAST(NULL AS BLOB), CAST(NULL AS BLOB), CAST(NULL AS BLOB) FROM license" \
      " WHERE client = ?1 AND state IN (3, 6, 7)" \
      " UNION ALL SELECT 3, ?2, c.serial, c.edition, c.license_id, c.content, c.destination, c.document FROM certificate c" \
      " JOIN license l ON l.license_id = c.license_id AND l.client = c.source AND l.sequence = c.edition" \
      " WHERE c.source = ?1 AND c.move = 1 AND (c.state = 1 OR (c.state = 2 AND l.state IN (3, 7)))) AS page" \
      " WHERE (kind, issuer, name) > (?3, ?4, ?5) ORDER BY kind, issuer, name LIMIT 97")
/* clang-format on */

#endif
