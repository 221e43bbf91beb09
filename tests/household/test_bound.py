#!/usr/bin/python3
"""A vault that is bound, to the machine's TPM (swtpm) or by a passphrase: it plays where it belongs, opens nowhere else, says what to do, and moves."""
import os
import shutil
import signal
import socket
import sqlite3
import subprocess

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
        assert self.process.child.returncode == 77, self.process.child.returncode
        with open(self.log) as f:
            f.seek(begin)
            said = f.read()
        for word in words:
            assert word in said, (word, said)

    def check_of(self, name):
        return next(c["text"] for c in self.anyhow("doctor")["checks"] if c["name"] == name)

    def storage_key(self):
        with open(os.path.join(self.state, "vault", "storage.key"), "rb") as f:
            return f.read()

    def said(self, words):
        with open(self.log) as f:
            return words in f.read()

    def counter(self):
        db = sqlite3.connect(f"file:{os.path.join(self.state, 'vault', 'vault.db')}?mode=ro", uri=True)
        try:
            return db.execute("SELECT sealed FROM counter").fetchall()
        finally:
            db.close()

    def keep(self):
        """A copy of all there is, made while nothing runs."""
        self.stop()
        kept = self.state + ".kept"
        shutil.rmtree(kept, ignore_errors=True)
        shutil.copytree(self.state, kept)

    def put_back(self):
        self.stop()
        shutil.rmtree(self.state)
        shutil.copytree(self.state + ".kept", self.state)

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
        self.name, self.state = name, state
        self.start()
        self.words = f"tpm = swtpm:path={self.socket}"

    def start(self):
        state = self.state
        self.process = Process([SWTPM, "socket", "--tpm2", "--tpmstate", f"dir={state}", "--server", f"type=unixio,path={self.socket}",
                                "--ctrl", f"type=unixio,path={self.socket}.ctrl", "--flags", "not-need-init,startup-clear"], state + ".log")
        wait_for("the TPM", self.answers)

    def kept(self):
        with open(os.path.join(self.state, "tpm2-00.permall"), "rb") as f:
            return f.read()

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
    os.chmod(secret, 0o600)
    device = bought("attic")
    bare = device.storage_key()
    device.again("key = passphrase", f"passphrase-file = {secret}")
    assert device.digest(content) == reference
    assert device.storage_key()[:8] == b"HEARTHK3" and bare[8:] not in device.storage_key()
    assert "under a passphrase" in device.check_of("keys")
    device.stop()
    thief = device.copied("thief-of-attic")
    thief.does_not_start((), "needs its passphrase")
    with open(secret + ".guess", "w") as f:
        f.write("correct horse batteries\n")
    thief.does_not_start((f"passphrase-file = {secret}.guess",), "not the passphrase")
    os.chmod(secret, 0o604)
    thief.again(f"passphrase-file = {secret}") # whoever has both has the device
    assert f"The passphrase in {secret} is not for the vault alone" in thief.check_of("keys")
    os.chmod(secret, 0o600)
    assert "under a passphrase" in thief.check_of("keys")  # also where the configuration does not say so
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
    assert "its TPM seals their key" in device.check_of("keys")

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
    assert device.storage_key() == bare and "TPM" not in device.check_of("keys")
    moved = device.copied("new-kitchen")
    moved.again("key = tpm", there.words)
    assert moved.digest(content) == reference
    assert moved.storage_key()[:8] == b"HEARTHK2"
    moved.stop()


def counting(name):
    """A device bound to a TPM of its own that has bought a license of a few plays, and the content."""
    machine = Machine(name + "-machine")
    device = Bound(h.root, name).again("key = tpm", f"tpm = swtpm:path={machine.socket}")
    device.register(h.aurora, "alice", h.passwords["alice"])
    few = h.publish(make_track(os.path.join(h.root, name + ".flac"), 2, seed=len(name)), "--price", "0.50", "--max-plays", "9", "--name", "Nine plays")
    device("get", few, "--yes")
    return machine, device, few


def older_copy():
    """Put back on the very machine, and kept offline: the TPM has counted on."""
    if not SWTPM:
        return "SKIP swtpm is not installed"
    machine, device, few = counting("parlour")
    assert device.digest(few)
    device.keep()
    device.start()
    assert device.digest(few)  # and again, as nothing was spent in vain
    device.stop()
    device.start()
    assert not device.said("older copy")
    device.stop()
    h.aurora.stop()
    device.put_back()
    for _ in range(2):  # a restart makes it no younger
        device.start()
        assert device.said("put back from an older copy, the TPM has counted further")
        refusal = device.refused("vault-behind", "play", few, "--output", "digest")
        assert "aurora" in refusal.message and "hearth doctor" in refusal.remedy, (refusal.message, refusal.remedy)
        device.stop()
    h.aurora.start()
    device.start()
    wait_for("it has caught up", lambda: device.digest(few))

    # the way to another key: judged once more, then the TPM has nothing of this device any more, and a copy from before is noticed
    device.keep()
    device.again("key = file", f"tpm = swtpm:path={machine.socket}")
    assert device.digest(few) and not device.counter()
    device.stop()
    h.aurora.stop()
    device.put_back()
    device.again("key = tpm", f"tpm = swtpm:path={machine.socket}")
    assert device.said("the counter of this device in the TPM is gone") and device.counter()
    device.refused("vault-behind", "play", few, "--output", "digest")
    device.stop()
    h.aurora.start()


def sleeps(pid):
    with open(f"/proc/{pid}/stat") as f:
        return f.read().rsplit(")", 1)[1].split()[0] == "S"


def killed_between():
    """Between what is durable and the TPM: the command is still on its way when vault and TPM end; or it is carried out, and nobody hears of it."""
    if not SWTPM:
        return "SKIP swtpm is not installed"
    machine, device, few = counting("study")
    for raised in (False, True):
        before = device.counter()
        os.kill(machine.process.child.pid, signal.SIGSTOP)
        with subprocess.Popen([PROGRAMS["hearth"], "--socket", device.socket, "play", few, "--output", "digest"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as play:
            vault = device.vault_pid()
            wait_for("the play is charged, and the TPM is asked", lambda: device.counter() != before and sleeps(vault))
            if raised:
                kept = machine.kept()
                os.kill(device.process.child.pid, signal.SIGSTOP)
                os.kill(machine.process.child.pid, signal.SIGCONT)
                wait_for("the TPM has counted", lambda: machine.kept() != kept)
                device.kill()
            else:
                device.kill()
                os.kill(vault, signal.SIGKILL)
                machine.process.kill()
            play.kill()
        if not raised:
            machine.start()
        begin = os.path.getsize(device.log)
        device.start()
        with open(device.log) as f:
            f.seek(begin)
            said = f.read()
        assert ("raised to what was made durable" in said) != raised, said
        assert "older copy" not in said and device.digest(few)
    device.stop()


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
           ("an older copy put back on the same machine, offline, is noticed by the TPM's counter", older_copy),
           ("a vault killed before or after its TPM counts goes on as if nothing had been", killed_between),
           ("what a lost machine had comes back on a new one", lost)])
