#!/usr/bin/python3
"""What an operator does wrong, and is told: a directory that is not reached, the root key that is elsewhere, bodies that are missing, addresses that are none.
Distributors alone, no devices."""
import json
import os
import signal
import subprocess
import tempfile
import time

from household import PROGRAMS, Distributor, Process, Refused, enter_namespace, free_port, run_cases, wait_for

enter_namespace()
root = tempfile.mkdtemp(prefix="hearth-test-")
directory, aurora, boreal = Distributor(root, "directory", directory=True), Distributor(root, "aurora"), Distributor(root, "boreal")


def said(distributor, *words, status=0, feed="", **more):
    """What a person reads: standard output and standard error."""
    done = subprocess.run([PROGRAMS["hearth-distributor"], "--state-dir", distributor if isinstance(distributor, str) else distributor.dir, *words], capture_output=True, text=True, input=feed,
                          timeout=120, **more)
    assert done.returncode == status, (words, done)
    return done.stdout + done.stderr


def refused(code, distributor, *words):
    try:
        raise AssertionError(f"{words}: expected {code}, but it was done: {distributor.admin(*words)}")
    except Refused as refusal:
        assert refusal.code == code, refusal
        return refusal.message


def state(distributor):
    return distributor.admin("directory", "show")["state"]


def a_directory_that_is_not_reached():
    for url in (aurora.url, aurora.url.split("#")[0] + "#" + directory.id, directory.url.split("#")[0] + "#" + aurora.id):
        assert "this very distributor" in refused("not-permitted", aurora, "directory", "set", url)
    assert state(aurora) == "none"
    aurora.start()
    aurora.admin("directory", "set", directory.url)
    assert wait_for("it is found away", lambda: (s := state(aurora)).startswith("away ") and s) == "away offline"
    told = said(aurora, "directory", "check")
    assert "directory was not reached" in told and "Nobody answers" in told, told
    directory.start()
    wait_for("it does not know us", lambda: state(aurora) == "away unknown-distributor")
    checked = aurora.admin("directory", "check")
    assert checked["asked"] and checked["directory"] == "away unknown-distributor", checked
    assert f"partner add hearth://HOST:PORT#{aurora.id} --name aurora" in said(aurora, "directory", "check")
    aurora.admin("directory", "set", directory.url.split("#")[0] + "#" + boreal.id)
    wait_for("another one answers", lambda: state(aurora) == "away keyset-invalid")
    assert "Another distributor" in said(aurora, "directory", "check")
    aurora.admin("directory", "set", directory.url)
    directory.admin("partner", "add", aurora.url, "--name", "aurora")
    wait_for("it is reached", lambda: state(aurora) == "reached")
    checked = aurora.admin("directory", "check")
    assert checked["directory"] == "reached" and "not reached" not in said(aurora, "directory", "check"), checked
    rows = aurora.admin("directory", "show")["rows"]
    wait_for("it has our rows", lambda: [(m["name"], m["rows"]) for m in directory.admin("directory", "members")["members"]] == [("aurora", rows)])
    aurora.admin("directory", "unset")
    wait_for("there is none", lambda: state(aurora) == "none" and aurora.admin("directory", "check")["directory"] == "none")


def serving_is_refused_with_a_reason():
    lone = os.path.join(root, "lone")
    os.makedirs(os.path.join(root, "empty"))
    port = free_port()
    said(lone, "init", "--name", "lone", "--listen", f"127.0.0.1:{port}")
    config = os.path.join(root, "lone.conf")
    for text, words, expected in (
            ("", ("--listen", "*:7700"), "listen *:7700: that is no address"), ("", ("--listen", aurora.url[9:].split("#")[0]), "another program listens there"),
            ("", ("--listen", "192.0.2.77:1"), "no such address"), ("", ("--pid-file", "/proc/nosuch/pid"), "pid-file /proc/nosuch/pid: No such file"),
            ("", ("--address-file", "/proc/nosuch/a"), "address-file /proc/nosuch/a: No such file"),
            ("[metrics]\nlisten = 0.0.0.0:9477\n", (), "[metrics] listen 0.0.0.0:9477: write a loopback address")):
        with open(config, "w") as f:
            f.write(text)
        told = said(lone, "--config", config, "serve", *words, status=1)
        assert "Cannot serve: " in told and expected in told and "Invalid argument" not in told, (words, told)
    for at, expected in ((os.path.join(root, "nothing"), "init makes it"), (os.path.join(root, "empty"), "no distributor was made there yet")):
        assert expected in said(at, "serve", status=1)
    os.chmod(os.path.join(lone, "keys", "tls.key"), 0o644)
    assert "chmod 600" in said(lone, "serve", status=1)
    os.chmod(os.path.join(lone, "keys", "tls.key"), 0o600)
    assert "contents init" in said(lone, "serve", "--role", "contents", status=1)
    assert aurora.process.running()
    assert "another server runs on it" in said(aurora, "serve", status=1)


def a_keyset_that_is_due_is_not_forgotten():
    """The root key is elsewhere: what waits for it is said by every command until it is signed."""
    root_key, request, answer = (os.path.join(root, name) for name in ("root.pem", "request", "answer"))

    def is_due(word):
        figures = said(aurora, "stats", "--openmetrics")
        for text in (said(aurora, "keys", "list"), said(aurora, "stats")):
            assert (word in text and "keys request FILE" in text) if word else "keyset is to be signed" not in text, text
        assert bool(aurora.admin("stats")["keyset_due"]) == bool(aurora.admin("keys", "list")["due"]) == bool(word)
        assert f"hearth_keyset_due {1 if word else 0}\n" in figures, figures
        return True

    def sign():
        aurora.admin("keys", "request", request)
        said(aurora, "keys", "sign", "--root", root_key, request, answer)
        aurora.admin("keys", "install", answer)

    aurora.admin("partner", "add", boreal.url, "--name", "boreal")
    is_due("")
    aurora.admin("keys", "root", "export", root_key)
    is_due("")
    for before in (False, True):  # and again
        told = aurora.admin("partner", "withdraw", "boreal")
        assert "keys request" in told["needed"] and told["withdrawn_before"] == before, told
        is_due("a partner was withdrawn")
    sign()
    is_due("")
    assert aurora.admin("partner", "withdraw", "boreal")["needed"] == ""
    aurora.admin("keys", "rotate", "license", "--request", request)
    is_due("keys were made anew")
    sign()
    is_due("")
    backup = os.path.join(root, "backup")
    aurora.admin("backup", backup)
    aurora.stop()
    assert "keys sign where" in said(aurora, "restore", backup, "--replace")
    aurora.start()
    is_due("the database was restored")
    sign()
    is_due("")


run_cases([(f.__name__.replace("_", " "), f) for f in (
    a_directory_that_is_not_reached, serving_is_refused_with_a_reason, a_keyset_that_is_due_is_not_forgotten)])
