// SPDX-License-Identifier: MIT
//
// The fault proxy does what the tests that use it rely on.

import assert from 'node:assert/strict'
import { after, before, beforeEach, describe, it as plainIt } from 'node:test'

import { FaultProxy } from '../lib/fault_proxy.mjs'
import { Redis } from '../lib/redis.mjs'
import { RedisClient } from '../lib/redis_client.mjs'

const it = (name, body) => plainIt(name, { timeout: 300_000 }, body)

describe('the fault proxy', () => {
  let redis
  let proxy
  let clients

  const join = async () => {
    const client = await RedisClient.connect(proxy.port)
    clients.push(client)
    return client
  }

  before(async () => (redis = await Redis.start()))
  after(() => redis?.stop())
  beforeEach(async () => {
    clients = []
    proxy = await FaultProxy.start({ port: redis.port })
    await redis.say('FLUSHALL')
  })
  const end = async () => {
    for (const client of clients) client.close()
    await proxy.stop()
  }

  const scene = (name, body) =>
    it(name, async () => {
      try {
        await body()
      } finally {
        await end()
      }
    })

  // True if the promise has not settled after whatever was already on its way had time to arrive.
  const pends = async (promise) => {
    let settled = false
    promise.then(
      () => (settled = true),
      () => (settled = true),
    )
    for (let i = 0; i < 20; i++) await redis.say('PING')
    return !settled
  }

  // Until the server has counted so far.
  const counted = async (n) => {
    while ((await redis.say('GET', 'n')) !== n);
  }

  scene('carries everything when nothing is wrong', async () => {
    const client = await join()
    const large = 'x'.repeat(3_000_000)
    assert.equal(await client.say('SET', 'large', large), 'OK')
    assert.equal(await client.say('GET', 'large'), large)
  })

  scene('holds back answers while down is stalled, and loses none', async () => {
    const client = await join()
    await client.say('PING')
    proxy.stall('down')
    const answers = Promise.all([client.say('INCR', 'n'), client.say('INCR', 'n')])
    await counted('2')
    assert.ok(await pends(answers))
    proxy.flow()
    assert.deepEqual(await answers, [1, 2])
  })

  scene('holds back requests while up is stalled, on new connections too', async () => {
    proxy.stall('up')
    const client = await join()
    const answer = client.say('INCR', 'n')
    assert.ok(await pends(answer))
    assert.equal(await redis.say('GET', 'n'), null)
    proxy.flow()
    assert.equal(await answer, 1)
  })

  scene('knows subscribers from commands', async () => {
    const commands = await join()
    const subscriber = await join()
    await commands.say('PING')
    await subscriber.say('SUBSCRIBE', 'room')
    assert.equal(proxy.count('subscriber'), 1)
    assert.equal(proxy.count('commands'), 1)
    proxy.cut('subscriber')
    await subscriber.closed
    assert.equal(await commands.say('PING'), 'PONG')
  })

  scene('delays in order', async () => {
    const client = await join()
    proxy.delay('down', 200)
    const first = client.say('INCR', 'n')
    await counted('1')
    proxy.delay('down', 0) // what is on its way still goes first
    assert.deepEqual(await Promise.all([first, client.say('INCR', 'n')]), [1, 2])
  })

  scene('loses the answer to what was executed', async () => {
    const client = await join()
    await client.say('PING')
    const dropped = proxy.dropAfterExecution('commands')
    const answer = assert.rejects(client.say('INCR', 'n'), /the connection is gone/)
    await Promise.all([dropped, answer])
    assert.equal(await redis.say('GET', 'n'), '1')
    assert.equal(await (await join()).say('INCR', 'n'), 2)
  })

  scene('loses all answers until told to keep them', async () => {
    const client = await join()
    await client.say('PING')
    const lost = proxy.loseReplies()
    const answer = client.say('INCR', 'n')
    answer.catch(() => {}) // ends with the test
    await lost
    assert.ok(await pends(answer))
    proxy.keepReplies()
    assert.equal(await redis.say('GET', 'n'), '1')
  })

  scene('leaves connections half open: neither end learns of the other', async () => {
    const client = await join()
    await client.say('PING')
    proxy.halfOpen()
    const answer = client.say('INCR', 'n')
    answer.catch(() => {})
    await redis.say('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes')
    assert.ok(await pends(answer))
    assert.ok(await pends(client.closed))
    assert.equal(await redis.say('GET', 'n'), null)
    assert.equal(await (await join()).say('PING'), 'PONG')
  })

  scene('refuses, and swallows, new connections', async () => {
    proxy.refuse()
    const refused = await join().catch(() => null)
    await refused?.closed
    proxy.accept()
    proxy.swallow()
    const client = await join()
    const answer = client.say('PING')
    answer.catch(() => {})
    assert.ok(await pends(answer))
    proxy.accept()
    assert.equal(await (await join()).say('PING'), 'PONG')
  })
})
