#!/usr/bin/python3
"""The n-th allocation or system call of a running hearthd, or of its vault, fails, while it buys, copies, moves, changes state, registers, starts, or goes on with a body that it had
half: it is done; or it is refused in words, with a reason; or the program ends by itself and says why, as it has to when it cannot sync. Asked again, it is done, once: what is there and what
was paid is held against what was asked for.

A sample; HEARTH_TORTURE=N tries every Nth point instead (1: all), HEARTH_TORTURE_SCENES=NAME,… only these scenes, HEARTH_TORTURE_POINT=HOW:N[+] one point.
"""
import os
import shutil
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "torture"))
from household import enter_namespace, run_cases  # noqa: E402

enter_namespace()
import points  # noqa: E402
import scenes  # noqa: E402

if not os.path.exists(points.LIBRARY):
    print("1..0 # SKIP a sanitizer is in the place of the faults")
    sys.exit(0)
every = int(os.environ.get("HEARTH_TORTURE", "0"))
only = [n for n in os.environ.get("HEARTH_TORTURE_SCENES", "").split(",") if n]
point = os.environ.get("HEARTH_TORTURE_POINT")
SAMPLE = 2  # points a scene, when nothing else is asked for
root = tempfile.mkdtemp(prefix="hearth-test-")
world = scenes.World(root)


def case(name, kind, device, part):
    def run():
        if every:
            world.end()  # thousands of tracks make all of it slow
        points.run(kind(world, name, device, part), every, SAMPLE, point)
    return run


try:
    chosen = [n for n in scenes.SCENES if (any(n.startswith(o) for o in only) if only else every or n in scenes.SAMPLED)]
    run_cases([(name, case(name, *scenes.SCENES[name])) for name in chosen])
finally:
    world.end()
    if os.environ.get("HEARTH_TEST_KEEP") != "1":
        shutil.rmtree(root, ignore_errors=True)
