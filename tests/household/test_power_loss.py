#!/usr/bin/python3
"""Power loss after any call that hearthd or its vault makes while tracks are bought, copied, moved, renewed, and devices are removed: what had been said before
is there, whatever became of what was not synced, and the programs start on it.

A sample of the states; HEARTH_POWER_LOSS=N tries every Nth call instead (1: all, about twenty minutes), HEARTH_POWER_LOSS_SEED another torn half.
"""
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
import uuid

from household import PROGRAMS, Device, Household, Process, Refused, enter_namespace, make_track, own_mounts, run_cases, wait_for

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "powerloss"))
import states  # noqa: E402

enter_namespace()
if not own_mounts():
    print("1..0 # SKIP no mounts of our own can be made here")
    sys.exit(0)
RECORDER = os.path.join(os.environ["HEARTH_BUILD"], "tests", "powerloss", "librecorder.so")
STATES = 300  # in all, when nothing else is asked for
seed = int(os.environ.get("HEARTH_POWER_LOSS_SEED", "1"))
root = tempfile.mkdtemp(prefix="hearth-test-")
h = Household(root, directory=False)


class Recorded(Device):
    """A device whose state is a file system of its own, recorded."""

    def start(self, wait=True):
        self.recording = os.path.join(self.dir, "recording")
        if not os.path.ismount(self.state):
            os.mkdir(self.state)
            subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=700,size=256m", "tmpfs", self.state], check=True)
        real, variables = PROGRAMS["hearthd"], f"RECORDER_ROOT={self.state} RECORDER_LOG={self.recording} LD_PRELOAD={RECORDER}"
        tree = os.path.join(self.dir, "programs")
        for folder, name in (("daemon", "hearthd"), ("vault", "hearth-vault"), ("player", "hearth-player")):
            os.makedirs(os.path.join(tree, "src", folder), exist_ok=True)
            target = os.path.join(tree, "src", folder, name)
            if name == "hearth-player":
                shutil.copy(PROGRAMS[name], target)
                continue
            program = PROGRAMS[name]
            if name == "hearthd":  # it looks for the others beside its own file
                program = target + ".real"
                shutil.copy(real, program)
            with open(target, "w") as f:
                f.write(f'#!/bin/sh\nexec env {variables} {program} "$@"\n')
            os.chmod(target, 0o755)
        PROGRAMS["hearthd"] = os.path.join(tree, "src", "daemon", "hearthd")
        try:
            return super().start(wait)
        finally:
            PROGRAMS["hearthd"] = real

    def facts(self):
        """What the device says of its tracks, by content."""
        return {t["content"]: {k: v for k, v in t.items() if k != "number"} for t in self.library()}

    def said(self, what):
        """A person was told; from here on it is so."""
        states.mark(self.recording, {"what": what, "facts": self.facts()})


def device(name, distributor, user):
    one = Recorded(root, name)
    one.start()
    one.register(distributor, user, h.passwords[user])
    h.devices[name] = one
    one.said("registered")
    return one


kitchen, attic, bedroom = device("kitchen", h.aurora, "alice"), device("attic", h.aurora, "alice"), device("bedroom", h.boreal, "alina")
recorded = (kitchen, attic, bedroom)
recordings, digests = {}, {}  # digests: of the originals, as a device that plays gives them


def song(number, *options, extension="ogg"):
    return h.publish(make_track(os.path.join(root, f"song{number}.{extension}"), 1, seed=number), "--price", "1", *options)


def a_story():
    one = song(1, "--max-copies", "9", "--copy-depth", "2", extension="flac")
    two, rented = song(2), song(3, "--usage-days", "30", "--renew-price", "1")
    bedroom("link", kitchen("link")["url"])
    wait_for("they see each other", lambda: kitchen.sees("attic") and kitchen.sees("bedroom") and bedroom.sees("kitchen"), 30)
    for track in (one, two, rented):
        kitchen("get", track, "--yes")
        kitchen.said("bought")
        digests[track] = kitchen.digest(track)
    for to in (attic, bedroom):
        kitchen("copy", one, "--to", to.name)
        kitchen.said("copied")
        to.said("received a copy")
    kitchen("move", two, "--to", "attic")
    kitchen.said("moved away")
    attic.said("received a move")
    kitchen("renew", rented, "--yes")
    kitchen.said("renewed")
    attic("move", two, "--to", "bedroom")
    attic.said("moved away")
    bedroom.said("received a move")
    kitchen("devices", "remove", "attic")
    wait_for("kitchen lost sight of it", lambda: not kitchen.sees("attic"))
    kitchen.said("removed attic")
    for d in recorded:
        d.stop()
        recordings[d.name] = states.read(d.recording)
    for d in (h.aurora, h.boreal):
        d.stop()
    assert all(len(r) > 50 for r in recordings.values()), {n: len(r) for n, r in recordings.items()}


def boot_anew():
    path = os.path.join(root, "boot_id")
    with open(path, "w", encoding="ascii") as f:
        f.write(str(uuid.uuid4()) + "\n")
    subprocess.run(["mount", "--bind", path, "/proc/sys/kernel/random/boot_id"], check=True)


def has_ended(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as f:
            return f.read().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


class Found(Device):
    """A device that starts on what was left; nobody else is there."""

    def __init__(self, folder, name):
        super().__init__(folder, name)
        os.makedirs(self.state, 0o700)

    def begin(self):
        began = time.monotonic()
        self.start()
        return time.monotonic() - began

    def end(self):
        vault = self.vault_pid()
        self.process.kill()
        wait_for("its vault has ended with it", lambda: has_ended(vault))


def check(disk, way, known, after, rng, name, plays):
    """known: the facts said last; after: those that will be said next."""
    found = Found(tempfile.mkdtemp(prefix="state-", dir=root), name)
    try:
        disk.rebuild(found.state, way, rng)
        took = found.begin()
        now = {t["content"]: {k: v for k, v in t.items() if k != "number"} for t in found.library()}
        for content, track in known.items():
            for key, value in track.items():
                if after.get(content, {}).get(key) == value:
                    assert now.get(content, {}).get(key) == value, f"{content[:8]} {key}: {value!r} was said, now {now.get(content, {}).get(key)!r}"
        if plays:
            for content, track in known.items():
                if track["has_body"] and track["license"] == "valid" and after.get(content) == track:
                    assert found.digest(content) == digests[content], f"{content[:8]} plays differently"
        return took
    except AssertionError as error:
        log = open(found.log).read()[-1500:] if os.path.exists(found.log) else ""
        raise AssertionError(f"{error}\n{log}")
    finally:
        if found.process:
            found.end()
        shutil.rmtree(os.path.dirname(found.dir), ignore_errors=True)


def points(records, every):
    """Indices after which the power goes: the first call, and every so many of those that change the disk."""
    return [i for i, r in enumerate(records) if r[0] != states.MARK][::every]


def lost_at(name):
    def run():
        records = recordings[name]
        every = int(os.environ.get("HEARTH_POWER_LOSS", "0")) or max(1, len(records) * 3 * len(recordings) // STATES)
        rng, disk, known = random.Random(f"{seed} {name}"), states.Disk(), {}
        marks = [(i, json.loads(r[5])) for i, r in enumerate(records) if r[0] == states.MARK]
        wanted, worst, count, failures = set(points(records, every)), 0, 0, []
        for i, record in enumerate(records):
            if record[0] == states.MARK:
                known = json.loads(record[5])
            else:
                disk.do(record)
            if i not in wanted:
                continue
            after = next((m for at, m in marks if at > i), known)
            for way in ("kept", "lost", "torn") if disk.open_ends() else ("kept",):
                count += 1
                try:
                    worst = max(worst, check(disk, way, known.get("facts", {}), after["facts"], rng, name, count % 8 == 0))
                except (AssertionError, Refused, OSError) as error:
                    failures.append(f"call {i} of {len(records)}, {way}, after {known.get('what')!r}: {error}")
        print(f"# {name}: {len(records)} calls, {count} states, slowest start {worst * 1000:.0f} ms", flush=True)
        assert not failures, f"{len(failures)} of {count}; first:\n" + "\n".join(failures[:3])
    return run


run_cases([("a story is recorded", a_story)] + [(f"power loss at {n}", lost_at(n)) for n in ("kitchen", "attic", "bedroom")])
