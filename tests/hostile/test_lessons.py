#!/usr/bin/python3
"""What befell comparable programs, tried on this one. Each case is named after what is to be learned; the flaw it comes from is named above it."""
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
import unicodedata

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "household"))
import mdns  # noqa: E402
from household import BUILD, PROGRAMS, Device, Household, Process, Refused, enter_namespace, free_port, make_track, run_cases, wait_for  # noqa: E402
from terminal import Terminal, plainly  # noqa: E402

enter_namespace()
HOSTILE = os.environ.get("HEARTH_HOSTILE") or os.path.join(BUILD, "tests", "hostile", "hostile")
h = Household().settle()
made = 0


def publish(*options, seconds=2):
    global made
    made += 1
    return h.publish(make_track(os.path.join(h.root, f"{made}.flac"), seconds, seed=made), "--price", "0.10", "--max-copies", "50", "--max-removable", "9", *options)


def bought(*options, seconds=2):
    content = publish(*options, seconds=seconds)
    h.kitchen("get", content, "--yes")
    return content


def announce(at, *ids):
    return Process([sys.executable, mdns.__file__, "127.0.0.1", at, "same", "1", *ids], os.path.join(h.root, "mdns.log"))


def descriptors(process):
    return len(os.listdir(f"/proc/{process.child.pid}/fd"))


def used_s(process):
    """Processor time."""
    with open(f"/proc/{process.child.pid}/stat") as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def is_at_rest(process):
    """It waits, instead of running in circles."""
    def for_a_second():
        before, since = used_s(process), time.monotonic()
        time.sleep(1)  # what is measured: a second of it
        return used_s(process) - before < 0.2 * (time.monotonic() - since)
    wait_for("it is at rest", for_a_second, 20)


# LocalSend, CVE-2025-54792: who says that it is another's device is taken for it, and stands in the middle.
def an_announced_identity_is_proved():
    content = bought()
    other = Device(h.root, "impostor")
    other.listen = f"127.0.0.1:{free_port()}"
    attic = h.attic("status")["client"]
    h.attic.stop()
    wait_for("attic is away", lambda: not h.kitchen.sees("attic"))
    other.start()
    other.register(h.aurora, "mallory", h.passwords["mallory"])
    false = announce(other.listen, attic)
    copy = subprocess.Popen([PROGRAMS["hearth"], "--socket", h.kitchen.socket, "--json", "copy", content, "--to", "attic"], stdout=subprocess.PIPE, text=True)
    try:
        wait_for("it was tried, and did not prove to be attic", lambda: any("another device answers under the name of attic" in c["text"] for c in h.kitchen.anyhow("doctor")["checks"]))
        assert copy.poll() is None and not h.kitchen.sees("attic") and other.library() == [] and all(d["self"] for d in other("devices")["devices"]), (other.library(), other("devices"))
        h.attic.start()
        assert copy.wait(60) == 0, copy.stdout.read()
        assert h.attic.digest(content) == h.kitchen.digest(content) and other.library() == []
    finally:
        false.kill()
        copy.kill()
        other.kill()
        if not h.attic.process.running():
            h.attic.start()


NASTY = "<img src=x onerror=alert(1)>\"',;=1+1\\"


# LocalSend, CVE-2026-25154: the name of what is offered is run as a program by what shows it.
def a_title_is_a_text_wherever_it_is_shown():
    content = bought("--title", NASTY)
    assert h.kitchen.track(content)["title"] == NASTY  # as one JSON string
    assert NASTY in plainly(h.kitchen, "show", content)
    h.kitchen("playlist", "create", NASTY)
    wait_for("attic has the playlist", lambda: any(p["name"] == NASTY for p in h.attic("playlist")["playlists"]))
    csv = subprocess.run([PROGRAMS["hearth-distributor"], "--state-dir", h.aurora.dir, "ledger", "statement", "alice", "--csv"], capture_output=True, text=True, check=True).stdout
    cells = re.findall(r'"((?:[^"]|"")*)"', csv)
    assert cells and not any(c[:1] in "=+-@" and c for c in cells), csv
    figures = subprocess.run([PROGRAMS["hearth-distributor"], "--state-dir", h.aurora.dir, "stats", "--openmetrics"], capture_output=True, text=True, check=True).stdout
    assert figures.endswith("# EOF\n") and "onerror" not in figures


def tree(top):
    found = {}
    for folder, _, names in os.walk(top):
        for name in names:
            path = os.path.join(folder, name)
            found[os.path.relpath(path, top)] = os.lstat(path).st_ino
    return found


# croc, CVE-2023-43616: what is received overwrites files elsewhere, by links and by names that lead out.
def what_comes_overwrites_nothing():
    content = bought()
    out, victim = os.path.join(h.root, "medium"), os.path.join(h.root, "victim")
    os.mkdir(out)
    h.kitchen("export", content, "--to", "bedroom", out)
    names = list(tree(out))
    assert names
    with open(victim, "w") as f:
        f.write("precious")
    for how in ("before the export", "before the import"):
        trap = os.path.join(h.root, how.replace(" ", "-"))
        shutil.copytree(out, trap)
        for name in names:
            os.unlink(os.path.join(trap, name))
            os.symlink(victim, os.path.join(trap, name))
        os.symlink(victim, os.path.join(trap, names[0] + ".part"))
        before = h.bedroom.snapshot()
        try:
            h.kitchen("export", content, "--to", "bedroom", trap) if how == "before the export" else h.bedroom("import", trap)
        except Refused:
            pass
        assert open(victim).read() == "precious" and os.lstat(victim).st_nlink == 1, how
        assert h.bedroom.snapshot() == before
    done = h.bedroom("import", out)  # the honest one is taken all the same
    assert h.bedroom.digest(content) == h.kitchen.digest(content), done


# croc, CVE-2023-43619: what is received is put where the sender says, as ~/.ssh/authorized_keys.
def what_comes_is_named_by_what_it_is():
    before = tree(h.root)
    content = bought("--title", "../../../.ssh/authorized_keys")
    h.kitchen("copy", content, "--to", "bedroom")
    assert h.bedroom.track(content)["title"] == "../../../.ssh/authorized_keys"
    new = [p for p in tree(h.root) if p not in before and p.startswith(("bedroom/", "kitchen/", ".ssh"))]
    assert f"bedroom/state/bodies/{content}.body" in new, new
    strange = [p for p in new if not re.fullmatch(r"(bedroom|kitchen)/state/(bodies/[a-z2-7]{52}\.(body|info|part|map)|metadata/.*|(vault/vault|hearthd)\.db-(wal|shm|journal))", p)]
    assert not strange, strange


ESCAPES = ["\x1b]0;owned\x07", "\x1b[2J\x1b[31mred", "\x9b31m", "over\rwritten", "two\nlines", "\u202egnp.exe", "\u2066\u2067", "zero\u200bwidth", "\ufeff", "del\x7f"]


# croc, CVE-2023-43620: a name from elsewhere acts on the terminal that shows it.
def no_name_acts_on_a_terminal():
    taken = []
    for text in ESCAPES:
        for what, act in (("title", lambda: taken.append(bought("--title", text))), ("playlist", lambda: h.attic("playlist", "create", text)),
                          ("wish", lambda: h.attic("wishlist", "add", text)), ("device", lambda: h.kitchen("devices", "rename", "attic", text))):
            try:
                act()
            except Refused as refusal:
                assert not any(unicodedata.category(c) == "Cc" for c in refusal.message), (what, refusal.message)
    for verb in (["library"], ["browse"], ["playlist"], ["devices"], ["wishlist"], ["bills"], ["transfers"], *[["show", c] for c in taken]):
        shown = Terminal(h.kitchen, *verb, columns=200).ends().replace("\r\n", "\n")
        acts = [c for c in shown if c != "\n" and (unicodedata.category(c) in ("Cc", "Cf") or c == "\x9b")]
        assert not acts, (verb, acts, shown)
    for verb in (["content", "list"], ["ledger", "list"], ["user", "list"]):
        shown = subprocess.run([PROGRAMS["hearth-distributor"], "--state-dir", h.aurora.dir, *verb], capture_output=True, check=True).stdout.decode()
        assert not [c for c in shown if c != "\n" and unicodedata.category(c) in ("Cc", "Cf")], (verb, shown)


# croc, CVE-2023-43621: the shared secret stands on a command line, which every user of the machine can read.
def no_secret_is_on_a_command_line():
    seen, over = set(), threading.Event()

    def look():
        while not over.is_set():
            for pid in filter(str.isdigit, os.listdir("/proc")):
                try:
                    with open(f"/proc/{pid}/cmdline", "rb") as f:
                        seen.add(f.read())
                except OSError:
                    pass
    thread = threading.Thread(target=look)
    thread.start()
    try:
        with open(h.passwords["mallory"]) as f:
            password = f.read().strip()
        lodger = Device(h.root, "lodger").start()
        h.devices["lodger"] = lodger
        lodger.register(h.aurora, "mallory", h.passwords["mallory"])
        url = lodger("link")["url"]
        done = subprocess.run([PROGRAMS["hearth"], "--socket", h.bedroom.socket, "link", "-"], input=url + "\n", capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        wait_for("they are linked", lambda: any(d["name"] == "lodger" for d in h.bedroom("devices")["devices"]))
        content = bought()

        def both_were_seen():
            """A player lives for some milliseconds: it plays until one was looked at."""
            h.kitchen("play", content, "--output", "digest")
            return all(any(program in line for line in list(seen)) for program in (b"hearth-vault", b"hearth-player"))
        wait_for("vault and player were looked at", both_were_seen)
    finally:
        over.set()
        thread.join()
    for secret in (password, url, url.rsplit("/", 1)[1]):
        assert not [line for line in seen if secret.encode() in line], secret


# KDE Connect, CVE-2020-26164: what is announced makes a device open connections, and what connects takes up all it has.
def announcements_and_connections_are_bounded():
    mute = [socket.create_server(("127.0.0.1", 0), backlog=64) for _ in range(40)]  # they take connections, and say nothing
    ids = [h.attic("status")["client"]]
    before = descriptors(h.kitchen.process)
    false = [announce(f"127.0.0.1:{s.getsockname()[1]}", *ids) for s in mute[:12]] + [announce("127.0.0.1:9", "random:500")]
    held, most = [], 0
    at = ("127.0.0.1", h.kitchen("status")["port"])
    try:
        for _ in range(600):
            try:
                held.append(socket.create_connection(at, timeout=2))
            except OSError:
                break  # the listener makes some wait
            if len(held) % 50 == 0:
                most = max(most, descriptors(h.kitchen.process))
                assert h.kitchen("status")
        content = bought()
        h.kitchen("copy", content, "--to", "bedroom")
        most = max(most, descriptors(h.kitchen.process))
        assert most - before < 200, f"{most - before} descriptors more, {len(held)} connections"
    finally:
        for p in false:
            p.kill()
        for s in held + mute:
            s.close()
    wait_for("it has let them go", lambda: descriptors(h.kitchen.process) - before < 20)


CHUNKS = [b"-1", b"-80000000", b"ffffffff", b"80000000", b"7fffffffffffffff", b"ffffffffffffffff", b"10000000000000000", b"0x10", b" 10", b"1" * 5000, b"5;" + b"x" * 70000, b"zz", b""]


# minidlna, CVE-2020-28926 and CVE-2023-33476: the size of a chunk that a web server names is believed, negative or too large.
def a_chunk_is_as_large_as_it_is():
    asked = []

    def answer(s):
        with s:
            head = s.recv(65536)
            size = CHUNKS[len(asked) % len(CHUNKS)]
            asked.append(size)
            first, last = re.search(rb"bytes=(\d+)-(\d+)", head).groups()
            try:
                s.sendall(b"HTTP/1.1 206 Partial Content\r\nTransfer-Encoding: chunked\r\nContent-Range: bytes " + first + b"-" + last + b"/" + b"%d" % (int(last) + 1)
                          + b"\r\n\r\n" + size + b"\r\n" + bytes(3000) + b"\r\n0\r\n\r\n")
            except OSError:
                pass

    server = socket.create_server(("127.0.0.1", 0))

    def serve():
        while True:
            try:
                answer(server.accept()[0])
            except (OSError, AttributeError):
                if server.fileno() < 0:
                    return
    threading.Thread(target=serve, daemon=True).start()
    url = f"http://127.0.0.1:{server.getsockname()[1]}/bodies"
    h.aurora.admin("place", "add", url)
    try:
        for _ in range(100):
            content = bought(seconds=1)
            assert h.kitchen.digest(content)
            if len(asked) >= len(CHUNKS):
                break
        assert len(asked) >= len(CHUNKS), asked
    finally:
        h.aurora.admin("place", "remove", url)
        server.close()


# Syncthing, CVE-2021-21404: a negative length ends the program.
def a_length_is_never_negative():
    for lengths in (b"\xff\xff\xff\xff", b"\x80\0\0\0", b"\0\0\0\0", b"\xff\xff\xff\xf0" * 8, b"\x7f\xff\xff\xff" + bytes(40)):
        s = socket.socket(socket.AF_UNIX)
        s.settimeout(20)
        s.connect(h.kitchen.socket)
        s.sendall(lengths)
        s.shutdown(socket.SHUT_WR)
        try:
            while s.recv(4096):
                pass
        except ConnectionResetError:
            pass
        s.close()
        assert h.kitchen("status")
    content = bought()
    common = [f"content={content}", "user=alice", f"password-file={h.passwords['alice']}", "seed=77", f"distributor=127.0.0.1:{h.aurora.port}"]
    for against, name, address in (("distributor", "length_negative", f"127.0.0.1:{h.aurora.port}"), ("distributor", "message_negative", f"127.0.0.1:{h.aurora.port}"),
                                   ("device", "length_4_gib", f"127.0.0.1:{h.kitchen('status')['port']}")):
        done = subprocess.run([HOSTILE, "run", against, name, f"address={address}", *common], capture_output=True, text=True, timeout=90)
        assert done.returncode == 0, done.stdout + done.stderr
    assert h.aurora.process.running() and h.kitchen.process.running()


# OwnTone's data races: many ask at once, and what is shared between threads is read while it is written.
def many_ask_at_once_and_each_has_its_own_answer():
    contents = [bought("--title", f"Answer {i}") for i in range(6)]
    wrong, over = [], threading.Event()

    def ask(number):
        while not over.is_set():
            i = number % len(contents)
            try:
                got = h.kitchen("show", contents[i])
                if got.get("title", got.get("track", {}).get("title")) != f"Answer {i}":
                    wrong.append(got)
                if number % 3 == 0:
                    h.kitchen("playlist", "create", f"list {number} {time.monotonic_ns()}")
            except Refused as refusal:
                if refusal.code not in ("rate-limited", "too-large", "storage-full"):
                    wrong.append(refusal)
            number += 1
    threads = [threading.Thread(target=ask, args=(n,)) for n in range(8)]
    for t in threads:
        t.start()
    try:
        for content in contents:
            h.kitchen("copy", content, "--to", "attic")
            assert h.kitchen.digest(content) == h.attic.digest(content)
    finally:
        over.set()
        for t in threads:
            t.join()
    assert not wrong, wrong[:3]


# Avahi, CVE-2021-3468: a client that leaves in the middle of what it says makes the daemon run in circles.
def who_hangs_up_in_the_middle_is_forgotten():
    for address, process in ((h.kitchen.socket, h.kitchen.process), (("127.0.0.1", h.kitchen("status")["port"]), h.kitchen.process), (("127.0.0.1", h.aurora.port), h.aurora.process)):
        before = descriptors(process)
        for i in range(150):
            s = socket.socket(socket.AF_UNIX if isinstance(address, str) else socket.AF_INET)
            s.connect(address)
            try:
                s.sendall((b"\0\0\x0f\xff" + b"x" * 4000, b"\0", b"\x16\x03\x01\x02\0\x01" + b"y" * 100)[i % 3])
            except OSError:
                pass  # it left first: there are too many of us
            if i % 2:
                s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # without a goodbye
            s.close()
        wait_for("they are forgotten", lambda: descriptors(process) <= before + 8)
        is_at_rest(process)
    assert h.kitchen("status") and h.kitchen("browse")


run_cases([("an announced identity is proved (LocalSend CVE-2025-54792)", an_announced_identity_is_proved),
           ("a title is a text wherever it is shown (LocalSend CVE-2026-25154)", a_title_is_a_text_wherever_it_is_shown),
           ("what comes overwrites nothing (croc CVE-2023-43616)", what_comes_overwrites_nothing),
           ("what comes is named by what it is (croc CVE-2023-43619)", what_comes_is_named_by_what_it_is),
           ("no name acts on a terminal (croc CVE-2023-43620)", no_name_acts_on_a_terminal),
           ("no secret is on a command line (croc CVE-2023-43621)", no_secret_is_on_a_command_line),
           ("announcements and connections are bounded (KDE Connect CVE-2020-26164)", announcements_and_connections_are_bounded),
           ("a chunk is as large as it is (minidlna CVE-2020-28926 and CVE-2023-33476)", a_chunk_is_as_large_as_it_is),
           ("a length is never negative (Syncthing CVE-2021-21404)", a_length_is_never_negative),
           ("many ask at once and each has its own answer (OwnTone's data races)", many_ask_at_once_and_each_has_its_own_answer),
           ("who hangs up in the middle is forgotten (Avahi CVE-2021-3468)", who_hangs_up_in_the_middle_is_forgotten)])
