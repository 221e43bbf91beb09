#!/usr/bin/python3
"""Fails on what the house style rules out and a reader should not have to look for."""
import pathlib
import re
import sys

COMMENT = re.compile(r"/\*.*?(\*/|$)|^\s*\*.*")
LINE_RULES = [ # (which files, what must not be on a line, why)
    (r"(src|tests)/.*\.[ch]", r"\btypedef\s+(struct|union|enum)\b", "typedef hides a struct"),
    (r"(src|tests|scripts)/.*|meson.*", r"\b(TO" + r"DO|FIX" + r"ME|XX" + r"X)\b", "unfinished work"),
    (r"src/.*\.[ch]", r"(?<![\w.>])(strcpy|strcat|sprintf|gets|strtok|atoi|alloca|system|popen|tmpnam|mktemp)\s*\(",
     "unbounded, or hides its errors, or runs a shell"),
    (r"src/(?!base/).*\.[ch]", r"(?<![\w.>])(time\s*\(\s*NULL|(gettimeofday|clock_gettime|rand|random|srand)\s*\()",
     "time and chance are injected (base/clock.h, base/rng.h)"),
    (r"(src|tests|scripts)/.*", r"[ \t]+$", "trailing white space"),
]
TEXT = {".c", ".h", ".py", ".sh", ".build", ".proto", ".options", ""}


def complaints(name, text):
    if name.startswith("src/") and name.endswith((".c", ".h")) and not re.match(r"(#define .*\n)*/\*", text):
        yield 1, "a file opens with what it is"
    if name.endswith(".h") and name.startswith("src/") and not re.search(r"^#ifndef \w+_H$", text, re.M):
        yield 1, "no include guard"
    if text and not text.endswith("\n"):
        yield text.count("\n") + 1, "no newline at the end"
    for number, line in enumerate(text.split("\n"), 1):
        for files, pattern, why in LINE_RULES:
            judged = COMMENT.sub("", line) if files.startswith("src/") else line
            if re.fullmatch(files, name) and re.search(pattern, judged):
                yield number, why


def main():
    root = pathlib.Path(sys.argv[1])
    found = 0
    for top in ("src", "tests", "scripts"):
        for path in sorted((root / top).rglob("*")):
            if path.is_file() and path.suffix in TEXT and not {"__pycache__", "corpus"} & set(path.parts): # inputs of fuzz harnesses are bytes
                name = str(path.relative_to(root))
                try:
                    text = path.read_text(encoding="utf-8")
                except UnicodeDecodeError:
                    continue # test vectors
                for number, why in complaints(name, text):
                    print(f"{name}:{number}: {why}")
                    found += 1
    return 1 if found else 0


sys.exit(main())
