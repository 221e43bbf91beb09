/* Statements over the public store of programs (programs.h). See statements.h. */
#ifndef DISTRIBUTOR_STATEMENTS_PROGRAMS_H
#define DISTRIBUTOR_STATEMENTS_PROGRAMS_H

#define SQL_PROGRAM                                                                                        \
    "SELECT p.name, p.version, p.provider, v.name, p.kind, p.program_bytes, p.digest, p.document, p.note," \
    " p.published_ms, CASE WHEN p.withdrawn + v.withdrawn > 0 THEN 1 ELSE 0 END FROM program p"            \
    " JOIN program_provider v ON v.provider = p.provider"
#define SQL_NEWEST_PROGRAM                                                                       \
    " v.withdrawn = 0 AND p.withdrawn = 0 AND p.version = (SELECT max(q.version) FROM program q" \
    " WHERE q.name = p.name AND q.withdrawn = 0)"

#define STATEMENTS_PROGRAMS(X)                                                                                      \
    X(PROGRAM_FIND, SQL_PROGRAM " WHERE p.name = ?1 AND p.version = ?2")                                            \
    X(PROGRAM_NEWEST, SQL_PROGRAM " WHERE p.name = ?1 AND" SQL_NEWEST_PROGRAM)                                      \
    X(PROGRAM_LAST, SQL_PROGRAM " WHERE p.name = ?1 ORDER BY p.version DESC LIMIT 1")                               \
    X(PROGRAM_NEXT, SQL_PROGRAM " WHERE p.name > ?1 OR (p.name = ?1 AND p.version > ?2)"                            \
                                " ORDER BY p.name, p.version LIMIT 1")                                              \
    X(PROGRAM_PAGE, SQL_PROGRAM " WHERE" SQL_NEWEST_PROGRAM " ORDER BY p.name LIMIT ?2 OFFSET ?1")                  \
    X(PROGRAM_COUNT,                                                                                                \
      "SELECT count(*) FROM program p JOIN program_provider v ON v.provider = p.provider WHERE" SQL_NEWEST_PROGRAM) \
    X(PROGRAM_ADD, "INSERT INTO program (name, version, provider, kind, program_bytes, digest, document, note,"     \
                   " published_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)")                                    \
    X(PROGRAM_WITHDRAW, "UPDATE program SET withdrawn = ?3 WHERE name = ?1 AND version = ?2")                       \
    X(PROGRAM_WITHDRAW_ALL, "UPDATE program SET withdrawn = ?2 WHERE name = ?1")                                    \
    X(PROVIDER_FIND, "SELECT provider, name, added_ms, withdrawn FROM program_provider WHERE provider = ?1")        \
    X(PROVIDER_NAMED, "SELECT provider, name, added_ms, withdrawn FROM program_provider WHERE name = ?1")           \
    X(PROVIDER_NEXT, "SELECT provider, name, added_ms, withdrawn FROM program_provider WHERE name > ?1"             \
                     " ORDER BY name LIMIT 1")                                                                      \
    X(PROVIDER_ADD, "INSERT INTO program_provider (provider, name, added_ms) VALUES (?1, ?2, ?3)")                  \
    X(PROVIDER_WITHDRAW, "UPDATE program_provider SET withdrawn = ?2 WHERE name = ?1")

#endif
