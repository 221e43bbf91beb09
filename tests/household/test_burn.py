#!/usr/bin/python3
"""`hearth burn`: images compared with the original's samples, the right that it needs, what it counts, and what is left when it goes wrong."""
import array
import os
import pty
import signal
import stat
import subprocess
import tempfile
import wave

from household import PROGRAMS, Household, Refused, enter_namespace, make_track, own_mounts, run_cases, wait_for

enter_namespace()
mounts = own_mounts()
root = tempfile.mkdtemp(prefix="hearth-test-")
h = Household(root).settle()
out = os.path.join(root, "discs")
os.mkdir(out)
SECTOR = 2352


def song(name, *options, seconds=2, seed=1):
    made, path = make_track(os.path.join(root, name + ".made.flac"), seconds, seed=seed), os.path.join(root, name + ".flac")
    subprocess.run(["ffmpeg", "-v", "error", "-y", "-i", made, "-sample_fmt", "s16", path], check=True, stdin=subprocess.DEVNULL)
    content = h.publish(path, "--price", "1", *options)
    h.kitchen("get", content, "--yes")
    return path, content


def samples(path):
    """What another decoder makes of it: 16 bit stereo at 44.1 kHz."""
    return subprocess.run(["ffmpeg", "-v", "error", "-i", path, "-f", "s16le", "-ar", "44100", "-ac", "2", "-"], check=True, stdout=subprocess.PIPE).stdout


def padded(raw):
    return raw + bytes(-len(raw) % SECTOR)


def left_over():
    return sorted(os.listdir(out))


def clean():
    for name in os.listdir(out):
        os.unlink(os.path.join(out, name))


def images():
    path, one = song("first", "--record", "--name", "To record")
    raw = samples(path)
    wav, cue = os.path.join(out, "a.wav"), os.path.join(out, "b.cue")
    ours, theirs = pty.openpty()
    subprocess.run([PROGRAMS["hearth"], "--socket", h.kitchen.socket, "burn", one, "--image", wav], check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=theirs)
    shown = os.read(ours, 65536).decode()
    assert f" of {2 * 44100 * 4 / 1024:.1f} KiB" in shown, shown  # bytes of the disc
    for end in (ours, theirs):
        os.close(end)
    clean()
    done = h.kitchen("burn", one, "--image", wav)
    assert done["files"] == [wav] and done["samples"] == len(raw) // 4 and done["sectors"] == len(padded(raw)) // SECTOR, done
    with wave.open(wav) as w:
        assert (w.getnchannels(), w.getsampwidth(), w.getframerate()) == (2, 2, 44100)
        assert w.readframes(w.getnframes()) == padded(raw)
    done = h.kitchen("burn", one, "--image", cue)
    binary = os.path.join(out, "b.bin")
    assert done["files"] == [binary, cue], done
    with open(binary, "rb") as f:
        assert f.read() == padded(raw)
    with open(cue) as f:
        assert f.read() == f'FILE "b.bin" BINARY\n  TRACK 01 AUDIO\n    TITLE "{done["title"]}"\n    INDEX 01 00:00:00\n'
    for made in (wav, binary, cue):
        assert stat.S_IMODE(os.stat(made).st_mode) == 0o600
    for name in ("a.wav", "b.bin", "b.cue"):  # what is there stays as it is
        h.kitchen.refused("already", "burn", one, "--image", os.path.join(out, name))
    assert left_over() == ["a.wav", "b.bin", "b.cue"]
    clean()


def other_formats():
    """Another rate and one channel: converted as a disc needs it."""
    path = os.path.join(root, "mono.flac")
    subprocess.run(["ffmpeg", "-v", "error", "-y", "-f", "lavfi", "-i", "sine=440:r=48000:d=2", "-ac", "1", path], check=True)
    one = h.publish(path, "--price", "1", "--record", "--name", "Mono")
    h.kitchen("get", one, "--yes")
    wav = os.path.join(out, "mono.wav")
    done = h.kitchen("burn", one, "--image", wav)
    assert abs(done["samples"] - 2 * 44100) < 64, done
    with wave.open(wav) as w:
        made = array.array("h", w.readframes(done["samples"]))
    wanted = array.array("h", samples(path))
    assert made[0::2] == made[1::2]
    count = min(len(made), len(wanted))
    assert max(made) > 1000
    product = sum(a * b for a, b in zip(made[:count], wanted[:count]))
    square = sum(a * a for a in made[:count])
    other = sum(b * b for b in wanted[:count])
    assert product / (square * other) ** 0.5 > 0.999  # two resamplers, dithered
    clean()


def the_right():
    _, one = song("silent", "--name", "Not to record", seed=2)
    refusal = h.kitchen.refused("not-permitted", "burn", one, "--image", os.path.join(out, "no.wav"))
    assert "hearth get" in str(refusal), refusal  # which product does is shown there
    assert left_over() == []
    assert h.kitchen.digest(one)  # played it is


def what_it_counts():
    _, one = song("counted", "--record", "--max-plays", "2", "--use-log", "--name", "Two plays", seed=3)
    try:
        h.kitchen("burn", one, "--image", os.path.join(out, "c.wav"))
        raise AssertionError("nobody agreed")
    except Refused as refusal:
        assert refusal.status == 2, refusal
    assert left_over() == [] and h.kitchen.track(one)["plays"] == 0
    h.kitchen("burn", one, "--image", os.path.join(out, "c.wav"), "--yes")
    assert h.kitchen.track(one)["plays"] == 1
    assert h.kitchen("use-log")["uses"][0]["play_ms"] >= 1990
    h.kitchen("burn", one, "--image", os.path.join(out, "d.wav"), "--yes")
    h.kitchen.refused("use-exhausted", "burn", one, "--image", os.path.join(out, "e.wav"), "--yes")
    assert left_over() == ["c.wav", "d.wav"]
    clean()


def no_half_a_track():
    _, one = song("time", "--record", "--play-time", "3s", "--name", "Three seconds", seed=4)
    assert h.kitchen.digest(one)
    assert h.kitchen.track(one)["play_ms"] >= 1990
    before = h.kitchen.track(one)["play_ms"]
    h.kitchen.refused("use-exhausted", "burn", one, "--image", os.path.join(out, "f.wav"), "--yes")
    assert h.kitchen.track(one)["play_ms"] == before and left_over() == []


def a_full_disk():
    """An image that would not fit is not begun, and costs nothing."""
    if not mounts:
        return "SKIP no file system can be mounted here"
    _, one = song("full", "--record", "--max-plays", "1", "--name", "Full disk", seconds=30, seed=10)
    small = os.path.join(root, "small")
    os.mkdir(small)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "small", small], check=True)
    try:
        for name in ("a.wav", "a.cue"):
            assert "Nothing was counted" in h.kitchen.refused("storage-full", "burn", one, "--yes", "--image", os.path.join(small, name)).message
        assert os.listdir(small) == [] and h.kitchen.track(one)["plays"] == 0
        subprocess.run(["mount", "-o", "remount,size=16m", small], check=True)
        wav = os.path.join(small, "a.wav")
        h.kitchen("burn", one, "--yes", "--image", wav)
        assert os.stat(wav).st_blocks * 512 < os.path.getsize(wav) + 65536  # and keeps no more than it needs
    finally:
        subprocess.run(["umount", small], check=True)
    return None


def wrong_names():
    _, one = song("names", "--record", "--name", "Names", seed=5)
    for name in ("a.mp3", ".wav", "wav"):
        h.kitchen.refused("malformed", "burn", one, "--image", os.path.join(out, name))
    h.kitchen.refused("not-found", "burn", one, "--image", os.path.join(out, "none", "a.wav"))
    closed = h.kitchen.refused("not-permitted", "burn", one, "--image", "/proc/a.wav", "--yes")
    assert "/proc/a.wav cannot be written" in closed.message and "another place" in closed.message, closed.message
    for device in ("/etc/passwd", "stdio:/dev/null", "/dev/../etc/passwd"):
        h.kitchen.refused("malformed", "burn", one, "--device", device, "--yes")
    assert left_over() == []


def no_burner():
    """Debian's burner program looks for the drive before anything is counted."""
    _, one = song("drive", "--record", "--max-plays", "1", "--name", "One play", seed=6)
    if not os.path.exists("/usr/bin/cdrskin"):
        h.kitchen.refused("not-found", "burn", one, "--yes")
        return
    h.kitchen.refused("not-found", "burn", one, "--device", "/dev/null", "--yes")
    h.kitchen.refused("not-found", "burn", one, "--device", "/dev/sr77", "--yes")
    assert h.kitchen.track(one)["plays"] == 0


def interrupted():
    """The person goes away, hearthd is killed: nothing half done has the image's name, and the next one begins anew."""
    _, one = song("long", "--record", "--name", "Long", seconds=900, seed=7)
    wav = os.path.join(out, "long.wav")
    for end in ("client", "daemon"):
        client = subprocess.Popen([PROGRAMS["hearth"], "--socket", h.kitchen.socket, "burn", one, "--image", wav], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for("something is recorded", lambda: os.path.exists(wav + ".part") and os.path.getsize(wav + ".part") > 200000)
        h.kitchen.refused("in-use", "burn", one, "--image", os.path.join(out, "other.wav"))
        if end == "client":
            client.send_signal(signal.SIGINT)
        else:
            h.kitchen.kill()
        client.wait(20)
        if end == "client":
            wait_for("what was begun is gone", lambda: left_over() == [])
        else:
            h.kitchen.start()
            assert not os.path.exists(wav)
    _, short = song("short", "--record", "--name", "Short", seed=8)
    h.kitchen("burn", short, "--image", wav)
    assert left_over() == ["long.wav"]
    clean()


def nothing_else_has_the_samples():
    """Neither half of the pipeline leaves samples in the state directory."""
    path, one = song("search", "--record", "--name", "Search", seed=9)
    needle = samples(path)[40000:40064]
    h.kitchen("burn", one, "--image", os.path.join(out, "s.wav"))
    for where, _, names in os.walk(root):
        for name in names:
            full = os.path.join(where, name)
            if os.path.isfile(full) and where != out:
                with open(full, "rb") as f:
                    assert needle not in f.read(), full
    clean()


run_cases([("images have the original's samples", images), ("other formats become a disc's", other_formats),
           ("without the right it is refused", the_right), ("it counts as a play, when that was agreed to", what_it_counts),
           ("a track that would not fit into what is left is not begun", no_half_a_track), ("a disk without room", a_full_disk), ("names that are none", wrong_names),
           ("no drive: nothing is counted", no_burner), ("interrupted", interrupted),
           ("samples are in the image only", nothing_else_has_the_samples)])
