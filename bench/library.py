"""A device with a large library: its start, a page of what it has, a command's round trip, its memory. Called by scripts/bench; HEARTH_BUILD is a release build.

The library is filled by the programs' own code (tests/daemon/fill-library.c): every license is judged and stored by the real vault. Beside each figure
stands that of the same device with an empty library, and what it takes to start a program that does nothing. Files are in the page cache, as after a
restart of hearthd alone. Then the household's state, filled with all that one device may put there: a change of it, and the start with it. Filling the library
takes about a millisecond a track, since the vault syncs what it stores; the rest half a minute."""
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tests", "household"))
from household import BUILD, PROGRAMS, Refused, enter_namespace, run_json  # noqa: E402
from figures import figure  # noqa: E402

TRACKS = int(os.environ.get("HEARTH_BENCH_TRACKS", "100000"))
ROUNDS = int(os.environ.get("HEARTH_BENCH_ROUNDS", "5"))
PAGE = 50
ENTRIES_MAX = 16384  # of the state
enter_namespace()
root = tempfile.mkdtemp(prefix="library-", dir=os.environ.get("HEARTH_BENCH_DIR"))


def milliseconds(values):
    return f"median {1000 * statistics.median(values):7.1f} ms, worst {1000 * max(values):7.1f} ms"


class Hearthd:
    """One on a state directory; how long until it answered, and until it had read its library."""

    def __init__(self, state):
        self.runtime = os.path.join(root, "run")
        self.socket = os.path.join(self.runtime, "hearthd.sock")
        os.makedirs(self.runtime, exist_ok=True)
        if os.path.exists(self.socket):
            os.unlink(self.socket)
        began = time.monotonic()
        self.child = subprocess.Popen([PROGRAMS["hearthd"], "--state-dir", state, "--runtime-dir", self.runtime, "--listen", "127.0.0.1:0"],
                                      env=dict(os.environ, HEARTH_LOG="error"))
        while not self.listens():
            time.sleep(0.001)
        self("status")
        self.answered = time.monotonic() - began
        self("library", "--limit", "1")  # waits for the library
        self.complete = time.monotonic() - began

    def listens(self):
        with socket.socket(socket.AF_UNIX) as s:
            return s.connect_ex(self.socket) == 0

    def __call__(self, *args):
        return run_json([PROGRAMS["hearth"], "--socket", self.socket, "--json", *args])

    def took(self, *args, count=ROUNDS):
        took = []
        for _ in range(count):
            began = time.monotonic()
            subprocess.run([PROGRAMS["hearth"], "--socket", self.socket, "--json", *args], stdout=subprocess.DEVNULL, check=True)
            took.append(time.monotonic() - began)
        return took

    def memory_mib(self):
        pids = [self.child.pid, *map(int, open(f"/proc/{self.child.pid}/task/{self.child.pid}/children").read().split())]
        kib = 0
        for pid in pids:
            kib += next(int(line.split()[1]) for line in open(f"/proc/{pid}/smaps_rollup") if line.startswith("Pss:"))
        return kib / 1024

    def stop(self):
        self.child.terminate()
        self.child.wait()


def starts(state):
    answered, complete = [], []
    for _ in range(ROUNDS):
        h = Hearthd(state)
        answered.append(h.answered)
        complete.append(h.complete)
        h.stop()
    return answered, complete


def nothing():
    took = []
    for _ in range(ROUNDS):
        began = time.monotonic()
        subprocess.run(["/bin/true"], check=True)
        took.append(time.monotonic() - began)
    return took


def measure(title, state):
    answered, complete = starts(state)
    h = Hearthd(state)
    tracks = h("status")["tracks"]
    print(f"-- {title}: {tracks} tracks")
    print(f"start, until a command is answered            {milliseconds(answered)}   reach 100 ms")
    figure(f"start of hearthd with {tracks} tracks, worst", 1000 * max(answered), "ms", "most", 100)
    print(f"start, until the whole library is known       {milliseconds(complete)}")
    status, idle = h.took("status"), nothing()
    print(f"round trip of `hearth status`                 {milliseconds(status)}   reach 10 ms; a program that does nothing {milliseconds(idle)}")
    figure(f"round trip of the command line, {tracks} tracks, median", 1000 * statistics.median(status), "ms", "most", 10, f"a program that does nothing {1000 * statistics.median(idle):.1f} ms")
    if tracks > 0:
        print(f"`hearth library`, the first {PAGE}                {milliseconds(h.took('library', '--limit', str(PAGE)))}   reach 50 ms")
        page = h.took("library", "--limit", str(PAGE), "--skip", str(tracks // 2))
        print(f"`hearth library`, {PAGE} in the middle            {milliseconds(page)}   reach 50 ms")
        figure(f"a page of the library of {tracks} tracks, worst", 1000 * max(page), "ms", "most", 50)
        print(f"`hearth library Winter`, {PAGE} of what is found  {milliseconds(h.took('library', 'Winter', '--limit', str(PAGE), '--skip', str(tracks // 8)))}   reach 50 ms")
        title = h("library", "--limit", "1", "--skip", str(tracks // 3))["library"][0]
        print(f"`hearth show TITLE`                           {milliseconds(h.took('show', title['title']))}")
        print(f"`hearth show ID`                              {milliseconds(h.took('show', title['content'][:12]))}")
        print(f"`hearth library`, all of it                   {milliseconds(h.took('library', count=2))}")
    print(f"memory of hearthd and vault                   {h.memory_mib():.1f} MiB")
    h.stop()


def fill_state(h, tracks):
    """Playlists of 960 entries each, until there is no room for another: how many entries."""
    lists = 0
    try:
        for lists in range(ENTRIES_MAX // 960):
            h("playlist", "create", f"list {lists}")
            for _ in range(15):
                h("playlist", "add", f"list {lists}", *tracks)
    except Refused as refusal:
        assert refusal.code == "too-large" and lists > 0, refusal
        h("playlist", "delete", f"list {lists}")
    return lists * 15 * len(tracks)


def measure_state(state):
    h = Hearthd(state)
    tracks = [t["content"] for t in h("library", "--limit", "64")["library"]]  # as many as one command takes
    made = fill_state(h, tracks)
    adding = []
    for track in tracks[:ROUNDS]:
        adding += h.took("playlist", "add", "list 0", track, count=1)
    print(f"-- the household's state: {made} entries of playlists")
    print(f"one more entry of a playlist, stored          {milliseconds(adding)}")
    print(f"`hearth playlist list`                        {milliseconds(h.took('playlist', 'list'))}")
    print(f"`hearth playlist show`, one of 960            {milliseconds(h.took('playlist', 'show', 'list 0'))}")
    h.stop()
    answered, _ = starts(state)
    print(f"start, until a command is answered            {milliseconds(answered)}   reach 100 ms")


try:
    full, empty = os.path.join(root, "full"), os.path.join(root, "empty")
    os.makedirs(empty)
    subprocess.run([os.path.join(BUILD, "tests", "daemon", "fill-library"), full, str(TRACKS)], check=True, env=dict(os.environ, HEARTH_VAULT=PROGRAMS["hearth-vault"]))
    measure("nothing yet", empty)
    measure("a large library", full)
    measure_state(full)
finally:
    shutil.rmtree(root, ignore_errors=True)
