#!/usr/bin/python3
"""Copied on: what came to a customer of boreal in a copy certificate of aurora's goes on from there, as far as its conditions say, on the word of its issuer."""
import base64
import itertools
import os
import sqlite3
import subprocess

from household import PROGRAMS, Household, enter_namespace, make_track, run_cases, wait_for

enter_namespace()
h = Household().settle()


seeds = itertools.count(40)


def song(name, *options):
    content = h.publish(make_track(os.path.join(h.root, name + ".flac"), 2, seed=next(seeds)), "--name", name, "--price", "1", "--copy-price", "0.10",
                        "--max-copies", "5", *options)
    h.kitchen("get", content, "--yes")
    return content


def has(device, content):
    wait_for(f"{device.name} has it", lambda: device.track(content)["has_body"])
    assert device.digest(content) == h.kitchen.digest(content)


def sql(statement, *values):
    db = sqlite3.connect(f"file:{h.aurora.dir}/operations.db?mode=ro", uri=True)
    try:
        return db.execute(statement, values).fetchall()
    finally:
        db.close()


def even():
    assert sql("SELECT sum(amount) FROM ledger")[0][0] == 0


def copies_of_copies():
    one = song("two deep", "--copy-depth", "2")
    h.kitchen("copy", one, "--to", "bedroom")
    has(h.bedroom, one)
    h.bedroom("copy", one, "--to", "attic")
    has(h.attic, one)
    assert len(sql("SELECT 1 FROM certificate WHERE content = ?", bytes.fromhex(id_hex(one)))) == 2
    assert h.attic.track(one)["conditions"]["copy_depth"] == 0
    even()


def not_deep_enough():
    one = song("one deep", "--copy-depth", "1")
    h.kitchen("copy", one, "--to", "bedroom")
    has(h.bedroom, one)
    h.bedroom.refused("copy-count-exhausted", "copy", one, "--to", "attic")
    assert len(sql("SELECT 1 FROM certificate WHERE content = ?", bytes.fromhex(id_hex(one)))) == 1
    even()


def there_and_back():
    one = song("wanders", "--copy-depth", "1")
    h.kitchen("move", one, "--to", "bedroom")
    has_moved(h.bedroom, one)
    h.kitchen.refused("no-license", "play", one, "--output", "digest")
    h.bedroom("move", one, "--to", "kitchen")
    has_moved(h.kitchen, one)
    h.bedroom.refused("no-license", "play", one, "--output", "digest")
    even()


def has_moved(device, content):
    wait_for(f"{device.name} has it", lambda: device.track(content)["has_body"])
    assert device.digest(content)


def issuer_away():
    one = song("issuer away", "--copy-depth", "2")
    h.kitchen("copy", one, "--to", "bedroom")
    has(h.bedroom, one)
    h.aurora.stop()
    copying = subprocess.Popen([PROGRAMS["hearth"], "--socket", h.bedroom.socket, "copy", one, "--to", "attic"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_for("it waits for its issuer", lambda: any(t["content"] == one and t["state"] == "waiting" and t.get("reason") == "offline" for t in h.bedroom("transfers")["transfers"]), 40)
    h.aurora.start()
    wait_for("aurora is back", lambda: h.kitchen("status")["distributors_online"] == 1, 40)
    assert copying.wait(80) == 0
    has(h.attic, one)
    assert len(sql("SELECT 1 FROM certificate WHERE content = ?", bytes.fromhex(id_hex(one)))) == 2
    even()


def id_hex(text):
    return base64.b32decode(text.upper() + "=" * (-len(text) % 8)).hex()


run_cases([
    ("a copy of a copy", copies_of_copies),
    ("not further than its conditions say", not_deep_enough),
    ("moved there and back", there_and_back),
    ("its issuer is away", issuer_away),
])
