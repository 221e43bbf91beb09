"""Playback worth using, through the real programs: codecs, queue, controls from other commands and from the keyboard, positions, windows, renewal in
the middle, players that crash and hang."""
import fcntl
import os
import pty
import re
import select
import signal
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import termios
import time
from concurrent.futures import ThreadPoolExecutor

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from household import PROGRAMS, Device, Distributor, Refused, Screen, enter_namespace, reference_digest, run_cases, wait_for  # noqa: E402

enter_namespace()
root = tempfile.mkdtemp(prefix="hearth-playback-")
songs = {}  # name: content ID
files = {}


def ffmpeg(name, *options):
    files[name] = os.path.join(root, name)
    subprocess.run(["ffmpeg", "-v", "error", "-y", *options, files[name]], check=True, stdin=subprocess.DEVNULL)
    return files[name]


def noise(seconds, seed):
    return ["-f", "lavfi", "-i", f"aevalsrc=0.3*sin(2*PI*t*{200 + seed})+0.1*(random({seed})-0.5)|0.2*sin(2*PI*t*{300 + seed}):s=44100:d={seconds}"]


def publish(name, *options):
    songs[name] = aurora.admin("publish", files[name], "--title", name, *options)["published"][0]["content"]
    return songs[name]


def bring(name, *options):
    one = publish(name, "--price", "1", *options)
    kitchen("get", one, "--yes")
    return one


def set_up():
    global aurora, kitchen
    aurora = Distributor(root, "aurora")
    password = aurora.user("alice")
    aurora.start()
    kitchen = Device(root, "kitchen").start()
    kitchen.register(aurora, "alice", password)
    codecs = {"a.flac": ["-sample_fmt", "s16"], "b.ogg": ["-c:a", "libvorbis"], "c.mp3": ["-c:a", "libmp3lame"], "d.m4a": ["-c:a", "aac"]}
    ffmpeg("noise.wav", *noise(30, 1))
    jobs = [(name, "-i", files["noise.wav"], *options) for name, options in codecs.items()]
    jobs.append(("green.mp4", "-f", "lavfi", "-i", "color=c=0x20c040:s=320x240:d=20:r=10", "-i", files["noise.wav"], "-t", "20", "-c:v", "mpeg4", "-q:v", "2", "-c:a", "aac", "-shortest"))
    jobs.append(("mute.avi", "-f", "lavfi", "-i", "color=c=0x2040e0:s=160x120:d=1:r=10", "-c:v", "mjpeg"))
    jobs.append(("red.png", "-f", "lavfi", "-i", "color=c=0xe02020:s=200x150", "-frames:v", "1"))
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda job: ffmpeg(*job), jobs))
    del files["noise.wav"]
    for name in list(files):
        bring(name)


# ---- helpers ----

def now():
    return kitchen("now")


def silent(*names, options=()):
    """A play in time, left running."""
    return kitchen("play", *[songs[n] for n in names], "--output", "silent", "--background", *options)


class Since:
    """A track plays on while the test asks: how many ms it may be further by now."""

    def __init__(self):
        self.began = time.monotonic()

    def ms(self):
        return (time.monotonic() - self.began) * 1000


def nothing_plays():
    try:
        kitchen("stop")
    except Refused as refused:
        assert refused.code == "not-found", refused


class Terminal:
    """`hearth play` on a terminal of its own."""

    def __init__(self, *args, env=None, shell=None, columns=120):
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        self.slave = slave
        self.before = termios.tcgetattr(slave)
        self.text = b""

        def own_terminal():
            os.setsid()
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)

        argv = [PROGRAMS["hearth"], "--socket", kitchen.socket, "play", *args]
        if shell:
            argv = ["bash", "-m", "-c", shell, "bash", *argv]
        self.child = subprocess.Popen(argv, stdin=slave, stdout=slave, stderr=slave, preexec_fn=own_terminal,
                                      env=dict(os.environ, **(env or {})))

    def read(self):
        while select.select([self.master], [], [], 0)[0]:
            self.text += os.read(self.master, 65536)
        return self.text.decode(errors="replace")

    def sees(self, pattern, seconds=20):
        return wait_for(f"the terminal shows {pattern}", lambda: re.search(pattern, self.read()), seconds)

    def type(self, text):
        self.text = b""
        os.write(self.master, text.encode())

    def is_raw(self):
        return not termios.tcgetattr(self.slave)[3] & termios.ICANON

    def ends(self, status=None):
        def over():
            self.read()  # a full terminal would hold it up
            return self.child.poll() is not None
        wait_for("hearth play ends", over)
        assert status is None or self.child.returncode == status, (self.child.returncode, self.text)
        assert termios.tcgetattr(self.slave) == self.before, "the terminal is not as it was"
        os.close(self.master)
        os.close(self.slave)


def stopped():
    try:
        now()
    except Refused as refused:
        return refused.code == "not-found"
    return False


def alone(case):
    """A case begins with nothing playing, whatever became of the one before."""
    def run():
        nothing_plays()
        return case()
    return run


# ---- cases ----

def codecs():
    names = ["a.flac", "b.ogg", "c.mp3", "d.m4a", "green.mp4"]
    with ThreadPoolExecutor(2) as pool:
        expected = list(pool.map(lambda n: reference_digest(files[n]), names))
    played = kitchen("play", *[songs[n] for n in names], "--output", "digest")
    assert played["failed"] == []
    assert [(p["title"], p["digest"]) for p in played["played"]] == list(zip(names, expected))


def counted_at_once():
    ffmpeg("counted.flac", *noise(1, 20))
    one = bring("counted.flac", "--max-plays", "3")
    for i in (1, 2, 3):
        kitchen("play", one, "--output", "digest")
        assert kitchen("show", one)["plays"] == i  # without waiting
    kitchen.refused("use-exhausted", "play", one, "--output", "digest")
    assert kitchen("show", one)["license"] == "used-up"


def from_other_commands():
    kitchen.refused("not-found", "now")
    kitchen.refused("not-found", "pause")
    kitchen.refused("not-found", "queue", songs["a.flac"])
    assert kitchen("queue") == {"queue": []}
    assert kitchen("volume", "90") == {"state": "stopped", "volume": 90} and kitchen("volume", "+10")["volume"] == 100
    silent("a.flac", "b.ogg")
    assert (now()["title"], now()["state"], now()["count"], now()["output"]) == ("a.flac", "playing", 2, "silent")
    kitchen.refused("in-use", "play", songs["c.mp3"], "--output", "silent")
    paused = kitchen("pause")
    assert paused["state"] == "paused"
    time.sleep(0.3)  # nothing may happen meanwhile
    assert abs(now()["position_ms"] - paused["position_ms"]) < 50
    assert kitchen("pause", "--off")["state"] == "playing"
    since = Since()
    assert 19500 <= kitchen("seek", "0:20")["position_ms"] <= 20500 + since.ms()
    assert 9300 <= kitchen("seek", "-10")["position_ms"] <= 11000 + since.ms()
    assert 12300 <= kitchen("seek", "+3")["position_ms"] <= 14000 + since.ms()
    kitchen("pause")
    assert "cannot go to 6:00:00: the track is 0:30 long" in kitchen.refused("not-found", "seek", "6:00:00").message
    assert 28500 <= kitchen("seek", "+10:00")["position_ms"] <= 29500  # short of the end: seeking ends no track
    assert kitchen("seek", "12")["title"] == kitchen("pause", "--off")["title"] == "a.flac"
    assert kitchen("volume", "40")["volume"] == 40
    assert kitchen("volume", "-5")["volume"] == 35
    assert kitchen("volume")["volume"] == 35
    queue = kitchen("queue", songs["c.mp3"], songs["d.m4a"])["queue"]
    assert [q["title"] for q in queue] == ["a.flac", "b.ogg", "c.mp3", "d.m4a"] and queue[0]["current"]
    assert [q["title"] for q in kitchen("queue", "--drop", "3")["queue"]] == ["a.flac", "b.ogg", "d.m4a"]
    kitchen.refused("in-use", "queue", "--drop", "1")
    assert "hearth stop" in kitchen.refused("in-use", "remove", songs["a.flac"]).message
    assert "--drop" in kitchen.refused("in-use", "remove", songs["b.ogg"]).message
    kitchen.refused("not-found", "queue", "--drop", "9")
    kitchen.refused("not-found", "queue", "no such track")
    assert "No track 'Nope'" in kitchen.refused("not-found", "queue", songs["b.ogg"], "Nope").message
    assert len(kitchen("queue")["queue"]) == 3
    moved = kitchen("next")
    assert (moved["title"], moved["number"], moved["volume"]) == ("b.ogg", 2, 35)
    assert kitchen("next")["title"] == "d.m4a"
    kitchen.refused("not-found", "next")
    assert kitchen("previous")["title"] == "b.ogg"
    kitchen("seek", "10")
    since = Since()
    back = kitchen("previous")  # far into it: its own beginning
    assert back["title"] == "b.ogg" and back["position_ms"] < 1000 + since.ms()
    kitchen("seek", "29.5")
    wait_for("the next follows the end", lambda: now()["title"] == "d.m4a")
    stopped_at = kitchen("stop")
    assert (stopped_at["state"], stopped_at["title"]) == ("stopped", "d.m4a") and "plays_left" not in stopped_at
    kitchen.refused("not-found", "now")
    silent("a.flac", "b.ogg")
    body = os.path.join(kitchen.state, "bodies", songs["b.ogg"] + ".body")
    os.rename(body, body + ".away")
    assert "not on this device" in kitchen.refused("not-found", "next").message  # why it does not play
    os.rename(body + ".away", body)
    kitchen("play", songs["a.flac"], "--output", "silent", "--background")
    assert now()["volume"] == 35  # remembered
    kitchen("volume", "100")
    kitchen("stop")


def keyboard():
    t = Terminal(songs["a.flac"], songs["b.ogg"], "--output", "silent")
    t.sees("1/2 a.flac")
    wait_for("it plays", lambda: now()["state"] == "playing")
    assert t.is_raw()
    t.type(" ")
    t.sees("paused")
    t.type(" ")
    wait_for("it plays again", lambda: now()["state"] == "playing")
    t.type("\x1b[C")
    wait_for("ten seconds on", lambda: now()["position_ms"] >= 10000)
    t.type("\x1b[D")
    wait_for("and back", lambda: now()["position_ms"] < 9000)
    t.type("---")
    wait_for("quieter", lambda: now()["volume"] == 85)
    t.type("+++")
    wait_for("louder", lambda: now()["volume"] == 100)
    t.type("\x1b[Z~n")  # a key that means nothing, and the next track
    t.sees("2/2 b.ogg")
    t.type("b")
    t.sees("1/2 a.flac")
    t.type("q")
    t.sees(r"Stopped a\.flac at 0:0")
    t.ends(0)
    t = Terminal(songs["a.flac"], songs["b.ogg"], "--output", "silent", columns=22)
    t.sees(r"1/2 a\.flac  0:0[1-9]")
    redrawn = re.findall(r"\r\x1b\[K(1/2[^\r\n]*)", t.read())
    assert redrawn and max(map(len, redrawn)) <= 21, redrawn  # wider than the window, each would begin a row
    t.type("q")
    t.ends(0)
    asleep = os.path.join(root, "asleep")
    t = Terminal(songs["a.flac"], "--output", "silent", shell=f'"$@"; stty -a >{asleep}; sleep 0.2; fg >{asleep}.fg')
    wait_for("it plays", lambda: t.is_raw() and now()["state"] == "playing")
    os.write(t.master, b"\x1a")  # Ctrl-Z: a shell with the terminal as it was; then fg
    wait_for("it sleeps", lambda: os.path.exists(asleep + ".fg"))
    modes = open(asleep).read().split()
    assert "icanon;" not in modes and "icanon" in modes and "echo" in modes, modes
    wait_for("it has the keys again", t.is_raw)
    t.type("q")
    t.ends()
    kitchen.refused("not-found", "now")


def every_way_out():
    for sign in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGSEGV):
        t = Terminal(songs["a.flac"], "--output", "silent")
        wait_for("keys are taken", t.is_raw)
        t.sees("a.flac")
        t.child.send_signal(sign)
        t.ends(-sign)
    t = Terminal(songs["a.flac"], "--output", "silent")
    wait_for("keys are taken", t.is_raw)
    os.write(t.master, b"\x03")  # Ctrl-C at the terminal
    t.sees(r"Stopped [\s\S]*\n")
    t.ends(-signal.SIGINT)
    wait_for("nobody listens: nothing plays", stopped)
    t = Terminal("no such track", "--output", "silent")
    t.ends(1)


def positions():
    silent("a.flac")
    since = Since()
    kitchen("seek", "12")
    kitchen("stop")
    latest = 13000 + since.ms()
    left = wait_for("its place is noted", lambda: kitchen("show", songs["a.flac"]).get("position_ms"))
    assert 11500 <= left <= latest
    since = Since()
    silent("a.flac", options=["--resume"])
    assert left - 500 <= now()["position_ms"] <= left + 1000 + since.ms()
    since = Since()
    kitchen("seek", "21")
    kitchen("pause")
    latest = 22000 + since.ms()
    wait_for("it is known, and so on the disk", lambda: 20500 <= kitchen("show", songs["a.flac"])["position_ms"] <= latest)
    kitchen.kill()
    kitchen.start()
    assert 20500 <= kitchen("show", songs["a.flac"])["position_ms"] <= latest
    t = Terminal(songs["a.flac"], "--output", "silent")
    t.sees(r"Go on at 0:2\d\?")
    t.type("y\n")
    wait_for("it goes on there", lambda: now()["position_ms"] >= 20500)
    t.type("q")
    t.ends(0)
    since = Since()
    silent("a.flac")  # without --resume: from the beginning
    assert now()["position_ms"] < 1000 + since.ms()
    kitchen("seek", "29.8")
    wait_for("it ends", stopped)
    wait_for("heard to its end", lambda: "position_ms" not in kitchen("show", songs["a.flac"]))


def lists():
    path = os.path.join(root, "evening.m3u")
    with open(path, "w") as f:
        f.write(f"#EXTM3U\n{songs['d.m4a']}\n\n# a comment\r\n{songs['a.flac'][:12]}\n")
    played = kitchen("play", "--list", path, "--output", "null")
    assert [p["title"] for p in played["played"]] == ["d.m4a", "a.flac"]
    kitchen.refused("not-found", "play", "--list", path + ".not", "--output", "null")
    with open(path, "a") as f:
        f.write("no such track\n")
    played = kitchen.anyhow("play", songs["a.flac"], "Nope", "--output", "null", "--list", path)  # what cannot be found is told, the rest is played
    assert [p["title"] for p in played["played"]] == ["a.flac", "d.m4a", "a.flac"] and [f["title"] for f in played["failed"]] == ["Nope", "no such track"], played
    said = subprocess.run([PROGRAMS["hearth"], "--socket", kitchen.socket, "play", "--output", "null", "--list", path], capture_output=True, text=True, timeout=60)
    assert said.returncode == 1 and f"{path}, line 6: no such track was not played: No track 'no such track' in" in said.stderr, said
    kitchen.refused("not-found", "play", "Nope", "no such track", "--output", "null")
    with open(path, "ab") as f:
        f.write(b"\xff\xfb\x90\n")  # as of an mp3
    refused = kitchen.refused("not-found", "play", "--list", path, "--output", "null")
    assert f"{path}, line 7" in refused.message, refused.message
    kitchen.refused("usage", "play", songs["a.flac"], "--output", "digest", "--background")
    assert "-n" in kitchen.refused("usage", "play", "-n dash").message and "--" in kitchen.refused("usage", "play", "-n dash").message
    assert kitchen.refused("usage", "play", songs["a.flac"], "--output", "gramophone").status == 2


def renewed_in_the_middle():
    ffmpeg("once.flac", *noise(1, 30))
    one = bring("once.flac", "--max-plays", "1", "--renew-price", "0.50")
    kitchen("play", one, "--output", "null")
    played = kitchen.anyhow("play", one, songs["d.m4a"], "--output", "null")  # nobody to ask: the next one
    assert [p["title"] for p in played["played"]] == ["d.m4a"] and [f["code"] for f in played["failed"]] == ["use-exhausted"]
    played = kitchen("play", one, songs["d.m4a"], "--output", "null", "--renew")
    assert [p["title"] for p in played["played"]] == ["once.flac", "d.m4a"] and played["failed"] == []
    assert kitchen("show", one)["conditions"]["max_plays"] == 2
    t = Terminal(one, songs["d.m4a"], "--output", "null")
    t.sees(r"0\.50")
    t.sees(r"Renew it\? \[y/N\]")
    t.type("n\n")  # not agreed: it costs nothing, and the next one plays
    t.sees("Played d.m4a")
    t.ends(1)
    assert kitchen("show", one)["conditions"]["max_plays"] == 2
    t = Terminal(one, "--output", "null")
    t.sees(r"Renew it\? \[y/N\]")
    t.type("y\n")
    t.sees("Played once.flac")
    t.ends(0)
    assert (kitchen("show", one)["conditions"]["max_plays"], kitchen("show", one)["plays"]) == (3, 3)


def crashed_and_hung():
    vault, daemon = kitchen.vault_pid(), kitchen.process.child.pid
    with ThreadPoolExecutor(1) as pool:
        crashing = pool.submit(kitchen.anyhow, "play", songs["a.flac"], songs["b.ogg"], "--output", "silent")
        wait_for("the first plays", lambda: now()["title"] == "a.flac" and now()["state"] == "playing")
        os.kill(kitchen.player_pid(), signal.SIGSEGV)
        wait_for("the second plays", lambda: now()["title"] == "b.ogg" and now()["state"] == "playing")
        os.kill(kitchen.player_pid(), signal.SIGSTOP)  # says nothing any more
        refused = crashing.result(60)
    assert refused["error"]["code"] == "timed-out", refused  # neither was played to its end
    assert (kitchen.vault_pid(), kitchen.process.child.pid) == (vault, daemon)
    assert kitchen.digest(songs["a.flac"]) == reference_digest(files["a.flac"])
    wait_for("no hung player is left", lambda: len(kitchen.children(b"hearth-player")) <= 1)


def stands_still():
    """As a damaged file can make it: the player goes on to report, but gets nowhere. Here the vault lets it wait; meanwhile it may be paused for long."""
    ffmpeg("still.wav", *noise(30, 31))
    one = bring("still.wav", "--max-plays", "1", "--max-recoveries", "1")
    silent("still.wav")
    kitchen("pause")
    stuck = kitchen.vault_pid()
    os.kill(stuck, signal.SIGSTOP)
    try:
        paused = time.monotonic()
        wait_for("a pause is no standing still", lambda: time.monotonic() - paused > 16, 30)
        assert now()["state"] == "paused"
        kitchen("pause", "--off")
        wait_for("it is given up", lambda: len(kitchen.children(b"hearth-player")) <= 1, 40)
    finally:
        os.kill(stuck, signal.SIGCONT)
    nothing_plays()
    wait_for("its license is free", lambda: not kitchen("show", one)["in_use"])
    wait_for("it hung, which is not counted", lambda: kitchen("show", one)["plays"] == 0)
    assert kitchen("play", one, "--output", "digest")


def outputs():
    listed = kitchen("outputs")["outputs"]
    assert all(o["name"].split("/")[0] in ("alsa", "pulse", "pipewire", "jack") for o in listed), listed
    devices = [o["name"] for o in listed if "/" in o["name"]]  # a sound system is here when it has one
    assert all(any(d.startswith(o["name"] + "/") for d in devices) for o in listed if "/" not in o["name"]), listed
    sound = next(c for c in kitchen.anyhow("doctor")["checks"] if c["name"] == "sound")
    assert sound["verdict"] == ("good" if devices else "look"), sound
    kitchen.refused("output-failed", "play", songs["a.flac"], "--output", "alsa/no-such-card")


class DeafDisplay:
    """An X server, or a Wayland compositor, that lets one connect, and never says a word."""

    def __init__(self, wayland=False):
        self.number = next(n for n in range(900, 2000) if not os.path.exists(f"/tmp/.X11-unix/X{n}"))
        self.path = os.path.join(root, "wayland") if wayland else f"/tmp/.X11-unix/X{self.number}"
        self.name = self.path if wayland else f":{self.number}"

    def __enter__(self):
        os.makedirs(os.path.dirname(self.path), exist_ok=True)
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.path)
        self.listener.listen(4)
        return self.name

    def __exit__(self, *error):
        self.listener.close()
        os.unlink(self.path)


def windows():
    for name in ("red.png", "mute.avi"):
        os.environ.pop("DISPLAY", None)
        os.environ.pop("WAYLAND_DISPLAY", None)
        kitchen.refused("unplayable", "play", songs[name], "--output", "silent")
    if not shutil.which("Xvfb"):
        return "SKIP Xvfb is not installed"
    screen = Screen(tempfile.mkdtemp(dir=root))
    os.environ["DISPLAY"] = screen.display
    try:
        silent("green.mp4")
        wait_for("the video is on the screen", lambda: screen.shows(0x20, 0xC0, 0x40) > 60000)
        assert now()["picture"]
        pid = kitchen.player_pid()
        status = open(f"/proc/{pid}/status").read()
        assert "Seccomp:\t2" in status and "NoNewPrivs:\t1" in status
        with open(f"/proc/{pid}/maps") as f:
            assert "/dev/dri" not in f.read()
        since = Since()
        at = kitchen("seek", "10")["position_ms"]
        assert 9500 <= at <= 10500 + since.ms() and kitchen("pause")["state"] == "paused"
        kitchen("stop")
        wait_for("the window is gone", lambda: screen.shows(0x20, 0xC0, 0x40) == 0)
        kitchen("settings", "window", "160x120")  # the household's layout of windows
        silent("green.mp4")
        wait_for("a small one", lambda: 10000 < screen.shows(0x20, 0xC0, 0x40) < 25000)
        kitchen("stop")
        kitchen("settings", "window", "fullscreen")
        silent("green.mp4")
        wait_for("all of the screen", lambda: screen.shows(0x20, 0xC0, 0x40) > 150000)
        kitchen("stop")
        kitchen("settings", "window", "--unset")
        wait_for("no window", lambda: screen.shows(0x20, 0xC0, 0x40) == 0)
        silent("red.png")
        wait_for("the picture is on the screen", lambda: screen.shows(0xE0, 0x20, 0x20) > 20000)
        kitchen("stop")
        played = kitchen("play", songs["mute.avi"], "--output", "silent")  # no sound in it: pictures are enough
        assert played["title"] == "mute.avi"
        os.environ["DISPLAY"] = ":77"
        assert kitchen("play", songs["d.m4a"], "--output", "null")["title"] == "d.m4a"
        assert "display" in kitchen.refused("output-failed", "play", songs["red.png"], "--output", "silent").message
        silent("green.mp4")  # its sound
        assert not now()["picture"]
        kitchen("stop")
        with DeafDisplay() as os.environ["DISPLAY"]:
            silent("green.mp4")
            wait_for("its sound", lambda: now()["state"] == "playing" and not now()["picture"])
            kitchen("stop")
        with DeafDisplay(wayland=True) as deaf:
            for wayland in (deaf, "/nonexistent/wayland-0"):
                os.environ["WAYLAND_DISPLAY"] = wayland
                os.environ["DISPLAY"] = screen.display
                silent("green.mp4")
                wait_for("the other display has it", lambda: screen.shows(0x20, 0xC0, 0x40) > 60000)
                kitchen("stop")
                os.environ.pop("DISPLAY")
                silent("green.mp4")
                wait_for("its sound", lambda: now()["state"] == "playing" and not now()["picture"])
                kitchen("stop")
    finally:
        os.environ.pop("DISPLAY", None)
        os.environ.pop("WAYLAND_DISPLAY", None)
        nothing_plays()
        screen.stop()
    return None


FRAMES = 5  # a second


def video(name, *options):
    """Six seconds of a moving picture as large as the screen, with sound."""
    wave = ["-f", "lavfi", "-i", "sine=frequency=400:duration=6"]
    picture = ["-f", "lavfi", "-i", f"testsrc2=s={Screen.WIDTH}x{Screen.HEIGHT}:r={FRAMES}:d=6"]
    # what a screen has: other primaries are converted by a player, and not by ffmpeg
    colours = ["-vf", "scale=out_color_matrix=bt709", "-colorspace", "bt709", "-color_primaries", "bt709", "-color_trc", "bt709"] if "bgr0" not in options else []
    ffmpeg(name, *picture, *wave, *colours, *options)
    bring(name)
    done = subprocess.run(["ffmpeg", "-v", "error", "-i", files[name], "-fps_mode", "passthrough", "-f", "rawvideo", "-pix_fmt", "bgr0", "-"], check=True, capture_output=True, stdin=subprocess.DEVNULL)
    size = 4 * Screen.WIDTH * Screen.HEIGHT
    return [done.stdout[at:at + size] for at in range(0, len(done.stdout), size)]


def difference(one, two):
    """Mean over a sample of pixels and their three colours."""
    places = [at + c for at in range(0, len(one) - 3, 4 * 37) for c in range(3)]
    return sum(abs(one[at] - two[at]) for at in places) / len(places)


def pictures():
    """What is on the screen is the picture of the place where it stands, as ffmpeg decodes it: in every pixel, where the codec keeps red, green and blue."""
    if not shutil.which("Xvfb"):
        return "SKIP Xvfb is not installed"
    screen = Screen(tempfile.mkdtemp(dir=root))
    os.environ["DISPLAY"] = screen.display
    try:
        for name, exact, options in (
                ("ffv1.mkv", True, ["-c:v", "ffv1", "-pix_fmt", "bgr0", "-c:a", "flac"]),
                ("h264.mp4", False, ["-c:v", "libx264", "-preset", "veryfast", "-crf", "12", "-pix_fmt", "yuv420p", "-c:a", "aac"]),
                ("vp9.webm", False, ["-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8", "-crf", "20", "-c:a", "libvorbis"]),
                ("mpeg4.mkv", False, ["-c:v", "mpeg4", "-q:v", "2", "-c:a", "libmp3lame"])):
            frames = video(name, *options)
            assert len(frames) == 6 * FRAMES
            silent(name)
            wait_for("it plays", lambda: now()["state"] == "playing" and now()["picture"])
            kitchen("pause")
            for place in ("1.1", "4.7", "0.3"):
                at = kitchen("seek", place)["position_ms"]
                assert float(place) * 1000 <= at <= float(place) * 1000 + 1000 / FRAMES, at
                wanted = at * FRAMES // 1000
                wait_for("its picture is there", lambda: difference(screen.pixels(), frames[wanted]) <= (0 if exact else 3))
                shown = screen.pixels()
                far = [difference(shown, frame) for frame in frames]
                assert sorted(far)[1] > 2 * far[wanted], far  # no other is meant
                assert not exact or all(shown[c::4] == frames[wanted][c::4] for c in range(3))
            kitchen("stop")
    finally:
        os.environ.pop("DISPLAY", None)
        nothing_plays()
        screen.stop()
    return None


try:
    set_up()
    run_cases([(name, alone(case)) for name, case in [
        ("four codecs and a video's sound, sample by sample", codecs),
        ("a play is counted by the time its answer is here", counted_at_once),
        ("pause, seek, volume, next, previous, queue from other commands", from_other_commands),
        ("the same from the keyboard", keyboard),
        ("the terminal is as it was, whatever ends the program", every_way_out),
        ("where a track was left is remembered and resumed", positions),
        ("a list is played in its order", lists),
        ("what is used up is renewed when the person agrees, and goes on", renewed_in_the_middle),
        ("a player that crashes or hangs takes nothing else down", crashed_and_hung),
        ("a player that stands still is given up, and its license is free", stands_still),
        ("the sound devices are listed, and one that is none is refused", outputs),
        ("video and pictures in a window", windows),
        ("four video codecs, picture by picture", pictures),
    ] if os.environ.get("HEARTH_PLAYBACK_ONLY", "") in name])
finally:
    kitchen.kill()
    aurora.kill()
    if os.environ.get("HEARTH_TEST_KEEP") != "1":
        shutil.rmtree(root, ignore_errors=True)
