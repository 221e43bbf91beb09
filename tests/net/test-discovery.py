"""Discovery between processes: on loopback, between network namespaces joined by a bridge, and beside a system's avahi-daemon.

Argument: the `discover` program. What needs root or a program that is not there says SKIP. Prints the times that were measured.
"""
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time

DISCOVER = os.path.abspath(sys.argv[1])
WAIT_S = 20
NEW_S, GOODBYE_S, KILLED_S = 1.2, 1.2, 10.0
SLACK_S = 5.0  # a loaded machine is not a wrong program; what is measured is printed
failures = []
children = []
os.environ["DBUS_SYSTEM_BUS_ADDRESS"] = "unix:path=/nonexistent"  # our own responder: an avahi-daemon of this machine is in another network


def fail(text):
    failures.append(text)
    print("FAILED", text, flush=True)


class Device:
    """One running `discover`, its lines read by a thread."""

    def __init__(self, seed, port, inside=()):
        self.known, self.times, self.changed = {}, {}, threading.Condition()
        self.seed, self.port = seed, port
        self.process = subprocess.Popen([*inside, DISCOVER, seed, str(port)], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)
        children.append(self.process)
        self.short = self.started = None
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()
        self.wait(lambda: self.short, "start")

    def read(self):
        for line in self.process.stdout:
            ms, what, *rest = line.split()
            with self.changed:
                if what == "started":
                    self.short, self.started = rest[0], int(ms) / 1000
                elif what == "found":
                    self.known[rest[0]] = rest[1]
                    self.times.setdefault(rest[0], int(ms) / 1000)
                elif what == "lost":
                    self.known.pop(rest[0])
                    self.times[rest[0] + " lost"] = int(ms) / 1000
                self.changed.notify_all()

    def wait(self, condition, what, seconds=WAIT_S):
        with self.changed:
            if not self.changed.wait_for(condition, seconds):
                fail(f"{self.seed}: {what}: knows {self.known}")
                return False
        return True

    def goodbye(self):
        self.process.stdin.close()
        code = self.process.wait(WAIT_S)
        if code != 0:
            fail(f"{self.seed}: ended with {code}")

    def kill(self):
        self.process.kill()
        self.process.wait()


def report(where, what, seconds, reach):
    print(f"{where:<10} {what:<34} {seconds:6.2f} s   reach {reach:.1f} s", flush=True)
    if os.environ.get("HEARTH_BENCH") == "1":  # bench/figures.py says how
        print("figure", f"{what}, {where}", f"{seconds:.2f}", "s", "most", reach, "", sep="\t", flush=True)
    if seconds > reach + SLACK_S:
        fail(f"{where}: {what} took {seconds:.2f} s")


def everyone_knows(devices, expected):
    for d in devices:
        for other in devices:
            if d is not other:
                d.wait(lambda o=other: d.known.get(o.short) == expected(o), f"finds {other.seed} at {expected(other)}")


def story(where, inside, expected):
    """Three start, a fourth comes; one says goodbye, one is killed, one comes back at another port."""
    devices = [Device(f"{where}-{i}", 5000 + i, inside(i)) for i in range(3)]
    everyone_knows(devices, expected)
    fourth = Device(f"{where}-3", 5003, inside(3))
    devices.append(fourth)
    everyone_knows(devices, expected)
    report(where, "new device seen by the others", max(d.times[fourth.short] for d in devices[:3]) - fourth.started, NEW_S)
    # Right after an announcement mDNS keeps silent for half a second, and the question is repeated a second later.
    report(where, "others seen by the new device", max(fourth.times[d.short] for d in devices[:3]) - fourth.started, 2.2)

    gone, rest = devices[0], devices[1:]
    began = time.time()
    gone.goodbye()
    for d in rest:
        d.wait(lambda: gone.short not in d.known, "hears the goodbye")
    report(where, "goodbye heard", max(d.times.get(gone.short + " lost", 0) for d in rest) - began, GOODBYE_S)

    killed, rest = rest[0], rest[1:]
    began = time.time()
    killed.kill()
    for d in rest:
        d.wait(lambda: killed.short not in d.known, "notices the death")
    report(where, "killed device gone", max(d.times.get(killed.short + " lost", 0) for d in rest) - began, KILLED_S)

    back = Device(f"{where}-2", 6002, inside(2))  # same device again while its old records are still known
    devices[2].kill()
    fourth.wait(lambda: fourth.known.get(back.short) == expected(back), "finds the device at its new port")
    back.goodbye()
    fourth.goodbye()


def on_loopback():
    inside = []
    holder = None
    if os.geteuid() == 0:
        holder = Namespace()
        holder.run("ip", "link", "set", "lo", "up")
        inside = holder.prefix
    else:
        print("SKIP: a loopback of its own needs root; using the host's network")
    story("loopback", lambda i: inside, lambda d: f"127.0.0.1:{d.port}")
    if holder:
        holder.end()


class Namespace:
    """A network namespace, held by a process that sleeps."""

    def __init__(self):
        self.process = subprocess.Popen(["unshare", "--net", "--mount", "sleep", "infinity"])
        children.append(self.process)
        self.prefix = ["nsenter", "--net", "--mount", "--target", str(self.process.pid)]
        deadline = time.time() + WAIT_S
        while os.readlink("/proc/self/ns/net") == os.readlink(f"/proc/{self.process.pid}/ns/net") or \
                os.readlink("/proc/self/ns/mnt") == os.readlink(f"/proc/{self.process.pid}/ns/mnt"):
            if time.time() > deadline:
                raise SystemExit("no namespace")
            time.sleep(0.01)

    def run(self, *command):
        subprocess.run([*self.prefix, *command], check=True)

    def end(self):
        self.process.kill()
        self.process.wait()


class Network:
    """Hosts 10.77.0.1.. on one bridge, each a namespace."""

    def __init__(self, count):
        self.bridge = Namespace()
        self.bridge.run("ip", "link", "add", "br0", "type", "bridge", "mcast_snooping", "0")
        self.bridge.run("ip", "link", "set", "br0", "up")
        self.hosts = [Namespace() for _ in range(count)]
        for i, host in enumerate(self.hosts):
            self.bridge.run("ip", "link", "add", f"port{i}", "type", "veth", "peer", "name", "lan0", "netns",
                            str(host.process.pid))
            self.bridge.run("ip", "link", "set", f"port{i}", "master", "br0", "up")
            host.run("ip", "link", "set", "lo", "up")
            host.run("ip", "address", "add", f"10.77.0.{i + 1}/24", "dev", "lan0")
            host.run("ip", "link", "set", "lan0", "up")

    def end(self):
        for n in [*self.hosts, self.bridge]:
            n.end()


def needs(*programs):
    missing = [p for p in programs if not shutil.which(p)]
    if os.geteuid() != 0:
        missing.append("root")
    if missing:
        print("SKIP:", ", ".join(missing), "missing", flush=True)
    return not missing


def between_hosts():
    if not needs("ip", "unshare", "nsenter"):
        return
    network = Network(4)
    story("bridge", lambda i: network.hosts[i].prefix, lambda d: f"10.77.0.{d.port % 1000 + 1}:{d.port}")
    following_changes(network)
    network.end()


def following_changes(network):
    a = Device("change-0", 5000, network.hosts[0].prefix)
    b = Device("change-1", 5001, network.hosts[1].prefix)
    a.wait(lambda: a.known.get(b.short) == "10.77.0.2:5001", "finds it")
    network.hosts[1].run("ip", "address", "del", "10.77.0.2/24", "dev", "lan0")
    network.hosts[1].run("ip", "address", "add", "10.77.0.99/24", "dev", "lan0")
    a.wait(lambda: a.known.get(b.short) == "10.77.0.99:5001", "follows to another address")
    network.hosts[1].run("ip", "link", "set", "lan0", "down")
    a.wait(lambda: b.short not in a.known, "notices the cut cable")
    b.wait(lambda: a.short not in b.known, "notices its own cut cable")
    network.hosts[1].run("ip", "link", "set", "lan0", "up")
    a.wait(lambda: a.known.get(b.short) == "10.77.0.99:5001", "finds it again")
    b.wait(lambda: b.known.get(a.short) == "10.77.0.1:5000", "finds the other again")
    # two devices on one host are found by both their own host and the others
    c = Device("change-2", 5002, network.hosts[0].prefix)
    a.wait(lambda: a.known.get(c.short) == "127.0.0.1:5002", "finds its neighbour on the same host")
    b.wait(lambda: b.known.get(c.short) == "10.77.0.1:5002", "finds both devices of a host")
    for d in (a, b, c):
        d.goodbye()


DBUS_CONFIG = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>system</type><listen>unix:path={0}/bus</listen><auth>EXTERNAL</auth>
<policy context="default"><allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/><allow own="*"/>
<allow user="*"/></policy></busconfig>"""


def beside_avahi_daemon():
    if not needs("dbus-daemon", "avahi-daemon", "avahi-browse", "ip", "unshare"):
        return
    network = Network(2)
    host = network.hosts[0]
    with tempfile.TemporaryDirectory() as directory:
        with open(directory + "/bus.conf", "w", encoding="utf-8") as f:
            f.write(DBUS_CONFIG.format(directory))
        with open(directory + "/avahi.conf", "w", encoding="utf-8") as f:
            f.write("[server]\nhost-name=system\n[wide-area]\nenable-wide-area=no\n")
        os.chmod(directory, 0o755)
        environment = dict(os.environ, DBUS_SYSTEM_BUS_ADDRESS=f"unix:path={directory}/bus")
        host.run("mkdir", "-p", "/run/avahi-daemon")
        host.run("mount", "-t", "tmpfs", "tmpfs", "/run/avahi-daemon")
        bus = subprocess.Popen([*host.prefix, "dbus-daemon", "--nofork", "--config-file", directory + "/bus.conf"],
                               stderr=subprocess.DEVNULL)
        children.append(bus)
        until(lambda: os.path.exists(directory + "/bus"), "no bus")
        daemon = subprocess.Popen([*host.prefix, "avahi-daemon", "-f", directory + "/avahi.conf", "--no-drop-root",
                                   "--no-chroot", "--no-rlimits"], env=environment, stderr=subprocess.DEVNULL)
        children.append(daemon)
        near = Device("near", 5000, host.prefix)
        far = Device("far", 5001, network.hosts[1].prefix)
        near.wait(lambda: near.known.get(far.short) == "10.77.0.2:5001", "finds the other beside avahi-daemon")
        far.wait(lambda: far.known.get(near.short) == "10.77.0.1:5000", "is found beside avahi-daemon")

        def browsed():
            text = subprocess.run([*host.prefix, "avahi-browse", "-rtp", "_hearth._tcp"], env=environment,
                                  capture_output=True, text=True, check=False).stdout
            found = [line.split(";") for line in text.splitlines() if line.startswith("=")]
            return {(f[3], f[7], f[8]) for f in found} >= {("hearth-" + far.short, "10.77.0.2", "5001"),
                                                          ("hearth-" + near.short, "10.77.0.1", "5000")}

        until(browsed, "avahi-browse does not list both devices")
        print("avahi      avahi-browse lists the devices", flush=True)
        near.goodbye()
        far.goodbye()
        for p in (daemon, bus):
            p.terminate()
            p.wait()
    network.end()


def until(condition, otherwise):
    deadline = time.time() + WAIT_S
    while not condition():
        if time.time() > deadline:
            fail(otherwise)
            return
        time.sleep(0.1)


def main():
    try:
        on_loopback()
        between_hosts()
        beside_avahi_daemon()
    finally:
        for p in children:
            if p.poll() is None:
                p.kill()
                p.wait()
    if failures:
        raise SystemExit(f"{len(failures)} failed")
    print("all found", flush=True)


main()
