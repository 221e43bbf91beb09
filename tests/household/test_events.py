"""Events for a program that follows them: numbers that rise by one, also over restarts; what a follower missed is told, whether it was away too long, hearthd was restarted, or was
killed. And status: what a person sees at a glance."""
import json
import os
import subprocess

from household import PROGRAMS, Household, enter_namespace, run_cases, wait_for

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


class Follower:
    """hearth events --follow --json, its lines in a file."""

    def __init__(self, device, *args):
        self.path = os.path.join(h.root, "followed")
        with open(self.path, "wb") as out:
            self.child = subprocess.Popen([PROGRAMS["hearth"], "--socket", device.socket, "--json", "events", "--follow", *args], stdout=out, stderr=subprocess.DEVNULL)

    def lines(self):
        text = open(self.path).read()
        return [json.loads(line) for line in text[:text.rfind("\n") + 1].splitlines()]

    def end(self):
        """The number of the last event that it saw."""
        if self.child.poll() is None:
            self.child.terminate()
        self.child.wait(20)
        return next(e["number"] for e in reversed(self.lines()) if "number" in e)  # at the end it may have said that hearthd is gone


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
    return follower.end()


def a_restart_leaves_no_gap():
    """Ended in order, the next run goes on with the next number: a follower misses at most what happened after it had gone, and is told of that."""
    follower = Follower(h.kitchen)
    wait_for("it has begun", follower.lines)
    h.kitchen.stop()
    assert follower.child.wait(20) == 3
    last = follower.end()
    h.kitchen.start()
    after = lines(h.kitchen, "--after", str(last))
    if "gap" in after[0]:
        gap = after.pop(0)["gap"]
        assert gap == {"after": last, "before": after[0]["number"], "missing": after[0]["number"] - last - 1} and gap["missing"] < 10, gap
    assert any(e["kind"] == "started" for e in after) and after[0]["number"] > last, after
    rise_by_one(after)


def a_kill_is_a_gap():
    follower = Follower(h.kitchen)
    wait_for("it has begun", follower.lines)
    h.kitchen.kill()
    last = follower.end()
    h.kitchen.start()
    first, *after = lines(h.kitchen, "--after", str(last))
    assert first["gap"]["after"] == last and first["gap"]["before"] == after[0]["number"] and first["gap"]["missing"] > 0, first
    started = next(e for e in after if e["kind"] == "started")
    told = hearth(h.kitchen, "events", "--after", str(last)).splitlines()
    assert "events were missed here" in told[0], told
    h.kitchen.kill()
    h.kitchen.start()
    again = lines(h.kitchen, "--after", str(started["number"]))
    assert "gap" in again[0] and again[1]["number"] > started["number"], "a number is never given twice"


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


run_cases([("a follower is told as it happens", told_as_it_happens), ("a restart in order", a_restart_leaves_no_gap), ("a kill", a_kill_is_a_gap),
           ("away for more than is kept", away_too_long), ("an earlier state", an_earlier_state), ("status", at_a_glance)])
