#!/usr/bin/python3
"""kill -9 of source, destination, vault or distributor at random moments during purchase, copy and move.

Afterwards everything is finished by running the same command again; nothing was charged or stored twice, nothing acknowledged is
missing, re-sent data is at most 1 MiB a kill, and a move never loses both copies.
HEARTH_KILLS=N rounds (default 24; a soak of several hundred is documented in HACKING.md), HEARTH_SEED=N repeats a run.
"""
import os
import random
import signal
import subprocess
import time

from household import PROGRAMS, Household, Refused, enter_namespace, make_track, run_cases, wait_for

enter_namespace()
ROUNDS = int(os.environ.get("HEARTH_KILLS", "24"))
SEED = int(os.environ.get("HEARTH_SEED", str(random.SystemRandom().randrange(1 << 30))))
PRICE, COPY_PRICE = 100, 10
MIB = 1 << 20
print(f"# HEARTH_SEED={SEED} HEARTH_KILLS={ROUNDS}", flush=True)
rng = random.Random(SEED)
h = Household().settle()
FLAC_SECONDS = int(os.environ.get("HEARTH_KILL_SECONDS", "40"))
base = open(make_track(os.path.join(h.root, "base.wav"), FLAC_SECONDS), "rb").read()
kills = 0


def new_content(number):
    path = os.path.join(h.root, f"track-{number}.wav")
    with open(path, "wb") as f:
        f.write(base[:-4] + number.to_bytes(4, "big"))  # another content, the same sound
    content = h.publish(path, "--title", f"Kill {number}", "--price", f"{PRICE / 100:.2f}", "--copy-price", f"{COPY_PRICE / 100:.2f}", "--max-copies", "9", "--copy-depth", "1")
    os.unlink(path)
    return content


def loopback_bytes():
    for line in open("/proc/net/dev"):
        if line.strip().startswith("lo:"):
            return int(line.split(":")[1].split()[0])


def begin(device, *args):
    return subprocess.Popen([PROGRAMS["hearth"], "--socket", device.socket, "--json", *args], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def strike(victim):
    """Kills one process for real and starts it again."""
    global kills
    kills += 1
    if victim == "vault":
        try:
            os.kill(rng.choice([h.kitchen, h.bedroom]).vault_pid(), signal.SIGKILL)
        except (KeyError, ProcessLookupError, FileNotFoundError):
            pass
        return
    target = {"source": h.kitchen, "destination": h.bedroom, "distributor": h.aurora}[victim]
    target.kill()
    target.start()


def again(device, *args):
    """The same command until it is done; only passing reasons may be given on the way."""
    def attempt():
        try:
            device(*args)
            return True
        except Refused as refusal:
            if refusal.code == "already":
                return True
            if refusal.code in ("offline", "timed-out", "in-use", "internal", "session-replaced", "daemon-unreachable", "cancelled", "not-found", "block-corrupt"):
                raise  # wait_for tries again, and tells the last one
            raise AssertionError(f"hearth {' '.join(args)}: {refusal}")
    wait_for(f"hearth {' '.join(args)} is done", attempt, 60)


def bills_of(title):
    return [b for b in h.kitchen("bills")["bills"] if title in b["text"]]


def one_round(number):
    content, title = new_content(number), f"Kill {number}"
    began = loopback_bytes()
    kills_before = kills
    verb = rng.choice(["copy", "move"])
    steps = [((h.kitchen, "get", content, "--yes"), ("source", "distributor", "vault")),
             ((h.kitchen, verb, content, "--to", "bedroom"), ("source", "destination", "vault", "distributor"))]
    for (device, *args), victims in steps:
        running = begin(device, *args)
        for _ in range(rng.choice([1, 1, 2])):
            time.sleep(rng.random() ** 2 * 0.4)  # the random moment is the point here
            strike(rng.choice(victims))
        running.kill()
        running.wait()
        again(device, *args)
    there = wait_for("the copy is there", lambda: h.bedroom.track(content))
    size = there["plain_bytes"]
    assert there["has_body"] and there["license"] == "valid", there
    assert len([t for t in h.bedroom.library() if t["content"] == content]) == 1
    here = [t for t in h.kitchen.library() if t["content"] == content]
    if verb == "move":
        wait_for("the source gave it up", lambda: all(t["license"] == "surrendered" or not t["has_body"] for t in h.kitchen.library() if t["content"] == content))
    else:
        assert here and here[0]["has_body"] and here[0]["license"] == "valid", here
    charged = sum(-b["amount"] for b in bills_of(title))
    price = PRICE + (COPY_PRICE if verb == "copy" else 0)  # a move is no second license
    assert charged == price, (verb, charged, bills_of(title))
    # both the download and the copy cross the loopback once; TLS and acknowledgements add a few per cent
    sent = loopback_bytes() - began
    allowed = 2 * size * 1.05 + (kills - kills_before) * MIB + 2 * MIB
    assert sent <= allowed, f"{sent} bytes crossed the loopback, {allowed:.0f} allowed for 2 x {size} and {kills - kills_before} kills"


def plays_after_all():
    played = 0
    for t in h.bedroom.library():
        h.bedroom.digest(t["content"])
        played += 1
    assert played >= 1


def books():
    for d in (h.aurora, h.boreal):
        d.admin("ledger", "check")


run_cases([(f"round {n}", lambda n=n: one_round(n)) for n in range(1, ROUNDS + 1)] + [("everything that arrived plays", plays_after_all), ("ledgers sum to zero", books)])
