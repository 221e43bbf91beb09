#!/usr/bin/python3
"""A distributor is backed up while it sells and put back later: no license, certificate, ledger entry, session or key block number is given twice, what was given out since
the backup is known again as far as the directory knows it, and every device comes to a defined end."""
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import threading

from household import PROGRAMS, Household, Process, Refused, enter_namespace, make_track, rows_of, run_cases, wait_for

enter_namespace()
h = Household().settle()
names = ("early", "during", "late", "moved", "after", "waits")
track = {n: h.publish(make_track(os.path.join(h.root, n + ".flac"), 2, seed=70 + i), "--price", "1", "--copy-price", "0.10", "--max-copies", "3", "--copy-depth", "1")
         for i, n in enumerate(names)}
backup = os.path.join(h.root, "backup")
lost_timeline = {}


def sql(statement, *values, distributor=None, file="operations.db"):
    db = sqlite3.connect(f"file:{os.path.join((distributor or h.aurora).dir, file)}?mode=ro", uri=True)
    try:
        return db.execute(statement, values).fetchall()
    finally:
        db.close()


def given():
    """Every number that was given out by aurora, by kind."""
    column = lambda statement: {row[0] if len(row) == 1 else row for row in sql(statement)}
    return {
        "license": column("SELECT sequence FROM license UNION SELECT sequence FROM user_license WHERE distributor = 1"),
        "downloaded": column("SELECT license_id, client, sequence FROM user_license WHERE distributor = 1"),
        "serial": column("SELECT serial FROM copy_history WHERE distributor = 1"),
        "serial number": column("SELECT substr(serial, 1, 8) FROM copy_history WHERE distributor = 1"),
        "entry": column("SELECT number FROM ledger"),
        "posting": column("SELECT number FROM posting"),
        "reference": column("SELECT reference FROM posting"),
        "key block": column("SELECT version FROM key_block WHERE distributor = 1"),
        "keyset": column("SELECT keyset_sequence FROM distributor WHERE number = 1"),
        "outbox": column("SELECT sequence, envelope FROM outbox WHERE sequence < 1152921504606846976"),
        "leaf": column("SELECT leaf, client FROM leaf_client WHERE distributor = 1"),
        "roster": column("SELECT user, sequence, digest FROM roster"),
    }


def sessions():
    return dict(sql("SELECT client, session FROM device_session"))


def online(device, distributor):
    return any(a["online"] for a in device("accounts")["accounts"] if a["name"] == distributor.name)


def everybody_is_back():
    for device, distributor in ((h.kitchen, h.aurora), (h.attic, h.aurora), (h.bedroom, h.boreal)):
        wait_for(f"{device.name} is connected", lambda: online(device, distributor), 40)
    wait_for("kitchen sees bedroom", lambda: h.kitchen.sees("bedroom"), 40)


def caught_up():
    return not sql("SELECT 1 FROM counter WHERE name = 'catching-up' AND value <> 0")


def a_backup_under_load():
    h.kitchen("get", track["early"], "--yes")
    h.kitchen("get", track["waits"], "--yes")
    h.kitchen("copy", track["early"], "--to", "attic")
    buying = threading.Thread(target=lambda: h.kitchen("get", track["during"], "--yes"))
    buying.start()
    made = h.aurora.admin("backup", backup)
    buying.join()
    assert made["bodies"] == len(names) and os.stat(backup).st_mode & 0o777 == 0o700
    assert sorted(os.listdir(backup)) == ["backup.json", "bodies", "keys", "operations.db"]
    assert all(os.stat(os.path.join(backup, "keys", k)).st_mode & 0o777 == 0o600 for k in os.listdir(os.path.join(backup, "keys")))
    assert os.path.samestat(*(os.stat(os.path.join(d, "bodies", os.listdir(os.path.join(backup, "bodies"))[0])) for d in (backup, h.aurora.dir)))
    db = sqlite3.connect(f"file:{backup}/operations.db?mode=ro", uri=True)
    assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    sums = db.execute("SELECT sum(amount), (SELECT count(*) FROM license) FROM ledger").fetchone()
    assert sums[0] == 0 and sums[1] in (3, 4), sums
    db.close()
    refused("already", "backup", backup)
    refused("in-use", "restore", backup, "--replace")
    refused("in-use", "restore", "--here")


def refused(code, *args, distributor=None):
    try:
        done = (distributor or h.aurora).admin(*args)
    except Refused as error:
        assert error.code == code, error
        return error
    raise AssertionError(f"{args}: done: {done}")


def damaged_backups():
    other = os.path.join(h.root, "elsewhere")
    for n, damage in enumerate((lambda d: os.unlink(f"{d}/backup.json"), lambda d: os.unlink(f"{d}/keys/tree.key"),
                                lambda d: flip(f"{d}/operations.db", 5000), lambda d: flip(f"{d}/keys/root.key", 0), lambda d: newer(d),
                                lambda d: os.truncate(f"{d}/operations.db", 8192))):
        copy = os.path.join(h.root, f"damaged-{n}")
        shutil.copytree(backup, copy)
        damage(copy)
        done = subprocess.run([PROGRAMS["hearth-distributor"], "--state-dir", other, "--json", "restore", copy], capture_output=True, text=True, timeout=60)
        assert done.returncode == 1 and json.loads(done.stdout)["error"]["code"] in ("not-found", "signature-invalid", "not-permitted"), (n, done)
        assert not os.path.exists(os.path.join(other, "operations.db")) and not os.path.exists(os.path.join(other, "keys")), n
        shutil.rmtree(copy)


def flip(path, at):
    with open(path, "r+b") as f:
        f.seek(at)
        byte = f.read(1)
        f.seek(at)
        f.write(bytes([byte[0] ^ 1]))


def newer(d):
    m = json.load(open(f"{d}/backup.json"))
    m["hearth_backup"] += 1
    json.dump(m, open(f"{d}/backup.json", "w"))


def what_happens_after_it():
    """Bought, copied, moved, joined, removed: none of it is in the backup."""
    h.kitchen("get", track["late"], "--yes")
    h.kitchen("get", track["moved"], "--yes")
    for n in ("during", "moved"):
        h.attic("get", track[n], "--yes", "--again")  # an even number of transactions: its bit is where the backup has it
    h.kitchen("copy", track["early"], "--to", "bedroom")
    h.kitchen("copy", track["late"], "--to", "attic")
    h.kitchen("move", track["moved"], "--to", "bedroom")
    h.device("porch", h.aurora, "alice")
    h.devices["porch"]("get", track["early"], "--yes", "--again")
    h.device("thief", h.aurora, "mallory")
    thief = next(d["client"] for d in h.aurora.admin("device", "list")["devices"] if d["name"] == "thief")
    h.aurora.admin("device", "revoke", thief)
    lost_timeline["thief"] = thief
    wait_for("the directory has all of it", lambda: sql("SELECT value FROM counter WHERE name = 'outbox'") == sql("SELECT value FROM counter WHERE name = 'outbox-confirmed'"))
    lost_timeline.update(given=given(), sessions=sessions(), copies=dict(sql("SELECT hex(license_id) || hex(client), copies FROM license")))
    os.kill(h.aurora.process.child.pid, signal.SIGSTOP)  # one more is under way, and nobody will ever know whether it was done
    lost_timeline["asking"] = subprocess.Popen([PROGRAMS["hearth"], "--socket", h.kitchen.socket, "--json", "copy", track["waits"], "--to", "attic"],
                                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    wait_for("it is under way", lambda: outstanding(h.kitchen))
    h.aurora.kill()


def said_to(name, event):
    """How often a device has had such an event."""
    done = subprocess.run([PROGRAMS["hearth"], "--socket", h.devices[name].socket, "--json", "events"], capture_output=True, text=True, timeout=60, check=True)
    return done.stdout.count(f'"{event}"')


def outstanding(device):
    return rows_of(f"{device.state}/hearthd.db", "SELECT count(*) FROM txn WHERE id IS NOT NULL")[0][0]


def put_back():
    missing = refused("already", "restore", backup)
    assert "--replace" in missing.message
    before = said_to("porch", "distributor-online")
    done = h.aurora.admin("restore", backup, "--replace")
    assert done["restores"] == 1 and done["catches_up_from_directory"], done
    assert len([d for d in os.listdir(h.aurora.dir) if d.startswith("replaced-")]) == 1
    os.kill(h.directory.process.child.pid, signal.SIGSTOP)  # porch, which is in no backup, comes before its rows do
    h.aurora.start()
    wait_for("porch is not known", lambda: said_to("porch", "unknown-device"), 40)
    assert not caught_up()
    os.kill(h.directory.process.child.pid, signal.SIGCONT)
    wait_for("our rows are back", caught_up, 30)
    wait_for("porch is known again", lambda: said_to("porch", "distributor-online") > before, 40)
    everybody_is_back()


def nothing_twice(before, again):
    """What stands for something else after the restore has a number that stood for nothing before."""
    for kind in ("license", "serial", "serial number", "key block", "keyset"):
        fresh = again[kind] - lost_timeline["base"][kind]
        assert not fresh & (before[kind] - lost_timeline["base"][kind] - lost_timeline["returned"][kind]), kind
    newest = {kind: max(before[kind]) for kind in ("entry", "posting", "key block", "keyset")}
    for kind, top in newest.items():
        assert all(n in lost_timeline["base"][kind] or n > top for n in again[kind]), (kind, top)
    assert not {r for r in again["reference"] - lost_timeline["base"]["reference"]} & (before["reference"] - lost_timeline["base"]["reference"])
    ours, theirs = dict(before["outbox"]), dict(again["outbox"])
    assert all(ours[n] == theirs[n] for n in ours if n in theirs), "one outbox number, two rows"
    assert dict((client, leaf) for leaf, client in before["leaf"]).items() <= dict((client, leaf) for leaf, client in again["leaf"]).items()
    rosters = {(u, n): d for u, n, d in before["roster"]}
    assert all(rosters.get((u, n), d) == d for u, n, d in again["roster"])


def what_the_directory_knew_is_known_again():
    before, now = lost_timeline["given"], given()
    db = sqlite3.connect(f"file:{backup}/operations.db?mode=ro", uri=True)
    one = lambda statement: {row[0] if len(row) == 1 else row for row in db.execute(statement)}
    lost_timeline["base"] = {"license": one("SELECT sequence FROM license UNION SELECT sequence FROM user_license WHERE distributor = 1"),
                             "serial": one("SELECT serial FROM copy_history WHERE distributor = 1"),
                             "serial number": one("SELECT substr(serial, 1, 8) FROM copy_history WHERE distributor = 1"),
                             "entry": one("SELECT number FROM ledger"), "posting": one("SELECT number FROM posting"), "reference": one("SELECT reference FROM posting"),
                             "key block": one("SELECT version FROM key_block WHERE distributor = 1"), "keyset": one("SELECT keyset_sequence FROM distributor WHERE number = 1")}
    db.close()
    lost_timeline["returned"] = {kind: now[kind] & before[kind] for kind in before}
    assert before["serial"] <= now["serial"] and before["downloaded"] <= now["downloaded"], "the directory knows them"
    assert before["outbox"] <= now["outbox"]
    assert any(d["name"] == "porch" for d in h.aurora.admin("device", "list")["devices"])
    revoked = {d["client"]: d["revoked"] for d in h.aurora.admin("device", "list")["devices"]}
    assert revoked[lost_timeline["thief"]], "a device that was removed stays out"
    assert sql("SELECT count(*) FROM revoked_leaf") == [(1,)]
    lost = h.aurora.admin("restore", "lost")
    kinds = [row["kind"] for row in lost["lost"]]
    assert not lost["catching_up"] and kinds.count("license") >= 3, lost  # late, moved, porch's
    licenses = [row for row in lost["lost"] if row["kind"] == "license"]
    assert {"bought", "copied"} >= {row["came"] for row in licenses} and any(row["came"] == "bought" for row in licenses), licenses
    assert any(row["title"] and isinstance(row["price_now"], int) for row in licenses), licenses
    # Copies made since count against the licenses that are known.
    early = sql("SELECT l.copies FROM license l JOIN content c ON c.content = l.content JOIN client_user u ON u.client = l.client AND u.distributor = 1"
                " WHERE c.title = 'Track 70' AND u.name = 'kitchen'")
    assert early == [(2,)], early
    assert all(new > lost_timeline["sessions"].get(client, 0) for client, new in sessions().items())


def life_goes_on():
    """Purchases and copies by everybody, those who were ahead too."""
    lost_timeline["asking"].wait(60)
    wait_for("what was under way has ended", lambda: not outstanding(h.kitchen), 30)
    waits = sql("SELECT license_id FROM content_license WHERE distributor = 1 AND content = (SELECT content FROM content WHERE title = 'Track 75')")[0][0]
    copies = sql("SELECT c.serial FROM certificate c JOIN posting p ON p.serial = c.serial WHERE c.license_id = ?", waits)
    assert len(copies) == 1, "charged once"
    wait_for("the copy is there", lambda: h.attic.track(track["waits"])["license"] == "valid", 30)
    billed = sql("SELECT count(*) FROM posting")[0][0]
    h.kitchen("get", track["after"], "--yes")
    h.kitchen("copy", track["after"], "--to", "bedroom")
    for device in (h.attic, h.devices["porch"]):
        try:
            device("get", track["after"], "--yes", "--again")
        except Refused as error:
            raise AssertionError(f"{device.name}: {error}")
    assert h.bedroom.digest(track["after"]) and h.kitchen.digest(track["late"])  # what was bought and lost still plays
    assert h.kitchen.track(track["late"])["license"] == "valid"
    h.kitchen.refused("no-license", "copy", track["late"], "--to", "bedroom")  # we know nothing of it, and say so
    assert sql("SELECT count(*) FROM posting")[0][0] >= billed + 3
    nothing_twice(lost_timeline["given"], given())
    h.aurora.admin("ledger", "check")
    wait_for("the directory takes our rows again", lambda: sql("SELECT value FROM counter WHERE name = 'outbox'") == sql("SELECT value FROM counter WHERE name = 'outbox-confirmed'"))
    def finds_nothing(distributor):
        found = [f for f in distributor.admin("directory", "check")["findings"] if f["open"]]
        if found:
            raise ValueError(found)
        return True
    for distributor in (h.aurora, h.boreal):
        wait_for(f"{distributor.name} finds nothing", lambda: finds_nothing(distributor))


def the_same_backup_again():
    """Put back a second time: what was used after the first time is not used again."""
    before = given()
    h.aurora.stop()
    assert h.aurora.admin("restore", backup, "--replace")["restores"] == 1
    h.aurora.start()
    wait_for("our rows are back", caught_up, 30)
    everybody_is_back()
    lost_timeline["returned"] = {kind: given()[kind] & before[kind] for kind in before}
    h.kitchen("get", track["after"], "--yes", "--again")
    nothing_twice(before, given())


def a_copy_of_the_files():
    """Not by `restore` but with cp: the directory tells, the server stops by itself, and --here puts it right."""
    state, kept = h.aurora.dir, os.path.join(h.root, "cp")
    h.aurora.stop()
    os.makedirs(kept)
    shutil.copy(os.path.join(state, "operations.db"), kept)
    h.aurora.start()
    everybody_is_back()
    h.kitchen("devices", "rename", "kitchen", "galley")
    wait_for("the directory has it", lambda: sql("SELECT value FROM counter WHERE name = 'outbox'") == sql("SELECT value FROM counter WHERE name = 'outbox-confirmed'"))
    before = given()
    h.aurora.stop()
    for end in ("-wal", "-shm"):
        if os.path.exists(os.path.join(state, "operations.db" + end)):
            os.unlink(os.path.join(state, "operations.db" + end))
    shutil.copy(os.path.join(kept, "operations.db"), state)
    h.aurora.process = Process([PROGRAMS["hearth-distributor"], "--state-dir", state, "serve"], h.aurora.log)
    assert h.aurora.process.child.wait(30) == 1
    assert "restore --here" in open(h.aurora.log).read()[-4000:]
    h.aurora.admin("restore", "--here")
    h.aurora.start()
    wait_for("our rows are back", caught_up, 30)
    wait_for("galley is known again", lambda: any(d["name"] == "galley" for d in h.aurora.admin("device", "list")["devices"]))
    assert dict(before["outbox"]).items() <= dict(given()["outbox"]).items()
    everybody_is_back()
    h.kitchen("browse")


run_cases([
    ("a backup is made while it sells", a_backup_under_load),
    ("a damaged or newer backup changes nothing", damaged_backups),
    ("much happens after the backup, then all is lost", what_happens_after_it),
    ("it is put back", put_back),
    ("what the directory knew is known again", what_the_directory_knew_is_known_again),
    ("life goes on, and no number is given twice", life_goes_on),
    ("the same backup is put back once more", the_same_backup_again),
    ("files that were put back with cp are noticed", a_copy_of_the_files),
])
