"""A distributor whose disk is recorded, what it has said, and one that starts on what a power loss left of it."""
import hashlib
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "household"))
import states  # noqa: E402
from household import BUILD, PROGRAMS, Distributor, Refused, rows_of, run_json  # noqa: E402

RECORDER = os.path.join(BUILD, "tests", "powerloss", "librecorder.so")
# Of these, no row of another history may be there: it would have been paid, or a number given, twice.
GROW = ("ledger", "posting", "license", "certificate", "copy_history", "leaf_client", "key_block")
# What a server changes when it starts, or a moment later, with nobody there.
OF_A_START = ("serving",)


def mount(folder, size="256m"):
    os.makedirs(folder, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"mode=700,size={size}", "tmpfs", folder], check=True)


class Recorded(Distributor):
    """Its state directory and its backups lie on a file system of their own; every program that works on it is recorded."""

    def __init__(self, root, name, **options):
        self.disk = os.path.join(root, name)
        self.recording = os.path.join(root, f"{name}.recording")
        mount(self.disk)
        self.before = ["env", f"RECORDER_ROOT={self.disk}", f"RECORDER_LOG={self.recording}", f"LD_PRELOAD={RECORDER}"]
        super().__init__(self.disk, name, **options)
        self.log = os.path.join(root, f"{name}.log")

    def said(self, what, **more):
        """Somebody was told; from here on it is so. While it serves: who looks at the database with nobody there leaves files beside it."""
        states.mark(self.recording, {"what": what, "facts": facts(self.dir), **more})


def digest(data):
    return hashlib.sha256(data).hexdigest()[:16]


def table_facts(db, table):
    """{"table key": digest of the row}"""
    columns = db.execute(f"SELECT name, pk FROM pragma_table_info('{table}')").fetchall()
    keys = [i for i, c in enumerate(columns) if c[1]] or range(len(columns))
    return {f"{table} {[row[i].hex() if isinstance(row[i], bytes) else row[i] for i in keys]}": digest(repr(row).encode())
            for row in db.execute(f'SELECT * FROM "{table}"')}


def facts(folder):
    """What its database and its files hold: each row, each key, each body."""
    found = {}
    db = sqlite3.connect(f"file:{os.path.join(folder, 'operations.db')}?mode=ro", uri=True)
    try:
        for table, in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'").fetchall():
            if table not in OF_A_START:
                found.update(table_facts(db, table))
    finally:
        db.close()
    for part in ("keys", "bodies"):
        for entry in os.scandir(os.path.join(folder, part)) if os.path.isdir(os.path.join(folder, part)) else ():
            try:
                with open(entry.path, "rb") as f:
                    found[f"file {part}/{entry.name}"] = digest(f.read())
            except FileNotFoundError:
                pass  # a server ends what it has begun
    return found


def judge_facts(now, known, after, final):
    """known: what was said last; after: what will be said next; final: at the end of the story."""
    for key, value in known.items():
        if after.get(key) == value:
            assert now.get(key) == value, f"{key} was said, and is {'changed' if key in now else 'gone'}"
    for key, value in now.items():
        table = key.split(" ", 1)[0]
        if table in GROW:
            assert key in final, f"{key} is there, and was never given"
        if table in ("ledger", "posting"):
            assert final[key] == value, f"{key} is another than it was"


class Found(Distributor):
    """A distributor that starts on what was left."""

    def __init__(self, like, disk):  # pylint: disable=super-init-not-called
        self.name, self.host, self.port = like.name, like.host, like.port
        self.disk = disk
        self.dir = os.path.join(disk, like.name)
        self.log = os.path.join(disk, "found.log")
        self.process = None

    def begin(self):
        began = time.monotonic()
        self.start()
        return time.monotonic() - began

    def judge(self, known, after, final):
        judge_facts(facts(self.dir), known, after, final)
        numbers = [n for n, in rows_of(os.path.join(self.dir, "operations.db"), "SELECT number FROM ledger ORDER BY number")]
        assert numbers == list(range(1, len(numbers) + 1)), f"the ledger has gaps: {numbers}"

    def judge_ledger(self):
        check = self.admin("ledger", "check")
        assert check["balanced"], check

    def judge_backup(self, entries):
        """A backup that has its name is whole; else one can be made. entries: of the ledger, when it was said to be made; else 0."""
        backup = os.path.join(self.disk, "backup")
        assert os.path.isdir(backup) or entries == 0, "a backup that was made is gone"
        if not os.path.isdir(backup):
            self.admin("backup", backup)
        elsewhere = os.path.join(self.disk, "elsewhere")
        program = [PROGRAMS["hearth-distributor"], "--state-dir", elsewhere, "--json"]
        run_json([*program, "restore", backup])
        check = run_json([*program, "ledger", "check"])
        assert check["balanced"] and check["entries"] >= entries, (check, entries)

    def end(self):
        if self.process:
            self.process.kill()

    def said(self):
        return open(self.log).read()[-1500:] if os.path.exists(self.log) else ""


def new_disk(within):
    return tempfile.mkdtemp(prefix="state-", dir=within)


def drop(disk):
    shutil.rmtree(disk, ignore_errors=True)


# ---- a database that moves to a server ----

def phases(records, begin):
    """For each call of a move that began there, which of the databases on the server there can be then: it is changed between calls of ours. The file says
    in one commit that it has moved: before that, nothing is there, or a part; after it the part is declared whole."""
    log, written, synced, result = None, False, False, {}
    for i, (kind, inode, offset, path, _, _, _) in enumerate(records):
        if i < begin or kind == states.MARK:
            continue
        if kind == states.CREATE and path.endswith("/operations.db-wal"):
            log = inode
        written |= kind == states.WRITE and inode == log and offset > 0
        now_synced = synced or (written and kind == states.SYNC and inode == log)
        result[i] = ("complete",) if synced else ("part", "complete") if now_synced else ("part",) if written else ("nothing", "part")
        synced = now_synced
    return result


class Moving:
    """The databases on the server that a move can have left there."""

    def __init__(self, cluster, name):
        self.cluster, self.name = cluster, name
        self.to = f"postgresql:{cluster.connection} dbname={name}"
        cluster.create(name)
        cluster.create("nothing")

    def keep(self):
        """The move is done: as it is now, and as it was before it was declared whole."""
        self.cluster.sql("postgres", f"CREATE DATABASE complete TEMPLATE {self.name}")
        self.cluster.sql("postgres", f"CREATE DATABASE part TEMPLATE {self.name}")
        self.cluster.sql("part", "UPDATE store_state SET turn = turn + 1, changes = changes + 1; UPDATE setting SET value = 'yes' WHERE name = 'incomplete'")

    def be(self, which):
        self.cluster.sql("postgres", f"DROP DATABASE IF EXISTS {self.name}")
        self.cluster.sql("postgres", f"CREATE DATABASE {self.name} TEMPLATE {which}")

    def judge(self, found, which, was_moved, entries):
        """Which of the two counts, as the distributor finds it; then the move is said again, and ends."""
        self.be(which)
        try:
            embedded = found.admin("database", "show")["embedded"]
            check = found.admin("ledger", "check")
            assert check["balanced"] and check["entries"] == entries, check
            assert embedded == (which != "complete"), f"embedded: {embedded}, on the server: {which}"
            assert not (embedded and was_moved), "it was said to have moved"
        except Refused as refusal:  # the file says that it has moved, and the choice is not written: nobody serves either
            assert refusal.code == "not-permitted" and not was_moved and which != "nothing", refusal
        found.admin("database", "move", "--to", self.to)
        check = found.admin("ledger", "check")
        assert check["balanced"] and check["entries"] == entries, check
        assert not found.admin("database", "show")["embedded"] and not os.path.exists(os.path.join(found.dir, "operations.db"))
