#!/usr/bin/python3
"""Two distributors whose root keys are ES256 keys (ECDSA over P-256), made in a PKCS#11 token, as where a token has no Ed25519: registration, purchase, copies across
distributors, keysets signed by the token and carried to it."""
import base64
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile

import household as module
from household import PROGRAMS, Distributor, Household, Refused, enter_namespace, free_port, make_track, reference_digest, run_cases, run_json, wait_for

SOFTHSM = "/usr/lib/softhsm/libsofthsm2.so"
if not (os.path.exists(SOFTHSM) and shutil.which("softhsm2-util") and shutil.which("pkcs11-tool")):
    print("1..0 # SKIP softhsm2 and opensc are missing")
    sys.exit(0)
enter_namespace()
root = tempfile.mkdtemp(prefix="hearth-test-")
PIN = os.path.join(root, "pin")
KEYS = {"aurora": "p256", "boreal": "p256b"}


def make_token():
    os.makedirs(os.path.join(root, "tokens"))
    with open(os.path.join(root, "conf"), "w") as f:
        f.write(f"directories.tokendir = {root}/tokens\nobjectstore.backend = file\nlog.level = ERROR\n")
    with open(os.open(PIN, os.O_WRONLY | os.O_CREAT, 0o600), "w") as f:
        f.write("123456\n")
    os.environ["SOFTHSM2_CONF"] = os.path.join(root, "conf")
    subprocess.run(["softhsm2-util", "--init-token", "--free", "--label", "shop", "--pin", "123456", "--so-pin", "654321"], check=True, capture_output=True)
    for number, (kind, label) in enumerate((("EC:prime256v1", "p256"), ("EC:prime256v1", "p256b"), ("EC:secp384r1", "p384"), ("EC:edwards25519", "ed25519"))):
        subprocess.run(["pkcs11-tool", "--module", SOFTHSM, "--login", "--pin", "123456", "--token-label", "shop", "--keypairgen", "--key-type", kind,
                        "--label", label, "--id", f"{number + 1:02}"], check=True, capture_output=True)


def url(label):
    return f"pkcs11:token=shop;object={label};type=private"


class InToken(Distributor):
    def __init__(self, root_dir, name, directory=False):
        if name not in KEYS:
            super().__init__(root_dir, name, directory)
            return
        self.name, self.dir, self.port, self.process = name, os.path.join(root_dir, name), free_port(), None
        self.log = self.dir + ".log"
        self.admin("init", "--name", name, "--listen", f"127.0.0.1:{self.port}", "--root-token", url(KEYS[name]), "--module", SOFTHSM, "--pin-file", PIN)
        self.url = self.admin("id")["url"]
        self.id = self.url.rsplit("#", 1)[1]


make_token()
module.Distributor = InToken
h = Household(root).settle()
paths = [make_track(os.path.join(h.root, f"song{i}.flac"), 1, seed=60 + i) for i in range(3)]
options = ("--price", "1", "--copy-price", "0.10", "--max-copies", "9", "--copy-depth", "1")
songs = [h.publish(p, *options, distributor=d) for p, d in zip(paths, (h.aurora, h.boreal, h.aurora))]


def sequence(distributor=None):
    return (distributor or h.aurora).admin("keys", "list")["sequence"]


def refused(code, *args):
    try:
        value = h.aurora.admin(*args)
    except Refused as refusal:
        assert refusal.code == code, (args, str(refusal), refusal.code)
        return refusal
    raise AssertionError(f"{args}: done: {value}")


def known_by_its_spki():
    """The distributor ID is the hash of the root's SPKI as the token gives it, and no root key is on the disk."""
    for d in (h.aurora, h.boreal):
        spki = subprocess.run(["pkcs11-tool", "--module", SOFTHSM, "--login", "--pin", "123456", "--token-label", "shop", "--read-object", "--type", "pubkey", "--label", KEYS[d.name]],
                              check=True, capture_output=True).stdout
        hashed = base64.b32encode(hashlib.sha256(spki).digest()).decode().lower().rstrip("=")
        assert len(spki) == 91 and hashed == d.id, (len(spki), hashed, d.id)
        keys = os.listdir(os.path.join(d.dir, "keys"))
        assert "root.key" not in keys and os.path.getsize(os.path.join(d.dir, "keys", "root.pub")) == 65, keys


def carried(source, content, to, path):
    source("get", content, "--yes")
    assert source.digest(content) == reference_digest(path)
    source("copy", content, "--to", to.name)
    wait_for("the copy is there", lambda: to.track(content)["has_body"], 40)
    assert to.digest(content) == reference_digest(path)


def bought_and_copied():
    carried(h.kitchen, songs[0], h.bedroom, paths[0])
    carried(h.bedroom, songs[1], h.kitchen, paths[1])
    h.kitchen("copy", songs[0], "--to", "attic")
    wait_for("the copy is there", lambda: h.attic.track(songs[0])["has_body"], 40)


def keysets_go_on():
    """Signed by the token, and by carrying a request to it; another key, of the same kind or not, does not do."""
    before = sequence()
    h.aurora.admin("keys", "rotate")
    assert sequence() == before + 1
    request, answer = os.path.join(h.root, "request"), os.path.join(h.root, "answer")
    h.aurora.admin("keys", "request", request)

    def sign(label):
        return subprocess.run([PROGRAMS["hearth-distributor"], "--state-dir", h.root, "--json", "keys", "sign", "--token", url(label), "--module", SOFTHSM, "--pin-file", PIN, request, answer],
                              capture_output=True, text=True, check=False)
    for wrong in ("p256b", "ed25519", "p384"):
        assert sign(wrong).returncode == 1 and not os.path.exists(answer), wrong
    assert sign("p256").returncode == 0
    with open(answer, "rb") as f:
        good = f.read()
    order = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
    bent = {"the other s": good[:-32] + (order - int.from_bytes(good[-32:], "big")).to_bytes(32, "big"), "algorithm 1": good[:1] + b"\1" + good[2:],
            "another point": good[:-65] + bytes([good[-65] ^ 1]) + good[-64:], "s is 0": good[:-32] + bytes(32)}
    for name, data in bent.items():
        with open(answer, "wb") as f:
            f.write(data)
        refused("keyset-invalid", "keys", "install", answer)
        assert sequence() == before + 1, name
    with open(answer, "wb") as f:
        f.write(good)
    h.aurora.admin("keys", "install", answer)
    assert sequence() == before + 2
    for label in ("p256b", "ed25519", "p384"):
        refused("not-permitted", "keys", "root", "token", "--token", url(label), "--module", SOFTHSM, "--pin-file", PIN)
    h.aurora.admin("keys", "root", "token", "--token", url("p256"), "--module", SOFTHSM, "--pin-file", PIN)
    refused("not-permitted", "keys", "root", "export", os.path.join(h.root, "root.pem"))


def from_disk_again():
    """Device and distributor read what they have stored."""
    for process in (h.kitchen, h.aurora):
        process.stop()
        process.start()
    wait_for("they talk again", lambda: h.kitchen("status")["distributors_online"] >= 1, 40)
    assert h.kitchen.digest(songs[0]) == reference_digest(paths[0])
    wait_for("the kitchen sees the others", lambda: h.kitchen.sees("attic") and h.kitchen.sees("bedroom"), 40)
    carried(h.kitchen, songs[2], h.bedroom, paths[2])


def another_curve():
    try:
        run_json([PROGRAMS["hearth-distributor"], "--state-dir", os.path.join(h.root, "cedar"), "--json", "init", "--name", "cedar", "--root-token", url("p384"), "--module", SOFTHSM,
                  "--pin-file", PIN])
    except Refused as refusal:
        assert refusal.code == "not-permitted", refusal
    else:
        raise AssertionError("a root key of P-384")


run_cases([(f.__name__.replace("_", " "), f) for f in (known_by_its_spki, bought_and_copied, keysets_go_on, from_disk_again, another_curve)])
