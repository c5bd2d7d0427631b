// SPDX-License-Identifier: MIT
//
// A master that Sentinels watch: gateways find it, and follow when another one takes over.

import assert from 'node:assert/strict'
import { describe } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'

import { Cluster } from '../lib/cluster.mjs'
import { grown, judge, losing } from '../lib/losses.mjs'
import { Redis } from '../lib/redis.mjs'
import { Sentinels } from '../lib/sentinels.mjs'
import { run } from '../lib/servers.mjs'
import { it } from '../lib/suite.mjs'
import { Teller } from '../lib/teller.mjs'

describe('Sentinels', () => {
  it('name the master; one that lagged takes over: just what it did not have is missing, and everybody is told', async () => {
    const group = await Sentinels.start()
    const cluster = await Cluster.start(group, { gateways: 2, args: ['--rooms-history-size', '5000', '--redis-command-timeout', '1s'] })
    try {
      const rooms = await losing(cluster, ['yard', 'hall'], async ({ settled, gone }) => {
        settled()
        await group.copied()
        // The replica misses what comes now: its connection is cut, and it cannot come back.
        await group.replica.freeze()
        await group.master.say('CLIENT', 'KILL', 'TYPE', 'replica')
        await grown(cluster, 20)
        await cluster.outage(() => group.loseMaster())
        gone()
        group.replica.signal('SIGCONT')
        group.now = group.replica
      })
      for (const room of rooms) {
        const lost = judge(room)
        assert.ok(lost >= 2 * 20 && lost < room.pubs.size, `${lost} of ${room.pubs.size}`)
      }

      // The old master comes back, and is not believed.
      await group.master.restart()
      const role = () => group.master.info().then((info) => info.role, () => 'cut') // Sentinels cut those whom they demote
      while ((await role()) !== 'slave') await pause(20)
      const end = await cluster.stream('yard')
      const late = await cluster.publisher(cluster.gateways[0], 'yard')
      await late.publishMany(5)
      const { epoch, offset } = await cluster.compare('yard')
      assert.deepEqual([epoch, offset], [end.epoch, end.offset + 5])
      for (const one of cluster.listeners) assert.equal(one.told, 1, one.story())
      assert.equal(await group.master.clients('normal'), 0)
    } finally {
      await cluster.stop()
    }
  })

  it('are followed from the first moment of a failover on, whoever of them tells which part of it when', async () => {
    const [old, next] = [await Redis.start(), await Redis.start()]
    const before = { epoch: 1, port: old.port }
    const [leader, other] = [await Teller.start(before), await Teller.start(before)]
    const options = ['--redis-sentinels', `${leader.address},${other.address}`, '--redis-master', 'yard']
    const cluster = await Cluster.start({ options, stop: () => {} }, { gateways: 1 })
    const follows = async (redis) => {
      while ((await redis.clients('normal')) === 0 || (await redis.clients('pubsub')) === 0) await pause(20)
    }
    try {
      await follows(old)
      // Who carries it out has its epoch at once, and in one of its stories the old address for a while.
      leader.story = { epoch: 2, port: old.port, now: next.port }
      await follows(next)
      leader.story = { epoch: 2, port: next.port }
      // The other has heard of nothing, and is not believed.
      await other.asked(2)
      const [gateway] = cluster.gateways
      assert.equal([...gateway.log.matchAll(/ redis: connected to .*/g)].length, 2, gateway.log)
      assert.equal(await old.clients('normal'), 0)
    } finally {
      await cluster.stop()
      for (const one of [leader, other, old, next]) await one.stop()
    }
  })

  it('that do not know the master are told at the start, in one sentence', async () => {
    const redis = await Redis.start()
    const group = await Sentinels.start()
    try {
      const refused = (sentinels, master, why) =>
        ['serve', 'check'].map(async (verb) => {
          const { code, err } = await run([verb, '--listen', '127.0.0.1:0', '--backplane', 'redis', '--redis-sentinels', sentinels, '--redis-master', master])
          assert.equal(code, 1)
          assert.equal(err.trim().split('\n').length, 1, err)
          assert.match(err, why)
        })
      await Promise.all([
        ...refused(group.addresses, 'lost', /\[redis\] Sentinel redis:\/\/127\.0\.0\.1:\d+: it knows no master "lost"/),
        ...refused(`127.0.0.1:${redis.port}`, 'yard', /it is a Redis server, not a Sentinel/),
      ])
      const { out } = await run(['servers', 'show', '--backplane', 'redis', ...group.options])
      assert.match(out, /^redis .*belongs to no set yet$/m)
    } finally {
      await group.stop()
      await redis.stop()
    }
  })
})
