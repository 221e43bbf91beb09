#!/usr/bin/python3
"""New accounts at registration, what they say about their owner, and how many devices they may have. What must be stored, and what must never be, is
looked up here in every table and every file."""
import json
import os
import pty
import re
import select
import sqlite3
import time

from household import PROGRAMS, Device, Household, Refused, enter_namespace, make_track, run_cases, wait_for

enter_namespace()
CARD = "4111 1111 1111 1111"
h = Household()
h.aurora.admin("settings", "registration", "open")
password = os.path.join(h.root, "password")
with open(password, "w") as f:
    f.write("a long enough password\n")
os.chmod(password, 0o600)
pin = os.path.join(h.root, "pin")
with open(pin, "w") as f:
    f.write("4711\n")
os.chmod(pin, 0o600)
for name in ("study", "phone", "tablet", "porch"):
    h.devices[name] = Device(h.root, name).start()
study, phone, tablet, porch = h.devices.values()


def sql(statement, *values):
    db = sqlite3.connect(f"file:{os.path.join(h.aurora.dir, 'operations.db')}?mode=ro", uri=True)
    try:
        return db.execute(statement, values).fetchall()
    finally:
        db.close()


def people():
    return sql("SELECT user, full_name, email, payment_reference FROM account ORDER BY user")


def leaves():
    return sql("SELECT leaf, client FROM leaf_client WHERE distributor = 1 ORDER BY leaf")


def open_account(device, *options, user="carol"):
    return ("register", h.aurora.url, "--user", user, "--password-file", password, "--new-account", *options)


def a_card_number_is_no_reference():
    before = people()
    for option in ("--payment-reference", "--full-name", "--email"):
        for text in (CARD, CARD.replace(" ", ""), CARD.replace(" ", "-"), f"card {CARD} 12/27"):
            refusal = study.refused("not-permitted", *open_account(study, option, text))
            assert "4111" not in str(refusal)
    assert people() == before and not leaves()


def a_new_account():
    done = study(*open_account(study, "--full-name", "Carol Example", "--email", "carol@example.org", "--payment-reference", "cus_9fK2x7"))
    assert done["user"] == "carol"
    assert ("carol", "Carol Example", "carol@example.org", "cus_9fK2x7") in people()
    assert not sql("SELECT 1 FROM payer WHERE user = 'carol'")  # the operator accepts a reference before anything is asked of it
    row = study("accounts")["accounts"][0]
    assert (row["full_name"], row["email"], row["payment_reference"]) == ("Carol Example", "carol@example.org", "cus_9fK2x7")
    assert (row["devices"], row["devices_max"], row["balance"]) == (1, 10, 0)
    assert next(u for u in h.aurora.admin("user", "list")["users"] if u["user"] == "carol")["payment_reference"] == "cus_9fK2x7"


def again_costs_nothing():
    tables = ("account", "user_password", "client_user", "client_certificate", "leaf_client", "posting",
              "counter WHERE name NOT IN ('outbox-confirmed', 'directory-cursor')")  # those two are the directory's answers to what was written before
    before = [sql(f"SELECT * FROM {t} ORDER BY 1, 2") for t in tables]
    study(*open_account(study, "--payment-reference", "another"))  # as when the first answer was lost
    for _ in range(2):
        study.register(h.aurora, "carol", password)
    assert [sql(f"SELECT * FROM {t} ORDER BY 1, 2") for t in tables] == before
    phone.refused("user-exists", *open_account(phone))


def a_full_account_names_its_devices():
    h.aurora.admin("settings", "devices-per-account", "2")
    phone.register(h.aurora, "carol", password)
    before = leaves()
    refusal = tablet.refused("device-limit", "register", h.aurora.url, "--user", "carol", "--password-file", password)
    assert "study, phone" in refusal.message and "unused longest" in refusal.message, refusal
    wrong = os.path.join(h.root, "wrong")
    with open(wrong, "w") as f:
        f.write("not the password\n")
    os.chmod(wrong, 0o600)
    refusal = tablet.refused("bad-credentials", "register", h.aurora.url, "--user", "carol", "--password-file", wrong)
    assert "study" not in refusal.message
    assert leaves() == before
    study.register(h.aurora, "carol", password)  # one of the two: no limit stops it
    study("devices", "remove", next(d["client"] for d in study("devices")["devices"] if d["name"] == "phone"))
    tablet.register(h.aurora, "carol", password)
    assert sql("SELECT name FROM client_user WHERE user = 'carol' AND revoked = 0 ORDER BY name") == [("study",), ("tablet",)]
    assert len(leaves()) == len(before) + 1 and leaves()[:len(before)] == before  # tablet's, and the removed one's stays used


def owned_is_not_bought_again():
    """Not silently: what another device of the account has, or the account lost, is bought once more only with --again."""
    song = h.publish(make_track(os.path.join(h.root, "song.flac"), 2, seed=5), "--price", "1", "--max-copies", "5", "--copy-depth", "1")

    def owed():
        return sql("SELECT coalesce(sum(amount), 0) FROM ledger WHERE account = 'user:carol'")[0][0]

    tablet("get", song, "--yes")
    assert owed() == -100
    refusal = study.refused("already", "get", song, "--yes")
    assert "tablet" in refusal.message, refusal
    study.refused("already", "get", song, "--yes", "--license-only")
    assert owed() == -100 and not study.library()
    tablet("get", song, "--yes")  # here it is not a second license
    assert owed() == -100
    study("devices", "remove", next(d["client"] for d in study("devices")["devices"] if d["name"] == "tablet"))
    refusal = study.refused("already", "get", song, "--yes")
    assert "lost" in refusal.message and owed() == -100, refusal
    assert [t["content"] for t in study("restore")["tracks"]] == [song]
    assert owed() == -100 and study.digest(song)
    phone.register(h.aurora, "carol", password)
    phone.refused("already", "get", song, "--yes")
    phone("get", song, "--yes", "--again")
    assert owed() == -200
    assert sql("SELECT count(*) FROM license WHERE account = 'carol' AND state = 1") == [(2,)]
    assert sql("SELECT coalesce(sum(amount), 0) FROM ledger") == [(0,)]


def a_destination_registered_nowhere():
    """S131: the refusal says what to run on the destination; run there, with the password, the copy is done."""
    h.aurora.admin("settings", "devices-per-account", "3")
    h.devices["shed"] = shed = Device(h.root, "shed").start()
    song = study.library()[0]["content"]
    refusal = study.refused("not-registered", "copy", song, "--to", shed("status")["client"])
    command = refusal.message.split("run on it: ", 1)[1].split()
    assert command[:2] == ["hearth", "register"] and command[2] == h.aurora.url and command[3:] == ["--user", "carol"], command
    assert not sql("SELECT 1 FROM certificate WHERE account = 'carol'")
    shed(*command[1:], "--password-file", password)
    wait_for("study sees it", lambda: study.sees("shed"))
    study("copy", song, "--to", "shed")
    assert shed.digest(song) == study.digest(song)


def guessing_delays_the_guesser():
    """Who guesses is delayed, from any address; a registered device of the account is not, and one that guesses delays itself alone."""
    wrong = os.path.join(h.root, "wrong")

    def guess(device):
        codes = []
        while len(codes) < 20 and "rate-limited" not in codes:
            try:
                device.register(h.aurora, "carol", wrong)
            except Refused as refusal:
                codes.append(refusal.code)
        return codes

    codes = guess(porch)  # a stranger to the account, at the same address as all others here
    assert codes[-1] == "rate-limited" and set(codes[:-1]) == {"bad-credentials"} and len(codes) >= 5, codes
    porch.refused("rate-limited", "register", h.aurora.url, "--user", "carol", "--password-file", password)  # the right one tells it nothing
    study.register(h.aurora, "carol", password)
    phone.register(h.aurora, "carol", password)
    codes = guess(phone)
    assert codes[-1] == "rate-limited", codes
    study.register(h.aurora, "carol", password)
    assert study("accounts")["accounts"][0]["online"]


# Every table of the database: under what name its rows about a person are exported and how many there are of ?1, or why none are.
MINE = "(SELECT client FROM client_user WHERE distributor = 1 AND user = ?1)"
TABLES = {
    "account": ("account", "SELECT count(*) FROM account WHERE user = ?1"),
    "client_user": ("devices", "SELECT count(*) FROM client_user WHERE distributor = 1 AND user = ?1"),
    "leaf_client": ("devices", f"SELECT count(*) FROM leaf_client WHERE distributor = 1 AND client IN {MINE}"),
    "device_session": ("devices", f"SELECT count(*) FROM device_session WHERE client IN {MINE}"),
    "device_standing": ("devices", f"SELECT count(*) FROM device_standing WHERE client IN {MINE}"),
    "relayed_serial": ("receipts_relayed", f"SELECT count(*) FROM relayed_serial WHERE client IN {MINE}"),
    "client_certificate": ("devices", f"SELECT count(*) FROM client_certificate WHERE distributor = 1 AND client IN {MINE}"),
    "roster": ("rosters", "SELECT count(*) FROM roster WHERE user = ?1"),
    "link": ("links", "SELECT count(*) FROM link WHERE distributor = 1 AND user = ?1"),
    "link_code": ("link_codes", "SELECT count(*) FROM link_code WHERE user = ?1"),
    "license": ("licenses", "SELECT count(*) FROM license WHERE account = ?1"),
    "user_content": ("downloads", "SELECT count(*) FROM user_content WHERE distributor = 1 AND user = ?1"),
    "user_license": ("license_downloads", "SELECT count(*) FROM user_license WHERE distributor = 1 AND user = ?1"),
    "certificate": ("copies", "SELECT count(*) FROM certificate WHERE account = ?1"),
    "copy_history": ("copies", "SELECT count(*) FROM copy_history WHERE distributor = 1 AND user = ?1"),
    "ledger": ("entries", "SELECT count(*) FROM ledger WHERE account = 'user:' || ?1"),
    "posting": ("entries", "SELECT count(DISTINCT posting) FROM ledger WHERE account = 'user:' || ?1"),
    "payment": ("payments", "SELECT count(*) FROM payment WHERE user = ?1"),
    "login_token": ("logins", "SELECT count(*) FROM login_token WHERE user = ?1"),
    "spending_limit": ("spending_limit", "SELECT count(*) FROM spending_limit WHERE user = ?1"),
    "spending_unlock": ("unlocked", "SELECT count(*) FROM spending_unlock WHERE user = ?1"),
    "use_log": ("uses", "SELECT count(*) FROM use_log WHERE account = ?1"),
    "auto_copy": ("auto_copy", "SELECT count(*) FROM auto_copy WHERE user = ?1"),
    "auto_copy_to": ("auto_copy_to", "SELECT count(*) FROM auto_copy_to WHERE user = ?1"),
    "copy_queue": ("queued", "SELECT count(*) FROM copy_queue WHERE user = ?1"),
    "invite": ("invitations", "SELECT count(*) FROM invite WHERE used_by = ?1"),
}
NOT_LISTED = {"user_password": "a hash", "payer": "in `account`", "device_answer": "an answer kept until it is confirmed: what the other parts list",
              "revoked_leaf": "leaves of removed devices: in `devices`", "outbox": "the listed rows, signed",
              "share_said": "of the rows of other distributors, hashes of their keys"}
NOT_ABOUT_PERSONS = {"serving", "withdrawn_key", "share_emptied", "storage_key", "secret", "place", "key_block_part", "share_head", "directory_mark", "finding", "setting", "counter", "distributor", "content_license", "key_block", "partner", "delegation", "product", "product_option", "content", "content_product", "erased_name", "erasure",
                     "relayed", "holder", "holder_share", "product_payer", "partner_terms", "settlement", "settled", "program", "program_provider", "sqlite_sequence"}


def a_number_that_is_a_title():
    """With --yes nobody sees which it was taken for; a number that is no title, an ID and a title are as they were."""
    ids = {title: h.publish(make_track(os.path.join(h.root, f"{title}.flac"), 2, seed=30 + n), "--price", "1", "--title", title)
           for n, title in enumerate(("3", "Alpha", "Beta"))}
    listed = phone("browse")["catalogue"]
    third = next(i for i in listed if i["number"] == 3)
    assert third["title"] != "3" and any(i["title"] == "3" for i in listed), listed
    before = sql("SELECT count(*) FROM license")
    refusal = phone.refused("ambiguous", "get", "3", "--yes")
    assert third["title"] in refusal.message, refusal
    assert sql("SELECT count(*) FROM license") == before
    phone("get", ids["3"], "--yes")
    phone("get", "Alpha", "--yes")
    titles = [t["title"] for t in phone.library()]
    assert titles == sorted(titles, key=str.lower) and "3" in titles, titles


def everything_held_is_exported():
    """Each row of each table that names the person is in the export, found here by SQL of this test's own: the operator's and the owner's are the same."""
    tables = {t for t, in sql("SELECT name FROM sqlite_schema WHERE type = 'table'")}
    assert tables == set(TABLES) | set(NOT_LISTED) | NOT_ABOUT_PERSONS, f"a table was not thought of: {tables ^ (set(TABLES) | set(NOT_LISTED) | NOT_ABOUT_PERSONS)}"
    study("limit", "aurora", "500", "--password-file", password, "--new-pin-file", pin)
    study("unlock", "aurora", "--pin-file", pin)
    study("login", "aurora", "--password-file", password)
    study("link")
    study("auto-copy", "by-distributor", "aurora", "on")
    held = h.aurora.admin("user", "export", "carol")
    account = held["account"]
    assert len(account) == 1 and account[0]["email"] == "carol@example.org" and account[0]["payment_reference"] == "cus_9fK2x7"
    text = json.dumps(held)
    for table, (member, statement) in TABLES.items():
        count = sql(statement, "carol")[0][0]
        assert count <= len(held[member]), (table, count, held[member])
        if table not in ("link", "certificate", "copy_history", "payment", "invite", "use_log", "relayed_serial", "copy_queue", "auto_copy_to"):
            assert count > 0, f"nothing to look for in {table}"
    for member in ("account", "devices", "licenses", "downloads", "license_downloads", "entries", "logins", "spending_limit", "unlocked", "link_codes", "rosters"):
        assert len(held[member]) == max(sql(s, "carol")[0][0] for t, (m, s) in TABLES.items() if m == member), member
    assert sum(e["amount"] for e in held["entries"]) == sql("SELECT sum(amount) FROM ledger WHERE account = 'user:carol'")[0][0]
    assert {d["client"] for d in study("devices")["devices"]} <= {d["client"] for d in held["devices"]}
    assert "argon2" not in text and "mallory" not in text
    assert study("accounts", "export", "aurora") == held
    path = os.path.join(h.root, "held.json")
    assert study("accounts", "export", "aurora", path)["path"] == path
    assert json.load(open(path)) == held and os.stat(path).st_mode & 0o077 == 0
    study.refused("already", "accounts", "export", "aurora", path)  # what is there is not overwritten
    for code, place, why in (("not-found", os.path.join(h.root, "nowhere", "held.json"), "No such file"), ("not-found", os.path.join(path, "held.json"), "Not a directory"),
                             ("not-permitted", "/sys/held.json", "Permission denied"), ("already", h.root, "File exists")):
        refusal = study.refused(code, "accounts", "export", "aurora", place)
        assert place in refusal.message and why in refusal.message, refusal
    study.refused("unknown-distributor", "accounts", "export", "nobody")
    # A table that learns to name users later must be thought of here.
    named = {t for t, in sql("SELECT DISTINCT m.name FROM sqlite_schema m JOIN pragma_table_info(m.name) c WHERE m.type = 'table' AND c.name IN"
                             " ('user', 'account', 'used_by', 'destination_user', 'other_user', 'client', 'destination')")}
    assert named <= set(TABLES) | set(NOT_LISTED), named
    assert h.aurora.admin("user", "export", "alice")["licenses"] == []
    try:
        h.aurora.admin("user", "export", "nobody")
        raise AssertionError("nobody was exported")
    except Refused as refusal:
        assert refusal.code == "not-found"


def at_the_terminal():
    """Without options everything is asked, the password twice and without echo; an empty answer says nothing."""
    h.aurora.admin("settings", "registration", "invite")
    code = h.aurora.admin("invite")["invitations"][0]["code"]
    answers = [("User ID", "dora"), ("Invitation", code), ("Full name", "Dora"), ("E-mail", ""), ("payment provider", "ref-7"),
               ("Password", "dora's own password"), ("Once more", "dora's own password")]
    pid, terminal = pty.fork()
    if pid == 0:
        os.execv(PROGRAMS["hearth"], ["hearth", "--socket", porch.socket, "register", h.aurora.url, "--new-account"])
    seen, end = "", time.monotonic() + 20
    waiting, mark = list(answers), 0
    while time.monotonic() < end:
        if waiting and waiting[0][0] in seen[mark:] and seen.endswith(": "):
            mark = len(seen)
            os.write(terminal, (waiting.pop(0)[1] + "\n").encode())
        if select.select([terminal], [], [], 0.05)[0]:
            try:
                data = os.read(terminal, 4096)
            except OSError:
                break
            if not data:
                break
            seen += data.decode(errors="replace")
    _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == 0 and not waiting, seen
    assert "own password" not in seen and "Registered with aurora" in seen, seen
    assert ("dora", "Dora", "", "ref-7") in people()


def no_card_number_anywhere():
    digits = re.compile(rb"4111.?1111.?1111.?1111")
    looked = 0
    for folder, _, names in os.walk(h.root):
        for name in names:
            path = os.path.join(folder, name)
            if os.path.isfile(path):
                looked += 1
                assert not digits.search(open(path, "rb").read()), path
    assert looked > 20
    refused = {c for c, in sql("SELECT count(*) FROM account WHERE user = 'carol'")}
    assert refused == {1}


run_cases([("a card number is no payment reference", a_card_number_is_no_reference), ("a new account at registration", a_new_account),
           ("registering again costs nothing", again_costs_nothing), ("a full account names its devices", a_full_account_names_its_devices),
           ("what is owned is not bought again", owned_is_not_bought_again), ("a number that is a title", a_number_that_is_a_title), ("everything held is exported", everything_held_is_exported),
           ("a destination registered nowhere", a_destination_registered_nowhere), ("asked at the terminal", at_the_terminal), ("guessing delays the guesser", guessing_delays_the_guesser),
           ("no card number in any file", no_card_number_anywhere)])
