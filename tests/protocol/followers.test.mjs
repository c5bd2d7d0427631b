// SPDX-License-Identifier: MIT
// Followers and read markers: what a user wants to know of, there or not, on every device.
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { Centrifuge } from 'centrifuge'
import WebSocket from 'ws'

import { Api, KEY } from '../lib/api.mjs'
import { Chatter } from '../lib/chatter.mjs'
import { startGateway } from '../lib/gateway.mjs'
import { it, suite, suites } from '../lib/suite.mjs'
import { token } from '../lib/token.mjs'

const config = ['--config', new URL('token.ini', import.meta.url).pathname, '--api-key', KEY]
const own = ['--personal-room', 'on', '--personal-room-namespace', 'own']
const jwt = { auth: 'jwt', args: [...config, ...own] }

let nth = 0
const room = (namespace = 'chat') => `${namespace}:f${++nth}`
const name = () => `user ${++nth}`

async function user(at, sub = name()) {
  const c = await Chatter.open(at.gateway)
  await c.ok({ connect: { token: token({ sub }) } })
  c.user = sub
  c.own = `own:#${encodeURIComponent(sub)}`
  return c
}

const rpc = (c, method, data) => c.ok({ rpc: { method: `rooms.${method}`, data } }).then((result) => result.data)
const refused = (c, code, method, data) => c.fails({ rpc: { method: `rooms.${method}`, data } }, code)
const say = async (at, channel, data, more = {}) => (await new Api(at.gateway).ok('publish', { channel, data, ...more })).offset
const lines = ({ rooms, ...more }) => [rooms.map((line) => [line.room, line.unread, line.marker.offset, line.top.offset]), more]

suites('followers', jwt, (at) => {
  const api = () => new Api(at.gateway)

  it('know what they have not read, wherever they come back', async () => {
    const [r, me] = [room(), await user(at)]
    await say(at, r, 'before')
    const marker = await rpc(me, 'follow', { room: r })
    assert.equal(marker.offset, 1)
    await me.leave()
    await say(at, r, 'one')
    await say(at, r, 'reaction', { tags: { quiet: '1' } })
    await say(at, r, 'two')
    const back = await user(at, me.user)
    assert.deepEqual(lines(await rpc(back, 'list', {})), [[[r, 2, 1, 4]], {}])
    assert.deepEqual(await rpc(back, 'read', { room: r, epoch: marker.epoch, offset: 2 }), { epoch: marker.epoch, offset: 2 })
    assert.deepEqual(lines(await rpc(back, 'list')), [[[r, 1, 2, 4]], {}])
    assert.equal((await rpc(back, 'read', { room: r, epoch: 'another', offset: 4 })).offset, 2)
    assert.equal((await rpc(back, 'read', { room: r })).offset, 4)
    assert.deepEqual(lines(await rpc(back, 'list')), [[[r, 0, 4, 4]], {}])
    assert.deepEqual(await rpc(back, 'unfollow', { room: r }), {})
    assert.deepEqual(lines(await rpc(back, 'list')), [[], {}])
    await back.leave()
  })

  it('have read what they say themselves', async () => {
    const [r, me] = [room(), await user(at)]
    await me.subscribe(r)
    await rpc(me, 'follow', { room: r })
    for (const data of [1, 2]) await me.publish(r, data)
    assert.deepEqual(lines(await rpc(me, 'list')), [[[r, 0, 2, 2]], {}])
    await say(at, r, 'of another')
    await me.publish(r, 'not having read it')
    assert.deepEqual(lines(await rpc(me, 'list')), [[[r, 2, 2, 4]], {}])
    await me.leave()
  })

  it('hear on their other devices of what they do on one', async () => {
    const [r, here] = [room(), await user(at)]
    const [there, other] = [await user(at, here.user), await user(at)]
    const heard = async () => (await there.pub(there.own)).data
    const { epoch } = await rpc(here, 'follow', { room: r })
    assert.deepEqual(await heard(), { type: 'followed', room: r, epoch, offset: 0 })
    await here.subscribe(r)
    await here.publish(r, 'mine')
    const { offset, ...read } = await heard()
    assert.deepEqual([offset, read.type, read.room], [1, 'read', r])
    await say(at, r, 'theirs')
    await rpc(here, 'read', { room: r })
    assert.deepEqual(await heard(), { ...read, offset: 2 })
    await rpc(here, 'read', { room: r }) // nothing moves, so nothing is told
    await rpc(here, 'unfollow', { room: r })
    assert.deepEqual(await heard(), { type: 'unfollowed', room: r })
    await other.fence()
    assert.equal(other.lines?.length ?? 0, 0)
    for (const c of [here, there, other]) await c.leave()
  })

  it('need the right to be in the room, a stream, and a name', async () => {
    const [me, nobody] = [await user(at), await user(at, '')]
    await refused(me, 103, 'follow', { room: room('shut') })
    await refused(me, 103, 'follow', { room: 'own:#another' })
    await refused(me, 102, 'follow', { room: room('unknown') })
    await refused(me, 108, 'follow', { room: 'without-history' })
    await refused(me, 108, 'read', { room: room() }) // which it does not follow
    await refused(nobody, 103, 'follow', { room: room() })
    await refused(nobody, 103, 'list', {})
    for (const data of [undefined, {}, { room: '' }, { room: 7 }, { room: 'a\nb' }, []]) await refused(me, 107, 'follow', data)
    await rpc(me, 'unfollow', { room: room('unknown') })
    const r = room()
    await api().ok('ban', { user: me.user, channel: r })
    await refused(me, 103, 'follow', { room: r })
    await api().ok('unban', { user: me.user, channel: r })
    await rpc(me, 'follow', { room: r })
    await me.leave()
    await nobody.leave()
  })

  it('are what the server API makes them, too', async () => {
    const [r, me] = [room(), await user(at)]
    const { epoch } = await api().ok('follow', { user: me.user, channel: r })
    assert.deepEqual((await me.pub(me.own)).data, { type: 'followed', room: r, epoch, offset: 0 })
    for (const data of [1, 2, 3]) await say(at, r, data)
    assert.equal((await api().ok('mark_read', { user: me.user, channel: r, offset: 2 })).offset, 2)
    const { channels } = await api().ok('follows', { user: me.user })
    const line = { unread: 1, marker: { epoch: channels[0].top.epoch, offset: 2 }, top: { epoch: channels[0].top.epoch, offset: 3 } }
    assert.deepEqual(channels, [{ channel: r, ...line }])
    assert.deepEqual(await api().ok('followers', { channel: r }), { users: [{ user: me.user, ...line }] })
    assert.deepEqual(await api().ok('unfollow', { user: me.user, channel: r }), {})
    assert.deepEqual(await api().ok('followers', { channel: r }), { users: [] })
    await api().fails('mark_read', { user: me.user, channel: r }, 108)
    await api().fails('follow', { user: me.user, channel: 'without-history' }, 108)
    await api().fails('follow', { user: '', channel: r }, 107)
    await api().fails('follow', { user: me.user, channel: 'unknown:x' }, 102)
    await me.leave()
  })

  it('are listed a page at a time', async () => {
    const [me, wanted] = [await user(at), ['가', 'a', 'b', 'z'].map((letter) => `chat:${letter}${++nth}`)]
    for (const r of wanted) await rpc(me, 'follow', { room: r })
    const seen = []
    for (let page = { more: true }; page.more; ) {
      page = await rpc(me, 'list', { limit: 3, after: seen.at(-1) })
      seen.push(...page.rooms.map((line) => line.room))
    }
    assert.deepEqual(seen, wanted.sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b))))
    await me.leave()
  })
})

suite('followers, bounded', { ...jwt, args: [...jwt.args, '--limits-user-follows', '2', '--limits-room-followers', '2'] }, (at) => {
  it('per user and per room, and whoever leaves makes room', async () => {
    const [one, two, three] = [await user(at), await user(at), await user(at)]
    const [a, b, c] = [room(), room(), room()]
    for (const r of [a, b]) await rpc(one, 'follow', { room: r })
    await refused(one, 106, 'follow', { room: c })
    await rpc(one, 'follow', { room: a }) // as it does already
    await rpc(two, 'follow', { room: a })
    await refused(three, 106, 'follow', { room: a })
    await rpc(one, 'unfollow', { room: a })
    await rpc(three, 'follow', { room: a })
    for (const one_ of [one, two, three]) await one_.leave()
  })
})

it('followers and markers survive kill -9, and the official client asks for them', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'madang-followers-'))
  const start = () => startGateway(['--store', join(folder, 'madang.db'), ...jwt.args], { auth: 'jwt' })
  let at = { gateway: await start() }
  const [r, me] = [room(), await user(at)]
  await rpc(me, 'follow', { room: r })
  for (const data of [1, 2, 3]) await say(at, r, data)
  assert.equal((await rpc(me, 'read', { room: r, offset: 1 })).offset, 1)
  await at.gateway.kill()
  at = { gateway: await start() }
  const client = new Centrifuge(at.gateway.url, { websocket: WebSocket, token: token({ sub: me.user }) })
  client.connect()
  await client.ready(20_000)
  assert.deepEqual(lines((await client.rpc('rooms.list', {})).data), [[[r, 2, 1, 3]], {}])
  await client.rpc('rooms.read', { room: r })
  assert.deepEqual(lines((await client.rpc('rooms.list', {})).data), [[[r, 0, 3, 3]], {}])
  client.disconnect()
  await at.gateway.stop()
  rmSync(folder, { recursive: true })
})
