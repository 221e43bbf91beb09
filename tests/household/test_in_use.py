#!/usr/bin/python3
"""R2: a counted or timed license is in use from the beginning of a play to its end; every way in which that end may come is produced for real, and
what it costs is looked at. docs/USE-CONDITIONS.md has the table. A power failure is all processes killed at once and another boot
identity, which is what a device finds after one."""
import json
import os
import shutil
import signal
import subprocess
import tempfile
import uuid

from household import PROGRAMS, Household, Refused, Screen, enter_namespace, make_track, own_mounts, run_cases, wait_for

enter_namespace()
mounts = own_mounts()
root = tempfile.mkdtemp(prefix="hearth-test-")
h = Household(root).settle()
kitchen, attic = h.kitchen, h.attic
number = iter(range(200, 400))


def song(*options, seconds=40, name="x", device=None, price="1"):
    one = h.publish(make_track(os.path.join(root, f"song{next(number)}.flac"), seconds, seed=next(number)), "--price", price, "--name", name + str(next(number)), *options)
    (device or kitchen)("get", one, "--yes")
    return one


def begin(one, device=None, output="silent"):
    """A play in time, under way."""
    device = device or kitchen
    device("play", one, "--output", output, "--background")
    wait_for("it plays", lambda: device("now")["state"] == "playing")
    assert device("show", one)["in_use"]


def free(one, device=None):
    return wait_for("it is free again", lambda: (lambda t: not t["in_use"] and t)((device or kitchen)("show", one)))


def verdict(one, plays, end, recovered, recoveries, device=None):
    t = free(one, device)
    assert t["plays"] == plays, t
    cut = t.get("cut_off")
    assert (cut["end"], cut["recovered"], cut["recoveries"]) == (end, recovered, recoveries) if end else cut is None, t
    return t


def events(device=None):
    done = subprocess.run([PROGRAMS["hearth"], "--socket", (device or kitchen).socket, "--json", "events"], capture_output=True, text=True, timeout=60, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def told(kind, text):
    """How often."""
    return len([e for e in events() if e["kind"] == kind and text in e["text"]])


def words(*args):
    """What a person reads."""
    return subprocess.run([PROGRAMS["hearth"], "--socket", kitchen.socket, *args], capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)


def up(device):
    device.start()
    wait_for("it is back", lambda: device("status")["distributors_online"] == 1)
    wait_for("the others see it, and it sees them", lambda: attic.sees("kitchen") and device.sees("attic") and device.sees("bedroom"), 30)


def alone(case):
    """A case that fails leaves nothing playing."""
    def run():
        try:
            return case()
        finally:
            if kitchen.process.running():
                kitchen.anyhow("stop")
            else:
                up(kitchen)
    return run


# ---- what each end costs ----

def to_its_end():
    one = song("--max-plays", "9", "--play-time", "1h", seconds=2)
    assert kitchen("show", one)["conditions"]["max_recoveries"] == 3  # what counts plays allows some
    assert "playing     0:00 of 1:00:00 used" in words("show", one).stdout
    played = kitchen("play", one, "--output", "silent")
    assert (played["plays_left"], played["max_plays"], played["max_play_ms"]) == (8, 9, 3600000), played
    verdict(one, 1, None, False, 0)
    said = words("play", one, "--output", "silent").stdout.splitlines()  # before it is charged, and after
    assert "8 of 9 plays are left, and 59:5" in said[0] and said[0].endswith("This is one of them."), said
    assert said[1].startswith("Played ") and "7 of 9 plays are left" in said[1], said
    assert "played      2 of 9 times" in words("show", one).stdout


def by_its_user():
    one = song("--max-plays", "9", "--charge-from", "38s")
    begin(one)
    kitchen("stop")
    verdict(one, 0, "stopped", False, 0)  # before so much of it was opened it is no play
    kitchen("play", one, "--output", "null")
    verdict(one, 1, "stopped", False, 0)
    early = song("--max-plays", "9", "--charge-from", "2s")  # less than one block of it
    begin(early)
    assert kitchen("now")["plays_left"] == 9  # this one is among them
    stopped = kitchen("stop")
    assert (stopped["state"], stopped["counted"], stopped["plays_left"]) == ("stopped", True, 8), stopped
    verdict(early, 1, "stopped", False, 0)
    assert "\ncut off" not in words("show", early).stdout  # it was its user's doing
    begin(one)
    said = words("stop").stdout
    assert "This play is not counted. 8 of 9 plays are left." in said, said
    two = song("--max-plays", "9")
    kitchen("play", two, one, "--output", "silent", "--background")
    wait_for("it plays", lambda: kitchen("now")["state"] == "playing")
    kitchen("next")
    verdict(two, 1, "stopped", False, 0)
    kitchen("stop")
    child = subprocess.Popen([PROGRAMS["hearth"], "--socket", kitchen.socket, "play", two, "--output", "silent"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                             stdin=subprocess.DEVNULL)
    wait_for("it plays", lambda: kitchen("now")["state"] == "playing")
    child.send_signal(signal.SIGINT)  # who asked leaves
    child.wait()
    verdict(two, 2, "stopped", False, 0)


def hearthd_is_stopped():
    one = song("--max-plays", "9")
    begin(one)
    kitchen.stop()
    up(kitchen)
    verdict(one, 1, "stopped", False, 0)


def somebody_ends_the_player():
    one = song("--max-plays", "9")
    for i, sent in enumerate((signal.SIGKILL, signal.SIGTERM), 1):
        begin(one)
        os.kill(kitchen.player_pid(), sent)
        verdict(one, i, "killed", False, 0)
    assert told("not-played", "was not played to its end: Somebody ended the player") >= 2, events()[-6:]
    assert "somebody ended the player; as if its user had ended it" in words("show", one).stdout


def the_player_crashes():
    one = song("--max-plays", "9", "--max-recoveries", "2")
    for i in (1, 2, 3):
        begin(one)
        os.kill(kitchen.player_pid(), signal.SIGSEGV)
        verdict(one, 0 if i < 3 else 1, "crashed", i < 3, min(i, 2))
    text = [e["text"] for e in events()]
    assert any("not counted, because the player crashed (recovery 2 of 2)" in t for t in text), text[-9:]
    assert any("is counted, though the player crashed: its license allows no more recoveries" in t for t in text), text[-9:]


def the_player_hangs():
    one = song("--max-plays", "9")
    begin(one)
    os.kill(kitchen.player_pid(), signal.SIGSTOP)
    wait_for("it is ended", lambda: not kitchen("show", one)["in_use"])
    verdict(one, 0, "hung", True, 1)


def the_sound_fails():
    one = song("--max-plays", "9")
    kitchen.refused("output-failed", "play", one, "--output", "alsa/no-such-card")  # not on the player's list: nothing was opened
    assert free(one)["plays"] == 0 and not free(one)["cut_off"]["recovered"]
    refusal = kitchen.refused("output-failed", "play", one, "--output", "alsa/hw:9,0")
    assert "not counted" in refusal.message, refusal.message
    verdict(one, 0, "output-failed", True, 1)


def the_window_goes():
    if not shutil.which("Xvfb"):
        return "SKIP Xvfb is not installed"
    film = os.path.join(root, "film.mp4")
    subprocess.run(["ffmpeg", "-v", "error", "-y", "-f", "lavfi", "-i", "color=c=red:s=160x120:d=30:r=10", "-c:v", "mpeg4", film], check=True, stdin=subprocess.DEVNULL)
    one = h.publish(film, "--price", "1", "--max-plays", "9", "--name", "film")
    kitchen("get", one, "--yes")
    screen = Screen(tempfile.mkdtemp(dir=root))
    os.environ["DISPLAY"] = screen.display
    try:
        begin(one)
        screen.child.kill()  # in the middle: the output is gone
        wait_for("it is over", lambda: not kitchen("show", one)["in_use"])
        t = kitchen("show", one)
        assert t["plays"] == 0 and t["cut_off"]["recovered"] and t["cut_off"]["end"] == "output-failed", t
        assert told("not-played", "The display of its window went away") == 1, events()[-4:]
    finally:
        screen.child.kill()
        screen.child.wait()
        os.environ.pop("DISPLAY", None)
    return None


def it_cannot_be_read_on():
    one = song("--max-plays", "9", seconds=20)
    body = os.path.join(kitchen.state, "bodies", one + ".body")
    size = os.path.getsize(body)
    with open(body, "r+b") as f:
        f.seek(size - 4096)
        kept = f.read()
        f.seek(size - 4096)
        f.write(os.urandom(4096))
    refusal = kitchen.refused("block-corrupt", "play", one, "--output", "null")
    assert "not counted" in refusal.message, refusal.message
    verdict(one, 0, "unreadable", True, 1)
    with open(body, "r+b") as f:
        f.seek(size - 4096)
        f.write(kept)
    assert kitchen.digest(one)
    verdict(one, 1, "unreadable", True, 1)


def hearthd_crashes():
    one = song("--max-plays", "9", "--play-time", "1h")
    child = subprocess.Popen([PROGRAMS["hearth"], "--socket", kitchen.socket, "play", one, "--output", "silent"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    wait_for("it plays", lambda: kitchen("now")["state"] == "playing")
    kitchen.kill()
    said = child.communicate(timeout=20)[1]
    assert child.returncode == 3 and "hearthd has ended" in said and "hearth events" in said, said
    up(kitchen)
    t = verdict(one, 0, "daemon-lost", True, 1)
    assert t["play_ms"] == 0, t
    lost = "not counted, because hearthd ended without a word (recovery 1 of 3)"
    assert told("recovered", lost) == 1, events()
    assert "hearthd ended without a word; not counted for that, recovery 1 of 3" in words("show", one).stdout
    kitchen.stop()
    up(kitchen)
    assert told("recovered", lost) == 0, events()  # told once


def the_vault_crashes():
    one = song("--max-plays", "9")
    begin(one)
    os.kill(kitchen.vault_pid(), signal.SIGKILL)
    wait_for("the next vault has found it", lambda: kitchen("show", one).get("cut_off"))
    verdict(one, 0, "vault-lost", True, 1)
    assert told("recovered", "the vault ended without a word (recovery 1 of 3)") == 1, events()
    assert kitchen.digest(one)
    assert kitchen("show", one)["plays"] == 1


def power_is_lost():
    if not mounts:
        return "SKIP no other boot identity can be mounted here"
    one = song("--max-plays", "9", "--max-recoveries", "1", "--play-time", "1h")
    for i in (1, 2):
        begin(one)
        lost_at_once()
        boot_anew()
        up(kitchen)
        t = verdict(one, 0 if i == 1 else 1, "power-lost", i == 1, 1)
        assert t["play_ms"] == (0 if i == 1 else t["duration_ms"] * 3 // 2), t  # what was opened is not known: all it could have taken


def lost_at_once():
    """Nobody has time for a word: vault first, or it would hear hearthd's channel close."""
    vault, daemon = kitchen.vault_pid(), kitchen.process.child.pid
    os.kill(vault, signal.SIGSTOP)
    os.kill(daemon, signal.SIGKILL)
    os.kill(vault, signal.SIGKILL)
    kitchen.kill()


def boot_anew():
    """Another boot identity, for what is started from here on."""
    assert mounts
    path = os.path.join(root, "boot_id")
    with open(path, "w", encoding="ascii") as f:
        f.write(str(uuid.uuid4()) + "\n")
    subprocess.run(["mount", "--bind", path, "/proc/sys/kernel/random/boot_id"], check=True)


# ---- who is refused meanwhile ----

def in_use():
    one = song("--max-plays", "9", "--max-copies", "5", "--copy-depth", "2", "--max-checkouts", "5", "--max-removable", "5", "--record")
    before = h.aurora.admin("stats")
    begin(one)
    medium = os.path.join(root, "medium")
    os.makedirs(medium, exist_ok=True)
    for command in (["play", one, "--output", "null"], ["copy", one, "--to", "attic"], ["move", one, "--to", "attic"], ["checkout", one, "--to", "attic"],
                    ["export", one, "--to", "attic", medium], ["burn", one, "--yes", "--image", os.path.join(root, "x.wav")]):
        assert "hearth stop" in kitchen.refused("in-use", *command).message, command
    def answered():  # it was started anew, and attic may still try where it was before
        try:
            return attic("fetch", one, "--from", "kitchen")
        except Refused as refusal:
            return refusal.code if refusal.code != "offline" else None
    got = wait_for("attic reaches it", answered, 40)
    assert got == "in-use", got
    assert h.aurora.admin("stats") == before  # nobody was asked, nothing was charged
    assert os.listdir(medium) == []
    kitchen("stop")
    free(one)
    kitchen("copy", one, "--to", "attic")
    assert attic.digest(one)


def a_lease_in_use():
    one = song("--lease", "4d", "--lease-plays", "5")
    begin(one)
    kitchen.refused("in-use", "return", one)
    os.kill(kitchen.player_pid(), signal.SIGSEGV)
    verdict(one, 0, "crashed", True, 1)
    kitchen("return", one)


def a_timed_one_in_use():
    one = song("--usage-days", "3")
    begin(one)
    kitchen.refused("in-use", "play", one, "--output", "null")
    os.kill(kitchen.player_pid(), signal.SIGSEGV)
    t = free(one)
    assert not t["cut_off"]["recovered"] and t["license"] == "valid", t  # nothing is counted, so nothing is recovered


def one_without_limits():
    one = song()
    kitchen("play", one, "--output", "silent", "--background")
    assert not kitchen("show", one)["in_use"]
    assert kitchen.digest(one)
    kitchen("copy", one, "--to", "attic")
    kitchen("stop")


def each_copy_has_its_own():
    one = song("--max-plays", "9", "--max-copies", "5", "--max-recoveries", "1")
    kitchen("copy", one, "--to", "bedroom")  # another distributor's customer
    begin(one, h.bedroom)
    assert kitchen.digest(one)  # the original is not in use
    h.bedroom("stop")
    verdict(one, 1, "stopped", False, 0, h.bedroom)
    assert h.bedroom("show", one)["conditions"]["max_recoveries"] == 1


def recoveries_move_along():
    one = song("--max-plays", "9", "--max-recoveries", "1")
    begin(one)
    os.kill(kitchen.player_pid(), signal.SIGSEGV)
    verdict(one, 0, "crashed", True, 1)
    kitchen("move", one, "--to", "attic")
    assert attic("show", one)["conditions"]["max_recoveries"] == 0
    begin(one, attic)
    os.kill(attic.player_pid(), signal.SIGSEGV)
    verdict(one, 1, "crashed", False, 0, attic)


run_cases([(name, alone(case)) for name, case in [
    ("a play to its end is counted", to_its_end),
    ("its user ends it: as the license says", by_its_user),
    ("hearthd is stopped: its user's doing", hearthd_is_stopped),
    ("somebody ends the player: counted", somebody_ends_the_player),
    ("the player crashes: not counted, as often as the license says", the_player_crashes),
    ("the player hangs: not counted", the_player_hangs),
    ("the sound device fails: not counted", the_sound_fails),
    ("the window's display goes in the middle: not counted", the_window_goes),
    ("the content cannot be read on: not counted", it_cannot_be_read_on),
    ("hearthd crashes: not counted", hearthd_crashes),
    ("the vault crashes: not counted", the_vault_crashes),
    ("the power is lost: not counted, once", power_is_lost),
    ("what is in use is not played, copied, moved, lent, exported or fetched", in_use),
    ("a lease in use is not returned", a_lease_in_use),
    ("a timed license is locked, and nothing of it is counted", a_timed_one_in_use),
    ("what has no limits is not locked", one_without_limits),
    ("a copy is locked by itself", each_copy_has_its_own),
    ("a move takes along the recoveries that are left", recoveries_move_along),
] if os.environ.get("HEARTH_IN_USE_ONLY", "") in name])
