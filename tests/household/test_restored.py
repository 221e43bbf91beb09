#!/usr/bin/python3
"""A device whose vault was put back from an older copy, by its owner or by a thief of rights: nothing is replayed once a distributor that knows better was met,
also when everything is killed on the way; what is legitimate works again. What stays possible offline is shown, too (docs/SECURITY.md)."""
import os
import shutil
import signal
import sqlite3
import subprocess

from household import PROGRAMS, Household, enter_namespace, make_track, reference_digest, run_cases, wait_for

enter_namespace()
h = Household().settle()
NAMES = ("stays", "moved", "spent", "gift", "later")
paths = {n: make_track(os.path.join(h.root, f"{n}.flac"), 2, seed=81 + i) for i, n in enumerate(NAMES)}
track = {n: h.publish(p, "--price", "1", "--copy-price", "1", "--max-copies", "1" if n == "spent" else "2", "--copy-depth", "1", "--max-removable", "1") for n, p in paths.items()}
os.makedirs(os.path.join(h.root, "stick"))
vault, kept, stick = os.path.join(h.kitchen.state, "vault"), os.path.join(h.root, "vault.kept"), os.path.join(h.root, "stick")
PAGES_OF_ROWS = 6000


def sql(statement, *values, write=False):
    db = sqlite3.connect(f"file:{os.path.join(h.aurora.dir, 'operations.db')}?mode={'rw' if write else 'ro'}", uri=True)
    try:
        with db:
            return db.execute(statement, values).fetchall()
    finally:
        db.close()


def vault_sql(statement, *values):
    db = sqlite3.connect(f"file:{os.path.join(vault, 'vault.db')}?mode=ro", uri=True)
    try:
        return db.execute(statement, values).fetchall()
    finally:
        db.close()


def events(kind):
    done = subprocess.run([PROGRAMS["hearth"], "--socket", h.kitchen.socket, "--json", "events"], capture_output=True, text=True, timeout=60, check=True)
    return done.stdout.count(f'"{kind}"')


def back_to_the_copy():
    h.kitchen.stop()
    shutil.rmtree(vault)
    shutil.copytree(kept, vault)


def restarted(device):
    device.stop()
    device.start()
    wait_for("it is connected", lambda: events("distributor-online"))


def behind():
    return vault_sql("SELECT count(*) FROM standing s JOIN distributor d USING (distributor) WHERE s.behind > 0 AND d.sealed IS NOT NULL")[0][0] > 0


def rights():
    """What everybody has, and owes, as aurora sees it."""
    return (sql("SELECT hex(license_id), hex(client), sequence, state, copies FROM license ORDER BY 1, 2"),
            sql("SELECT hex(serial), state FROM certificate ORDER BY 1"), sql("SELECT account, amount FROM ledger ORDER BY number"))


def license_state(content):
    return [row[0] for row in vault_sql("SELECT state FROM license WHERE content = ?", sql("SELECT content FROM content WHERE title = ?", content)[0][0])]


def title(name):
    return f"Track {81 + NAMES.index(name)}"


def restarted_is_current():
    for n in ("stays", "moved", "spent"):
        h.kitchen("get", track[n], "--yes")
    h.attic("get", track["gift"], "--yes")
    h.attic("export", track["gift"], "--to", "kitchen", stick)
    restarted(h.kitchen)
    assert not events("vault-behind") and not behind()
    h.kitchen.stop()
    shutil.copytree(vault, kept)
    h.kitchen.start()


def uses_what_it_has():
    h.kitchen("import", stick)
    wait_for("kitchen sees attic", lambda: h.kitchen.sees("attic") and h.kitchen.sees("bedroom"), 30)
    h.kitchen("move", track["moved"], "--to", "attic")
    h.kitchen("copy", track["spent"], "--to", "attic")
    h.kitchen("get", track["later"], "--yes")
    wait_for("aurora knows", lambda: sql("SELECT count(*) FROM certificate WHERE state = 2")[0][0] == 3 and sql("SELECT count(*) FROM license WHERE state = 3")[0][0] == 1)
    # In this very session aurora sees what became of the vault: nobody has to restart before the copy is put back.
    db = sqlite3.connect(os.path.join(kept, "vault.db"))
    copied = db.execute("SELECT generation + count FROM device, changes").fetchone()[0]
    db.close()
    wait_for("its vault has said so", lambda: sql("SELECT generation FROM device_standing WHERE client = (SELECT source FROM certificate WHERE move = 1)")[0][0] > copied)
    assert not events("vault-behind")


def sleeps_until_it_has_caught_up():
    """Killed in the middle of catching up; then nothing is replayed, with aurora away as well."""
    number = sql("SELECT number FROM distributor WHERE name = 'boreal'")[0][0]
    h.aurora.stop()
    db = sqlite3.connect(os.path.join(h.aurora.dir, "operations.db"))
    with db:  # serials of boreal's, as its copy history would say: they make many pages
        db.executemany("INSERT INTO copy_history VALUES (?, randomblob(16), randomblob(32), randomblob(16), 'alina', randomblob(32), ?, ?, 1, 1, 0, 0, 1, 2, 2)",
                       [(number, bytes(row), bytes(32)) for row in [sql("SELECT destination FROM copy_history WHERE state = 2 AND removable = 1")[0][0]] * PAGES_OF_ROWS])
    db.close()
    h.aurora.start()
    before = rights()
    back_to_the_copy()
    h.kitchen.start(wait=False)
    wait_for("a page was taken", lambda: vault_sql("SELECT count(*) FROM used_serial")[0][0] > 0)
    h.kitchen.kill()
    h.aurora.stop()
    assert behind() and vault_sql("SELECT count(*) FROM used_serial")[0][0] < PAGES_OF_ROWS, "killed too late to tell"
    h.kitchen.start()
    for refused in (("play", track["stays"], "--output", "digest"), ("import", stick)):
        assert "aurora" in h.kitchen.refused("vault-behind", *refused).message
    assert "vault copy" not in [c["name"] for c in h.kitchen.anyhow("doctor")["checks"]]  # nobody says so now; the vault knows
    h.kitchen.kill()
    h.aurora.start()
    assert rights() == before


def catches_up_by_itself():
    for _ in range(6):  # killed again and again, at any page; each time all begins anew
        h.kitchen.start(wait=False)
        seen = vault_sql("SELECT count(*) FROM used_serial")[0][0]
        wait_for("another page was taken", lambda: not behind() or vault_sql("SELECT count(*) FROM used_serial")[0][0] > seen)
        h.kitchen.kill()
        if not behind():
            break
    h.kitchen.start()
    wait_for("it has caught up", lambda: not behind() and events("vault-caught-up"), 30)
    assert events("vault-behind")
    with open(h.aurora.log, encoding="utf-8") as log:
        assert "restored from an older copy" in log.read()
    assert vault_sql("SELECT count(DISTINCT serial) FROM used_serial")[0][0] == PAGES_OF_ROWS + 1  # boreal, where it is a guest, may say so too
    generation = vault_sql("SELECT generation + count FROM device, changes")[0][0]
    wait_for("aurora took its word", lambda: sql("SELECT max(generation) FROM device_standing WHERE client = (SELECT source FROM certificate WHERE move = 1)")[0][0] >= generation)


def replays_nothing():
    before = rights()
    h.kitchen.refused("serial-already-used", "import", stick)
    assert license_state(title("moved")) == [3]  # given up
    assert h.kitchen.anyhow("play", track["moved"], "--output", "digest").get("digest") is None
    h.kitchen.refused("copy-count-exhausted", "copy", track["spent"], "--to", "bedroom")
    assert rights() == before
    assert h.attic.digest(track["moved"]) == reference_digest(paths["moved"])


def works_again():
    owed = h.kitchen("accounts")["accounts"][0]["balance"]
    for n in ("stays", "spent"):
        assert h.kitchen.digest(track[n]) == reference_digest(paths[n])
    back = {t["content"] for t in h.kitchen("restore")["tracks"]}
    assert {track["later"], track["gift"]} <= back and track["moved"] not in back, back
    for n in ("later", "gift"):
        assert h.kitchen.digest(track[n]) == reference_digest(paths[n])
    assert h.kitchen("accounts")["accounts"][0]["balance"] == owed
    wait_for("kitchen sees attic", lambda: h.kitchen.sees("attic"), 30)
    h.kitchen("copy", track["stays"], "--to", "attic")
    assert sql("SELECT license_id FROM license WHERE state = 1 GROUP BY license_id, client HAVING count(*) > 1") == []
    restarted(h.kitchen)
    assert not behind() and events("vault-behind") == events("vault-caught-up")


def offline_nobody_can_tell():
    """The limit that docs/SECURITY.md states: whoever stays offline plays what the copy had."""
    h.aurora.stop()
    back_to_the_copy()
    h.kitchen.start()
    assert h.kitchen.digest(track["stays"])
    h.aurora.start()
    wait_for("the next contact ends it", lambda: not behind() and license_state(title("moved")) == [3], 60)


def operator_forgets():
    listed = next(d for d in h.aurora.admin("device", "list", "--user", "alice")["devices"] if d["name"] == "kitchen")
    assert h.aurora.admin("device", "reset-generation", listed["client"])["generation"] > 0
    assert sql("SELECT count(*) FROM device_standing WHERE client = (SELECT client FROM client_user WHERE name = 'kitchen')")[0][0] == 0
    restarted(h.kitchen)
    wait_for("it has said anew where it stands", lambda: sql("SELECT count(*) FROM device_standing WHERE client = (SELECT client FROM client_user WHERE name = 'kitchen')")[0][0] == 1)
    assert not behind()


def outstanding():
    db = sqlite3.connect(f"file:{os.path.join(h.kitchen.state, 'hearthd.db')}?mode=ro", uri=True)
    try:
        return db.execute("SELECT count(*) FROM txn WHERE id IS NOT NULL").fetchone()[0]
    finally:
        db.close()


def has_ended(pid):
    """Also when nobody has taken note of its end yet."""
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as f:
            return f.read() == b""
    except FileNotFoundError:
        return True


def asks_for_nothing_twice():
    """The copy was made while an answer was still to come. It came, and something else was bought: the bit is again what the copy goes by."""
    whole = os.path.join(h.root, "state.kept")
    more = h.publish(make_track(os.path.join(h.root, "more.flac"), 2, seed=89), "--price", "1", "--copy-price", "1", "--max-copies", "3")
    other = h.publish(make_track(os.path.join(h.root, "other.flac"), 2, seed=90), "--price", "1")
    h.kitchen("get", more, "--yes")
    h.aurora.process.child.send_signal(signal.SIGSTOP)
    with subprocess.Popen([PROGRAMS["hearth"], "--socket", h.kitchen.socket, "copy", more, "--to", "bedroom"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as asks:
        wait_for("it is asked for", outstanding)
        vault_pid = h.kitchen.vault_pid()
        h.kitchen.kill()
        asks.kill()
    wait_for("its vault ends", lambda: has_ended(vault_pid))
    shutil.copytree(h.kitchen.state, whole)
    h.aurora.process.child.send_signal(signal.SIGCONT)
    h.kitchen.start()
    issued = "SELECT count(*) FROM certificate WHERE content = (SELECT content FROM content WHERE title = 'Track 89')"
    wait_for("it is answered, and arrives", lambda: not outstanding() and any(t["content"] == more for t in h.bedroom.library()))
    h.kitchen("get", other, "--yes")
    wait_for("that is over, too", lambda: not outstanding())
    h.kitchen.stop()
    shutil.rmtree(h.kitchen.state)
    shutil.copytree(whole, h.kitchen.state)
    assert outstanding()
    before = rights()
    h.kitchen.start()
    wait_for("it was set aside", lambda: not outstanding() and events("set-aside"))
    wait_for("it has caught up", lambda: not behind() and events("vault-caught-up"))
    wait_for("nothing is under way", lambda: not [t for t in h.kitchen("transfers")["transfers"] if t["state"] not in ("done", "failed", "cancelled")])
    assert sql(issued) == [(1,)] and rights() == before
    h.kitchen("copy", more, "--to", "attic")  # asked for by a person, it is done
    assert sql(issued) == [(2,)]


def altered():
    """One row, put back as it was before a play: with the device's own rights over the file."""
    h.kitchen.stop()
    whole = vault + ".whole"
    shutil.copytree(vault, whole)
    db = sqlite3.connect(os.path.join(vault, "vault.db"))
    with db:
        assert db.execute("DELETE FROM license WHERE rowid = (SELECT min(rowid) FROM license)").rowcount >= 1
    db.close()
    h.kitchen.start()
    assert "restore" in h.kitchen.refused("vault-altered", "play", track["stays"], "--output", "digest").remedy
    check = next(c for c in h.kitchen.anyhow("doctor")["checks"] if c["name"] == "vault")
    assert check["verdict"] == "bad" and "changed by another program" in check["text"] and "restore" in check["remedy"], check
    assert not h.kitchen("status")["well"]
    h.kitchen.stop()
    shutil.rmtree(vault)
    shutil.move(whole, vault)
    h.kitchen.start()
    assert h.kitchen.digest(track["stays"]) == reference_digest(paths["stays"])


run_cases([("a vault that was only restarted is current", restarted_is_current), ("certificate, license and copies are used up", uses_what_it_has),
           ("an older copy sleeps until it has caught up, killed on the way", sleeps_until_it_has_caught_up), ("it catches up by itself", catches_up_by_itself),
           ("it replays nothing", replays_nothing), ("everything legitimate works again", works_again),
           ("offline nobody can tell, until the next contact", offline_nobody_can_tell), ("the operator's way out", operator_forgets),
           ("what was asked for before is not asked for again", asks_for_nothing_twice),
           ("a row that was changed or removed is noticed", altered)])
