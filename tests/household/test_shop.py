#!/usr/bin/python3
"""What a person is told of prices, before and after: buying, buying anew, renewing. Every cent that is charged was told, and nothing is bought twice."""
import os
import sqlite3
import tempfile
import time

from household import Household, enter_namespace, make_track, run_cases, wait_for
from terminal import Terminal, plainly

enter_namespace()
root = tempfile.mkdtemp(prefix="hearth-test-")
h = Household(root).settle()
number = iter(range(10, 100))


def spent():
    with sqlite3.connect(f"file:{os.path.join(h.aurora.dir, 'operations.db')}?mode=ro", uri=True) as db:
        return -db.execute("SELECT coalesce(sum(amount), 0) FROM ledger WHERE account = 'user:alice'").fetchone()[0]


def song(title, *options, seconds=1):
    return h.publish(make_track(os.path.join(root, f"song{next(number)}.flac"), seconds, seed=next(number)), "--title", title, *options)


def use_up(device, track):
    before = device.track(track)["plays"]
    device.digest(track)
    wait_for("the play is counted", lambda: device.track(track)["plays"] == before + 1)


def bought_anew():
    """What is used up and cannot be renewed is bought once more, as often as that happens; what is left is never bought over."""
    one = song("Once only", "--price", "1.20", "--max-plays", "1", "--max-copies", "0", "--name", "One play")
    h.kitchen("get", one, "--yes")
    again = h.kitchen("get", one, "--yes", "--again")  # not yet
    assert again["license"] == "valid" and spent() == 120, spent()
    use_up(h.kitchen, one)
    assert "hearth get" in plainly(h.kitchen, "play", one, "--output", "digest", status=1)
    said = plainly(h.kitchen, "get", "Once only", "--yes")
    assert "used up" in said and "1.20" in said and "license valid" in said, said
    assert spent() == 240 and h.kitchen.track(one)["conditions"]["max_plays"] == 2
    h.kitchen("get", one, "--yes", "--again")
    assert spent() == 240
    use_up(h.kitchen, one)
    t = Terminal(h.kitchen, "get", one)
    t.sees(r"Buy it\? \[y/N\]")
    t.type("n\n")
    t.ends(1)
    assert spent() == 240
    t = Terminal(h.kitchen, "get", one)
    t.sees(r"1\.20[\s\S]*Buy it\? \[y/N\]")
    t.type("y\n")
    t.ends()
    assert spent() == 360
    use_up(h.kitchen, one)
    h.aurora.admin("withdraw", one)
    refusal = h.kitchen.refused("unknown-content", "get", one, "--yes")
    assert "no more" in refusal.message and spent() == 360, refusal.message


def renewed_instead():
    """What can be renewed is not bought anew, unless that was said."""
    one = song("Renew me", "--price", "1.00", "--max-plays", "1", "--renew-price", "0.50", "--max-copies", "0", "--name", "Renewable")
    before = spent()
    said = plainly(h.kitchen, "get", one, "--yes")
    assert "It can be renewed for 0.50 EUR" in said, said  # told before it is bought
    use_up(h.kitchen, one)
    for options in (("--yes",), ("--yes", "--license-only")):
        said = plainly(h.kitchen, "get", one, *options, status=1)
        assert "use-exhausted" in said and "hearth renew" in said and "0.50 EUR" in said, said
    assert spent() == before + 100
    h.kitchen("renew", one, "--yes")
    assert spent() == before + 150
    use_up(h.kitchen, one)
    assert "used up" in plainly(h.kitchen, "get", one, "--yes", "--again")
    assert spent() == before + 250 and h.kitchen.digest(one)
    h.aurora.admin("withdraw", one)  # buyers may renew what they have
    wait_for("it is used up", lambda: h.kitchen.track(one)["license"] == "used-up")
    refusal = h.kitchen.refused("unknown-content", "get", one, "--yes")
    assert "hearth renew" in refusal.message, refusal.message
    h.kitchen("renew", one, "--yes")


def over():
    """What has ended on a day, for everybody, is on sale no more: nobody is sent in a circle."""
    until = int(time.time() * 1000) + 4000
    one = song("Until a day", "--price", "1.00", "--usage-until-ms", str(until), "--name", "Until then")
    h.kitchen("get", one, "--yes")
    wait_for("it has ended", lambda: h.kitchen.track(one)["license"] == "expired")
    said = plainly(h.kitchen, "get", one, "--yes", status=1)
    assert "ended" in said and "hearth get" not in said and "hearth browse" in said, said
    assert "hearth get" in plainly(h.kitchen, "renew", one, "--yes", status=1)


run_cases([
    ("what is used up is bought anew, once each time", bought_anew),
    ("what can be renewed is renewed instead", renewed_instead),
    ("what is over for everybody is on sale no more", over),
])
