// SPDX-License-Identifier: MIT
// Subscriptions that the client did not ask for: from its token, and its personal room.
import assert from 'node:assert/strict'

import { Centrifuge } from 'centrifuge'
import WebSocket from 'ws'

import { Chatter } from '../lib/chatter.mjs'
import { it, suite, suites } from '../lib/suite.mjs'
import { now, token } from '../lib/token.mjs'

const config = ['--config', new URL('token.ini', import.meta.url).pathname]
const jwt = { auth: 'jwt', args: config }

async function user(at, claims, connect = {}) {
  const c = await Chatter.open(at.gateway)
  c.connected = await c.ok({ connect: { token: token(claims), ...connect } })
  return c
}

async function closes(at, claims, code, connect = {}) {
  const c = await Chatter.open(at.gateway)
  c.command({ connect: { token: token(claims), ...connect } })
  await c.closed(code)
}

let nth = 0
const room = (namespace = 'chat') => `${namespace}:s${++nth}`

suites('rooms of a token', jwt, (at) => {
  it('are in the reply to connect, and deliver', async () => {
    const [a, b] = [room(), room('shut')]
    const c = await user(at, { sub: '1', channels: [a, b, a] })
    assert.deepEqual(Object.keys(c.connected.subs).sort(), [a, b].sort())
    assert.deepEqual(Object.keys(c.connected.subs[a]), ['recoverable', 'positioned', 'epoch'])
    assert.deepEqual(c.connected.subs[b], {})
    await c.publish(a, 'x')
    assert.equal((await c.pub(a)).data, 'x')
    await c.fails({ subscribe: { channel: a } }, 105)
    assert.deepEqual(await c.ok({ unsubscribe: { channel: a } }), {})
    await c.leave()
  })

  it('can have info, data and options of their own; subs wins over channels', async () => {
    const a = room('shut')
    const on = { value: true }
    const subs = { [a]: { info: 'seat', data: { d: 1 }, override: { presence: on, join_leave: on, force_push_join_leave: on } } }
    const c = await user(at, { sub: '1', info: 'i', channels: [a], subs })
    assert.deepEqual(c.connected.subs, { [a]: { data: { d: 1 } } })
    const { info } = (await c.push('join', a)).value.push.join // its own, after the reply
    assert.deepEqual(info, { user: '1', client: c.connected.client, conn_info: 'i', chan_info: 'seat' })
    await c.leave()
  })

  it('recover what was missed', async () => {
    const a = room()
    const first = await user(at, { sub: '1', channels: [a] })
    const { epoch } = first.connected.subs[a]
    for (const data of [1, 2, 3]) await first.publish(a, data)
    await first.leave()
    const again = await user(at, { sub: '1', channels: [a] }, { subs: { [a]: { recover: true, epoch, offset: 1 } } })
    const result = again.connected.subs[a]
    assert.deepEqual([result.recovered, result.was_recovering, result.offset], [true, true, 1])
    assert.deepEqual(result.publications.map(({ data, offset }) => [data, offset]), [[2, 2], [3, 3]])
    const lost = await user(at, { sub: '1', channels: [a] }, { subs: { [a]: { recover: true, epoch: 'other', offset: 1 } } })
    const { recovered, was_recovering, offset, publications } = lost.connected.subs[a]
    assert.deepEqual([recovered, was_recovering, offset, publications], [undefined, true, 3, undefined])
    await Promise.all([again.leave(), lost.leave()])
  })

  it('that cannot be are an error of the connect', async () => {
    for (const [claims, code] of [
      [{ channels: ['nowhere:a'] }, 102], [{ subs: { 'nowhere:a': {} } }, 102],
      [{ channels: ['x'.repeat(256)] }, 107], [{ channels: [7] }, 107], [{ subs: { 'chat:a': 7 } }, 107],
    ]) {
      const c = await Chatter.open(at.gateway)
      await c.fails({ connect: { token: token({ sub: '1', ...claims }) } }, code)
      await c.leave()
    }
    await closes(at, { sub: '1', channels: Array.from({ length: 129 }, (_, i) => `chat:m${i}`) }, 3505)
    const c = await user(at, { sub: '1', channels: Array.from({ length: 128 }, (_, i) => `chat:m${i}`) })
    assert.equal(Object.keys(c.connected.subs).length, 128)
    await c.leave()
  })

  it('the client can name more: it gets those that it could subscribe to', async () => {
    const [a, b] = [room(), room('shut')]
    const c = await user(at, { sub: '1' }, { subs: { [a]: {}, [b]: {}, $c: {} } })
    assert.deepEqual(Object.keys(c.connected.subs), [a])
    await c.leave()
    await closes(at, { sub: '1' }, 3501, { subs: { 'nowhere:a': {} } })
    await closes(at, { sub: '1' }, 3501, { subs: { [a]: 7 } })
  })

  it('what follows connect in its frame waits for the reply', async () => {
    const [a, b] = [room(), room()]
    const c = await Chatter.open(at.gateway)
    const connect = { token: token({ sub: '1', channels: [a] }) }
    const ids = c.command({ connect }, { subscribe: { channel: b } }, { publish: { channel: b, data: 1 } }, { publish: { channel: a, data: 2 } })
    for (const id of ids) assert.equal((await c.reply(id)).value.error, undefined)
    assert.equal((await c.pub(b)).data, 1)
    assert.equal((await c.pub(a)).data, 2)
    await c.leave()
  })

  it('a refresh may not change them', async () => {
    const [a, b] = [room(), room()]
    const claims = { sub: '1', channels: [a], subs: { [b]: {} }, exp: now() + 600 }
    const c = await user(at, claims)
    await c.ok({ refresh: { token: token({ ...claims, subs: undefined, channels: [b, a] }) } })
    c.command({ refresh: { token: token({ ...claims, channels: undefined }) } })
    await c.closed(3010)
    const d = await user(at, claims)
    await d.ok({ unsubscribe: { channel: a } })
    d.command({ refresh: { token: token(claims) } })
    await d.closed(3010)
  })
})

// The reply tells positions that were true at different times: nothing may be lost between them.
const unlimited = ['session_commands', 'session_publishes', 'user_commands', 'user_publishes'].flatMap((key) => [`--limits-${key.replace('_', '-')}`, '0'])

suites('a connect while others publish', { ...jwt, args: [...jwt.args, ...unlimited] }, (at) => {
  it('gets each publication once, in order, from the position in its reply on', async () => {
    const rooms = Array.from({ length: 8 }, () => room())
    const writer = await user(at, { sub: 'w', channels: rooms })
    let writing = true
    let sent = 0
    const write = (async () => {
      while (writing) {
        const ids = writer.command(...rooms.map((channel) => ({ publish: { channel, data: ++sent } })))
        for (const id of ids) await writer.reply(id)
        writer.lines.length = 0
      }
    })()
    const readers = []
    for (let i = 0; i < 40; i++) readers.push(await user(at, { sub: `r${i}`, channels: rooms }))
    for (const goal = sent + 2 * rooms.length; sent < goal; ) await new Promise(setImmediate) // all of them hear of one round
    writing = false
    await write
    for (const r of readers) {
      const next = Object.fromEntries(rooms.map((name) => [name, (r.connected.subs[name].offset ?? 0) + 1]))
      await r.fence()
      const last = {}
      for (const { value } of r.lines.filter(({ value }) => value.push?.pub)) {
        const { channel, pub } = value.push
        assert.equal(pub.offset, next[channel]++, channel)
        last[channel] = pub.offset
      }
      assert.ok(Object.keys(last).length, 'something came')
    }
    await Promise.all([...readers, writer].map((c) => c.leave()))
  })
})

suites('the personal room', { auth: 'jwt', args: [...config, '--personal-room', 'on', '--personal-room-namespace', 'own'] }, (at) => {
  it('is there from the start, for its user alone', async () => {
    for (const [sub, name] of [['42', 'own:#42'], ['홍', 'own:#%ED%99%8D'], ['a,b#c', 'own:#a%2Cb%23c'], ['x@y.z', 'own:#x@y.z']]) {
      const c = await user(at, { sub })
      assert.deepEqual(Object.keys(c.connected.subs), [name])
      await c.ok({ publish: { channel: name, data: 'note' } })
      assert.equal((await c.pub(name)).data, 'note')
      await c.fails({ subscribe: { channel: name } }, 105)
      await c.leave()
      const other = await user(at, { sub: 'other' })
      await other.fails({ subscribe: { channel: name } }, 103)
      await other.leave()
    }
  })

  it('is no reason not to connect', async () => {
    const long = await user(at, { sub: '홍'.repeat(80) }) // its room's name would be too long
    assert.equal(long.connected.subs, undefined)
    await long.leave()
    const nobody = await user(at, { sub: '' })
    assert.equal(nobody.connected.subs, undefined)
    await nobody.leave()
  })

  it('works with the official client', async () => {
    const client = new Centrifuge(at.gateway.url, { websocket: WebSocket, token: token({ sub: '42' }) })
    const got = []
    client.on('publication', ({ channel, data }) => got.push([channel, data]))
    client.connect()
    await client.ready()
    await client.publish('own:#42', 'hi')
    while (!got.length) await new Promise((settle) => setTimeout(settle, 10))
    assert.deepEqual(got, [['own:#42', 'hi']])
    client.disconnect()
  })
})

suite('rooms that a guest names', { auth: 'guest' }, (at) => {
  it('are joined as if it had subscribed', async () => {
    const c = await Chatter.open(at.gateway)
    const { subs } = await c.ok({ connect: { subs: { lobby: {}, $secret: {} } } })
    assert.deepEqual(Object.keys(subs), ['lobby'])
    await c.leave()
  })
})
