#!/usr/bin/python3
"""Devices that leave, are lost, and are replaced: what was bought comes back, once, and costs nothing; what left gets nothing new."""
import os
import sqlite3
import subprocess

from household import PROGRAMS, Household, enter_namespace, make_track, reference_digest, run_cases, wait_for

enter_namespace()
h = Household().settle()
paths = [make_track(os.path.join(h.root, f"t{n}.flac"), 2, seed=60 + n) for n in range(4)]
tracks = [h.publish(p, "--price", "1", "--max-copies", "5", "--copy-depth", "1") for p in paths]


def sql(statement, *values, distributor=None):
    db = sqlite3.connect(f"file:{os.path.join((distributor or h.aurora).dir, 'operations.db')}?mode=ro", uri=True)
    try:
        return db.execute(statement, values).fetchall()
    finally:
        db.close()


def client(device):
    return next(d["client"] for d in device("devices")["devices"] if d.get("self"))


def leaves():
    return [row[0] for row in sql("SELECT leaf FROM leaf_client WHERE distributor = 1 ORDER BY leaf")]


def balance():
    return h.kitchen("accounts")["accounts"][0]["balance"]


def unregisters():
    h.attic("get", tracks[0], "--yes")
    before, owed = sql("SELECT max(version) FROM key_block WHERE distributor = 1")[0][0], balance()
    try:
        h.attic("unregister", "aurora")
        raise AssertionError("it did not ask")
    except Exception as refusal:
        assert getattr(refusal, "status", None) == 2, refusal
    h.attic("unregister", "aurora", "--yes")
    assert sql("SELECT max(version) FROM key_block WHERE distributor = 1")[0][0] > before  # without its leaf
    wait_for("kitchen's roster is without it", lambda: not h.kitchen.sees("attic"))
    h.kitchen("get", tracks[1], "--yes")
    h.kitchen.refused("device-revoked", "copy", tracks[1], "--to", h.attic_id)
    h.attic.refused("not-registered", "get", tracks[1], "--yes")
    assert balance() == owed - 100  # the kitchen's purchase alone


def comes_back():
    owed, old = balance(), leaves()
    h.attic.register(h.aurora, "alice", h.passwords["alice"])
    assert len(set(leaves())) == len(leaves()) and leaves() != old  # another leaf
    refusal = h.attic.refused("no-license", "play", tracks[0], "--output", "digest")
    assert "earlier registration" in str(refusal), refusal
    refusal = h.attic.refused("already", "get", tracks[0], "--yes")  # not bought twice without being told
    assert balance() == owed
    back = h.attic("restore")["tracks"]
    assert [t["content"] for t in back] == [tracks[0]], back
    assert h.attic.digest(tracks[0]) == reference_digest(paths[0])
    assert h.attic("restore")["tracks"] == []  # again is harmless
    assert balance() == owed


def replacement():
    """A lost device is removed; what it had comes to its replacement, and to nobody else."""
    owed = balance()
    h.attic.kill()
    h.kitchen("devices", "remove", "attic")
    spare = h.device("spare", h.aurora, "alice")
    back = spare("restore")["tracks"]
    assert [t["content"] for t in back] == [tracks[0]], back
    assert spare.digest(tracks[0]) == reference_digest(paths[0])
    assert h.kitchen("restore")["tracks"] == []  # given again once
    assert balance() == owed
    assert sql("SELECT count(*) FROM license WHERE content = ? AND state = 1", bytes_of(tracks[0])) == [(1,)]


def moved_to_a_lost_device():
    """A move whose destination was lost before anything arrived: the license comes back when its certificate has ended; one that arrived comes back at once."""
    h.kitchen("get", tracks[2], "--yes")
    h.kitchen("move", tracks[2], "--to", "bedroom")
    assert not [t for t in h.kitchen.library() if t["content"] == tracks[2]]
    wait_for("it is reported", lambda: not h.bedroom("status")["waiting"] and not h.kitchen("status")["waiting"])
    h.kitchen("get", tracks[3], "--yes")
    bedroom = client(h.bedroom)
    h.bedroom.stop()
    moving = subprocess.Popen([PROGRAMS["hearth"], "--socket", h.kitchen.socket, "move", tracks[3], "--to", "bedroom"], stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL)
    wait_for("the license sleeps", lambda: h.kitchen.track(tracks[3])["license"] == "suspended")
    h.boreal.admin("device", "revoke", bedroom)
    wait_for("aurora knows", lambda: sql("SELECT revoked FROM client_user WHERE client = ?", bytes_of(bedroom)) == [(1,)])
    back = h.kitchen("restore")["tracks"]
    assert [t["content"] for t in back] == [tracks[2]], back  # the other certificate may still be used
    h.kitchen.digest(tracks[2])
    writer = sqlite3.connect(os.path.join(h.aurora.dir, "operations.db"), timeout=20)
    writer.execute("UPDATE certificate SET ends_ms = 1 WHERE move = 1 AND state = 1")
    writer.commit()
    writer.close()
    back = h.kitchen("restore")["tracks"]
    assert [t["content"] for t in back] == [tracks[3]], back
    h.kitchen.digest(tracks[3])
    moving.wait(20)
    assert all(t["state"] not in ("waiting", "running") for t in h.kitchen("transfers")["transfers"])
    assert h.kitchen("restore")["tracks"] == []


def registered_again_elsewhere():
    """A lost device whose license was given again: registering it anew does not bring the old one back to life."""
    h.attic.start()
    wait_for("it hears that it was removed", lambda: h.attic("accounts")["accounts"][0]["removed"])
    h.attic.register(h.aurora, "alice", h.passwords["alice"])
    h.attic.refused("no-license", "play", tracks[0], "--output", "digest")
    h.attic("get", tracks[1], "--yes", "--again")  # it has shown that it is no older copy of itself
    assert h.attic.digest(tracks[1]) == reference_digest(paths[1])
    assert h.attic("restore")["tracks"] == []
    h.bedroom.start()
    h.bedroom.register(h.boreal, "alina", h.passwords["alina"])
    assert tracks[2] in [t["content"] for t in h.bedroom.library()]
    h.bedroom.refused("no-license", "play", tracks[2], "--output", "digest")
    h.kitchen.digest(tracks[2])


def ledger():
    assert sql("SELECT coalesce(sum(amount), 0) FROM ledger") == [(0,)]


def bytes_of(text):
    import base64
    return base64.b32decode(text.upper() + "=" * (-len(text) % 8))


h.attic_id = client(h.attic)
run_cases([("a device that unregisters is out", unregisters), ("registered again, it gets back what was bought", comes_back),
           ("a lost device's replacement", replacement), ("what was moved to a lost device", moved_to_a_lost_device), ("a lost device registers again", registered_again_elsewhere), ("the ledger sums to zero", ledger)])
