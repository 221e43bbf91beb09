"""Many small items from device to device, and how soon a copy begins. Called by scripts/bench; HEARTH_BUILD is a release build.

Each item is a content of 4 KiB with a copy certificate of its own: asked for, billed, offered, judged, received, synced, committed, receipted. Distributor,
source and destination share this machine, so what one item costs all of them is shown too, beside the raw operations of which each item needs several. First block: from the command, certificate included, until the
first block of a larger content is written at the destination: more than the offer alone takes."""
import ctypes
import os
import statistics
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tests", "household"))
from household import PROGRAMS, Household, Refused, enter_namespace, wait_for  # noqa: E402
from figures import figure  # noqa: E402

COUNT = int(os.environ.get("HEARTH_BENCH_ITEMS", "10000"))
SINGLES = 20
os.environ["HEARTH_LOG"] = "warn"
enter_namespace()
h = Household()
# Nobody buys ten thousand tracks in two minutes and then has them copied in ten seconds: what a household may ask a minute is not what is measured.
h.aurora.stop()
limits = os.path.join(h.root, "aurora.conf")
with open(limits, "w") as f:
    f.write("[limits]\naccount-requests-per-minute = 0\naccount-rows-per-minute = 0\n")
h.aurora.serve_options = ["--config", limits]
h.aurora.start()
h.settle()


def processor(pid):
    fields = open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def published(names, size):
    """Bought in the kitchen: their content IDs."""
    paths = []
    for name in names:
        paths.append(os.path.join(h.root, name + ".wav"))
        with open(paths[-1], "wb") as f:
            f.write(b"RIFF" + os.urandom(size - 4))
    done = h.aurora.admin("publish", *paths, "--price", "0", "--max-copies", "9", "--copy-depth", "1")
    for path, name in zip(paths, names):
        os.unlink(path)
        while True:
            try:
                h.kitchen("get", name, "--yes")
                break
            except Refused as refused:  # an account may ask so much a minute
                assert refused.code == "rate-limited", refused
                time.sleep(1)
    return [item["content"] for item in done["published"]]


def syncs_per_second():
    path = os.path.join(h.root, "sync")
    fd = os.open(path, os.O_CREAT | os.O_WRONLY)
    began, count = time.monotonic(), 0
    while time.monotonic() < began + 1:
        os.pwrite(fd, b"x" * 4096, 4096 * count)
        os.fdatasync(fd)
        count += 1
    os.close(fd)
    os.unlink(path)
    return count


def signatures():
    """Milliseconds of one signature, one verification, one sealed box: libsodium's, by one processor."""
    sodium = ctypes.CDLL("libsodium.so.23")
    public, secret, signature, sealed = (ctypes.create_string_buffer(n) for n in (32, 64, 64, 200))
    message = b"x" * 500
    boxes = ctypes.create_string_buffer(32)
    sodium.crypto_sign_keypair(public, secret)
    sodium.crypto_box_keypair(boxes, ctypes.create_string_buffer(32))

    def cost(operation):
        began, count = time.process_time(), 0
        while time.process_time() < began + 0.3:
            operation()
            count += 1
        return 1000 * (time.process_time() - began) / count
    length = ctypes.c_ulonglong(len(message))
    sign = cost(lambda: sodium.crypto_sign_detached(signature, None, message, length, secret))
    verify = cost(lambda: sodium.crypto_sign_verify_detached(signature, message, length, public))
    seal = cost(lambda: sodium.crypto_box_seal(sealed, message, ctypes.c_ulonglong(64), boxes))
    return f"signature {sign:.3f} ms, verification {verify:.3f} ms, sealed box {seal:.3f} ms"


def first_block(content):
    """Seconds until the map of the destination says that a block was written."""
    path = os.path.join(h.attic.state, "bodies", content + ".map")
    began = time.monotonic()
    copying = subprocess.Popen([PROGRAMS["hearth"], "--socket", h.kitchen.socket, "--json", "copy", content, "--to", "attic"], stdout=subprocess.DEVNULL)
    while True:
        try:
            with open(path, "rb") as f:
                if any(f.read()[64:]):
                    break
        except FileNotFoundError:
            assert copying.poll() is None, "it was copied before it could be seen"
    took = time.monotonic() - began
    assert copying.wait() == 0
    return took


def milliseconds(values):
    return f"median {1000 * statistics.median(values):6.1f} ms, worst {1000 * max(values):6.1f} ms"


def one_by_one(contents):
    took = []
    for content in contents:
        began = time.monotonic()
        h.kitchen("copy", content, "--to", "attic")
        took.append(time.monotonic() - began)
    return took


def together(contents):
    """Items a second; processor milliseconds an item, by program."""
    programs = {"distributor": [h.aurora.process.child.pid], "source": [h.kitchen.process.child.pid, h.kitchen.vault_pid()],
                "destination": [h.attic.process.child.pid, h.attic.vault_pid()]}
    before = {name: sum(map(processor, pids)) for name, pids in programs.items()}
    began = time.monotonic()
    for at in range(0, len(contents), 5000):  # a quarter of a mebibyte: a command line holds it
        copied = subprocess.run([PROGRAMS["hearth"], "--socket", h.kitchen.socket, "--json", "copy", *contents[at:at + 5000], "--to", "attic"], check=False, stdout=subprocess.PIPE, text=True)
        assert copied.returncode == 0, copied.stdout[-500:]
    took = time.monotonic() - began
    cost = {name: 1000 * (sum(map(processor, pids)) - before[name]) / len(contents) for name, pids in programs.items()}
    library = {t["content"]: t for t in h.attic.library()}
    assert all(library[c]["has_body"] and library[c]["license"] == "valid" for c in contents)
    return len(contents) / took, cost


large = published([f"large-{i}" for i in range(SINGLES)], 4 << 20)
singles = published([f"single-{i}" for i in range(SINGLES)], 4096)
items = published([f"item-{i:05}" for i in range(COUNT)], 4096)
wait_for("attic is seen", lambda: h.kitchen.sees("attic"))
first = [first_block(c) for c in large]
print(f"first block after `hearth copy`, {SINGLES} contents of 4 MiB   {milliseconds(first)}   reach 50 ms from the offer on")
figure("first block after `hearth copy`, worst", 1000 * max(first), "ms", "most", 50, "certificate and connection included")
print(f"one copy of 4 KiB after another, {SINGLES}                   {milliseconds(one_by_one(singles))}")
syncs = [syncs_per_second()]
rate, cost = together(items)
syncs.append(syncs_per_second())
print(f"{COUNT} items of 4 KiB, {rate:.0f}/s durable   reach 1,000/s; fdatasync alone {min(syncs)} to {max(syncs)}/s")
figure(f"{COUNT} items of 4 KiB, durable", rate, "/s", "least", 1000, f"fdatasync alone {min(syncs)} to {max(syncs)}/s; {sum(cost.values()):.2f} CPU ms an item")
print("processor time of one item: " + ", ".join(f"{name} {ms:.2f} ms" for name, ms in cost.items()) + f"; together {sum(cost.values()):.2f} ms, on {os.cpu_count()} processors")
print("of that, each of several: " + signatures())
