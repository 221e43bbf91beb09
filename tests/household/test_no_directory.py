#!/usr/bin/python3
"""No directory at all: two partners tell each other directly who a device is, its certificate, whose account it is linked to, and what became of copies."""
import os
import sqlite3

from household import Household, Refused, enter_namespace, make_track, rows_of, run_cases, wait_for

enter_namespace()
h = Household(directory=False)
song = h.publish(make_track(os.path.join(h.root, "song.flac"), seconds=2), "--price", "1.29", "--copy-price", "0.10", "--max-copies", "9", "--copy-depth", "1")


def sql(distributor, statement, *values):
    db = sqlite3.connect(f"file:{os.path.join(distributor.dir, 'operations.db')}?mode=ro", uri=True)
    try:
        return db.execute(statement, values).fetchall()
    finally:
        db.close()


def a_household_comes_together():
    h.settle()
    h.kitchen("get", song, "--yes")


def a_copy_across():
    h.kitchen("copy", song, "--to", "bedroom")
    assert h.bedroom.track(song)["license"] == "valid"
    wait_for("aurora hears that it arrived", lambda: sql(h.aurora, "SELECT state FROM copy_history WHERE distributor = 1") == [(2,)])


def a_device_that_is_new():
    """Unknown to the source's distributor when it is named: asked for at that moment."""
    study = h.device("study", h.boreal, "alina")
    client = study("status")["client"]
    h.aurora.stop()
    h.aurora.start()
    wait_for("kitchen is back", lambda: h.kitchen("status")["distributors_online"] >= 1, 30)
    wait_for("kitchen sees it", lambda: h.kitchen.sees("study"), 30)
    h.kitchen("copy", song, "--to", client)
    assert study.track(song)["license"] == "valid"


def a_device_that_was_removed():
    """What it has already is no copy; another track needs aurora's signature, which it does not get from that moment on."""
    another = h.publish(make_track(os.path.join(h.root, "another.flac"), seconds=1, seed=3), "--price", "1.29", "--copy-price", "0", "--max-copies", "9", "--copy-depth", "1")
    h.kitchen("get", another, "--yes")
    h.bedroom("devices", "remove", "study")
    wait_for("aurora hears of it", lambda: (1,) in sql(h.aurora, "SELECT revoked FROM client_user WHERE name = 'study'"))
    code = refusal_of(h.kitchen, "copy", another, "--to", "study")
    assert code in ("device-revoked", "not-owned", "not-registered", "not-found"), code


def keyset_known(device):
    """The sequence of the newest keyset that a vault knows."""
    return rows_of(f"{device.state}/vault/vault.db", "SELECT max(keyset_sequence) FROM distributor")[0][0]


def a_partner_is_withdrawn():
    """One command at boreal ends what aurora may sign for its clients: also what was signed before and not used yet. Taken back, it works again."""
    other = h.publish(make_track(os.path.join(h.root, "other.flac"), seconds=1, seed=2), "--price", "1.29", "--copy-price", "0", "--max-copies", "9", "--copy-depth", "1",
                      "--max-removable", "9")
    h.kitchen("get", other, "--yes")
    stick = os.path.join(h.root, "stick")
    os.mkdir(stick)
    h.kitchen("export", other, "--to", "bedroom", stick)
    before = sql(h.aurora, "SELECT count(*) FROM certificate")
    known = keyset_known(h.bedroom)
    h.boreal.admin("partner", "withdraw", "aurora")
    floor = sql(h.boreal, "SELECT lowest_sequence FROM partner")[0][0]
    assert floor > 0
    wait_for("bedroom has heard of it", lambda: keyset_known(h.bedroom) > known)
    assert refusal_of(h.bedroom, "import", stick) == "delegation-invalid"
    assert not any(t["content"] == other and t["has_body"] for t in h.bedroom.library())
    wait_for("aurora signs no more", lambda: refusal_of(h.kitchen, "copy", other, "--to", "bedroom") is not None)
    assert sql(h.aurora, "SELECT count(*) FROM certificate") >= before
    h.boreal.admin("partner", "add", h.aurora.url, "--name", "aurora")

    def copied():
        h.kitchen("copy", other, "--to", "bedroom")
        return h.bedroom.track(other)["license"] == "valid"
    wait_for("taken back, under a new delegation, it works again", copied, 30)


def refusal_of(device, *words):
    try:
        device(*words)
    except Refused as refusal:
        return refusal.code
    return None


def unlinked():
    h.bedroom("unlink", h.aurora.id)
    wait_for("aurora hears of it", lambda: not sql(h.aurora, "SELECT 1 FROM link"))
    wait_for("kitchen lost sight of bedroom", lambda: "bedroom" not in [d["name"] for d in h.kitchen("devices")["devices"]])


def they_agree():
    def so(a, b):
        answer = a.admin("directory", "check")
        members = {m["name"]: m for m in a.admin("directory", "members")["members"]}
        if answer["asked"] and not any(f["open"] for f in answer["findings"]) and members[b.name]["rows"] == members[b.name]["signed_to"] > 0 == members[b.name]["from_directory"]:
            return True
        raise ValueError((answer, members))
    for a, b in ((h.aurora, h.boreal), (h.boreal, h.aurora)):
        wait_for(f"{a.name} has what {b.name} has signed", lambda: so(a, b))


run_cases([("two accounts are linked and their devices see each other", a_household_comes_together),
           ("a copy from one distributor's device to the other's, and its receipt", a_copy_across),
           ("a device that its distributor never told of is asked for", a_device_that_is_new),
           ("a removed device is heard of", a_device_that_was_removed),
           ("both have taken what the other has signed", they_agree),
           ("a partner is withdrawn by one command, and taken back", a_partner_is_withdrawn),
           ("an account that is unlinked is heard of", unlinked)])
