#!/usr/bin/python3
"""The end of an account: nothing about the person is left in any table, in any free page, at the directory or with a partner; the money is all there, under a
pseudonym; what was bought plays on. Looked for here in the bytes of the files and in every table that there is."""
import glob
import os
import sqlite3
import subprocess
import sys

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "python"))
import judge
import records
from household import PROGRAMS, Device, Distributor, Household, Refused, enter_namespace, make_track, run_cases, wait_for

enter_namespace()
h = Household()
USER, NAME, EMAIL, REFERENCE, PAYER = "carolina", "Carol Q. Example", "carol@example.org", "cus_9fK2x7", "payer-4471"
STUDY, PHONE = "carols-study", "carols-phone"


def secret(name, text):
    path = os.path.join(h.root, name)
    with open(path, "w") as f:
        f.write(text + "\n")
    os.chmod(path, 0o600)
    return path


password, wrong, pin = secret("password", "a long enough password"), secret("wrong", "not the password"), secret("pin", "4711")
h.aurora.admin("user", "add", USER, "--password-file", password, "--credit", "100", "--full-name", NAME, "--email", EMAIL, "--payment-reference", REFERENCE)
h.aurora.admin("user", "add", "bob", "--password-file", password, "--credit", "100")
for name in (STUDY, PHONE, "bobs"):
    h.devices[name] = Device(h.root, name).start()
study, phone, bobs = h.devices.values()
song, other = (h.publish(make_track(os.path.join(h.root, f"song{n}.flac"), 1, seed=n), "--price", "1", "--copy-price", "0.50", "--max-copies", "5", "--copy-depth", "1")
               for n in (5, 6))
known = {}


def connect(distributor=None, name="operations.db"):
    return sqlite3.connect(f"file:{os.path.join((distributor or h.aurora).dir, name)}?mode=ro", uri=True, timeout=10)


def sql(statement, *values, distributor=None):
    db = connect(distributor)
    try:
        return db.execute(statement, values).fetchall()
    finally:
        db.close()


def alter(statement, *values):
    db = sqlite3.connect(os.path.join(h.aurora.dir, "operations.db"), timeout=10)
    try:
        with db:
            db.execute(statement, values)
    finally:
        db.close()


def everything(distributor=None):
    """Every value of every table of the schema: (table, column, value)."""
    db = connect(distributor)
    try:
        db.text_factory = bytes
        for table, in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall():
            cursor = db.execute(f'SELECT * FROM "{table.decode()}"')
            columns = [c[0] for c in cursor.description]
            for row in cursor:
                for column, value in zip(columns, row):
                    yield table.decode(), column, value
    finally:
        db.close()


def found(traces, distributor=None):
    return {(table, column) for table, column, value in everything(distributor) if isinstance(value, bytes) and any(t in value for t in traces)}


def in_files(traces, pattern):
    """Which of them lie in the bytes of the files: also in free pages and the write-ahead log."""
    data = b"".join(open(path, "rb").read() for path in glob.glob(pattern))
    assert data
    return {t for t in traces if t in data}


def ledger(account):
    return sql("SELECT l.number, l.posting, l.amount, l.balance, p.kind, p.time_ms FROM ledger l JOIN posting p ON p.number = l.posting WHERE l.account = ? ORDER BY l.number", account)


def at_directory(trace, distributor=None):
    """Rows of a distributor (aurora) at the directory that hold it."""
    db = connect(h.directory, "directory.db")
    own = sql("SELECT id FROM distributor WHERE number = 1", distributor=distributor)[0][0]
    try:
        return [n for n, e in db.execute("SELECT sequence, envelope FROM share WHERE origin = ?", (own,)) if trace in e]
    finally:
        db.close()


def bobs_rows():
    return [sql(f"SELECT * FROM {t} WHERE {c} = ? ORDER BY 1, 2", v) for t, c, v in (("account", "user", "bob"), ("user_password", "user", "bob"), ("client_user", "user", "bob"),
            ("license", "account", "bob"), ("ledger", "account", "user:bob"), ("user_content", "user", "bob"))]


def a_life():
    """Everything an account can leave behind."""
    bobs.register(h.aurora, "bob", password)
    study.register(h.aurora, USER, password)
    for n in range(260):  # more rows after hers than are pushed at once
        bobs("devices", "rename", "bobs", "bobs")
    phone.register(h.aurora, USER, password)
    h.bedroom = h.device("bedroom", h.boreal, "alina")
    h.bedroom("link", study("link")["url"])
    study("link")  # a code that nobody uses
    study("get", song, "--yes")
    phone("get", other, "--yes")
    bobs("get", song, "--yes")
    wait_for("study sees the others", lambda: study.sees(PHONE) and study.sees("bedroom"), 30)
    study("copy", song, "--to", PHONE)
    study("copy", song, "--to", "bedroom")
    h.aurora.admin("payment", "payer", USER, PAYER)
    study("limit", "aurora", "50", "--pin-file", pin)
    study("unlock", "aurora", "--pin-file", pin)
    study("login", "aurora", "--password-file", password)
    h.aurora.admin("ledger", "pay", USER, "1", "--reference", "bank 77 of Carol Q. Example", "--text", "from Carol Q. Example")
    clients = [c for c, in sql("SELECT client FROM client_user WHERE distributor = 1 AND user = ?", USER)]
    household, = sql("SELECT household FROM account WHERE user = ?", USER)[0]
    hashed, = sql("SELECT hash FROM user_password WHERE user = ?", USER)[0]
    assert len(clients) == 2
    known["person"] = [t.encode() for t in (NAME, EMAIL, REFERENCE, PAYER, STUDY, PHONE, hashed)] + [household]
    known["user"], known["clients"] = USER.encode(), clients
    named = {t for t, _ in found(known["person"] + [known["user"]] + clients)}
    assert {"account", "user_password", "client_user", "client_certificate", "leaf_client", "device_session", "device_standing", "roster", "link", "link_code", "license", "certificate",
            "copy_history", "user_content", "user_license", "ledger", "posting", "payer", "login_token", "spending_limit", "spending_unlock", "outbox"} <= named, named
    wait_for("boreal knows", lambda: found([STUDY.encode()], h.boreal))
    wait_for("so does the directory", lambda: in_files([STUDY.encode()], os.path.join(h.directory.dir, "directory.db*")))


def not_while_something_is_owed():
    refusal = study.refused("still-owed", "accounts", "erase", "aurora", "--yes", "--password-file", password)
    assert "owes" in refusal.message and "hearth bills" in str(study.anyhow("accounts", "erase", "aurora", "--yes", "--password-file", password))
    study.refused("usage", "accounts", "erase", "aurora", "--password-file", password)  # nobody is here to confirm it
    try:
        h.aurora.admin("user", "erase", USER, "--yes")
        raise AssertionError("erased")
    except Refused as refusal:
        assert refusal.code == "still-owed" and "--forgive" in refusal.message, refusal
    owed = -sql("SELECT sum(amount) FROM ledger WHERE account = ?", f"user:{USER}")[0][0]
    h.aurora.admin("ledger", "pay", USER, f"{owed / 100:.2f}")
    alter("INSERT INTO payment (key, user, amount, payer, state, prepared_ms, next_ms) VALUES (randomblob(16), ?, 100, ?, 1, 1, 9999999999999)", USER, PAYER)
    refusal = study.refused("still-owed", "accounts", "erase", "aurora", "--yes", "--password-file", password)
    assert "under way" in refusal.message, refusal
    alter("UPDATE payment SET state = 3, ended_ms = 2, detail = ? WHERE user = ?", NAME, USER)
    study.refused("bad-credentials", "accounts", "erase", "aurora", "--yes", "--password-file", wrong)
    assert sql("SELECT 1 FROM account WHERE user = ?", USER)


def whoever_reads_comes_to_the_same():
    """By the second implementation: aurora tells which of its rows are empty, and none of them was the last word."""
    keyset, = sql("SELECT keyset FROM distributor WHERE number = 1")[0]
    rows = sql("SELECT envelope, head FROM outbox ORDER BY sequence")
    assert [row for row in rows if row[1] is None] == []
    assert judge.share_log([row[0] for row in rows], records.document_open("keyset", keyset)[0]) == (rows[-1][1], set(), set())
    for distributor in (h.aurora, h.boreal):
        distributor.admin("directory", "check")
        assert not sql("SELECT text FROM finding WHERE settled_ms IS NULL AND kind IN ('rows-hidden', 'rows-taken-back')", distributor=distributor)


def nothing_is_left():
    known["ledger"], known["bob"] = ledger(f"user:{USER}"), bobs_rows()
    sold = sql("SELECT count(*), sum(amount) FROM ledger")
    assert study("accounts", "erase", "aurora", "--yes", "--password-file", password)["erased"]
    left = found(known["person"] + known["clients"] + [known["user"]])
    assert left <= {("outbox", "envelope")}, left  # removal rows, which say no more than which rows are gone
    assert not found(known["person"])
    wait_for("no free page holds it", lambda: not in_files(known["person"], os.path.join(h.aurora.dir, "operations.db*")), 30)
    (account,), = sql("SELECT DISTINCT account FROM ledger WHERE account GLOB 'user:erased-*'")
    assert ledger(account) == known["ledger"] and sql("SELECT count(*), sum(amount) FROM ledger") == sold and sold[0][1] == 0
    assert bobs_rows() == known["bob"]
    assert not sql("PRAGMA foreign_key_check") and sql("PRAGMA integrity_check") == [("ok",)]
    assert {u["user"] for u in h.aurora.admin("user", "list")["users"]} == {"alice", "mallory", "bob"}


def nor_elsewhere():
    person = known["person"]
    wait_for("the directory has empty rows", lambda: not in_files(person, os.path.join(h.directory.dir, "directory.db*")), 30)
    wait_for("boreal has let go", lambda: not {f for f in found(person + known["clients"], h.boreal) if f[0] in ("client_user", "client_certificate", "leaf_client", "link",
                                                                                                               "user_content", "user_license", "roster")}, 30)
    wait_for("bedroom is alone", lambda: [d["name"] for d in h.bedroom("devices")["devices"]] == ["bedroom"], 30)
    assert not h.bedroom("accounts")["accounts"][0]["linked"] and len(h.bedroom("accounts")["accounts"]) == 1
    assert h.bedroom.digest(song)
    whoever_reads_comes_to_the_same()


def what_was_bought_plays_on():
    assert study.digest(song) and phone.digest(other)
    study.refused("not-registered", "get", other, "--yes")
    wait_for("both know", lambda: all(d("accounts")["accounts"][0].get("removed") for d in (study, phone)), 30)
    study.kill()
    study.start()
    assert study.digest(song)


def the_name_is_nobodys():
    for name in (USER, "erased-0123456789abcdef"):
        try:
            h.aurora.admin("user", "add", name, "--password-file", password)
            raise AssertionError("added")
        except Refused as refusal:
            assert refusal.code == "user-exists", refusal
    h.aurora.admin("settings", "registration", "open")
    study.refused("user-exists", "register", h.aurora.url, "--user", USER, "--new-account", "--password-file", password)
    study.refused("bad-credentials", "register", h.aurora.url, "--user", USER, "--password-file", password)
    study("register", h.aurora.url, "--user", "erin", "--new-account", "--password-file", password)  # somebody new, with nothing
    assert study("accounts")["accounts"][0]["balance"] == 0 and not study("restore")["tracks"]
    assert not sql("SELECT 1 FROM license WHERE account = 'erin'")


def the_last_traces_go_after_a_month():
    assert in_files([known["user"]], os.path.join(h.aurora.dir, "operations.db*"))
    h.aurora.stop()
    alter("UPDATE erasure SET erased_ms = 1")
    h.aurora.start()
    wait_for("emptied", lambda: not sql("SELECT 1 FROM erasure"), 40)
    wait_for("here", lambda: not in_files([known["user"]], os.path.join(h.aurora.dir, "operations.db*")), 40)
    wait_for("and there", lambda: not at_directory(known["user"]), 40)
    assert at_directory(known["user"], h.boreal)  # a partner's own rows about its link are the partner's
    bobs("devices", "rename", "bobs", "bobs-new")  # the outbox goes on
    wait_for("boreal hears of it", lambda: found([b"bobs-new"], h.boreal), 30)
    whoever_reads_comes_to_the_same()


def events(device, kind):
    done = subprocess.run([PROGRAMS["hearth"], "--socket", device.socket, "--json", "events"], capture_output=True, text=True, timeout=60, check=True)
    return done.stdout.count(f'"{kind}"')


def the_operator_may_forgive():
    bobs.refused("still-owed", "accounts", "erase", "aurora", "--yes", "--password-file", password)
    assert not events(bobs, "unknown-device")
    assert h.aurora.admin("user", "erase", "bob", "--yes", "--forgive")["erased"]
    wait_for("bob's device hears of it, and asks for nothing", lambda: events(bobs, "unknown-device"), 10)
    assert not found([b"bobs-new"]) - {("outbox", "envelope")} and sql("SELECT sum(amount) FROM ledger") == [(0,)]
    balances = sql("SELECT account, sum(amount) FROM ledger WHERE account GLOB 'user:erased-*' GROUP BY account")
    assert len(balances) == 2 and all(b == 0 for _, b in balances), balances
    assert bobs("accounts")["accounts"][0]["removed"]
    assert bobs.digest(song)
    for name, code in (("bob", "not-found"), ("nobody", "not-found")):
        try:
            h.aurora.admin("user", "erase", name, "--yes")
            raise AssertionError("erased")
        except Refused as refusal:
            assert refusal.code == code, refusal


def a_new_account_on_the_same_device():
    """On the connection that is still open; what the old account had is bought anew, and said to be gone first."""
    bobs.register(h.aurora, "robert", h.aurora.user("robert"))
    refusal = bobs.refused("no-license", "play", song, "--output", "digest")
    assert "earlier registration" in str(refusal), refusal
    bobs("get", song, "--yes")
    assert bobs.digest(song) and sql("SELECT sum(amount) FROM ledger WHERE account = 'user:robert'")[0][0] < 0


def who_joins_later_reads_it_all():
    """Rows emptied after a change of keys are under a key that is named after them: a new member waits for that, and finds nothing wrong."""
    h.aurora.admin("keys", "rotate")
    h.aurora.admin("user", "erase", "robert", "--yes", "--forgive")
    zeta = Distributor(h.root, "zeta")
    h.directory.admin("partner", "add", zeta.url, "--name", "zeta")
    zeta.admin("directory", "set", h.directory.url)
    zeta.start()
    try:
        wait_for("it has all of aurora's rows", lambda: sql("SELECT chain_sequence FROM distributor WHERE name = 'aurora'", distributor=zeta) == sql("SELECT max(sequence) FROM outbox"), 30)
        checked = zeta.admin("directory", "check")
        assert checked["asked"] and checked["open"] == 0 and "row-refused" not in [f["finding"] for f in checked["findings"]], checked
    finally:
        zeta.stop()


def the_ledger_still_only_grows():
    for statement in ("UPDATE ledger SET amount = amount + 1", "UPDATE ledger SET account = 'user:x'", "UPDATE ledger SET account = 'user:erased-0000000000000000'",
                      "DELETE FROM ledger", "UPDATE posting SET text = 'x' WHERE kind = 1", "UPDATE posting SET time_ms = 0", "DELETE FROM posting"):
        db = sqlite3.connect(os.path.join(h.aurora.dir, "operations.db"), timeout=10)
        try:
            with db:
                db.execute(statement)
            raise AssertionError(statement)
        except sqlite3.IntegrityError:
            pass
        finally:
            db.close()


run_cases([("a life", a_life), ("not while something is owed", not_while_something_is_owed), ("nothing is left", nothing_is_left), ("nor elsewhere", nor_elsewhere),
           ("what was bought plays on", what_was_bought_plays_on), ("the name is nobody's", the_name_is_nobodys),
           ("the last traces go after a month", the_last_traces_go_after_a_month), ("the operator may forgive", the_operator_may_forgive), ("a new account on the same device", a_new_account_on_the_same_device),
           ("who joins later reads it all", who_joins_later_reads_it_all), ("the ledger still only grows", the_ledger_still_only_grows)])
