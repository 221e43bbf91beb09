#!/usr/bin/python3
"""Who writes too many shared rows - a partner, a member of a directory, a customer - is held back: what it writes is heard of later, its log has no gap, everybody
else goes on, and the operator hears of it."""
import os
import sqlite3
import time

from household import Distributor, Household, Refused, enter_namespace, run_cases, wait_for
from liar import Liar, records

enter_namespace()
h = Household().settle()
h.names = {}
ROWS, A_MINUTE = 7000, 3000


def sql(distributor, statement, *values):
    db = sqlite3.connect(f"file:{os.path.join(distributor.dir, 'operations.db')}?mode=ro", uri=True, timeout=10)
    try:
        return db.execute(statement, values).fetchall()
    finally:
        db.close()


def limit(distributor, **settings):
    with open(distributor.dir + ".conf", "w") as f:
        f.write("[limits]\n" + "".join(f"{name.replace('_', '-')} = {value}\n" for name, value in settings.items()))
    if distributor.process.running():
        distributor.admin("--config", distributor.dir + ".conf", "reload")


def restart(distributor):
    """With a configuration, that can be reloaded."""
    from household import PROGRAMS, Process
    distributor.stop()
    limit(distributor)
    distributor.process = Process([PROGRAMS["hearth-distributor"], "--state-dir", distributor.dir, "--config", distributor.dir + ".conf", "serve"], distributor.log)
    wait_for(f"{distributor.name} listens", distributor.reachable)


def links(count):
    return [(20, False, records.LINK, {"user": f"u{i}", "other": b"o" * 32, "other_user": "x"}) for i in range(count)]


def taken(distributor, of):
    return sql(distributor, "SELECT chain_sequence FROM distributor WHERE name = ?", of.name)[0][0]


def too_many(distributor, of):
    return bool(sql(distributor, "SELECT 1 FROM finding f JOIN distributor d ON d.number = f.distributor WHERE f.kind = 'rows-too-many' AND f.settled_ms IS NULL AND d.name = ?", of.name))


def figure(distributor, name):
    import subprocess
    from household import PROGRAMS
    text = subprocess.run([PROGRAMS["hearth-distributor"], "--state-dir", distributor.dir, "stats", "--openmetrics"], capture_output=True, text=True, check=True).stdout
    return sum(float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if line.startswith(name))


def others_are_heard(writer, reader, name):
    """While somebody is held back: a change of another distributor's customer."""
    device = h.bedroom if writer is h.boreal else h.attic
    device("devices", "rename", h.names.get(device.name, device.name), name)
    wait_for("it is heard of", lambda: sql(reader, "SELECT 1 FROM client_user WHERE name = ?", name), 30)
    h.names[device.name] = name


for d in (h.aurora, h.directory):
    restart(d)
mallet = Distributor(h.root, "mallet")
liar = Liar(mallet)


def through_the_directory():
    """It is the directory that answers the pushes later."""
    h.directory.admin("partner", "add", mallet.url, "--name", "mallet")
    mallet.admin("directory", "set", h.directory.url)
    limit(h.directory, partner_rows_per_minute=A_MINUTE)
    last = liar.put_all(links(ROWS))
    mallet.start()
    wait_for("it is found", lambda: too_many(h.directory, mallet), 40)
    assert figure(h.directory, "hearth_findings_open") == 1 and figure(h.directory, 'hearth_over_quota_total{of="partner-rows"}') > 0
    assert taken(h.aurora, mallet) < last
    others_are_heard(h.boreal, h.aurora, "bedroom-2")
    assert taken(h.aurora, mallet) < last
    limit(h.directory, partner_rows_per_minute=0)
    wait_for("all is there", lambda: taken(h.aurora, mallet) == last, 60)
    wait_for("it is over", lambda: not too_many(h.directory, mallet), 60)
    assert sql(h.aurora, "SELECT count(*) FROM link WHERE other_user = 'x'") == [(ROWS,)]


def a_directory_that_does_not_hold_it_back():
    limit(h.aurora, partner_rows_per_minute=A_MINUTE)
    mallet.stop()
    last = liar.put_all([(t, True, *rest) for t, _, *rest in links(ROWS)])
    mallet.start()
    wait_for("it is found", lambda: too_many(h.aurora, mallet), 40)
    assert taken(h.aurora, mallet) < last
    others_are_heard(h.boreal, h.aurora, "bedroom-3")  # of boreal itself: in the directory's order it waits
    limit(h.aurora, partner_rows_per_minute=0)
    wait_for("all is there", lambda: taken(h.aurora, mallet) == last, 60)
    wait_for("it is over", lambda: not too_many(h.aurora, mallet), 60)
    assert sql(h.aurora, "SELECT count(*) FROM link WHERE other_user = 'x'") == [(0,)]


def a_partner_itself():
    """Without a directory: it is asked later."""
    mallet.stop()
    h.directory.stop()
    limit(h.aurora, partner_rows_per_minute=A_MINUTE)
    h.aurora.admin("partner", "add", mallet.url, "--name", "mallet")
    mallet.admin("partner", "add", h.aurora.url, "--name", "aurora")
    last = liar.put_all(links(ROWS))
    mallet.start()
    wait_for("it is found", lambda: too_many(h.aurora, mallet), 60)
    assert taken(h.aurora, mallet) < last
    others_are_heard(h.boreal, h.aurora, "bedroom-4")
    limit(h.aurora, partner_rows_per_minute=0)
    wait_for("all is there", lambda: taken(h.aurora, mallet) == last, 60)
    wait_for("it is over", lambda: not too_many(h.aurora, mallet), 60)


def a_customer():
    """Its household is refused, its distributor's other customers are not."""
    limit(h.aurora, account_rows_per_minute=20)
    before = sql(h.aurora, "SELECT max(sequence) FROM outbox")[0][0]
    refusal = None
    client = h.kitchen("status")["client"]
    for number in range(60):
        try:
            h.kitchen("devices", "rename", client, f"k{number}")
        except Refused as refused:
            refusal = refused
            break
    assert refusal is not None and refusal.code == "rate-limited", refusal
    assert sql(h.aurora, "SELECT max(sequence) FROM outbox")[0][0] - before < 60
    assert figure(h.aurora, 'hearth_over_quota_total{of="account-rows"}') > 0
    assert h.kitchen("browse")["catalogue"] == []  # reading writes nothing
    limit(h.aurora, account_rows_per_minute=0)
    h.kitchen("devices", "rename", client, "kitchen-9")


def who_buys_meanwhile():
    """Waits as long as the distributor says, and has it then: nobody has to try again."""
    limit(h.aurora, account_rows_per_minute=20)
    over = figure(h.aurora, 'hearth_over_quota_total{of="account-rows"}')
    client = h.kitchen("status")["client"]
    for number in range(20):
        path = os.path.join(h.root, f"bought-{number}.wav")
        with open(path, "wb") as f:
            f.write(b"RIFF" + os.urandom(500))
        song = h.publish(path, "--price", "1", "--title", f"Bought {number}")
        try:
            for rename in range(60):
                h.kitchen("devices", "rename", client, f"r{number}-{rename}")
        except Refused as refused:
            assert refused.code == "rate-limited", refused
        met = figure(h.aurora, 'hearth_over_quota_total{of="account-rows"}')
        assert h.kitchen("get", song, "--yes") and h.kitchen.track(song)["license"] == "valid"
        if figure(h.aurora, 'hearth_over_quota_total{of="account-rows"}') > met > over:
            break
    else:
        raise AssertionError("no purchase met the limit")
    limit(h.aurora, account_rows_per_minute=0)


run_cases([(f.__name__.replace("_", " "), f) for f in (through_the_directory, a_directory_that_does_not_hold_it_back, a_partner_itself, a_customer, who_buys_meanwhile)])
