// SPDX-License-Identifier: MIT
//
// Gateways are restarted one after the other while official clients chat through a front that
// knows nothing of sessions: each of them gets every publication once, in one order.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import { describe } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'

import { Centrifuge } from 'centrifuge'
import WebSocket from 'ws'

import { Cluster } from '../lib/cluster.mjs'
import { Redis } from '../lib/redis.mjs'
import { it, returns } from '../lib/suite.mjs'

const long = process.env.MADANG_TORTURE === '1'
const ROOMS = ['one', 'two', 'three', 'four']
const PER_ROOM = long ? 12 : 3
const ROUNDS = long ? 4 : 1
const ARGS = ['--rooms-history-size', '20000', '--rooms-history-bytes', '16777216']

// What a load balancer does: each connection goes to the next gateway that takes it.
class Front {
  static async start(cluster) {
    const front = new Front(cluster)
    front.server.listen(0, '127.0.0.1')
    await once(front.server, 'listening')
    return front
  }

  constructor(cluster) {
    this.cluster = cluster
    this.turn = 0
    this.sockets = new Set()
    this.server = createServer((near) => this.#pass(near, cluster.gateways.length))
  }

  get url() {
    return `ws://127.0.0.1:${this.server.address().port}/connection/websocket`
  }

  #pass(near, tries) {
    const { gateways } = this.cluster
    const far = connect({ host: '127.0.0.1', port: gateways[this.turn++ % gateways.length].port })
    this.sockets.add(near)
    near.on('close', () => (this.sockets.delete(near), far.destroy()))
    far.once('connect', () => {
      near.on('error', () => far.destroy())
      far.on('close', () => near.destroy())
      near.pipe(far).pipe(near)
    })
    far.on('error', () => {
      near.removeAllListeners('close')
      if (far.connecting || tries <= 1) near.destroy()
      else this.#pass(near, tries - 1)
    })
  }

  async stop() {
    for (const socket of this.sockets) socket.destroy()
    this.server.close()
    await once(this.server, 'close')
  }
}

// An official client in one room, which keeps what it is shown and publishes until it is stopped.
class Person {
  constructor(url, room, name) {
    this.room = room
    this.name = name
    this.seen = []
    this.sent = 0
    this.wrong = []
    this.client = returns(new Centrifuge(url, { websocket: WebSocket, minReconnectDelay: 10, maxReconnectDelay: 200, timeout: 3000 }))
    this.subscription = this.client.newSubscription(room, { recoverable: true, positioned: true })
    this.subscription.on('subscribed', ({ wasRecovering, recovered }) => {
      if (wasRecovering && !recovered) this.wrong.push('not recovered')
    })
    this.subscription.on('unsubscribed', ({ code }) => this.stopped || this.wrong.push(`unsubscribed ${code}`))
    this.subscription.on('publication', ({ offset, data }) => this.seen.push(`${offset} ${data.cid}`))
  }

  async join() {
    const subscribed = once(this.subscription, 'subscribed')
    this.subscription.subscribe()
    this.client.connect()
    await subscribed
  }

  run() {
    this.running = (async () => {
      while (!this.stopped) {
        // The same key until it is taken.
        await this.subscription.publish({ cid: `${this.name}-${this.sent}` }).then(() => this.sent++, () => pause(20))
        await pause(5)
      }
    })()
  }
}

describe('a rolling restart', () => {
  it('costs the clients nothing', async () => {
    const cluster = await Cluster.start(await Redis.start(), { args: ARGS })
    const front = await Front.start(cluster)
    const people = ROOMS.flatMap((room) => Array.from({ length: PER_ROOM }, (_, i) => new Person(front.url, room, `${room}${i}`)))
    try {
      await Promise.all(people.map((one) => one.join()))
      for (const one of people) one.run()
      const moved = async () => {
        const goals = people.map((one) => one.sent + 10)
        while (people.some((one, i) => one.sent < goals[i])) await pause(20)
      }
      for (let i = 0; i < 3 * ROUNDS; i++) {
        await moved()
        await cluster.gateways[i % 3].stop()
        await moved()
        await cluster.again(i % 3)
        await cluster.well()
      }
      await moved()
      for (const one of people) one.stopped = true
      await Promise.all(people.map((one) => one.running))
      for (const room of ROOMS) {
        const { offset, pubs } = await cluster.stream(room)
        const all = [...pubs].map(([at, { cid }]) => `${at} ${cid}`)
        const here = people.filter((one) => one.room === room)
        assert.equal(pubs.size, offset)
        assert.equal(offset, here.reduce((sum, one) => sum + one.sent, 0))
        for (const one of here) {
          while (one.seen.length < all.length && one.wrong.length === 0) await pause(20)
          assert.deepEqual(one.wrong, [])
          assert.deepEqual(one.seen, all)
        }
      }
    } finally {
      for (const one of people) one.stopped = true
      for (const one of people) one.client.disconnect()
      await front.stop()
      await cluster.stop()
    }
  })
})
