#!/usr/bin/python3
"""The key under which a distributor's database keeps its secrets: changed while it serves, whoever is killed; moved into a token and back; backups of before, of
meanwhile and of after."""
import os
import random
import shutil
import sqlite3
import subprocess
import threading
import time

from household import PROGRAMS, Household, Process, Refused, enter_namespace, make_track, reference_digest, run_cases, run_json, wait_for

enter_namespace()
SOFTHSM = "/usr/lib/softhsm/libsofthsm2.so"
KILLS = int(os.environ.get("HEARTH_KILLS", "12"))
random.seed(int(os.environ.get("HEARTH_SEED", "1")))
h = Household().settle()
paths = [make_track(os.path.join(h.root, f"song{i}.flac"), 1, seed=60 + i) for i in range(6)]
songs = [h.publish(p, "--price", "1", "--copy-price", "0.10", "--max-copies", "99", "--copy-depth", "1") for p in paths]
KEYS = os.path.join(h.aurora.dir, "keys")


def rotate(*args, distributor=None):
    return (distributor or h.aurora).admin("keys", "rotate", "storage", *args)


def listed():
    return h.aurora.admin("keys", "list")


def file(name):
    with open(os.path.join(KEYS, name), "rb") as f:
        return f.read()


def storage_files():
    return sorted(n for n in os.listdir(KEYS) if n.startswith("storage") and ".tmp-" not in n)  # a kill may leave a key that was never used


def all_under(key, state=None):
    """By SQL of this test's own: what is stored names the key that it lies under."""
    db = sqlite3.connect(f"file:{state or h.aurora.dir}/operations.db?mode=ro", uri=True)
    try:
        stored = [v for table, column in (("content", "header_half"), ("content", "license_half"), ("key_block", "root"), ("partner", "copy_secret"), ("secret", "sealed"))
                  for v, in db.execute(f"SELECT {column} FROM {table}")]
        assert len(stored) >= 2 * len(songs) + 4, len(stored)
        return {v[:8].hex() for v in stored} == {key} and [i.hex() for i, in db.execute("SELECT id FROM storage_key")] == [key]
    finally:
        db.close()


def refused(code, *args, state=None):
    try:
        value = run_json([PROGRAMS["hearth-distributor"], "--state-dir", state or h.aurora.dir, "--json", *args])
    except Refused as refusal:
        assert refusal.code == code, (args, str(refusal), refusal.code)
        return refusal
    raise AssertionError(f"{args}: done: {value}")


class Load:
    """Devices that look, buy, copy and restore for as long as this lasts; nothing may be refused."""

    def __enter__(self):
        self.failures, self.done, self.stop = [], [], threading.Event()
        self.threads = [threading.Thread(target=self.shop, args=(d,)) for d in (h.kitchen, h.attic)] + [threading.Thread(target=self.copy)]
        for t in self.threads:
            t.start()
        return self

    def shop(self, device):
        number = 0
        while not self.stop.is_set():
            try:
                device("browse")
                device("get", songs[number % len(songs)], "--yes", "--again")
                self.done.append(1)
            except Exception as error:  # noqa: BLE001
                self.failures.append(repr(error))
            number += 1

    def copy(self):
        while not self.stop.is_set():
            try:
                h.kitchen("copy", songs[0], "--to", "bedroom", "--again")
                self.done.append(1)
            except Refused as refusal:
                if refusal.code != "already":
                    self.failures.append(str(refusal))
            except Exception as error:  # noqa: BLE001
                self.failures.append(repr(error))

    def __exit__(self, *_):
        self.stop.set()
        for t in self.threads:
            t.join()
        assert not self.failures, self.failures[:5]
        assert len(self.done) > 6, len(self.done)


def changed_while_it_serves():
    h.kitchen("get", songs[0], "--yes")
    with Load() as load:
        for _ in range(3):
            before, key, count = listed(), file("storage.key"), len(load.done)
            said = rotate()
            assert said["former"] == "destroyed" and said["storage_key"] != before["storage_key"] and said["in"] == "a file", said
            assert said["rows_changed"] > 0 and file("storage.key") != key
            assert storage_files() == ["storage.key"]
            assert not listed()["storage_changing"] and all_under(said["storage_key"])
            wait_for("work goes on", lambda: len(load.done) > count + 3, 40)
    assert h.kitchen.digest(songs[0]) == reference_digest(paths[0]) == h.bedroom.digest(songs[0])
    assert "failed" not in "".join(line for line in open(h.aurora.log) if "storage" in line)


def killed_at_any_moment():
    """The command dies; the server goes on with what it began. Then the server dies with it; the next one goes on."""
    with Load():
        for number in range(KILLS):
            command = subprocess.Popen([PROGRAMS["hearth-distributor"], "--state-dir", h.aurora.dir, "keys", "rotate", "storage"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            time.sleep(random.uniform(0, 0.12))
            command.kill()
            command.wait()
            if number == KILLS // 2:
                break
        wait_for("the server has finished it", lambda: not listed()["storage_changing"])
        assert all_under(listed()["storage_key"])
    for number in range(KILLS // 2):
        command = subprocess.Popen([PROGRAMS["hearth-distributor"], "--state-dir", h.aurora.dir, "keys", "rotate", "storage"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(random.uniform(0, 0.12))
        h.aurora.kill()
        command.kill()
        command.wait()
        h.aurora.start()
    wait_for("the server has finished it", lambda: not listed()["storage_changing"])
    assert all_under(listed()["storage_key"])
    rotate()
    assert storage_files() == ["storage.key"], storage_files()
    wait_for("the kitchen is back", lambda: h.kitchen("status")["distributors_online"] == 1, 40)
    h.kitchen("get", songs[1], "--yes", "--again")
    assert h.kitchen.digest(songs[1]) == reference_digest(paths[1])


def erased_names_stay_taken():
    """Names are hashed with a secret of their own, which lies under the key."""
    password = os.path.join(h.aurora.dir, "password-mallory")
    h.aurora.admin("user", "erase", "mallory", "--yes")
    for _ in range(2):
        refusal = refused("user-exists", "user", "add", "mallory", "--password-file", password)
        assert "of this name" in str(refusal), refusal
        rotate()


def prepared_for_other_machines():
    key = listed()["storage_key"]
    said = rotate("--prepare")
    assert said["former"].startswith("in use") and said["storage_key"] == key and os.path.exists(os.path.join(KEYS, "storage.key.new")), said
    prepared = file("storage.key.new")
    h.kitchen("get", songs[2], "--yes", "--again")
    assert rotate()["former"] == "destroyed" and file("storage.key") == prepared


def state_of(name, keys, backup):
    """A state directory with this backup's database and these keys, put there by hand."""
    state = os.path.join(h.root, name)
    os.makedirs(os.path.join(state, "bodies"), mode=0o700)
    shutil.copytree(keys, os.path.join(state, "keys"))
    shutil.copy(os.path.join(backup, "operations.db"), state)
    return state


def everything_opens(state):
    """Changing the key opens every row, and refuses when one does not."""
    command = [PROGRAMS["hearth-distributor"], "--state-dir", state, "--json", "keys", "rotate", "storage"]
    said = run_json(command)
    if said["rows_changed"] < len(songs) + 3:  # it went on with what the backup was taken in the middle of
        said = run_json(command)
    assert said["former"] == "destroyed" and said["rows_changed"] >= len(songs) + 3, said
    assert all_under(said["storage_key"], state)


def backups():
    before, after = (os.path.join(h.root, n) for n in ("before", "after"))
    h.aurora.admin("backup", before, "--without-bodies")
    rotate()
    h.aurora.admin("backup", after, "--without-bodies")
    for backup in (before, after):  # each with its own key
        state = backup + ".restored"
        run_json([PROGRAMS["hearth-distributor"], "--state-dir", state, "--json", "restore", backup])
        everything_opens(state)
    for name, keys, database in (("one", after, before), ("two", before, after)):  # each with the other's
        state = state_of(name, os.path.join(keys, "keys"), database)
        refusal = refused("not-found", "stats", state=state)
        assert "saved with this database" in str(refusal), refusal
        refused("not-found", "keys", "rotate", "storage", state=state)
        refused("not-found", "restore", "--here", state=state)
        served = subprocess.run([PROGRAMS["hearth-distributor"], "--state-dir", state, "serve", "--listen", "127.0.0.1:0"], capture_output=True, text=True, timeout=30)
        assert served.returncode == 1 and "storage key that is not in keys/" in served.stderr, served
        assert os.listdir(os.path.join(state, "keys")) and not os.path.exists(os.path.join(state, "keys", "storage.key.new"))
    stop, made = threading.Event(), []

    def save():
        while not stop.is_set():
            made.append(os.path.join(h.root, f"during{len(made)}"))
            h.aurora.admin("backup", made[-1], "--without-bodies")
    saver = threading.Thread(target=save)
    saver.start()
    for _ in range(4):
        rotate()
    stop.set()
    saver.join()
    assert len(made) >= 3, made
    for backup in made:  # whenever it was taken
        run_json([PROGRAMS["hearth-distributor"], "--state-dir", backup + ".restored", "--json", "restore", backup])
        everything_opens(backup + ".restored")


def hsm():
    directory = os.path.join(h.root, "hsm")
    os.makedirs(os.path.join(directory, "tokens"))
    with open(os.path.join(directory, "conf"), "w") as f:
        f.write(f"directories.tokendir = {directory}/tokens\nobjectstore.backend = file\nlog.level = ERROR\n")
    os.environ["SOFTHSM2_CONF"] = os.path.join(directory, "conf")
    subprocess.run(["softhsm2-util", "--init-token", "--free", "--label", "shop", "--pin", "123456", "--so-pin", "654321"], check=True, capture_output=True)
    for kind, label, number in (("EC:edwards25519", "sign", "01"), ("rsa:2048", "box", "02"), ("rsa:2048", "box2", "03")):
        subprocess.run(["pkcs11-tool", "--module", SOFTHSM, "--login", "--pin", "123456", "--token-label", "shop", "--keypairgen", "--key-type", kind,
                        "--label", label, "--id", number], check=True, capture_output=True)


def pin_file(name, pin):
    path = os.path.join(h.root, name)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), "w") as f:
        f.write(pin + "\n")
    return path


def token(label, pin, name="shop"):
    return ["--token", f"pkcs11:token={name};object={label};type=private", "--module", SOFTHSM, "--pin-file", pin]


def on_the_disk(secret):
    for folder, _, names in os.walk(h.aurora.dir):
        for name in names:
            path = os.path.join(folder, name)
            if os.path.isfile(path) and secret in open(path, "rb").read():
                return path
    return None


def into_a_token_and_back():
    hsm()
    good, bad = pin_file("pin", "123456"), pin_file("bad-pin", "999999")
    h.aurora.stop()  # it has to find the token: its environment says where, and what else it needs its configuration
    with open(os.path.join(h.aurora.dir, "serve.conf"), "w") as f:
        f.write(f"[server]\ntoken-paths = {h.root}\n")
    h.aurora.serve_options = ["--config", os.path.join(h.aurora.dir, "serve.conf")]
    h.aurora.start()
    before, plain = listed()["storage_key"], file("storage.key")
    for place in (token("box", bad), token("sign", good), token("nothing", good), token("box", good, "nobody")):
        refused("not-permitted", "keys", "rotate", "storage", *place)
        assert listed()["storage_key"] == before and file("storage.key") == plain and not os.path.exists(os.path.join(KEYS, "storage.key.new"))
    for wrong in (("--token", "pkcs11:token=shop"), ("--here", *token("box", good)), ("license", "--here"), ("--request", "x")):
        refused("usage", "keys", "rotate", "storage", *wrong)
    wait_for("the kitchen is back", lambda: h.kitchen("status")["distributors_online"] == 1, 40)
    with Load():
        said = rotate(*token("box", good))
        assert "object=box" in said["in"] and all_under(said["storage_key"]) and said["former"] == "destroyed", said
        assert on_the_disk(plain) is None
        said = rotate()  # where it is now
        assert "object=box;" in said["in"], said
        said = rotate(*token("box2", good))
        assert "object=box2" in said["in"] and "object=box2" in listed()["storage_in"], said
    away = os.path.join(h.root, "hsm", "away")
    tokens = os.path.join(h.root, "hsm", "tokens")
    shutil.move(tokens, away)
    os.mkdir(tokens)
    h.kitchen("get", songs[3], "--yes", "--again")  # it serves on: the key is in its memory
    refused("not-permitted", "keys", "list")
    h.aurora.stop()
    failed = Process([PROGRAMS["hearth-distributor"], "--state-dir", h.aurora.dir, "serve"], os.path.join(h.root, "without.log"))
    wait_for("it does not start without the token", lambda: not failed.running())
    assert "its token is not there" in open(os.path.join(h.root, "without.log")).read()
    os.rmdir(tokens)
    shutil.move(away, tokens)
    h.aurora.start()
    said = rotate("--here")
    assert said["in"] == "a file" and said["former"] == "destroyed" and len(file("storage.key")) == 32, said
    wait_for("the kitchen is back", lambda: h.kitchen("status")["distributors_online"] == 1, 40)
    h.kitchen("get", songs[4], "--yes", "--again")
    assert h.kitchen.digest(songs[4]) == reference_digest(paths[4])


def under_a_wrapping_key():
    """keys wrap wraps it as any file; the next one is written so, too."""
    h.aurora.admin("keys", "wrap", *token("box", os.path.join(h.root, "pin")))
    assert len(file("storage.key")) == 60
    said = rotate()
    assert said["in"] == "a file" and len(file("storage.key")) == 60 and all_under(said["storage_key"])
    h.kitchen("get", songs[5], "--yes", "--again")
    assert h.kitchen.digest(songs[5]) == reference_digest(paths[5])


have_hsm = os.path.exists(SOFTHSM) and shutil.which("softhsm2-util") and shutil.which("pkcs11-tool")
cases = [("changed while devices buy and copy, and no request fails", changed_while_it_serves), ("command and server are killed at any moment", killed_at_any_moment),
         ("erased names stay taken", erased_names_stay_taken), ("prepared first, for other machines", prepared_for_other_machines),
         ("a backup of before, after and meanwhile", backups)]
if have_hsm:
    cases += [("into a token, on to another key of it, and back", into_a_token_and_back), ("under a wrapping key", under_a_wrapping_key)]
else:
    print("# SKIP of two cases: softhsm2 and opensc are missing")
run_cases(cases)
