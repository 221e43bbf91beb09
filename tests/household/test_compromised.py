#!/usr/bin/python3
"""A player that was taken over by what it decodes (compromised_player.c): it tries what no player may, inside the product's own sandbox and over its own channel to the vault, and gets nothing."""
import os
import re
import shutil
import subprocess

import household
from household import PROGRAMS, Household, enter_namespace, reference_digest, run_cases, wait_for

enter_namespace()
h = Household(directory=False)
programs = os.path.join(h.root, "programs")
os.mkdir(programs)
for name in ("hearthd", "hearth-vault"):
    shutil.copy(PROGRAMS[name], programs)
shutil.copy(os.path.join(household.BUILD, "tests", "household", "compromised_player"), os.path.join(programs, "hearth-player"))
PROGRAMS["hearthd"] = os.path.join(programs, "hearthd")  # it looks for the others beside itself
h.kitchen = household.Device(h.root, "kitchen")
h.kitchen.environment["TMPDIR"] = h.kitchen.state
h.kitchen.start()
h.kitchen.register(h.aurora, "alice", h.passwords["alice"])
tone = os.path.join(h.root, "tone.flac")
subprocess.run(["ffmpeg", "-v", "error", "-f", "lavfi", "-i", "sine=440:d=4", "-ac", "2", "-sample_fmt", "s16", tone], check=True, stdin=subprocess.DEVNULL)
song = h.publish(tone, "--price", "1", "--title", "Tone")
h.kitchen("get", song, "--yes")

# What each attempt must have returned. A system call that is not allowed returns EPERM; a file out of reach EACCES; the vault says why.
DENIED = ("EACCES", "EPERM")
EXPECTED = {
    **dict.fromkeys(("read-the-storage-key", "write-to-the-vault-s-database", "read-hearthd-s-database", "list-the-bodies", "create-a-file", "read-the-users", "leave-shared-memory",
                     "rename-a-file", "internet", "internet-6", "netlink", "hearthd-s-control-socket", "abstract-socket", "run-a-program", "another-process", "another-process-by-clone",
                     "namespaces", "mount", "trace-hearthd", "read-memory-of-hearthd", "open-memory-of-hearthd", "take-descriptors-of-hearthd", "trace-the-vault", "read-memory-of-the-vault",
                     "open-memory-of-the-vault", "take-descriptors-of-the-vault", "trace-the-spawner", "read-memory-of-the-spawner", "open-memory-of-the-spawner", "take-descriptors-of-the-spawner",
                     "io-uring", "bpf", "performance-counters", "keyring", "fault-handler", "set-the-clock", "open-the-key-to-others", "open-the-key-to-others-by-fchmodat2", "give-the-key-away", "an-attribute", "set-back-its-time",
                     "watch-a-directory", "end-the-vault", "end-a-thread-of-the-vault", "a-limit-of-the-vault", "slow-the-vault-down", "own-the-vault-s-signals", "a-signal-of-its-choice",
                     "be-traceable", "type-at-the-terminal", "a-queue-of-messages"), DENIED),
    "fewer-restrictions": ("EINVAL",),
    **dict.fromkeys(("hearthd-s-requests", "sign-foreign-bytes", "store-a-license", "open-another-play", "block-without-memory", "memory-that-is-none", "no-such-block"), ("malformed",)),
    "record": ("not-permitted",),
    "a-plug-in": ("malformed",),
    "foreign-bytes": ("block-corrupt",),
    "plaintext-before-it-is-judged": ("untouched",),
}


def attempts():
    return dict(re.findall(r"attempt=(\S+) outcome=(\S+)", open(h.kitchen.log, encoding="utf-8").read()))


def nothing_of_it_works():
    played = h.kitchen("play", song, "--output", "digest")
    assert played["digest"] == reference_digest(tone), "and then it plays"
    wait_for("it has tried everything", lambda: "attempts are over" in open(h.kitchen.log, encoding="utf-8").read())
    said = open(h.kitchen.log, encoding="utf-8").read()
    if "no Landlock" in said or "without libseccomp" in said:
        return "SKIP this kernel or this build does not confine a player"
    got = attempts()
    for name, outcome in got.items():
        print(f"# {name}: {outcome}")
    wrong = {name: got.get(name) for name, allowed in EXPECTED.items() if got.get(name) not in allowed}
    assert not wrong and got.keys() == EXPECTED.keys(), (wrong, got.keys() ^ EXPECTED.keys())


def the_others_stand():
    assert h.kitchen("status")["well"] and not os.path.exists(os.path.join(h.kitchen.state, "loot")) and not os.path.exists("/dev/shm/hearth-loot")
    vault = h.kitchen.vault_pid()
    assert h.kitchen("play", song, "--output", "digest")["digest"] == reference_digest(tone)
    assert h.kitchen.vault_pid() == vault


def it_could_before():
    """The same program before its sandbox is closed: what it cannot do then is what the sandbox takes."""
    assert "before: key=1 net=1" in open(h.kitchen.log, encoding="utf-8").read()


run_cases([
    ("nothing that a player must not do", nothing_of_it_works),
    ("hearthd and its vault go on", the_others_stand),
    ("before its sandbox was closed it could", it_could_before),
])
