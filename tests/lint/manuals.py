#!/usr/bin/python3
"""Fails when a setting, a command or a program lacks its line in a manual, or a manual is not well-formed. Arguments: source root, hearth, hearth-distributor."""
import pathlib
import re
import shutil
import subprocess
import sys

root = pathlib.Path(sys.argv[1])
found = []


def read(name):
    return (root / name).read_text(encoding="utf-8")


def plain(page):
    """A manual's words, without what formats them."""
    return re.sub(r"\\f.|\\", "", page)


def settings_of(text, pattern):
    return set(re.findall(pattern, text))


def check_settings(program, known):
    """Each is explained in the default file, commented out behind at least one line that explains, and in the manual under its section; nothing else is."""
    section, file, explained = "", set(), False
    for line in read(f"data/{program}.conf").splitlines():
        heading, setting = re.fullmatch(r"\[(\w+)\]", line), re.match(r";([a-z-]+) =", line)
        if heading:
            section, explained = heading.group(1), False
        elif line.startswith("#"):
            explained = True
        elif setting:
            file.add((section, setting.group(1)))
            if not explained and setting.group(1) not in ("connections", "connections-per-address"): # they say it themselves
                found.append(f"{program}.conf: {setting.group(1)} is not explained")
        elif not line:
            explained = False
    section, manual = "", set()
    lines = read(f"data/man/{program}.conf.5").splitlines()
    for at, line in enumerate(lines):
        heading = re.fullmatch(r"\.SH \[(\w+)\]", line)
        if heading:
            section = heading.group(1)
        elif section and line.startswith(".B ") and lines[at - 1] == ".TP":
            manual.add((section, line[3:]))
    for name, there in (("its default file", file), ("its manual", manual)):
        for missing in sorted(known - there):
            found.append(f"{program}.conf: {missing} is not in {name}")
        for unknown in sorted(there - known):
            found.append(f"{program}.conf: {unknown} of {name} is not known to the program")


def check_commands(program, path, page):
    words = plain(read(page))
    for name in re.findall(r"^  ([a-z-]+) +\S", subprocess.run([path, "help"], capture_output=True, text=True, check=True).stdout, re.M):
        if not re.search(rf"^\.(?:B|BI|BR|IB|RB) (?:.*[ \"])?{name}\b|\b{program} {name}\b", words, re.M):
            found.append(f"{page}: there is nothing about {name}")


def check_form(page):
    if shutil.which("mandoc"):
        said = subprocess.run(["mandoc", "-T", "lint", "-W", "warning", str(page)], capture_output=True, text=True).stdout
        found.extend(line for line in said.splitlines() if "unknown font" not in line)


check_settings("hearthd", settings_of(read("src/daemon/config.c"), r'\{ "([a-z]+)", "([a-z-]+)", set_'))
check_settings("hearth-distributor", settings_of(read("src/distributor/config.c"), r'[A-Z_]+\("(\w+)", "([a-z-]+)", '))
check_commands("hearth", sys.argv[2], "data/man/hearth.1")
check_commands("hearth-distributor", sys.argv[3], "data/man/hearth-distributor.1")
for page in sorted((root / "data" / "man").iterdir()):
    check_form(page)
for program in ("hearth.1", "hearthd.8", "hearth-vault.8", "hearth-player.8", "hearth-distributor.1"):
    if not (root / "data" / "man" / program).is_file():
        found.append(f"{program} is missing")
print("\n".join(found))
sys.exit(1 if found else 0)
