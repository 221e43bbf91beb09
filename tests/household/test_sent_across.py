#!/usr/bin/python3
"""What one device buys is sent on to a named device of a linked account at another distributor, by the distributor that sold it, also when the device that bought it is off by
then: under a copy certificate that the other's vault judges in full, once, at the price of a copy, and never to anybody else."""
import base64
import os
import random
import sqlite3
import tempfile
import time

from household import Household, Refused, enter_namespace, make_track, reference_digest, run_cases, wait_for
from timetravel import FAKETIME, Clock

enter_namespace()
root = tempfile.mkdtemp(prefix="hearth-test-")
clock = Clock(root) if os.path.exists(FAKETIME) else None
h = Household(root).settle()
seed = int(os.environ.get("HEARTH_SEED", time.time_ns() % 100000))
dice = random.Random(seed)
paths = {}


def sql(statement, *values, at=None, write=False):
    db = sqlite3.connect(os.path.join((at or h.aurora).dir, "operations.db"), timeout=10)
    try:
        rows = db.execute(statement, values).fetchall()
        if write:
            db.commit()
        return rows
    finally:
        db.close()


def song(number, seconds=1):
    path = make_track(os.path.join(h.root, f"{number}.flac"), seconds=seconds, seed=number)
    content = h.publish(path, "--price", "1.00", "--copy-price", "0.10", "--max-copies", "5", "--copy-depth", "1")
    paths[content] = path
    return content


def in_sql(content):
    return "x'" + base64.b32decode(content.upper() + "=" * (-len(content) % 8)).hex() + "'"


def has(content, device=None):
    track = next((t for t in (device or h.bedroom).library() if t["content"] == content), None)
    return bool(track) and track["has_body"] and track["license"] == "valid"


def waiting(content):
    return sql(f"SELECT count(*) FROM copy_queue WHERE content = {in_sql(content)}")[0][0]


def certificates(content):
    """Their states: 1 issued, 2 redeemed, 3 refused."""
    return [state for state, in sql(f"SELECT state FROM certificate WHERE content = {in_sql(content)} ORDER BY serial")]


def copies(content):
    return sql(f"SELECT sum(copies) FROM license WHERE content = {in_sql(content)}")[0][0]


def paid():
    return -sql("SELECT coalesce(sum(amount), 0) FROM ledger WHERE account = 'user:alice'")[0][0]


def buys(content):
    """kitchen, which is killed as soon as it has it. What alice owes then."""
    if not h.kitchen.process.running():
        h.kitchen.start()
    wait_for("kitchen is connected", lambda: h.kitchen("status")["distributors_online"] >= 1, 40)
    before = paid()
    h.kitchen("get", content, "--license-only", "--yes")
    h.kitchen.kill()
    return before + 100


def arrives(content, owed):
    wait_for(f"bedroom has it (HEARTH_SEED={seed})", lambda: has(content), 40)
    wait_for("the receipt is there", lambda: certificates(content) == [2], 40)
    assert waiting(content) == 0 and copies(content) == 1, (waiting(content), copies(content))
    assert paid() == owed + 10, (paid(), owed)
    assert h.bedroom.digest(content) == reference_digest(paths[content])
    assert not h.kitchen.process.running()


def named_and_asked():
    assert h.kitchen("auto-copy", "by-distributor") == {"distributor": "aurora", "by_distributor": False, "devices": []}
    content = song(1)
    buys(content)
    assert waiting(content) == 0
    h.kitchen.start()
    wait_for("kitchen is connected", lambda: h.kitchen("status")["distributors_online"] >= 1)
    now = {"distributor": "aurora", "by_distributor": False, "devices": [{"name": "bedroom", "distributor": "boreal"}]}
    assert h.kitchen("auto-copy", "by-distributor", "on", "--to", "bedroom") == now
    assert h.attic("auto-copy", "by-distributor") == now  # the account's, on each device
    h.kitchen.refused("not-found", "auto-copy", "by-distributor", "on", "--to", "nobody")
    h.kitchen.refused("usage", "auto-copy", "by-distributor", "--to", "bedroom")


def bought_and_off():
    content = song(2)
    arrives(content, buys(content))
    assert not has(content, h.attic), "the account's own devices were not named"
    assert ", bought on another device, was sent on by aurora" in open(h.bedroom.log).read()


def when_it_comes():
    h.bedroom.stop()
    content = song(3)
    owed = buys(content)
    assert waiting(content) == 1 and certificates(content) == [] and paid() == owed, "nothing is issued or paid before"
    h.aurora.stop()  # and its distributor is another process by then
    h.aurora.start()
    h.bedroom.start()
    arrives(content, owed)


def begun(content):
    """bedroom, killed with the certificate and a part of the body: it receives slowly, but not after that."""
    h.bedroom("transfers", "limit", "100K")
    owed = buys(content)
    wait_for("a part is here", lambda: certificates(content) == [1] and any(t["content"] == content and t["done_bytes"] > 0 for t in h.bedroom("transfers")["transfers"]))
    h.bedroom.kill()
    assert copies(content) == 1 and paid() == owed + 10 and waiting(content) == 1
    return owed


def go_on():
    h.bedroom.start()
    h.bedroom("transfers", "limit", "none")


def cut_off():
    content = song(4, seconds=20)
    owed = begun(content)
    h.aurora.kill()
    h.aurora.start()
    go_on()
    arrives(content, owed)


def killed():
    for number in range(10, 13):
        h.bedroom.stop()
        content = song(number, seconds=20)
        owed = buys(content)
        for _ in range(4):
            h.bedroom.start(wait=False)
            time.sleep(dice.uniform(0.1, 0.8))  # a random moment, not a wait
            if dice.random() < 0.4:
                h.aurora.kill()
                h.aurora.start()
            h.bedroom.kill()
        h.bedroom.start()
        arrives(content, owed)


def its_distributor_restarts():
    """bedroom comes back to aurora by itself, and asks."""
    h.aurora.kill()
    content = song(5)
    h.aurora.start()
    arrives(content, buys(content))


def source_brings_it_too():
    """kitchen copies by itself meanwhile: one certificate, paid once."""
    h.bedroom.stop()
    content = song(6)
    owed = buys(content)
    h.kitchen.start()
    h.bedroom.start()
    h.kitchen("get", content, "--yes")
    try:
        h.kitchen("copy", content, "--to", "bedroom")
    except Refused as refusal:  # it came from aurora first
        assert refusal.code in ("already", "in-use"), refusal
    h.kitchen.kill()
    arrives(content, owed)


def directory_away():
    h.directory.kill()
    content = song(7)
    arrives(content, buys(content))
    h.directory.start()


def refused_for_now():
    """No credit: it waits until there is some."""
    h.bedroom.stop()
    content = song(8)
    owed = buys(content)
    limit, = sql("SELECT credit_limit FROM account WHERE user = 'alice'")[0]
    h.aurora.admin("user", "set", "alice", "--credit", f"{owed / 100:.2f}")
    h.bedroom.start()
    wait_for("it was refused", lambda: "was not taken reason=credit-refused" in open(h.bedroom.log).read())
    assert not has(content) and certificates(content) == [] and paid() == owed
    h.aurora.admin("user", "set", "alice", "--credit", f"{limit / 100:.2f}")
    h.bedroom.stop()
    h.bedroom.start()
    arrives(content, owed)


def ended_before():
    """Its certificate has ended: bedroom's vault signs that it was not stored, count and price come back, and another one is made."""
    if clock is None:
        return "SKIP no libfaketime"
    content = song(9, seconds=20)
    owed = begun(content)
    h.bedroom.start()
    h.bedroom("transfers", "limit", "1K")
    clock.go([h.directory, h.aurora, h.boreal, h.attic, h.bedroom], 8)
    h.bedroom("transfers", "limit", "none")
    wait_for("bedroom has it", lambda: has(content), 130)  # 60 s were once too short; why is not known for certain, attempts lie up to a minute apart
    wait_for("the receipt is there", lambda: certificates(content) == [3, 2], 40)
    assert copies(content) == 1 and paid() == owed + 10 and waiting(content) == 0, (copies(content), paid(), owed)
    assert h.bedroom.digest(content) == reference_digest(paths[content])


def nothing_arrived(content, owed):
    assert not has(content) and certificates(content) == [] and paid() == owed and copies(content) == 0, (certificates(content), paid(), owed)


def switched_off():
    h.bedroom.stop()
    content, other = song(20), song(23)
    owed = buys(content)
    assert waiting(content) == 1
    assert h.attic("auto-copy", "by-distributor", "off", "--to", "bedroom")["devices"] == []
    assert waiting(content) == 0
    h.attic("auto-copy", "by-distributor", "on", "--to", "bedroom")
    later = buys(other)
    h.bedroom.start()
    arrives(other, later)  # so it has asked for all that there is
    nothing_arrived(content, owed + 110)


def unlinked():
    h.bedroom.stop()
    content = song(21)
    owed = buys(content)
    h.attic("unlink", "boreal")
    wait_for("aurora has unlinked", lambda: sql("SELECT count(*) FROM link WHERE distributor = 1") == [(0,)])
    h.bedroom.start()
    wait_for("bedroom has heard of it", lambda: not any(d["name"] == "kitchen" for d in h.bedroom("devices")["devices"]))
    nothing_arrived(content, owed)
    assert h.attic("auto-copy", "by-distributor")["devices"] == []
    h.bedroom("link", h.attic("link")["url"])
    arrives(content, owed)  # within 30 days of the purchase


def removed():
    h.bedroom.stop()
    content = song(22)
    owed = buys(content)
    client = next(d["client"] for d in h.attic("devices")["devices"] if d["name"] == "bedroom")
    h.boreal.admin("device", "revoke", client)
    wait_for("aurora has heard of it", lambda: waiting(content) == 0)
    h.bedroom.start()
    wait_for("bedroom has heard of it", lambda: "unknown-device" in open(h.bedroom.log).read() or "device-revoked" in open(h.bedroom.log).read())
    nothing_arrived(content, owed)
    assert sql("SELECT count(*) FROM auto_copy_to") == [(0,)]


run_cases([("nobody is served who was not named", named_and_asked),
           ("bought, and off: it comes from the distributor", bought_and_off),
           ("one that is away has it when it comes", when_it_comes),
           ("killed in the middle: it goes on with the same certificate", cut_off),
           ("kills of both ends: once given, once paid", killed),
           ("the distributor was away meanwhile", its_distributor_restarts),
           ("the source brings it too: one copy", source_brings_it_too),
           ("without the directory", directory_away),
           ("no credit: it waits", refused_for_now),
           ("a certificate that has ended gives count and price back", ended_before),
           ("switched off before", switched_off),
           ("unlinked before, and linked again", unlinked),
           ("removed before", removed)])
