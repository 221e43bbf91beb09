"""A network for tests: hosts on bridges, each a network namespace (and mounts) of its own, and an avahi-daemon with a bus of its own where a test wants one.

Not a test itself. The test's own namespace (household.enter_namespace) has the bridges and an address on each, so a distributor that it starts is reached from every host.
"""
import os
import shutil
import signal
import subprocess
import sys
import tempfile

from household import Device, Distributor, Process, enter_namespace, own_mounts, wait_for


def needs(*programs):
    """Ends the test with SKIP when one is missing, or namespaces cannot be made."""
    missing = [p for p in programs if not shutil.which(p)]
    if os.geteuid() != 0:
        missing.append("root")
    if missing:
        print("1..0 # SKIP missing: " + ", ".join(missing), flush=True)
        sys.exit(0)


def run(*command):
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"
    return done.stdout


def bridge(name, number):
    """Its hosts are 10.NUMBER.0.x; the test itself is 10.NUMBER.0.254."""
    run("ip", "link", "add", name, "type", "bridge", "mcast_snooping", "0")
    run("ip", "address", "add", f"10.{number}.0.254/24", "dev", name)
    run("ip", "link", "set", name, "up")


class Host:
    def __init__(self, root, name):
        self.name = name
        self.holder = Process(["unshare", "--net", "--mount", "sleep", "infinity"], os.path.join(root, f"host-{name}.log"))
        self.pid = self.holder.child.pid
        wait_for("its namespaces", lambda: all(os.readlink(f"/proc/self/ns/{n}") != os.readlink(f"/proc/{self.pid}/ns/{n}") for n in ("net", "mnt")) and
                 open(f"/proc/{self.pid}/comm").read().strip() == "sleep")
        self.prefix = ["nsenter", "--net", "--mount", "--target", str(self.pid)]
        self.run("ip", "link", "set", "lo", "up")

    def run(self, *command):
        return run(*self.prefix, *command)

    def plug(self, where, interface, address=None):
        """A cable to a bridge."""
        port = f"{self.name[:8]}-{interface}"
        run("ip", "link", "add", port, "type", "veth", "peer", "name", interface, "netns", str(self.pid))
        run("ip", "link", "set", port, "master", where, "up")
        # Nobody else is there to have the same address: it may be used at once.
        self.run("sysctl", "-qw", f"net.ipv6.conf.{interface}.accept_dad=0", f"net.ipv6.conf.{interface}.optimistic_dad=0")
        if address:
            self.run("ip", "address", "add", address + "/24", "dev", interface)
        self.run("ip", "link", "set", interface, "up")

    def nft(self, rules):
        """The only rules of this host, in an input and an output chain: [("input", "udp dport 5353 drop"), ...]."""
        text = "flush ruleset\ntable inet t {\n"
        for chain in ("input", "output"):
            text += f"chain {chain} {{ type filter hook {chain} priority 0;\n" + "".join(rule + "\n" for where, rule in rules if where == chain) + "}\n"
        done = subprocess.run([*self.prefix, "nft", "-f", "-"], input=text + "}\n", capture_output=True, text=True)
        assert done.returncode == 0, done.stderr

    def link_locals(self):
        """Its addresses that IPv6 has made, of each cable that is plugged in, as others on it write them."""
        lines = self.run("ip", "-6", "-o", "address", "show", "scope", "link", "up").splitlines()
        return [f"{line.split(' inet6 ')[1].split('/')[0]}%{line.split()[1]}" for line in lines]

    def end(self):
        self.holder.kill()


BUS = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>system</type><listen>unix:path={0}/bus</listen><auth>EXTERNAL</auth>
<policy context="default"><allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/><allow own="*"/>
<allow user="*"/></policy></busconfig>"""


class SystemAvahi:
    """The avahi-daemon of a host, on a bus that is that host's alone."""

    def __init__(self, root, host):
        self.host = host
        self.dir = os.path.join(root, f"bus-{host.name}")
        os.mkdir(self.dir, mode=0o755)
        with open(os.path.join(self.dir, "bus.conf"), "w", encoding="utf-8") as f:
            f.write(BUS.format(self.dir))
        self.environment = {"DBUS_SYSTEM_BUS_ADDRESS": f"unix:path={self.dir}/bus"}
        host.run("mkdir", "-p", "/run/avahi-daemon")
        host.run("mount", "-t", "tmpfs", "tmpfs", "/run/avahi-daemon")
        self.bus = self.daemon = None

    def start_bus(self):
        if os.path.exists(self.dir + "/bus"):
            os.unlink(self.dir + "/bus")
        self.bus = Process([*self.host.prefix, "dbus-daemon", "--nofork", "--nopidfile", "--config-file", self.dir + "/bus.conf"], self.dir + "/log")
        wait_for("the bus", lambda: os.path.exists(self.dir + "/bus"))

    def start(self, configuration=""):
        with open(os.path.join(self.dir, "avahi.conf"), "w", encoding="utf-8") as f:
            f.write(f"[server]\nhost-name={self.host.name}\n[wide-area]\nenable-wide-area=no\n{configuration}")
        self.daemon = Process([*self.host.prefix, "avahi-daemon", "-f", self.dir + "/avahi.conf", "--no-drop-root", "--no-chroot", "--no-rlimits"],
                              self.dir + "/log", dict(os.environ, **self.environment))

    def stop(self):
        self.daemon.stop()

    def kill(self):
        self.daemon.kill()

    def freeze(self, frozen):
        self.daemon.child.send_signal(signal.SIGSTOP if frozen else signal.SIGCONT)

    def publishes(self, instance):
        """Does this daemon publish it itself? It is listed, and with --ignore-local it is not."""
        def listed(*options):
            done = subprocess.run([*self.host.prefix, "avahi-browse", "-tp", *options, "_hearth._tcp"], env=dict(os.environ, **self.environment),
                                  capture_output=True, text=True, timeout=20)
            return any(line.startswith("+") and line.split(";")[3] == instance for line in done.stdout.splitlines())
        return listed() and not listed("--ignore-local")

    def end(self):
        for p in (self.daemon, self.bus):
            if p is not None:
                p.kill()


class Pair:
    """kitchen (10.77.0.1) and attic (10.77.0.2), each a host of its own, and their distributor."""

    def __init__(self):
        enter_namespace()
        own_mounts()
        self.root = tempfile.mkdtemp(prefix="hearth-test-")
        bridge("br0", 77)
        self.aurora = Distributor(self.root, "aurora", host="10.77.0.254")
        self.password = self.aurora.user("alice")
        self.aurora.start()
        self.hosts = {name: Host(self.root, name) for name in ("kitchen", "attic")}
        for number, host in enumerate(self.hosts.values(), 1):
            host.plug("br0", "lan0", f"10.77.0.{number}")
        self.system = SystemAvahi(self.root, self.hosts["kitchen"])
        self.kitchen = self.device("kitchen", self.system.environment)
        self.attic = self.device("attic", {})

    def device(self, name, environment):
        d = Device(self.root, name)
        d.inside, d.listen, d.environment = self.hosts[name].prefix, ":7411", environment
        d.start()
        d.register(self.aurora, "alice", self.password)
        return d

    def sees(self, device, name, address):
        """By multicast DNS, at this address, or at its own link-local one: which of two true ones is proved first is chance."""
        def now():
            at, text = row(device, name).get("address"), check(device, "discovery")[0]["text"]
            if at in (address, *(f"[{a}]:7411" for a in self.hosts[name].link_locals())) and "1 of 1 siblings are seen" in text:
                return True
            raise ValueError(f"{name} is at {at}; {text}")
        wait_for(f"{device.name} sees {name} at {address}", now, 30)

    def both_see(self, kitchen_at="10.77.0.1:7411", attic_at="10.77.0.2:7411"):
        self.sees(self.kitchen, "attic", attic_at)
        self.sees(self.attic, "kitchen", kitchen_at)

    def end(self):
        for d in (self.kitchen, self.attic):
            d.process.kill()
        self.aurora.kill()
        self.system.end()
        for host in self.hosts.values():
            host.end()
        if os.environ.get("HEARTH_TEST_KEEP") != "1":
            shutil.rmtree(self.root, ignore_errors=True)


def check(device, name):
    """The rows of hearth doctor with this name."""
    return [c for c in device.anyhow("doctor")["checks"] if c["name"] == name]


def row(device, name):
    return next(d for d in device("devices")["devices"] if d["name"] == name)
