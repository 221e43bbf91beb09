# Sourced by scripts/bench (bash): seconds, processor seconds, memory, medians; a household of two devices.

# use_build DIRECTORY: the variables of household.sh for another build.
use_build() {
    release=$(cd "$1" && pwd)
    hearth=$release/src/ui-cli/hearth
    hearthd=$release/src/daemon/hearthd
    distributor=$release/src/distributor/hearth-distributor
}

# figure WHAT VALUE UNIT most|least REACH [BESIDE]: a figure for the last table (bench/figures.py says how).
figure() { printf 'figure\t%s\t%s\t%s\t%s\t%s\t%s\n' "$1" "$2" "$3" "$4" "$5" "${6:-}"; }

now() { date +%s.%N; }

# processor_seconds PID...: user and system time so far.
processor_seconds() {
    local pid
    for pid in "$@"; do
        sed 's/.*) //' "/proc/$pid/stat" 2>/dev/null || true
    done | awk -v tick="$(getconf CLK_TCK)" '{ sum += $12 + $13 } END { printf "%.2f", sum / tick }'
}

pss_kib() {
    local pid
    for pid in "$@"; do
        cat "/proc/$pid/smaps_rollup" 2>/dev/null || true
    done | awk '/^Pss:/{ sum += $2 } END { print sum + 0 }'
}

# The processes of a device: hearthd and its children.
processes_of() {
    local pid
    pid=$(pid_of "$1")
    printf '%s\n' "$pid"
    pgrep -P "$pid" || true
}

minus() { awk -v a="$1" -v b="$2" 'BEGIN { printf "%.3f", a - b }'; }

# median FILE COLUMN
median() {
    awk -v column="$2" '{ print $column }' "$1" | sort -n |
        awk '{ v[NR] = $1 } END { printf "%.3f", NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2 }'
}
best() { awk -v column="$2" '{ print $column }' "$1" | sort -n | head -n 1; }

# --- Two devices of one household, and a distributor that sells them one large file ----------------------------------------

make_household() {
    place=$scratch/h
    mkdir -p "$place"
    make_distributor aurora
    make_user aurora alice
    admin aurora publish "$1" --title Big --price 1.00 --copy-price 0 --max-copies 1000 --copy-depth 1 >/dev/null
    start_distributor aurora
    for name in kitchen attic; do
        start_device $name
        register $name aurora alice
    done
    wait_for "kitchen to see attic" 30 sees kitchen attic
}

end_household() {
    for name in kitchen attic; do stop_device $name; done
    stop_process aurora
    rm -rf "$place"
    place=
}

make_file() { # MIB FILE
    head -c "$(($1 * 1048576))" /dev/urandom >"$2"
}
