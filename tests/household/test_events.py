"""Events for a program that follows them: numbers that rise by one, also over restarts; what a follower missed is told, whether it was away too long, hearthd was restarted, or was
killed. And status: what a person sees at a glance."""
import json
import os
import signal
import subprocess

from household import PROGRAMS, Household, enter_namespace, rows_of, run_cases, wait_for

TOLD_ONE_BY_ONE = 6  # changes of one answer that are events of their own (STATE_EVENTS_MAX); the others are counted in one

enter_namespace()
h = Household(directory=False)
h.kitchen = h.device("kitchen", h.aurora, "alice")
h.attic = h.device("attic", h.aurora, "alice")
wait_for("they see each other", lambda: h.kitchen.sees("attic") and h.attic.sees("kitchen"))


def hearth(device, *args):
    done = subprocess.run([PROGRAMS["hearth"], "--socket", device.socket, *args], capture_output=True, text=True, timeout=60)
    return done.stdout


def lines(device, *args):
    return [json.loads(line) for line in hearth(device, "--json", "events", *args).splitlines()]


def given(device):
    return rows_of(f"{device.state}/hearthd.db", "SELECT given FROM event_number")[0][0]


class Follower:
    """hearth events --follow --json, its lines in a file."""

    def __init__(self, device, *args):
        self.path = os.path.join(h.root, "followed")
        with open(self.path, "wb") as out:
            self.child = subprocess.Popen([PROGRAMS["hearth"], "--socket", device.socket, "--json", "events", "--follow", *args], stdout=out, stderr=open(self.path + ".told", "wb"))

    def lines(self):
        text = open(self.path).read()
        return [json.loads(line) for line in text[:text.rfind("\n") + 1].splitlines()]

    def said(self):
        return open(self.path + ".told").read()

    def end(self):
        self.child.send_signal(signal.SIGINT)
        assert self.child.wait(20) == -signal.SIGINT


def rise_by_one(events):
    numbers = [e["number"] for e in events]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers))), numbers


def told_as_it_happens():
    follower = Follower(h.kitchen)
    wait_for("it has begun", follower.lines)
    h.attic("playlist", "create", "told")
    wait_for("it is told", lambda: any("told" in e["text"] for e in follower.lines()))
    rise_by_one(follower.lines())
    kinds = {e["kind"] for e in lines(h.kitchen)}
    assert {"started", "registered", "device-online"} <= kinds, kinds
    follower.end()


def a_restart_leaves_no_gap():
    """Ended in order, the next run goes on with the next number: who was away misses at most what happened after it had gone, and is told of that."""
    last = lines(h.kitchen)[-1]["number"]
    h.kitchen.stop()
    h.kitchen.start()
    after = lines(h.kitchen, "--after", str(last))
    if "gap" in after[0]:
        gap = after.pop(0)["gap"]
        assert gap == {"after": last, "before": after[0]["number"], "missing": after[0]["number"] - last - 1, "cut_off": 0} and gap["missing"] < 10, gap
    assert any(e["kind"] == "started" for e in after) and after[0]["number"] > last, after
    rise_by_one(after)


def followed_over_restarts():
    """It waits for a hearthd that has ended, or was killed, and goes on behind the last event that it has told: what was lost between is said, and that nothing was."""
    follower = Follower(h.kitchen)
    wait_for("it has begun", follower.lines)
    h.kitchen.stop()
    h.attic("playlist", "create", "while it is away")
    h.kitchen.start()
    wait_for("it goes on", lambda: sum(e.get("kind") == "started" for e in follower.lines()) >= 2)
    wait_for("they see each other", lambda: h.kitchen.sees("attic"))
    assert all(e["gap"]["cut_off"] == 0 and e["gap"]["missing"] < 10 for e in follower.lines() if "gap" in e), follower.lines()
    h.kitchen.kill()
    h.kitchen.start()
    wait_for("it goes on again", lambda: sum(e.get("kind") == "started" for e in follower.lines()) >= 3)
    gap = next(e["gap"] for e in reversed(follower.lines()) if "gap" in e)
    assert gap["cut_off"] == 1 and gap["missing"] < 5, gap
    assert follower.child.poll() is None
    said = follower.said()
    assert said.count("hearthd has ended") == said.count("hearthd is back") >= 2, said
    follower.end()


def a_kill_is_a_gap():
    """Numbers leap, and how many events there were is told all the same."""
    h.attic("playlist", "create", "before")
    wait_for("it is told", lambda: any("before" in e["text"] for e in lines(h.kitchen)))
    h.kitchen.kill()
    last = given(h.kitchen)
    h.kitchen.start()
    first, *after = lines(h.kitchen, "--after", str(last))
    assert first == {"gap": {"after": last, "before": after[0]["number"], "missing": 0, "cut_off": 1}} and after[0]["number"] > last + 1, first
    first, *_ = lines(h.kitchen, "--after", str(last - 3))
    assert first["gap"]["missing"] == 3 and first["gap"]["cut_off"] == 1, first
    assert "cut off; no event is known" in hearth(h.kitchen, "events", "--after", str(last)).splitlines()[0]
    assert "cut off; 1 event was missed" in hearth(h.kitchen, "events", "--after", str(last - 1)).splitlines()[0]
    started = next(e for e in after if e["kind"] == "started")
    wait_for("it is stored", lambda: given(h.kitchen) >= started["number"])
    h.kitchen.kill()
    between = given(h.kitchen) - after[0]["number"] + 1
    h.kitchen.start()
    again = lines(h.kitchen, "--after", str(last))
    assert again[0]["gap"]["missing"] == between and again[0]["gap"]["cut_off"] == 2, (again[0], between)
    assert again[1]["number"] > started["number"], "a number is never given twice"


def away_too_long():
    """Only the last 256 are kept: who comes back after more hears how many it missed, and nothing twice."""
    last = lines(h.kitchen)[-1]["number"]
    made = 0
    while lines(h.kitchen)[-1]["number"] - last <= 256:
        assert made < 300, "each gives an event when no more come at once than are told one by one"
        for _ in range(TOLD_ONE_BY_ONE):
            h.attic("playlist", "create", f"list-{made}")
            made += 1
        wait_for("kitchen has them all", lambda: len(h.kitchen("playlist")["playlists"]) == len(h.attic("playlist")["playlists"]))
    kept = lines(h.kitchen)
    assert len(kept) == 256, len(kept)
    rise_by_one(kept)
    after = lines(h.kitchen, "--after", str(last))
    gap = after.pop(0)["gap"]
    assert after[0]["number"] == gap["before"] == last + 1 + gap["missing"] and len(after) == 256, gap
    assert lines(h.kitchen, "--after", str(after[-1]["number"])) == []
    assert [e["number"] for e in lines(h.kitchen, "--after", str(after[-3]["number"]))] == [after[-2]["number"], after[-1]["number"]]


def an_earlier_state():
    """Put back from a copy, a device counts from there: told as that."""
    told = lines(h.kitchen, "--after", "123456789")
    assert told[0]["gap"]["missing"] is None and told[1]["number"] < 123456789, told[0]
    assert "earlier state" in hearth(h.kitchen, "events", "--after", "123456789").splitlines()[0]
    assert subprocess.run([PROGRAMS["hearth"], "--socket", h.kitchen.socket, "events", "--after", "x"], capture_output=True).returncode == 2


def stands_still():
    """A command waits for a hearthd that is stopped, and says for what."""
    pid = h.kitchen.process.child.pid
    os.kill(pid, signal.SIGSTOP)
    try:
        waits = subprocess.Popen([PROGRAMS["hearth"], "--socket", h.kitchen.socket, "now"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert "stands still" in waits.stderr.readline()
    finally:
        os.kill(pid, signal.SIGCONT)
    out, said = waits.communicate(timeout=20)
    assert waits.returncode == 1 and said.startswith("hearth: Nothing is played"), (out, said)


def at_a_glance():
    wait_for("kitchen is well", lambda: h.kitchen("status")["well"])
    text = hearth(h.kitchen, "status").splitlines()
    assert text[0] == "kitchen is well.", text
    assert any(line.split() == ["distributors", "1", "of", "1", "online"] for line in text), text
    assert any(line.split()[:3] == ["siblings", "1", "of"] for line in text) and any("free" in line for line in text), text
    h.aurora.stop()
    try:
        wait_for("it is seen", lambda: not h.kitchen("status")["well"])
        text = hearth(h.kitchen, "status").splitlines()
        assert text[0].startswith("kitchen needs a look; hearth doctor"), text
        assert any(line.split() == ["distributors", "0", "of", "1", "online"] for line in text), text
    finally:
        h.aurora.start()
    wait_for("kitchen is well again", lambda: h.kitchen("status")["well"], 70)


run_cases([("a follower is told as it happens", told_as_it_happens), ("a restart in order", a_restart_leaves_no_gap), ("followed over restarts", followed_over_restarts), ("a kill", a_kill_is_a_gap),
           ("away for more than is kept", away_too_long), ("an earlier state", an_earlier_state), ("a hearthd that stands still", stands_still), ("status", at_a_glance)])
