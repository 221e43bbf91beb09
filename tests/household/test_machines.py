#!/usr/bin/python3
"""One distributor on two machines: two state directories, one PostgreSQL database. A key is changed on the first, and keys/ of the second is of before:
what the second would sign nobody would take, so it serves nothing with it and says what to do; once the files are there it goes on, without a restart."""
import atexit
import os
import shutil
import tempfile
import threading
import time

import cluster
from household import PROGRAMS, Device, Process, Refused, enter_namespace, free_port, make_track, run_cases, run_json, wait_for

enter_namespace()
pg = cluster.Cluster(durable=True).__enter__()
atexit.register(pg.__exit__)
pg.create("aurora")
root = tempfile.mkdtemp(prefix="hearth-test-")
atexit.register(shutil.rmtree, root, ignore_errors=True)
PROGRAM = PROGRAMS["hearth-distributor"]


class Machine:
    def __init__(self, name):
        self.dir, self.port, self.log = os.path.join(root, name), free_port(), os.path.join(root, name + ".log")
        self.process = None

    def admin(self, *args):
        return run_json([PROGRAM, "--state-dir", self.dir, "--json", *args])

    def refused(self, *args):
        try:
            raise AssertionError((args, self.admin(*args)))
        except Refused as refusal:
            return refusal

    def serve(self):
        count = self.said("serving listen")
        self.process = Process([PROGRAM, "--state-dir", self.dir, "serve", "--listen", f"127.0.0.1:{self.port}"], self.log)
        wait_for("it serves", lambda: self.said("serving listen") > count)
        return self

    def said(self, text):
        if not os.path.exists(self.log):
            return 0
        with open(self.log) as f:
            return f.read().count(text)

    def keys_from(self, other, *names):
        for name in names or os.listdir(os.path.join(other.dir, "keys")):
            shutil.copy2(os.path.join(other.dir, "keys", name), os.path.join(self.dir, "keys", name))


first, second, third = Machine("first"), Machine("second"), Machine("first")
third.log = os.path.join(root, "third.log")
first.admin("init", "--name", "aurora", "--listen", f"127.0.0.1:{first.port}", "--database", f"postgresql:{pg.connection} dbname=aurora")
ident = first.admin("id")["id"]
password = os.path.join(root, "password")
with open(password, "w") as f:
    f.write("correct horse battery\n")
os.chmod(password, 0o600)
for user in ("alice", "bea", "carl"):
    first.admin("user", "add", user, "--password-file", password, "--credit", "1000")
songs = [first.admin("publish", make_track(os.path.join(root, f"{i}.flac"), 1, seed=60 + i), "--price", "1")["published"][0]["content"] for i in range(8)]
shutil.copytree(first.dir, second.dir)
shutil.copytree(os.path.join(first.dir, "keys"), os.path.join(root, "begun", "keys"))
first.serve(), second.serve()
devices = {}
for name, user, machine in (("kitchen", "alice", first), ("attic", "bea", second)):
    device = Device(root, name).start()
    atexit.register(device.process.kill)
    device("register", f"hearth://127.0.0.1:{machine.port}#{ident}", "--user", user, "--password-file", password)
    devices[name] = device
kitchen, attic = devices["kitchen"], devices["attic"]


def sql(text):
    return pg.one("aurora", text)


def owned(device, content):
    return [t for t in device.library() if t["content"] == content and t["license"] == "valid"]


def buy(device, content):
    device("get", content, "--license-only", "--yes")
    assert owned(device, content)


def listed(machine, purpose):
    return {k["state"]: k["key"] for k in machine.admin("keys", "list")["keys"] if k["purpose"] == purpose}


def both_sell():
    buy(kitchen, songs[0])
    buy(attic, songs[0])


def a_withdrawn_key_on_the_second():
    first.admin("keys", "withdraw", "license")
    wait_for("it says so", lambda: second.said("keys of before (license)"))
    sold, sequence = sql("SELECT count(*) FROM license"), sql("SELECT keyset_sequence FROM distributor WHERE number = 1")
    try:
        attic("get", songs[1], "--license-only", "--yes")
        raise AssertionError("sold under a withdrawn key")
    except Refused as refusal:
        assert refusal.code == "offline", refusal
    assert sql("SELECT count(*) FROM license") == sold and not owned(attic, songs[1])
    for words in (("publish", os.path.join(root, "0.flac"), "--price", "2"), ("user", "add", "bob", "--password-file", password)):
        refusal = second.refused(*words)
        assert refusal.code == "keyset-invalid" and "Copy the files of keys/" in refusal.message, refusal
    for words in (("rotate", "tls"), ("request", os.path.join(root, "request"))):  # it would give the withdrawn one back
        assert second.refused("keys", *words).code == "keyset-invalid", words
    assert sql("SELECT keyset_sequence FROM distributor WHERE number = 1") == sequence
    assert sorted(listed(second, "license")) == ["former"] or "former, and here" not in listed(second, "license")
    buy(kitchen, songs[1])  # the first serves as ever
    assert second.process.running()
    os.remove(os.path.join(second.dir, "keys", "tls.key.new"))  # of the refused command


def the_files_are_put_there():
    second.keys_from(first)
    wait_for("it has them", lambda: second.said("keys/ here has the keys that count"))
    buy(attic, songs[1])
    assert sql("SELECT count(*) FROM license") == "4"  # the one that was refused was kept, and is bought once
    second.admin("user", "add", "bob", "--password-file", password)


def a_rotated_key_on_the_second():
    """What the key of before signs counts for an hour; the keyset is not turned back."""
    before = listed(second, "license")["in use"]
    first.admin("keys", "rotate")
    wait_for("it says so", lambda: second.said("keys of before (tls, license, roster, sealing): what they sign counts for an hour only"))
    buy(attic, songs[2])
    assert listed(second, "license")["former, and here"] == before
    assert second.refused("keys", "request", os.path.join(root, "request")).code == "keyset-invalid"
    def put(name, content):
        with open(os.path.join(second.dir, "keys", name), "wb") as f:
            f.write(content)
    now = {name: open(os.path.join(second.dir, "keys", name), "rb").read() for name in ("license.key", "roster.key")}
    put("roster.key", b"x")  # no key
    wait_for("it has looked", lambda: second.said("keys/ was changed and cannot be read"))
    put("roster.key", now["roster.key"])
    put("license.key", open(os.path.join(root, "begun", "keys", "license.key"), "rb").read())  # one that was withdrawn
    wait_for("it has looked", lambda: second.said("keys/ has older keys than those in use here"))
    buy(attic, songs[6])
    put("license.key", now["license.key"])
    second.keys_from(first, "license.key", "sealing.key")  # some of them: no worse than before
    wait_for("it takes them", lambda: second.said("keys of before (tls, roster)") or second.said("goes over to the keys") > 1)
    buy(attic, songs[3])
    second.keys_from(first)
    wait_for("it has them", lambda: second.said("keys/ here has the keys that count") == 2)
    buy(attic, songs[4])
    assert listed(second, "license") ["in use"] == listed(first, "license")["in use"]


def the_first_is_lost():
    """Nobody has the newest keys any more: others are made."""
    second.process.stop()
    second.dir, kept = second.dir + "-old", second.dir
    shutil.copytree(kept, second.dir)
    first.admin("keys", "withdraw", "license")
    second.serve()
    wait_for("it says so", lambda: second.said("keys of before (license)") >= 2)
    second.admin("keys", "rotate")
    wait_for("it has them", lambda: second.said("keys/ here has the keys that count") == 3)
    wait_for("the first says so", lambda: first.said("keys of before"))
    buy(attic, songs[5])
    first.keys_from(second)
    wait_for("it has them", lambda: first.said("keys/ here has the keys that count"))
    buy(kitchen, songs[5])


def changed_while_both_sell():
    """Two servers over one state directory go over to the next keys by themselves, and no request fails. When a key is withdrawn, what it has signed a
    moment before counts no more: a quote may have to be asked for again, nothing else."""
    third.serve()
    fridge = Device(root, "fridge").start()
    atexit.register(fridge.process.kill)
    fridge("register", f"hearth://127.0.0.1:{third.port}#{ident}", "--user", "carl", "--password-file", password)
    failures, done, stop = [], [], threading.Event()

    def shop(device):
        number = 0
        while not stop.is_set():
            try:
                device("get", songs[number % len(songs)], "--yes", "--again")
                done.append(1)
            except Refused as refusal:
                failures.append(refusal)
            number += 1
    threads = [threading.Thread(target=shop, args=(d,)) for d in (kitchen, fridge)]
    for t in threads:
        t.start()
    try:
        for words in (("rotate", "tls", "roster", "sealing"), ("rotate",), ("withdraw", "license"), ("withdraw", "license")):
            count = len(done)
            first.admin("keys", *words)
            wait_for("both sell on", lambda: len(done) > count + 8, 40)
            assert not failures or words[0] == "withdraw", [str(f) for f in failures]
    finally:
        stop.set()
        for t in threads:
            t.join()
    assert len(failures) <= 4 and not [f for f in failures if f.code != "signature-invalid"], [str(f) for f in failures]
    wait_for("the third has the keys that count", lambda: third.said("keys of before") <= third.said("keys/ here has the keys that count"))


def alone_after_a_restore():
    """While a server of another machine serves over the database, nobody says here that it was put back."""
    first.process.stop(), third.process.stop()
    wait_for("it is noted", lambda: sql("SELECT count(*) FROM serving") == "1")
    refusal = first.refused("restore", "--here")
    assert refusal.code == "in-use" and second.dir in refusal.message, refusal
    shop, backup = os.path.join(root, "shop"), os.path.join(root, "shop-backup")  # nor does a backup take the place of that database, whatever is in it
    for words in (("init", "--name", "shop"), ("backup", backup)):
        run_json([PROGRAM, "--state-dir", shop, "--json", *words])
    refusal = first.refused("restore", backup, "--replace")
    assert refusal.code == "in-use" and second.dir in refusal.message and os.path.exists(os.path.join(first.dir, "database")), refusal
    epoch = sql("SELECT count(*) FROM counter WHERE name = 'epoch' AND value > 0")
    second.process.kill()  # it is not known yet whether it was
    assert first.refused("restore", "--here").code == "in-use" and sql("SELECT count(*) FROM counter WHERE name = 'epoch' AND value > 0") == epoch
    second.serve()
    wait_for("both are noted", lambda: sql("SELECT count(*) FROM serving") == "2")
    pg.sql("aurora", "UPDATE serving SET seen_ms = seen_ms - 60001 WHERE seen_ms = (SELECT min(seen_ms) FROM serving)")
    second.process.stop()
    assert first.admin("restore", "--here")["restores"] == 1


run_cases([(f.__name__.replace("_", " "), f) for f in (
    both_sell, a_withdrawn_key_on_the_second, the_files_are_put_there, a_rotated_key_on_the_second, the_first_is_lost, changed_while_both_sell, alone_after_a_restore)])
