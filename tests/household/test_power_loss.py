#!/usr/bin/python3
"""Power loss after any call that hearthd, its vault or a distributor makes while tracks are bought, copied, moved, renewed, devices removed, keys changed,
a backup made and the database moved to a server: what had been said before is there, whatever became of what was not synced, nothing is there that was never given, and the programs start on it.

A sample of the states; HEARTH_POWER_LOSS=N tries every Nth call instead (1: all), HEARTH_POWER_LOSS_TORN=N tears what
was not synced N times at each, HEARTH_POWER_LOSS_SEED in another way, HEARTH_POWER_LOSS_OF=NAME,…
only these of them: kitchen, attic, bedroom, aurora, boreal, move.
"""
import base64
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import uuid

from household import Household, Refused, enter_namespace, make_track, own_mounts, rows_of, run_cases, wait_for

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "powerloss"))
enter_namespace()
if not own_mounts():
    print("1..0 # SKIP no mounts of our own can be made here")
    sys.exit(0)
import cluster  # noqa: E402
import devices  # noqa: E402
import distributors  # noqa: E402
import states  # noqa: E402

MOVES = 3  # of the calls of a database's move
STATES = 500  # in all, when nothing else is asked for, beside those at which something was said; those that are the same as before are not tried
LARGE_SECONDS = 7  # of sound: a body that is synced by itself, with a map
LICENSE_SOLD = 1  # the kind of a posting
seed = int(os.environ.get("HEARTH_POWER_LOSS_SEED", "1"))
torn = int(os.environ.get("HEARTH_POWER_LOSS_TORN", "1"))
root = tempfile.mkdtemp(prefix="hearth-test-")
found_root = os.path.join(root, "found")
distributors.mount(found_root, "512m")
h = Household(root, directory=False, kind=distributors.Recorded)
shops = (h.aurora, h.boreal)
recordings, digests, tracks = {}, {}, {}  # digests: of the originals, as a device that plays gives them


def device(name, distributor, user):
    one = devices.Recorded(root, name)
    one.start()
    one.register(distributor, user, h.passwords[user])
    h.devices[name] = one
    one.said("registered")
    return one


for shop in shops:
    shop.said("made")
kitchen, attic, bedroom = device("kitchen", h.aurora, "alice"), device("attic", h.aurora, "alice"), device("bedroom", h.boreal, "alina")
recorded = (kitchen, attic, bedroom)


def said(what, *by):
    """Of devices by those that were told; each distributor has answered whatever came of it."""
    for one in (*by, *shops):
        one.said(what)


def song(number, *options, extension="ogg", seconds=1):
    return h.publish(make_track(os.path.join(root, f"song{number}.{extension}"), seconds, seed=number), "--price", "1", *options)


def a_story():
    one = song(1, "--max-copies", "9", "--copy-depth", "2", extension="flac")
    two, rented = song(2, extension="wav", seconds=LARGE_SECONDS), song(3, "--usage-days", "30", "--renew-price", "1")
    tracks.update(one=one, rented=rented)
    bedroom("link", kitchen("link")["url"])
    wait_for("they see each other", lambda: kitchen.sees("attic") and kitchen.sees("bedroom") and bedroom.sees("kitchen"), 30)
    said("registered and linked")
    for track in (one, two, rented):
        kitchen("get", track, "--yes")
        said("bought", kitchen)
        digests[track] = kitchen.digest(track)
    for to in (attic, bedroom):
        kitchen("copy", one, "--to", to.name)
        said("copied", kitchen, to)
    kitchen("move", two, "--to", "attic")
    said("moved away", kitchen, attic)
    kitchen("renew", rented, "--yes")
    said("renewed", kitchen)
    h.aurora.admin("keys", "rotate")
    said("keys rotated")
    attic("move", two, "--to", "bedroom")
    said("moved away", attic, bedroom)
    h.aurora.admin("backup", os.path.join(h.aurora.disk, "backup"))
    h.aurora.said("backed up", backup=h.aurora.admin("ledger", "check")["entries"])
    h.aurora.admin("keys", "rotate", "storage")
    said("storage key rotated")
    kitchen("devices", "remove", "attic")
    wait_for("kitchen lost sight of it", lambda: not kitchen.sees("attic"))
    said("removed attic", kitchen)
    client = next(d["client"] for d in h.boreal.admin("device", "list")["devices"] if d["name"] == "bedroom")
    h.boreal.admin("device", "revoke", client)
    said("revoked bedroom")
    for d in recorded:
        d.stop()
        recordings[d.name] = states.read(d.recording)
    for d in shops:
        d.said("all done")
        d.stop()
        recordings[d.name] = states.read(d.recording)
    boot_anew()
    assert all(len(r) > 50 for r in recordings.values()), {n: len(r) for n, r in recordings.items()}


def boot_anew():
    path = os.path.join(root, "boot_id")
    with open(path, "w", encoding="ascii") as f:
        f.write(str(uuid.uuid4()) + "\n")
    subprocess.run(["mount", "--bind", path, "/proc/sys/kernel/random/boot_id"], check=True)


class Machine:
    """A recording as it goes: the disk after the calls that were made up to some moment, what was said last before it, and what next."""

    def __init__(self, name):
        self.name, self.records, self.disk, self.at, self.seen = name, recordings[name], states.Disk(), 0, set()
        self.marks = [(i, json.loads(r[5])) for i, r in enumerate(self.records) if r[0] == states.MARK]

    def calls(self, every):
        """After each call that is to be looked at: each after which something was said, and a sample of the others; the first ones, before anything was said,
        are looked at by nobody."""
        calls = [i for i, r in enumerate(self.records) if r[0] != states.MARK and i > self.marks[0][0]]
        wanted = set(calls[::every]) | {max((i for i in calls if i < mark), default=-1) for mark, _ in self.marks}
        for i, record in enumerate(self.records):
            self.step(i, record)
            if i in wanted:
                yield i, record[6]

    def go_to(self, time_ns):
        while self.at < len(self.records) and self.records[self.at][6] <= time_ns:
            self.step(self.at, self.records[self.at])

    def step(self, i, record):
        if record[0] != states.MARK:
            self.disk.do(record)
        self.at = i + 1

    def is_known(self, digest):
        """The same files were tried already, with the same said."""
        now = (digest, sum(i < self.at for i, _ in self.marks))
        was = now in self.seen
        self.seen.add(now)
        return was

    def known(self):
        return next((m for i, m in reversed(self.marks) if i < self.at), {"what": "nothing", "facts": {}})

    def after(self):
        return next((m for i, m in self.marks if i >= self.at), self.known())


def of_device(machine, way, rng, count):
    """Nobody else is there."""
    found = devices.Found(tempfile.mkdtemp(prefix="state-", dir=found_root), machine.name)
    known, after = machine.known()["facts"], machine.after()["facts"]
    try:
        if machine.is_known(machine.disk.rebuild(found.state, way, rng)):
            return None
        took = found.begin()
        found.judge(known, after)
        if count % 8 == 0:
            found.judge_plays(known, after, digests)
        return took
    except (AssertionError, Refused, OSError) as error:
        raise AssertionError(f"{error}\n{found.said()}") from error
    finally:
        found.end()
        shutil.rmtree(os.path.dirname(found.dir), ignore_errors=True)


def buys_once(shop, machine, rng):
    """The kitchen as it was at that moment, in the middle of whatever it did: it goes on, and what it has bought was paid once."""
    found = devices.Found(tempfile.mkdtemp(prefix="state-", dir=found_root), "kitchen")
    try:
        machine.disk.rebuild(found.state, "kept", rng)
        found.begin()
        wait_for("it is connected", lambda: found("status")["distributors_online"] >= 1, 30)
        for track in tracks.values():
            try:
                found("get", track, "--yes")
            except Refused as refusal:
                assert refusal.code == "already", refusal
            paid = rows_of(os.path.join(shop.dir, "operations.db"), "SELECT count(*) FROM posting p JOIN license l ON l.license_id = p.license_id AND l.client = p.client"
                           " WHERE p.kind = ? AND l.content = ?", LICENSE_SOLD, base64.b32decode(track.upper() + "=" * (-len(track) % 8)))
            assert paid == [(1,)], f"{track[:8]} was paid {paid} times"
        found.judge_plays(machine.known()["facts"], machine.after()["facts"], digests)
    except (AssertionError, Refused, OSError) as error:
        raise AssertionError(f"{error}\n{found.said()}") from error
    finally:
        found.end()
        shutil.rmtree(os.path.dirname(found.dir), ignore_errors=True)


def of_distributor(machine, way, rng, count, buyer, time_ns, like):
    disk = distributors.new_disk(found_root)
    found = distributors.Found(like, disk)
    known, after, final = machine.known(), machine.after(), machine.marks[-1][1]
    try:
        if machine.is_known(machine.disk.rebuild(disk, way, rng)):
            return None
        took = found.begin()
        found.judge(known["facts"], after["facts"], final["facts"])
        backed_up = max(m.get("backup", 0) for i, m in [(0, {}), *machine.marks] if i < machine.at)
        assert backed_up == 0 or os.path.isdir(os.path.join(disk, "backup")), "a backup that was made is gone"
        if count % 8 == 1:
            found.judge_ledger()
        if count % 8 == 3 and like is h.aurora:
            found.judge_backup(backed_up)
        if count % 8 == 5 and like is h.aurora and buyer.marks[0][0] < buyer.at:
            buyer.go_to(time_ns)
            buys_once(found, buyer, rng)
            found.judge_ledger()
        return took
    except (AssertionError, Refused, OSError) as error:
        raise AssertionError(f"{error}\n{found.said()}") from error
    finally:
        found.end()
        distributors.drop(disk)


def lost_at(name):
    shop = next((s for s in shops if s.name == name), None)

    def run():
        machine, buyer = Machine(name), Machine("kitchen")
        every = int(os.environ.get("HEARTH_POWER_LOSS", "0")) or max(1, len(machine.records) * 3 * len(recordings) // STATES)
        rng, worst, count, failures = random.Random(f"{seed} {name}"), 0, 0, []
        for i, time_ns in machine.calls(every):
            for way in machine.disk.ways(torn):
                try:
                    if shop:
                        took = of_distributor(machine, way, rng, count, buyer, time_ns, shop)
                    else:
                        took = of_device(machine, way, rng, count)
                    count += took is not None
                    worst = max(worst, took or 0)
                except AssertionError as error:
                    count += 1
                    failures.append(f"call {i} of {len(machine.records)}, {way}, after {machine.known()['what']!r}: {error}")
                    print("# " + failures[-1].replace("\n", "\n# "), flush=True)
        print(f"# {name}: {len(machine.records)} calls, {count} states, slowest start {worst * 1000:.0f} ms", flush=True)
        assert not failures, f"{len(failures)} of {count}"
    return run


def lost_while_it_moves():
    """The embedded database goes to a server: at each moment one of the two counts, and the same command ends it."""
    if cluster.programs() is None:
        return "SKIP PostgreSQL is not installed (scripts/deps test)"
    with cluster.Cluster() as server:
        moving = distributors.Moving(server, "aurora")
        begin = len(recordings["aurora"])
        entries = h.aurora.admin("database", "move", "--to", moving.to)["ledger_entries"]
        states.mark(h.aurora.recording, {"what": "moved", "facts": {}})
        moving.keep()
        records = states.read(h.aurora.recording)
        disk, rng, count, failures = states.Disk(), random.Random(f"{seed} move"), 0, []
        allowed = distributors.phases(records, begin)
        every = int(os.environ.get("HEARTH_POWER_LOSS", "0")) or max(1, len(allowed) // MOVES)
        wanted = set(list(allowed)[every // 2::every])
        said = next(i for i, r in enumerate(records) if r[0] == states.MARK and i > begin)
        for i, record in enumerate(records):
            if record[0] != states.MARK:
                disk.do(record)
            for way, which in [(w, p) for w in disk.ways(torn) for p in allowed[i]] if i in wanted else ():
                found = distributors.Found(h.aurora, distributors.new_disk(found_root))
                count += 1
                try:
                    disk.rebuild(found.disk, way, rng)
                    moving.judge(found, which, i > said, entries)
                except (AssertionError, Refused, OSError) as error:
                    failures.append(f"call {i - begin} of {len(records) - begin}, {way}, on the server {which}: {error}")
                    print("# " + failures[-1].replace("\n", "\n# "), flush=True)
                finally:
                    distributors.drop(found.disk)
        print(f"# a move: {len(allowed)} calls, {count} states", flush=True)
        assert not failures, f"{len(failures)} of {count}"


names = [n for n in os.environ.get("HEARTH_POWER_LOSS_OF", "").split(",") if n] or ["kitchen", "attic", "bedroom", "aurora", "boreal", "move"]
run_cases([("a story is recorded", a_story)] + [(f"power loss at {n}", lost_while_it_moves if n == "move" else lost_at(n)) for n in names])
