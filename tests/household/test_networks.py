"""Networks as they are: each device a host of its own. Cables that are pulled, addresses that change, a second network that comes and goes, IPv6 alone with link-local addresses; multicast
that does not get through: last known addresses, and addresses by hand."""
import subprocess
import time

from household import run_cases, wait_for
from network import Pair, bridge, check, needs, row

needs("ip", "nft", "unshare", "nsenter")
p = Pair()
bridge("br1", 78)
kitchen, attic, hosts, both_see = p.kitchen, p.attic, p.hosts, p.both_see


def a_cable_is_pulled():
    """And plugged in again, where there is another address by then."""
    both_see()
    hosts["attic"].run("ip", "link", "set", "lan0", "down")
    wait_for("kitchen misses attic", lambda: "0 of 1" in check(kitchen, "discovery")[0]["text"])
    alone = check(attic, "discovery")
    assert alone[0]["verdict"] == "bad" and "in no network" in alone[0]["text"] and "Connect" in alone[0]["remedy"], alone
    hosts["attic"].run("ip", "address", "add", "10.77.0.99/24", "dev", "lan0")
    hosts["attic"].run("ip", "address", "del", "10.77.0.2/24", "dev", "lan0")
    hosts["attic"].run("ip", "address", "replace", "10.77.0.99/24", "dev", "lan0")
    hosts["attic"].run("ip", "link", "set", "lan0", "up")
    both_see(attic_at="10.77.0.99:7411")
    wait_for("both are online", lambda: row(kitchen, "attic")["online"] and row(attic, "kitchen")["online"])
    answers()


def a_second_network():
    """Both get a second cable, to a switch of its own, and lose the first one; and back."""
    for number, host in enumerate(hosts.values(), 1):
        host.plug("br1", "lan1", f"10.78.0.{number}")
    for host in hosts.values():
        host.run("ip", "link", "set", "lan0", "down")
    both_see("10.78.0.1:7411", "10.78.0.2:7411")
    answers()
    for host in hosts.values():
        host.run("ip", "link", "set", "lan0", "up")
        host.run("ip", "link", "delete", "lan1")
    both_see(attic_at="10.77.0.99:7411")


def without_ipv4():
    for host in hosts.values():
        host.run("ip", "-4", "address", "flush", "dev", "lan0")
    at = {name: f"[{host.link_locals()[0]}]:7411" for name, host in hosts.items()}
    both_see(at["kitchen"], at["attic"])
    answers()
    assert check(kitchen, "device")[0]["text"] == f"attic answers at {at['attic']}.", check(kitchen, "device")
    shares("over IPv6")
    for number, host in enumerate(hosts.values(), 1):
        host.run("ip", "address", "add", f"10.77.0.{number}/24", "dev", "lan0")
    both_see(at["kitchen"], at["attic"])  # the connection that is there stays
    answers()


def answers():
    wait_for("attic answers kitchen", lambda: check(kitchen, "device")[0]["text"].startswith("attic answers at "), 30)
    wait_for("kitchen answers attic", lambda: check(attic, "device")[0]["text"].startswith("kitchen answers at "), 30)


def shares(name):
    """What one device changes the other has."""
    kitchen("playlist", "create", name)
    wait_for(f"attic has the playlist {name}", lambda: any(p["name"] == name for p in attic("playlist")["playlists"]), 40)


# ---- multicast that does not get through ---------------------------------------------------------------------------


def multicast_is_kept_back():
    """By something between the two: each hears itself. They find each other at their last addresses, also after both were restarted."""
    subprocess_nft("table bridge t { chain forward { type filter hook forward priority 0; udp dport 5353 drop; }; }")
    for d in (kitchen, attic):
        d.stop()
    for d in (kitchen, attic):
        d.start()
    wait_for("they have found each other", lambda: row(kitchen, "attic")["online"] and row(attic, "kitchen")["online"])
    shares("at the last address")
    found = check(kitchen, "device")[0]
    assert found["verdict"] == "look" and "is not seen by multicast DNS" in found["text"] and "hearth devices add" in found["remedy"], found
    assert check(kitchen, "discovery")[0]["text"].endswith("0 of 1 siblings are seen.")


def linked():
    return row(kitchen, "attic")["online"] and row(attic, "kitchen")["online"]


def cut(seconds_at_most):
    """Nothing comes through any more, until both know it; then all but multicast does again. How long they take to find each other."""
    subprocess_nft("table bridge t { chain forward { type filter hook forward priority 0; drop; }; }")
    wait_for("both know it", lambda: not row(kitchen, "attic")["online"] and not row(attic, "kitchen")["online"], 60)
    subprocess_nft("flush ruleset")
    subprocess_nft("table bridge t { chain forward { type filter hook forward priority 0; udp dport 5353 drop; }; }")
    began = time.monotonic()
    wait_for("they have found each other again", linked, seconds_at_most)
    print(f"# found again after {time.monotonic() - began:.1f} s", flush=True)


def found_again_soon():
    """Whom the network has kept from each other for a moment looks often at first, at the last address."""
    cut(20)
    cut(20)
    shares("after the cut")


def an_address_by_hand():
    """attic comes back at another address and port, and dials nobody; kitchen is told where."""
    at = row(kitchen, "attic")["address"]
    attic.stop()
    hosts["attic"].run("ip", "address", "add", "10.77.0.50/24", "dev", "lan0")
    hosts["attic"].run("ip", "address", "del", "10.77.0.2/24", "dev", "lan0")
    hosts["attic"].run("ip", "address", "replace", "10.77.0.50/24", "dev", "lan0")
    hosts["attic"].nft([("output", "tcp dport 7411 drop")])
    attic.listen = ":7499"
    attic.start()
    lost = check(kitchen, "device")[0]
    assert lost["verdict"] == "look" and f"does not answer at {at}" in lost["text"] and "hearth devices add" in lost["remedy"], lost
    refused = kitchen.refused("offline", "devices", "add", "10.77.0.50:7411")
    assert refused.message == "10.77.0.50:7411 does not answer." and "hearth status there" in refused.remedy, refused
    kitchen("devices", "add", "10.77.0.50:7499")
    shares("at an address by hand")
    kitchen.stop()
    kitchen.start()
    wait_for("it is remembered", lambda: row(kitchen, "attic")["online"])
    assert row(kitchen, "attic")["address"] == "10.77.0.50:7499", row(kitchen, "attic")


def multicast_gets_through_again():
    subprocess_nft("flush ruleset")
    hosts["attic"].nft([])
    both_see(attic_at="10.77.0.50:7499")


def subprocess_nft(rules):
    subprocess.run(["nft", "-f", "-"], input=rules, text=True, check=True)


cases = [
    ("a cable is pulled and plugged in again", a_cable_is_pulled), ("a second network comes and goes", a_second_network),
    ("without IPv4: link-local addresses with their scope", without_ipv4), ("multicast is kept back: last known addresses", multicast_is_kept_back),
    ("after a cut they find each other soon, without multicast", found_again_soon), ("an address by hand is remembered", an_address_by_hand), ("multicast gets through again", multicast_gets_through_again)]

try:
    run_cases(cases)
finally:
    p.end()
