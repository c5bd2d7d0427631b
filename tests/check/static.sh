#!/bin/sh
# SPDX-License-Identifier: MIT
# Usage: tests/check/static.sh BUILD
# Everything about the code that can be said without running it. All steps run; it fails if one did.
# The house rules that need no further tools are tests of ctest: `ctest -L house`.
set -u
cd "$(dirname "$0")/../.." || exit 1
build=$1
bad=

sources() { # PATTERN...
  for pattern; do
    find backplane rooms gateway tests -name node_modules -prune -o -type f -name "$pattern" -print
  done | sort
}

step() { # NAME COMMAND...
  name=$1
  shift
  printf '%-14s' "$name"
  if out=$("$@" 2>&1); then
    echo ok
  else
    echo FAILED
    printf '%s\n' "$out"
    bad="$bad $name"
  fi
}

format() { sources '*.[ch]' | xargs clang-format --dry-run -Werror; }

# Only files that are compiled: clang-tidy needs to know how.
compiled() {
  sources '*.c' | while read -r file; do
    grep -qF "\"$PWD/$file\"" "$build/compile_commands.json" && echo "$file"
  done
}

tidy() { # what it writes to stderr are counts of warnings in other people's headers
  compiled | xargs -P "$(nproc)" -n 1 clang-tidy -p "$build" --quiet >"$build/tidy.log" 2>"$build/tidy.err" && return
  cat "$build/tidy.log"
  grep -v 'generated' "$build/tidy.err"
  return 1
}

# uninitvar: version 2.10 takes arguments that the call before fills for unset; compilers know better.
analyse() {
  sources '*.c' | cppcheck --file-list=- -I . --std=c11 --enable=warning,performance,portability \
    --inline-suppr --suppress=missingIncludeSystem --suppress=uninitvar --error-exitcode=1 --quiet \
    --library=tests/check/cppcheck.cfg -j "$(nproc)"
}

types() { (cd web && npm run --silent check); }

shell() { # every script parses
  for script in $(find tests .ci -name node_modules -prune -o -type f -name '*.sh' -print) .ci/run .ci/install; do
    sh -n "$script" || return 1
  done
}

step format format
step clang-tidy tidy
step cppcheck analyse
step types types
step shell shell
[ -z "$bad" ] || { echo "failed:$bad"; exit 1; }
