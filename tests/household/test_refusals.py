#!/usr/bin/python3
"""Every refusal by its reason code, through the real programs, changing nothing."""
import os
import shutil
import struct

from household import PROGRAMS, Household, Refused, enter_namespace, make_track, run_cases, wait_for

enter_namespace()
h = Household().settle(stranger=True)
OPTIONS = ("--price", "100", "--copy-price", "0", "--max-copies", "50", "--copy-depth", "1", "--max-removable", "50")
one = h.publish(make_track(os.path.join(h.root, "one.flac"), 3, seed=1), *OPTIONS)
two = h.publish(make_track(os.path.join(h.root, "two.flac"), 3, seed=2), *OPTIONS)
scarce = h.publish(make_track(os.path.join(h.root, "scarce.flac"), 2, seed=3), "--price", "100", "--max-copies", "1", "--copy-depth", "1")
dear = h.publish(make_track(os.path.join(h.root, "dear.flac"), 2, seed=4), "--price", "99999999")
for content in (one, two, scarce):
    h.kitchen("get", content, "--yes")


def unchanged(device, code, *args):
    before = device.snapshot()
    device.refused(code, *args)
    assert device.snapshot() == before, (before, device.snapshot())


def export(content, device="bedroom"):
    """A fresh medium: (directory, package path, certificate path)."""
    stick = os.path.join(h.root, f"stick-{export.count}")
    export.count += 1
    os.mkdir(stick)
    h.kitchen("export", content, "--to", device, stick)
    assert {os.stat(os.path.join(stick, n)).st_mode & 0o7777 for n in os.listdir(stick)} == {0o644}  # it is somebody else who carries it in
    names = sorted(os.listdir(stick))
    package = next(n for n in names if n.endswith(".hearth"))
    certificate = next(n for n in names if n.endswith(".hearth-certificate"))
    return stick, os.path.join(stick, package), os.path.join(stick, certificate)


export.count = 0


def flip(path, offset):
    with open(path, "r+b") as f:
        f.seek(offset)
        byte = f.read(1)[0]
        f.seek(offset)
        f.write(bytes([byte ^ 0x01]))


def replayed_serial():
    stick, _, _ = export(one)
    h.bedroom("import", stick)
    unchanged(h.bedroom, "serial-already-used", "import", stick)


def flipped_certificate():
    """Every byte of the certificate file: envelope, license, delegation, key block entry, wrapped half."""
    stick, _, certificate = export(two)
    size = os.path.getsize(certificate)
    before = h.bedroom.snapshot()
    codes = {}
    for offset in range(0, size, int(os.environ.get("HEARTH_FLIP_STEP", "7"))):
        flip(certificate, offset)
        try:
            h.bedroom("import", stick)
            raise AssertionError(f"byte {offset} flipped, and the import was done")
        except Refused as refusal:
            codes[refusal.code] = codes.get(refusal.code, 0) + 1
            assert refusal.code in ("signature-invalid", "delegation-invalid", "malformed", "too-large"), (offset, str(refusal))
        flip(certificate, offset)
    assert h.bedroom.snapshot() == before
    assert codes.get("signature-invalid", 0) > 0, codes
    h.bedroom("import", stick)  # unharmed, it is accepted


def package_layout(package):
    with open(package, "rb") as f:
        assert f.read(8) == b"HEARTHP1"
        head = 12 + struct.unpack(">I", f.read(4))[0]
        f.seek(head)
        assert f.read(8) == b"HEARTHB1"
        info = struct.unpack(">I", f.read(4))[0]
    return head, head + 12, info


def altered_body(where):
    def case():
        stick, package, _ = export(two, "attic")
        head, info_at, info = package_layout(package)
        offset = {"information": info_at + info // 2, "list": info_at + info + 5, "block": os.path.getsize(package) - 100}[where]
        flip(package, offset)
        before = h.attic.snapshot()
        refusal = None
        try:
            h.attic("import", stick)
        except Refused as r:
            refusal = r
        assert refusal is not None and refusal.code in {"information": ("content-id-mismatch", "malformed"), "list": ("content-id-mismatch", "block-corrupt"),
                                                        "block": ("block-corrupt",)}[where], refusal
        assert h.attic.snapshot() == before
        flip(package, offset)
        h.attic("import", stick)  # the serial was not spent by the attempt
        h.attic("remove", two)
    return case


def mixed_certificate():
    _, package_one, _ = export(one)
    stick, package_two, _ = export(two)
    shutil.copy(package_one, package_two)
    unchanged(h.bedroom, "content-id-mismatch", "import", stick)


def wrong_destination():
    stick, _, _ = export(one, "attic")
    unchanged(h.bedroom, "wrong-destination", "import", stick)


def truncated_files():
    stick, package, certificate = export(one, "attic")
    for path in (certificate, package):
        whole = open(path, "rb").read()
        for size in (0, 3, 8, 11, 12, 40, len(whole) // 2, len(whole) - 1):
            with open(path, "wb") as f:
                f.write(whole[:size])
            before = h.attic.snapshot()
            try:
                h.attic("import", stick)
                raise AssertionError(f"{path} cut to {size} bytes, and the import was done")
            except Refused as refusal:
                assert refusal.code in ("malformed", "block-corrupt", "signature-invalid", "content-id-mismatch"), str(refusal)
            assert h.attic.snapshot() == before
        with open(path, "wb") as f:
            f.write(whole)


def stranger_as_destination():
    client = h.stranger("status")["client"]
    bills = len(h.kitchen("bills")["bills"])
    refusal = None
    try:
        h.kitchen("copy", one, "--to", client)
    except Refused as r:
        refusal = r
    assert refusal is not None and refusal.code == "not-owned", refusal
    assert len(h.kitchen("bills")["bills"]) == bills and not h.stranger.library()


def not_bought():
    h.attic("get", dear, "--download-only")
    unchanged(h.attic, "no-license", "play", dear, "--output", "digest")
    unchanged(h.attic, "no-license", "copy", dear, "--to", "bedroom")
    assert "hearth get" in h.attic.refused("no-license", "play", dear, "--output", "digest").remedy


def count_used_up():
    h.kitchen("copy", scarce, "--to", "bedroom")
    unchanged(h.kitchen, "copy-count-exhausted", "copy", scarce, "--to", "attic")
    assert all(t["content"] != scarce for t in h.attic.library())


def credit():
    bills = h.kitchen("bills")["bills"]
    unchanged(h.kitchen, "credit-refused", "get", dear, "--yes", "--license-only")
    assert h.kitchen("bills")["bills"] == bills


def wrong_password():
    device = h.devices["kitchen"]
    path = os.path.join(h.root, "wrong")
    with open(path, "w") as f:
        f.write("not it\n")
    os.chmod(path, 0o600)
    codes = []
    for _ in range(12):
        try:
            device("register", h.boreal.url, "--user", "alina", "--password-file", path)
        except Refused as refusal:
            codes.append(refusal.code)
    assert codes[0] == "bad-credentials" and "rate-limited" in codes, codes
    assert len(device("accounts")["accounts"]) <= 2


def expired_license():
    import time
    path = make_track(os.path.join(h.root, "short.flac"), 2, seed=5)
    until = int(time.time() * 1000) + 9000
    content = h.publish(path, "--price", "1", "--usage-until-ms", str(until))
    h.kitchen("get", content, "--yes")
    h.kitchen.digest(content)
    wait_for("the license has ended", lambda: int(time.time() * 1000) > until)
    h.kitchen.refused("license-expired", "play", content, "--output", "digest")


FAKETIME = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1"


def expired_certificate():
    """The certificate lives a week; the destination's clock is eight days further on. Only its vault's clock: nothing else judges. Its distributor is
    away: it would tell the vault the right time."""
    if not os.path.exists(FAKETIME):
        return "SKIP libfaketime is not installed"
    stick, _, _ = export(one)
    later = os.path.join(h.root, "later")
    for folder in ("daemon", "vault", "player"):
        os.makedirs(os.path.join(later, "src", folder))
    for name in ("hearthd", "hearth-player"):
        shutil.copy(PROGRAMS[name], os.path.join(later, "src", os.path.basename(os.path.dirname(PROGRAMS[name])), name))
    wrapper = os.path.join(later, "src", "vault", "hearth-vault")
    with open(wrapper, "w") as f:
        f.write(f'#!/bin/sh\nexport LD_PRELOAD={FAKETIME} FAKETIME=+8d FAKETIME_DONT_FAKE_MONOTONIC=1\nexec {PROGRAMS["hearth-vault"]} "$@"\n')
    os.chmod(wrapper, 0o755)
    now, PROGRAMS["hearthd"] = PROGRAMS["hearthd"], os.path.join(later, "src", "daemon", "hearthd")
    h.bedroom.stop()
    h.boreal.stop()
    h.bedroom.start()
    try:
        unchanged(h.bedroom, "certificate-expired", "import", stick)
    finally:
        PROGRAMS["hearthd"] = now
        h.bedroom.stop()
        h.boreal.start()
        h.bedroom.start()
    wait_for("its distributor is back", lambda: h.bedroom("status")["distributors_online"] == 1, 30)
    h.bedroom("import", stick)  # in its time it is good


def revoked_device():
    client = h.attic("status")["client"]
    h.aurora.admin("device", "revoke", client)
    h.attic.refused("device-revoked", "get", one, "--yes")
    wait_for("attic says so", lambda: h.attic("status")["distributors_online"] == 0)
    account = h.attic("accounts")["accounts"][0]
    assert account["removed"] and not account["online"], account
    assert "removed this device" in str(h.attic.anyhow("doctor"))
    wait_for("kitchen no longer lists attic", lambda: not any(d["name"] == "attic" for d in h.kitchen("devices")["devices"]))
    try:
        h.kitchen("copy", one, "--to", client)
        raise AssertionError("copied to a revoked device")
    except Refused as refusal:
        assert refusal.code in ("device-revoked", "not-owned", "not-found"), str(refusal)


def says(device, code, words, *args):
    """Refused for this reason, in words that help."""
    before = device.snapshot()
    message = device.refused(code, *args).message
    assert words in message, (args, message)
    assert device.snapshot() == before


def files_by_name():
    says(h.attic, "malformed", "one.flac is neither a package", "import", os.path.join(h.root, "one.flac"))
    says(h.attic, "not-found", "nowhere", "import", os.path.join(h.root, "nowhere"))
    empty = os.path.join(h.root, "empty")
    os.mkdir(empty)
    says(h.attic, "not-found", ".hearth-certificate", "import", empty)
    stick, package, certificate = export(one, "attic")
    with open(package, "r+b") as f:
        f.truncate(20)
    says(h.attic, "malformed", os.path.basename(package) + " is not a package", "import", stick)
    os.unlink(package)
    says(h.attic, "not-found", os.path.basename(package) + " is missing", "import", stick)
    stick, package, certificate = export(one, "attic")
    os.unlink(certificate)
    says(h.attic, "not-found", os.path.basename(certificate) + " is missing", "import", package)


def nowhere_to_export_to():
    bills, transfers = h.kitchen("bills")["bills"], h.kitchen("transfers")["transfers"]
    says(h.kitchen, "not-found", "/dev/null", "export", one, "--to", "attic", "/dev/null")
    says(h.kitchen, "not-found", "absent", "export", one, "--to", "attic", os.path.join(h.root, "absent"))
    for place in ("/proc", "/proc/sys", "/sys"):  # root may write there, and makes no file
        says(h.kitchen, "not-permitted", f"{place} cannot be written", "export", one, "--to", "attic", place)
    assert h.kitchen("bills")["bills"] == bills and h.kitchen("transfers")["transfers"] == transfers


def names_of_devices():
    says(h.kitchen, "wrong-destination", "this device itself", "copy", one, "--to", "kitchen")
    says(h.kitchen, "wrong-destination", "this device itself", "fetch", one, "--from", "kitchen")
    says(h.kitchen, "not-permitted", "needs a name", "devices", "rename", "attic", "")
    says(h.kitchen, "ambiguous", "Another device", "devices", "rename", "attic", "Bedroom")
    says(h.kitchen, "not-found", "HOST:PORT", "devices", "add", "127.0.0.1")
    h.kitchen("devices", "rename", "attic", "loft")
    wait_for("both know its new name", lambda: h.attic("status")["name"] == "loft" and h.kitchen.sees("loft"))
    h.kitchen("devices", "rename", "loft", "attic")
    wait_for("and the old one", lambda: h.attic("status")["name"] == "attic" and h.kitchen.sees("attic"))


def names_of_tracks():
    says(h.attic, "not-found", "hearth browse", "show", "Never Heard Of")
    says(h.attic, "not-found", "hearth library --on kitchen", "fetch", "Never Heard Of", "--from", "kitchen")
    content = h.publish(make_track(os.path.join(h.root, "short-id.flac"), 2, seed=6), *OPTIONS)
    h.kitchen("get", content, "--yes")
    h.attic("fetch", content[:8], "--from", "kitchen")
    assert h.attic.track(content)["license"] == "valid"


def clock_is_told():
    clock = next(c for c in h.kitchen.anyhow("doctor")["checks"] if c["name"] == "clock")
    assert "agrees" in clock["text"], clock


def moved_away():
    content = h.publish(make_track(os.path.join(h.root, "moved.flac"), 2, seed=7), *OPTIONS)
    h.kitchen("get", content, "--yes")
    h.kitchen("move", content, "--to", "bedroom")
    for verb in (("play", "--output", "digest"), ("copy", "--to", "attic"), ("move", "--to", "attic"), ("renew",)):  # one remedy, whatever is wanted
        refusal = h.kitchen.refused("no-license", verb[0], content, *verb[1:])
        assert refusal.message == "Its license was moved to bedroom." and refusal.remedy == "On bedroom: hearth move TRACK --to kitchen", (verb, refusal, refusal.remedy)
    refusal = h.attic.refused("no-license", "fetch", content, "--from", "kitchen")
    assert "moved to bedroom: hearth fetch TRACK --from bedroom" in refusal.message and not refusal.remedy, (refusal, refusal.remedy)


def nobody_answers():
    message = h.stranger.refused("offline", "register", "hearth://127.0.0.1:1#" + h.aurora.id, "--user", "mallory",
                                 "--password-file", h.passwords["mallory"]).message
    assert message.startswith("127.0.0.1:1 cannot be reached.") or "aurora cannot be reached at 127.0.0.1:1." in message, message


def removes_itself():
    h.stranger("devices", "remove", "stranger")
    assert h.stranger("status")["distributors_online"] == 0
    assert h.stranger("accounts")["accounts"][0]["removed"]
    h.stranger.stop()
    h.stranger.start()
    wait_for("it still knows", lambda: h.stranger("accounts")["accounts"][0].get("removed"))
    h.stranger.register(h.aurora, "mallory", h.passwords["mallory"])
    wait_for("it is back", lambda: h.stranger("status")["distributors_online"] == 1)
    assert "removed" not in h.stranger("accounts")["accounts"][0]


def registered_nowhere():
    wait_for("nothing is left to be reported", lambda: not h.bedroom("status")["waiting"])
    assert h.bedroom.track(one)["license"] == "valid"
    h.bedroom("unregister", "boreal", "--yes")
    h.bedroom.refused("not-registered", "play", one, "--output", "digest")
    assert h.bedroom.track(one)["license"] == "none"


def several_products():
    products = [h.aurora.admin("product", "add", "--name", name, "--price", price)["product"] for name, price in (("Month", "1"), ("For ever", "2"))]
    content = h.publish(make_track(os.path.join(h.root, "two-ways.flac"), 1, seed=97), "--product", str(products[0]))
    h.aurora.admin("content", "offer", content, *map(str, products))
    before, bills = h.kitchen.snapshot(), h.kitchen("bills")["bills"]
    message = h.kitchen.refused("choose-product", "get", content, "--yes").message
    assert "--product" in message or "several" in message, message
    h.kitchen.refused("quote-changed", "get", content, "--product", "4000", "--yes")
    assert h.kitchen.snapshot() == before and h.kitchen("bills")["bills"] == bills
    h.kitchen("get", content, "--product", str(products[1]), "--yes")
    assert h.kitchen("bills")["bills"][0]["amount"] == -200


def usage():
    for args in (("nonsense",), ("copy", one), ("get",), ("play", one, "--output", "loud"), ("register", "nowhere")):
        try:
            h.kitchen(*args)
            raise AssertionError(args)
        except Refused as refusal:
            assert refusal.status == 2, (args, str(refusal))
    try:
        from household import run_json
        run_json([PROGRAMS["hearth"], "--socket", "/nonexistent/socket", "--json", "status"])
        raise AssertionError("reached nobody")
    except Refused as refusal:
        assert refusal.status == 3, str(refusal)


run_cases([("several products to choose from", several_products), ("a serial used before", replayed_serial), ("any flipped byte in certificate, license, delegation", flipped_certificate),
           ("altered content information", altered_body("information")), ("altered hash list", altered_body("list")), ("altered block", altered_body("block")),
           ("content of one track with the certificate of another", mixed_certificate), ("certificate for another device", wrong_destination),
           ("truncated files", truncated_files), ("a stranger's device as destination", stranger_as_destination), ("content not bought", not_bought),
           ("copy count used up", count_used_up), ("credit refused", credit), ("license expired", expired_license), ("certificate expired", expired_certificate),
           ("files of a medium, by name", files_by_name),
           ("nowhere to export to", nowhere_to_export_to), ("names of devices", names_of_devices), ("names of tracks", names_of_tracks),
           ("moved away", moved_away), ("nobody answers", nobody_answers), ("a device removes itself", removes_itself),
           ("the clock is told when registering", clock_is_told), ("wrong usage and nobody there", usage), ("wrong password, then rate-limited", wrong_password), ("revoked device", revoked_device),
           ("registered nowhere any more", registered_nowhere)])
