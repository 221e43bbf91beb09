#!/usr/bin/python3
"""The household's own spending limit, through the real programs: set with a PIN, reached by all devices together, lifted with the PIN, reset with the password."""
import os
import pty
import select
import sqlite3
import time

from household import PROGRAMS, Device, Household, Refused, enter_namespace, make_track, run_cases, wait_for

enter_namespace()
h = Household()


def secret(name, text):
    path = os.path.join(h.root, name)
    with open(path, "w") as f:
        f.write(text + "\n")
    os.chmod(path, 0o600)
    return path


pin, new_pin, wrong, bad = secret("pin", "274951"), secret("new-pin", "9163"), secret("wrong", "0000"), secret("bad", "12x4")
password = secret("password", "a long enough password")
h.aurora.admin("user", "add", "carol", "--password-file", password, "--credit", "100")
for name in ("study", "phone"):
    h.devices[name] = Device(h.root, name).start()
    h.devices[name].register(h.aurora, "carol", password)
study, phone = h.devices.values()
songs = [h.publish(make_track(os.path.join(h.root, f"song{n}.flac"), 1, seed=n), "--price", "1", "--copy-price", "0.40", "--max-copies", "5") for n in range(6)]


def sql(statement, *values):
    db = sqlite3.connect(os.path.join(h.aurora.dir, "operations.db"), timeout=10)
    try:
        with db:
            return db.execute(statement, values).fetchall()
    finally:
        db.close()


def owed():
    return -sql("SELECT coalesce(sum(amount), 0) FROM ledger WHERE account = 'user:carol'")[0][0]


def lock():
    sql("DELETE FROM spending_unlock")


def setting_it():
    assert study("limit", "aurora")["spending_limit"] is None
    study.refused("usage", "limit", "aurora", "2.50", "--period", "week", "--pin-file", pin)
    study.refused("usage", "limit", "aurora", "2,50", "--pin-file", pin)
    study.refused("usage", "limit", "aurora", "2.50")  # nobody is here to ask
    study.refused("not-permitted", "limit", "aurora", "2.50", "--pin-file", bad)
    study.refused("not-found", "limit", "aurora", "none")
    assert not sql("SELECT 1 FROM spending_limit")
    done = study("limit", "aurora", "2.50", "--pin-file", pin)
    assert (done["spending_limit"], done["period"], done["spent"], done["distributor"]) == (250, "month", 0, "aurora"), done
    (amount, period, kept), = sql("SELECT amount, period, pin FROM spending_limit")
    assert (amount, period) == (250, 2) and kept.startswith("$argon2id$") and "274951" not in kept


def all_devices_together():
    study("get", songs[0], "--yes")
    phone("get", songs[1], "--yes")
    assert phone("limit", "aurora")["spent"] == 200
    for device in (study, phone):
        refusal = device.refused("spending-limit", "get", songs[2], "--yes")
        assert "2.50 EUR a month" in refusal.message and "2.00 EUR is spent" in refusal.message, refusal
        assert "hearth unlock" in str(device.anyhow("get", songs[2], "--yes"))
    assert owed() == 200 and len(sql("SELECT 1 FROM license")) == 2
    wait_for("study sees phone", lambda: study.sees("phone"))
    study("copy", songs[0], "--to", "phone")  # 0.40: there is room for it
    assert owed() == 240
    phone.refused("spending-limit", "copy", songs[1], "--to", "study")
    assert owed() == 240 and len(sql("SELECT 1 FROM certificate")) == 1


def the_pin_with_the_purchase():
    study.refused("wrong-pin", "get", songs[2], "--yes", "--pin-file", wrong)
    assert owed() == 240
    study("get", songs[2], "--yes", "--pin-file", pin)
    assert owed() == 340
    study("get", songs[3], "--yes")  # for a while
    assert owed() == 440 and study("limit", "aurora")["unlocked_until_ms"] > time.time() * 1000
    phone.refused("spending-limit", "get", songs[4], "--yes")
    phone("copy", songs[1], "--to", "study", "--pin-file", pin)
    assert owed() == 480 and study.digest(songs[1]) == phone.digest(songs[1])
    lock()
    study.refused("spending-limit", "get", songs[4], "--yes")


def asked_at_the_terminal():
    pid, terminal = pty.fork()
    if pid == 0:
        os.execv(PROGRAMS["hearth"], ["hearth", "--socket", study.socket, "get", songs[4]])
    answers, seen, end = [("Buy it?", "y"), ("PIN: ", "274951")], "", time.monotonic() + 30
    while time.monotonic() < end:
        if answers and answers[0][0] in seen:
            os.write(terminal, (answers.pop(0)[1] + "\n").encode())
        if select.select([terminal], [], [], 0.05)[0]:
            try:
                data = os.read(terminal, 4096)
            except OSError:
                break
            if not data:
                break
            seen += data.decode(errors="replace")
    _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == 0 and not answers, seen
    assert "274951" not in seen and "is in the library" in seen, seen
    assert owed() == 580
    lock()


def changing_it():
    before = sql("SELECT * FROM spending_limit")
    phone.refused("wrong-pin", "limit", "aurora", "100", "--pin-file", wrong)
    phone.refused("wrong-pin", "limit", "aurora", "none", "--pin-file", wrong)
    phone.refused("bad-credentials", "limit", "aurora", "none", "--password-file", wrong)
    assert sql("SELECT * FROM spending_limit") == before
    phone("unlock", "aurora", "--pin-file", pin)
    done = study("limit", "aurora", "6", "--period", "day", "--pin-file", pin, "--new-pin-file", new_pin)
    assert (done["spending_limit"], done["period"], done["spent"]) == (600, "day", 580), done
    phone.refused("spending-limit", "get", songs[5], "--yes")  # what was unlocked under the old one is not any more
    phone.refused("wrong-pin", "unlock", "aurora", "--pin-file", pin)
    phone("unlock", "aurora", "--pin-file", new_pin)
    lock()


def a_refund_gives_room_where_its_sale_took_it():
    line = next(l for l in study("bills")["bills"] if l["kind"] == "license")
    h.aurora.admin("refund", str(line["number"]), "--text", "a present")
    assert study("limit", "aurora")["spent"] == 480
    study("limit", "aurora", "4.80", "--pin-file", new_pin)
    phone.refused("spending-limit", "get", songs[5], "--yes")


def guessing_is_slow_and_the_password_is_not_locked_out():
    codes = []
    while len(codes) < 20 and "rate-limited" not in codes:
        try:
            phone("unlock", "aurora", "--pin-file", wrong)
            raise AssertionError("guessed")
        except Refused as refusal:
            codes.append(refusal.code)
    assert codes[-1] == "rate-limited" and set(codes[:-1]) == {"wrong-pin"} and len(codes) <= 8, codes
    study.refused("rate-limited", "unlock", "aurora", "--pin-file", new_pin)  # of the account, whichever device
    study.refused("rate-limited", "limit", "aurora", "none", "--pin-file", new_pin)
    study("limit", "aurora", "0", "--password-file", password, "--new-pin-file", pin)
    study.refused("spending-limit", "get", songs[5], "--yes")
    phone("unlock", "aurora", "--pin-file", pin)  # the new PIN starts anew
    phone("get", songs[5], "--yes")


def several_copies_at_once():
    """All that one command asks for waits for the PIN, which is asked for once."""
    lock()
    wanted = [t["content"] for t in study.library() if t["license"] == "valid" and t["content"] in songs and t["content"] not in [o["content"] for o in phone.library()]]
    assert len(wanted) >= 2, wanted
    before = owed()
    study.refused("spending-limit", "copy", *wanted, "--to", "phone")
    assert owed() == before
    done = study("copy", *wanted, "--to", "phone", "--pin-file", pin)["transfers"]
    assert sorted(t["content"] for t in done) == sorted(wanted) and owed() == before + 40 * len(wanted), (done, owed() - before)


def removing_it():
    study("limit", "aurora", "none", "--pin-file", pin)
    assert not sql("SELECT 1 FROM spending_limit") and not sql("SELECT 1 FROM spending_unlock")
    study.refused("not-found", "unlock", "aurora", "--pin-file", pin)


def pins_lie_nowhere():
    for folder, _, names in os.walk(h.root):
        for name in names:
            path = os.path.join(folder, name)
            if os.path.isfile(path) and path != pin and os.path.splitext(name)[1] not in (".flac", ".body"):
                assert b"274951" not in open(path, "rb").read(), path


run_cases([("setting it", setting_it), ("all devices together", all_devices_together), ("the PIN with the purchase", the_pin_with_the_purchase),
           ("asked at the terminal", asked_at_the_terminal), ("changing it", changing_it),
           ("a refund gives room where its sale took it", a_refund_gives_room_where_its_sale_took_it),
           ("guessing is slow and the password is not locked out", guessing_is_slow_and_the_password_is_not_locked_out),
           ("several copies at once", several_copies_at_once), ("removing it", removing_it),
           ("PINs lie nowhere", pins_lie_nowhere)])
