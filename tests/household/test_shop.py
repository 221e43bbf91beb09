#!/usr/bin/python3
"""What a person is told of prices, before and after: buying, buying anew, renewing. Every cent that is charged was told, and nothing is bought twice."""
import os
import signal
import sqlite3
import subprocess
import tempfile
import time

from household import PROGRAMS, Household, enter_namespace, make_track, run_cases, wait_for
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
    path = make_track(os.path.join(root, "until.flac"), 1, seed=9)
    until = int(time.time() * 1000) + 8000  # so long a publication and a purchase may take
    one = h.publish(path, "--title", "Until a day", "--price", "1.00", "--usage-until-ms", str(until), "--name", "Until then")
    h.kitchen("get", one, "--yes")
    wait_for("it has ended", lambda: h.kitchen.track(one)["license"] == "expired")
    said = plainly(h.kitchen, "get", one, "--yes", status=1)
    assert "ended" in said and "hearth get" not in said and "hearth browse" in said, said
    assert "hearth get" in plainly(h.kitchen, "renew", one, "--yes", status=1)


def copies_are_told():
    """What a copy costs is told before the license is bought, before the copy is made where somebody can be asked, and afterwards."""
    one = song("Copy me", "--price", "1.00", "--copy-price", "0.10", "--max-copies", "6", "--copy-depth", "1", "--max-removable", "2", "--name", "With copies")
    assert "0.10 EUR" in plainly(h.kitchen, "browse", "Copy me")
    assert "Each copy costs 0.10 EUR" in plainly(h.kitchen, "get", one, "--yes")
    assert "6 of 6 left; each costs 0.10 EUR" in plainly(h.kitchen, "show", one)
    before = spent()
    t = Terminal(h.kitchen, "copy", one, "--to", "attic")
    t.sees(r"Copy me: a copy costs 0\.10 EUR\.[\s\S]*Go on\? \[y/N\]")
    t.type("n\n")
    t.ends(1)
    assert spent() == before
    t = Terminal(h.kitchen, "copy", one, "--to", "attic")
    t.sees(r"Go on\? \[y/N\]")
    t.type("y\n")
    shown = t.ends()
    assert "Copy me was copied to attic; 0.10 EUR was charged." in shown, shown
    assert spent() == before + 10
    assert "5 of 6 left" in plainly(h.kitchen, "show", one)
    assert h.kitchen("show", one)["terms"] == {"currency": "EUR", "copy_price": 10, "move_price": 0, "copies": 1, "removables": 0, "checkouts": 0, "copies_left": 5}
    shown = Terminal(h.kitchen, "copy", one, "--to", "attic").ends()  # done before: nothing is asked, and nothing charged
    assert "nothing was done" in shown and "charged" not in shown, shown
    assert "charged" not in plainly(h.kitchen, "copy", one, "--to", "attic") and spent() == before + 10
    t = Terminal(h.bedroom, "fetch", one, "--from", "kitchen")
    t.sees(r"the copy costs 0\.10 EUR\.[\s\S]*Go on\? \[y/N\]")
    t.type("n\n")
    t.ends(1)
    assert spent() == before + 10
    assert "is in the library; 0.10 EUR was charged." in plainly(h.bedroom, "fetch", one, "--from", "kitchen")
    assert spent() == before + 20
    assert "charged" not in plainly(h.bedroom, "fetch", one, "--from", "kitchen")  # verified only
    medium = os.path.join(root, "medium")
    os.mkdir(medium)
    assert "0.10 EUR was charged" in plainly(h.kitchen, "export", one, "--to", "attic", medium)
    assert "charged" not in plainly(h.kitchen, "export", one, "--to", "attic", medium)  # the same certificate, which was not used yet
    assert spent() == before + 30
    h.attic("import", medium)
    t = Terminal(h.kitchen, "export", one, "--to", "attic", medium)
    t.sees(r"the copy costs 0\.10 EUR\.[\s\S]*Go on\? \[y/N\]")
    t.type("y\n")
    assert "0.10 EUR was charged" in t.ends()
    assert spent() == before + 40
    t = Terminal(h.kitchen, "move", one, "--to", "attic")  # free here: what is asked is whether two licenses become one
    t.type("y\n")
    assert "EUR" not in t.ends() and spent() == before + 40
    h.aurora.stop()
    two = h.attic.track(one)
    assert two["license"] == "valid"
    shown = plainly(h.attic, "show", one)
    assert "cannot be asked now" in shown and "of 6 left" not in shown, shown
    h.aurora.start()


def copies_in_json():
    one = song("Told to programs", "--price", "1.00", "--copy-price", "0.10", "--max-copies", "2", "--copy-depth", "1", "--name", "Two copies")
    wait_for("kitchen is connected", lambda: h.kitchen("status")["distributors_online"] == 1, 40)
    h.kitchen("get", one, "--yes")
    done = h.kitchen("copy", one, "--to", "attic")["transfers"][0]
    assert (done["charged"], done["currency"]) == (10, "EUR"), done
    assert h.kitchen("copy", one, "--to", "attic")["transfers"][0]["charged"] == 0
    done = h.bedroom("fetch", one, "--from", "kitchen")
    assert (done["charged"], done["currency"]) == (10, "EUR"), done


def numbers_are_a_terminals():
    """What another terminal, or a script, was shown meanwhile changes no number here; and a terminal that was shown nothing has none."""
    for title in ("Number one", "Number two"):
        song(title, "--price", "1.00", "--name", "Numbered")
    t = Terminal(h.kitchen, shell='"$HEARTH" browse Number; read -r; "$HEARTH" get 2')
    title = t.sees(r"\n2 +(Number \w+) ").group(1)
    plainly(h.kitchen, "library")
    other = Terminal(h.kitchen, shell='"$HEARTH" library; "$HEARTH" browse "Copy me"; echo shown')
    other.sees("shown")
    other.ends()
    t.type("\n")
    t.sees(f"{title} from aurora: 1.00 EUR")
    t.sees(r"Buy it\? \[y/N\]")
    t.type("n\n")
    t.ends(1)
    refused = Terminal(h.kitchen, "get", "2").ends(1)
    assert "was shown at this terminal" in refused, refused
    refused = Terminal(h.kitchen, "show", "2").ends(1)
    assert "this terminal was shown last" in refused, refused


def removed_by_name():
    one = song("Not to be lost", "--price", "1.00", "--name", "Kept")
    h.kitchen("get", one, "--yes")
    t = Terminal(h.kitchen, shell='"$HEARTH" library "Not to be"; "$HEARTH" remove 1')
    t.sees(r"Remove Not to be lost from this device\? \[y/N\]")
    t.type("n\n")
    t.ends(1)
    assert h.kitchen.track(one)["has_body"]
    assert "Not to be lost was removed from this device." in Terminal(h.kitchen, "remove", one, "--yes").ends()
    h.kitchen("get", one, "--download-only")
    assert "Not to be lost was removed" in plainly(h.kitchen, "remove", one)


def refused_once():
    one = song("Said once", "--price", "1.00", "--max-plays", "1", "--renew-price", "0.50", "--name", "Once, renewable")
    h.kitchen("get", one, "--yes")
    use_up(h.kitchen, one)
    t = Terminal(h.kitchen, "play", one, "--output", "null")
    t.sees(r"Renew it\? \[y/N\]")
    t.type("n\n")
    shown = t.ends(1)
    assert shown.count("use-exhausted") == 1, shown
    refusal = h.kitchen.refused("use-exhausted", "play", one, "--output", "null")
    assert "used up" in refusal.message


def said_twice_done_once():
    assert "Nothing is playing." in plainly(h.kitchen, "stop")
    assert h.kitchen("stop") == {"state": "stopped"}
    assert "has this name already" in plainly(h.kitchen, "devices", "rename", "attic", "attic")
    assert "hearth devices" in h.kitchen.refused("not-found", "devices", "rename", "cellar", "vault").message
    wanted = song("Wanted", "--price", "1.00", "--max-plays", "1", "--play-time", "20s", "--name", "Limits")
    for _ in range(2):
        assert "is on the wish list" in plainly(h.kitchen, "wishlist", "add", wanted)
    listed = subprocess.run([PROGRAMS["hearth-distributor"], "--state-dir", h.aurora.dir, "product", "list"], capture_output=True, text=True, check=True).stdout
    assert "1 play, 0:20 min playing" in listed, listed


def numbers_that_are_none():
    """What is no number, or larger than any, is not taken for another one: not for a product, a transfer, or a place in the queue."""
    one = song("Numbered", "--price", "1.00", "--renew-price", "0.50", "--max-plays", "1")
    h.kitchen("get", one, "--yes")
    before = h.aurora.admin("stats")
    for none in (str(2 ** 32 + 1), "1x", "x", "-1", " 1", "0", ""):
        for command in (("get", one, "--again", "--yes", "--product=" + none), ("renew", one, "--yes", "--product=" + none), ("transfers", "cancel", "--", none), ("queue", "--drop=" + none)):
            assert h.kitchen.refused("usage", *command).status == 2, command
    assert h.aurora.admin("stats") == before


def nothing_moves_on_a_dumb_terminal():
    one = song("On paper", "--price", "0.10", "--copy-price", "0", "--max-copies", "2")
    for command in (f"get {one} --yes", f"copy {one} --to attic --yes", f"play {one} --output null", "transfers --follow --all", "library", "nonsense"):
        t = Terminal(h.kitchen, shell=f'unset NO_COLOR; TERM=dumb "$HEARTH" {command}; true')
        assert "\x1b" not in (said := t.ends()), (command, said)


def what_is_not_there_is_named():
    """What was asked for, and the command that lists what there is."""
    for words, said in ((("devices", "remove", "shed"), "called shed: hearth devices"), (("devices", "rename", "shed", "x"), "called shed: hearth devices"),
                        (("library", "--on", "shed"), "called shed: hearth devices"), (("transfers", "cancel", "99"), "hearth transfers --all"),
                        (("logout", "shed"), "hearth accounts"), (("unlink", "shed"), "hearth accounts"), (("get", "no such title"), "hearth browse")):
        told = plainly(h.kitchen, *words, status=1)
        assert said in told and "There is nothing of this name" not in told, (words, told)


def a_mistyped_id_is_told():
    """The URL's ID is a distributor's that does not answer there: whose address it is, is said."""
    url = h.aurora.url.split("#")[0] + "#" + h.directory.id
    password = os.path.join(root, "a-password")
    with open(password, "w") as f:
        f.write("no such\n")
    told = plainly(h.kitchen, "register", url, "--user", "alice", "--password-file", password, status=1)
    assert "keyset-invalid" in told and "calls itself aurora" in told and h.aurora.id[:8] in told, told


def what_shells_ask_for():
    """Names for completion; nothing, and soon, of a hearthd that is away or stands still."""
    assert set(plainly(h.kitchen, "completion", "devices").splitlines()) >= {"kitchen", "bedroom"}
    assert "aurora" in plainly(h.kitchen, "completion", "distributors").lower()
    os.kill(h.kitchen.process.child.pid, signal.SIGSTOP)
    try:
        assert plainly(h.kitchen, "completion", "devices") == ""
    finally:
        os.kill(h.kitchen.process.child.pid, signal.SIGCONT)
    assert subprocess.run([PROGRAMS["hearth"], "--socket", root + "/none", "completion", "devices"], capture_output=True, check=True).stdout == b""


run_cases([
    ("what is used up is bought anew, once each time", bought_anew),
    ("what can be renewed is renewed instead", renewed_instead),
    ("what is over for everybody is on sale no more", over),
    ("what a copy costs is told before and after", copies_are_told),
    ("and so to programs", copies_in_json),
    ("numbers belong to the terminal that was shown them", numbers_are_a_terminals),
    ("what is removed is named, and asked", removed_by_name),
    ("a refusal is said once", refused_once),
    ("what is so already is done, with a word", said_twice_done_once),
    ("numbers that are none", numbers_that_are_none),
    ("nothing moves on a dumb terminal", nothing_moves_on_a_dumb_terminal),
    ("a mistyped ID is told", a_mistyped_id_is_told),
    ("what is not there is named", what_is_not_there_is_named),
    ("what shells ask for", what_shells_ask_for),
])
