#!/usr/bin/python3
"""Programs (R4): a provider signs, a distributor vouches and gives, one device opens, its player loads; and everybody else is refused."""
import array
import hashlib
import os
import random
import shutil
import signal
import subprocess
import threading
import time

from household import PROGRAMS, Household, Refused, enter_namespace, make_track, reference_digest, run_cases, wait_for

BUILD = os.environ["HEARTH_BUILD"]
PLUGIN = os.path.join(BUILD, "examples", "mark.so")
enter_namespace()
h = Household()
h.kitchen, h.attic = h.device("kitchen", h.aurora, "alice"), h.device("attic", h.aurora, "mallory")
h.bedroom = h.device("bedroom", h.boreal, "alina")
track = make_track(os.path.join(h.root, "song.flac"), 3, seed=5)
content = h.publish(track, "--price", "0.50")
h.kitchen("get", content, "--yes")
key, other_key = os.path.join(h.root, "acme.key"), os.path.join(h.root, "bolt.key")
chance = random.Random(int(os.environ.get("HEARTH_SEED", "7")))


def program(*args, distributor=None):
    return (distributor or h.aurora).admin("program", *args)


def admin_refused(code, *args):
    try:
        program(*args)
    except Refused as refusal:
        assert refusal.code == code, refusal
        return
    raise AssertionError(f"program {args} was done")


def publish(path, name, version, kind="plug-in", signer=key):
    return program("publish", path, "--key", signer, "--name", name, "--version", version, "--kind", kind)


def history(name="mark"):
    return {r["device"]: r for r in program("history", "--name", name)["history"]}


def samples(path):
    """As an independent decoder gives them: 32-bit, interleaved."""
    return array.array("i", subprocess.run(["ffmpeg", "-v", "error", "-i", path, "-f", "s32le", "-"], capture_output=True, check=True,
                                           stdin=subprocess.DEVNULL).stdout)


def marked(mark):
    """The digest of what the plug-in must make of the song on the device with this mark: examples/plugin-mark/mark.c, said again."""
    bits = [mark[i // 8] >> (i % 8) & 1 for i in range(64)]
    depth = [1 / 4096 if bit else -1 / 4096 for bit in bits]
    out = array.array("f", (s / 2**32 + depth[i // 2 // 16 % 64] for i, s in enumerate(samples(track))))
    return hashlib.sha256(out.tobytes()).hexdigest()


def play(device, plugin="mark"):
    return device("play", content, "--output", "digest", "--plugin", plugin)["digest"]


def file_of(device, name="mark"):
    d = os.path.join(device.state, "programs")
    found = [f for f in os.listdir(d) if f.startswith(name + "-")]
    assert len(found) == 1, found
    return os.path.join(d, found[0])


def flip(path, at):
    with open(path, "r+b") as f:
        f.seek(at)
        byte = f.read(1)[0]
        f.seek(at)
        f.write(bytes([byte ^ 1]))


# ---- cases ----

def providers():
    """A program is given out only when its signer is vouched for, and only as it was signed."""
    made = program("key", key)
    assert made["made"] and os.stat(key).st_mode & 0o777 == 0o600
    assert program("key", key)["provider"] == made["provider"]
    signature = os.path.join(h.root, "mark.program")
    signed = program("sign", PLUGIN, "--key", key, "--name", "mark", "--version", "1.0", "--kind", "plug-in", "--signature", signature)
    assert signed["digest"] == hashlib.sha256(open(PLUGIN, "rb").read()).hexdigest()
    admin_refused("provider-unknown", "publish", PLUGIN, "--signature", signature)
    program("provider", "add", made["provider"], "--name", "acme")
    admin_refused("already", "provider", "add", made["provider"], "--name", "acme")
    altered = shutil.copy(PLUGIN, os.path.join(h.root, "altered.so"))
    flip(altered, 4000)
    admin_refused("content-id-mismatch", "publish", altered, "--signature", signature)
    forged = shutil.copy(signature, os.path.join(h.root, "forged.program"))
    flip(forged, 60)
    admin_refused("signature-invalid", "publish", PLUGIN, "--signature", forged)
    assert program("list")["programs"] == []
    assert not program("publish", PLUGIN, "--signature", signature, "--note", "Marks what is heard")["known_before"]
    assert program("publish", PLUGIN, "--signature", signature)["known_before"]
    os.chmod(key, 0o644)
    admin_refused("not-permitted", "publish", PLUGIN, "--key", key, "--name", "mark", "--version", "2", "--kind", "plug-in")
    os.chmod(key, 0o600)


def got_and_loaded():
    """The plug-in works on the sound, with what is specific to this device; without it the sound is as it was."""
    h.kitchen.refused("unknown-program", "play", content, "--output", "digest", "--plugin", "mark")
    h.kitchen.refused("unknown-program", "programs", "get", "nothing")
    row, = h.kitchen("programs")["programs"]
    assert (row["here"], row["offered"], row["provider_name"], row["text"]) == (False, "1.0.0", "acme", "Marks what is heard")
    got = h.kitchen("programs", "get", "mark")
    assert got["version"] == "1.0.0" and got["kind"] == "plug-in" and got["digest"] == hashlib.sha256(open(PLUGIN, "rb").read()).hexdigest()
    given = history()
    assert set(given) == {"kitchen"} and given["kitchen"]["user"] == "alice" and given["kitchen"]["version"] == "1.0.0"
    assert play(h.kitchen) == marked(bytes.fromhex(given["kitchen"]["mark"]))
    assert h.kitchen.digest(content) == reference_digest(track)
    assert h.kitchen("play", content, "--output", "null", "--plugin", "mark@aurora")["title"] == "Track 5"
    assert h.kitchen("programs", "show", "mark")["here"]
    sealed = open(file_of(h.kitchen), "rb").read()
    plain = open(PLUGIN, "rb").read()
    assert all(plain[at:at + 64] not in sealed for at in range(0, len(plain) - 64, 997) if any(plain[at:at + 64]))


def again_the_same():
    """A second download, a third after a restart of everything: the same information, and no new row."""
    before, first = history(), play(h.kitchen)
    h.kitchen("programs", "get", "mark")
    assert play(h.kitchen) == first
    h.kitchen("programs", "remove", "mark")
    h.kitchen.refused("unknown-program", "play", content, "--output", "digest", "--plugin", "mark")
    h.kitchen.refused("unknown-program", "programs", "remove", "mark")
    h.aurora.stop()
    kept = os.path.join(h.aurora.dir, "confidential", "programs.db")
    os.chmod(kept, 0o644)  # as a copy by hand may leave it
    h.aurora.start()
    assert os.stat(kept).st_mode & 0o777 == 0o600
    h.kitchen("programs", "get", "mark")
    assert play(h.kitchen) == first and history() == before


def another_device():
    """Its copy is another one; the first device's file opens nowhere else."""
    h.attic("programs", "get", "mark")
    given = history()
    assert set(given) == {"kitchen", "attic"} and given["kitchen"]["mark"] != given["attic"]["mark"]
    own, foreign = file_of(h.attic), file_of(h.kitchen)
    assert os.path.basename(own) == os.path.basename(foreign) and os.path.getsize(own) == os.path.getsize(foreign)
    assert open(own, "rb").read() != open(foreign, "rb").read()
    h.attic("get", content, "--yes")
    assert play(h.attic) == marked(bytes.fromhex(given["attic"]["mark"])) != play(h.kitchen)
    shutil.copy(own, own + ".kept")
    shutil.copy(foreign, own)
    h.attic.refused("block-corrupt", "play", content, "--output", "digest", "--plugin", "mark")
    os.replace(own + ".kept", own)
    assert play(h.attic) == marked(bytes.fromhex(given["attic"]["mark"]))
    # A customer of another distributor has neither the program nor any use for the file.
    shutil.copy(foreign, os.path.join(h.bedroom.state, "programs"))
    h.bedroom.refused("unknown-program", "programs", "get", "mark")
    assert h.bedroom("programs")["programs"] == []


def tampered():
    """On the device, and at the distributor: refused, and what was there stays as it was."""
    path, good = file_of(h.kitchen), play(h.kitchen)
    for at in (3, os.path.getsize(path) // 2, os.path.getsize(path) - 1):
        flip(path, at)
        h.kitchen.refused("block-corrupt", "play", content, "--output", "digest", "--plugin", "mark")
        flip(path, at)
    os.truncate(path, os.path.getsize(path) - 1)
    assert h.kitchen("programs", "show", "mark")["damaged"]
    h.kitchen.refused("block-corrupt", "play", content, "--output", "digest", "--plugin", "mark")
    os.unlink(path)
    h.kitchen.refused("block-corrupt", "play", content, "--output", "digest", "--plugin", "mark")
    h.kitchen("programs", "get", "mark")
    assert play(h.kitchen) == good
    stored = os.path.join(h.aurora.dir, "programs", hashlib.sha256(open(PLUGIN, "rb").read()).hexdigest())
    flip(stored, 100)
    h.kitchen.refused("block-corrupt", "programs", "get", "mark")
    assert play(h.kitchen) == good
    assert [f for f in os.listdir(os.path.dirname(path)) if "part" in f] == []
    flip(stored, 100)
    h.kitchen("programs", "get", "mark")


def withdrawn():
    good = play(h.kitchen)
    program("withdraw", "mark")
    h.kitchen.refused("program-withdrawn", "programs", "get", "mark")
    row, = h.kitchen("programs")["programs"]
    assert row["here"] and "offered" not in row
    assert play(h.kitchen) == good
    program("withdraw", "mark", "--undo")
    program("provider", "withdraw", "acme")
    h.kitchen.refused("program-withdrawn", "programs", "get", "mark")
    program("provider", "withdraw", "acme", "--undo")
    admin_refused("unknown-program", "withdraw", "nothing")


def no_step_back():
    """An older version only when it is asked for; the information stays over all versions."""
    good, mark = play(h.kitchen), history()["kitchen"]["mark"]
    later = os.path.join(h.root, "later.so")
    with open(later, "wb") as f:
        f.write(open(PLUGIN, "rb").read() + b"later")
    publish(later, "mark", "1.1")
    admin_refused("already", "publish", PLUGIN, "--key", key, "--name", "mark", "--version", "1.1", "--kind", "plug-in")
    assert h.kitchen("programs")["programs"][0]["offered"] == "1.1.0"
    assert h.kitchen("programs", "get", "mark")["version"] == "1.1.0"
    assert play(h.kitchen) == good
    h.kitchen.refused("program-outdated", "programs", "get", "mark", "--version", "1.0.0")
    h.kitchen("programs", "remove", "mark")
    h.kitchen.refused("program-outdated", "programs", "get", "mark", "--version", "1.0.0")
    assert h.kitchen("programs", "get", "mark", "--version", "1.0.0", "--older")["version"] == "1.0.0"
    assert play(h.kitchen) == good
    assert h.kitchen("programs", "get", "mark")["version"] == "1.1.0"
    assert {r["mark"] for r in program("history", "--name", "mark")["history"] if r["device"] == "kitchen"} == {mark}
    assert {r["device"] for r in program("history", "--mark", mark)["history"]} == {"kitchen"}


def another_signer():
    """A name is its first provider's, at the distributor and on every device, whatever the distributor says later."""
    bolt = program("key", other_key)["provider"]
    program("provider", "add", bolt, "--name", "bolt")
    admin_refused("provider-unknown", "publish", PLUGIN, "--key", other_key, "--name", "mark", "--version", "9", "--kind", "plug-in")
    good = play(h.kitchen)
    subprocess.run(["sqlite3", os.path.join(h.aurora.dir, "operations.db"), "DELETE FROM program WHERE name = 'mark'"], check=True)
    publish(PLUGIN, "mark", "9", signer=other_key)
    h.kitchen.refused("provider-unknown", "programs", "get", "mark")
    h.kitchen.refused("provider-unknown", "programs", "get", "mark", "--older")
    assert play(h.kitchen) == good
    h.kitchen("programs", "remove", "mark", "--forget")
    assert h.kitchen("programs", "get", "mark")["version"] == "9.0.0"
    assert play(h.kitchen) == good


def unusable():
    """What is signed and whole, but no plug-in, is said to be none; nothing is played past it, and no play is counted."""
    text = os.path.join(h.root, "text")
    with open(text, "w") as f:
        f.write("not a shared object\n")
    libm = "/usr/lib/x86_64-linux-gnu/libm.so.6"
    publish(text, "text", "1")
    h.kitchen("programs", "get", "text")
    assert "shared object" in h.kitchen.refused("program-unusable", "play", content, "--output", "digest", "--plugin", "text").args[0]
    if os.path.exists(libm):
        publish(libm, "libm", "1")
        h.kitchen("programs", "get", "libm")
        h.kitchen.refused("program-unusable", "play", content, "--output", "digest", "--plugin", "libm")
    assert h.kitchen.digest(content) == reference_digest(track)
    once = h.publish(make_track(os.path.join(h.root, "once.flac"), 1, seed=6), "--price", "0.50", "--max-plays", "1")
    h.kitchen("get", once, "--yes")
    h.kitchen.refused("program-unusable", "play", once, "--output", "digest", "--plugin", "text")
    h.kitchen("play", once, "--output", "null", "--plugin", "mark")
    h.kitchen.refused("use-exhausted", "play", once, "--output", "null")


def updates():
    """An update is opened for the household, whole or not at all."""
    big = os.path.join(h.root, "big")
    with open(big, "wb") as f:
        f.write(chance.randbytes(8 << 20))
    publish(big, "firmware", "3.2.1", "update")
    h.kitchen("programs", "get", "firmware")
    out = os.path.join(h.root, "out.fw")
    assert h.kitchen("programs", "save", "firmware", out)["path"] == out
    assert open(out, "rb").read() == open(big, "rb").read()
    h.kitchen.refused("already", "programs", "save", "firmware", out)
    h.kitchen.refused("not-permitted", "programs", "save", "mark", out + "2.fw")
    h.kitchen.refused("not-permitted", "programs", "save", "firmware", "/nowhere/out.fw")
    h.kitchen.refused("not-permitted", "programs", "save", "firmware", os.path.join(h.root, "out.desktop"))
    h.kitchen.refused("not-permitted", "play", content, "--output", "digest", "--plugin", "firmware")
    flip(file_of(h.kitchen, "firmware"), 5_000_000)
    h.kitchen.refused("block-corrupt", "programs", "save", "firmware", out + "3.fw")
    assert not os.path.exists(out + "2.fw") and not os.path.exists(out + "3.fw")
    admin_refused("too-large", "publish", too_large(), "--key", key, "--name", "huge", "--version", "1", "--kind", "update")


def too_large():
    path = os.path.join(h.root, "huge")
    with open(path, "wb") as f:
        f.truncate((16 << 20) + 1)
    return path


def killed():
    """kill -9 of device, vault or distributor in the middle of a download: afterwards it is got, and it is the same."""
    out = os.path.join(h.root, "after")
    h.kitchen("programs", "get", "firmware")
    before = history("firmware")
    for turn in range(int(os.environ.get("HEARTH_KILLS", "6"))):
        if turn % 2:
            h.kitchen("programs", "remove", "firmware")
        asked = threading.Thread(target=lambda: subprocess.run([PROGRAMS["hearth"], "--socket", h.kitchen.socket, "--json", "programs", "get", "firmware"],
                                                               capture_output=True, timeout=120))
        asked.start()
        time.sleep(chance.uniform(0, 0.12))
        who = ("hearthd", "vault", "distributor")[turn % 3]
        if who == "hearthd":
            h.kitchen.kill()
        elif who == "vault":
            os.kill(h.kitchen.vault_pid(), signal.SIGKILL)
        else:
            h.aurora.kill()
        if who == "distributor":
            h.aurora.start()
        asked.join()
        if who == "hearthd":
            h.kitchen.start()

        def again():
            try:
                return h.kitchen("programs", "get", "firmware")
            except Refused as refusal:
                assert refusal.code in ("offline", "internal", "timed-out", "cancelled"), refusal
        wait_for("it is got after all", again, 30)
        h.kitchen("programs", "save", "firmware", f"{out}{turn}.bin")
        assert open(f"{out}{turn}.bin", "rb").read() == open(os.path.join(h.root, "big"), "rb").read()
        assert history("firmware") == before
    assert [f for f in os.listdir(os.path.join(h.kitchen.state, "programs")) if "part" in f] == []


def backed_up():
    """A backup holds programs and history; what is put back gives each device the same information as before."""
    before, good, at = program("history")["history"], play(h.kitchen), os.path.join(h.root, "backup")
    h.aurora.admin("backup", at)
    assert os.stat(os.path.join(at, "programs.db")).st_mode & 0o777 == 0o600
    h.aurora.stop()
    h.aurora.admin("restore", at, "--replace")
    assert os.stat(os.path.join(h.aurora.dir, "confidential")).st_mode & 0o777 == 0o700
    h.aurora.start()
    assert program("history")["history"] == before
    wait_for("it is connected again", lambda: h.kitchen("accounts")["accounts"][0]["online"], 60)
    h.kitchen("programs", "get", "mark")
    assert play(h.kitchen) == good and program("history")["history"] == before


def in_the_export():
    """What a person was given is in the export of the account; the secret part is nowhere."""
    held = h.aurora.admin("user", "export", "alice")["programs"]
    assert ("mark", history()["kitchen"]["mark"]) in {(r["name"], r["mark"]) for r in held} and len(held) > 3
    assert [r["mark"] for r in h.aurora.admin("user", "export", "mallory")["programs"]] == [history()["attic"]["mark"]]
    assert h.kitchen("accounts", "export", "aurora")["programs"] == held


def removed_device():
    h.aurora.admin("device", "revoke", h.attic("status")["client"])
    h.attic.refused("device-revoked", "programs", "get", "mark")


run_cases([("providers", providers), ("got and loaded", got_and_loaded), ("again the same", again_the_same), ("another device", another_device),
           ("tampered", tampered), ("withdrawn", withdrawn), ("no step back", no_step_back), ("another signer", another_signer),
           ("unusable", unusable), ("updates", updates), ("killed", killed), ("backed up", backed_up), ("in the export", in_the_export), ("a removed device", removed_device)])
