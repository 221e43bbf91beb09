#!/usr/bin/python3
"""Prints what the tests of some suites run, as ninja names it: a build for these alone leaves the rest out.

usage: targets-of.py BUILD-DIR SUITE... [-SUITE...]     -SUITE: without those that are in this one as well
"""
import json
import os
import subprocess
import sys


def introspect(build, what):
    return json.loads(subprocess.run(["meson", "introspect", build, what], stdout=subprocess.PIPE, check=True).stdout)


def main():
    build, with_these, without = sys.argv[1], {s for s in sys.argv[2:] if s[0] != "-"}, {s[1:] for s in sys.argv[2:] if s[0] == "-"}
    files = {t["id"]: t["filename"] for t in introspect(build, "--targets")}
    found = set()
    for test in introspect(build, "--tests"):
        suites = {s.rpartition(":")[2] for s in test["suite"]}
        if suites & with_these and not suites & without:
            found.update(f for target in test["depends"] for f in files[target])
    print("\n".join(sorted(os.path.relpath(f, os.path.abspath(build)) for f in found)))


main()
