// SPDX-License-Identifier: MIT
// What is too much per time: 111, which a client may take for "later", and 3013 for who keeps on.
//
// Bursts are long and rates low, so that what comes back while a test runs is little; a test never
// says more than "at least so many".
import assert from 'node:assert/strict'

import { Centrifuge } from 'centrifuge'
import WebSocket from 'ws'

import { Chatter } from '../lib/chatter.mjs'
import { request } from '../lib/gateway.mjs'
import { it, returns, suite, suites } from '../lib/suite.mjs'
import { frame, PING, PONG } from '../lib/wire.mjs'

const next = (emitter, event) => new Promise((settle) => emitter.once(event, settle))
const guest = (name) => ({ guest: { key: name.padEnd(16, '.'), name } })
// The last ones were refused, but for what has come back meanwhile.
const refusing = (got) => got.slice(-10).filter((code) => code === 111).length >= 5

const many = (n, make) => Array.from({ length: n }, (_, i) => make(i))
const wrong = () => ({ rpc: { method: 'no such method' } }) // 108: it was carried out

// The codes of the replies to these ids: 0 for a result.
const codes = (c, ids) => Promise.all(ids.map(async (id) => (await c.reply(id)).value.error?.code ?? 0))

// How often a code came before the end, from the lines that are there.
const seen = (c, code) => c.lines.filter(({ value }) => value.error?.code === code).length

async function refused(at, labels) {
  const { body } = await request(at.gateway, '/metrics')
  const row = body.split('\n').find((line) => line.startsWith(`madang_refused_total{${labels}} `))
  return Number(row.split(' ')[1])
}

suites('commands of a session', { auth: 'guest', args: ['--limits-session-commands', '1', '--limits-burst', '30s', '--limits-refusals', '5'] }, (at, join) => {
  it('too many are answered 111, and who keeps on is closed with 3013', async () => {
    const c = await join({ data: guest('flooder') })
    c.command(...many(200, wrong))
    await c.closed(3013, 'too many requests')
    assert.ok(seen(c, 108) >= 30 && seen(c, 108) < 60, `${seen(c, 108)} were carried out`)
    assert.ok(seen(c, 111) >= 5 && seen(c, 111) < 30, `${seen(c, 111)} were refused`)
    const refusal = c.lines.find(({ value }) => value.error?.code === 111)
    assert.deepEqual(refusal.value.error, { code: 111, message: 'too many requests', temporary: true })
    assert.ok((await refused(at, 'by="session",rate="commands"')) >= 6)
    await at.gateway.said('at 127.0.0.1 is closed with 3013: too many commands of its session')
    await at.gateway.said('user "g_')
  })

  it('others do not notice', async () => {
    const [flooder, other] = await Promise.all([join({ data: guest('flooder') }), join({ data: guest('other') })])
    flooder.command(...many(200, wrong))
    await flooder.closed(3013)
    await other.fence()
    await other.leave()
  })

  it('the subscribes of a page that connects do not count', async () => {
    const c = await Chatter.open(at.gateway)
    const [id, ...ids] = c.command({ connect: {} }, ...many(128, (i) => ({ subscribe: { channel: `room${i}` } })))
    await c.reply(id)
    assert.deepEqual(new Set(await codes(c, ids)), new Set([0]))
    assert.deepEqual(new Set(await codes(c, c.command(...many(20, wrong)))), new Set([108]))
    await c.leave()
  })

  it('but coming and going does', async () => {
    const c = await join({ data: guest('fickle') })
    const fickle = many(400, (i) => (i % 2 ? { unsubscribe: { channel: 'room' } } : { subscribe: { channel: 'room' } }))
    c.command(...fickle)
    await c.closed(3013)
  })
})

suites('publishes of a session', { auth: 'guest', args: ['--limits-session-publishes', '4', '--limits-burst', '5s'] }, (at, join) => {
  const publish = (i) => ({ publish: { channel: 'room', data: { i } } })

  it('too many are answered 111, other commands are not, and after a while it may publish again', async () => {
    const c = await join({ data: guest('eager') })
    const got = await codes(c, c.command(...many(60, publish)))
    assert.ok(got.filter((code) => code === 0).length >= 20)
    assert.ok(got.filter((code) => code === 111).length >= 1)
    assert.equal(got[0], 0)
    await c.fence()
    let code
    do [code] = await codes(c, [c.command(publish('later'))])
    while (code === 111 && (await new Promise((settle) => setTimeout(settle, 250, true))))
    assert.equal(code, 0)
    await c.leave()
  })

  it('a message that was refused is not in the room', async () => {
    const c = await join({ data: guest('eager too') })
    const channel = 'counted'
    const got = await codes(c, c.command(...many(60, (i) => ({ publish: { channel, data: { i } } }))))
    const { publications } = await c.ok({ history: { channel, limit: 300 } })
    const taken = got.flatMap((code, i) => (code ? [] : [i]))
    assert.deepEqual(publications.map(({ data }) => data.i), taken)
    await c.leave()
  })
})

suites('bytes of a session', { auth: 'guest', args: ['--limits-session-bytes', '1KiB', '--limits-burst', '20s', '--limits-refusals', '1000'] }, (at, join) => {
  const block = 'x'.repeat(2000)

  it('too many are owed, and commands are answered 111 meanwhile', async () => {
    const c = await join({ data: guest('heavy') })
    const ids = many(14, () => c.command({ publish: { channel: 'room', data: block } }))
    const got = await codes(c, ids)
    assert.deepEqual(got.slice(0, 9), many(9, () => 0))
    assert.equal(got.at(-1), 111)
    assert.ok((await refused(at, 'by="session",rate="bytes"')) >= 1)
    c.cut()
  })

  it('who keeps on is closed with 3013, whether it sends commands', async () => {
    const c = await join({ data: guest('heavier') })
    for (let i = 0; i < 40; i++) c.send(JSON.stringify({ id: i + 2, publish: { channel: 'room', data: block } }))
    await c.closed(3013, 'too many requests')
  })

  it('or parts of a message that never ends', async () => {
    const c = await join({ data: guest('endless') })
    await c.wire.send('{"id":2,', { fin: false })
    for (let i = 0; i < 40; i++) c.wire.send(' '.repeat(2000), { opcode: 0, fin: false })
    await c.closed(3013)
  })

  it('or empty parts', async () => {
    const c = await join({ data: guest('empty') })
    await c.wire.send('{"id":2,', { fin: false })
    c.wire.write(Buffer.concat(many(10_000, () => frame('', { opcode: 0, fin: false }))))
    await c.closed(3013)
  })

  it('or answers to pings that nobody sent', async () => {
    const c = await join({ data: guest('ponger') })
    c.wire.write(Buffer.concat(many(2000, () => frame('x'.repeat(100), { opcode: PONG }))))
    await c.closed(3013)
  })

  it('also before it has said connect', async () => {
    const c = await Chatter.open(at.gateway)
    await c.wire.send('{"id":1,', { fin: false })
    for (let i = 0; i < 40; i++) c.wire.send(' '.repeat(2000), { opcode: 0, fin: false })
    await c.closed(3013)
  })
})

suites('pings', { auth: 'guest', args: ['--limits-session-bytes', '1KiB', '--limits-burst', '1s', '--ping-interval', '2s', '--pong-timeout', '1900ms'] }, (at, join) => {
  it('which nobody is told of, are bounded as all bytes are', async () => {
    const c = await join({ data: guest('pinger') })
    const flood = Buffer.concat(many(200, () => frame('x'.repeat(100), { opcode: PING })))
    while (!c.wire.close && !c.over) await c.wire.write(flood)
    assert.deepEqual(c.wire.close, { code: 3013, reason: 'too many requests' })
    c.cut() // the library still answers what is under way
  })

  it('a few are answered', async () => {
    const c = await join({ data: guest('polite') })
    c.wire.send('hello', { opcode: PING })
    const { control } = await c.line(({ control }) => control?.opcode === PONG, 'a pong')
    assert.equal(control.payload.toString(), 'hello')
    while (c.pings < 2) await c.news()
    await c.leave()
  })
})

// What sessions of one user do is counted together, wherever they are.
const quick = ['--limits-session-commands', '0', '--limits-session-publishes', '0', '--limits-refusals', '1000']

suites('commands of a user', { auth: 'guest', args: [...quick, '--limits-user-commands', '1', '--limits-burst', '200s'] }, (at, join) => {
  // In turns, as people would, so that hubs have heard of each other.
  async function inTurns(sessions, rounds) {
    const got = []
    for (let i = 0; i < rounds; i++) for (const c of sessions) got.push(...(await codes(c, [c.command(wrong())])))
    return got
  }
  const passed = (got) => got.filter((code) => code === 108).length

  it('count together, on whichever hubs they are', async () => {
    const sessions = await Promise.all(many(6, () => join({ data: guest('several') })))
    const got = await inTurns(sessions, 60)
    assert.ok(passed(got) >= 200 && passed(got) < 360, `${passed(got)} of 360 were carried out`)
    assert.ok(refusing(got))
    assert.ok((await refused(at, 'by="user",rate="commands"')) >= 1)
    const other = await join({ data: guest('another') })
    assert.equal(passed(await inTurns([other], 20)), 20)
    await Promise.all([...sessions, other].map((c) => c.leave()))
  })

  it('and are remembered when the user leaves and comes back', async () => {
    let c = await join({ data: guest('returning') })
    while ((await inTurns([c], 1))[0] !== 111);
    await c.leave()
    const got = []
    for (let i = 0; i < 6; i++) {
      c = await join({ data: guest('returning') })
      got.push(...(await inTurns([c], 20)))
      await c.leave()
    }
    assert.ok(passed(got) < 120, `${passed(got)} of 120 were carried out`)
    assert.ok((await at.gateway.metrics()).madang_accounts >= 1)
  })
})

suites('publishes and bytes of a user', { auth: 'guest', args: [...quick, '--limits-user-publishes', '1', '--limits-user-bytes', '4KiB', '--limits-burst', '30s'] }, (at, join) => {
  it('too many publishes are refused, but nothing else', async () => {
    const [a, b] = await Promise.all([join({ data: guest('talker') }), join({ data: guest('talker') })])
    const got = []
    for (let i = 0; i < 30; i++) for (const c of [a, b]) got.push(...(await codes(c, [c.command({ publish: { channel: 'room', data: i } })])))
    assert.ok(got.filter((code) => !code).length >= 30)
    assert.ok(refusing(got))
    await Promise.all([a.fence(), b.fence()])
    await Promise.all([a.leave(), b.leave()])
  })

  it('so are bytes', async () => {
    const [a, b] = await Promise.all([join({ data: guest('loud') }), join({ data: guest('loud') })])
    const heavy = { rpc: { method: 'no such method', data: 'x'.repeat(8000) } }
    const got = []
    for (let i = 0; i < 30; i++) for (const c of [a, b]) got.push(...(await codes(c, [c.command(heavy)])))
    assert.equal(got[0], 108)
    assert.ok(refusing(got))
    assert.ok((await refused(at, 'by="user",rate="bytes"')) >= 1)
    await Promise.all([a.leave(), b.leave()])
  })
})

suites('connects of a user', { auth: 'guest', args: ['--limits-user-connects', '1', '--limits-burst', '10s'] }, (at, join) => {
  const attempt = async (name) => {
    const c = await Chatter.open(at.gateway)
    const [code] = await codes(c, [c.command({ connect: { data: guest(name) } })])
    c.cut()
    return code
  }

  it('too many are answered 111, others connect, and after a while it may again', async () => {
    const got = []
    for (let i = 0; i < 60; i++) got.push(await attempt('restless'))
    assert.ok(got.filter((code) => !code).length >= 10)
    assert.ok(got.filter((code) => code === 111).length >= 10)
    assert.equal(await attempt('quiet'), 0)
    assert.ok((await refused(at, 'by="user",rate="connects"')) >= 10)
    while (await attempt('restless')) await new Promise((settle) => setTimeout(settle, 250))
  })

  it('those without a name of their own are not one user', async () => {
    const all = await Promise.all(many(40, () => join()))
    await Promise.all(all.map((c) => c.leave()))
  })

  it('the official client comes back by itself', async () => {
    for (let i = 0; i < 14; i++) await attempt('patient')
    const client = returns(new Centrifuge(at.gateway.url, { websocket: WebSocket, minReconnectDelay: 100, maxReconnectDelay: 500, data: guest('patient') }))
    const errors = []
    client.on('error', ({ error }) => errors.push(error.code))
    const done = next(client, 'connected')
    client.connect()
    await done
    client.disconnect()
  })
})

const behind = ['--trusted-proxies', '127.0.0.0/8']
const from = (address) => ({ headers: { 'X-Forwarded-For': address } })

suites('commands from an address', { auth: 'guest', args: [...quick, ...behind, '--limits-address-commands', '1', '--limits-burst', '200s'] }, (at, join) => {
  it('count together, whoever sends them', async () => {
    const sessions = await Promise.all(many(6, (i) => join({ data: guest(`user${i}`), ...from('192.0.2.1') })))
    const got = []
    for (let i = 0; i < 60; i++) for (const c of sessions) got.push(...(await codes(c, [c.command(wrong())])))
    const passed = got.filter((code) => code === 108).length
    assert.ok(passed >= 200 && passed < 360, `${passed} of 360 were carried out`)
    assert.ok((await refused(at, 'by="address",rate="commands"')) >= 1)
    const [other, here] = await Promise.all([join(from('192.0.2.2')), join()])
    for (const c of [other, here]) await c.fence()
    await Promise.all([...sessions, other, here].map((c) => c.leave()))
  })

  it('of IPv6, with all of its /64', async () => {
    const sessions = await Promise.all(many(6, (i) => join(from(`2001:db8::${i}:1`))))
    const got = []
    for (let i = 0; i < 60; i++) for (const c of sessions) got.push(...(await codes(c, [c.command(wrong())])))
    assert.ok(refusing(got))
    const neighbour = await join(from('2001:db8:0:1::1'))
    await neighbour.fence()
    await Promise.all([...sessions, neighbour].map((c) => c.leave()))
  })
})

suites('subscriptions from an address', { auth: 'guest', args: [...behind, '--limits-address-subscriptions', '30'] }, (at, join) => {
  const subscribe = (i) => ({ subscribe: { channel: `mine${i}` } })

  it('are so many, on all hubs together; then 106, until one ends', async () => {
    const sessions = await Promise.all(many(6, () => join(from('192.0.2.1'))))
    const got = await Promise.all(sessions.map((c) => codes(c, c.command(...many(20, subscribe)))))
    assert.equal(got.flat().filter((code) => !code).length, 30)
    assert.deepEqual(new Set(got.flat()), new Set([0, 106]))
    const other = await join(from('192.0.2.2'))
    await other.subscribe('mine0')
    await sessions[0].ok({ unsubscribe: { channel: 'mine0' } })
    await sessions[0].subscribe('again')
    await Promise.all([...sessions, other].map((c) => c.leave()))
    const late = await join(from('192.0.2.1'))
    await late.subscribe('mine0')
    await late.leave()
  })
})

suites('connects from an address', { auth: 'guest', args: [...behind, '--limits-address-connects', '1', '--limits-burst', '20s'] }, (at) => {
  const attempt = (address) =>
    Chatter.open(at.gateway, from(address)).then((c) => c.leave().then(() => 101), ({ status }) => status)

  it('too many are refused with 429 before the handshake; others connect, and after a while it may again', async () => {
    const got = []
    for (let i = 0; i < 100; i++) got.push(await attempt('192.0.2.1'))
    assert.ok(got.filter((status) => status === 101).length >= 20)
    assert.ok(got.filter((status) => status === 429).length >= 10)
    assert.equal(await attempt('192.0.2.2'), 101)
    assert.ok((await refused(at, 'by="address",rate="connects"')) >= 10)
    while ((await attempt('192.0.2.1')) !== 101) await new Promise((settle) => setTimeout(settle, 250))
  })

  it('a proxy that does not say for whom it comes, and who is on this machine, is not counted', async () => {
    for (let i = 0; i < 60; i++) await (await Chatter.open(at.gateway)).leave()
  })
})

suite('auth insecure', { args: ['--limits-session-commands', '1', '--limits-session-bytes', '1KiB', '--limits-burst', '1s'] }, (at, join) => {
  it('has no limits', async () => {
    const c = await join()
    const got = await codes(c, c.command(...many(3000, wrong)))
    assert.deepEqual(new Set(got), new Set([108]))
    await c.leave()
  })
})

suites('the official client', { auth: 'guest', args: ['--limits-session-publishes', '4', '--limits-burst', '5s', '--limits-refusals', '50'] }, (at) => {
  async function subscribed(name) {
    const client = returns(new Centrifuge(at.gateway.url, { websocket: WebSocket, minReconnectDelay: 1, maxReconnectDelay: 20, data: guest(name) }))
    client.connect()
    const sub = client.newSubscription('room')
    const done = next(sub, 'subscribed')
    sub.subscribe()
    await done
    return { client, sub }
  }

  it('is told which publish was too much, and goes on', async () => {
    const { client, sub } = await subscribed('official')
    const outcomes = await Promise.allSettled(many(40, (i) => sub.publish({ i })))
    const errors = outcomes.filter(({ status }) => status === 'rejected').map(({ reason }) => reason)
    assert.ok(errors.length >= 1 && errors.length <= 20)
    for (const { code, temporary } of errors) assert.deepEqual([code, temporary], [111, true])
    assert.equal(client.state, 'connected')
    client.disconnect()
  })

  it('comes back by itself after 3013', async () => {
    const { client, sub } = await subscribed('official too')
    const lost = next(client, 'connecting')
    const back = next(sub, 'subscribing').then(() => next(sub, 'subscribed'))
    for (let i = 0; i < 200; i++) sub.publish({ i }).catch(() => {})
    assert.equal((await lost).code, 3013)
    await back
    assert.deepEqual(await sub.publish('again'), {})
    client.disconnect()
  })
})

suites('with the defaults', { auth: 'guest', args: behind }, (at, join) => {
  it('a page that reads and writes as fast as people can does not notice them', async () => {
    const c = await Chatter.open(at.gateway)
    const first = c.command({ connect: { data: guest('busy') } }, ...many(40, (i) => ({ subscribe: { channel: `r${i}` } })))
    const looks = many(40, (i) => [{ history: { channel: `r${i}`, limit: 50 } }, { presence: { channel: `r${i}` } }]).flat()
    const typed = many(100, (i) => [{ rpc: { method: 'rooms.typing', data: { room: 'r0' } } }, { publish: { channel: 'r0', data: { i } } }]).flat()
    assert.deepEqual(new Set(await codes(c, [...first, ...c.command(...looks), ...c.command(...typed)])), new Set([0]))
    await c.leave()
  })

  it('an office of 500 people behind one address comes back all at once', async () => {
    const rooms = many(10, (i) => ({ subscribe: { channel: `office${i}` } }))
    const all = await Promise.all(many(500, async (i) => {
      const c = await Chatter.open(at.gateway, from('198.51.100.7'))
      const got = await codes(c, c.command({ connect: { data: guest(`person${i}`) } }, ...rooms))
      assert.deepEqual(new Set(got), new Set([0]))
      return c
    }))
    await Promise.all(all.map((c) => c.leave()))
  })
})
