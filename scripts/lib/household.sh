# Sourced by scripts/demo and scripts/playground after common.sh (bash): distributors, devices and tracks on loopback.
#
# $place is the directory of one household: $place/NAME/ for each distributor and device, $place/run/NAME.pid for each process.
# Every process is started by start_process and ended by stop_process, by its process ID.

release=$root/build/release
hearth=$release/src/ui-cli/hearth
hearthd=$release/src/daemon/hearthd
distributor=$release/src/distributor/hearth-distributor
password_text="a long enough password"

# --- Processes ---------------------------------------------------------------------------------------------------------

pid_of() { cat "$place/run/$1.pid" 2>/dev/null; }

# Is it still the process that we started (its directory is an argument), and not another one with its number?
is_running() {
    local pid
    pid=$(pid_of "$1") && [ -n "$pid" ] && tr '\0' '\n' 2>/dev/null <"/proc/$pid/cmdline" | grep -qxF -- "$place/$1"
}

start_process() {
    local name=$1 log=$place/$1.log
    shift
    mkdir -p "$place/run"
    nohup "$@" >>"$log" 2>&1 </dev/null &
    echo $! >"$place/run/$name.pid"
    disown $!
}

# stop_process NAME: asks it to end; after ten seconds it has to.
stop_process() {
    local pid
    pid=$(pid_of "$1") || return 0
    if is_running "$1"; then
        kill "$pid" 2>/dev/null || true
        wait_for "$1 to stop" 10 process_is_gone "$pid" || kill -9 "$pid" 2>/dev/null || true
    fi
    rm -f "$place/run/$1.pid"
}

process_is_gone() { ! kill -0 "$1" 2>/dev/null; }

# wait_for WHAT SECONDS COMMAND...: until the command succeeds.
wait_for() {
    local what=$1 end=$((SECONDS + $2))
    shift 2
    until "$@" >/dev/null 2>&1; do
        if [ $SECONDS -ge $end ]; then
            fail "still waiting for $what"
            return 1
        fi
        sleep 0.05
    done
}

free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

# --- Distributors --------------------------------------------------------------------------------------------------------

admin() {
    local name=$1
    shift
    HEARTH_LOG=warn "$distributor" --state-dir "$place/$name" --json "$@"
}

url_of() { admin "$1" id | jq -r .url; }

port_answers() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# make_distributor NAME [init option...]
make_distributor() {
    local name=$1
    shift
    [ ! -d "$place/$name/keys" ] || return 0
    admin "$name" init --name "$name" --listen "127.0.0.1:$(free_port)" "$@" >/dev/null
}

start_distributor() {
    local name=$1 port
    is_running "$name" && return 0
    start_process "$name" "$distributor" --state-dir "$place/$name" serve
    port=$(url_of "$name")
    port=${port%%#*}
    wait_for "$name to listen" 20 port_answers "${port##*:}"
}

# make_user DISTRIBUTOR USER: the password is in $place/password.
make_user() {
    if [ ! -f "$place/password" ]; then
        (umask 077 && printf '%s\n' "$password_text" >"$place/password")
    fi
    admin "$1" user list | jq -e --arg user "$2" '.users[] | select(.user == $user)' >/dev/null 2>&1 ||
        admin "$1" user add "$2" --password-file "$place/password" --credit 500.00 >/dev/null
}

# Each a partner of the other, both members of the directory.
make_partners() {
    local a=$1 b=$2 directory=$3
    admin "$a" partner add "$(url_of "$b")" --name "$b" >/dev/null
    admin "$b" partner add "$(url_of "$a")" --name "$a" >/dev/null
    for name in "$a" "$b"; do
        admin "$directory" partner add "$(url_of "$name")" --name "$name" >/dev/null
        admin "$name" directory set "$(url_of "$directory")" >/dev/null
    done
}

# --- Devices -------------------------------------------------------------------------------------------------------------

on() {
    local name=$1
    shift
    "$hearth" --socket "$place/$name/hearthd.sock" "$@"
}

start_device() {
    local name=$1
    is_running "$name" && return 0
    mkdir -p "$place/$name"
    start_process "$name" "$hearthd" --state-dir "$place/$name/state" --runtime-dir "$place/$name" --name "$name" \
        --listen 127.0.0.1:0
    wait_for "$name to answer" 20 on "$name" status
}

stop_device() { stop_process "$1"; }

is_registered() { on "$1" --json accounts | jq -e '.accounts | length > 0' >/dev/null; }

# register DEVICE DISTRIBUTOR USER
register() { on "$1" --json register "$(url_of "$2")" --user "$3" --password-file "$place/password" >/dev/null; }

sees() { on "$1" --json devices | jq -e --arg name "$2" '.devices[] | select(.name == $name and .online)' >/dev/null; }

# Two accounts of one household: a device of each proves it.
link_accounts() { on "$2" --json link "$(on "$1" --json link | jq -r .url)" >/dev/null; }

# --- Music ----------------------------------------------------------------------------------------------------------------

package_music=/usr/share/games/asc/music # three tracks by Michael Kievernagel, package asc-music

# Decoded samples of a file by a player that has nothing to do with us: their SHA-256.
reference_digest() {
    local samples
    samples=$(mktemp -d) || return 1
    mpv --no-config --no-video --really-quiet --ao=pcm --ao-pcm-waveheader=no --ao-pcm-file="$samples/pcm" -- "$1" </dev/null &&
        [ -s "$samples/pcm" ] && sha256sum "$samples/pcm" | cut -d' ' -f1
    rm -rf "$samples"
}

played_digest() { on "$1" --json play "$2" --output digest | jq -r .digest; }

# encode FROM START SECONDS TITLE TO: a piece of a track in the format that the new name says.
encode() {
    [ -s "$5" ] || ffmpeg -v error -nostdin -y -ss "$2" -t "$3" -i "$1" -map_metadata -1 -metadata "title=$4" \
        -metadata "artist=Michael Kievernagel" -metadata "album=ASC" "$5"
}
