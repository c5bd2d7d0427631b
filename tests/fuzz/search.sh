#!/bin/sh
# SPDX-License-Identifier: MIT
# Usage: tests/fuzz/search.sh BUILD SECONDS
# Runs every fuzzer of a build of the preset "fuzz" for SECONDS each, from the committed inputs.
# New inputs go to BUILD/corpus, findings to BUILD/findings.
set -u
build=$1 seconds=$2
here=$(dirname "$0")
bad=0 tried=0

for fuzzer in "$build"/tests/fuzz_*; do
  [ -x "$fuzzer" ] || continue
  tried=$((tried + 1))
  noun=${fuzzer##*/fuzz_}
  mkdir -p "$build/corpus/$noun" "$build/findings/$noun"
  dict=$here/$noun.dict
  [ -e "$dict" ] && dict=-dict=$dict || dict=
  known=$here/regression/$noun
  [ -d "$known" ] || known=
  echo "== $noun for $seconds s"
  # shellcheck disable=SC2086 # empty words must vanish
  "$fuzzer" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 -verbosity=0 $dict \
    -artifact_prefix="$build/findings/$noun/" "$build/corpus/$noun" "$here/corpus/$noun" $known || bad=1
done
[ $tried -gt 0 ] || { echo "no fuzzers in $build/tests"; exit 1; }
[ $bad -eq 0 ] || echo "findings are in $build/findings: with a fix, commit them to $here/regression/"
exit $bad
