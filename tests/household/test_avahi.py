"""The system's avahi-daemon: used where one runs, hearthd's own responder otherwise. It comes, is killed, stopped, started, freezes, does not want services of users, and goes with
its bus, while hearthd runs; the sibling on another host sees the device all the while, and is seen."""
from household import run_cases, wait_for
from network import Pair, check, needs

needs("ip", "unshare", "nsenter", "dbus-daemon", "avahi-daemon", "avahi-browse")
p = Pair()
kitchen, attic, system, both_see = p.kitchen, p.attic, p.system, p.both_see
INSTANCE = "hearth-" + kitchen("status")["client"][:8]
OWN, SYSTEM = "hearthd's own responder", "the system's avahi-daemon"


def is_published_by(what):
    wait_for(f"published by {what}", lambda: what in check(kitchen, "discovery")[0]["text"])


def own_responder():
    is_published_by(OWN)
    both_see()


def a_bus_without_a_daemon():
    system.start_bus()
    kitchen.stop()
    kitchen.start()
    is_published_by(OWN)
    both_see()


def the_daemon_comes():
    system.start()
    is_published_by(SYSTEM)
    wait_for("it publishes kitchen", lambda: system.publishes(INSTANCE))
    both_see()


def the_daemon_is_killed():
    system.kill()
    is_published_by(OWN)
    both_see()


def the_daemon_is_restarted():
    system.start()
    is_published_by(SYSTEM)
    for way in (system.stop, system.kill):
        way()
        system.start()
        wait_for("it publishes kitchen again", lambda: system.publishes(INSTANCE))
        both_see()


def hearthd_starts_with_the_daemon():
    kitchen.stop()
    wait_for("the daemon has forgotten kitchen", lambda: not system.publishes(INSTANCE))
    kitchen.start()
    wait_for("it publishes kitchen", lambda: system.publishes(INSTANCE))
    is_published_by(SYSTEM)
    both_see()


def the_daemon_freezes():
    """What it does not answer holds up nothing else; doctor says that nothing is heard."""
    system.freeze(True)
    try:
        assert kitchen("status")["devices"] == 1
        heard = check(kitchen, "discovery")
        assert [c["verdict"] for c in heard] == ["bad"] and "is not heard" in heard[0]["text"] and "avahi-daemon" in heard[0]["remedy"], heard
        kitchen.stop()
        kitchen.start()
        is_published_by(OWN)
    finally:
        system.freeze(False)
    is_published_by(SYSTEM)
    both_see()


def the_daemon_does_not_want_users_services():
    system.stop()
    system.start("[publish]\ndisable-user-service-publishing=yes\n")
    wait_for("it runs", lambda: not system.publishes(INSTANCE))
    is_published_by(OWN)
    both_see()
    system.stop()
    system.start("[publish]\ndisable-publishing=yes\n")
    wait_for("it runs", lambda: not system.publishes(INSTANCE))
    is_published_by(OWN)
    both_see()


def the_bus_goes():
    system.stop()
    system.start()
    is_published_by(SYSTEM)
    for _ in range(2):
        system.end()
        is_published_by(OWN)
        both_see()
        system.start_bus()
        system.start()
        is_published_by(SYSTEM)
        both_see()


cases = [
    ("hearthd's own responder where there is no bus", own_responder), ("and where there is a bus without a daemon", a_bus_without_a_daemon),
    ("the system's avahi-daemon is used once it runs", the_daemon_comes), ("it is killed: hearthd's own goes on", the_daemon_is_killed),
    ("it is stopped, killed and started: published there again", the_daemon_is_restarted), ("it is used from the start where it runs", hearthd_starts_with_the_daemon),
    ("it freezes: nothing else waits for it", the_daemon_freezes), ("it does not publish for users: hearthd's own goes on", the_daemon_does_not_want_users_services),
    ("the bus goes, too, and comes back", the_bus_goes)]

try:
    run_cases(cases)
finally:
    p.end()
