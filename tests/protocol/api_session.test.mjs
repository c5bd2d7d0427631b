// SPDX-License-Identifier: MIT
// What the server API says of a session's and a subscription's end, of how others see it, and of what a
// subscription is to be.
import assert from 'node:assert/strict'

import { Api, KEY } from '../lib/api.mjs'
import { Chatter } from '../lib/chatter.mjs'
import { it, suites } from '../lib/suite.mjs'
import { now, past, token } from '../lib/token.mjs'

const config = [
  '--config', new URL('token.ini', import.meta.url).pathname, '--api-key', KEY,
  '--expired-close-delay', '100ms', '--expired-sub-close-delay', '100ms',
]

let nth = 0
const room = (namespace) => `${namespace}:as${++nth}`

async function user(at, claims = {}) {
  const c = await Chatter.open(at.gateway)
  c.user = `s${++nth}`
  c.connected = await c.ok({ connect: { token: token({ sub: c.user, ...claims }) } })
  return c
}

const refreshed = async (c) => (await c.line(({ value }) => value.push?.refresh, 'a refresh push')).value.push.refresh

suites('server API, ends', { args: config, auth: 'jwt', together: true }, (at) => {
  const api = () => new Api(at.gateway)

  it('refresh moves the end of a connection, and the client hears of it', async () => {
    const exp = now() + 5
    const [c, brief] = [await user(at), await user(at, { exp })]
    for (const one of [c, brief]) await api().ok('refresh', { user: one.user, expire_at: now() + 100 })
    for (const one of [c, brief]) {
      const { expires, ttl, ...more } = await refreshed(one)
      assert.deepEqual([expires, ttl > 50 && ttl <= 100, more], [true, true, {}])
    }
    await api().ok('refresh', { user: brief.user, expire_at: 0 })
    assert.deepEqual(await refreshed(brief), {}) // never
    await api().ok('refresh', { user: c.user, expire_at: now() + 3 })
    assert.ok((await refreshed(c)).ttl <= 3)
    await c.closed(3005, 'connection expired')
    await past(exp)
    await brief.fence()
    await api().ok('refresh', { user: brief.user, expire_at: now() - 1 })
    await brief.closed(3005, 'connection expired')
  })

  it('refresh is for the connections that it names, and without an end leaves that alone', async () => {
    const a = await user(at, { exp: now() + 1000 })
    const b = await Chatter.open(at.gateway)
    const { client } = await b.ok({ connect: { token: token({ sub: a.user }) } })
    await api().ok('refresh', { user: a.user, client, expire_at: now() + 50 })
    await refreshed(b)
    await api().ok('refresh', { user: a.user })
    await api().ok('refresh', { user: a.user, session: 'x', expired: true })
    await Promise.all([a.fence(), b.fence()])
    assert.deepEqual([a.rest(), b.rest()], [[], []])
    await Promise.all([a.leave(), b.leave()])
  })

  it('refresh changes how others see who comes', async () => {
    const [a, b] = [room('chat'), room('chat')]
    const c = await user(at, { info: { name: 'old' } })
    await c.subscribe(a)
    await api().ok('refresh', `{"user":"${c.user}","info":{\n"name":"new"}}`)
    await c.fence() // its hub has heard of it before that is answered
    await c.subscribe(b)
    const seen = async (r) => Object.values((await api().ok('presence', { channel: r })).presence)[0].conn_info
    assert.deepEqual([await seen(a), await seen(b)], [{ name: 'old' }, { name: 'new' }])
    await c.publish(b, 1)
    assert.deepEqual((await c.pub(b)).info.conn_info, { name: 'new' })
    await api().fails('refresh', { user: c.user, info: 'x'.repeat(4095) }, 107)
    await c.leave()
  })

  it('subscribe can give info, data and options of their own', async () => {
    const [a, b] = [room('shut'), room('shut')]
    const c = await user(at, { info: 'i' })
    const on = { value: true }
    const override = { presence: on, join_leave: on, force_push_join_leave: on }
    await api().ok('subscribe', { user: c.user, channel: a, info: { seat: 1 }, data: { d: 1 }, override })
    assert.deepEqual((await c.push('subscribe', a)).value.push.subscribe, { data: { d: 1 } })
    const { info } = (await c.push('join', a)).value.push.join
    assert.deepEqual(info, { user: c.user, client: c.connected.client, conn_info: 'i', chan_info: { seat: 1 } })
    const base64 = (value) => Buffer.from(JSON.stringify(value)).toString('base64')
    await api().ok('subscribe', { user: c.user, channel: b, b64info: base64('seat'), b64data: base64([1]), override })
    assert.deepEqual((await c.push('subscribe', b)).value.push.subscribe, { data: [1] })
    assert.equal((await c.push('join', b)).value.push.join.info.chan_info, 'seat')
    await c.leave()
  })

  it('subscribe can have an end: the session is closed with 3006', async () => {
    const r = room('chat')
    const c = await user(at)
    await api().ok('subscribe', { user: c.user, channel: r, expire_at: now() + 4 })
    const { expires, ttl } = (await c.push('subscribe', r)).value.push.subscribe
    assert.deepEqual([expires, ttl >= 0 && ttl <= 4], [true, true])
    await c.fence()
    await c.closed(3006, 'subscription expired')
  })

  it('one that the client asked for ends with 2501 instead', async () => {
    const r = room('chat')
    const c = await user(at)
    await c.subscribe(r, { token: token({ sub: c.user, channel: r, exp: now() + 4 }) })
    assert.deepEqual((await c.push('unsubscribe', r)).value.push.unsubscribe, { code: 2501, reason: 'subscription expired' })
    await c.leave()
  })

  it('says what is wrong with a subscribe', async () => {
    for (const [more, code] of [
      [{ expire_at: now() - 1 }, 110], [{ expire_at: 'x' }, 107], [{ override: { presence: true } }, 107], [{ override: 5 }, 107],
      [{ b64data: '!' }, 107], [{ b64data: 'eA==' }, 107], [{ b64info: 'eA==' }, 107], [{ info: 'x'.repeat(4095) }, 107],
    ]) await api().fails('subscribe', { user: 'u', channel: room('chat'), ...more }, code)
  })
})
