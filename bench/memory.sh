# Sourced by scripts/bench (bash): memory, as PSS of /proc/PID/smaps_rollup.

memory_line() { # TITLE KIB REACH_MIB
    local mib
    mib=$(awk -v k="$2" 'BEGIN { printf "%.1f", k / 1024 }')
    printf '%-56s %9s MiB   reach %s MiB\n' "$1" "$mib" "$3"
    figure "$1" "$mib" MiB most "$3"
}

# watch_memory DEVICE FILE: the largest PSS of a device, until FILE.end exists.
watch_memory() {
    local largest=0 pss
    until [ -e "$2.end" ]; do
        pss=$(pss_kib $(processes_of "$1"))
        [ "$pss" -le "$largest" ] || largest=$pss
        sleep 0.02
    done
    printf '%s\n' "$largest" >"$2"
}

bench_memory() {
    make_file 512 "$scratch/body"
    make_household "$scratch/body"
    sleep 3 # at rest: what the start needed has been given back
    memory_line "hearthd and vault, registered, at rest" "$(pss_kib $(processes_of attic))" 16
    watched "download of 512 MiB, the device" kitchen on kitchen --json get Big --yes
    watched "copy of 512 MiB, the source" kitchen on kitchen --json copy Big --to attic --again
    on attic --json remove Big >/dev/null
    watched "copy of 512 MiB, the destination" attic on kitchen --json copy Big --to attic --again
    sleep 3
    memory_line "the destination, at rest again" "$(pss_kib $(processes_of attic))" 16
    end_household
    rm -f "$scratch/body"
    "$release/tests/net/bench-peer-idle" 10000 | sed 's/$/   (reach 512 MiB for a whole distributor)/'
}

# watched TITLE DEVICE COMMAND...
watched() {
    local title=$1 device=$2 watcher
    shift 2
    rm -f "$scratch/peak.end"
    watch_memory "$device" "$scratch/peak" &
    watcher=$!
    "$@" >/dev/null
    : >"$scratch/peak.end"
    wait "$watcher"
    memory_line "$title" "$(cat "$scratch/peak")" 48
}
