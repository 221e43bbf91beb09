#!/usr/bin/python3
"""A distributor that has lost thousands of devices: its key blocks are in parts, and everybody else goes on, here and at its partners. The leaves of
the earlier losses are written into its database; everything after that goes through the programs."""
import os
import sqlite3

from household import Household, Refused, enter_namespace, make_track, reference_digest, run_cases, wait_for

LOST = 3000
enter_namespace()
h = Household().settle()
paths = [make_track(os.path.join(h.root, f"t{n}.flac"), 2, seed=40 + n) for n in range(5)]
ours = [h.publish(p, "--price", "1", "--max-copies", "5", "--copy-depth", "1") for p in paths[:4]]
theirs = h.publish(paths[4], "--price", "1", "--max-copies", "5", "--copy-depth", "1", distributor=h.boreal)


def sql(statement, *values, at=None):
    db = sqlite3.connect(f"file:{os.path.join((at or h.boreal).dir, 'operations.db')}?mode=ro", uri=True)
    try:
        return db.execute(statement, values).fetchall()
    finally:
        db.close()


def newest(at=None, own=True):
    return sql(f"SELECT kind, version FROM key_block WHERE distributor {'=' if own else '<>'} 1 ORDER BY version DESC LIMIT 1", at=at)[0]


def client(device):
    return next(d["client"] for d in device("devices")["devices"] if d.get("self"))


def lose(device):
    name = client(device)
    h.boreal.admin("device", "revoke", name)
    return name


def chosen_by_size():
    den = h.device("den", h.boreal, "alina")
    writer = sqlite3.connect(os.path.join(h.boreal.dir, "operations.db"), timeout=20)
    writer.executemany("INSERT INTO revoked_leaf (category, leaf, client, revoked_ms) SELECT category, ?, randomblob(32), 1 FROM leaf_client LIMIT 1",
                       [(1000 + 1234567 * n % 2**32,) for n in range(LOST)])
    writer.commit()
    writer.close()
    assert newest()[0] == 1
    lose(den)
    assert newest() == (2, 2)
    assert sql("SELECT count(*) > 4 FROM key_block_part") == [(1,)]


def buys():
    h.bedroom("get", theirs, "--yes")
    assert h.bedroom.digest(theirs) == reference_digest(paths[4])


def copies():
    h.kitchen("get", ours[0], "--yes")
    h.kitchen("copy", ours[0], "--to", "bedroom")
    assert h.bedroom.digest(ours[0]) == reference_digest(paths[0])
    assert newest(h.aurora, own=False) == (2, 2)
    assert sql("SELECT nonce, root, entries FROM key_block_part ORDER BY first_leaf", at=h.aurora) == sql("SELECT nonce, root, entries FROM key_block_part ORDER BY first_leaf")
    h.bedroom("copy", theirs, "--to", "kitchen")
    assert h.kitchen.digest(theirs) == reference_digest(paths[4])


def one_more():
    spare = h.device("spare", h.boreal, "alina")
    h.kitchen("get", ours[1], "--yes")
    wait_for("kitchen sees spare", lambda: h.kitchen.sees("spare"), 30)
    h.kitchen("copy", ours[1], "--to", "spare")
    before = sql("SELECT count(*) FROM key_block_part")[0][0]
    lost = lose(spare)
    assert newest() == (2, 3)
    assert sql("SELECT count(*) FROM key_block_part WHERE since = 3")[0][0] in (1, 2)
    assert sql("SELECT count(*) FROM key_block_part WHERE until = 3") == [(1,)]
    assert before < sql("SELECT count(*) FROM key_block_part")[0][0] <= before + 2
    wait_for("aurora knows", lambda: sql("SELECT revoked FROM client_user WHERE lower(hex(client)) = ?", id_hex(lost), at=h.aurora) == [(1,)])
    h.kitchen("get", ours[3], "--yes")
    h.kitchen.refused("device-revoked", "copy", ours[3], "--to", lost)
    spare.stop()
    h.kitchen("copy", ours[1], "--to", "bedroom")
    assert h.bedroom.digest(ours[1]) == reference_digest(paths[1])
    assert newest(h.aurora, own=False) == (2, 3)


def from_before():
    assert h.bedroom.digest(ours[0]) == reference_digest(paths[0])
    h.bedroom.kill()
    h.bedroom.start()
    assert h.bedroom.digest(theirs) == reference_digest(paths[4])


def told_otherwise():
    """The operator's word counts from the next revocation on."""
    try:
        h.boreal.admin("settings", "key-block-kind", "mixed")
        raise AssertionError("there is no such kind")
    except Refused as refusal:
        assert "complete-subtree, subset-difference" in str(refusal), refusal
    h.boreal.admin("settings", "key-block-kind", "complete-subtree")
    last = h.device("last", h.boreal, "alina")
    lose(last)
    assert newest() == (1, 4)
    h.kitchen("get", ours[2], "--yes")
    h.kitchen("copy", ours[2], "--to", "bedroom")
    assert h.bedroom.digest(ours[2]) == reference_digest(paths[2])
    assert newest(h.aurora, own=False) == (1, 4)
    assert sql("SELECT count(*) FROM key_block_part", at=h.aurora) == [(0,)]


def id_hex(text):
    import base64
    return base64.b32decode(text.upper() + "=" * (-len(text) % 8)).hex()


run_cases([("the kind is chosen by size", chosen_by_size), ("a device of it buys and plays", buys), ("copies to and from a partner's device", copies),
           ("one more lost device costs one part", one_more), ("what was bought before plays on", from_before), ("the operator chooses", told_otherwise)])
