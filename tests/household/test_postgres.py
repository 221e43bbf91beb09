#!/usr/bin/python3
"""Two servers of one distributor over one PostgreSQL database: real devices buy, copy and get refunds at both, while the servers are killed and
PostgreSQL is killed and restarted under them. Afterwards SQL of this test's own counts: nothing acknowledged is lost, nothing is charged twice.
HEARTH_KILLS, HEARTH_SEED: how often, which."""
import atexit
import base64
import os
import random
import re
import subprocess
import threading
import time

import cluster
from household import PROGRAMS, Device, Distributor, Household, Process, Refused, enter_namespace, free_port, make_track, reference_digest, run_cases, run_json, wait_for

enter_namespace()
os.environ["HEARTH_DOUBT"] = "1"  # the servers ask all the same what they remember, and refuse where it is not so
KILLS = int(os.environ.get("HEARTH_KILLS", "5"))
random.seed(int(os.environ.get("HEARTH_SEED", "1")))
PRICE, COPY_PRICE, CONTENTS = 129, 10, 12
pg = cluster.Cluster(durable=True).__enter__()
atexit.register(pg.__exit__)
pg.create("aurora")


class OnPostgres(Distributor):
    """Two servers over one state directory and one database: process and port, second and second_port."""

    def __init__(self, root, name, directory=False):
        if name != "aurora":
            super().__init__(root, name, directory)
            return
        self.name, self.dir, self.port, self.second_port = name, os.path.join(root, name), free_port(), free_port()
        self.log, self.process, self.second = self.dir + ".log", None, None
        self.admin("init", "--name", name, "--listen", f"127.0.0.1:{self.port}", "--database", f"postgresql:{pg.connection} dbname=aurora")
        self.url = self.admin("id")["url"]
        self.id = self.url.rsplit("#", 1)[1]

    def start(self):
        super().start()
        return self if self.name != "aurora" else self.start_second()

    def start_second(self):
        self.second = Process([PROGRAMS["hearth-distributor"], "--state-dir", self.dir, "serve", "--listen", f"127.0.0.1:{self.second_port}"], self.log)
        return self


def household():
    import household as module
    module.Distributor = OnPostgres
    return Household().settle()


h = household()
second_url = h.aurora.url.replace(f":{h.aurora.port}#", f":{h.aurora.second_port}#")
kettle = Device(h.root, "kettle").start()  # a customer of the other server
kettle("register", second_url, "--user", "mallory", "--password-file", h.passwords["mallory"])
h.devices["kettle"] = kettle
paths = [make_track(os.path.join(h.root, f"t{i}.flac"), 1, seed=60 + i) for i in range(CONTENTS)]
contents = [h.publish(paths[0], "--price", "1.29", "--copy-price", "0.10", "--max-copies", "9", "--copy-depth", "1")]
contents += [h.publish(p, "--product", "1") for p in paths[1:]]
acknowledged, copied, refunded, ended = {}, [], [], threading.Event()


def sql(text):
    return pg.rows("aurora", text)


def the_story():
    h.kitchen("get", contents[0], "--yes")
    assert h.kitchen.digest(contents[0]) == reference_digest(paths[0])
    h.kitchen("copy", contents[0], "--to", "bedroom")  # across distributors
    wait_for("bedroom has it", lambda: h.bedroom.track(contents[0]))
    assert h.bedroom.digest(contents[0]) == reference_digest(paths[0])
    kettle("get", contents[0], "--yes")
    assert kettle.digest(contents[0]) == reference_digest(paths[0])
    assert not os.path.exists(os.path.join(h.aurora.dir, "operations.db"))
    assert os.stat(os.path.join(h.aurora.dir, "database")).st_mode & 0o777 == 0o600


def what_one_server_changes_the_other_announces():
    """The account's devices are on different servers; a removal at one counts at the other."""
    spare = Device(h.root, "spare").start()
    h.devices["spare"] = spare
    spare("register", second_url, "--user", "alice", "--password-file", h.passwords["alice"])
    wait_for("kitchen hears of spare", lambda: any(d["name"] == "spare" for d in h.kitchen("devices")["devices"]), 30)
    h.kitchen("devices", "remove", "spare")
    try:
        spare("get", contents[1], "--yes")
        raise AssertionError("a removed device bought at the other server")
    except Refused as refused:
        assert refused.code in ("device-revoked", "not-registered"), refused
    spare.stop()


def refusals():
    other = os.path.join(h.root, "other")
    for database, code in (("postgresql:host=/x password=secret", "usage"), ("mysql://x", "usage"), ("postgresql:host=/nowhere dbname=x", "offline")):
        try:
            run_json([PROGRAMS["hearth-distributor"], "--state-dir", other, "--json", "init", "--name", "o", "--database", database])
            raise AssertionError(database)
        except Refused as refused:
            assert refused.code == code, refused
    nowhere = subprocess.run([PROGRAMS["hearth-distributor"], "--state-dir", other, "init", "--name", "o", "--database", f"postgresql:{pg.connection} dbname=nowhere"],
                             capture_output=True, text=True, timeout=20)
    assert nowhere.returncode == 1 and 'database "nowhere" does not exist' in nowhere.stderr and "does not let us in" in nowhere.stderr and "\ufffd" not in nowhere.stderr, nowhere
    pg.create("other")  # what was refused left nothing behind
    made = [PROGRAMS["hearth-distributor"], "--state-dir", other, "--json"]
    run_json([*made, "init", "--name", "other", "--directory", "--listen", "127.0.0.1:0", "--database", f"postgresql:{pg.connection} dbname=other"])
    assert run_json([*made, "stats"])["accounts"] == 0 and run_json([*made, "restore", "lost"])["lost"] == []
    third = os.path.join(h.root, "third")
    taken = subprocess.run([PROGRAMS["hearth-distributor"], "--state-dir", third, "init", "--name", "third", "--database", f"postgresql:{pg.connection} dbname=other"],
                           capture_output=True, text=True, timeout=20)
    assert taken.returncode == 1 and "dbname=other is another distributor's" in taken.stderr, taken  # it is the database that is in use, not the directory
    assert os.listdir(os.path.join(third, "keys")) == []  # keys that have no database would stand in the way of the next
    pg.create("empty")  # the keys are in use, their database is not there any more
    with open(os.path.join(other, "database")) as f:
        chosen = f.read()
    with open(os.path.join(other, "database"), "w") as f:
        f.write(chosen.replace("dbname=other", "dbname=empty"))
    for words in (("stats",), ("init", "--name", "other"), ("init", "--name", "other", "--database", f"postgresql:{pg.connection} dbname=empty")):
        told = subprocess.run([PROGRAMS["hearth-distributor"], "--state-dir", other, *words], capture_output=True, text=True, timeout=20)
        assert told.returncode == 1 and "database is empty" in told.stderr and "restore --here" in told.stderr, told
    with open(os.path.join(other, "database"), "w") as f:
        f.write(chosen)
    first = Process([*made, "serve"], other + ".log")
    wait_for("it serves", lambda: "serving listen" in open(other + ".log").read())
    assert subprocess.run([*made, "serve"], capture_output=True, timeout=20).returncode == 1  # a directory is one process
    first.stop()
    try:
        h.aurora.admin("init", "--name", "aurora", "--database", f"postgresql:{pg.connection} dbname=postgres")
        raise AssertionError("a second database")
    except Refused as refused:
        assert refused.code == "already", refused


def starts_before_its_database():
    """As after a boot, or when both are restarted: it waits for the database, and serves."""
    def said(word):
        with open(h.aurora.log) as f:
            return f.read().count(word)
    served, tried = said("serving listen"), said("tried again in a moment")
    h.aurora.second.kill()
    pg.stop()
    h.aurora.start_second()
    wait_for("it tries again", lambda: said("tried again in a moment") > tried)
    assert h.aurora.second.running()
    pg.start()
    wait_for("it serves", lambda: said("serving listen") == served + 1)
    wait_for("kettle is connected", lambda: kettle("status")["distributors_online"] == 1, 60)


AWAY = ("offline", "timed-out", "cancelled", "in-use", "session-replaced", "rate-limited", "out-of-step", "already")


def until_done(until, *command):
    """A command that is repeated while something is away: what it was to do is done once. False: not in time."""
    while time.monotonic() < until:
        try:
            command[0](*command[1:])
            return True
        except Refused as refused:
            assert refused.code in AWAY, refused
            time.sleep(0.05)
    return False


def buy(device, until):
    for content in contents[1:]:
        if until_done(until, device, "get", content, "--yes"):
            acknowledged.setdefault(device.name, []).append(content)
        time.sleep(random.uniform(0, 0.03 * KILLS))  # as long as the kills last


def copy(until):
    for content in contents[1:]:
        while content not in acknowledged.get("kitchen", []) and time.monotonic() < until:
            time.sleep(0.05)
        if until_done(until, h.kitchen, "copy", content, "--to", "attic"):
            copied.append(content)


def refund(until):
    """Every third purchase of mallory's, by a command that is repeated until it is done or is said to be done."""
    while not ended.is_set() and time.monotonic() < until:
        time.sleep(0.1)
        try:
            entries = h.aurora.admin("ledger", "list", "--account", "user:mallory", "--kind", "license")["entries"]
        except Refused:
            continue
        for number in [e["number"] for e in entries if e["number"] % 3 == 0 and e["number"] not in refunded]:
            try:
                h.aurora.admin("refund", str(number))
                refunded.append(number)
            except Refused as refused:
                assert refused.code in AWAY, refused
                if refused.code == "already":
                    refunded.append(number)


def hurt(number):
    if number % 3 == 0:
        h.aurora.process.kill()
        h.aurora.process = Process([PROGRAMS["hearth-distributor"], "--state-dir", h.aurora.dir, "serve"], h.aurora.log)
    elif number % 3 == 1:
        pg.kill() if number % 2 else pg.stop()
        pg.start()
    else:
        h.aurora.second.kill()
        h.aurora.start_second()


def storm():
    until = time.monotonic() + 150  # a busy machine
    threads = [threading.Thread(target=buy, args=(d, until)) for d in (h.kitchen, kettle)]
    threads += [threading.Thread(target=work, args=(until,)) for work in (copy, refund)]
    for t in threads:
        t.start()
    for number in range(KILLS):
        time.sleep(random.uniform(0.1, 0.6))
        hurt(number)
    for t in threads[:3]:
        t.join()
    ended.set()
    threads[3].join()
    assert sorted(acknowledged["kitchen"]) == sorted(acknowledged["kettle"]) == sorted(copied) == sorted(contents[1:])


def id_hex(text):
    return base64.b32decode(text.upper() + "=" * (-len(text) % 8)).hex()


def nothing_is_lost_and_nothing_double():
    assert not sql("SELECT posting FROM ledger GROUP BY posting HAVING sum(amount) <> 0 OR count(*) < 2")
    assert not sql("SELECT l.number FROM ledger l LEFT JOIN posting p ON p.number = l.posting WHERE p.number IS NULL")
    assert not sql("SELECT p.number FROM posting p LEFT JOIN ledger l ON p.number = l.posting WHERE l.number IS NULL")
    assert not sql("SELECT 1 FROM (SELECT balance, sum(amount) OVER (PARTITION BY account ORDER BY number) AS s FROM ledger) AS x WHERE s <> balance")
    assert sql("SELECT sum(amount) FROM ledger") == [["0"]]
    assert h.aurora.admin("ledger", "check")["balanced"]
    # Each license that was acknowledged is there, and each that is there was charged once.
    for device in (h.kitchen, kettle):
        client = id_hex(device("status")["client"])
        held = {row[0] for row in sql(f"SELECT encode(content, 'hex') FROM license WHERE client = decode('{client}', 'hex')")}
        assert {id_hex(c) for c in acknowledged[device.name]} <= held
    assert not sql("SELECT license_id, client FROM posting WHERE kind = 1 GROUP BY license_id, client HAVING count(*) <> 1")
    assert not sql("SELECT serial FROM posting WHERE kind = 2 GROUP BY serial HAVING count(*) <> 1")
    sold = int(pg.one("aurora", "SELECT count(*) FROM posting WHERE kind = 1"))
    assert sold == 2 * CONTENTS, sold
    copies = int(pg.one("aurora", "SELECT count(*) FROM certificate WHERE destination_number = 1"))
    assert copies == len(copied) == CONTENTS - 1, (copies, len(copied))
    # What was given back was given back once, and what was said to be is.
    back = {row[0] for row in sql("SELECT l.number FROM ledger l JOIN posting r ON r.refunds = l.posting WHERE l.account = 'user:mallory'")}
    assert back == {str(n) for n in refunded}, (back, refunded)
    alice, mallory = (int(pg.one("aurora", f"SELECT sum(amount) FROM ledger WHERE account = 'user:{u}'")) for u in ("alice", "mallory"))
    assert mallory == -PRICE * (CONTENTS - len(refunded)), mallory
    assert alice == -PRICE * CONTENTS - COPY_PRICE * CONTENTS, alice  # one copy more went to bedroom
    # Two servers push to one directory, and neither takes the other's rows for a sign that the database is an old copy.
    assert not sql("SELECT kind, text FROM finding")
    # The outbox has no gap, and the directory has all of it.
    assert pg.one("aurora", "SELECT max(sequence) - count(*) FROM outbox") == "0"
    wait_for("the directory has everything", lambda: pg.one("aurora", "SELECT (SELECT value FROM counter WHERE name = 'outbox-confirmed')"
                                                                       " = (SELECT max(sequence) FROM outbox)") == "t", 30)


def everything_plays():
    for device in (h.kitchen, h.attic, kettle):
        assert device.digest(contents[3]) == reference_digest(paths[3])


READS = {"list", "show", "check", "position", "members", "history", "id", "stats", "settings", "lost", "user", "statement", "use-log", "payer"}  # what only asks
NOT_THESE = ("contents ", "settlement check", "user add", "user set", "user erase", "user token revoke")
VALUES = {"NAME": "mallory", "USER": "mallory", "ACCOUNT": "user:mallory", "DATE": "2020-01-01", "KIND": "license", "PRODUCT": "1"}


def every_question_is_understood():
    """Each form of each command that only asks, as help says it, with each option: no statement is there that this database does not take."""
    def told(*words):
        done = subprocess.run([PROGRAMS["hearth-distributor"], "--state-dir", h.aurora.dir, *words], capture_output=True, text=True, timeout=30)
        assert done.returncode == 0, (words, done)
        return done.stdout

    asked = set()
    for command in re.findall(r"^  (\S+)", told("help"), re.MULTILINE):
        usage = told(command, "--help").split("\n\n")[0]
        for form in " ".join(usage.split()).split("hearth-distributor ")[1:]:
            options = re.findall(r"\[(--[a-z-]+) ?([^]]*)\]", form)
            form = re.sub(r"\[(--[^]]*|[A-Z ]+)\]|[][]", "", form).split(" | ")[0].strip()
            if not READS & set(form.split()) or form.startswith(NOT_THESE):
                continue
            words = [VALUES.get(word, word) for word in form.split()]
            asked.add(" ".join(words))
            told(*words)
            told("--json", *words)
            for option, value in options:
                for one in value.split("|") if "|" in value else [VALUES.get(value, value)]:
                    if one == one.lower():
                        told(*words, option, *one.split())
    assert {"ledger list", "certificate list", "payment list", "content list", "settlement position", "directory check", "user export mallory"} <= asked and len(asked) > 24, sorted(asked)


def another_storage_key():
    """Changed while both servers sell, by commands of which some are killed; no request fails, and nothing is left under the key before."""
    failures, done, stop = [], [], threading.Event()

    def shop(device):
        number = 0
        while not stop.is_set():
            try:
                device("get", contents[number % CONTENTS], "--yes", "--again")
                done.append(1)
            except Refused as refused:
                failures.append(str(refused))
            number += 1
    for device in (h.kitchen, kettle):
        wait_for(f"{device.name} is connected", lambda: device("status")["distributors_online"] >= 1, 40)
    threads = [threading.Thread(target=shop, args=(d,)) for d in (h.kitchen, kettle)]
    for t in threads:
        t.start()
    for number in range(4):
        command = Process([PROGRAMS["hearth-distributor"], "--state-dir", h.aurora.dir, "keys", "rotate", "storage"], os.path.join(h.root, "rotate.log"))
        if number % 2:
            time.sleep(random.uniform(0, 0.3))
            command.kill()
        else:
            command.child.wait(60)
            assert command.child.returncode == 0, open(os.path.join(h.root, "rotate.log")).read()
    wait_for("the servers have finished it", lambda: not h.aurora.admin("keys", "list")["storage_changing"])
    count = len(done)
    wait_for("both sell on", lambda: len(done) > count + 4, 40)
    stop.set()
    for t in threads:
        t.join()
    assert not failures, failures[:5]
    key = h.aurora.admin("keys", "list")["storage_key"]
    assert sql("SELECT encode(id, 'hex') FROM storage_key") == [[key]]
    for table, column in (("content", "header_half"), ("content", "license_half"), ("key_block", "root"), ("partner", "copy_secret"), ("secret", "sealed")):
        assert {row[0] for row in sql(f"SELECT encode(substr({column}, 1, 8), 'hex') FROM {table}")} == {key}, table


def nothing_was_remembered_wrongly():
    with open(h.aurora.log) as f:
        assert not [line for line in f if "what was remembered is not so" in line]


def stopping():
    h.aurora.second.stop()
    h.aurora.stop()
    h.aurora.start()


run_cases([(f.__name__.replace("_", " "), f) for f in (
    the_story, what_one_server_changes_the_other_announces, refusals, starts_before_its_database, storm, nothing_is_lost_and_nothing_double, everything_plays, every_question_is_understood, another_storage_key, nothing_was_remembered_wrongly, stopping)])
