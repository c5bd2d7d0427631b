// SPDX-License-Identifier: MIT
// Who is in a room: asked for, announced, and gone at once.
import assert from 'node:assert/strict'

import { Chatter } from '../lib/chatter.mjs'
import { it, suite, suites } from '../lib/suite.mjs'

const config = ['--config', new URL('rooms.ini', import.meta.url).pathname]

let nth = 0
const room = (namespace) => `${namespace ? `${namespace}:` : ''}room${++nth}`

suites('presence', { auth: 'guest', args: config }, (at) => {
  const guest = (name) => Chatter.join(at.gateway, { data: { guest: { key: name.padEnd(16, '.'), name } } })
  const id = (c) => c.connected.client

  it('an empty room has nobody, and says so with every member there', async () => {
    const c = await guest('ann')
    const r = room()
    assert.equal(await c.text({ presence: { channel: r } }), '{"id":2,"presence":{"presence":{}}}')
    assert.equal(await c.text({ presence_stats: { channel: r } }), '{"id":3,"presence_stats":{"num_clients":0,"num_users":0}}')
    await c.leave()
  })

  it('members are listed by connection, counted by connection and by user', async () => {
    const r = room()
    const [ann, again, bob] = await Promise.all([guest('ann'), guest('ann'), guest('bob')])
    for (const c of [ann, again, bob]) await c.subscribe(r)
    const { presence } = await bob.ok({ presence: { channel: r } })
    assert.deepEqual(Object.keys(presence).sort(), [ann, again, bob].map(id).sort())
    for (const [client, info] of Object.entries(presence)) {
      assert.deepEqual(Object.keys(info), ['user', 'client', 'conn_info'])
      assert.equal(info.client, client)
    }
    assert.equal(presence[id(ann)].user, presence[id(again)].user)
    assert.notEqual(presence[id(ann)].user, presence[id(bob)].user)
    assert.deepEqual(presence[id(bob)].conn_info, { name: 'bob' })
    assert.deepEqual(await bob.ok({ presence_stats: { channel: r } }), { num_clients: 3, num_users: 2 })
    await again.ok({ unsubscribe: { channel: r } })
    assert.deepEqual(await bob.ok({ presence_stats: { channel: r } }), { num_clients: 2, num_users: 2 })
    await ann.ok({ unsubscribe: { channel: r } })
    assert.deepEqual(await bob.ok({ presence_stats: { channel: r } }), { num_clients: 1, num_users: 1 })
    await Promise.all([ann.leave(), again.leave(), bob.leave()])
  })

  it('who subscribes and asks in one frame finds itself there, and not once it has left', async () => {
    for (let i = 0; i < 10; i++) {
      const ann = await guest('ann')
      const channel = room()
      const methods = ['subscribe', 'presence', 'presence_stats', 'unsubscribe', 'presence', 'presence_stats']
      const ids = ann.command(...methods.map((method) => ({ [method]: { channel } })))
      const replies = []
      for (const nth of ids) replies.push((await ann.reply(nth)).value)
      assert.deepEqual(Object.keys(replies[1].presence.presence), [id(ann)])
      assert.deepEqual(replies[2].presence_stats, { num_clients: 1, num_users: 1 })
      assert.deepEqual(replies[4].presence, { presence: {} })
      assert.deepEqual(replies[5].presence_stats, { num_clients: 0, num_users: 0 })
      await ann.leave()
    }
  })

  it('errors: unknown namespace 102, names that will not do 107, rooms that keep no presence 108', async () => {
    const c = await guest('ann')
    for (const command of ['presence', 'presence_stats']) {
      await c.fails({ [command]: { channel: 'nowhere:x' } }, 102)
      await c.fails({ [command]: { channel: 'x'.repeat(256) } }, 107)
      await c.fails({ [command]: { channel: 'none:x' } }, 108)
    }
    await c.leave()
  })

  it('who asked for it hears of everybody who comes and goes, byte for byte, itself first', async () => {
    const r = room()
    const [ann, bob] = await Promise.all([guest('ann'), guest('bob')])
    const sub = ann.command({ subscribe: { channel: r, join_leave: true } })
    assert.equal((await ann.line(() => true)).value.id, sub, 'the reply comes before the own join')
    const own = (await ann.push('join', r)).text
    assert.match(own, new RegExp(`^\\{"push":\\{"channel":"${r}","join":\\{"info":\\{"user":"g_\\w+","client":"${id(ann)}","conn_info":\\{"name":"ann"\\}\\}\\}\\}\\}$`))
    await bob.subscribe(r, { join_leave: true })
    const joined = (await ann.push('join', r)).text
    assert.equal((await bob.push('join', r)).text, joined)
    await bob.ok({ unsubscribe: { channel: r } })
    assert.equal((await ann.push('leave', r)).text, joined.replace('"join"', '"leave"'))
    await bob.fence()
    assert.deepEqual(bob.rest(), [])
    await Promise.all([ann.leave(), bob.leave()])
  })

  it('who did not ask hears nothing of it, and publications all the same', async () => {
    const r = room()
    const [ann, bob] = await Promise.all([guest('ann'), guest('bob')])
    await ann.subscribe(r)
    await bob.subscribe(r, { join_leave: true })
    await bob.ok({ unsubscribe: { channel: r } })
    await bob.publish(r, 'fence')
    assert.equal((await ann.pub(r)).data, 'fence')
    assert.deepEqual(ann.rest(), [])
    await Promise.all([ann.leave(), bob.leave()])
  })

  it('a room may announce to everybody, asked or not', async () => {
    const r = room('announced')
    const ann = await guest('ann')
    await ann.subscribe(r)
    assert.equal((await ann.push('join', r)).value.push.join.info.client, id(ann))
    await ann.leave()
  })

  it('a join comes before its leave, even if both are asked for in one frame', async () => {
    const r = room()
    const [ann, bob] = await Promise.all([guest('ann'), guest('bob')])
    await ann.subscribe(r, { join_leave: true })
    await ann.push('join', r)
    const rounds = Array.from({ length: 20 }, () => [{ subscribe: { channel: r } }, { unsubscribe: { channel: r } }])
    bob.command(...rounds.flat())
    for (let i = 0; i < 20; i++) {
      for (const type of ['join', 'leave']) {
        const { value } = await ann.line(({ value }) => value.push, 'a push')
        assert.deepEqual(Object.keys(value.push), ['channel', type])
      }
    }
    await Promise.all([ann.leave(), bob.leave()])
  })

  const endings = {
    'leaves properly': (c) => c.leave(),
    'is cut off': (c) => c.cut(),
    'closes its socket without a word': (c) => c.wire.socket.end(),
    'is closed for a bad request': (c) => c.send('oops'),
    'sends its last commands and goes': (c) => {
      c.send('{"id":5,"presence":{"channel":"x"}}')
      c.cut()
    },
  }
  for (const [what, end] of Object.entries(endings)) {
    it(`a member that ${what} is gone at once`, async () => {
      const r = room()
      const [ann, bob] = await Promise.all([guest('ann'), guest('bob')])
      await ann.subscribe(r, { join_leave: true })
      await bob.subscribe(r)
      await end(bob)
      assert.equal((await ann.push('leave', r)).value.push.leave.info.client, id(bob))
      assert.deepEqual(await ann.ok({ presence_stats: { channel: r } }), { num_clients: 1, num_users: 1 })
      assert.deepEqual(Object.keys((await ann.ok({ presence: { channel: r } })).presence), [id(ann)])
      await ann.leave()
    })
  }

  it('a member that is cut off while its subscribe is under way does not stay', async () => {
    const r = room()
    const ann = await guest('ann')
    await ann.subscribe(r, { join_leave: true })
    await ann.push('join', r)
    for (let i = 0; i < 10; i++) {
      const bob = await guest('bob')
      bob.send(`{"id":2,"subscribe":{"channel":"${r}"}}`)
      bob.cut()
    }
    // Whoever still came in has left when as many have left as have joined; a last one tells.
    const last = await guest('last')
    await last.subscribe(r)
    await last.leave()
    const inside = new Set()
    let over = false
    while (!over || inside.size) {
      const { value } = await ann.line(({ value }) => value.push, 'a push')
      const { join, leave } = value.push
      if (join) inside.add(join.info.client)
      if (leave) assert.ok(inside.delete(leave.info.client), 'a leave without a join')
      over ||= leave?.info.client === id(last)
    }
    assert.deepEqual(await ann.ok({ presence_stats: { channel: r } }), { num_clients: 1, num_users: 1 })
    await ann.leave()
  })
})

suite('presence bounded by bytes', { args: ['--presence-bytes', '1KiB'] }, (at, join) => {
  it('106 for a room with more members than a reply may hold; the statistics still work', async () => {
    const r = room()
    const crowd = await Promise.all(Array.from({ length: 30 }, () => join()))
    for (const c of crowd) await c.subscribe(r)
    await crowd[0].fails({ presence: { channel: r } }, 106)
    assert.deepEqual(await crowd[0].ok({ presence_stats: { channel: r } }), { num_clients: 30, num_users: 1 })
    await Promise.all(crowd.map((c) => c.leave()))
  })
})
