/* Statements about the storage key and what lies under it (storage.h). See statements.h. */
#ifndef DISTRIBUTOR_STATEMENTS_STORAGE_H
#define DISTRIBUTOR_STATEMENTS_STORAGE_H

#define STATEMENTS_STORAGE(X)                                                                                         \
    X(STORAGE_LISTED, "SELECT id FROM storage_key ORDER BY number DESC LIMIT ?1")                                     \
    X(STORAGE_ADD, "INSERT INTO storage_key (number, id, since_ms)"                                                   \
                   " SELECT coalesce(max(number), 0) + 1, ?1, ?2 FROM storage_key")                                   \
    X(STORAGE_RETIRE, "DELETE FROM storage_key WHERE number < (SELECT max(number) FROM storage_key)")                 \
    X(ERASED_NAME_ANY, "SELECT 1 FROM erased_name LIMIT 1")                                                           \
    X(SECRET_GET, "SELECT sealed FROM secret WHERE name = ?1")                                                        \
    X(SECRET_ADD, "INSERT INTO secret (name, sealed) VALUES (?1, ?2)") /* each row after another one, and put back */ \
    X(STORAGE_CONTENT_NEXT,                                                                                           \
      "SELECT content, header_half, license_half FROM content WHERE content > ?1 ORDER BY content LIMIT 1")           \
    X(STORAGE_CONTENT_SET, "UPDATE content SET header_half = ?2, license_half = ?3 WHERE content = ?1")               \
    X(STORAGE_BLOCK_NEXT, "SELECT b.distributor, b.version, d.id, b.root FROM key_block b"                            \
                          " JOIN distributor d ON d.number = b.distributor"                                           \
                          " WHERE b.distributor > ?1 OR (b.distributor = ?1 AND b.version > ?2)"                      \
                          " ORDER BY b.distributor, b.version LIMIT 1")                                               \
    X(STORAGE_BLOCK_SET, "UPDATE key_block SET root = ?3 WHERE distributor = ?1 AND version = ?2")                    \
    X(STORAGE_PARTNER_NEXT, "SELECT p.distributor, d.id, p.copy_secret FROM partner p"                                \
                            " JOIN distributor d ON d.number = p.distributor"                                         \
                            " WHERE p.distributor > ?1 ORDER BY p.distributor LIMIT 1")                               \
    X(STORAGE_PARTNER_SET, "UPDATE partner SET copy_secret = ?2 WHERE distributor = ?1")                              \
    X(STORAGE_SECRET_NEXT, "SELECT name, sealed FROM secret WHERE name > ?1 ORDER BY name LIMIT 1")                   \
    X(STORAGE_SECRET_SET, "UPDATE secret SET sealed = ?2 WHERE name = ?1")

#endif
