"""Figures of a household in step: three sources beside one, each limited; and how soon a change is seen on a sibling that is online. Called by scripts/bench; HEARTH_BUILD is a
release build.

Three sources: a content is copied from the kitchen to the garage, from the kitchen alone and then one like it that two more siblings have, each device limited to the same rate. From the command to its end, certificate,
syncs and receipt included. A change: a setting is set on one device and asked of another, one question after another; what the question itself takes is shown beside it."""
import os
import statistics
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tests", "household"))
from household import Household, enter_namespace, wait_for  # noqa: E402
from figures import figure  # noqa: E402

ROUNDS = int(os.environ.get("HEARTH_BENCH_ROUNDS", "5"))
CHANGES = 50
SIZE = 16 << 20
RATE = 4 << 20  # of each device, bytes a second
os.environ["HEARTH_LOG"] = "warn"
enter_namespace()
h = Household().settle()
h.cellar, h.garage = h.device("cellar", h.aurora, "alice"), h.device("garage", h.aurora, "alice")
holders = (h.kitchen, h.attic, h.cellar)
wait_for("garage and the others see each other", lambda: all(h.garage.sees(d.name) and d.sees("garage") for d in holders), 30)


def published(number):
    """Bought in the kitchen; its body is there."""
    path = os.path.join(h.root, f"large-{number}.wav")
    with open(path, "wb") as f:
        f.write(b"RIFF" + os.urandom(SIZE - 4))
    content = h.publish(path, "--price", "0", "--max-copies", "9", "--copy-depth", "1")
    os.unlink(path)
    h.kitchen("get", content, "--yes")
    return content


def copied(content):
    began = time.monotonic()
    h.kitchen("copy", content, "--to", "garage")
    return time.monotonic() - began


def value(device):
    return next(s["value"] for s in device("settings")["settings"] if s["name"] == "volume")


def changes():
    """Seconds until a change was seen; seconds that a question takes."""
    seen, asked = [], []
    for number in range(CHANGES):
        volume = str(30 + number % 50)
        h.kitchen("settings", "volume", volume)
        began = time.monotonic()
        while value(h.attic) != volume:
            assert time.monotonic() < began + 10, "the change does not come"
        seen.append(time.monotonic() - began)
        began = time.monotonic()
        value(h.attic)
        asked.append(time.monotonic() - began)
    return seen, asked


def milliseconds(values):
    return f"median {1000 * statistics.median(values):6.1f} ms, worst {1000 * max(values):6.1f} ms"


seen, asked = changes()
print(f"a change on one device, asked of another, {CHANGES}   {milliseconds(seen)}   reach 300 ms")
figure("a change on one device seen on another, worst", 1000 * max(seen), "ms", "most", 300, f"median {1000 * statistics.median(seen):.1f} ms")
print(f"of that, one question                         {milliseconds(asked)}")
alone, together = [], []
for number in range(ROUNDS):
    one, many = published(2 * number), published(2 * number + 1)
    for device in (h.attic, h.cellar):
        device("get", many, "--download-only")
    for device in holders:
        device("transfers", "limit", "--send", str(RATE))
    alone.append(copied(one))
    together.append(copied(many))
    for device in holders:
        device("transfers", "limit", "--send", "none")
faster = [a / b for a, b in zip(alone, together)]
print(f"{SIZE >> 20} MiB from one source of {RATE >> 20} MiB/s, {ROUNDS}      median {statistics.median(alone):.2f} s; the rate alone allows {SIZE / RATE:.2f} s")
print(f"the same from three                           median {statistics.median(together):.2f} s; the rate alone allows {SIZE / RATE / 3:.2f} s")
print(f"three beside one                              median {statistics.median(faster):.2f} times as fast, least {min(faster):.2f}   reach 1.8")
figure("three sources beside one, each limited", statistics.median(faster), "", "least", 1.8, f"least {min(faster):.2f}")
