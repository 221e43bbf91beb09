#!/usr/bin/python3
"""What another device has (`hearth library --on`): all of it, pages and searches; numbers that are fetched; who is told nothing, or a part; a device that is off, and one that lies."""
import json
import os
import subprocess

from household import PROGRAMS, Household, enter_namespace, reference_digest, make_track, run_cases, wait_for

TRACKS = 40
enter_namespace()
h = Household().settle()


def published(count):
    """Small ones, in the order of their titles."""
    paths = []
    for i in range(count):
        paths.append(os.path.join(h.root, f"Piece {i:02}.wav"))
        with open(paths[-1], "wb") as f:
            f.write(b"RIFF" + os.urandom(2000))
    done = h.aurora.admin("publish", *paths, "--price", "0", "--max-copies", "9", "--copy-depth", "1")
    return [item["content"] for item in done["published"]]


def shown(device, *args):
    done = subprocess.run([PROGRAMS["hearth"], "--socket", device.socket, *args], capture_output=True, text=True, timeout=60)
    return done.stdout + done.stderr


def on_kitchen(*args):
    return h.attic("library", *args, "--on", "kitchen")["library"]


def nothing_yet():
    assert h.kitchen("library", "--on", "attic")["library"] == []
    assert "Nothing is there" in shown(h.kitchen, "library", "--on", "attic")
    h.kitchen.refused("not-found", "library", "--on", "garage")
    h.kitchen.refused("wrong-destination", "library", "--on", "kitchen")
    h.kitchen.refused("usage", "library", "--on", "attic", "--limit", "many")


def all_of_it():
    global song, path
    for content in published(TRACKS):
        h.kitchen("get", content, "--yes")
    path = make_track(os.path.join(h.root, "song.flac"), 2, seed=5)
    song = h.publish(path, "--title", "A song", "--price", "0.50", "--copy-price", "0.10", "--max-copies", "9", "--copy-depth", "1")
    h.kitchen("get", song, "--yes")
    own, told = h.kitchen.library(), on_kitchen()
    same = ("number", "content", "title", "creator", "media_type", "duration_ms", "plain_bytes", "has_body", "license", "issuer")
    assert len(told) == TRACKS + 1
    assert [[t.get(k) for k in same] for t in told] == [[t.get(k) for k in same] for t in own], (told[:2], own[:2])
    h.kitchen("remove", told[3]["content"], "--yes")
    assert [t["has_body"] for t in on_kitchen()[2:5]] == [True, False, True]
    h.kitchen("get", told[3]["content"], "--download-only")


def pages_and_searches():
    told = [t["content"] for t in on_kitchen()]
    pages = []
    for skip in range(0, 60, 17):
        pages += [t["content"] for t in on_kitchen("--limit", "17", "--skip", str(skip))]
    assert pages == told
    assert on_kitchen("--limit", "0") == [] and on_kitchen("--skip", "1000") == []
    assert [t["title"] for t in on_kitchen("PIECE 1")] == [f"Piece {i}" for i in range(10, 20)]
    assert [t["title"] for t in on_kitchen("piece 1", "--skip", "3", "--limit", "2")] == ["Piece 13", "Piece 14"]
    assert "Nothing more" in shown(h.attic, "library", "--on", "kitchen", "no such thing")


def a_number_is_fetched():
    told = on_kitchen("a song")
    assert told[0]["content"] == song and told[0]["number"] == 1
    refused = h.attic.refused("not-found", "play", "1")  # it is there, not here
    assert "library" in str(refused), refused
    assert "hearth fetch NUMBER --from kitchen" in shown(h.attic, "library", "--on", "kitchen", "a song")
    h.attic("fetch", "1", "--from", "kitchen")
    assert h.attic.digest(song) == reference_digest(path)
    refused = h.attic.refused("not-found", "fetch", "Nowhere to be found", "--from", "kitchen")
    assert "hearth library --on kitchen" in str(refused.__dict__) + str(refused), refused.__dict__


def moved_on():
    """A copy that was made before says nothing of what is there: it is told how to make it again."""
    h.attic("move", song, "--to", "bedroom")
    wait_for("attic has it no more", lambda: song not in [t["content"] for t in h.kitchen("library", "--on", "attic")["library"]])
    h.kitchen("copy", song, "--to", "attic", "--again")
    assert "--again" in shown(h.kitchen, "copy", song, "--to", "attic"), "nothing was done now"
    assert h.attic.track(song)["license"] == "valid"


def configured(answer_fetch):
    conf = os.path.join(h.root, "kitchen.conf")
    with open(conf, "w") as f:
        f.write(f"[household]\nanswer-fetch = {answer_fetch}\n")
    h.kitchen.stop()
    h.kitchen.start(True, "--config", conf)
    wait_for("all see kitchen", lambda: h.attic.sees("kitchen") and h.bedroom.sees("kitchen"), 30)


def who_is_told():
    configured("own")
    assert len(on_kitchen()) == TRACKS + 1
    assert h.bedroom("library", "--on", "kitchen")["library"] == []  # of another distributor
    bare = published(1)[0]
    h.kitchen("get", bare, "--download-only")  # whose it would be nobody knows
    assert h.bedroom("library", "--on", "kitchen")["library"] == []
    h.kitchen("remove", bare)
    configured("none")
    for device in (h.attic, h.bedroom):
        assert "kitchen" in str(device.refused("not-permitted", "library", "--on", "kitchen"))
    configured("all")
    assert len(h.bedroom("library", "--on", "kitchen")["library"]) == TRACKS + 1


def one_that_is_off():
    before = on_kitchen("piece 0")
    h.kitchen.stop()
    wait_for("it is seen no more", lambda: not h.attic.sees("kitchen"), 30)
    h.attic.refused("offline", "library", "--on", "kitchen")
    assert h.attic.refused("offline", "fetch", str(before[2]["number"]), "--from", "kitchen")  # the numbers stay
    h.kitchen.start()
    wait_for("it is back", lambda: h.attic.sees("kitchen"), 30)
    h.attic("fetch", str(before[2]["number"]), "--from", "kitchen")
    assert h.attic.track(before[2]["content"])["has_body"]


def ends_meanwhile():
    """Either end goes away while it is asked: who asks is told, and nobody falls."""
    for ending in (h.attic, h.kitchen):
        asking = [subprocess.Popen([PROGRAMS["hearth"], "--socket", h.attic.socket, "--json", "library", "--on", "kitchen"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
                  for _ in range(20)]
        ending.stop()
        for child in asking:
            said = child.communicate(timeout=60)[0]
            assert child.returncode in (0, 1, 3) and (child.returncode != 0 or len(json.loads(said)["library"]) == TRACKS + 1), (child.returncode, said[-300:])
        ending.start()
        wait_for("they see each other", lambda: h.attic.sees("kitchen") and h.kitchen.sees("attic"), 30)
    assert len(on_kitchen()) == TRACKS + 1


run_cases([(f.__name__.replace("_", " "), f) for f in (nothing_yet, all_of_it, pages_and_searches, a_number_is_fetched, moved_on, who_is_told, one_that_is_off, ends_meanwhile)])
