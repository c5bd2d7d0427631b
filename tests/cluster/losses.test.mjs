// SPDX-License-Identifier: MIT
//
// A server that comes back without its last writes: what may be missing, that nothing else is, and
// that everybody who had seen it is told.

import assert from 'node:assert/strict'
import { readdirSync, statSync, truncateSync } from 'node:fs'
import { join } from 'node:path'
import { describe } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'

import { Cluster } from '../lib/cluster.mjs'
import { Redis } from '../lib/redis.mjs'
import { it } from '../lib/suite.mjs'

const ROOMS = ['one', 'two', 'three']
const ARGS = ['--rooms-history-size', '5000', '--redis-command-timeout', '1s']
const EVERYSEC = ['--appendonly', 'yes', '--appendfsync', 'everysec']
const UNWRITTEN = 2000 // ms of writes that everysec may not have written yet

// As a power cut does: what was written last is not on the disk.
function cutLog(redis, bytes) {
  const folder = join(redis.folder, 'appendonlydir')
  const name = readdirSync(folder).find((one) => one.endsWith('.incr.aof'))
  const path = join(folder, name)
  truncateSync(path, Math.max(0, statSync(path).size - bytes))
}

async function grown(cluster, n) {
  const goals = cluster.publishers.map((one) => one.sent + n)
  while (cluster.publishers.some((one, i) => one.sent < goals[i])) await pause(10)
}

// Load on three gateways; the server is killed and comes back after `meanwhile`. Gives for each room
// { stream, epoch, old: what was seen before at each offset, listeners, publishers }.
async function through(meanwhile) {
  const redis = await Redis.start(EVERYSEC)
  const cluster = await Cluster.start(redis, { args: ARGS })
  try {
    for (const room of ROOMS) {
      await cluster.listen(room)
      for (const gateway of cluster.gateways) (await cluster.publisher(gateway, room)).run()
    }
    await grown(cluster, 20)
    const before = await Promise.all(ROOMS.map((room) => cluster.stream(room)))
    const settled = cluster.publishers.map((one) => one.sent)
    await pause(UNWRITTEN)
    await grown(cluster, 1)
    await cluster.outage(() => redis.kill())
    meanwhile(redis)
    await redis.restart()
    await cluster.well()
    await grown(cluster, 20)
    await Promise.all(cluster.publishers.map((one) => one.stop()))
    return await Promise.all(
      ROOMS.map(async (room, i) => {
        await cluster.compare(room)
        const { epoch, pubs } = await cluster.stream(room)
        const mine = (list) => list.filter((one) => one.room === room)
        const publishers = mine(cluster.publishers).map((one) => ({ name: one.name, sent: one.sent, settled: settled[cluster.publishers.indexOf(one)] }))
        return { pubs, epoch, before: before[i].epoch, listeners: mine(cluster.listeners), publishers }
      }),
    )
  } finally {
    await cluster.stop()
  }
}

// Checks a room and gives how many publications of it were shown and lost.
function judge({ pubs, epoch, before, listeners, publishers }) {
  assert.notEqual(epoch, before, 'positions of before mean nothing any more')
  const shown = new Map() // offset to data, of the old epoch
  for (const one of listeners) {
    assert.equal(one.told, 1, one.story())
    for (const [position, text] of one.seen) {
      const [of, offset] = position.split('/')
      assert.ok(of === before || of === epoch, position)
      if (of === before) shown.set(Number(offset), text)
    }
  }
  // What is left is a beginning of what was shown, and nothing within it is missing.
  const kept = [...shown].filter(([offset, text]) => JSON.stringify(pubs.get(offset)) === text).map(([offset]) => offset)
  const top = Math.max(...kept)
  for (const offset of shown.keys()) assert.equal(offset <= top, kept.includes(offset), `${offset} of ${top}`)
  const lost = [...shown].filter(([offset]) => offset > top).map(([, text]) => JSON.parse(text))
  // Everything that was acknowledged stands there once, unless it had no time to be written. (Of the
  // very last the answer may have come and the publication not.)
  for (const { name, sent, settled } of publishers) {
    const there = [...pubs.values()].filter(({ from }) => from === name).map(({ n }) => n)
    assert.equal(new Set(there).size, there.length, `${name} twice`)
    for (let n = 0; n < sent; n++) assert.ok(there.includes(n) || n >= settled, `${n} of ${name}`)
  }
  return lost.length
}

describe('a server that writes every second', () => {
  it('is killed: at most the last seconds are missing, and everybody is told', async () => {
    for (const room of await through(() => {})) judge(room)
  })

  it('loses the end of its log: just that is missing, and everybody is told', async () => {
    const rooms = await through((redis) => cutLog(redis, 4000))
    assert.ok(rooms.map(judge).reduce((a, b) => a + b) > 0)
  })
})
