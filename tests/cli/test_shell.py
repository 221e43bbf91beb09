"""The programs as a shell starts them: what they leave behind at a terminal. Arguments: hearth, hearth-distributor."""
import os
import pty
import re
import select
import signal
import subprocess
import sys
import tempfile
import termios
import time

HEARTH, DISTRIBUTOR = sys.argv[1:3]
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
        t.sees(r"then [1-9]")
        assert t.is_as_before(), words
        t.close()


with tempfile.TemporaryDirectory(prefix="hearth-shell-") as where:
    cases = [a_signal_at_a_question_leaves_the_terminal_as_it_was, a_question_that_was_stopped_is_asked_again, a_question_that_is_answered_leaves_it_as_well]
    print(f"1..{len(cases)}")
    for function in cases:
        case(function)
