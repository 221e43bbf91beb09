#!/usr/bin/python3
"""Checkout and checkin: who may use a lent license when, what is said meanwhile, kills of either side, a device that is lost with it, and the use
log that goes along. The counts of the license itself are test_conditions.py's."""
import os
import signal
import subprocess
import tempfile

from household import PROGRAMS, Household, enter_namespace, make_track, reference_digest, run_cases, wait_for

enter_namespace()
root = tempfile.mkdtemp(prefix="hearth-test-")
h = Household(root).settle()
number = iter(range(1, 50))


def song(*options, seconds=2):
    n = next(number)
    path = make_track(os.path.join(root, f"song{n}.flac"), seconds, seed=n)
    one = h.publish(path, "--price", "1", "--max-copies", "0", "--copy-depth", "0", *options)
    h.kitchen("get", one, "--yes")
    return path, one


def license_of(device, content):
    return next((t["license"] for t in device.library() if t["content"] == content), "none")


def valid(device, content):
    return license_of(device, content) == "valid"


def nobody_plays_both(content):
    """At any moment at most one of the two vaults lets it be played."""
    able = []
    for device in (h.kitchen, h.bedroom):
        try:
            device.digest(content)
            able.append(device.name)
        except Exception:
            pass
    assert len(able) <= 1, able
    return able


def lent():
    path, one = song("--max-checkouts", "3", "--record", "--name", "To lend")
    h.kitchen("checkout", one, "--to", "bedroom")
    assert h.bedroom.digest(one) == reference_digest(path)  # the content went along, to another distributor's customer
    wait_for("kitchen gave it up", lambda: license_of(h.kitchen, one) == "surrendered")
    for command in (("play", one, "--output", "digest"), ("copy", one, "--to", "attic"), ("move", one, "--to", "attic"), ("export", one, "--to", "bedroom", root),
                    ("burn", one, "--image", os.path.join(root, "no.wav")), ("renew", one), ("own", one)):
        refusal = h.kitchen.refused("in-use", *command)
        assert "bedroom" in str(refusal) and "hearth checkin" in str(refusal), refusal
    assert h.kitchen("show", one)["lent_to"] == "bedroom"
    assert h.bedroom("show", one)["lender"] == "kitchen"
    refusal = h.kitchen.refused("not-permitted", "checkin", one)
    assert "bedroom" in str(refusal), refusal
    h.bedroom.refused("not-permitted", "burn", one, "--image", os.path.join(root, "no.wav"))  # the right to record stays at home
    for device in (h.kitchen, h.bedroom):  # both vaults remember, not hearthd
        device.kill()
        device.start()
    wait_for("the library is read", lambda: license_of(h.kitchen, one) == "surrendered")
    assert "bedroom" in str(h.kitchen.refused("in-use", "play", one, "--output", "digest"))
    assert nobody_plays_both(one) == ["bedroom"]
    wait_for("they see each other", lambda: h.kitchen.sees("bedroom") and h.bedroom.sees("kitchen"))
    h.bedroom("checkin", one)
    wait_for("kitchen has it again", lambda: valid(h.kitchen, one))
    assert h.kitchen.digest(one) == reference_digest(path)
    assert "lent_to" not in h.kitchen("show", one)
    wait_for("bedroom gave it up", lambda: license_of(h.bedroom, one) == "surrendered")
    for command in (("play", one, "--output", "digest"), ("renew", one)):
        refusal = h.bedroom.refused("no-license", *command)
        assert "back on kitchen" in str(refusal) and "buy" not in str(refusal), refusal
    assert "back on kitchen" in str(h.bedroom.refused("not-permitted", "checkin", one))


def in_use_again():
    """What was lent before and came back is not "done already" while it is played: nothing goes, and that is what is said."""
    _, one = song("--max-checkouts", "2", "--max-plays", "9", "--name", "To lend twice", seconds=30)
    for _ in range(2):
        h.kitchen("checkout", one, "--to", "bedroom")
        wait_for("bedroom has it", lambda: valid(h.bedroom, one) and license_of(h.kitchen, one) == "surrendered")
        assert h.kitchen("checkout", one, "--to", "bedroom")["transfers"][0]["reason"] == "already"  # the same, said again
        for device, command in ((h.bedroom, ("checkin", one)), (h.kitchen, ("checkout", one, "--to", "bedroom"))):
            device("play", one, "--output", "silent", "--background")
            wait_for("it plays", lambda: device("now")["state"] == "playing")
            device.refused("in-use", *command)
            device("stop")
            wait_for("it has stopped", lambda: not device("show", one).get("in_use"))
            if device is h.bedroom:
                device(*command)
                wait_for("kitchen has it again", lambda: valid(h.kitchen, one) and license_of(h.bedroom, one) == "surrendered")


def moved():
    """Where it went is said, by hearthd that moved it and by one that has started since; and what there is instead of a checkout."""
    _, one = song("--name", "To move")
    assert "but copies" not in str(h.kitchen.refused("copy-count-exhausted", "checkout", one, "--to", "bedroom"))
    h.kitchen("move", one, "--to", "attic")
    said = str(h.kitchen.refused("no-license", "play", one, "--output", "digest"))
    assert "moved to attic" in said, said
    h.kitchen.kill()
    h.kitchen.start()
    wait_for("the library is read", lambda: "moved to attic" in str(h.kitchen.refused("no-license", "renew", one)))


def killed():
    """Either side is killed in the middle of lending: the same command finishes it, and it counts once."""
    _, one = song("--max-checkouts", "1", "--name", "Lent once", seconds=60)
    for victim in (h.bedroom, h.kitchen):
        lending = subprocess.Popen([PROGRAMS["hearth"], "--socket", h.kitchen.socket, "checkout", one, "--to", "bedroom"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for("it has begun", lambda: license_of(h.kitchen, one) != "valid" or lending.poll() is not None)
        victim.kill()
        nobody = [d for d in (h.kitchen, h.bedroom) if d is not victim]
        assert len([d for d in nobody if valid(d, one)]) <= 1
        victim.start()
        if lending.poll() is None:
            lending.send_signal(signal.SIGINT)
        lending.wait(20)
    wait_for("they see each other", lambda: h.kitchen.sees("bedroom") and h.bedroom.sees("kitchen"), 40)
    h.kitchen("checkout", one, "--to", "bedroom")
    wait_for("bedroom has it", lambda: valid(h.bedroom, one) and license_of(h.kitchen, one) == "surrendered")
    assert nobody_plays_both(one) == ["bedroom"]
    h.bedroom("checkin", one)
    wait_for("kitchen has it again", lambda: valid(h.kitchen, one))
    h.kitchen.refused("copy-count-exhausted", "checkout", one, "--to", "bedroom")
    assert nobody_plays_both(one) == ["kitchen"]


def log_goes_along():
    """The obligation to keep a log is the borrower's meanwhile, and each sees what it owes."""
    _, one = song("--max-checkouts", "1", "--use-log", "--name", "Logged")
    h.kitchen.digest(one)
    wait_for("it has reached the issuer", lambda: h.kitchen("show", one)["use_log"]["due"] == 0)
    log = h.kitchen("show", one)["use_log"]
    assert log["uses"] == 1 and log["sent_ms"] > 0 and log["due_limit"] == 200, log
    assert h.kitchen("use-log")["uses"][0]["sent_ms"] == log["sent_ms"]
    h.kitchen("checkout", one, "--to", "bedroom")
    h.aurora.stop()
    h.bedroom.digest(one)
    log = h.bedroom("show", one)["use_log"]
    assert (log["uses"], log["due"], log["sent_ms"]) == (1, 1, None), log
    h.aurora.start()
    wait_for("aurora is back", lambda: h.kitchen("status")["distributors_online"] == 1, 40)
    log_goes_along.content = one


def lost():
    """The borrower is lost: removed from the account, what was lent comes back, and it cannot come back twice."""
    _, one = song("--max-checkouts", "1", "--name", "Lost")
    h.kitchen("checkout", one, "--to", "attic")
    wait_for("kitchen gave it up", lambda: license_of(h.kitchen, one) == "surrendered")
    assert "hearth devices remove" in str(h.kitchen.refused("in-use", "play", one, "--output", "digest"))
    h.attic.kill()
    h.kitchen("devices", "remove", "attic")
    h.kitchen("restore")
    wait_for("kitchen has it again", lambda: valid(h.kitchen, one))
    assert h.kitchen.digest(one)
    h.attic.start()
    answer = h.attic.anyhow("checkin", one)
    assert "error" in answer, answer
    assert valid(h.kitchen, one)


def log_is_brought():
    """The borrower is no customer of the issuer's: it goes there by itself all the same."""
    one = log_goes_along.content
    wait_for("the borrower's log has reached the issuer", lambda: h.bedroom("show", one)["use_log"]["due"] == 0, 40)
    assert h.bedroom("show", one)["use_log"]["sent_ms"] > 0
    h.bedroom("checkin", one)
    wait_for("kitchen has it again", lambda: valid(h.kitchen, one))


run_cases([("lent, and what is said meanwhile", lent), ("in use when it is lent once more", in_use_again), ("moved, and what is said", moved), ("killed in the middle", killed), ("the use log goes along", log_goes_along), ("a lost borrower", lost),
           ("the borrower's log is brought", log_is_brought)])
