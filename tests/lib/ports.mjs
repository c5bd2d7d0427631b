// SPDX-License-Identifier: MIT
//
// Ports for servers that must be told theirs, and that come back to it after they were killed. They lie
// below those that the kernel gives away by itself, so that none of them becomes the near end of some
// connection while its server is away; and each process has a range of its own, so that tests that run
// side by side do not agree on one.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:net'

const FIRST = 10_000
const EACH = 128 // ports of a process

function range() {
  const [lowest] = readFileSync('/proc/sys/net/ipv4/ip_local_port_range', 'utf8').trim().split(/\s+/).map(Number)
  const processes = Math.floor((lowest - FIRST) / EACH)
  assert.ok(processes > 0, 'the kernel gives away all ports')
  return FIRST + (process.pid % processes) * EACH
}

const begin = range()
let given = 0

const isFree = (port) =>
  new Promise((settle) => {
    const server = createServer().once('error', () => settle(false))
    server.listen(port, '127.0.0.1', () => server.close(() => settle(true)))
  })

export async function freePort() {
  for (let tries = 0; tries < EACH; tries++) {
    const port = begin + (given++ % EACH)
    if (await isFree(port)) return port
  }
  throw new Error(`no port is free from ${begin} on`)
}
