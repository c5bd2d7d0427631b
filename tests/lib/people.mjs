// SPDX-License-Identifier: MIT
//
// Official clients that chat in rooms of a cluster, come back by themselves whatever happens to their
// connections, and must each have seen all of their room once, in its order.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { setTimeout as pause } from 'node:timers/promises'

import { Centrifuge } from 'centrifuge'
import WebSocket from 'ws'

import { returns } from './suite.mjs'

// One of them in one room, which keeps what it is shown and publishes until it is stopped.
class Person {
  constructor({ url, room, websocket = WebSocket }, name) {
    this.room = room
    this.name = name
    this.seen = []
    this.sent = 0
    this.arrivals = 0 // connects that worked
    this.wrong = []
    this.client = returns(new Centrifuge(url, { websocket, minReconnectDelay: 10, maxReconnectDelay: 200, timeout: 3000 }))
    this.client.on('connected', () => this.arrivals++)
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

export class People {
  // `places`: for each of them { url, room, websocket: how to connect, if not plainly }.
  static async join(places) {
    const people = new People()
    people.all = places.map((place, i) => new Person(place, `${place.room}${i}`))
    await Promise.all(people.all.map((one) => one.join()))
    return people
  }

  run() {
    for (const one of this.all) one.run()
  }

  // Each has been answered so many times more.
  async moved(n = 10) {
    const goals = this.all.map((one) => one.sent + n)
    while (this.all.some((one, i) => one.sent < goals[i])) await pause(20)
  }

  async stop() {
    for (const one of this.all) one.stopped = true
    await Promise.all(this.all.map((one) => one.running))
  }

  // Each room holds what was sent there, once, and each of them has seen it so.
  async compare(cluster) {
    for (const room of new Set(this.all.map((one) => one.room))) {
      const { offset, pubs } = await cluster.stream(room)
      const all = [...pubs].map(([at, { cid }]) => `${at} ${cid}`)
      const here = this.all.filter((one) => one.room === room)
      assert.equal(pubs.size, offset)
      assert.equal(offset, here.reduce((sum, one) => sum + one.sent, 0))
      for (const one of here) {
        while (one.seen.length < all.length && one.wrong.length === 0) await pause(20)
        assert.deepEqual(one.wrong, [], one.name)
        assert.deepEqual(one.seen, all, one.name)
      }
    }
  }

  leave() {
    for (const one of this.all) {
      one.stopped = true
      one.client.disconnect()
    }
  }
}
