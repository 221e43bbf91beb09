"""A stranger on the network who announces devices by multicast DNS: any names, any IDs, any address. Runs in a host of its own:

    python3 mdns.py FROM AT NAMES SECONDS ID...

FROM: this host's address. AT: the HOST:PORT that is announced; with a + behind it each has a port of its own, from that one on. NAMES: "new" takes a new name for each announcement, "same" always the same ones. SECONDS: between two
rounds. Every ID is announced in each round; `random:N` stands for N IDs of nobody. Ends when it is killed.

Not a test itself.
"""
import base64
import os
import socket
import struct
import sys
import time

from household import Process

SERVICE = [b"_hearth", b"_tcp", b"local"]
GROUP = ("224.0.0.251", 5353)
TTL_S = 10


def name(parts):
    return b"".join(bytes([len(p)]) + p for p in parts) + b"\0"


def record(owner, kind, data, unique=True):
    return name(owner) + struct.pack(">HHIH", kind, 1 | (0x8000 if unique else 0), TTL_S, len(data)) + data


def announcement(instance, host, port, client):
    """PTR, SRV, TXT and A, as a device announces itself."""
    service, at = [instance] + SERVICE, [instance + b"-host", b"local"]
    text = b"id=" + client
    records = [record(SERVICE, 12, name(service), unique=False), record(service, 33, struct.pack(">HHH", 0, 0, port) + name(at)),
               record(service, 16, bytes([len(text)]) + text), record(at, 1, socket.inet_aton(host))]
    return struct.pack(">HHHHHH", 0, 0x8400, 0, len(records), 0, 0) + b"".join(records)


def ids(wanted):
    for w in wanted:
        if w.startswith("random:"):
            yield from (base64.b32encode(os.urandom(32)).rstrip(b"=").lower() for _ in range(int(w[7:])))
        else:
            yield w.encode()


def main(source, at, names, seconds, *wanted):
    host, port = at.rsplit(":", 1)
    out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    out.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    out.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    out.bind(("", GROUP[1]))
    out.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(source))
    out.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 255)
    clients, round_ = list(ids(wanted)), 0
    while True:
        for number, client in enumerate(clients):
            instance = b"zz%d-%d" % (round_ if names == "new" else 0, number)
            out.sendto(announcement(instance, host, int(port.rstrip("+")) + (number if port.endswith("+") else 0), client), GROUP)
            time.sleep(0.002)  # what a network card can take; nobody waits for it
        round_ += 1
        time.sleep(float(seconds))


class Stranger:
    """It, running in a host (network.Host)."""

    def __init__(self, root, host, source, at, names, seconds, *wanted):
        self.process = Process([*host.prefix, sys.executable, os.path.abspath(__file__), source, at, names, str(seconds), *wanted], os.path.join(root, "stranger.log"))

    def announces(self):
        assert self.process.running(), open(self.process.log).read()
        return True

    def end(self):
        self.process.kill()


if __name__ == "__main__":
    main(*sys.argv[1:])
