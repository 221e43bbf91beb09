"""A household for tests: real distributors, a directory and real devices on the loopback of a network namespace of our own.

Not a test itself. Every process started here is stopped by its process ID, also when a test fails. Nothing sleeps for luck:
wait_for() polls a condition and fails with what it last saw.
"""
import atexit
import ctypes
import hashlib
import json
import os
import shutil
import signal
import socket
import sqlite3
import struct
import subprocess
import sys
import tempfile
import time

BUILD = os.environ.get("HEARTH_BUILD") or os.path.abspath(os.path.join(os.path.dirname(__file__), "..", "..", "build", "test"))
PROGRAMS = {name: os.path.join(BUILD, "src", folder, name) for name, folder in {
    "hearth": "ui-cli", "hearthd": "daemon", "hearth-distributor": "distributor", "hearth-vault": "vault", "hearth-player": "player"}.items()}
HOUR_MS = 3600 * 1000


def enter_namespace():
    """Re-executes the test in a network namespace of its own, loopback up; test traffic never leaves it.
    Signals that whoever started the tests ignores (a CI in the background does) are heard again by what is started here."""
    for sign in (signal.SIGHUP, signal.SIGQUIT):
        signal.signal(sign, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ["DBUS_SYSTEM_BUS_ADDRESS"] = "unix:path=/nonexistent"  # an avahi-daemon of this machine is in another network
    if os.environ.get("HEARTH_TEST_NETNS") == "1":
        subprocess.run(["ip", "link", "set", "lo", "up", "multicast", "on"], check=True)
        subprocess.run(["ip", "route", "add", "224.0.0.0/4", "dev", "lo"], check=False, stderr=subprocess.DEVNULL)
        return
    os.environ["HEARTH_TEST_NETNS"] = "1"
    flags = ["-n"] if os.geteuid() == 0 else ["-r", "-n"]
    probe = subprocess.run(["unshare", *flags, "true"], capture_output=True)
    if probe.returncode != 0:
        print("1..0 # SKIP no network namespace can be made here: " + probe.stderr.decode().strip())
        sys.exit(0)
    os.execvp("unshare", ["unshare", *flags, sys.executable, *sys.argv])


def own_mounts():
    """From here on what this process mounts is seen by it and its children alone. False: that is not allowed here."""
    CLONE_NEWNS = 0x20000
    return ctypes.CDLL(None).unshare(CLONE_NEWNS) == 0 and subprocess.run(["mount", "--make-rprivate", "/"], capture_output=True).returncode == 0


def wait_for(what, condition, seconds=40):
    """Polls condition() until it is true, often at first; returns its value."""
    end = time.monotonic() + seconds
    last, pause = None, 0.02
    while time.monotonic() < end:
        try:
            last = condition()
            if last:
                return last
        except (OSError, ValueError, KeyError, StopIteration, Refused) as error:
            last = error
        time.sleep(pause)
        pause = min(1.2 * pause, 0.1)
    raise AssertionError(f"not within {seconds} s: {what}; last seen: {last!r}")


def rows_of(database, statement, *values):
    """What a query finds in an SQLite database that a program has open."""
    db = sqlite3.connect(f"file:{database}?mode=ro", uri=True)
    try:
        return db.execute(statement, values).fetchall()
    finally:
        db.close()


class Refused(Exception):
    """A command that was refused, with its reason code and, where there is one, what helps."""

    def __init__(self, code, message, status, remedy=""):
        super().__init__(f"{code}: {message} (exit {status})")
        self.code = code
        self.message = message
        self.status = status
        self.remedy = remedy


def keep_reports(log):
    """HEARTH_REPORTS=DIR: logs in which a sanitizer has found something outlive the test there (scripts/races)."""
    keep = os.environ.get("HEARTH_REPORTS")
    if keep and os.path.exists(log):
        text = open(log, "rb").read()
        if b"Sanitizer" in text or b"runtime error:" in text:
            with open(os.path.join(keep, f"{os.path.basename(sys.argv[0])}.{os.getpid()}.{hashlib.sha256(log.encode()).hexdigest()[:8]}"), "wb") as out:
                out.write(text)


class Process:
    def __init__(self, argv, log, env=None):
        self.argv = argv
        self.log = log
        with open(log, "ab") as out:
            self.child = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=env)
        atexit.register(self.kill)

    def running(self):
        return self.child.poll() is None

    def stop(self):
        if self.running():
            self.child.send_signal(signal.SIGTERM)
            try:
                self.child.wait(20)
            except subprocess.TimeoutExpired:
                self.kill()
                raise AssertionError(f"{self.argv[0]} did not stop within 20 s of SIGTERM")
            keep_reports(self.log)

    def kill(self):
        if self.running():
            self.child.kill()
        self.child.wait()
        keep_reports(self.log)


ports = iter(range(20000, 32000))  # below those that the kernel gives away: who asks it for one gets none that waits for its server


def free_port():
    """In the namespace that is this test's alone."""
    return next(ports)


def run_json(argv, env=None):
    """Runs a command with --json; its object, or Refused."""
    done = subprocess.run(argv, capture_output=True, text=True, env=env, timeout=90)
    try:
        value = json.loads(done.stdout.splitlines()[-1]) if done.stdout.strip() else {}
    except ValueError:
        raise AssertionError(f"{argv}: not JSON: {done.stdout!r} {done.stderr!r}")
    if done.returncode != 0:
        error = value.get("error", {})
        raise Refused(error.get("code", "?"), error.get("message", done.stdout + done.stderr), done.returncode, error.get("remedy", ""))
    return value


class Distributor:
    host = "127.0.0.1"  # where it listens
    before = []  # env, when its programs run under something
    serve_options = []  # of serve

    def __init__(self, root, name, directory=False, host=host):
        self.name = name
        self.dir = os.path.join(root, name)
        self.host = host
        self.port = free_port()
        self.log = self.dir + ".log"
        self.process = None
        self.admin("init", "--name", name, "--listen", f"{host}:{self.port}", *(["--directory"] if directory else []))
        self.url = self.admin("id")["url"]
        self.id = self.url.rsplit("#", 1)[1]

    def admin(self, *args):
        return run_json([*self.before, PROGRAMS["hearth-distributor"], "--state-dir", self.dir, "--json", *args])

    def start(self):
        self.process = Process([*self.before, PROGRAMS["hearth-distributor"], "--state-dir", self.dir, "serve", *self.serve_options], self.log)
        wait_for(f"{self.name} listens", self.reachable)
        return self

    def reachable(self):
        assert self.process.running(), open(self.log).read()[-2000:]
        with socket.create_connection((self.host, self.port), timeout=1):
            return True

    def stop(self):
        self.process.stop()

    def kill(self):
        self.process.kill()

    def user(self, name, password="correct horse", credit=100000):
        path = os.path.join(self.dir, f"password-{name}")
        with open(path, "w") as f:
            f.write(password + "\n")
        os.chmod(path, 0o600)
        self.admin("user", "add", name, "--password-file", path, "--credit", str(credit))
        return path


class Device:
    def __init__(self, root, name):
        self.name = name
        self.dir = os.path.join(root, name)
        os.makedirs(self.dir, mode=0o700)
        self.socket = os.path.join(self.dir, "hearthd.sock")
        self.state = os.path.join(self.dir, "state")
        self.log = os.path.join(self.dir, "hearthd.log")
        self.process = None
        self.listen = "127.0.0.1:0"
        self.inside = []  # nsenter, when it is a host of its own (network.py)
        self.environment = {}

    def start(self, wait=True, *options):
        self.process = Process([*self.inside, PROGRAMS["hearthd"], "--state-dir", self.state, "--runtime-dir", self.dir, "--name", self.name, "--listen", self.listen, *options],
                               self.log, dict(os.environ, HEARTH_LOG=os.environ.get("HEARTH_LOG", "debug"), **self.environment))
        if wait:
            wait_for(f"{self.name} answers", self.answers)
        return self

    def answers(self):
        assert self.process.running(), open(self.log).read()[-2000:]
        return self("status")

    def __call__(self, *args):
        """One `hearth` command with --json."""
        return run_json([PROGRAMS["hearth"], "--socket", self.socket, "--json", *args])

    def anyhow(self, *args):
        """What a command prints, whatever its exit status says."""
        done = subprocess.run([PROGRAMS["hearth"], "--socket", self.socket, "--json", *args], capture_output=True, text=True, timeout=90)
        return json.loads(done.stdout.splitlines()[-1])

    def refused(self, code, *args):
        """The command must be refused with this reason code."""
        try:
            value = self(*args)
        except Refused as refusal:
            assert refusal.code == code, f"hearth {' '.join(args)}: expected {code}, got {refusal}"
            return refusal
        raise AssertionError(f"hearth {' '.join(args)}: expected {code}, but it was done: {value}")

    def stop(self):
        self.process.stop()

    def kill(self):
        self.process.kill()

    def children(self, program=b""):
        """Process IDs of hearthd's children that run this program. They come and go while they are listed."""
        pid, found = self.process.child.pid, []
        for child in open(f"/proc/{pid}/task/{pid}/children").read().split():
            try:
                if program in open(f"/proc/{child}/cmdline", "rb").read():
                    found.append(int(child))
            except (FileNotFoundError, ProcessLookupError):
                pass
        return found

    def vault_pid(self):
        for child in self.children(b"hearth-vault"):
            return child
        raise KeyError("no vault")

    def player_pid(self):
        """Of the one that plays: it has libmpv's threads, the one that waits has a single one."""
        return wait_for("a player plays", lambda: [p for p in self.children(b"hearth-player") if len(os.listdir(f"/proc/{p}/task")) > 3])[0]

    def register(self, distributor, user, password_file):
        return self("register", distributor.url, "--user", user, "--password-file", password_file)

    def library(self):
        return self("library")["library"]

    def track(self, content):
        return next(t for t in self.library() if t["content"] == content)

    def digest(self, track):
        return self("play", track, "--output", "digest")["digest"]

    def sees(self, other):
        return any(d["name"] == other and d["online"] for d in self("devices")["devices"])

    def snapshot(self):
        """What a refusal must not change: licenses, bodies, use of the library."""
        bodies = os.path.join(self.state, "bodies")
        files = sorted(f for f in os.listdir(bodies) if f.endswith(".body")) if os.path.isdir(bodies) else []
        return {"library": [{k: v for k, v in t.items() if k != "number"} for t in self.library()], "bodies": files}


class Household:
    """aurora (kitchen, attic; stranger of another user), boreal (bedroom), the directory; accounts linked."""

    def __init__(self, root=None, directory=True, kind=None):
        self.root = root or tempfile.mkdtemp(prefix="hearth-test-")
        atexit.register(self.down)
        self.kept = os.environ.get("HEARTH_TEST_KEEP") == "1"
        self.devices = {}
        self.directory = Distributor(self.root, "directory", directory=True) if directory else None
        kind = kind or Distributor
        self.aurora = kind(self.root, "aurora")
        self.boreal = kind(self.root, "boreal")
        for d in (self.aurora, self.boreal) if directory else ():
            self.directory.admin("partner", "add", d.url, "--name", d.name)
            d.admin("directory", "set", self.directory.url)
        self.aurora.admin("partner", "add", self.boreal.url, "--name", "boreal")
        self.boreal.admin("partner", "add", self.aurora.url, "--name", "aurora")
        self.passwords = {"alice": self.aurora.user("alice"), "mallory": self.aurora.user("mallory"), "alina": self.boreal.user("alina")}
        for d in (self.directory, self.aurora, self.boreal):
            if d is not None:
                d.start()

    def device(self, name, distributor, user):
        device = Device(self.root, name).start()
        device.register(distributor, user, self.passwords[user])
        self.devices[name] = device
        return device

    def settle(self, stranger=False):
        """The usual devices, linked, seeing each other."""
        self.kitchen = self.device("kitchen", self.aurora, "alice")
        self.attic = self.device("attic", self.aurora, "alice")
        self.bedroom = self.device("bedroom", self.boreal, "alina")
        if stranger:
            self.stranger = self.device("stranger", self.aurora, "mallory")
        self.bedroom("link", self.kitchen("link")["url"])
        wait_for("kitchen sees attic and bedroom", lambda: self.kitchen.sees("attic") and self.kitchen.sees("bedroom"), 30)
        wait_for("bedroom sees kitchen", lambda: self.bedroom.sees("kitchen"), 30)
        return self

    def publish(self, path, *options, distributor=None):
        """The content ID of a published file."""
        published = (distributor or self.aurora).admin("publish", path, *options)
        return (published.get("published") or [published])[0]["content"]

    def down(self):
        for device in self.devices.values():
            if device.process:
                device.process.kill()
        for d in (getattr(self, n, None) for n in ("aurora", "boreal", "directory")):
            if d is not None and d.process:
                d.process.kill()
        if not self.kept:
            shutil.rmtree(self.root, ignore_errors=True)


# ---- music ----

def make_track(path, seconds=8, seed=1):
    """A real audio file that compresses badly: two moving tones and noise, encoded by the extension's codec."""
    wave = f"aevalsrc=0.3*sin(2*PI*t*({220 + seed}+40*sin(t)))+0.1*(random({seed})-0.5)|0.3*sin(2*PI*t*({330 + seed}))+0.1*(random({seed + 100})-0.5):s=44100:d={seconds}"
    subprocess.run(["ffmpeg", "-v", "error", "-y", "-f", "lavfi", "-i", wave, "-metadata", f"title=Track {seed}", "-metadata", "artist=The Testers", path],
                   check=True, stdin=subprocess.DEVNULL)
    return path


def reference_digest(path):
    """SHA-256 of the samples as an independent decoder run gives them."""
    with tempfile.TemporaryDirectory() as d:
        out = os.path.join(d, "samples.raw")
        subprocess.run(["mpv", "--no-config", "--no-video", "--really-quiet", "--ao=pcm", "--ao-pcm-waveheader=no", f"--ao-pcm-file={out}", path], check=True,
                       stdin=subprocess.DEVNULL)
        with open(out, "rb") as f:
            return hashlib.sha256(f.read()).hexdigest()


class Fresh:
    """Contents of one long track, each another one by its last bytes: made, sold and bought when one is asked for."""

    def __init__(self, h, seconds):
        self.h, self.made = h, 0
        with open(make_track(os.path.join(h.root, "base.wav"), seconds), "rb") as f:
            self.base = f.read()

    def published(self, *options, size=None):
        """The content ID of the next one; size: of its file, else it is the whole track."""
        self.made += 1
        path = os.path.join(self.h.root, f"track-{self.made}.wav")
        with open(path, "wb") as f:
            f.write(self.base[:(size or len(self.base)) - 4] + self.made.to_bytes(4, "big"))
        content = self.h.publish(path, "--title", f"Transfer {self.made}", "--price", "10", "--max-copies", "9", "--copy-depth", "1", *options)
        os.unlink(path)
        return content

    def bought(self, device=None, size=None):
        content = self.published("--copy-price", "3", size=size)
        (device or self.h.kitchen)("get", content, "--yes")
        return content


# ---- what is seen ----

class Screen:
    """An X server without a screen; what it shows is a file. As a session's it stays as it is when its last program leaves."""
    WIDTH, HEIGHT = 640, 480

    def __init__(self, where):
        self.dir = where
        read, write = os.pipe()
        os.set_inheritable(write, True)
        log = open(os.path.join(self.dir, "log"), "wb")
        self.child = subprocess.Popen(["Xvfb", "-displayfd", str(write), "-screen", "0", f"{self.WIDTH}x{self.HEIGHT}x24", "-fbdir", self.dir, "-nolisten", "tcp", "-noreset"], stdin=subprocess.DEVNULL, stdout=log,
                                      stderr=log, close_fds=False)
        os.close(write)
        with os.fdopen(read) as told:
            self.display = ":" + told.readline().strip()

    def pixels(self):
        """Four bytes each: blue, green, red, nothing; in rows from the top."""
        with open(os.path.join(self.dir, "Xvfb_screen0"), "rb") as f:
            data = f.read()
        header, = struct.unpack_from(">I", data, 0)
        colours, = struct.unpack_from(">I", data, 76)
        return data[header + 12 * colours:][:4 * self.WIDTH * self.HEIGHT]

    def shows(self, red, green, blue):
        """How many pixels have about this colour."""
        pixels = self.pixels()
        wanted = 0
        for at in range(0, len(pixels) - 3, 4 * 7):  # a sample is enough
            b, g, r = pixels[at], pixels[at + 1], pixels[at + 2]
            wanted += abs(r - red) < 24 and abs(g - green) < 24 and abs(b - blue) < 24
        return wanted * 7

    def stop(self):
        self.child.terminate()
        self.child.wait()


# ---- cases ----

def run_cases(cases):
    """Runs (name, function) pairs as TAP; a failing case does not stop the others. Exit status 1 when one failed."""
    import traceback
    print(f"1..{len(cases)}", flush=True)
    failed = 0
    for number, (name, function) in enumerate(cases, 1):
        try:
            result = function()
            print(f"ok {number} - {name}" + (f" # SKIP {result[5:]}" if isinstance(result, str) and result.startswith("SKIP ") else ""), flush=True)
        except Exception:
            failed += 1
            print(f"not ok {number} - {name}", flush=True)
            print("".join("# " + line + "\n" for line in traceback.format_exc().splitlines()), flush=True)
    sys.exit(1 if failed else 0)
