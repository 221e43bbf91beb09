#!/usr/bin/python3
"""Fails when a unit is more exposed than 1.5, by systemd's own count. Argument: source root.

A unit of the user's manager is counted without what only the system's manager can give (user-unit-policy.json): another user and its groups, a root
directory, filters of devices and addresses. What it is with them is printed beside.
"""
import pathlib
import re
import shutil
import subprocess
import sys

LIMIT = 15 # tenths
UNITS = (("hearthd.service", None), ("hearth-distributor.service", None), ("user/hearthd.service", "user-unit-policy.json"))


def exposure(unit, policy):
    command = ["systemd-analyze", "security", "--offline=true", "--no-pager", f"--threshold={LIMIT}"]
    if policy:
        command.append(f"--security-policy={policy}")
    ran = subprocess.run(command + [str(unit)], capture_output=True, text=True)
    found = re.search(r"Overall exposure level for \S+: ([\d.]+)", ran.stdout)
    for line in ran.stderr.splitlines(): # a setting that this systemd does not know shuts nothing off
        if unit.name in line and "ignoring" in line:
            return None, False, line
    return (found.group(1), ran.returncode == 0, "") if found else (None, False, ran.stdout + ran.stderr)


def main():
    if not shutil.which("systemd-analyze"):
        print("SKIP: there is no systemd-analyze")
        return 77
    root = pathlib.Path(sys.argv[1])
    here = root / "tests" / "lint"
    bad = 0
    for name, policy in UNITS:
        unit = root / "data" / "systemd" / name
        level, within, words = exposure(unit, policy and here / policy)
        beside = f" ({exposure(unit, None)[0]} with what only the system's manager can give)" if policy else ""
        print(f"{name}: {level}{beside}{words and ': ' + words}")
        bad += not within
    return 1 if bad else 0


sys.exit(main())
