#!/bin/sh
# Fails when a source file is not as .clang-format wants it. Arguments: clang-format, source root.
set -eu
formatter=$1
cd "$2"
find src tests \( -name '*.c' -o -name '*.h' \) -print0 | xargs -0 "$formatter" --dry-run --Werror
