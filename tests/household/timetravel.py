"""Programs whose clock can be set: the wall clock of distributors, hearthd and hearth-vault alike, never the monotonic one.

Not a test itself. The programs see the new time when they are started again, as after a pause: Clock.go() stops and starts them. Devices may have a clock of their
own, wrong by any amount, while distributors keep the right one: Clock.wrong().
"""
import os
import shutil
import time

from household import PROGRAMS

FAKETIME = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1"
DAY = 86400


class Clock:
    """Replaces the programs in PROGRAMS by wrappers. offset: seconds ahead of now, of all; devices may differ from that."""

    def __init__(self, root):
        self.offset = 0
        self.files = {"hearth-distributor": os.path.join(root, "clock"), "devices": os.path.join(root, "clock-of-devices")}
        self.set(0)
        tree = os.path.join(root, "clocked")
        real = os.path.join(root, "clocked-real")
        for folder in ("daemon", "vault", "player", "distributor"):
            os.makedirs(os.path.join(tree, "src", folder))
        os.makedirs(real)
        for name, folder in (("hearthd", "daemon"), ("hearth-vault", "vault"), ("hearth-distributor", "distributor")):
            # hearthd looks for its children beside its own file, so the file itself is in the tree
            program = os.path.join(tree, "src", folder, name + (".real" if name == "hearthd" else ""))
            wrapper = os.path.join(tree, "src", folder, name)
            if name == "hearthd":
                shutil.copy(PROGRAMS[name], program)
            else:
                program = PROGRAMS[name]
            file = self.files.get(name, self.files["devices"])
            with open(wrapper, "w") as f:
                f.write(f'#!/bin/sh\nFAKETIME=$(cat {file}) LD_PRELOAD={FAKETIME} FAKETIME_DONT_FAKE_MONOTONIC=1\n'
                        f'export FAKETIME LD_PRELOAD FAKETIME_DONT_FAKE_MONOTONIC\nexec {program} "$@"\n')
            os.chmod(wrapper, 0o755)
            if name != "hearth-vault":
                PROGRAMS[name] = wrapper
        shutil.copy(PROGRAMS["hearth-player"], os.path.join(tree, "src", "player", "hearth-player"))

    def set(self, offset):
        self.offset = offset
        for file in self.files.values():
            self.write(file, offset)

    @staticmethod
    def write(file, offset):
        with open(file, "w") as f:
            f.write(f"{int(offset):+d}s\n")

    def wrong(self, seconds):
        """What devices started from now on believe, ahead of what distributors have (back: negative); 0: right again."""
        self.write(self.files["devices"], self.offset + seconds)

    def in_1970(self):
        """As a machine without a battery has it: a minute after it was switched on."""
        self.wrong(60 - time.time())

    def go(self, processes, days):
        """That many days later: everything is stopped, and started again with the new time."""
        for p in reversed(processes):
            p.stop()
        self.set(self.offset + days * DAY)
        for p in processes:
            p.start()
