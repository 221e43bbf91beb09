/* Statements about distributors, keysets, key blocks, delegations and the outbox. See statements.h. */
#ifndef DISTRIBUTOR_STATEMENTS_PARTNERS_H
#define DISTRIBUTOR_STATEMENTS_PARTNERS_H

#define SQL_PARTNER                                                                                \
    "d.number, d.id, d.name, p.address, p.copy_key, p.withdrawn FROM partner p JOIN distributor d" \
    " ON d.number = p.distributor"

#define STATEMENTS_PARTNERS(X)                                                                                         \
    X(DISTRIBUTOR_FIND, "SELECT number FROM distributor WHERE id = ?1")                                                \
    X(DISTRIBUTOR_GET, "SELECT id, name FROM distributor WHERE number = ?1")                                           \
    X(DISTRIBUTOR_ADD, "INSERT INTO distributor (number, id, name) SELECT coalesce(max(number), 0) + 1, ?1, ?2"        \
                       " FROM distributor RETURNING number")                                                           \
    X(DISTRIBUTOR_RENAME, "UPDATE distributor SET name = ?2 WHERE number = ?1")                                        \
    X(DISTRIBUTOR_KEYSET, "SELECT keyset, keyset_sequence, keyset_issued_ms, keyset_ends_ms FROM distributor"          \
                          " WHERE number = ?1 AND keyset IS NOT NULL")                                                 \
    X(DISTRIBUTOR_SET_KEYSET, "UPDATE distributor SET keyset = ?2, keyset_sequence = ?3, keyset_issued_ms = ?4,"       \
                              " keyset_ends_ms = ?5, name = CASE WHEN EXISTS (SELECT 1 FROM partner p"                 \
                              " WHERE p.distributor = ?1) THEN name ELSE ?6 END WHERE number = ?1")                    \
    X(DISTRIBUTOR_SHARED, "SELECT share_sequence FROM distributor WHERE number = ?1")                                  \
    X(DISTRIBUTOR_BLOCK, "SELECT block_version FROM distributor WHERE number = ?1")                                    \
    X(DISTRIBUTOR_SET_BLOCK, "UPDATE distributor SET block_version = max(block_version, ?2) WHERE number = ?1")        \
    /* partners */                                                                                                     \
    X(PARTNER_FIND, "SELECT " SQL_PARTNER " WHERE d.id = ?1")                                                          \
    X(PARTNER_NEXT, "SELECT " SQL_PARTNER " WHERE d.number > ?1 ORDER BY d.number LIMIT 1")                            \
    X(PARTNER_ADD, "INSERT INTO partner (distributor, address, copy_key, copy_secret) VALUES (?1, ?2, ?3, ?4)")        \
    X(PARTNER_SET, "UPDATE partner SET address = ?2, withdrawn = 0, withdrawn_ms = 0 WHERE distributor = ?1")          \
    X(PARTNER_WITHDRAW,                                                                                                \
      "UPDATE partner SET withdrawn = 1, lowest_sequence = last_sequence + 1, withdrawn_ms = ?2, floor_until_ms ="     \
      " CASE WHEN last_sequence = 0 THEN 0 ELSE max(given_ends_ms, ?3) + ?4 END WHERE distributor = ?1")               \
    X(PARTNER_SECRET, "SELECT copy_secret FROM partner WHERE distributor = ?1")                                        \
    X(PARTNER_SEQUENCE, "UPDATE partner SET last_sequence = max(last_sequence + 1, lowest_sequence)"                   \
                        " WHERE distributor = ?1 RETURNING last_sequence")                                             \
    X(PARTNER_FLOORS, "SELECT d.id, p.lowest_sequence, p.floor_until_ms FROM partner p"                                \
                      " JOIN distributor d ON d.number = p.distributor"                                                \
                      " WHERE p.floor_until_ms > ?1 ORDER BY p.floor_until_ms DESC, d.number")                         \
    X(DELEGATION_GET,                                                                                                  \
      "SELECT envelope, issued_ms, ends_ms, max_certificate_ms FROM delegation WHERE distributor = ?1")                \
    X(DELEGATION_SET, "INSERT INTO delegation (distributor, envelope, issued_ms, ends_ms, max_certificate_ms)"         \
                      " VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (distributor) DO UPDATE SET"                           \
                      " envelope = excluded.envelope, issued_ms = excluded.issued_ms, ends_ms = excluded.ends_ms,"     \
                      " max_certificate_ms = excluded.max_certificate_ms")                                             \
    X(WITHDRAWN_KEY_ADD, "INSERT INTO withdrawn_key (key, since_ms) VALUES (?1, ?2) ON CONFLICT DO NOTHING")           \
    X(WITHDRAWN_KEY_HAS, "SELECT 1 FROM withdrawn_key WHERE key = ?1")                                                 \
    X(WITHDRAWN_KEY_ALL, "SELECT key, since_ms FROM withdrawn_key ORDER BY key")                                       \
    /* key blocks */                                                                                                   \
    X(REVOKED_LEAF_ADD, "INSERT INTO revoked_leaf (category, leaf, client, revoked_ms) VALUES (?1, ?2, ?3, ?4)"        \
                        " ON CONFLICT DO NOTHING")                                                                     \
    X(REVOKED_LEAF_ALL, "SELECT leaf FROM revoked_leaf WHERE category = ?1 AND leaf BETWEEN ?2 AND ?3"                 \
                        " ORDER BY leaf")                                                                              \
    X(REVOKED_LEAF_COUNT, "SELECT count(*) FROM revoked_leaf WHERE category = ?1 AND leaf BETWEEN ?2 AND ?3")          \
    X(REVOKED_LEAF_HAS, "SELECT 1 FROM revoked_leaf WHERE category = ?1 AND leaf = ?2")                                \
    X(BLOCK_ADD, "INSERT INTO key_block (distributor, version, category, envelope, key_check, root, ends_ms, entries," \
                 " kind) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) ON CONFLICT (distributor, version) DO UPDATE SET" \
                 " envelope = excluded.envelope, key_check = excluded.key_check, root = excluded.root,"                \
                 " ends_ms = excluded.ends_ms, entries = excluded.entries, kind = excluded.kind")                      \
    X(BLOCK_GET, "SELECT version, category, envelope, key_check, root, ends_ms, kind FROM key_block"                   \
                 " WHERE distributor = ?1 AND (?2 = 0 OR version = ?2) ORDER BY version DESC LIMIT 1")                 \
    X(BLOCK_ENTRIES, "SELECT entries FROM key_block WHERE distributor = ?1 AND version = ?2")                          \
    X(BLOCK_PAGE, "SELECT substr(entries, CAST(?3 AS INT4), CAST(?4 AS INT4)) FROM key_block"                          \
                  " WHERE distributor = ?1 AND version = ?2")                                                          \
    X(BLOCK_PARTS, "SELECT nonce, depth, node, count, root FROM key_block_part WHERE distributor = ?1 AND since <= ?2" \
                   " AND (until IS NULL OR until > ?2) ORDER BY first_leaf")                                           \
    X(BLOCK_PART_ENTRIES, "SELECT entries FROM key_block_part WHERE distributor = ?1 AND first_leaf = ?2"              \
                          " AND since <= ?3 AND (until IS NULL OR until > ?3)")                                        \
    X(BLOCK_PART_ADD, "INSERT INTO key_block_part (distributor, first_leaf, since, nonce, depth, node, count, root,"   \
                      " entries) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)")                                         \
    X(BLOCK_PART_END, "UPDATE key_block_part SET until = ?2 WHERE distributor = ?1 AND until IS NULL"                  \
                      " AND first_leaf BETWEEN ?3 AND ?4")                                                             \
    X(BLOCK_PART_PURGE, "DELETE FROM key_block_part WHERE distributor = ?1 AND until <= ?2 + 1")                       \
    X(BLOCK_PURGE, "DELETE FROM key_block WHERE distributor = ?1 AND version <= ?2")                                   \
    /* sharing */                                                                                                      \
    X(OUTBOX_ADD, "INSERT INTO outbox (sequence, envelope, head) VALUES (?1, ?2, ?3)")                                 \
    X(OUTBOX_NEXT,                                                                                                     \
      "SELECT sequence, envelope FROM outbox WHERE sequence > ?1 AND sequence < 1152921504606846976" /* SHARE_HELD */  \
      " ORDER BY sequence LIMIT ?2")

#endif
