#!/usr/bin/python3
"""Makes the databases of an earlier version: runs that version's own programs, and writes what they left as text.

    HEARTH_BUILD=CHECKOUT/build/me tests/old/make.py CHECKOUT OUT

CHECKOUT: a work tree of the earlier commit, with its programs built. OUT becomes: aurora/ and directory/ (operations.db, directory.db as SQL; keys/ in hex) and
kitchen/ (hearthd.db, vault.db as SQL; small files in hex), for test_migrations.py. They are committed; nobody needs to run this again but for a newer version."""
import os
import sqlite3
import sys

CHECKOUT, OUT = os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2])
sys.path.insert(0, os.path.join(CHECKOUT, "tests", "household"))
from household import Household, Refused, enter_namespace, make_track, wait_for  # noqa: E402  (the earlier version's)

enter_namespace()


def dump(path, to):
    db = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    version = db.execute("PRAGMA user_version").fetchone()[0]
    os.makedirs(os.path.dirname(to), exist_ok=True)
    with open(to, "w") as f:
        f.write(f"PRAGMA user_version={version};\n")
        f.writelines(line + "\n" for line in db.iterdump())
    db.close()
    print(f"{os.path.relpath(to, OUT)}: version {version}, {os.path.getsize(to)} bytes")


def hexed(path, to):
    os.makedirs(os.path.dirname(to), exist_ok=True)
    with open(path, "rb") as f, open(to, "w") as out:
        out.write(f.read().hex() + "\n")


def perhaps(function):
    """What the earlier version may not have had yet."""
    try:
        return function()
    except Refused as refusal:
        print(f"# not there: {refusal}")


h = Household().settle(stranger=True)
tracks = {}
for seed, name in enumerate(("bought", "copied", "moved", "refunded"), 1):
    path = make_track(os.path.join(h.root, f"{name}.flac"), seconds=1, seed=seed)
    tracks[name] = h.publish(path, "--price", "1.29", "--copy-price", "0.10", "--max-copies", "5", "--copy-depth", "1")
    h.kitchen("get", tracks[name], "--yes")
h.kitchen("copy", tracks["copied"], "--to", "attic")
h.kitchen("copy", tracks["copied"], "--to", "bedroom")
h.kitchen("move", tracks["moved"], "--to", "bedroom")
h.stranger("get", tracks["bought"], "--yes")
h.aurora.admin("ledger", "pay", "alice", "2.00")
listed = h.aurora.admin("ledger")
entry = [e for rows in listed.values() if isinstance(rows, list) for e in rows if e["account"].endswith("alice") and abs(e["amount"]) == 129][-1]
h.aurora.admin("refund", str(entry.get("number", entry.get("entry"))))
h.aurora.admin("invite", "--count", "2")
thief = next(d["client"] for d in h.aurora.admin("device", "list")["devices"] if d["name"] == "stranger")
h.aurora.admin("device", "revoke", thief)
pin = os.path.join(h.root, "pin")
with open(pin, "w") as f:
    f.write("4711\n")
perhaps(lambda: h.kitchen("limit", "aurora", "500", "--password-file", h.passwords["alice"], "--new-pin-file", pin))
perhaps(lambda: h.kitchen("login", "aurora", "--password-file", h.passwords["alice"]))
wait_for("the directory has it all", lambda: len({v for v, in sqlite3.connect(os.path.join(h.aurora.dir, "operations.db")).execute(
    "SELECT value FROM counter WHERE name IN ('outbox', 'outbox-confirmed')")}) == 1)
for device in h.devices.values():
    device.stop()
for d in (h.aurora, h.boreal, h.directory):
    d.stop()
dump(os.path.join(h.aurora.dir, "operations.db"), os.path.join(OUT, "aurora", "operations.sql"))
for name in os.listdir(os.path.join(h.aurora.dir, "keys")):
    hexed(os.path.join(h.aurora.dir, "keys", name), os.path.join(OUT, "aurora", "keys", name))
dump(os.path.join(h.directory.dir, "directory.db"), os.path.join(OUT, "directory", "directory.sql"))
dump(os.path.join(h.kitchen.state, "hearthd.db"), os.path.join(OUT, "kitchen", "hearthd.sql"))
dump(os.path.join(h.kitchen.state, "vault", "vault.db"), os.path.join(OUT, "kitchen", "vault", "vault.sql"))
for folder in ("", "vault"):
    for name in os.listdir(os.path.join(h.kitchen.state, folder)):
        path = os.path.join(h.kitchen.state, folder, name)
        if os.path.isfile(path) and not name.endswith((".db", "-wal", "-shm", ".lock", ".sock")) and os.path.getsize(path) < 4096:
            hexed(path, os.path.join(OUT, "kitchen", folder, name))
