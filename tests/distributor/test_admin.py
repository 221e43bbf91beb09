"""The operator's commands of hearth-distributor, as an operator types them. Argument: the program. Exit codes, JSON, refusals."""
import csv
import io
import json
import os
import subprocess
import sys
import tempfile

PROGRAM = sys.argv[1]
root = tempfile.mkdtemp(prefix="hearth-admin-")
state = os.path.join(root, "aurora")
other = os.path.join(root, "boreal")
done = 0


def run(*words, dir=state, expect=0, feed=""):
    env = dict(os.environ, HEARTH_LOG="error")
    p = subprocess.run([PROGRAM, "--state-dir", dir, *words], capture_output=True, text=True, input=feed, env=env, timeout=60)
    assert p.returncode == expect, (words, p.returncode, p.stdout, p.stderr)
    return p


def ask(*words, dir=state):
    return json.loads(run("--json", *words, dir=dir).stdout)


def refused(code, *words, dir=state, expect=1):
    error = json.loads(run(*words, "--json", dir=dir, expect=expect).stdout)["error"]
    assert error["code"] == code, (words, error)
    assert error["message"]
    return error


def case(function):
    global done
    function()
    done += 1
    print(f"ok {done} - {function.__name__.replace('_', ' ')}")


@case
def help_and_usage():
    assert "publish" in run("--help").stdout
    assert "--copy-price" in run("publish", "--help").stdout
    assert run("--version").stdout.startswith("hearth-distributor ")
    run(expect=2)
    run("dance", expect=2)
    run("id", "--loud", expect=2)
    refused("usage", "invite", "--count", "many", expect=2)
    refused("usage", "init", expect=2)
    refused("usage", "init", "--name", "A", "--currency", "euro", expect=2)
    for option, wrong in (("--listen", "*:7700"), ("--listen", "7700"), ("--listen", "0.0.0.0:70000"), ("--listen", "shop"), ("--address", "shop.example"),
                          ("--address", "shop.example:0"), ("--address", "http://shop.example:1")):
        assert "such as" in run("init", "--name", "A", option, wrong, expect=2).stderr
    refused("not-found", "id", dir=os.path.join(root, "nothing"))


@case
def init_once():
    made = ask("init", "--name", "Aurora", "--listen", "127.0.0.1:7701", "--credit-limit", "10.00")
    assert made["url"] == ask("id")["url"] == f"hearth://127.0.0.1:7701#{made['id']}"
    assert ask("init", "--name", "Aurora") == ask("init", "--name", "Aurora", "--currency", "EUR", "--credit-limit", "10") == made  # once more: it is there
    for option, other in (("--name", "Boreal"), ("--listen", "127.0.0.1:7702"), ("--credit-limit", "11"), ("--registration", "open"), ("--database", "postgresql:dbname=x")):
        message = refused("already", "init", *(() if option == "--name" else ("--name", "Aurora")), option, other)["message"]
        assert state in message and option in message and "settings" in message, message
    assert run("id").stdout.strip() == made["url"]
    for name in os.listdir(os.path.join(state, "keys")):
        assert os.stat(os.path.join(state, "keys", name)).st_mode & 0o7777 == 0o600
    assert os.stat(os.path.join(state, "operations.db")).st_mode & 0o7777 == 0o600


@case
def only_in_a_directory_of_its_own():
    """What others keep in a directory is not taken along."""
    home = os.path.join(root, "home")
    os.makedirs(os.path.join(home, "Music"))
    for words in (("init", "--name", "H"), ("contents", "init", "--listen", "127.0.0.1:7703")):
        message = refused("already", *words, dir=home)["message"]
        assert home in message and "Music" in message, message
        assert os.listdir(home) == ["Music"]
    os.rmdir(os.path.join(home, "Music"))
    os.mkdir(os.path.join(home, "lost+found"))
    open(os.path.join(home, ".profile"), "w").close()
    ask("init", "--name", "H", dir=home)
    file = os.path.join(root, "no-directory")
    open(file, "w").close()
    assert file in refused("malformed", "init", "--name", "H", dir=file)["message"]


@case
def keys_without_their_database_begin_nothing():
    """Numbers would be given out twice."""
    lone = os.path.join(root, "lone")
    ask("init", "--name", "Lone", dir=lone)
    keys, database = os.path.join(lone, "keys"), os.path.join(lone, "operations.db")
    assert "unused" not in os.listdir(keys)
    os.rename(database, database + ".away")
    for words in (("id",), ("stats",), ("init", "--name", "Lone")):
        refused("not-found", *words, dir=lone)
        told = run(*words, dir=lone, expect=1).stderr
        assert "restore BACKUP" in told and "init again" in told and "Make one" not in told, told
    assert not os.path.exists(database)
    open(database, "w").close()  # an empty file is no database either
    for words in (("id",), ("init", "--name", "Lone")):
        assert "restore BACKUP" in run(*words, dir=lone, expect=1).stderr
    for name in os.listdir(lone):
        if name.startswith("operations.db") and not name.endswith(".away"):
            os.unlink(os.path.join(lone, name))
    with open(os.path.join(keys, "unused"), "w"):
        pass  # an init that was interrupted between keys and database goes on
    before = open(os.path.join(keys, "license.key"), "rb").read()
    ask("init", "--name", "Lone", dir=lone)
    assert open(os.path.join(keys, "license.key"), "rb").read() == before and "unused" not in os.listdir(keys)
    os.rename(keys, keys + ".away")
    for words in (("id",), ("init", "--name", "Lone")):
        assert "keys are gone" in run(*words, dir=lone, expect=1).stderr
    os.rename(keys + ".away", keys)
    ask("init", "--name", "Lone", dir=lone)


@case
def settings_are_judged():
    values = {s["name"]: s["value"] for s in ask("settings")["settings"]}
    assert values["credit-limit"] == "1000" and values["registration"] == "invite"
    ask("settings", "registration", "open")
    refused("usage", "settings", "registration", "perhaps", expect=2)
    assert values["devices-per-account"] == "10"
    refused("usage", "settings", "devices-per-account", "0", expect=2)
    refused("usage", "settings", "devices-per-account", "33", expect=2)
    refused("usage", "settings", "name", "Boreal", expect=2)
    refused("usage", "settings", "credit-limit", "-1", expect=2)
    refused("usage", "settings", "directory-url", "x", expect=2)
    for wrong in ("*:7700", "0.0.0.0:70000", "7700"):
        assert "0.0.0.0:7700" in run("settings", "listen", wrong, expect=2).stderr
    refused("usage", "settings", "address", "x:0", expect=2)
    run("settings", "listen", "127.0.0.1:7799")  # the URL said where it listened: it still does
    assert ask("id")["address"] == "127.0.0.1:7799"
    run("settings", "address", "shop.example:7701")
    run("settings", "listen", "127.0.0.1:7701")
    assert ask("id")["address"] == "shop.example:7701"  # what the operator chose stays
    run("settings", "address", "127.0.0.1:7701")


@case
def publishing_is_idempotent():
    path = os.path.join(root, "a song.flac")
    with open(path, "wb") as f:
        f.write(b"fLaC" + bytes(300000))
    first = ask("publish", path, "--price", "1.29", "--copy-price", "0.10", "--max-copies", "unlimited")["published"][0]
    assert first["title"] == "a song" and first["media_type"] == "audio/flac" and not first["known_before"]
    again = ask("publish", path)["published"][0]
    assert again["content"] == first["content"] and again["known_before"]
    assert os.listdir(os.path.join(state, "bodies")) == [first["content"] + ".body"]
    product = ask("product", "list")["products"][0]
    assert (product["price"], product["copy_price"], product["max_copies"]) == (129, 10, 4294967295)
    assert not ask("withdraw", first["content"][:8])["known_before"]
    assert ask("withdraw", first["content"][:8])["known_before"]
    assert not ask("withdraw", first["content"][:8], "--undo")["withdrawn"]
    assert not ask("content", "list")["contents"][0]["withdrawn"]
    run("withdraw", first["content"][:8])
    assert ask("content", "list")["contents"][0]["withdrawn"]
    run("publish", path, "--title", "Another", "--price", "0.99", "--name", "Cheap")
    assert not ask("content", "list")["contents"][0]["withdrawn"]
    assert len(ask("product", "list")["products"]) == 2
    assert ask("content", "offer", first["content"][:8], "1", "2")["products"] == 2
    refused("not-found", "content", "offer", first["content"][:8], "2", "9")
    refused("not-found", "content", "offer", first["content"][:8], "one")
    refused("unknown-content", "content", "offer", "zzzz", "1")
    refused("usage", "content", "offer", first["content"][:8], expect=2)
    refused("usage", "content", "offer", first["content"][:8], "1", "2", "1", "2", "1", expect=2)
    before = ask("product", "list")
    for nothing in (("--usage-until", "2025-01-01"), ("--download-until", "2025-01-01"), ("--max-plays", "0"),
                    ("--usage-from", "2099-02-01", "--usage-until", "2099-01-01"), ("--lease-plays", "3")):
        refused("not-permitted", "product", "add", "--name", "Nothing", "--price", "1", *nothing)  # leaves nothing to sell
        refused("not-permitted", "publish", path, "--price", "1", *nothing)
    assert ask("product", "list") == before
    run("product", "withdraw", "1")
    refused("not-found", "content", "offer", first["content"][:8], "1")
    refused("not-found", "publish", path, "--product", "1")
    refused("not-found", "publish", os.path.join(root, "none"))
    refused("usage", "publish", path, "--product", "1", "--price", "1", expect=2)
    refused("usage", "publish", path, "--price", "1.5", expect=2)
    for words in (("publish", path, "--copy-price", "1"), ("product", "add", "--name", "Gift"), ("product", "add", "--name", "Gift", "--max-plays", "3")):
        assert "--price 0 " in run(*words, expect=2).stderr, words  # never for nothing by mistake
    assert "0.50" in run("publish", path, "--price", "0.5", expect=2).stderr
    refused("unknown-content", "withdraw", "zzzz")
    fresh = os.path.join(root, "fresh.flac")
    with open(fresh, "wb") as f:
        f.write(b"fLaC" + bytes(4000))
    assert "--product NUMBER" in run("publish", fresh, expect=2).stderr
    gift = ask("publish", fresh, "--price", "0")["published"][0]
    assert ask("publish", fresh)["published"][0]["known_before"]
    run("withdraw", gift["content"][:8])
    refused("usage", "publish", fresh, expect=2)
    empty = os.path.join(root, "empty")
    open(empty, "w").close()
    refused("too-large", "publish", empty)


@case
def what_is_no_media_is_named():
    """It is published, for the operator may know better; but not without a word, and neither is a title that was cut."""
    text, song = os.path.join(root, "text.mp3"), os.path.join(root, "long.flac")
    for path, content in ((text, b"this is text " * 99), (song, b"fLaC" + bytes(5000))):
        with open(path, "wb") as f:
            f.write(content)
    said = run("publish", text, "--price", "1").stderr
    assert text in said and "audio/mpeg" in said, said
    assert "does not look" not in run("publish", text, "--media-type", "text/plain").stderr
    said = run("publish", song, "--price", "1", "--title", "x" * 130).stderr
    assert "was cut" in said and "does not look" not in said, said
    assert "was cut" not in run("publish", song, "--title", "x" * 127).stderr
    until = ("product", "add", "--name", "Until", "--price", "1", "--usage-until", "2099-03-01")
    assert "renewal" not in run(*until).stderr + run(*until, "--renew-price", "1", "--max-plays", "2").stderr
    assert "adds nothing" in run(*until, "--renew-price", "1").stderr
    assert "until 2099-03-01" in run("product", "list").stdout
    run("withdraw", "text")


@case
def users_and_money():
    password = os.path.join(root, "password")
    with open(password, "w") as f:
        f.write("correct horse\n")
    run("user", "add", "alice", "--password-file", password, "--full-name", "Alice \x1b[31m", "--credit", "5.00")
    refused("user-exists", "user", "add", "alice", "--password-file", password)
    refused("usage", "user", "add", "al ice", "--password-file", password, expect=2)
    refused("usage", "user", "add", "bob", expect=2)  # no terminal to ask
    for words in (("--full-name", "n" * 128), ("--email", "e" * 5000), ("--payment-reference", "p" * 128)):  # an account that could be read no more
        refused("usage", "user", "add", "bob", "--password-file", password, *words, expect=2)
    refused("not-found", "user", "set", "bob", "--credit", "1.00")
    for words in (("user", "add", "bob", "--password-file", password, "--full-name", "4111-1111-1111-1111"),
                  ("user", "set", "alice", "--payment-reference", "4111 1111 1111 1111"), ("payment", "payer", "alice", "5500000000000004")):
        refused("not-permitted", *words)
    run("user", "set", "alice", "--payment-reference", "cus-77")
    assert ask("user", "list")["users"][0]["payment_reference"] == "cus-77"
    assert ask("payment", "payer", "alice")["payer"] == ""  # what a user says is not what is asked to pay
    with open(password, "w") as f:
        f.write("short\n")
    refused("not-permitted", "user", "add", "bob", "--password-file", password)
    run("user", "set", "alice", "--credit", "7.50")
    user = ask("user", "list")["users"][0]
    assert user["credit"] == 750 and user["balance"] == 0 and "\x1b" not in user["name"]
    assert ask("ledger", "pay", "alice", "20.00")["balance"] == 2000
    refused("not-found", "ledger", "pay", "bob", "20.00")
    assert [e["amount"] for e in ask("ledger", "user", "alice")["entries"]] == [2000]
    assert sum(e["amount"] for e in ask("ledger")["entries"]) == 0
    assert ask("ledger", "check")["balanced"]
    assert ask("ledger", "pay", "alice", "1.00", "--reference", "bank-7", "--text", '=1+1, "x"')["balance"] == 2100
    assert ask("ledger", "pay", "alice", "1.00", "--reference", "bank-7") == {
        "user": "alice", "paid": 0, "balance": 2100, "known_before": True}
    statement = ask("ledger", "statement", "alice")
    assert statement["opening"] == 0 and statement["payments"] == statement["closing"] == 2100
    assert len(statement["entries"]) == 2
    assert ask("ledger", "statement", "alice", "--from", "2100-01-01")["opening"] == 2100
    assert not ask("ledger", "list", "--kind", "refund")["entries"]
    refused("not-found", "ledger", "statement", "bob")
    refused("usage", "ledger", "list", "--kind", "gift", expect=2)
    table = subprocess.run([PROGRAM, "--state-dir", state, "ledger", "user", "alice", "--csv"], check=True, capture_output=True).stdout
    assert table.endswith(b"\r\n") and table.count(b"\r\n") == 3
    rows = list(csv.DictReader(io.StringIO(table.decode(), newline="")))
    assert [r["amount"] for r in rows] == ["20.00", "1.00"] and rows[1]["text"] == '\'=1+1, "x"'


@case
def rights_holders():
    product = str(ask("product", "add", "--name", "Shared", "--price", "1.00")["product"])
    assert not ask("holder", "add", "anna", "--full-name", "Anna")["known_before"]
    assert ask("holder", "add", "anna")["known_before"]
    run("holder", "share", "anna", "--product", product, "--basis-points", "2500")
    holder = ask("holder", "list")["holders"][0]
    assert holder["full_name"] == "Anna" and holder["basis_points"] == 2500 and holder["due"] == 0
    refused("not-permitted", "holder", "share", "anna", "--product", product, "--basis-points", "10001")
    refused("not-found", "holder", "share", "ben", "--product", product, "--basis-points", "1")
    refused("usage", "holder", "share", "anna", "--product", product, expect=2)
    refused("usage", "holder", "share", "anna", "--product", product, "--fixed", "1", "--of", "air", expect=2)
    refused("credit-refused", "holder", "pay", "anna", "1.00")
    run("holder", "share", "anna", "--product", product, "--basis-points", "0")
    assert ask("holder", "list")["holders"][0]["basis_points"] == 0
    assert ask("ledger", "statement", "anna")["account"] == "holder:anna"
    run("tariff", "set", product, "--copy-charged", "destination")
    assert [t["copy_charged"] for t in ask("tariff", "list")["tariffs"] if t["name"] == "Shared"] == ["destination"]
    refused("usage", "tariff", "set", product, "--copy-charged", "nobody", expect=2)
    refused("not-found", "tariff", "set", "999", "--copy-charged", "source")
    refused("usage", "settings", "copy-charged", "nobody", expect=2)
    assert ask("certificate", "list")["certificates"] == []
    refused("not-found", "certificate", "give-back", "00" * 16)
    refused("usage", "certificate", "give-back", "1", expect=2)


@case
def refunds():
    refused("not-permitted", "refund", "2")
    refused("not-found", "refund", "77")
    refused("usage", "refund", "all", expect=2)
    assert len(ask("invite", "--count", "3")["invitations"]) == 3
    assert ask("device", "list")["devices"] == []
    refused("not-found", "device", "revoke", "abc")


@case
def payments():
    assert ask("payment", "list")["payments"] == []
    refused("not-found", "payment", "collect", "alice")  # owes nothing
    refused("not-found", "payment", "collect", "nobody")
    assert ask("payment", "collect", "--all")["payments"] == []
    assert "Nobody owes anything" in run("payment", "collect", "--all").stdout
    refused("not-found", "payment", "retry", "1")
    refused("not-found", "payment", "mark", "1", "paid")
    refused("usage", "payment", "mark", "1", "perhaps", expect=2)
    refused("usage", "payment", "list", "--state", "lost", expect=2)
    assert ask("payment", "payer", "alice", "customer-1")["payer"] == ask("payment", "payer", "alice")["payer"] == "customer-1"
    refused("not-found", "payment", "payer", "nobody", "x")
    refused("usage", "settings", "payment-command", "collect", expect=2)
    refused("usage", "settings", "payment-timeout", "0", expect=2)


@case
def partners_and_directory():
    url = ask("init", "--name", "Boreal", "--listen", "127.0.0.1:7702", dir=other)["url"]
    assert not ask("partner", "add", url, "--name", "Boreal")["known_before"]
    assert ask("partner", "add", url, "--name", "boreal")["known_before"]
    refused("usage", "partner", "add", "http://example.org", "--name", "x", expect=2)
    refused("usage", "partner", "add", url, expect=2)
    for name in ("bo\x1breal", b"bo\xffreal", "bo\u202ereal", "bo\nreal", "\u200b"):
        refused("usage", "partner", "add", url, "--name", name, expect=2)
        refused("usage", "product", "add", "--name", name, "--price", "1", expect=2)
    refused("not-permitted", "partner", "add", ask("id")["url"], "--name", "me")
    partner = ask("partner", "list")["partners"][0]
    assert partner["name"] == "boreal" and not partner["withdrawn"] and not partner["delegates_to_us"]
    terms = ask("partner", "terms", "boreal", "--pays-fee", "0.02", "--gets-share", "1000")
    assert ask("partner", "terms", "boreal") == terms and terms["pays_fee"] == 2 and terms["gets_share"] == 1000 and terms["charges"] == 0
    refused("usage", "partner", "terms", "boreal", "--gets-share", "10001", expect=2)
    refused("already", "settlement", "make", "boreal")
    refused("not-found", "settlement", "export", "1", os.path.join(root, "statement"))
    refused("malformed", "settlement", "check", os.path.join(root, "password"))
    refused("not-found", "settlement", "check", os.path.join(root, "nothing"))
    assert ask("settlement", "paid", "boreal", "1.00")["balance"] == -100
    assert ask("settlement", "received", "boreal", "1.00")["balance"] == 0
    assert ask("settlement", "position")["positions"][0]["partner"] == "boreal" and not ask("settlement", "list")["statements"]
    assert ask("ledger", "statement", "boreal")["payments"] == 0
    run("partner", "withdraw", "boreal")
    assert ask("partner", "list")["partners"][0]["withdrawn"]
    refused("not-found", "partner", "withdraw", "cirrus")
    run("directory", "set", url)
    assert ask("directory", "show")["url"] == url
    refused("usage", "directory", "set", "hearth://nowhere", expect=2)
    run("directory", "unset")
    assert ask("directory")["url"] == ""
    assert ask("stats")["accounts"] == 1


@case
def a_restore_brings_no_withdrawn_key_back():
    """A backup from before a key was stolen holds it, and its database knows nothing of that."""
    shop, backup = os.path.join(root, "robbed"), os.path.join(root, "before-the-theft")

    def license_keys():
        return {k["key"]: k["state"] for k in ask("keys", "list", dir=shop)["keys"] if k["purpose"] in ("license", "shared")}

    ask("init", "--name", "Robbed", dir=shop)
    ask("backup", backup, dir=shop)
    stolen, = license_keys()
    ask("keys", "withdraw", "license", dir=shop)
    assert license_keys()[stolen] == "withdrawn"
    for again in (False, True):  # the second time the database in between was lost: the one before it still knows
        if again:
            os.unlink(os.path.join(shop, "operations.db"))
        told = run("restore", backup, "--replace", dir=shop).stdout
        assert "keys withdraw KEY" in told, told
        keys = license_keys()
        assert keys[stolen] == "withdrawn" and "in use" in keys.values(), keys
        assert ask("stats", dir=shop)["keyset_due"] == ""


@case
def what_is_not_there_is_named():
    """With what was asked for, and the command that lists what there is."""
    key = os.path.join(state, "keys", "tls.key")
    for words, name, list in (
            (("ledger", "pay", "nobody", "1"), "nobody", "user list"), (("ledger", "pay-out", "nobody", "1"), "nobody", "user list"), (("ledger", "user", "nobody"), "nobody", "user list"),
            (("refund", "7777"), "7777", "ledger list"), (("user", "set", "nobody", "--credit", "5"), "nobody", "user list"), (("user", "erase", "nobody", "--yes"), "nobody", "user list"),
            (("user", "export", "nobody"), "nobody", "user list"), (("user", "token", "list", "nobody"), "nobody", "user list"), (("device", "list", "--user", "nobody"), "nobody", "user list"),
            (("license", "list", "--user", "nobody"), "nobody", "user list"), (("payment", "list", "--user", "nobody"), "nobody", "user list"),
            (("certificate", "list", "--user", "nobody"), "nobody", "user list"), (("use-log", "nobody"), "nobody", "user list"), (("payment", "collect", "nobody"), "nobody", "user list"),
            (("payment", "payer", "nobody"), "nobody", "user list"), (("payment", "payer", "nobody", "x"), "nobody", "user list"), (("payment", "retry", "7777"), "7777", "payment list"),
            (("payment", "mark", "7777", "paid"), "7777", "payment list"), (("certificate", "give-back", "77" * 16), "77" * 16, "certificate list"),
            (("device", "revoke", "abcdefgh"), "abcdefgh", "device list"), (("holder", "share", "nobody", "--product", "1", "--basis-points", "5"), "nobody", "holder list"),
            (("holder", "pay", "nobody", "1"), "nobody", "holder list"), (("holder", "share", "anna", "--product", "7777", "--basis-points", "5"), "7777", "product list"),
            (("product", "withdraw", "7777"), "7777", "product list"), (("tariff", "set", "7777", "--copy-charged", "source"), "7777", "product list"),
            (("withdraw", "abcdefgh"), "abcdefgh", "content list"), (("partner", "withdraw", "nobody"), "nobody", "partner list"),
            (("settlement", "export", "7777", os.path.join(root, "statement")), "7777", "settlement list"), (("place", "remove", "https://x.example/"), "https://x.example/", "place list"),
            (("program", "withdraw", "nothing"), "nothing", "program list"), (("program", "provider", "withdraw", "nobody"), "nobody", "program provider list")):
        said = run(*words, expect=1).stderr
        assert f" {name}" in said and f"see: hearth-distributor {list}" in said, (words, said)
    for words, path in ((("backup", "/proc/nosuch/backup"), "/proc/nosuch/backup"), (("restore", "/proc/nosuch"), "/proc/nosuch"), (("restore", key), key),
                        (("keys", "install", "/proc/nosuch"), "/proc/nosuch"), (("keys", "request", "/proc/nosuch/r"), "/proc/nosuch/r"),
                        (("settlement", "check", "/proc/nosuch"), "/proc/nosuch"), (("keys", "install", key), key)):
        said = run(*words, expect=1).stderr
        assert path in said and "?." not in said, said
    assert "/proc/nosuch/state" in run("init", "--name", "X", dir="/proc/nosuch/state", expect=1).stderr
    for words, meant in ((("serv",), "is it serve?"), (("ledgr", "list"), "is it ledger?"), (("publish", "x", "--prize", "1"), "is it --price?"),
                         (("settings", "lisen", "x"), "is it listen?")):
        assert meant in run(*words, expect=2).stderr, words
    assert "is it" not in run("dance", expect=2).stderr


@case
def nobody_waits_for_a_pipe():
    pipe, out, backup = (os.path.join(root, name) for name in ("pipe", "out", "backup"))
    os.mkfifo(pipe)
    for words in (("publish", pipe, "--price", "1"), ("keys", "install", pipe), ("keys", "sign", "--root", pipe, pipe, out), ("program", "publish", pipe, "--signature", pipe),
                  ("metadata", "publish", pipe), ("settlement", "check", pipe), ("user", "add", "zed", "--password-file", pipe)):
        assert subprocess.run([PROGRAM, "--state-dir", state, *words], capture_output=True, timeout=20).returncode != 0, words
    assert subprocess.run([PROGRAM, "--config", pipe, "id"], capture_output=True, timeout=20).returncode == 1
    assert "a pipe" in run("keys", "request", pipe, expect=1).stderr and not os.path.isfile(pipe)  # nor does a file take its place, as it would that of /dev/stdout
    unread = subprocess.run([PROGRAM, "--config", "/proc/self/mem", "--state-dir", state, "serve"], capture_output=True, text=True, timeout=20)
    assert unread.returncode == 1 and "/proc/self/mem" in unread.stderr, unread  # a file that cannot be read is no empty one
    ask("backup", backup)
    for name in ("database", "restored-to"):
        os.mkfifo(os.path.join(state, name))
        assert subprocess.run([PROGRAM, "--state-dir", state, "restore", "--here"], capture_output=True, timeout=20).returncode == 1, name
        os.unlink(os.path.join(state, name))
    for name in ("backup.json", os.path.join("keys", "license.key"), "operations.db"):
        os.rename(os.path.join(backup, name), os.path.join(backup, name) + ".away")
        os.mkfifo(os.path.join(backup, name))
        done = subprocess.run([PROGRAM, "--state-dir", os.path.join(root, "restored"), "restore", backup], capture_output=True, timeout=20)
        assert done.returncode == 1, (name, done)
        os.unlink(os.path.join(backup, name))
        os.rename(os.path.join(backup, name) + ".away", os.path.join(backup, name))


subprocess.run(["rm", "-r", root], check=True)
print(f"1..{done}")
