"""hearth doctor with each fault made for real, and what it says to do about it: a distributor that is off, this device's firewall, another one's, a wrong clock, a full disk, key files
that are lost or open to others, a device that is off, multicast that is off, hearthd itself."""
import os
import signal
import subprocess

from household import PROGRAMS, Device, Distributor, Refused, run_cases, wait_for
from network import Pair, check, needs
from timetravel import DAY, FAKETIME

needs("ip", "nft", "unshare", "nsenter")
p = Pair()
kitchen, attic, hosts = p.kitchen, p.attic, p.hosts
boreal = Distributor(p.root, "boreal", host="10.77.0.254")
boreal_password = boreal.user("alina")
boreal.start()
kitchen.register(boreal, "alina", boreal_password)


def at_attic(format):
    """The same of each of its addresses."""
    return [format.format(at) for at in ("10.77.0.2:7411", *(f"[{a}]:7411" for a in hosts["attic"].link_locals()))]


def says(device, name, verdict, text, remedy=None):
    """One row with this name has these words, and this is what it advises."""
    rows = check(device, name)
    for r in rows:
        if r["verdict"] == verdict and any(t in r["text"] for t in ([text] if isinstance(text, str) else text)) and (remedy is None or remedy in r.get("remedy", "")):
            assert verdict == "good" or r.get("remedy"), f"no advice: {r}"
            return True
    raise ValueError(rows)


def told(device, *row, seconds=30):
    wait_for(f"doctor says {row}", lambda: says(device, *row), seconds)


def exit_status(device):
    return subprocess.run([PROGRAMS["hearth"], "--socket", device.socket, "doctor"], capture_output=True, timeout=60).returncode


def all_is_well():
    told(kitchen, "discovery", "good", "1 of 1 siblings are seen")
    told(attic, "discovery", "good", "1 of 1 siblings are seen")
    for name in ("vault", "keys", "listener", "clock"):
        says(kitchen, name, "good", "")
    says(kitchen, "confinement", "good", "hearthd is confined to its own directories")
    says(kitchen, "distributor", "good", "aurora is connected at 10.77.0.254")
    says(kitchen, "distributor", "good", "boreal is connected at 10.77.0.254")
    says(kitchen, "device", "good", at_attic("attic answers at {}."))
    assert exit_status(kitchen) == 0


def one_has_come_to_us():
    """It announces nothing: it is connected, and that is well, though nobody knows where it could be called."""
    cellar = Device(p.root, "cellar")
    cellar.inside, cellar.listen = hosts["attic"].prefix, ":7499"
    cellar.start(True, "--no-discovery")
    cellar.register(p.aurora, "alice", p.password)
    wait_for("it has come", lambda: cellar("devices", "add", "10.77.0.1:7411"))
    told(kitchen, "device", "good", "cellar is connected; no address of it is known.")
    kitchen("devices", "remove", "cellar")
    cellar.stop()


def a_distributor_is_off():
    boreal.stop()
    told(kitchen, "distributor", "bad", "boreal", "network")
    says(kitchen, "distributor", "good", "aurora is connected")
    assert exit_status(kitchen) == 1
    boreal.start()


def a_distributor_is_out_of_reach():
    """Its connection has not ended, since nobody has said so."""
    hosts["attic"].nft([("output", "ip daddr 10.77.0.254 drop"), ("input", "ip saddr 10.77.0.254 drop")])
    assert attic("status")["distributors_online"] == 1
    says(attic, "distributor", "bad", "does not answer at 10.77.0.254", "network")
    assert attic("status")["distributors_online"] == 0
    hosts["attic"].nft([])
    told(attic, "distributor", "good", "aurora is connected")


def the_own_firewall_keeps_multicast_back():
    for where in ("input", "output"):
        hosts["attic"].nft([(where, "udp dport 5353 drop")])
        told(attic, "discovery", "bad", "on lan0 is not heard there", "UDP port 5353")
    hosts["attic"].nft([])
    told(attic, "discovery", "good", "heard")


def another_firewall_keeps_connections_back():
    hosts["attic"].nft([("input", "tcp dport 7411 ct state new drop")])
    told(kitchen, "device", "bad", at_attic("attic is seen by multicast DNS, but does not answer at {} "), "firewall")
    hosts["attic"].nft([])
    told(kitchen, "device", "good", "attic answers")


def its_port_has_changed_unheard():
    hosts["kitchen"].nft([("input", "udp dport 5353 drop")])
    attic.stop()
    attic.listen = ":7412"
    attic.start(True)
    told(kitchen, "device", "look", at_attic("attic is connected, but nothing listens at {} any more."), "hearth devices add HOST:PORT")
    hosts["kitchen"].nft([])
    attic.stop()
    attic.listen = ":7411"
    attic.start()
    told(kitchen, "device", "good", at_attic("attic answers at {}."))


def a_device_is_off():
    attic.stop()
    told(kitchen, "device", "look", at_attic("attic does not answer at {} "), "hearth devices add HOST:PORT")
    attic.start()


def multicast_is_off():
    attic.stop()
    attic.start(True, "--no-discovery")
    told(attic, "discovery", "look", "switched off", "hearth devices add HOST:PORT")
    attic.stop()
    attic.start()


def the_clock_is_wrong():
    if not os.path.exists(FAKETIME):
        return "SKIP libfaketime is not installed"
    attic.stop()
    attic.environment = {"LD_PRELOAD": FAKETIME, "FAKETIME": f"-{2 * DAY}s", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
    attic.start()
    told(attic, "clock", "bad", "s slow", "timedatectl set-ntp true")
    attic.stop()
    attic.environment = {}
    attic.start()
    told(attic, "clock", "good", "agrees")
    return None


def the_disk_is_full():
    small = os.path.join(p.root, "small")
    os.mkdir(small)
    host = hosts["attic"]  # which has mounts of its own
    host.run("mount", "-t", "tmpfs", "-o", "size=96m", "none", small)
    kept = attic.state
    attic.stop()
    attic.state = os.path.join(small, "state")
    try:
        attic.start()
        told(attic, "storage", "look", "MiB are free in", "hearth remove TRACK")
        host.run("dd", "if=/dev/zero", f"of={small}/filler", "bs=1M", "count=40", "status=none")
        told(attic, "storage", "bad", "MiB are free in", "hearth remove TRACK")
        assert not attic("status")["well"]
        attic.stop()
    finally:
        host.run("umount", "-l", small)
    attic.state = kept
    attic.start()


def the_keys_are_not_as_they_were():
    key = os.path.join(attic.state, "vault", "storage.key")
    os.chmod(key, 0o644)
    says(attic, "keys", "bad", "storage.key can be read by others", "0600")
    os.chmod(key, 0o600)
    os.rename(key, key + ".lost")
    says(attic, "keys", "bad", "storage.key is missing", "copy of the state directory")
    os.kill(attic.vault_pid(), signal.SIGKILL)
    told(attic, "vault", "bad", "does not answer", "log")
    os.rename(key + ".lost", key)
    told(attic, "vault", "look", "was started again", "log")
    says(attic, "keys", "good", "")
    told(attic, "clock", "good", "agrees")  # the new one has been told the time
    os.kill(attic.vault_pid(), signal.SIGKILL)
    told(attic, "clock", "good", "agrees")


def the_vault_stands_still():
    """Nothing else is blamed for it."""
    assert attic("status")["well"]
    vault = attic.vault_pid()
    os.kill(vault, signal.SIGSTOP)
    try:
        rows = attic.anyhow("doctor")["checks"]
        assert [r["name"] for r in rows if r["verdict"] == "bad"] == ["vault"] and [r for r in rows if r["name"] == "device" and "were not tried" in r["text"]], rows
        status = attic("status")
        assert not status["well"] and not status["vault_answers"], status
    finally:
        os.kill(vault, signal.SIGCONT)
    wait_for("it is well again", lambda: check(attic, "vault") and attic("status")["well"])


def hearthd_is_off():
    attic.stop()
    try:
        attic("doctor")
        raise AssertionError("it answered")
    except Refused as refusal:
        assert (refusal.status, refusal.code) == (3, "daemon-unreachable") and "start hearthd" in refusal.remedy, refusal
    attic.start()


def lives(pid):
    """Runs, or stands still; who has adopted it may not have noticed that it ended."""
    try:
        with open(f"/proc/{pid}/stat") as f:
            return f.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def its_helpers_stand_still():
    attic.stop()
    attic.inside = ["setsid"]  # a session of its own, as a service has: its stopped helpers are nobody's then, and the kernel continues them
    attic.start()
    wait_for("it sees another device", lambda: attic("status"))
    spawner, opener = attic.children(b"hearthd")
    os.kill(opener, signal.SIGSTOP)
    says(attic, "helpers", "bad", "The opener does not answer", "restart hearthd")
    os.kill(opener, signal.SIGCONT)
    told(attic, "helpers", "good", "answers")
    for pid in (opener, spawner):
        os.kill(pid, signal.SIGSTOP)
    attic.stop()  # it waits for neither, and leaves neither
    assert attic.process.child.returncode == 0
    wait_for("both are gone", lambda: not any(lives(pid) for pid in (opener, spawner)))
    attic.start()


def a_helper_ends():
    for which, word in enumerate(("spawner", "opener")):
        os.kill(attic.children(b"hearthd")[which], signal.SIGKILL)
        assert attic.process.child.wait(20) == 1
        assert f"the {word} has ended" in open(attic.log, encoding="utf-8").read()
        attic.start()


cases = [
    ("all is well", all_is_well), ("a distributor is off", a_distributor_is_off), ("a distributor is out of reach", a_distributor_is_out_of_reach), ("this device's firewall keeps multicast back", the_own_firewall_keeps_multicast_back),
    ("another device's firewall keeps connections back", another_firewall_keeps_connections_back), ("a device is off", a_device_is_off), ("its port has changed unheard", its_port_has_changed_unheard), ("multicast is off", multicast_is_off),
    ("the clock is wrong", the_clock_is_wrong), ("the disk is full", the_disk_is_full), ("the keys are not as they were", the_keys_are_not_as_they_were), ("the vault stands still", the_vault_stands_still),
    ("hearthd is off", hearthd_is_off),
    ("its helpers stand still", its_helpers_stand_still), ("a helper ends", a_helper_ends), ("one has come to us", one_has_come_to_us)]

try:
    run_cases(cases)
finally:
    boreal.kill()
    p.end()
