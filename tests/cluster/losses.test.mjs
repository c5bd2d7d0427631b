// SPDX-License-Identifier: MIT
//
// A server that comes back without its last writes, under load: what may be missing, that nothing else
// is, and that everybody who had seen it is told.

import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { readdirSync, readFileSync, truncateSync } from 'node:fs'
import { join } from 'node:path'
import { describe } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'

import { Cluster } from '../lib/cluster.mjs'
import { grown, judge, losing } from '../lib/losses.mjs'
import { Redis } from '../lib/redis.mjs'
import { it } from '../lib/suite.mjs'

const ROOMS = ['one', 'two', 'three']
const ARGS = ['--rooms-history-size', '5000', '--redis-command-timeout', '1s']
const EVERYSEC = ['--appendonly', 'yes', '--appendfsync', 'everysec']
const UNWRITTEN = 2000 // ms of writes that everysec may not have written yet

const logOf = (redis) => {
  const folder = join(redis.folder, 'appendonlydir')
  return join(folder, readdirSync(folder).find((one) => one.endsWith('.incr.aof')))
}

// Resolves when all that was answered up to now is in the log, where a server may write it later: with the place
// behind it, in the middle of a command.
async function written(redis) {
  const mark = `mark ${randomUUID()}`
  await redis.say('SET', 'mark', mark)
  for (;;) {
    const at = readFileSync(logOf(redis)).indexOf(mark)
    if (at >= 0) return at
    await pause(20)
  }
}

// Somebody has seen of each room something that is not there yet.
async function shown(cluster) {
  const tops = await Promise.all(ROOMS.map((room) => cluster.stream(room)))
  const first = (room) => cluster.listeners.find((one) => one.room === room)
  await Promise.all(tops.map(({ epoch, offset }, i) => first(ROOMS[i]).until(epoch, offset + 1)))
}

// The stories of all rooms when a server with these options is lost in this way.
async function through(options, loss) {
  const redis = await Redis.start(options)
  const cluster = await Cluster.start(redis, { args: ARGS })
  try {
    return await losing(cluster, ROOMS, (story) => loss({ redis, cluster, ...story }))
  } finally {
    await cluster.stop()
  }
}

describe('a server that writes every second', () => {
  it('is killed: at most the last seconds are missing, and everybody is told', async () => {
    const rooms = await through(EVERYSEC, async ({ redis, cluster, settled, gone }) => {
      settled()
      await pause(UNWRITTEN)
      await grown(cluster, 1)
      await cluster.outage(() => redis.kill())
      gone()
      await redis.restart()
    })
    for (const room of rooms) judge(room)
  })

  it('loses the end of its log: just that is missing, and everybody is told', async () => {
    const rooms = await through(EVERYSEC, async ({ redis, cluster, settled, gone }) => {
      settled()
      const end = await written(redis)
      await shown(cluster)
      await cluster.outage(() => redis.kill())
      gone()
      truncateSync(logOf(redis), end) // as a power cut does: what was written last is not on the disk
      await redis.restart()
    })
    for (const room of rooms) assert.ok(judge(room) > 0)
  })
})

describe('a server whose data are deleted', () => {
  it('begins all rooms anew: everybody is told, and what comes later is there', async () => {
    const rooms = await through([], ({ redis, gone }) => redis.say('FLUSHALL').then(gone))
    for (const room of rooms) {
      judge(room)
      assert.deepEqual([...room.pubs.keys()], Array.from({ length: room.pubs.size }, (_, i) => i + 1))
    }
  })
})
