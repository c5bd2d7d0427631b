#!/bin/sh
# SPDX-License-Identifier: MIT
# Usage: tests/run.sh SUITE[:PRESET]...
# Runs test suites on what was built in build/PRESET, prints a table and the first words of what failed,
# and ends with the line "N passed, N failed". Suites: c (ctest), page (the page's own tests), and each
# folder of tests/ with *.test.mjs files. MADANG_TORTURE=1 gives them more time; each suite decides what
# to do with it.
set -u
cd "$(dirname "$0")/.." || exit 1
top=$PWD
tmp=$(mktemp -d) || exit 1
teller=
trap '[ -z "$teller" ] || kill $teller; rm -rf "$tmp"' EXIT
trap 'exit 130' INT TERM

limit=600 # seconds a suite may take
if [ "${MADANG_TORTURE:-}" = 1 ]; then
  limit=7200
  # Where long tests say how far they are, whoever collects their output.
  export TEST_PROGRESS="$tmp/progress"
  : >"$TEST_PROGRESS"
  tail -n +1 -f "$TEST_PROGRESS" &
  teller=$!
fi

# For gateways that a suite starts; the C tests have theirs from CMake.
export ASAN_OPTIONS="${ASAN_OPTIONS:-allocator_may_return_null=1:detect_stack_use_after_return=1}"
export UBSAN_OPTIONS="${UBSAN_OPTIONS:-print_stacktrace=1}"
export TSAN_OPTIONS="${TSAN_OPTIONS:-second_deadlock_stack=1:print_suppressions=0:suppressions=$top/tests/check/tsan.supp}"

# Each runner leaves its log in $tmp/log and returns the exit status; a counter reads the log.

run_c() { # PRESET
  timeout -k 10 $limit ctest --test-dir "build/$1" --output-on-failure --no-tests=error -j 3 -O "$tmp/log"
}

count_c() { # prints: passed failed skipped
  sed -nE 's/^[0-9]+% tests passed, ([0-9]+) tests failed out of ([0-9]+)$/\2 \1/p' "$tmp/log" |
    awk '{ print $1 - $2, $2, 0 }'
}

# Output for people, and a log to count.
reporters="--test-reporter=spec --test-reporter-destination=stdout
  --test-reporter=tap --test-reporter-destination=$tmp/log"

run_node() { # FILES_AT_A_TIME FILES...
  [ -e "$2" ] || { echo "there are no tests"; return 1; }
  at_a_time=$1
  shift
  # shellcheck disable=SC2086 # a list of words
  timeout -k 10 $limit node --test --test-concurrency="$at_a_time" $reporters "$@"
}

# Where most of the time is spent waiting for deadlines, files share it; where machines are loaded or
# measured, each file has it for itself.
at_a_time() { # SUITE
  case $1 in protocol|app|redis|cluster) echo 5 ;; browser) echo 3 ;; *) echo 1 ;; esac
}

run_page() {
  # shellcheck disable=SC2086
  (cd web && timeout -k 10 $limit npm --silent test -- $reporters)
}

count_node() {
  awk '/^# (pass|fail|cancelled|skipped) [0-9]+$/ { n[$2] = $3 }
    END { print n["pass"] + 0, n["fail"] + n["cancelled"], n["skipped"] + 0 }' "$tmp/log"
}

run() { # SUITE PRESET
  case $1 in
    c) run_c "$2" ;;
    page) run_page ;;
    *) MADANG_BIN=$top/build/$2/madang MADANG_LOAD=$top/build/release/madang-load \
      run_node "$(at_a_time "$1")" tests/"$1"/*.test.mjs ;;
  esac
}

row='%-20s %7s %7s %7s %8s\n'
total_passed=0
total_failed=0
for suite; do
  name=${suite%%:*}
  preset=${suite#*:}
  printf '\n== %s\n' "$suite"
  : >"$tmp/log"
  start=$(date +%s)
  run "$name" "$preset"
  status=$?
  case $name in c) counts=$(count_c) ;; *) counts=$(count_node) ;; esac
  [ -n "$counts" ] || counts='0 0 0'
  passed=${counts%% *} rest=${counts#* }
  failed=${rest% *} skipped=${rest#* }
  # A suite that broke off, or was stopped, has failed whatever it had counted.
  [ $status -ne 0 ] && [ "$failed" -eq 0 ] && failed=1
  [ $status -eq 124 ] && echo "$suite took longer than $limit s"
  [ "$failed" -eq 0 ] || awk -f tests/failures.awk "$tmp/log" >>"$tmp/failures"
  printf "$row" "$suite" "$passed" "$failed" "$skipped" "$(($(date +%s) - start)) s" >>"$tmp/table"
  total_passed=$((total_passed + passed))
  total_failed=$((total_failed + failed))
done

printf '\n'
printf "$row" suite passed failed skipped time
cat "$tmp/table"
[ -s "$tmp/failures" ] && printf '\n' && cut -c 1-200 "$tmp/failures"
printf '\n%d passed, %d failed\n' $total_passed $total_failed
[ $total_failed -eq 0 ] && [ $total_passed -gt 0 ]
