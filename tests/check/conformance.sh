#!/bin/sh
# SPDX-License-Identifier: MIT
# Usage: conformance.sh ROOT
# docs/CONFORMANCE.md says which test proves which rule of the protocol. Each row of its tables must name a
# test, or say that the rule is not applicable, and each test that is named must exist:
#   `protocol/subscribe`: "NAME"   in tests/protocol/subscribe.test.mjs
#   `unit/close`: "NAME"           in tests/unit/test_close.c
set -u
root=$1
doc=$root/docs/CONFORMANCE.md
[ -r "$doc" ] || { echo "there is no $doc"; exit 1; }

# One line per proof: line number, file, name. Rows without any: line number, nothing.
proofs=$(awk '
  /^\|/ {
    if (head++ < 2) next # the names of the columns, and the line below
    rest = $0
    found = /not applicable: /
    while (match(rest, /`[a-z_]+\/[a-z_]+`: "[^"]+"/)) {
      proof = substr(rest, RSTART, RLENGTH)
      rest = substr(rest, RSTART + RLENGTH)
      split(proof, tick, "`")
      print NR "\t" tick[2] "\t" substr(proof, index(proof, "\"") + 1, length(proof) - index(proof, "\"") - 1)
      found = 1
    }
    if (!found) print NR "\t\t"
    next
  }
  { head = 0 }
' "$doc")
[ -n "$proofs" ] || { echo "$doc names no tests"; exit 1; }

has() { # FILE NAME
  case $1 in
    unit/*) grep -qE "(cmocka_unit_test|TEST)[a-z_]*\($2[,)]" "$root/tests/unit/test_${1#unit/}.c" ;;
    *) grep -qF -e "it('$2'" -e "it(\`$2\`" -e "test('$2'" -e "scene('$2'" "$root/tests/$1.test.mjs" ;;
  esac 2>/dev/null
}

printf '%s\n' "$proofs" | {
  bad=0
  tab=$(printf '\t')
  while IFS= read -r line; do
    number=${line%%"$tab"*}
    rest=${line#*"$tab"}
    file=${rest%%"$tab"*}
    name=${rest#*"$tab"}
    if [ -z "$file" ]; then
      echo "docs/CONFORMANCE.md:$number: the row names no test"
      bad=1
    elif ! has "$file" "$name"; then
      echo "docs/CONFORMANCE.md:$number: there is no test \"$name\" in $file"
      bad=1
    fi
  done
  exit $bad
}
