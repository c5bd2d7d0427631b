#!/bin/sh
# SPDX-License-Identifier: MIT
# Usage: tests/fuzz/search.sh BUILD SECONDS [AT_A_TIME [FUZZER]]
# Runs every fuzzer of a build of the preset "fuzz", or FUZZER, for SECONDS each, from the committed inputs.
# New inputs go to BUILD/corpus, findings to BUILD/findings.
set -u
build=$1 seconds=$2 at_a_time=${3:-1} only=${4:-}
here=$(dirname "$0")

search() { # FUZZER
  noun=${1##*/fuzz_}
  mkdir -p "$build/corpus/$noun" "$build/findings/$noun"
  dict=$here/$noun.dict
  [ -e "$dict" ] && dict=-dict=$dict || dict=
  known=$here/regression/$noun
  [ -d "$known" ] || known=
  log=$build/findings/$noun.log
  bad=0
  echo "== $noun for $seconds s"
  # shellcheck disable=SC2086 # empty words must vanish
  "$1" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 -verbosity=0 $dict \
    -artifact_prefix="$build/findings/$noun/" "$build/corpus/$noun" "$here/corpus/$noun" $known >"$log" 2>&1 || bad=1
  echo "== $noun: $([ $bad -eq 0 ] && echo nothing found || echo FOUND)"
  cat "$log"
  return $bad
}

if [ -n "$only" ]; then
  search "$only"
  exit
fi
set -- "$build"/tests/fuzz_*
[ -x "$1" ] || { echo "no fuzzers in $build/tests"; exit 1; }
printf '%s\n' "$@" | xargs -P "$at_a_time" -I '{}' sh "$0" "$build" "$seconds" 1 '{}' && exit
echo "findings are in $build/findings: with a fix, commit them to $here/regression/"
exit 1
