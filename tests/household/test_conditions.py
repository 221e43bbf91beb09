#!/usr/bin/python3
"""Every use condition of Fig. 12 that plays, lends, renews or sells: each kept at its edge, and broken. What must be stored is looked up here
in the tables of the distributor, with statements of this test's own. docs/USE-CONDITIONS.md says who enforces what."""
import os
import shutil
import sqlite3
import time

from household import Household, Refused, enter_namespace, make_track, run_cases, wait_for
from timetravel import DAY, FAKETIME, Clock

enter_namespace()
if not os.path.exists(FAKETIME):
    print("1..0 # SKIP libfaketime is not installed")
    raise SystemExit(0)
import tempfile

root = tempfile.mkdtemp(prefix="hearth-test-")
clock = Clock(root)
h = Household(root).settle()
processes = [h.directory, h.aurora, h.boreal, h.kitchen, h.attic, h.bedroom]
number = iter(range(10, 100))


def sql(statement, *values, at=None):
    db = sqlite3.connect(f"file:{os.path.join((at or h.aurora).dir, 'operations.db')}?mode=ro", uri=True)
    try:
        return db.execute(statement, values).fetchall()
    finally:
        db.close()


def spent():
    return -(sql("SELECT coalesce(sum(amount), 0) FROM ledger WHERE account = 'user:alice'")[0][0])


def even():
    assert sql("SELECT coalesce(sum(amount), 0) FROM ledger") == [(0,)]
    assert sql("SELECT posting FROM ledger GROUP BY posting HAVING sum(amount) <> 0") == []


def song(*options, seconds=2):
    return h.publish(make_track(os.path.join(root, f"song{next(number)}.flac"), seconds, seed=next(number)), *options)


def later(days):
    clock.go(processes, days)
    wait_for("everybody is back", lambda: all(d("status")["distributors_online"] == 1 for d in processes[3:]), 40)


def id_hex(text):
    """Lower-case base32 without padding, as IDs are written."""
    import base64
    return base64.b32decode(text.upper() + "=" * (-len(text) % 8)).hex()


def plays():
    one = song("--price", "1", "--max-plays", "2", "--renew-price", "0.50", "--name", "Two plays")
    h.kitchen("get", one, "--yes")
    for i in (1, 2):
        assert h.kitchen.digest(one)
        wait_for("the play is counted", lambda: h.kitchen.track(one)["plays"] == i)
    h.kitchen.refused("use-exhausted", "play", one, "--output", "digest")
    assert h.kitchen.track(one)["license"] == "used-up"
    h.kitchen.stop()
    h.kitchen.start()
    h.kitchen.refused("use-exhausted", "play", one, "--output", "digest")  # the vault remembers, not hearthd
    before = spent()
    assert h.kitchen("renew", one, "--yes")["conditions"]["max_plays"] == 4
    assert spent() == before + 50
    assert sql("SELECT kind, text FROM posting ORDER BY number DESC LIMIT 1")[0][0] == 3
    assert h.kitchen.digest(one)
    wait_for("the play is counted", lambda: h.kitchen.track(one)["plays"] == 3)
    even()


def a_player_that_never_starts_costs_no_play():
    one = song("--price", "1", "--max-plays", "1", "--name", "One play")
    h.kitchen("get", one, "--yes")
    body = os.path.join(h.kitchen.state, "bodies", one + ".body")
    shutil.copy(body, body + ".kept")
    with open(body, "r+b") as f:  # what stands before the blocks stays: nothing can be opened, which only the player finds
        f.seek(4096)
        f.write(os.urandom(os.path.getsize(body) - 4096))
    h.kitchen.refused("block-corrupt", "play", one, "--output", "digest")
    shutil.move(body + ".kept", body)
    assert h.kitchen.digest(one)
    wait_for("the play is counted", lambda: h.kitchen.track(one)["plays"] == 1)
    h.kitchen.refused("use-exhausted", "play", one, "--output", "digest")


def playing_time():
    one = song("--price", "1", "--play-time", "5s", "--name", "Five seconds", seconds=4)
    h.kitchen("get", one, "--yes")
    assert h.kitchen.digest(one)
    wait_for("the time is counted", lambda: h.kitchen.track(one)["play_ms"] >= 3990)
    h.kitchen.refused("use-exhausted", "play", one, "--output", "digest")  # one second of it, then no more blocks
    wait_for("all of it is used", lambda: h.kitchen.track(one)["play_ms"] == 5000)
    h.kitchen.refused("use-exhausted", "play", one, "--output", "digest")
    h.kitchen.refused("not-permitted", "renew", one, "--yes")  # not renewable


def ownership():
    one = song("--price", "1", "--max-plays", "1", "--own-price", "3", "--name", "Try, then own")
    h.kitchen("get", one, "--yes")
    h.kitchen.digest(one)
    wait_for("the play is counted", lambda: h.kitchen.track(one)["plays"] == 1)
    h.kitchen.refused("use-exhausted", "play", one, "--output", "digest")
    before = spent()
    owned = h.kitchen("own", one, "--yes")
    assert "max_plays" not in owned["conditions"] and "own_price" not in owned["conditions"]
    assert spent() == before + 300 and sql("SELECT kind FROM posting ORDER BY number DESC LIMIT 1") == [(4,)]
    for _ in range(3):
        assert h.kitchen.digest(one)
    h.kitchen.refused("not-permitted", "own", one, "--yes")
    h.kitchen.refused("already", "renew", one, "--yes")
    assert spent() == before + 300
    even()


def options():
    one = song("--price", "1", "--max-copies", "1", "--copy-depth", "1", "--name", "With options")
    product = sql("SELECT product FROM content_product WHERE lower(hex(content)) = ?", id_hex(one))[0][0]
    h.aurora.admin("product", "option", "add", str(product), "--name", "One more copy", "--price", "0.20", "--copies", "1")
    h.aurora.admin("product", "option", "add", str(product), "--name", "CD", "--price", "0.30", "--record")
    h.aurora.admin("product", "option", "add", str(product), "--name", "Lend it", "--price", "0.10", "--checkouts", "2")
    h.aurora.admin("product", "option", "withdraw", str(product), "2")
    before = spent()
    h.kitchen.refused("quote-changed", "get", one, "--yes", "--with", "2")  # off sale
    h.kitchen.refused("quote-changed", "get", one, "--yes", "--with", "9")
    try:
        h.kitchen("get", one, "--yes", "--with", "3,1")
        raise AssertionError("options out of order")
    except Refused as refusal:
        assert refusal.status == 2
    got = h.kitchen("get", one, "--yes", "--with", "1,3")
    assert spent() == before + 130
    assert (got["conditions"]["max_copies"], got["conditions"]["max_checkouts"], got["conditions"]["record"]) == (2, 2, False)
    assert sql("SELECT max_copies, max_checkouts, record FROM license WHERE lower(hex(content)) = ?", id_hex(one)) == [(2, 2, 0)]
    even()


def checkouts():
    one = song("--price", "1", "--max-checkouts", "2", "--max-plays", "5", "--max-copies", "0", "--copy-depth", "0", "--name", "To lend")
    h.kitchen("get", one, "--yes")
    h.kitchen.refused("not-permitted", "checkin", one)
    before = spent()
    reference = h.kitchen.digest(one)
    for round_ in (1, 2):
        h.kitchen("checkout", one, "--to", "bedroom")
        wait_for("bedroom has it", lambda: h.bedroom.track(one)["license"] == "valid")
        assert h.bedroom.track(one)["lender"] == "kitchen"
        assert h.bedroom.digest(one) == reference
        wait_for("kitchen gave it up", lambda: h.kitchen.track(one)["license"] == "surrendered")
        h.kitchen.refused("in-use", "play", one, "--output", "digest")
        for device, command in ((h.bedroom, ("copy", one, "--to", "attic")), (h.bedroom, ("move", one, "--to", "attic"))):
            try:
                device(*command)
                raise AssertionError(f"{command} of what is checked out")
            except Refused as refusal:
                assert refusal.code in ("not-permitted", "not-registered", "copy-count-exhausted"), refusal
        wait_for("the issuer knows", lambda: sql("SELECT state FROM license WHERE lower(hex(content)) = ? AND lender IS NULL", id_hex(one)) == [(7,)])
        assert sql("SELECT checkouts FROM license WHERE lower(hex(content)) = ? AND lender IS NULL", id_hex(one)) == [(round_,)]
        h.bedroom("checkin", one)
        wait_for("kitchen has it again", lambda: h.kitchen.track(one)["license"] == "valid")
        assert h.kitchen.digest(one) == reference
        wait_for("bedroom gave it up", lambda: h.bedroom.track(one)["license"] == "surrendered")
        h.bedroom.refused("no-license", "play", one, "--output", "digest")
        wait_for("the issuer knows", lambda: sql("SELECT state FROM license WHERE lower(hex(content)) = ? AND lender IS NULL", id_hex(one)) == [(1,)])
    # five plays: one and one each round here, one each round there
    wait_for("all plays are used", lambda: h.kitchen.track(one)["license"] == "used-up")
    h.kitchen.refused("copy-count-exhausted", "checkout", one, "--to", "bedroom")
    assert spent() == before  # lending has the price of a copy: none here
    even()


def use_log():
    one = song("--price", "1", "--use-log", "--name", "Logged")
    h.kitchen("get", one, "--yes")
    before = len(h.kitchen("use-log")["uses"])
    h.kitchen.digest(one)
    wait_for("it has reached the issuer", lambda: h.kitchen("use-log")["uses"][0]["sent"])
    uses = h.kitchen("use-log")["uses"]
    assert len(uses) == before + 1 and uses[0]["content"] == one and uses[0]["issuer_name"] == "aurora"
    assert 1990 <= uses[0]["play_ms"] <= 2100
    assert len(sql("SELECT 1 FROM use_log WHERE account = 'alice' AND lower(hex(content)) = ?", id_hex(one))) == 1
    assert h.aurora.admin("use-log", "alice")["uses"][-1]["title"]
    h.aurora.stop()
    h.kitchen.digest(one)
    h.kitchen.digest(one)
    assert [u["sent"] for u in h.kitchen("use-log")["uses"][:2]] == [False, False]
    h.kitchen.kill()
    h.kitchen.start()
    h.aurora.start()
    wait_for("what was kept back is brought", lambda: all(u["sent"] for u in h.kitchen("use-log")["uses"]), 40)
    assert [n for n, in sql("SELECT number FROM use_log ORDER BY client, number")] == [1, 2, 3]


def a_copy_is_renewed_at_its_issuer():
    """bedroom is boreal's; the license in its copy certificate is aurora's: renewed there, charged to the linked account."""
    one = song("--price", "1", "--max-plays", "1", "--renew-price", "0.75", "--max-copies", "2", "--copy-depth", "1", "--name", "One play, renewable")
    h.kitchen("get", one, "--yes")
    h.kitchen("copy", one, "--to", "bedroom")
    wait_for("bedroom has it", lambda: h.bedroom.track(one)["license"] == "valid")
    assert h.bedroom.digest(one)
    wait_for("the play is counted", lambda: h.bedroom.track(one)["plays"] == 1)
    h.bedroom.refused("use-exhausted", "play", one, "--output", "digest")
    wait_for("the issuer knows", lambda: sql("SELECT count(*) FROM license WHERE lower(hex(content)) = ? AND distributor <> 1", id_hex(one)) == [(1,)])
    before = spent()
    assert h.bedroom("renew", one, "--yes")["conditions"]["max_plays"] == 2
    assert spent() == before + 75
    assert h.bedroom.digest(one)
    wait_for("the play is counted", lambda: h.bedroom.track(one)["plays"] == 2)
    h.bedroom.refused("use-exhausted", "play", one, "--output", "digest")
    h.bedroom.stop()  # aurora has moved since
    db = sqlite3.connect(os.path.join(h.bedroom.state, "hearthd.db"))
    assert db.execute("UPDATE account SET address = '127.0.0.1:9' WHERE guest = 1").rowcount == 1
    db.commit()
    db.close()
    h.bedroom.start()
    assert h.bedroom("renew", one, "--yes")["conditions"]["max_plays"] == 3
    assert [a["name"] for a in h.bedroom("accounts")["accounts"] if not a["linked"]] == ["boreal"]  # a guest has no account there
    even()


def periods():
    """Usage period renewed before and after its end, and too late; the download period, which the vault judges."""
    early = song("--price", "1", "--usage-days", "10", "--renew-price", "0.40", "--renew-late", "5d", "--name", "Ten days")
    now_ms = int((time.time() + clock.offset) * 1000)
    by = str(now_ms + 3 * DAY * 1000)
    in_time = song("--price", "1", "--download-until-ms", by, "--name", "Download soon")
    bought_only = song("--price", "1", "--download-until-ms", by, "--name", "Download soon")
    h.kitchen("get", early, "--yes")
    h.kitchen("get", in_time, "--yes")
    h.kitchen("get", bought_only, "--yes", "--license-only")
    h.attic("get", bought_only, "--yes", "--again")
    first = h.kitchen("show", early)["conditions"]["usage_until_ms"]
    assert h.kitchen("renew", early, "--yes")["conditions"]["usage_until_ms"] == first + 10 * DAY * 1000
    later(4)
    assert h.kitchen.digest(in_time)  # it was here in time
    h.kitchen.refused("outside-download-period", "get", bought_only, "--download-only")
    name = bought_only + ".body"  # as from any static server
    shutil.copy(os.path.join(h.attic.state, "bodies", name), os.path.join(h.kitchen.state, "bodies", name))
    h.kitchen.stop()
    h.kitchen.start()
    wait_for("it is listed", lambda: h.kitchen.track(bought_only)["has_body"])
    h.kitchen.refused("outside-download-period", "play", bought_only, "--output", "digest")
    later(18)  # day 22: two after the end
    h.kitchen.refused("license-expired", "play", early, "--output", "digest")
    before = spent()
    renewed = h.kitchen("renew", early, "--yes")["conditions"]["usage_until_ms"]
    assert abs(renewed - (int((time.time() + clock.offset) * 1000) + 10 * DAY * 1000)) < 120000  # from now, not from the end
    assert h.kitchen.digest(early) and spent() == before + 40
    later(16)  # day 38: six after the end
    h.kitchen.refused("license-expired", "renew", early, "--yes")
    assert spent() == before + 40
    h.kitchen("get", early, "--yes")  # bought again it is
    assert h.kitchen.digest(early)
    even()


def lease():
    """R3: it sleeps when its lease ends, wakes when it was refreshed, goes to another device when it was returned, or never was."""
    one = song("--price", "1", "--lease", "4d", "--lease-grace", "1d", "--name", "Leased")
    h.kitchen("get", one, "--yes")
    assert spent() and h.kitchen.digest(one)
    h.kitchen.refused("not-permitted", "copy", one, "--to", "attic")
    h.kitchen.refused("not-permitted", "move", one, "--to", "attic")
    h.attic.refused("already", "get", one, "--yes")
    h.attic.refused("no-license", "restore", one)
    first = h.kitchen("show", one)["lease"]["until_ms"]
    later(3)  # more than half of it is over: refreshed in the background
    wait_for("it is refreshed by itself", lambda: h.kitchen("show", one)["lease"]["until_ms"] > first + 2 * DAY * 1000)
    assert h.kitchen.digest(one)
    h.aurora.stop()
    h.kitchen.stop()
    clock.set(clock.offset + int(4.5 * DAY))
    h.kitchen.start()
    assert h.kitchen.digest(one)  # grace: the distributor cannot be reached
    h.kitchen.stop()
    clock.set(clock.offset + DAY)
    h.kitchen.start()
    h.kitchen.refused("lease-ended", "play", one, "--output", "digest")
    assert h.kitchen.track(one)["license"] == "asleep"
    h.aurora.start()
    wait_for("it wakes by itself", lambda: h.kitchen.track(one)["license"] == "valid", 40)
    assert h.kitchen.digest(one)
    later(0)
    before = spent()
    h.kitchen("return", one)
    h.kitchen.refused("no-license", "play", one, "--output", "digest")
    assert sql("SELECT state FROM license WHERE lower(hex(content)) = ?", id_hex(one)) == [(6,)]
    assert [t["content"] for t in h.attic("restore")["tracks"]] == []  # nobody takes it without naming it
    h.attic("restore", one)
    assert h.attic.digest(one) and spent() == before
    h.kitchen.refused("no-license", "restore", one)
    h.attic.stop()  # it never returns: the right is free when its lease is over
    clock.go([p for p in processes if p is not h.attic], 6)
    h.kitchen("restore", one)
    assert h.kitchen.digest(one) and spent() == before
    h.attic.start()
    h.attic.refused("lease-ended", "play", one, "--output", "digest")
    refusal = h.attic.refused("no-license", "refresh", one)
    assert "another device" in refusal.message
    assert sorted(s for s, in sql("SELECT state FROM license WHERE lower(hex(content)) = ?", id_hex(one))) == [1, 3]
    even()


run_cases([
    ("plays are counted by the vault, and renewed", plays),
    ("a play of which nothing was heard is none", a_player_that_never_starts_costs_no_play),
    ("playing time ends in the middle of a track", playing_time),
    ("a license becomes ownership for its price", ownership),
    ("the buyer adds options of the product", options),
    ("checkouts, and what is checked out", checkouts),
    ("a use log is kept, brought and shown", use_log),
    ("a license from a copy certificate is renewed at its issuer", a_copy_is_renewed_at_its_issuer),
    ("usage period and download period", periods),
    ("a lease sleeps, wakes, is returned, and comes free", lease),
])
