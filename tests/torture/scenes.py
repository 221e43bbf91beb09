"""What a household does while something fails in one of its programs. Each scene: what goes before (prepare), what is asked for (act), the same asked again without a fault (again), what
has to be so then (judge), and what is put away (finish)."""
import hashlib
import os
import shutil
import subprocess

import points
from household import PROGRAMS, Household, Refused, make_track, rows_of, wait_for
from programs import Faulty

PRICE, COPY_PRICE = 100, 10
BATCH = 40  # contents published at once
LONG_SECONDS = 6  # of sound: a body that takes some time
GONE = ("unknown-content", "not-found", "no-license")


class World:
    """Two devices and their distributor."""

    def __init__(self, root):
        self.root, self.made, self.tries, self.h = root, 0, 0, None

    def begin(self):
        self.tries += 1
        self.ready, self.place = [], os.path.join(self.root, str(self.tries))
        os.mkdir(self.place)
        self.h = Household(self.place, directory=False)
        self.kitchen, self.attic = self.joined("kitchen"), self.joined("attic")
        self.devices = [self.kitchen, self.attic]
        with open(make_track(os.path.join(self.place, "base.wav"), LONG_SECONDS), "rb") as f:
            self.base = f.read()
        wait_for("they see each other", lambda: self.kitchen.sees("attic") and self.attic.sees("kitchen"), 30)

    def device(self, name):
        d = Faulty(self.place, name)
        self.h.devices[name] = d
        return d.start()

    def joined(self, name):
        d = self.device(name)
        d.register(self.h.aurora, "alice", self.h.passwords["alice"])
        return d

    def end(self):
        if self.h:
            self.h.down()
        self.h = None

    def publish(self, count, size):
        paths = []
        for _ in range(count):
            self.made += 1
            paths.append(os.path.join(self.place, f"track-{self.made}.wav"))
            with open(paths[-1], "wb") as f:
                f.write(self.base[:size] + self.made.to_bytes(4, "big"))
        done = self.h.aurora.admin("publish", *paths, "--price", "1", "--copy-price", "0.10", "--max-copies", "9", "--copy-depth", "2")
        return [p["content"] for p in done["published"]]

    def fresh(self):
        """A small content that nobody has bought."""
        if not self.ready:
            self.ready = self.publish(BATCH, 9000)
        return self.ready.pop()

    def paid(self):
        return -rows_of(os.path.join(self.h.aurora.dir, "operations.db"), "SELECT coalesce(sum(amount), 0) FROM ledger WHERE account = 'user:alice'")[0][0]


class Scene:
    """Something fails in part ("daemon", "vault") of one device."""

    def __init__(self, world, name, device, part):
        self.world, self.name, self.device_name, self.part = world, name, device, part

    def begin(self):
        if self.world.h is None:
            self.world.begin()
        self.devices = list(self.world.devices)
        self.kitchen, self.attic = self.devices
        self.device = next((d for d in self.devices if d.name == self.device_name), None)

    def anew(self):
        """After a finding: what is left of it is nobody's business."""
        self.world.end()
        self.begin()

    def is_over(self):
        """What goes on after the answer."""
        return True

    def again(self, point):
        pass

    def finish(self):
        pass

    def body_of(self, device):
        with open(os.path.join(device.state, "bodies", self.content + ".body"), "rb") as f:
            return hashlib.sha256(f.read()).hexdigest()

    def has(self, device):
        try:
            track = device("show", self.content)
        except Refused as refusal:
            if refusal.code in GONE:
                return False
            raise
        return track["license"] == "valid" and track["has_body"]

    def ask(self, point, *argv):
        text, status = points.answer_of(self.asked, argv, point)
        if status == 3:  # the connection was closed, or it does not run
            assert "hearthd" in text, text
            return "refused", "no-hearthd"
        code = points.code_of(text, status)
        return ("refused", code) if code else ("done", "")


class Get(Scene):
    def prepare(self):
        self.content, self.asked, self.before = self.world.fresh(), self.kitchen, self.world.paid()

    def act(self, point):
        return self.ask(point, "get", self.content, "--yes")

    def again(self, point):
        if point.outcome == "refused":
            points.ask_until_done(self.kitchen, "get", self.content, "--yes")

    def judge(self):
        wait_for("it is there", lambda: self.has(self.kitchen), 20)
        assert self.world.paid() == self.before + PRICE, f"{self.world.paid() - self.before} were paid"
        assert self.body_of(self.kitchen)


class Copy(Scene):
    word, price = "copy", COPY_PRICE

    def prepare(self):
        self.content, self.asked = self.world.fresh(), self.kitchen
        self.kitchen("get", self.content, "--yes")
        self.body, self.before = self.body_of(self.kitchen), self.world.paid()

    def act(self, point):
        return self.ask(point, self.word, self.content, "--to", "attic")

    def again(self, point):
        if point.said == "block-corrupt":  # what the disk does not give is missing, and is fetched again
            points.ask_until_done(self.kitchen, "get", self.content, "--yes")
        if point.outcome == "refused" and not self.has(self.attic):
            points.ask_until_done(self.kitchen, self.word, self.content, "--to", "attic", done=("already",) + (GONE if self.price == 0 else ()))

    def judge(self):
        wait_for("it arrives", lambda: self.has(self.attic), points.LONG_SECONDS)
        assert self.body_of(self.attic) == self.body
        wait_for("it was paid once", lambda: self.world.paid() == self.before + self.price, 10)
        self.judge_source()

    def judge_source(self):
        assert self.has(self.kitchen) and self.body_of(self.kitchen) == self.body


class Move(Copy):
    word, price = "move", 0

    def judge_source(self):
        wait_for("it left", self.has_left, points.LONG_SECONDS)

    def has_left(self):
        try:
            return self.kitchen("show", self.content)["license"] not in ("valid", "suspended")
        except Refused as refusal:
            return refusal.code in GONE


class Setting(Scene):
    volume = 0

    def prepare(self):
        Setting.volume = Setting.volume % 90 + 1
        self.asked = self.kitchen

    def act(self, point):
        return self.ask(point, "settings", "volume", str(self.volume))

    def again(self, point):
        if point.outcome == "refused":
            points.ask_until_done(self.kitchen, "settings", "volume", str(self.volume))

    def has_it(self, device):
        return str(self.volume) in [str(s["value"]) for s in device("settings")["settings"] if s["name"] == "volume"]

    def is_over(self):
        try:
            return self.has_it(self.attic)
        except Refused:
            return True

    def judge(self):
        """What a device had no memory to merge comes with the next change, or the next connection."""
        wait_for("it is kept", lambda: self.has_it(self.kitchen))
        try:
            wait_for("it comes", lambda: self.has_it(self.attic), 10)
        except AssertionError:
            self.attic.stop()
            self.attic.start()
            wait_for("it comes with the connection", lambda: self.has_it(self.attic))


class Register(Scene):
    """A device that is new."""
    count = 0

    def prepare(self):
        Register.count += 1
        self.asked = self.device = self.world.device(f"den{self.count}")
        self.devices = self.world.devices + [self.device]
        self.words = ("register", self.world.h.aurora.url, "--user", "alice", "--password-file", self.world.h.passwords["alice"])

    def act(self, point):
        return self.ask(point, *self.words)

    def again(self, point):
        if point.outcome == "refused":
            points.ask_until_done(self.device, *self.words)

    def judge(self):
        """It is one device of the account, and is sold to."""
        assert self.names().count(self.device.name) == 1, self.names()
        self.content, before = self.world.fresh(), self.world.paid()
        points.ask_until_done(self.device, "get", self.content, "--yes")
        assert self.has(self.device) and self.world.paid() == before + PRICE

    def names(self):
        return [d["name"] for d in self.world.h.aurora.admin("device", "list")["devices"] if not d.get("revoked")]

    def finish(self):
        points.ask_until_done(self.device, "unregister", "aurora", "--yes")
        self.device.kill()
        del self.world.h.devices[self.device.name]
        shutil.rmtree(self.device.dir, ignore_errors=True)  # its vault may be about to end


class Start(Scene):
    """It has a track, was stopped, and starts."""

    def begin(self):
        super().begin()
        self.content = self.world.fresh()
        self.kitchen("get", self.content, "--yes")
        self.body = self.body_of(self.device)

    def prepare(self):
        self.device.stop()

    def act(self, point):
        self.device.start(wait=False)
        return points.answers(self.device, point)

    def judge(self):
        wait_for("it has what it had", lambda: self.has(self.device), points.LONG_SECONDS)
        assert self.body_of(self.device) == self.body
        content, before = self.world.fresh(), self.world.paid()
        points.ask_until_done(self.device, "get", content, "--yes")
        assert self.world.paid() == before + PRICE


class Half(Start):
    """It was killed in the middle of a body, and starts: what it had is put back each time."""

    def begin(self):
        Scene.begin(self)
        self.kept = os.path.join(self.world.place, f"kept-{self.part}")
        self.content, = self.world.publish(1, len(self.world.base))
        self.device("transfers", "limit", "1M")
        part = os.path.join(self.device.state, "bodies", self.content + ".part")
        asking = subprocess.Popen([PROGRAMS["hearth"], "--socket", self.device.socket, "get", self.content, "--yes"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for("a part is there", lambda: os.path.getsize(part) > 0)
        self.device.kill()
        asking.wait()
        shutil.copytree(self.device.state, self.kept)
        self.device.start()
        wait_for("it goes on", lambda: self.has(self.device))
        self.body = self.body_of(self.device)

    def prepare(self):
        self.device.stop()
        shutil.rmtree(self.device.state)
        shutil.copytree(self.kept, self.device.state)

    def judge(self):
        wait_for("the rest comes", lambda: self.has(self.device), points.LONG_SECONDS)
        assert self.body_of(self.device) == self.body


KITCHEN, ATTIC, NEW = "kitchen", "attic", "new"
SCENES = {f"{what}-{device}-{'hearthd' if part == 'daemon' else 'vault'}": (kind, device, part) for kind, what, device, part in (
    (Get, "get", KITCHEN, "daemon"), (Get, "get", KITCHEN, "vault"),
    (Copy, "copy", KITCHEN, "daemon"), (Copy, "copy", ATTIC, "daemon"), (Copy, "copy", ATTIC, "vault"),
    (Move, "move", KITCHEN, "daemon"), (Move, "move", KITCHEN, "vault"), (Move, "move", ATTIC, "daemon"), (Move, "move", ATTIC, "vault"),
    (Setting, "setting", KITCHEN, "daemon"), (Setting, "setting", ATTIC, "daemon"),
    (Register, "register", NEW, "daemon"), (Register, "register", NEW, "vault"),
    (Start, "start", KITCHEN, "daemon"), (Start, "start", KITCHEN, "vault"), (Half, "half", KITCHEN, "daemon"))}
SAMPLED = [n for n in SCENES if n.startswith(("get-kitchen-hearthd", "copy", "move", "start-kitchen-hearthd")) and n != "move-attic-hearthd"]  # the others wait long
