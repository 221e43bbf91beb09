#!/bin/sh
# 10,000 idle devices of one distributor: the lines that say what they cost.
exec "$1" "$2" 10000
