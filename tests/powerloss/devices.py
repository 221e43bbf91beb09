"""A device whose state is recorded, what it has said, and one that starts on what a power loss left of it."""
import hashlib
import os
import shutil
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "household"))
import states  # noqa: E402
from distributors import RECORDER, mount  # noqa: E402
from household import PROGRAMS, Device, wait_for  # noqa: E402


def body(device, content):
    """Of its file, which is what the network, the players and other devices get."""
    with open(os.path.join(device.state, "bodies", content + ".body"), "rb") as f:
        return hashlib.sha256(f.read()).hexdigest()


def facts(device):
    """What the device says of its tracks, by content, and what it has of their bodies."""
    return {t["content"]: {k: v for k, v in t.items() if k != "number"} | ({"body": body(device, t["content"])} if t["has_body"] else {}) for t in device.library()}


class Recorded(Device):
    """A device whose state is a file system of its own, recorded."""

    def start(self, wait=True):
        self.recording = os.path.join(self.dir, "recording")
        if not os.path.ismount(self.state):
            mount(self.state)
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

    def said(self, what):
        """A person was told; from here on it is so."""
        states.mark(self.recording, {"what": what, "facts": facts(self)})


def has_ended(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as f:
            return f.read().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


class Found(Device):
    """A device that starts on what was left."""

    def __init__(self, folder, name):
        super().__init__(folder, name)
        os.makedirs(self.state, 0o700)

    def begin(self):
        began = time.monotonic()
        self.start()
        return time.monotonic() - began

    def end(self):
        if self.process is None:
            return
        vault = self.vault_pid() if self.process.running() else None
        self.process.kill()
        if vault is not None:
            wait_for("its vault has ended with it", lambda: has_ended(vault))

    def judge(self, known, after):
        """known: the facts said last; after: those that will be said next."""
        now = facts(self)
        for content, track in known.items():
            for key, value in track.items():
                if after.get(content, {}).get(key) == value:
                    assert now.get(content, {}).get(key) == value, f"{content[:8]} {key}: {value!r} was said, now {now.get(content, {}).get(key)!r}"

    def judge_plays(self, known, after, digests):
        for content, track in known.items():
            if track["has_body"] and track["license"] == "valid" and after.get(content) == track:
                assert self.digest(content) == digests[content], f"{content[:8]} plays differently"

    def said(self):
        return open(self.log).read()[-1500:] if os.path.exists(self.log) else ""
