#!/usr/bin/python3
"""Runs `meson test` in a build directory, counts the results and lets no process of a test outlive it.

usage: run-tests.py COUNTS BUILD-DIR [argument of meson test...]

Adds a line "passed failed skipped" to the file COUNTS, and to COUNTS.failures what the failed ones said. Adopts whatever the tests leave behind (as a child subreaper),
ends it and counts it as a failure.
"""
import ctypes
import json
import os
import pathlib
import signal
import subprocess
import sys
import time

PR_SET_CHILD_SUBREAPER = 36
GOOD = {"OK", "EXPECTEDFAIL"}


def children():
    """Process IDs of our direct children that still run."""
    found = []
    for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            after_name = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue # it has just ended
        if int(after_name[1]) == os.getpid() and after_name[0] != "Z":
            found.append(int(stat.parent.name))
    return found


def command_of(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        return "?"


def reap():
    try:
        while os.waitpid(-1, os.WNOHANG)[0] != 0:
            pass
    except ChildProcessError:
        pass


def end_leftovers(grace_s=5.0):
    """Gives what is left a moment to end by itself, then ends it. Returns descriptions of what had to be ended."""
    ended = {}
    deadline = time.monotonic() + grace_s
    while True:
        reap()
        left = children() # the children of what we end become ours, and are seen next time around
        if not left:
            return ended
        if time.monotonic() > deadline:
            for pid in left:
                ended[pid] = command_of(pid)
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.05)


def told_by(test):
    """What a failed test printed about its failed cases: at most 60 lines."""
    told, failing = [], False
    for line in (test.get("stdout", "") + "\n" + test.get("stderr", "")).splitlines():
        if not line.startswith("#"):
            failing = line.startswith("not ok")
        if failing or "ERROR" in line or "Assertion" in line:
            told.append(line)
    return [f"-- {test['name']} in {test['duration']:.0f} s: {test['result']}", *told[:60]]


def count(log, failures):
    passed = failed = skipped = 0
    for line in log.read_text(encoding="utf-8").splitlines() if log.exists() else []:
        test = json.loads(line)
        if test["result"] in GOOD:
            passed += 1
        elif test["result"] == "SKIP":
            skipped += 1
        else:
            failed += 1
            failures.write("".join(told + "\n" for told in told_by(test)))
    return passed, failed, skipped


def main():
    counts, build, arguments = sys.argv[1], pathlib.Path(sys.argv[2]), sys.argv[3:]
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    logs = build / "meson-logs"
    for earlier in logs.glob("testlog*.json"): # under a wrapper it has its name
        earlier.unlink()
    at_once = str(3 * os.cpu_count()) # most tests wait for a process or a timer most of the time
    patience = ["--timeout-multiplier", "2"] # the timeouts are those of a machine that does nothing else
    status = subprocess.run(["meson", "test", "-C", build, "--no-rebuild", "--print-errorlogs", "--num-processes", at_once, *patience, *arguments],
                            stdin=subprocess.DEVNULL, check=False).returncode
    with open(counts + ".failures", "a", encoding="utf-8") as failures:
        passed, failed, skipped = count(next(logs.glob("testlog*.json"), logs / "none"), failures)
        for pid, command in end_leftovers().items():
            failures.write(f"-- left behind by a test and ended: {pid} {command}\n")
            failed += 1
    if status != 0 and failed == 0:
        failed = 1 # meson itself could not go on
    with open(counts, "a", encoding="utf-8") as out:
        out.write(f"{passed} {failed} {skipped}\n")
    sys.stdout.flush()
    return 1 if failed else 0


sys.exit(main())
