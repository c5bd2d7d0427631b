// SPDX-License-Identifier: MIT
// Moderation: what moderators decide over the server API holds for everybody, on every hub, and across
// reconnects, until its time is over.
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { Centrifuge } from 'centrifuge'
import WebSocket from 'ws'

import { Api, KEY } from '../lib/api.mjs'
import { Chatter } from '../lib/chatter.mjs'
import { startGateway } from '../lib/gateway.mjs'
import { it, returns, suite, suites } from '../lib/suite.mjs'
import { now, token } from '../lib/token.mjs'

const rooms = ['--config', new URL('rooms.ini', import.meta.url).pathname, '--api-key', KEY]
const tokens = ['--config', new URL('token.ini', import.meta.url).pathname, '--api-key', KEY]

let nth = 0
const room = (namespace) => `${namespace ? `${namespace}:` : ''}mod${++nth}`
const keyOf = () => `the moderated ${++nth} guest`
const datas = (list) => list.map(({ data }) => data)
const tombstone = { type: 'redacted' }

// A guest that is connected, with its user id.
async function guest(at, key = keyOf()) {
  const c = await Chatter.join(at.gateway, { data: { guest: { key } } })
  c.key = key
  c.user ??= await userOf(c)
  return c
}

async function userOf(c) {
  const where = room()
  await c.subscribe(where)
  const { presence } = await c.ok({ presence: { channel: where } })
  await c.ok({ unsubscribe: { channel: where } })
  return presence[c.connected.client].user
}

// The connection of a guest that must be refused.
async function refused(at, key, reason) {
  const c = await Chatter.open(at.gateway)
  c.command({ connect: { data: { guest: { key } } } })
  await c.closed(3507, reason)
}

suites('moderation, guests', { args: rooms, auth: 'guest' }, (at) => {
  const api = () => new Api(at.gateway)

  it('a ban ends every connection of its user, and none begins until it is lifted', async () => {
    const key = keyOf()
    const mine = await Promise.all(Array.from({ length: 4 }, () => guest(at, key)))
    const other = await guest(at)
    const { user } = mine[0]
    assert.deepEqual(await api().ok('ban', { user, reason: 'spam' }), {})
    for (const c of mine) await c.closed(3507, 'banned: spam')
    for (let i = 0; i < 4; i++) await refused(at, key, 'banned: spam')
    await other.fence()
    assert.deepEqual(await api().ok('bans'), { bans: [{ user, reason: 'spam' }] })
    await api().ok('unban', { user })
    assert.deepEqual(await api().ok('bans'), { bans: [] })
    const again = await guest(at, key)
    await Promise.all([again.leave(), other.leave()])
  })

  it('one that is banned while it connects does not stay', async () => {
    const key = keyOf()
    const first = await guest(at, key)
    for (let i = 0; i < 10; i++) {
      const coming = await Promise.all(Array.from({ length: 6 }, () => Chatter.open(at.gateway)))
      const order = api().ok('ban', { user: first.user })
      for (const c of coming) c.command({ connect: { data: { guest: { key } } } })
      await order
      for (const c of coming) await c.closed(3507, 'banned')
      await api().ok('unban', { user: first.user })
      if (!i) await first.closed(3507, 'banned')
    }
  })

  it('a ban from a room ends the subscription for good, and holds across reconnects', async () => {
    const r = room()
    const key = keyOf()
    const c = await guest(at, key)
    await c.subscribe(r)
    await c.publish(r, 'before')
    await api().ok('ban', { user: c.user, channel: r, reason: 'rude' })
    const { value } = await c.push('unsubscribe', r)
    assert.deepEqual(value.push.unsubscribe, { code: 2000, reason: 'banned: rude' })
    const everything = async (who) => {
      assert.equal((await who.fails({ subscribe: { channel: r } }, 103)).message, 'banned: rude')
      assert.equal((await who.fails({ publish: { channel: r, data: 1 } }, 103)).message, 'banned: rude')
      await who.fails({ history: { channel: r, limit: 10 } }, 103)
      await who.fails({ presence: { channel: r } }, 103)
      await who.fails({ presence_stats: { channel: r } }, 103)
    }
    await everything(c)
    await c.leave()
    const again = await guest(at, key)
    await everything(again)
    const elsewhere = room()
    await again.subscribe(elsewhere)
    await again.publish(elsewhere, 1)
    await api().ok('unban', { user: c.user, channel: r })
    await again.subscribe(r)
    await again.publish(r, 'after')
    assert.deepEqual(datas((await again.ok({ history: { channel: r, limit: 10 } })).publications), ['before', 'after'])
    await again.leave()
  })

  it('a ban meets a subscribe under way, whichever comes first', async () => {
    const c = await guest(at)
    for (let i = 0; i < 20; i++) {
      const r = room()
      const id = c.command({ subscribe: { channel: r } })
      await api().ok('ban', { user: c.user, channel: r })
      const { value } = await c.reply(id)
      if (value.error) assert.equal(value.error.code, 103)
      else await c.push('unsubscribe', r)
      // The hub that was asked may hear of the end later than the client.
      while (Object.keys((await api().ok('presence', { channel: r })).presence).length) await c.fence()
      await api().ok('unban', { user: c.user, channel: r })
    }
    await c.leave()
  })

  it('a mute refuses what is said, in one room or everywhere, and nothing else', async () => {
    const [r, s] = [room(), room()]
    const key = keyOf()
    let c = await guest(at, key)
    const { user } = c
    await api().ok('mute', { user, channel: r, reason: 'shouting' })
    await c.leave()
    c = await guest(at, key)
    await c.subscribe(r)
    await c.subscribe(s)
    assert.equal((await c.fails({ publish: { channel: r, data: 1 } }, 103)).message, 'muted: shouting')
    await c.fails({ rpc: { method: 'rooms.typing', data: { room: r } } }, 103)
    await c.publish(s, 'here I may')
    await api().ok('publish', { channel: r, data: 'to all' }) // the server API is not held to it
    assert.equal((await c.pub(r)).data, 'to all')
    assert.deepEqual(datas((await c.ok({ history: { channel: r, limit: 10 } })).publications), ['to all'])
    await api().ok('mute', { user })
    assert.equal((await c.fails({ publish: { channel: s, data: 1 } }, 103)).message, 'muted')
    assert.deepEqual(await api().ok('mutes', { user, channel: r }), { mutes: [{ user, channel: r, reason: 'shouting' }] })
    assert.equal((await api().ok('mutes', { user })).mutes.length, 2)
    await api().ok('unmute', { user })
    await c.publish(s, 'again')
    await c.fails({ publish: { channel: r, data: 1 } }, 103)
    await api().ok('unmute', { user, channel: r })
    await c.publish(r, 'at last')
    await c.leave()
  })

  it('what has an end ends by itself', async () => {
    const r = room()
    const key = keyOf()
    const c = await guest(at, key)
    await c.subscribe(r)
    await api().ok('mute', { user: c.user, channel: r, ttl: 1000 })
    await api().ok('ban', { user: c.user, channel: room(), expire_at: now() + 5 })
    await c.fails({ publish: { channel: r, data: 1 } }, 103)
    const begun = now()
    await api().ok('mute', { user: c.user, channel: r, ttl: 2 })
    const expire_at = (await api().ok('mutes', { user: c.user })).mutes[0]?.expire_at ?? begun + 2 // it may be over
    assert.ok(expire_at >= begun + 1 && expire_at <= now() + 2)
    for (;;) {
      const { value } = await c.reply(c.command({ publish: { channel: r, data: 1 } }))
      if (!value.error) break
      await new Promise((settle) => setTimeout(settle, 100))
    }
    assert.ok(now() >= expire_at)
    assert.deepEqual(await api().ok('mutes', { user: c.user }), { mutes: [] })
    await api().ok('ban', { user: c.user, ttl: 1000 })
    await c.closed(3507, 'banned')
    await refused(at, key, 'banned')
    await api().ok('ban', { user: c.user, ttl: 1 })
    while ((await api().ok('bans', { user: c.user })).bans.length) await new Promise((settle) => setTimeout(settle, 100))
    await (await guest(at, key)).leave()
  })

  it('a newer decision takes the place of the older', async () => {
    const user = `somebody ${++nth}`
    await api().ok('ban', { user, ttl: 1000, reason: 'a' })
    await api().ok('ban', { user, reason: 'b' })
    assert.deepEqual(await api().ok('bans', { user }), { bans: [{ user, reason: 'b' }] })
    await api().ok('unban', { user })
    await api().ok('unban', { user }) // whether or not there is one
  })

  it('a kick ends what is there, and the user may come back', async () => {
    const r = room()
    const key = keyOf()
    const c = await guest(at, key)
    await c.subscribe(r)
    await api().ok('kick', { user: c.user, channel: r, reason: 'cool down' })
    assert.deepEqual((await c.push('unsubscribe', r)).value.push.unsubscribe, { code: 2000, reason: 'kicked: cool down' })
    await c.subscribe(r)
    const other = await guest(at, key)
    await api().ok('kick', { user: c.user, client: other.connected.client })
    await other.closed(3503, 'kicked')
    await c.fence()
    await api().ok('kick', { user: c.user, reason: '42' }) // never JSON
    await c.closed(3503, 'kicked: 42')
    await (await guest(at, key)).leave()
  })

  it('slow mode lets everybody speak once per interval, by whatever connection', async () => {
    const r = room()
    const key = keyOf()
    const [a, b, other] = await Promise.all([guest(at, key), guest(at, key), guest(at)])
    for (const c of [a, b, other]) await c.subscribe(r)
    assert.deepEqual(await api().ok('slow_mode', { channel: r }), { interval_ms: 0 })
    assert.deepEqual(await api().ok('slow_mode', { channel: r, interval_ms: 60000 }), { interval_ms: 60000 })
    await a.publish(r, 'first')
    const error = await b.fails({ publish: { channel: r, data: 'second' } }, 111)
    assert.equal(error.temporary, true)
    assert.match(error.message, /^slow mode: wait [1-6]?\d s$/)
    await other.publish(r, 'another')
    await api().ok('publish', { channel: r, data: 1 })
    await api().ok('publish', { channel: r, data: 2 })
    await a.leave()
    const again = await guest(at, key)
    await again.fails({ publish: { channel: r, data: 'third' } }, 111)
    await again.publish(room(), 'elsewhere')
    assert.deepEqual(await api().ok('slow_mode', { channel: r, interval_ms: 500 }), { interval_ms: 500 })
    assert.deepEqual(await api().ok('slow_mode', { channel: r }), { interval_ms: 500 })
    await api().ok('slow_mode', { channel: r, interval_ms: 0 })
    await again.publish(r, 'fourth')
    await again.publish(r, 'fifth')
    assert.deepEqual(datas((await again.ok({ history: { channel: r, limit: 10 } })).publications),
      ['first', 'another', 1, 2, 'fourth', 'fifth'])
    for (const c of [b, other, again]) await c.leave()
  })

  it('slow mode lets one speak again when the interval is over', async () => {
    const r = room()
    const c = await guest(at)
    await api().ok('slow_mode', { channel: r, interval_ms: 300 })
    await c.publish(r, 1)
    for (;;) {
      const { value } = await c.reply(c.command({ publish: { channel: r, data: 2 } }))
      if (!value.error) break
      assert.equal(value.error.message, 'slow mode: wait 1 s')
      await new Promise((settle) => setTimeout(settle, 50))
    }
    await c.leave()
  })

  it('says what is wrong with a call', async () => {
    const long = 'x'.repeat(101)
    for (const method of ['kick', 'ban', 'mute', 'unban', 'unmute'])
      for (const [params, code] of [
        [{}, 107], [{ user: '' }, 107], [{ user: 5 }, 107], [{ user: 'a\nb' }, 107], [{ user: 'x'.repeat(256) }, 107],
        [{ user: 'u', channel: 'nowhere:x' }, 102], [{ user: 'u', reason: long }, 107], [{ user: 'u', reason: 'a\u0000b' }, 107],
      ]) await api().fails(method, params, code)
    for (const method of ['ban', 'mute'])
      for (const end of [{ ttl: -1 }, { ttl: 1e12 }, { expire_at: now() - 1 }, { expire_at: 0 }, { ttl: 5, expire_at: now() + 5 }])
        await api().fails(method, { user: 'u', ...end }, 107)
    await api().fails('slow_mode', {}, 107)
    await api().fails('slow_mode', { channel: 'nowhere:x', interval_ms: 5 }, 102)
    await api().fails('slow_mode', { channel: room(), interval_ms: 86400001 }, 107)
    await api().fails('slow_mode', { channel: room(), interval_ms: -1 }, 107)
    assert.deepEqual(await api().ok('bans'), { bans: [] })
  })
})

suite('moderation, bounds', { args: [...rooms, '--max-sanctions', '3'], auth: 'guest', hubs: 2 }, (at) => {
  it('there are as many as there may be, and one that ends makes room', async () => {
    const api = new Api(at.gateway)
    for (const user of ['a', 'b']) await api.ok('ban', { user })
    await api.ok('mute', { user: 'c' })
    await api.fails('mute', { user: 'd' }, 106)
    await api.ok('ban', { user: 'a', reason: 'another' })
    const metrics = await at.gateway.metrics()
    assert.equal(metrics.madang_sanctions, 3)
    await api.ok('mute', { user: 'c', ttl: 1 })
    while ((await api.call('mute', { user: 'd' })).error) await new Promise((settle) => setTimeout(settle, 100))
    for (const channel of ['a', 'b', 'c']) await api.ok('slow_mode', { channel, interval_ms: 5 })
    await api.fails('slow_mode', { channel: 'd', interval_ms: 5 }, 106)
    await api.ok('slow_mode', { channel: 'a', interval_ms: 0 })
    await api.ok('slow_mode', { channel: 'd', interval_ms: 5 })
  })
})

suites('moderation, redacted', { args: rooms, auth: 'guest' }, (at) => {
  const api = () => new Api(at.gateway)

  it('what was said is nowhere any more, and who is there is told', async () => {
    const r = room()
    const [c, d] = await Promise.all([guest(at), guest(at)])
    const { epoch } = await c.subscribe(r)
    await d.subscribe(r)
    for (const data of ['one', { text: 'the secret', cid: 'k' }, 'three']) await c.publish(r, data)
    const result = await api().ok('redact', { channel: r, offset: 2, epoch, reason: 'private' })
    assert.deepEqual(result, { offset: 4, epoch })
    for (const who of [c, d]) {
      for (let i = 0; i < 3; i++) await who.pub(r)
      const { data, info, tags, offset } = await who.pub(r)
      assert.deepEqual(data, { type: 'redacted', offset: 2, epoch, reason: 'private' })
      assert.deepEqual([info, tags.quiet, offset], [undefined, '1', 4])
    }
    const history = await c.text({ history: { channel: r, limit: 10 } })
    assert.ok(!history.includes('secret'), history)
    const { publications } = await api().ok('history', { channel: r, limit: -1 })
    assert.deepEqual(publications[1], { data: tombstone, offset: 2 })
    assert.deepEqual(datas(publications).slice(0, 3), ['one', tombstone, 'three'])
    await d.ok({ unsubscribe: { channel: r } })
    const recovered = await d.subscribe(r, { recover: true, epoch, offset: 1 })
    assert.equal(recovered.recovered, true)
    assert.deepEqual(datas(recovered.publications).slice(0, 2), [tombstone, 'three'])
    assert.ok(!JSON.stringify(recovered).includes('secret'))
    await c.publish(r, { text: 'the secret', cid: 'k' }) // a retry does not bring it back
    assert.equal((await api().ok('history', { channel: r })).offset, 4)
    await Promise.all([c.leave(), d.leave()])
  })

  it('who takes deltas and what comes after is not made from it', async () => {
    const r = room('changes')
    const c = await guest(at)
    await c.subscribe(r, { delta: 'fossil' })
    const secret = { text: `the secret ${'and its long story '.repeat(20)}` }
    await c.publish(r, secret)
    await c.pub(r)
    await api().ok('redact', { channel: r, offset: 1 })
    const notice = await c.pub(r)
    assert.equal(notice.delta, undefined)
    assert.equal(JSON.parse(notice.data).type, 'redacted')
    await c.publish(r, secret)
    const after = await c.pub(r)
    assert.equal(after.delta, undefined)
    assert.deepEqual(JSON.parse(after.data), secret)
    await c.leave()
  })

  it('what the stream does not hold any more is told all the same', async () => {
    const r = room('small')
    const c = await guest(at)
    const { epoch } = await c.subscribe(r)
    for (const data of [1, 2, 3]) await c.publish(r, data)
    await api().ok('redact', { channel: r, offset: 1 })
    for (let i = 0; i < 3; i++) await c.pub(r)
    assert.deepEqual((await c.pub(r)).data, { type: 'redacted', offset: 1, epoch })
    await c.leave()
  })

  it('says what is wrong with a call', async () => {
    const r = room()
    await api().ok('publish', { channel: r, data: 1 })
    for (const [params, code] of [
      [{ offset: 1 }, 107], [{ channel: r }, 107], [{ channel: r, offset: 2 }, 107], [{ channel: r, offset: -1 }, 107],
      [{ channel: r, offset: 1, epoch: 'other' }, 112], [{ channel: r, offset: 1, epoch: 'x'.repeat(99) }, 112],
      [{ channel: room('bare'), offset: 1 }, 108], [{ channel: 'nowhere:x', offset: 1 }, 102],
      [{ channel: r, offset: 1, reason: 'x'.repeat(101) }, 107], [{ channel: room(), offset: 1 }, 107],
    ]) await api().fails('redact', params, code)
    assert.deepEqual(datas((await api().ok('history', { channel: r, limit: -1 })).publications), [1])
  })
})

suites('moderation, tokens', { args: tokens, auth: 'jwt' }, (at) => {
  const api = () => new Api(at.gateway)

  it('a token does not open a room that its user is banned from, and does not keep it from the others', async () => {
    const [a, b] = [room('chat'), room('chat')]
    const user = `t${++nth}`
    await api().ok('ban', { user, channel: a })
    const c = await Chatter.open(at.gateway)
    const connected = await c.ok({ connect: { token: token({ sub: user, channels: [a, b] }) } })
    assert.deepEqual(Object.keys(connected.subs), [b])
    await c.fails({ subscribe: { channel: a, token: token({ sub: user, channel: a }) } }, 103)
    await api().ok('subscribe', { user, channel: a }) // an order is accepted, and comes to nothing
    await c.fence()
    assert.deepEqual(await api().ok('presence', { channel: a }), { presence: {} })
    await api().ok('ban', { user, channel: b })
    assert.deepEqual((await c.push('unsubscribe', b)).value.push.unsubscribe, { code: 2000, reason: 'banned' })
    await api().ok('unban', { user, channel: a })
    await c.subscribe(a)
    await c.leave()
  })

  it('a token does not connect a user that is banned', async () => {
    const user = `t${++nth}`
    await api().ok('ban', { user, reason: 'no' })
    for (const claims of [{ sub: user }, { sub: user, channels: [room('chat')] }]) {
      const c = await Chatter.open(at.gateway)
      c.command({ connect: { token: token(claims) } }, { subscribe: { channel: room('chat') } })
      await c.closed(3507, 'banned: no')
    }
    const c = await Chatter.open(at.gateway)
    await c.ok({ connect: { token: token({ sub: `t${++nth}` }) } })
    await c.leave()
  })

  it('the official client understands: no return after a ban, errors in words, the tombstone in history', async () => {
    const r = room('chat')
    const user = `t${++nth}`
    const client = returns(new Centrifuge(at.gateway.url, { websocket: WebSocket, token: token({ sub: user }), minReconnectDelay: 10 }))
    const sub = client.newSubscription(r)
    const heard = []
    sub.on('publication', (ctx) => heard.push(ctx.data))
    client.connect()
    sub.subscribe()
    await sub.ready()
    await sub.publish('the secret')
    await api().ok('redact', { channel: r, offset: 1 })
    const { publications } = await sub.history({ limit: 10 })
    assert.deepEqual(publications.map(({ data }) => data.type), ['redacted', 'redacted'])
    while (heard.length < 2) await new Promise((settle) => sub.once('publication', settle))
    assert.equal(heard[1].offset, 1)
    await api().ok('mute', { user, channel: r, reason: 'quiet' })
    await assert.rejects(sub.publish('x'), { code: 103, message: 'muted: quiet' })
    const unsubscribed = new Promise((settle) => sub.once('unsubscribed', settle))
    await api().ok('ban', { user, channel: r, reason: 'out' })
    assert.deepEqual(await unsubscribed, { channel: r, code: 2000, reason: 'banned: out' })
    const disconnected = new Promise((settle) => client.once('disconnected', settle))
    await api().ok('ban', { user, reason: 'gone' })
    assert.deepEqual(await disconnected, { code: 3507, reason: 'banned: gone' })
    const refused = new Promise((settle) => client.once('disconnected', settle))
    client.connect()
    assert.deepEqual(await refused, { code: 3507, reason: 'banned: gone' })
  })
})

for (const hubs of [1, 3]) {
  it(`what was decided survives kill -9, with its end, ${hubs} hub(s)`, async () => {
    const folder = mkdtempSync(join(tmpdir(), 'madang-decisions-'))
    const start = () => startGateway(['--store', join(folder, 'madang.db'), ...rooms], { auth: 'guest', hubs })
    const at = { gateway: await start() }
    const api = () => new Api(at.gateway)
    const [all, inRoom, mute] = [{ user: 'u', reason: '스팸' }, { user: 'v', channel: 'r', ttl: 3600 }, { user: 'w', channel: 'r', reason: 'shouting' }]
    const key = keyOf()
    const out = await guest(at, key)
    await api().ok('ban', { user: out.user, reason: 'spam' })
    await out.closed(3507, 'banned: spam')
    await api().ok('ban', all)
    await api().ok('ban', inRoom)
    await api().ok('mute', mute)
    await api().ok('ban', { user: 'lifted' })
    await api().ok('unban', { user: 'lifted' })
    await api().ok('slow_mode', { channel: 'slow', interval_ms: 60_000 })
    await api().ok('slow_mode', { channel: 'fast', interval_ms: 60_000 })
    await api().ok('slow_mode', { channel: 'fast', interval_ms: 0 })
    const sorted = ({ bans }) => bans.sort((a, b) => (a.user < b.user ? -1 : 1))
    const before = sorted(await api().ok('bans'))
    assert.deepEqual([before.length, before.find(({ user }) => user === 'u').reason], [3, '스팸'])
    const end = now() + 3
    await api().ok('mute', { user: 'brief', expire_at: end })
    for (let i = 0; i < 2; i++) {
      await at.gateway.kill()
      while (i && now() < end) await new Promise((settle) => setTimeout(settle, 50))
      at.gateway = await start()
      await refused(at, key, 'banned: spam')
      assert.deepEqual(sorted(await api().ok('bans')), before)
    }
    const { mutes } = await api().ok('mutes')
    assert.deepEqual(mutes, [mute])
    assert.equal((await api().ok('slow_mode', { channel: 'slow' })).interval_ms, 60_000)
    assert.equal((await api().ok('slow_mode', { channel: 'fast' })).interval_ms, 0)
    await api().ok('unban', { user: out.user })
    await at.gateway.stop()
    at.gateway = await start()
    await (await guest(at, key)).leave()
    assert.equal((await api().ok('bans')).bans.length, 2)
    await at.gateway.stop()
    rmSync(folder, { recursive: true })
  })
}
