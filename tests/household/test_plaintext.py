#!/usr/bin/python3
"""Where content may not be found in the clear: no file, no pipe, no shared or deleted file, no core of any program; nor in hearthd's memory at any time, nor
in the vault's once a play has ended. Looked for are pieces of the published files as they were, and of the samples an independent
decoder makes of them. Each way of looking is first shown to find what is there."""
import ctypes
import fcntl
import os
import resource
import shutil
import signal
import stat
import struct
import subprocess
import tempfile
import termios
import time

resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))  # whoever wants to leave a core may
from household import PROGRAMS, Household, Refused, enter_namespace, reference_digest, run_cases, wait_for

enter_namespace()
root = tempfile.mkdtemp(prefix="hearth-test-")
began = time.time()
sources = tempfile.mkdtemp(prefix="hearth-plain-")  # the only place where the originals may lie
os.environ["HOME"] = os.path.join(root, "home")
h = Household(root)
h.settle()
PIECE = 24
libc = ctypes.CDLL(None, use_errno=True)

CODECS = {"one.flac": ["-sample_fmt", "s16"], "two.ogg": ["-c:a", "libvorbis"], "three.mp3": ["-c:a", "libmp3lame"], "four.m4a": ["-c:a", "aac"]}
needles, songs = set(), {}


def ffmpeg(*args):
    subprocess.run(["ffmpeg", "-v", "error", "-y", *args], check=True, stdin=subprocess.DEVNULL)


def pieces_of(data, count=48):
    """Pieces that are like nothing else: not silence, not a table."""
    step = max(PIECE, len(data) // count)
    found = (data[at:at + PIECE] for at in range(step // 2, len(data) - PIECE, step))
    return {p for p in found if len(set(p)) > PIECE // 2 and b"\n" not in p and b"\0" not in p}


def prepare():
    wave = os.path.join(sources, "noise.wav")
    ffmpeg("-f", "lavfi", "-i", "aevalsrc=0.3*sin(2*PI*t*(220+40*sin(t)))+0.2*(random(7)-0.5):s=44100:d=30", "-ac", "2", wave)
    for name, options in CODECS.items():
        ffmpeg("-i", wave, *options, os.path.join(sources, name))
    ffmpeg("-f", "lavfi", "-i", "testsrc2=s=320x240:r=10:d=20", "-i", wave, "-t", "20", "-c:v", "mpeg4", "-q:v", "3", "-c:a", "aac", "-shortest", os.path.join(sources, "film.mp4"))
    for name in [*CODECS, "film.mp4"]:
        path = os.path.join(sources, name)
        with open(path, "rb") as f:
            needles.update(pieces_of(f.read()))
        raw = subprocess.run(["ffmpeg", "-v", "error", "-i", path, "-f", "s16le", "-ac", "2", "-ar", "44100", "-"], check=True, stdin=subprocess.DEVNULL, capture_output=True).stdout
        needles.update(pieces_of(raw, 24))
        songs[name] = h.publish(path, "--price", "1", "--title", name, "--max-copies", "9")
        h.kitchen("get", songs[name], "--yes")
    assert len(needles) > 200


def grep(*args, data=None):
    """Lines that grep prints; it looks for all pieces at once."""
    if not os.path.exists(os.path.join(sources, "pieces")):
        with open(os.path.join(sources, "pieces"), "wb") as f:
            f.write(b"".join(n + b"\n" for n in needles))
    done = subprocess.run(["grep", "-aF", "-f", os.path.join(sources, "pieces"), *args], input=data, capture_output=True, env={"LC_ALL": "C", "PATH": os.environ["PATH"]})
    return done.stdout.decode(errors="replace").splitlines()


def found_in(data):
    return bool(grep("-c", "-m1", data=data)[0] != "0")


# ---- looking ----

def files_with_plaintext(*trees):
    for tree in trees:
        for folder, _, names in os.walk(tree):
            for name in names:
                try:
                    assert not stat.S_ISFIFO(os.lstat(os.path.join(folder, name)).st_mode), f"a named pipe: {folder}/{name}"
                except FileNotFoundError:
                    pass
    return grep("-rl", "--devices=skip", *trees)


def new_elsewhere():
    """Files of this test's time in the folders where programs leave things."""
    found = []
    for folder in ("/tmp", "/var/tmp", "/dev/shm", "/run"):
        for entry in os.scandir(folder):
            try:
                if entry.is_file(follow_symlinks=False) and entry.stat(follow_symlinks=False).st_mtime >= began - 1:
                    found.append(entry.path)
            except FileNotFoundError:
                pass
    return found


def memory_with_plaintext(pid):
    """All the memory a process can write to."""
    parts = []
    with open(f"/proc/{pid}/maps", encoding="utf-8") as maps, open(f"/proc/{pid}/pagemap", "rb", 0) as pages, open(f"/proc/{pid}/mem", "rb", 0) as mem:
        for line in maps:
            span, rights = line.split()[:2]
            if "w" not in rights:
                continue
            first, last = (int(x, 16) for x in span.split("-"))
            pages.seek(first // 4096 * 8)
            for i, (entry,) in enumerate(struct.iter_unpack("Q", pages.read((last - first) // 4096 * 8))):
                if entry >> 62:  # present, or swapped
                    try:
                        mem.seek(first + i * 4096)
                        parts.append(mem.read(4096))
                    except (OSError, ValueError, OverflowError):
                        pass
    return found_in(b"".join(parts))


def descriptors_with_plaintext(pid):
    """Shared memory, deleted files, and what waits in pipes, which is looked at without being taken."""
    for name in os.listdir(f"/proc/{pid}/fd"):
        path = f"/proc/{pid}/fd/{name}"
        try:
            link = os.readlink(path)
            if link.startswith("pipe:"):
                fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
                try:
                    if peek(fd):
                        return link
                finally:
                    os.close(fd)
            elif "memfd:" in link or link.endswith("(deleted)"):
                with open(path, "rb") as f:
                    if found_in(f.read()):
                        return link
        except (FileNotFoundError, ProcessLookupError):
            pass
    return None


def peek(fd):
    waiting = struct.unpack("i", fcntl.ioctl(fd, termios.FIONREAD, b"\0" * 4))[0]
    if waiting == 0:
        return False
    read, write = os.pipe()
    try:
        count = libc.tee(fd, write, min(waiting, 65536), 2)  # SPLICE_F_NONBLOCK
        return count > 0 and found_in(os.read(read, count))
    finally:
        os.close(read)
        os.close(write)


def play(device, name):
    device("play", songs[name], "--output", "silent", "--background")
    wait_for("it plays", lambda: device("now")["state"] == "playing" and device("now")["position_ms"] > 200)


def nothing_anywhere():
    bad = files_with_plaintext(root, *new_elsewhere())
    assert bad == [], bad
    pids = {p.process.child.pid for p in (h.aurora, h.boreal, h.directory)}
    for d in (h.kitchen, h.attic, h.bedroom):
        pids.add(d.process.child.pid)
        pids.update(d.children())
    for pid in pids:
        try:
            where = descriptors_with_plaintext(pid)
        except (FileNotFoundError, ProcessLookupError):
            continue
        assert where is None, (pid, where)


# ---- cases ----

def looking_finds():
    one = next(iter(needles))
    planted = os.path.join(root, "planted")
    with open(planted, "wb") as f:
        f.write(b"x" * 1000 + one + b"y" * 1000)
    assert files_with_plaintext(root) == [planted]
    kept = open(planted, "rb")
    os.unlink(planted)
    assert files_with_plaintext(root) == []
    assert "(deleted)" in descriptors_with_plaintext(os.getpid())
    kept.close()
    read, write = os.pipe()
    os.write(write, b"z" * 100 + one)
    assert descriptors_with_plaintext(os.getpid()).startswith("pipe:")
    assert len(os.read(read, 4096)) == 100 + PIECE  # it was not taken
    os.close(read)
    os.close(write)
    memfd = os.memfd_create("planted")
    os.write(memfd, one)
    assert "memfd:" in descriptors_with_plaintext(os.getpid())
    os.close(memfd)


def samples_are_the_originals():
    for name in CODECS:
        assert h.kitchen.digest(songs[name]) == reference_digest(os.path.join(sources, name)), name
    nothing_anywhere()


def while_it_plays():
    for name in songs:
        play(h.kitchen, name)
        wait_for("the player has it in its memory", lambda: memory_with_plaintext(h.kitchen.player_pid()))  # so this way of looking finds it
        where = memory_with_plaintext(h.kitchen.process.child.pid)
        assert not where, ("hearthd", name)
        h.kitchen("seek", "0")  # it plays in time, and is not to end before all was looked at
        nothing_anywhere()
        h.kitchen("stop")


def after_it_has_played():
    vault = h.kitchen.vault_pid()
    wait_for("the players have ended", lambda: len(h.kitchen.children(b"hearth-player")) <= 1)
    for pid in [vault, h.kitchen.process.child.pid, *h.kitchen.children(b"hearth-player")]:
        where = memory_with_plaintext(pid)
        assert not where, pid


def by_the_sound_system():
    """ALSA's plug-ins that write files, asked for by a device's name or by the user's configuration; and to hearthd's own descriptors."""
    shared = tempfile.mkdtemp(prefix="hearth-test-", dir="/dev/shm")
    paths = [os.path.join(folder, "out.raw") for folder in (shared, root)]
    try:
        for name in ["alsa/tee:null,2,raw", "alsa/plug:'tee:null,2,raw'", *(f"alsa/{plugin}{path},raw" for plugin in ("tee:null,", "file:", "file:FILE=") for path in paths)]:
            h.kitchen.refused("usage", "play", songs["one.flac"], "--output", name)
        os.makedirs(os.environ["HOME"])
        for file in (*paths, "2"):
            with open(os.path.join(os.environ["HOME"], ".asoundrc"), "w") as f:
                for device in ("default", "null", "tee"):
                    f.write(f"pcm.!{device} {{ type file slave {{ pcm {{ type null }} }} file {file} format raw }}\n")
            h.kitchen("play", songs["one.flac"], "--output", "alsa/null")  # the system's own, which is as good as silence
            h.kitchen.refused("output-failed", "play", songs["one.flac"], "--output", "alsa/tee")
        try:
            h.kitchen("play", songs["one.flac"], "--output", "alsa")  # heard where there is a sound card
        except Refused as refusal:
            assert refusal.code == "output-failed", refusal
        bad = files_with_plaintext(root, shared)
        assert bad == [] and not any(os.path.exists(path) for path in paths), bad
    finally:
        shutil.rmtree(shared)


def on_its_way_to_others():
    for name in ("one.flac", "film.mp4"):
        h.kitchen("copy", songs[name], "--to", "bedroom")
    medium = os.path.join(root, "medium")
    os.mkdir(medium)
    h.kitchen("export", songs["two.ogg"], "--to", "attic", medium)
    h.attic("import", medium)
    assert h.attic.digest(songs["two.ogg"]) == reference_digest(os.path.join(sources, "two.ogg"))
    assert h.bedroom.digest(songs["one.flac"]) == reference_digest(os.path.join(sources, "one.flac"))
    nothing_anywhere()
    for process in (h.kitchen, h.bedroom, h.attic):
        where = memory_with_plaintext(process.process.child.pid)
        assert not where, process.name


def no_core():
    """Each is ended by a fault in the middle of a play, with no limit on cores."""
    for victim in ("hearth-player", "hearth-vault", "hearthd"):
        play(h.kitchen, "one.flac")
        pid = {"hearth-player": h.kitchen.player_pid, "hearth-vault": h.kitchen.vault_pid, "hearthd": lambda: h.kitchen.process.child.pid}[victim]()
        with open(f"/proc/{pid}/limits", encoding="utf-8") as f:
            limit = next(line.split()[4:6] for line in f if line.startswith("Max core file size"))
        if victim != "hearthd":
            assert limit == ["0", "0"], (victim, limit)
        os.kill(pid, signal.SIGSEGV)
        if victim == "hearthd":
            status = os.waitpid(pid, 0)[1]
            assert not os.WCOREDUMP(status)  # which also says that no program of the user takes its descriptors (PR_SET_DUMPABLE)
            h.kitchen.start()
        else:
            wait_for("it is over", lambda: not os.path.exists(f"/proc/{pid}"))
            h.kitchen.anyhow("stop")
        wait_for("it goes on", lambda: h.kitchen("status"))
    nothing_anywhere()
    cores = [os.path.join(folder, name) for folder, _, names in os.walk(os.getcwd()) for name in names if name.startswith("core")]
    bad = files_with_plaintext(*cores) if cores else []
    assert bad == [], bad


prepare()
try:
    run_cases([
        ("each way of looking finds what is there", looking_finds),
        ("samples of four codecs are those of the originals, and nothing is left in the clear", samples_are_the_originals),
        ("while it plays: hearthd's memory, files, pipes, shared memory", while_it_plays),
        ("after it has played: the vault's memory too", after_it_has_played),
        ("the sound system writes it nowhere", by_the_sound_system),
        ("copied to another distributor's device, and over a medium", on_its_way_to_others),
        ("no program leaves a core with it", no_core),
    ])
finally:
    subprocess.run(["rm", "-rf", sources], check=False)
