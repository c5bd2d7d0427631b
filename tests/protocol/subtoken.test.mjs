// SPDX-License-Identifier: MIT
// Tokens of subscriptions: private rooms, rooms of certain users, and for how long.
import assert from 'node:assert/strict'
import { setTimeout as pause } from 'node:timers/promises'

import { Centrifuge } from 'centrifuge'
import WebSocket from 'ws'

import { Chatter } from '../lib/chatter.mjs'
import { it, suite, suites } from '../lib/suite.mjs'
import { now, past, token } from '../lib/token.mjs'

const config = ['--config', new URL('token.ini', import.meta.url).pathname]
const jwt = { auth: 'jwt', args: config }

async function user(at, sub, claims = {}) {
  const c = await Chatter.open(at.gateway)
  c.connected = await c.ok({ connect: { token: token({ sub, ...claims }) } })
  return c
}

const pass = (channel, sub, claims = {}) => token({ sub, channel, ...claims })

suites('subscription tokens', jwt, (at) => {
  it('open a private room, for the user and the room that they name', async () => {
    const c = await user(at, '42')
    await c.fails({ subscribe: { channel: '$secret' } }, 103)
    assert.deepEqual(await c.subscribe('$secret', { token: pass('$secret', '42') }), {})
    await c.publish('$secret', 'x') // subscribers may
    assert.equal((await c.pub('$secret')).data, 'x')
    await c.fails({ subscribe: { channel: '$secret', token: pass('$secret', '42') } }, 105)
    await c.leave()
  })

  it('open rooms that are shut otherwise, but no namespace that is not there', async () => {
    const c = await user(at, '')
    await c.subscribe('shut:a', { token: pass('shut:a', '') })
    await c.fails({ subscribe: { channel: '$no:a', token: pass('$no:a', '') } }, 102)
    await c.leave()
  })

  it('that are wrong are answered 103, those that are over 109 or 110', async () => {
    const c = await user(at, '42')
    const ask = (one, code) => c.fails({ subscribe: { channel: '$r', token: one } }, code)
    await ask('x', 103)
    await ask(token({ sub: '42', channel: '$r' }, { key: 'foreign' }), 103)
    await ask(token({ sub: '42', channel: '$r' }, { header: { alg: 'none' } }), 103)
    await ask(token({ sub: '42' }), 103)
    await ask(token({ sub: 42, channel: '$r' }), 103)
    await ask(pass('$r', '42', { exp: now() - 1 }), 109)
    await ask(pass('$r', '42', { nbf: now() + 100 }), 109)
    await ask(pass('$r', '42', { expire_at: now() - 1 }), 110)
    await c.subscribe('$r', { token: pass('$r', '42') })
    await c.leave()
  })

  it('for another room, user or connection close with 3500', async () => {
    const wrong = [pass('$other', '42'), pass('$r', '43'), pass('$r', ''), pass('$r', '42', { client: 'someone else' })]
    for (const one of wrong) {
      const c = await user(at, '42')
      c.command({ subscribe: { channel: '$r', token: one } })
      await c.closed(3500, 'invalid token')
    }
    const c = await user(at, '42')
    await c.subscribe('$r', { token: pass('$r', '42', { client: c.connected.client }) })
    await c.leave()
  })

  it('add info, data and options of the room', async () => {
    const a = await user(at, 'a', { info: { n: 'A' } })
    const b = await user(at, 'b')
    await b.subscribe('shut:o', { token: pass('shut:o', 'b', { override: { presence: { value: true }, join_leave: { value: true }, force_push_join_leave: { value: true } } }) })
    await b.push('join', 'shut:o')
    const claims = { info: { seat: 7 }, data: { hello: [1] }, override: { presence: { value: true }, join_leave: { value: true } } }
    assert.deepEqual(await a.subscribe('shut:o', { token: pass('shut:o', 'a', claims) }), { data: { hello: [1] } })
    const { value } = await b.push('join', 'shut:o')
    assert.deepEqual(value.push.join.info, { user: 'a', client: a.connected.client, conn_info: { n: 'A' }, chan_info: { seat: 7 } })
    await a.leave()
    assert.equal((await b.push('leave', 'shut:o')).value.push.leave.info.chan_info.seat, 7)
    await b.leave()
    const c = await user(at, 'c')
    const off = { override: { force_recovery: { value: false } } }
    assert.deepEqual(await c.subscribe('chat:off', { token: pass('chat:off', 'c', off) }), {})
    await c.leave()
  })

  it('the sender of a publication is shown as in the room', async () => {
    const c = await user(at, 'c', { info: 1 })
    await c.subscribe('$pub', { token: pass('$pub', 'c', { b64info: Buffer.from('{"r":2}').toString('base64') }) })
    await c.publish('$pub', 'x')
    const { info } = await c.pub('$pub')
    assert.deepEqual(info, { user: 'c', client: c.connected.client, conn_info: 1, chan_info: { r: 2 } })
    await c.leave()
  })
})

suites('the end of a subscription', { auth: 'jwt', args: [...config, '--expired-sub-close-delay', '0s'], together: true }, (at) => {
  const soon = () => now() + 5 // far enough for what is to come before, on a busy machine

  it('is told with its beginning, and comes', async () => {
    const c = await user(at, '42')
    const { expires, ttl } = await c.subscribe('$r', { token: pass('$r', '42', { exp: soon() }) })
    assert.deepEqual([expires, ttl >= 0 && ttl <= 5], [true, true])
    const { value } = await c.push('unsubscribe', '$r')
    assert.deepEqual(value.push.unsubscribe, { code: 2501, reason: 'subscription expired' })
    await c.fails({ publish: { channel: '$r', data: 1 } }, 103)
    await c.subscribe('$r', { token: pass('$r', '42') })
    await c.leave()
  })

  it('is put off by sub_refresh', async () => {
    const c = await user(at, '42')
    const exp = soon()
    await c.subscribe('$r', { token: pass('$r', '42', { exp }) })
    const { ttl } = await c.ok({ sub_refresh: { channel: '$r', token: pass('$r', '42', { exp: now() + 600 }) } })
    assert.ok(ttl > 500, `${ttl}`)
    assert.deepEqual(await c.ok({ sub_refresh: { channel: '$r', token: pass('$r', '42') } }), {})
    await past(exp)
    await c.publish('$r', 1)
    await c.leave()
  })

  it('a sub_refresh that is no good', async () => {
    const c = await user(at, '42')
    await c.subscribe('$r', { token: pass('$r', '42', { exp: now() + 600 }) })
    const ask = (sub_refresh, code) => c.fails({ sub_refresh }, code)
    await ask({ channel: '$other', token: pass('$other', '42') }, 103)
    await ask({ channel: '$r' }, 107)
    await ask({ channel: '$r', token: pass('$r', '42', { exp: now() - 1 }) }, 109)
    await ask({ channel: '$r', token: pass('$r', '42', { expire_at: now() - 1 }) }, 110)
    await c.publish('$r', 'still there')
    await c.leave()
    const closing = [
      [{ channel: '$r', token: pass('$r', '43') }, 3500],
      [{ channel: '$r', token: pass('$s', '42') }, 3500],
      [{ channel: '$r', token: 'x' }, 3500],
      [{ token: pass('$r', '42') }, 3501],
    ]
    for (const [sub_refresh, code] of closing) {
      const d = await user(at, '42')
      await d.subscribe('$r', { token: pass('$r', '42') })
      d.command({ sub_refresh })
      await d.closed(code)
    }
  })

  it('leaving and coming back forgets it', async () => {
    const c = await user(at, '42')
    const exp = soon()
    await c.subscribe('$r', { token: pass('$r', '42', { exp }) })
    await c.ok({ unsubscribe: { channel: '$r' } })
    await c.subscribe('$r', { token: pass('$r', '42') })
    await past(exp)
    await c.publish('$r', 1)
    await c.leave()
  })

})

suite('the official client', jwt, (at) => {
  it('renews its token for a room', async () => {
    const client = new Centrifuge(at.gateway.url, { websocket: WebSocket, token: token({ sub: '42' }) })
    let made = 0
    const sub = client.newSubscription('$r', { getToken: async () => pass('$r', '42', { exp: now() + (made++ ? 3 : -5) }), minResubscribeDelay: 10, maxResubscribeDelay: 50 })
    const states = []
    sub.on('state', ({ newState }) => states.push(newState))
    sub.subscribe()
    client.connect()
    await sub.ready()
    while (made < 4) await pause(50)
    await sub.publish('still there')
    assert.deepEqual(states, ['subscribing', 'subscribed'])
    client.disconnect()
  })
})

suite('rooms of certain users', jwt, (at) => {
  it('are open to them without a token, and to nobody else', async () => {
    const a = await user(at, 'a')
    const b = await user(at, 'b,c')
    await a.subscribe('own:#a')
    await a.subscribe('own:talk#a,b%2Cc')
    await b.subscribe('own:talk#a,b%2Cc')
    await b.subscribe('own:#b%2cc')
    for (const channel of ['own:#a', 'own:#b,c', 'own:#', 'own:#a,', 'own:#a#x', 'own:#A'])
      await b.fails({ subscribe: { channel } }, 103)
    await a.subscribe('own:plain')
    await b.subscribe('own:#a', { token: pass('own:#a', 'b,c') })
    await Promise.all([a.leave(), b.leave()])
  })

  it('what is granted to all is not granted there', async () => {
    const a = await user(at, 'a')
    const b = await user(at, 'b')
    await a.ok({ publish: { channel: 'own:#a', data: 1 } })
    await a.ok({ history: { channel: 'own:#a', limit: 1 } })
    await b.fails({ publish: { channel: 'own:#a', data: 1 } }, 103)
    await b.fails({ history: { channel: 'own:#a' } }, 103)
    await b.ok({ history: { channel: 'own:all' } })
    await b.fails({ history: { channel: '$own:all' } }, 103)
    await Promise.all([a.leave(), b.leave()])
  })

  it('elsewhere # is a character like any other', async () => {
    const a = await user(at, 'a')
    await a.subscribe('chat:C#')
    await a.leave()
  })
})

suite('keys of their own for subscriptions', { auth: 'jwt', args: [...config, '--jwt-subscription-hmac-secret', 'for rooms'] }, (at) => {
  it('take the place of the others', async () => {
    const c = await user(at, '42')
    await c.fails({ subscribe: { channel: '$r', token: pass('$r', '42') } }, 103)
    await c.subscribe('$r', { token: token({ sub: '42', channel: '$r' }, { key: 'for rooms' }) })
    await c.leave()
  })
})
