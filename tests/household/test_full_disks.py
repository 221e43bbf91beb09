#!/usr/bin/python3
"""Disks that are really full: a device's and a distributor's, each on a small file system of its own. What does not fit is refused in words that name the
place, nothing is charged twice or lost, and when there is room all of it goes on."""
import contextlib
import os
import subprocess
import sys
import tempfile

from household import PROGRAMS, Device, Distributor, Household, Refused, enter_namespace, make_track, own_mounts, rows_of, run_cases, wait_for

enter_namespace()
if not own_mounts():
    print("1..0 # SKIP no mounts of our own can be made here")
    sys.exit(0)


class Disk:
    """A small file system, and what fills it."""

    def __init__(self, path, size):
        self.path, self.filler = path, os.path.join(path, "filler")
        os.mkdir(path)
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"mode=700,size={size}", "tmpfs", path], check=True)

    @contextlib.contextmanager
    def full(self, left=0):
        """So many bytes are left, and no more."""
        try:
            with open(self.filler, "wb", buffering=0) as f:
                try:
                    while f.write(bytes(1 << 16)) > 0:
                        pass
                except OSError:
                    os.ftruncate(f.fileno(), f.tell() - left)
            yield
        finally:
            os.unlink(self.filler)


class Small(Distributor):
    def __init__(self, root, name, **options):
        self.disk = Disk(os.path.join(root, name), "24m")
        super().__init__(self.disk.path, name, **options)
        self.log = os.path.join(root, f"{name}.log")
        self.passwords = root

    def user(self, name, password="correct horse", credit=100000):
        path = os.path.join(self.passwords, f"password-{name}")
        with open(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), "w") as f:
            f.write(password + "\n")
        self.admin("user", "add", name, "--password-file", path, "--credit", str(credit))
        return path


h = Household(tempfile.mkdtemp(prefix="hearth-test-"), directory=False, kind=Small)
disk = Disk(os.path.join(h.root, "small"), "48m")
kitchen = Device(h.root, "kitchen")
kitchen.state = os.path.join(disk.path, "state")
h.devices["kitchen"] = kitchen.start()
kitchen.register(h.aurora, "alice", h.passwords["alice"])
attic = h.device("attic", h.aurora, "alice")
wait_for("they see each other", lambda: kitchen.sees("attic") and attic.sees("kitchen"), 30)


def song(number, *options):
    return h.publish(make_track(os.path.join(h.root, f"song{number}.ogg"), 1, seed=number), "--price", "1", "--copy-price", "0.10", "--max-copies", "9", *options)


songs = [song(n) for n in range(6)]
counted = song(7, "--max-plays", "3")
other = make_track(os.path.join(h.root, "other.flac"), 2, seed=9)
medium = os.path.join(h.root, "medium")
os.mkdir(medium)
for track in (songs[0], counted):
    kitchen("get", track, "--yes")
for track in (songs[1], songs[3]):
    attic("get", track, "--yes")


def charged():
    """How often the account paid or was given back, and how much in all."""
    return rows_of(os.path.join(h.aurora.dir, "operations.db"), "SELECT count(*), -sum(amount) FROM ledger WHERE account = 'user:alice'")[0]


def refused(device, place, *words):
    """Refused, naming the place, and without advice for another one."""
    refusal = device.refused("storage-full", *words)
    assert place in refusal.message, (words, refusal, refusal.remedy)
    return refusal


def a_device():
    before = charged()
    with disk.full():
        for words in (("get", songs[2], "--yes"), ("settings", "volume", "55"), ("playlist", "create", "Evenings"), ("copy", songs[0], "--to", "attic")):
            refusal = refused(kitchen, "kitchen" if words[0] == "get" else disk.path, *words)
            assert "hearth remove" in refusal.message + refusal.remedy, (words, refusal.message, refusal.remedy)
        kitchen.digest(songs[0])  # for that no room is needed
        assert charged() == before
        assert any(c["name"] == "storage" and c["verdict"] == "bad" and disk.path in c["text"] for c in kitchen.anyhow("doctor")["checks"])
        kitchen("remove", songs[0])  # which is what was advised
    kitchen("get", songs[0], "--yes")
    kitchen("get", songs[2], "--yes")
    kitchen("settings", "volume", "55")
    kitchen("playlist", "create", "Evenings")
    kitchen("copy", songs[0], "--to", "attic")
    assert charged() == (before[0] + 2, before[1] + 110)
    attic.digest(songs[0])


def what_comes_to_it():
    attic("export", songs[1], "--to", "kitchen", medium)
    before = charged()
    with disk.full():
        refusal = refused(attic, "kitchen", "copy", songs[3], "--to", "kitchen")
        assert refusal.remedy == "", refusal.remedy  # nothing that is done on the attic helps
        refused(kitchen, "this device", "import", medium)
    kitchen("import", medium)
    kitchen.digest(songs[1])
    wait_for("its price came back", lambda: charged()[1] == before[1])
    attic("copy", songs[3], "--to", "kitchen")
    kitchen.digest(songs[3])
    assert charged()[1] == before[1] + 10


def a_report():
    """A receipt that its distributor has, and that cannot be crossed off here: it is not sent again and again."""
    track = song(8)
    attic("get", track, "--yes")
    kitchen.stop()
    copying = subprocess.Popen([PROGRAMS["hearth"], "--socket", attic.socket, "copy", track, "--to", "kitchen"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_for("it waits with its certificate", lambda: rows_of(os.path.join(attic.state, "hearthd.db"), "SELECT count(*) FROM copy WHERE certificate IS NOT NULL")[0][0] == 1)
    h.aurora.stop()
    kitchen.start()
    assert copying.wait(60) == 0

    def waiting():
        return rows_of(os.path.join(kitchen.state, "hearthd.db"), "SELECT count(*) FROM outbox")[0][0]

    def failed():
        return open(kitchen.log).read().count("a change was not stored")

    assert waiting() == 1
    before = failed()
    with disk.full():
        h.aurora.start()
        wait_for("it could not be crossed off", lambda: failed() > before)
        for _ in range(20):
            kitchen("status")
        assert failed() < before + 10, failed() - before
    kitchen.stop()
    kitchen.start()  # then it is said once more, without waiting
    wait_for("it is crossed off", lambda: waiting() == 0)


def its_vault():
    """A play that cannot be counted is none."""
    assert kitchen.track(counted)["plays"] == 0
    with disk.full():
        refusal = refused(kitchen, "this device", "play", counted, "--output", "digest")
        assert "hearth remove" in refusal.remedy, refusal.remedy
    assert kitchen.track(counted)["plays"] == 0
    kitchen.digest(counted)
    assert kitchen.track(counted)["plays"] == 1


def operator(code, place, *words):
    try:
        answer = h.aurora.admin(*words)
    except Refused as refusal:
        assert refusal.code == code and place in refusal.message and "full" in refusal.message, (words, refusal)
        return
    raise AssertionError((words, answer))


def a_distributor():
    before, paper = charged(), os.path.join(h.aurora.disk.path, "backup")
    with h.aurora.disk.full():
        for words in (("publish", other, "--price", "1"), ("keys", "rotate"), ("keys", "rotate", "storage"), ("backup", paper)):
            operator("storage-full", h.aurora.disk.path, *words)
        assert h.aurora.admin("ledger", "check")["balanced"] and not os.path.exists(paper)
    h.aurora.stop()
    with h.aurora.disk.full():
        done = subprocess.run([PROGRAMS["hearth-distributor"], "--state-dir", h.aurora.dir, "serve"], capture_output=True, text=True, timeout=20)
        assert done.returncode == 1 and h.aurora.dir in done.stderr and "No space left" in done.stderr, done
    h.aurora.start()
    assert charged() == before


def says_full(track):
    """Not while it is only just connecting."""
    try:
        return kitchen("get", track, "--yes") and None
    except Refused as refusal:
        if refusal.code == "offline":
            return None
        assert refusal.code == "storage-full" and "aurora" in refusal.message and refusal.remedy == "", (refusal, refusal.remedy)
        return refusal


def sells_on(left, copied):
    def run():
        """It starts with a log that has little room: a sale does not fit."""
        bought, before = songs.pop(), charged()
        h.aurora.stop()
        with h.aurora.disk.full(left):
            h.aurora.start()
            wait_for("it says why", lambda: says_full(bought))
            copying = subprocess.Popen([PROGRAMS["hearth"], "--socket", kitchen.socket, "copy", copied, "--to", "attic"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            wait_for("the copy is queued", lambda: any(t["state"] not in ("done", "failed") and t["content"] == copied for t in kitchen("transfers")["transfers"]))
            assert charged() == before
        assert copying.wait(60) == 0, copying.stdout.read()
        if left >= 64 << 10:  # it was asked for, and is kept
            wait_for("what was bought comes by itself", lambda: kitchen.track(bought)["license"] == "valid", 60)
        kitchen("get", bought, "--yes")
        kitchen.digest(bought)
        attic.digest(copied)
        assert charged() == (before[0] + 2, before[1] + 110), (before, charged())
        assert h.aurora.admin("ledger", "check")["balanced"]
    return run


def it_goes_on():
    """All that was refused is done, and whole."""
    paper = os.path.join(h.aurora.disk.path, "backup")
    h.aurora.admin("publish", other, "--price", "1")
    h.aurora.admin("keys", "rotate")
    h.aurora.admin("keys", "rotate", "storage")
    h.aurora.admin("backup", paper)
    h.aurora.stop()
    h.aurora.admin("restore", paper, "--replace")
    h.aurora.start()
    kitchen.stop()
    kitchen.start()
    assert all(c["verdict"] == "good" for c in kitchen.anyhow("doctor")["checks"] if c["name"] in ("vault", "keys"))


run_cases([("a device", a_device), ("what comes to it", what_comes_to_it), ("a report", a_report), ("its vault", its_vault), ("a distributor", a_distributor), ("it sells on, 40 KiB left", sells_on(40 << 10, songs[2])),
           ("it sells on, 64 KiB left", sells_on(64 << 10, counted)), ("it goes on", it_goes_on)])
