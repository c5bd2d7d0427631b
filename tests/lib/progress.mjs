// SPDX-License-Identifier: MIT
//
// How far a long test is, for people who wait for it: lines at the end of the file that TEST_PROGRESS names, which
// tests/run.sh shows in full runs. /dev/stderr will do for a single one.

import { appendFileSync } from 'node:fs'

const EVERY = 10_000 // ms

// A function that is called as often as there is something new, and asks for words now and then.
export function progress({ name }) {
  const file = process.env.TEST_PROGRESS
  let last = Date.now()
  return (words) => {
    if (!file || Date.now() - last < EVERY) return
    last = Date.now()
    appendFileSync(file, `… ${name.slice(0, 60)}: ${words()}\n`)
  }
}
