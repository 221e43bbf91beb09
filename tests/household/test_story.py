#!/usr/bin/python3
"""P1-P6: bought on one device, played on a sibling that belongs to another distributor; also move, fetch, medium."""
import os

from household import Household, Refused, enter_namespace, make_track, reference_digest, run_cases, wait_for

enter_namespace()
h = Household().settle()
files, contents = {}, {}


def buys_and_plays(extension):
    def case():
        path = files[extension] = make_track(os.path.join(h.root, f"song.{extension}"), seed=ord(extension[0]))
        content = contents[extension] = h.publish(path, "--price", "1.29", "--copy-price", "0.10", "--max-copies", "5", "--copy-depth", "1")
        h.kitchen("get", content, "--yes")
        track = h.kitchen.track(content)
        assert track["has_body"] and track["license"] == "valid", track
        assert h.kitchen.digest(content) == reference_digest(path)
    return case


def copies_across(extension):
    def case():
        content = contents[extension]
        h.kitchen("copy", content, "--to", "bedroom")
        track = h.bedroom.track(content)
        assert track["has_body"] and track["license"] == "valid" and track["issuer"] == h.aurora.id, track
        assert h.bedroom.digest(content) == reference_digest(files[extension])
    return case


def copies_within():
    h.kitchen("copy", contents["flac"], "--to", "attic")
    assert h.attic.digest(contents["flac"]) == reference_digest(files["flac"])


def copy_again_changes_nothing():
    before, bills = h.bedroom.snapshot(), h.kitchen("bills")["bills"]
    h.kitchen("copy", contents["flac"], "--to", "bedroom")
    assert h.bedroom.snapshot()["bodies"] == before["bodies"]
    assert [t["license"] for t in h.bedroom.library()] == [t["license"] for t in before["library"]]
    assert len(h.kitchen("bills")["bills"]) <= len(bills) + 1


def moves():
    path = make_track(os.path.join(h.root, "moved.flac"), seed=7)
    content = h.publish(path, "--price", "0.50", "--copy-price", "0", "--max-copies", "5", "--copy-depth", "1")
    h.kitchen("get", content, "--yes")
    h.kitchen("move", content, "--to", "bedroom")
    assert h.bedroom.digest(content) == reference_digest(path)
    left = [t for t in h.kitchen.library() if t["content"] == content]
    assert not left or (not left[0]["has_body"] and left[0]["license"] == "surrendered"), left
    try:
        h.kitchen("play", content, "--output", "digest")
        raise AssertionError("played on both devices")
    except Refused as refusal:
        assert refusal.code in ("no-license", "not-found"), str(refusal)


def fetches():
    path = make_track(os.path.join(h.root, "fetched.flac"), seed=8)
    content = h.publish(path, "--price", "0.50", "--max-copies", "5", "--copy-depth", "1")
    h.kitchen("get", content, "--yes")
    h.attic("fetch", content, "--from", "kitchen")
    assert h.attic.digest(content) == reference_digest(path)


def fetches_what_was_removed():
    bills = h.kitchen("bills")["bills"]
    h.bedroom("remove", contents["flac"])
    assert not h.bedroom.track(contents["flac"])["has_body"]
    h.bedroom("fetch", contents["flac"], "--from", "kitchen")
    assert h.bedroom.digest(contents["flac"]) == reference_digest(files["flac"])
    assert h.kitchen("bills")["bills"] == bills, "the license was there: nothing is charged"


def medium():
    path = make_track(os.path.join(h.root, "carried.flac"), seed=9)
    content = h.publish(path, "--price", "0.50", "--max-copies", "5", "--copy-depth", "1", "--max-removable", "2")
    h.kitchen("get", content, "--yes")
    stick = os.path.join(h.root, "stick")
    os.mkdir(stick)
    written = h.kitchen("export", content, "--to", "bedroom", stick)["files"]
    assert len(written) == 2, written
    h.bedroom("import", stick)
    assert h.bedroom.digest(content) == reference_digest(path)


def devices_and_distributors():
    rows = {d["name"]: d for d in h.kitchen("devices")["devices"]}
    assert rows["attic"]["distributor_name"] == "aurora" and rows["bedroom"]["distributor_name"] == "boreal", rows


def ledger_in_order():
    for d in (h.aurora, h.boreal):
        d.admin("ledger", "check")


def plays_without_distributors():
    for d in (h.aurora, h.boreal, h.directory):
        d.stop()
    assert h.bedroom.digest(contents["flac"]) == reference_digest(files["flac"])
    h.bedroom.stop()
    h.bedroom.start()
    wait_for("the library is back", lambda: h.bedroom.track(contents["flac"])["has_body"])
    assert h.bedroom.digest(contents["flac"]) == reference_digest(files["flac"])


EXTENSIONS = ("flac", "ogg", "mp3", "m4a")
run_cases([("siblings are listed with their distributors", devices_and_distributors)]
          + [(f"{e}: buys, downloads, plays the same samples", buys_and_plays(e)) for e in EXTENSIONS]
          + [(f"{e}: copies to the other distributor's customer, plays there", copies_across(e)) for e in EXTENSIONS]
          + [("copies within one distributor", copies_within), ("copying what is there changes nothing", copy_again_changes_nothing),
             ("moves", moves), ("fetches from a sibling", fetches), ("fetches only the content where the license stayed", fetches_what_was_removed),
                ("exports and imports by medium", medium), ("ledgers sum to zero", ledger_in_order),
             ("plays with both distributors and the directory stopped", plays_without_distributors)])
