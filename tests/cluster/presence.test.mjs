// SPDX-License-Identifier: MIT
//
// Who is in a room, on whichever gateway: asked for, counted, told as they come and go, and when a
// gateway is gone at once.

import assert from 'node:assert/strict'
import { describe } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'

import { Api } from '../lib/api.mjs'
import { Chatter } from '../lib/chatter.mjs'
import { Cluster } from '../lib/cluster.mjs'
import { Redis } from '../lib/redis.mjs'
import { it } from '../lib/suite.mjs'

async function among(gateways, body) {
  const cluster = await Cluster.start(await Redis.start(), { gateways, auth: 'guest' })
  try {
    await body(cluster, ...cluster.gateways)
  } finally {
    await cluster.stop()
  }
}

let nth = 0

// A guest; in the room, if one is named.
async function guest(gateway, room, name = `guest ${++nth}`) {
  const chatter = await Chatter.join(gateway, { data: { guest: { key: `the key of the guest ${name}` } } })
  chatter.id = chatter.connected.client
  if (room) await chatter.subscribe(room, { join_leave: true })
  return chatter
}

const ids = (list) => list.map(({ id }) => id).sort()

async function present(chatter, channel) {
  return Object.keys((await chatter.ok({ presence: { channel } })).presence).sort()
}

// Asks until it is so: another gateway's members are there a moment after their subscribe was answered.
async function until(ask, wanted) {
  while (JSON.stringify(await ask()) !== JSON.stringify(wanted)) await pause(20)
}

async function heard(chatter, kind, room, who) {
  const { value } = await chatter.line(({ value }) => value.push?.[kind]?.info?.client === who.id, `${kind} of ${who.id}`)
  assert.equal(value.push.channel, room)
}

// Side by side: some of them wait for the end of a lease.
describe('presence over several gateways', { concurrency: 3 }, () => {
  it('everybody sees everybody, and counts them', async () => {
    await among(3, async (cluster, a, b, c) => {
      const all = [await guest(a, 'r', 'one'), await guest(b, 'r', 'one'), await guest(c, 'r', 'two')]
      for (const one of all) await until(() => present(one, 'r'), ids(all))
      for (const gateway of cluster.gateways) {
        const api = new Api(gateway)
        assert.deepEqual(await api.ok('presence_stats', { channel: 'r' }), { num_clients: 3, num_users: 2 })
        const { presence } = await api.ok('presence', { channel: 'r' })
        assert.deepEqual(Object.keys(presence).sort(), ids(all))
        for (const [id, info] of Object.entries(presence)) assert.equal(info.client, id)
      }
      await all[0].ok({ unsubscribe: { channel: 'r' } })
      await until(() => all[2].ok({ presence_stats: { channel: 'r' } }), { num_clients: 2, num_users: 2 })
      for (const one of all) one.cut()
      await until(() => cluster.redis.say('KEYS', 'madang:[imur][nmso]*[srn]:*r'), [])
    })
  })

  it('joins and leaves are told everywhere, each once, and one is told of oneself after the reply', async () => {
    await among(2, async (cluster, a, b) => {
      const here = await guest(a, 'r')
      const there = await guest(b)
      there.command({ subscribe: { channel: 'r', join_leave: true } })
      await heard(there, 'join', 'r', there)
      await heard(here, 'join', 'r', there)
      assert.ok(there.lines.some(({ value }) => value.subscribe), 'the reply came before')
      await there.ok({ unsubscribe: { channel: 'r' } })
      await heard(here, 'leave', 'r', there)
      const fence = await guest(b, 'r')
      await heard(here, 'join', 'r', fence)
      assert.deepEqual(here.rest().filter((text) => text.includes(there.id)), [])
      for (const one of [here, there, fence]) one.cut()
    })
  })

  it('every gateway tells of all', async () => {
    await among(2, async (cluster, a, b) => {
      const there = await guest(b, 'r')
      const nodes = async (gateway) => (await new Api(gateway).ok('info')).nodes.map(({ num_clients }) => num_clients)
      assert.equal((await nodes(b))[0], 1)
      await until(() => nodes(a), [0, 1])
      await until(() => nodes(b), [1, 0])
      await until(async () => (await a.metrics()).madang_gateways, 2)
      there.cut()
    })
  })

  it('who is typing is seen on other gateways', async () => {
    await among(2, async (cluster, a, b) => {
      const [here, there] = [await guest(a, 'r'), await guest(b, 'r')]
      await there.ok({ rpc: { method: 'rooms.typing', data: { room: 'r' } } })
      assert.deepEqual((await here.pub('r')).data, { type: 'typing' })
      here.cut()
      there.cut()
    })
  })

  it('a gateway is killed: its members are nobody, and the others are told that they left', async () => {
    await among(3, async (cluster, a, b, c) => {
      const [one, two, three] = [await guest(a, 'r'), await guest(b, 'r'), await guest(c, 'r')]
      await until(() => present(three, 'r'), ids([one, two, three]))
      cluster.gateways.splice(1, 1)
      await b.kill()
      for (const chatter of [one, three]) await heard(chatter, 'leave', 'r', two)
      assert.deepEqual(await present(one, 'r'), ids([one, three]))
      assert.deepEqual(await new Api(c).ok('presence_stats', { channel: 'r' }), { num_clients: 2, num_users: 2 })
      for (const chatter of [one, three]) await chatter.fence()
      for (const chatter of [one, three]) {
        assert.deepEqual(chatter.rest().filter((text) => text.includes('"leave"') && text.includes(two.id)), [])
        chatter.cut()
      }
    })
  })

  it('a gateway that was taken for dead is there again', async () => {
    await among(2, async (cluster, a, b) => {
      const [here, there] = [await guest(a, 'r'), await guest(b, 'r')]
      await heard(here, 'join', 'r', there)
      await b.freeze()
      await heard(here, 'leave', 'r', there)
      b.signal('SIGCONT')
      await heard(here, 'join', 'r', there)
      await until(() => present(here, 'r'), ids([here, there]))
      here.cut()
      there.cut()
    })
  })

  it('joins and leaves that were missed are told when the connection is back', async () => {
    await among(2, async (cluster, a, b) => {
      const [here, goes] = [await guest(a, 'r'), await guest(b, 'r')]
      await heard(here, 'join', 'r', goes)
      await until(() => present(here, 'r'), ids([here, goes]))
      await a.freeze()
      await cluster.redis.say('CLIENT', 'KILL', 'TYPE', 'pubsub')
      while (!(await cluster.redis.clients('pubsub'))) await pause(20)
      await goes.ok({ unsubscribe: { channel: 'r' } })
      const comes = await guest(b, 'r')
      await until(() => present(comes, 'r'), ids([here, comes]))
      a.signal('SIGCONT')
      await heard(here, 'leave', 'r', goes)
      await heard(here, 'join', 'r', comes)
      for (const one of [here, goes, comes]) one.cut()
    })
  })

  it('what Redis has lost is entered again', async () => {
    await among(2, async (cluster, a, b) => {
      const [here, there] = [await guest(a, 'r'), await guest(b, 'r')]
      await until(() => present(here, 'r'), ids([here, there]))
      await cluster.redis.say('FLUSHALL')
      await until(() => present(here, 'r'), ids([here, there]))
      here.cut()
      there.cut()
    })
  })

  it('without memory in Redis one is in the room, but not seen, until there is some', async () => {
    await among(2, async (cluster, a, b) => {
      const here = await guest(a, 'r')
      await here.publish('r', 1)
      await cluster.redis.say('CONFIG', 'SET', 'maxmemory', '1')
      const there = await guest(b, 'r')
      assert.ok((await b.metrics()).madang_presence_refused_total >= 0)
      while (!(await b.metrics()).madang_presence_refused_total) await pause(20)
      assert.deepEqual(await present(there, 'r'), ids([here]))
      await cluster.redis.say('CONFIG', 'SET', 'maxmemory', '0')
      await until(() => present(here, 'r'), ids([here, there]))
      here.cut()
      there.cut()
    })
  })

  it('100 000 members are counted at the price of ten', async () => {
    await among(1, async (cluster, a) => {
      const { redis } = cluster
      const one = await guest(a, 'few')
      let node
      while (!node) [node] = await redis.say('SMEMBERS', 'madang:in:few') // it follows the reply
      // In pieces: a script that runs for long on a busy machine keeps the gateway out.
      const fill = `for i = ARGV[2] + 1, ARGV[2] + 10000 do
        redis.call('HSET', KEYS[1], 'client ' .. i, '1{"user":"' .. i .. '","client":"client ' .. i .. '"}')
        redis.call('HINCRBY', KEYS[2], i, 1)
      end
      redis.call('SADD', KEYS[3], ARGV[1])`
      for (let i = 0; i < 100000; i += 10000) await redis.say('EVAL', fill, 3, `madang:members:${node}:many`, 'madang:users:many', 'madang:in:many', node, i)
      const api = new Api(a)
      const calls = async (channel) => {
        await redis.say('CONFIG', 'RESETSTAT')
        const stats = await api.ok('presence_stats', { channel })
        const { cmdstat_hlen, cmdstat_hgetall, ...rest } = await redis.say('INFO', 'commandstats').then((text) => Object.fromEntries([...text.matchAll(/^(cmdstat_\w+):calls=(\d+)/gm)].map(([, name, n]) => [name, Number(n)])))
        assert.equal(cmdstat_hgetall, undefined)
        assert.ok(!rest.cmdstat_hvals && !rest.cmdstat_hkeys && !rest.cmdstat_hscan)
        return { stats, lookups: cmdstat_hlen }
      }
      const few = await calls('few')
      const many = await calls('many')
      assert.deepEqual(few.stats, { num_clients: 1, num_users: 1 })
      assert.deepEqual(many.stats, { num_clients: 100000, num_users: 100000 })
      assert.equal(many.lookups, few.lookups)
      await one.fails({ presence: { channel: 'many' } }, 106)
      one.cut()
    })
  })
})
