#!/bin/sh
# SPDX-License-Identifier: MIT
# Usage: fence.sh ROOT CC INCLUDE_DIRS FROM sees|blind TO
# Compiles, as a file of folder FROM would be, one include of each header of folder TO. "sees": all
# must be found. "blind": none may be.
set -u
root=$1 cc=$2 dirs=$3 from=$4 expect=$5 to=$6
flags=$(printf '%s' "$dirs" | tr ';' '\n' | sed 's/^/-I/')
bad=0 tried=0

for header in "$root/$to"/*.h; do
  [ -e "$header" ] || continue
  tried=$((tried + 1))
  name=$to/${header##*/}
  out=$(printf '#include "%s"\n' "$name" | (cd "$root/$from" && $cc $flags -M -x c -) 2>&1 >/dev/null)
  case $out in
    *"$name"*"o such file"*|*"$name' file not found"*) found=blind ;;
    '') found=sees ;;
    *) printf '%s\n' "$out"; exit 1 ;;
  esac
  [ $found = "$expect" ] || { echo "$from $found $name"; bad=1; }
done
[ $tried -gt 0 ] || { echo "no headers in $to"; exit 1; }
exit $bad
