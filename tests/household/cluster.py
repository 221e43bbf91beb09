"""A PostgreSQL server of a test's own: in a temporary directory, on a Unix socket alone, under an unprivileged user.

    with cluster.Cluster() as pg:          # ends the test with SKIP when PostgreSQL is not installed
        pg.connection                      # "host=... user=hearth", for libpq; add dbname=NAME
        pg.create("shop")                  # a database
        pg.rows("shop", "SELECT ...")      # by psql, as lists of texts
        pg.kill(); pg.start()              # kill -9 of the server and all its processes, and up again
        pg.stop()                          # as `systemctl restart` would

It ends with the test, however the test ends."""
import ctypes
import glob
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time

PR_SET_PDEATHSIG = 1


def programs():
    """The directory of the server's programs, or None."""
    found = [os.path.dirname(p) for p in sorted(glob.glob("/usr/lib/postgresql/*/bin/initdb")) + [shutil.which("initdb") or ""]]
    return next((d for d in reversed(found[:-1] or found) if os.path.exists(os.path.join(d, "postgres"))), None)


class Cluster:
    def __init__(self, durable=False):
        """durable: as in operation, for servers that are killed; otherwise in memory and without syncing."""
        self.bin = programs()
        if self.bin is None:
            print("1..0 # SKIP PostgreSQL is not installed (scripts/deps test)", flush=True)
            sys.exit(0)
        self.process, self.durable = None, durable
        self.dir = tempfile.mkdtemp(prefix="hearth-pg-", dir=None if durable else "/dev/shm" if os.path.isdir("/dev/shm") else None)
        self.log = open(os.path.join(self.dir, "log"), "ab")
        self.user = self.unprivileged()
        if self.user:
            os.chown(self.dir, self.user.pw_uid, self.user.pw_gid)
        self.data = os.path.join(self.dir, "data")
        self.connection = f"host={self.dir} user=hearth"

    @staticmethod
    def unprivileged():
        """The server refuses to run as root."""
        if os.geteuid() != 0:
            return None
        for name in ("postgres", "nobody"):
            try:
                return pwd.getpwnam(name)
            except KeyError:
                continue
        raise SystemExit("there is no unprivileged user")

    def spawn(self, arguments, **more):
        def follow_parent():  # SIGQUIT: at once, with all its processes
            ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGQUIT)
        if self.user:
            more.update(user=self.user.pw_uid, group=self.user.pw_gid, extra_groups=[])
        return subprocess.Popen(arguments, cwd=self.dir, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log,
                                preexec_fn=follow_parent, start_new_session=True, **more)

    def __enter__(self):
        try:
            made = self.spawn([f"{self.bin}/initdb", "-D", self.data, "-U", "hearth", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"])
            if made.wait(60) != 0:
                raise RuntimeError("initdb failed: " + self.tail())
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def start(self):
        settings = ["listen_addresses=", f"unix_socket_directories={self.dir}", "unix_socket_permissions=0700", "max_connections=60",
                    "shared_buffers=64MB", "max_wal_size=2GB", "autovacuum=off", "jit=off"]
        if not self.durable:
            settings += ["fsync=off", "synchronous_commit=on", "full_page_writes=off"]
        self.process = self.spawn([f"{self.bin}/postgres", "-D", self.data] + [word for s in settings for word in ("-c", s)])
        until = time.monotonic() + 30
        while not self.answers():
            if self.process.poll() is not None or time.monotonic() > until:
                raise RuntimeError("the server does not start: " + self.tail())
            time.sleep(0.05)

    def answers(self):
        return subprocess.run([f"{self.bin}/pg_isready", "-q", "-h", self.dir], check=False).returncode == 0

    def tail(self):
        with open(os.path.join(self.dir, "log"), "rb") as f:
            return f.read()[-2000:].decode(errors="replace")

    def end(self, number):
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(number)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait(10)
        self.process = None

    def stop(self):
        self.end(signal.SIGINT)

    def kill(self):
        """As a power cut: every process of it at once; the log is replayed at the next start."""
        pids = [self.process.pid] + [int(p) for p in
                                     subprocess.run(["pgrep", "-P", str(self.process.pid)], capture_output=True, text=True, check=False).stdout.split()]
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self.process.wait(10)
        self.process = None

    def __exit__(self, *_):
        self.end(signal.SIGINT)
        self.log.close()
        shutil.rmtree(self.dir, ignore_errors=True)

    # --- By hand ---

    def sql(self, database, text):
        ran = subprocess.run([f"{self.bin}/psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-At", "-F", "\t", "-d", f"{self.connection} dbname={database}", "-c", text],
                             capture_output=True, text=True, timeout=30, check=False)
        assert ran.returncode == 0, ran.stderr
        return ran.stdout

    def rows(self, database, text):
        return [line.split("\t") for line in self.sql(database, text).splitlines()]

    def one(self, database, text):
        return self.rows(database, text)[0][0]

    def session(self, database):
        """A psql that does what is written to its standard input, and ends with it."""
        return subprocess.Popen([f"{self.bin}/psql", "-X", "-q", "-At", "-d", f"{self.connection} dbname={database}"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)

    def create(self, database):
        self.sql("postgres", f'CREATE DATABASE "{database}"')
