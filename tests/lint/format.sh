#!/bin/sh
# Fails when a source file is not as .clang-format wants it, and names it. Arguments: clang-format, source root.
set -eu
formatter=$1
cd "$2"
wrong=$(find src tests \( -name '*.c' -o -name '*.h' \) -exec "$formatter" --dry-run {} + 2>&1 | sed -n 's/:.*warning:.*//p' | sort -u)
[ -z "$wrong" ] && exit 0
printf '%s\n' "$wrong" "to mend: $formatter -i FILE"
exit 1
