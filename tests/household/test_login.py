#!/usr/bin/python3
"""The account's password beside the device's key: what a distributor's login policy asks for, what a login is worth, and what ends it."""
import json
import os
import pty
import select
import sqlite3
import subprocess
import time

from household import PROGRAMS, Device, Household, Refused, enter_namespace, make_track, run_cases, wait_for

enter_namespace()
h = Household()
PASSWORD = "a secret of carol's own"


def secret(name, text):
    path = os.path.join(h.root, name)
    with open(path, "w") as f:
        f.write(text + "\n")
    os.chmod(path, 0o600)
    return path


password, wrong, fresh = secret("password", PASSWORD), secret("wrong", "not the password"), secret("fresh", "another secret of hers")
h.aurora.admin("user", "add", "carol", "--password-file", password, "--credit", "1000")
for name in ("study", "phone", "porch"):
    h.devices[name] = Device(h.root, name).start()
study, phone, porch = h.devices.values()
song, other = (h.publish(make_track(os.path.join(h.root, f"song{n}.flac"), 1, seed=n), "--price", "1", "--max-copies", "5") for n in (5, 6))


def sql(statement, *values):
    db = sqlite3.connect(os.path.join(h.aurora.dir, "operations.db"), timeout=10)
    try:
        with db:
            return db.execute(statement, values).fetchall()
    finally:
        db.close()


def owed():
    return sql("SELECT coalesce(sum(amount), 0) FROM ledger WHERE account = 'user:carol'")[0][0]


def tokens():
    return {row["name"]: row for row in h.aurora.admin("user", "token", "list", "carol")["tokens"]}


def login(device, file=None):
    return device("login", "aurora", "--password-file", file or password)


def the_device_key_is_the_default():
    assert {s["name"]: s["value"] for s in h.aurora.admin("settings")["settings"]}["login-policy"] == "device-key"
    study.register(h.aurora, "carol", password)
    phone.register(h.aurora, "carol", password)
    study("get", song, "--yes")
    assert owed() == -100 and not tokens()
    wait_for("study sees phone", lambda: study.sees("phone"))


def the_policy_counts_at_once():
    for bad in (("login-policy", "none"), ("login-days", "0")):
        try:
            h.aurora.admin("settings", *bad)
            raise AssertionError(bad)
        except Refused as refusal:
            assert refusal.code == "usage"
    h.aurora.admin("settings", "login-policy", "both")
    before = sql("SELECT * FROM client_user ORDER BY client")
    refusal = phone.refused("login-needed", "get", other, "--yes")
    assert "hearth login" in str(phone.anyhow("get", other, "--yes")), refusal
    phone.refused("login-needed", "devices", "rename", "study", "den")
    phone.refused("login-needed", "devices", "remove", "study")
    phone.refused("login-needed", "link")
    study.refused("login-needed", "copy", song, "--to", "phone")
    study.refused("login-needed", "move", song, "--to", "phone")
    assert owed() == -100 and sql("SELECT * FROM client_user ORDER BY client") == before
    assert not sql("SELECT 1 FROM certificate") and study.track(song)["license"] == "valid"
    assert study.digest(song) and study("accounts")["accounts"][0]["online"] and study("bills")  # what was bought, and looking, need no login


def the_password_logs_in():
    phone.refused("bad-credentials", "login", "aurora", "--password-file", wrong)
    assert not tokens()
    done = login(phone)
    assert done["user"] == "carol" and done["distributor"] == "aurora", done
    assert set(tokens()) == {"phone"}
    phone("get", other, "--yes")
    assert owed() == -200
    study.refused("login-needed", "copy", song, "--to", "phone")  # each device for itself
    login(study)
    study("copy", song, "--to", "phone")
    assert phone.digest(song) == study.digest(song)


def a_login_lasts():
    """Through a restart of the device, of its vault and of the distributor: the vault proves it again to each connection."""
    for device, process in ((phone, "daemon"), (phone, "vault"), (study, "server")):
        if process == "daemon":
            device.kill()
            device.start()
        elif process == "vault":
            os.kill(device.vault_pid(), 9)
        else:
            h.aurora.kill()
            h.aurora.start()
        wait_for("renamed", lambda: device("devices", "rename", device.name, device.name) is not None, 30)
    h.aurora.admin("settings", "login-policy", "password")
    phone("devices", "rename", "phone", "phone")


def the_token_lies_nowhere_else():
    with sqlite3.connect(f"file:{os.path.join(phone.state, 'vault', 'vault.db')}?mode=ro", uri=True) as db:
        (sealed,), = db.execute("SELECT sealed FROM login").fetchall()
    assert len(sealed) == 12 + 32 + 16
    stored = sql("SELECT token FROM login_token")
    assert len(stored) == 2 and all(len(t) == 32 for t, in stored)
    for folder, _, names in os.walk(h.root):
        for name in names:
            path = os.path.join(folder, name)
            if os.path.isfile(path) and path != password:
                assert PASSWORD.encode() not in open(path, "rb").read(), path


def what_the_operator_revokes_counts_at_once():
    study("devices", "rename", "study", "study")
    row = tokens()["study"]
    for bad, code in (("ffffffffffffffff", "not-found"), (None, "usage")):
        try:
            h.aurora.admin("user", "token", "revoke", *(["carol", bad] if bad else []))
            raise AssertionError("revoked")
        except Refused as refusal:
            assert refusal.code == code, refusal
    assert h.aurora.admin("user", "token", "revoke", "carol", row["id"][:6])["revoked"] == 1
    study.refused("login-needed", "devices", "rename", "study", "study")
    phone("devices", "rename", "phone", "phone")
    assert h.aurora.admin("user", "token", "revoke", "carol")["revoked"] == 1
    phone.refused("login-needed", "devices", "rename", "phone", "phone")
    study.kill()
    study.start()  # the vault proves what is worth nothing any more: said once, and no end of the session
    wait_for("told", lambda: any(e["kind"] == "login-ended" for e in study_events()))
    study.refused("login-needed", "devices", "rename", "study", "study")


def study_events():
    done = subprocess.run([PROGRAMS["hearth"], "--socket", study.socket, "--json", "events"], capture_output=True, text=True, timeout=60, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def registering_again_logs_in():
    study.register(h.aurora, "carol", password)
    study("devices", "rename", "study", "study")
    assert set(tokens()) == {"study"}
    study.kill()
    study.start()
    wait_for("still in", lambda: study("devices", "rename", "study", "study") is not None)


def it_ends_by_itself():
    login(phone)
    sql("UPDATE login_token SET ends_ms = ?", int(time.time() * 1000) - 1)
    phone.refused("login-needed", "devices", "rename", "phone", "phone")
    study.refused("login-needed", "get", other, "--yes", "--again")
    login(phone)
    login(study)


def logging_out():
    phone("logout", "aurora")
    phone("logout", "aurora")
    assert set(tokens()) == {"study"}
    phone.refused("login-needed", "devices", "rename", "phone", "phone")
    assert phone.digest(song)
    login(phone)


def a_new_password_logs_the_others_out():
    phone.refused("bad-credentials", "passwd", "aurora", "--password-file", wrong, "--new-password-file", fresh)
    phone.refused("not-permitted", "passwd", "aurora", "--password-file", password, "--new-password-file", secret("short", "short"))
    assert set(tokens()) == {"study", "phone"}
    phone("passwd", "aurora", "--password-file", password, "--new-password-file", fresh)
    assert set(tokens()) == {"phone"}
    phone("devices", "rename", "phone", "phone")
    study.refused("login-needed", "devices", "rename", "study", "study")
    study.refused("bad-credentials", "login", "aurora", "--password-file", password)
    login(study, fresh)
    phone.kill()
    phone.start()
    wait_for("with the new token", lambda: phone("devices", "rename", "phone", "phone") is not None)


def at_the_terminal():
    """Asked without echo."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.execv(PROGRAMS["hearth"], ["hearth", "--socket", study.socket, "login", "aurora"])
    seen, end, sent = "", time.monotonic() + 20, False
    while time.monotonic() < end:
        if not sent and "Password: " in seen:
            os.write(terminal, b"another secret of hers\n")
            sent = True
        if select.select([terminal], [], [], 0.05)[0]:
            try:
                data = os.read(terminal, 4096)
            except OSError:
                break
            if not data:
                break
            seen += data.decode(errors="replace")
    _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == 0 and "secret" not in seen and "Logged in at aurora as carol" in seen, seen


def guesses(attempt):
    codes = []
    while len(codes) < 20 and "rate-limited" not in codes:
        try:
            attempt()
            raise AssertionError("guessed")
        except Refused as refusal:
            codes.append(refusal.code)
    assert codes[-1] == "rate-limited" and set(codes[:-1]) == {"bad-credentials"} and len(codes) >= 5, codes


def guessing_locks_nobody_else_out():
    guesses(lambda: porch.register(h.aurora, "carol", wrong))  # a stranger, from the same address
    login(study, fresh)
    guesses(lambda: login(phone, wrong))  # one of the household's own
    phone.refused("rate-limited", "login", "aurora", "--password-file", fresh)
    login(study, fresh)
    guesses(lambda: study("passwd", "aurora", "--password-file", wrong, "--new-password-file", fresh))
    study("devices", "rename", "study", "study")  # who is logged in goes on


def a_device_of_a_linked_distributor():
    """It renews at the issuer of its copy: with `password` it logs in for the linked account, with `both` it cannot. So with the PIN of a spending limit."""
    bedroom = h.device("bedroom", h.boreal, "alina")
    h.aurora.admin("settings", "login-policy", "device-key")
    bedroom("link", study("link")["url"])
    one = h.publish(make_track(os.path.join(h.root, "one.flac"), 1, seed=9), "--price", "1", "--max-plays", "1", "--renew-price", "0.75", "--max-copies", "2",
                    "--copy-depth", "1")
    study("get", one, "--yes")
    wait_for("study sees bedroom", lambda: study.sees("bedroom"), 30)
    study("copy", one, "--to", "bedroom")
    before = owed()
    h.aurora.admin("settings", "login-policy", "password")
    bedroom.refused("login-needed", "renew", one, "--yes")
    bedroom.refused("bad-credentials", "login", "aurora", "--password-file", wrong)
    login(bedroom, fresh)
    bedroom("renew", one, "--yes")
    assert owed() == before - 75 and "bedroom" in tokens()
    bedroom.kill()
    bedroom.start()
    wait_for("renewed with what the vault kept", lambda: bedroom("renew", one, "--yes"), 30)
    assert owed() == before - 150
    h.aurora.admin("settings", "login-policy", "both")
    bedroom.refused("not-registered", "renew", one, "--yes")
    h.aurora.admin("settings", "login-policy", "device-key")
    study("limit", "aurora", "0", "--pin-file", secret("pin", "4711"))
    bedroom.refused("spending-limit", "renew", one, "--yes")
    bedroom.refused("wrong-pin", "unlock", "aurora", "--pin-file", secret("bad-pin", "1174"))
    bedroom("renew", one, "--yes", "--pin-file", os.path.join(h.root, "pin"))
    assert owed() == before - 225
    bedroom("logout", "aurora")
    assert "bedroom" not in tokens()
    h.aurora.admin("settings", "login-policy", "both")


def a_removed_device_is_logged_out():
    study("devices", "remove", next(d["client"] for d in study("devices")["devices"] if d["name"] == "phone"))
    assert set(tokens()) == {"study"}
    study("unregister", "aurora", "--yes")
    assert not tokens()
    with sqlite3.connect(f"file:{os.path.join(study.state, 'vault', 'vault.db')}?mode=ro", uri=True) as db:
        assert not db.execute("SELECT 1 FROM login").fetchall()


run_cases([("the device's key is the default", the_device_key_is_the_default), ("the policy counts at once", the_policy_counts_at_once),
           ("the password logs in", the_password_logs_in), ("a login lasts", a_login_lasts), ("the token lies nowhere else", the_token_lies_nowhere_else),
           ("what the operator revokes counts at once", what_the_operator_revokes_counts_at_once), ("registering again logs in", registering_again_logs_in),
           ("it ends by itself", it_ends_by_itself), ("logging out", logging_out), ("a new password logs the others out", a_new_password_logs_the_others_out),
           ("asked at the terminal", at_the_terminal), ("a device of a linked distributor", a_device_of_a_linked_distributor),
           ("guessing locks nobody else out", guessing_locks_nobody_else_out),
           ("a removed device is logged out", a_removed_device_is_logged_out)])
