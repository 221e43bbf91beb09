#!/usr/bin/python3
"""No network between two distributors: a medium with signed files goes round. A copy works, a removal is heard of, a withdrawn partner is out; what is
tampered with, cut off, for somebody else, or comes twice or in the wrong order is refused or harmless."""
import os
import shutil
import sqlite3

from household import Distributor, Household, Refused, enter_namespace, make_track, run_cases, wait_for
from liar import Liar, records

enter_namespace()
h = Household(directory=False).settle()
song = h.publish(make_track(os.path.join(h.root, "song.flac"), seconds=2), "--price", "1.29", "--copy-price", "0.10", "--max-copies", "9", "--copy-depth", "1")
h.kitchen("get", song, "--yes")
stick = os.path.join(h.root, "stick")


def sql(distributor, statement, *values):
    db = sqlite3.connect(f"file:{os.path.join(distributor.dir, 'operations.db')}?mode=ro", uri=True)
    try:
        return db.execute(statement, values).fetchall()
    finally:
        db.close()


def state(distributor):
    return [sql(distributor, f"SELECT * FROM {t} ORDER BY 1, 2") for t in ("client_user", "client_certificate", "link", "copy_history", "delegation", "key_block", "distributor")]


def export(distributor, *options, to=stick):
    os.makedirs(to, exist_ok=True)
    return distributor.admin("sync", "export", to, *options)["files"]


def take(distributor, dir=stick):
    return distributor.admin("sync", "import", dir)["files"]


def refused(distributor, dir=stick):
    before = state(distributor)
    try:
        distributor.admin("sync", "import", dir)
    except Refused as refusal:
        assert state(distributor) == before, "a refused file changed something"
        return refusal
    raise AssertionError("it was taken")


def only(name):
    """A medium with one of the files alone."""
    dir = os.path.join(h.root, "one")
    shutil.rmtree(dir, ignore_errors=True)
    os.mkdir(dir)
    shutil.copy(name, dir)
    return dir


def cut_the_network():
    for a, b in ((h.aurora, h.boreal), (h.boreal, h.aurora)):
        a.admin("partner", "add", f"hearth://127.0.0.1:1#{b.id}", "--name", b.name)
    for d in (h.aurora, h.boreal):
        d.stop()
        d.start()
    for device in (h.kitchen, h.bedroom):
        wait_for("devices are back", lambda: device("status")["distributors_online"] >= 1, 30)


def a_medium_goes_round():
    cut_the_network()
    study = h.device("study", h.boreal, "alina")
    client = study("status")["client"]
    try:
        h.kitchen("copy", song, "--to", client)
        raise AssertionError("aurora knows it already")
    except Refused as refusal:
        assert refusal.code in ("not-registered", "not-owned", "not-found", "offline"), str(refusal)
    export(h.aurora)
    taken, = take(h.boreal)
    assert taken["from"] == "aurora" and taken["outcome"] == "taken" and taken["rows"] > 0, taken
    written, = export(h.boreal)
    assert written["delegation"] and written["grant"], written
    taken, = take(h.aurora)
    assert taken["from"] == "boreal" and taken["delegation"] and taken["grant"] and taken["new"] > 0, taken
    wait_for("kitchen sees it", lambda: h.kitchen.sees("study"), 30)
    h.kitchen("copy", song, "--to", "study")
    assert study.track(song)["license"] == "valid"
    assert study.digest(song) == h.kitchen.digest(song)


def twice_changes_nothing():
    before = state(h.aurora)
    taken, = take(h.aurora)
    assert taken["new"] == 0, taken
    assert state(h.aurora) == before
    written, = export(h.aurora)  # and now only what boreal has not acknowledged
    assert written["from"] > 1 and not any(f["open"] for f in h.aurora.admin("directory", "check")["findings"])


def keys_changed_meanwhile():
    """What is sealed to a key of before is left out, and nothing else; it comes again when the partner has heard of the new one."""
    h.aurora.admin("keys", "rotate", "sealing")
    h.bedroom("devices", "rename", "study", "library")
    export(h.boreal)
    taken, = take(h.aurora)
    assert taken["outcome"] == "taken" and taken["new"] > 0 and taken["delegation"] and not taken["grant"] and "export to it" in taken["detail"], taken
    assert sql(h.aurora, "SELECT count(*) FROM client_user WHERE name = 'library'") == [(1,)]
    export(h.aurora), take(h.boreal)
    h.bedroom("devices", "rename", "library", "study")
    export(h.boreal)
    taken, = take(h.aurora)
    assert taken["new"] > 0 and taken["grant"] and taken["detail"] == "", taken


def a_medium_of_somebody_who_lies_in_wait():
    dir, kept = os.path.join(h.root, "trapped"), os.path.join(h.root, "kept")
    with open(kept, "w", encoding="utf-8") as f:
        f.write("precious")
    name = os.path.basename(export(h.boreal, "--for", "aurora", "--all", to=dir)[0]["file"])
    for trap in (lambda path: os.symlink(kept, path), os.mkfifo):
        for at in (name, name + ".partial"):
            path = os.path.join(dir, at)
            if os.path.lexists(path):
                os.unlink(path)
            trap(path)
        export(h.boreal, "--for", "aurora", "--all", to=dir)
        assert os.listdir(dir) == [name] and not os.path.islink(os.path.join(dir, name)), os.listdir(dir)
        assert open(kept, encoding="utf-8").read() == "precious"
    shutil.copy(os.path.join(dir, name), os.path.join(dir, "good"))
    for trap in (os.mkfifo, lambda path: os.symlink(os.path.join(dir, "good"), path), lambda path: os.symlink("/dev/zero", path)):
        os.unlink(os.path.join(dir, name))
        trap(os.path.join(dir, name))
        assert refused(h.aurora, dir).code == "malformed"


def what_was_removed_is_heard_of():
    old = os.path.join(h.root, "old")
    export(h.boreal, "--all", to=old)
    h.bedroom("devices", "remove", "study")
    export(h.boreal)
    take(h.aurora)
    assert (1,) in sql(h.aurora, "SELECT revoked FROM client_user WHERE name = 'study'")
    before = state(h.aurora)
    taken, = take(h.aurora, old)  # the older medium, later
    assert taken["new"] == 0 and state(h.aurora) == before


def items_of(name):
    """The head of a file, and its items."""
    data = open(name, "rb").read()
    items, at = [], 8
    while at < len(data):
        size = int.from_bytes(data[at + 1:at + 5], "big")
        items.append(data[at:at + 5 + size])
        at += 5 + size
    return data[:8], items


ROW, HEAD = 3, 4


def out_of_order():
    export(h.aurora)
    take(h.boreal)
    export(h.boreal)
    take(h.aurora)
    h.bedroom("devices", "rename", "bedroom", "loft")
    export(h.boreal, "--all", to=os.path.join(h.root, "all"))
    name, = [os.path.join(h.root, "all", f) for f in os.listdir(os.path.join(h.root, "all")) if f.endswith(".sync")]
    magic, items = items_of(name)
    rows = [i for i, item in enumerate(items) if item[0] == ROW]

    def write(dir, chosen):
        os.makedirs(dir, exist_ok=True)
        with open(os.path.join(dir, os.path.basename(name)), "wb") as f:
            f.write(magic + b"".join(chosen))
        return dir
    broken = os.path.join(h.root, "broken")
    stranger = Distributor(h.root, "strange")  # has no partners
    assert refused(stranger, os.path.dirname(name)).code == "not-found"  # nothing for it
    h.aurora.admin("sync", "import", os.path.dirname(name))
    assert refused(h.aurora, write(broken, items[:1] + items[2:])).code == "malformed"  # for whom?
    refusal = refused(h.aurora, write(broken, items[:rows[0]]))  # cut off
    assert refusal.code == "malformed" and "Nothing of it was taken" in refusal.message, refusal
    assert refused(h.aurora, write(broken, items[::-1])).code == "malformed"
    for number in (0, 1, rows[0], rows[-1], len(items) - 1):
        for where in (40, len(items[number]) // 2, len(items[number]) - 1):
            bad = bytearray(items[number])
            bad[where] ^= 1
            refusal = refused(h.aurora, write(broken, items[:number] + [bytes(bad)] + items[number + 1:]))
            assert refusal.code in ("signature-invalid", "malformed", "keyset-invalid", "unknown-distributor"), (number, where, str(refusal))
    taken, = take(h.aurora, write(broken, items))
    assert taken["new"] == 0


def rows_that_are_missing():
    """A medium got lost on the way."""
    export(h.aurora)
    take(h.boreal)
    h.bedroom("devices", "rename", "loft", "attic-room")
    lost, = export(h.boreal)
    forgotten = sql(h.boreal, "SELECT max(sequence) FROM outbox")[0][0]
    again, = export(h.boreal)
    assert again["from"] == lost["from"] <= forgotten
    taken, = take(h.aurora)
    assert taken["new"] > 0
    wait_for("the name", lambda: any(d["name"] == "attic-room" for d in h.kitchen("devices")["devices"]))


def somebody_elses():
    coral = Distributor(h.root, "coral")
    coral.admin("partner", "add", h.aurora.url, "--name", "aurora")
    assert refused(h.aurora, only(export(coral, to=os.path.join(h.root, "coral-stick"))[0]["file"])).code == "unknown-distributor"
    h.aurora.admin("partner", "add", coral.url, "--name", "coral")
    files = {f["partner"]: f for f in export(h.aurora)}
    assert set(files) == {"boreal", "coral"} and not files["coral"]["delegation"], files
    assert refused(coral, only(files["boreal"]["file"])).code == "not-found"  # nothing for coral there
    taken, = take(coral)
    assert taken["from"] == "aurora" and taken["outcome"] == "taken"
    export(coral)
    assert {f["from"]: f["outcome"] for f in take(h.aurora)}["coral"] == "taken"
    files = {f["partner"]: f for f in export(h.aurora)}
    assert files["coral"]["delegation"] and files["coral"]["grant"], files

    # Rows and a head of coral's, good as they are, on boreal's medium: a partner speaks for itself only.
    of_coral, of_boreal = export(coral, "--all", to=os.path.join(h.root, "coral-all"))[0]["file"], export(h.boreal, "--all")[0]["file"]
    magic, items = items_of(of_boreal)
    for kind in (ROW, HEAD):
        foreign = [item for item in items_of(of_coral)[1] if item[0] == kind]
        assert foreign
        mixed = only(of_boreal)
        with open(os.path.join(mixed, os.path.basename(of_boreal)), "wb") as f:
            f.write(magic + b"".join(i for i in items if i[0] < kind) + b"".join(foreign) + b"".join(i for i in items if i[0] >= kind))
        assert refused(h.aurora, mixed).code == "signature-invalid"


def a_withdrawn_partner():
    h.aurora.admin("partner", "withdraw", "boreal")
    try:
        export(h.aurora, "--for", "boreal")
        raise AssertionError("exported for a withdrawn partner")
    except Refused as refusal:
        assert refusal.code == "not-permitted"
    export(h.boreal)
    dir = only(os.path.join(stick, [f for f in os.listdir(stick) if f.startswith(h.boreal.id[:8]) and f.endswith(".sync")][0]))
    assert refused(h.aurora, dir).code == "unknown-distributor"


def a_row_for_one_and_an_empty_place_for_another():
    """A device is removed, as one partner reads; the other is shown an empty row in its place. Chain and head are the same, and one of the two finds it."""
    liar, ann, bob = Liar(Distributor(h.root, "liar")), Distributor(h.root, "ann"), Distributor(h.root, "bob")
    for reader in (ann, bob):
        reader.admin("partner", "add", liar.distributor.url, "--name", "liar")
        liar.distributor.admin("partner", "add", reader.url, "--name", reader.name)

    def shown_to(reader, *options):
        shutil.rmtree(stick)
        export(liar.distributor, "--for", reader.name, *options)
        assert [f["outcome"] for f in take(reader)] == ["taken"]

    def found(reader):
        return [f for f, in sql(reader, "SELECT kind FROM finding WHERE settled_ms IS NULL ORDER BY kind")]
    thing = {"client": os.urandom(32), "user": "x", "name": "thing", "registered_ms": 1, "revoked": False}
    liar.put(3, False, records.CLIENT_USER, thing)
    removal = liar.put(3, False, records.CLIENT_USER, {**thing, "revoked": True})
    shown_to(ann)
    assert liar.judged() == (set(), set())
    liar.empty(removal)
    shown_to(bob, "--all")
    assert [sql(reader, "SELECT revoked FROM client_user WHERE name = 'thing'") for reader in (ann, bob)] == [[(1,)], [(0,)]]
    assert liar.judged()[0] == {removal}
    assert (found(ann), found(bob)) == ([], ["rows-hidden"])
    liar.put(26, False, records.TAKEN_BACK, {"first": removal, "last": removal})  # it says so: now the other one finds it
    assert liar.judged() == (set(), set())
    shown_to(ann), shown_to(bob)
    assert (found(ann), found(bob)) == (["rows-taken-back"], [])
    liar.put(3, True, records.CLIENT_USER, thing)  # what an account's end does: both go by the same
    shown_to(ann), shown_to(bob)
    assert (found(ann), found(bob)) == ([], []) and liar.judged() == (set(), set())
    assert [sql(reader, "SELECT revoked FROM client_user WHERE name = 'thing'") for reader in (ann, bob)] == [[], []]


run_cases([("a medium goes round, and a copy across works", a_medium_goes_round),
           ("what comes twice changes nothing", twice_changes_nothing),
           ("after a change of keys, only what is sealed to the old one is left out", keys_changed_meanwhile),
           ("a removal is heard of, and an older medium does not undo it", what_was_removed_is_heard_of),
           ("links and pipes on a medium are neither written nor waited for", a_medium_of_somebody_who_lies_in_wait),
           ("tampered, cut off, reordered: refused whole", out_of_order),
           ("what did not arrive is written again", rows_that_are_missing),
           ("each file is for one reader", somebody_elses),
           ("a row for one reader and an empty place for another is found", a_row_for_one_and_an_empty_place_for_another),
           ("a withdrawn partner is out", a_withdrawn_partner)])
