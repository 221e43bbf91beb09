#!/usr/bin/python3
"""Whose fetch is answered: everybody's of the household, only those of the content's own distributor, nobody's."""
import json
import os
import subprocess

from household import PROGRAMS, Household, Process, Refused, enter_namespace, make_track, reference_digest, run_cases, wait_for

enter_namespace()
h = Household().settle()
path = make_track(os.path.join(h.root, "wanted.flac"), 3, seed=21)
content = h.publish(path, "--price", "0.50", "--copy-price", "0.10", "--max-copies", "9", "--copy-depth", "1")
h.kitchen("get", content, "--yes")


def restart_kitchen(answer_fetch):
    conf = os.path.join(h.root, "kitchen.conf")
    with open(conf, "w") as f:
        f.write(f"[household]\nanswer-fetch = {answer_fetch}\n")
    k = h.kitchen
    k.stop()
    k.process = Process([PROGRAMS["hearthd"], "--config", conf, "--state-dir", k.state, "--runtime-dir", k.dir, "--name", k.name,
                         "--listen", "127.0.0.1:0"], k.log)
    wait_for("kitchen answers", lambda: k.process.running() and k("status"))
    wait_for("all see kitchen", lambda: k.sees("attic") and k.sees("bedroom") and h.attic.sees("kitchen") and h.bedroom.sees("kitchen"), 30)


def events(device):
    done = subprocess.run([PROGRAMS["hearth"], "--socket", device.socket, "--json", "events"], capture_output=True, text=True, timeout=60, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def fetch(device):
    """Its outcome: None or the reason; what is known of the kitchen's address may be from before its restart."""
    outcome = []

    def try_it():
        try:
            device("fetch", content, "--from", "kitchen")
            outcome.append(None)
        except Refused as refusal:
            if refusal.code != "offline":
                outcome.append(refusal.code)
        return bool(outcome)
    wait_for(f"{device.name} reaches kitchen", try_it, 60)
    return outcome[0]


def fetch_is_refused(device):
    bills = h.kitchen("bills")["bills"]
    assert fetch(device) == "not-permitted"
    assert h.kitchen("bills")["bills"] == bills
    assert not any(t["content"] == content and t["has_body"] for t in device.library())
    assert not any(e["kind"] == "fetch-answered" for e in events(h.kitchen))


def nobodys():
    restart_kitchen("none")
    fetch_is_refused(h.attic)
    fetch_is_refused(h.bedroom)


def own():
    restart_kitchen("own")
    fetch_is_refused(h.bedroom)
    assert fetch(h.attic) is None
    assert h.attic.digest(content) == reference_digest(path)
    assert any(e["kind"] == "fetch-answered" and "attic" in e["text"] for e in events(h.kitchen))


def everybodys():
    restart_kitchen("all")
    assert fetch(h.bedroom) is None
    assert h.bedroom.digest(content) == reference_digest(path)


def doctor_says_damaged(device):
    done = subprocess.run([PROGRAMS["hearth"], "--socket", device.socket, "--json", "doctor"], capture_output=True, text=True, timeout=60)
    return any(c["name"] == "content" for c in json.loads(done.stdout)["checks"])


def damage(device):
    """One byte of the last block, as a disk may do it."""
    body = os.path.join(device.state, "bodies", f"{content}.body")
    with open(body, "r+b") as f:
        f.seek(-1, os.SEEK_END)
        last = f.read(1)
        f.seek(-1, os.SEEK_END)
        f.write(bytes([last[0] ^ 1]))
    before = os.stat(body)
    try:
        device("play", content, "--output", "digest")
        assert False, "what is damaged is not played to its end"
    except Refused as refusal:
        assert refusal.code == "block-corrupt", refusal
    wait_for("the library says that it is damaged", lambda: device.track(content)["damaged"])
    assert doctor_says_damaged(device)
    return body, before


def is_whole(device, body, before):
    assert not device.track(content)["damaged"]
    assert device.digest(content) == reference_digest(path)
    assert os.stat(body).st_ino == before.st_ino, "only the damaged blocks are written"
    assert not doctor_says_damaged(device)


def a_damaged_body():
    bills = [d("bills")["bills"] for d in (h.kitchen, h.attic, h.bedroom)]
    for command in (["get", content, "--download-only"], ["get", content, "--yes"]):
        body, before = damage(h.kitchen)
        h.kitchen(*command)
        is_whole(h.kitchen, body, before)
    body, before = damage(h.bedroom)
    h.bedroom("fetch", content, "--from", "kitchen")
    is_whole(h.bedroom, body, before)
    assert bills == [d("bills")["bills"] for d in (h.kitchen, h.attic, h.bedroom)], "and nothing is charged"


run_cases([("nobody's fetch", nobodys), ("those of the content's own distributor", own), ("everybody's", everybodys), ("a damaged body", a_damaged_body)])
