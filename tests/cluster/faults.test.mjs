// SPDX-License-Identifier: MIT
//
// What goes wrong between gateways and Redis while publishers do not stop, and what everybody is then
// told: either all of it, in one order, or that something is missing.

import assert from 'node:assert/strict'
import { describe } from 'node:test'

import { assertAll, Cluster } from '../lib/cluster.mjs'
import { grown } from '../lib/losses.mjs'
import { Redis } from '../lib/redis.mjs'
import { it } from '../lib/suite.mjs'

const ROOMS = ['one', 'two', 'three']
const HISTORY = ['--rooms-history-size', '5000', '--redis-command-timeout', '1s']

// Publishers run in every room on every gateway, `fault` happens, more is published, and everybody's
// story is compared. Gives what `check` may want to know.
async function through(redisArgs, args, fault) {
  const cluster = await Cluster.start(await Redis.start(redisArgs), { args: [...HISTORY, ...args] })
  try {
    for (const room of ROOMS) {
      await cluster.listen(room)
      for (const gateway of cluster.gateways) (await cluster.publisher(gateway, room)).run()
    }
    await grown(cluster, 20)
    await fault(cluster)
    await grown(cluster, 20)
    await Promise.all(cluster.publishers.map((one) => one.stop()))
    await cluster.well()
    const ends = []
    for (const room of ROOMS) ends.push(await cluster.compare(room))
    return { cluster, ends }
  } finally {
    await cluster.stop()
  }
}

// Nobody missed anything, and nobody was told that he did.
function assertNothingLost({ cluster }) {
  for (const listener of cluster.listeners) {
    assert.equal(listener.told, 0, `${listener.room}: ${listener.story()}`)
    for (const one of cluster.publishers.filter((p) => p.room === listener.room)) assertAll(one, listener)
  }
}

describe('faults of Redis under load', () => {
  it('subscription connections are killed: everything is filled from the streams', async () => {
    const result = await through([], [], async (cluster) => {
      await cluster.redis.say('CLIENT', 'KILL', 'TYPE', 'pubsub')
      await grown(cluster, 20)
      await cluster.redis.say('CLIENT', 'KILL', 'TYPE', 'pubsub')
    })
    assertNothingLost(result)
  })

  it('command connections are killed: what failed is sent again and stands there once', async () => {
    const result = await through([], [], async (cluster) => {
      for (let i = 0; i < 5; i++) {
        await cluster.redis.say('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes')
        await grown(cluster, 5)
      }
    })
    assertNothingLost(result)
  })

  it('the scripts are forgotten: nobody notices', async () => {
    const result = await through([], [], async (cluster) => {
      for (let i = 0; i < 10; i++) {
        await cluster.redis.say('SCRIPT', 'FLUSH')
        await grown(cluster, 2)
      }
    })
    assertNothingLost(result)
  })

  it('Redis does not answer for some seconds: it is degraded, sessions stay, all goes on', async () => {
    const result = await through([], [], async (cluster) => {
      await cluster.redis.freeze()
      await cluster.degraded()
      cluster.redis.signal('SIGCONT')
    })
    assertNothingLost(result)
  })

  it('Redis is killed and comes back, having written each command before its answer', async () => {
    const always = ['--appendonly', 'yes', '--appendfsync', 'always']
    const result = await through(always, ['--redis-appendfsync-always', 'on'], async (cluster) => {
      await cluster.redis.kill()
      await cluster.degraded()
      await cluster.redis.restart()
    })
    assertNothingLost(result)
    for (const { listeners } of result.ends) assert.equal(new Set(listeners.map((one) => one.epoch)).size, 1)
  })

  it('the memory is full: publications fail for now, the rest works, and it is said', async () => {
    const cluster = await Cluster.start(await Redis.start(), { args: HISTORY })
    try {
      const [a, b] = await cluster.listen('r')
      const publisher = await cluster.publisher(cluster.gateways[0], 'r')
      await publisher.publishMany(3)
      await b.until(a.epoch, 3)
      await cluster.redis.say('CONFIG', 'SET', 'maxmemory', '1')
      const { value } = await b.chatter.reply(b.chatter.command({ publish: { channel: 'r', data: 1 } }))
      assert.deepEqual([value.error.code, value.error.temporary], [100, true])
      const ready = (await cluster.readiness())[1]
      assert.deepEqual([ready.status, ready.degraded], ['ready', ['redis memory']])
      const newcomer = await cluster.publisher(cluster.gateways[2], 'r')
      assert.equal((await newcomer.chatter.subscribe('r')).offset, 3)
      assert.equal((await newcomer.chatter.subscribe('a room that is new')).offset, undefined)
      assert.equal((await newcomer.chatter.ok({ history: { channel: 'r', limit: 5 } })).publications.length, 3)
      await newcomer.chatter.ok({ unsubscribe: { channel: 'r' } })
      await cluster.redis.say('CONFIG', 'SET', 'maxmemory', '0')
      await cluster.well() // though nobody writes anything
      await publisher.publishMany(1)
      for (const one of await Promise.all([a, b].map(async (l) => (await l.until(a.epoch, 4), l)))) assert.equal(one.told, 0)
    } finally {
      await cluster.stop()
    }
  })

  it('while Redis is away sessions stay, commands fail at once, and connects work', async () => {
    const redis = await Redis.start()
    const cluster = await Cluster.start(redis, { gateways: 1, args: HISTORY })
    try {
      const [a] = await cluster.listen('r')
      await redis.kill()
      await cluster.degraded()
      const late = await cluster.publisher(cluster.gateways[0], 'r')
      for (const command of [{ publish: { channel: 'r', data: 1 } }, { subscribe: { channel: 's' } }, { history: { channel: 'r', limit: 1 } }]) {
        const { value } = await late.chatter.reply(late.chatter.command(command))
        assert.deepEqual([value.error?.code, value.error?.temporary], [100, true], JSON.stringify(value))
      }
      assert.equal((await cluster.readiness())[0].status, 'ready')
      assert.deepEqual((await cluster.readiness())[0].degraded, ['redis'])
      await redis.restart()
      await cluster.well()
      await late.publishMany(1)
      const { epoch, offset } = await cluster.stream('r')
      await a.until(epoch, offset)
      assert.equal(a.told, 1)
    } finally {
      await cluster.stop()
    }
  })
})
