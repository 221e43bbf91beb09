#!/usr/bin/python3
"""Databases that earlier versions of the programs made (tests/old) are opened by these: every table is judged, nothing is lost; one of a newer version is refused."""
import atexit
import os
import shutil
import signal
import socket
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


def device_of(version, name):
    kitchen = Device(root, name + "-kitchen")
    os.makedirs(os.path.join(kitchen.state, "vault"), mode=0o700)
    unhex(os.path.join(version, "kitchen"), kitchen.state)
    for name, to in (("hearthd.sql", "hearthd.db"), ("vault/vault.sql", "vault/vault.db")):
        database(sql_of(version, f"kitchen/{name}"), os.path.join(kitchen.state, to)).close()
        os.chmod(os.path.join(kitchen.state, to), 0o600)
    return kitchen


def device(version):
    def case():
        kitchen = device_of(version, version).start()
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


# ---- an older program ----

def content_of(path):
    db = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    try:
        return db.execute("PRAGMA user_version").fetchall(), list(db.iterdump())
    finally:
        db.close()


def raise_version(path):
    db = sqlite3.connect(path)
    db.execute("PRAGMA user_version=100000")
    db.commit()
    db.close()
    return content_of(path)


def unchanged(path, before):
    assert content_of(path) == before, f"{path} was changed"


def newer_operations():
    state = state_of(VERSIONS[-1])
    admin(state, "stats")
    path = os.path.join(state, "operations.db")
    before = raise_version(path)
    for command in (("stats",), ("ledger", "check"), ("backup", state + ".newer"), ("restore", "--here")):
        try:
            admin(state, *command)
            raise AssertionError("a newer database was opened")
        except Refused as refusal:
            assert refusal.code == "not-permitted" and "newer version of this program: install that" in refusal.message, refusal
    done = subprocess.run([PROGRAMS["hearth-distributor"], "--state-dir", state, "serve", "--listen", "127.0.0.1:0"], capture_output=True, text=True, timeout=30)
    assert done.returncode == 1 and "newer version" in done.stderr, done
    unchanged(path, before)


def newer_directory():
    state = os.path.join(root, "newer-directory")
    admin(state, "init", "--name", "directory", "--listen", "127.0.0.1:0", "--directory")
    admin(state, "backup", state + ".backup")
    path = os.path.join(state, "directory.db")
    before = raise_version(path)
    done = subprocess.run([PROGRAMS["hearth-distributor"], "--state-dir", state, "serve", "--listen", "127.0.0.1:0"], capture_output=True, text=True, timeout=30)
    assert done.returncode == 1 and "newer version" in done.stderr, done
    unchanged(path, before)


def newer_device():
    """First hearthd's own, then the vault's: hearthd ends, the log says what to do, nothing is changed; with the number put back all is there."""
    kitchen = device_of(VERSIONS[-1], "newer")
    kitchen.start()
    tracks = len(kitchen.library())
    kitchen.stop()
    for name in ("hearthd.db", "vault/vault.db"):
        path = os.path.join(kitchen.state, name)
        db = sqlite3.connect(path)
        version = db.execute("PRAGMA user_version").fetchone()[0]
        db.close()
        before = raise_version(path)
        kitchen.start(wait=False)
        wait_for("it ends", lambda: not kitchen.process.running())
        said = open(kitchen.log).read()
        assert kitchen.process.child.returncode == 65 and ("vault.db was made" if name != "hearthd.db" else "this database was made") in said and "made by a newer version of hearth: install that again" in said, said
        unchanged(path, before)
        db = sqlite3.connect(path)
        db.execute(f"PRAGMA user_version={version}")
        db.commit()
        db.close()
    kitchen.start()
    assert len(kitchen.library()) == tracks
    kitchen.stop()


# ---- cut off ----

ALL = os.environ.get("HEARTH_KILLS") == "all"
WRITES = "pwrite64,fsync,fdatasync,ftruncate,unlink"


def traced(options, command, is_ready, **more):
    """Its exit status. What serves is ended once it is ready."""
    child = subprocess.Popen(["strace", "-qq", "-o", os.path.join(root, "trace"), "-e", "trace=" + WRITES, *options, *command], stdin=subprocess.DEVNULL,
                             stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **more)
    try:
        if is_ready:
            wait_for("it is ready, or has ended", lambda: child.poll() is not None or is_ready())
            try:
                with open(f"/proc/{child.pid}/task/{child.pid}/children") as f:
                    for pid in map(int, f.read().split()):
                        os.kill(pid, signal.SIGTERM)
            except (FileNotFoundError, ProcessLookupError):
                pass  # it has ended
        return child.wait(60)
    finally:
        child.kill()
        child.wait()


def cut_off(prepare, path, command, judge, is_ready=None, most=200, distinct=3, **more):
    """SIGKILL at each of the writes that a migration makes to the disk: what is left is of one version or the other, and the next start finishes it."""
    if subprocess.run(["strace", "-qq", "-o", "/dev/null", "true"], capture_output=True).returncode != 0:
        return "SKIP strace is not installed or may not trace"
    run = lambda *options: traced(options, command, is_ready, **more)
    prepare()
    assert run() == 0, command
    with open(os.path.join(root, "trace")) as f:
        count = sum(1 for line in f if line.split("(")[0] in WRITES.split(","))
    versions, killed = set(), 0
    places = range(1, count + 1, 1 if ALL else 1 + count // most * 2)  # of the many of a distributor each fifth
    for at in places:
        prepare()
        killed += run("-e", f"inject={WRITES}:signal=KILL:when={at}") != 0
        copy = path + ".copy"
        for end in ("", "-wal"):
            if os.path.exists(path + end):
                shutil.copy(path + end, copy + end)
        db = sqlite3.connect(copy)
        versions.add(db.execute("PRAGMA user_version").fetchone()[0])
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        db.close()
        for end in ("", "-wal", "-shm"):
            if os.path.exists(copy + end):
                os.unlink(copy + end)
        assert run() == 0, f"not opened after the kill at write {at}"
        judge()
    print(f"# {count} writes, killed at {killed} of {len(places)} tried; versions found between: {sorted(versions)}")
    assert killed > len(places) // 2 and len(versions) >= distinct, (count, killed, versions)


def cut_off_distributor():
    state, version = os.path.join(root, VERSIONS[0]), VERSIONS[0]
    old, path = database(sql_of(version, "aurora/operations.sql")), os.path.join(root, version, "operations.db")

    def judge():
        new = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
        judge_tables(old, new)
        new.close()
    return cut_off(lambda: state_of(version), path, [PROGRAMS["hearth-distributor"], "--state-dir", state, "stats"], judge)


def cut_off_vault():
    """The vault alone, as hearthd starts it: with two channels, and nobody at the other end."""
    version, places = VERSIONS[0], {}
    old = database(sql_of(version, "kitchen/vault/vault.sql"))
    state = os.path.join(root, "cut-off-kitchen", "state", "vault")

    def prepare():
        shutil.rmtree(os.path.join(root, "cut-off-kitchen"), ignore_errors=True)
        device_of(version, "cut-off")

    def channels():
        for fd in (3, 4):
            os.dup2(places["end"].fileno(), fd)
            os.set_inheritable(fd, True)  # also where it had this number before

    def judge():
        new = sqlite3.connect(f"file:{os.path.join(state, 'vault.db')}?mode=ro", uri=True)
        for table in sorted(tables(old) - {"device", "changes"}):
            names = ", ".join(f'"{c}"' for c in columns(old, table))
            assert set(map(repr, old.execute(f"SELECT {names} FROM {table}"))) <= set(map(repr, new.execute(f"SELECT {names} FROM {table}"))), table
        assert new.execute("SELECT count(*) FROM whole").fetchone() == (1,)
        new.close()
    ours, places["end"] = socket.socketpair()
    ours.close()
    return cut_off(prepare, os.path.join(state, "vault.db"), [PROGRAMS["hearth-vault"], "--state-dir", state], judge, preexec_fn=channels, close_fds=False)


def cut_off_hearthd():
    version = VERSIONS[0]
    kitchen = device_of(version, "cut-off-hearthd")
    old, path = database(sql_of(version, "kitchen/hearthd.sql")), os.path.join(kitchen.state, "hearthd.db")

    def prepare():
        shutil.rmtree(kitchen.dir)
        device_of(version, "cut-off-hearthd")

    def is_ready():
        return kitchen("status")

    def judge():
        new = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
        for table in tables(old) - {"address", "setting"}:
            assert new.execute(f"SELECT count(*) FROM {table}").fetchone()[0] >= old.execute(f"SELECT count(*) FROM {table}").fetchone()[0], table
        new.close()
    return cut_off(prepare, path, [PROGRAMS["hearthd"], "--state-dir", kitchen.state, "--runtime-dir", kitchen.dir, "--name", "kitchen", "--listen", "127.0.0.1:0"], judge,
                   is_ready, 10)


def cut_off_directory():
    """Its first command opens it and makes a backup."""
    version, state = VERSIONS[0], os.path.join(root, "cut-off-directory")
    old, path = database(sql_of(version, "directory/directory.sql")), os.path.join(state, "directory.db")
    admin(state, "init", "--name", "directory", "--listen", "127.0.0.1:0", "--directory")

    def prepare():
        for end in ("", "-wal", "-shm"):
            if os.path.exists(path + end):
                os.unlink(path + end)
        database(sql_of(version, "directory/directory.sql"), path).close()

    def judge():
        new = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
        judge_tables(old, new)
        new.close()
    backup = f"rm -rf {state}.backup && exec {PROGRAMS['hearth-distributor']} --state-dir {state} backup {state}.backup"
    return cut_off(prepare, path, ["sh", "-c", backup], judge, most=10, distinct=2)  # there was one migration


run_cases([(f"{v}: every table", opened(v)) for v in VERSIONS] + [(f"{v}: it serves", serves(v)) for v in VERSIONS] +
          [(f"{v}: a directory's", directory(v)) for v in VERSIONS] + [(f"{v}: a device's", device(v)) for v in VERSIONS] +
          [("a distributor's newer one is refused and left alone", newer_operations), ("a directory's newer one, too", newer_directory),
           ("a device's newer ones, too", newer_device), ("a distributor's migration that is killed at each write loses nothing", cut_off_distributor),
           ("a vault's, too", cut_off_vault), ("a device's, too", cut_off_hearthd), ("a directory's, too", cut_off_directory)])
