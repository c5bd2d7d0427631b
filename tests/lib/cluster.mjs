// SPDX-License-Identifier: MIT
//
// Several gateways over one Redis, listeners that write down all that they are told, publishers that do
// not give up, and the comparison of what everybody saw.

import assert from 'node:assert/strict'
import { setTimeout as pause } from 'node:timers/promises'

import { Chatter } from './chatter.mjs'
import { request, startGateway } from './gateway.mjs'
import { KEY } from './api.mjs'
import { freePort } from './ports.mjs'

const PAUSE = 50 // ms before something that failed for now is tried again

export class Cluster {
  // `redis`: the server that all use, by its url or another way to it, or several (servers.mjs); `args`:
  // further options of each gateway; `begin`: what starts one at a port, as startGateway does.
  static async start(redis, { gateways = 3, args = [], hubs = 1, auth, url = redis.url, begin = startGateway } = {}) {
    const where = redis.options ?? ['--redis-url', url]
    const cluster = new Cluster(redis, ['--backplane', 'redis', ...where, '--api-key', KEY, ...args], { hubs, auth }, begin)
    cluster.gateways = await Promise.all(Array.from({ length: gateways }, async () => cluster.#begin(await freePort())))
    await cluster.well()
    return cluster
  }

  constructor(redis, args, how, begin) {
    this.redis = redis
    this.args = args
    this.how = how // for `begin`
    this.begin = begin
    this.gateways = []
    this.listeners = []
    this.publishers = []
  }

  async #begin(port) {
    const gateway = await this.begin(this.args, { ...this.how, port })
    gateway.expect(/ warn /)
    return gateway
  }

  // Starts a gateway that has ended again, at the same address.
  async again(i) {
    this.gateways[i] = await this.#begin(this.gateways[i].port)
  }

  async readiness() {
    return Promise.all(this.gateways.map(async (gateway) => JSON.parse((await request(gateway, '/readyz')).body)))
  }

  // All gateways say that nothing they need is away.
  async well() {
    while ((await this.readiness()).some(({ degraded }) => degraded.length)) await pause(PAUSE)
  }

  // All gateways say that something is.
  async degraded() {
    while ((await this.readiness()).some(({ degraded }) => !degraded.length)) await pause(PAUSE)
  }

  // What they need goes away for every one of them while `what` happens or after; they may be well again
  // by now.
  async outage(what) {
    const counts = () => Promise.all(this.gateways.map(async (one) => (await one.metrics()).madang_backplane_outages_total))
    const before = await counts()
    await what()
    while ((await counts()).some((n, i) => n <= before[i])) await pause(PAUSE)
  }

  // One listener on each gateway.
  async listen(room) {
    const added = await Promise.all(this.gateways.map((gateway) => Listener.join(gateway, room)))
    this.listeners.push(...added)
    return added
  }

  async publisher(gateway, room) {
    const publisher = await Publisher.join(gateway, room)
    this.publishers.push(publisher)
    return publisher
  }

  // Sums of a metric over all gateways.
  async metric(name) {
    const all = await Promise.all(this.gateways.map((gateway) => gateway.metrics()))
    return all.reduce((sum, metrics) => sum + metrics[name], 0)
  }

  // What is in a room's stream: { epoch, offset, pubs: Map of offset to data }.
  async stream(room) {
    const [epoch, offset] = await this.redis.say('HMGET', `madang:room:${room}`, 'e', 's')
    const entries = await this.redis.say('XRANGE', `madang:stream:${room}`, '-', '+')
    const pubs = new Map(entries.map(([id, fields]) => [parseInt(id, 10), JSON.parse(fields[1]).data]))
    return { epoch, offset: Number(offset ?? 0), pubs }
  }

  // Every listener has come to the end of its room's stream, and all have seen the same.
  async compare(room) {
    const { epoch, offset, pubs } = await this.stream(room)
    const here = this.listeners.filter((one) => one.room === room)
    for (const one of here) await one.until(epoch, offset)
    const all = new Map() // what was seen at a position, by anybody
    for (const one of here) {
      assert.deepEqual(one.wrong, [], `${room}: ${one.story()}`)
      for (const [position, text] of one.seen) {
        assert.equal(text, all.get(position) ?? text, `${room} at ${position}`)
        all.set(position, text)
      }
    }
    for (const [at, data] of pubs) {
      const seen = all.get(`${epoch}/${at}`)
      if (seen !== undefined) assert.equal(seen, JSON.stringify(data), `${room} at ${at}`)
    }
    return { epoch, offset, listeners: here }
  }

  async stop() {
    for (const publisher of this.publishers) publisher.stop()
    for (const one of [...this.listeners, ...this.publishers]) one.leave()
    await Promise.all(this.gateways.map((gateway) => gateway.stop()))
    await this.redis.stop()
  }
}

// Repeats a command while the answer is a temporary error.
async function insist(chatter, command, stopped = () => false) {
  for (;;) {
    const { value } = await chatter.reply(chatter.command(command))
    if (!value.error) return value
    assert.ok(value.error.temporary, JSON.stringify(value))
    if (stopped()) return null
    await pause(PAUSE)
  }
}

// A subscriber who comes back when he is told that something was lost, and asks for what he missed.
export class Listener {
  static async join(gateway, room) {
    const listener = new Listener(gateway, room)
    listener.chatter = await Chatter.join(gateway)
    await listener.#subscribe()
    listener.over = listener.#listen().catch((error) => {
      if (!listener.left) listener.wrong.push(error.message)
    })
    return listener
  }

  constructor(gateway, room) {
    this.gateway = gateway
    this.room = room
    this.seen = new Map() // "epoch/offset" to data as text
    this.order = [] // of what was seen, and "told" where something is said to be missing
    this.told = 0 // times something could not be recovered
    this.stops = 0 // times it was taken out of the room
    this.wrong = []
    this.waiting = []
  }

  async #subscribe() {
    const before = this.epoch && { recover: true, epoch: this.epoch, offset: this.offset }
    const { subscribe } = await insist(this.chatter, { subscribe: { channel: this.room, ...before } }, () => this.left)
    if (before && !subscribe.recovered) {
      this.told++
      this.order.push('told')
    }
    if (!before || !subscribe.recovered) {
      this.epoch = subscribe.epoch
      this.offset = subscribe.offset ?? 0
    }
    for (const pub of subscribe.publications ?? []) this.#take(pub)
    this.#news()
  }

  #take({ offset, data }) {
    const position = `${this.epoch}/${offset}`
    if (offset !== this.offset + 1) this.wrong.push(`${offset} after ${this.offset}`)
    if (this.seen.has(position)) this.wrong.push(`${position} twice`)
    this.seen.set(position, JSON.stringify(data))
    this.order.push(position)
    this.offset = offset
  }

  async #listen() {
    for (;;) {
      const { value } = await this.chatter.line(({ value }) => value.push?.channel === this.room, 'a push')
      const { pub, unsubscribe } = value.push
      if (pub) this.#take(pub)
      if (unsubscribe) {
        assert.equal(unsubscribe.code, 2500)
        this.stops++
        await this.#subscribe()
      }
      this.#news()
    }
  }

  #news() {
    for (const settle of this.waiting.splice(0)) settle()
  }

  // Resolves when it is at this position.
  async until(epoch, offset) {
    while (this.epoch !== epoch || this.offset < offset) {
      assert.deepEqual(this.wrong, [])
      await new Promise((settle) => this.waiting.push(settle))
    }
  }

  story() {
    return this.order.slice(-20).join(' ')
  }

  leave() {
    this.left = true
    this.chatter.cut()
  }
}

// Publishes numbered messages; one that fails for now is sent again with its key until it is taken.
export class Publisher {
  static async join(gateway, room) {
    const publisher = new Publisher(room)
    publisher.chatter = await Chatter.join(gateway)
    return publisher
  }

  static made = 0

  constructor(room) {
    this.room = room
    this.name = `p${Publisher.made++}`
    this.sent = 0 // taken by the gateway
    this.failures = 0
  }

  async publish() {
    const data = { from: this.name, n: this.sent, cid: `${this.name}-${this.sent}` }
    for (;;) {
      const { value } = await this.chatter.reply(this.chatter.command({ publish: { channel: this.room, data } }))
      if (!value.error) break
      assert.ok(value.error.temporary, JSON.stringify(value))
      if (this.stopped) return
      this.failures++
      await pause(PAUSE)
    }
    this.sent++
  }

  async publishMany(n) {
    for (let i = 0; i < n; i++) await this.publish()
  }

  // Until stop(), with pauses of some ms.
  run(ms = 2) {
    this.running = (async () => {
      while (!this.stopped) {
        await this.publish()
        await pause(ms)
      }
    })()
    this.running.catch(() => {}) // whoever waits for it is told
  }

  async stop() {
    this.stopped = true
    await this.running
  }

  leave() {
    this.chatter.cut()
  }
}

// What a publisher sent stands in what a listener saw, each once and in its order.
export function assertAll(publisher, listener) {
  const mine = [...listener.seen.values()].map((text) => JSON.parse(text)).filter(({ from }) => from === publisher.name)
  assert.deepEqual(
    mine.map(({ n }) => n),
    Array.from({ length: publisher.sent }, (_, n) => n),
    `${publisher.name} in ${listener.room}`,
  )
}
