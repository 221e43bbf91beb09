"""A person at a terminal, for tests: a program under test in a window of its own. Not a test itself."""
import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios

from household import PROGRAMS, wait_for


class Terminal:
    """One `hearth` command at a terminal; or several, as a shell there runs them: $HEARTH is the program."""

    def __init__(self, device, *args, columns=100, shell=None):
        self.master, self.slave = pty.openpty()
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        self.text = b""

        def own_terminal():
            os.setsid()
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)

        argv = ["bash", "-c", shell] if shell else [PROGRAMS["hearth"], "--socket", device.socket, *args]
        self.child = subprocess.Popen(argv, stdin=self.slave, stdout=self.slave, stderr=self.slave, preexec_fn=own_terminal,
                                      env=dict(os.environ, NO_COLOR="1", HEARTH=PROGRAMS["hearth"], HEARTH_SOCKET=device.socket))

    def read(self):
        while select.select([self.master], [], [], 0)[0]:
            self.text += os.read(self.master, 65536)
        return self.text.decode(errors="replace")

    def sees(self, pattern, seconds=20):
        return wait_for(f"the terminal shows {pattern}", lambda: re.search(pattern, self.read()), seconds)

    def type(self, text):
        os.write(self.master, text.encode())

    def ends(self, status=0):
        """All that was shown."""
        def over():
            self.read()  # a full terminal would hold it up
            return self.child.poll() is not None
        wait_for("the command ends", over, 60)
        text = self.read()
        os.close(self.master)
        os.close(self.slave)
        assert self.child.returncode == status, (self.child.returncode, text)
        return text


def plainly(device, *args, status=0):
    """What one `hearth` command says, and nobody is there to ask."""
    done = subprocess.run([PROGRAMS["hearth"], "--socket", device.socket, *args], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=90)
    assert done.returncode == status, (done.returncode, done.stdout, done.stderr)
    return done.stdout + done.stderr
