// SPDX-License-Identifier: MIT
//
// Gateways are restarted one after the other while official clients chat through a front that
// knows nothing of sessions: each of them gets every publication once, in one order.

import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import { describe } from 'node:test'

import { Cluster } from '../lib/cluster.mjs'
import { People } from '../lib/people.mjs'
import { Redis } from '../lib/redis.mjs'
import { it } from '../lib/suite.mjs'

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

describe('a rolling restart', () => {
  it('costs the clients nothing', async () => {
    const cluster = await Cluster.start(await Redis.start(), { args: ARGS })
    const front = await Front.start(cluster)
    let people
    try {
      people = await People.join(ROOMS.flatMap((room) => Array.from({ length: PER_ROOM }, () => ({ url: front.url, room }))))
      people.run()
      for (let i = 0; i < 3 * ROUNDS; i++) {
        await people.moved()
        await cluster.gateways[i % 3].stop()
        await people.moved()
        await cluster.again(i % 3)
        await cluster.well()
      }
      await people.moved()
      await people.stop()
      await people.compare(cluster)
    } finally {
      people?.leave()
      await front.stop()
      await cluster.stop()
    }
  })
})
