// SPDX-License-Identifier: MIT
//
// What one gateway does not hear, and what it hears while it reads: its subscribers get every publication
// once, or are told that something is missing.

import assert from 'node:assert/strict'
import { describe } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'

import { Api } from '../lib/api.mjs'
import { Chatter } from '../lib/chatter.mjs'
import { Cluster } from '../lib/cluster.mjs'
import { Redis } from '../lib/redis.mjs'
import { it } from '../lib/suite.mjs'
import { token } from '../lib/token.mjs'

const config = new URL('../protocol/token.ini', import.meta.url).pathname

async function between(how, body) {
  const cluster = await Cluster.start(await Redis.start(), { gateways: 2, ...how })
  try {
    await body(cluster, ...cluster.gateways)
  } finally {
    await cluster.stop()
  }
}

// `gateway` hears nothing of what `body` does: it stands still, its subscriptions are cut, and all others
// are back before.
async function unheard(cluster, gateway, body) {
  await gateway.freeze()
  await cluster.redis.say('CLIENT', 'KILL', 'TYPE', 'pubsub')
  while ((await cluster.redis.clients('pubsub')) < cluster.gateways.length - 1) await pause(20)
  await body()
  gateway.signal('SIGCONT')
}

async function user(gateway, claims) {
  const chatter = await Chatter.open(gateway)
  chatter.connected = await chatter.ok({ connect: { token: token(claims) } })
  return chatter
}

describe('a room without history', () => {
  it('tells who did not hear something, with 2500, and nobody else', () =>
    between({ args: ['--rooms-history-size', '0'] }, async (cluster, a, b) => {
      const [here, there, aside] = await Promise.all([a, b, b].map((gateway) => Chatter.join(gateway)))
      for (const one of [here, there]) assert.equal((await one.subscribe('r')).positioned, undefined)
      await aside.subscribe('quiet')
      await unheard(cluster, b, () => here.publish('r', 'unheard'))
      assert.equal((await here.pub('r')).data, 'unheard')
      assert.equal((await there.push('unsubscribe', 'r')).value.push.unsubscribe.code, 2500)
      await there.subscribe('r')
      for (const room of ['r', 'quiet']) await here.publish(room, 'heard')
      assert.equal((await there.pub('r')).data, 'heard')
      assert.equal((await aside.pub('quiet')).data, 'heard')
      for (const one of [here, there, aside]) assert.deepEqual(one.rest().filter((line) => line.includes('unsubscribe')), [])
      for (const one of [here, there, aside]) await one.leave()
    }))

  it('ends the connection of who is there without having asked, with 3010', () =>
    between({ auth: 'jwt', args: ['--config', config] }, async (cluster, a, b) => {
      const there = await user(b, { sub: '1', channels: ['shut'] })
      await unheard(cluster, b, () => new Api(a).ok('publish', { channel: 'shut', data: 'unheard' }))
      await there.closed(3010)
      assert.deepEqual(there.rest(), [])
    }))
})

describe('who comes while publications are on their way', () => {
  it('gets all that follows its reply, once, and takes nothing from who is there', () =>
    between({ args: ['--rooms-history-size', '5000'], hubs: 2 }, async (cluster, a, b) => {
      await cluster.listen('r')
      for (const gateway of [a, b]) (await cluster.publisher(gateway, 'r')).run(0)
      for (let i = 0; i < 15; i++) {
        await cluster.listen('r')
        await pause(10)
      }
      await Promise.all(cluster.publishers.map((one) => one.stop()))
      const { listeners } = await cluster.compare('r')
      assert.equal(listeners.length, 32)
      for (const one of listeners) assert.equal(one.told, 0, one.story())
    }))
})
