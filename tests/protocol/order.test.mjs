// SPDX-License-Identifier: MIT
// The first two promises: everybody sees the same order, and no gap is silent; under load, and when a
// hub cannot keep up.
import assert from 'node:assert/strict'

import { it, suite, suites } from '../lib/suite.mjs'

const upTo = (n, from = 1) => Array.from({ length: n - from + 1 }, (_, i) => from + i)
const publish = (channel, data) => ({ publish: { channel, data } })

// Sends `count` publications in frames of `perFrame` commands and waits for all replies; each must
// succeed. Gives the time at which the last one was there.
async function storm(c, channel, count, perFrame, name) {
  const ids = []
  for (let i = 0; i < count; i += perFrame) {
    ids.push(...c.command(...Array.from({ length: Math.min(perFrame, count - i) }, (_, k) => publish(channel, [name, i + k]))))
  }
  for (const id of ids) {
    const { text, value } = await c.line(({ value }) => value.id !== undefined, 'a reply')
    assert.equal(value.id, id, 'replies to publications come in order')
    assert.deepEqual(value.publish, {}, text)
  }
}

// All publications of the room up to the offset `last`.
async function hear(c, channel, last) {
  const heard = []
  do heard.push(await c.pub(channel))
  while (heard.at(-1).offset < last)
  return heard
}

// However late this process reads, nobody is too slow.
const patient = ['--queue-time', '10m', '--pong-timeout', '9m', '--ping-interval', '10m']

suites('order', { args: [...patient, '--rooms-history-size', '100000', '--rooms-history-bytes', '64MiB'] }, (at, join) => {
  it('three publishers, nine subscribers, 6000 publications: everybody sees the same, without a gap', async () => {
    const listeners = await Promise.all(Array.from({ length: 9 }, () => join()))
    for (const c of listeners) await c.subscribe('busy')
    const publishers = await Promise.all(Array.from({ length: 3 }, () => join()))
    await Promise.all(publishers.map((c, i) => storm(c, 'busy', 2000, 20, i)))
    const heard = await Promise.all(listeners.map((c) => hear(c, 'busy', 6000)))
    const order = heard[0].map(({ offset }) => offset)
    assert.deepEqual(order, upTo(6000))
    const first = JSON.stringify(heard[0])
    for (const other of heard) assert.ok(JSON.stringify(other) === first, 'another order')
    for (const name of [0, 1, 2]) {
      const own = heard[0].filter(({ data }) => data[0] === name).map(({ data }) => data[1])
      assert.deepEqual(own, upTo(1999, 0), 'what one session published is in its order')
    }
    await Promise.all([...listeners, ...publishers].map((c) => c.leave()))
  })

  it('history and a late recovery show that order too', async () => {
    const c = await join()
    const { publications } = await c.ok({ history: { channel: 'busy', limit: 300, since: { offset: 3000 } } })
    const { recovered, publications: missed } = await c.subscribe('busy', { recover: true, offset: 5900 })
    assert.equal(recovered, true)
    assert.deepEqual(publications.map(({ offset }) => offset), upTo(3300, 3001))
    assert.deepEqual(missed.map(({ offset }) => offset), upTo(6000, 5901))
    await c.leave()
  })

  it('subscribers that come and go in the middle get a gapless piece each', async () => {
    const publisher = await join()
    const done = storm(publisher, 'comers', 3000, 10, 'p').then(() => true)
    let over = false
    done.then(() => (over = true), () => (over = true))
    const pieces = []
    while (!over) {
      const c = await join()
      const { offset = 0 } = await c.subscribe('comers')
      const first = (await Promise.race([c.pub('comers'), done.then(() => ({ offset: offset + 1 }))])).offset
      await c.ok({ unsubscribe: { channel: 'comers' } })
      pieces.push([offset, first, ...c.lines.map(({ value }) => value.push?.pub.offset)])
      c.cut()
    }
    assert.equal(await done, true)
    for (const piece of pieces) assert.deepEqual(piece, upTo(piece[0] + piece.length - 1, piece[0]))
    await publisher.leave()
  })

  it('one session that sends 100 000 publications in a few frames gets all replies, and starves nobody', async () => {
    const greedy = await join()
    const frames = []
    for (let i = 0; i < 100_000; i += 12_500) {
      frames.push(Array.from({ length: 12_500 }, (_, k) => `{"id":${i + k + 2},"publish":{"channel":"flood","data":${i + k}}}`).join('\n'))
    }
    assert.ok(Math.max(...frames.map((text) => text.length)) < 1024 * 1024)
    const other = await join()
    for (const text of frames) greedy.send(text)
    const answered = (async () => {
      for (let i = 0; i < 100_000; i++) {
        const { text, value } = await greedy.line(() => true)
        assert.equal(value.id, i + 2)
        assert.deepEqual(value.publish, {}, text)
      }
    })()
    // The order of the room tells who was served when, however slow this process is.
    const asked = Array.from({ length: 10 }, () => {
      const wish = { history: { channel: 'flood', limit: 300, reverse: true } }
      return other.command(publish('flood', 'mine'), wish)[1]
    })
    const mine = []
    for (const id of asked) {
      const { publications } = (await other.reply(id)).value.history
      mine.push(publications.find(({ data }) => data === 'mine')?.offset)
    }
    await answered
    for (const offset of mine) assert.ok(offset < 60_000, `one of ten came after ${offset}`)
    assert.equal((await greedy.ok({ history: { channel: 'flood' } })).offset, 100_010)
    await Promise.all([greedy.leave(), other.leave()])
  })

  it('a session may publish faster than the credits of its hub, with others doing the same', async () => {
    const crowd = await Promise.all(Array.from({ length: 20 }, () => join()))
    await Promise.all(crowd.map((c, i) => storm(c, 'credits', 1000, 500, i)))
    assert.equal((await crowd[0].ok({ history: { channel: 'credits' } })).offset, 20_000)
    await Promise.all(crowd.map((c) => c.leave()))
  })
})

const scarce = [...patient, '--credits', '1', '--hub-credits', '2']

suites('hardly any credits', { args: scarce }, (at, join) => {
  it('everything is still answered, in order', async () => {
    const crowd = await Promise.all(Array.from({ length: 10 }, () => join()))
    await Promise.all(crowd.map((c, i) => storm(c, 'scarce', 200, 100, i)))
    assert.ok((await at.gateway.metrics()).madang_credit_waits_total > 0, 'this should test starvation')
    assert.equal((await crowd[0].ok({ history: { channel: 'scarce' } })).offset, 2000)
    await Promise.all(crowd.map((c) => c.leave()))
  })
})

const behind = [...patient, '--hub-inbox-bytes', '4KiB', '--queue-bytes', '64MiB', '--hub-queue-bytes', '1GiB', '--rooms-history-size', '100000', '--rooms-history-bytes', '64MiB']

suites('a hub that falls behind', { args: behind }, (at, join) => {
  it('is filled from the stream: everybody gets everything once, in the same order', async () => {
    const listeners = await Promise.all(Array.from({ length: 9 }, () => join()))
    for (const c of listeners) await c.subscribe('behind')
    const publishers = await Promise.all(Array.from({ length: 3 }, () => join()))
    await Promise.all(publishers.map((c, i) => storm(c, 'behind', 2000, 200, `${i}${'x'.repeat(500)}`)))
    const heard = await Promise.all(listeners.map((c) => hear(c, 'behind', 6000)))
    for (const pubs of heard) assert.deepEqual(pubs.map(({ offset }) => offset), upTo(6000))
    for (const pubs of heard) assert.ok(JSON.stringify(pubs) === JSON.stringify(heard[0]), 'another order')
    const { madang_behind_total: times, madang_fills_total: fills } = await at.gateway.metrics()
    assert.ok(times > 0 && fills > 0, `this should test hubs that are behind: ${times} times, ${fills} fills`)
    await Promise.all([...listeners, ...publishers].map((c) => c.leave()))
  })

  it('who subscribes meanwhile gets a gapless piece', async () => {
    const publisher = await join()
    const done = storm(publisher, 'meanwhile', 4000, 400, 'x'.repeat(200))
    const late = await Promise.all(Array.from({ length: 12 }, () => join()))
    const from = await Promise.all(late.map((c) => c.subscribe('meanwhile')))
    await done
    await publisher.publish('meanwhile', 'last')
    const heard = await Promise.all(late.map((c) => hear(c, 'meanwhile', 4001)))
    heard.forEach((pubs, i) => assert.deepEqual(pubs.map(({ offset }) => offset), upTo(4001, (from[i].offset ?? 0) + 1)))
    await Promise.all([...late, publisher].map((c) => c.leave()))
  })
})

const forgetful = ['--hub-inbox-bytes', '4KiB', '--queue-bytes', '64MiB', '--rooms-history-size', '5', '--config', new URL('rooms.ini', import.meta.url).pathname]

suite('a hub that falls behind what streams hold', { args: forgetful, hubs: 3 }, (at, join) => {
  // Publishes until somebody was told; everybody has either all publications or a 2500 after a gapless
  // piece, and can come back at once.
  async function tell(channel) {
    const listeners = await Promise.all(Array.from({ length: 9 }, () => join()))
    for (const c of listeners) await c.subscribe(channel)
    const publisher = await join()
    let n = 0
    const told = async () => (await at.gateway.metrics()).madang_insufficient_total
    const before = await told()
    while ((await told()) === before) {
      await storm(publisher, channel, 500, 500, 'x'.repeat(300))
      n += 500
    }
    await publisher.publish(channel, 'last')
    return { listeners, publisher, n }
  }

  const outcome = async (c, channel) => {
    const pieces = []
    for (;;) {
      const { text, value } = await c.line(({ value }) => value.push?.channel === channel, 'a push')
      if (value.push.unsubscribe) {
        assert.equal(text, `{"push":{"channel":"${channel}","unsubscribe":{"code":2500,"reason":"insufficient state"}}}`)
        return { told: true, pieces }
      }
      pieces.push(value.push.pub)
      if (value.push.pub.data === 'last') return { told: false, pieces }
    }
  }

  for (const channel of ['short', 'bare:short']) {
    it(`in ${channel === 'short' ? 'a room with a short stream' : 'a room without history'} everybody gets all of it or is told 2500`, async () => {
      const { listeners, publisher, n } = await tell(channel)
      const outcomes = await Promise.all(listeners.map((c) => outcome(c, channel)))
      assert.ok(outcomes.some(({ told }) => told))
      for (const { told, pieces } of outcomes) {
        const numbers = pieces.filter(({ data }) => data !== 'last').map(({ data }) => data[1])
        assert.deepEqual(numbers, numbers.map((_, i) => i % 500), 'a silent gap')
        if (!told) assert.equal(numbers.length, n)
      }
      for (const [i, c] of listeners.entries()) {
        if (outcomes[i].told) await c.subscribe(channel)
      }
      await publisher.publish(channel, 'again')
      for (const c of listeners) assert.equal((await c.pub(channel)).data, 'again')
      await Promise.all([...listeners, publisher].map((c) => c.leave()))
    })
  }
})
