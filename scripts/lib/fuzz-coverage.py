#!/usr/bin/python3
"""Lines reached of the files named on standard input. Arguments: what `llvm-cov show` printed, the tree.

A line counts when the compiler made code of it. Lines that only memory that is refused reaches are left out (they return -ENOMEM: tests/torture refuses it);
`--missed` as a third argument prints the others.
"""
import os
import re
import sys

shown, root = sys.argv[1:3]
wanted = [line.strip() for line in sys.stdin if line.strip() and not line.startswith("#")]
lines, current = {}, None
with open(shown, errors="replace") as f:
    for line in f:
        if name := re.match(r"^(/\S+):$", line):
            current = os.path.relpath(os.path.realpath(name.group(1)), root)
        elif current in wanted and (counted := re.match(r"^ +(\d+)\| +([0-9.]+[kMGE]?)\|(.*)", line)):
            number, count, text = counted.groups()
            if "return -ENOMEM;" not in text:
                lines.setdefault(current, {}).setdefault(int(number), [0, text])
                lines[current][int(number)][0] |= count != "0"
reached = total = 0
for path in wanted:
    of = lines.get(path, {})
    good = sum(hit for hit, _ in of.values())
    print(f"{path:42} {good:5} of {len(of):5}  {100 * good / len(of) if of else 0:6.1f} %")
    reached, total = reached + good, total + len(of)
    if sys.argv[3:] == ["--missed"]:
        for number, (hit, text) in sorted(of.items()):
            if not hit:
                print(f"    {number:5} {text}")
print(f"{'decoders':42} {reached:5} of {total:5}  {100 * reached / total if total else 0:6.1f} %")
