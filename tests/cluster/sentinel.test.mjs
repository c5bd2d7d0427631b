// SPDX-License-Identifier: MIT
//
// A master that Sentinels watch: gateways find it, and follow when another one takes over.

import assert from 'node:assert/strict'
import { describe } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'

import { Cluster } from '../lib/cluster.mjs'
import { Redis } from '../lib/redis.mjs'
import { Sentinels } from '../lib/sentinels.mjs'
import { run } from '../lib/servers.mjs'
import { it } from '../lib/suite.mjs'

describe('Sentinels', () => {
  it('name the master; one that lagged takes over: new epochs, and everybody is told', async () => {
    const group = await Sentinels.start()
    const cluster = await Cluster.start(group, { gateways: 2, args: ['--rooms-history-size', '1000', '--redis-command-timeout', '1s'] })
    try {
      const listeners = await cluster.listen('yard')
      const publishers = []
      for (const gateway of cluster.gateways) publishers.push(await cluster.publisher(gateway, 'yard'))
      await Promise.all(publishers.map((one) => one.publishMany(10)))
      const { epoch } = await cluster.compare('yard')

      // The replica misses the last publications: its connection is cut, and it cannot come back.
      group.replica.signal('SIGSTOP')
      await group.master.say('CLIENT', 'KILL', 'TYPE', 'replica')
      await Promise.all(publishers.map((one) => one.publishMany(5)))
      for (const one of listeners) await one.until(epoch, 30)
      await group.master.kill()
      group.replica.signal('SIGCONT')

      group.now = group.replica
      await Promise.all(publishers.map((one) => one.publishMany(5)))
      await cluster.well()
      const end = await cluster.compare('yard')
      assert.notEqual(end.epoch, epoch)
      assert.equal(end.offset, 30) // 20 were copied, 10 are new
      for (const one of listeners) assert.equal(one.told, 1, one.story())

      // The old master comes back, and is not believed.
      await group.master.restart()
      while ((await group.master.info()).role !== 'slave') await pause(20)
      await Promise.all(publishers.map((one) => one.publishMany(5)))
      const later = await cluster.compare('yard')
      assert.deepEqual([later.epoch, later.offset], [end.epoch, 40])
      for (const one of listeners) for (let at = 31; at <= 40; at++) assert.ok(one.seen.has(`${end.epoch}/${at}`), one.story())
      assert.equal(await group.master.clients('normal'), 0)
    } finally {
      await cluster.stop()
    }
  })

  it('that do not know the master are told at the start, in one sentence', async () => {
    const redis = await Redis.start()
    const group = await Sentinels.start()
    try {
      const refused = async (sentinels, master, why) => {
        for (const verb of ['serve', 'check']) {
          const { code, err } = await run([verb, '--listen', '127.0.0.1:0', '--backplane', 'redis', '--redis-sentinels', sentinels, '--redis-master', master])
          assert.equal(code, 1)
          assert.equal(err.trim().split('\n').length, 1, err)
          assert.match(err, why)
        }
      }
      await refused(group.addresses, 'lost', /\[redis\] Sentinel redis:\/\/127\.0\.0\.1:\d+: it knows no master "lost"/)
      await refused(`127.0.0.1:${redis.port}`, 'yard', /it is a Redis server, not a Sentinel/)
      const { out } = await run(['servers', 'show', '--backplane', 'redis', ...group.options])
      assert.match(out, /^redis .*belongs to no set yet$/m)
    } finally {
      await group.stop()
      await redis.stop()
    }
  })
})
