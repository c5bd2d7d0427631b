// SPDX-License-Identifier: MIT
// Publications as what changed since the one before. The official client decodes; bare sessions count.
import assert from 'node:assert/strict'

import { Centrifuge } from 'centrifuge'
import WebSocket from 'ws'

import { it, suites } from '../lib/suite.mjs'

const config = ['--config', new URL('rooms.ini', import.meta.url).pathname]
const next = (emitter, event) => new Promise((settle) => emitter.once(event, settle))

let nth = 0
const room = (namespace) => `${namespace}:room${++nth}`

// A state of a board: large, and little of it changes. Korean, so that changes meet long characters.
const board = (n) => ({ n, title: '마당에서 이야기하기', cells: Array.from({ length: 60 }, (_, i) => (i === n % 60 ? `말${n}` : `빈칸 ${i}`)) })

suites('deltas', { args: config }, (at, join) => {
  const clients = []
  async function taker(channel, options = {}) {
    const client = new Centrifuge(at.gateway.url, { websocket: WebSocket, minReconnectDelay: 1, maxReconnectDelay: 20 })
    clients.push(client)
    const sub = client.newSubscription(channel, { delta: 'fossil', ...options })
    sub.got = []
    sub.on('publication', ({ data }) => sub.got.push(data))
    const done = next(sub, 'subscribed')
    sub.subscribe()
    client.connect()
    await done
    return { client, sub }
  }
  const leave = () => clients.splice(0).forEach((client) => client.disconnect())
  async function until(sub, count) {
    while (sub.got.length < count) await next(sub, 'publication')
  }

  // Publishes one after the other, so that each travels alone, and gives the objects that came.
  async function publish(from, to, channel, values) {
    const pubs = []
    for (const data of values) {
      await from.ok({ publish: { channel, data } })
      pubs.push(await to.pub(channel))
    }
    return pubs
  }

  it('the official client sees every publication as it was, and so does who takes none', async () => {
    const r = room('changes')
    const [{ sub }, plain, author] = await Promise.all([taker(r), join(), join()])
    await plain.subscribe(r)
    const values = Array.from({ length: 30 }, (_, n) => board(n))
    const whole = await publish(author, plain, r, values)
    await until(sub, values.length)
    assert.deepEqual(sub.got, values)
    assert.deepEqual(whole.map(({ data }) => data), values)
    assert.ok(whole.every((pub) => pub.delta === undefined))
    leave()
    await Promise.all([plain.leave(), author.leave()])
  })

  it('the first publication is whole, each one after it a small change', async () => {
    const r = room('changes')
    const c = await join()
    const { delta } = await c.ok({ subscribe: { channel: r, delta: 'fossil' } })
    assert.equal(delta, true)
    const values = Array.from({ length: 10 }, (_, n) => board(n))
    const pubs = await publish(c, c, r, values)
    assert.deepEqual(pubs.map((pub) => Boolean(pub.delta)), [false, ...Array(9).fill(true)])
    assert.equal(pubs[0].data, JSON.stringify(values[0]))
    for (const { data } of pubs.slice(1)) assert.ok(data.length < 150, data)
    await c.leave()
  })

  it('a newcomer begins with a whole one while others get changes', async () => {
    const r = room('changes')
    const [old, late] = await Promise.all([join(), join()])
    await old.ok({ subscribe: { channel: r, delta: 'fossil' } })
    await publish(old, old, r, [board(1), board(2)])
    await late.ok({ subscribe: { channel: r, delta: 'fossil' } })
    const [third] = await publish(old, old, r, [board(3)])
    assert.equal(third.delta, true)
    assert.equal((await late.pub(r)).data, JSON.stringify(board(3)))
    const [fourth] = await publish(old, old, r, [board(4)])
    assert.deepEqual(await late.pub(r), fourth)
    await Promise.all([old.leave(), late.leave()])
  })

  it('pushes of one frame build on each other', async () => {
    const r = room('changes')
    const [{ sub }, author] = await Promise.all([taker(r), join()])
    const values = Array.from({ length: 50 }, (_, n) => board(n))
    const ids = author.command(...values.map((data) => ({ publish: { channel: r, data } })))
    await author.reply(ids.at(-1))
    await until(sub, values.length)
    assert.deepEqual(sub.got, values)
    leave()
    await author.leave()
  })

  it('what was missed comes whole, and changes go on from there', async () => {
    const r = room('changes')
    const [{ client, sub }, author] = await Promise.all([taker(r), join()])
    const say = (n) => author.ok({ publish: { channel: r, data: board(n) } })
    await say(0)
    await until(sub, 1)
    client.disconnect()
    for (let n = 1; n <= 5; n++) await say(n)
    const back = next(sub, 'subscribed')
    client.connect()
    const { recovered } = await back
    assert.equal(recovered, true)
    for (let n = 6; n <= 9; n++) await say(n)
    await until(sub, 10)
    assert.deepEqual(sub.got, Array.from({ length: 10 }, (_, n) => board(n)))
    leave()
    await author.leave()
  })

  it('joins and leaves come between, for those who asked', async () => {
    const r = room('changes')
    const [c, guest] = await Promise.all([join(), join()])
    await c.ok({ subscribe: { channel: r, delta: 'fossil', join_leave: true } })
    await publish(c, c, r, [board(1)])
    await guest.subscribe(r)
    const [pub] = await publish(c, c, r, [board(2)])
    assert.equal(pub.delta, true)
    const { info } = (await c.line(({ value }) => value.push?.join?.info.client === guest.connected.client, 'the join')).value.push.join
    assert.equal(info.client, guest.connected.client)
    await Promise.all([c.leave(), guest.leave()])
  })

  it('data that is shorter than what changed comes whole', async () => {
    const r = room('changes')
    const c = await join()
    await c.ok({ subscribe: { channel: r, delta: 'fossil' } })
    const pubs = await publish(c, c, r, [board(1), 'short', 7])
    assert.deepEqual(pubs.map((pub) => [pub.data.slice(0, 7), pub.delta]).slice(1), [['"short"', undefined], ['7', undefined]])
    await c.leave()
  })

  it('where publishers did not allow it all are whole; where rooms do not, the request is passed over', async () => {
    const c = await join()
    const takers = room('takers')
    assert.equal((await c.ok({ subscribe: { channel: takers, delta: 'fossil' } })).delta, true)
    const pubs = await publish(c, c, takers, [board(1), board(2)])
    assert.deepEqual(pubs.map(({ data, delta }) => [data, delta]), [1, 2].map((n) => [JSON.stringify(board(n)), undefined]))
    const plain = `room${++nth}`
    assert.equal((await c.ok({ subscribe: { channel: plain, delta: 'fossil' } })).delta, undefined)
    assert.deepEqual((await publish(c, c, plain, [board(1)]))[0].data, board(1))
    await c.leave()
  })
})
