#!/bin/sh
# SPDX-License-Identifier: MIT
# Usage: names.sh ARCHIVE PROGRAM
# No function or variable of ours (ARCHIVE) has the name of one in a library that PROGRAM uses:
# calls would silently go to the wrong one.
set -u
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT

nm --defined-only --extern-only "$1" | awk 'NF == 3 { print $3 }' | sort -u >"$tmp/ours"
ldd "$2" | awk '/=> \// { print $3 }' | grep -vE '/lib(asan|tsan|ubsan|lsan)\.' | while read -r library; do
  nm -D --defined-only "$library" | awk -v from="${library##*/}" '{ sub(/@.*/, "", $3); print $3, from }'
done | sort -u >"$tmp/theirs"
[ -s "$tmp/ours" ] && [ -s "$tmp/theirs" ] || { echo "nothing to compare"; exit 1; }

join "$tmp/theirs" "$tmp/ours" >"$tmp/both"
[ ! -s "$tmp/both" ] || { cat "$tmp/both"; exit 1; }
