// SPDX-License-Identifier: MIT
// Sockets that behave badly or are merely slow, and the traps of the WebSocket library beneath.
import assert from 'node:assert/strict'

import { Chatter } from '../lib/chatter.mjs'
import { it, suite, suites } from '../lib/suite.mjs'
import { CLOSE, PING, PONG, TEXT, Wire, frame } from '../lib/wire.mjs'

const control = ({ control }) => control !== undefined

suites('frames', {}, (at, join) => {
  it('a message may come in fragments, empty ones among them, with pings between', async () => {
    const c = await join()
    const text = Buffer.from('{"id":2,"publish":{"channel":"fragments","data":"마당 😀"}}\n{"id":3,"history":{"channel":"fragments","limit":1}}')
    for (const size of [1, 2, 7, 50]) {
      c.wire.send('', { fin: false })
      for (let i = 0; i < text.length; i += size) {
        c.wire.send(text.subarray(i, i + size), { opcode: 0, fin: false })
        c.wire.send('', { opcode: 0, fin: false })
        c.wire.send(`ping ${i}`, { opcode: PING })
      }
      c.wire.send('', { opcode: 0 })
      await c.reply(2)
      assert.equal((await c.reply(3)).value.history.publications[0].data, '마당 😀')
    }
    c.cut()
  })

  it('3501 for a message made of empty fragments only', async () => {
    const c = await join()
    c.wire.send('', { fin: false })
    for (let i = 0; i < 100; i++) c.wire.send('', { opcode: 0, fin: false })
    c.wire.send('', { opcode: 0 })
    await c.closed(3501)
  })

  it('a frame may come byte by byte', async () => {
    const c = await join()
    const whole = frame('{"id":2,"presence_stats":{"channel":"x"}}')
    for (const byte of whole) await c.wire.write(Buffer.from([byte]))
    assert.ok((await c.reply(2)).value.presence_stats)
    await c.leave()
  })

  it('many frames may come in one packet', async () => {
    const c = await join()
    const frames = Array.from({ length: 500 }, (_, i) => frame(`{"id":${i + 2},"presence_stats":{"channel":"x"}}`))
    c.wire.write(Buffer.concat(frames))
    for (let i = 0; i < 500; i++) assert.equal((await c.line(() => true)).value.id, i + 2)
    await c.leave()
  })

  it('pings of the client are answered with what they said, up to 125 bytes', async () => {
    const c = await join()
    for (const n of [0, 1, 100, 124, 125]) {
      const said = Buffer.alloc(n, 'p')
      c.wire.send(said, { opcode: PING })
      const { control: pong } = await c.line(control, 'a pong')
      assert.equal(pong.opcode, PONG)
      assert.deepEqual(pong.payload, said)
      await c.fence()
    }
    c.wire.send('unasked for', { opcode: PONG })
    await c.fence()
    await c.leave()
  })

  it('pings are answered in the middle of a long reply that is sent in fragments', async () => {
    const c = await join()
    const data = 'x'.repeat(4000)
    let last
    for (let i = 0; i < 100; i++) last = c.command({ publish: { channel: 'long', data } })
    await c.reply(last)
    for (let round = 0; round < 5; round++) {
      const wire = await Wire.open(at.gateway)
      wire.send('{"id":1,"connect":{}}\n{"id":2,"history":{"channel":"long","limit":-1}}')
      for (let i = 0; i < 20; i++) wire.send(`ping ${i}`, { opcode: PING })
      const seen = { pongs: 0 }
      for (let received; !(seen.history && seen.pongs) && (received = await wire.next()); ) {
        if (received.opcode === PONG) seen.pongs++
        const line = received.opcode === TEXT && received.text.split('\n').find((text) => text.includes('"history"'))
        if (!line) continue
        seen.history = JSON.parse(line)
        assert.ok(received.fragments > 1, 'this should test fragments')
      }
      assert.equal(seen.history.history.publications.length, 100)
      wire.cut()
    }
    await c.leave()
  })

  const offences = {
    'a reserved opcode': Buffer.concat([Buffer.from([0x83]), frame('x').subarray(1)]),
    'a reserved control opcode': Buffer.concat([Buffer.from([0x8b]), frame('x').subarray(1)]),
    'reserved bits': Buffer.concat([Buffer.from([0xf1]), frame('{}').subarray(1)]),
    'a fragmented ping': frame('x', { opcode: PING, fin: false }),
    'a continuation of nothing': frame('x', { opcode: 0 }),
    'a message inside a message': Buffer.concat([frame('{"id":2,', { fin: false }), frame('{"id":3}')]),
    'a length with its highest bit set': Buffer.from([0x81, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0]),
    'a close frame of one byte': frame('x', { opcode: CLOSE }),
    'a close frame with a code that may not be sent': frame(Buffer.from([0x03, 0xed]), { opcode: CLOSE }),
    'a ping of 126 bytes': frame('x'.repeat(126), { opcode: PING }),
  }
  for (const [what, bytes] of Object.entries(offences)) {
    it(`${what} ends this connection and no other`, async () => {
      const [c, other] = await Promise.all([join(), join()])
      await c.subscribe('offence', { join_leave: true })
      await other.subscribe('offence', { join_leave: true })
      await c.wire.write(bytes)
      c.wire.socket.end()
      const gone = ({ value }) => value.push?.leave?.info.client === c.connected.client
      await other.line(gone, 'the leave')
      c.cut()
      await other.leave()
    })
  }
})

// Reads as little as it can until told to go on: the connection's buffers and the session's queue fill.
async function stuffed(gateway, channel, publisher, count, size) {
  const slow = await Chatter.join(gateway)
  await slow.subscribe(channel)
  slow.wire.pause()
  for (let i = 0; i < count; i++) await publisher.publish(channel, `${i}:${'x'.repeat(size)}`)
  return slow
}

const patient = ['--queue-bytes', '64MiB', '--hub-queue-bytes', '128MiB', '--max-stream-bytes', '256MiB', '--queue-time', '60s', '--ping-interval', '10m', '--pong-timeout', '60s']

suites('backlogs', { args: patient }, (at, join) => {
  it('400 frames of 16 KiB reach a slow reader unharmed and in order', async () => {
    const publisher = await join()
    const slow = await stuffed(at.gateway, 'corrupt', publisher, 400, 16_000)
    while ((await at.gateway.metrics()).madang_queued_bytes < 1_000_000);
    slow.wire.resume()
    for (let i = 0; i < 400; i++) {
      const { data, offset } = await slow.pub('corrupt')
      assert.equal(offset, i + 1)
      assert.equal(data, `${i}:${'x'.repeat(16_000)}`)
    }
    await Promise.all([slow.leave(), publisher.leave()])
  })

  it('a slow reader that pings gets all pongs between whole frames', async () => {
    const publisher = await join()
    const slow = await stuffed(at.gateway, 'pings', publisher, 100, 16_000)
    slow.wire.send('one', { opcode: PING })
    slow.wire.resume()
    for (let i = 0; i < 100; i++) {
      if (i % 10 === 0) slow.wire.send(`ping ${i}`, { opcode: PING })
      assert.equal((await slow.pub('pings')).offset, i + 1)
    }
    assert.equal((await slow.line(control, 'a pong')).control.opcode, PONG)
    await Promise.all([slow.leave(), publisher.leave()])
  })

  it('a close frame arrives behind a backlog, after all of it', async () => {
    const publisher = await join()
    const slow = await stuffed(at.gateway, 'behind', publisher, 200, 16_000)
    while ((await at.gateway.metrics()).madang_queued_bytes < 1_000_000);
    slow.send('oops')
    await publisher.publish('behind', 'a fence')
    slow.wire.resume()
    await slow.closed(3501, 'bad request')
    const pubs = slow.lines.map(({ value }) => value.push?.pub.offset)
    assert.ok(pubs.length > 60)
    assert.deepEqual(pubs, Array.from({ length: pubs.length }, (_, i) => i + 1))
    await publisher.leave()
  })

  it('a reader that goes away in the middle of its backlog leaves nothing behind', async () => {
    const publisher = await join()
    for (let round = 0; round < 5; round++) {
      const slow = await stuffed(at.gateway, 'away', publisher, 100, 16_000)
      slow.cut()
    }
    let left
    do left = await at.gateway.metrics()
    while (left.madang_queued_bytes > 0 || left.madang_sessions > 1)
    await publisher.leave()
  })
})

suite('closing', { args: ['--stale-close-delay', '4s'] }, (at, join) => {
  it('the close frame arrives from every state: new, connected, subscribed, with requests under way', async () => {
    const states = {
      new: [() => Chatter.open(at.gateway), 'oops'],
      connected: [() => join(), 'oops'],
      subscribed: [async () => {
        const c = await join()
        await c.subscribe('x')
        return c
      }, 'oops'],
      'with requests under way': [() => join(), `${'{"id":2,"history":{"channel":"x"}}\n'.repeat(100)}oops`],
      'in a burst of subscribes': [() => join(), `${Array.from({ length: 100 }, (_, i) => `{"id":${i + 2},"subscribe":{"channel":"burst${i}"}}`).join('\n')}\noops`],
      'right behind connect': [() => Chatter.open(at.gateway), '{"id":1,"connect":{}}\noops'],
    }
    for (const [, [open, text]] of Object.entries(states)) {
      const c = await open()
      c.send(text)
      await c.closed(3501, 'bad request')
    }
    const stale = await Chatter.open(at.gateway)
    await stale.closed(3502, 'stale')
  })

  it('both sides may close at the same time', async () => {
    for (let i = 0; i < 20; i++) {
      const c = await join()
      c.wire.write(Buffer.concat([frame('oops'), frame(Buffer.from([0x03, 0xe8]), { opcode: CLOSE })]))
      await c.done
      assert.equal(c.error, undefined)
      assert.ok([3501, 1000].includes(c.close.code))
    }
  })

  it('commands behind a close frame are not carried out', async () => {
    const c = await join()
    c.wire.write(Buffer.concat([frame(Buffer.from([0x03, 0xe8]), { opcode: CLOSE }), frame('{"id":2,"publish":{"channel":"after","data":1}}')]))
    await c.done
    const other = await join()
    assert.equal((await other.ok({ history: { channel: 'after' } })).offset, 0)
    await other.leave()
  })

  it('sessions that come and go as fast as they can leave nothing behind', async () => {
    for (let round = 0; round < 10; round++) {
      await Promise.all(Array.from({ length: 30 }, async (_, i) => {
        const c = await Chatter.open(at.gateway)
        c.send('{"id":1,"connect":{}}\n{"id":2,"subscribe":{"channel":"flock","join_leave":true}}')
        if (i % 3 === 0) return c.cut()
        await c.reply(1)
        return i % 3 === 1 ? c.leave() : c.cut()
      }))
    }
    const c = await join()
    await c.subscribe('flock')
    let stats
    do stats = await c.ok({ presence_stats: { channel: 'flock' } })
    while (stats.num_clients > 1)
    await c.leave()
  })
})
