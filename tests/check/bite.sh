#!/bin/sh
# SPDX-License-Identifier: MIT
# Usage: bite.sh CHECK_FOLDER
# Shows each house rule a tree that keeps it and one that breaks it: it must tell them apart.
set -u
check=$1
tree=$(mktemp -d) || exit 1
trap 'rm -rf "$tree"' EXIT
bad=0

plant() { # FILE: content on stdin
  mkdir -p "$tree/$(dirname "$1")"
  cat >"$tree/$1"
}

clean() {
  rm -rf "${tree:?}"/*
  plant backplane/base/a.h <<'C'
/* SPDX-License-Identifier: MIT */
#include <uv.h>
C
  plant backplane/b.h <<'C'
/* SPDX-License-Identifier: MIT */
#include "backplane/base/a.h"
C
  plant gateway/ws.c <<'C'
/* SPDX-License-Identifier: MIT */
#include <libwebsockets.h>
C
}

expect() { # pass|fail WHAT SCRIPT ARGS...
  want=$1 what=$2 script=$3
  shift 3
  if sh "$check/$script" "$tree" "$@" >"$tree/out" 2>&1; then got=pass; else got=fail; fi
  [ $got = "$want" ] && return
  echo "$script should $want: $what"
  cat "$tree/out"
  bad=1
}

repeat() { # N LINE
  awk -v n="$1" -v line="$2" 'BEGIN { while (n--) print line }'
}

clean
expect pass 'a clean tree' includes.sh
expect pass 'a clean tree' licence.sh
expect pass 'a clean tree' sizes.sh

for include in '"b.h"' '"../rooms/r.h"' '<jansson.h>' '<libwebsockets.h>' '<uthash.h>' '"tests/t.h"'; do
  clean
  printf '#include %s\n' "$include" | plant backplane/c.c
  expect fail "$include in backplane" includes.sh
done

clean
for file in one two; do plant gateway/$file.c <"$tree/gateway/ws.c"; done
expect fail 'libwebsockets in three files' includes.sh

clean
plant backplane/b.c <<'C'
#include <stdio.h>
#include "backplane/b.h"
C
expect fail 'own header second' includes.sh

clean
echo 'int x;' | plant rooms/r.c
expect fail 'no licence' licence.sh

clean
repeat 601 'int x;' | plant rooms/r.c
expect fail '601 lines' sizes.sh
clean
{ echo 'void f(void)'; echo '{'; repeat 71 '    ;'; echo '}'; } | plant rooms/r.c
expect fail 'a function of 71 lines' sizes.sh
clean
printf '/* %0100d */\n' 1 | plant rooms/r.c
expect fail '106 columns' sizes.sh

clean
expect pass 'backplane may see its base' fence.sh cc "$tree" backplane sees backplane/base
expect fail 'an open include path' fence.sh cc "$tree" backplane/base blind backplane
expect fail 'a missing include path' fence.sh cc "$tree/gateway" backplane sees backplane/base

clean
printf '/* uses a type that it does not declare */\nuv_missing_t *x;\n' | plant gateway/x.h
expect fail 'a header that needs another' headers.sh cc "$tree" gateway

clean
printf 'test(\047a\047, f)\n' | plant tests/protocol/x.test.mjs
table='| rule | proof |
|---|---|
| r | `protocol/x`: "a" |'
printf '%s\n' "$table" | plant docs/RELIABILITY.md
for row in '' '| r | not applicable: why |'; do
  printf '%s\n%s\n' "$table" "$row" | plant docs/CONFORMANCE.md
  expect pass "$row" conformance.sh
done
for row in '| r | `protocol/x`: "b" |' '| r | `protocol/y`: "a" |' '| r | |'; do
  printf '%s\n%s\n' "$table" "$row" | plant docs/CONFORMANCE.md
  expect fail "$row" conformance.sh
done
printf '%s\n' "$table" | plant docs/CONFORMANCE.md
printf '%s\n\n| a | b |\n|---|---|\n| r | |\n' "$table" | plant docs/RELIABILITY.md
expect pass 'a table without proofs' conformance.sh
printf '%s\n| r | `protocol/x`: "b" |\n' "$table" | plant docs/RELIABILITY.md
expect fail 'the second document' conformance.sh

clean
for name in puts our_puts; do
  echo "int $name(void); int $name(void) { return 0; }" | cc -fno-builtin -c -x c - -o "$tree/$name.o"
  ar rc "$tree/$name.a" "$tree/$name.o"
done
sh "$check/names.sh" "$tree/our_puts.a" /bin/sh || { echo 'names.sh should pass: a name of our own'; bad=1; }
sh "$check/names.sh" "$tree/puts.a" /bin/sh >/dev/null && { echo 'names.sh should fail: puts'; bad=1; }

exit $bad
