"""Help and completion of both programs, as a person at a terminal of 24 rows and 80 columns meets them. Arguments: hearth, hearth-distributor, hearth-vault, hearth-player, source root.

What completes is asked of the shells themselves; one that is not installed is named and left out.
"""
import os
import pty
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time

HEARTH, DISTRIBUTOR, VAULT, PLAYER, ROOT = sys.argv[1:6]
PROGRAMS = {"hearth": HEARTH, "hearth-distributor": DISTRIBUTOR}
ROWS, COLUMNS = 24, 80
done = 0


def run(*words, expect=0, env=None):
    p = subprocess.run(words, capture_output=True, text=True, timeout=60, env=env or dict(os.environ, LC_ALL="C.UTF-8"), stdin=subprocess.DEVNULL)
    assert p.returncode == expect, (words, p.returncode, p.stdout, p.stderr)
    return p.stdout


def case(function):
    global done
    function()
    done += 1
    print(f"ok {done} - {function.__name__.replace('_', ' ')}")


def rows_of(text):
    return sum(max(1, -(-len(line) // COLUMNS)) for line in text.splitlines())


def commands_of(program):
    """From the list: each command with its summary."""
    return dict(re.findall(r"^  ([a-z-]+) +(\S.*)$", run(PROGRAMS[program], "help"), re.M))


def usage_of(program, command):
    return run(PROGRAMS[program], command, "--help").split("\n\n")[0]


def options_of(program, command):
    return set(re.findall(r"--[a-z-]+", usage_of(program, command)))


def the_overview_fits_a_screen_and_names_every_command():
    for program, path in PROGRAMS.items():
        text = run(path, "--help")
        assert rows_of(text) <= ROWS, (program, rows_of(text))
        assert max(map(len, text.splitlines())) <= COLUMNS, program
        names = set(re.findall(r"[a-z-]+", "\n".join(l for l in text.splitlines() if l.startswith("  "))))
        assert set(commands_of(program)) <= names, set(commands_of(program)) - names


def what_is_told_of_each_fits_the_width():
    for program, path in PROGRAMS.items():
        for words in [("help",)] + [(command, "--help") for command in commands_of(program)]:
            wide = [line for line in run(path, *words).splitlines() if len(line) > COLUMNS]
            assert not wide, (program, words, wide)


def what_is_told_of_each_fills_its_lines():
    """A line ends where the next word has no room, or behind a sentence: what was broken in the source is not broken once more."""
    for program, path in PROGRAMS.items():
        for command in commands_of(program):
            lines = run(path, command, "--help").split("\n\n", 1)[1].splitlines()
            for line, following in zip(lines, lines[1:]):
                indents = [re.match(" *(?:-.*?  +)?", text).end() if text.startswith("  -") else len(text) - len(text.lstrip(" ")) for text in (line, following)]
                if line and following.strip() and indents[0] == indents[1] and not following.startswith("  -") and line[-1] not in ".:":
                    assert len(line) + 1 + len(following.split()[0]) > COLUMNS, (program, command, line, following)


def the_list_says_a_line_about_each():
    for program, path in PROGRAMS.items():
        commands = commands_of(program)
        assert len(commands) > 25, commands
        for name, summary in commands.items():
            text = run(path, name, "--help")
            assert text.startswith(f"usage: {program} {name}"), text
            assert summary in text, (name, summary)
            assert run(path, "help", name) == text
            assert rows_of(text) <= ROWS, (program, name, rows_of(text))
            assert all(len(l) <= COLUMNS for l in usage_of(program, name).splitlines()), name


def every_option_of_a_usage_is_taken():
    for command in commands_of("hearth"):
        first_words = [[]] + [[w] for w in re.findall(r"(?<![-\w])[a-z]{2,}[a-z-]*(?![\w:])", usage_of("hearth", command))[2:]]
        for option in options_of("hearth", command):
            # a flag is taken alone, another one with a value, some behind a word; --help behind it ends well only when it was taken
            ran = (subprocess.run([HEARTH, command, *first, words, "--help"], capture_output=True, stdin=subprocess.DEVNULL).returncode
                   for first in first_words for words in (option, option + "=1"))
            assert 0 in ran, (command, option)


def every_option_that_is_taken_is_in_a_usage():
    """What the sources say, because nobody is told of an option otherwise."""
    said = set()
    for command in commands_of("hearth"):
        said |= options_of("hearth", command)
        said |= set(re.findall(r"--[a-z-]+", run(HEARTH, command, "--help")))
    for name in sorted(os.listdir(os.path.join(ROOT, "src", "ui-cli"))):
        if name.startswith("verbs_") and name.endswith(".c"):
            text = open(os.path.join(ROOT, "src", "ui-cli", name)).read()
            for option in re.findall(r"\{ \"([a-z-]+)\", (?:&\w|NULL, &\w)", text):
                assert f"--{option}" in said, (name, option)


# Names that hearth lists while it completes; one of them would like to be a command.
NAMES = {"attic", "bed room", "$(touch hacked)"}
# What comes next is what belongs there, and nothing that was said already.
PLACES = (
    ("hearth", "devices", {"rename", "remove", "add"}),
    ("hearth", "devices rename", NAMES),
    ("hearth", "devices rename attic", set()),
    ("hearth", "copy 1 --to", NAMES),
    ("hearth", "copy 1 2 3 --yes --to attic", set()),
    ("hearth", "logout", NAMES),
    ("hearth", "playlist", {"list", "show", "create", "add", "move", "remove", "rename", "delete"}),
    ("hearth", "playlist show jazz", set()),
    ("hearth", "settings", {"volume", "repeat", "window"}),
    ("hearth", "settings volume", set()),
    ("hearth", "settings --unset", {"volume", "repeat", "window"}),
    ("hearth", "play 1 --output", {"audio", "silent", "digest", "null"}),
    ("hearth", "auto-copy by-distributor aurora", {"on", "off"}),
    ("hearth", "--socket x transfers", {"pause", "resume", "cancel", "limit"}),
    ("hearth-distributor", "keys", {"list", "rotate", "withdraw", "request", "sign", "install", "root", "wrap"}),
    ("hearth-distributor", "keys list", set()),
    ("hearth-distributor", "--state-dir x keys root", {"export", "token"}),
    ("hearth-distributor", "keys rotate", {"tls", "license", "roster", "sealing", "storage"}),
    ("hearth-distributor", "keys rotate tls", {"license", "roster", "sealing"}),
    ("hearth-distributor", "payment mark 7", {"paid", "declined"}),
    ("hearth-distributor", "product option add", set()),
)


def bash(program, line, words):
    script = (f"source /dev/stdin; COMP_WORDS=({line}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); {words}"
              f"_{program} 2>/dev/null; printf '%s\\n' \"${{COMPREPLY[@]}}\"")
    p = subprocess.run(["bash", "-c", script], input=run(PROGRAMS[program], "completion", "bash"), capture_output=True, text=True, cwd=where,
                       env=dict(os.environ, PATH=where + "/bin:" + os.environ["PATH"]))
    assert p.returncode == 0, p.stderr
    return set(p.stdout.splitlines()) - {""}


def bash_completes():
    last = 'COMP_WORDS+=(""); ((COMP_CWORD++)); '
    assert bash("hearth", "hearth reg", "") == {"register"}
    assert bash("hearth", "hearth", last) >= set(commands_of("hearth"))
    for program in PROGRAMS:
        for command in commands_of(program):
            found = bash(program, f"{program} {command} --", "")
            assert found >= options_of(program, command) | {"--json", "--help"}, (command, found)
    assert bash("hearth", "hearth devices", last) == {"rename", "remove", "add"}
    assert bash("hearth", "hearth --json playlist sh", "") == {"show"}
    assert bash("hearth", "hearth --socket x limit --period", last) == {"day", "month"}
    assert bash("hearth", "hearth get 1 --pin-file p", "") == {"pin"}
    for program, typed, expected in PLACES:
        found = {re.sub(r"\\(.)", r"\1", name) for name in bash(program, f"{program} {typed}", last)}
        assert found == expected, (program, typed, found)
    assert not os.path.exists(os.path.join(where, "hacked"))
    assert bash("hearth", "hearth copy 1 --to = at", "") == {"attic"}
    assert bash("hearth-distributor", "hearth-distributor publish p", "") == {"pin"}
    assert bash("hearth-distributor", "hearth-distributor tariff set 1 --copy-charged s", "") == {"source"}
    assert bash("hearth-distributor", "hearth-distributor user token re", "") == {"revoke"}


def fish_completes():
    if not shutil.which("fish"):
        print("# fish is not installed")
        return
    def ask(program, line):
        with tempfile.NamedTemporaryFile("w", suffix=".fish", dir=where) as f:
            f.write(run(PROGRAMS[program], "completion", "fish"))
            f.flush()
            said = subprocess.run(["fish", "--no-config", "-c", f"source {f.name}; complete -C '{line}'"], capture_output=True, text=True, cwd=where,
                                  env=dict(os.environ, HOME=where, PATH=where + "/bin:" + os.environ["PATH"]))
            assert said.returncode == 0 and not said.stderr, said.stderr
            return {l.split("\t")[0] for l in said.stdout.splitlines()}
    assert "register" in ask("hearth", "hearth reg")
    assert ask("hearth", "hearth ") >= set(commands_of("hearth"))
    assert ask("hearth", "hearth accounts --") >= {"--yes", "--password-file", "--json"}
    assert ask("hearth", "hearth devices ") >= {"rename", "remove", "add"}
    assert ask("hearth", "hearth limit x --period ") == {"day", "month"}
    for program, typed, expected in PLACES:
        found = {name.replace("\\", "") for name in ask(program, f"{program} {typed} ")}
        assert found == expected, (program, typed, found)
    assert not os.path.exists(os.path.join(where, "hacked"))
    assert "pin" in ask("hearth-distributor", "hearth-distributor publish ")


def zsh_understands_it():
    if not shutil.which("zsh"):
        print("# zsh is not installed")
        return
    for program, path in PROGRAMS.items():
        file = os.path.join(where, "_" + program)
        text = run(path, "completion", "zsh")
        with open(file, "w") as f:
            f.write(text)
        run("zsh", "-n", file)
        for command in commands_of(program):
            line = re.search(rf"^    {command}\) (_arguments.*) ;;$", text, re.M).group(1)
            assert {o for o in re.findall(r"'(--[a-z-]+)", line)} >= options_of(program, command), command
        assert run("zsh", "-f", "-c", f"autoload -U compinit; compinit -u -d {where}/dump; fpath=({where} $fpath); compinit -u -d {where}/dump2; "
                   f"print $_comps[{program}]").strip() == "_" + program


def zsh_completes():
    if not shutil.which("zsh"):
        print("# zsh is not installed")
        return
    for program, path in PROGRAMS.items():
        with open(os.path.join(where, "_" + program), "w") as f:
            f.write(run(path, "completion", "zsh"))
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(where)
        os.execvpe("zsh", ["zsh", "-f", "-i"], dict(os.environ, HOME=where, TERM="xterm", PS1="", COLUMNS="200", LC_ALL="C.UTF-8", PATH=where + "/bin:" + os.environ["PATH"]))
    said = ""

    def types(text, awaited):
        """What stands on the terminal from then on, until the awaited is there."""
        nonlocal said
        said, end = "", time.monotonic() + 40
        os.write(terminal, text.encode())
        while not re.search(awaited, said):
            assert time.monotonic() < end, (text, awaited, said)
            if select.select([terminal], [], [], 0.2)[0]:
                said += re.sub(r"\x1b[\[>=(?][0-9;?]*[A-Za-z]?", "", os.read(terminal, 65536).decode(errors="replace")).replace("\0", "")
        return said
    try:
        types(f"PS1='is''ready> '; fpath=({where} $fpath); autoload -U compinit; compinit -u -d {where}/dump3; LISTMAX=9999; stty columns 200 rows 200\n", "isready> ")
        types("hearth reg\t", "hearth register ")
        types("\x15hearth accounts --pass\t", "hearth accounts --password-file")
        types("\x15hearth devices ren\t", "hearth devices rename ")
        types("\x15hearth get 1 --pin-file p\t", "--pin-file pin ")
        types("\x15hearth-distributor publish pi\t", "publish pin ")
        types("\x15hearth copy 1 --to at\t", "--to attic ")
        types("\x15hearth devices rename be\t", re.escape("rename bed\\ room "))
        types("\x15hearth-distributor --state-dir x keys root ex\t", "root export ")
        types("\x15hearth-distributor keys rotate tls ro\t", "tls roster ")
        types("\x15hearth settings --unset vo\t", "--unset volume ")
        types("\x15hearth play 1 --output dig\t", "--output digest ")
        for command in sorted(commands_of("hearth"))[:3]:
            types("\x15hearth \t", re.escape(command) + " +-- ")
            types("\x15\x0c", "isready> ")
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(terminal)


def the_helpers_say_who_starts_them():
    for path, manual in ((VAULT, "man hearth-vault"), (PLAYER, "man hearth-player")):
        text = run(path, "--help")
        assert text.startswith("usage: hearth-") and manual in text and "nobody starts it by hand" in text, text
        assert rows_of(text) <= ROWS and all(len(l) <= COLUMNS for l in text.splitlines())
        for words in (("--nonsense",), ("x",)):
            assert run(path, *words, expect=2) == ""


def what_was_meant_is_guessed():
    for word, meant in (("plai", "play"), ("statsu", "status"), ("librray", "library"), ("devcies", "devices"), ("xyzzy", None), ("x", None), ("", None)):
        for words in ((word,), ("help", word)):
            p = subprocess.run([HEARTH, *words], capture_output=True, text=True)
            assert p.returncode == 2 and ("did you mean" in p.stderr) == (meant is not None) and (meant is None or f"did you mean hearth {meant}? " in p.stderr), (words, p.stderr)


def a_wrong_url_is_explained():
    good = "hearth://127.0.0.1:1#" + "a" * 51
    for url, said in (("shed", "HOST:PORT"), (good, "cut off"), (good + "aa", "more than an ID"), ("hearth://h:1#" + "8" * 52, "2 to 7"), ("hearth://h:1/x", "no / behind")):
        p = subprocess.run([HEARTH, "register", url], capture_output=True, text=True, stdin=subprocess.DEVNULL)
        assert p.returncode == 2 and said in p.stderr.splitlines()[0], (url, p.stderr)


def another_shell_is_refused():
    for path in PROGRAMS.values():
        run(path, "completion", "tcsh", expect=2)
        run(path, "completion", expect=2)


with tempfile.TemporaryDirectory(prefix="hearth-help-") as where:
    open(os.path.join(where, "pin"), "w").close()
    os.mkdir(os.path.join(where, "bin"))
    with open(os.path.join(where, "bin", "hearth"), "w") as f:
        f.write("#!/bin/sh\n[ \"$1 $2\" = 'completion devices' ] || [ \"$1 $2\" = 'completion distributors' ] || exit 1\nprintf '%s\\n' " + " ".join(f"'{name}'" for name in sorted(NAMES)) + "\n")
        os.fchmod(f.fileno(), 0o755)
    cases = [f for name, f in list(globals().items()) if callable(f) and getattr(f, "__module__", "") == "__main__"
             and name not in ("run", "case", "rows_of", "commands_of", "usage_of", "options_of", "bash")]
    print(f"1..{len(cases)}")
    for function in cases:
        case(function)
