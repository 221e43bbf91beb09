#!/usr/bin/python3
"""A hearth-distributor that was taken over from the network (compromised_distributor.c): it tries what a serving process must not be able to, inside its own confinement, and gets nothing; nor does
its starter give it more than the payment command."""
import os
import re
import subprocess

import household
from household import PROGRAMS, Household, enter_namespace, make_track, reference_digest, run_cases, wait_for

enter_namespace()
h = Household(directory=False)
home = os.path.join(h.root, "home")
os.mkdir(home)
LETTER = b"Dear diary\n"
with open(os.path.join(home, "letter.txt"), "wb") as f:
    f.write(LETTER)
tone = make_track(os.path.join(h.root, "tone.flac"), 2, seed=5)
song = h.publish(tone, "--price", "1", "--title", "Tone")
h.kitchen = household.Device(h.root, "kitchen")
h.kitchen.start()
h.aurora.admin("settings", "payment-command", "/usr/bin/cat")  # reads its input to the end; 0 is paid
h.aurora.stop()
PROGRAMS["hearth-distributor"] = os.path.join(household.BUILD, "tests", "household", "compromised_distributor")
os.environ["HOME"] = home
os.rename(os.path.join(h.aurora.dir, "bodies"), os.path.join(h.root, "disk"))  # another disk, as operators do
os.symlink(os.path.join(h.root, "disk"), os.path.join(h.aurora.dir, "bodies"))
modes = {n: os.stat(os.path.join(h.aurora.dir, n)).st_mode for n in ("keys", "bodies", "operations.db")}
h.aurora.start()

# What each attempt must have returned. A system call that is not allowed returns EPERM; a file out of reach EACCES.
DENIED = ("EACCES", "EPERM")
EXPECTED = {
    **dict.fromkeys(("read-a-letter", "write-the-profile", "remove-a-letter", "cut-a-letter", "list-the-home", "read-another-s-keys", "read-another-s-database",
                     "write-another-s-database", "a-file-in-tmp", "shared-memory", "write-the-system-s-programs", "write-the-configuration", "a-device", "another-s-environment",
                     "the-kernel-s-settings", "others-may-read-the-keys", "others-may-enter-the-state", "another-owner", "an-attribute", "a-pipe-with-a-name", "a-program-with-its-owner-s-rights", "a-disk",
                     "a-link-to-a-letter", "another-root", "the-session-s-bus", "the-log-s-socket", "two-sockets-of-datagrams", "packets", "raw-internet", "another-netlink",
                     "virtual-machines", "type-at-the-terminal", "an-abstract-socket", "run-a-shell", "run-what-is-open", "another-process", "another-process-by-clone", "namespaces",
                     "mount", "memory-written-and-run", "run-what-was-written", "trace-who-started-it", "read-memory-of-who-started-it", "open-memory-of-who-started-it",
                     "take-descriptors-of-who-started-it", "write-memory-of-who-started-it", "end-who-started-it", "io-uring", "bpf", "performance-counters", "keyring",
                     "fault-handler", "fewer-restrictions", "set-the-clock", "add-a-key", "be-traceable", "raise-a-limit", "change-the-user"), DENIED),
    **dict.fromkeys(("another-name-of-a-letter", "fetch-a-letter", "give-the-keys-away"), ("EACCES", "EPERM", "EXDEV")),
    "another-process-by-clone3": ("ENOSYS",),
    **dict.fromkeys(("trace-the-starter", "read-memory-of-the-starter", "open-memory-of-the-starter", "take-descriptors-of-the-starter", "write-memory-of-the-starter",
                     "end-the-starter"), DENIED),
    "another-payment-command": ("EALREADY",),
    **dict.fromkeys(("a-command-without-a-lock", "a-command-for-ever", "an-unknown-request"), ("EINVAL",)),
    "a-command-too-late": ("ETIMEDOUT",),
    "a-second-command": ("EBUSY",),
}


def said():
    return open(h.aurora.log, encoding="utf-8").read()


def not_here():
    wait_for("it has tried everything", lambda: "attempts are over" in said())
    if "no Landlock" in said() or "without libseccomp" in said() or "not confined" in said():
        return "SKIP this kernel or this build does not confine the distributor"
    return None


def nothing_of_it_works():
    if not_here():
        return not_here()
    got = dict(re.findall(r"attempt=(\S+) outcome=(\S+)", said()))
    for name, outcome in got.items():
        print(f"# {name}: {outcome}")
    wrong = {name: got.get(name) for name, allowed in EXPECTED.items() if got.get(name) not in allowed}
    assert not wrong and got.keys() == EXPECTED.keys(), (wrong, got.keys() ^ EXPECTED.keys())


def status_of(pid, name):
    return next(line.split()[1] for line in open(f"/proc/{pid}/status", encoding="utf-8") if line.startswith(name + ":"))


def it_is_seen():
    """How an operator sees that it is confined; the starter, whose program needs who knows what, is not, and has no descriptor that it could lose."""
    if not_here():
        return not_here()
    pid = h.aurora.process.child.pid
    assert "one command: started" in said()
    assert (status_of(pid, "Seccomp"), status_of(pid, "NoNewPrivs")) == ("2", "1")
    figures = subprocess.run([PROGRAMS["hearth-distributor"], "--state-dir", h.aurora.dir, "stats", "--openmetrics"], capture_output=True, text=True, check=True).stdout
    assert "\nhearth_confined 2\n" in figures and "\nhearth_payment_command 1\n" in figures
    assert re.search(r" confinement +confined$|confinement: confined$", said(), re.M), said()
    starter = next(int(p) for p in open(f"/proc/{pid}/task/{pid}/children", encoding="utf-8").read().split())
    assert status_of(starter, "Seccomp") == "0" and len(os.listdir(f"/proc/{starter}/fd")) == 4


def it_serves_on():
    """What it sells is sold, and nothing lies about."""
    h.kitchen.register(h.aurora, "alice", h.passwords["alice"])
    h.kitchen("get", song, "--yes")
    assert h.kitchen("play", song, "--output", "digest")["digest"] == reference_digest(tone)
    assert sorted(os.listdir(home)) == ["letter.txt"] and open(os.path.join(home, "letter.txt"), "rb").read() == LETTER
    assert not any(os.path.exists(p) for p in ("/tmp/hearth-loot", "/dev/shm/hearth-loot", "/usr/bin/hearth-loot", "/etc/hearth-loot"))
    assert modes == {n: os.stat(os.path.join(h.aurora.dir, n)).st_mode for n in modes}
    h.aurora.admin("payment", "collect", "alice")
    wait_for("it is paid", lambda: h.aurora.admin("payment", "list")["payments"][0]["state"] == "paid")
    h.aurora.stop()
    assert h.aurora.process.child.returncode == 0


def it_could_before():
    """The same program before it was confined: what it cannot do afterwards is what confinement takes."""
    assert "before: letter=1 other=1 unix=1" in said()


run_cases([
    ("nothing that a serving distributor must not do", nothing_of_it_works),
    ("it is seen", it_is_seen),
    ("it serves on", it_serves_on),
    ("before it was confined it could", it_could_before),
])
