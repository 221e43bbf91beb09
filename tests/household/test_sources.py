#!/usr/bin/python3
"""A body from several siblings at once: as fast as they are together; one that is killed, one that lies, the copy's own source gone, no distributor; and
after a kill of the receiver nothing is verified twice."""
import json
import os
import re
import subprocess
import time

from household import PROGRAMS, Household, enter_namespace, make_track, reference_digest, run_cases, wait_for

enter_namespace()
h = Household().settle()
h.cellar = h.device("cellar", h.aurora, "alice")
h.garage = h.device("garage", h.aurora, "alice")
holders = (h.kitchen, h.attic, h.cellar)
wait_for("garage and the others see each other", lambda: all(h.garage.sees(d.name) and d.sees("garage") for d in holders), 30)
RATE = 1536 * 1024  # of each sibling
base = open(make_track(os.path.join(h.root, "base.wav"), 50), "rb").read()  # 8.8 MB
made = 0


def published():
    """A content that nobody has yet: its ID and the path of its file."""
    global made
    made += 1
    path = os.path.join(h.root, f"track-{made}.wav")
    with open(path, "wb") as f:
        f.write(base[:-4] + made.to_bytes(4, "big"))
    return h.publish(path, "--title", f"Spread {made}", "--price", "1", "--max-copies", "9", "--copy-depth", "1"), path


def with_bodies(*devices):
    """The same, bought in the kitchen; its body is at all of these as well."""
    content, path = published()
    h.kitchen("get", content, "--yes")
    for device in devices:
        device("get", content, "--download-only")
    return content, path


def limited(*devices, rate=str(RATE)):
    for device in devices:
        device("transfers", "limit", "--send", rate)


def begin(device, *args):
    return subprocess.Popen([PROGRAMS["hearth"], "--socket", device.socket, "--json", *args], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)


def coming(content):
    return next((t for t in reversed(h.garage("transfers")["transfers"]) if t["content"] == content), None)


def from_several(content, count=2):
    """The transfer, as soon as so many sources bring something."""
    return wait_for(f"{count} sources bring it", lambda: (t := coming(content)) and sum(s["bytes"] > 0 for s in t.get("sources", ())) >= count and t, 30)


def body(device, content):
    return os.path.join(device.state, "bodies", content + ".body")


def events(device):
    done = subprocess.run([PROGRAMS["hearth"], "--socket", device.socket, "--json", "events"], capture_output=True, text=True, timeout=60, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def copied(content):
    """Seconds that a copy from the kitchen to the garage takes."""
    began = time.monotonic()
    h.kitchen("copy", content, "--to", "garage")
    return time.monotonic() - began


def three_are_faster_than_one():
    slowly = RATE // 2  # so that what else a copy takes, on a busy machine too, is the smaller part
    limited(*holders, rate=str(slowly))
    assert h.kitchen("transfers", "limit")["send_bytes_per_second"] == slowly
    size = len(base)
    alone, _ = with_bodies()
    alone_s = copied(alone)
    assert alone_s > size / slowly * 0.85, alone_s  # the limit holds
    content, path = with_bodies(h.attic, h.cellar)
    together_s = copied(content)
    print(f"# one: {alone_s:.2f} s; three: {together_s:.2f} s; {alone_s / together_s:.2f} times as fast", flush=True)
    assert alone_s >= 1.8 * together_s, (alone_s, together_s)
    assert h.garage.digest(content) == reference_digest(path)


def sources_are_shown():
    limited(*holders, rate="500K")
    content, _ = with_bodies(h.attic, h.cellar)
    copying = begin(h.kitchen, "copy", content, "--to", "garage")
    t = from_several(content, 3)
    assert {s["name"] for s in t["sources"]} == {"kitchen", "attic", "cellar"}, t
    wait_for("rates are shown", lambda: all(100 * 1024 < s["bytes_per_second"] < 1000 * 1024 for s in coming(content)["sources"]))
    table = subprocess.run([PROGRAMS["hearth"], "--socket", h.garage.socket, "transfers"], capture_output=True, text=True, timeout=60).stdout
    assert re.search(r"attic +[0-9.]+ [KM]i?B +[0-9.]+ [KM]i?B/s", table), table
    limited(*holders, rate="none")
    assert copying.wait(60) == 0


def one_is_killed_and_one_lies():
    limited(*holders, rate="500K")  # it is to last until all of it was seen
    content, path = with_bodies(h.attic, h.cellar)
    with open(body(h.attic, content), "r+b") as f:  # its disk went bad; it does not know
        f.seek(200000)
        f.write(b"\xaa" * (os.path.getsize(f.name) - 200000))
    copying = begin(h.kitchen, "copy", content, "--to", "garage")
    wait_for("the lie is seen", lambda: any(e["kind"] == "source-corrupt" and "attic" in e["text"] for e in events(h.garage)), 30)
    wait_for("cellar brings some", lambda: any(s["name"] == "cellar" and s["bytes"] > 0 for s in (coming(content) or {}).get("sources", ())), 30)
    h.cellar.kill()
    assert "attic" not in [s["name"] for s in coming(content).get("sources", ())]
    limited(h.kitchen, rate="none")
    assert copying.wait(60) == 0
    assert h.garage.digest(content) == reference_digest(path)
    assert sum(e["kind"] == "source-corrupt" for e in events(h.garage)) == 1  # dropped for this body, once
    h.cellar.start()
    wait_for("cellar is back", lambda: h.garage.sees("cellar"), 30)
    limited(*holders)


def the_copys_own_source_lies():
    """The license comes from the kitchen; what it sends is not the content; others have that."""
    content, path = with_bodies(h.cellar)
    good = open(body(h.kitchen, content), "rb").read()
    with open(body(h.kitchen, content), "r+b") as f:
        f.seek(200000)
        f.write(b"\xaa" * (len(good) - 200000))
    assert begin(h.kitchen, "copy", content, "--to", "garage").wait(60) == 0
    assert h.garage.digest(content) == reference_digest(path)
    assert any(e["kind"] == "source-corrupt" and "kitchen" in e["text"] for e in events(h.garage))


def the_copys_own_source_is_killed():
    limited(*holders, rate="500K")
    content, path = with_bodies(h.attic, h.cellar)
    copying = begin(h.kitchen, "copy", content, "--to", "garage")
    from_several(content)
    h.kitchen.kill()
    copying.wait()
    limited(h.attic, h.cellar, rate="none")
    wait_for("it arrives all the same", lambda: h.garage.track(content)["license"] == "valid", 30)
    assert h.garage.digest(content) == reference_digest(path)
    h.kitchen.start()
    limited(*holders)
    wait_for("the kitchen hears of it", lambda: any(t["content"] == content and t["state"] == "done" for t in h.kitchen("transfers")["transfers"]), 40)


def a_slow_source_holds_nothing_up():
    """Of a small body too, which one alone brings when it is fast: who would be there sooner is asked beside it."""
    path = make_track(os.path.join(h.root, "small.wav"), 10, seed=7)  # 1.8 MB
    small = h.publish(path, "--price", "1", "--max-copies", "9", "--copy-depth", "1")
    h.kitchen("get", small, "--yes")
    h.attic("get", small, "--download-only")
    h.kitchen("transfers", "limit", "--send", "16K")
    h.attic("transfers", "limit", "--send", "256K")
    copying = begin(h.kitchen, "copy", small, "--to", "garage")
    assert {s["name"] for s in from_several(small)["sources"]} == {"kitchen", "attic"}, coming(small)
    assert copying.wait(40) == 0  # of kitchen alone it would take two minutes
    assert h.garage.digest(small) == reference_digest(path)
    limited(*holders, rate="none")


def without_distributor_and_after_a_kill():
    """The receiver is killed in the middle: it goes on by itself, from siblings alone, and verifies only what is missing."""
    limited(*holders)
    content, path = with_bodies(h.attic, h.cellar)
    h.garage("transfers", "limit", "1M")
    getting = begin(h.garage, "get", content, "--download-only")
    from_several(content)
    h.aurora.stop()
    before = wait_for("some has come", lambda: (t := coming(content)) and t["done_bytes"] > 3 << 20 and t["done_bytes"], 30)
    h.garage.kill()
    getting.wait()
    h.garage.start()
    again = wait_for("it is taken up", lambda: (t := coming(content)) and t["done_bytes"] > 0 and t)
    assert again["done_bytes"] >= before, (again, before)
    h.garage("transfers", "limit", "none")
    wait_for("it is complete", lambda: os.path.exists(body(h.garage, content)), 40)
    done = re.findall(r"a body is complete blocks=(\d+) verified_now=(\d+)", open(h.garage.log).read())
    blocks, verified = (int(n) for n in done[-1])
    assert verified <= blocks * (1 - before / again["total_bytes"]) + 1, (done, before, again)
    h.aurora.start()
    h.kitchen("copy", content, "--to", "garage")
    assert h.garage.digest(content) == reference_digest(path)


def nobody_has_it():
    """No distributor, no sibling that has it: said at once, and nothing stays."""
    content, _ = published()
    h.garage("browse")
    h.aurora.stop()
    h.garage.refused("offline", "get", content, "--download-only")
    assert not [f for f in os.listdir(os.path.join(h.garage.state, "bodies")) if f.startswith(content)]
    h.aurora.start()


run_cases([("three are faster than one", three_are_faster_than_one), ("sources are shown", sources_are_shown), ("one is killed, one lies", one_is_killed_and_one_lies),
           ("the copy's own source lies", the_copys_own_source_lies), ("the copy's own source is killed", the_copys_own_source_is_killed),
           ("a slow source holds nothing up", a_slow_source_holds_nothing_up),
           ("no distributor, and a kill of the receiver", without_distributor_and_after_a_kill), ("nobody has it", nobody_has_it)])
