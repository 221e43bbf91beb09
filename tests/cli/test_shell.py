"""The programs as a shell starts them: what they leave behind at a terminal, what becomes of what cannot be written, what a hearthd that cannot start says, and how they find each other. Arguments: hearth, hearth-distributor, hearthd, hearth-vault, hearth-player."""
import os
import pty
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import termios
import time

HEARTH, DISTRIBUTOR, HEARTHD, VAULT, PLAYER = sys.argv[1:6]
for sign in (signal.SIGHUP, signal.SIGQUIT, signal.SIGTERM):  # whoever started the tests may ignore them
    signal.signal(sign, signal.SIG_DFL)
signal.signal(signal.SIGINT, signal.default_int_handler)
done = 0


def case(function):
    global done
    function()
    done += 1
    print(f"ok {done} - {function.__name__.replace('_', ' ')}", flush=True)


class Terminal:
    """Commands of a shell, in a session of their own at a terminal that controls it."""

    def __init__(self, *words):
        self.master, self.slave = pty.openpty()
        self.text, self.before = "", termios.tcgetattr(self.slave)
        self.child = subprocess.Popen(["setsid", "--ctty", "--wait", *words], stdin=self.slave, stdout=self.slave, stderr=self.slave,
                                      env=dict(os.environ, HEARTH_SOCKET=os.path.join(where, "none"), LC_ALL="C.UTF-8"))

    def sees(self, pattern, seconds=20):
        """Waits for it; what was shown until then is not looked at again."""
        end = time.monotonic() + seconds
        while not (found := re.search(pattern, self.text, re.S)):
            assert time.monotonic() < end, (pattern, self.text)
            if select.select([self.master], [], [], 0.1)[0]:
                self.text += os.read(self.master, 65536).decode(errors="replace")
        self.text = ""
        return found

    def type(self, text):
        os.write(self.master, text.encode())

    def echoes(self):
        return bool(termios.tcgetattr(self.slave)[3] & termios.ECHO)

    def is_as_before(self):
        return termios.tcgetattr(self.slave) == self.before

    def close(self):
        self.child.wait(20)
        os.close(self.master)
        os.close(self.slave)


def questions():
    """Each program that asks for a secret, and what it asks."""
    state = os.path.join(where, "state")
    if not os.path.exists(state):
        subprocess.run([DISTRIBUTOR, "--state-dir", state, "init", "--name", "Aurora"], check=True, capture_output=True)
    return [((HEARTH, "login", "Aurora"), "Password: "), ((DISTRIBUTOR, "--state-dir", state, "user", "add", "alice"), "Password: ")]


def a_signal_at_a_question_leaves_the_terminal_as_it_was():
    for words, question in questions():
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
            t = Terminal("bash", "-c", 'ulimit -c 0; trap "" INT QUIT; (trap - INT QUIT; echo "process $BASHPID"; exec "$@"); echo "status $?"', "sh", *words)
            process = int(t.sees(r"process (\d+).*" + question).group(1))
            assert not t.echoes()
            if number == signal.SIGINT:
                t.type("\x03")
            else:
                os.kill(process, number)
            t.sees(f"status {128 + number}")
            assert t.is_as_before(), (words, number)
            t.close()


def a_question_that_was_stopped_is_asked_again():
    for words, question in questions():
        t = Terminal("bash", "-c", 'set -m; "$@"; echo "status $?"; read -r line; fg >/dev/null; echo "then $?"', "sh", *words)
        t.sees(question)
        assert not t.echoes()
        t.type("\x1a")
        t.sees(f"status {128 + signal.SIGTSTP}")
        assert t.is_as_before(), words
        t.type("\n")
        t.sees(question)
        assert not t.echoes(), words
        t.type("no such secret\n")
        t.sees(r"then \d")
        assert t.is_as_before(), words
        t.close()


def a_question_that_is_answered_leaves_it_as_well():
    for words, question in questions():
        t = Terminal("bash", "-c", '"$@"; echo "then $?"', "sh", *words)
        t.sees(question)
        t.type("\x04")  # there is no answer
        t.sees(r"[Nn]o password was given: nothing was changed.*then 1")
        assert t.is_as_before(), words
        t.close()


def what_cannot_be_written_is_not_done():
    """Full: said, with a status. A reader that has gone: not said, as of any program. Closed: no file of ours takes its place."""
    state = os.path.join(where, "state")
    for words in ((HEARTH, "--help"), (HEARTH, "help"), (HEARTH, "play", "--help"), (HEARTH, "--version"), (HEARTH, "completion", "fish"), (HEARTH, "--json", "--socket", where, "status"),
                  (DISTRIBUTOR, "--help"), (DISTRIBUTOR, "help"), (DISTRIBUTOR, "publish", "--help"), (DISTRIBUTOR, "--version"), (DISTRIBUTOR, "--state-dir", state, "settings"),
                  (HEARTHD, "--help"), (HEARTHD, "--version"), (VAULT, "--help"), (PLAYER, "--help")):
        with open("/dev/full", "w") as full:
            p = subprocess.run(words, stdout=full, stderr=subprocess.PIPE, text=True)
        assert p.returncode not in (0, -signal.SIGPIPE), (words, p)
        assert p.stderr.splitlines()[-1] == f"{os.path.basename(words[0])}: the output cannot be written: No space left on device", (words, p.stderr)
        r, w = os.pipe()
        os.close(r)
        p = subprocess.run(words, stdout=w, stderr=subprocess.PIPE, text=True)
        os.close(w)
        assert p.returncode != 0 and p.stderr == "", (words, p)
        p = subprocess.run(["sh", "-c", 'exec "$@" >&-', "sh", *words], stderr=subprocess.PIPE, text=True)
        assert p.returncode != 0 and p.stderr.endswith(": Bad file descriptor\n"), (words, p)


def begins(home, *words):
    """A hearthd until it has started, or has ended: its status, and its log."""
    log = os.path.join(home, "log")
    run, socket = os.path.join(home, "run"), os.path.join(home, "run", "hearthd.sock")
    with open(log, "w") as f:
        p = subprocess.Popen([HEARTHD, "--no-discovery", "--listen", "127.0.0.1:0", "--state-dir", os.path.join(home, "state"), "--runtime-dir", run, *words], stderr=f)
    end = time.monotonic() + 30
    while p.poll() is None and subprocess.run([HEARTH, "--socket", socket, "status"], capture_output=True).returncode != 0:
        assert time.monotonic() < end, open(log).read()
        time.sleep(0.02)
    p.terminate()
    return p.wait(30), open(log).read().splitlines()


def a_configuration_that_is_no_plain_file_is_not_waited_for():
    pipe = os.path.join(where, "pipe")
    os.mkfifo(pipe)
    for path in (pipe, "/dev/zero", where):
        for words, status in (([HEARTHD], 2), ([DISTRIBUTOR, "id"], 1)):
            p = subprocess.run([words[0], "--config", path, *words[1:]], capture_output=True, text=True, timeout=20)
            assert p.returncode == status and p.stderr.endswith("it is no plain file" + ("\n" if status == 2 else ".\n")), (words, path, p)


def a_hearthd_that_cannot_start_says_where_and_whether_to_try_again():
    home = tempfile.mkdtemp(dir=where)
    path = lambda *names: os.path.join(home, *names)
    def refused(status, said, *words):
        got, log = begins(home, *words)
        complaints = [line for line in log if " error " in line]
        assert got == status and len(complaints) == 1 and said in complaints[0], (status, said, got, log)
    open(path("file"), "w").close()
    refused(os.EX_CONFIG, f"path={path('file')}", "--state-dir", path("file"))
    refused(os.EX_CONFIG, f"path={path('file')}", "--runtime-dir", path("file"))
    refused(os.EX_CONFIG, f"path={path('x' * 120)}", "--runtime-dir", path("x" * 120))
    refused(1, "address=192.0.2.1:7 ", "--listen", "192.0.2.1:7")
    shutil.rmtree(path("state"))
    os.makedirs(path("state", "hearthd.db"))
    refused(os.EX_CONFIG, f"path={path('state', 'hearthd.db')}")
    os.rmdir(path("state", "hearthd.db"))
    with open(path("state", "hearthd.db"), "wb") as f:
        f.write(b"no database " * 1000)
    got, log = begins(home)
    assert got == os.EX_DATAERR and any(f"path={path('state', 'hearthd.db')}" in line for line in log), log
    os.unlink(path("state", "hearthd.db"))
    for name in ("file", "secret"):
        with open(path(name), "w") as f:
            f.write("[vault]\nkey = passphrase\npassphrase-file = " + path("secret") + "\n" if name == "file" else "one\n")
    assert begins(home, "--config", path("file")) [0] == 0
    with open(path("secret"), "w") as f:
        f.write("another\n")
    refused(os.EX_NOPERM, "passphrase-file` in the configuration names", "--config", path("file"))
    os.unlink(path("secret"))
    refused(os.EX_NOPERM, "the storage key needs its passphrase", "--config", path("file"))


# As a user of its own, in a mount namespace with a /run of its own: what is in the environment, is there a session's directory.
LISTENS = """
mount -t tmpfs tmpfs /run && mkdir -p /run/hearth /run/user && chown 65534:65534 /run/hearth
[ "$1" = no ] || { mkdir /run/user/65534 && chown 65534:65534 /run/user/65534; }
user="setpriv --reuid 65534 --regid 65534 --clear-groups -- env -i HOME=$HOME PATH=$PATH"
$user $2 "$HEARTHD" --listen 127.0.0.1:0 --no-discovery >"$HOME/log" 2>&1 &
trap 'kill $!; wait $!' EXIT
end=$((SECONDS + 20))
until $user $3 "$HEARTH" status >"$HOME/said" 2>&1; do
    [ $SECONDS -lt $end ] && kill -0 $! || { cat "$HOME/said" "$HOME/log"; exit 1; }
    sleep 0.05
done
echo "found it"
env -i HOME=/nonexistent "$HEARTH" status >/dev/null && echo "so did root"
setpriv --reuid 65533 --regid 65533 --clear-groups -- env -i HOME=/nonexistent "$HEARTH" status 2>&1
"""


def hearthd_is_found_whatever_the_environment_says():
    if os.geteuid() != 0 or subprocess.run(["unshare", "--mount", "true"], capture_output=True).returncode != 0:
        print("# SKIP: needs root and mount namespaces")
        return
    session = "XDG_RUNTIME_DIR=/run/user/65534"
    started = []
    os.chmod(where, 0o755)
    for words in (("yes", session, ""), ("yes", "", session), ("yes", "", ""), ("no", session, ""), ("no", "", session), ("no", "", ""), ("yes", "RUNTIME_DIRECTORY=/run/hearth", session)):
        home = tempfile.mkdtemp(dir=where)
        os.chown(home, 65534, 65534)
        started.append((words, subprocess.Popen(["unshare", "--mount", "bash", "-c", LISTENS, "sh", *words], env=dict(os.environ, HOME=home, HEARTH=HEARTH, HEARTHD=HEARTHD),
                                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)))
    for words, process in started:
        said, _ = process.communicate(timeout=60)
        assert "found it" in said, (words, said)
        is_system = words[1].startswith("RUNTIME_DIRECTORY")
        assert ("so did root" in said) == is_system, said
        assert ("this user may not speak to the hearthd at /run/hearth/hearthd.sock" in said) == is_system, said


with tempfile.TemporaryDirectory(prefix="hearth-shell-") as where:
    cases = [a_signal_at_a_question_leaves_the_terminal_as_it_was, a_question_that_was_stopped_is_asked_again, a_question_that_is_answered_leaves_it_as_well,
             what_cannot_be_written_is_not_done, a_configuration_that_is_no_plain_file_is_not_waited_for, a_hearthd_that_cannot_start_says_where_and_whether_to_try_again, hearthd_is_found_whatever_the_environment_says]
    print(f"1..{len(cases)}")
    for function in cases:
        case(function)
