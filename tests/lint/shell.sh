#!/bin/sh
# Fails when a shell script does not parse. Argument: source root.
set -eu
cd "$1"
status=0
for script in scripts/* scripts/lib/* .ci/run tests/*/*.sh; do
    [ -f "$script" ] || continue
    case $(head -n 1 "$script") in
    *bash*) bash -n "$script" || status=1 ;;
    '#!'*sh) sh -n "$script" || status=1 ;;
    esac
done
exit $status
