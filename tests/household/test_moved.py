#!/usr/bin/python3
"""A distributor that grows past one machine: its embedded database moves to PostgreSQL, killed on the way, and the household goes on as if nothing had
happened. HEARTH_SEED: when it is killed."""
import atexit
import contextlib
import os
import random
import shutil
import sqlite3
import subprocess
import time

import cluster
from household import PROGRAMS, Household, Process, Refused, enter_namespace, free_port, make_track, own_mounts, reference_digest, run_cases, run_json, wait_for

enter_namespace()
random.seed(int(os.environ.get("HEARTH_SEED", "1")))
pg = cluster.Cluster(durable=True).__enter__()
atexit.register(pg.__exit__)
h = Household().settle()
paths = [make_track(os.path.join(h.root, f"t{i}.flac"), 1, seed=70 + i) for i in range(4)]
contents = [h.publish(paths[0], "--price", "1.29", "--copy-price", "0.10", "--max-copies", "9", "--copy-depth", "1")]
contents += [h.publish(p, "--product", "1") for p in paths[1:]]
for c in contents[:2]:
    h.kitchen("get", c, "--yes")
h.kitchen("copy", contents[0], "--to", "bedroom")
wait_for("bedroom has it", lambda: h.bedroom.track(contents[0]))
before = {}  # what the embedded database said at its end
embedded = os.path.join(h.aurora.dir, "operations.db")
PROGRAM = [PROGRAMS["hearth-distributor"], "--state-dir", h.aurora.dir, "--json"]


def to(name):
    return f"postgresql:{pg.connection} dbname={name}"


def refused(code, *words, state=None):
    try:
        answer = run_json([PROGRAMS["hearth-distributor"], "--state-dir", state or h.aurora.dir, "--json", *words])
    except Refused as r:
        assert r.code == code, (words, r)
        return str(r)
    raise AssertionError((words, answer))


def digest(database):
    """Every table's rows, as SQLite has them."""
    with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as db:
        db.text_factory = bytes
        names = [n.decode() for n, in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")]
        return {n: sorted((tuple(r) for r in db.execute(f'SELECT * FROM "{n}"')), key=repr) for n in names}


def in_postgres(database):
    """The same tables there: as many rows, and of the ledger every one."""
    counts = {t: int(pg.one(database, f'SELECT count(*) FROM "{t}"')) for t in before["rows"]}
    return counts, [tuple(int(x) if x.lstrip("-").isdigit() else x for x in r) for r in pg.rows(database, "SELECT number, posting, account, amount, balance FROM ledger ORDER BY number")]


def what_is_refused():
    assert h.aurora.admin("database", "show") == {"embedded": True, "database": "operations.db"}
    pg.create("aurora")
    refused("in-use", "database", "move", "--to", to("aurora"))  # a server runs
    h.aurora.stop()
    refused("usage", "database", "move")
    refused("usage", "database", "move", "--to", "mysql://x")
    refused("usage", "database", "move", "--to", "postgresql:host=/x password=secret")
    refused("offline", "database", "move", "--to", "postgresql:host=/nowhere dbname=x")
    refused("not-permitted", "database", "move", "--to", to("nowhere"))
    other = os.path.join(h.root, "other")
    pg.create("other")
    run_json([PROGRAMS["hearth-distributor"], "--state-dir", other, "--json", "init", "--name", "other", "--database", to("other")])
    pg.create("foreign")
    pg.sql("foreign", "CREATE TABLE x (a INTEGER)")
    assert "not empty" in refused("already", "database", "move", "--to", to("foreign"))
    new = os.path.join(h.root, "new")
    assert "not empty" in refused("already", "init", "--name", "new", "--database", to("foreign"), state=new) and os.listdir(os.path.join(new, "keys")) == []
    assert pg.rows("foreign", "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'") == [["x"]]
    assert "another distributor" in refused("already", "database", "move", "--to", to("other"))
    assert "on a server already" in refused("already", "database", "move", "--to", to("aurora"), state=other)
    assert h.aurora.admin("ledger", "check")["balanced"]  # nothing has changed
    before["rows"] = digest(embedded)


def killed_on_the_way():
    """At any moment: either the one counts or the other, and the same command goes on."""
    copy = os.path.join(h.root, "copy")
    began = time.monotonic()
    shutil.copytree(h.aurora.dir, copy, ignore=shutil.ignore_patterns("bodies"))
    pg.create("rehearsal")
    run_json([PROGRAMS["hearth-distributor"], "--state-dir", copy, "--json", "database", "move", "--to", to("rehearsal")])
    lasts = time.monotonic() - began
    pg.sql("postgres", "DROP DATABASE rehearsal")
    for _ in range(12):
        command = Process([*PROGRAM, "database", "move", "--to", to("aurora")], os.path.join(h.root, "move.log"))
        time.sleep(random.uniform(0, lasts))
        command.kill()
        if os.path.exists(os.path.join(h.aurora.dir, "database")):
            break
        with sqlite3.connect(embedded) as db:
            gone = db.execute("SELECT value FROM setting WHERE name = 'moved-to'").fetchone()
        if gone is None:
            assert h.aurora.admin("ledger", "check")["balanced"]
            assert digest(embedded) == before["rows"]
        else:
            refused("not-permitted", "ledger", "check")


def setting(source, name):
    with sqlite3.connect(f"file:{source}?mode=ro", uri=True) as db:
        row = db.execute("SELECT value FROM setting WHERE name = ?", (name,)).fetchone()
    return row[0] if row else ""


def killed_before_the_last_step(copy, mine, source):
    """Held where the copy is to begin to count: until then neither of the two does, and both know it."""
    kept = source + ".whole"
    shutil.copy(source, kept)
    pg.sql("steps", "CREATE FUNCTION held() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF NEW.name = 'incomplete' AND NEW.value = '' THEN PERFORM pg_advisory_lock(1); END IF; RETURN NEW; END $$;"
                    "CREATE TRIGGER held BEFORE INSERT OR UPDATE ON setting FOR EACH ROW EXECUTE FUNCTION held()")
    holder = pg.session("steps")
    holder.stdin.write("SELECT pg_advisory_lock(1);\n")
    holder.stdin.flush()
    wait_for("it is held", lambda: pg.one("steps", "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted") == "1")
    command = Process([*mine, "database", "move", "--to", to("steps")], os.path.join(h.root, "held.log"))
    wait_for("it waits", lambda: pg.one("steps", "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted") == "1")
    assert setting(source, "moved-to") == to("steps")
    assert pg.one("steps", "SELECT value FROM setting WHERE name = 'incomplete'") == "yes"
    command.kill()
    refused("not-permitted", "stats", state=copy)
    holder.stdin.close()
    assert holder.wait(20) == 0
    pg.sql("steps", "DROP TRIGGER held ON setting; DROP FUNCTION held")
    os.remove(source)  # and what was before that, once more
    for name in ("-wal", "-shm"):
        if os.path.exists(source + name):
            os.remove(source + name)
    os.rename(kept, source)


def each_step_alone():
    """What a kill leaves between two steps, made by hand, since kills seldom meet it: the copy that is not complete, the mark that nobody followed."""
    copy = os.path.join(h.root, "steps")
    shutil.copytree(h.aurora.dir, copy, ignore=shutil.ignore_patterns("bodies"))
    mine = [PROGRAMS["hearth-distributor"], "--state-dir", copy, "--json"]
    pg.create("steps")
    source = os.path.join(copy, "operations.db")
    shutil.copy(source, source + ".kept")
    with contextlib.closing(sqlite3.connect(source)) as looks:  # somebody has it open: its log stays
        looks.execute("SELECT count(*) FROM ledger").fetchall()
        moved = run_json([*mine, "database", "move", "--to", to("steps")])
        alone = os.path.join(h.root, "alone.db")
        shutil.copy(os.path.join(moved["before"], "operations.db"), alone)
    with contextlib.closing(sqlite3.connect(alone)) as db:  # also without that log it says that it has moved
        assert db.execute("SELECT value FROM setting WHERE name = 'moved-to'").fetchall() == [(to("steps"),)]
    shutil.move(source + ".kept", source)
    os.remove(os.path.join(copy, "database"))
    # An old file put back, without the choice: it does not say that it has moved, but what is there counts.
    assert "counts" in refused("already", "database", "move", "--to", to("steps"), state=copy)
    # After step 1: not complete. Nobody serves it; it is copied again, over what is there.
    pg.sql("steps", "UPDATE store_state SET turn = turn + 1, changes = changes + 1; UPDATE setting SET value = 'yes' WHERE name = 'incomplete'; DELETE FROM copy_history")
    with open(os.path.join(copy, "database"), "w") as f:
        f.write(to("steps") + "\n")
    refused("not-permitted", "stats", state=copy)
    os.remove(os.path.join(copy, "database"))
    # What arrives otherwise than it was sent is not kept, and the embedded one goes on.
    for name, change in (("lost", "RETURN NULL"), ("altered", "NEW.name := NEW.name || 'x'; RETURN NEW")):
        pg.sql("steps", f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {change}; END $$;"
                        f"CREATE TRIGGER {name} BEFORE INSERT ON product FOR EACH ROW EXECUTE FUNCTION {name}()")
        refused("internal", "database", "move", "--to", to("steps"), state=copy)
        assert run_json([*mine, "ledger", "check"])["balanced"]
        pg.sql("steps", f"DROP TRIGGER {name} ON product; DROP FUNCTION {name}")
    killed_before_the_last_step(copy, mine, source)
    again = run_json([*mine, "database", "move", "--to", to("steps")])
    assert again["rows"] == moved["rows"] > 0 and again["ledger_entries"] == moved["ledger_entries"] > 0, (moved, again)
    # After step 2: the file says that it has moved, the choice was not written. Nobody serves the file; the move ends, and copies nothing.
    shutil.copy(os.path.join(again["before"], "operations.db"), source)
    os.remove(os.path.join(copy, "database"))
    refused("not-permitted", "stats", state=copy)
    served = subprocess.run([*mine, "serve"], capture_output=True, text=True, timeout=20)
    assert served.returncode == 1 and "moved to a server" in served.stdout + served.stderr, served
    pg.create("elsewhere")
    assert "another database" in refused("already", "database", "move", "--to", to("elsewhere"), state=copy)
    pg.sql("steps", "UPDATE store_state SET turn = turn + 1, changes = changes + 1; UPDATE setting SET value = 'yes' WHERE name = 'incomplete'")
    ended = run_json([*mine, "database", "move", "--to", to("steps")])
    assert ended["rows"] == 0 and ended["ledger_entries"] == moved["ledger_entries"], ended
    assert run_json([*mine, "ledger", "check"])["balanced"]
    assert run_json([*mine, "database", "move", "--to", to("steps")])["before"] == ""  # once more: nothing is left to do
    # A database that was moved and is gone is not begun anew.
    shutil.copy(os.path.join(again["before"], "operations.db"), source)
    os.remove(os.path.join(copy, "database"))
    pg.sql("postgres", "DROP DATABASE steps")
    pg.create("steps")
    refused("not-found", "database", "move", "--to", to("steps"), state=copy)


def no_room_for_the_mark():
    """The rows are there, and the embedded database has no room to say that it has moved: it counts on, the other does not."""
    if not own_mounts():
        return "SKIP no mounts of our own can be made here"
    small = os.path.join(h.root, "small")
    state, filler = os.path.join(small, "aurora"), os.path.join(small, "filler")
    os.mkdir(small)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=700,size=8m", "tmpfs", small], check=True)
    shutil.copytree(h.aurora.dir, state, ignore=shutil.ignore_patterns("bodies", "*-wal", "*-shm"))
    mine = [PROGRAMS["hearth-distributor"], "--state-dir", state, "--json"]
    pg.create("small")
    with open(filler, "wb", buffering=0) as f:
        try:
            while f.write(bytes(1 << 16)) > 0:
                pass
        except OSError:
            os.ftruncate(f.fileno(), f.tell() - (36 << 10))  # what it opens with; no page of its log
    assert small in refused("storage-full", "database", "move", "--to", to("small"), state=state)
    assert pg.one("small", "SELECT value FROM setting WHERE name = 'incomplete'") == "yes"
    os.remove(filler)
    assert digest(os.path.join(state, "operations.db")) == before["rows"]
    assert run_json([*mine, "ledger", "check"])["balanced"] and run_json([*mine, "database", "show"])["embedded"]
    assert run_json([*mine, "database", "move", "--to", to("small")])["balanced"]
    return None


def it_has_moved():
    answer = h.aurora.admin("database", "move", "--to", to("aurora"))
    assert answer["balanced"] and answer["database"] == to("aurora"), answer
    assert h.aurora.admin("database", "show") == {"embedded": False, "database": to("aurora")}
    assert not os.path.exists(embedded) and os.stat(os.path.join(h.aurora.dir, "database")).st_mode & 0o777 == 0o600
    counts, ledger = in_postgres("aurora")
    wanted = {t: len(rows) for t, rows in before["rows"].items()}
    wanted["setting"] += 1  # "incomplete", which is empty
    assert counts == wanted, {t: (counts[t], wanted[t]) for t in counts if counts[t] != wanted[t]}
    with sqlite3.connect(os.path.join(next(e.path for e in os.scandir(h.aurora.dir) if e.name.startswith("moved-")), "operations.db")) as db:
        assert ledger == db.execute("SELECT number, posting, account, amount, balance FROM ledger ORDER BY number").fetchall()
    assert h.aurora.admin("ledger", "check")["balanced"]


def two_servers_sell_on():
    """Devices notice nothing; every number goes on from where it was."""
    last = {t: int(pg.one("aurora", f"SELECT max(number) FROM {t}")) for t in ("ledger", "posting")}
    h.aurora.start()
    port = free_port()
    second = Process([PROGRAMS["hearth-distributor"], "--state-dir", h.aurora.dir, "serve", "--listen", f"127.0.0.1:{port}"], h.aurora.log)
    try:
        wait_for("kitchen is connected", lambda: h.kitchen("status")["distributors_online"] >= 1, 40)
        for content, path in zip(contents[2:], paths[2:]):
            h.kitchen("get", content, "--yes")
            assert h.kitchen.digest(content) == reference_digest(path)
        h.kitchen("copy", contents[1], "--to", "bedroom")  # bought before
        wait_for("bedroom has it", lambda: h.bedroom.track(contents[1]))
        for table, number in last.items():
            rows = [int(r[0]) for r in pg.rows("aurora", f"SELECT number FROM {table} WHERE number > {number} ORDER BY number")]
            assert rows and rows == list(range(number + 1, number + 1 + len(rows))), rows
        assert h.aurora.admin("ledger", "check")["balanced"]
        check = h.aurora.admin("directory", "check")
        assert not check["findings"], check
        assert pg.one("aurora", "SELECT max(sequence) - count(*) FROM outbox") == "0"
        assert h.kitchen.digest(contents[0]) == reference_digest(paths[0])
    finally:
        second.stop()


run_cases([(f.__name__.replace("_", " "), f) for f in (what_is_refused, each_step_alone, no_room_for_the_mark, killed_on_the_way, it_has_moved, two_servers_sell_on)])
