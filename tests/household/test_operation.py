#!/usr/bin/python3
"""What an operator does with a running distributor: figures for a scraper, the log of one request, quotas, reload and stop. Backups: test_backup.py."""
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import threading
import time

import openmetrics
from household import PROGRAMS, Household, Process, Refused, enter_namespace, free_port, make_track, run_cases, wait_for

enter_namespace()
h = Household()
metrics_port = free_port()
config = os.path.join(h.root, "aurora.conf")
SOCKET = os.path.join(h.aurora.dir, "console.sock")


def configure(*lines, **limits):
    with open(config + ".new", "w") as f:
        f.write("[server]\nlisten = 127.0.0.1:%d\n[metrics]\nlisten = 127.0.0.1:%d\n[log]\nformat = json\nrequests = all\n[limits]\n" % (h.aurora.port, metrics_port))
        f.writelines(f"{name.replace('_', '-')} = {v}\n" for name, v in limits.items())
        f.writelines(line + "\n" for line in lines)
    os.rename(config + ".new", config)


def serve():
    h.aurora.process = Process([PROGRAMS["hearth-distributor"], "--state-dir", h.aurora.dir, "--config", config, "serve"], h.aurora.log)
    wait_for("aurora listens", h.aurora.reachable)


h.aurora.stop()
configure()
serve()
kitchen = h.device("kitchen", h.aurora, "alice")
wrong = os.path.join(h.root, "wrong")
with open(wrong, "w") as f:
    f.write("not the password\n")
track = h.publish(make_track(os.path.join(h.root, "one.flac"), 2, seed=11), "--price", "1", "--copy-price", "1")


def scrape(path="/metrics", method="GET", port=metrics_port):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request(method, path)
    answer = connection.getresponse()
    body = answer.read().decode()
    connection.close()
    return answer.status, answer.headers, body


def figures():
    status, headers, text = scrape()
    assert status == 200 and headers["Content-Type"] == "application/openmetrics-text; version=1.0.0; charset=utf-8"
    return openmetrics.parse(text)


def lines_of_log():
    """Those of the current run: JSON, one a line."""
    found = []
    with open(h.aurora.log) as f:
        for line in f:
            if line.startswith("{"):
                found.append(json.loads(line))
    return found


def a_wrong_password():
    kitchen.refused("bad-credentials", "login", "aurora", "--password-file", wrong)


def the_reader_is_strict():
    good = "# TYPE a counter\n# HELP a x\na_total 1\n# EOF\n"
    openmetrics.parse(good)
    for bad in ("", "# EOF", good[:-1], good.replace("a_total", "a"), good.replace(" 1\n", "  1\n"), good.replace(" 1\n", " -1\n"), good.replace(" 1\n", " 1\n\n"),
                good.replace("# HELP a x\n", ""), good.replace("a_total 1\n", "a_total 1\na_total 1\n"), good.replace("# EOF\n", "# EOF\n# EOF\n"),
                good.replace("a_total 1\n", 'a_total{b="c",} 1\n'), good.replace("a_total 1\n", 'a_total{b="c" 1\n'), good.replace("counter", "count"),
                "# TYPE h histogram\n# HELP h x\nh_bucket{le=\"1.0\"} 2\nh_bucket{le=\"+Inf\"} 1\nh_count 1\nh_sum 1\n# EOF\n",
                "# TYPE g_s gauge\n# UNIT g_s seconds\n# HELP g_s x\ng_s 1\n# EOF\n"):
        try:
            openmetrics.parse(bad)
        except openmetrics.Malformed:
            continue
        raise AssertionError(f"taken: {bad!r}")


def figures_for_a_scraper():
    before = figures()
    kitchen("get", track, "--yes")
    a_wrong_password()
    after = wait_for("the purchase is counted", lambda: (f := figures()) and openmetrics.value(f, "hearth_requests", "_total", kind="transact", outcome="answered") >= 1 and f)
    assert openmetrics.value(after, "hearth_requests", "_total", kind="login", outcome="refused") >= 1
    assert openmetrics.value(after, "hearth_refusals", "_total", reason="bad-credentials") >= 1
    rose = lambda name, suffix="_total", **labels: openmetrics.value(after, name, suffix, **labels) - openmetrics.value(before, name, suffix, **labels)
    assert rose("hearth_requests", kind="transact", outcome="answered") == 1
    assert rose("hearth_licenses_issued") == 1 and rose("hearth_ledger_postings") == 1 and rose("hearth_ledger_entries") == 2
    assert openmetrics.value(after, "hearth_connections", peer="device") == 1
    assert openmetrics.value(after, "hearth_request_duration_seconds", "_count", kind="transact") >= 1
    assert openmetrics.value(after, "hearth_database_commit_duration_seconds", "_count", thread="writer") > 0
    assert openmetrics.value(after, "hearth_database_batch_size", "_count", thread="writer") > 0
    assert openmetrics.value(after, "hearth_up") == 1
    wait_for("the directory and boreal are there", lambda: openmetrics.value(figures(), "hearth_directory_connected") == 1 and
             openmetrics.value(figures(), "hearth_grant_end_time_seconds", partner="boreal"))
    after = figures()
    year = 365 * 86400
    for name, labels in (("hearth_keyset_end_time_seconds", {}), ("hearth_key_end_time_seconds", {"purpose": "tls"}),
                         ("hearth_key_end_time_seconds", {"purpose": "license"})):
        assert 0 < openmetrics.value(after, name, **labels) - time.time() < 20 * year, name
    for name in ("hearth_delegation_end_time_seconds", "hearth_grant_end_time_seconds"):
        assert openmetrics.value(after, name, partner="boreal") > time.time(), name
    wait_for("all rows are with the directory", lambda: openmetrics.value(figures(), "hearth_outbox_waiting") == 0)


def only_what_there_is():
    for path, method, status in (("/", "GET", 404), ("/metricsx", "GET", 404), ("/reload", "POST", 403), ("/metrics", "DELETE", 405), ("/metrics?x=1", "GET", 200)):
        assert scrape(path, method)[0] == status, path
    assert os.stat(SOCKET).st_mode & 0o777 == 0o600
    slow = [socket.create_connection(("127.0.0.1", metrics_port)) for _ in range(16)]  # whoever says nothing keeps nobody out for long
    wait_for("figures are told again", lambda: scrape()[0] == 200)
    for s in slow:
        s.close()


def the_command():
    done = subprocess.run([PROGRAMS["hearth-distributor"], "--state-dir", h.aurora.dir, "stats", "--openmetrics"], capture_output=True, text=True, check=True)
    assert openmetrics.value(openmetrics.parse(done.stdout), "hearth_up") == 1
    h.boreal.stop()
    done = subprocess.run([PROGRAMS["hearth-distributor"], "--state-dir", h.boreal.dir, "stats", "--openmetrics"], capture_output=True, text=True, check=True)
    f = openmetrics.parse(done.stdout)
    assert openmetrics.value(f, "hearth_up") == 0 and openmetrics.value(f, "hearth_keyset_sequence") >= 1
    h.boreal.start()


def one_request_in_the_log():
    a_wrong_password()
    found = [line for line in lines_of_log() if line["message"] in ("refused", "answered")]
    assert any((line["message"], line["kind"], line.get("reason")) == ("refused", "login", "bad-credentials") and line["peer"] for line in found)
    assert not [line for line in lines_of_log() if re.search(r"(^| )[a-z_-]+=", line["message"])], "each pair is a field"
    rotated = subprocess.run([PROGRAMS["hearth-distributor"], "--state-dir", h.aurora.dir, "keys", "rotate", "tls", "roster"], capture_output=True, text=True, check=True)
    assert re.findall(r"purpose=(\S+)", rotated.stderr) == ["tls", "roster"], rotated
    assert all(re.match(r"[0-9a-f]{16}\Z", line["request"]) for line in found)
    assert len({line["request"] for line in found}) == len(found)


def what_is_our_fault_names_the_request():
    code = h.device("bedroom", h.boreal, "alina")("link")["url"]
    h.boreal.stop()
    refusal = kitchen.refused("offline", "link", code)
    h.boreal.start()
    request = re.search(r"\(request ([0-9a-f]{16})\)", refusal.message).group(1)
    assert any(line.get("request") == request and line.get("kind") == "link" for line in lines_of_log())


def a_quota_says_when_to_come_back():
    configure(account_requests_per_minute=30)
    assert "read again" in h.aurora.admin("reload")["reloaded"]
    refusal = None
    for _ in range(60):
        try:
            kitchen("browse")
        except Refused as error:
            refusal = error
            break
    assert refusal and refusal.code == "rate-limited" and re.search(r"Come back in [0-9]+ s", refusal.message), refusal
    f = figures()
    assert openmetrics.value(f, "hearth_over_quota", "_total", of="account") >= 1 and openmetrics.value(f, "hearth_refusals", "_total", reason="rate-limited") >= 1
    assert openmetrics.value(f, "hearth_connections", peer="device") == 1  # it is still connected
    kitchen.stop()
    kitchen.start()  # where its vault stands is said all the same
    kitchen.refused("rate-limited", "browse")
    configure()
    h.aurora.admin("reload")
    kitchen("get", h.publish(make_track(os.path.join(h.root, "two.flac"), 2, seed=12), "--price", "1"), "--yes")


def times_connected():
    """How often kitchen has come to aurora. Partners and the directory come and go by themselves: what aurora has accepted says nothing of it."""
    done = subprocess.run([PROGRAMS["hearth"], "--socket", kitchen.socket, "--json", "events"], capture_output=True, text=True, timeout=60, check=True)
    return done.stdout.count('"distributor-online"')


def reload_loses_no_connection():
    before = times_connected()
    configure(idle_seconds=60, connections=77)
    said = h.aurora.admin("reload")["reloaded"]
    assert "limits connections" in said and "next start" in said, said
    configure("idle-seconds = 1")
    try:
        h.aurora.admin("reload")
        raise AssertionError("a mistake was taken")
    except Refused as error:
        assert error.code == "malformed" and "stays" in error.message, error
    configure()
    taken = openmetrics.value(figures(), "hearth_reloads", "_total", outcome="taken")
    h.aurora.process.child.send_signal(signal.SIGHUP)
    wait_for("SIGHUP does the same", lambda: openmetrics.value(figures(), "hearth_reloads", "_total", outcome="taken") == taken + 1)
    kitchen("browse")
    assert times_connected() == before > 0 and openmetrics.value(figures(), "hearth_connections", peer="device") == 1


def a_graceful_stop():
    """While devices ask: every answer is whole, the process exits with 0 in time, devices hear why, and come back by themselves."""
    ended = threading.Event()
    results = []

    def ask():
        while not ended.is_set():
            try:
                kitchen("browse")
                results.append("done")
            except Refused as error:
                results.append(error.code)
    asking = threading.Thread(target=ask)
    asking.start()
    wait_for("it asks", lambda: len(results) > 3)
    began = time.monotonic()
    h.aurora.process.child.send_signal(signal.SIGTERM)
    assert h.aurora.process.child.wait(15) == 0 and time.monotonic() - began < 12
    ended.set()
    asking.join()
    assert set(results) <= {"done", "offline", "timed-out"}, set(results)
    assert not os.path.exists(SOCKET)
    assert any("stopped" == line["message"] for line in lines_of_log()[-3:])
    try:
        h.aurora.admin("reload")
        raise AssertionError("nobody runs")
    except Refused as error:
        assert error.code == "offline"
    serve()
    wait_for("kitchen is back", lambda: kitchen("browse"), 40)


def a_second_signal_ends_at_once():
    h.aurora.process.child.send_signal(signal.SIGSTOP)  # both wait for it
    h.aurora.process.child.send_signal(signal.SIGTERM)
    h.aurora.process.child.send_signal(signal.SIGINT)
    began = time.monotonic()
    h.aurora.process.child.send_signal(signal.SIGCONT)
    assert h.aurora.process.child.wait(5) in (0, 1) and time.monotonic() - began < 5
    serve()
    assert h.aurora.admin("ledger", "check")
    wait_for("kitchen is back", lambda: kitchen("browse"), 40)


def whoever_holds_the_scrapers_places_does_not_silence_the_operator():
    held = []
    while len(held) < 16:  # all that there are
        held.append(socket.create_connection(("127.0.0.1", metrics_port), 5))
    over = socket.create_connection(("127.0.0.1", metrics_port), 5)
    assert over.recv(1) == b"", "the next one is hung up on"
    assert "read again" in h.aurora.admin("reload")["reloaded"]
    for connection in held + [over]:
        connection.close()
    wait_for("scrapers are served again", lambda: scrape()[0] == 200)


run_cases([
    ("the tests' reader of OpenMetrics is strict", the_reader_is_strict),
    ("a scraper reads figures that moved by what was done", figures_for_a_scraper),
    ("nothing else is told, nobody is kept out", only_what_there_is),
    ("who holds the scrapers' places does not silence the operator", whoever_holds_the_scrapers_places_does_not_silence_the_operator),
    ("stats --openmetrics, with a server and without", the_command),
    ("one request has one ID in the log", one_request_in_the_log),
    ("what goes wrong on the distributor's side names the request", what_is_our_fault_names_the_request),
    ("a quota refuses with when to come back", a_quota_says_when_to_come_back),
    ("reload loses no connection and says what stays", reload_loses_no_connection),
    ("a graceful stop", a_graceful_stop),
    ("a second signal ends at once", a_second_signal_ends_at_once),
])
