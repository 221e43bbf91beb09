#!/usr/bin/python3
"""A week of a household's life, through the real programs: four devices, each a host of its own on one network, two distributors and their directory. Purchases, copies, moves, plays, edits of
playlists, wishes and settings, several at a time, while packets are lost, hosts are cut off (nft rules), and processes are killed: a power cut of a host, its hearthd, its vault, its player, a
distributor. Days pass between. On the fourth day a device is lost and removed.

What is done, and by whom, is drawn by chance. What a command has acknowledged must be there in the end, whatever happened; one that was refused or broken off may have been done or not, but
not twice. The week ends with the same state on every device, with licenses, serials and money counted once here and there, and with nothing still under way.
HEARTH_SEED=N repeats a week (as far as the machine keeps time), HEARTH_WEEK_STEPS=N steps a day (default 5), HEARTH_WEEKS=N weeks one after the other, of further seeds."""
import base64
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import tempfile
import time

import household
from household import PROGRAMS, Device, Distributor, Process, Refused, enter_namespace, make_track, own_mounts, reference_digest, run_cases, wait_for
from timetravel import FAKETIME, Clock

enter_namespace()
missing = [p for p in ("nft", "ip", "nsenter") if shutil.which(p) is None] + ([] if os.path.exists(FAKETIME) else ["libfaketime"]) + ([] if os.geteuid() == 0 else ["root"])
if missing:
    print("1..0 # SKIP missing: " + ", ".join(missing))
    raise SystemExit(0)
own_mounts()
STEPS = int(os.environ.get("HEARTH_WEEK_STEPS", "5"))
WEEKS = int(os.environ.get("HEARTH_WEEKS", "1"))
SEED = int(os.environ.get("HEARTH_SEED", str(random.SystemRandom().randrange(1 << 30))))
print(f"# HEARTH_SEED={SEED} HEARTH_WEEK_STEPS={STEPS} HEARTH_WEEKS={WEEKS}", flush=True)
COMMAND_SECONDS = 5
LIVE, REDEEMED, STORED = 1, 2, 2
# What may come of a network that loses, of processes that die, and of two who want the same at the same time.
PASSING = {"offline", "timed-out", "internal", "session-replaced", "daemon-unreachable", "cancelled", "in-use", "not-found", "license-suspended", "no-license", "already", "not-owned",
           "unknown-device", "device-revoked", "out-of-step", "ambiguous", "clock-untrusted", "serial-already-used", "key-block-outdated"}
programs = dict(PROGRAMS)
music = tempfile.mkdtemp(prefix="hearth-test-")
household.atexit.register(lambda: shutil.rmtree(music, ignore_errors=True))
files = {f"Song {n}": make_track(os.path.join(music, f"week{n}.flac"), 2, seed=80 + n) for n in range(5)}
files["Symphony"] = make_track(os.path.join(music, "symphony.wav"), 30, seed=90)
digests = {title: reference_digest(path) for title, path in files.items()}


def hex_of(text):
    return base64.b32decode(text.upper() + "=" * (-len(text) % 8)).hex()


def run(*command, **more):
    done = subprocess.run(command, capture_output=True, text=True, **more)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"


class Host:
    """A network namespace, on the bridge that the test has, as 10.77.0.NUMBER."""

    def __init__(self, root, name, number):
        self.port = f"week-{name}"
        self.holder = Process(["unshare", "--net", "sleep", "infinity"], os.path.join(root, f"host-{name}.log"))
        pid = self.holder.child.pid
        wait_for("its namespace", lambda: os.readlink("/proc/self/ns/net") != os.readlink(f"/proc/{pid}/ns/net") and open(f"/proc/{pid}/comm").read().strip() == "sleep")
        self.prefix = ["nsenter", "--net", "--target", str(pid)]
        run("ip", "link", "add", self.port, "type", "veth", "peer", "name", "lan0", "netns", str(pid))
        run("ip", "link", "set", self.port, "master", "br0", "up")
        run(*self.prefix, "ip", "link", "set", "lo", "up")
        run(*self.prefix, "ip", "address", "add", f"10.77.0.{number}/24", "dev", "lan0")
        run(*self.prefix, "ip", "link", "set", "lan0", "up")

    def drop(self, percent):
        """Of what comes and goes, each on its own; 0: nothing any more."""
        rules = "flush ruleset\n"
        if percent > 0:
            rules += "table inet week {\n" + "".join(
                f'chain {hook} {{ type filter hook {hook} priority 0; {way} "lan0" numgen random mod 100 <= {percent - 1} drop; }}\n' for hook, way in (("input", "iifname"), ("output", "oifname"))) + "}\n"
        run(*self.prefix, "nft", "-f", "-", input=rules)

    def end(self):
        subprocess.run(["ip", "link", "delete", self.port], capture_output=True)
        self.holder.kill()


class Command:
    """One that runs by itself, and what becomes of it."""

    def __init__(self, device, args, done):
        self.device, self.args, self.done = device, args, done
        self.child = subprocess.Popen([PROGRAMS["hearth"], "--socket", device.socket, "--json", *args], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def __str__(self):
        return f"{self.device.name}: hearth {' '.join(self.args)}"

    def end(self, until):
        """True: it was acknowledged. False: nobody knows."""
        try:
            said, _ = self.child.communicate(timeout=max(0.01, until - time.monotonic()))
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.communicate()
            return False
        if self.child.returncode == 0:
            # It was copied there once, and may have been moved on since: that nothing was done now says nothing of what is there.
            if any(t.get("reason") == "already" for t in household.json.loads(said.splitlines()[-1]).get("transfers", ())):
                return False
            self.done()
            return True
        error = household.json.loads(said.splitlines()[-1])["error"]
        assert error["code"] in PASSING, f"{self}: {error}"
        return False


class Week:
    def __init__(self, seed):
        self.rng = random.Random(seed)
        PROGRAMS.update(programs)
        self.root = tempfile.mkdtemp(prefix="hearth-test-")
        self.clock = Clock(self.root)
        self.began = time.monotonic()
        self.hosts, self.devices, self.lost, self.story = {}, {}, None, []
        self.failed = None
        self.cut = set()  # hosts with rules
        # What was acknowledged: (device, title) that is there or has gone; entries, wishes and settings.
        self.moves = []  # not acknowledged: at one end or the other
        self.has, self.maybe = set(), set()  # maybe: asked for and not acknowledged, or moved away from without a word
        self.said = []  # (device, kind, key) of what it shares: what nobody has heard of is lost with the device
        self.entries, self.entries_maybe, self.wishes, self.wishes_maybe, self.asked, self.gone = (set() for _ in range(6))

    # ---- the household ----

    def set_up(self):
        for name in ("directory", "aurora", "boreal"):
            setattr(self, name, Distributor(self.root, name, directory=name == "directory", host="10.77.0.254"))
        for d in (self.aurora, self.boreal):
            self.directory.admin("partner", "add", d.url, "--name", d.name)
            d.admin("directory", "set", self.directory.url)
        self.aurora.admin("partner", "add", self.boreal.url, "--name", "boreal")
        self.boreal.admin("partner", "add", self.aurora.url, "--name", "aurora")
        passwords = {"aurora": self.aurora.user("alice"), "boreal": self.boreal.user("alina")}
        users = {"aurora": "alice", "boreal": "alina"}
        self.songs = {title: (self.boreal if title == "Song 4" else self.aurora).admin(
            "publish", path, "--title", title, "--price", "1", "--copy-price", "0.10", "--max-copies", "50", "--copy-depth", "5")["published"][0]["content"] for title, path in files.items()}
        self.distributors = [self.directory, self.aurora, self.boreal]
        for d in self.distributors:
            d.start()
        for number, (name, home) in enumerate((("kitchen", "aurora"), ("attic", "aurora"), ("bedroom", "boreal"), ("phone", "aurora")), 1):
            host = self.hosts[name] = Host(self.root, name, number)
            device = self.devices[name] = Device(self.root, name)
            device.inside, device.listen, device.home = host.prefix, ":7411", home
            device.start()
            device.register(getattr(self, home), users[home], passwords[home])
        wait_for("the accounts are linked", lambda: self.devices["bedroom"]("link", self.devices["kitchen"]("link")["url"]), 120)  # distributors that start together wait for each other
        self.together()

    def alive(self):
        return [d for name, d in self.devices.items() if name != self.lost]

    def together(self):
        everyone = self.alive()
        wait_for("all see each other", lambda: all(a.sees(b.name) for a in everyone for b in everyone if a is not b), 60)

    def tell(self, what):
        self.story.append(f"{time.monotonic() - self.began:6.1f} s  {what}")

    # ---- what people do ----

    def choose(self):
        """A command of a device and what it means when it is acknowledged."""
        rng = self.rng
        device = rng.choice(self.alive())
        kind = rng.choices(("get", "copy", "move", "play", "listen", "entry", "less", "wish", "unwish", "setting"), (4, 5, 2, 2, 1, 3, 1, 2, 1, 1))[0]
        return getattr(self, "do_" + kind)(device, rng.choice(list(self.songs)))

    def leaves(self, key):
        """A move that was not acknowledged may still take it away, whatever was said of it since."""
        return any(source == key for source, _ in self.moves)

    def do_get(self, device, title):
        at = self.boreal if title == "Song 4" else self.aurora
        key = (device.name, title)
        if key in self.has or device.home != at.name or self.leaves(key):
            return None
        self.maybe.add(key)
        return device, ("get", self.songs[title], "--yes", "--again"), lambda: self.has.add(key)

    def do_copy(self, device, title, verb="copy"):
        key = (device.name, title)
        to = self.rng.choice([d for d in self.alive() if d is not device])
        there = (to.name, title)
        if key not in self.has or there in self.has or self.leaves(there):
            return None
        self.maybe.add(there)
        if verb == "move":
            self.has.discard(key)  # until it says so, nobody knows where it is: but it is at one of them
            self.maybe.add(key)
            self.moves.append((key, there))

        def done():
            self.has.add(there)
            if verb == "move":
                self.maybe.discard(key)
                self.moves.remove((key, there))
        return device, (verb, self.songs[title], "--to", to.name), done

    def do_move(self, device, title):
        return self.do_copy(device, title, "move")

    def do_play(self, device, title):
        if (device.name, title) not in self.has or title == "Symphony":
            return None
        return device, ("play", self.songs[title], "--output", "digest"), lambda: None

    def do_listen(self, device, title):
        """Leaves a position."""
        if (device.name, "Symphony") not in self.has:
            return None
        return device, ("play", self.songs["Symphony"], "--output", "silent", "--background", "--position", "start"), lambda: None

    def do_entry(self, device, title):
        """In a playlist that may be new; each entry once in all the week."""
        key = (self.rng.choice(("Morning", "Evening", "Dinner", "Friday")), title)
        if (device.name, title) not in self.has or key in self.asked:
            return None
        self.asked.add(key)
        self.entries_maybe.add(key)

        def done():
            self.said.append((device.name, "entry", key))
            if key not in self.gone:
                self.entries.add(key)
        return device, ("playlist", "add", key[0], self.songs[title]), done

    def shown(self, device, name):
        titles = {c: t for t, c in self.songs.items()}
        return [(name, titles[e["content"]]) for e in device("playlist", "show", name)["entries"]]

    def do_less(self, device, title):
        """The first of a list, as this device sees it. What is gone stays gone."""
        name = self.rng.choice(("Morning", "Evening", "Dinner", "Friday"))
        try:
            before = self.shown(device, name)
            if not before:
                return None
            self.entries.discard(before[0])
            device("playlist", "remove", name, "1")
            gone = set(before) - set(self.shown(device, name))
        except Refused as refusal:
            assert refusal.code in PASSING, refusal
            return None
        self.entries -= gone
        self.entries_maybe -= gone
        self.gone |= gone
        self.said += [(device.name, "gone", key) for key in gone]
        self.tell(f"{device.name}: {gone} are gone")
        return None

    def do_wish(self, device, title):
        if title in self.asked:
            return None
        self.asked.add(title)
        self.wishes_maybe.add(title)

        def done():
            self.said.append((device.name, "wish", title))
            self.wishes.add(title)
        return device, ("wishlist", "add", self.songs[title]), done

    def do_unwish(self, device, title):
        if title not in self.wishes or self.songs[title] not in [w["content"] for w in device("wishlist")["wishes"]]:
            return None
        self.wishes.discard(title)

        def done():
            self.said.append((device.name, "unwish", title))
            self.wishes_maybe.discard(title)
        return device, ("wishlist", "remove", self.songs[title]), done

    def do_setting(self, device, title):
        return device, ("settings", "volume", str(self.rng.randrange(101))), lambda: None

    # ---- what happens to them ----

    def happen(self):
        rng = self.rng
        kind = rng.choice(("loss", "cut", "heal", "heal", "power", "hearthd", "vault", "player", "distributor", "nothing", "nothing"))
        device = rng.choice(self.alive())
        host = self.hosts[device.name]
        self.tell(f"{kind} {device.name}")
        if kind in ("loss", "cut"):
            host.drop(100 if kind == "cut" else rng.choice((3, 10, 25)))
            self.cut.add(device.name)
        elif kind == "heal":
            self.heal()
        elif kind in ("power", "hearthd"):
            vault = self.vault_of(device) if kind == "power" else None
            device.kill()
            if vault is not None:
                self.kill(vault)
            device.start()
        elif kind == "vault":
            self.kill(self.vault_of(device))
        elif kind == "player":
            for pid in self.children(device, b"hearth-player"):
                self.kill(pid)
        elif kind == "distributor":
            at = rng.choice(self.distributors)
            at.kill()
            at.start()

    def heal(self):
        for name in self.cut:
            self.hosts[name].drop(0)
        self.cut.clear()

    @staticmethod
    def children(device, program):
        pid = device.process.child.pid
        try:
            all_of_them = open(f"/proc/{pid}/task/{pid}/children").read().split()
            return [int(c) for c in all_of_them if program in open(f"/proc/{c}/cmdline", "rb").read()]
        except OSError:
            return []

    def vault_of(self, device):
        return next(iter(self.children(device, b"hearth-vault")), None)

    @staticmethod
    def kill(pid):
        try:
            if pid is not None:
                os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass

    # ---- the week ----

    def step(self):
        """Up to three commands at a time, each at a device of its own; something happens to one of them while they run."""
        commands, busy = [], set()
        for _ in range(12):
            chosen = self.choose() if len(commands) < 3 else None
            if chosen is None or chosen[0].name in busy:
                continue
            busy.add(chosen[0].name)
            commands.append(Command(*chosen))
        until = time.monotonic() + COMMAND_SECONDS
        time.sleep(self.rng.random() ** 2 * 0.4)  # the random moment is the point here
        self.happen()
        for c in commands:
            self.tell(f"{c} {'done' if c.end(until) else '?'}")

    def day(self, number):
        self.tell(f"day {number}")
        for _ in range(STEPS):
            self.step()
        if number == 4:
            self.lose("phone")
        self.heal()
        for d in self.alive():
            self.quietly(d, "stop")
        self.clock.go(self.distributors + self.alive(), 1)

    @staticmethod
    def quietly(device, *args):
        try:
            device(*args)
        except Refused as refusal:
            assert refusal.code in PASSING, refusal

    def lose(self, name):
        """It is switched off, and removed by another; what it has is of no account any more."""
        phone, kitchen = self.devices[name], self.devices["kitchen"]
        self.heal()
        client = phone("status")["client"]
        wait_for("the kitchen knows it", lambda: any(d["client"] == client for d in kitchen("devices")["devices"]))
        phone.kill()
        self.lost, self.lost_client = name, client
        self.tell("the phone is lost")

        def removed():
            try:
                kitchen("devices", "remove", client)
            except Refused as refusal:
                if refusal.code not in ("device-revoked", "not-found"):
                    raise
            return True
        wait_for("it is removed", removed, 40)
        self.has = {(d, t) for d, t in self.has if d != name}
        self.maybe = {(d, t) for d, t in self.maybe if d != name}
        for _, kind, key in (s for s in self.said if s[0] == name):
            if kind == "entry":
                self.entries.discard(key)
            elif kind == "gone":
                self.gone.discard(key)
                self.entries_maybe.add(key)
            elif kind == "wish":
                self.wishes.discard(key)
            else:
                self.wishes_maybe.add(key)
        self.moves = [m for m in self.moves if name not in (m[0][0], m[1][0])]

    def week(self):
        for number in range(1, 8):
            self.day(number)

    # ---- the end ----

    def settle(self):
        self.heal()
        self.together()
        wait_for("the distributors are there", lambda: all(d("status")["distributors_online"] == d("status")["distributors"] for d in self.alive()), 60)
        for d in self.alive():
            def nothing(d=d):
                open_ones = [t for t in d("transfers")["transfers"] if t["state"] not in ("done", "failed", "cancelled")]
                # What is moving to the lost one waits until its certificate has ended.
                for_ever = [t for t in open_ones if t["kind"] == "move-out" and t.get("reason") == "device-revoked"]
                if len(open_ones) > len(for_ever):
                    raise ValueError(open_ones)
                status = d("status")
                return status["waiting"] == 0 and status["transfers"] == len(for_ever)
            wait_for(f"{d.name} has nothing under way", nothing, 90)
        # A distributor may keep the last answer: COMMIT is said once, and is lost with a connection; the next transaction says the same.
        wait_for("every answer is taken", lambda: not any(household.rows_of(f"{d.state}/hearthd.db", "SELECT 1 FROM txn WHERE id IS NOT NULL") for d in self.alive()), 40)

    def sql(self, statement, *values, at):
        db = sqlite3.connect(f"file:{at.dir}/operations.db?mode=ro", uri=True)
        try:
            return db.execute(statement, values).fetchall()
        finally:
            db.close()

    def here(self):
        """(issuer, device, title) of licenses that count, as the devices say; and those with content."""
        titles = {c: t for t, c in self.songs.items()}
        licensed, whole = set(), set()
        for d in self.alive():
            for t in d.library():
                if t["license"] == "valid":
                    licensed.add((t["issuer_name"], d.name, titles[t["content"]]))
                    if t["has_body"]:
                        whole.add((d.name, titles[t["content"]]))
        return licensed, whole

    def nothing_acknowledged_is_lost(self):
        _, whole = self.here()
        assert self.has <= whole, (self.has - whole)
        for one, other in self.moves:
            assert one in whole or other in whole, (one, other)
        for name, title in sorted(whole):
            assert (name, title) in self.has | self.maybe, (name, title)
            if title != "Symphony":
                assert self.devices[name].digest(self.songs[title]) == digests[title], (name, title)

    def licenses_are_counted_once(self):
        licensed, _ = self.here()
        songs = {hex_of(c): t for t, c in self.songs.items()}
        for at in (self.aurora, self.boreal):
            names = dict(self.sql("SELECT lower(hex(client)), name FROM client_user WHERE revoked = 0", at=at))
            rows = self.sql("SELECT lower(hex(client)), lower(hex(content)) FROM license WHERE state = ?", LIVE, at=at)
            there = [(at.name, names[client], songs[content]) for client, content in rows if client in names]
            assert len(there) == len(set(there)), there
            assert set(there) == {x for x in licensed if x[0] == at.name}, (sorted(there), sorted(licensed))

    def serials_are_counted_once(self):
        """What a vault has stored is redeemed at its issuer, and the other way round."""
        for at in (self.aurora, self.boreal):
            issuer = bytes.fromhex(hex_of(at.id))
            redeemed = {(serial, client) for serial, client in self.sql("SELECT serial, destination FROM certificate WHERE state = ?", REDEEMED, at=at)}
            assert not self.sql("SELECT source, destination, content FROM certificate WHERE state = ? AND move = 0 GROUP BY source, destination, content HAVING count(*) > 1", REDEEMED, at=at)
            for d in self.alive():
                client = bytes.fromhex(hex_of(d("status")["client"]))
                db = sqlite3.connect(f"file:{d.state}/vault/vault.db?mode=ro", uri=True)
                stored = {serial for serial, in db.execute("SELECT serial FROM certificate WHERE issuer = ? AND state = ?", (issuer, STORED))}
                db.close()
                assert stored == {serial for serial, to in redeemed if to == client}, (at.name, d.name)

    def the_ledger_is_in_order(self):
        for at in (self.aurora, self.boreal):
            assert at.admin("ledger", "check")["balanced"]
            assert not self.sql("SELECT reference FROM posting GROUP BY reference HAVING count(*) > 1", at=at)
            assert not self.sql("SELECT posting FROM ledger GROUP BY posting HAVING sum(amount) <> 0", at=at)
            running = {}
            for account, amount, after in self.sql("SELECT account, amount, balance FROM ledger ORDER BY number", at=at):
                running[account] = running.get(account, 0) + amount
                assert running[account] == after, account
            # Every certificate was charged once, and what ended unused came back.
            copies = self.sql("SELECT count(*) FROM posting p WHERE p.serial IS NOT NULL AND NOT EXISTS (SELECT 1 FROM certificate c WHERE c.serial = p.serial)", at=at)
            assert copies == [(0,)], copies
        for d in self.alive():
            if d.home == "aurora":
                bills = d("bills", "aurora", "--limit", "1000")
                assert bills["totals"][0]["balance"] == self.sql("SELECT sum(amount) FROM ledger WHERE account = 'user:alice'", at=self.aurora)[0][0]

    def state(self, device):
        lists = sorted((p["id"], p["name"], [(e["content"], e["title"]) for e in device("playlist", "show", p["id"])["entries"]]) for p in device("playlist")["playlists"])
        wishes = sorted((w["content"], w["title"], w["bought"]) for w in device("wishlist")["wishes"])
        return lists, wishes, [(s["name"], s["value"]) for s in device("settings")["settings"] if s["household"]]

    def the_state_is_the_same(self):
        states = []

        def same():
            states[:] = [self.state(d) for d in self.alive()]
            if any(s != states[0] for s in states):
                raise ValueError(states)
            return True
        wait_for("all have the same state", same, 40)
        lists, wishes, _ = states[0]
        titles = {c: t for t, c in self.songs.items()}
        found = [(name, titles[content]) for _, name, entries in lists for content, _ in entries]
        assert len(found) == len(set(found)) and not self.gone & set(found), (found, self.gone)
        assert self.entries <= set(found) <= self.entries | self.entries_maybe, (self.entries, found, self.entries_maybe)
        wished = {titles[content] for content, _, _ in wishes}
        bought = {titles[content] for content, _, bought in wishes if bought}  # noted by one who did not know of the removal: that outlives it
        assert self.wishes <= wished <= self.wishes | self.wishes_maybe | bought, (self.wishes, wished, self.wishes_maybe)

    def the_lost_one_is_out(self):
        phone, kitchen = self.devices["phone"], self.devices["kitchen"]
        new = self.aurora.admin("publish", make_track(os.path.join(self.root, "new.flac"), 1, seed=99), "--price", "1")["published"][0]["content"]
        assert all(d["name"] != "phone" for a in self.alive() for d in a("devices")["devices"])
        phone.start()
        try:
            phone("get", new, "--yes")
            raise AssertionError("sold to a lost device")
        except Refused as refusal:
            assert refusal.code in ("device-revoked", "offline", "not-registered", "unknown-device"), refusal
        try:
            kitchen("copy", next(t["content"] for t in kitchen.library()), "--to", phone("status")["client"])
            raise AssertionError("copied to a lost device")
        except Refused as refusal:
            assert refusal.code in ("device-revoked", "not-owned", "not-found", "unknown-device"), refusal

    def nobody_has_crashed(self):
        for d in self.devices.values():
            for line in open(d.log, errors="replace"):
                assert not any(sign in line for sign in ("Assertion", "Sanitizer", "core dumped", "request failed", "damaged database")), (d.name, line)

    def over(self):
        for p in [*self.devices.values(), *self.distributors]:
            if p.process is not None:
                p.process.kill()
        for host in self.hosts.values():
            host.end()
        print(f"# {len(self.story)} lines of life in {time.monotonic() - self.began:.0f} s", flush=True)
        if os.environ.get("HEARTH_TEST_KEEP") == "1" or self.failed:
            print(f"# {self.root}\n" + "".join(f"# {line}\n" for line in self.story), flush=True)
        else:
            shutil.rmtree(self.root, ignore_errors=True)


def in_order(week, step):
    """What follows a step that failed has nothing to say."""
    def run():
        if week.failed and step.__name__ != "over":
            return f"SKIP after a failure: {week.failed}"
        try:
            step()
        except Exception:
            week.failed = step.__name__
            raise
        return None
    return run


run("ip", "link", "add", "br0", "type", "bridge", "mcast_snooping", "0")
run("ip", "address", "add", "10.77.0.254/24", "dev", "br0")
run("ip", "link", "set", "br0", "up")
cases = []
for n in range(WEEKS):
    w = Week(SEED + n)
    prefix = f"week {n + 1}: " if WEEKS > 1 else ""
    cases += [(prefix + f.__name__.replace("_", " "), in_order(w, f)) for f in (
        w.set_up, w.week, w.settle, w.nothing_acknowledged_is_lost, w.licenses_are_counted_once, w.serials_are_counted_once, w.the_ledger_is_in_order, w.the_state_is_the_same,
        w.the_lost_one_is_out, w.nobody_has_crashed, w.over)]
run_cases(cases)
