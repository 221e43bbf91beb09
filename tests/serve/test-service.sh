#!/bin/bash
# The real server as a service: free port, files that announce it, reload, one for a state directory, an orderly end.
# Argument: hearth-distributor.
set -euo pipefail
program=$1
dir=$(mktemp -d)
pid=
clean_up() {
    [ -z "$pid" ] || kill -9 "$pid" 2>/dev/null || true
    rm -rf "$dir"
}
trap clean_up EXIT
check() {
    local what=$1
    shift
    "$@" || { echo "not so: $what"; tail -n 20 "$dir/log"; exit 1; }
}
wait_for() {
    local what=$1 end=$((SECONDS + 20))
    shift
    until "$@" 2>/dev/null; do
        [ $SECONDS -lt $end ] || { echo "not in time: $what"; tail -n 20 "$dir/log"; exit 1; }
        sleep 0.02
    done
}
is_gone() { ! kill -0 "$pid" 2>/dev/null; }
listens() { (exec 3<>"/dev/tcp/127.0.0.1/$1"); }

"$program" --state-dir "$dir/state" init --name aurora --listen 127.0.0.1:0 >/dev/null 2>"$dir/log"
cat >"$dir/config.ini" <<TEXT
[server]
pid-file = $dir/pid
address-file = $dir/address
[limits]
connections = 50
TEXT
"$program" --state-dir "$dir/state" --config "$dir/config.ini" serve >>"$dir/log" 2>&1 &
pid=$!
wait_for "address file" test -s "$dir/address"
port=$(sed 's/.*://' "$dir/address")
check "a real port" test "$port" -gt 0
check "its process ID" test "$(cat "$dir/pid")" = "$pid"
check "it listens" listens "$port"

echo "== a second one on the same state directory"
if "$program" --state-dir "$dir/state" --config "$dir/config.ini" serve >>"$dir/log" 2>&1; then
    echo "a second server has started"
    exit 1
fi
check "the first one's files" test "$(cat "$dir/pid")" = "$pid"
check "the first one still listens" listens "$port"

echo "== reload, once with a mistake"
kill -HUP "$pid"
wait_for "reload" grep -q "configuration was read again" "$dir/log"
echo "nonsense = 5" >>"$dir/config.ini"
kill -HUP "$pid"
wait_for "refusal" grep -q "nonsense: there is no such setting" "$dir/log"
check "it still listens" listens "$port"

echo "== the admin's commands beside it"
"$program" --state-dir "$dir/state" --json stats >/dev/null 2>>"$dir/log"

echo "== an orderly end"
kill -TERM "$pid"
wait_for "the end" is_gone
wait "$pid"
pid=
check "no process ID file" test ! -e "$dir/pid"
check "no address file" test ! -e "$dir/address"
check "nothing was left open" grep -q "serve: stopped" "$dir/log"

echo "== nothing to serve"
if "$program" --state-dir "$dir/nothing" serve >>"$dir/log" 2>&1; then
    echo "a server without state has started"
    exit 1
fi
