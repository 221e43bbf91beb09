#!/usr/bin/python3
"""A device that is lost and removed: what was on its way to it ends at once, everywhere, and nothing more goes there. Count and price of a copy come back, once for each license."""
import base64
import os
import signal
import subprocess

from household import PROGRAMS, Household, enter_namespace, make_track, rows_of, run_cases, wait_for

ISSUED, ENDED, GIVEN_BACK = 1, 4, 5
enter_namespace()
h = Household().settle()
made = 0


def bought():
    global made
    made += 1
    path = make_track(os.path.join(h.root, f"lost{made}.flac"), 1, seed=200 + made)
    content = h.publish(path, "--title", f"Song {made}", "--price", "1", "--copy-price", "0.10", "--max-copies", "2", "--copy-depth", "1")
    h.kitchen("get", content, "--yes")
    return content


def phone(name, distributor=None, user="alice"):
    device = h.device(name, distributor or h.aurora, user)
    wait_for("kitchen sees it", lambda: h.kitchen.sees(name), 30)
    return device, device("status")["client"]


def begin(device, *args):
    return subprocess.Popen([PROGRAMS["hearth"], "--socket", device.socket, "--json", *args], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)


def last(content):
    return [t for t in h.kitchen("transfers")["transfers"] if t["content"] == content][-1]


def waiting_copy(content, name, client, verb="copy"):
    """Of a device that is switched off; certified, therefore charged."""
    command = begin(h.kitchen, verb, content, "--to", name)
    wait_for("it is certified", lambda: certificates(client) == [ISSUED], 30)
    wait_for("it waits", lambda: last(content)["state"] == "waiting", 30)
    return command


def raw(client):
    return base64.b32decode(client.upper() + "=" * (-len(client) % 8))


def certificates(client):
    return [state for state, in rows_of(os.path.join(h.aurora.dir, "operations.db"), "SELECT state FROM certificate WHERE destination = ?", raw(client))]


def balance():
    return h.kitchen("bills", "aurora", "--limit", "1000")["totals"][0]["balance"]


def ended(content):
    wait_for("it has ended", lambda: last(content)["state"] == "failed", 30)
    assert last(content)["reason"] == "device-revoked", last(content)


def copied_before():
    """What was done before says nothing of a device that is no sibling any more."""
    content = bought()
    _, client = phone("den")
    h.kitchen("copy", content, "--to", "den")
    h.kitchen("devices", "remove", "den")
    wait_for("kitchen knows", lambda: not h.kitchen.sees("den") and all(d["name"] != "den" for d in h.kitchen("devices")["devices"]))
    h.kitchen.refused("device-revoked", "copy", content, "--to", client)


def waits_for_it():
    content = bought()
    before = balance()
    pocket, client = phone("pocket")
    pocket.stop()
    command = waiting_copy(content, "pocket", client)
    assert balance() == before - 10
    h.kitchen("devices", "remove", "pocket")
    out, _ = command.communicate(timeout=30)
    assert command.returncode == 1 and '"device-revoked"' in out, out
    ended(content)
    assert certificates(client) == [GIVEN_BACK] and balance() == before
    h.kitchen.refused("device-revoked", "copy", content, "--to", client)
    pocket.start()
    for device in (h.attic, h.bedroom):  # both counts are there again
        h.kitchen("copy", content, "--to", device.name)
    assert content not in [t["content"] for t in pocket.library()]
    assert last(content)["state"] == "done"


def once_for_each_license():
    content = bought()
    serials = []
    for name in ("first", "second"):
        device, client = phone(name)
        device.stop()
        command = waiting_copy(content, name, client)
        h.kitchen("devices", "remove", name)
        command.wait(30)
        serials.append(certificates(client))
        if name == "second":
            assert serials == [[GIVEN_BACK], [ENDED]], serials
            before = balance()
            serial = next(c["serial"] for c in h.aurora.admin("certificate", "list", "--user", "alice")["certificates"] if c["destination"] == client)
            h.aurora.admin("certificate", "give-back", serial)  # the operator need not wait for its end
            assert certificates(client) == [GIVEN_BACK] and balance() == before + 10


def heard_after_a_kill():
    content = bought()
    device, client = phone("old")
    device.stop()
    command = waiting_copy(content, "old", client)
    h.kitchen.kill()
    command.wait(20)
    h.aurora.admin("device", "revoke", client)
    assert certificates(client) == [GIVEN_BACK]
    h.kitchen.start()
    ended(content)


def asked_for_before_a_kill():
    """Nothing was certified yet when its source was killed, and its destination does not come: the source asks again by itself."""
    content = bought()
    device, client = phone("slate")
    device.stop()
    os.kill(h.aurora.process.child.pid, signal.SIGSTOP)
    h.kitchen.kill()
    h.kitchen.start()  # and reaches nobody
    command = begin(h.kitchen, "copy", content, "--to", "slate")
    wait_for("it is to be asked for", lambda: rows_of(f"{h.kitchen.state}/hearthd.db", "SELECT count(*) FROM copy WHERE destination = ?", raw(client)) == [(1,)])
    h.kitchen.kill()
    command.wait(20)
    assert certificates(client) == []
    os.kill(h.aurora.process.child.pid, signal.SIGCONT)
    h.kitchen.start()
    wait_for("it is certified", lambda: certificates(client) == [ISSUED], 30)
    wait_for("it says what it waits for", lambda: last(content)["reason"] == "offline")
    h.kitchen("devices", "remove", "slate")
    ended(content)
    assert certificates(client) == [GIVEN_BACK]


def of_another_distributor():
    content = bought()
    device, client = phone("guest", h.boreal, "alina")
    device.stop()
    command = waiting_copy(content, "guest", client)
    h.bedroom("devices", "remove", "guest")
    command.wait(30)
    ended(content)
    wait_for("aurora has heard of it", lambda: certificates(client) == [GIVEN_BACK], 30)


def a_move_waits():
    content = bought()
    device, client = phone("watch")
    device.stop()
    command = waiting_copy(content, "watch", client, "move")
    wait_for("the license sleeps", lambda: h.kitchen.track(content)["license"] == "suspended")
    h.kitchen("devices", "remove", "watch")
    command.communicate(timeout=30)
    assert command.returncode == 1
    wait_for("it says why", lambda: last(content)["reason"] == "device-revoked")
    assert last(content)["state"] == "waiting" and certificates(client) == [ISSUED]
    device.start()
    h.kitchen.refused("license-suspended", "copy", content, "--to", "attic")
    assert content not in [t["content"] for t in device.library()]


run_cases([("what was copied to it before is not said to be there", copied_before), ("a copy that waits for it ends, and nothing more goes there", waits_for_it),
           ("count and price come back once for each license", once_for_each_license), ("a source that was down hears of it", heard_after_a_kill),
           ("asked for before a kill", asked_for_before_a_kill), ("a customer of another distributor", of_another_distributor), ("a move is not given to it", a_move_waits)])
