// SPDX-License-Identifier: MIT
// The end of a gateway, asked for or not, and what its clients see of it.
import assert from 'node:assert/strict'

import { Centrifuge } from 'centrifuge'
import WebSocket from 'ws'

import { Chatter } from '../lib/chatter.mjs'
import { request, startGateway } from '../lib/gateway.mjs'
import { freePort } from '../lib/ports.mjs'
import { it, returns } from '../lib/suite.mjs'
import { dial, handshakeText, readHead } from '../lib/wire.mjs'

const hubCounts = [1, 3]

for (const hubs of hubCounts) {
  it(`SIGTERM closes all sessions with 3001 and ends with exit code 0, ${hubs} hub(s)`, async () => {
    const gateway = await startGateway([], { hubs })
    const crowd = await Promise.all(Array.from({ length: 300 }, async (_, i) => {
      const c = await Chatter.open(gateway)
      if (i % 3) await c.ok({ connect: {} })
      if (i % 3 === 2) await c.subscribe('crowd', { join_leave: true })
      return c
    }))
    const stopped = gateway.stop()
    for (const c of crowd) await c.closed(3001, 'shutdown')
    await stopped
  })

  it(`SIGTERM in the middle of everything ends it well too, ${hubs} hub(s)`, async () => {
    const gateway = await startGateway([], { hubs })
    const crowd = await Promise.all(Array.from({ length: 60 }, () => Chatter.join(gateway)))
    for (const [i, c] of crowd.entries()) {
      c.command({ subscribe: { channel: `busy${i % 5}`, join_leave: true } }, ...Array.from({ length: 200 }, (_, n) => ({ publish: { channel: `busy${i % 5}`, data: 'x'.repeat(n) } })))
      if (i % 10 === 0) c.wire.pause()
      if (i % 10 === 1) c.cut()
    }
    await crowd[2].reply(3)
    const stopped = gateway.stop()
    for (const [i, c] of crowd.entries()) {
      if (i % 10 === 1) continue
      c.wire.resume()
      await c.closed(3001, 'shutdown')
    }
    await stopped
  })
}

it('while it waits to drain it is not ready but serves on', async () => {
  const gateway = await startGateway(['--drain-delay', '4s', '--shutdown-timeout', '8s'])
  const c = await Chatter.join(gateway)
  const stopped = gateway.stop()
  await gateway.said('stopping')
  let ready
  do ready = await request(gateway, '/readyz')
  while (ready.status === 200)
  assert.deepEqual([ready.status, JSON.parse(ready.body).status], [503, 'draining'])
  assert.equal((await request(gateway, '/healthz')).status, 200)
  await c.fence() // sessions live until the delay is over
  const late = await Chatter.join(gateway) // and so do new ones: a balancer may not have noticed
  await Promise.all([c, late].map((one) => one.closed(3001, 'shutdown')))
  await stopped
})

it('clients that do not answer the close frame are cut, within the time that is given', async () => {
  const gateway = await startGateway(['--shutdown-timeout', '2s'])
  const silent = await Promise.all(Array.from({ length: 20 }, () => Chatter.join(gateway)))
  for (const c of silent) c.wire.closing = true // as if ours had been sent
  const half = await dial(gateway)
  half.write(handshakeText(gateway).slice(0, 30))
  await gateway.stop()
  assert.match(gateway.log, /cutting the sessions that are left/)
  half.destroy()
  for (const c of silent) await c.done
})

it('a second SIGTERM cuts at once and is no failure', async () => {
  const gateway = await startGateway(['--shutdown-timeout', '60s'])
  const silent = await Promise.all(Array.from({ length: 20 }, () => Chatter.join(gateway)))
  for (const c of silent) c.wire.closing = true
  gateway.signal('SIGTERM')
  await gateway.said('stopping')
  await gateway.stop()
  assert.match(gateway.log, /a second time/)
  for (const c of silent) await c.done
})

// Some of what such a client was sent is in nobody's hands but the library's.
async function stuckReader(gateway) {
  const c = await Chatter.join(gateway)
  await c.subscribe('flood')
  c.wire.pause()
  const publisher = await Chatter.join(gateway)
  for (let i = 0; i < 100; i++) await publisher.publish('flood', 'x'.repeat(4000))
  assert.equal((await gateway.metrics()).madang_backlogged_sessions, 1)
  return c
}

it('a client that has stopped reading is cut like any other', async () => {
  const gateway = await startGateway(['--shutdown-timeout', '1s'])
  const c = await stuckReader(gateway)
  await gateway.stop()
  assert.match(gateway.log, /cutting the sessions that are left/)
  c.wire.socket.destroy()
})

it('a client that was closed for not reading does not keep its socket', async () => {
  const gateway = await startGateway(['--queue-time', '100ms'])
  const c = await stuckReader(gateway)
  while ((await gateway.metrics()).madang_backlogged_sessions) await new Promise((settle) => setTimeout(settle, 50))
  c.wire.socket.destroy()
  await gateway.stop()
})

it('a handshake that ends when its hub has nothing left to do is closed too', async () => {
  const gateway = await startGateway([], { hubs: 2 })
  const silent = await Chatter.join(gateway) // the first connection is the first hub's
  silent.wire.closing = true
  const late = await dial(gateway)
  const text = handshakeText(gateway)
  late.write(text.slice(0, -2))
  const stopped = gateway.stop()
  await gateway.said('stopping')
  await new Promise((settle) => setTimeout(settle, 300))
  late.write(text.slice(-2))
  assert.equal((await readHead(late)).status, 101)
  silent.cut()
  await stopped
})

it('SIGINT ends it as SIGTERM does', async () => {
  const gateway = await startGateway()
  const c = await Chatter.join(gateway)
  gateway.signal('SIGINT')
  await c.closed(3001, 'shutdown')
  assert.deepEqual(await gateway.ended, { code: 0, signal: null })
  gateway.assertQuiet()
})

// An official client, and promises of what happens to it.
function official(url) {
  const client = returns(new Centrifuge(url, { websocket: WebSocket, minReconnectDelay: 1, maxReconnectDelay: 50 }))
  const sub = client.newSubscription('home')
  const next = (emitter, event) => new Promise((settle) => emitter.once(event, settle))
  sub.subscribe()
  return { client, sub, next }
}

for (const [how, end] of [['killed', (gateway) => gateway.kill()], ['stopped', (gateway) => gateway.stop()]]) {
  it(`the official client comes back by itself when a gateway was ${how} and started again: a new epoch, told as not recovered`, async () => {
    const first = await startGateway([], { port: await freePort() })
    const { client, sub, next } = official(first.url)
    const subscribed = next(sub, 'subscribed')
    client.connect()
    const before = await subscribed
    assert.equal(before.recovered, false)
    for (let i = 0; i < 3; i++) await client.publish('home', i)
    const connecting = next(client, 'connecting')
    const again = next(sub, 'subscribed')
    await end(first)
    assert.equal((await connecting).code, how === 'stopped' ? 3001 : 1)
    const second = await startGateway([], { port: first.port })
    const after = await again
    assert.deepEqual([after.wasRecovering, after.recovered], [true, false])
    assert.notEqual(after.streamPosition.epoch, before.streamPosition.epoch)
    const heard = next(sub, 'publication')
    await client.publish('home', 'back')
    assert.deepEqual([(await heard).data, (await heard).offset], ['back', 1])
    client.disconnect()
    await second.stop()
  })
}
