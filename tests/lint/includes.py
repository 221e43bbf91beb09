#!/usr/bin/python3
"""Fails on an include that points to the right: a layer sees only itself and the layers to its left."""
import pathlib
import re
import sys

LEFT = {
    "base": [],
    "crypto": ["base"],
    "protocol": ["base", "crypto"],
    "net": ["base", "crypto", "protocol"],
    "store": ["base", "crypto", "protocol"],
}
PROGRAMS = ["daemon", "vault", "distributor", "player", "ui-cli"]
LEFT.update({program: ["base", "crypto", "protocol", "net", "store"] for program in PROGRAMS})

# Libraries that end in their wrapper layer (style: outcomes), and the layers that may meet them.
ONLY = {
    r"gnutls/.*": ["crypto", "net"],
    r"sodium.*": ["base", "crypto"],
    r"sqlite3.*": ["store"],
    r"pb(_\w+)?\.h": ["protocol"],
    r"uv\.h": ["net", "daemon", "distributor", "ui-cli"],
    r"avahi-.*": ["net"],
    r"mpv/.*": ["player"],
    r"libpq.*": ["store", "distributor"],
}
INCLUDE = re.compile(r'^\s*#\s*include\s+(["<])([^">]+)[">]')


def complaint(layer, kind, target):
    first = target.split("/")[0]
    if kind == '"' and "/" in target and first in LEFT and first != layer and first not in LEFT[layer]:
        return f"{layer} must not see {target}"
    if kind == '"' and ".." in target:
        return f"{target}: include paths start at src/"
    for pattern, layers in ONLY.items():
        if kind == "<" and re.fullmatch(pattern, target) and layer not in layers:
            return f"<{target}> ends in {' and '.join(layers)}"
    return None


def main():
    root = pathlib.Path(sys.argv[1]) / "src"
    found = 0
    for path in sorted(root.rglob("*.[ch]")):
        layer = path.relative_to(root).parts[0]
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            match = INCLUDE.match(line)
            text = match and complaint(layer, *match.groups())
            if text:
                print(f"{path.relative_to(root.parent)}:{number}: {text}")
                found += 1
    return 1 if found else 0


sys.exit(main())
