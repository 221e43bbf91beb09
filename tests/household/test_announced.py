"""A stranger on the household's network, without a key, who announces its devices at other addresses by multicast DNS, and many that are nobody's: an address is a hint, and who answers
there has to prove its key. What was proved before and what was given by hand is tried first; who is announced often keeps nobody from its turn; `hearth devices` says "online" of a
live connection alone, and `hearth doctor` says where another device answers."""
import time

from household import Device, run_cases, wait_for
from mdns import Stranger
from network import Host, Pair, check, needs, row

needs("ip", "nft", "unshare", "nsenter")
p = Pair()
kitchen, attic, hosts, both_see = p.kitchen, p.attic, p.hosts, p.both_see
for number, name in ((66, "stranger"), (5, "cellar")):
    hosts[name] = Host(p.root, name)
    hosts[name].plug("br0", "lan0", f"10.77.0.{number}")
for host in hosts.values():  # one address each: what is tried is what is meant
    host.run("sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=1")
both_see()  # also where IPv6 went while the names were probed
IDS = [d("status")["client"] for d in (kitchen, attic)]


def stranger(at, names="new", seconds=1, *ids):
    return Stranger(p.root, hosts["stranger"], "10.77.0.66", at, names, seconds, *(ids or IDS))


def announced(*addresses):
    """The stranger is heard: doctor asks there, or the row says so."""
    wait_for("the stranger is heard", lambda: all(check(d, "discovery")[0]["text"].endswith("1 of 1 siblings are seen.") for d in (kitchen, attic)))


def start_anew(*devices):
    for d in devices:
        d.stop()
    for d in devices:
        d.start()


def are_linked(seconds=30):
    wait_for("kitchen and attic are linked", lambda: row(kitchen, "attic")["online"] and row(attic, "kitchen")["online"], seconds)


def shares(name, seconds=30):
    kitchen("playlist", "create", name)
    wait_for(f"attic has the playlist {name}", lambda: any(x["name"] == name for x in attic("playlist")["playlists"]), seconds)


def moves(device, old, new):
    host = hosts[device.name]
    host.run("ip", "address", "add", f"10.77.0.{new}/24", "dev", "lan0")
    host.run("ip", "address", "del", f"10.77.0.{old}/24", "dev", "lan0")
    host.run("ip", "address", "replace", f"10.77.0.{new}/24", "dev", "lan0")


def nobody_is_there():
    """Both are announced anew each second, where nobody answers, and start: what was proved before is tried."""
    false = stranger("10.77.0.66:9")
    try:
        announced()
        start_anew(attic, kitchen)
        are_linked()
        shares("beside a stranger")
        for d, name, at in ((kitchen, "attic", "10.77.0.2:7411"), (attic, "kitchen", "10.77.0.1:7411")):
            wait_for(f"{name} is at {at}", lambda: row(d, name)["address"] == at)
            assert row(d, name)["online"], row(d, name)
    finally:
        false.end()


def another_device_is_there():
    """It answers with a key of its own, and gets nothing; doctor names the address."""
    other = Device(p.root, "other")
    other.inside, other.listen = hosts["stranger"].prefix, ":7411"
    other.start()
    false = stranger("10.77.0.66:7411")
    try:
        wait_for("doctor sees the other one", lambda: any(c["text"] == "At 10.77.0.66:7411 another device answers under the name of attic." for c in check(kitchen, "device")))
        start_anew(attic, kitchen)
        are_linked()
        shares("beside another device")
        wait_for("doctor says where attic is, and where it is not", lambda: [(c["verdict"], c["text"]) for c in check(kitchen, "device")] == [
            ("good", "attic answers at 10.77.0.2:7411."), ("look", "At 10.77.0.66:7411 another device answers under the name of attic.")])
    finally:
        false.end()
        other.kill()


def one_lets_us_wait():
    """Twelve addresses that take connections and say nothing, and both have moved: each is found among them when its turn comes."""
    mute = ["input", "tcp dport 9000-9100 drop"]
    hosts["stranger"].nft([tuple(mute)])
    false = stranger("10.77.0.66:9000+", "same", 1, *[i for i in IDS for _ in range(12)])
    try:
        announced()
        for d in (attic, kitchen):
            d.stop()
        moves(attic, 2, 22)
        moves(kitchen, 1, 21)
        for d in (attic, kitchen):
            d.start()
        are_linked(60)
        shares("after both have moved")
        wait_for("one has proved the other's new address", lambda: row(kitchen, "attic")["address"] == "10.77.0.22:7411" or row(attic, "kitchen")["address"] == "10.77.0.21:7411")
    finally:
        false.end()
        hosts["stranger"].nft([])


def only_the_stranger_is_heard():
    """attic has moved, dials nobody, and its own announcements are kept back: it is seen, and not online, until it is told by hand where it is. That is remembered."""
    attic.stop()
    moves(attic, 22, 23)
    hosts["attic"].nft([("output", "udp dport 5353 drop"), ("output", "tcp dport 7411 drop")])
    attic.start()
    false = stranger("10.77.0.66:9")
    try:
        wait_for("kitchen hears the stranger", lambda: check(kitchen, "discovery")[0]["text"].endswith("1 of 1 siblings are seen."))
        for _ in range(3):  # each asks all addresses that are known
            seen = check(kitchen, "device")[0]
            assert seen["verdict"] == "bad" and "does not answer" in seen["text"] and "hearth devices add" in seen["remedy"], seen
            assert not row(kitchen, "attic")["online"], row(kitchen, "attic")
        kitchen.refused("offline", "devices", "add", "10.77.0.66:9")
        assert kitchen("devices", "add", "10.77.0.23:7411")
        wait_for("it is linked", lambda: row(kitchen, "attic")["online"] and row(kitchen, "attic")["address"] == "10.77.0.23:7411")
        shares("by hand")
        start_anew(kitchen)
        wait_for("by hand is remembered", lambda: row(kitchen, "attic")["online"] and row(kitchen, "attic")["address"] == "10.77.0.23:7411")
        shares("by hand, remembered")
    finally:
        false.end()
        hosts["attic"].nft([])


def many_are_nobody():
    """700 devices of nobody are announced: a sibling that comes then is found, and one whose address is given by hand is."""
    false = stranger("10.77.0.66:9", "same", 1, "random:700")
    cellar = Device(p.root, "cellar")
    cellar.inside, cellar.listen = hosts["cellar"].prefix, ":7411"
    try:
        hosts["cellar"].nft([("output", "udp dport 5353 drop"), ("output", "tcp dport 7411 drop")])
        time.sleep(3)  # two rounds: the table is full
        cellar.start()
        cellar.register(p.aurora, "alice", p.password)
        wait_for("kitchen knows cellar", lambda: row(kitchen, "cellar"))
        assert kitchen("devices", "add", "10.77.0.5:7411")
        wait_for("kitchen is linked with cellar", lambda: row(kitchen, "cellar")["online"] and row(kitchen, "cellar")["address"] == "10.77.0.5:7411")
        hosts["cellar"].nft([("output", "tcp dport 7411 drop")])
        wait_for("attic finds cellar", lambda: row(attic, "cellar")["online"], 60)
        start_anew(attic)
        wait_for("attic finds it again", lambda: row(attic, "cellar")["online"], 60)
    finally:
        false.end()
        cellar.kill()


def one_is_killed():
    """A connection that has ended is said to have ended, whatever is announced."""
    are_linked()
    attic.kill()
    wait_for("kitchen says that attic is gone", lambda: not row(kitchen, "attic")["online"], 10)
    assert row(kitchen, "attic")["address"] == "10.77.0.23:7411", row(kitchen, "attic")
    attic.start()
    are_linked()


try:
    run_cases([("both are announced where nobody is", nobody_is_there), ("another device answers under a sibling's name", another_device_is_there),
               ("many addresses that let us wait", one_lets_us_wait), ("nothing true is heard: by hand", only_the_stranger_is_heard),
               ("one is killed", one_is_killed), ("700 that are nobody's", many_are_nobody)])
finally:
    for extra in ("stranger", "cellar"):
        hosts[extra].end()
    p.end()
