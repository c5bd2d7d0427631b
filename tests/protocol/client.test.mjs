// SPDX-License-Identifier: MIT
// The official client, unchanged: everything that a chat page does with it.
import assert from 'node:assert/strict'

import { Centrifuge } from 'centrifuge'
import WebSocket from 'ws'

import { it, returns, suites } from '../lib/suite.mjs'

const config = ['--config', new URL('rooms.ini', import.meta.url).pathname]

const next = (emitter, event) => new Promise((settle) => emitter.once(event, settle))
const code = (expected) => (error) => {
  assert.equal(error.code, expected, error.message)
  return true
}

let nth = 0
const room = (namespace) => `${namespace ? `${namespace}:` : ''}room${++nth}`

suites('the official client', { auth: 'guest', args: config }, (at) => {
  function client(name, options = {}) {
    return returns(new Centrifuge(at.gateway.url, {
      websocket: WebSocket,
      minReconnectDelay: 1,
      maxReconnectDelay: 20,
      data: { guest: { key: name.padEnd(16, '.'), name } },
      ...options,
    }))
  }
  async function connected(name, options) {
    const one = client(name, options)
    const done = next(one, 'connected')
    one.connect()
    one.hello = await done
    return one
  }
  async function subscribed(one, channel, options) {
    const sub = one.newSubscription(channel, options)
    const done = next(sub, 'subscribed')
    sub.subscribe()
    sub.hello = await done
    return sub
  }

  it('connects, publishes, hears itself and others, and disconnects', async () => {
    const [ann, bob] = await Promise.all([connected('ann'), connected('bob')])
    assert.match(ann.hello.client, /^[-0-9a-f]{36}$/)
    const r = room()
    const [mine, his] = await Promise.all([subscribed(ann, r), subscribed(bob, r)])
    const heard = Promise.all([next(mine, 'publication'), next(his, 'publication')])
    assert.deepEqual(await mine.publish({ text: '안녕' }), {})
    for (const { data, offset, info, tags, channel } of await heard) {
      assert.deepEqual(data, { text: '안녕' })
      assert.deepEqual([offset, channel, info.client], [1, r, ann.hello.client])
      assert.deepEqual(info.connInfo, { name: 'ann' })
      assert.ok(Math.abs(Number(tags.t) - Date.now()) < 3_600_000)
    }
    const gone = next(ann, 'disconnected')
    ann.disconnect()
    assert.equal((await gone).code, 0)
  })

  it('asks for history, presence and statistics, of rooms it is in and of others', async () => {
    const ann = await connected('ann')
    const r = room()
    for (let i = 1; i <= 5; i++) await ann.publish(r, i)
    const sub = await subscribed(ann, r)
    assert.deepEqual((await sub.history({ limit: 2 })).publications.map(({ data }) => data), [1, 2])
    const { publications, epoch, offset } = await ann.history(r, { limit: 2, reverse: true })
    assert.deepEqual(publications.map(({ data }) => data), [5, 4])
    assert.deepEqual({ epoch, offset }, sub.hello.streamPosition)
    const back = await sub.history({ limit: 10, reverse: true, since: { offset: 4, epoch } })
    assert.deepEqual(back.publications.map(({ data }) => data), [3, 2, 1])
    await assert.rejects(sub.history({ limit: 1, since: { offset: 1, epoch: 'other' } }), code(112))
    assert.deepEqual(Object.keys((await sub.presence()).clients), [ann.hello.client])
    assert.deepEqual(await ann.presenceStats(r), { numClients: 1, numUsers: 1 })
    await assert.rejects(ann.history('bare:x'), code(108))
    await assert.rejects(ann.presence('nowhere:x'), code(102))
    await assert.rejects(ann.publish('closed:x', 1), code(103))
  })

  it('hears who comes and goes, itself first', async () => {
    const [ann, bob] = await Promise.all([connected('ann'), connected('bob')])
    const r = room()
    const sub = ann.newSubscription(r, { joinLeave: true })
    const own = next(sub, 'join')
    sub.subscribe()
    assert.equal((await own).info.client, ann.hello.client)
    const joined = next(sub, 'join')
    const his = await subscribed(bob, r)
    assert.deepEqual((await joined).info.connInfo, { name: 'bob' })
    const left = next(sub, 'leave')
    his.unsubscribe()
    assert.equal((await left).info.client, bob.hello.client)
  })

  it('calls rpc methods, and sees others type', async () => {
    const [ann, bob] = await Promise.all([connected('ann'), connected('bob')])
    const r = room()
    await subscribed(ann, r)
    const his = await subscribed(bob, r)
    const heard = next(his, 'publication')
    await ann.rpc('rooms.typing', { room: r })
    const { data, info, offset, tags } = await heard
    assert.deepEqual([data, info.connInfo, offset, tags.typing], [{ type: 'typing' }, { name: 'ann' }, undefined, '1'])
    await assert.rejects(ann.rpc('no.such', {}), code(108))
  })

  it('is told why a subscription was refused, once, and can try others', async () => {
    const ann = await connected('ann')
    for (const [channel, expected] of [['closed:x', 103], ['nowhere:x', 102], ['$private', 103], ['x'.repeat(256), 107]]) {
      const sub = ann.newSubscription(channel)
      const refused = next(sub, 'unsubscribed')
      sub.subscribe()
      assert.equal((await refused).code, expected)
    }
    await subscribed(ann, room())
  })

  it('may send without a reply only to be disconnected for good', async () => {
    const ann = await connected('ann')
    const over = next(ann, 'disconnected')
    ann.send({ any: 'thing' }).catch(() => {})
    assert.deepEqual(await over, { code: 3508, reason: 'not available' })
  })

  it('is disconnected for good when it sends a token that cannot be checked', async () => {
    const one = client('ann', { token: 'eyJhbGciOiJIUzI1NiJ9.e30.x' })
    const over = next(one, 'disconnected')
    one.connect()
    assert.equal((await over).code, 101)
  })

  it('recovers what was published while its connection was cut, ten times over, exactly once and in order', async () => {
    const sockets = []
    class Cuttable extends WebSocket {
      constructor(...args) {
        super(...args)
        sockets.push(this)
      }
    }
    const ann = await connected('ann', { websocket: Cuttable })
    const bob = await connected('bob')
    const r = room()
    const sub = await subscribed(ann, r)
    const offsets = []
    sub.on('publication', ({ offset, data }) => {
      assert.equal(data, offset)
      offsets.push(offset)
    })
    for (let round = 0; round < 10; round++) {
      const again = next(sub, 'subscribed')
      for (let i = 1; i <= 10; i++) {
        if (i === 5) sockets.at(-1).terminate()
        await bob.publish(r, round * 10 + i)
      }
      const { wasRecovering, recovered } = await again
      assert.deepEqual([wasRecovering, recovered], [true, true])
    }
    const last = new Promise((settle) => sub.on('publication', ({ offset }) => offset === 101 && settle()))
    await bob.publish(r, 101)
    await last
    assert.deepEqual(offsets, Array.from({ length: 101 }, (_, i) => i + 1))
  })

  it('is told that it was not recovered when the stream is too short, and goes on from there', async () => {
    const ann = await connected('ann')
    const bob = await connected('bob')
    const r = room('small')
    const sub = await subscribed(ann, r)
    ann.disconnect()
    for (let i = 1; i <= 5; i++) await bob.publish(r, i)
    const again = next(sub, 'subscribed')
    ann.connect()
    const { wasRecovering, recovered, streamPosition } = await again
    assert.deepEqual([wasRecovering, recovered, streamPosition.offset], [true, false, 5])
    const heard = next(sub, 'publication')
    await bob.publish(r, 6)
    assert.equal((await heard).offset, 6)
  })

  it('bursts of subscribing and unsubscribing end in what was asked last', async () => {
    const ann = await connected('ann')
    const r = room()
    const sub = ann.newSubscription(r)
    for (let i = 0; i < 30; i++) {
      sub.subscribe()
      sub.unsubscribe()
    }
    sub.subscribe()
    await sub.ready()
    assert.equal((await ann.presenceStats(r)).numClients, 1)
    sub.unsubscribe()
    assert.equal((await ann.presenceStats(r)).numClients, 0)
  })

  it('128 subscriptions with long tokens travel with connect in one frame', async () => {
    const one = client('ann')
    const subs = Array.from({ length: 128 }, () => one.newSubscription(room(), { token: 'x'.repeat(700) }))
    const all = Promise.all(subs.map((sub) => next(sub, 'subscribed')))
    for (const sub of subs) sub.subscribe()
    one.connect()
    await all
  })
})
