// SPDX-License-Identifier: MIT
//
// What a user may have and do on all gateways together: connections, and so much per time.

import assert from 'node:assert/strict'
import { describe } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'

import { Centrifuge } from 'centrifuge'
import WebSocket from 'ws'

import { Chatter } from '../lib/chatter.mjs'
import { Cluster } from '../lib/cluster.mjs'
import { Redis } from '../lib/redis.mjs'
import { it, returns } from '../lib/suite.mjs'
import { token } from '../lib/token.mjs'

const TOKENS = ['--config', new URL('../protocol/token.ini', import.meta.url).pathname]

async function among(gateways, args, body) {
  const cluster = await Cluster.start(await Redis.start(), { gateways, auth: 'jwt', args: [...TOKENS, ...args] })
  try {
    await body(cluster, ...cluster.gateways)
  } finally {
    await cluster.stop()
  }
}

// An official client of a user, and `end`: how its connection ended, when it has.
async function client(gateway, sub) {
  const made = returns(new Centrifuge(gateway.url, { websocket: WebSocket, token: token({ sub }) }))
  made.end = new Promise((settle) => made.on('disconnected', ({ code, reason }) => settle({ code, reason })))
  made.connect()
  await Promise.race([new Promise((settle) => made.on('connected', settle)), made.end])
  return made
}

const isConnected = ({ state }) => state === 'connected'
const limited = { code: 3504, reason: 'connection limit' }

async function joins(gateway, sub) {
  const made = await client(gateway, sub)
  assert.equal(made.state, 'connected')
  return made
}

async function refused(gateway, sub) {
  assert.deepEqual(await (await client(gateway, sub)).end, limited)
}

// Tries until there is a place: it is free a moment after somebody left.
async function joinsSoon(gateway, sub) {
  for (;;) {
    const made = await client(gateway, sub)
    if (isConnected(made)) return made
    assert.deepEqual(await made.end, limited)
    await pause(20)
  }
}

const counted = async (redis, sub) => {
  const all = await redis.say('HGETALL', `madang:connections:${sub}`)
  return Object.fromEntries(all.flatMap((word, i) => (i % 2 ? [] : [[word, Number(all[i + 1])]])))
}

const places = async (redis, sub) => Object.values(await counted(redis, sub)).reduce((sum, n) => sum + n, 0)

// Until as many are counted.
async function known(redis, sub, n) {
  while ((await places(redis, sub)) !== n) await pause(20)
}

describe('a limit of two connections over three gateways', { concurrency: 2 }, () => {
  const two = ['--user-connection-limit', '2']

  it('counts all of them, and each who leaves makes room', async () => {
    await among(3, two, async ({ redis }, a, b, c) => {
      const [first] = [await joins(a, 'u'), await joins(b, 'u')]
      for (const gateway of [a, b, c]) await refused(gateway, 'u')
      const other = await joins(c, 'other')
      first.disconnect()
      await joinsSoon(c, 'u')
      await refused(a, 'u')
      other.disconnect()
      await known(redis, 'other', 0)
      assert.equal(await redis.say('EXISTS', 'madang:connections:other'), 0)
    })
  })

  it('holds when all come at once', async () => {
    await among(3, two, async ({ redis }, ...gateways) => {
      const all = await Promise.all(Array.from({ length: 18 }, (_, i) => client(gateways[i % 3], 'u')))
      const inside = all.filter(isConnected)
      assert.equal(inside.length, 2)
      for (const one of all) if (!inside.includes(one)) assert.deepEqual(await one.end, limited)
      await known(redis, 'u', 2)
    })
  })

  it('asks once for each who comes, and not at all where there is no limit', async () => {
    const calls = async (redis) => Number(/cmdstat_hset:calls=(\d+)/.exec(await redis.say('INFO', 'commandstats'))?.[1] ?? 0)
    await among(1, two, async ({ redis }, a) => {
      const before = await calls(redis)
      for (let i = 0; i < 10; i++) await joins(a, `u${i}`)
      assert.equal((await calls(redis)) - before, 10)
      assert.equal((await a.metrics()).madang_limits_alone_total, 0)
    })
    await among(1, [], async ({ redis }, a) => {
      await joins(a, 'u')
      assert.equal(await redis.say('EXISTS', 'madang:connections:u'), 0)
    })
  })

  // That a lease ends in time is proved with presence; here it is made to.
  it('a gateway is killed: its share is free when its lease has ended', async () => {
    await among(3, two, async (cluster, a, b, c) => {
      const { redis } = cluster
      await joins(b, 'u')
      const [dead] = Object.keys(await counted(redis, 'u'))
      await joins(b, 'u')
      cluster.gateways.splice(1, 1)
      await b.kill()
      await refused(a, 'u')
      await redis.say('ZADD', 'madang:nodes', '1', dead)
      await Promise.all([joins(a, 'u'), joins(c, 'u')])
      await refused(c, 'u')
      while (await redis.say('EXISTS', `madang:counted:${dead}`)) await pause(50)
      await known(redis, 'u', 2)
    })
  })

  it('a gateway that was taken for dead counts again', async () => {
    await among(2, two, async ({ redis }, a, b) => {
      for (let i = 0; i < 2; i++) await joins(b, 'u')
      await b.freeze()
      const [lost] = Object.keys(await counted(redis, 'u'))
      await redis.say('ZADD', 'madang:nodes', '1', lost)
      const late = await joinsSoon(a, 'u')
      await known(redis, 'u', 1)
      b.signal('SIGCONT')
      await known(redis, 'u', 3)
      late.disconnect()
      await known(redis, 'u', 2)
      await refused(a, 'u')
    })
  })

  it('Redis is away: each gateway counts for itself, and together again when it is back', async () => {
    await among(2, two, async (cluster, a, b) => {
      const { redis } = cluster
      const before = await joins(a, 'u')
      await redis.kill()
      await cluster.degraded()
      const during = [await joins(a, 'u'), await joins(b, 'u'), await joins(b, 'u')]
      for (const gateway of [a, b]) await refused(gateway, 'u')
      during[0].disconnect()
      during[0] = await joinsSoon(a, 'u')
      assert.ok((await cluster.metric('madang_limits_alone_total')) >= 4)
      await redis.restart()
      await known(redis, 'u', 4) // nobody is sent away
      assert.ok([before, ...during].every(isConnected))
      for (const one of during.slice(0, 2)) one.disconnect()
      await known(redis, 'u', 2)
      await refused(a, 'u')
      before.disconnect()
      await joinsSoon(b, 'u')
    })
  })

  it('what Redis forgets is told again', async () => {
    await among(2, two, async ({ redis }, a, b) => {
      for (let i = 0; i < 2; i++) await joins(a, 'u')
      await redis.say('FLUSHALL')
      await known(redis, 'u', 2)
      await refused(b, 'u')
    })
  })

  it('holds while Redis has no memory left, and while it is slow nobody waits for long', async () => {
    await among(2, two, async ({ redis }, a, b) => {
      await redis.say('CONFIG', 'SET', 'maxmemory', '1')
      await Promise.all([joins(a, 'u'), joins(b, 'u')])
      await refused(b, 'u')
      await redis.freeze()
      await joins(a, 'slow')
      redis.signal('SIGCONT')
      await known(redis, 'slow', 1)
    })
  })
})

describe('rates of a user over two gateways', () => {
  const AT_ONCE = 120 // commands, and two more each second
  const rates = ['--limits-user-commands', '2', '--limits-burst', '60s', '--limits-session-commands', '100000']
  const command = { rpc: { method: 'no such method' } } // 108: it was carried out

  async function session(gateway, sub) {
    const chatter = await Chatter.open(gateway)
    await chatter.ok({ connect: { token: token({ sub }) } })
    return chatter
  }

  const code = async (chatter) => (await chatter.reply(chatter.command(command))).value.error.code

  // How many were carried out, one after the other, until one was refused.
  async function flood(chatter, ms = 0) {
    for (let n = 0; ; n++) {
      const got = await code(chatter)
      if (got === 111) return n
      assert.equal(got, 108)
      if (ms) await pause(ms)
    }
  }

  it('a flood over both is answered 111 as one over one is', async () => {
    await among(2, rates, async (cluster, a, b) => {
      const [here, there, other] = [await session(a, 'u'), await session(b, 'u'), await session(b, 'other')]
      const begin = Date.now()
      const [first, second] = [await flood(here), await flood(there, 50)]
      const more = (2 * (Date.now() - begin)) / 1000
      assert.ok(first >= AT_ONCE && first < AT_ONCE + more + 20, `${first} on the first`)
      assert.ok(second < AT_ONCE * 0.75 + more, `${second} on the second`)
      assert.equal(await code(other), 108)
      for (const one of [here, there, other]) one.cut()
    })
  })

  it('while Redis is away each gateway counts for itself, and afterwards together again', async () => {
    await among(2, rates, async (cluster, a, b) => {
      const [here, there] = [await session(a, 'u'), await session(b, 'u')]
      await cluster.redis.kill()
      await cluster.degraded()
      for (const one of [here, there]) assert.ok((await flood(one)) >= AT_ONCE)
      await cluster.redis.restart()
      await cluster.well()
      const [third, fourth] = [await session(a, 'v'), await session(b, 'v')]
      const begin = Date.now()
      assert.ok((await flood(third)) >= AT_ONCE)
      const second = await flood(fourth, 50)
      assert.ok(second < AT_ONCE * 0.75 + (2 * (Date.now() - begin)) / 1000, `${second} on the second`)
      for (const one of [here, there, third, fourth]) one.cut()
    })
  })
})

describe('one connection per user over gateways', () => {
  const one = ['--single-connection', 'on']

  it('the newest stays, wherever it is', async () => {
    await among(3, one, async ({ redis }, ...gateways) => {
      const other = await joins(gateways[1], 'other')
      let last = await joins(gateways[0], 'u')
      for (let i = 1; i < 7; i++) {
        const next = await joins(gateways[i % 3], 'u')
        assert.deepEqual(await last.end, limited)
        last = next
      }
      assert.ok(isConnected(last) && isConnected(other))
      last.disconnect()
      while (await redis.say('EXISTS', 'madang:connections:u')) await pause(20)
    })
  })

  it('when all come at once, exactly one stays', async () => {
    await among(3, one, async (cluster, ...gateways) => {
      const all = await Promise.all(Array.from({ length: 12 }, (_, i) => client(gateways[i % 3], 'u')))
      const left = () => all.filter(isConnected)
      while (left().length > 1) await Promise.race(left().map((c) => c.end))
      const sessions = async () => cluster.metric('madang_sessions')
      while ((await sessions()) !== 1) await pause(20)
      assert.equal(left().length, 1)
      assert.ok(await left()[0].rpc('no such method', {}).then(() => false, ({ code }) => code === 108))
    })
  })

  it('who came elsewhere while a gateway heard nothing, or nobody could tell, is found out', async () => {
    await among(2, one, async (cluster, a, b) => {
      const { redis } = cluster
      const deaf = await joins(a, 'u')
      await a.freeze()
      await redis.say('CLIENT', 'KILL', 'TYPE', 'pubsub')
      while (!(await redis.clients('pubsub'))) await pause(20)
      const heard = await joins(b, 'u')
      a.signal('SIGCONT')
      assert.deepEqual(await deaf.end, limited)
      await redis.kill()
      await cluster.degraded()
      const alone = await joins(a, 'u')
      assert.ok(isConnected(heard))
      await redis.restart()
      assert.deepEqual(await heard.end, limited)
      assert.ok(isConnected(alone))
    })
  })
})
