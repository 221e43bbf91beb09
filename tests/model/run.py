#!/usr/bin/python3
"""Checks the models exhaustively with spin: as they are, no assertion fails; each deliberate fault is found; what they prove is not empty, since the good ends
can be reached. One line of TAP for each run, with the number of states.

    run.py [--full]     --full: the largest bounds, some minutes"""
import os
import re
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
FULL = "--full" in sys.argv[1:]
SMALL = {"RESTORED": 1, "N": 2, "CONNECTIONS": 4} if FULL else {"RESTORED": 1, "N": 2, "CONNECTIONS": 3}


def faults(model):
    """Name and number of each, as the model lists them."""
    text = open(os.path.join(HERE, model), encoding="utf-8").read()
    return re.findall(r"^#define (\w+) ([1-9]\d*) +/\*", text, re.M)


def cases():
    after_restore = {"ANY_ID", "ASKS_AGAIN"}  # show themselves only on a device that was put back
    of_moves = {"RELEASED_AWAKE", "AWAKES_ALONE", "SURRENDER_EARLY"}
    yield "transaction.pml", "holds for any loss, delay and kill", {}, False
    yield "transaction.pml", "holds for a device that was put back to any earlier copy", {"RESTORED": 1} if FULL else SMALL, False
    for name, number in faults("transaction.pml"):
        yield "transaction.pml", f"finds {name}", {"BROKEN": number} | (SMALL | {"CONNECTIONS": 4} if name in after_restore else {}), True
    for move, what in ((1, "a move"), (0, "a copy")):
        yield "copy.pml", f"{what} holds for any loss, repetition, order and kill", {"MOVE": move}, False
        for goal, end in ((1, "stored and reported"), (2, "taken back and reported")):
            yield "copy.pml", f"{what} can end {end}", {"MOVE": move, "GOAL": goal}, True
        for name, number in faults("copy.pml"):
            if move or name not in of_moves:
                yield "copy.pml", f"{what} finds {name}", {"MOVE": move, "BROKEN": number}, True


def check(model, definitions):
    """(errors, states, what was violated)"""
    with tempfile.TemporaryDirectory() as place:
        shutil.copy(os.path.join(HERE, model), place)
        run = {"cwd": place, "capture_output": True, "text": True}
        made = subprocess.run(["spin", "-a", *(f"-D{k}={v}" for k, v in definitions.items()), model], **run)
        if made.returncode != 0:
            raise RuntimeError(made.stdout + made.stderr)
        subprocess.run(["gcc", "-O0", "-w", "-DSAFETY", "-DCOLLAPSE", "-DMEMLIM=6144", "-DVECTORSZ=1024", "-o", "pan", "pan.c"], check=True, **run)
        said = subprocess.run(["./pan", "-m1000000", "-w22"], **run).stdout
        if "out of memory" in said or "max search depth too small" in said or "Search not completed" in said and "errors: 0" in said:
            raise RuntimeError("not exhaustive: " + said)
        errors, states = re.search(r"errors: (\d+)", said), re.search(r"(\d+) states, stored", said)
        violated = re.search(r"pan:1: (.*) \(at depth", said)
        return int(errors[1]), int(states[1]), violated[1] if violated else ""


def main():
    if shutil.which("spin") is None:
        print("SKIP: spin is not installed", file=sys.stderr)
        print("1..0 # SKIP spin is not installed")
        return
    runs, failed = list(cases()), 0
    print(f"1..{len(runs)}", flush=True)
    for number, (model, title, definitions, expected) in enumerate(runs, 1):
        errors, states, violated = check(model, definitions)
        good = (errors > 0) == expected
        failed += not good
        print(f"{'ok' if good else 'not ok'} {number} - {model.removesuffix('.pml')}: {title} ({states} states{'; ' + violated if violated and not expected else ''})", flush=True)
    sys.exit(failed > 0)


main()
