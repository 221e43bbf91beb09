#!/usr/bin/python3
"""Bodies from elsewhere than the distributor: a static HTTP server (nginx), by http and https, whole and resumed; hostile servers, after which the body
comes from the distributor all the same; and contents servers on machines of their own, of this distributor and of its partner."""
import hashlib
import http.client
import os
import random
import shutil
import socket
import sqlite3
import ssl
import struct
import subprocess
import sys
import threading
import time

from household import PROGRAMS, Device, Distributor, Process, Refused, enter_namespace, free_port, run_cases, run_json, wait_for
import tempfile
import atexit

if shutil.which("nginx") is None and not os.path.exists("/usr/sbin/nginx"):
    print("1..0 # SKIP nginx is not installed: scripts/deps test")
    sys.exit(0)
enter_namespace()
NGINX = shutil.which("nginx") or "/usr/sbin/nginx"
root = tempfile.mkdtemp(prefix="hearth-contents-")
if os.environ.get("HEARTH_TEST_KEEP") != "1":
    atexit.register(shutil.rmtree, root, True)
aurora = Distributor(root, "aurora")
password = aurora.user("alice")


def wav(name, kib, seed):
    """Noise that nothing compresses, a whole number of samples."""
    data = random.Random(seed).randbytes(kib * 1024)
    path = os.path.join(root, name)
    with open(path, "wb") as f:
        f.write(b"RIFF" + struct.pack("<I", 36 + len(data)) + b"WAVEfmt " + struct.pack("<IHHIIHH", 16, 1, 1, 8000, 8000, 1, 8)
                + b"data" + struct.pack("<I", len(data)) + data)
    return path


made = 0


def publish(kib=300, *options):
    global made
    made += 1
    return aurora.admin("publish", wav(f"t{made}.wav", kib, made), "--title", f"Track {made}", "--price", "0.10", *options)["published"][0]["content"]


def body_of(distributor, content):
    return os.path.join(distributor.dir, "bodies", content + ".body")


def has(device, content):
    path = os.path.join(device.state, "bodies", content + ".body")
    return os.path.exists(path) and open(path, "rb").read() == open(body_of(aurora, content), "rb").read()


class Nginx:
    def __init__(self, name, directory, tls=None, rate=""):
        self.dir = os.path.join(root, name)
        os.makedirs(self.dir)
        self.port = free_port()
        self.access, self.looks = os.path.join(self.dir, "access.log"), 0
        conf = os.path.join(self.dir, "nginx.conf")
        with open(conf, "w") as f:
            f.write(f"""
pid {self.dir}/pid; error_log {self.dir}/error.log; daemon off; master_process off; worker_processes 1;
events {{ worker_connections 64; }}
http {{
  log_format ranges '$request_uri $status $body_bytes_sent $http_range'; access_log {self.access} ranges;
  client_body_temp_path {self.dir}/a; proxy_temp_path {self.dir}/b; fastcgi_temp_path {self.dir}/c; uwsgi_temp_path {self.dir}/d; scgi_temp_path {self.dir}/e;
  server {{ listen 127.0.0.1:{self.port}{' ssl' if tls else ''}; {f'ssl_certificate {tls}.pem; ssl_certificate_key {tls}.key;' if tls else ''}
    location /bodies/ {{ alias {directory}/; {f'limit_rate {rate};' if rate else ''} }}
    location /moved/ {{ rewrite ^/moved/(.*)$ /bodies/$1 redirect; }} }}
}}""")
        self.process = Process([NGINX, "-c", conf, "-p", self.dir], os.path.join(self.dir, "out"))
        wait_for("nginx listens", lambda: socket.create_connection(("127.0.0.1", self.port), timeout=1))
        self.url = f"http{'s' if tls else ''}://127.0.0.1:{self.port}/bodies"

    def logged(self, text):
        return [line.split() for line in open(self.access) if text in line] if os.path.exists(self.access) else []

    def lines(self, content):
        """What was asked so far. A request is logged once its answer has left, so who has that may be too early here; the next request is logged after it."""
        self.looks += 1
        tls = self.url.startswith("https")
        next_one = http.client.HTTPSConnection("127.0.0.1", self.port, timeout=20, context=ssl._create_unverified_context()) if tls else \
            http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        next_one.request("GET", f"/look-{self.looks}")
        next_one.getresponse().read()
        next_one.close()
        wait_for("nginx has logged it", lambda: self.logged(f"/look-{self.looks} "))
        return self.logged(content)

    def sent(self, content):
        return sum(int(line[2]) for line in self.lines(content))


def certificate(name, address):
    path = os.path.join(root, name)
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=hearth test",
                    "-addext", f"subjectAltName=IP:{address}", "-keyout", path + ".key", "-out", path + ".pem"], check=True, capture_output=True)
    return path


trusted = certificate("trusted", "127.0.0.1")
other_name = certificate("other", "127.0.0.2")
aurora.start()
plain = Nginx("plain", os.path.join(aurora.dir, "bodies"))


def start(device, *lines):
    conf = os.path.join(root, device.name + ".conf")
    with open(conf, "w") as f:
        f.write("[downloads]\n" + "".join(line + "\n" for line in lines))
    device.process = Process([PROGRAMS["hearthd"], "--config", conf, "--state-dir", device.state, "--runtime-dir", device.dir, "--name", device.name,
                              "--listen", "127.0.0.1:0", "--no-discovery"], device.log)
    wait_for(f"{device.name} answers", lambda: device.process.running() and device("status"))


kitchen = Device(root, "kitchen")
start(kitchen, "ca-file = /nonexistent/ca.pem")
kitchen.stop()
assert "ca-file cannot be read" in open(kitchen.log).read()
start(kitchen, f"ca-file = {trusted}.pem")
kitchen.register(aurora, "alice", password)


def at(*places):
    for p in aurora.admin("place", "list")["places"]:
        aurora.admin("place", "remove", p["place"])
    for p in places:
        aurora.admin("place", "add", p)


def get(content, device=None):
    device = device or kitchen
    device("get", content, "--yes")
    assert has(device, content), "another body than the distributor's"


# ---- nginx ----

def from_nginx():
    content = publish(3000)
    at(plain.url)
    get(content)
    lines = plain.lines(content)
    assert lines and all(line[1] == "206" for line in lines), lines
    size = os.path.getsize(body_of(aurora, content))
    assert size <= plain.sent(content) <= size + 70000, (size, plain.sent(content))  # the head brings some blocks along


def from_https():
    content = publish()
    tls = Nginx("tls", os.path.join(aurora.dir, "bodies"), trusted)
    at(tls.url)
    get(content)
    assert tls.lines(content)


def redirected():
    content = publish()
    at(plain.url.replace("/bodies", "/moved"))
    get(content)
    assert any(line[0].startswith("/bodies/") and line[1] == "206" for line in plain.lines(content)), plain.lines(content)


def not_there():
    content = publish()
    empty = os.path.join(root, "empty")
    os.makedirs(empty)
    none = Nginx("none", empty)
    at(none.url, plain.url)
    get(content)
    assert [line[1] for line in none.lines(content)] == ["404"] and plain.lines(content)


def resumed():
    content = publish(6000)
    slow = Nginx("slow", os.path.join(aurora.dir, "bodies"), rate="2m")
    at(slow.url)
    part = os.path.join(kitchen.state, "bodies", content + ".map")
    child = subprocess.Popen([PROGRAMS["hearth"], "--socket", kitchen.socket, "--json", "get", content, "--yes"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    def a_quarter():
        marks = open(part, "rb").read()[64:]
        return marks.count(1) + marks.count(2) > len(marks) // 4
    wait_for("some blocks are there", a_quarter)
    kitchen.kill()
    child.wait(20)
    at(plain.url)
    start(kitchen, f"ca-file = {trusted}.pem")
    wait_for("it goes on by itself", lambda: has(kitchen, content), 30)
    size = os.path.getsize(body_of(aurora, content))
    assert 0 < plain.sent(content) < size * 0.9, (plain.sent(content), size)


def outside_period():
    """The vault and the distributor judge the download period; that the bytes lie open on a web server changes nothing."""
    at(plain.url)
    until = time.time() + 8  # so long a publication and a purchase may take
    content = publish(300, "--download-until-ms", str(int(until * 1000)))
    kitchen("get", content, "--yes", "--license-only")
    wait_for("the period is over", lambda: time.time() > until + 0.1)
    kitchen.refused("outside-download-period", "get", content, "--download-only")
    assert not plain.lines(content)


def switched_off():
    content = publish()
    at(plain.url)
    attic = Device(root, "attic")
    start(attic, "places = no")
    attic.register(aurora, "alice", password)
    get(content, attic)
    assert not plain.lines(content)
    attic.stop()


# ---- hostile servers ----

class Hostile:
    """Answers each request by a function of (socket, content, first, last, body)."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.asked = []
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            s, _ = self.listener.accept()
            threading.Thread(target=self.serve, args=(s,), daemon=True).start()

    def serve(self, s):
        try:
            with s:
                while True:
                    head = b""
                    while b"\r\n\r\n" not in head:
                        more = s.recv(4096)
                        if not more:
                            return
                        head += more
                    line = head.split(b"\r\n")[0].decode()
                    how, name = line.split()[1].strip("/").split("/")[:2]
                    self.asked.append((how, name))
                    first, last = next(l for l in head.decode().split("\r\n") if l.lower().startswith("range:")).split("=")[1].split("-")
                    body = open(body_of(aurora, name.removesuffix(".body")), "rb").read()
                    getattr(self, how)(s, int(first), min(int(last), len(body) - 1), body)
        except OSError:
            pass

    @staticmethod
    def answer(s, first, last, total, data, *headers, status="206 Partial Content", length=None):
        s.sendall((f"HTTP/1.1 {status}\r\nContent-Range: bytes {first}-{last}/{total}\r\n" + "".join(h + "\r\n" for h in headers)
                   + f"Content-Length: {len(data) if length is None else length}\r\n\r\n").encode() + data)

    def good(self, s, first, last, body):
        self.answer(s, first, last, len(body), body[first:last + 1])

    def garbage(self, s, first, last, body):
        s.sendall(random.Random(1).randbytes(5000))
        s.close()

    def hung_up(self, s, first, last, body):
        s.close()

    def whole(self, s, first, last, body):
        s.sendall(f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)

    def endless(self, s, first, last, body):
        s.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            s.sendall(bytes(65536))

    def wrong_range(self, s, first, last, body):
        self.answer(s, first + 1, last, len(body), body[first + 1:last + 1])

    def no_range(self, s, first, last, body):
        s.sendall(f"HTTP/1.1 206 Partial Content\r\nContent-Length: {last - first + 1}\r\n\r\n".encode() + body[first:last + 1])

    def wrong_total(self, s, first, last, body):
        self.answer(s, first, last, len(body) + 1, body[first:last + 1])

    def huge_total(self, s, first, last, body):
        self.answer(s, first, last, 9999999999999999999999, body[first:last + 1])

    def short(self, s, first, last, body):
        self.answer(s, first, last, len(body), body[first:last - 1], length=last - first + 1)
        s.close()

    def long(self, s, first, last, body):
        self.answer(s, first, last, len(body), body[first:last + 1] + bytes(100000))

    def flipped(self, s, first, last, body):
        data = bytearray(body[first:last + 1])
        data[len(data) // 2] ^= 1
        self.answer(s, first, last, len(body), bytes(data))

    def flipped_later(self, s, first, last, body):
        (self.good if first == 0 else self.flipped)(s, first, last, body)

    def zeros(self, s, first, last, body):
        self.answer(s, first, last, len(body), bytes(last - first + 1))

    def other_body(self, s, first, last, body):
        other = open(body_of(aurora, decoy), "rb").read()
        last = min(last, len(other) - 1)
        self.answer(s, first, last, len(other), other[first:last + 1])

    def headers(self, s, first, last, body):
        self.answer(s, first, last, len(body), body[first:last + 1], *[f"X-{i}: {'y' * 200}" for i in range(2000)])

    def one_header(self, s, first, last, body):
        self.answer(s, first, last, len(body), body[first:last + 1], "X: " + "y" * 90000)

    def round_and_round(self, s, first, last, body):
        self.answer(s, first, last, len(body), b"", "Location: " + f"http://127.0.0.1:{self.port}/round_and_round/{os.path.basename(self.asked[-1][1])}", status="302 Found")

    def to_a_file(self, s, first, last, body):
        self.answer(s, first, last, len(body), b"", "Location: file:///etc/passwd", status="302 Found")

    def error(self, s, first, last, body):
        self.answer(s, first, last, len(body), b"no", status="500 Internal Server Error")


hostile = Hostile()
decoy = publish()
WAYS = ["garbage", "hung_up", "whole", "endless", "wrong_range", "no_range", "wrong_total", "huge_total", "short", "long", "flipped", "flipped_later", "zeros",
        "other_body", "headers", "one_header", "round_and_round", "to_a_file", "error"]


def hostile_case(how):
    def case():
        content = publish()
        at(f"http://127.0.0.1:{hostile.port}/{how}")
        before = len(hostile.asked)
        get(content)
        asked = hostile.asked[before:]
        assert 1 <= len(asked) <= 8 and all(a[0] == how for a in asked), asked
        assert kitchen.process.running()
    return case


def wrong_certificate():
    for name, tls in (("unknown", certificate("unknown", "127.0.0.1")), ("misnamed", other_name)):
        content = publish()
        bad = Nginx(name, os.path.join(aurora.dir, "bodies"), tls)
        at(bad.url)
        get(content)
        assert not bad.lines(content)


def nobody_there():
    content = publish()
    at(f"http://127.0.0.1:{free_port()}/x", "http://no-such-host.invalid/x", plain.url)
    get(content)
    assert plain.lines(content)


def places_are_judged():
    at()
    for bad in ("ftp://x/", "http://", "http://u:p@x/", "http://x/?a", "http://x/#a", "http://x:0/", "hearth://x:1", "hearth://x:1#abc", "x", "http://a b/",
                "http://127.).0.1/", "hearth://127.).0.1:7700#" + "a" * 52, "http://" + "x" * 260):
        try:
            aurora.admin("place", "add", bad)
        except Refused as refusal:
            assert refusal.status == 2, (bad, refusal)
        else:
            raise AssertionError(bad)
    for i in range(8):
        aurora.admin("place", "add", f"http://127.0.0.1:1/{i}")
    try:
        aurora.admin("place", "add", "http://127.0.0.1:1/9")
    except Refused as refusal:
        assert refusal.code == "too-large"
    else:
        raise AssertionError("nine places")
    at("http://127.0.0.1:1/first", "http://127.0.0.1:1/last")
    db = sqlite3.connect(os.path.join(aurora.dir, "operations.db"))
    assert db.execute("UPDATE place SET url = 'http://127.).0.1/' WHERE url LIKE '%first'").rowcount == 1  # as earlier versions took it
    db.commit()
    db.close()
    assert [p["place"] for p in aurora.admin("place", "list")["places"]] == ["http://127.0.0.1:1/last"]
    at()


# ---- contents servers on machines of their own ----

class Contents:
    def __init__(self, name):
        self.name = name
        self.dir = os.path.join(root, name)
        self.port = free_port()
        self.log = self.dir + ".log"
        self.url = self.admin("contents", "init", "--listen", f"127.0.0.1:{self.port}")["url"]
        self.conf = self.dir + ".conf"
        with open(self.conf, "w") as f:
            f.write("[contents]\nlook-seconds = 1\n")
        self.process = None

    def admin(self, *args):
        return run_json([PROGRAMS["hearth-distributor"], "--state-dir", self.dir, "--json", *args])

    def start(self):
        self.process = Process([PROGRAMS["hearth-distributor"], "--config", self.conf, "--state-dir", self.dir, "serve", "--role", "contents"], self.log,
                               dict(os.environ, HEARTH_LOG="debug"))
        wait_for(f"{self.name} listens", lambda: socket.create_connection(("127.0.0.1", self.port), timeout=1))
        return self

    def has(self, content):
        return os.path.exists(os.path.join(self.dir, "bodies", content + ".body"))


first = Contents("first")
second = Contents("second")  # the partner's: boreal's operator runs it


def of_its_own():
    """The operator names it as a place and it follows: what is there comes, and what is published later; devices fetch there."""
    global first_content
    first_content = publish(2000)
    first.admin("contents", "follow", aurora.url)
    first.start()
    wait_for("it is told why it is not welcome", lambda: "not welcome" in open(first.log).read())
    at(first.url)
    first.process.stop()
    first.start()
    wait_for("the body is there", lambda: first.has(first_content))
    later = publish(500)
    wait_for("what was published later is there", lambda: first.has(later))
    log = os.path.getsize(kitchen.log)
    get(first_content)
    get(later)
    said = open(kitchen.log).read()[log:]
    assert said.count("a body is fetched from place=hearth://") == 2 and "a place was left" not in said, said
    names = sorted(os.listdir(first.dir))
    assert names == ["bodies", "contents.conf", "contents.key"], names


def of_a_partner():
    """By agreement, a word on both sides: aurora names boreal's contents server, which follows aurora beside boreal."""
    boreal = Distributor(root, "boreal")
    own = boreal.admin("publish", wav("boreal.wav", 200, 4711), "--title", "Boreal's", "--price", "0.10")["published"][0]["content"]
    boreal.start()
    boreal.admin("place", "add", second.url)
    second.admin("contents", "follow", boreal.url)
    second.start()
    wait_for("boreal's is there", lambda: second.has(own))
    content = publish(400)
    at(second.url)
    second.admin("contents", "follow", aurora.url)
    second.process.child.send_signal(1)
    wait_for("aurora's is there too", lambda: second.has(content))
    log = os.path.getsize(kitchen.log)
    get(content)
    assert f"place={second.url}" in open(kitchen.log).read()[log:]
    # taken back: it learns of nothing new, and keeps what it has
    aurora.admin("place", "remove", second.url)
    late = publish(100)
    wait_for("it is refused", lambda: "bodies are not told" in open(second.log).read() or "not welcome" in open(second.log).read())
    assert not second.has(late)
    second.admin("contents", "unfollow", boreal.url)
    assert [f["distributor"] for f in second.admin("contents", "list")["follows"]] == [aurora.url]
    boreal.stop()


def killed():
    """It ends in the middle of a download: the next place, at last the distributor; and it goes on itself after a kill in the middle of its own."""
    at(first.url)
    content = publish(20000)
    first.process.child.send_signal(1)
    wait_for("it has begun", lambda: any(f.startswith(content) for f in os.listdir(os.path.join(first.dir, "bodies"))))
    first.process.kill()
    first.start()
    wait_for("the body is there", lambda: first.has(content), 30)
    child = subprocess.Popen([PROGRAMS["hearth"], "--socket", kitchen.socket, "--json", "get", content, "--yes"], stdout=subprocess.DEVNULL)
    wait_for("it comes", lambda: os.path.exists(os.path.join(kitchen.state, "bodies", content + ".part")) or has(kitchen, content))
    first.process.kill()
    assert child.wait(60) == 0 and has(kitchen, content)
    first.start()


def gives_bodies_only():
    """Damaged on its disk: caught by the device. Anything but bodies is refused, and a distributor is not greeted there."""
    path = os.path.join(first.dir, "bodies", first_content + ".body")
    with open(path, "r+b") as f:
        f.seek(-1000, 2)
        byte = f.read(1)
        f.seek(-1, 1)
        f.write(bytes([byte[0] ^ 1]))
    attic = Device(root, "attic2")
    start(attic)
    attic.register(aurora, "alice", password)
    at(first.url)
    attic("get", first_content, "--yes", "--again")
    assert has(attic, first_content)
    try:
        Device(root, "lost").start().register(type("D", (), {"url": first.url}), "alice", password)
    except Refused:
        pass
    else:
        raise AssertionError("registered at a contents server")
    attic.stop()


def states():
    assert first.admin("contents", "init", "--listen", f"127.0.0.1:{first.port}")["url"] == first.url  # once more: it is there
    for words, code in ((("contents", "init", "--listen", "127.0.0.1:1"), "already"), (("contents", "unfollow", second.url), "not-found")):
        try:
            first.admin(*words)
        except Refused as refusal:
            assert refusal.code == code, refusal
        else:
            raise AssertionError(words)
    for words in (("contents", "follow", "http://127.0.0.1/"), ("contents", "init"), ("serve", "--role", "cook")):
        try:
            first.admin(*words)
        except Refused as refusal:
            assert refusal.status == 2, refusal
        else:
            raise AssertionError(words)


run_cases([("from nginx, by ranges", from_nginx), ("by https", from_https), ("after a redirect", redirected), ("not there, so from the next place", not_there),
           ("resumed by ranges after a kill", resumed), ("outside the download period", outside_period), ("switched off on the device", switched_off),
           *[(f"hostile: {how}", hostile_case(how)) for how in WAYS], ("certificates that are not accepted", wrong_certificate), ("nobody there", nobody_there),
           ("what is no place", places_are_judged), ("a contents server of its own", of_its_own), ("a partner's, by agreement", of_a_partner),
           ("killed in the middle", killed), ("bodies only, and verified", gives_bodies_only), ("its commands", states)])
