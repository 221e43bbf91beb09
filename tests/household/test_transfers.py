#!/usr/bin/python3
"""Transfers under way: waiting for a device, pausing, resuming, no room, two at once."""
import os
import re
import signal
import subprocess
import termios
import time

from household import PROGRAMS, Fresh, Household, enter_namespace, run_cases, wait_for
from terminal import Terminal

enter_namespace()
h = Household().settle()
SECONDS = int(os.environ.get("HEARTH_TRANSFER_SECONDS", "400"))  # of sound: about 70 MB
fresh = Fresh(h, SECONDS)
bought = fresh.bought


def begin(device, *args):
    return subprocess.Popen([PROGRAMS["hearth"], "--socket", device.socket, "--json", *args], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)


def rows(device, content):
    return [t for t in device("transfers")["transfers"] if t["content"] == content]


def last(device, content):
    return next(reversed(rows(device, content)))


def in_state(device, content, *states):
    return wait_for(f"transfer is {states}", lambda: (t := last(device, content))["state"] in states and t, 30)


def frozen_in_the_middle(verb, content):
    """A copy or move to the bedroom, which is stopped as soon as the body has begun to arrive there, so that the transfer stays where it is. No machine is so slow
    that the middle is over meanwhile: limit_is_over() says when it may be."""
    h.bedroom("transfers", "limit", "4M")
    copying = begin(h.kitchen, verb, content, "--to", "bedroom")
    part = os.path.join(h.bedroom.state, "bodies", content + ".part")
    wait_for("something arrives", lambda: os.path.exists(part), 30)
    h.bedroom.process.child.send_signal(signal.SIGSTOP)
    assert os.path.exists(part), "it was faster"
    return copying


def limit_is_over():
    h.bedroom("transfers", "limit", "none")


def thaw(device):
    device.process.child.send_signal(signal.SIGCONT)


def shown(*words, columns=80):
    """On a terminal so wide: its lines."""
    ours, theirs = os.openpty()
    termios.tcsetwinsize(theirs, (25, columns))
    child = subprocess.Popen([PROGRAMS["hearth"], "--socket", h.kitchen.socket, *words], stdout=theirs, stderr=subprocess.STDOUT, env=dict(os.environ, TERM="dumb"))
    os.close(theirs)
    text = b""
    try:
        while part := os.read(ours, 65536):
            text += part
    except OSError:  # it has ended
        pass
    os.close(ours)
    assert child.wait() == 0, text
    return text.decode().splitlines()


def ended_ones_are_few():
    """The last five, unless all are wanted; each line fits a terminal."""
    for _ in range(6):
        content = bought(size=4096)
        h.kitchen("copy", content, "--to", "bedroom")
    few, every = shown("transfers"), shown("transfers", "--all")
    numbers = [[int(line.split()[0]) for line in lines if line[:1].isdigit() and " done " in line] for lines in (few, every)]
    assert all(n == sorted(n) and len(set(n)) == len(n) for n in numbers), numbers
    assert sum(" done " in line for line in few) == 5 and any("hearth transfers --all" in line for line in few), few
    assert sum(" done " in line for line in every) >= 12, every
    assert all(len(line) <= 80 for line in few + every), few + every


def narrow_terminals():
    """Every line fits; titles are shortened and columns left out, and no number, amount or time is cut."""
    for verb, always, at_80 in ((("library",), ("#", "TITLE", "LICENSE", "ID"), ("SIZE", "LENGTH")), (("devices",), ("NAME", "ID", "STATE"), ("ADDRESS",)),
                                (("transfers", "--all"), ("#", "KIND", "DEVICE", "TITLE", "STATE"), ("AMOUNT",)), (("browse",), ("#", "TITLE", "PRICE", "ID"), ("COPY", "LENGTH")),
                                (("bills",), ("NUMBER", "FOR", "AMOUNT"), ("TIME",)), (("accounts",), ("DISTRIBUTOR", "USER", "STATE"), ("BALANCE",))):
        for columns in (80, 60):
            lines = [line for line in shown(*verb, columns=columns)]
            heading = lines[0].split()
            assert all(name in heading for name in always + (at_80 if columns == 80 else ())), (verb, columns, lines[:3])
            rows = [line for line in lines[1:] if line[:1].isdigit()] if heading[0] in ("#", "NUMBER") else lines[1:3]
            assert rows and all(len(line) <= columns for line in [lines[0], *rows]), (verb, columns, [line for line in lines if len(line) > columns])
            assert not any(re.search(r"[0-9]\.\.\.", line) for line in rows), (verb, columns, rows[:3])
    heading = shown("library", columns=40)[0].split()
    assert {"#", "TITLE", "LICENSE", "ID"} <= set(heading) and "SIZE" not in heading and "CREATOR" not in heading, heading


def waits_for_a_device():
    content = bought(size=300000)
    h.bedroom.stop()
    copying = begin(h.kitchen, "copy", content, "--to", "bedroom")
    assert in_state(h.kitchen, content, "waiting")["peer"] == "bedroom"
    wait_for("it says why it waits", lambda: any("    bedroom cannot be reached now; goes on when it can" in line for line in shown("transfers")))
    assert last(h.kitchen, content)["waits_for"] == "bedroom"
    assert all(len(line) <= 80 for line in shown("transfers")), shown("transfers")
    assert copying.poll() is None
    h.bedroom.start()
    assert copying.wait(40) == 0, copying.stdout.read()
    assert h.bedroom.track(content)["license"] == "valid"
    assert last(h.kitchen, content)["state"] == "done"


def is_left_queued():
    """Who waits at a terminal is told for whom, and that Ctrl-C costs nothing: the copy is made when its destination is there."""
    content = bought(size=300000)
    h.bedroom.stop()
    person = Terminal(h.kitchen, "copy", content, "--to", "bedroom", "--yes")
    person.sees("waiting for bedroom, which is offline; Ctrl-C leaves it queued")
    person.type("\x03")
    wait_for("the command ends", lambda: person.read() is not None and person.child.poll() is not None)
    assert in_state(h.kitchen, content, "waiting")["peer"] == "bedroom"
    h.bedroom.start()
    wait_for("it arrives all the same", lambda: last(h.kitchen, content)["state"] == "done", 60)
    assert h.bedroom.track(content)["license"] == "valid"


def waits_for_its_distributor():
    """Both the one that is asked for and those behind it; a command that is broken off leaves its copy queued."""
    first, second = bought(size=300000), bought(size=300000)
    h.aurora.stop()
    try:
        wait_for("the distributor is away", lambda: h.kitchen("status")["distributors_online"] == 0)
        command = [PROGRAMS["hearth"], "--socket", h.kitchen.socket, "copy"]
        broken_off = subprocess.Popen([*command, first, "--to", "bedroom"], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        line = broken_off.stderr.readline()
        assert "waiting for aurora" in line and "Ctrl-C leaves it queued" in line, line
        broken_off.send_signal(signal.SIGINT)
        assert broken_off.wait(20) != 0
        broken_off.stderr.close()
        waits = subprocess.Popen([*command, second, "--to", "bedroom"], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        line = waits.stderr.readline()
        assert "waiting for aurora" in line, line
        assert all(last(h.kitchen, content)["state"] == "waiting" and last(h.kitchen, content)["reason"] == "offline" and last(h.kitchen, content)["waits_for"] == "aurora" for content in (first, second))
    finally:
        h.aurora.start()
    assert waits.wait(80) == 0, waits.stderr.read()
    waits.stderr.close()
    in_state(h.kitchen, first, "done")
    assert all(h.bedroom.track(content)["license"] == "valid" for content in (first, second))


def pauses_and_resumes():
    content = bought()
    copying = frozen_in_the_middle("copy", content)
    number = in_state(h.kitchen, content, "running")["number"]
    h.kitchen("transfers", "pause", str(number))
    assert last(h.kitchen, content)["state"] == "paused"
    thaw(h.bedroom)
    in_state(h.bedroom, content, "waiting")
    assert copying.poll() is None
    limit_is_over()
    h.kitchen("transfers", "resume", str(number))
    assert copying.wait(60) == 0
    assert h.bedroom.track(content)["has_body"]


def destination_pauses():
    content = bought()
    copying = frozen_in_the_middle("copy", content)
    pausing = begin(h.bedroom, "transfers", "pause", "1")  # it waits in the socket
    thaw(h.bedroom)
    pausing.wait(20)
    number = last(h.bedroom, content)["number"]
    h.bedroom("transfers", "pause", str(number))
    assert last(h.bedroom, content)["state"] == "paused" and copying.poll() is None
    limit_is_over()
    h.bedroom("transfers", "resume", str(number))
    assert copying.wait(60) == 0
    assert h.bedroom.track(content)["has_body"]


def has_read(device):
    """Bytes that its hearthd has read from files since it was started."""
    return next(int(line.split()[1]) for line in open(f"/proc/{device.process.child.pid}/io") if line.startswith("rchar"))


def goes_on_from_what_was_verified():
    """After a kill of either end: what was verified is neither sent nor read again."""
    content = bought()
    h.bedroom("transfers", "limit", "12M")
    copying = begin(h.kitchen, "copy", content, "--to", "bedroom")

    def came(most):
        row = last(h.bedroom, content)
        assert row["state"] != "done", "it was faster"
        return row["done_bytes"] > row["total_bytes"] * most and row
    wait_for("a third of it is there", lambda: came(0.3), 60)
    numbers = [t["number"] for t in h.kitchen("transfers")["transfers"]]
    h.kitchen.kill()
    copying.wait()
    h.kitchen.start()
    again = [t["number"] for t in h.kitchen("transfers")["transfers"]]
    assert again and max(numbers) < min(again) < max(numbers) + 64, (numbers, again)  # no number is another's
    total = wait_for("it goes on to two thirds", lambda: came(0.6), 60)["total_bytes"]
    h.bedroom.kill()
    h.bedroom.start()
    h.bedroom("transfers", "limit", "none")
    wait_for("it is finished", lambda: h.bedroom.track(content)["has_body"], 60)
    assert has_read(h.bedroom) < total * 0.1, (has_read(h.bedroom), total)  # nothing is hashed again
    assert has_read(h.kitchen) < total * 0.8, (has_read(h.kitchen), total)  # nor what came before its kill sent again


def download_survives_a_kill():
    content = fresh.published()
    getting = begin(h.attic, "get", content, "--yes")
    part = os.path.join(h.attic.state, "bodies", content + ".part")
    wait_for("it has begun", lambda: os.path.exists(part) or os.path.exists(part[:-4] + "body"))
    h.attic.kill()
    getting.wait()
    h.attic.start()
    wait_for("it is finished without being asked for", lambda: h.attic.track(content)["has_body"], 30)
    h.attic.digest(content)


def many_at_once():
    contents = [bought(size=50000) for _ in range(20)]
    copying = [begin(h.kitchen, "copy", c, "--to", "bedroom") for c in contents]
    for c in copying:
        assert c.wait(60) == 0, c.stdout.read()
    library = {t["content"]: t for t in h.bedroom.library()}
    assert all(library[c]["has_body"] and library[c]["license"] == "valid" for c in contents)


def followed_on_a_screen(contents):
    """More than it has lines: what is shown again each second is no more than can be."""
    h.attic.stop()
    copying = begin(h.kitchen, "copy", *contents, "--to", "attic")
    wait_for("all wait for attic", lambda: sum(t["state"] == "waiting" and t["peer"] == "attic" for t in h.kitchen("transfers")["transfers"]) == 30)
    person = Terminal(h.kitchen, "transfers", "--follow", columns=80)  # of 24 lines
    person.sees(r"\x1b\[J[^\x1b]* more are under way")  # the second time
    text = person.read()
    ups = [int(up) for up in re.findall(r"\x1b\[(\d+)A", text)]
    assert ups and max(ups) < 24, (ups, text)
    person.type("\x03")
    h.attic.start()
    assert copying.wait(60) == 0


def many_by_one_command():
    """They go side by side, in few transactions; what is wrong with one is said, and hurts no other."""
    contents = [bought(size=5000) for _ in range(30)]
    done = h.kitchen("copy", *contents, "--to", "bedroom")["transfers"]
    assert sorted(t["content"] for t in done) == sorted(contents) and all(t["state"] == "done" and t["peer"] == "bedroom" for t in done), done
    library = {t["content"]: t for t in h.bedroom.library()}
    assert all(library[c]["has_body"] and library[c]["license"] == "valid" for c in contents)
    assert all(t.get("reason") == "already" for t in h.kitchen("copy", *contents, "--to", "bedroom")["transfers"])
    followed_on_a_screen(contents)
    others = [bought(size=5000) for _ in range(5)]
    before = len(h.kitchen("bills")["bills"])
    for wrong, why in (("no such track", "No track 'no such track'"), ("attic", "No track 'attic': it is a device, and --to takes one. Give the command once for each")):
        assert why in h.kitchen.refused("not-found", "copy", *others[:3], "--to", "bedroom", wrong, *others[3:]).message
    assert "No device" in h.kitchen.refused("not-found", "copy", *others, "--to", "nowhere").message
    assert "--to takes one value" in h.kitchen.anyhow("copy", others[0], "--to", "bedroom", "--to", "attic")["error"]["message"]
    assert "'second' is another" in h.kitchen.anyhow("get", "first", "second", "--yes")["error"]["message"]
    assert all(not [t for t in rows(h.kitchen, content) if t["kind"] == "copy-out"] for content in others) and len(h.kitchen("bills")["bills"]) == before  # nothing was begun
    said = subprocess.run([PROGRAMS["hearth"], "--socket", h.kitchen.socket, "copy", *others, "--to", "bedroom"], capture_output=True, text=True, timeout=60)
    assert said.returncode == 0 and said.stdout.count(" was copied to bedroom") == 5, said


def limited():
    """All that is received together keeps to the limit; rate and time left are shown; the limit is remembered and taken away."""
    assert h.bedroom("transfers", "limit") == {"receive_bytes_per_second": None, "send_bytes_per_second": None}
    for wrong in ("0", "12", "-5", "5T", "fast", "1.5M", "99999999999999999999"):
        refused = h.bedroom.anyhow("transfers", "limit", wrong)["error"]
        assert refused["code"] in ("usage", "malformed"), (wrong, refused)
    assert h.bedroom("transfers", "limit", "400K") == {"receive_bytes_per_second": 400 * 1024, "send_bytes_per_second": None}
    contents = [bought(size=2600000) for _ in range(2)]
    began = time.monotonic()
    copying = [begin(h.kitchen, "copy", c, "--to", "bedroom") for c in contents]
    shown = wait_for("a rate is shown", lambda: next((t for c in contents for t in rows(h.bedroom, c) if t["state"] == "running" and t.get("bytes_per_second", 10**9) < 500 * 1024), None))
    assert 0 < shown["left_ms"] < 60000, shown
    h.bedroom.kill()  # it is remembered
    h.bedroom.start()
    assert h.bedroom("transfers", "limit") == {"receive_bytes_per_second": 400 * 1024, "send_bytes_per_second": None}
    wait_for("it goes on", lambda: any(t["state"] == "running" for c in contents for t in rows(h.bedroom, c)), 30)
    follow = subprocess.run([PROGRAMS["hearth"], "--socket", h.bedroom.socket, "transfers", "--follow"], capture_output=True, text=True, timeout=60)
    assert follow.returncode == 0 and "left" in follow.stdout, follow
    for c in copying:
        assert c.wait(60) == 0
    took = time.monotonic() - began
    assert took > 5200000 / (400 * 1024) - 2.8, took  # the first block of each comes at once
    h.bedroom("transfers", "limit", "none")
    for c in contents:
        h.bedroom.digest(c)
    h.kitchen("copy", bought(), "--to", "bedroom")


def a_slow_limit_is_taken_away():
    """At either end what waits for it goes on at once, not when the next block would have been due, minutes later."""
    for device, words in ((h.bedroom, ()), (h.kitchen, ("--send",))):
        content = bought(size=600000)
        device("transfers", "limit", *words, "1K")
        copying = begin(h.kitchen, "copy", content, "--to", "bedroom")
        wait_for("a block is there", lambda: any(source["bytes"] > 0 for source in last(h.bedroom, content).get("sources", [])))
        device("transfers", "limit", *words, "none")
        assert copying.wait(20) == 0, copying.stdout.read()


def a_source_that_says_nothing():
    content = bought()
    copying = begin(h.kitchen, "copy", content, "--to", "bedroom")
    try:
        h.bedroom("transfers", "limit", "2M")
        wait_for("it has begun", lambda: any(t["done_bytes"] > 0 for t in rows(h.bedroom, content)))
        h.kitchen.process.child.send_signal(signal.SIGSTOP)
        still = wait_for("it is seen to stand still", lambda: next((t for t in rows(h.bedroom, content) if "still_ms" in t), None))
        assert "bytes_per_second" not in still and "left_ms" not in still, still
        table = subprocess.run([PROGRAMS["hearth"], "--socket", h.bedroom.socket, "transfers"], capture_output=True, text=True, timeout=60).stdout
        assert "stalled" in table and re.search(r"waits for kitchen since \d+ s", table), table
    finally:
        thaw(h.kitchen)
        h.bedroom("transfers", "limit", "none")
    assert copying.wait(60) == 0
    h.bedroom.digest(content)


def the_content_alone():
    """Fetched for a license that is here: listed, steered, waits for its source, told of when it is there; nothing is charged."""
    content = bought()
    h.kitchen("copy", content, "--to", "bedroom")
    h.bedroom("remove", content, "--yes")
    bills = h.kitchen("bills")["bills"]
    h.bedroom("transfers", "limit", "4M")
    fetching = begin(h.bedroom, "fetch", content, "--from", "kitchen")
    row = wait_for("something has come", lambda: (t := last(h.bedroom, content))["kind"] == "fetch" and t["done_bytes"] > 0 and t)
    assert row["state"] == "running" and row["peer"] == "kitchen" and h.bedroom("status")["transfers"] == 1, row
    number = str(row["number"])
    h.bedroom("transfers", "pause", number)
    assert in_state(h.bedroom, content, "paused") and fetching.poll() is None
    h.bedroom("transfers", "resume", number)
    in_state(h.bedroom, content, "running")
    h.kitchen.stop()
    row = in_state(h.bedroom, content, "waiting")
    assert row["reason"] == "offline" and row["waits_for"] == "kitchen" and fetching.poll() is None, row
    h.kitchen.start()
    in_state(h.bedroom, content, "running")
    h.bedroom.kill()
    assert fetching.wait(20) == 3
    h.bedroom.start()
    row = wait_for("it goes on by itself", lambda: (t := last(h.bedroom, content))["state"] == "running" and t["done_bytes"] > 0 and t, 30)
    assert row["kind"] == "fetch", row
    h.bedroom("transfers", "cancel", str(row["number"]))
    limit_is_over()
    assert last(h.bedroom, content)["state"] == "cancelled"
    wait_for("nothing of it stays", lambda: not [f for f in os.listdir(os.path.join(h.bedroom.state, "bodies")) if f.startswith(content)])
    assert h.bedroom("fetch", content, "--from", "kitchen")["content"] == content
    assert last(h.bedroom, content)["state"] == "done" and h.kitchen("bills")["bills"] == bills
    said = subprocess.run([PROGRAMS["hearth"], "--socket", h.bedroom.socket, "events"], capture_output=True, text=True, timeout=60).stdout
    assert "has been fetched from kitchen" in said, said
    h.bedroom.digest(content)


def paid_for(content):
    title = h.kitchen.track(content)["title"]
    return -sum(b["amount"] for b in h.kitchen("bills")["bills"] if title in b["text"]) / 100


def no_room():
    """A device whose state is on a small file system."""
    content = bought()
    small = os.path.join(h.root, "small")
    os.mkdir(small)
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=40m", "none", small], capture_output=True).returncode != 0:
        return "SKIP no file system can be mounted here"
    try:
        cellar = h.device(os.path.join("small", "cellar"), h.aurora, "alice")
        cellar_name = next(d["name"] for d in h.kitchen("devices")["devices"] if d["name"].endswith("cellar")) if wait_for(
            "kitchen sees it", lambda: any(d["name"].endswith("cellar") and d["online"] for d in h.kitchen("devices")["devices"])) else None
        for verb in ("copy", "move"):  # refused before it begins: nothing waits, nothing is paid
            full = h.kitchen.refused("storage-full", verb, content, "--to", cellar_name)
            assert re.search(rf"takes \d+ MiB, and \d+ MiB are free for it on {cellar_name}. There, hearth remove TRACK", full.message) and not full.remedy, full
            assert in_state(h.kitchen, content, "failed")["reason"] == "storage-full"
            assert any(re.fullmatch(r"    \S.* room .*\.", line) for line in shown("transfers", columns=200)), shown("transfers", columns=200)
            wait_for("it is as before", lambda: h.kitchen.track(content)["license"] == "valid" and paid_for(content) == 10)
        with open(path := os.path.join(h.root, "large.wav"), "wb") as f:
            f.write(fresh.base[:-4] + b"shop")
        sold = h.publish(path, "--title", "Not bought", "--price", "10")
        full = cellar.refused("storage-full", "get", sold, "--yes")
        assert re.search(rf"takes \d+ MiB, and \d+ MiB are free for it on {cellar_name}. There, hearth remove TRACK makes room. Nothing was bought", full.message), full
        assert "Not bought" not in str(cellar("bills")) and not [t for t in cellar.library() if t["content"] == sold]
        cellar("get", sold, "--license-only", "--yes")
        full = h.kitchen.refused("storage-full", "export", content, "--to", "bedroom", small)
        assert f"{small} is full" in str(full) and not full.remedy, full  # room is made there, on neither device
        before = cellar.snapshot()
        cellar.refused("storage-full", "get", content, "--download-only")
        assert cellar.snapshot() == before
        waits_for_room(cellar, content)
        assert subprocess.run(["mount", "-o", "remount,size=200m", small]).returncode == 0
        in_state(cellar, content, "done")
        cellar.stop()
    finally:
        subprocess.run(["umount", "-l", small], check=False)


def waits_for_room(device, content):
    """And says so: transfers, status, events."""
    row = in_state(device, content, "waiting")
    assert row["reason"] == "storage-full", row
    told = [subprocess.run([PROGRAMS["hearth"], "--socket", device.socket, *words], capture_output=True, text=True, timeout=60).stdout for words in (["transfers"], ["status"], ["events"])]
    assert "this device has no room for it" in told[0] and "needs a look" in told[1] and "too little" in told[1] and "storage-full" in told[2], told
    return row


def the_disk_fills_up():
    """In the middle, on a file system that cannot set room aside: what has come is kept, and the rest comes when there is room again."""
    content = bought(size=24 << 20)
    image, small = os.path.join(h.root, "image"), os.path.join(h.root, "ext2")
    os.mkdir(small)
    subprocess.run(["truncate", "-s", "100M", image], check=True)
    if subprocess.run(["mkfs.ext2", "-q", image], capture_output=True).returncode != 0 or subprocess.run(["mount", "-o", "loop", image, small], capture_output=True).returncode != 0:
        return "SKIP no file system can be mounted here"
    try:
        pantry = h.device(os.path.join("ext2", "pantry"), h.aurora, "alice")
        pantry("transfers", "limit", "4M")
        getting = begin(pantry, "get", content, "--download-only")
        wait_for("it has begun", lambda: any(t["done_bytes"] > 4 << 20 for t in rows(pantry, content)))
        filler = os.path.join(small, "filler")
        subprocess.run(["dd", "if=/dev/zero", "of=" + filler, "bs=1M"], capture_output=True, check=False)
        assert getting.wait(60) == 1
        came = waits_for_room(pantry, content)["done_bytes"]
        assert 4 << 20 < came < 24 << 20, came
        pantry("transfers", "limit", "none")
        os.truncate(filler, 8 << 20)
        in_state(pantry, content, "done")
        os.unlink(filler)
        a_copy_meets_a_full_disk(pantry, filler)
        pantry.stop()
    finally:
        subprocess.run(["umount", "-l", small], check=False)
    return None


def a_copy_meets_a_full_disk(pantry, filler):
    """As above: it was begun, so it waits, at the source, which says for what, and goes on from what has come."""
    content = bought(size=16 << 20)
    name = next(d["name"] for d in h.kitchen("devices")["devices"] if d["name"].endswith("pantry"))
    pantry("transfers", "limit", "4M")
    copying = begin(h.kitchen, "copy", content, "--to", name)
    wait_for("it has begun", lambda: any(t["done_bytes"] > 4 << 20 for t in rows(pantry, content)))
    subprocess.run(["dd", "if=/dev/zero", "of=" + filler, "bs=1M"], capture_output=True, check=False)
    wait_for("it waits for room", lambda: (t := last(h.kitchen, content))["state"] == "waiting" and t["reason"] == "storage-full")
    assert any(f"{name} has no room for it: hearth remove TRACK there" in line for line in shown("transfers", columns=200)), shown("transfers")
    came = last(pantry, content)["done_bytes"]
    assert 4 << 20 < came < 16 << 20 and copying.poll() is None, came
    pantry("transfers", "limit", "none")
    os.unlink(filler)
    assert copying.wait(80) == 0
    verified = re.findall(r"a body is complete blocks=(\d+) verified_now=(\d+)", open(pantry.log).read())[-1]
    assert int(verified[1]) < int(verified[0]) * 0.8, verified
    assert paid_for(content) == 13


run_cases([("of those that have ended the last are shown", ended_ones_are_few), ("narrow terminals", narrow_terminals), ("a copy waits for its destination", waits_for_a_device), ("a copy that is left is made", is_left_queued), ("a copy waits for its distributor", waits_for_its_distributor), ("pause and resume at the source", pauses_and_resumes),
           ("pause and resume at the destination", destination_pauses), ("a download survives a kill", download_survives_a_kill), ("after a kill of either end it goes on from what was verified", goes_on_from_what_was_verified), ("many copies at once", many_at_once), ("many copies by one command", many_by_one_command), ("a limit, rates and time left", limited), ("a slow limit is taken away", a_slow_limit_is_taken_away), ("a source that stands still is shown", a_source_that_says_nothing), ("the content alone", the_content_alone), ("no room", no_room), ("the disk fills up in the middle", the_disk_fills_up)])
