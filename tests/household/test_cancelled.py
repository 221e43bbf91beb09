#!/usr/bin/python3
"""Transfers that are cancelled, at either end, before, in the middle and without the other: who it was is said, the same is wanted again, what it has cost is paid once."""
import os
import subprocess

from household import PROGRAMS, Fresh, Household, enter_namespace, run_cases, wait_for
from terminal import Terminal

enter_namespace()
h = Household().settle()
fresh = Fresh(h, 100)  # 17 MB
bought = fresh.bought


def begin(device, *args):
    return subprocess.Popen([PROGRAMS["hearth"], "--socket", device.socket, *args], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def last(device, content):
    return next(t for t in reversed(device("transfers")["transfers"]) if t["content"] == content)


def in_state(device, content, *states):
    return wait_for(f"transfer is {states}", lambda: (t := last(device, content))["state"] in states and t, 30)


def line(device, content):
    """Of its transfer, as people see it, with the note beneath."""
    listed = subprocess.run([PROGRAMS["hearth"], "--socket", device.socket, "transfers", "--all"], capture_output=True, text=True, timeout=60, check=True).stdout.splitlines()
    at = next(i for i, text in enumerate(listed) if text.split()[:1] == [str(last(device, content)["number"])])
    return " ".join(listed[at:at + 2])


def in_the_middle(verb, content):
    """A copy or move to the bedroom that is under way; limit_is_over() lets it end."""
    h.bedroom("transfers", "limit", "2M")
    copying = begin(h.kitchen, verb, content, "--to", "bedroom")
    wait_for("something has arrived", lambda: last(h.bedroom, content)["done_bytes"] > 0, 30)
    return copying


def limit_is_over():
    h.bedroom("transfers", "limit", "none")


def cancel(device, content):
    device("transfers", "cancel", str(last(device, content)["number"]))


def given_back(content):
    title = h.kitchen.track(content)["title"]
    return [b for b in h.kitchen("bills")["bills"] if b["amount"] > 0 and title in b["text"]]


def copies_paid(content):
    """How many copies of it were paid for, less what was given back."""
    title = h.kitchen.track(content)["title"]
    return -sum(b["amount"] for b in h.kitchen("bills")["bills"] if title in b["text"] and b["kind"] in ("copy", "refund")) / 300


def nothing_is_left(content):
    wait_for("nothing stays", lambda: not [f for f in os.listdir(os.path.join(h.bedroom.state, "bodies")) if f.startswith(content)])
    assert not [t for t in h.bedroom.library() if t["content"] == content]


def waits_for_its_destination(content):
    """The certificate is here: what is cancelled before ends at once."""
    wait_for("it waits for its destination", lambda: last(h.kitchen, content)["reason"] == "offline")


def cancelled_before_it_came():
    """A copy to bedroom, which is off."""
    content = bought(size=300000)
    h.bedroom.stop()
    copying = begin(h.kitchen, "copy", content, "--to", "bedroom")
    waits_for_its_destination(content)
    cancel(h.kitchen, content)
    assert copying.wait(20) == 1
    return content


def cancels_a_copy():
    content = cancelled_before_it_came()
    wait_for("it is on its way back", lambda: last(h.kitchen, content)["reason"] == "cancelled")
    for action in ("pause", "resume"):
        assert "is being cancelled" in h.kitchen.refused("already", "transfers", action, str(last(h.kitchen, content)["number"])).message
    h.kitchen.kill()  # remembered
    h.kitchen.start()
    h.bedroom.start()
    in_state(h.kitchen, content, "cancelled")  # its destination has signed that it never takes it
    wait_for("the price is back", lambda: len(given_back(content)) == 1)
    h.kitchen("copy", content, "--to", "bedroom")  # a new certificate
    assert h.bedroom.track(content)["license"] == "valid"


def changes_ones_mind_after_a_cancel():
    content = cancelled_before_it_came()
    copying = begin(h.kitchen, "copy", content, "--to", "bedroom")
    wait_for("it goes on", lambda: last(h.kitchen, content)["reason"] == "offline")
    h.bedroom.start()
    assert copying.wait(40) == 0
    assert h.bedroom.track(content)["license"] == "valid"
    assert given_back(content) == []  # the very certificate, paid once


def cancels_in_the_middle():
    """At the source; the same again at once, and what it cost is paid once."""
    content = bought()
    copying = in_the_middle("copy", content)
    cancel(h.kitchen, content)
    assert copying.wait(20) == 1
    in_state(h.bedroom, content, "cancelled")
    assert "by kitchen" in line(h.bedroom, content), line(h.bedroom, content)
    limit_is_over()
    h.kitchen("copy", content, "--to", "bedroom")
    assert h.bedroom.track(content)["license"] == "valid"
    wait_for("it is paid once", lambda: copies_paid(content) == 1)


def destination_cancels_a_copy():
    """The source says who it was; the same again at once is a new copy, and what it cost is paid once."""
    content = bought()
    copying = in_the_middle("copy", content)
    title = h.kitchen.track(content)["title"]
    texts = [b["text"] for b in h.kitchen("bills")["bills"] if title in b["text"]]
    assert f"License: {title} (Purchase), on kitchen" in texts and f"Copy: {title} from kitchen to bedroom" in texts, texts  # which device it was
    cancel(h.bedroom, content)
    said, _ = copying.communicate(timeout=20)
    assert copying.returncode == 1 and "bedroom cancelled it" in said and "serial" not in said and "offline" not in said, said
    assert "cancelled" in (row := line(h.kitchen, content)) and "by bedroom" in row, row
    assert "by " not in line(h.bedroom, content), line(h.bedroom, content)
    nothing_is_left(content)
    limit_is_over()
    h.kitchen("copy", content, "--to", "bedroom")
    assert h.bedroom.track(content)["license"] == "valid"
    wait_for("it is paid once", lambda: copies_paid(content) == 1)
    assert "nothing was copied, nothing was charged" in h.kitchen.refused("already", "copy", content, "--to", "bedroom", "--again").message
    assert "it was there already" in line(h.kitchen, content) and copies_paid(content) == 1


def cancelled_while_the_destination_was_off():
    """What had arrived there goes, though nobody knew there any more what it was for."""
    content = bought()
    copying = in_the_middle("copy", content)
    h.bedroom.kill()
    cancel(h.kitchen, content)
    assert copying.wait(20) == 1
    assert os.path.exists(os.path.join(h.bedroom.state, "bodies", content + ".part"))
    h.bedroom.start()
    in_state(h.kitchen, content, "cancelled")
    nothing_is_left(content)
    limit_is_over()


def refused_while_the_source_was_away():
    """The word waits for the source. Whoever asks there again, before it was heard, means another copy."""
    content = bought()
    copying = in_the_middle("copy", content)
    h.kitchen.kill()
    copying.communicate()
    cancel(h.bedroom, content)
    in_state(h.bedroom, content, "cancelled")
    limit_is_over()
    h.bedroom.stop()
    h.kitchen.start()
    copying = begin(h.kitchen, "copy", content, "--to", "bedroom")
    wait_for("it waits", lambda: last(h.kitchen, content)["reason"] == "offline")
    h.bedroom.start()
    assert copying.wait(30) == 0, copying.stdout.read()
    assert h.bedroom.track(content)["license"] == "valid"
    wait_for("it is paid once", lambda: copies_paid(content) == 1)


def listed_until_it_is_back(content):
    """A move that is cancelled is listed as long as its license cannot be used."""
    row = last(h.kitchen, content)
    license = h.kitchen.track(content)["license"]
    assert license == "valid" or row["state"] in ("running", "waiting"), (row, license)
    return license == "valid"


def takes_a_move_back():
    content = bought(size=300000)
    h.bedroom.stop()
    moving = begin(h.kitchen, "move", content, "--to", "bedroom")
    in_state(h.kitchen, content, "waiting")
    wait_for("the license sleeps", lambda: h.kitchen.track(content)["license"] == "suspended")
    h.kitchen.refused("license-suspended", "play", content, "--output", "digest")
    cancel(h.kitchen, content)
    assert h.kitchen.track(content)["license"] == "suspended"  # only the destination's refusal wakes it
    assert moving.wait(40) == 1
    for _ in range(2):
        wait_for("it is listed", lambda: "giving back" in (row := line(h.kitchen, content)) and "used here again when bedroom has answered" in row)
        h.kitchen.kill()
        h.kitchen.start()
    h.bedroom.start()
    wait_for("the license is awake", lambda: listed_until_it_is_back(content))
    in_state(h.kitchen, content, "cancelled")
    assert not [t for t in h.bedroom.library() if t["content"] == content]
    h.kitchen.digest(content)
    h.kitchen("move", content, "--to", "bedroom")
    assert h.bedroom.track(content)["license"] == "valid"


def a_move_meets_a_copy():
    """Two licenses become one: that is asked at a terminal, and said, at both ends."""
    content = bought(size=100000)
    h.kitchen("copy", content, "--to", "bedroom")
    person = Terminal(h.kitchen, "move", content, "--to", "bedroom")
    person.sees("bedroom was given a copy before; if it still has it, the two become one license")
    person.type("n\n")
    person.ends(1)
    assert h.kitchen.track(content)["license"] == "valid"
    said, _ = begin(h.kitchen, "move", content, "--to", "bedroom").communicate(timeout=30)
    assert "a copy that it still had from before is one license with it now" in said, said
    heard = subprocess.run([PROGRAMS["hearth"], "--socket", h.bedroom.socket, "events"], capture_output=True, text=True, timeout=60, check=True).stdout
    assert "in place of the copy that was here" in heard, heard


def destination_cancels_a_move():
    content = bought()
    moving = in_the_middle("move", content)
    cancel(h.bedroom, content)
    wait_for("the license is awake", lambda: listed_until_it_is_back(content))
    said, _ = moving.communicate(timeout=20)
    assert moving.returncode == 1 and "bedroom cancelled it: it stays here" in said, said
    limit_is_over()
    nothing_is_left(content)
    h.kitchen("move", content, "--to", "bedroom")
    assert h.bedroom.track(content)["license"] == "valid"


run_cases([("a copy is cancelled", cancels_a_copy), ("a cancelled copy is wanted after all", changes_ones_mind_after_a_cancel), ("a copy is cancelled in the middle", cancels_in_the_middle),
           ("its destination cancels a copy", destination_cancels_a_copy), ("it is cancelled while its destination is off", cancelled_while_the_destination_was_off), ("it is refused while the source is away", refused_while_the_source_was_away),
           ("a move is taken back", takes_a_move_back), ("a move meets a copy", a_move_meets_a_copy), ("its destination cancels a move", destination_cancels_a_move)])
