#!/usr/bin/env python3
"""Fills the ledger of a stopped distributor for a bench: fill_ledger.py STATE-DIR ROWS.

Postings of two lines, a sale to one of 100,000 users each, that satisfy every rule of the schema; its triggers and indices are put
back as they were and the books are judged afterwards."""
import sqlite3
import sys

USERS = 100_000


def fill(db, postings):
    (line,) = db.execute("SELECT coalesce(max(number), 0) FROM ledger").fetchone()
    (posting,) = db.execute("SELECT coalesce(max(number), 0) FROM posting").fetchone()
    row = db.execute("SELECT balance FROM ledger WHERE account = 'revenue' ORDER BY number DESC LIMIT 1").fetchone()
    revenue = row[0] if row else 0
    numbers = "WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < ?) "
    db.execute(
        numbers + "INSERT INTO posting (number, reference, kind, product, time_ms, text)"
        " SELECT ? + i + 1, 'fill:' || printf('%010d', i), 2, 1, 1700000000000 + i, 'Copy: Track ' || (i % 1000) FROM n",
        (postings, posting))
    db.execute(
        numbers + "INSERT INTO ledger (number, posting, account, amount, balance)"
        " SELECT ? + 2 * i + k + 1, ? + i + 1, CASE k WHEN 0 THEN 'user:fill' || (i % ?) ELSE 'revenue' END,"
        " CASE k WHEN 0 THEN -1 ELSE 1 END, CASE k WHEN 0 THEN -(i / ?) - 1 ELSE ? + i + 1 END"
        " FROM n, (SELECT 0 AS k UNION ALL SELECT 1)",
        (postings, line, posting, USERS, USERS, revenue))
    db.execute("INSERT INTO counter (name, value) VALUES ('movement', ?)"
               " ON CONFLICT (name) DO UPDATE SET value = excluded.value", (posting + postings,))


def main():
    path, rows = sys.argv[1] + "/operations.db", int(sys.argv[2])
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("PRAGMA cache_size = -1000000")
    db.execute("PRAGMA synchronous = OFF")
    db.execute("BEGIN IMMEDIATE")
    removed = db.execute("SELECT type, name, sql FROM sqlite_master WHERE tbl_name IN ('ledger', 'posting')"
                         " AND type IN ('trigger', 'index') AND sql IS NOT NULL").fetchall()
    for kind, name, _ in removed:
        db.execute(f"DROP {kind} {name}")
    fill(db, rows // 2)
    for kind, _, sql in sorted(removed, key=lambda r: r[0]):
        db.execute(sql)
    db.execute("COMMIT")
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    db.close()


main()
