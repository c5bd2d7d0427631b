// SPDX-License-Identifier: MIT
// What the official client makes of the codes it is told: comes back, stays away, asks for a new token.
import assert from 'node:assert/strict'

import { Centrifuge } from 'centrifuge'
import WebSocket from 'ws'

import { Api, KEY } from '../lib/api.mjs'
import { Chatter } from '../lib/chatter.mjs'
import { it, returns, suite } from '../lib/suite.mjs'
import { now, token } from '../lib/token.mjs'

const config = ['--config', new URL('token.ini', import.meta.url).pathname]
const impatience = ['--expired-close-delay', '0s', '--expired-sub-close-delay', '0s']

const next = (emitter, event) => new Promise((settle) => emitter.once(event, settle))

function client(at, options = {}) {
  const quick = { minReconnectDelay: 1, maxReconnectDelay: 50 }
  return returns(new Centrifuge(at.gateway.url, { websocket: WebSocket, ...quick, ...options }))
}

async function connected(at, options) {
  const one = client(at, options)
  one.connect()
  await one.ready()
  return one
}

// The first of the events that happens after `begin`: [event, code, reason].
async function fate(emitter, events, begin) {
  const first = Promise.race(events.map(async (event) => [event, await next(emitter, event)]))
  await begin()
  const [event, { code, reason }] = await first
  return [event, code, reason]
}

suite('the connection of the official client', { args: ['--api-key', KEY] }, (at) => {
  const closed = async (disconnect) => {
    const one = client(at)
    one.connect()
    const hello = await next(one, 'connected')
    return fate(one, ['connecting', 'disconnected'], () =>
      new Api(at.gateway).ok('disconnect', { user: '', client: hello.client, disconnect }),
    )
  }

  it('comes back after codes from 4000 to 4499', async () => {
    for (const code of [4000, 4499]) assert.deepEqual(await closed({ code, reason: 'why not' }), ['connecting', code, 'why not'])
  })

  it('stays away after 3503 and codes from 4500 to 4999', async () => {
    assert.deepEqual(await closed(undefined), ['disconnected', 3503, 'force disconnect'])
    for (const code of [4500, 4999]) assert.deepEqual(await closed({ code, reason: 'no' }), ['disconnected', code, 'no'])
  })

  it('stays away after 1009, by a code of its own', async () => {
    const one = await connected(at)
    const [event, code] = await fate(one, ['connecting', 'disconnected'], () => {
      one.publish('x', 'x'.repeat(70_000)).catch(() => {}) // it ends with the connection
    })
    assert.deepEqual([event, code], ['disconnected', 3])
  })

  it('a subscription that the server ended with 2000 stays ended', async () => {
    const one = await connected(at)
    const sub = one.newSubscription('room')
    sub.subscribe()
    await sub.ready()
    const [event, code, reason] = await fate(sub, ['subscribing', 'unsubscribed'], () =>
      new Api(at.gateway).ok('unsubscribe', { user: '', channel: 'room' }),
    )
    assert.deepEqual([event, code, reason], ['unsubscribed', 2000, 'server unsubscribe'])
    assert.equal(one.state, 'connected')
  })
})

const forgetful = ['--hub-inbox-bytes', '4KiB', '--queue-bytes', '64MiB', '--rooms-history-size', '5']

suite('the official client on a hub that falls behind what streams hold', { args: forgetful, hubs: 3 }, (at, join) => {
  it('is told 2500, subscribes again by itself, and knows that it was not recovered', async () => {
    const publisher = await join()
    const lost = []
    const subs = []
    for (let i = 0; i < 6; i++) {
      const sub = (await connected(at)).newSubscription('short')
      subs.push(sub)
      sub.on('subscribing', ({ code, reason }) => {
        lost.push({ code, reason, back: next(sub, 'subscribed') })
      })
      const there = next(sub, 'subscribed')
      sub.subscribe()
      await there
    }
    lost.splice(0) // the beginning
    while (!lost.length) {
      const data = 'x'.repeat(300)
      const ids = publisher.command(...Array.from({ length: 500 }, () => ({ publish: { channel: 'short', data } })))
      await publisher.reply(ids.at(-1))
      await publisher.fence()
    }
    const [{ code, reason, back }] = lost
    assert.deepEqual([code, reason], [2500, 'insufficient state'])
    const { wasRecovering, recovered } = await back
    assert.deepEqual([wasRecovering, recovered], [true, false])
    const heard = new Set()
    for (const sub of subs) sub.on('publication', ({ data }) => data === 'after' && heard.add(sub))
    while (heard.size < subs.length) await publisher.publish('short', 'after') // some are still on their way back
    await publisher.leave()
  })
})

const soon = () => now() + 4 // not before it is connected, on a busy machine
const mine = (claims) => token({ sub: '42', ...claims })
const pass = (claims) => mine({ channel: '$r', ...claims })

async function subscribed(at, options) {
  const one = await connected(at, { token: mine() })
  const sub = one.newSubscription('$r', options)
  sub.subscribe()
  await sub.ready()
  return sub
}

suite('tokens of the official client', { auth: 'jwt', args: config, together: true }, (at) => {
  it('a connect that is answered with an error other than 109 is final', async () => {
    for (const [claims, code] of [[{ exp: now() + 60, expire_at: now() - 1 }, 110], [{ channels: ['nowhere:x'] }, 102]]) {
      const one = client(at, { token: mine(claims), getToken: () => assert.fail('it asked again') })
      assert.deepEqual((await fate(one, ['connected', 'disconnected'], () => one.connect())).slice(0, 2), ['disconnected', code])
    }
  })

  it('a refresh that is answered with an error is final', async () => {
    const one = await connected(at, { token: mine({ exp: soon() }), getToken: async () => mine({ exp: now() + 60, expire_at: now() - 1 }) })
    assert.deepEqual((await fate(one, ['connecting', 'disconnected'], () => {})).slice(0, 2), ['disconnected', 110])
  })

  it('a sub_refresh that is answered with an error ends the subscription', async () => {
    for (const [claims, code] of [[{ exp: now() - 1 }, 109], [{ exp: now() + 60, expire_at: now() - 1 }, 110]]) {
      const sub = await subscribed(at, { token: pass({ exp: soon() }), getToken: async () => pass(claims) })
      assert.deepEqual((await fate(sub, ['subscribing', 'unsubscribed'], () => {})).slice(0, 2), ['unsubscribed', code])
    }
  })
})

suite('tokens that the official client gets too late', { auth: 'jwt', args: [...config, ...impatience], together: true }, (at) => {
  it('after 3005 it comes back with a new token', async () => {
    let late
    const getToken = async () => {
      await late // the gateway does not wait that long
      return mine({ exp: now() + 60 })
    }
    const one = await connected(at, { token: mine({ exp: soon() }), getToken })
    late = next(one, 'connecting')
    assert.equal((await late).code, 3005)
    await one.ready()
  })

  it('after 2501 it subscribes again with a new token', async () => {
    let late
    const getToken = async () => {
      await late
      return pass({ exp: now() + 60 })
    }
    const sub = await subscribed(at, { token: pass({ exp: soon() }), getToken })
    late = next(sub, 'subscribing')
    const { code, reason } = await late
    assert.deepEqual([code, reason], [2501, 'subscription expired'])
    await sub.ready()
  })
})

suite('claims on their way to others', { auth: 'jwt', args: [...config, ...impatience] }, (at) => {
  const base64 = (value) => Buffer.from(JSON.stringify(value)).toString('base64')
  async function user(claims) {
    const c = await Chatter.open(at.gateway)
    c.connected = await c.ok({ connect: { token: token({ sub: '42', ...claims }) } })
    return c
  }

  it('meta and jti are for nobody to see', async () => {
    const c = await user({ meta: { secret: 'for the back end' }, jti: 'a-number', info: { name: 'Ada' } })
    await c.subscribe('chat:all', { join_leave: true })
    await c.publish('chat:all', 1)
    const { presence } = await c.ok({ presence: { channel: 'chat:all' } })
    const { publications } = await c.ok({ history: { channel: 'chat:all', limit: 10 } })
    const seen = JSON.stringify([c.connected, presence, publications, await c.pub('chat:all'), c.rest()])
    assert.ok(seen.includes('Ada'))
    assert.ok(!seen.includes('secret') && !seen.includes('a-number'), seen)
    await c.leave()
  })

  it('info and data may come in base64', async () => {
    const c = await user({ b64info: base64({ name: 'Ada' }), subs: { 'chat:given': { b64info: base64('seat'), b64data: base64([1]) } } })
    assert.deepEqual(c.connected.subs['chat:given'].data, [1])
    const { data } = await c.subscribe('$r', { token: token({ sub: '42', channel: '$r', b64info: base64('chair'), b64data: base64({ d: 2 }) }) })
    assert.deepEqual(data, { d: 2 })
    for (const [room, chan] of [['chat:given', 'seat'], ['$r', 'chair']]) {
      await c.publish(room, 1)
      const { info } = await c.pub(room)
      assert.deepEqual([info.conn_info, info.chan_info], [{ name: 'Ada' }, chan])
    }
    await c.leave()
  })

  it('3006 when a subscription that the client did not ask for has ended', async () => {
    const c = await user({ channels: ['chat:given'] })
    await c.ok({ sub_refresh: { channel: 'chat:given', token: token({ sub: '42', channel: 'chat:given', exp: soon() }) } })
    await c.closed(3006, 'subscription expired')
  })
})
