#!/usr/bin/python3
"""A vault that is bound, to the machine's TPM (swtpm) or by a passphrase: it plays where it belongs, opens nowhere else, says what to do, and moves."""
import os
import shutil
import socket

from household import PROGRAMS, Device, Household, Process, enter_namespace, make_track, reference_digest, run_cases, wait_for

SWTPM = shutil.which("swtpm")
enter_namespace()
h = Household(directory=False)
track = make_track(os.path.join(h.root, "song.flac"), 2)
reference = reference_digest(track)
content = h.publish(track, "--price", "0.50")


class Bound(Device):
    """A device with a line about its vault in its configuration."""
    key = ()

    def start(self, wait=True):
        path = os.path.join(self.dir, "hearthd.conf")
        with open(path, "w") as f:
            f.write("[vault]\n" + "".join(line + "\n" for line in self.key))
        self.process = Process([PROGRAMS["hearthd"], "--config", path, "--state-dir", self.state, "--runtime-dir", self.dir, "--name", self.name,
                                "--listen", "127.0.0.1:0"], self.log)
        if wait:
            wait_for(f"{self.name} answers", lambda: self.process.running() and self("status"))
        return self

    def again(self, *key):
        if self.process:
            self.stop()
        self.key = key
        return self.start()

    def does_not_start(self, key, *words):
        """It ends by itself, and its log says what to do."""
        if self.process:
            self.stop()
        self.key = key
        begin = os.path.getsize(self.log) if os.path.exists(self.log) else 0
        self.start(wait=False)
        wait_for("hearthd to end", lambda: not self.process.running(), 60)
        assert self.process.child.returncode == 1, self.process.child.returncode
        with open(self.log) as f:
            f.seek(begin)
            said = f.read()
        for word in words:
            assert word in said, (word, said)

    def storage_key(self):
        with open(os.path.join(self.state, "vault", "storage.key"), "rb") as f:
            return f.read()

    def copied(self, name):
        """What another machine has, after everything here was copied there."""
        self.stop()
        other = Bound(h.root, name)
        shutil.copytree(self.state, other.state)
        return other


class Machine:
    """A TPM of its own."""

    def __init__(self, name):
        state, self.socket = os.path.join(h.root, name + ".tpm"), os.path.join(h.root, name + ".socket")
        os.mkdir(state)
        self.process = Process([SWTPM, "socket", "--tpm2", "--tpmstate", f"dir={state}", "--server", f"type=unixio,path={self.socket}",
                                "--ctrl", f"type=unixio,path={self.socket}.ctrl", "--flags", "not-need-init,startup-clear"], state + ".log")
        wait_for("the TPM", self.answers)
        self.words = f"tpm = swtpm:path={self.socket}"

    def answers(self):
        with socket.socket(socket.AF_UNIX) as s:
            return s.connect_ex(self.socket) == 0


def bought(name):
    device = Bound(h.root, name).start()
    device.register(h.aurora, "alice", h.passwords["alice"])
    device("get", content, "--yes", "--again")
    assert device.digest(content) == reference
    return device


def passphrase():
    secret = os.path.join(h.root, "passphrase")
    with open(secret, "w") as f:
        f.write("correct horse battery\n")
    device = bought("attic")
    bare = device.storage_key()
    device.again("key = passphrase", f"passphrase-file = {secret}")
    assert device.digest(content) == reference
    assert device.storage_key()[:8] == b"HEARTHK3" and bare[8:] not in device.storage_key()
    device.stop()
    thief = device.copied("thief-of-attic")
    thief.does_not_start((), "needs its passphrase")
    with open(secret + ".guess", "w") as f:
        f.write("correct horse batteries\n")
    thief.does_not_start((f"passphrase-file = {secret}.guess",), "not the passphrase")
    thief.again(f"passphrase-file = {secret}") # whoever has both has the device
    assert thief.digest(content) == reference
    thief.stop()
    device.again("key = passphrase", f"passphrase-file = {secret}")
    wait_for("the distributor has told it that it is the right one", lambda: device.digest(content)) # what the other has done made it look old
    assert device.digest(content) == reference
    device.stop()


def tpm():
    if not SWTPM:
        return "SKIP swtpm is not installed"
    here, there = Machine("here"), Machine("there")
    device = bought("kitchen")
    bare = device.storage_key()
    device.again("key = tpm", here.words)
    assert device.digest(content) == reference
    assert device.storage_key()[:8] == b"HEARTHK2" and bare[8:] not in device.storage_key()

    # copied to another machine: with a TPM, and with none
    thief = device.copied("thief-of-kitchen")
    thief.does_not_start(("key = tpm", there.words), "TPM of another machine", "key = file", "hearth restore")
    thief.does_not_start(("key = file",), "bound to the TPM")
    thief.does_not_start(("tpm = swtpm:path=/nonexistent",), "there is none that can be used")
    assert thief.storage_key() == device.storage_key()

    # at home nothing has changed; the vault is killed and comes back
    device.again("key = tpm", here.words)
    pid = device.vault_pid()
    os.kill(pid, 9)
    wait_for("another vault", lambda: device.vault_pid() != pid and device.digest(content) == reference)

    # the way to a new machine: let go here, copy, bind there; nothing that was bought is lost
    device.again("key = file", here.words)
    assert device.storage_key() == bare
    moved = device.copied("new-kitchen")
    moved.again("key = tpm", there.words)
    assert moved.digest(content) == reference
    assert moved.storage_key()[:8] == b"HEARTHK2"
    moved.stop()


def lost():
    """The machine is gone, and its state opens nowhere: a new device of the account gets back what was bought."""
    if not SWTPM:
        return "SKIP swtpm is not installed"
    gone = Machine("gone")
    device = bought("cellar")
    old = device("status")["client"]
    device.again("key = tpm", gone.words)
    device.stop()
    gone.process.kill()
    device.does_not_start(("tpm = swtpm:path=/nonexistent",), "key = file", "hearth restore")
    fresh = Bound(h.root, "new-cellar").start()
    fresh.register(h.aurora, "alice", h.passwords["alice"])
    wait_for("the roster", lambda: any(d["client"] == old for d in fresh("devices")["devices"]))
    fresh("devices", "remove", old)
    fresh("restore")
    wait_for("what was bought", lambda: fresh.track(content)["has_body"], 60)
    assert fresh.digest(content) == reference
    fresh.stop()


run_cases([("a passphrase opens the vault, and a copy of it only together with the passphrase", passphrase),
           ("a TPM opens the vault on its machine alone, and the way to another one loses nothing", tpm),
           ("what a lost machine had comes back on a new one", lost)])
