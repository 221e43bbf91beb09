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
                              " ORDER BY p.distributor LIMIT ?1")
/* clang-format on */

#endif
