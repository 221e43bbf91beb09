"""Devices whose hearthd and vault have faults: what fails in them is armed from here, while they run, in a file that they have mapped (fault-preload.c)."""
import mmap
import os
import shutil
import struct
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "household"))
from household import BUILD, PROGRAMS, Device, wait_for  # noqa: E402

LIBRARY = os.path.join(BUILD, "tests", "torture", "libfault.so")
HOW = ("none", "memory", "EIO", "ENOSPC", "EINTR", "EMFILE", "short")  # enum fault_how
COUNTS, COME, SYNC, PID, WHERE, TEXT, ENDED = 32, 60, 64, 68, 72, 4096, 72 + 4096  # places in struct fault_state


class Faults:
    """Of one program: struct fault_state."""

    def __init__(self, path):
        self.path = path
        with open(path, "wb") as f:
            f.truncate(ENDED + TEXT)
        with open(path, "r+b") as f:
            self.state = mmap.mmap(f.fileno(), ENDED + TEXT)

    def arm(self, how, at, onwards=False):
        """The at-th call that can fail so fails, or all from there on. at 0: none, they are counted."""
        self.state[0:4] = bytes(4)
        self.state[4:PID] = struct.pack("<IIII", 1, HOW.index(how), at, onwards) + bytes(48)
        self.forget()
        self.state[0:4] = struct.pack("<I", 1)

    def disarm(self):
        self.state[0:4] = bytes(4)

    def forget(self):
        """Who made the call, and where it ended."""
        self.state[WHERE:ENDED + TEXT] = bytes(2 * TEXT)

    def number(self, place):
        return struct.unpack_from("<I", self.state, place)[0]

    def counts(self):
        return {how: self.number(COUNTS + 4 * i) for i, how in enumerate(HOW) if i > 0}

    come = property(lambda self: self.number(COME))
    was_sync = property(lambda self: self.number(SYNC) != 0)

    def callers(self, at=WHERE):
        """Functions, the innermost first: who made the call that failed (WHERE), or where the program was when a signal ended it (ENDED)."""
        found = []
        for line in self.state[at:at + TEXT].split(b"\0")[0].decode(errors="replace").splitlines():
            path, _, place = line.rpartition(" ")
            if not path or path.endswith("libfault.so"):
                continue
            done = subprocess.run(["addr2line", "-f", "-s", "-e", path, "0x" + place], capture_output=True, text=True)
            function, where = (done.stdout.splitlines() + ["?", "?"])[:2]
            found.append(f"{function} {where}" if where[0] != "?" else f"{function} {os.path.basename(path)}+{place}")
        return found


class Faulty(Device):
    """A device with faults: .daemon is what fails in its hearthd, .vault in its vault."""

    def __init__(self, root, name):
        super().__init__(root, name)
        self.daemon, self.vault = (Faults(os.path.join(self.dir, f"{part}.faults")) for part in ("daemon", "vault"))
        tree = os.path.join(self.dir, "programs", "src")
        for folder in ("daemon", "vault", "player"):
            os.makedirs(os.path.join(tree, folder))
        self.program = os.path.join(tree, "daemon", "hearthd")  # it looks for the others beside its own file, and makes their environment
        shutil.copy(PROGRAMS["hearthd"], self.program)
        os.symlink(PROGRAMS["hearth-player"], os.path.join(tree, "player", "hearth-player"))
        script = os.path.join(tree, "vault", "hearth-vault")
        with open(script, "w", encoding="utf-8") as f:
            f.write(f'#!/bin/sh\nLD_PRELOAD={LIBRARY} HEARTH_FAULTS=hearth-vault:{self.vault.path} GLIBC_TUNABLES=glibc.malloc.perturb=165 exec {PROGRAMS["hearth-vault"]} "$@"\n')
        os.chmod(script, 0o755)
        self.environment = {"LD_PRELOAD": LIBRARY, "HEARTH_FAULTS": f"hearthd:{self.daemon.path}", "GLIBC_TUNABLES": "glibc.malloc.perturb=165"}

    def start(self, wait=True, *options):
        real, PROGRAMS["hearthd"] = PROGRAMS["hearthd"], self.program
        try:
            return super().start(wait, *options)
        finally:
            PROGRAMS["hearthd"] = real

    def vault_has_ended(self):
        try:
            with open(f"/proc/{self.vault.number(PID)}/stat", encoding="ascii") as f:
                return f.read().rpartition(")")[2].split()[0] == "Z"
        except FileNotFoundError:
            return True

    def stop(self):
        super().stop()
        wait_for("its vault has ended with it", self.vault_has_ended)

    def kill(self):
        super().kill()
        wait_for("its vault has ended with it", self.vault_has_ended)
