#!/bin/sh
# SPDX-License-Identifier: MIT
# Usage: headers.sh ROOT CC INCLUDE_DIRS FOLDER
# Every header of FOLDER must compile alone, and twice in one file.
set -u
root=$1 cc=$2 dirs=$3 folder=$4
flags=$(printf '%s' "$dirs" | tr ';' '\n' | sed 's/^/-I/')
bad=0 tried=0

for header in "$root/$folder"/*.h; do
  [ -e "$header" ] || continue
  tried=$((tried + 1))
  name=$folder/${header##*/}
  printf '#include "%s"\n#include "%s"\n' "$name" "$name" |
    $cc $flags -std=gnu11 -D_GNU_SOURCE -Wall -Werror -fsyntax-only -x c - || bad=1
done
[ $tried -gt 0 ] || { echo "no headers in $folder"; exit 1; }
exit $bad
