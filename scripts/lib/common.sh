# Sourced by the scripts (bash): where the tree is, how they speak, how they install and build.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)

# Debian's own Python before any other: the protocol compiler's plug-in needs the modules installed for it.
PATH=/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin:$PATH
export PATH LC_ALL=C.UTF-8

say() { printf '%s\n' "$*"; }
fail() {
    printf '%s: %s\n' "${0##*/}" "$*" >&2
    return 1
}

# build_programs NAME: the programs alone, as they are used. Quiet unless it fails.
build_programs() {
    build_targets="src/ui-cli/hearth src/daemon/hearthd src/vault/hearth-vault src/player/hearth-player
        src/distributor/hearth-distributor" build_tree "$1" gcc --buildtype=release
}

# build_tree NAME COMPILER [meson option...]: configures and builds build/NAME (build_targets: these alone; build_suites: what tests of these run). Quiet
# unless it fails.
build_tree() {
    local name=$1 compiler=$2
    shift 2
    local dir=$root/build/$name log=$root/build/$name.log
    mkdir -p "$root/build"
    (
        flock 9 # the demo and the tests may be started side by side
        configure_tree "$dir" "$compiler" "$@" || exit
        targets=${build_targets:-}
        [ -z "${build_suites:-}" ] || targets=$(python3 "$root/scripts/lib/targets-of.py" "$dir" $build_suites) || exit
        ninja -C "$dir" $targets
    ) 9>"$root/build/$name.lock" >"$log" 2>&1 && return 0
    tail -n 100 "$log"
    fail "building build/$name failed"
}

configure_tree() {
    local dir=$1
    export CC=$2
    shift 2
    # Configured anew each time: a directory that has gained its meson.build is seen only then.
    if [ -f "$dir/build.ninja" ] && meson setup --reconfigure "$dir" "$root" "$@"; then
        return 0
    fi
    rm -rf "$dir"
    meson setup "$dir" "$root" "$@"
}
