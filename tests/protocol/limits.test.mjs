// SPDX-License-Identifier: MIT
// What a client can make grow has a bound, and reaching it hurts nobody for long.
import assert from 'node:assert/strict'

import { Chatter } from '../lib/chatter.mjs'
import { request } from '../lib/gateway.mjs'
import { it, suite, suites } from '../lib/suite.mjs'
import { dial, handshakeText, readHead } from '../lib/wire.mjs'

const closed = (socket) => new Promise((settle) => socket.resume().once('close', settle))

suite('max_connections', { args: ['--max-connections', '5'] }, (at, join) => {
  it('who comes when all places are taken waits until one is free', async () => {
    const five = await Promise.all(Array.from({ length: 5 }, () => join()))
    const socket = await dial(at.gateway)
    socket.write(handshakeText(at.gateway))
    let answered = false
    const head = readHead(socket).then((answer) => {
      answered = true
      return answer
    })
    await at.gateway.said('accepting is paused')
    for (const c of five) await c.fence()
    assert.equal(answered, false)
    await five[0].leave()
    assert.equal((await head).status, 101)
    socket.destroy()
    await Promise.all(five.slice(1).map((c) => c.leave()))
  })
})

suites('handshakes', { args: ['--handshakes', '12'] }, (at, join) => {
  it('unfinished ones beyond the limit displace the oldest; nobody else notices, and newcomers get in at once', async () => {
    const c = await join()
    const idle = []
    for (let i = 0; i < 60; i++) {
      idle.push(await dial(at.gateway))
      idle[i].gone = closed(idle[i])
    }
    await Promise.all(idle.slice(0, 30).map((socket) => socket.gone))
    const late = await join()
    await Promise.all([c.fence(), late.fence()])
    const metrics = await at.gateway.metrics()
    assert.ok(metrics.madang_handshakes_pending <= 12 + 1) // and the one that asks
    assert.ok(metrics.madang_handshakes_cut_total >= 48)
    for (const socket of idle) socket.destroy()
    await Promise.all([c.leave(), late.leave()])
  })
})

suites('silence', { args: ['--max-connections', '20', '--stale-close-delay', '60s'] }, (at, join) => {
  it('who never says connect makes room when there are max_connections', async () => {
    const talking = await Promise.all(Array.from({ length: 5 }, () => join()))
    const silent = await Promise.all(Array.from({ length: 15 }, (_, i) => (i % 2 ? Chatter.open(at.gateway) : dial(at.gateway))))
    const late = await join() // far from the 60 s
    await Promise.all([late, ...talking].map((c) => c.fence()))
    for (const who of silent) (who.cut ?? who.destroy).call(who)
    await Promise.all([late, ...talking].map((c) => c.leave()))
  })
})

suites('file descriptors', { descriptors: 90 }, (at, join) => {
  it('when they run out, newcomers are refused at once, nobody inside suffers, and all is well afterwards', async () => {
    const inside = await Promise.all(Array.from({ length: 5 }, () => join()))
    const crowd = await Promise.all(Array.from({ length: 150 }, () => dial(at.gateway)))
    const refusals = crowd.map(closed)
    await Promise.any(refusals)
    await at.gateway.said('no file descriptors are left')
    for (const c of inside) await c.publish('fds', 'still here')
    for (const socket of crowd) socket.destroy()
    await Promise.all(refusals)
    let late
    while (!late) late = await join().catch(() => null)
    await late.fence()
    assert.equal((await request(at.gateway, '/readyz')).status, 200)
    const metrics = await at.gateway.metrics()
    assert.ok(metrics.madang_connections_refused_total > 0)
    assert.ok(metrics.madang_accept_pauses_total < 1000, 'the listener must not spin')
    await Promise.all([...inside, late].map((c) => c.leave()))
  })
})

suite('rooms', { args: ['--max-rooms', '10'] }, (at, join) => {
  it('the room longest idle is forgotten first: a new epoch, told as not recovered', async () => {
    const c = await join()
    await c.publish('room0', 1)
    const { epoch } = await c.ok({ history: { channel: 'room0' } })
    for (let i = 1; i < 20; i++) await c.publish(`room${i}`, 1)
    const { recovered, offset, epoch: other } = await c.subscribe('room0', { recover: true, offset: 1, epoch })
    assert.deepEqual([recovered, offset], [undefined, undefined])
    assert.notEqual(other, epoch)
    assert.ok((await at.gateway.metrics()).madang_rooms <= 10)
    await c.leave()
  })

  it('rooms that somebody is in are kept, and 106 says that there is no place for more', async () => {
    const c = await join()
    for (let i = 0; i < 10; i++) await c.subscribe(`kept${i}`)
    await c.fails({ subscribe: { channel: 'more' } }, 106)
    await c.fails({ publish: { channel: 'more', data: 1 } }, 106)
    await c.fails({ history: { channel: 'more' } }, 106)
    await c.publish('kept0', 1)
    assert.equal((await c.pub('kept0')).offset, 1)
    await c.ok({ unsubscribe: { channel: 'kept9' } })
    await c.subscribe('more')
    await c.leave()
  })
})

suite('stream bytes', { args: ['--max-stream-bytes', '1MiB', '--rooms-history-bytes', '1MiB'] }, (at, join) => {
  it('over the bound the streams longest silent are emptied; epoch and offset stay, and no loss looks recovered', async () => {
    const c = await join()
    const data = 'x'.repeat(30_000)
    for (let room = 0; room < 5; room++) for (let i = 0; i < 20; i++) await c.publish(`stream${room}`, data)
    const metrics = await at.gateway.metrics()
    assert.ok(metrics.madang_stream_bytes <= 1024 * 1024)
    const first = await c.ok({ history: { channel: 'stream0', limit: -1 } })
    assert.deepEqual([first.offset, first.publications], [20, []])
    const { recovered, offset } = await c.subscribe('stream0', { recover: true, offset: 10, epoch: first.epoch })
    assert.deepEqual([recovered, offset], [undefined, 20])
    const last = await c.ok({ history: { channel: 'stream4', limit: -1 } })
    assert.ok(last.publications.length > 0)
    await c.leave()
  })
})

const shared = ['--queue-bytes', '512KiB', '--hub-queue-bytes', '600KiB', '--queue-time', '10m', '--ping-interval', '10m', '--pong-timeout', '9m']

suite('queues of a hub', { args: shared }, (at, join) => {
  it('over the bound of all together the largest is closed first, with 3008', async () => {
    const publisher = await join()
    const slow = await Promise.all(Array.from({ length: 4 }, () => join()))
    for (const [i, c] of slow.entries()) {
      await c.subscribe(`own${i}`)
      c.wire.pause()
    }
    const data = 'x'.repeat(10_000)
    const closes = async () => Number(/closes_total\{code="3008"[^}]*\} (\d+)/.exec((await request(at.gateway, '/metrics')).body)[1])
    // The first gets twice as much as the others.
    while ((await closes()) === 0) {
      for (const i of [0, 0, 1, 2, 3]) await publisher.publish(`own${i}`, data)
    }
    assert.ok((await at.gateway.metrics()).madang_queued_bytes <= 600 * 1024)
    for (const c of slow) c.wire.resume()
    await slow[0].closed(3008, 'slow')
    await publisher.publish('own1', 'fence')
    while ((await slow[1].pub('own1')).data !== 'fence');
    await Promise.all([...slow.slice(1), publisher].map((c) => c.leave()))
  })
})

suite('rooms of a session', { args: ['--channel-limit', '3'] }, (at, join) => {
  it('106 beyond the limit that is set, and a place that was left can be taken again', async () => {
    const c = await join()
    for (const channel of ['a', 'b', 'c']) await c.subscribe(channel)
    await c.fails({ subscribe: { channel: 'd' } }, 106)
    await c.ok({ unsubscribe: { channel: 'b' } })
    await c.subscribe('d')
    await c.leave()
  })
})

suite('names and commands', { args: ['--channel-max-length', '20', '--command-size', '1KiB', '--frame-size', '4KiB'] }, (at) => {
  it('limits that are set are those that hold', async () => {
    const c = await Chatter.join(at.gateway)
    await c.subscribe('x'.repeat(20))
    await c.fails({ subscribe: { channel: 'x'.repeat(21) } }, 107)
    c.command({ publish: { channel: 'x', data: 'x'.repeat(1024) } })
    await c.closed(1009)
    const other = await Chatter.join(at.gateway)
    other.command(...Array.from({ length: 100 }, () => ({ publish: { channel: 'x', data: 'x'.repeat(50) } })))
    await other.closed(1009)
  })
})
