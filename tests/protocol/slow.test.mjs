// SPDX-License-Identifier: MIT
// Slow readers hurt only themselves; large replies are no crime; and who was too slow comes back.
import assert from 'node:assert/strict'

import { Centrifuge } from 'centrifuge'
import WebSocket from 'ws'

import { Chatter } from '../lib/chatter.mjs'
import { request } from '../lib/gateway.mjs'
import { it, returns, suite, suites } from '../lib/suite.mjs'

const kilobyte = 'x'.repeat(1000)

// Publishes until `over` says so; gives how many.
async function flood(publisher, channel, over) {
  let count = 0
  while (!over()) {
    const ids = publisher.command(...Array.from({ length: 20 }, (_, i) => ({ publish: { channel, data: [count + i, kilobyte] } })))
    for (const id of ids) assert.deepEqual((await publisher.reply(id)).value.publish, {})
    count += 20
  }
  return count
}

// Floods until the gateway has closed somebody for being slow.
async function floodUntilClosed(gateway, publisher, channel) {
  const slow = async () => Number(/closes_total\{code="3008"[^}]*\} (\d+)/.exec((await request(gateway, '/metrics')).body)?.[1] ?? 0)
  const before = await slow()
  let closed = false
  const watch = (async () => {
    while (!closed) closed = (await slow()) > before
  })()
  const count = await flood(publisher, channel, () => closed)
  await watch
  return count
}

// A room with `count` publications of `size` bytes.
async function fill(c, channel, count, size) {
  const data = 'x'.repeat(size)
  for (let i = 0; i < count; i++) await c.publish(channel, data)
}

const upTo = (n) => Array.from({ length: n }, (_, i) => i + 1)

// An official client whose WebSocket can be paused, and what it is told about one room.
function official(gateway, channel) {
  const told = { offsets: [], subscribed: [], connecting: [], sockets: [] }
  class Pausable extends WebSocket {
    constructor(...args) {
      super(...args)
      told.sockets.push(this)
    }
  }
  const client = returns(new Centrifuge(gateway.url, { websocket: Pausable, minReconnectDelay: 1, maxReconnectDelay: 10 }))
  const sub = client.newSubscription(channel)
  let wake = () => {}
  const heard = (keep) => (event) => {
    keep(event)
    wake()
  }
  sub.on('publication', heard(({ offset }) => told.offsets.push(offset)))
  sub.on('subscribed', heard(({ wasRecovering, recovered }) => told.subscribed.push({ wasRecovering, recovered })))
  client.on('connecting', heard(({ code }) => told.connecting.push(code)))
  const until = (fits) =>
    new Promise((settle) => {
      wake = () => fits(told) && settle()
      wake()
    })
  sub.subscribe()
  client.connect()
  return { client, sub, told, until }
}

const narrow = ['--queue-bytes', '64KiB', '--queue-time', '10m', '--ping-interval', '10m', '--pong-timeout', '9m']
const roomy = ['--history-bytes', '32MiB', '--rooms-history-bytes', '32MiB', '--rooms-history-size', '100000']

suites('a reader slower than its queue', { args: [...narrow, ...roomy] }, (at, join) => {
  it('is closed with 3008, while all others get everything', async () => {
    const publisher = await join()
    const others = await Promise.all(Array.from({ length: 5 }, () => join()))
    for (const c of others) await c.subscribe('slow')
    const slow = await join()
    await slow.subscribe('slow')
    slow.wire.pause()
    const count = await floodUntilClosed(at.gateway, publisher, 'slow')
    for (const c of others) {
      for (let i = 1; i <= count; i++) assert.equal((await c.pub('slow')).offset, i)
    }
    slow.wire.resume()
    await slow.closed(3008, 'slow')
    const seen = slow.lines.map(({ value }) => value.push.pub.offset)
    assert.deepEqual(seen, upTo(seen.length), 'what it did get is without a gap')
    assert.ok(seen.length < count)
    assert.equal((await at.gateway.metrics()).madang_queued_bytes, 0)
    await Promise.all([...others, publisher].map((c) => c.leave()))
  })

  it('comes back with the official client and gets everything exactly once, in order', async () => {
    const publisher = await join()
    const { client, told, until } = official(at.gateway, 'back')
    await until(({ subscribed }) => subscribed.length === 1)
    told.sockets[0].pause()
    const count = await floodUntilClosed(at.gateway, publisher, 'back')
    told.sockets[0].resume()
    await until(({ offsets }) => offsets.length >= count)
    await publisher.publish('back', 'live again')
    await until(({ offsets }) => offsets.length > count)
    assert.deepEqual(told.offsets, upTo(count + 1))
    assert.deepEqual(told.connecting, [0, 3008])
    assert.deepEqual(told.subscribed, [{ wasRecovering: false, recovered: false }, { wasRecovering: true, recovered: true }])
    client.disconnect()
    await publisher.leave()
  })
})

const impatient = ['--queue-bytes', '64MiB', '--queue-time', '300ms', '--ping-interval', '10m', '--pong-timeout', '9m']

suite('a reader slower than the time that output may wait', { args: [...impatient, ...roomy] }, (at, join) => {
  it('is closed with 3008', async () => {
    const publisher = await join()
    const slow = await join()
    await slow.subscribe('time')
    slow.wire.pause()
    const count = await floodUntilClosed(at.gateway, publisher, 'time')
    slow.wire.resume()
    await slow.closed(3008, 'slow')
    assert.ok(slow.lines.length < count)
    await publisher.leave()
  })
})

const away = 45_000 // ms, longer than the kernel waits for who takes nothing, if it is not told otherwise
const enduring = ['--queue-bytes', '64MiB', '--hub-queue-bytes', '128MiB', '--queue-time', '10m', '--ping-interval', '10m', '--pong-timeout', '9m']

if (process.env.MADANG_TORTURE === '1')
  suite('a reader that may take its time', { args: [...enduring, ...roomy] }, (at, join) => {
    it('is not cut while it takes nothing, and then gets everything', async () => {
      const publisher = await join()
      const slow = await join()
      await slow.subscribe('away')
      slow.wire.pause()
      for (let i = 0; i < 300; i++) await publisher.publish('away', 'x'.repeat(20_000))
      assert.equal((await at.gateway.metrics()).madang_backlogged_sessions, 1)
      await new Promise((settle) => setTimeout(settle, away))
      slow.wire.resume()
      for (let i = 1; i <= 300; i++) assert.equal((await slow.pub('away')).offset, i)
      await Promise.all([slow, publisher].map((c) => c.leave()))
    })
  })

suites('large replies', { args: ['--max-stream-bytes', '64MiB'] }, (at, join) => {
  it('400 KiB are recovered, with publications arriving meanwhile, and nobody is closed', async () => {
    const publisher = await join()
    await fill(publisher, 'large', 100, 4000)
    const { client, told, until } = official(at.gateway, 'large')
    await until(({ subscribed }) => subscribed.length === 1)
    told.sockets[0].terminate()
    await fill(publisher, 'large', 100, 4000)
    await until(({ subscribed }) => subscribed.length === 2)
    await fill(publisher, 'large', 20, 4000)
    await until(({ offsets }) => offsets.length >= 120)
    assert.deepEqual(told.offsets, Array.from({ length: 120 }, (_, i) => 101 + i))
    assert.equal(told.subscribed[1].recovered, true)
    assert.equal(told.connecting.length, 2)
    client.disconnect()
    await publisher.leave()
  })

  it('many large recoveries in one frame are all answered: together they exceed the queue', async () => {
    const publisher = await join()
    const rooms = Array.from({ length: 20 }, (_, i) => `many${i}`)
    for (const channel of rooms) await fill(publisher, channel, 20, 20_000)
    const c = await Chatter.open(at.gateway)
    const [, ...ids] = c.command({ connect: {} }, ...rooms.map((channel) => ({ subscribe: { channel, recover: true } })))
    for (const id of ids) {
      const { subscribe } = (await c.reply(id)).value
      assert.deepEqual([subscribe.recovered, subscribe.publications.length], [true, 20])
    }
    await c.leave()
    await publisher.leave()
  })

  it('so are many pages of history, and their order is that of the commands', async () => {
    const c = await join()
    await fill(c, 'pages', 100, 4000)
    const ids = c.command(...Array.from({ length: 30 }, () => ({ history: { channel: 'pages', limit: -1 } })))
    for (const id of ids) {
      const { value } = await c.line(() => true)
      assert.deepEqual([value.id, value.history.publications.length], [id, 100])
    }
    await c.leave()
  })

  it('who asks for more than it reads is no longer read from, and loses nothing', async () => {
    const c = await join()
    await fill(c, 'greedy', 100, 4000)
    c.wire.pause()
    const ids = []
    for (let i = 0; i < 20; i++) ids.push(...c.command(...Array.from({ length: 10 }, () => ({ history: { channel: 'greedy', limit: -1 } }))))
    const other = await join()
    await other.fence()
    assert.ok((await at.gateway.metrics()).madang_queued_bytes < 2 * 1024 * 1024)
    c.wire.resume()
    for (const id of ids) assert.equal((await c.reply(id)).value.history.publications.length, 100)
    await Promise.all([c.leave(), other.leave()])
  })
})

suite('replies larger than the queue', { args: narrow }, (at, join) => {
  it('a recovery of 400 KiB with steady publications behind it does not end in a loop of 3008', async () => {
    const publisher = await join()
    await fill(publisher, 'loop', 100, 4000)
    for (let round = 0; round < 10; round++) {
      const c = await join()
      const id = c.command({ subscribe: { channel: 'loop', recover: true } })
      await fill(publisher, 'loop', 5, 100)
      assert.equal((await c.reply(id)).value.subscribe.recovered, true)
      await publisher.publish('loop', 'fence')
      while ((await c.pub('loop')).data !== 'fence');
      await c.leave()
    }
    await publisher.leave()
  })
})

suite('pings and slow readers', { args: ['--ping-interval', '2s', '--pong-timeout', '1900ms', '--queue-time', '60s'] }, (at, join) => {
  it('a client that takes seconds to read a large reply is not closed for want of a pong', async () => {
    const c = await join()
    await fill(c, 'tardy', 100, 4500)
    const ids = c.command(...Array.from({ length: 10 }, () => ({ history: { channel: 'tardy', limit: -1 } })))
    c.wire.pause()
    const clock = await join()
    while (clock.pings < 3) await clock.news()
    await clock.leave() // what follows takes time, and it would have to answer
    c.wire.resume()
    for (const id of ids) assert.equal((await c.reply(id)).value.history.publications.length, 100)
    while (c.pings < 1) await c.news()
    await c.fence()
    await c.leave()
  })
})
