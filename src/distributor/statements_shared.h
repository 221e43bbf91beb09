/* Statements about what keeps members of a directory, and partners, in agreement: chains, heads, findings. See statements.h. */
#ifndef DISTRIBUTOR_STATEMENTS_SHARED_H
#define DISTRIBUTOR_STATEMENTS_SHARED_H

#define SQL_CHAIN                                                                                               \
    "d.chain_sequence, d.chain_head, d.directory_sequence, d.direct_ms, coalesce(h.sequence, 0) AS signed_to, " \
    "d.number, d.id, d.name FROM distributor d LEFT JOIN share_head h ON h.distributor = d.number"

#define STATEMENTS_SHARED(X)                                                                                                                                               \
    X(OUTBOX_HEAD, "SELECT head FROM outbox WHERE sequence = ?1")                                                                                                          \
    X(OUTBOX_GET, "SELECT envelope FROM outbox WHERE sequence = ?1")                                                                                                       \
    X(OUTBOX_SET_HEAD, "UPDATE outbox SET head = ?2 WHERE sequence = ?1")                                                                                                  \
    X(OUTBOX_LAST_HEAD, "SELECT coalesce(max(sequence), 0) FROM outbox WHERE head IS NOT NULL")                                                                            \
    X(CHAIN_GET, "SELECT " SQL_CHAIN " WHERE d.number = ?1")                                                                                                               \
    X(CHAIN_NEXT, "SELECT " SQL_CHAIN " WHERE d.number > ?1 AND d.number > 1 AND (d.chain_sequence > 0 OR"                                                                 \
                  " h.sequence > 0) ORDER BY d.number LIMIT 1")                                                                                                            \
    X(CHAIN_SET, "UPDATE distributor SET chain_sequence = ?2, chain_head = ?3, share_sequence = ?4,"                                                                       \
                 " directory_sequence = ?5, direct_ms = ?6 WHERE number = ?1")                                                                                             \
    X(CHAIN_KEYSET_GET, "SELECT chain_keyset FROM distributor WHERE number = ?1 AND chain_keyset IS NOT NULL")                                                             \
    X(CHAIN_KEYSET_SET, "UPDATE distributor SET chain_keyset = ?2 WHERE number = ?1")                                                                                      \
    X(CHAIN_READ_AGAIN, "UPDATE distributor SET directory_sequence = 0, direct_ms = ?1 WHERE chain_sequence > 0")                                                          \
    X(HEAD_SET, "INSERT INTO share_head (distributor, sequence, envelope) VALUES (?1, ?2, ?3)"                                                                             \
                " ON CONFLICT (distributor) DO UPDATE SET sequence = excluded.sequence,"                                                                                   \
                " envelope = excluded.envelope")                                                                                                                           \
    X(HEAD_ALL, "SELECT envelope FROM share_head ORDER BY distributor LIMIT ?1")                                                                                           \
    X(EMPTIED_SEEN,                                                                                                                                                        \
      "INSERT INTO share_emptied (distributor, sequence, seen_ms) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING")                                                             \
    X(EMPTIED_TOLD, "DELETE FROM share_emptied WHERE distributor = ?1 AND sequence BETWEEN ?2 AND ?3")                                                                     \
    X(EMPTIED_FIRST,                                                                                                                                                       \
      "SELECT sequence, seen_ms FROM share_emptied WHERE distributor = ?1 ORDER BY seen_ms, sequence LIMIT 1")                                                             \
    X(SAID_SET,                                                                                                                                                            \
      "INSERT INTO share_said (distributor, key, sequence) VALUES (?1, ?2, ?3) ON CONFLICT (distributor, key) DO UPDATE SET sequence = excluded.sequence, taken_back = 0") \
    X(SAID_REMOVE, "DELETE FROM share_said WHERE distributor = ?1 AND key = ?2")                                                                                           \
    X(SAID_TAKEN_BACK, "UPDATE share_said SET taken_back = 1 WHERE distributor = ?1 AND sequence BETWEEN ?2 AND ?3")                                                       \
    X(SAID_TAKEN_BACK_FIRST,                                                                                                                                               \
      "SELECT sequence FROM share_said WHERE distributor = ?1 AND taken_back = 1 ORDER BY sequence LIMIT 1")                                                               \
    X(MARK_GET, "SELECT origin, sequence, position FROM directory_mark WHERE one = 1")                                                                                     \
    X(MARK_SET, "INSERT INTO directory_mark (one, origin, sequence, position) VALUES (1, ?1, ?2, ?3)"                                                                      \
                " ON CONFLICT (one) DO UPDATE SET origin = excluded.origin, sequence = excluded.sequence,"                                                                 \
                " position = excluded.position")                                                                                                                           \
    X(PARTNER_SAID_GET, "SELECT said_have, said_copy_key FROM partner WHERE distributor = ?1")                                                                             \
    X(PARTNER_SAID_SET, "UPDATE partner SET said_have = ?2, said_copy_key = ?3, said_ms = ?4 WHERE distributor = ?1"                                                       \
                        " AND said_ms <= ?4")                                                                                                                              \
    X(PARTNER_GIVEN_GET, "SELECT given_ends_ms, withdrawn_ms FROM partner WHERE distributor = ?1")                                                                         \
    X(PARTNER_GIVEN_SET, "UPDATE partner SET given_ends_ms = ?2 WHERE distributor = ?1 AND given_ends_ms < ?2")                                                            \
    X(OWN_CONTENT_HAS, "SELECT 1 FROM content_license WHERE distributor = 1 AND content = ?1")                                                                             \
    X(FINDING_GET, "SELECT settled_ms FROM finding WHERE kind = ?1 AND distributor = ?2")                                                                                  \
    X(FINDING_SET, "INSERT INTO finding (kind, distributor, text, first_ms, last_ms, count)"                                                                               \
                   " VALUES (?1, ?2, ?3, ?4, ?4, ?5) ON CONFLICT (kind, distributor) DO UPDATE SET"                                                                        \
                   " text = excluded.text, last_ms = excluded.last_ms, count = finding.count + excluded.count,"                                                            \
                   " first_ms = CASE WHEN finding.settled_ms IS NULL THEN finding.first_ms ELSE excluded.first_ms"                                                         \
                   " END, settled_ms = NULL")                                                                                                                              \
    X(FINDING_SETTLE, "UPDATE finding SET settled_ms = ?3 WHERE kind = ?1 AND distributor = ?2"                                                                            \
                      " AND settled_ms IS NULL")                                                                                                                           \
    X(FINDING_NEXT, "SELECT f.kind, f.distributor, f.text, f.first_ms, f.last_ms, f.count, f.settled_ms, d.name, d.id"                                                     \
                    " FROM finding f JOIN distributor d ON d.number = f.distributor WHERE f.distributor > ?1"                                                              \
                    " OR (f.distributor = ?1 AND f.kind > ?2) ORDER BY f.distributor, f.kind LIMIT 1")                                                                     \
    X(FINDING_OPEN, "SELECT count(*) FROM finding WHERE settled_ms IS NULL")                                                                                               \
    X(FINDING_FORGET, "DELETE FROM finding WHERE kind = ?1 AND distributor = ?2")

#endif
