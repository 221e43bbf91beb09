"""How fast playing answers, and what decryption costs. Called by scripts/bench; HEARTH_BUILD is a release build.

Start: from the command to the first sound at the output; once with a license that counts (locked durably before the first block) and metadata to be judged. Seek: from the command to sound from there. Decryption: processor time of the vault for a
whole FLAC file, beside that of decoding it (flac -t, which does nothing else; and mpv, whose decoder the player uses)."""
import json
import os
import random
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tests", "household"))
from household import PROGRAMS, Device, Distributor, wait_for  # noqa: E402
from figures import figure  # noqa: E402

ROUNDS = int(os.environ.get("HEARTH_BENCH_ROUNDS", "5"))
os.environ["HEARTH_LOG"] = "warn"
root = tempfile.mkdtemp(prefix="playback-", dir=os.environ.get("HEARTH_BENCH_DIR"))


def milliseconds(values):
    return f"median {1000 * statistics.median(values):6.1f} ms, worst {1000 * max(values):6.1f} ms"


def start(track):
    """Seconds until the first sound; ends it again."""
    began = time.monotonic()
    child = subprocess.Popen([PROGRAMS["hearth"], "--socket", device.socket, "--json", "play", track, "--output", "silent", "--follow"], stdin=subprocess.DEVNULL,
                             stdout=subprocess.PIPE)
    for line in child.stdout:
        if json.loads(line)["state"] == "playing":
            break
    took = time.monotonic() - began
    time.sleep(1)  # nobody hears less of a track; the next player loads meanwhile
    device("stop")
    child.stdout.read()
    child.wait()
    return took


def cold_start(track):
    device.stop()
    device.start()
    return start(track)


def seek(duration_s):
    place = f"{random.uniform(1, duration_s - 10):.1f}"
    began = time.monotonic()
    subprocess.run([PROGRAMS["hearth"], "--socket", device.socket, "--json", "seek", place], check=True, stdout=subprocess.DEVNULL)
    return time.monotonic() - began


def processor(pid):
    fields = open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def processor_of(argv):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(argv, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def decryption(track, path):
    vault = device.vault_pid()
    before = processor(vault)
    for _ in range(4 * ROUNDS):  # the kernel counts in hundredths of a second
        device("play", track, "--output", "null")
    used = (processor(vault) - before) / (4 * ROUNDS)
    flac = statistics.median(processor_of(["flac", "-t", "-s", path]) for _ in range(3))
    mpv = statistics.median(processor_of(["mpv", "--no-config", "--no-video", "--ao=null", "--ao-null-untimed", path]) for _ in range(3))
    print(f"decryption   vault {used:.4f} s for {os.path.getsize(path) / 2**20:.0f} MiB of FLAC; flac -t {flac:.3f} s: {100 * used / flac:.1f} %; mpv {mpv:.3f} s: {100 * used / mpv:.1f} %  (at most 5 %)")
    figure("what decryption costs, of what decoding costs", 100 * used / flac, "%", "most", 5, f"flac -t {flac:.2f} CPU s, vault {used:.4f} CPU s")


def with_metadata(aurora, path):
    """The same song under a license that counts, with chapters, lyrics and a cover."""
    track = aurora.admin("publish", path, "--title", "Counted", "--price", "1", "--max-plays", "1000")["published"][0]["content"]
    device("get", track, "--yes")
    parts = {"chapters": "".join(f"{i:02d}:00 Chapter {i}\n" for i in range(10)), "lyrics": "".join(f"[{i // 60:02d}:{i % 60:02d}.00]Line {i}\n" for i in range(0, 600, 5))}
    args = []
    for kind, text in parts.items():
        with open(os.path.join(root, kind), "w", encoding="utf-8") as f:
            f.write(text)
        args += ["--" + kind, f.name]
    cover = os.path.join(root, "cover.jpg")
    subprocess.run(["ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc2=s=600x600:d=1", "-frames:v", "1", cover], check=True, stdin=subprocess.DEVNULL)
    signed = os.path.join(root, "counted.metadata")
    aurora.admin("metadata", "sign", "--content", track, "--own", "--out", signed, *args, "--cover", cover)
    assert device("metadata", "add", track, signed)["permitted"]
    return track


try:
    aurora = Distributor(root, "aurora")
    password = aurora.user("alice")
    aurora.start()
    device = Device(root, "kitchen").start()
    device.register(aurora, "alice", password)
    path = os.path.join(root, "long.flac")
    # tones, their beats and some noise: about as dense as music
    wave = "aevalsrc=0.4*sin(2*PI*t*220)*sin(2*PI*t*0.7)+0.2*sin(2*PI*t*1370)+0.02*(random(1)-0.5)|0.4*sin(2*PI*t*331)*sin(2*PI*t*0.9)+0.02*(random(2)-0.5):s=44100:d=600"
    subprocess.run(["ffmpeg", "-v", "error", "-f", "lavfi", "-i", wave, "-sample_fmt", "s16", path], check=True, stdin=subprocess.DEVNULL)
    track = aurora.admin("publish", path, "--title", "Long", "--price", "1")["published"][0]["content"]
    device("get", track, "--yes")
    cold = [cold_start(track) for _ in range(ROUNDS)]
    print(f"start, cold  {milliseconds(cold)}  (100 ms; right after hearthd has started)")
    figure("from `hearth play` to the sound, right after hearthd has started, worst", 1000 * max(cold), "ms", "most", 100, f"median {1000 * statistics.median(cold):.1f} ms")
    start(track)
    warm = [start(track) for _ in range(3 * ROUNDS)]
    print(f"start        {milliseconds(warm)}  (100 ms; after something was played)")
    figure("the same after something was played, worst", 1000 * max(warm), "ms", "most", 100, f"median {1000 * statistics.median(warm):.1f} ms")
    counted = with_metadata(aurora, path)
    print(f"start, counted, with metadata  {milliseconds([start(counted) for _ in range(3 * ROUNDS)])}  (100 ms)")
    device("play", track, "--output", "silent", "--background")
    wait_for("it plays", lambda: device("now")["state"] == "playing")
    seeks = [seek(600) for _ in range(5 * ROUNDS)]
    print(f"seek         {milliseconds(seeks)}  (50 ms)")
    figure("to another place of the track, worst", 1000 * max(seeks), "ms", "most", 50, f"median {1000 * statistics.median(seeks):.1f} ms")
    device("stop")
    decryption(track, path)
finally:
    device.kill()
    aurora.kill()
    shutil.rmtree(root, ignore_errors=True)
