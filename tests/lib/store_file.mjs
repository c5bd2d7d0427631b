// SPDX-License-Identifier: MIT
//
// What lies in the file of a store whose gateway has ended, seen by another program: a copy of it is opened.

import { execFileSync } from 'node:child_process'
import { cpSync, existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const LOOK = `
import json, sqlite3, sys
db = sqlite3.connect(sys.argv[1])
states = ["ready", "leased", "delayed", "blocked"]
queues = {}
for row in db.execute("SELECT id, name, %s, dead, bytes FROM queue" % ", ".join(states)):
    counted = [0, 0, 0, 0]
    bytes = 0
    for state, n, size in db.execute("SELECT state, count(*), sum(length(data)) FROM job WHERE queue=? GROUP BY state", row[:1]):
        counted[state] = n
        bytes += size
    (dead,) = db.execute("SELECT count(*) FROM job_dead WHERE queue=?", row[:1]).fetchone()
    queues[row[1].decode()] = {"says": list(row[2:]), "has": counted + [dead, bytes]}
print(json.dumps({"check": db.execute("PRAGMA quick_check").fetchone()[0], "queues": queues}))
`

// { check: 'ok' if it is whole, queues: { name: { says, has } } }, the levels that it says and those that are counted.
export function lookInto(store) {
  const folder = mkdtempSync(join(tmpdir(), 'madang-look-'))
  try {
    const copy = join(folder, 'copy.db')
    for (const end of ['', '-wal']) if (existsSync(store + end)) cpSync(store + end, copy + end)
    return JSON.parse(execFileSync('python3', ['-c', LOOK, copy], { encoding: 'utf8' }))
  } finally {
    rmSync(folder, { recursive: true })
  }
}
