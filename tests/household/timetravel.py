"""Programs whose clock can be set: the wall clock of distributors, hearthd and hearth-vault alike, never the monotonic one.

Not a test itself. The programs see the new time when they are started again, as after a pause: Clock.go() stops and starts them.
"""
import os
import shutil

from household import PROGRAMS

FAKETIME = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1"
DAY = 86400


class Clock:
    """Replaces the programs in PROGRAMS by wrappers. offset: seconds ahead of now."""

    def __init__(self, root):
        self.offset = 0
        self.file = os.path.join(root, "clock")
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
            with open(wrapper, "w") as f:
                f.write(f'#!/bin/sh\nFAKETIME=$(cat {self.file}) LD_PRELOAD={FAKETIME} FAKETIME_DONT_FAKE_MONOTONIC=1\n'
                        f'export FAKETIME LD_PRELOAD FAKETIME_DONT_FAKE_MONOTONIC\nexec {program} "$@"\n')
            os.chmod(wrapper, 0o755)
            if name != "hearth-vault":
                PROGRAMS[name] = wrapper
        shutil.copy(PROGRAMS["hearth-player"], os.path.join(tree, "src", "player", "hearth-player"))

    def set(self, offset):
        self.offset = offset
        with open(self.file, "w") as f:
            f.write(f"+{int(offset)}s\n")

    def go(self, processes, days):
        """That many days later: everything is stopped, and started again with the new time."""
        for p in reversed(processes):
            p.stop()
        self.set(self.offset + days * DAY)
        for p in processes:
            p.start()
