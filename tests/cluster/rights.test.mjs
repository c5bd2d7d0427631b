// SPDX-License-Identifier: MIT
//
// What a gateway's user on a Redis server may do: the rights that docs/BACKPLANE.md names are enough for
// everything, and what is denied is said.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe } from 'node:test'

import { Api } from '../lib/api.mjs'
import { Chatter } from '../lib/chatter.mjs'
import { Cluster } from '../lib/cluster.mjs'
import { Redis } from '../lib/redis.mjs'
import { it } from '../lib/suite.mjs'

const doc = readFileSync(new URL('../../docs/BACKPLANE.md', import.meta.url), 'utf8')
const lines = [...doc.matchAll(/^ {4}(ACL SETUSER madang .*)$/gm)].map(([, line]) => line.replace('PASSWORD', 'right').split(' '))

// Gateways that log in as the user of such a line, changed by `more`.
async function as(line, more, body) {
  const redis = await Redis.start()
  await redis.say(...line, ...more)
  const url = `redis://madang:right@127.0.0.1:${redis.port}`
  const cluster = await Cluster.start(redis, { gateways: 2, auth: 'guest', url, args: ['--rooms-allow-publish-for-client', 'on'] })
  try {
    await body(cluster)
  } finally {
    await cluster.stop()
  }
}

const join = (gateway, name) => Chatter.join(gateway, { data: { guest: { key: `the key of the guest ${name}` } } })

// Something of everything that gateways do with Redis.
async function useAll(cluster, r) {
  const [a, b] = cluster.gateways
  const api = new Api(a)
  const [one, two] = await Promise.all([join(a, 'one'), join(b, 'two')])
  const { epoch } = await one.subscribe(r, { recoverable: true })
  await two.subscribe(r)
  await two.publish(r, { cid: '1', text: 'a' })
  await two.publish(r, { cid: '1', text: 'a' })
  assert.equal((await one.pub(r)).data.text, 'a')
  await api.ok('publish', { channel: r, data: 1, idempotency_key: `${r} k`, version: 3, version_epoch: 'v' })
  assert.equal((await one.ok({ history: { channel: r, limit: 9 } })).publications.length, 2)
  const { presence } = await one.ok({ presence: { channel: r } })
  assert.ok(presence[one.connected.client])
  await one.ok({ presence_stats: { channel: r } })
  await one.ok({ unsubscribe: { channel: r } })
  assert.equal((await one.subscribe(r, { recover: true, epoch, offset: 1 })).publications.length, 1)
  await two.ok({ rpc: { method: 'rooms.typing', data: { room: r } } })
  const { user } = Object.values((await two.ok({ presence: { channel: r } })).presence).find(({ client }) => client === two.connected.client)
  await api.ok('subscribe', { user, channel: 'ordered' })
  await two.push('subscribe', 'ordered')
  for (const method of ['mute', 'unmute']) await api.ok(method, { user, channel: r })
  for (const interval of [1000, 0]) await api.ok('slow_mode', { channel: r, interval_ms: interval })
  await api.ok('redact', { channel: r, offset: 1, epoch })
  await api.ok('history_remove', { channel: r })
  await api.ok('disconnect', { user })
  await two.closed(3503)
  await one.leave()
}

const denied = async (redis) => (await redis.say('ACL', 'LOG')).map((entry) => entry[entry.indexOf('object') + 1])

describe('the rights of a gateway on its server', () => {
  it('that are told are enough, and not one is denied', async () => {
    assert.equal(lines.length, 2)
    for (const line of lines)
      await as(line, [], async (cluster) => {
        await useAll(cluster, 'before')
        await cluster.outage(() => cluster.redis.say('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes'))
        await cluster.well()
        await useAll(cluster, 'after')
        assert.deepEqual(await denied(cluster.redis), [])
      })
  })

  it('that leave out INFO cost a new epoch after each interruption, and that is said', async () => {
    await as(lines[1], ['-info'], async (cluster) => {
      const one = await join(cluster.gateways[0], 'one')
      const before = await one.subscribe('r')
      await one.publish('r', 1)
      await cluster.outage(() => cluster.redis.say('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes'))
      await cluster.well()
      await one.publish('r', 2)
      assert.equal((await one.push('unsubscribe', 'r')).value.push.unsubscribe.code, 2500)
      assert.notEqual((await one.subscribe('r')).epoch, before.epoch)
      assert.match(cluster.gateways[0].log, / warn .*INFO/)
      await one.leave()
    })
  })
})
