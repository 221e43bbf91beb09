"""A library of many tracks: whoever asks first is told all of it; pages and searches are parts of it; what is on the disk alone is taken in; ending while it is read."""
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from household import BUILD, PROGRAMS, Device, enter_namespace, run_cases, wait_for  # noqa: E402

TRACKS = 3000
enter_namespace()
root = tempfile.mkdtemp(prefix="hearth-test-")
device = Device(root, "kitchen")




def connects():
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(device.socket)
        return True


def first_answer_is_whole():
    """The licenses come from the vault in pages; nobody sees some of them."""
    device.start(wait=False)
    wait_for("the socket is there", connects)
    library = device.library()
    assert len(library) == TRACKS, len(library)
    assert all(t["license"] == "valid" and t["has_body"] for t in library)
    status = device("status")
    assert status["tracks"] == TRACKS and not status["loading"], status


def pages_are_parts():
    library = [t["content"] for t in device.library()]
    titles = [t["title"].lower() for t in device.library()]
    assert titles == sorted(titles)
    pages = []
    for skip in range(0, TRACKS + 1000, 1000):
        pages += [t["content"] for t in device("library", "--limit", "1000", "--skip", str(skip))["library"]]
    assert pages == library
    assert [t["content"] for t in device("library", "--skip", str(TRACKS - 3))["library"]] == library[-3:]
    assert device("library", "--limit", "0")["library"] == []
    device.refused("usage", "library", "--limit", "many")


def searches_find():
    library = device.library()
    for query in ("winter", "VOLUME 12", "players 2", "o. 2999"):
        found = [t["content"] for t in device("library", query)["library"]]
        expected = [t["content"] for t in library if any(query.lower() in t[part].lower() for part in ("title", "creator", "album"))]
        assert found == expected and found, (query, len(found), len(expected))
        assert [t["content"] for t in device("library", query, "--skip", "1", "--limit", "2")["library"]] == expected[1:3]
    assert device("library", "nothing of this kind")["library"] == []


def names_are_found():
    page = device("library", "--limit", "7", "--skip", "700")["library"]
    assert device("show", "3")["content"] == page[2]["content"], "a number of the last listing"
    for track in page:
        assert device("show", track["title"].upper())["content"] == track["content"]
        assert device("show", track["content"][:20])["content"] == track["content"]
        assert device("show", track["content"])["content"] == track["content"]
    device.refused("not-found", "show", "zzzzzzzz")
    device.refused("not-found", "show", "1" * 60)


def the_disk_is_taken_in():
    """A row is lost, a body is lost, a file is nobody's, a damaged one is remembered."""
    library = device.library()
    lost_row, lost_body, damaged = library[0]["content"], library[1]["content"], library[2]["content"]
    device.stop()
    bodies = os.path.join(device.state, "bodies")
    os.unlink(os.path.join(bodies, lost_body + ".body"))
    with open(os.path.join(bodies, "a" * 52 + ".body"), "wb") as f:
        f.write(b"no body at all")
    with sqlite3.connect(os.path.join(device.state, "hearthd.db")) as db:
        ids = {row[0] for row in db.execute("SELECT id FROM content")}
        blob = next(i for i in ids if text_of(i) == lost_row)
        db.execute("DELETE FROM content WHERE id = ?", (blob,))
        db.execute("INSERT INTO damaged (content) VALUES (?)", (next(i for i in ids if text_of(i) == damaged),))
    for _ in range(2):  # the second time the row is there again
        device.start()
        now = {t["content"]: t for t in device.library()}
        assert len(now) == TRACKS
        assert now[lost_row] == dict(library[0], number=now[lost_row]["number"]), now[lost_row]
        assert not now[lost_body]["has_body"] and now[lost_body]["license"] == "valid"
        assert now[damaged]["damaged"] and not now[lost_row]["damaged"]
        device.stop()
    with sqlite3.connect(os.path.join(device.state, "hearthd.db")) as db:
        assert db.execute("SELECT count(*) FROM content WHERE id = ?", (blob,)).fetchone() == (1,)


def text_of(content):
    import base64
    return base64.b32encode(content).decode().lower().rstrip("=")


def ends_while_reading():
    """SIGTERM at several moments of the start; who waits is told."""
    for moment in range(8):
        if os.path.exists(device.socket):
            os.unlink(device.socket)
        device.start(wait=False)
        asking = None
        if moment > 0:
            wait_for("the socket is there", connects)
            asking = [subprocess.Popen([PROGRAMS["hearth"], "--socket", device.socket, "--json", "library"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
                      for _ in range(moment)]
        device.process.child.send_signal(signal.SIGTERM)
        status = device.process.child.wait(30)
        assert status == 0 or (moment == 0 and status == -signal.SIGTERM), (moment, status)  # before it listens to signals
        for child in asking or []:
            assert child.wait(30) in (0, 1, 3)
    device.start()
    assert len(device.library()) == TRACKS


try:
    subprocess.run([os.path.join(BUILD, "tests", "daemon", "fill-library"), device.state, str(TRACKS)], check=True, env=dict(os.environ, HEARTH_VAULT=PROGRAMS["hearth-vault"]))
    run_cases([(f.__name__.replace("_", " "), f) for f in (first_answer_is_whole, pages_are_parts, searches_find, names_are_found, the_disk_is_taken_in, ends_while_reading)])
finally:
    if device.process:
        device.process.kill()
    shutil.rmtree(root, ignore_errors=True)
