#!/bin/sh
# 10,000 idle devices of one distributor: the lines that say what they cost, and the figure (bench/figures.py says how).
"$1" "$2" 10000 | awk '{ print } / would take / { printf "figure\tidle devices connected to one distributor, 10000\t%.1f\tMiB\tmost\t512\t\n", $11 / 1024 }'
