# SPDX-License-Identifier: MIT
# From the log of a suite, what failed and the first of what it says: a few lines for the end of a long run.
# Reads TAP as node writes it, and the output of ctest with that of cmocka and the sanitizers.

function told(line) {
  if (lines++ < 12) print "  " line
}

/^ *not ok / {
  name = $0
  sub(/^ *not ok [0-9]+ - /, "", name)
  inside = 1
  lines = 0
  next
}
inside && /failureType: 'subtestsFailed'/ { inside = 0 } # the failure itself is told already
inside && /^ *(stack|expected|actual):|^ *\.\.\.$/ { inside = 0 }
inside && /^ *error:/ { print "✖ " name; told($0); saying = 1; next }
inside && saying { told($0) }
!inside { saying = 0 }

/\*\*\*(Failed|Timeout|Exception)/ { print "✖ " $0; lines = 0 }
/^\[ +(ERROR|FAILED) +\]|ERROR: [A-Z][A-Za-z]*Sanitizer|runtime error: / { told($0) }
