#!/usr/bin/python3
"""No secret where it does not belong: argv, logs, world-readable files, other processes; the vault's reach."""
import os
import re
import stat
import subprocess

from household import Household, enter_namespace, make_track, run_cases

enter_namespace()
PASSWORD = "a-password-nobody-else-uses"
h = Household()
h.passwords["carol"] = h.aurora.user("carol", password=PASSWORD)
kitchen = h.device("kitchen", h.aurora, "carol")
content = h.publish(make_track(os.path.join(h.root, "one.flac"), 3), "--price", "1")
kitchen("get", content, "--yes")
plain = subprocess.run(["flac", "-s", "-d", "-c", os.path.join(h.root, "one.flac")], capture_output=True, check=True).stdout
encoded = open(os.path.join(h.root, "one.flac"), "rb").read()
kitchen("play", content, "--output", "digest")


def state_files():
    for root in (kitchen.dir, h.aurora.dir, h.boreal.dir, h.directory.dir):
        for folder, _, names in os.walk(root):
            for name in names:
                yield os.path.join(folder, name)


def processes():
    pids = {p.process.child.pid for p in (kitchen, h.aurora, h.boreal, h.directory)}
    pids.add(kitchen.vault_pid())
    return pids


def nothing_world_readable():
    for path in state_files():
        mode = os.stat(path).st_mode
        if stat.S_ISREG(mode) and not path.endswith(".log"):
            assert mode & 0o077 == 0 or path.endswith(".body"), (path, oct(mode))


def password_nowhere():
    for path in state_files():
        if os.path.isfile(path) and not os.path.basename(path).startswith("password-"):
            assert PASSWORD.encode() not in open(path, "rb").read(), path
    for pid in processes():
        assert PASSWORD.encode() not in open(f"/proc/{pid}/cmdline", "rb").read()


def keys_not_in_logs():
    storage = [p for p in state_files() if "/keys/" in p or p.endswith("storage.key")]
    assert storage
    logs = b"".join(open(p, "rb").read() for p in (kitchen.log, h.aurora.log, h.boreal.log))
    for path in storage:
        for secret in re.findall(rb"[0-9a-f]{64}", open(path, "rb").read()) + [open(path, "rb").read()[:32]]:
            assert len(secret) < 16 or (secret not in logs and secret.hex().encode() not in logs), path


def no_plaintext_on_the_device():
    probe_plain, probe_encoded = plain[44100:44100 + 64], encoded[len(encoded) // 2:len(encoded) // 2 + 64]
    for folder, _, names in os.walk(kitchen.dir):
        for name in names:
            path = os.path.join(folder, name)
            if os.path.isfile(path):
                data = open(path, "rb").read()
                assert probe_plain not in data and probe_encoded not in data, path


def vault_reach():
    """The vault's open descriptors: its sockets to hearthd, its own state, nothing of the network."""
    pid = kitchen.vault_pid()
    for fd in os.listdir(f"/proc/{pid}/fd"):
        target = os.readlink(f"/proc/{pid}/fd/{fd}")
        allowed = target.startswith(("socket:", "anon_inode:", "pipe:", "/dev/null", os.path.join(kitchen.state, "vault"))) or fd in ("0", "1", "2")
        assert allowed, (fd, target)
    sockets = {os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")}
    for table in ("tcp", "tcp6", "udp", "udp6"):
        for line in open(f"/proc/{pid}/net/{table}").read().splitlines()[1:]:
            assert f"socket:[{line.split()[9]}]" not in sockets, (table, line)


def vault_strace():
    """Under strace, through a purchase and a play: no inet socket, no exec, no file outside its state after its start."""
    if subprocess.run(["which", "strace"], capture_output=True).returncode != 0:
        return "SKIP strace is not installed"
    pid = kitchen.vault_pid()
    trace = os.path.join(h.root, "vault.strace")
    tracer = subprocess.Popen(["strace", "-f", "-o", trace, "-e", "trace=network,file,process", "-p", str(pid)], stderr=subprocess.PIPE)
    if b"attached" not in tracer.stderr.readline():
        tracer.kill()
        tracer.wait()
        return "SKIP the vault cannot be traced (which is as it should be)"
    other = h.publish(make_track(os.path.join(h.root, "two.flac"), 2, seed=5), "--price", "1")
    kitchen("get", other, "--yes")
    kitchen("play", other, "--output", "digest")
    tracer.terminate()
    tracer.wait()
    for line in open(trace):
        assert "AF_INET" not in line and "execve" not in line, line
        path = re.search(r'open(?:at)?\([^"]*"([^"]+)"', line)
        assert not path or path.group(1).startswith(os.path.join(kitchen.state, "vault")), line


run_cases([("no state file is readable by others", nothing_world_readable), ("the password is in no file, log or command line", password_nowhere),
           ("keys are in no log", keys_not_in_logs), ("no plaintext in any file of the device", no_plaintext_on_the_device),
           ("the vault holds no network socket and no foreign file", vault_reach), ("the vault under strace", vault_strace)])
