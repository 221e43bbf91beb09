"""A distributor that lies: it signs what it likes with its own key. Not a test itself."""
import base64
import hashlib
import os
import sqlite3
import sys

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "python"))
import formats
import judge
import records


def raw(text):
    return base64.b32decode(text.upper() + "=" * (-len(text) % 8))


class Liar:
    """A distributor that writes what it likes into its outbox; the programs pass it on."""

    def __init__(self, distributor):
        self.distributor = distributor
        with open(os.path.join(self.distributor.dir, "keys", "license.key"), "rb") as f:
            self.license = formats.Signer(f.read())

    def row(self, number, table, removed, record, values):
        return records.envelope_sign("hearth/share/1", records.encode(records.SHARE, {
            "origin": raw(self.distributor.id), "sequence": number, "table": table, "removed": removed, "row": records.encode(record, values)}), self.license)

    def sql(self, statement, *values):
        db = sqlite3.connect(f"file:{os.path.join(self.distributor.dir, 'operations.db')}?mode=ro", uri=True)
        try:
            return db.execute(statement, values).fetchall()
        finally:
            db.close()

    def write(self, statement, *values):
        db = sqlite3.connect(os.path.join(self.distributor.dir, "operations.db"))
        with db:
            db.execute(statement, values)
        db.close()

    def put_all(self, rows):
        """rows: (table, removed, record, values). The number of the last one."""
        db = sqlite3.connect(os.path.join(self.distributor.dir, "operations.db"))
        with db:
            number, head = db.execute("SELECT sequence, head FROM outbox ORDER BY sequence DESC LIMIT 1").fetchone()
            for row in rows:
                number += 1
                envelope = self.row(number, *row)
                head = hashlib.sha256(b"hearth share chain\0" + head + hashlib.sha256(envelope).digest()).digest()
                db.execute("INSERT INTO outbox (sequence, envelope, head) VALUES (?, ?, ?)", (number, envelope, head))
            db.execute("UPDATE counter SET value = ? WHERE name = 'outbox'", (number,))
        db.close()
        return number

    def put(self, *row):
        return self.put_all([row])

    def empty(self, number):
        was, = self.sql("SELECT envelope FROM outbox WHERE sequence = ?", number)[0]
        self.write("UPDATE outbox SET envelope = ? WHERE sequence = ?", self.row(number, 0, True, records.EMPTIED, {"digest": hashlib.sha256(was).digest()}), number)

    def judged(self):
        """By the second implementation: its log as it is now."""
        keyset, = self.sql("SELECT keyset FROM distributor WHERE number = 1")[0]
        rows = self.sql("SELECT envelope, head FROM outbox ORDER BY sequence")
        head, hidden, taken_back = judge.share_log([row[0] for row in rows], records.document_open("keyset", keyset)[0])
        assert head == rows[-1][1]
        return hidden, taken_back
