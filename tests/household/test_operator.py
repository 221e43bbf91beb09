#!/usr/bin/python3
"""What an operator does wrong, and is told: a directory that is not reached, the root key that is elsewhere, bodies that are missing, addresses that are none.
Distributors alone, no devices."""
import os
import signal
import subprocess
import tempfile

from household import PROGRAMS, Distributor, Refused, enter_namespace, free_port, run_cases, run_json, wait_for

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


def keys_that_change_twice_at_once():
    """The directory is shown the keyset before rows that the newest key has signed."""
    aurora.admin("directory", "set", directory.url)
    wait_for("it is reached", lambda: state(aurora) == "reached")
    begins = os.path.getsize(directory.log)
    for purpose in ("license", "tls", "license"):
        aurora.admin("keys", "rotate")
        aurora.admin("keys", "withdraw", purpose)
        rows = aurora.admin("directory", "show")["rows"]
        wait_for("it has the rows", lambda: aurora.admin("directory", "show")["rows_confirmed"] >= rows and state(aurora) == "reached", 30)
    with open(directory.log) as f:
        f.seek(begins)
        text = f.read()
    assert "refused" not in text, text
    aurora.admin("directory", "unset")


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
            ("[metrics]\nlisten = 127.0.0.999:9477\n", (), "[metrics] listen 127.0.0.999:9477: write a loopback address"),
            ("[server]\npayment-command = /bin/true\n", ("--pid-file", "/proc/nosuch/pid"), "payments wait: `settings payment-command`"),
            (f"[metrics]\nlisten = {aurora.url[9:].split('#')[0]}\n", (), "another program listens there; name another port.")):
        with open(config, "w") as f:
            f.write(text)
        told = said(lone, "--config", config, "serve", *words, status=1)
        assert "Cannot serve: " in told and expected in told and "Invalid argument" not in told, (words, told)
    assert "Cannot read the configuration /dev/null: it is no plain file." in said(lone, "--config", "/dev/null", "serve", status=1)
    for at, expected in ((os.path.join(root, "nothing"), "init makes it"), (os.path.join(root, "empty"), "no distributor was made there yet")):
        assert expected in said(at, "serve", status=1)
    os.chmod(os.path.join(lone, "keys", "tls.key"), 0o644)
    assert "chmod 600" in said(lone, "serve", status=1)
    os.chmod(os.path.join(lone, "keys", "tls.key"), 0o600)
    assert "contents init" in said(lone, "serve", "--role", "contents", status=1)
    assert aurora.process.running()
    assert "another server runs on it" in said(aurora, "serve", status=1)


def a_partner_is_called_as_its_operator_says():
    """Not as it calls itself, and no two by one name, but for those that were withdrawn."""
    stranger = "hearth://127.0.0.1:1#ra7a5csbnfm7asxpieyfsvseriggf2batvnaiqxt3rjtqcjcczfq"
    aurora.admin("partner", "add", boreal.url, "--name", "north")
    boreal.admin("partner", "add", aurora.url, "--name", "south")
    boreal.start()
    wait_for("boreal has shown its keyset", lambda: "delegated: partner=" in open(aurora.log).read())
    boreal.stop()
    assert [p["name"] for p in aurora.admin("partner", "list")["partners"]] == ["north"]
    assert [p["name"] for p in boreal.admin("partner", "list")["partners"]] == ["south"]
    assert "another name" in refused("ambiguous", aurora, "partner", "add", stranger, "--name", "north")
    aurora.admin("partner", "add", stranger, "--name", "far")
    refused("ambiguous", aurora, "partner", "add", boreal.url, "--name", "far")
    aurora.admin("partner", "withdraw", "far")
    aurora.admin("partner", "add", boreal.url, "--name", "far")
    assert aurora.admin("partner", "terms", "far", "--pays-fee", "0.01")["partner"] == "far"
    aurora.admin("partner", "withdraw", "far")
    assert [p["withdrawn"] for p in aurora.admin("partner", "list")["partners"]] == [True, True]
    assert "beginning of its ID" in refused("ambiguous", aurora, "partner", "withdraw", "far")


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
        for _ in range(2):  # the second time it is there already
            aurora.admin("keys", "install", answer)

    aurora.admin("partner", "add", boreal.url, "--name", "boreal")
    boreal.admin("partner", "add", aurora.url, "--name", "aurora")
    boreal.start()
    wait_for("boreal may sign for customers of aurora", lambda: "delegated: partner=boreal" in open(aurora.log).read())
    boreal.stop()
    is_due("")
    assert aurora.admin("keys", "list")["root_in"] == "a file"
    aurora.admin("keys", "root", "export", root_key)
    assert aurora.admin("keys", "list")["root_in"] == "elsewhere"
    is_due("")
    for before in (False, True):  # and again
        told = aurora.admin("partner", "withdraw", "boreal")
        assert "keys request" in told["needed"] and told["withdrawn_before"] == before and told["room"] == 55, told
        is_due("a partner was withdrawn")
    sign()
    is_due("")
    assert aurora.admin("partner", "withdraw", "boreal")["needed"] == ""
    for purpose in ("tls", "license"):  # done here, and what is left to be done is said
        key = next(k["key"] for k in aurora.admin("keys", "list")["keys"] if k["purpose"] == purpose and k["state"] == "in use")
        for _ in range(2):
            told = aurora.admin("keys", "withdraw", key)
            assert told["key"] == key and told["purpose"] == purpose and "keys request FILE" in told["needed"], told
        is_due("a key was withdrawn")
    sign()
    is_due("")
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


def song(path, mib):
    with open(path, "wb") as f:
        f.write(b"fLaC")
        f.truncate(mib << 20)
    return path


def bodies_that_are_missing():
    published = boreal.admin("publish", song(os.path.join(root, "a song.flac"), 1), "--price", "1.29")["published"][0]["content"]
    backup, fresh = os.path.join(root, "light"), os.path.join(root, "fresh")
    boreal.admin("backup", backup, "--without-bodies")
    told = said(fresh, "restore", backup)
    assert "1 of 1 bodies are not in" in told and f"{published}.body  a song" in told and "a device" in told, told
    assert run_json([PROGRAMS["hearth-distributor"], "--state-dir", fresh, "--json", "restore", "--here"])["bodies_missing"] == 1
    os.link(os.path.join(boreal.dir, "bodies", published + ".body"), os.path.join(fresh, "bodies", published + ".body"))
    assert run_json([PROGRAMS["hearth-distributor"], "--state-dir", fresh, "--json", "restore", "--here"])["bodies_missing"] == 0


def an_interrupted_publish_leaves_nothing():
    bodies, big = os.path.join(boreal.dir, "bodies"), song(os.path.join(root, "big.flac"), 2000)
    before = os.listdir(bodies)
    for number in (signal.SIGINT, signal.SIGKILL):
        child = subprocess.Popen([PROGRAMS["hearth-distributor"], "--state-dir", boreal.dir, "publish", big, "--price", "1"], stderr=subprocess.DEVNULL)

        def writes():
            assert child.poll() is None
            links = (os.readlink(f"/proc/{child.pid}/fd/{fd}") for fd in os.listdir(f"/proc/{child.pid}/fd"))
            return any(link.startswith(bodies + "/") for link in links)
        wait_for("it writes the body", writes, 60)
        child.send_signal(number)
        child.wait(20)
        assert os.listdir(bodies) == before
    with open(os.path.join(bodies, "publish-oldone"), "w"):  # of a file system that has no files without a name
        pass
    backup = os.path.join(root, "tidy")
    boreal.admin("backup", backup)
    assert sorted(os.listdir(os.path.join(backup, "bodies"))) == sorted(before)
    boreal.start()
    assert os.listdir(bodies) == before
    boreal.stop()


def mistakes_are_named():
    config = os.path.join(root, "typo.conf")
    for text, expected in (("[limits]\nconections = 7\n", "line 2: [limits] conections: there is no such setting; is it connections?"),
                           ("[server]\nlevel = info\n", "line 2: [server] level: there is no such setting; it belongs to [log]"),
                           ("[server]\nlisten = 7700\n", "line 2: [server] listen = 7700: it is ADDRESS:PORT"),
                           ("[server]\nstate-dir =\n", "line 2: [server] state-dir = : it is the path"),
                           ("[server]\ntoken-paths = /a:b\n", "line 2: [server] token-paths = /a:b: it is whole paths"),
                           ("[metrics]\nlisten = 0.0.0.0:9477\n", "line 2: [metrics] listen = 0.0.0.0:9477: it is 127.0.0.1:PORT"),
                           ("[limits]\nidle-seconds = 5\n", "idle-seconds = 5: it is a whole number from 10 to 86400"),
                           ("[log]\nlevel = loud\n", "level = loud: it is one of error warn info debug")):
        with open(config, "w") as f:
            f.write(text)
        for words in (("serve",), ("stats",), ("--state-dir", boreal.dir, "stats")):
            told = subprocess.run([PROGRAMS["hearth-distributor"], "--config", config, *words], capture_output=True, text=True, timeout=20)
            assert told.returncode == 1 and config in told.stderr and expected in told.stderr, told
    assert "/proc/nosuch.conf: No such file" in subprocess.run([PROGRAMS["hearth-distributor"], "--config", "/proc/nosuch.conf", "stats"], capture_output=True, text=True, timeout=20).stderr
    boreal.start()
    assert "serve --config FILE" in said(boreal, "reload", status=1)
    boreal.stop()
    for verb in ("export", "import"):
        assert "is no directory" in refused("not-found", boreal, "sync", verb, os.path.join(root, "stick"))
    assert not os.path.exists(os.path.join(root, "stick"))
    assert "/proc/nosuch/root.pem" in said(boreal, "keys", "root", "export", "/proc/nosuch/root.pem", status=1)
    boreal.admin("keys", "root", "export", os.path.join(root, "boreal.pem"))
    assert "exported before" in refused("not-permitted", boreal, "keys", "root", "export", os.path.join(root, "again.pem"))
    with open(os.path.join(boreal.dir, "keys", "root.token"), "w"):
        pass
    assert "gives no key away" in refused("not-permitted", boreal, "keys", "root", "export", os.path.join(root, "again.pem"))
    os.unlink(os.path.join(boreal.dir, "keys", "root.token"))
    if os.geteuid() == 0:
        os.chmod(root, 0o755)
        assert "belongs to root" in said(boreal, "stats", status=1, user=65534)
        os.chmod(root, 0o700)
        assert "may not look into a directory above" in said(boreal, "stats", status=1, user=65534)


run_cases([(f.__name__.replace("_", " "), f) for f in (
    a_directory_that_is_not_reached, keys_that_change_twice_at_once, serving_is_refused_with_a_reason, a_partner_is_called_as_its_operator_says, a_keyset_that_is_due_is_not_forgotten,
    bodies_that_are_missing, an_interrupted_publish_leaves_nothing, mistakes_are_named)])
