// SPDX-License-Identifier: MIT
//
// Ports for servers that must be told theirs, and that come back to it after they were killed. They lie
// below those that the kernel gives away by itself, so that none of them becomes the near end of some
// connection while its server is away; and each process has a range of its own, so that no other test
// takes one meanwhile. It has it as long as it listens at the first port of the range, which the kernel
// lets only one do.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:net'

const FIRST = 10_000
const EACH = 128 // ports of a process

// A server that listens there, or null if another one does.
const listen = (port) =>
  new Promise((settle) => {
    const server = createServer().once('error', () => settle(null))
    server.listen({ port, host: '127.0.0.1', exclusive: true }, () => settle(server))
  })

async function ownRange() {
  const [lowest] = readFileSync('/proc/sys/net/ipv4/ip_local_port_range', 'utf8').trim().split(/\s+/).map(Number)
  const ranges = Math.floor((lowest - FIRST) / EACH)
  assert.ok(ranges > 0, 'the kernel gives away all ports')
  for (let i = 0; i < ranges; i++) {
    const begin = FIRST + ((process.pid + i) % ranges) * EACH
    const holder = await listen(begin)
    if (!holder) continue
    holder.unref() // it ends with the process
    return begin
  }
  throw new Error('all ranges of ports are taken')
}

const begin = await ownRange()
let given = 0

const isFree = async (port) => {
  const server = await listen(port)
  if (server) await new Promise((settle) => server.close(settle))
  return server !== null
}

export async function freePort() {
  for (let tries = 1; tries < EACH; tries++) {
    const port = begin + 1 + (given++ % (EACH - 1))
    if (await isFree(port)) return port
  }
  throw new Error(`no port is free from ${begin} on`)
}
