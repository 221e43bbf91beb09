"""What the operator's commands say, at a terminal of 80 columns and to a program. Arguments: hearth-distributor."""
import fcntl
import json
import os
import pty
import resource
import signal
import struct
import subprocess
import sys
import tempfile
import termios

PROGRAM, COLUMNS = os.path.abspath(sys.argv[1]), 80
root = tempfile.TemporaryDirectory(prefix="hearth-operator-")
os.umask(0o077)
done = 0


def path(name):
    return os.path.join(root.name, name)


def run(state, *words, expect=0):
    p = subprocess.run([PROGRAM, "--state-dir", path(state), *words], capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL, env=dict(os.environ, LC_ALL="C.UTF-8"))
    assert p.returncode == expect, (words, p.returncode, p.stdout, p.stderr)
    return p.stdout if expect == 0 else p.stderr


def told(state, *words):
    return json.loads(run(state, "--json", *words))


def seen(state, *words):
    """Lines that a person sees who sits at a terminal of COLUMNS."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, COLUMNS, 0, 0))
    child = subprocess.Popen([PROGRAM, "--state-dir", path(state), *words], stdin=slave, stdout=slave, stderr=slave, env=dict(os.environ, LC_ALL="C.UTF-8"))
    os.close(slave)
    text = b""
    try:
        while chunk := os.read(master, 65536):
            text += chunk
    except OSError:  # the other end is closed
        pass
    os.close(master)
    assert child.wait(60) == 0, (words, text)
    return text.decode().replace("\r\n", "\n").splitlines()


def case(function):
    global done
    function()
    done += 1
    print(f"ok {done} - {function.__name__.replace('_', ' ')}", flush=True)


def lists_fit_the_terminal():
    for words in (("ledger", "list"), ("partner", "list"), ("content", "list"), ("keys", "list"), ("product", "list"), ("user", "list"), ("place", "list"), ("settings",)):
        lines = seen("shop", *words)
        assert lines and all(len(line) <= COLUMNS for line in lines), (words, [line for line in lines if len(line) > COLUMNS])
    # Nothing is cut: what a program is told, a person sees.
    text = " ".join(seen("shop", "ledger", "list"))
    for entry in told("shop", "ledger", "list")["entries"]:
        assert entry["account"] in text and (not entry["reference"] or entry["reference"] in text), (entry, text)
    key = told("shop", "keys", "list")["keys"][0]["key"]
    assert key in " ".join(seen("shop", "keys", "list"))
    # To a file goes the table, a line for each.
    table = run("shop", "ledger", "list").splitlines()
    assert len([line for line in table if "user:ann" in line]) == 3 and max(map(len, table)) > COLUMNS


def amounts_are_amounts():
    run("shop", "settings", "credit-limit", "49.50")
    shown = run("shop", "settings")
    assert "49.50 EUR" in next(line for line in shown.splitlines() if line.startswith("credit-limit")), shown
    assert next(s["value"] for s in told("shop", "settings")["settings"] if s["name"] == "credit-limit") == "4950"
    names = [s["name"] for s in told("shop", "settings")["settings"]]
    help_text = run("shop", "settings", "--help")
    for name in names:
        assert name in ("name", "currency", "directory-url") or name in help_text, name


def what_has_no_limit_says_so():
    run("shop", "product", "add", "--name", "For good", "--price", "1")
    run("shop", "product", "add", "--name", "Three days", "--price", "0.50", "--usage-days", "3", "--max-copies", "0")
    good, days = (" ".join(line.split()) for line in run("shop", "product", "list").splitlines()[-2:])
    assert " unlimited " in good.split("For good")[1].split("no")[0] and " 3 " in days, (good, days)
    assert [p["usage_days"] for p in told("shop", "product", "list")["products"]][-2:] == [0, 3]


def a_place_is_one_with_and_without_its_slash():
    run("shop", "place", "add", "https://www.example/bodies/")
    run("shop", "place", "add", "https://www.example/bodies")
    assert len(told("shop", "place", "list")["places"]) == 1
    run("shop", "place", "remove", "https://www.example/bodies")
    assert told("shop", "place", "list")["places"] == []
    assert "no such place" in run("shop", "place", "remove", "https://www.example/bodies", expect=1)


def a_keyset_that_is_not_taken_says_why():
    run("shop", "keys", "root", "export", path("root.pem"))
    run("shop", "keys", "request", path("first"))
    run("shop", "keys", "sign", "--root", path("root.pem"), path("first"), path("answer"))
    run("shop", "keys", "request", path("second"))
    run("shop", "keys", "sign", "--root", path("root.pem"), path("second"), path("newer"))
    run("shop", "keys", "install", path("newer"))
    run("shop", "keys", "install", path("newer"))  # it is: done
    with open(path("answer"), "rb") as f:
        answer = f.read()
    for name, content, why in (("junk", b"junk", "no keyset"), ("cut", answer[:-9], "no keyset")):
        with open(path(name), "wb") as f:
            f.write(content)
        said = run("shop", "keys", "install", path(name), expect=1)
        assert why in said and "older" not in said, said
    run("shop", "keys", "withdraw", "roster", "--request", path("without"))
    said = run("shop", "keys", "install", path("answer"), expect=1)
    assert "older" in said or "withdrawn" in said or "keys in use" in said, said
    assert sum(word in said for word in ("is older", "was withdrawn", "keys in use", "has ended", "another root")) == 1, said
    run("other", "keys", "root", "export", path("other.pem"))
    run("other", "keys", "request", path("theirs"))
    run("other", "keys", "sign", "--root", path("other.pem"), path("theirs"), path("their-answer"))
    said = run("shop", "keys", "install", path("their-answer"), expect=1)
    assert "another root key" in said and "withdrawn" not in said, said


def a_withdrawn_key_keeps_its_purpose():
    run("other2", "keys", "withdraw", "license")
    listed = run("other2", "keys", "list")
    assert [line.split()[0] for line in listed.splitlines() if " withdrawn " in line] == ["license"], listed
    assert [k["purpose"] for k in told("other2", "keys", "list")["keys"] if k["state"] == "withdrawn"] == ["shared"]


def who_has_money_left_is_paid_out():
    run("shop", "user", "add", "bert", "--password-file", path("password"))
    assert "balance of bert is 0.00 EUR" in run("shop", "ledger", "pay-out", "bert", "--all", expect=1)
    run("shop", "ledger", "pay", "bert", "17.13")
    assert "ledger pay-out bert --all" in run("shop", "user", "erase", "bert", "--yes", expect=1)
    assert "ledger pay-out" in run("shop", "ledger", "pay", "bert", "-17.13", expect=2)
    for words in ((), ("1", "--all"), ("0",), ("-1",), ("x",)):
        assert "ledger pay-out NAME AMOUNT|--all" in run("shop", "ledger", "pay-out", "bert", *words, expect=2)
    assert "17.13 EUR" in run("shop", "ledger", "pay-out", "bert", "17.14", expect=1)
    for paid, known in ((1000, False), (0, True)):
        assert told("shop", "ledger", "pay-out", "bert", "10", "--reference", "bert-gets-ten") == {"user": "bert", "paid_out": paid, "balance": 713, "known_before": known}
    assert told("shop", "ledger", "pay-out", "bert", "--all", "--text", "Back to bert")["paid_out"] == 713
    entries = told("shop", "ledger", "list")["entries"][-4:]
    assert [(e["account"], e["amount"]) for e in entries] == [("user:bert", -1000), ("payments", 1000), ("user:bert", -713), ("payments", 713)], entries
    assert told("shop", "ledger", "check")["balanced"]
    run("shop", "user", "erase", "bert", "--yes")
    assert "bert" not in run("shop", "--json", "ledger", "list")


def what_is_on_sale_is_said():
    with open(path("a song.flac"), "wb") as f:
        f.write(b"fLaC" + bytes(4096))
    assert "On sale by product" in run("shop", "publish", path("a song.flac"), "--price", "1.29", "--copy-price", "0.10")
    said = run("shop", "publish", path("a song.flac"))
    assert "for 1.29 EUR, a copy certificate for 0.10 EUR." in said and "0.00" not in said, said
    number = next(p["product"] for p in told("shop", "product", "list")["products"] if p["price"] == 129)
    content = told("shop", "content", "list")["contents"][0]
    assert content["on_sale_by"] == str(number), content
    offered = told("shop", "content", "offer", content["content"][:8], str(number), "1")
    assert offered["products"] == 2 and offered["needed"] == "", offered
    assert told("shop", "content", "list")["contents"][0]["on_sale_by"] == f"1, {number}"
    assert run("shop", "publish", path("a song.flac")).count("On sale by product") == 2
    run("shop", "withdraw", content["content"][:8])
    assert told("shop", "content", "list")["contents"][0]["on_sale_by"] == ""
    assert "--undo" in told("shop", "content", "offer", content["content"][:8], str(number))["needed"]
    run("shop", "withdraw", content["content"][:8], "--undo")
    assert told("shop", "content", "list")["contents"][0]["on_sale_by"] == str(number)


def a_restored_directory_is_told_what_concerns_it():
    for name, words, not_there in (("rows", ("--directory",), "payments"), ("third", (), "members that were added")):
        run(name, "init", "--name", name, "--listen", "127.0.0.1:7700", *words)
        made = run(name, "backup", path(name + "-backup"))
        said = run(name + "-again", "restore", path(name + "-backup"))
        assert "taken-ms" not in made + said and not_there not in said and ("partner withdraw" in said) == (name == "rows"), said


def contents_servers():
    out = run("contents", "contents", "init", "--listen", "127.0.0.1:7799")
    assert [line.split()[0] for line in out.splitlines()] == ["id", "url"], out
    url = told("other", "id")["url"]
    own = url.rsplit("#", 1)[1]
    run("contents", "contents", "follow", url)
    assert "not followed" in run("contents", "contents", "unfollow", "0000" if not own.startswith("0000") else "1111", expect=1)
    run("contents", "contents", "unfollow", own[:8])
    assert told("contents", "contents", "list")["follows"] == []


def no_core_has_a_password_or_key():
    """Nor may another program of the user read the memory of a command."""
    pid, terminal = pty.fork()
    if pid == 0:
        resource.setrlimit(resource.RLIMIT_CORE, (resource.getrlimit(resource.RLIMIT_CORE)[1],) * 2)
        signal.signal(signal.SIGQUIT, signal.SIG_DFL)  # whoever started the tests may ignore it
        os.chdir(root.name)
        os.execv(PROGRAM, [PROGRAM, "--state-dir", path("shop"), "user", "add", "cleo"])
    text = b""
    while b"Password: " not in text:
        text += os.read(terminal, 4096)
    os.kill(pid, signal.SIGQUIT)
    _, status = os.waitpid(pid, 0)
    os.close(terminal)
    assert os.WTERMSIG(status) == signal.SIGQUIT and not os.WCOREDUMP(status), status


for name in ("shop", "other", "other2"):
    run(name, "init", "--name", name, "--listen", "127.0.0.1:7700")
with open(path("password"), "w") as f:
    f.write("correct horse\n")
run("shop", "user", "add", "ann", "--password-file", path("password"), "--full-name", "Ann with a name that is rather long")
for number in range(3):
    run("shop", "ledger", "pay", "ann", "20.00", "--reference", f"bank-2026-05-01-{number}", "--text", "Payment by bank, as agreed on the telephone")
run("shop", "partner", "add", told("other", "id")["url"], "--name", "other")
cases = (lists_fit_the_terminal, amounts_are_amounts, what_has_no_limit_says_so, a_place_is_one_with_and_without_its_slash, a_keyset_that_is_not_taken_says_why,
         a_withdrawn_key_keeps_its_purpose, who_has_money_left_is_paid_out, what_is_on_sale_is_said,
         a_restored_directory_is_told_what_concerns_it, contents_servers, no_core_has_a_password_or_key)
print(f"1..{len(cases)}")
for c in cases:
    case(c)
