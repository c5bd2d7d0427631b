#!/bin/sh
# SPDX-License-Identifier: MIT
# Usage: licence.sh ROOT
# Every source file says its licence in its first line, or in the second after a "#!" line.
set -u
cd "$1" || exit 1

missing=$(
  find backplane rooms gateway web tests docs .ci CMakeLists.txt Makefile \
    -name node_modules -prune -o -path tests/fuzz/corpus -prune -o -path tests/fuzz/regression -prune -o \
    -type f \( -name '*.[ch]' -o -name '*.ts' -o -name '*.tsx' -o -name '*.mjs' -o -name '*.js' -o \
      -name '*.css' -o -name '*.sh' -o -name CMakeLists.txt -o -name Makefile -o \
      -path '.ci/*' \) -print 2>/dev/null |
  while read -r file; do
    head -n 2 "$file" | grep -q 'SPDX-License-Identifier: MIT' || echo "  $file"
  done)
[ -z "$missing" ] || { echo 'no licence line:'; echo "$missing"; exit 1; }
