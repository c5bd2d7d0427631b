#!/bin/sh
# SPDX-License-Identifier: MIT
# Usage: sizes.sh ROOT
# A file is one noun: at most 600 lines, none wider than 100 columns. A function fits a screen: at
# most 70 lines from brace to brace.
set -u
cd "$1" || exit 1

{
  find backplane rooms gateway tests -name node_modules -prune -o -type f -name '*.[ch]' -print
  find web/src tests -name node_modules -prune -o -type f \( -name '*.ts' -o -name '*.tsx' -o -name '*.mjs' \) -print
} 2>/dev/null | sort | LC_ALL=C xargs -r awk '
  function done() {
    if (lines > 600) { print "  " file ": " lines " lines"; bad = 1 }
  }
  FNR == 1 { done(); file = FILENAME; start = 0; c = file ~ /\.[ch]$/ }
  { lines = FNR }
  c && length($0) > 100 { wide = $0; gsub(/[\200-\277]/, "", wide)
    if (length(wide) > 100) { print "  " file ":" FNR ": " length(wide) " columns"; bad = 1 } }
  c && /^{/ { start = FNR }
  c && /^}/ {
    if (start && FNR - start - 1 > 70) { print "  " file ":" start ": a function of " FNR - start - 1 " lines"; bad = 1 }
    start = 0
  }
  END { done(); exit bad }'
