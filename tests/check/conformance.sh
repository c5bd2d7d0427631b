#!/bin/sh
# SPDX-License-Identifier: MIT
# Usage: conformance.sh ROOT
# docs/CONFORMANCE.md says which test proves which rule of the protocol, docs/RELIABILITY.md which one proves
# that something that may go wrong is met. Each row of a table whose last column is `proof` must name a
# test, or say that the rule is not applicable, and each test that is named must exist:
#   `protocol/subscribe`: "NAME"   in tests/protocol/subscribe.test.mjs
#   `unit/close`: "NAME"           in tests/unit/test_close.c
set -u
root=$1
bad=0
tab=$(printf '\t')

# One line per proof: line number, file, name. Rows without any: line number, nothing.
proofs_of() { # DOCUMENT
  awk '
  /^\|/ {
    if (!head++) wanted = /\| proof \|$/ # the names of the columns
    if (!wanted || head < 3) next # and the line below
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
' "$1"
}

has() { # FILE NAME
  case $1 in
    unit/*) grep -qE "(cmocka_unit_test|TEST|LATE|POWERED)[a-z_]*\($2[,)]" "$root/tests/unit/test_${1#unit/}.c" ;;
    *) grep -qF -e "it('$2'" -e "it(\`$2\`" -e "test('$2'" -e "scene('$2'" "$root/tests/$1.test.mjs" ;;
  esac 2>/dev/null
}

complain() { # WHERE WHAT
  echo "docs/$1: $2"
  bad=1
}

# Each line that proofs_of prints, from standard input.
check() { # DOCUMENT
  while IFS= read -r line; do
    number=${line%%"$tab"*}
    rest=${line#*"$tab"}
    file=${rest%%"$tab"*}
    name=${rest#*"$tab"}
    if [ -z "$file" ]; then
      complain "$1:$number" 'the row names no test'
    elif ! has "$file" "$name"; then
      complain "$1:$number" "there is no test \"$name\" in $file"
    fi
  done
}

for name in CONFORMANCE.md RELIABILITY.md; do
  doc=$root/docs/$name
  [ -r "$doc" ] || { complain "$name" 'it is not there'; continue; }
  proofs=$(proofs_of "$doc")
  [ -n "$proofs" ] || { complain "$name" 'it names no tests'; continue; }
  check "$name" <<END
$proofs
END
done
exit $bad
