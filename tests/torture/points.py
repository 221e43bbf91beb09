"""Points of a scene: each is one fault, what becomes of it, and the same asked again without one."""
import json
import os
import signal
import subprocess
import time

from programs import ENDED, HOW, LIBRARY  # noqa: F401
from household import PROGRAMS, Refused, wait_for

LONG_SECONDS = 90  # what is not answered by then hangs; a copy's source asks after 60
ONWARDS_SECONDS = 0.7  # so long all calls fail
TAIL_SECONDS = 0.06  # what is done after the answer in any case,
LATE_SECONDS = 5  # and what a scene waits for
# What libraries do without memory: Avahi and GMP end the program with these words of their own; libseccomp and GnuTLS (of a peer's raw key) end it in these functions.
LAST_WORDS = ("Out of memory, aborting", "GNU MP: Cannot allocate memory")
LAST_CALLS = ("libseccomp", "gnutls_pcert_deinit", "gnutls_pcert_import_rawpk_raw")
NEXT_START = "after the next start"
PASSING = ("offline", "timed-out", "in-use", "rate-limited", "out-of-step", "session-replaced", "login-needed", "catch-up-needed", "cancelled", "license-suspended")


class Finding(AssertionError):
    pass


def meanwhile(point, began):
    """Faults that go on end after a while: a peer may wait for something else. Who has stopped is started again."""
    if point.onwards and time.monotonic() - began > ONWARDS_SECONDS:
        point.faults.disarm()
    point.restart_stopped()


def answer_of(device, argv, point):
    """What it printed and its exit status."""
    child = subprocess.Popen([PROGRAMS["hearth"], "--socket", device.socket, "--json", *argv], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    began = time.monotonic()
    try:
        while time.monotonic() - began < LONG_SECONDS:
            try:
                return child.communicate(timeout=0.25)[0], child.returncode
            except subprocess.TimeoutExpired:
                meanwhile(point, began)
        raise Finding(f"{argv[0]} is not answered within {LONG_SECONDS} s")
    finally:
        if child.poll() is None:
            child.kill()
            child.wait()


def answers(device, point):
    """A device that has been started: done when it answers; when it stops, it is started again."""
    began = time.monotonic()
    while time.monotonic() - began < LONG_SECONDS:
        if device.process.child.poll() is not None:
            return "refused", "stopped"
        if point.faults.come and any("libseccomp" in w for w in point.faults.callers()) and time.monotonic() - began > ONWARDS_SECONDS * 4:
            device.process.kill()  # a filter that lets nothing through, not even its end
            return "refused", "stopped"
        try:
            device("status")
            return "done", ""
        except Refused as refusal:
            if refusal.code != "daemon-unreachable":
                return "refused", refusal.code
        if point.onwards and time.monotonic() - began > ONWARDS_SECONDS:
            point.faults.disarm()
        time.sleep(0.01)
    raise Finding(f"{device.name} does not answer within {LONG_SECONDS} s of its start")


def code_of(text, status):
    """"" when it was done; the reason's code; a Finding when it was said in no words."""
    if status == 0:
        return ""
    try:
        error = json.loads(text.splitlines()[-1])["error"]
        assert error["code"] and error["message"], text
        return error["code"]
    except (ValueError, KeyError, IndexError):
        raise Finding(f"exit status {status}, and in no words: {text!r}")


class Point:
    def __init__(self, scene, how, at, onwards):
        self.scene, self.how, self.at, self.onwards = scene, how, at, onwards
        self.faults = self.outcome = None

    def run(self):
        """What became of it: done, refused, stopped."""
        s = self.scene
        s.prepare()
        self.faults = getattr(s.device, s.part)
        self.logs = {d: os.path.getsize(d.log) if os.path.exists(d.log) else 0 for d in s.devices}
        self.stopped = self.was_anew = False
        self.faults.arm(self.how, self.at, self.onwards)
        self.outcome, self.said = s.act(self)
        ended = time.monotonic()
        while not self.faults.come and time.monotonic() - ended < LATE_SECONDS and (time.monotonic() - ended < TAIL_SECONDS or not s.is_over()):
            time.sleep(0.002)
        self.counted = self.faults.counts()
        self.faults.disarm()
        if self.said == "no-hearthd":
            try:
                s.device.process.child.wait(0.3)
            except subprocess.TimeoutExpired:
                pass  # one connection was closed
        self.restart_stopped()
        self.start_anew()
        while True:
            failed = None
            try:
                s.again(self)
                s.judge()
            except Exception as error:
                failed = error
            stopped, anew = self.restart_stopped(), self.start_anew()
            if not stopped and not anew:
                break
        if failed:
            raise failed
        s.finish()
        return "stopped" if self.stopped else self.outcome

    def start_anew(self):
        """Who said that it will have something after its next start only."""
        found = [d for d in self.scene.devices if NEXT_START in self.said_by(d)]
        for d in found:
            self.was_anew = True
            d.stop()
            self.logs[d] = os.path.getsize(d.log)
            d.start()
        return found

    def said_by(self, d):
        with open(d.log, "rb") as f:
            f.seek(self.logs[d])
            return f.read().decode(errors="replace")

    def restart_stopped(self):
        ended = [d for d in self.scene.devices if self.has_stopped(d)]
        for d in ended:
            self.stopped = True
            d.daemon.disarm()
            d.vault.disarm()
            self.logs[d] = os.path.getsize(d.log)
            d.start()
        return ended

    def has_stopped(self, d):
        """It ended by itself, in order: with a word, and by a signal only where it could not sync."""
        ended = d.process.child.poll() is not None
        if not ended and not d.vault.callers(ENDED):
            return False
        status = d.process.child.returncode or 0
        text = self.said_by(d)
        errors = [line for line in text.splitlines() if "error" in line.lower() or any(w in line for w in LAST_WORDS)]
        where = d.daemon.callers(ENDED) if status < 0 else []
        excused = any(w in text for w in LAST_WORDS) or any(c in w for w in where for c in LAST_CALLS)
        excused = excused or any("libseccomp" in w for w in d.daemon.callers() + d.vault.callers())
        if status < 0 and not excused and not (status == -signal.SIGABRT and d.daemon.was_sync and "sync" in text):
            raise Finding(f"{d.name}: hearthd ended by signal {-status} in " + "\n  ".join(where[:14]) + f"\n last words: {errors[-2:]}")
        at_fault = d.vault.callers(ENDED) + d.vault.callers() + d.daemon.callers()
        excused = excused or any(c in w for w in at_fault for c in LAST_CALLS + ("__gmp",))
        if d.vault.callers(ENDED) and not excused and not (d.vault.was_sync and "sync" in text):
            raise Finding(f"{d.name}: hearth-vault was ended by a signal in " + "\n  ".join(d.vault.callers(ENDED)[:14]) + f"\n last words: {errors[-2:]}")
        d.vault.forget()
        if not ended:  # it starts its vault again
            return False
        if status == 0 or not errors and not excused:
            raise Finding(f"{d.name}: hearthd ended with status {status}, and said nothing: {text[-600:]}")
        return True


def ask_until_done(device, *argv, done=("already",), seconds=30):
    """Without faults: what is refused then must be so only for a moment."""
    end, codes = time.monotonic() + seconds, []
    while True:
        try:
            return device(*argv)
        except Refused as refusal:
            codes.append(refusal.code)
            if refusal.code in done:
                return None
            if refusal.code not in PASSING or time.monotonic() > end:
                raise Finding(f"without a fault: {' '.join(argv)}: {refusal}; {len(codes)} times: {set(codes)}")
        time.sleep(0.1)


def learn(scene):
    """How many calls of each kind there are."""
    p = Point(scene, "none", 0, False)
    p.run()
    if p.outcome != "done":
        raise Finding(f"{scene.name} is refused without a fault: {p.said}")
    return p.counted


def chosen(counts, every, sample, first):
    """(how, at, onwards): every N-th of all, or a sample that has each way to fail in it. What is interrupted is so once."""
    found = [(how, at, onwards) for how in HOW[1:] for at in range(1, counts[how] + 1) for onwards in (False, True) if not (onwards and how == "EINTR")]
    if every:
        return found[::every], len(found)
    of = {how: [p for p in found if p[0] == how] for how in HOW[1:]}
    turn = [of[how][len(of[how]) * i // sample] for i in range(sample) for how in HOW[1:] if of[how]]
    first %= len(turn)
    return (turn[first:] + turn[:first])[::5][:sample], len(found)


def say(scene, point, error):
    text = f"{scene.name} {point.how}:{point.at}{'+' if point.onwards else ''}: {error}\n  failed: " + "\n          ".join(point.faults.callers()[:16])
    print("# " + text.replace("\n", "\n# "), flush=True)


def run(scene, every, sample, only=None):
    """How many points were tried."""
    tally, codes, findings, anew, began = {"done": 0, "refused": 0, "stopped": 0}, {}, 0, 0, time.monotonic()
    scene.begin()
    if every:
        learn(scene)  # the first time is another
    points, count = chosen(learn(scene), every, sample, len(scene.name))
    if only:
        how, _, at = only.partition(":")
        points = [(how, int(at.rstrip("+")), at.endswith("+"))]
    for how, at, onwards in points:
        p = Point(scene, how, at, onwards)
        try:
            tally[p.run()] += 1
            anew += p.was_anew
            codes[p.said] = codes.get(p.said, 0) + 1
            if only:
                print(f"# {p.outcome} {p.said}, {p.faults.come} came\n# " + "\n# ".join(p.faults.callers()))
        except Exception as error:
            findings += 1
            say(scene, p, error)
            if os.environ.get("HEARTH_TEST_KEEP") == "1":
                raise
            scene.anew()
    said = ", ".join(f"{k} {v}" for k, v in sorted(codes.items(), key=lambda c: -c[1]) if k)
    print(f"# {scene.name}: {len(points)} of {count} points: {tally['done']} done, {tally['refused']} refused, {tally['stopped']} stopped, {anew} with something after a start only ({said}), {findings} findings; {time.monotonic() - began:.0f} s", flush=True)
    assert not findings, f"{findings} findings; one again: HEARTH_TORTURE_SCENES={scene.name} HEARTH_TORTURE_POINT=HOW:N[+]"
    return len(points)
