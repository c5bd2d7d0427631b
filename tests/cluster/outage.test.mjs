// SPDX-License-Identifier: MIT
//
// Who connects while Redis is away, and is to be in rooms that it did not ask for itself.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { describe } from 'node:test'

import { Centrifuge } from 'centrifuge'
import WebSocket from 'ws'

import { Chatter } from '../lib/chatter.mjs'
import { Cluster } from '../lib/cluster.mjs'
import { Redis } from '../lib/redis.mjs'
import { it, returns } from '../lib/suite.mjs'
import { token } from '../lib/token.mjs'

const config = new URL('../protocol/token.ini', import.meta.url).pathname
const ARGS = ['--config', config, '--personal-room', 'on', '--personal-room-namespace', 'own']
const ALWAYS = ['--appendonly', 'yes', '--appendfsync', 'always']

async function within(body, { redisArgs = ALWAYS, args = [], ...how } = {}) {
  const redis = await Redis.start(redisArgs)
  const cluster = await Cluster.start(redis, { gateways: 1, auth: 'jwt', args: [...ARGS, ...args], ...how })
  try {
    await body(cluster, cluster.gateways[0], redis)
  } finally {
    await cluster.stop()
  }
}

async function connects(gateway, claims, connect = {}) {
  const chatter = await Chatter.open(gateway)
  chatter.connected = await chatter.ok({ connect: { token: token(claims), ...connect } })
  return chatter
}

// Who was there, knows of one of three publications, and connects while Redis is away.
async function comesBack(cluster, gateway, redis) {
  const claims = { sub: '1', channels: ['chat:a'] }
  const before = await connects(gateway, claims)
  const { epoch } = before.connected.subs['chat:a']
  for (const data of [1, 2, 3]) await before.publish('chat:a', data)
  await before.leave()
  await redis.kill()
  await cluster.degraded()
  return { again: await connects(gateway, claims, { subs: { 'chat:a': { recover: true, epoch, offset: 1 } } }), epoch }
}

// What the push that tells of a subscription says.
const attached = async (chatter, room) => (await chatter.push('subscribe', room)).value.push.subscribe

const late = async (gateway) => (await gateway.metrics()).madang_subscriptions_late

describe('a connect while Redis is away', () => {
  it('succeeds, and the official client is subscribed when Redis is back, without connecting again', () =>
    within(async (cluster, gateway, redis) => {
      await redis.kill()
      await cluster.degraded()
      const client = returns(new Centrifuge(gateway.url, { websocket: WebSocket, token: token({ sub: '1', channels: ['chat:a', 'shut'] }) }))
      const story = []
      for (const event of ['connecting', 'connected', 'disconnected', 'error']) client.on(event, () => story.push(event))
      const rooms = new Set()
      const all = new Promise((settle) => {
        client.on('subscribed', ({ channel }) => rooms.add(channel).size === 3 && settle())
      })
      const said = once(client, 'publication')
      client.connect()
      await client.ready()
      assert.deepEqual([...rooms], [])
      await redis.restart()
      await all
      assert.deepEqual([...rooms].sort(), ['chat:a', 'own:#1', 'shut'])
      const other = await connects(gateway, { sub: '2', channels: ['chat:a'] })
      await other.publish('chat:a', 'hello')
      assert.equal((await said)[0].data, 'hello')
      assert.deepEqual(story, ['connecting', 'connected'])
      client.disconnect()
      await other.leave()
    }))

  it('that remembers a position recovers when Redis is back', () =>
    within(async (cluster, gateway, redis) => {
      const { again, epoch } = await comesBack(cluster, gateway, redis)
      assert.equal(again.connected.subs, undefined)
      await redis.restart()
      const told = await attached(again, 'chat:a')
      assert.deepEqual([told.recovered, told.was_recovering, told.recoverable], [true, true, true])
      assert.deepEqual([told.epoch, told.offset], [epoch, 1])
      assert.deepEqual([(await again.pub('chat:a')).data, (await again.pub('chat:a')).data], [2, 3])
      await again.leave()
    }, { args: ['--redis-appendfsync-always', 'on'] }))

  it('that remembers a position of before a loss is told that it is lost', () =>
    within(async (cluster, gateway, redis) => {
      const { again, epoch } = await comesBack(cluster, gateway, redis)
      await redis.restart()
      const told = await attached(again, 'chat:a')
      assert.deepEqual([told.recovered, told.was_recovering], [undefined, true])
      assert.notEqual(told.epoch, epoch)
      await again.fence()
      assert.deepEqual(again.rest().filter((line) => line.includes('"pub"')), [])
      await again.leave()
    }))

  it('does not wait for a server that stands still', () =>
    within(async (cluster, gateway, redis) => {
      await redis.freeze()
      const chatter = await connects(gateway, { sub: '1', channels: ['chat:a'] })
      assert.equal(chatter.connected.subs, undefined)
      redis.signal('SIGCONT')
      assert.equal((await attached(chatter, 'chat:a')).recoverable, true)
      await chatter.leave()
    }, { args: ['--redis-command-timeout', '20s'] }))

  it('can leave a room that it did not get, and who goes leaves nothing behind', () =>
    within(async (cluster, gateway, redis) => {
      await redis.kill()
      await cluster.degraded()
      const [stays, goes] = await Promise.all(['1', '2'].map((sub) => connects(gateway, { sub, channels: ['chat:a', 'chat:b'] })))
      await goes.leave()
      while ((await late(gateway)) !== 3) await stays.fence()
      await stays.fails({ subscribe: { channel: 'chat:a' } }, 105)
      assert.deepEqual(await stays.ok({ unsubscribe: { channel: 'chat:a' } }), {})
      await redis.restart()
      await attached(stays, 'chat:b')
      await attached(stays, 'own:#1')
      assert.equal(await late(gateway), 0)
      const { presence } = await stays.ok({ presence: { channel: 'chat:b' } })
      assert.deepEqual(Object.values(presence).map(({ user }) => user), ['1'])
      assert.deepEqual(stays.rest().filter((line) => line.includes('chat:a')), [])
      await stays.leave()
    }))

  it('a crowd of them gets its rooms, each once', () =>
    within(async (cluster, gateway, redis) => {
      await redis.kill()
      await cluster.degraded()
      const crowd = await Promise.all(Array.from({ length: 200 }, (_, i) => connects(gateway, { sub: `u${i}`, channels: ['chat:a', `chat:${i}`] })))
      while ((await late(gateway)) !== 600) await crowd[0].fence() // those that are just asked for do not wait
      await redis.restart()
      for (const [i, one] of crowd.entries()) for (const room of ['chat:a', `chat:${i}`, `own:#u${i}`]) await attached(one, room)
      assert.equal(await late(gateway), 0)
      await crowd[0].publish('chat:a', 'to all')
      for (const one of crowd) {
        assert.equal((await one.pub('chat:a')).data, 'to all')
        assert.deepEqual(one.rest().filter((line) => line.includes('"subscribe"')), [])
        one.cut()
      }
    }, { hubs: 2 }))
})
