#!/bin/sh
# SPDX-License-Identifier: MIT
# Usage: tests/check/coverage.sh [SUITE...]
# Runs suites (default: c protocol) on the preset "coverage" and prints how many lines of each file
# of ours they reached, least first. It does not judge.
set -eu
cd "$(dirname "$0")/../.."
build=build/coverage

[ -d $build ] || cmake --preset coverage >/dev/null
cmake --build $build --parallel "$(nproc)"
find $build -name '*.gcda' -delete
[ $# -gt 0 ] || set -- c protocol
for suite; do suites="${suites:-} $suite:coverage"; done
# shellcheck disable=SC2086 # a list of words
tests/run.sh $suites || echo "some tests failed; what they reached counts all the same"

find $build/CMakeFiles -name '*.gcda' -exec gcov --no-output --relative-only --source-prefix "$PWD" {} + |
  awk -F"'" '
    /^File/ { file = $2; next }
    /^Lines executed:/ && file ~ /\.c$/ && !(file in seen) {
      seen[file] = 1
      split(substr($0, 16), part, /% of /)
      reached += part[1] * part[2] / 100; all += part[2]
      printf "%6.1f %% of %5d  %s\n", part[1], part[2], file
    }
    END { if (!all) exit 1; printf "%6.1f %% of %5d  all\n", 100 * reached / all, all }' | sort -n
