#!/usr/bin/python3
"""The directory is down, slow, put back from a backup, or lies: distributors keep selling, catch up, keep what they have verified, and say what is wrong.

The lying directory is the real program over a database that this test has falsified."""
import os
import shutil
import signal
import sqlite3
import time

from household import Process, PROGRAMS, Household, enter_namespace, make_track, run_cases, wait_for

enter_namespace()
h = Household().settle()
content = h.publish(make_track(os.path.join(h.root, "song.flac"), seconds=2), "--price", "1.29", "--copy-price", "0.10", "--max-copies", "50", "--copy-depth", "1")
h.kitchen("get", content, "--yes")
for d in (h.aurora, h.boreal):
    d.admin("settings", "directory-patience", "1")
    d.admin("settings", "compare-every", "1")


def sql(distributor, statement, *values, file="operations.db", write=False):
    db = sqlite3.connect(os.path.join(distributor.dir, file), timeout=10)
    try:
        rows = db.execute(statement, values).fetchall()
        if write:
            db.commit()
        return rows
    finally:
        db.close()


def directory_sql(statement, *values):
    """Only while the directory does not run."""
    return sql(h.directory, statement, *values, file="directory.db", write=True)


def number_of(distributor, at):
    return sql(at, "SELECT number FROM distributor WHERE name = ?", distributor.name)[0][0]


def outbox(distributor):
    return sql(distributor, "SELECT max(sequence) FROM outbox")[0][0]


def taken(distributor, at):
    return sql(at, "SELECT chain_sequence FROM distributor WHERE number = ?", number_of(distributor, at))[0][0]


def key(distributor):
    return sql(distributor, "SELECT id FROM distributor WHERE number = 1")[0][0]


def at_directory(distributor):
    return sql(h.directory, "SELECT count(*) FROM share WHERE origin = ?", key(distributor), file="directory.db")[0][0]


def cursor(distributor):
    return sql(distributor, "SELECT value FROM counter WHERE name = 'directory-cursor'")[0][0]


def findings(distributor, **wanted):
    """Of `directory check`, which asks the running server first: {finding: row}."""
    answer = distributor.admin("directory", "check")
    if not answer["asked"]:
        raise ValueError(answer)
    return {f["finding"]: f for f in answer["findings"]}


def finds_nothing(distributor):
    found = [f for f in findings(distributor).values() if f["open"]]
    if found:
        raise ValueError(found)
    return True


def all_there():
    """The directory has every row, every member has taken every other's, and each says so by the same chain."""
    for a, b in ((h.aurora, h.boreal), (h.boreal, h.aurora)):
        last = outbox(a)
        if at_directory(a) != last or taken(a, b) != last:
            return False
        assert sql(a, "SELECT head FROM outbox WHERE sequence = ?", last) == sql(b, "SELECT chain_head FROM distributor WHERE number = ?", number_of(a, b))
    return True


def new_device(name):
    """Of boreal, linked by its account: aurora has not heard of it unless somebody tells it."""
    return h.device(name, h.boreal, "alina")


def sells_and_copies(name):
    fresh = h.publish(make_track(os.path.join(h.root, f"{name}.flac"), seconds=1, seed=len(name)), "--price", "0.50", "--copy-price", "0", "--max-copies", "5", "--copy-depth", "1")
    h.kitchen("get", fresh, "--yes")
    new_device(name)
    wait_for("kitchen sees it", lambda: h.kitchen.sees(name), 30)
    h.kitchen("copy", content, "--to", name)
    assert h.devices[name].track(content)["license"] == "valid"


def restart_directory_with(change):
    h.directory.stop()
    change()
    h.directory.start()


def down():
    wait_for("all agree", all_there)
    h.directory.kill()
    sells_and_copies("study")  # aurora asks boreal itself who that is
    assert at_directory(h.boreal) < outbox(h.boreal)
    h.directory.start()
    wait_for("both have caught up", all_there, 40)


def slow():
    h.directory.process.child.send_signal(signal.SIGSTOP)
    try:
        sells_and_copies("porch")
    finally:
        h.directory.process.child.send_signal(signal.SIGCONT)
    wait_for("both have caught up", all_there, 60)
    for d in (h.aurora, h.boreal):
        wait_for(f"{d.name} finds nothing", lambda: finds_nothing(d))


def put_back_from_a_backup():
    wait_for("all agree", all_there, 40)
    backup = os.path.join(h.root, "directory.backup")
    restart_directory_with(lambda: shutil.copy(os.path.join(h.directory.dir, "directory.db"), backup))
    had = {d.name: at_directory(d) for d in (h.aurora, h.boreal)}
    h.bedroom("devices", "rename", "bedroom", "loft")
    h.kitchen("devices", "rename", "attic", "roof")
    wait_for("the new names are everywhere", all_there, 40)

    def put_back():
        for end in ("", "-wal", "-shm"):
            if os.path.exists(os.path.join(h.directory.dir, "directory.db" + end)):
                os.remove(os.path.join(h.directory.dir, "directory.db" + end))
        shutil.copy(backup, os.path.join(h.directory.dir, "directory.db"))
        assert at_directory(h.aurora) == had["aurora"] < outbox(h.aurora)
    restart_directory_with(put_back)
    wait_for("what it lost was pushed again, without anybody's doing", all_there, 60)
    for d in (h.aurora, h.boreal):
        told = findings(d)
        assert {"directory-lost-rows", "directory-changed"} & set(told), told
    assert "put back from an old copy" in findings(h.aurora)["directory-lost-rows"]["text"]
    assert "finding=directory-lost-rows" in open(h.aurora.log).read()


def withholds():
    boreal = key(h.boreal).hex()
    restart_directory_with(lambda: directory_sql(f"CREATE TRIGGER holds_back AFTER INSERT ON share WHEN new.origin = x'{boreal}'"
                                                 " BEGIN DELETE FROM share WHERE position = new.position; END"))
    before = taken(h.boreal, h.aurora)
    h.bedroom("devices", "rename", "loft", "bedroom")
    wait_for("boreal believes that its row is there", lambda: h.boreal.admin("directory", "show")["rows_confirmed"] == outbox(h.boreal))
    wait_for("boreal itself is asked", lambda: findings(h.aurora) is not None and taken(h.boreal, h.aurora) == outbox(h.boreal) > before)
    wait_for("the household has the name", lambda: any(d["name"] == "bedroom" for d in h.kitchen("devices")["devices"]))
    wait_for("aurora says so", lambda: findings(h.aurora).get("directory-withholds", {}).get("open"))
    told = findings(h.aurora)["directory-withholds"]
    assert told["about"] == "boreal" and f"rows {outbox(h.boreal)} to {outbox(h.boreal)}" in told["text"], told
    assert h.aurora.admin("stats")["findings_open"] >= 1
    sells_and_copies("cellar")


def honest_again():
    def mend():
        directory_sql("DROP TRIGGER holds_back")
        directory_sql("UPDATE origin SET last_sequence = (SELECT count(*) FROM share WHERE origin = id)")
    restart_directory_with(mend)
    wait_for("it has everything again", all_there, 60)
    wait_for("and that is over", lambda: not findings(h.aurora)["directory-withholds"]["open"])


def another_order():
    """Rows of different origins in another order than before: it is seen, and makes no difference."""
    devices = sorted(d["name"] for d in h.kitchen("devices")["devices"])

    def turn_over():
        db = sqlite3.connect(os.path.join(h.directory.dir, "directory.db"))
        rows = db.execute("SELECT position, origin, sequence, envelope FROM share ORDER BY position").fetchall()
        places = [r[0] for r in rows]
        rows.sort(key=lambda r: (r[1] != key(h.boreal), r[2]))  # each origin's own order stays
        db.execute("DELETE FROM share")
        db.executemany("INSERT INTO share VALUES (?, ?, ?, ?)", [(place, *row[1:]) for place, row in zip(places, rows)])
        db.commit()
        db.close()
    had = {d.name: findings(d).get("directory-changed", {"times": 0})["times"] for d in (h.aurora, h.boreal)}
    restart_directory_with(turn_over)
    wait_for("somebody has noticed", lambda: any(findings(d).get("directory-changed", {"times": 0})["times"] > had[d.name] for d in (h.aurora, h.boreal)), 30)
    wait_for("all agree", all_there, 40)
    assert sorted(d["name"] for d in h.kitchen("devices")["devices"]) == devices


def gives_again():
    """Old rows at new places, five answers full of them, and one that nobody signed: nothing changes by them, and who gives nothing new is asked once a second."""
    def falsify():
        db = sqlite3.connect(os.path.join(h.directory.dir, "directory.db"))
        db.executescript("PRAGMA foreign_keys = OFF; CREATE TABLE again (position INTEGER PRIMARY KEY AUTOINCREMENT, origin BLOB NOT NULL, sequence INTEGER NOT NULL,"
                         " envelope BLOB NOT NULL) STRICT; INSERT INTO again SELECT * FROM share; DROP TABLE share; ALTER TABLE again RENAME TO share;")
        db.execute("WITH RECURSIVE times (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM times WHERE n < 64)"
                   " INSERT INTO share (origin, sequence, envelope) SELECT origin, sequence, envelope FROM times, (SELECT * FROM share WHERE origin = ? AND sequence > 2 ORDER BY sequence LIMIT 5)",
                   (key(h.boreal),))
        row = bytearray(db.execute("SELECT envelope FROM share WHERE origin = ? AND sequence = 3", (key(h.boreal),)).fetchone()[0])
        row[-1] ^= 1
        db.execute("INSERT INTO share (origin, sequence, envelope) VALUES (?, 99999, ?)", (key(h.boreal), bytes(row)))
        db.commit()
        db.close()
    tables = ("client_user", "client_certificate", "leaf_client", "link", "copy_history")
    before = [sql(h.aurora, f"SELECT * FROM {t} ORDER BY 1, 2, 3") for t in tables]
    start = cursor(h.aurora)
    restart_directory_with(falsify)
    end = sql(h.directory, "SELECT max(position) FROM share", file="directory.db")[0][0]
    unread = time.monotonic()

    def read_on():
        nonlocal unread
        looked = time.monotonic()
        if cursor(h.aurora) == start:
            unread = looked
        return cursor(h.aurora) >= end
    wait_for("aurora has read all of it", read_on, 30)
    assert time.monotonic() - unread > 2.5, "what it had is read again without a pause"
    wait_for("aurora says so", lambda: {"directory-repeats", "row-refused"} <= set(findings(h.aurora)), 30)
    assert [sql(h.aurora, f"SELECT * FROM {t} ORDER BY 1, 2, 3") for t in tables] == before


def a_member_put_back():
    """Boreal itself forgets what it said: its partner keeps it, it stops before it gives anything out twice, and gets it back."""
    database = os.path.join(h.boreal.dir, "operations.db")
    h.boreal.stop()
    shutil.copy(database, database + ".backup")
    h.boreal.start()
    wait_for("bedroom is back", lambda: h.bedroom("status")["distributors_online"] >= 1, 30)
    h.bedroom("devices", "rename", "bedroom", "guest-room")
    wait_for("aurora has heard of it", lambda: taken(h.boreal, h.aurora) == outbox(h.boreal), 30)
    said = outbox(h.boreal)
    h.boreal.stop()
    for end in ("-wal", "-shm"):
        if os.path.exists(database + end):
            os.remove(database + end)
    shutil.move(database + ".backup", database)
    assert outbox(h.boreal) < said
    h.boreal.process = Process([PROGRAMS["hearth-distributor"], "--state-dir", h.boreal.dir, "serve"], h.boreal.log)
    assert h.boreal.process.child.wait(30) == 1  # it stops by itself: it would give numbers out twice
    told = {f["finding"]: f for f in h.boreal.admin("directory", "check")["findings"]}
    assert told["own-rows-ahead"]["open"] and "restore --here" in told["own-rows-ahead"]["text"], told
    assert taken(h.boreal, h.aurora) == said
    h.boreal.admin("restore", "--here")
    h.boreal.start()
    wait_for("its rows are back, and it has gone on", lambda: outbox(h.boreal) > said, 30)
    wait_for("aurora has heard of it", lambda: taken(h.boreal, h.aurora) == outbox(h.boreal), 30)
    wait_for("that is over", lambda: not findings(h.boreal).get("own-rows-ahead", {}).get("open"), 30)
    wait_for("kitchen knows the name", lambda: any(d["name"] == "guest-room" for d in h.kitchen("devices")["devices"]))


def a_member_put_back_from_before_its_keys():
    """All of boreal's state, from before it changed its keys: what refuses its keyset proves to it why. Its root key is elsewhere."""
    root, request, answer, kept = (os.path.join(h.root, name) for name in ("root.pem", "request", "answer", "kept"))

    def serve():
        h.boreal.process = Process([PROGRAMS["hearth-distributor"], "--state-dir", h.boreal.dir, "serve"], h.boreal.log)

    def sign_and_install():
        h.boreal.admin("keys", "sign", "--root", root, request, answer)
        h.boreal.admin("keys", "install", answer)
        os.remove(request), os.remove(answer)
    h.boreal.admin("keys", "root", "export", root)
    h.boreal.stop()
    shutil.copytree(h.boreal.dir, kept, ignore=shutil.ignore_patterns("*.sock"))
    h.boreal.start()
    h.boreal.admin("keys", "rotate", "--request", request)
    sign_and_install()
    wait_for("the directory and aurora have its keyset and its rows", all_there, 30)
    said = outbox(h.boreal)
    h.boreal.stop()
    shutil.rmtree(h.boreal.dir)
    shutil.move(kept, h.boreal.dir)
    serve()
    assert h.boreal.process.child.wait(30) == 1  # by the directory
    h.directory.stop()
    h.boreal.admin("directory", "unset")
    serve()
    assert h.boreal.process.child.wait(30) == 1  # by aurora, its partner
    told = {f["finding"]: f for f in h.boreal.admin("directory", "check")["findings"]}
    assert told["own-rows-ahead"]["open"] and "root key" in told["own-rows-ahead"]["text"] and "restore --here" in told["own-rows-ahead"]["text"], told
    h.boreal.admin("directory", "set", h.directory.url)
    h.boreal.admin("restore", "--here")
    h.directory.start()
    h.boreal.start()  # what it is shown proves nothing now: it has forgotten, and says so
    wait_for("it is said who refuses whom", lambda: "refuses our keyset" in h.boreal.admin("directory", "show")["why"])
    assert h.boreal.admin("directory", "show")["state"] == "away keyset-invalid"
    h.boreal.admin("keys", "request", request)
    sign_and_install()
    wait_for("its rows are back, and it has gone on", lambda: outbox(h.boreal) > said, 40)
    wait_for("all agree", all_there, 30)
    assert not findings(h.boreal)["own-rows-ahead"]["open"]


run_cases([("the directory is down: selling, a copy to a device it never told us of, catching up", down),
           ("the directory answers nothing: the same", slow),
           ("a directory put back from a backup gets the missing rows again", put_back_from_a_backup),
           ("a directory that withholds rows is bypassed and reported", withholds),
           ("when it gives them after all, that is over", honest_again),
           ("another order is noticed and harmless", another_order),
           ("one that was put back from before its keys were changed stops, by the keyset that it is shown", a_member_put_back_from_before_its_keys),
           ("old rows given again and forged ones change nothing and are reported", gives_again),
           ("a member that was put back from an old copy stops, and gets its rows back", a_member_put_back)])
