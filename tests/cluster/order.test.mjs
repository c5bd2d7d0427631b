// SPDX-License-Identifier: MIT
//
// Many publishers on several gateways: everybody on every gateway sees the same, each message once.

import assert from 'node:assert/strict'
import { describe } from 'node:test'

import { assertAll, Cluster } from '../lib/cluster.mjs'
import { Redis } from '../lib/redis.mjs'
import { it } from '../lib/suite.mjs'

const long = process.env.MADANG_TORTURE === '1'
const ROOMS = long ? 30 : 8
const PER_ROOM = 2 // publishers
const EACH = long ? 1000 : 100 // messages

describe('order over three gateways', () => {
  it('is one order for everybody, without loss and without repeats', async () => {
    const cluster = await Cluster.start(await Redis.start(), { args: ['--rooms-history-size', '2000'] })
    try {
      const rooms = Array.from({ length: ROOMS }, (_, i) => `room ${i}`)
      const publishers = []
      for (const room of rooms) {
        await cluster.listen(room)
        for (let i = 0; i < PER_ROOM; i++) {
          publishers.push(await cluster.publisher(cluster.gateways[(publishers.length + i) % 3], room))
        }
      }
      await Promise.all(publishers.map((one) => one.publishMany(EACH)))
      for (const room of rooms) {
        const { offset, listeners } = await cluster.compare(room)
        assert.equal(offset, PER_ROOM * EACH)
        for (const listener of listeners) {
          assert.equal(listener.told + listener.stops, 0)
          for (const one of publishers.filter((p) => p.room === room)) assertAll(one, listener)
        }
      }
      assert.equal(await cluster.metric('madang_backplane_lost_total'), 0)
    } finally {
      await cluster.stop()
    }
  })

  it('holds for what comes later: history and recovery on another gateway', async () => {
    const cluster = await Cluster.start(await Redis.start(), { gateways: 2 })
    try {
      const [a, b] = await cluster.listen('r')
      const publisher = await cluster.publisher(cluster.gateways[0], 'r')
      await publisher.publishMany(3)
      await b.until(a.epoch, 3)
      const { publications, epoch, offset } = await b.chatter.ok({ history: { channel: 'r', limit: 10 } })
      assert.deepEqual(publications.map(({ data }) => data.n), [0, 1, 2])
      const { subscribe } = await (async () => {
        const later = (await cluster.publisher(cluster.gateways[1], 'r')).chatter
        return (await later.reply(later.command({ subscribe: { channel: 'r', recover: true, epoch, offset: 1 } }))).value
      })()
      assert.equal(subscribe.recovered, true)
      assert.deepEqual(subscribe.publications.map((pub) => pub.offset), [2, 3])
      assert.equal(offset, 3)
    } finally {
      await cluster.stop()
    }
  })
})
