#!/usr/bin/python3
"""A device whose vault was put back from an older copy: distributors notice at the next contact, and not otherwise."""
import os
import shutil
import subprocess

from household import PROGRAMS, Household, enter_namespace, make_track, run_cases, wait_for

enter_namespace()
h = Household().settle()
track = h.publish(make_track(os.path.join(h.root, "t.flac"), 2, seed=81), "--price", "1")
vault, kept = os.path.join(h.kitchen.state, "vault"), os.path.join(h.root, "vault.kept")


def has(kind):
    done = subprocess.run([PROGRAMS["hearth"], "--socket", h.kitchen.socket, "--json", "events"], capture_output=True, text=True, timeout=60, check=True)
    return f'"{kind}"' in done.stdout


def is_connected():
    return has("distributor-online")


def restarted_is_not_behind():
    h.kitchen.stop()
    shutil.copytree(vault, kept)
    h.kitchen.start()
    wait_for("it is connected", is_connected)
    h.kitchen("get", track, "--yes")
    h.kitchen.stop()
    h.kitchen.start()  # presents what the purchase made of it
    wait_for("it is connected", is_connected)
    assert not has("vault-behind")


def older_copy_is_noticed():
    h.kitchen.stop()
    shutil.rmtree(vault)
    shutil.copytree(kept, vault)
    h.kitchen.start()
    wait_for("the distributor says so", lambda: has("vault-behind"))
    with open(h.aurora.log, encoding="utf-8") as log:
        assert "restored from an older copy" in log.read()
    assert "vault copy" in [c["name"] for c in h.kitchen.anyhow("doctor")["checks"]]


def what_was_bought_since():
    owed = h.kitchen("accounts")["accounts"][0]["balance"]
    h.kitchen("unregister", "aurora", "--yes")
    h.kitchen.register(h.aurora, "alice", h.passwords["alice"])
    assert [t["content"] for t in h.kitchen("restore")["tracks"]] == [track]
    assert h.kitchen.digest(track)
    assert h.kitchen("accounts")["accounts"][0]["balance"] == owed


run_cases([("a vault that was only restarted is current", restarted_is_not_behind), ("an older copy of it is noticed", older_copy_is_noticed),
           ("what was bought since comes back and costs nothing", what_was_bought_since)])
