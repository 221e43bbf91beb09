#!/usr/bin/python3
"""Devices whose clock is wrong, in 1970, back, or ten years ahead: what has an end waits, the rest plays, nothing is lost, and one word of the
distributor is enough. docs/SECURITY.md, "Time", has the table."""
import os
import subprocess
import tempfile

from household import Device, PROGRAMS, Household, enter_namespace, make_track, run_cases, wait_for
from timetravel import DAY, FAKETIME, Clock

enter_namespace()
if not os.path.exists(FAKETIME):
    print("1..0 # SKIP libfaketime is not installed")
    raise SystemExit(0)

YEAR = 365 * DAY
root = tempfile.mkdtemp(prefix="hearth-test-")
clock = Clock(root)
h = Household(root, directory=False)
kitchen, attic = h.device("kitchen", h.aurora, "alice"), h.device("attic", h.aurora, "alice")
wait_for("they see each other", lambda: kitchen.sees("attic") and attic.sees("kitchen"), 30)


def song(number, *options):
    return h.publish(make_track(os.path.join(root, f"song{number}.flac"), 1, seed=number), "--price", "1", *options)


month, free, copied, later = song(1, "--usage-days", "30", "--renew-price", "1"), song(2), song(3, "--max-copies", "3"), song(4, "--usage-days", "30")
for one in (month, free, copied):
    kitchen("get", one, "--yes")


def restart(device, away):
    """With the clock that was set; away: its distributor is not there."""
    device.stop()
    if away:
        h.aurora.stop()
    elif not h.aurora.process.running():
        h.aurora.start()
    device.start()
    if not away:
        wait_for("its distributor is there", lambda: device("status")["distributors_online"] == 1, 30)


def told(device, *args):
    """What a person reads."""
    return subprocess.run([PROGRAMS["hearth"], "--socket", device.socket, *args], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60).stdout


def clock_row(device):
    return next(c for c in device.anyhow("doctor")["checks"] if c["name"] == "clock")


def is_untrusted(device):
    wait_for("it knows that it does not know", lambda: not device("status")["time_trusted"])
    assert "untrusted" in told(device, "status") and "hearth doctor" in told(device, "status")
    row = clock_row(device)
    assert row["verdict"] == "bad" and "untrusted" in row["text"] and "timedatectl" in row["remedy"], row
    assert "time-untrusted" in told(device, "events")


def in_1970():
    clock.in_1970()
    restart(kitchen, away=True)
    is_untrusted(kitchen)
    kitchen.refused("clock-untrusted", "play", month, "--output", "digest")
    assert "reach its distributor once" in told(kitchen, "play", month, "--output", "digest")  # and what to do about it
    assert kitchen.track(month)["license"] == "valid"  # nothing has expired
    assert kitchen.digest(free)


def in_1970_with_its_distributor():
    restart(kitchen, away=False)  # the clock is as wrong as before
    assert kitchen("status")["time_trusted"]
    assert kitchen.digest(month) and kitchen.digest(free)
    kitchen("get", later, "--yes")  # quotes, licenses, the roster: all by the right time
    assert kitchen.digest(later)
    assert kitchen("renew", month, "--yes")
    row = clock_row(kitchen)
    assert row["verdict"] == "bad" and "slow" in row["text"] and "untrusted" not in row["text"], row
    assert kitchen.sees("attic") or wait_for("siblings as well", lambda: kitchen.sees("attic"), 30)


def a_day_back():
    clock.wrong(-DAY)
    restart(kitchen, away=True)
    is_untrusted(kitchen)
    kitchen.refused("clock-untrusted", "play", month, "--output", "digest")
    clock.wrong(0)
    restart(kitchen, away=True)
    assert kitchen("status")["time_trusted"]
    assert kitchen.digest(month)  # the clock is right: nobody needs to be reached


def ten_years_ahead():
    clock.wrong(10 * YEAR)
    restart(kitchen, away=True)
    kitchen.refused("license-expired", "play", month, "--output", "digest")
    assert kitchen.track(month)["license"] == "expired" and kitchen.digest(free)
    restart(kitchen, away=False)  # still ahead: its distributor's keys must not look ended
    assert kitchen.digest(month) and kitchen.track(month)["license"] == "valid"
    row = clock_row(kitchen)
    assert row["verdict"] == "bad" and "fast" in row["text"], row
    clock.wrong(0)
    restart(kitchen, away=True)
    assert kitchen.digest(month) and kitchen.track(month)["license"] == "valid"


def a_copy_outlives_a_wrong_clock_at_its_source():
    restart(kitchen, away=False)
    attic.stop()
    copy = subprocess.Popen([PROGRAMS["hearth"], "--socket", kitchen.socket, "copy", copied, "--to", "attic"], stdout=subprocess.DEVNULL,
                            stderr=subprocess.DEVNULL)

    def held():
        return [t for t in kitchen("transfers")["transfers"] if t["content"] == copied and t["state"] not in ("done", "failed", "cancelled")]
    wait_for("the certificate is here", lambda: (held() or [{}])[0].get("reason") == "offline")
    copy.terminate()
    copy.wait()
    clock.wrong(10 * YEAR)
    restart(kitchen, away=True)
    wait_for("it is taken up again", held)
    clock.wrong(0)
    restart(kitchen, away=True)
    assert held()  # nothing was given up by that clock


def a_destination_in_1970_takes_it_later():
    clock.in_1970()
    attic.start()
    is_untrusted(attic)

    def state():
        return next((t for t in kitchen("transfers")["transfers"] if t["content"] == copied), None)
    wait_for("the offer was refused for now", lambda: (state() or {}).get("reason") == "clock-untrusted" and state(), 60)
    attic.stop()
    clock.wrong(0)
    attic.start()
    wait_for("the copy is there", lambda: any(t["content"] == copied and t["license"] == "valid" for t in attic.library()), 60)
    assert attic.digest(copied) == kitchen.digest(copied)


def a_first_day_in_1970():
    clock.in_1970()
    h.aurora.start()
    new = h.device("new", h.aurora, "alice")  # registers: its distributor tells the time
    new("get", month, "--yes", "--again")
    assert new.digest(month)
    new.stop()
    clock.wrong(10 * YEAR)
    ahead = Device(h.root, "ahead").start()  # it has never heard of its distributor: the clock is all there is
    h.devices["ahead"] = ahead
    ahead.refused("keyset-invalid", "register", h.aurora.url, "--user", "alice", "--password-file", h.passwords["alice"])


run_cases([(f.__name__.replace("_", " "), f) for f in (
    in_1970, in_1970_with_its_distributor, a_day_back, ten_years_ahead, a_copy_outlives_a_wrong_clock_at_its_source, a_destination_in_1970_takes_it_later,
    a_first_day_in_1970)])
