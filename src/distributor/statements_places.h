/* Statements about the places where our bodies lie. See statements.h. */
#ifndef DISTRIBUTOR_STATEMENTS_PLACES_H
#define DISTRIBUTOR_STATEMENTS_PLACES_H

#define STATEMENTS_PLACES(X)                                                                 \
    X(PLACE_ADD, "INSERT INTO place (number, url, server, added_ms)"                         \
                 " SELECT coalesce(max(number), 0) + 1, ?1, ?2, ?3 FROM place")              \
    X(PLACE_NEXT, "SELECT number, url FROM place WHERE number > ?1 ORDER BY number LIMIT 1") \
    X(PLACE_REMOVE, "DELETE FROM place WHERE url = ?1")                                      \
    X(PLACE_OF_SERVER, "SELECT number FROM place WHERE server = ?1 LIMIT 1")                 \
    X(BODIES_AFTER, "SELECT content FROM content WHERE content > ?1 ORDER BY content LIMIT ?2")

#endif
