#!/usr/bin/python3
"""A hearthd that was taken over from the network (compromised_hearthd.c): it tries what hearthd must not be able to, inside its own confinement, over its own channels to the vault and to its helpers, and gets nothing."""
import os
import re
import shutil
import subprocess

import household
from household import PROGRAMS, Household, enter_namespace, reference_digest, run_cases, wait_for

enter_namespace()
h = Household(directory=False)
programs = os.path.join(h.root, "programs")
home = os.path.join(h.root, "home")
os.mkdir(programs)
os.mkdir(home)
LETTER = b"Dear diary\n"
with open(os.path.join(home, "letter.txt"), "wb") as f:
    f.write(LETTER)
for name in ("hearth-vault", "hearth-player"):
    shutil.copy(PROGRAMS[name], programs)
shutil.copy(os.path.join(household.BUILD, "tests", "household", "compromised_hearthd"), os.path.join(programs, "hearthd"))
tone = os.path.join(h.root, "tone.flac")
subprocess.run(["ffmpeg", "-v", "error", "-f", "lavfi", "-i", "sine=440:d=4", "-ac", "2", "-sample_fmt", "s16", tone], check=True, stdin=subprocess.DEVNULL)
song = h.publish(tone, "--price", "1", "--title", "Tone")
# It has something to lose before it is taken over.
h.kitchen = household.Device(h.root, "kitchen")
h.kitchen.environment["HOME"] = home
h.kitchen.start()
h.kitchen.register(h.aurora, "alice", h.passwords["alice"])
h.kitchen("get", song, "--yes")
h.kitchen.stop()
PROGRAMS["hearthd"] = os.path.join(programs, "hearthd")  # it looks for the others beside itself
h.kitchen.start()

# What each attempt must have returned. A system call that is not allowed returns EPERM; a file out of reach EACCES; helpers and vault say why.
DENIED = ("EACCES", "EPERM")
EXPECTED = {
    **dict.fromkeys(("read-the-storage-key", "read-the-vault-s-database", "write-to-the-vault-s-database", "cut-the-vault-s-database", "list-the-vault", "put-another-key-there",
                     "move-the-key-to-its-own", "move-the-vault", "remove-the-vault-s-database", "link-the-key", "link-to-the-key", "others-may-read-the-key", "an-attribute-of-the-key",
                     "read-a-letter", "write-the-profile", "list-the-home", "a-file-in-tmp", "shared-memory", "a-device", "a-pipe-with-a-name", "a-program-with-its-owner-s-rights", "the-session-s-bus", "the-log-s-socket",
                     "two-sockets-of-datagrams", "packets", "raw-internet", "another-netlink", "virtual-machines", "type-at-the-terminal", "run-a-shell", "run-what-is-open",
                     "another-process", "another-process-by-clone", "namespaces", "mount", "memory-written-and-run", "run-what-was-written", "trace-the-vault",
                     "read-memory-of-the-vault", "write-memory-of-the-vault", "open-memory-of-the-vault", "take-descriptors-of-the-vault", "end-the-vault", "trace-the-spawner",
                     "read-memory-of-the-spawner", "write-memory-of-the-spawner", "open-memory-of-the-spawner", "take-descriptors-of-the-spawner", "end-the-spawner", "trace-the-opener",
                     "read-memory-of-the-opener", "write-memory-of-the-opener", "open-memory-of-the-opener", "take-descriptors-of-the-opener", "end-the-opener", "io-uring", "bpf",
                     "performance-counters", "keyring", "add-a-key", "fault-handler", "fewer-restrictions", "be-traceable", "set-the-clock", "raise-a-limit", "change-the-user",
                     "opener-write-the-profile", "opener-overwrite-a-letter", "opener-remove-a-letter", "opener-remove-the-database", "sign-foreign-bytes", "sign-a-document",
                     "sign-another-handshake-s-text", "others-may-enter-the-home", "others-may-enter-the-vault", "nobody-may-enter-the-home", "a-program-of-a-new-file",
                     "another-owner-of-the-home"), DENIED),
    "another-process-by-clone3": ("ENOSYS",),
    "spawner-a-second-vault": ("EBUSY",),
    **dict.fromkeys(("spawner-a-program-as-a-device", "spawner-a-way-out-of-dev", "spawner-another-argument", "opener-a-relative-path"), ("EINVAL",)),
    **dict.fromkeys(("opener-read-the-key", "opener-read-the-database", "opener-read-a-letter"), ("foreign",)),
    **dict.fromkeys(("store-a-license-nobody-issued", "store-an-altered-license", "a-certificate-nobody-issued", "advance-the-time", "a-roster-of-its-own"), ("signature-invalid",)),
    "commit-what-was-not-checked": ("not-found",),
    "a-keyset-of-its-own": ("keyset-invalid",),
    **dict.fromkeys(("keys-of-another-device", "take-the-log-for-read", "finish-a-move", "take-a-move-back", "a-block-without-a-play", "sign-on-the-wrong-channel", "close-another-play"), ("malformed",)),
    "catch-up-by-itself": ("out-of-step",),
    "count-for-another-license": ("no-license",),
    "play-another-content-under-its-name": ("content-id-mismatch",),
}


def said():
    return open(h.kitchen.log, encoding="utf-8").read()


def nothing_of_it_works():
    wait_for("it has tried everything", lambda: "attempts are over" in said())
    if "no Landlock" in said() or "without libseccomp" in said() or "not confined" in said():
        return "SKIP this kernel or this build does not confine hearthd"
    got = dict(re.findall(r"attempt=(\S+) outcome=(\S+)", said()))
    for name, outcome in got.items():
        print(f"# {name}: {outcome}")
    wrong = {name: got.get(name) for name, allowed in EXPECTED.items() if got.get(name) not in allowed}
    assert not wrong and got.keys() == EXPECTED.keys(), (wrong, got.keys() ^ EXPECTED.keys())


def the_others_stand():
    """What it played stays played, and nothing lies about."""
    assert "a child ended" not in said() and "could not be" not in said()
    assert sorted(os.listdir(home)) == ["letter.txt"] and open(os.path.join(home, "letter.txt"), "rb").read() == LETTER
    assert not os.path.exists("/tmp/hearth-loot") and not os.path.exists("/dev/shm/hearth-loot")
    wait_for("it is well", lambda: h.kitchen("status")["well"])
    assert h.kitchen("play", song, "--output", "digest")["digest"] == reference_digest(tone)


def it_could_before():
    """The same program before it was confined: what it cannot do afterwards is what confinement takes."""
    assert "before: key=1 letter=1 unix=1" in said()


run_cases([
    ("nothing that hearthd must not do", nothing_of_it_works),
    ("its vault and its user go on", the_others_stand),
    ("before it was confined it could", it_could_before),
])
