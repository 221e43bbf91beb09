#!/usr/bin/python3
"""Databases that earlier versions of the programs made (tests/old) are opened by these: every table is judged, nothing is lost; one of a newer version is refused."""
import atexit
import os
import shutil
import sqlite3
import subprocess
import tempfile

from household import PROGRAMS, Device, Process, Refused, enter_namespace, make_track, reference_digest, run_cases, run_json, wait_for

enter_namespace()
OLD = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "old")
VERSIONS = sorted((d for d in os.listdir(OLD) if d.startswith("version-")), key=lambda d: int(d.split("-")[1]))
root = tempfile.mkdtemp(prefix="hearth-test-")
if os.environ.get("HEARTH_TEST_KEEP") != "1":
    atexit.register(shutil.rmtree, root, True)

# What a migration makes of a table, where it is not just more columns: {table: (statement over the old one, the same over the new one)}.
MADE_INTO = {
    "counter": ("SELECT * FROM counter WHERE name <> 'directory-cursor'",) * 2,  # the directory is read again once, for the chains over its rows
    "ledger": ("SELECT number, account, amount, balance FROM ledger ORDER BY number", "SELECT number, account, amount, balance FROM ledger ORDER BY number"),
}
GONE = {"sqlite_sequence", "key_block_part"}  # blocks of another format were of no use: a new one is issued


def sql_of(folder, name):
    with open(os.path.join(OLD, folder, name)) as f:
        return f.read()


def database(text, path=":memory:"):
    db = sqlite3.connect(path)
    version, script = text.split("\n", 1)
    db.executescript(script)
    db.execute(version)
    db.commit()
    return db


def unhex(folder, to):
    for where, _, names in os.walk(os.path.join(OLD, folder)):
        for name in names:
            if name.endswith(".sql"):
                continue
            path = os.path.join(to, os.path.relpath(where, os.path.join(OLD, folder)), name)
            os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
            with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as f:
                f.write(bytes.fromhex(open(os.path.join(where, name)).read()))


def state_of(version):
    state = os.path.join(root, version)
    shutil.rmtree(state, ignore_errors=True)
    os.makedirs(os.path.join(state, "bodies"), mode=0o700)
    unhex(os.path.join(version, "aurora"), state)
    database(sql_of(version, "aurora/operations.sql"), os.path.join(state, "operations.db")).close()
    os.chmod(os.path.join(state, "operations.db"), 0o600)
    return state


def admin(state, *args):
    return run_json([PROGRAMS["hearth-distributor"], "--state-dir", state, "--json", *args])


def tables(db):
    return {t for t, in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")} - GONE


def columns(db, table):
    return [row[1] for row in db.execute(f"PRAGMA table_info({table})")]


def judge_tables(old, new, may_change=()):
    """Each row of each old table is in the new one, value by value."""
    for table in sorted(tables(old) - set(may_change)):
        assert table in tables(new), f"{table} is gone"
        before, after = MADE_INTO.get(table, (None, None))
        if before is None or (table != "counter" and columns(old, table) == columns(new, table)):
            names = ", ".join(f'"{c}"' for c in columns(old, table))
            assert set(columns(old, table)) <= set(columns(new, table)), f"{table} lost columns: {set(columns(old, table)) - set(columns(new, table))}"
            before = after = f"SELECT {names} FROM {table}"
        was, now = sorted(map(repr, old.execute(before))), sorted(map(repr, new.execute(after)))
        assert was == now, f"{table}: {set(was) ^ set(now)}"
    assert new.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert new.execute("PRAGMA foreign_key_check").fetchall() == []


def opened(version):
    def case():
        state = state_of(version)
        old = database(sql_of(version, "aurora/operations.sql"))
        stats = admin(state, "stats")  # opens, migrates
        new = sqlite3.connect(f"file:{os.path.join(state, 'operations.db')}?mode=ro", uri=True)
        assert new.execute("PRAGMA user_version").fetchone() > old.execute("PRAGMA user_version").fetchone()
        judge_tables(old, new)
        count = lambda statement: old.execute(statement).fetchone()[0]
        assert stats["accounts"] == count("SELECT count(*) FROM account") == 2
        assert stats["licenses"] == count("SELECT count(*) FROM license WHERE state IN (1, 2)") > 0 and stats["certificates"] == count("SELECT count(*) FROM certificate") >= 3
        admin(state, "ledger", "check")
        # Everything that was bought, paid and given back is in the ledger as today's commands show it.
        assert new.execute("SELECT sum(amount) FROM ledger").fetchone() == (0,)
        owed = {u["user"]: u.get("balance") for u in admin(state, "user", "list")["users"]}
        assert set(owed) == {"alice", "mallory"}
        for user in owed:
            ours = count(f"SELECT coalesce(sum(amount), 0) FROM ledger WHERE account = 'user:{user}'")
            assert admin(state, "ledger", "user", user) and new.execute("SELECT coalesce(sum(amount), 0) FROM ledger WHERE account = ?", (f"user:{user}",)).fetchone() == (ours,)
        for command in (("device", "list"), ("content", "list"), ("product", "list"), ("partner", "list"), ("directory", "show"), ("settings",), ("holder", "list"),
                        ("payment", "list"), ("settlement", "list"), ("certificate", "list"), ("user", "export", "alice"), ("id",), ("restore", "lost")):
            admin(state, *command)
        new.close()
        subprocess.run([PROGRAMS["hearth-distributor"], "--state-dir", state, "stats", "--openmetrics"], check=True, capture_output=True)
        backup = state + ".backup"  # and it is as good as one that was made today
        admin(state, "backup", backup)
        admin(state + ".again", "restore", backup)
    return case


def serves(version):
    def case():
        state = state_of(version)
        process = Process([PROGRAMS["hearth-distributor"], "--state-dir", state, "serve", "--address-file", state + ".address", "--listen", "127.0.0.1:0"], state + ".log")
        wait_for("it serves", lambda: os.path.exists(state + ".address") or not process.running())
        assert process.running(), open(state + ".log").read()
        track = make_track(os.path.join(root, "new.flac"), 1, seed=9)
        content = (admin(state, "publish", track, "--price", "1", "--copy-price", "0").get("published"))[0]["content"]
        password = os.path.join(root, "password")
        with open(os.open(password, os.O_WRONLY | os.O_CREAT, 0o600), "w") as f:
            f.write("correct horse\n")
        study = Device(root, version + "-study").start()
        study("register", "hearth://" + open(state + ".address").read().strip() + "#" + admin(state, "id")["id"], "--user", "alice", "--password-file", password)
        study("get", content, "--yes")
        assert study.digest(content) == reference_digest(track)  # its new key block opens
        study.stop()
        process.stop()
        assert process.child.returncode == 0
        assert "transaction failed" not in open(state + ".log").read()
        admin(state, "ledger", "check")
    return case


def directory(version):
    def case():
        state = os.path.join(root, version + "-directory")
        admin(state, "init", "--name", "directory", "--listen", "127.0.0.1:0", "--directory")
        path = os.path.join(state, "directory.db")
        old = database(sql_of(version, "directory/directory.sql"))
        database(sql_of(version, "directory/directory.sql"), path).close()
        admin(state, "backup", state + ".backup")  # opens it
        new = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
        judge_tables(old, new)
        assert new.execute("SELECT count(*) FROM share").fetchone()[0] > 10
    return case


def device(version):
    def case():
        kitchen = Device(root, version + "-kitchen")
        os.makedirs(os.path.join(kitchen.state, "vault"), mode=0o700)
        unhex(os.path.join(version, "kitchen"), kitchen.state)
        for name, to in (("hearthd.sql", "hearthd.db"), ("vault/vault.sql", "vault/vault.db")):
            database(sql_of(version, f"kitchen/{name}"), os.path.join(kitchen.state, to)).close()
            os.chmod(os.path.join(kitchen.state, to), 0o600)
        kitchen.start()
        licenses = {t["license"] for t in kitchen.library()}
        assert "valid" in licenses and len(kitchen.library()) >= 3, kitchen.library()
        assert [a["name"] for a in kitchen("accounts")["accounts"]] == ["aurora"]
        kitchen.stop()
        for name, to, free in (("hearthd.sql", "hearthd.db", {"address", "setting"}), ("vault/vault.sql", "vault/vault.db", set())):
            old = database(sql_of(version, f"kitchen/{name}"))
            new = sqlite3.connect(f"file:{os.path.join(kitchen.state, to)}?mode=ro", uri=True)
            for table in tables(old) - free:
                assert table in tables(new), f"{table} is gone"
                assert new.execute(f"SELECT count(*) FROM {table}").fetchone()[0] >= old.execute(f"SELECT count(*) FROM {table}").fetchone()[0], table
    return case


def newer():
    state = state_of(VERSIONS[-1])
    admin(state, "stats")
    path = os.path.join(state, "operations.db")
    db = sqlite3.connect(path)
    db.execute("PRAGMA user_version=100000")
    db.commit()
    db.close()
    before = open(path, "rb").read()
    for command in (("stats",), ("ledger", "check"), ("backup", state + ".newer"), ("restore", "--here")):
        try:
            admin(state, *command)
            raise AssertionError("a newer database was opened")
        except Refused as refusal:
            assert refusal.code == "not-permitted" and "newer" in refusal.message, refusal
    done = subprocess.run([PROGRAMS["hearth-distributor"], "--state-dir", state, "serve", "--listen", "127.0.0.1:0"], capture_output=True, text=True, timeout=30)
    assert done.returncode == 1 and "newer version" in done.stderr, done
    assert open(path, "rb").read() == before


run_cases([(f"{v}: every table", opened(v)) for v in VERSIONS] + [(f"{v}: it serves", serves(v)) for v in VERSIONS] +
          [(f"{v}: a directory's", directory(v)) for v in VERSIONS] + [(f"{v}: a device's", device(v)) for v in VERSIONS] +
          [("a newer one is refused and left alone", newer)])
