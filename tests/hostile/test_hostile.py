#!/usr/bin/python3
"""Hostile peers against real programs: each is let down as expected, and afterwards the program still serves the honest
and has not grown. The hostile ends are played by the program beside this file (hostile.c).

usage: test_hostile.py distributor|device|state|lies|source|host|partner     which of the programs is attacked, or by whom
       test_hostile.py chance     both, by chance alone: for HEARTH_CHANCE_SECONDS each, from HEARTH_SEED on"""
import itertools
import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "household"))
from household import BUILD, PROGRAMS, Device, Household, Process, Refused, enter_namespace, make_track, rows_of, run_cases, wait_for  # noqa: E402

enter_namespace()
HOSTILE = os.environ.get("HEARTH_HOSTILE") or os.path.join(BUILD, "tests", "hostile", "hostile")
SANITIZED = os.environ.get("HEARTH_SANITIZED") == "1" # a sanitizer keeps what was freed: growth says nothing then
GROWTH_BYTES = 8 << 20  # what a program may have grown by, for good, after all that a set of cases did to it
FLOOD_BYTES = 96 << 20   # ... and while it is flooded
DEAF_BYTES = 40 << 20   # ... by a sibling that asks for the state and does not read
LEAK_BYTES = 2 << 20     # ... and for good by doing the same to it again
MEMBER_SEED = "4242"
numbers = itertools.count(1)


def memory(pid):
    """Private and proportional memory of a process."""
    with open(f"/proc/{pid}/smaps_rollup") as f:
        return sum(int(line.split()[1]) * 1024 for line in f if line.startswith("Pss:"))


class Watch:
    """The largest memory of a process while a block runs."""

    def __init__(self, process):
        self.pid = process.child.pid
        self.before = self.peak = memory(self.pid)

    def __enter__(self):
        self.done = threading.Event()
        self.thread = threading.Thread(target=self.look, daemon=True)
        self.thread.start()
        return self

    def look(self):
        while not self.done.wait(0.1):
            try:
                self.peak = max(self.peak, memory(self.pid))
            except OSError:
                return

    def __exit__(self, *_):
        self.done.set()
        self.thread.join()


def play(*args, seconds=90):
    done = subprocess.run([HOSTILE, *args], capture_output=True, text=True, timeout=seconds)
    assert done.returncode == 0, f"{' '.join(args[:3])}: {done.stdout.strip()} {done.stderr.strip()} (exit {done.returncode})"
    return done.stdout.strip()


def names(against):
    return [line.split() for line in play("list", against).splitlines()]


h = Household().settle()
content = h.publish(make_track(os.path.join(h.root, "one.flac"), 4, seed=1), "--price", "100", "--max-copies", "50", "--copy-depth", "1")
h.kitchen("get", content, "--yes")
aurora = f"127.0.0.1:{h.aurora.port}"
COMMON = [f"content={content}", "user=alice", f"password-file={h.passwords['alice']}", f"seed={MEMBER_SEED}", f"distributor={aurora}"]
GREMLIN = play("enroll", f"address={aurora}", "name=gremlin", *COMMON)
wait_for("the member is in the rosters", lambda: any(d["name"] == "gremlin" for d in h.kitchen("devices")["devices"]))


def attic_address():
    return f"127.0.0.1:{h.attic('status')['port']}"


def letting_down(name):
    """The member has a good certificate and lets the attic down; nothing of it may stay, and an honest copy must still come through."""
    def case():
        before = h.attic.snapshot()
        play("run", "copy", name, f"address={attic_address()}", f"destination={h.attic('status')['client']}", *COMMON)
        assert h.attic.process.running(), "the device has died"
        if name not in ("an_honest_end", "each_block_a_hundred_times"):
            assert h.attic.snapshot() == before, (before, h.attic.snapshot())
    return f"{name.replace('_', ' ')}", case


def honest_copy_after_all():
    """The silent source's half of a copy must not stand in the way of another device's."""
    other = h.publish(make_track(os.path.join(h.root, "two.flac"), 3, seed=2), "--price", "100", "--max-copies", "50", "--copy-depth", "1")
    h.kitchen("get", other, "--yes")
    mine = [c if not c.startswith("content=") else f"content={other}" for c in COMMON]
    play("run", "copy", "silence_after_the_list", f"address={attic_address()}", f"destination={h.attic('status')['client']}", *mine)
    try:
        h.kitchen("copy", other, "--to", "attic")
    except Refused as refusal:
        assert refusal.code == "already", refusal  # kitchen gave its blocks meanwhile, under the silent one's certificate
    wait_for("the copy is there", lambda: h.attic.track(other)["has_body"], 60)
    assert h.attic.digest(other) == h.kitchen.digest(other)


def kitchen_address():
    return f"127.0.0.1:{h.kitchen('status')['port']}"


def distributor_serves():
    assert h.aurora.process.running(), "the distributor has died"
    play("honest", f"address={aurora}")
    h.kitchen("accounts")
    assert any(item["content"] == content for item in h.kitchen("browse")["catalogue"])


def device_serves():
    assert h.kitchen.process.running(), "the device has died"
    assert h.kitchen("status")["client"]
    assert any(track["content"] == content for track in h.kitchen.library())


def state_is_kept():
    """What a sibling sends and cannot be read changes nothing of what the household shares."""
    device_serves()
    assert [e["content"] for e in h.kitchen("playlist", "show", "Kept")["entries"]] == [content, content]
    assert [p["name"] for p in h.kitchen("playlist")["playlists"]] == ["Kept"] and h.kitchen("wishlist")["wishes"] == []
    assert {s["name"]: s["value"] for s in h.kitchen("settings")["settings"]}["volume"] == "77"


def against(kind, name, address, serves):
    def case():
        play("run", kind, name, f"address={address()}", *COMMON)
        serves()
    return f"{kind}: {name.replace('_', ' ')}", case


def flood(name, process, address, serves):
    """Played until it adds nothing: what the first times leave behind may be kept for reuse; what is lost each time is a leak."""
    def case():
        left = [memory(process().child.pid)]
        for _ in range(4):
            with Watch(process()) as watch:
                play("run", "flood", name, f"address={address()}", *COMMON, seconds=180)
            serves()
            grown = watch.peak - watch.before
            assert SANITIZED or grown < FLOOD_BYTES, f"grew by {grown >> 20} MiB"
            left.append(memory(process().child.pid))
            if SANITIZED or left[-1] - left[-2] < LEAK_BYTES:
                return
        raise AssertionError(f"it keeps more each time: {left}")
    return case


def served_while_silent():
    """Thousands say nothing; whoever has something to say is heard meanwhile."""
    result = []
    thread = threading.Thread(target=lambda: result.append(subprocess.run(
        [HOSTILE, "run", "flood", "half_open", f"address={aurora}", *COMMON], capture_output=True, text=True, timeout=180)))
    thread.start()
    end = time.monotonic() + 60
    rounds = 0
    while thread.is_alive() and time.monotonic() < end:
        distributor_serves()
        rounds += 1
    thread.join()
    assert rounds > 3 and result[0].returncode == 0, (rounds, result)


bases = {}


def remember(process, key):
    def case():
        bases[key] = memory(process().child.pid)
    return f"{key}: memory before", case


def bounded(process, key, serves):
    def case():
        serves()
        if not SANITIZED:  # a password that is still being tried takes 64 MiB meanwhile
            wait_for("what it has grown by is given back", lambda: memory(process().child.pid) - bases[key] < GROWTH_BYTES)
    return f"{key}: memory after", case


# ---- distributors that let devices down ----

PARTS = { # what the person is told; "" stands for a connection that came to nothing
    "other_root": ("keyset-invalid", "signature-invalid"),
    "other_tls_key": ("keyset-invalid",),
    "tls_key_ended": ("keyset-invalid",),
    "keyset_ended": ("keyset-invalid",),
    "keyset_of_the_future": ("keyset-invalid",),
    "keyset_of_another": ("keyset-invalid",),
    "keyset_garbage": ("malformed", "signature-invalid", "keyset-invalid"),
    "keyset_flipped": ("signature-invalid",),
    "keyset_empty": ("malformed", "keyset-invalid", "signature-invalid"),
    "keyset_twice": ("bad-credentials", "malformed", "offline"),
    "name_that_acts": ("malformed", "keyset-invalid"),
    "silence": ("offline", "timed-out"),
    "goodbye": ("offline", "not-permitted"),
    "welcome_first": ("malformed", "offline"),
    "frame_of_4_gib": ("offline", "malformed", "too-large"),
    "half_a_frame": ("offline", "timed-out"),
    "no_welcome": ("offline", "timed-out"),
    "another_answer_to_hello": ("malformed", "offline"),
    "welcome_garbage": ("malformed", "offline"),
    "welcome_of_another_age": ("malformed", "signature-invalid", "clock-untrusted", "offline", "already"),
    "no_answer_to_register": ("offline", "timed-out"),
    "registered_garbage": ("malformed", "signature-invalid"),
    "registered_for_another": ("malformed", "signature-invalid", "wrong-destination", "unknown-device"),
    "registered_sealed_garbage": ("malformed", "signature-invalid"),
    "pings_without_end": ("offline", "timed-out"),
    "rosters_without_end": ("offline", "timed-out", "malformed"),
    "unknown_without_end": ("offline", "timed-out", "malformed", "not-permitted"),
}


def hostile_distributor(part):
    """A Process that plays it, and its URL."""
    log = os.path.join(h.root, f"as-{part}.log")
    open(log, "w").close()
    process = Process([HOSTILE, "serve", part], log)
    port, name = wait_for("it listens", lambda: open(log).read().split())[:2]
    return process, f"hearth://127.0.0.1:{port}#{name}"


def victim():
    """A device of its own, so that nothing is lost when it goes wrong."""
    if not hasattr(victim, "device"):
        victim.device = Device(h.root, "victim").start()
        h.devices["victim"] = victim.device
    return victim.device


def registers(part, codes):
    def case():
        device = victim()
        process, url = hostile_distributor(part)
        try:
            with Watch(device.process) as watch:
                try:
                    value = device("register", url, "--user", "alice", "--password-file", h.passwords["alice"])
                    raise AssertionError(f"registered: {value}")
                except Refused as refusal:
                    assert refusal.code in codes, str(refusal)
        finally:
            process.kill()
        assert SANITIZED or watch.peak - watch.before < FLOOD_BYTES, f"grew by {(watch.peak - watch.before) >> 20} MiB"
        assert device.process.running() and device("status")["distributors"] == 0
        assert "wolf" not in [a.get("name") for a in device("accounts")["accounts"]]
    return f"{part.replace('_', ' ')}", case


def older_keyset():
    device = victim()
    process, url = hostile_distributor("older_keyset")
    codes = []
    try:
        for _ in range(2):
            try:
                device("register", url, "--user", "alice", "--password-file", h.passwords["alice"])
                codes.append("done")
            except Refused as refusal:
                codes.append(refusal.code)
    finally:
        process.kill()
    assert codes == ["bad-credentials", "keyset-invalid"], codes


# ---- whatever chance gives ----

CHANCE_SECONDS = float(os.environ.get("HEARTH_CHANCE_SECONDS", "2"))
seeds = itertools.count(int(os.environ.get("HEARTH_SEED", "1")), 1 << 32)


def ledger_is_even():
    assert rows_of(os.path.join(h.aurora.dir, "operations.db"), "SELECT coalesce(sum(amount), 0) FROM ledger") == [(0,)]


def unharmed(process, log, since):
    """Neither dead nor in doubt about itself."""
    assert process().running(), "it has died"
    with open(log, errors="replace") as f:
        f.seek(since)
        said = [line for line in f if re.match(r"[a-z-]+ error ", line) or "Sanitizer" in line or "runtime error" in line]
    assert not said, said[:5]


def by_chance(kind, process, address, serves, log):
    def case():
        seed, since = next(seeds), os.path.getsize(log())
        done = subprocess.run([HOSTILE, "chance", kind, f"address={address()}", f"from={os.environ.get('HEARTH_CHANCE_FROM', seed)}",
                               f"seconds={max(1, round(CHANCE_SECONDS))}", f"destination={h.attic('status')['client']}", *COMMON], capture_output=True, text=True, timeout=CHANCE_SECONDS + 120)
        print(f"# {kind}: {done.stderr.strip()}", flush=True)
        assert done.returncode == 0, f"{done.stdout.strip()} (exit {done.returncode}; HEARTH_CHANCE_FROM={seed} says the same again)"
        unharmed(process, log(), since)
        serves()
        ledger_is_even()
    return f"by chance: {kind}", case


def kitchen():
    return h.kitchen.process


def server():
    return h.aurora.process


def address_of_aurora():
    return aurora


def chance_against_the_distributor():
    for kind in ("distributor", "distributor-member"):
        yield by_chance(kind, server, address_of_aurora, distributor_serves, lambda: h.aurora.log)


def attic():
    return h.attic.process


def only_what_is_right():
    """What the member offers and gives, right and wrong, comes through as it is or not at all."""
    device_serves()
    assert h.attic("status")["client"]
    if any(t["content"] == content and t["has_body"] for t in h.attic.library()):
        assert h.attic.digest(content) == h.kitchen.digest(content)


def chance_against_the_device():
    yield by_chance("device", kitchen, kitchen_address, device_serves, lambda: h.kitchen.log)
    yield by_chance("device-member", attic, attic_address, only_what_is_right, lambda: h.attic.log)


def chance_alone():
    yield remember(server, "distributor")
    yield remember(kitchen, "device")
    yield from chance_against_the_device()
    yield from chance_against_the_distributor()
    yield bounded(server, "distributor", distributor_serves)
    yield bounded(kitchen, "device", device_serves)


def against_the_distributor():
    yield from ((f"flood: {name[0].replace('_', ' ')}", flood(name[0], server, address_of_aurora, distributor_serves))
                for name in names("flood"))
    yield "others are served while thousands are silent", served_while_silent
    yield remember(server, "distributor")
    for kind in ("distributor", "distributor-member"):
        yield from (against(kind, name[0], address_of_aurora, distributor_serves) for name in names(kind))
    yield from chance_against_the_distributor()
    yield bounded(server, "distributor", distributor_serves)


def against_the_device():
    yield from ((f"flood: {name[0].replace('_', ' ')}", flood(name[0], kitchen, kitchen_address, device_serves))
                for name in names("flood") if len(name) == 1) # the others begin with a distributor's session
    yield remember(kitchen, "device")
    for kind in ("device", "device-member"):
        yield from (against(kind, name[0], kitchen_address, device_serves) for name in names(kind))
    h.kitchen("playlist", "add", "Kept", content, content)
    h.kitchen("settings", "volume", "77")
    yield from (against("state", name[0], kitchen_address, state_is_kept) for name in names("state"))
    yield "shelf: told without an end", told_without_an_end
    yield "shelf: told late", told_late
    yield from chance_against_the_device()
    yield bounded(kitchen, "device", device_serves)


# ---- a sibling that says what it has ----

class Teller:
    """It plays a case of the set until the block ends, linked with the kitchen."""

    def __init__(self, name):
        self.name = name

    def __enter__(self):
        self.child = subprocess.Popen([HOSTILE, "run", "shelf", self.name, f"address={kitchen_address()}", *COMMON], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        wait_for("it is there", lambda: any(d["name"] == "gremlin" and d["online"] for d in h.kitchen("devices")["devices"]))
        return self

    def is_asked(self):
        said = self.child.stdout.readline().strip()
        assert said == "asked", said

    def go_on(self):
        self.child.stdin.write("\n")
        self.child.stdin.flush()

    def __exit__(self, *_):
        self.child.kill()
        self.child.wait(20)


def asking():
    return subprocess.Popen([PROGRAMS["hearth"], "--socket", h.kitchen.socket, "--json", "library", "--on", "gremlin"], stdout=subprocess.PIPE, text=True)


def rows_told(child):
    out = child.communicate(timeout=60)[0]
    assert child.returncode == 0, (child.returncode, out)
    return json.loads(out)


def told_without_an_end():
    """As many as leave room for the listings of other terminals."""
    with Teller("tells_without_an_end"):
        told = h.kitchen("library", "--on", "gremlin")
        assert len(told["library"]) == 10000 and told["limited"], len(told["library"])
        assert [t["number"] for t in told["library"]] == list(range(1, 10001))
        less = h.kitchen("library", "--on", "gremlin", "--limit", "40")
        assert len(less["library"]) == 40 and not less["limited"]
        shown = subprocess.run([PROGRAMS["hearth"], "--socket", h.kitchen.socket, "library", "--on", "gremlin"], capture_output=True, text=True, timeout=60)
        assert "--skip 10000" in shown.stdout.splitlines()[-1], shown.stdout[-300:]


def told_late():
    """What comes after Ctrl-C, or after another list at the same terminal, leaves the terminal's numbers as they are."""
    with Teller("tells_late") as teller:
        own = h.kitchen.library()[0]["content"]
        interrupted = asking()
        teller.is_asked()
        interrupted.send_signal(signal.SIGINT)
        interrupted.communicate(timeout=20)
        h.kitchen("status")  # it has left
        teller.go_on()
        slow = asking()
        teller.is_asked()
        assert h.kitchen("show", "1")["content"] == own, "after Ctrl-C"
        assert h.kitchen.library()[0]["content"] == own
        teller.go_on()
        assert [(t["number"], t["title"]) for t in rows_told(slow)["library"]] == [(0, "Bait 0")]
        assert h.kitchen("show", "1")["content"] == own, "after another list"


# ---- a sibling that fills what the household shares ----

def titles(device):
    return sorted(p["name"] for p in device("playlist")["playlists"])


def all_can_write():
    """Also who has never written: each device writes something, and the others get it."""
    for device in (h.attic, h.bedroom, h.kitchen):
        name = f"Of {device.name}, {next(numbers)}"
        device("playlist", "create", name)
        for other in (h.kitchen, h.attic, h.bedroom):
            wait_for(f"{other.name} to have what {device.name} writes", lambda: name in titles(other))


def filled(name):
    def case():
        play("run", "state-room", name, f"address={kitchen_address()}", *COMMON)
        wait_for("it is judged", lambda: h.kitchen("status"))
        all_can_write()
        all_have_the_same()
    return f"state: {name.replace('_', ' ')}", case


def all_have_the_same():
    wait_for("all to have the same", lambda: len({str(shared(d)) for d in (h.kitchen, h.attic, h.bedroom)}) == 1)


def shared(device):
    db = sqlite3.connect(f"file:{device.state}/hearthd.db?mode=ro", uri=True)
    try:
        return db.execute("SELECT kind, key, value, replica, counter FROM state_item ORDER BY 1, 2, 4, 5").fetchall()
    finally:
        db.close()


def asked_by_the_deaf():
    """The state is as large as it gets by now."""
    with Watch(h.kitchen.process) as watch:
        play("run", "state-room", "asks_and_does_not_read", f"address={kitchen_address()}", *COMMON)
    grown = watch.peak - watch.before
    print(f"# it grew by {grown >> 20} MiB beside {sum(len(r[1]) + len(r[2]) + 28 for r in shared(h.kitchen)) >> 10} KiB of state", flush=True)
    assert SANITIZED or grown < DEAF_BYTES, f"grew by {grown >> 20} MiB"
    all_can_write()


def asked_beyond_the_limit():
    h.kitchen("transfers", "limit", "--send", "64K")
    try:
        play("run", "state-room", "asks_for_more_than_is_sent", f"address={kitchen_address()}", *COMMON)
    finally:
        h.kitchen("transfers", "limit", "--send", "none")
    all_can_write()


def lied_about():
    """The attic is told, twice in a row, that it has seen more of the others' changes than there are: it believes that, and what they write is to reach it all the same."""
    all_can_write()
    for _ in range(2):
        before = own_id(h.kitchen)
        play("run", "state-room", "claims_for_others", f"address={attic_address()}", *COMMON)
        h.kitchen("playlist", "create", f"After a lie, {next(numbers)}")
        wait_for("a new ID", lambda: own_id(h.kitchen) != before, 40)
        wait_for("the attic to have it", lambda: titles(h.attic) == titles(h.kitchen))


def own_id(device):
    return rows_of(f"{device.state}/hearthd.db", "SELECT replica FROM state_self")[0][0]


def removed_and_forgotten():
    """The one that did it is removed; a new device of the household writes, too; what was written is deleted by whoever wants to."""
    h.kitchen("devices", "remove", "gremlin")
    cellar = h.device("cellar", h.aurora, "alice")
    wait_for("it sees the kitchen", lambda: cellar.sees("kitchen"), 30)
    wait_for("it has what the others have", lambda: titles(cellar) == titles(h.kitchen))
    cellar("playlist", "create", "Of the cellar")
    wait_for("attic to have it", lambda: "Of the cellar" in titles(h.attic))
    for title in titles(h.attic):
        h.attic("playlist", "delete", title)
    wait_for("nothing to be left", lambda: titles(cellar) == [] and titles(h.kitchen) == [])


def filling_the_state():
    yield from (filled(name[0]) for name in names("state-room") if name[0] not in ("claims_for_others", "asks_and_does_not_read", "asks_for_more_than_is_sent"))
    yield "state: asked by one that does not read", asked_by_the_deaf
    yield "state: asked beyond the limit", asked_beyond_the_limit
    yield "it is removed, and a new device comes", removed_and_forgotten


def completed_by_another():
    """The member's license is good, what it sends is not: the kitchen, which has the body, is asked instead."""
    third = h.publish(make_track(os.path.join(h.root, "three.flac"), 3, seed=3), "--price", "100", "--max-copies", "50", "--copy-depth", "1")
    h.kitchen("get", third, "--yes")
    mine = [c if not c.startswith("content=") else f"content={third}" for c in COMMON]
    subprocess.run([HOSTILE, "run", "copy", "blocks_flipped", f"address={attic_address()}", f"destination={h.attic('status')['client']}", *mine], capture_output=True,
                   timeout=90)  # it complains that it was believed
    wait_for("the copy is there", lambda: h.attic.track(third)["has_body"] and h.attic.track(third)["license"] == "valid", 60)
    assert h.attic.digest(third) == h.kitchen.digest(third)


def from_a_source():
    h.kitchen("remove", content)  # nobody else has it: what the member sends is all there is
    yield from (letting_down(name[0]) for name in names("copy"))
    yield "an honest one after a silent one", honest_copy_after_all
    yield "one that lies, and another that has it", completed_by_another


def from_a_host():
    assert set(PARTS) | {"older_keyset"} | set(PARTNER_PARTS) == set(play("parts").split())
    yield from (registers(part, codes) for part, codes in PARTS.items())
    yield "an older keyset than before", older_keyset


# ---- partners that let a distributor down ----

PARTNER_PARTS = {  # what the operator is told, and how many of its rows are believed
    "partner_silence": (None, 0),
    "partner_garbage": (None, 0),
    "partner_other_answers": (None, 0),
    "partner_delegation_forged": (None, 0),
    "partner_delegation_for_another": (None, 0),
    "partner_rows_forged": ("row-refused", 0),
    "partner_rows_of_another": ("row-refused", 0),
    "partner_rows_with_a_gap": ("row-refused", 0),
    "partner_rows_again_and_again": ("rows-differ", 1),
    "partner_rows_that_lie": ("rows-differ", 2),
}


def operations(statement, *values):
    db = sqlite3.connect(f"file:{os.path.join(h.aurora.dir, 'operations.db')}?mode=ro", uri=True)
    try:
        return db.execute(statement, values).fetchall()
    finally:
        db.close()


def partner(part, finding, rows):
    def case():
        devices = sorted(d["name"] for d in h.kitchen("devices")["devices"])
        process, url = hostile_distributor(part)
        name = url.rsplit("#", 1)[1]
        try:
            h.aurora.admin("partner", "add", url, "--name", "wolf")
            wait_for("it is asked", lambda: operations("SELECT 1 FROM distributor WHERE name = 'wolf' AND keyset IS NOT NULL"))
            told = h.aurora.admin("directory", "check")
            assert told["asked"], told
            found = {f["finding"] for f in told["findings"] if f["distributor"] == name and f["open"]}
            if finding:
                assert finding in found or {f["finding"] for f in h.aurora.admin("directory", "check")["findings"] if f["distributor"] == name and f["open"]} >= {finding}, (found, finding)
            number = operations("SELECT number FROM distributor WHERE name = 'wolf' ORDER BY number DESC LIMIT 1")[0][0]
            assert operations("SELECT chain_sequence FROM distributor WHERE number = ?", number) == [(rows,)]
            assert not operations("SELECT 1 FROM delegation WHERE distributor = ?", number)
            assert not operations("SELECT 1 FROM key_block WHERE distributor = ?", number)
            assert process.running(), "it was asked without end"
        finally:
            h.aurora.admin("partner", "withdraw", name)
            process.kill()
        distributor_serves()
        assert sorted(d["name"] for d in h.kitchen("devices")["devices"]) == devices
        assert h.bedroom("accounts")["accounts"]
    return part.replace("_", " "), case


def selling_beside_a_silent_partner():
    """A partner that never answers keeps nobody waiting: the other one is asked as always."""
    process, url = hostile_distributor("partner_silence")
    try:
        h.aurora.admin("partner", "add", url, "--name", "wolf")
        begin = time.monotonic()
        h.kitchen("copy", content, "--to", "bedroom")
        assert h.bedroom.track(content)["license"] == "valid"
        assert time.monotonic() - begin < 15
    finally:
        h.aurora.admin("partner", "withdraw", url.rsplit("#", 1)[1])
        process.kill()


def from_a_partner():
    yield remember(server, "distributor")
    yield from (partner(part, *expected) for part, expected in PARTNER_PARTS.items())
    yield "selling beside a silent one", selling_beside_a_silent_partner
    yield bounded(server, "distributor", distributor_serves)


def lying_about_others():
    yield "claims for others", lied_about


SETS = {"chance": chance_alone, "partner": from_a_partner, "distributor": against_the_distributor, "device": against_the_device, "state": filling_the_state, "lies": lying_about_others, "source": from_a_source, "host": from_a_host}
if len(sys.argv) != 2 or sys.argv[1] not in SETS:
    sys.exit(f"usage: {sys.argv[0]} {'|'.join(SETS)}")
cases = list(SETS[sys.argv[1]]())
only = os.environ.get("HEARTH_HOSTILE_ONLY")
if only:
    cases = [c for c in cases if only in c[0] or c[0].endswith("memory before")]
run_cases(cases)
