#!/usr/bin/python3
"""Metadata (R1): a provider, the publisher and a third party sign; content and license permit some of them; the device shows nothing else."""
import json
import os
import shutil
import subprocess
import sys

from household import Household, Refused, Screen, enter_namespace, make_track, run_cases, wait_for

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "python"))
import formats as f  # noqa: E402: the second implementation, for what the tool does not sign
import judge as j  # noqa: E402
import records as r  # noqa: E402

enter_namespace()
h = Household()
h.kitchen, h.attic = h.device("kitchen", h.aurora, "alice"), h.device("attic", h.aurora, "mallory")
kitchen = h.kitchen
JPEG = f.JPEG[:-2] + b"\xff\xda\x00\x02" + bytes(200) + f.JPEG[-2:]


def path(name, content=None):
    where = os.path.join(h.root, name)
    if content is not None:
        with open(where, "wb") as out:
            out.write(content.encode() if isinstance(content, str) else content)
    return where


tags = path("tags.txt", "title=Die Forelle\nartist=Somebody\nartist=Somebody else\n")
chapters = path("chapters.txt", "00:00 Beginning\n00:05 Middle\n00:20.500 End\n")
lyrics = path("song.lrc", "[ar:Somebody]\n[00:00.00]In einem Bächlein helle\n[00:06.00]da schoß in froher Eil\n[00:21.00]\n")
cover = path("front.jpg", JPEG)
song = h.publish(make_track(path("song.flac"), 30, seed=5), "--price", "0.50")
open_song = h.publish(make_track(path("open.flac"), 8, seed=6), "--price", "0.50", "--metadata-signers", "anyone")
narrow = h.publish(make_track(path("narrow.flac"), 3, seed=7), "--price", "0.50", "--metadata-signers", "anyone", "--license-signers", "publisher")
closed = h.publish(make_track(path("closed.flac"), 3, seed=8), "--price", "0.50", "--metadata-signers", "none")
for content in (song, open_song, narrow, closed):
    kitchen("get", content, "--yes")
acme, third = h.aurora.admin("metadata", "key", path("acme.key"))["provider"], h.aurora.admin("metadata", "key", path("third.key"))["provider"]
listed = h.publish(make_track(path("listed.flac"), 3, seed=9), "--price", "0.50", "--metadata-signers", third)
kitchen("get", listed, "--yes")
vouch = path("acme.vouch")
h.aurora.admin("metadata", "vouch", acme, vouch)


def sign(out, content, *args, own=False, key="acme", parts=None):
    who = ["--own"] if own else ["--key", path(key + ".key")] + (["--vouch", vouch] if key == "acme" else [])
    h.aurora.admin("metadata", "sign", "--content", content, "--out", path(out), *who, *(parts or ["--tags", tags]), *args)
    return path(out)


def listing(content):
    return kitchen("metadata", "list", content)["metadata"]


def shown(content):
    return kitchen("metadata", "show", content)["metadata"]


def file_of(content, number):
    return os.path.join(kitchen.state, "metadata", f"{content}-{number}.metadata")


def altered(source, out, at):
    data = bytearray(open(source, "rb").read())
    data[at] ^= 1
    return path(out, bytes(data))


def forged(content, parts, **changes):
    """As the tool would sign it, but it does not sign this."""
    signer = f.Signer(open(path("third.key"), "rb").read())
    fields = {"content": content, "kind": 1, "signer": f.id_of_key(signer.public), "sequence": 1, "language": "", "issued_ms": 0, "parts_bytes": len(parts),
              "parts_digest": f.sha256(parts), **changes}
    envelope = r.document_sign("metadata", fields, signer)
    return b"HEARTHM1" + f.be32(len(envelope)) + envelope + f.be32(0) * 2 + parts


def content_bytes(content):
    import base64
    return base64.b32decode(content.upper() + "=" * (-len(content) % 8))


# ---- cases ----

def provider_and_publisher():
    """A provider that the publisher vouches for, and the publisher itself: permitted, listed and shown as they were written."""
    whole = sign("whole", song, "--language", "de", "--sequence", "7",
                 parts=["--tags", tags, "--chapters", chapters, "--lyrics", lyrics, "--cover", cover])
    added = kitchen("metadata", "add", song, whole)
    assert (added["number"], added["permitted"], added["signer"], added["vouched"], added["sequence"]) == (1, True, acme, True, 7), added
    assert (added["tags"], added["chapters"], added["lyrics"], added["cover"], added["language"]) == (3, 3, 3, "image/jpeg", "de"), added
    own = kitchen("metadata", "add", song, sign("own", song, own=True))
    assert (own["number"], own["permitted"], own["publisher"]) == (2, True, True), own
    one, two = shown(song)
    assert [(t["key"], t["value"]) for t in one["tag_list"]] == [("title", "Die Forelle"), ("artist", "Somebody"), ("artist", "Somebody else")]
    assert [(c["start_ms"], c["text"]) for c in one["chapter_list"]] == [(0, "Beginning"), (5000, "Middle"), (20500, "End")]
    assert [(c["start_ms"], c["text"]) for c in one["lyric_list"]] == [(0, "In einem Bächlein helle"), (6000, "da schoß in froher Eil"), (21000, "")]
    assert "chapter_list" not in two and len(kitchen("metadata", "show", song, "2")["metadata"]) == 1
    said = j.metadata_parts(j.metadata_file(open(whole, "rb").read())[3])
    assert [p[2] for p in said if p[0] == 2] == ["Beginning", "Middle", "End"] and said[-1][2] == JPEG
    kitchen.refused("not-found", "metadata", "show", song, "9")
    kitchen.refused("not-found", "metadata", "add", song, path("nothing"))


def ranges():
    """Each content and license names its own; whoever is outside has nothing stored."""
    stranger = lambda content: sign("third." + content[:6], content, key="third")
    kitchen.refused("metadata-not-permitted", "metadata", "add", song, stranger(song))
    assert len(listing(song)) == 2
    kitchen("metadata", "add", open_song, stranger(open_song))
    kitchen("metadata", "add", listed, stranger(listed))
    kitchen.refused("metadata-not-permitted", "metadata", "add", listed, sign("acme.listed", listed))
    refusal = kitchen.refused("metadata-not-permitted", "metadata", "add", narrow, stranger(narrow))
    assert refusal is None or "license" in str(refusal)
    kitchen("metadata", "add", narrow, sign("own.narrow", narrow, own=True))
    for own in (True, False):
        kitchen.refused("metadata-not-permitted", "metadata", "add", closed, sign("closed", closed, own=own))
    h.attic("get", open_song, "--download-only")
    h.attic.refused("no-license", "metadata", "add", open_song, stranger(open_song))


def forgeries():
    """Altered, cut off, of another content, in another's name, with text that acts on a terminal."""
    good = sign("good", song)
    size = os.path.getsize(good)
    kitchen.refused("signature-invalid", "metadata", "add", song, altered(good, "forged", 60))
    kitchen.refused("signature-invalid", "metadata", "add", song, altered(good, "forged", size - 1))
    kitchen.refused("malformed", "metadata", "add", song, altered(good, "forged", 0))
    kitchen.refused("malformed", "metadata", "add", song, path("cut", open(good, "rb").read()[:100]))
    kitchen.refused("signature-invalid", "metadata", "add", song, path("cut", open(good, "rb").read()[:-1]))
    kitchen.refused("content-id-mismatch", "metadata", "add", open_song, good)
    kitchen.refused("too-large", "metadata", "add", song, path("large", b"HEARTHM1" + bytes(1 << 20)))
    kitchen.refused("malformed", "metadata", "add", song, path("empty", b""))
    name = content_bytes(open_song)
    title = lambda text: b"\x01" + f.be32(6 + len(text)) + b"\x05title" + text
    in_acmes_name = forged(name, title(b"x"), signer=content_bytes(acme))
    kitchen.refused("signature-invalid", "metadata", "add", open_song, path("forged", in_acmes_name))
    kitchen.refused("metadata-ended", "metadata", "add", open_song, path("forged", forged(name, title(b"x"), language="en", ends_ms=1)))
    before = listing(open_song)
    kitchen.refused("malformed", "metadata", "add", open_song, path("forged", forged(name, title(b"\x1b]0;owned\x07\x1b[2J"), language="fr")))
    assert listing(open_song) == before
    shutil.copy(path("forged"), file_of(open_song, 5))  # by hand: it was never added
    row = next(m for m in listing(open_song) if m["number"] == 5)
    assert row["verdict"] == "malformed" and not row["permitted"]
    assert "owned" not in json.dumps(shown(open_song)) + json.dumps(kitchen("metadata", "show", open_song, "5"))
    kitchen("metadata", "remove", open_song, "5")


def numbers():
    """A later document takes the place of an earlier one, and nothing older comes back, not even when the later one is removed."""
    later = sign("later", song, "--language", "de", "--sequence", "9", parts=["--tags", tags, "--chapters", chapters, "--lyrics", lyrics, "--cover", cover])
    kept = shutil.copy(file_of(song, 1), path("kept"))
    assert kitchen("metadata", "add", song, later)["number"] == 1
    kitchen.refused("metadata-outdated", "metadata", "add", song, path("whole"))
    shutil.copy(kept, file_of(song, 1))
    assert listing(song)[0]["verdict"] == "metadata-outdated"
    kitchen("metadata", "remove", song, "1")
    kitchen.refused("not-found", "metadata", "remove", song, "1")
    kitchen.stop()
    kitchen.start()
    kitchen.refused("metadata-outdated", "metadata", "add", song, path("whole"))
    assert kitchen("metadata", "add", song, later)["number"] == 1


def on_the_disk():
    """What is altered, cut off or taken away after it was added gets a verdict and is not shown."""
    good, where = open(file_of(song, 1), "rb").read(), file_of(song, 1)
    for data, verdict in ((good[:-1] + bytes([good[-1] ^ 1]), "signature-invalid"), (good[:-9], "signature-invalid"), (good[:40], "malformed"),
                          (b"", "malformed"), (good + b"x", "signature-invalid"), (b"x" * (2 << 20), "malformed")):
        path("altered", data)
        shutil.copy(path("altered"), where)
        row = listing(song)[0]
        assert (row["number"], row["permitted"], row["verdict"], row["tags"]) == (1, False, verdict, 0), row
        assert [m["number"] for m in shown(song)] == [2]
    os.remove(where)
    assert [m["number"] for m in listing(song)] == [2]
    path("whole again", good)
    shutil.copy(path("whole again"), where)
    assert listing(song)[0]["permitted"]


def playing():
    """Chapters are jumped to; the line and the chapter it is at are said; where nothing is permitted, nothing is."""
    now = lambda: kitchen("now")
    kitchen("play", song, "--output", "silent", "--background")
    at = wait_for("the metadata", lambda: now().get("lyric") and now())
    assert (at["chapter"], at["chapters"], at["chapter_title"], at["lyric"], at["cover"]) == (1, 3, "Beginning", "In einem Bächlein helle", True), at
    kitchen("pause")
    at = kitchen("seek", "--chapter", "2")
    assert 4750 <= at["position_ms"] < 6000 and at["chapter_title"] == "Middle", at
    assert now()["chapter_title"] == "Middle"
    kitchen("seek", "10")
    at = now()
    assert (at["chapter"], at["lyric"]) == (2, "da schoß in froher Eil"), at
    assert kitchen("next", "--chapter")["chapter_title"] == "End"
    kitchen("seek", "22")
    at = now()
    assert at["chapter_title"] == "End" and "lyric" not in at, at
    assert 4750 <= kitchen("previous", "--chapter")["position_ms"] <= 6000  # it was at the beginning of the last one
    kitchen("seek", "25")
    kitchen.refused("not-found", "seek", "--chapter", "4")
    kitchen.refused("not-found", "next", "--chapter")
    assert 20200 <= kitchen("previous", "--chapter")["position_ms"] <= 21000  # of the one it was in for a while
    kitchen("stop")
    h.aurora.admin("metadata", "vouch", acme, path("withdrawn.vouch"), "--withdraw")
    kitchen("metadata", "vouch", path("withdrawn.vouch"))
    kitchen.refused("metadata-outdated", "metadata", "vouch", vouch)
    assert listing(song)[0]["verdict"] == "metadata-not-permitted"
    kitchen("play", song, "--output", "silent", "--background")
    wait_for("it to play", lambda: now()["state"] == "playing" and now()["position_ms"] > 500)
    assert "chapter" not in now() and "lyric" not in now() and not now().get("cover")
    kitchen.refused("not-found", "seek", "--chapter", "1")
    kitchen("stop")


def window():
    """The cover is on the screen while the sound plays, decoded by the confined player; one that is no picture inside changes nothing."""
    if not shutil.which("Xvfb"):
        return "SKIP Xvfb is not installed"
    subprocess.run(["ffmpeg", "-v", "error", "-y", "-f", "lavfi", "-i", "color=red:s=320x240:d=0.04", "-frames:v", "1", path("red.png")], check=True,
                   stdin=subprocess.DEVNULL)
    kitchen("metadata", "add", open_song, sign("red", open_song, "--language", "it", own=True, parts=["--cover", path("red.png")]))
    os.makedirs(os.path.join(h.root, "screen"))
    screen = Screen(os.path.join(h.root, "screen"))
    os.environ["DISPLAY"] = screen.display
    try:
        kitchen("play", song, "--output", "silent", "--background")  # nothing is permitted: no window
        wait_for("it to play", lambda: kitchen("now")["position_ms"] > 500)
        assert not kitchen("now")["picture"]
        kitchen("stop")
        kitchen("play", open_song, "--output", "silent", "--background")
        wait_for("the cover is on the screen", lambda: screen.shows(255, 0, 0) > 20000)
        assert kitchen("now")["picture"] and kitchen("now")["cover"]
        wait_for("the end", lambda: kitchen.anyhow("now").get("error"))
        wait_for("the window is gone", lambda: screen.shows(255, 0, 0) == 0)
        kitchen("metadata", "add", open_song, sign("broken", open_song, "--language", "it", own=True, parts=["--cover", cover]))
        assert kitchen("play", open_song, "--output", "silent")["title"] == "Track 6"
    finally:
        del os.environ["DISPLAY"]
        screen.stop()
    return None


def says(word, *command):
    try:
        kitchen("metadata", *command)
    except Refused as refusal:
        assert word in str(refusal), (word, refusal)
        return
    raise AssertionError(command)


def vouch_of_its_own():
    """A vouch that was taken counts for files without one; every refusal names the file and what is wrong with it."""
    theirs, red = sign("theirs", song, "--language", "nl", key="third"), path("red.png", b"\x89PNG\r\n\x1a\n" + bytes(20))
    says("theirs is not permitted: the content permits its publisher and whom that vouches for", "add", song, theirs)
    h.aurora.admin("metadata", "vouch", third, path("third.vouch"))
    kitchen("metadata", "vouch", path("third.vouch"))
    added = kitchen("metadata", "add", song, theirs)
    assert added["vouched"] and added["permitted"], added
    says("red.png is no metadata file", "add", song, red)
    says("red.png is no vouch", "vouch", red)
    says("nothing is no file", "add", song, path("nothing"))
    says("theirs belongs to another content", "add", open_song, theirs)
    own, size = path("own"), os.path.getsize(path("own"))
    for at in range(8, size, size // 16):  # the publisher's keys in it are not needed here: this device knows them
        says("own", "add", song, altered(own, "own.altered", at))


def pipes():
    """Whatever is named as a file is read only when it is one: nobody waits for the other end of a pipe."""
    pipe = path("pipe")
    os.mkfifo(pipe)
    for _ in range(5):  # as many as there are threads for files, and one
        kitchen.refused("not-found", "metadata", "add", song, pipe)
        kitchen.refused("malformed", "metadata", "vouch", pipe)
    kitchen.refused("not-found", "metadata", "add", song, "/dev/zero")
    kitchen.refused("not-found", "metadata", "add", song, h.root)
    assert kitchen.digest(closed)


def pipes_for_bodies():
    """The same of what lies where a body should: whatever it is, nobody waits for it, also not at the start."""
    body = os.path.join(kitchen.state, "bodies", closed + ".body")
    os.rename(body, body + ".kept")
    for make in (os.mkfifo, os.mkdir):
        make(body)
        for _ in range(5):
            kitchen.refused("block-corrupt", "play", closed, "--output", "null")
            kitchen.refused("not-found", "metadata", "list", closed)
        kitchen.kill()
        kitchen.start()
        assert kitchen("library")["library"] and kitchen.digest(narrow)
        (os.rmdir if os.path.isdir(body) else os.unlink)(body)
    os.rename(body + ".kept", body)
    kitchen.stop()
    kitchen.start()
    assert kitchen.digest(closed)


def the_tool():
    """What cannot be signed is said with its line."""
    for args in (["--tags", path("bad", "title\n")], ["--chapters", path("bad", "00:10 b\n00:05 a\n")], ["--lyrics", path("bad", "no time\n")],
                 ["--cover", path("bad", "GIF89a")], ["--cover", path("bad", f.png(16000, 16000))], ["--tags", path("bad", "title=\x1b[2J\n")]):
        try:
            h.aurora.admin("metadata", "sign", "--content", song, "--key", path("acme.key"), "--out", path("never"), *args)
        except Refused as refusal:
            assert refusal.code == "malformed", refusal
            continue
        raise AssertionError(args)
    assert not os.path.exists(path("never"))


try:
    run_cases([("provider and publisher", provider_and_publisher), ("ranges", ranges), ("forgeries", forgeries), ("pipes", pipes), ("pipes for bodies", pipes_for_bodies), ("numbers", numbers),
               ("on the disk", on_the_disk), ("playing", playing), ("window", window), ("a vouch of its own", vouch_of_its_own), ("the tool", the_tool)])
finally:
    h.down()
