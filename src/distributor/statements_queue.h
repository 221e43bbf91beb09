/* Statements about copies that wait for devices (copy_queue.h). See statements.h. */
#ifndef DISTRIBUTOR_STATEMENTS_QUEUE_H
#define DISTRIBUTOR_STATEMENTS_QUEUE_H

#include "distributor/statements_people.h"

/* The households of whoever says that ?1 is a device of its customer: a device that has proved its key is not kept from what waits for it by a
 * distributor that claims it too. For whom it waits was settled within the account's own household (QUEUE_ADD). */
#define SQL_QUEUE_HOUSEHOLD                                                                               \
    "WITH RECURSIVE member (distributor, user) AS (SELECT d.distributor, d.user FROM client_user d"       \
    " WHERE d.client = ?1 AND d.revoked = 0 UNION SELECT l.other, l.other_user FROM member m JOIN link l" \
    " ON l.distributor = m.distributor AND l.user = m.user"                                               \
    " WHERE l.distributor = 1 OR EXISTS (SELECT 1 FROM link b WHERE b.distributor = l.other"              \
    " AND b.user = l.other_user AND b.other = l.distributor AND b.other_user = l.user)) "
#define SQL_QUEUE_OURS "EXISTS (SELECT 1 FROM member m WHERE m.distributor = 1 AND m.user = q.user)"

#define STATEMENTS_QUEUE(X)                                                                                                                              \
    X(AUTO_COPY_GET, "SELECT 1 FROM auto_copy WHERE user = ?1")                                                                                          \
    X(AUTO_COPY_ON, "INSERT INTO auto_copy (user, since_ms) VALUES (?1, ?2) ON CONFLICT (user) DO NOTHING")                                              \
    X(AUTO_COPY_OFF, "DELETE FROM auto_copy WHERE user = ?1")                                                                                            \
    X(AUTO_COPY_TO_ON, "INSERT INTO auto_copy_to (user, client, since_ms, distributor) VALUES (?1, ?2, ?3, ?4)"                                          \
                       " ON CONFLICT (user, client) DO UPDATE SET distributor = excluded.distributor")                                                   \
    X(AUTO_COPY_TO_OFF, "DELETE FROM auto_copy_to WHERE user = ?1 AND client = ?2")                                                                      \
    X(AUTO_COPY_TO_ALL_OFF, "DELETE FROM auto_copy_to WHERE user = ?1")                                                                                  \
    X(AUTO_COPY_TO_LIST,                                                                                                                                 \
      SQL_HOUSEHOLD "SELECT DISTINCT c.client FROM member m JOIN client_user c"                                                                          \
                    " ON c.distributor = m.distributor AND c.user = m.user AND c.revoked = 0"                                                            \
                    " JOIN auto_copy_to t ON t.user = ?2 AND t.client = c.client AND t.distributor = c.distributor"                                      \
                    " ORDER BY c.client LIMIT 32")                                                                                                       \
    X(AUTO_COPY_ANY, "SELECT 1 FROM account a WHERE a.user = ?1 AND (EXISTS (SELECT 1 FROM auto_copy x"                                                  \
                     " WHERE x.user = a.user) OR EXISTS (SELECT 1 FROM auto_copy_to t WHERE t.user = a.user))")                                          \
    X(QUEUE_DROP, "DELETE FROM copy_queue WHERE user = ?1 AND taken = 0")                                                                                \
    X(QUEUE_DROP_TO, "DELETE FROM copy_queue WHERE user = ?1 AND client = ?2 AND taken = 0 AND NOT EXISTS"                                               \
                     " (SELECT 1 FROM auto_copy a JOIN client_user c ON c.distributor = 1 AND c.user = a.user"                                           \
                     " WHERE a.user = ?1 AND c.client = ?2)")                                                                                            \
    X(QUEUE_ADD,                                                                                                                                         \
      "INSERT INTO copy_queue (client, content, license_id, source, user, queued_ms, ends_ms, taken, distributor) " SQL_HOUSEHOLD                        \
      "SELECT u.client, ?5, ?4, ?3, ?2, ?6, ?7, 0, u.distributor FROM"                                                                                   \
      " (SELECT c.client, min(c.distributor) AS distributor FROM member m JOIN client_user c ON c.distributor = m.distributor"                           \
      " AND c.user = m.user AND c.revoked = 0 WHERE (c.distributor = 1 AND c.user = ?2 AND EXISTS"                                                       \
      " (SELECT 1 FROM auto_copy a WHERE a.user = ?2)) OR EXISTS (SELECT 1 FROM auto_copy_to t"                                                          \
      " WHERE t.user = ?2 AND t.client = c.client AND t.distributor = c.distributor) GROUP BY c.client) u WHERE u.client <> ?3 AND NOT EXISTS (SELECT 1" \
      " FROM license l WHERE l.license_id = ?4 AND l.client = u.client AND l.state IN (1, 2, 7))"                                                        \
      " ON CONFLICT (client, content) DO UPDATE SET license_id = excluded.license_id,"                                                                   \
      " source = excluded.source, user = excluded.user, queued_ms = excluded.queued_ms,"                                                                 \
      " ends_ms = excluded.ends_ms, taken = 0, distributor = excluded.distributor WHERE copy_queue.serial IS NULL")                                      \
    X(QUEUE_GUESTS, "SELECT q.client FROM copy_queue q WHERE q.user = ?1 AND q.source = ?2 AND q.license_id = ?3"                                        \
                    " AND q.taken = 0 AND q.distributor <> 1 ORDER BY q.client LIMIT 32")                                                                \
    X(QUEUE_NEXT, SQL_QUEUE_HOUSEHOLD                                                                                                                    \
      "SELECT q.content, q.taken FROM copy_queue q WHERE q.client = ?1 AND q.content > ?2"                                                               \
      " AND q.ends_ms > ?3 AND " SQL_QUEUE_OURS " AND (q.taken = 1 OR (EXISTS (SELECT 1 FROM license l"                                                  \
      " WHERE l.license_id = q.license_id AND l.client = q.source AND l.state = 1 AND (l.max_copies = 4294967295"                                        \
      " OR l.copies < l.max_copies)) AND NOT EXISTS (SELECT 1 FROM license h WHERE h.license_id = q.license_id"                                          \
      " AND h.client = q.client AND h.state = 1))) ORDER BY q.content LIMIT 1")                                                                          \
    X(QUEUE_GET,                                                                                                                                         \
      SQL_QUEUE_HOUSEHOLD "SELECT q.source, q.license_id, q.serial FROM copy_queue q WHERE q.client = ?1"                                                \
                          " AND q.content = ?2 AND q.ends_ms > ?3 AND (q.taken = 0 OR q.serial IS NOT NULL)"                                             \
                          " AND " SQL_QUEUE_OURS)                                                                                                        \
    X(QUEUE_TAKEN, "UPDATE copy_queue SET taken = 1 WHERE client = ?1 AND content = ?2")                                                                 \
    X(QUEUE_CERTIFIED, "UPDATE copy_queue SET taken = 1, serial = ?3, ends_ms = ?4"                                                                      \
                       " WHERE client = ?1 AND content = ?2")                                                                                            \
    X(QUEUE_DONE, "DELETE FROM copy_queue WHERE client = ?1 AND content = ?2 AND taken = 1 AND serial IS NULL")                                          \
    X(QUEUE_SETTLED, "DELETE FROM copy_queue WHERE client = ?1 AND content = ?2 AND license_id = ?3")                                                    \
    X(QUEUE_PURGE, "DELETE FROM copy_queue WHERE ends_ms < ?1")                                                                                          \
    X(QUEUE_FORGET, "DELETE FROM copy_queue WHERE client = ?1 AND distributor = ?2")                                                                     \
    X(AUTO_COPY_FORGET, "DELETE FROM auto_copy_to WHERE client = ?1 AND distributor = ?2")                                                               \
    X(ERASE_AUTO_COPY, "DELETE FROM auto_copy WHERE user = ?1")                                                                                          \
    X(ERASE_AUTO_COPY_TO, "DELETE FROM auto_copy_to WHERE user = ?1")                                                                                    \
    X(ERASE_QUEUE, "DELETE FROM copy_queue WHERE user = ?1")                                                                                             \
    X(EXPORT_AUTO_COPY, "SELECT json_object('since_ms', since_ms) FROM auto_copy WHERE user = ?1")                                                       \
    X(EXPORT_AUTO_COPY_TO, "SELECT json_object('client', lower(hex(client)), 'since_ms', since_ms)"                                                      \
                           " FROM auto_copy_to WHERE user = ?1 ORDER BY client")                                                                         \
    X(EXPORT_QUEUED, "SELECT json_object('client', lower(hex(client)), 'content', lower(hex(content)),"                                                  \
                     " 'queued_ms', queued_ms, 'ends_ms', ends_ms) FROM copy_queue WHERE user = ?1"                                                      \
                     " ORDER BY client, content")

#endif
