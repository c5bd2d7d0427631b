// SPDX-License-Identifier: MIT
//
// Many rooms on one gateway that loses Redis: how it comes back, in how many commands, and that
// nothing is lost meanwhile.

import assert from 'node:assert/strict'
import { describe } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'

import { Cluster } from '../lib/cluster.mjs'
import { Redis } from '../lib/redis.mjs'
import { it } from '../lib/suite.mjs'
import { startLoad } from '../load/tool.mjs'

const long = process.env.MADANG_TORTURE === '1'
const EACH = 125 // rooms of a session
const ROOMS = long ? 100_000 : 5000
const CHECKED = 100 // rooms that are compared in one call
const SUBSCRIBED = 256 // channels that are subscribed to in one command

// How often each command was executed.
async function commands(redis) {
  const text = await redis.say('INFO', 'commandstats')
  return Object.fromEntries([...text.matchAll(/^cmdstat_([\w|]+):calls=(\d+)/gm)].map(([, name, n]) => [name, Number(n)]))
}

describe(`${ROOMS} rooms on one gateway`, () => {
  it('are heard and compared again in bounded batches, and nothing is lost', async () => {
    const redis = await Redis.start()
    const cluster = await Cluster.start(redis, { gateways: 2 })
    try {
      const [full, other] = cluster.gateways
      const run = await startLoad({
        port: full.port,
        publish_port: other.port,
        sessions: ROOMS / EACH,
        rooms: ROOMS,
        rooms_per_session: EACH,
        publishers: 4,
        burst: 8,
        rate: 200,
        size: 160,
        cid: true,
        recover: true,
        insist: true,
        warmup: 0,
        settle: 0,
        duration: 600,
        patience: 60,
      })
      try {
        await run.said('phase measure')
        const before = await full.metrics()
        assert.ok(before.madang_backplane_watched_rooms >= ROOMS) // and the gateway's own
        await redis.say('CONFIG', 'RESETSTAT')
        const begin = process.hrtime.bigint()
        await redis.say('CLIENT', 'KILL', 'TYPE', 'pubsub')
        await redis.say('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes')
        let now = before
        while (now.madang_backplane_repairs_total === before.madang_backplane_repairs_total) {
          await pause(20)
          now = await full.metrics()
        }
        const seconds = Number(process.hrtime.bigint() - begin) / 1e9
        const found = await commands(redis)
        const compared = found.hmget // one of each room
        // Calls of scripts, without publications, and without presence: members are entered meanwhile, one
        // by one, and looked at.
        const calls = found.eval + found.evalsha - found.xadd - (found.hincrby ?? 0) - (found.hkeys ?? 0)
        console.log(`# ${ROOMS} rooms after ${seconds.toFixed(2)} s: ${JSON.stringify(found)}`)
        // Both gateways subscribe; the other has few rooms.
        assert.ok(found.subscribe >= ROOMS / SUBSCRIBED && found.subscribe <= ROOMS / SUBSCRIBED + 50, JSON.stringify(found))
        assert.ok(compared >= ROOMS, JSON.stringify(found))
        const beside = 50 + 20 * seconds // publications that were there already, and what comes each second
        assert.ok(calls < (1.5 * ROOMS) / CHECKED + beside, JSON.stringify(found))
      } finally {
        run.child.kill('SIGUSR1')
        const { code, report, err } = await run.finish()
        assert.equal(code, 0, err)
        assert.equal(report.told, 0)
        assert.equal(report.replies, report.all_publications)
      }
    } finally {
      await cluster.stop()
    }
  })
})
