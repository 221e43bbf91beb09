#!/usr/bin/python3
"""A distributor's keys: changed while it serves, withdrawn, kept offline and in a token."""
import base64
import os
import shutil
import sqlite3
import subprocess
import threading
import time

from household import PROGRAMS, Distributor, Household, Process, Refused, enter_namespace, make_track, run_cases, wait_for

enter_namespace()
SOFTHSM = "/usr/lib/softhsm/libsofthsm2.so"
h = Household().settle()
bought = h.publish(make_track(os.path.join(h.root, "before.flac"), 2, seed=60), "--price", "1", "--copy-price", "0.10", "--max-copies", "99", "--copy-depth", "1")
h.kitchen("get", bought, "--yes")
songs = [h.publish(make_track(os.path.join(h.root, f"song{i}.flac"), 1, seed=61 + i), "--price", "1", "--max-copies", "99", "--copy-depth", "1") for i in range(8)]


def keys(distributor=None):
    return (distributor or h.aurora).admin("keys", "list")


def in_use(purpose, distributor=None):
    return next(k["key"] for k in keys(distributor)["keys"] if k["purpose"] == purpose and k["state"] == "in use")


def key_file(distributor, name):
    return open(os.path.join(distributor.dir, "keys", name), "rb").read()


def refused(code, *args):
    try:
        value = h.aurora.admin(*args)
        raise AssertionError(f"{args}: done: {value}")
    except Refused as refusal:
        assert refusal.code == code, (args, str(refusal))
        return refusal


def device_keyset():
    """The sequence that the kitchen's vault knows."""
    db = sqlite3.connect(f"file:{h.kitchen.state}/vault/vault.db?mode=ro", uri=True)
    try:
        return max(row[0] for row in db.execute("SELECT keyset_sequence FROM distributor"))
    finally:
        db.close()


def rotated_under_load():
    old = {p: in_use(p) for p in ("tls", "license", "roster", "sealing")}
    failures, done, stop = [], [], threading.Event()

    def shop(device):
        number = 0
        while not stop.is_set():
            try:
                device("browse")
                device("get", songs[number % len(songs)], "--yes", "--again")
                device("bills")
                done.append(1)
            except Exception as error:  # noqa: BLE001
                failures.append(repr(error))
            number += 1

    def copy():
        while not stop.is_set():
            try:
                h.kitchen("copy", bought, "--to", "bedroom", "--again")
                done.append(1)
            except Refused as refusal:
                if refusal.code != "already":
                    failures.append(str(refusal))
            except Exception as error:  # noqa: BLE001
                failures.append(repr(error))

    threads = [threading.Thread(target=shop, args=(h.kitchen,)), threading.Thread(target=shop, args=(h.attic,)), threading.Thread(target=copy)]
    for t in threads:
        t.start()
    try:
        for _ in range(3):
            before, count = keys()["sequence"], len(done)
            h.aurora.admin("keys", "rotate")
            assert keys()["sequence"] == before + 1
            wait_for("the kitchen has the keyset", lambda: device_keyset() > before)
            wait_for("work goes on", lambda: len(done) > count + 6, 40)
    finally:
        stop.set()
        for t in threads:
            t.join()
    assert not failures, failures[:5]
    assert len(done) > 20, len(done)
    for purpose, key in old.items():
        assert in_use(purpose) != key
    assert h.aurora.process.running()


def what_was_bought_plays_on():
    assert h.kitchen.digest(bought) and h.bedroom.digest(bought)
    h.kitchen.stop()
    h.kitchen.start()
    wait_for("it is back", lambda: h.kitchen("status")["distributors_online"] == 1)
    assert h.kitchen.digest(bought)
    h.aurora.stop()
    h.aurora.start()
    wait_for("aurora is back", lambda: h.kitchen("status")["distributors_online"] == 1, 40)
    assert h.kitchen.digest(bought)


def one_purpose_only():
    before = {p: in_use(p) for p in ("tls", "license", "roster", "sealing")}
    h.aurora.admin("keys", "rotate", "license")
    assert in_use("license") != before["license"]
    assert {p: in_use(p) for p in ("tls", "roster", "sealing")} == {p: before[p] for p in ("tls", "roster", "sealing")}
    refused("usage", "keys", "rotate", "everything")


def as_many_as_have_room():
    """No license key leaves the keyset while licenses that it has signed are in use; a stolen one is withdrawn all the same."""
    echo = Distributor(h.root, "echo")
    first = in_use("license", echo)
    for number in range(8):
        echo.admin("keys", "rotate", *(["license"] if number % 2 else []))
    try:
        raise AssertionError(echo.admin("keys", "rotate"))
    except Refused as refusal:
        assert refusal.code == "not-permitted" and "keys rotate tls roster sealing" in str(refusal), str(refusal)
    stolen, tls = in_use("license", echo), in_use("tls", echo)
    echo.admin("keys", "rotate", "tls", "roster", "sealing")
    echo.admin("keys", "withdraw", "license")
    assert in_use("tls", echo) != tls and in_use("license", echo) != stolen
    listed = [k["key"] for k in keys(echo)["keys"] if k["purpose"] == "license"]
    assert first in listed and stolen not in listed and len(listed) == 9, listed


def no_connection_is_cut_off():
    """A TLS key that connections of today are under stays in the keyset while a server runs: what would push it out is refused, and says until when."""
    foxtrot = Distributor(h.root, "foxtrot").start()
    first, refusal, count = in_use("tls", foxtrot), None, 0
    while refusal is None and count < 16:
        try:
            foxtrot.admin("keys", "rotate", "tls")
            count += 1
        except Refused as refused_now:
            refusal = refused_now
    assert refusal is not None and refusal.code == "not-permitted" and "room again from 2" in str(refusal) and "keys withdraw" in str(refusal), refusal
    assert count > 4 and first in [k["key"] for k in keys(foxtrot)["keys"]]
    foxtrot.admin("keys", "withdraw", "tls")
    foxtrot.stop()
    foxtrot.admin("keys", "rotate", "tls")  # nobody is connected


def a_stolen_key():
    stolen, name = key_file(h.aurora, "license.key"), in_use("license")
    h.aurora.admin("keys", "withdraw", name)
    listed = keys()["keys"]
    assert in_use("license") != name and key_file(h.aurora, "license.key") != stolen
    assert [k["state"] for k in listed if k["key"] == name] == ["withdrawn"], listed
    wait_for("the kitchen has the keyset", lambda: device_keyset() == keys()["sequence"])
    assert h.kitchen.digest(bought)  # what was stored before plays
    new = h.publish(make_track(os.path.join(h.root, "after.flac"), 1, seed=80), "--price", "1", "--max-copies", "9", "--copy-depth", "1")
    wait_for("what it had signed is signed again", lambda: signer_of_block() != base64_of(name), 40)
    h.kitchen("get", new, "--yes")
    assert h.kitchen.digest(new)
    h.kitchen("copy", new, "--to", "attic")
    wait_for("the copy is there", lambda: h.attic.track(new)["has_body"])
    h.kitchen("copy", new, "--to", "bedroom")
    wait_for("the copy is there", lambda: h.bedroom.track(new)["has_body"], 40)
    assert h.bedroom.digest(new)
    refused("not-found", "keys", "withdraw", name)


def signer_of_block(distributor=None):
    db = sqlite3.connect(f"file:{(distributor or h.aurora).dir}/operations.db?mode=ro", uri=True)
    try:
        return db.execute("SELECT envelope FROM key_block WHERE distributor = 1 ORDER BY version DESC LIMIT 1").fetchone()[0][-96:-64]
    finally:
        db.close()


def base64_of(text):
    return base64.b32decode(text.upper() + "=" * (-len(text) % 8))


def a_partners_stolen_key():
    """Boreal's delegation to aurora was signed by it: aurora asks for another one."""
    name = in_use("license", h.boreal)
    h.boreal.admin("keys", "withdraw", "license")
    wait_for("boreal has signed again", lambda: signer_of_block(h.boreal) != base64_of(name), 40)
    new = h.publish(make_track(os.path.join(h.root, "partner.flac"), 1, seed=81), "--price", "1", "--max-copies", "9", "--copy-depth", "1")
    h.kitchen("get", new, "--yes")

    def copied():
        try:
            h.kitchen("copy", new, "--to", "bedroom")
            return True
        except Refused:
            return False
    wait_for("aurora has another delegation", copied, 40)
    wait_for("the copy is there", lambda: h.bedroom.track(new)["has_body"], 40)
    assert h.bedroom.digest(new)


def a_roster_key():
    name = in_use("roster")
    h.aurora.admin("keys", "withdraw", "roster")
    assert in_use("roster") != name
    h.kitchen.stop()
    h.kitchen.start()
    wait_for("the kitchen sees its siblings", lambda: h.kitchen.sees("attic") and h.kitchen.sees("bedroom"), 40)


def a_tls_key():
    """The devices' connections are under it: they come back over one with the new key."""
    name, known = in_use("tls"), device_keyset()
    h.aurora.admin("keys", "withdraw", "tls")
    assert in_use("tls") != name and not any(k["key"] == name for k in keys()["keys"])
    wait_for("the kitchen has the keyset", lambda: device_keyset() > known)
    wait_for("the kitchen is back", lambda: h.kitchen("status")["distributors_online"] == 1)
    assert h.kitchen("browse")["catalogue"]
    assert "bedroom" in [d["name"] for d in h.kitchen("devices")["devices"]]


def partner_withdrawn_meanwhile(before, sign):
    """Without the root key nothing more is given at once; a keyset asked for earlier would give it back, and is not taken."""
    request, answer = os.path.join(h.root, "later"), os.path.join(h.root, "later-signed")
    told = h.aurora.admin("partner", "withdraw", "boreal")
    assert "keys request" in told["needed"], told
    assert [p["withdrawn"] for p in h.aurora.admin("partner", "list")["partners"]] == [True]
    refused("keyset-invalid", "keys", "install", before)
    h.aurora.admin("keys", "request", request)
    assert sign(request, answer).returncode == 0
    h.aurora.admin("keys", "install", answer)
    h.aurora.admin("partner", "add", h.boreal.url, "--name", "boreal")


def withdrawn_and_the_request_lost(sign):
    """That a key is withdrawn is not in the request alone: whatever is asked for next lacks it, and what was asked for before is not taken."""
    names = {n: os.path.join(h.root, n) for n in ("earlier", "earlier-signed", "lost", "plain", "plain-signed")}
    h.aurora.admin("keys", "request", names["earlier"])
    stolen = in_use("license")
    h.aurora.admin("keys", "withdraw", "license", "--request", names["lost"])
    os.unlink(names["lost"])
    for name in ("earlier", "plain"):
        if name == "plain":
            h.aurora.admin("keys", "request", names["plain"])
        assert sign(names[name], names[name + "-signed"]).returncode == 0
    listed = keys()
    assert "withdrawn" in listed["due"], listed["due"]
    assert [k["state"] for k in listed["keys"] if k["key"] == stolen] == ["to be withdrawn"], listed
    refused("keyset-invalid", "keys", "install", names["earlier-signed"])
    h.aurora.admin("keys", "install", names["plain-signed"])
    listed = keys()
    assert [k["purpose"] for k in listed["keys"] if k["key"] == stolen] == ["shared"] and not listed["due"], listed


def root_offline():
    root, request, answer = (os.path.join(h.root, name) for name in ("root.pem", "request", "answer"))
    h.aurora.admin("keys", "root", "export", root)
    assert not os.path.exists(os.path.join(h.aurora.dir, "keys", "root.key")) and os.stat(root).st_mode & 0o777 == 0o600
    assert not keys()["root_here"]
    out = subprocess.run(["openssl", "pkey", "-in", root, "-noout", "-text"], capture_output=True, text=True, check=True).stdout
    assert "ED25519" in out
    refused("not-permitted", "keys", "root", "export", root + "2")
    before = keys()
    for _ in range(2):  # again changes nothing
        said = h.aurora.admin("keys", "rotate", "license", "tls")
        assert said["made"] == "tls license" and "keys request" in said["needed"], said
        assert keys()["sequence"] == before["sequence"] and "made anew" in keys()["due"] and keys()["keys"] == before["keys"]
    h.aurora.admin("keys", "request", request)
    with open(request, "rb") as f:
        asked = f.read()
    h.aurora.admin("keys", "rotate", "license", "tls", "--request", request)  # the same in one step
    with open(request, "rb") as f:
        assert len(f.read()) == len(asked)
    empty = os.path.join(h.root, "offline")  # the other machine has no state at all
    os.mkdir(empty)

    def sign(*args):
        return subprocess.run([PROGRAMS["hearth-distributor"], "--state-dir", empty, "--json", "keys", "sign", *args], capture_output=True, text=True)
    wrong = os.path.join(h.root, "wrong.pem")
    subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", wrong], check=True)
    os.chmod(wrong, 0o600)
    assert sign("--root", wrong, request, answer).returncode == 1 and not os.path.exists(answer)
    assert sign("--root", root, root, answer).returncode == 1 and not os.path.exists(answer)
    assert sign("--root", root, request, answer).returncode == 0
    assert os.listdir(empty) == []
    old = in_use("license")
    damaged = os.path.join(h.root, "damaged")
    with open(answer, "rb") as f:
        data = bytearray(f.read())
    data[len(data) // 2] ^= 1
    with open(damaged, "wb") as f:
        f.write(data)
    refused("keyset-invalid", "keys", "install", damaged)
    assert in_use("license") == old
    h.aurora.admin("keys", "install", answer)
    assert in_use("license") != old and keys()["sequence"] == before["sequence"] + 1
    wait_for("the kitchen has the keyset", lambda: device_keyset() == keys()["sequence"])
    installed = keys()
    shutil.copy(answer, answer + ".older")
    h.aurora.admin("keys", "install", answer)  # once more: it is there already, and nothing changes
    assert keys() == installed
    h.kitchen("get", songs[0], "--yes", "--again")
    assert h.kitchen.digest(songs[0])
    h.aurora.admin("keys", "request", request)
    assert sign("--root", root, request, answer).returncode == 0
    partner_withdrawn_meanwhile(answer, lambda asked, signed: sign("--root", root, asked, signed))
    withdrawn_and_the_request_lost(lambda asked, signed: sign("--root", root, asked, signed))
    refused("keyset-invalid", "keys", "install", answer + ".older")


def hsm(name):
    directory = os.path.join(h.root, name)
    os.makedirs(os.path.join(directory, "tokens"))
    with open(os.path.join(directory, "conf"), "w") as f:
        f.write(f"directories.tokendir = {directory}/tokens\nobjectstore.backend = file\nlog.level = ERROR\n")
    os.environ["SOFTHSM2_CONF"] = os.path.join(directory, "conf")
    subprocess.run(["softhsm2-util", "--init-token", "--free", "--label", "shop", "--pin", "123456", "--so-pin", "654321"], check=True, capture_output=True)
    for kind, label, number in (("EC:edwards25519", "root", "01"), ("rsa:2048", "box", "02")):
        subprocess.run(["pkcs11-tool", "--module", SOFTHSM, "--login", "--pin", "123456", "--token-label", "shop", "--keypairgen", "--key-type", kind,
                        "--label", label, "--id", number], check=True, capture_output=True)
    return directory


def pin_file(name, pin, mode=0o600):
    path = os.path.join(h.root, name)
    with open(path, "w") as f:
        f.write(pin + "\n")
    os.chmod(path, mode)
    return path


def token(label, pin):
    return ["--module", SOFTHSM, "--pin-file", pin] if label is None else ["--token", f"pkcs11:token=shop;object={label};type=private", "--module", SOFTHSM, "--pin-file", pin]


def run_admin(state, *args):
    return subprocess.run([PROGRAMS["hearth-distributor"], "--state-dir", state, "--json", *args], capture_output=True, text=True)


def root_in_a_token():
    """A distributor whose root key was made in a token and never leaves it."""
    hsm("hsm")
    state, good, bad, open_pin = os.path.join(h.root, "cedar"), pin_file("pin", "123456"), pin_file("bad-pin", "999999"), pin_file("open-pin", "123456", 0o644)
    root = ["--root-token", "pkcs11:token=shop;object=root;type=private", "--module", SOFTHSM, "--pin-file"]
    for pin, url in ((bad, root), (open_pin, root), (good, ["--root-token", "pkcs11:token=nobody;object=root;type=private", *root[2:]]),
                     (good, ["--root-token", "pkcs11:token=shop;object=box;type=private", *root[2:]])):
        done = run_admin(state, "init", "--name", "cedar", *url, pin)
        assert done.returncode == 1, (pin, url, done.stdout)
    made = run_admin(state, "init", "--name", "cedar", "--listen", "127.0.0.1:0", *root, good)
    assert made.returncode == 0, made.stdout + made.stderr
    files = sorted(os.listdir(os.path.join(state, "keys")))
    assert "root.key" not in files and "root.pub" in files and "root.token" in files, files
    assert run_admin(state, "keys", "rotate").returncode == 0
    a_module_of_its_own(state)
    shutil.move(os.path.join(h.root, "hsm", "tokens"), os.path.join(h.root, "hsm", "away"))
    os.mkdir(os.path.join(h.root, "hsm", "tokens"))
    done = run_admin(state, "keys", "rotate")
    assert done.returncode == 1 and "token" in done.stdout, done.stdout
    log = os.path.join(h.root, "cedar.log")
    server = Process([PROGRAMS["hearth-distributor"], "--state-dir", state, "serve"], log)  # it serves without the root key
    wait_for("it serves", lambda: "listening" in open(log).read() or "serving" in open(log).read() or server.running() and time.sleep(0.3) is None)
    assert server.running()
    server.stop()
    os.rmdir(os.path.join(h.root, "hsm", "tokens"))
    shutil.move(os.path.join(h.root, "hsm", "away"), os.path.join(h.root, "hsm", "tokens"))


def a_module_of_its_own(state):
    """A server that was taken over writes into its state what the operator, or its own next start, would load as code."""
    place, outside = os.path.join(state, "keys", "root.token"), os.path.join(h.root, "module.so")
    before, owner = open(place).read(), os.stat(state).st_uid
    url, _, *rest = before.split("\n")
    for module, uid in ((os.path.join(state, "bodies", "module.so"), owner), (outside, owner + 1), (os.path.basename(SOFTHSM), owner)):
        if module.startswith("/"):
            shutil.copy(SOFTHSM, module)
        if uid != owner:  # as where a user of its own serves, and a root's command reads
            os.chown(module, uid, -1)
            os.chown(state, uid, -1)
        with open(place, "w") as f:
            f.write("\n".join([url, module, *rest]))
        done = run_admin(state, "keys", "rotate")
        assert done.returncode == 1 and "is not loaded" in done.stderr, (module, done)
    os.chown(state, owner, -1)
    with open(place, "w") as f:
        f.write(before)


def a_refused_pin_is_tried_once(state, path):
    """Tokens lock themselves, and a service is started again and again."""
    marks = lambda: {name for name in os.listdir(state) if name.startswith("pin-refused-")}
    before = marks()
    pin_file("pin", "999999")

    def tries():
        done = [subprocess.run([PROGRAMS["hearth-distributor"], "--state-dir", state, *words], capture_output=True, text=True, timeout=30) for words in (("serve",), ("serve",), ("keys", "list"))]
        assert [d.returncode for d in done] == [77, 77, 1], done
        for d in done:
            last = (d.stdout + d.stderr).splitlines()[-1]
            assert "the token refuses the PIN" in last and "user who owns" not in last, d
        return sum("the token refused the PIN;" in d.stdout + d.stderr for d in done), sum("refused this PIN before" in d.stdout + d.stderr for d in done)
    assert tries() == (1, 2)
    left, = marks() - before
    assert os.stat(os.path.join(state, left)).st_mode & 0o777 == 0o600
    pin_file("pin", "999998")  # another one is tried, once
    assert tries() == (1, 2)
    pin_file("pin", "123456")
    assert run_admin(state, "keys", "list").returncode == 0 and marks() == before


def wrapped_by_a_token():
    """A stolen disk opens nothing: no key file says what it holds without the token."""
    state, good, bad = os.path.join(h.root, "cedar"), os.path.join(h.root, "pin"), os.path.join(h.root, "bad-pin")
    plain = {name: open(os.path.join(state, "keys", name), "rb").read() for name in os.listdir(os.path.join(state, "keys")) if name.endswith(".key")}
    assert run_admin(state, "keys", "wrap", *token("root", good)).returncode == 1  # no RSA key
    assert run_admin(state, "keys", "wrap", *token("box", bad)).returncode == 1
    assert {n: open(os.path.join(state, "keys", n), "rb").read() for n in plain} == plain
    assert run_admin(state, "keys", "wrap", *token("box", good)).returncode == 0
    everything = b"".join(open(os.path.join(folder, name), "rb").read() for folder, _, names in os.walk(state) for name in names)
    for name, key in plain.items():
        assert key not in everything, name
    assert run_admin(state, "keys", "list").returncode == 0
    assert run_admin(state, "keys", "rotate").returncode == 0
    assert run_admin(state, "keys", "wrap", *token("box", good)).returncode == 1  # already
    a_refused_pin_is_tried_once(state, good)
    shutil.move(os.path.join(h.root, "hsm", "tokens"), os.path.join(h.root, "hsm", "away"))
    os.mkdir(os.path.join(h.root, "hsm", "tokens"))
    done = run_admin(state, "keys", "list")
    assert done.returncode == 1 and "token" in done.stdout, done.stdout
    log = os.path.join(h.root, "cedar2.log")
    server = Process([PROGRAMS["hearth-distributor"], "--state-dir", state, "serve"], log)
    wait_for("it does not start", lambda: not server.running())
    assert "token is not there" in open(log).read()


have_hsm = os.path.exists(SOFTHSM) and shutil.which("softhsm2-util") and shutil.which("pkcs11-tool")
cases = [("rotated while devices buy and copy, and no request fails", rotated_under_load), ("what was bought before plays on", what_was_bought_plays_on),
         ("one purpose alone", one_purpose_only), ("no more than have room", as_many_as_have_room), ("no connection is cut off", no_connection_is_cut_off), ("a stolen license key is withdrawn", a_stolen_key), ("a partner's is", a_partners_stolen_key),
         ("a roster key is", a_roster_key), ("a TLS key is", a_tls_key), ("the root key is taken offline", root_offline)]
if have_hsm:
    cases += [("the root key lives in a token", root_in_a_token), ("the other keys are wrapped by one", wrapped_by_a_token)]
else:
    print("# SKIP of two cases: softhsm2 and opensc are missing")
run_cases(cases)
