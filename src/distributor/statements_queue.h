/* Statements about copies that wait for devices (copy_queue.h). See statements.h. */
#ifndef DISTRIBUTOR_STATEMENTS_QUEUE_H
#define DISTRIBUTOR_STATEMENTS_QUEUE_H

#define STATEMENTS_QUEUE(X)                                                                                      \
    X(AUTO_COPY_GET, "SELECT 1 FROM auto_copy WHERE user = ?1")                                                  \
    X(AUTO_COPY_ON, "INSERT INTO auto_copy (user, since_ms) VALUES (?1, ?2) ON CONFLICT (user) DO NOTHING")      \
    X(AUTO_COPY_OFF, "DELETE FROM auto_copy WHERE user = ?1")                                                    \
    X(QUEUE_DROP, "DELETE FROM copy_queue WHERE user = ?1 AND taken = 0")                                        \
    X(QUEUE_ADD, "INSERT INTO copy_queue (client, content, license_id, source, user, queued_ms, ends_ms, taken)" \
                 " SELECT u.client, ?4, ?3, ?2, ?1, ?5, ?6, 0 FROM client_user u WHERE u.distributor = 1"        \
                 " AND u.user = ?1 AND u.revoked = 0 AND u.client <> ?2 AND NOT EXISTS (SELECT 1 FROM license l" \
                 " WHERE l.license_id = ?3 AND l.client = u.client AND l.state IN (1, 2, 7))"                    \
                 " ON CONFLICT (client, content) DO UPDATE SET license_id = excluded.license_id,"                \
                 " source = excluded.source, user = excluded.user, queued_ms = excluded.queued_ms,"              \
                 " ends_ms = excluded.ends_ms, taken = 0")                                                       \
    X(QUEUE_NEXT,                                                                                                \
      "SELECT q.content, q.taken FROM copy_queue q WHERE q.client = ?1 AND q.user = ?2 AND q.content > ?3"       \
      " AND q.ends_ms > ?4 AND (q.taken = 1 OR (EXISTS (SELECT 1 FROM license l WHERE l.license_id ="            \
      " q.license_id AND l.client = q.source AND l.state = 1 AND (l.max_copies = 4294967295 OR"                  \
      " l.copies < l.max_copies)) AND NOT EXISTS (SELECT 1 FROM license m WHERE m.license_id = q.license_id"     \
      " AND m.client = q.client AND m.state = 1))) ORDER BY q.content LIMIT 1")                                  \
    X(QUEUE_GET, "SELECT source, license_id FROM copy_queue WHERE client = ?1 AND user = ?2 AND content = ?3"    \
                 " AND ends_ms > ?4 AND taken = 0")                                                              \
    X(QUEUE_TAKEN, "UPDATE copy_queue SET taken = 1 WHERE client = ?1 AND content = ?2")                         \
    X(QUEUE_DONE, "DELETE FROM copy_queue WHERE client = ?1 AND content = ?2 AND taken = 1")                     \
    X(QUEUE_PURGE, "DELETE FROM copy_queue WHERE ends_ms < ?1")                                                  \
    X(ERASE_AUTO_COPY, "DELETE FROM auto_copy WHERE user = ?1")                                                  \
    X(ERASE_QUEUE, "DELETE FROM copy_queue WHERE user = ?1")                                                     \
    X(EXPORT_AUTO_COPY, "SELECT json_object('since_ms', since_ms) FROM auto_copy WHERE user = ?1")               \
    X(EXPORT_QUEUED, "SELECT json_object('client', lower(hex(client)), 'content', lower(hex(content)),"          \
                     " 'queued_ms', queued_ms, 'ends_ms', ends_ms) FROM copy_queue WHERE user = ?1"              \
                     " ORDER BY client, content")

#endif
