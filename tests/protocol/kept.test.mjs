// SPDX-License-Identifier: MIT
// Rooms in a file: what a gateway that ends, asked for or not, leaves to the next one.
import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after } from 'node:test'

import { Centrifuge } from 'centrifuge'
import WebSocket from 'ws'

import { Chatter } from '../lib/chatter.mjs'
import { request, startGateway } from '../lib/gateway.mjs'
import { freePort } from '../lib/ports.mjs'
import { it, returns } from '../lib/suite.mjs'

const torture = process.env.MADANG_TORTURE === '1'
const folder = mkdtempSync(join(tmpdir(), 'madang-kept-'))
after(() => rmSync(folder, { recursive: true }))

let files = 0
const newStore = () => join(folder, `${++files}.db`)
const start = (store, options = {}, args = []) => startGateway(['--store', store, ...args], options)
const history = (c, channel, limit = -1) => c.ok({ history: { channel, limit } })

for (const hubs of [1, 3]) {
  it(`a restart keeps epoch, offsets and history, ${hubs} hub(s)`, async () => {
    const store = newStore()
    let gateway = await start(store, { hubs })
    let c = await Chatter.join(gateway)
    await c.subscribe('r')
    for (let i = 1; i <= 20; i++) await c.ok({ publish: { channel: 'r', data: { i, cid: `k${i}` } } })
    const before = await history(c, 'r')
    assert.equal(before.offset, 20)
    await gateway.stop()
    gateway = await start(store, { hubs })
    c = await Chatter.join(gateway)
    assert.deepEqual(await history(c, 'r'), before)
    await c.ok({ publish: { channel: 'r', data: { i: 7, cid: 'k7' } } }) // a retry: it is there already
    await c.ok({ publish: { channel: 'r', data: { i: 21, cid: 'k21' } } })
    const later = await history(c, 'r')
    assert.deepEqual([later.epoch, later.offset], [before.epoch, 21])
    assert.equal(later.publications.at(-1).data.i, 21)
    await gateway.stop()
  })
}

it('another gateway cannot have the same file, and says so', async () => {
  const store = newStore()
  const gateway = await start(store)
  await assert.rejects(start(store), /is in use by another process; each gateway needs a store of its own/)
  await gateway.stop()
})

it('a file that is damaged or foreign is refused and left alone', async () => {
  const foreign = newStore()
  writeFileSync(foreign, 'this is the diary of somebody\n'.repeat(300))
  const damaged = newStore()
  const gateway = await start(damaged)
  await gateway.stop()
  const bytes = readFileSync(damaged)
  bytes.fill(0x5a, 100, 3000)
  writeFileSync(damaged, bytes)
  for (const [store, words] of [[foreign, /is no store of madang/], [damaged, /is damaged and is left alone/], ['/nowhere/madang.db', /check that its directory exists/]]) {
    const before = store.startsWith('/nowhere') ? null : readFileSync(store)
    await assert.rejects(start(store), words)
    if (before) assert.deepEqual(readFileSync(store), before)
    assert.ok(!existsSync(`${store}-wal`), 'nothing is left beside it')
  }
  await assert.rejects(start(folder), /is no file; name one/)
})

it('a page that is damaged while nobody looks is told of when it is read', async () => {
  const page = 4096
  const store = newStore()
  let gateway = await start(store)
  let c = await Chatter.join(gateway)
  const publish = { publish: { channel: 'the room', data: 1 } }
  await c.ok(publish)
  await gateway.stop()
  const bytes = readFileSync(store)
  const at = bytes.lastIndexOf('the room')
  bytes.fill(0xff, at - (at % page), at - (at % page) + page)
  writeFileSync(store, bytes)
  gateway = await start(store)
  gateway.expect(/malformed|is damaged/)
  c = await Chatter.join(gateway)
  await c.fails(publish, 100)
  await gateway.said(/is damaged: what was read there is not what was written; stop the gateway and ask `madang check/)
  assert.deepEqual(JSON.parse((await request(gateway, '/readyz')).body).degraded, ['store damaged'])
  assert.equal((await gateway.metrics()).madang_store_damaged, 1)
  await gateway.stop()
})

it('only its owner may read the file', async () => {
  const store = newStore()
  const gateway = await start(store)
  assert.equal(statSync(store).mode & 0o077, 0)
  assert.equal((await request(gateway, '/readyz')).status, 200)
  const metrics = await gateway.metrics()
  assert.equal(metrics.madang_store_broken, 0)
  await gateway.stop()
})

// Publishes as fast as answers come, several at a time, each message until it is acknowledged; after a cut
// the same message is sent again, under the same key.
class Writer {
  constructor(name) {
    this.name = name
    this.acknowledged = []
    this.next = 1
  }

  async write(gateway) {
    let c
    try {
      c = await Chatter.join(gateway)
      for (;;) {
        await c.ok({ publish: { channel: 'r', data: { n: this.next, cid: `${this.name}${this.next}` } } })
        this.acknowledged.push(`${this.name}${this.next++}`)
      }
    } catch (error) {
      if (gateway.child.exitCode === null && gateway.child.signalCode === null && !gateway.dying) throw error
    }
    c?.cut()
  }
}

it('kill -9 under load loses nothing that was acknowledged, and the official client goes on each time', async () => {
  const rounds = torture ? 200 : 10
  const store = newStore()
  const limits = ['--rooms-history-size', '1000000', '--rooms-history-bytes', '64MiB', '--history-limit', '10000']
  const port = await freePort()
  let gateway = await start(store, { port }, limits)
  const heard = new Map() // offset to key
  const client = returns(new Centrifuge(`ws://127.0.0.1:${port}/connection/websocket`, { websocket: WebSocket, minReconnectDelay: 20, maxReconnectDelay: 200 }))
  const room = client.newSubscription('r', { recoverable: true, positioned: true, minResubscribeDelay: 20, maxResubscribeDelay: 200 })
  const epochs = new Set()
  let recoveries = 0
  room.on('publication', ({ offset, data }) => {
    assert.ok(!heard.has(offset), `offset ${offset} was used twice`)
    assert.equal(offset, heard.size + 1, 'a gap')
    heard.set(offset, data.cid)
  })
  room.on('subscribed', ({ wasRecovering, recovered, streamPosition }) => {
    epochs.add(streamPosition.epoch)
    if (wasRecovering) assert.ok(recovered, 'it could not recover')
    recoveries += wasRecovering
  })
  room.subscribe()
  client.connect()
  await client.ready()
  await room.ready()
  const writers = ['a', 'b', 'c', 'd'].map((name) => new Writer(name))
  for (let round = 0; round < rounds; round++) {
    const target = heard.size + 20 + Math.floor(Math.random() * 200)
    const writing = writers.map((writer) => writer.write(gateway))
    while (heard.size < target) await new Promise((settle) => room.once('publication', settle))
    gateway.dying = true
    const back = new Promise((settle) => room.once('subscribed', settle))
    await gateway.kill()
    await Promise.all(writing)
    gateway = await start(store, { port }, limits)
    await back
    for (const key of writers.flatMap((writer) => writer.acknowledged.slice(-50))) assert.ok([...heard.values()].includes(key), `${key} was acknowledged and is lost`)
  }
  assert.equal(recoveries, rounds)
  assert.equal(epochs.size, 1)
  const keys = [...heard.values()]
  assert.equal(new Set(keys).size, keys.length, 'a retry was published again')
  const known = new Set(keys)
  for (const writer of writers) assert.deepEqual(writer.acknowledged.filter((key) => !known.has(key)), [])
  client.disconnect()
  await gateway.stop()
})
