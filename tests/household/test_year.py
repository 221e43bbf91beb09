#!/usr/bin/python3
"""A year of one customer's life, through the real programs: sign-up, two distributors linked, purchases under five products, copies, checkouts, renewal
before and after expiry, a lease that sleeps and wakes, credit refused and restored, a lost device revoked, a replacement restored, ownership, a refund.

After every step the ledger, the statements and every table are compared with what this test itself expects, by SQL of its own: a table that nobody
thought of fails it. Then the whole year once more, with a process killed at a random moment of every step: nothing may be different.
HEARTH_KILLS=N years with kills (default 1), HEARTH_SEED=N repeats a run."""
import base64
import os
import random
import signal
import sqlite3
import subprocess
import tempfile
import time

import household
from household import PROGRAMS, Device, Household, Refused, enter_namespace, make_track, reference_digest, run_cases, wait_for
from timetravel import FAKETIME, Clock

enter_namespace()
if not os.path.exists(FAKETIME):
    print("1..0 # SKIP libfaketime is not installed")
    raise SystemExit(0)
KILLS = int(os.environ.get("HEARTH_KILLS", "1"))
SEED = int(os.environ.get("HEARTH_SEED", str(random.SystemRandom().randrange(1 << 30))))
print(f"# HEARTH_SEED={SEED} HEARTH_KILLS={KILLS}", flush=True)
LIVE, MOVING, GONE, REVOKED, REFUNDED, RETURNED, LENT = range(1, 8)
ISSUED, REDEEMED = 1, 2
LICENSE, COPY, RENEWAL, OWNERSHIP, PAYMENT, REFUND = 1, 2, 3, 4, 5, 6
PASSING = ("offline", "timed-out", "internal", "session-replaced", "daemon-unreachable", "cancelled", "in-use", "not-found", "license-suspended")
programs = dict(PROGRAMS)
music = tempfile.mkdtemp(prefix="hearth-test-")
files = [make_track(os.path.join(music, f"year{i}.flac"), 2, seed=60 + i) for i in range(6)]
digests = [reference_digest(path) for path in files]
household.atexit.register(lambda: household.shutil.rmtree(music, ignore_errors=True))


def id_hex(text):
    return base64.b32decode(text.upper() + "=" * (-len(text) % 8)).hex()


def eventually(check, seconds=20):
    """What devices report by themselves may take a moment: the check must pass before its time is over."""
    end = time.monotonic() + seconds
    while True:
        try:
            return check()
        except AssertionError:
            if time.monotonic() > end:
                raise
        time.sleep(0.05)


def same(what, found, want):
    assert found == want, (what, [row for row in found if row not in want], [row for row in want if row not in found])


class Year:
    def __init__(self, rng):
        """rng: None for a quiet year."""
        PROGRAMS.update(programs)
        self.rng, self.kills = rng, 0
        self.root = tempfile.mkdtemp(prefix="hearth-test-")
        self.clock = Clock(self.root)
        self.h = Household(self.root)
        self.aurora, self.boreal = self.h.aurora, self.h.boreal
        self.devices = {}
        self.running = [self.h.directory, self.aurora, self.boreal]
        self.account = []  # (kind, amount) of alice, in order
        self.licenses = {}  # (song, device) -> columns
        self.certificates = []  # (song, source, destination, move, checkout, state)
        self.known = {}  # device -> (distributor, user, revoked)
        self.blocks, self.songs, self.titles = 1, {}, {}
        self.options = self.uses = 0
        self.password = os.path.join(self.root, "password")
        with open(self.password, "w") as f:
            f.write("a long enough password\n")
        os.chmod(self.password, 0o600)

    # ---- doing ----

    def sql(self, statement, *values, at=None):
        db = sqlite3.connect(f"file:{(at or self.aurora).dir}/operations.db?mode=ro", uri=True)
        try:
            return db.execute(statement, values).fetchall()
        finally:
            db.close()

    def new_device(self, name):
        self.devices[name] = self.h.devices[name] = Device(self.root, name).start()
        self.running.append(self.devices[name])
        return self.devices[name]

    def days(self, days):
        self.clock.go(self.running, days)
        for name, device in self.devices.items():
            if device in self.running and not self.known[name][2]:
                wait_for(f"{name} is back", lambda: device("status")["distributors_online"] == 1, 40)

    def strike(self, *devices):
        """Kills one process for real and starts it again."""
        victim = self.rng.choice([self.aurora, self.boreal, *devices, *devices, "vault"])
        self.kills += 1
        if victim == "vault":
            try:
                os.kill(self.rng.choice(devices).vault_pid(), signal.SIGKILL)
            except (KeyError, ProcessLookupError, FileNotFoundError):
                pass
        else:
            victim.kill()
            victim.start()

    def do(self, effect, device, *args, others=()):
        """The command, until effect() is true; in a year with kills one falls while it runs. What it has done is never asked for again."""
        if self.rng is None:
            device(*args)
            wait_for(f"{' '.join(args)} shows", effect)
            return
        running = subprocess.Popen([PROGRAMS["hearth"], "--socket", device.socket, "--json", *args], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(self.rng.random() ** 2 * 0.4)  # the random moment is the point here
        self.strike(device, *others)
        try:
            running.wait(20)
        except subprocess.TimeoutExpired:
            running.kill()
            running.wait()
        end = time.monotonic() + 60
        while not effect():
            assert time.monotonic() < end, f"{' '.join(args)} never showed"
            settled = time.monotonic() + 2
            while time.monotonic() < settled and not effect():
                time.sleep(0.05)
            if effect():
                break
            try:
                device(*args)
            except Refused as refusal:
                if refusal.code != "already" and refusal.code not in PASSING:
                    raise AssertionError(f"hearth {' '.join(args)}: {refusal}") from refusal

    def paid(self, *lines):
        """Expects these on alice's account; the effect of the command that causes them."""
        self.account += lines
        want = len(self.account)
        return lambda: self.sql("SELECT count(*) FROM ledger WHERE account = 'user:alice'") == [(want,)]

    def has(self, device, song, state="valid"):
        def effect():
            try:
                return self.devices[device].track(self.songs[song])["license"] == state
            except (StopIteration, Refused):
                return False
        return effect

    def both(self, *effects):
        return lambda: all(effect() for effect in effects)

    def redeemed(self, count):
        return lambda: self.sql("SELECT count(*) FROM certificate WHERE state = 2") == [(count,)]

    def publish(self, song, *options):
        self.songs[song] = self.h.publish(files[len(self.songs)], "--title", song, *options)

    def plays(self, device, song):
        assert self.devices[device].digest(self.songs[song]) == digests[list(self.songs).index(song)]

    # ---- comparing ----

    def check(self):
        """The ledger, the statements, every table: here and, as far as they are shared, at the partner."""
        wait_for("every answer is committed", lambda: not self.sql("SELECT 1 FROM device_answer") or self.rng)
        names = dict(self.sql("SELECT lower(hex(client)), name FROM client_user"))
        songs = {id_hex(content): song for song, content in self.songs.items()}
        tables = {name for name, in self.sql("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")}
        for table in tables:
            checker = getattr(self, "table_" + table, None)
            assert checker, f"nobody has thought of the table {table}"
            eventually(lambda: checker(names, songs))
        self.statements()
        for table in ("leaf_client", "client_certificate", "client_user", "content_license", "user_content", "user_license", "copy_history", "link"):
            columns = ", ".join(c[1] for c in self.sql(f"PRAGMA table_info({table})") if c[1] not in ("distributor", "other") and (table, c[1]) != ("client_certificate", "ends_ms"))
            for here, there in ((self.aurora, self.boreal), (self.boreal, self.aurora)):
                number = self.sql("SELECT number FROM distributor WHERE lower(hex(id)) = ?", id_hex(here.id), at=there)[0][0]
                own = sorted(self.sql(f"SELECT {columns} FROM {table} WHERE distributor = 1", at=here), key=str)
                eventually(lambda: same(f"{table} of {here.name} at {there.name}", sorted(self.sql(f"SELECT {columns} FROM {table} WHERE distributor = {number}", at=there), key=str), own), 40)

    def statements(self):
        lines = self.sql("SELECT p.kind, l.amount, l.number, p.text FROM ledger l JOIN posting p ON p.number = l.posting WHERE l.account = 'user:alice' ORDER BY l.number")
        assert [line[:2] for line in lines] == self.account, (lines, self.account)
        kitchen = self.devices["kitchen"]
        bills = wait_for("the bills can be read", lambda: kitchen("bills", "aurora", "--limit", "1000"))
        assert [(b["number"], b["amount"], b["text"].rsplit(", on ", 1)[0] if b["text"].startswith(("License:", "Renewal:", "Ownership:")) else b["text"]) for b in reversed(bills["bills"])] == [(n, a, t) for _, a, n, t in lines]
        total = bills["totals"][0]
        charged, refunded = -sum(a for k, a in self.account if k <= 4), sum(a for k, a in self.account if k == 6)
        paid = sum(a for k, a in self.account if k == 5)
        assert (total["charged"], total["paid"], total["refunded"], total["balance"]) == (charged, paid, refunded, paid + refunded - charged), total
        assert self.aurora.admin("ledger", "check")["balanced"]
        printed = self.aurora.admin("ledger", "user", "alice")["entries"]
        assert sorted((e["number"], e["amount"]) for e in printed) == [(n, a) for _, a, n, _ in lines], printed

    def table_posting(self, names, songs):
        assert not self.sql("SELECT reference FROM posting GROUP BY reference HAVING count(*) > 1")
        assert not self.sql("SELECT 1 FROM posting WHERE kind <= 4 AND license_id IS NULL AND serial IS NULL")
        assert not self.sql("SELECT number FROM posting WHERE number NOT IN (SELECT posting FROM ledger)")

    def table_ledger(self, names, songs):
        assert not self.sql("SELECT posting FROM ledger GROUP BY posting HAVING sum(amount) <> 0")
        running = {}
        for account, amount, after in self.sql("SELECT account, amount, balance FROM ledger ORDER BY number"):
            running[account] = running.get(account, 0) + amount
            assert running[account] == after, account
        assert sum(running.values()) == 0
        assert set(running) <= {"user:alice", "revenue", "payments"}, running
        assert running.get("payments", 0) == -sum(a for k, a in self.account if k == PAYMENT)

    def table_license(self, names, songs):
        rows = self.sql("SELECT lower(hex(content)), lower(hex(client)), account, state, copies, checkouts, max_copies, max_plays, max_checkouts,"
                        " usage_until_ms IS NOT NULL, lease_until_ms IS NOT NULL, lender IS NOT NULL FROM license")
        found = {(songs[content], names[client]): dict(zip(("account", "state", "copies", "checkouts", "max_copies", "max_plays", "max_checkouts", "ends", "leased", "lent"), row))
                 for content, client, *row in rows}
        assert set(found) == set(self.licenses), (set(found) ^ set(self.licenses))
        for key, want in self.licenses.items():
            for column, value in want.items():
                assert found[key][column] == value, (key, column, found[key][column], value)
            assert found[key]["account"] == "alice"
        assert not self.sql("SELECT sequence FROM license WHERE sequence > (SELECT value FROM counter WHERE name = 'license')")

    def table_certificate(self, names, songs):
        rows = self.sql("SELECT lower(hex(content)), lower(hex(source)), lower(hex(destination)), move, checkout, state FROM certificate WHERE state <> 3 ORDER BY serial")
        assert [(songs[c], names[s], names[d], m, o, st) for c, s, d, m, o, st in rows] == self.certificates, rows

    def table_copy_history(self, names, songs):
        assert not self.sql("SELECT 1 FROM certificate c LEFT JOIN copy_history h ON h.distributor = 1 AND h.serial = c.serial WHERE h.state IS NOT c.state")
        assert self.sql("SELECT count(*) FROM copy_history WHERE distributor = 1") == self.sql("SELECT count(*) FROM certificate")

    def table_user_license(self, names, songs):
        assert not self.sql("SELECT 1 FROM license l LEFT JOIN user_license u ON u.distributor = 1 AND u.user = l.user AND u.license_id = l.license_id"
                            " AND u.client = l.client WHERE l.distributor = 1 AND u.sequence IS NOT l.sequence")

    def table_user_content(self, names, songs):
        assert not self.sql("SELECT 1 FROM license l WHERE l.distributor = 1 AND NOT EXISTS (SELECT 1 FROM user_content u WHERE u.distributor = 1"
                            " AND u.user = l.user AND u.content = l.content AND u.client = l.client)")

    def table_client_user(self, names, songs):
        rows = {name: (user, revoked) for name, user, revoked in self.sql("SELECT name, user, revoked FROM client_user WHERE distributor = 1")}
        assert rows == {n: (user, revoked) for n, (d, user, revoked) in self.known.items() if d == "aurora"}, rows

    def table_leaf_client(self, names, songs):
        leaves = self.sql("SELECT leaf FROM leaf_client WHERE distributor = 1 ORDER BY leaf")
        assert [leaf for leaf, in leaves] == list(range(leaves[0][0], leaves[0][0] + len(leaves))) and len(leaves) == sum(d == "aurora" for d, _, _ in self.known.values())

    def table_client_certificate(self, names, songs):
        assert not self.sql("SELECT 1 FROM client_user u WHERE u.revoked = 0 AND NOT EXISTS (SELECT 1 FROM client_certificate c WHERE c.distributor = u.distributor AND c.client = u.client)")

    def table_revoked_leaf(self, names, songs):
        assert sorted(names[c] for c, in self.sql("SELECT lower(hex(client)) FROM revoked_leaf")) == sorted(n for n, (d, _, r) in self.known.items() if r and d == "aurora")

    def table_key_block(self, names, songs):
        """Aurora's are of complete subtrees, Boreal's in parts; each keeps the other's newest."""
        for here, own, other in ((self.aurora, 1, 2), (self.boreal, 2, 1)):
            assert {k for k, in self.sql("SELECT kind FROM key_block WHERE distributor = 1 AND version > 1", at=here)} <= {own}
            assert {k for k, in self.sql("SELECT kind FROM key_block WHERE distributor <> 1 AND version > 1", at=here)} <= {other}
        assert self.sql("SELECT max(version) FROM key_block WHERE distributor = 1") == [(self.blocks,)]

    def table_key_block_part(self, names, songs):
        assert not self.sql("SELECT 1 FROM key_block_part WHERE distributor = 1")
        assert self.sql("SELECT length(entries) / 53, length(root) FROM key_block_part WHERE since = 1", at=self.boreal) in ([], [(1, 32)])

    def table_roster(self, names, songs):
        assert self.sql("SELECT user FROM roster") == [("alice",)]

    def table_account(self, names, songs):
        assert sorted(u for u, in self.sql("SELECT user FROM account")) == ["alice", "mallory"]
        assert self.sql("SELECT full_name, email, payment_reference FROM account WHERE user = 'alice'") == [("Alice Example", "alice@example.org", "cus_year")]

    def table_user_password(self, names, songs):
        assert all(h.startswith("$argon2id$") for h, in self.sql("SELECT hash FROM user_password"))
        assert self.sql("SELECT count(*) FROM user_password") == self.sql("SELECT count(*) FROM account")

    def table_link(self, names, songs):
        assert self.sql("SELECT user, other_user FROM link WHERE distributor = 1") == [("alice", "alina")]

    def table_content(self, names, songs):
        assert {c: t for c, t in self.sql("SELECT lower(hex(content)), title FROM content")} == songs

    def table_content_license(self, names, songs):
        assert self.sql("SELECT count(*), count(DISTINCT license_id) FROM content_license WHERE distributor = 1") == [(len(songs), len(songs))]

    def table_product(self, names, songs):
        assert self.sql("SELECT count(*) FROM product") == [(len(songs),)]

    def table_content_product(self, names, songs):
        assert self.sql("SELECT count(*) FROM content_product") == [(len(songs),)]

    def table_product_option(self, names, songs):
        assert self.sql("SELECT count(*) FROM product_option") == [(self.options,)]

    def table_use_log(self, names, songs):
        assert self.sql("SELECT count(*), coalesce(max(number), 0) FROM use_log WHERE account = 'alice'") == [(self.uses, self.uses)]

    def table_device_session(self, names, songs):
        assert not self.sql("SELECT 1 FROM client_user u WHERE NOT EXISTS (SELECT 1 FROM device_session s WHERE s.client = u.client) AND u.distributor = 1")

    def table_device_standing(self, names, songs):
        """Each vault's last word is of its device's last session, and no later than the vault is now."""
        assert not self.sql("SELECT 1 FROM device_standing v LEFT JOIN device_session s ON s.client = v.client WHERE s.session IS NULL OR v.session > s.session")

    def table_program(self, names, songs):
        """What is given out lies there as it was signed; nothing of it is about anybody."""
        assert not self.sql("SELECT 1 FROM program WHERE document IS NULL OR provider NOT IN (SELECT provider FROM program_provider)")

    def table_program_provider(self, names, songs):
        assert not self.sql("SELECT 1 FROM program_provider WHERE length(provider) != 32")

    def table_relayed_serial(self, names, songs):
        """What was passed on for boreal is in boreal's copy history, as used."""
        assert not self.sql("SELECT 1 FROM relayed_serial r WHERE NOT EXISTS (SELECT 1 FROM copy_history h WHERE h.serial = r.serial AND h.destination = r.client AND h.state IN (2, 3))")

    def table_device_answer(self, names, songs):
        assert not self.sql("SELECT 1 FROM device_answer a LEFT JOIN device_session s ON s.client = a.client WHERE s.pending IS NOT 1")

    def table_outbox(self, names, songs):
        assert self.sql("SELECT min(sequence), max(sequence), count(*) FROM outbox")[0][1:] in [(n, n) for n in (self.sql("SELECT count(*) FROM outbox")[0])]

    def table_distributor(self, names, songs):
        assert {n for n, in self.sql("SELECT name FROM distributor")} >= {"aurora", "boreal"}

    def table_partner(self, names, songs):
        assert self.sql("SELECT d.name, p.withdrawn FROM partner p JOIN distributor d ON d.number = p.distributor WHERE d.name = 'boreal'") == [("boreal", 0)]

    def table_delegation(self, names, songs):
        assert self.sql("SELECT count(*) FROM delegation") in ([(0,)], [(1,)])

    def table_counter(self, names, songs):
        assert self.sql("SELECT value >= (SELECT count(*) FROM certificate) FROM counter WHERE name = 'certificate'") in ([], [(1,)])

    def table_share_head(self, names, songs):
        """Nobody has signed more than what came, and both ends come to the same."""
        assert not self.sql("SELECT 1 FROM share_head h JOIN distributor d ON d.number = h.distributor WHERE d.chain_head IS NULL")

    def table_directory_mark(self, names, songs):
        assert self.sql("SELECT count(*) FROM directory_mark m JOIN distributor d ON d.id = m.origin") == self.sql("SELECT count(*) FROM directory_mark")

    def table_place(self, names, songs):
        assert not self.sql("SELECT 1 FROM place WHERE (server IS NULL) <> (url LIKE 'http%')")

    def table_storage_key(self, names, songs):
        assert self.sql("SELECT lower(hex(id)) FROM storage_key") == self.sql("SELECT DISTINCT lower(hex(substr(sealed, 1, 8))) FROM secret")

    def table_secret(self, names, songs):
        assert self.sql("SELECT name, length(sealed) FROM secret") == [("erased names", 68)]

    def table_finding(self, names, songs):
        """In a year of kills and power cuts nobody has cheated. Rows that are on their way may be missing for a moment."""
        assert not self.sql("SELECT kind, text FROM finding WHERE settled_ms IS NULL AND kind NOT IN ('rows-missing', 'directory-withholds')")

    def table_setting(self, names, songs):
        assert ("registration", "open") in self.sql("SELECT name, value FROM setting")

    def empty(table):
        def check(self, names, songs):
            assert not self.sql(f"SELECT * FROM {table}"), table
        return check

    def table_share_said(self, names, songs):
        assert not self.sql("SELECT 1 FROM share_said s JOIN distributor d ON d.number = s.distributor WHERE s.taken_back <> 0 OR s.sequence > d.chain_sequence OR d.number = 1")
        assert not self.sql("SELECT 1 FROM share_said GROUP BY distributor, sequence HAVING count(*) > 1")

    def table_link_code(self, names, songs):
        assert len(self.sql("SELECT 1 FROM link_code")) <= 1

    for nothing in ("invite", "holder", "holder_share", "partner_terms", "payer", "payment", "product_payer", "settled", "settlement", "login_token",
                    "spending_limit", "spending_unlock", "relayed", "erased_name", "erasure", "auto_copy", "auto_copy_to", "copy_queue", "withdrawn_key", "share_emptied", "serving"):
        locals()["table_" + nothing] = empty(nothing)
    del nothing, empty

    # ---- the year ----

    def sign_up(self):
        for d in (self.aurora, self.boreal):
            d.admin("settings", "registration", "open")
        self.boreal.admin("settings", "key-block-kind", "subset-difference")
        kitchen, bedroom = self.new_device("kitchen"), self.new_device("bedroom")
        for device, distributor, user, person in ((kitchen, self.aurora, "alice", ("--full-name", "Alice Example", "--email", "alice@example.org", "--payment-reference", "cus_year")),
                                                  (bedroom, self.boreal, "alina", ())):
            self.sql_account(distributor, user)
            self.do(lambda: device("status")["distributors_online"] == 1 and bool(self.sql("SELECT 1 FROM client_user WHERE distributor = 1 AND user = ?", user, at=distributor)),
                    device, "register", distributor.url, "--user", user, "--password-file", self.password, "--new-account", *person)
        self.known = {"kitchen": ("aurora", "alice", 0), "bedroom": ("boreal", "alina", 0)}
        bedroom("link", kitchen("link")["url"])
        attic = self.new_device("attic")
        self.do(lambda: attic("status")["distributors_online"] == 1, attic, "register", self.aurora.url, "--user", "alice", "--password-file", self.password)
        self.known["attic"] = ("aurora", "alice", 0)
        self.aurora.admin("user", "set", "alice", "--credit", "30")
        wait_for("the household sees itself", lambda: kitchen.sees("attic") and kitchen.sees("bedroom") and attic.sees("kitchen") and bedroom.sees("kitchen"), 40)
        self.check()

    def sql_account(self, distributor, user):
        """The household fixture has made accounts of these names: they are opened by the devices here."""
        db = sqlite3.connect(f"{distributor.dir}/operations.db")
        db.execute("DELETE FROM account WHERE user = ?", (user,))
        db.execute("DELETE FROM user_password WHERE user = ?", (user,))
        db.commit()
        db.close()

    def five_products(self):
        self.publish("Ballad", "--name", "To keep", "--price", "9.90", "--copy-price", "0.10", "--max-copies", "2", "--copy-depth", "1")
        self.publish("Hit", "--name", "Ten days", "--price", "0.90", "--usage-days", "10", "--renew-price", "0.40", "--renew-late", "5d", "--max-copies", "0", "--copy-depth", "0")
        self.publish("March", "--name", "Three plays", "--price", "0.60", "--max-plays", "3", "--renew-price", "0.50", "--own-price", "4", "--use-log", "--max-copies", "0", "--copy-depth", "0")
        self.publish("Opera", "--name", "By lease", "--price", "5", "--lease", "7d", "--lease-grace", "1d")
        self.publish("Waltz", "--name", "To lend", "--price", "2", "--max-checkouts", "2", "--max-copies", "0", "--copy-depth", "0")
        self.aurora.admin("product", "option", "add", "5", "--name", "Lend once more", "--price", "0.20", "--checkouts", "1")
        self.options = 1
        kitchen = self.devices["kitchen"]
        for song, price, columns in (("Ballad", 990, {"max_copies": 2}), ("Hit", 90, {"ends": 1}), ("March", 60, {"max_plays": 3}), ("Opera", 500, {"leased": 1}),
                                     ("Waltz", 200, {"max_checkouts": 2})):
            effect = self.both(self.paid((LICENSE, -price)), self.has("kitchen", song))
            self.do(effect, kitchen, "get", self.songs[song], "--yes")
            kitchen("get", self.songs[song], "--yes")  # its content, should that be missing; it is not bought again
            self.licenses[song, "kitchen"] = {"state": LIVE, "copies": 0, "checkouts": 0, "lent": 0, **columns}
            self.plays("kitchen", song)
            self.uses += song == "March"
            self.check()

    def copies(self):
        kitchen = self.devices["kitchen"]
        for n, (name, redeemed) in enumerate((("bedroom", 1), ("attic", 2))):
            effect = self.both(self.paid((COPY, -10)), self.has(name, "Ballad"), self.redeemed(redeemed))
            self.do(effect, kitchen, "copy", self.songs["Ballad"], "--to", name, others=(self.devices[name],))
            self.licenses["Ballad", name] = {"state": LIVE, "copies": 0, "max_copies": 0}
            self.licenses["Ballad", "kitchen"]["copies"] = n + 1
            self.certificates.append(("Ballad", "kitchen", name, 0, 0, REDEEMED))
            self.plays(name, "Ballad")
            self.check()
        self.devices["attic"].refused("already", "copy", self.songs["Ballad"], "--to", "kitchen")
        self.check()

    def checkouts(self):
        kitchen, attic = self.devices["kitchen"], self.devices["attic"]
        for n in (1, 2):
            effect = self.both(self.has("attic", "Waltz"), self.has("kitchen", "Waltz", "surrendered"), self.redeemed(len(self.certificates) + 1))
            self.do(effect, kitchen, "checkout", self.songs["Waltz"], "--to", "attic", others=(attic,))
            self.licenses["Waltz", "kitchen"].update(state=LENT, checkouts=n)
            self.licenses["Waltz", "attic"] = {"state": LIVE, "lent": 1}
            self.certificates.append(("Waltz", "kitchen", "attic", 1, 1, REDEEMED))
            self.plays("attic", "Waltz")
            self.check()
            effect = self.both(self.has("kitchen", "Waltz"), self.has("attic", "Waltz", "surrendered"), self.redeemed(len(self.certificates) + 1))
            self.do(effect, attic, "checkin", self.songs["Waltz"], others=(kitchen,))
            self.licenses["Waltz", "kitchen"].update(state=LIVE)
            self.licenses["Waltz", "attic"] = {"state": GONE}
            self.certificates.append(("Waltz", "attic", "kitchen", 1, 0, REDEEMED))
            self.plays("kitchen", "Waltz")
            self.check()
        kitchen.refused("copy-count-exhausted", "checkout", self.songs["Waltz"], "--to", "attic")
        self.check()

    def renewals(self):
        kitchen = self.devices["kitchen"]
        self.days(8)  # two days before the end: a period is added
        self.do(self.paid((RENEWAL, -40)), kitchen, "renew", self.songs["Hit"], "--yes")
        self.check()
        self.days(15)  # three days after the new end
        wait_for("it has ended", self.has("kitchen", "Hit", "expired"))
        kitchen.refused("license-expired", "play", self.songs["Hit"], "--output", "digest")
        self.check()
        self.do(self.both(self.paid((RENEWAL, -40)), self.has("kitchen", "Hit")), kitchen, "renew", self.songs["Hit"], "--yes")
        self.plays("kitchen", "Hit")
        self.check()
        for _ in range(2):
            self.plays("kitchen", "March")
            self.uses += 1
        wait_for("its plays are used up", self.has("kitchen", "March", "used-up"))
        kitchen.refused("use-exhausted", "play", self.songs["March"], "--output", "digest")
        self.do(self.both(self.paid((RENEWAL, -50)), self.has("kitchen", "March")), kitchen, "renew", self.songs["March"], "--yes")
        self.licenses["March", "kitchen"]["max_plays"] = 6
        self.check()

    def a_lease(self):
        """It sleeps while its distributor is away for long, wakes by itself, and goes over to another device."""
        kitchen, attic = self.devices["kitchen"], self.devices["attic"]
        self.days(0)
        wait_for("the lease is valid", self.has("kitchen", "Opera"), 40)
        self.aurora.stop()
        kitchen.stop()
        self.clock.set(self.clock.offset + 10 * 86400)
        kitchen.start()
        wait_for("it sleeps", self.has("kitchen", "Opera", "asleep"))
        kitchen.refused("lease-ended", "play", self.songs["Opera"], "--output", "digest")
        self.aurora.start()
        self.days(0)
        wait_for("it wakes", self.has("kitchen", "Opera"), 40)
        self.plays("kitchen", "Opera")
        self.check()
        self.do(lambda: self.sql("SELECT count(*) FROM license WHERE state = 6") == [(1,)], kitchen, "return", self.songs["Opera"])
        self.licenses["Opera", "kitchen"] = {"state": RETURNED}
        self.check()
        self.do(self.has("attic", "Opera"), attic, "restore", self.songs["Opera"])
        self.licenses["Opera", "attic"] = {"state": LIVE, "leased": 1}
        self.licenses["Opera", "kitchen"] = {"state": GONE}
        attic("get", self.songs["Opera"], "--yes", "--download-only")
        self.plays("attic", "Opera")
        self.check()

    def credit(self):
        kitchen = self.devices["kitchen"]
        self.days(30)
        self.publish("Suite", "--name", "Dear", "--price", "20", "--max-copies", "1", "--copy-depth", "1")
        before = kitchen.snapshot()
        kitchen.refused("credit-refused", "get", self.songs["Suite"], "--yes")
        assert kitchen.snapshot() == before
        self.check()
        self.aurora.admin("ledger", "pay", "alice", "25", "--reference", "bank-7")
        self.aurora.admin("ledger", "pay", "alice", "25", "--reference", "bank-7")  # told twice, entered once
        self.account.append((PAYMENT, 2500))
        self.check()
        self.do(self.both(self.paid((LICENSE, -2000)), self.has("kitchen", "Suite")), kitchen, "get", self.songs["Suite"], "--yes")
        kitchen("get", self.songs["Suite"], "--yes")
        self.licenses["Suite", "kitchen"] = {"state": LIVE, "max_copies": 1}
        self.plays("kitchen", "Suite")
        self.check()

    def a_lost_device(self):
        """attic is lost with its lease and its copy; its replacement gets both."""
        kitchen, attic = self.devices["kitchen"], self.devices["attic"]
        client = attic("status")["client"]
        attic.stop()
        self.running.remove(attic)
        self.days(60)
        self.do(lambda: self.sql("SELECT count(*) FROM revoked_leaf") == [(1,)], kitchen, "devices", "remove", client)
        self.known["attic"] = ("aurora", "alice", 1)
        self.blocks += 1
        for song in ("Ballad", "Opera"):
            self.licenses[song, "attic"] = {"state": REVOKED}
        self.check()
        try:
            kitchen("copy", self.songs["Suite"], "--to", client)
            raise AssertionError("copied to a lost device")
        except Refused as refusal:
            assert refusal.code in ("device-revoked", "not-owned"), refusal
        self.check()
        loft = self.new_device("loft")
        self.do(lambda: loft("status")["distributors_online"] == 1, loft, "register", self.aurora.url, "--user", "alice", "--password-file", self.password)
        self.known["loft"] = ("aurora", "alice", 0)
        wait_for("kitchen sees it", lambda: kitchen.sees("loft"), 40)
        kitchen.refused("copy-count-exhausted", "copy", self.songs["Ballad"], "--to", "loft")
        self.check()
        self.do(self.both(self.has("loft", "Ballad"), self.has("loft", "Opera")), loft, "restore")
        for song in ("Ballad", "Opera"):
            self.licenses[song, "attic"] = {"state": GONE}
            self.licenses[song, "loft"] = {"state": LIVE}
            loft("get", self.songs[song], "--yes", "--download-only")
            self.plays("loft", song)
        self.check()

    def ownership_and_a_refund(self):
        kitchen = self.devices["kitchen"]
        self.days(100)
        self.aurora.admin("ledger", "pay", "alice", "25", "--reference", "bank-8")
        self.account.append((PAYMENT, 2500))
        self.do(self.paid((OWNERSHIP, -400)), kitchen, "own", self.songs["March"], "--yes")
        self.licenses["March", "kitchen"]["max_plays"] = None
        self.check()
        for _ in range(4):
            self.plays("kitchen", "March")
        self.check()
        entry = self.sql("SELECT l.number FROM ledger l JOIN posting p ON p.number = l.posting WHERE l.account = 'user:alice' AND p.text LIKE 'License: Suite%'")[0][0]
        self.aurora.admin("refund", str(entry), "--text", "Did not like it", "--license", "revoke")
        self.account.append((REFUND, 2000))
        self.licenses["Suite", "kitchen"]["state"] = REFUNDED
        self.check()
        kitchen.refused("no-license", "copy", self.songs["Suite"], "--to", "loft")
        self.days(130)  # the year is over
        self.check()
        for song in ("Ballad", "March", "Waltz"):
            self.plays("kitchen", song)
        self.plays("bedroom", "Ballad")

    STEPS = (("sign-up, two distributors linked", sign_up), ("five purchases under five products", five_products), ("copies, within and across distributors", copies),
             ("checkouts up to their limit", checkouts), ("renewal before and after the end", renewals), ("a lease sleeps, wakes and goes over", a_lease),
             ("credit refused and restored", credit), ("a lost device, and its replacement", a_lost_device), ("ownership, a refund, the end of the year", ownership_and_a_refund))

    def cases(self, prefix):
        return [(f"{prefix}: {name}", lambda step=step: step(self)) for name, step in self.STEPS] + [(f"{prefix}: over", self.over)]

    def over(self):
        self.h.down()
        household.shutil.rmtree(self.root, ignore_errors=True)
        print(f"# {self.kills} kills", flush=True)


def years():
    yield "a quiet year", None
    for n in range(KILLS):
        yield f"a year with kills ({n + 1})", random.Random(SEED + n)


class Lazy:
    """A year is set up when its first case runs."""

    def __init__(self, rng):
        self.rng, self.year, self.failed = rng, None, False

    def run(self, step):
        assert not self.failed or step is Year.over, "an earlier step has failed"
        self.failed = step is not Year.over
        if self.year is None:
            self.year = Year(self.rng)
        step(self.year)
        self.failed = False


cases = []
for prefix, rng in years():
    lazy = Lazy(rng)
    cases += [(f"{prefix}: {name}", lambda lazy=lazy, step=step: lazy.run(step)) for name, step in Year.STEPS]
    cases.append((f"{prefix}: over", lambda lazy=lazy: lazy.run(Year.over)))
run_cases(cases)
