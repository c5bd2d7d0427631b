#!/bin/sh
# SPDX-License-Identifier: MIT
# Usage: includes.sh ROOT
# Includes of our own are rooted at a top-level folder and only of headers; a .c file includes its
# own header first; and each third-party header stays in the files that are its fence.
set -u
cd "$1" || exit 1
bad=0

complain() { # RULE LINES: fails if there are lines
  [ -z "$2" ] && return
  printf '%s:\n%s\n' "$1" "$2" | sed '2,$s/^/  /'
  bad=1
}

lines() { # PATTERN FOLDERS...: file:line of each include that matches, in .c and .h files
  pattern=$1
  shift
  for folder; do
    [ -d "$folder" ] && grep -rnE --include='*.[ch]' "^[[:space:]]*#[[:space:]]*include[[:space:]]*$pattern" "$folder"
  done
}

ours='backplane rooms gateway'

complain 'not rooted at a folder' \
  "$(lines '"' $ours tests | grep -vE '"(backplane|rooms|gateway|tests|load)/[a-z0-9_/]+\.h"')"

complain 'tests are seen by no folder' "$(lines '"tests/' $ours)"

complain 'own header not first' "$(
  find $ours -name '*.c' 2>/dev/null | while read -r file; do
    own=${file%.c}.h
    [ -e "$own" ] || continue
    first=$(grep -m1 -E '^#include' "$file")
    [ "$first" = "#include \"$own\"" ] || echo "$file: $first"
  done)"

# Fences: header, the folders where it may be, in how many files at most.
while read -r header allowed most; do
  case $header in ''|'#'*) continue ;; esac
  all=$(lines "<$header" $ours)
  complain "<$header> outside its fence ($allowed)" \
    "$(printf '%s' "$all" | grep -vE "^($allowed)")"
  files=$(printf '%s' "$all" | cut -d: -f1 | sort -u)
  [ "$(printf '%s' "$files" | grep -c .)" -le "$most" ] ||
    complain "<$header> in more than $most files" "$files"
done <<'FENCES'
libwebsockets\.h  gateway/                   2
libwebsockets/    nowhere/                   0
jansson\.h        gateway/                   99
ini\.h            (backplane/base|gateway)/  1
uthash\.h         backplane/base/map\.h      1
openssl/          (gateway/|backplane/redis/(tls|script)\.c)  99
sqlite3\.h        backplane/store/           99
hiredis/          backplane/redis/codec\.c   1
jose/             gateway/                   1
curl/             gateway/                   4
FENCES

exit $bad
