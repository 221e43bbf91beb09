#!/usr/bin/python3
"""A license key that was stolen and withdrawn signs nothing that a device takes; no secret of an operator lies where it does not belong; a PIN is typed unseen."""
import os
import pty
import shutil
import subprocess

from household import BUILD, PROGRAMS, Household, Process, Refused, enter_namespace, make_track, run_cases, wait_for

enter_namespace()
SOFTHSM = "/usr/lib/softhsm/libsofthsm2.so"
PIN = "pin-8261937450"
h = Household().settle()
songs = [h.publish(make_track(os.path.join(h.root, f"song{i}.flac"), 1, seed=90 + i), "--price", "1", "--max-copies", "9", "--copy-depth", "1") for i in range(3)]
h.kitchen("get", songs[0], "--yes")
license_file = os.path.join(h.aurora.dir, "keys", "license.key")


def put(key, program=PROGRAMS["hearth-distributor"]):
    """The server with this key file as license key, whatever the keyset says: what a thief who also has its machine can do, with a program of his own."""
    h.aurora.stop()
    with open(license_file, "wb") as f:
        f.write(key)
    h.aurora.process = Process([program, "--state-dir", h.aurora.dir, "serve"], h.aurora.log)
    wait_for("it listens", h.aurora.reachable)


def kitchen_is_back():
    wait_for("the kitchen is back", lambda: h.kitchen("status")["distributors_online"] >= 1, 40)


def refused(*args):
    try:
        value = h.kitchen(*args)
        raise AssertionError(f"{args}: done: {value}")
    except Refused as refusal:
        return refusal


def got(song):
    try:
        h.kitchen("get", song, "--yes")
        return True
    except Refused:
        return False


def forged_with_a_stolen_key():
    with open(license_file, "rb") as f:
        stolen = f.read()
    h.aurora.admin("keys", "withdraw", "license")
    with open(license_file, "rb") as f:
        good = f.read()
    assert good != stolen
    wait_for("the new key is taken", lambda: got(songs[1]), 40)
    put(stolen, os.path.join(BUILD, "tests", "household", "thief"))
    kitchen_is_back()
    before = h.kitchen.library()
    license_refused = refused("get", songs[2], "--yes")
    assert license_refused.code == "signature-invalid", str(license_refused)
    copy_refused = refused("copy", songs[0], "--to", "attic")
    # before it, the thief has to say what this device has spent so far, and that is refused for the same reason
    assert copy_refused.code in ("signature-invalid", "catch-up-needed"), str(copy_refused)
    assert h.kitchen.library() == before
    assert not any(t["content"] == songs[0] for t in h.attic.library())
    assert h.kitchen.digest(songs[0]) and h.kitchen.digest(songs[1])  # what was stored before plays
    put(stolen)  # our own program does not sign with it
    wait_for("it says so", lambda: "keys of before (license): nobody takes" in open(h.aurora.log).read())
    assert refused("get", songs[2], "--yes").code == "offline"
    put(good)
    kitchen_is_back()
    h.kitchen("copy", songs[1], "--to", "attic")
    wait_for("the copy is there", lambda: h.attic.track(songs[1])["has_body"], 30)


def run_admin(state, *args, **more):
    return subprocess.run([PROGRAMS["hearth-distributor"], "--state-dir", state, *args], capture_output=True, **more)


def token_of(folder):
    os.makedirs(os.path.join(folder, "tokens"))
    with open(os.path.join(folder, "conf"), "w") as f:
        f.write(f"directories.tokendir = {folder}/tokens\nobjectstore.backend = file\nlog.level = ERROR\n")
    os.environ["SOFTHSM2_CONF"] = os.path.join(folder, "conf")
    subprocess.run(["softhsm2-util", "--init-token", "--free", "--label", "shop", "--pin", PIN, "--so-pin", "654321"], check=True, capture_output=True)
    for kind, label, number in (("EC:edwards25519", "root", "01"), ("rsa:2048", "box", "02")):
        subprocess.run(["pkcs11-tool", "--module", SOFTHSM, "--login", "--pin", PIN, "--token-label", "shop", "--keypairgen", "--key-type", kind,
                        "--label", label, "--id", number], check=True, capture_output=True)


def url(label):
    return f"pkcs11:token=shop;object={label};type=private"


def typed(argv, answer):
    """Runs argv at a terminal of its own, types answer when it is asked; exit code and everything that the terminal showed."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.execv(argv[0], argv)
    shown, sent = b"", False
    while True:
        try:
            more = os.read(terminal, 4096)
        except OSError:
            break
        if not more:
            break
        shown += more
        if b"PIN of token shop: " in shown and not sent:
            sent = True
            os.write(terminal, answer.encode() + b"\n")
    os.close(terminal)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), shown


def pin_typed_unseen():
    token_of(os.path.join(h.root, "hsm"))
    state = os.path.join(h.root, "dune")
    init = [PROGRAMS["hearth-distributor"], "--state-dir", state, "init", "--name", "dune", "--listen", "127.0.0.1:0", "--module", SOFTHSM, "--root-token"]
    nobody = subprocess.run([*init, url("root")], capture_output=True, stdin=subprocess.DEVNULL)
    assert nobody.returncode == 1 and b"--pin-file" in nobody.stderr, nobody
    in_url = subprocess.run([*init, url("root") + "?pin-value=" + PIN], capture_output=True, stdin=subprocess.DEVNULL)
    assert in_url.returncode == 1 and PIN.encode() not in in_url.stderr + in_url.stdout, in_url
    status, shown = typed([*init, url("root")], "wrong")
    assert status == 1 and b"refused the PIN" in shown and b"wrong" not in shown.split(b"PIN of token shop: ")[1].split(b"refused")[0], shown
    assert shown.count(b"PIN of token shop: ") == 1, shown  # not tried again
    status, shown = typed([*init, url("root")], PIN)
    assert status == 0 and PIN.encode() not in shown, shown
    status, shown = typed([PROGRAMS["hearth-distributor"], "--state-dir", state, "keys", "rotate"], PIN)
    assert status == 0 and PIN.encode() not in shown, shown


def secrets_nowhere():
    """A distributor with its keys under a token serves and is backed up: seeds, tree secret, storage key and PIN are in no file, log, command line or environment."""
    state, backup, pin = os.path.join(h.root, "dune"), os.path.join(h.root, "dune-backup"), os.path.join(h.root, "pin")
    with open(pin, "w") as f:
        f.write(PIN + "\n")
    os.chmod(pin, 0o600)
    folder = os.path.join(state, "keys")
    secrets = {name: open(os.path.join(folder, name), "rb").read() for name in os.listdir(folder) if name.endswith(".key")}
    assert {"license.key", "storage.key", "tree.key"} <= set(secrets) and all(len(s) == 32 for s in secrets.values()), secrets.keys()
    secrets["PIN"] = PIN.encode()
    secrets["a customer's password"] = b"password-5502917"
    password = os.path.join(h.root, "dune-password")
    with open(password, "wb") as f:
        f.write(secrets["a customer's password"] + b"\n")
    assert run_admin(state, "keys", "wrap", "--token", url("box"), "--module", SOFTHSM, "--pin-file", pin).returncode == 0
    assert run_admin(state, "user", "add", "dora", "--password-file", password).returncode == 0
    track = make_track(os.path.join(h.root, "dune.flac"), 1, seed=99)
    assert run_admin(state, "publish", track, "--price", "1").returncode == 0
    log = os.path.join(h.root, "dune.log")
    server = Process([PROGRAMS["hearth-distributor"], "--state-dir", state, "serve"], log, env={**os.environ, "HEARTH_LOG": "debug"})
    wait_for("it serves", lambda: os.path.exists(os.path.join(state, "console")) or "serving" in open(log).read() or "listening" in open(log).read())
    assert run_admin(state, "backup", backup).returncode == 0
    places = {f"{what} of {pid}": open(f"/proc/{pid}/{what}", "rb").read() for what in ("cmdline", "environ")
              for pid in [server.child.pid, *[p.process.child.pid for p in (h.aurora, h.boreal, h.directory)]]}
    for top in (state, backup):
        for where, _, names in os.walk(top):
            for name in names:
                path = os.path.join(where, name)
                if os.path.isfile(path):
                    places[path] = open(path, "rb").read()
    places[log] = open(log, "rb").read()
    server.stop()
    assert any(p.endswith("operations.db-wal") for p in places) and any(p.startswith(backup) and p.endswith("operations.db") for p in places), places.keys()
    for what, secret in secrets.items():
        for place, content in places.items():
            for form in (secret, secret.hex().encode()):
                assert form not in content, (what, place)


def plain_storage():
    """Without a token: what the database, its log and the servers' own logs hold is not what the key files hold."""
    for d in (h.aurora, h.boreal):
        folder = os.path.join(d.dir, "keys")
        contents = {p: open(os.path.join(d.dir, p), "rb").read() for p in os.listdir(d.dir) if p.startswith("operations.db")}
        contents[d.log] = open(d.log, "rb").read()
        for name in os.listdir(folder):
            if name.endswith(".key"):
                secret = open(os.path.join(folder, name), "rb").read()
                for place, content in contents.items():
                    assert secret not in content and secret.hex().encode() not in content, (name, place)


FAKETIME = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1"


def warned():
    """The keyset ends while nothing serves: each command says so, and what to do."""
    if not os.path.exists(FAKETIME):
        return "SKIP libfaketime is not installed"
    state = os.path.join(h.root, "late")
    assert run_admin(state, "init", "--name", "late", "--listen", "127.0.0.1:0").returncode == 0
    assert run_admin(state, "keys", "list").stderr == b""
    for days, said in ((40, None), (70, b"warning: The keyset ends "), (95, b"warning: The keyset has ended ")):
        then = {**os.environ, "LD_PRELOAD": FAKETIME, "FAKETIME": f"+{days}d", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
        for command in (("keys", "list"), ("stats",), ("settings",), ("--json", "keys", "list")):
            done = run_admin(state, *command, env=then)
            assert done.returncode == 0
            assert (said in done.stderr and b"hearth-distributor keys rotate" in done.stderr) if said else done.stderr == b"", (days, command, done.stderr)
    done = run_admin(state, "keys", "rotate", env=then)
    assert done.returncode == 0 and b"warning: " not in done.stderr, done.stderr


cases = [("a license and a certificate forged with a stolen key are refused", forged_with_a_stolen_key), ("secrets are not in database and logs", plain_storage),
         ("what ends soon is said with every command", warned)]
if os.path.exists(SOFTHSM) and shutil.which("softhsm2-util") and shutil.which("pkcs11-tool"):
    cases += [("a token's PIN is typed unseen", pin_typed_unseen), ("secrets are nowhere when a token wraps the keys", secrets_nowhere)]
else:
    print("# SKIP of two cases: softhsm2 and opensc are missing")
run_cases(cases)
