// SPDX-License-Identifier: MIT
//
// Orders to sessions, and what moderators decide, on whichever gateway the session is.

import assert from 'node:assert/strict'
import { describe } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'

import { Api, KEY } from '../lib/api.mjs'
import { Chatter } from '../lib/chatter.mjs'
import { Cluster } from '../lib/cluster.mjs'
import { FaultProxy } from '../lib/fault_proxy.mjs'
import { startGateway } from '../lib/gateway.mjs'
import { Redis } from '../lib/redis.mjs'
import { it } from '../lib/suite.mjs'

const CONTROL = 'madang:stream:\tcontrol'

// Two gateways for guests; `body` gets the cluster and the server APIs of both.
async function between(body, { args = [], redis = [] } = {}) {
  const cluster = await Cluster.start(await Redis.start(redis), { gateways: 2, auth: 'guest', args })
  try {
    await body(cluster, ...cluster.gateways.map((gateway) => new Api(gateway)))
  } finally {
    await cluster.stop()
  }
}

// A guest, with its user id; the same name is the same user.
async function guest(gateway, name) {
  const chatter = await Chatter.join(gateway, { data: { guest: { key: `the key of the guest ${name}` } } })
  await chatter.subscribe('who')
  const { presence } = await chatter.ok({ presence: { channel: 'who' } })
  chatter.user = presence[chatter.connected.client].user
  return chatter
}

async function refused(gateway, name, reason) {
  const chatter = await Chatter.open(gateway)
  chatter.command({ connect: { data: { guest: { key: `the key of the guest ${name}` } } } })
  await chatter.closed(3507, reason)
}

// The gateway's subscriptions are cut, `body` happens before it can come back, and it wakes up. All
// others are back by then.
async function unheard(cluster, gateway, body) {
  await gateway.freeze()
  await cluster.redis.say('CLIENT', 'KILL', 'TYPE', 'pubsub')
  while ((await cluster.redis.clients('pubsub')) < cluster.gateways.length - 1) await pause(20)
  await body()
  gateway.signal('SIGCONT')
}

describe('orders reach sessions on other gateways', () => {
  it('disconnect, subscribe, unsubscribe, refresh', async () => {
    await between(async ({ gateways: [, b] }, api) => {
      const one = await guest(b, 'one')
      const { user } = one
      await api.ok('subscribe', { user, channel: 'ordered', data: { why: '한글' } })
      const { value } = await one.push('subscribe', 'ordered')
      assert.deepEqual(value.push.subscribe.data, { why: '한글' })
      await api.ok('unsubscribe', { user, channel: 'ordered' })
      assert.equal((await one.push('unsubscribe', 'ordered')).value.push.unsubscribe.code, 2000)
      await api.ok('refresh', { user, expire_at: Math.floor(Date.now() / 1000) + 600 })
      assert.ok((await one.line(({ value }) => value.push?.refresh, 'a refresh')).value.push.refresh.ttl > 500)
      const two = await guest(b, 'one')
      await api.ok('disconnect', { user, whitelist: [two.connected.client], disconnect: { code: 4321, reason: 'out' } })
      await one.closed(4321, 'out')
      await two.fence()
      two.cut()
    })
  })

  it('a kick arrives though the subscriptions of the gateway were cut when it was given', async () => {
    await between(async (cluster, api) => {
      const b = cluster.gateways[1]
      const one = await guest(b, 'one')
      await unheard(cluster, b, () => api.ok('kick', { user: one.user, reason: 'enough' }))
      await one.closed(3503, 'kicked: enough')
      assert.equal((await b.metrics()).madang_recalls_total, 0)
    })
  })

  it('where orders are missing, everybody is told to come again', async () => {
    await between(async (cluster, api) => {
      const [a, b] = cluster.gateways
      const [here, there] = [await guest(a, 'here'), await guest(b, 'there')]
      await api.ok('disconnect', { user: 'nobody' })
      await unheard(cluster, b, async () => {
        await api.ok('disconnect', { user: 'nobody else' })
        await cluster.redis.say('DEL', CONTROL)
      })
      await there.closed(3011, 'force reconnect')
      const again = await guest(b, 'there')
      await here.fence()
      assert.equal((await a.metrics()).madang_recalls_total, 0)
      assert.equal((await b.metrics()).madang_recalls_total, 1)
      await again.fence()
      here.cut()
      again.cut()
    })
  })

  it('one that is given as soon as a new gateway lets somebody in does not pass by, however far Redis is', async () => {
    await between(async (cluster, api) => {
      const { user } = await guest(cluster.gateways[0], 'one')
      const far = await FaultProxy.start({ port: cluster.redis.port })
      far.delay('down', 200)
      const args = ['--backplane', 'redis', '--redis-url', `redis://127.0.0.1:${far.port}`, '--api-key', KEY]
      const late = await startGateway(args, { auth: 'guest' })
      const one = await Chatter.join(late, { data: { guest: { key: 'the key of the guest one' } } })
      await api.ok('disconnect', { user, client: one.connected.client })
      await one.closed(3503)
      assert.equal((await late.metrics()).madang_recalls_total, 0)
      await late.stop()
      await far.stop()
    })
  })

  it('who is let in before orders can be heard has to come again when they can', async () => {
    await between(async (cluster) => {
      await cluster.redis.kill()
      await cluster.gateways[1].stop()
      await cluster.again(1)
      const early = await Chatter.join(cluster.gateways[1])
      await cluster.redis.restart()
      await early.closed(3011, 'force reconnect')
      assert.equal((await cluster.gateways[1].metrics()).madang_recalls_total, 1)
    })
  })

  it('an order that cannot be kept is answered with 100', async () => {
    await between(async (cluster, api) => {
      await cluster.redis.kill()
      await cluster.degraded()
      await api.fails('disconnect', { user: 'u' }, 100)
      await api.fails('ban', { user: 'u' }, 100)
    })
  })

  it('orders of other programs: what is none does no harm', async () => {
    await between(async (cluster, api) => {
      const one = await guest(cluster.gateways[1], 'one')
      const order = (text) =>
        cluster.redis.say('PUBLISH', 'madang:pub:\tcontrol', text)
      await order('p x')
      await order('nonsense')
      for (const bad of [1, [], { op: 'dance' }, { op: 'disconnect', user: one.user, code: 1, reason: 'x' }, { op: 'disconnect', user: one.user, code: 4000, reason: '{}' }, { op: 'subscribe', user: one.user }, { op: 'sanction', user: one.user, sanction: 'love' }, { op: 'slow_mode' }, { op: 'disconnect', user: 7 }]) {
        await commit(cluster.redis, bad)
      }
      await one.fence()
      await commit(cluster.redis, { op: 'disconnect', user: one.user, code: 4000, reason: 'well' })
      await one.closed(4000, 'well')
      await api.ok('info')
    })
  })
})

// As docs/BACKPLANE.md tells other programs to.
async function commit(redis, order) {
  const lua = ['room', 'commit'].map((name) => new URL(`../../backplane/lua/${name}.lua`, import.meta.url))
  const { readFileSync } = await import('node:fs')
  const script = `#!lua\n${lua.map((url) => readFileSync(url, 'utf8')).join('\n')}`
  const keys = ['room', 'stream', 'keys'].map((kind) => `madang:${kind}:\tcontrol`)
  await redis.say('EVAL', script, 4, ...keys, 'madang:generation', 'madang:pub:\tcontrol', JSON.stringify(order), '', '', '-', 100000, 67108864, 86400000, 86400000, '', '', 0, 0, '')
}

describe('what moderators decide holds on every gateway', () => {
  it('a ban ends sessions elsewhere, and none begins there until it is lifted', async () => {
    await between(async ({ gateways: [a, b] }, apiA, apiB) => {
      const one = await guest(b, 'one')
      await apiA.ok('ban', { user: one.user, reason: 'spam' })
      await one.closed(3507, 'banned: spam')
      await refused(a, 'one', 'banned: spam')
      await refused(b, 'one', 'banned: spam')
      assert.deepEqual(await apiB.ok('bans'), { bans: [{ user: one.user, reason: 'spam' }] })
      await apiB.ok('unban', { user: one.user })
      ;(await guest(b, 'one')).cut()
    })
  })

  it('a gateway that comes later knows of it, and one whose Redis is away keeps to it', async () => {
    await between(async (cluster, api) => {
      const one = await guest(cluster.gateways[0], 'one')
      await api.ok('ban', { user: one.user })
      await one.closed(3507, 'banned')
      const late = await Cluster.start(cluster.redis, { gateways: 1, auth: 'guest' })
      cluster.gateways.push(...late.gateways)
      const [newcomer] = late.gateways
      const listed = async () => (await new Api(newcomer).ok('bans')).bans.length
      while (!(await listed())) await pause(20)
      await refused(newcomer, 'one', 'banned')
      await cluster.redis.kill()
      await cluster.degraded()
      for (const gateway of cluster.gateways) await refused(gateway, 'one', 'banned')
    })
  })

  it('what was decided outlives all gateways', async () => {
    await between(async (cluster, api) => {
      const one = await guest(cluster.gateways[0], 'one')
      await api.ok('ban', { user: one.user, ttl: 3600, reason: 'spam' })
      await one.closed(3507, 'banned: spam')
      await api.ok('slow_mode', { channel: 'slow', interval_ms: 60_000 })
      const before = await api.ok('bans')
      for (const gateway of cluster.gateways) await gateway.kill()
      for (const i of [0, 1]) await cluster.again(i)
      await cluster.well()
      for (const gateway of cluster.gateways) {
        const anew = new Api(gateway)
        while (!(await anew.ok('bans')).bans.length) await pause(20)
        assert.deepEqual(await anew.ok('bans'), before)
        assert.equal((await anew.ok('slow_mode', { channel: 'slow' })).interval_ms, 60_000)
        await refused(gateway, 'one', 'banned: spam')
      }
    })
  })

  it('a decision of which a gateway did not hear is made up for', async () => {
    await between(async (cluster, api, apiB) => {
      const one = await guest(cluster.gateways[0], 'one')
      await unheard(cluster, cluster.gateways[1], () => api.ok('mute', { user: one.user, channel: 'quiet' }))
      while (!(await apiB.ok('mutes')).mutes.length) await pause(20)
      const there = await guest(cluster.gateways[1], 'one')
      await there.subscribe('quiet')
      assert.match((await there.fails({ publish: { channel: 'quiet', data: 1 } }, 103)).message, /muted/)
      one.cut()
      there.cut()
    })
  })

  it('slow mode counts one sender on two gateways once', async () => {
    await between(async ({ gateways: [a, b] }, api, apiB) => {
      await api.ok('slow_mode', { channel: 'slow', interval_ms: 60_000 })
      while ((await apiB.ok('slow_mode', { channel: 'slow' })).interval_ms !== 60_000) await pause(20)
      const [here, there] = [await guest(a, 'one'), await guest(b, 'one')]
      const other = await guest(b, 'other')
      for (const one of [here, there, other]) await one.subscribe('slow')
      await here.publish('slow', 1)
      assert.match((await there.fails({ publish: { channel: 'slow', data: 2 } }, 111)).message, /slow mode: wait [1-6]?\d s/)
      await other.publish('slow', 3)
      await api.ok('slow_mode', { channel: 'slow', interval_ms: 0 })
      while ((await apiB.ok('slow_mode', { channel: 'slow' })).interval_ms) await pause(20)
      await there.publish('slow', 4)
      for (const one of [here, there, other]) one.cut()
    })
  })
})
