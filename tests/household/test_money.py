#!/usr/bin/python3
"""Money through the real programs: sales and their shares, credit refused and restored, a title withdrawn, refunds, and payments by a command while
the server and the command are killed. What the ledger must say is computed here, from SQL of this test's own. HEARTH_KILLS, HEARTH_SEED: how long, which."""
import base64
import fcntl
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "python"))
import judge  # noqa: E402
from household import PROGRAMS, Household, Refused, enter_namespace, make_track, reference_digest, run_cases, wait_for

enter_namespace()
KILLS = int(os.environ.get("HEARTH_KILLS", "6"))
SEED = int(os.environ.get("HEARTH_SEED", "1"))
h = Household().settle()
path = make_track(os.path.join(h.root, "song.flac"), 3, seed=31)
digest = reference_digest(path)
more = [make_track(os.path.join(h.root, f"more{i}.flac"), 1, seed=40 + i) for i in range(3)]


def sql(statement, *values, distributor=None):
    db = sqlite3.connect(f"file:{(distributor or h.aurora).dir}/operations.db?mode=ro", uri=True)
    try:
        return db.execute(statement, values).fetchall()
    finally:
        db.close()


def id_bytes(text):
    return base64.b32decode(text.upper() + "=" * (-len(text) % 8))


def balance(account):
    return sql("SELECT coalesce(sum(amount), 0) FROM ledger WHERE account = ?", account)[0][0]


def ledger_is_even():
    assert not sql("SELECT posting FROM ledger GROUP BY posting HAVING sum(amount) <> 0")
    assert not sql("SELECT l.number FROM ledger l LEFT JOIN posting p ON p.number = l.posting WHERE p.number IS NULL")
    assert not sql("SELECT reference FROM posting GROUP BY reference HAVING count(*) > 1")
    running = {}
    for account, amount, after in sql("SELECT account, amount, balance FROM ledger ORDER BY number"):
        running[account] = running.get(account, 0) + amount
        assert running[account] == after, account
    assert sum(running.values()) == 0
    assert h.aurora.admin("ledger", "check")["balanced"]


def newest_bill(text):
    return next(b for b in h.kitchen("bills")["bills"] if text in b["text"])


def sales():
    global content
    content = h.publish(path, "--price", "1.29", "--copy-price", "0.10", "--max-copies", "5", "--copy-depth", "1")
    product = str(sql("SELECT product FROM content_product")[0][0])
    for holder, share in (("anna", ("--basis-points", "1500")), ("ben", ("--fixed", "0.09", "--of", "license"))):
        h.aurora.admin("holder", "add", holder)
        h.aurora.admin("holder", "share", holder, "--product", product, *share)
    h.kitchen("get", content, "--yes")
    assert balance("user:alice") == -129
    assert (balance("holder:ben"), balance("holder:anna"), balance("revenue")) == (9, 18, 102)  # 15 % of 1.20
    h.kitchen("copy", content, "--to", "attic")
    h.kitchen("copy", content, "--to", "bedroom")
    assert balance("user:alice") == -149
    assert (balance("holder:ben"), balance("holder:anna"), balance("revenue")) == (9, 22, 118)  # 1.5 cents: the larger part lost is rounded up
    assert len(sql("SELECT 1 FROM posting WHERE kind = 2 AND serial IS NOT NULL")) == 2
    bills = h.kitchen("bills")
    assert [b["kind"] for b in bills["bills"]] == ["copy", "copy", "license"]
    page = h.kitchen("bills", "aurora", "--limit", "2")["bills"]
    assert [b["number"] for b in page] == [b["number"] for b in bills["bills"][:2]] and page[1]["more"] and "more" not in page[0]
    rest = h.kitchen("bills", "aurora", "--before", str(page[1]["number"]))
    assert rest["bills"] == bills["bills"][2:] and not rest["totals"]
    h.kitchen.refused("usage", "bills", "--before", "3")
    total = bills["totals"][0]
    assert (total["charged"], total["paid"], total["refunded"], total["balance"]) == (149, 0, 0, -149)
    ledger_is_even()


def sold():
    """What the operator reads when a customer calls."""
    def licenses(*words):
        return [(r["content"], r["user"], r["device"], r["state"], r["price"], bool(r["entry"]), bool(r["downloaded"])) for r in h.aurora.admin("license", "list", *words)["licenses"]]

    bought, copied = (content, "alice", "kitchen", "live", 129, True, True), (content, "alice", "attic", "live", 0, False, True)
    assert bought in licenses() and copied in licenses("--user", "alice"), licenses()
    assert licenses("--user", "mallory") == []
    row = next(r for r in h.aurora.admin("license", "list", "--user", "alice")["licenses"] if r["price"])
    assert row["title"] == "Track 31" and row["entry"] == newest_bill("License: Track 31")["number"] and abs(row["bought"] - time.time() * 1000) < 600_000, row


def credit():
    second = h.publish(more[0], "--price", "0.50")
    h.aurora.admin("user", "set", "alice", "--credit", "1.50")
    before = sql("SELECT count(*), max(number) FROM posting"), h.kitchen.snapshot(), len(sql("SELECT 1 FROM license"))
    refusal = h.kitchen.refused("credit-refused", "get", second, "--yes")
    assert "bills" in refusal.message or refusal.message
    assert before == (sql("SELECT count(*), max(number) FROM posting"), h.kitchen.snapshot(), len(sql("SELECT 1 FROM license")))
    h.aurora.admin("ledger", "pay", "alice", "1.49", "--reference", "bank-1")
    h.aurora.admin("ledger", "pay", "alice", "1.49", "--reference", "bank-1")
    assert balance("user:alice") == 0
    h.kitchen("get", second, "--yes")
    assert balance("user:alice") == -50
    h.aurora.admin("user", "set", "alice", "--credit", "1000")
    ledger_is_even()


def withdrawn():
    assert not h.aurora.admin("withdraw", content)["known_before"]
    assert h.aurora.admin("withdraw", content)["known_before"]
    assert not any(t["content"] == content for t in h.bedroom("browse")["catalogue"])
    assert h.kitchen.digest(content) == h.attic.digest(content) == h.bedroom.digest(content) == digest
    h.kitchen("remove", content)
    h.kitchen("get", content, "--yes", "--download-only")  # who bought it downloads it again
    assert h.kitchen.digest(content) == digest
    assert h.aurora.admin("withdraw", content, "--undo")["withdrawn"] is False
    assert any(t["content"] == content for t in h.kitchen("browse")["catalogue"])


def refunds():
    entry = newest_bill("License: Track 31")["number"]
    revenue, anna, ben = balance("revenue"), balance("holder:anna"), balance("holder:ben")
    done = h.aurora.admin("refund", str(entry), "--amount", "0.43", "--text", "Scratches", "--license", "revoke")
    assert done["amount"] == 43 and done["license_revoked"]
    assert (balance("holder:ben") - ben, balance("holder:anna") - anna, balance("revenue") - revenue) == (-3, -6, -34)  # a third
    bill = newest_bill("Scratches")
    assert (bill["kind"], bill["amount"], bill["refunds"], bill["license_revoked"]) == ("refund", 43, entry, True)
    try:
        h.aurora.admin("refund", str(entry))
        raise AssertionError("refunded twice")
    except Refused as refusal:
        assert refusal.code == "already"
    assert h.kitchen.digest(content) == digest, "what is stored cannot be taken back"
    h.kitchen.refused("no-license", "copy", content, "--to", "attic", "--again")
    assert [r["state"] for r in h.aurora.admin("license", "list", "--user", "alice")["licenses"] if r["entry"] == entry] == ["refunded"]
    ledger_is_even()


def settlement():
    """Fees and charges between aurora and boreal, read by a second implementation, checked, disputed, settled once."""
    aurora, boreal, statement = h.aurora.admin, h.boreal.admin, os.path.join(h.root, "statement")
    aurora("partner", "terms", "boreal", "--pays-fee", "0.02", "--pays-share", "1000", "--charges", "1.00")
    boreal("partner", "terms", "aurora", "--gets-fee", "0.02", "--gets-share", "1000", "--accepts-charges", "1.00")
    aurora("settings", "copy-charged", "destination")
    track = h.publish(make_track(os.path.join(h.root, "shared.flac"), 1, seed=60), "--price", "0", "--copy-price", "0.25", "--copy-depth", "1")
    h.kitchen("get", track, "--yes")
    owed = balance("user:alice")
    h.kitchen("copy", track, "--to", "bedroom")
    assert balance("user:alice") == owed, "the destination's account pays"
    made = aurora("settlement", "make", "boreal", statement)["statements"][0]
    assert (made["rows"], made["net"]) == (2, 5 - 25)  # 2 cents and 2.5, rounded up
    wait_for("boreal knows the copy", lambda: sql("SELECT 1 FROM copy_history WHERE distributor <> 1 AND content = ?",
                                                  id_bytes(track), distributor=h.boreal))
    envelope, ours = sql("SELECT keyset, (SELECT id FROM distributor WHERE number = 1) FROM distributor WHERE name = 'aurora'", distributor=h.boreal)[0]
    keyset = judge.keyset(envelope, id_bytes(h.aurora.id), 0, int(time.time() * 1000))
    document, rows = judge.settlement_file(open(statement, "rb").read(), keyset, ours)
    assert (document["net"], [(r["kind"], r["amount"], r["user"]) for r in rows]) == (-20, [(2, -25, "alina"), (1, 5, "alina")])
    checked = boreal("settlement", "check", statement)
    assert checked["agreed"] == 2 and checked["needed"] == "", checked
    boreal("partner", "terms", "aurora", "--gets-fee", "0.03", "--gets-share", "0", "--accepts-charges", "0")  # one side forgot what was agreed
    done = subprocess.run([PROGRAMS["hearth-distributor"], "--state-dir", h.boreal.dir, "settlement", "check", statement], capture_output=True, text=True)
    assert done.returncode == 1 and "partner terms aurora --gets-fee 0.05" in done.stdout and "partner terms aurora --accepts-charges" in done.stdout, done
    boreal("partner", "terms", "aurora", "--gets-fee", "0.03", "--gets-share", "1000", "--accepts-charges", "1.00")
    done = subprocess.run([PROGRAMS["hearth-distributor"], "--state-dir", h.boreal.dir, "--json", "settlement", "accept", statement], capture_output=True)
    disputed = json.loads(done.stdout)
    assert done.returncode == 1 and not disputed["accepted"] and [r["finding"] for r in disputed["rows"]] == ["agreed", "other-amount", "missing"]
    assert not sql("SELECT 1 FROM settled", distributor=h.boreal)
    boreal("partner", "terms", "aurora", "--gets-fee", "0.02")
    for posted, before in ((-20, 0), (0, 2)):
        accepted = boreal("settlement", "accept", statement)
        assert (accepted["posted"], accepted["settled_before"]) == (posted, before)
    assert [p["balance"] for p in aurora("settlement", "position")["positions"]] == [-20]
    assert [p["balance"] for p in boreal("settlement", "position")["positions"]] == [20]
    bill = h.bedroom("bills")["bills"][0]
    assert (bill["kind"], bill["amount"], bill["text"]) == ("settlement", -25, "Copy, charged by aurora")
    boreal("settlement", "paid", "aurora", "0.20", "--reference", "may")
    aurora("settlement", "received", "boreal", "0.20", "--reference", "may")
    assert aurora("settlement", "received", "boreal", "0.20", "--reference", "may")["known_before"]
    assert [p["balance"] for d in (aurora, boreal) for p in d("settlement", "position")["positions"]] == [0, 0]
    assert boreal("ledger", "check")["balanced"]
    aurora("settings", "copy-charged", "source")
    ledger_is_even()


# ---- payments ----

COMMAND = '''#!/usr/bin/python3
import json, os, random, signal, sqlite3, sys, time
here = os.path.dirname(os.path.abspath(__file__))
assert not [v for v in os.environ if v not in ("PATH", "LANG", "TZ", "LC_CTYPE")], "a limited environment"
assert len(sys.argv) == 1, "nothing on the command line"
order = json.loads(sys.stdin.readline())
db = sqlite3.connect(os.path.join(here, "bank.db"), timeout=20)
mode = open(os.path.join(here, "mode")).read().strip()
last = db.execute("SELECT pid FROM running").fetchone()
def alive(pid):  # not a zombie that nobody has fetched, nor another program by now
    try:
        return b"collect" in open(f"/proc/{pid}/cmdline", "rb").read()
    except OSError:
        return False
if last and alive(last[0]):
    db.execute("INSERT INTO overlap VALUES (?)", (order["key"],))
db.execute("DELETE FROM running")
db.execute("INSERT INTO running VALUES (?)", (os.getpid(),))
db.commit()
if mode == "decline":
    print("no money\\n=secret second line")
    sys.exit(10)
if mode == "slow":
    time.sleep(60)
if mode == "chaos":
    time.sleep(random.random() * 0.3)
    if random.random() < 0.2:
        os.kill(os.getpid(), signal.SIGKILL)
db.execute("INSERT OR IGNORE INTO charge VALUES (?, ?, ?, ?)", (order["key"], order["amount"], order["user"], order["payer"]))
db.commit()  # charged from here on, whatever becomes of this process
if mode == "chaos":
    time.sleep(random.random() * 0.3)
    if random.random() < 0.4:
        sys.exit(random.choice([1, 2, 75]))
if mode == "lost":
    os.kill(os.getpid(), signal.SIGKILL)
print("receipt " + order["key"][:6])
'''


def bank(statement):
    db = sqlite3.connect(os.path.join(h.root, "bank.db"), timeout=20)
    try:
        rows = db.execute(statement).fetchall()
        db.commit()
        return rows
    finally:
        db.close()


def mode(word):
    with open(os.path.join(h.root, "mode.new"), "w") as f:
        f.write(word)
    os.replace(os.path.join(h.root, "mode.new"), os.path.join(h.root, "mode"))


def payments(**wanted):
    return [p for p in h.aurora.admin("payment", "list")["payments"] if all(p[k] == v for k, v in wanted.items())]


def open_a_bank():
    for table in ("charge (key TEXT PRIMARY KEY, amount INTEGER, user TEXT, payer TEXT)", "running (pid INTEGER)", "overlap (key TEXT)"):
        bank(f"CREATE TABLE {table}")
    command = os.path.join(h.root, "collect")
    with open(command, "w") as f:
        f.write(COMMAND)
    os.chmod(command, 0o755)
    mode("pay")
    h.aurora.admin("settings", "payment-command", command)
    assert "payment-command was changed" not in log()
    h.aurora.admin("payment", "payer", "alice", "customer-4711")
    h.aurora.admin("payment", "collect", "alice")
    wait_for("a server that was started without it says that it starts nothing", lambda: "payment-command was changed" in log())
    config = os.path.join(h.root, "aurora.conf")
    h.aurora.serve_options = ["--config", config]
    with open(config, "w") as f:
        f.write("[server]\npayment-command = /bin/true\n")
    again()
    wait_for("no other one is started than the configuration's", lambda: "payment-command is another one than the configuration's" in log())
    assert {p["attempts"] for p in payments(state="prepared")} == {0}, payments()
    with open(config, "w") as f:
        f.write(f"[server]\npayment-command = {command}\n")
    again()


def log():
    return open(h.aurora.log, encoding="utf-8").read()


def again(ends_of_children=signal.SIG_DFL):
    """A server goes by the payment command that was set when it began. Who starts it may ignore ends of children, which what is started inherits."""
    h.aurora.stop()
    signal.signal(signal.SIGCHLD, ends_of_children)
    h.aurora.start()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)


def books_agree():
    """What the bank took is what the ledger says was paid, key by key."""
    paid = dict(sql("SELECT substr(p.reference, 9), -l.amount FROM posting p JOIN ledger l ON l.posting = p.number AND l.account = 'payments'"
                    " WHERE p.reference GLOB 'payment:*'"))
    taken = dict(bank("SELECT key, amount FROM charge"))
    assert paid == taken, (paid, taken)
    assert not bank("SELECT * FROM overlap"), "two commands at the same time"
    assert not sql("SELECT 1 FROM payment WHERE state IN (1, 2)")
    ledger_is_even()


def collected():
    open_a_bank()
    made = payments(user="alice")[0]
    owed = made["amount"]
    assert owed > 0
    assert made["amount"] == owed and made["payer"] == "customer-4711"
    wait_for("the payment is made", lambda: payments(payment=made["payment"], state="paid"))
    assert payments(payment=made["payment"])[0]["detail"] == "receipt " + made["key"][:6]
    assert bank("SELECT amount, user, payer FROM charge") == [(owed, "alice", "customer-4711")]
    assert balance("user:alice") == 0
    books_agree()


def declined():
    mode("decline")
    third = h.publish(more[1], "--price", "2.00")
    h.aurora.admin("settings", "collect-at", "1.50")
    h.kitchen("get", third, "--yes")  # passes the threshold: collected by itself
    declined = wait_for("the payment is declined", lambda: payments(state="declined"))[0]
    assert declined["amount"] == 200 and declined["detail"] == "no money"
    fourth = h.publish(more[2], "--price", "0.10")
    refusal = h.kitchen.refused("credit-refused", "get", fourth, "--yes")
    assert "declined" in refusal.message
    mode("pay")
    h.aurora.admin("payment", "collect", "alice")
    wait_for("it is paid after all", lambda: balance("user:alice") == 0)
    h.kitchen("get", fourth, "--yes")  # reinstated
    h.aurora.admin("settings", "collect-at", "0")
    books_agree()


def ignored(pid):
    """The signals that a process ignores."""
    return int(next(line.split()[1] for line in open(f"/proc/{pid}/status") if line.startswith("SigIgn")), 16)


def deaf():
    """A command that does not read what it is told: its exit status counts, and nobody is ended by the pipe that nobody reads. Nor is it "paid" where the server was started by who ignores ends of
    children, as some supervisors do."""
    pipe = 1 << signal.SIGPIPE - 1
    mask, decline = os.path.join(h.root, "mask"), os.path.join(h.root, "refuse")
    for name, text in ((mask, "sed -n s/SigIgn:.//p /proc/self/status\nexit 10"), (decline, "setsid -f sleep 86399\nexit 10")):
        with open(name, "w") as f:
            f.write(f"#!/bin/sh\n{text}\n")
        os.chmod(name, 0o755)
    h.aurora.admin("user", "add", "deaf", "--password-file", h.passwords["alice"], "--credit", "10")
    owe("deaf", 12)
    h.aurora.serve_options = []
    before = None
    for command, state in ((mask, "declined"), (decline, "declined"), *[("/bin/true", "paid")] * 6):
        if command != before:
            h.aurora.admin("settings", "payment-command", command)
            again(signal.SIG_IGN if command == decline else signal.SIG_DFL)
            before = command
        made = h.aurora.admin("payment", "collect", "deaf", "--amount", "0.01")["payments"][0]
        ended = wait_for("the payment has ended", lambda: payments(payment=made["payment"], state=state))[0]
        assert h.aurora.process.running() and ended["attempts"] == 1, ended
        if command == mask:
            assert not int(ended["detail"], 16) & pipe, "the command has the signal as programs expect it"
        if state == "paid":
            bank(f"INSERT INTO charge VALUES ('{made['key']}', 1, 'deaf', '')")
    assert not running(b"86399"), "what it left running, in a session of its own, would hold the lock for ever"
    assert ignored(h.aurora.process.child.pid) & pipe
    listing = subprocess.Popen([PROGRAMS["hearth-distributor"], "--state-dir", h.aurora.dir, "ledger", "list", "--csv"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    listing.stdout.close()  # as `| head` does
    assert listing.stderr.read() == b"" and listing.wait(20) == -signal.SIGPIPE
    h.aurora.admin("ledger", "pay", "deaf", "0.06")
    h.aurora.admin("settings", "payment-command", os.path.join(h.root, "collect"))
    again()
    books_agree()


def without_a_starter():
    """What starts the command dies while one runs: the server says so and serves on, nothing is handed, and the next server pays once."""
    mode("slow")
    h.aurora.admin("settings", "payment-timeout", "60")
    for name, amount in (("dave", 250), ("erin", 130)):
        h.aurora.admin("user", "add", name, "--password-file", h.passwords["alice"], "--credit", "10")
        owe(name, amount)
    made = h.aurora.admin("payment", "collect", "dave")["payments"][0]
    wait_for("it runs", lambda: payments(payment=made["payment"], state="handed") and running())
    pid = h.aurora.process.child.pid
    starter = int(open(f"/proc/{pid}/task/{pid}/children", encoding="utf-8").read().split()[0])
    os.kill(starter, signal.SIGKILL)
    wait_for("the server says so", lambda: "the starter of the payment command has ended" in log())
    later = h.aurora.admin("payment", "collect", "erin")["payments"][0]
    wait_for("what was handed is due again", lambda: payments(payment=made["payment"])[0]["detail"] == "its starter has ended")
    h.aurora.admin("payment", "retry", str(made["payment"]))
    assert not bank("SELECT 1 FROM charge WHERE key IN ('%s', '%s')" % (made["key"], later["key"]))
    wait_for("the command ends with its starter", lambda: not running())
    mode("pay")
    h.aurora.admin("settings", "payment-timeout", "2")
    h.kitchen("browse")
    assert payments(payment=later["payment"])[0]["attempts"] == 0
    with open(os.path.join(h.aurora.dir, "payment.lock"), "rb") as lock:  # as a command does that does not end
        fcntl.flock(lock, fcntl.LOCK_EX)
        again()
        wait_for("the next server says for what it waits", lambda: "a payment command of before still runs" in log())
    for payment in (made, later):
        wait_for("the next server pays", lambda: payments(payment=payment["payment"], state="paid"))
    books_agree()


def running(word=None):
    """The commands that run; or what has this word among its arguments."""
    found = []
    for p in filter(str.isdigit, os.listdir("/proc")):
        try:
            if (word or os.path.join(h.root, "collect").encode()) in open(f"/proc/{p}/cmdline", "rb").read().split(b"\0"):
                found.append(int(p))
        except OSError:
            pass
    return found


def lost_words():
    """The command is killed after it charged, and one hangs: the same key is handed again, and nothing is charged twice."""
    mode("lost")
    made = h.aurora.admin("payment", "collect", "alice")["payments"][0]
    assert h.aurora.admin("payment", "collect", "alice")["payments"][0]["key"] == made["key"], "one open payment"
    wait_for("it was charged", lambda: bank("SELECT 1 FROM charge WHERE key = '" + made["key"] + "'"))
    wait_for("it is handed", lambda: payments(payment=made["payment"], state="handed"))
    assert balance("user:alice") < 0
    mode("slow")
    h.aurora.admin("payment", "retry", str(made["payment"]))
    wait_for("the slow one runs", lambda: payments(payment=made["payment"])[0]["attempts"] >= 2)
    try:
        h.aurora.admin("payment", "mark", str(made["payment"]), "declined")
        raise AssertionError("marked while a command runs")
    except Refused as refusal:
        assert refusal.code == "in-use"
    wait_for("the slow one is given up", lambda: payments(payment=made["payment"])[0]["attempts"] >= 2)
    mode("pay")

    def done():
        if payments(payment=made["payment"], state="handed"):
            h.aurora.admin("payment", "retry", str(made["payment"]))
        return payments(payment=made["payment"], state="paid")
    wait_for("it is paid", done)
    books_agree()


def kills():
    """The server and the command die at any moment."""
    dice = random.Random(SEED)
    mode("chaos")
    for round in range(KILLS):
        h.aurora.admin("user", "add", f"user{round}", "--password-file", h.passwords["alice"], "--credit", "10")
        # Something that is owed: a payment that went back, entered the other way round by a charge of this test's own.
        owe(f"user{round}", 100 + round)
        h.aurora.admin("payment", "collect", "--all")
        time.sleep(dice.random() * 1.2)
        if dice.random() < 0.3:
            for (pid,) in bank("SELECT pid FROM running"):
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
        h.aurora.kill()
        h.aurora.start()
    mode("pay")

    def done():
        for p in payments(state="handed"):
            h.aurora.admin("payment", "retry", str(p["payment"]))
        return not sql("SELECT 1 FROM payment WHERE state IN (1, 2)")
    wait_for("all payments have ended", done, 60)
    books_agree()
    assert all(balance(f"user:user{r}") == 0 for r in range(KILLS))


def owe(user, amount):
    """A posting by hand, as another program would write it: the schema takes it because it is even."""
    db = sqlite3.connect(os.path.join(h.aurora.dir, "operations.db"), timeout=20)
    db.execute("PRAGMA foreign_keys = ON")
    db.isolation_level = None
    db.execute("BEGIN IMMEDIATE")
    number = db.execute("UPDATE counter SET value = value + 1 WHERE name = 'movement' RETURNING value").fetchone()[0]
    for account, value in ((f"user:{user}", -amount), ("revenue", amount)):
        before = db.execute("SELECT coalesce(sum(amount), 0) FROM ledger WHERE account = ?", (account,)).fetchone()[0]
        db.execute("INSERT INTO ledger (posting, account, amount, balance) VALUES (?, ?, ?, ?)", (number, account, value, before + value))
    db.execute("INSERT INTO posting (number, reference, kind, time_ms, text) VALUES (?, ?, 3, 1, 'Owed')", (number, f"test:{user}"))
    db.execute("COMMIT")
    db.close()


run_cases([("sales are shared to the cent", sales), ("what was sold is listed", sold), ("credit is refused and restored", credit), ("a withdrawn title harms no buyer", withdrawn),
           ("a refund in part, with the license's future", refunds), ("partners settle", settlement), ("a command collects", collected), ("a declined payment ends credit", declined),
           ("a command that does not read", deaf), ("a command whose starter dies", without_a_starter), ("a command that loses its words", lost_words), (f"{KILLS} kills lose and double nothing", kills)])
