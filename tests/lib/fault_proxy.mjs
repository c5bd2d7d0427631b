// SPDX-License-Identifier: MIT
//
// A way to a Redis server on which everything can go wrong that goes wrong on networks: it stalls,
// delays, cuts, loses answers to what was executed, and stays half open. 'up' is towards the server,
// 'down' is towards the client.
//
// A connection is a 'subscriber' from its first SUBSCRIBE on, and 'commands' until then. Faults take
// the kind that they are for; without one they are for all.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, createServer } from 'node:net'

const subscribes = /\$(9|10)\r\n[PS]?SUBSCRIBE\r\n/i

class Lane {
  constructor(near, far) {
    this.near = near
    this.far = far
    this.kind = 'commands'
    this.deaf = false // half open: an end is not passed on
    this.late = { up: Promise.resolve(), down: Promise.resolve() } // of what is delayed, the last
  }

  from(direction) {
    return direction === 'up' ? this.near : this.far
  }

  to(direction) {
    return direction === 'up' ? this.far : this.near
  }

  cut() {
    this.near.resetAndDestroy()
    this.far.resetAndDestroy()
  }
}

export class FaultProxy {
  // target: { port } on 127.0.0.1, or { path } of a unix socket
  static async start(target) {
    const proxy = new FaultProxy(target)
    proxy.server.listen(0, '127.0.0.1')
    await once(proxy.server, 'listening')
    return proxy
  }

  constructor(target) {
    this.target = target
    this.lanes = new Set()
    this.attempts = 0
    this.refusing = false
    this.swallowing = false // new connections lead nowhere
    this.stalled = [] // { direction, kind }
    this.ms = { up: 0, down: 0 }
    this.losing = null // { kind, lost, cut }
    this.server = createServer({ allowHalfOpen: false }, (near) => this.#accept(near))
  }

  get port() {
    return this.server.address().port
  }

  get url() {
    return `redis://127.0.0.1:${this.port}`
  }

  count(kind) {
    return this.#some(kind).length
  }

  #some(kind) {
    return [...this.lanes].filter((lane) => !kind || lane.kind === kind)
  }

  #accept(near) {
    this.attempts++
    near.on('error', () => {}) // an end is seen by 'close'
    if (this.refusing) return near.resetAndDestroy()
    const far = connect({ host: '127.0.0.1', ...this.target })
    far.on('error', () => {})
    near.setNoDelay(true)
    far.setNoDelay(true)
    const lane = new Lane(near, far)
    this.lanes.add(lane)
    for (const direction of ['up', 'down']) {
      lane.from(direction).on('data', (bytes) => this.#carry(lane, direction, bytes))
      lane.from(direction).on('close', () => this.#closed(lane, direction))
    }
    if (this.swallowing) this.#freeze(lane)
    else this.#apply(lane)
  }

  #closed(lane, direction) {
    if (lane.deaf && direction === 'down') return
    this.lanes.delete(lane)
    lane.to(direction).destroy()
  }

  #apply(lane) {
    for (const { direction, kind } of this.stalled) if (!kind || lane.kind === kind) lane.from(direction).pause()
  }

  #freeze(lane) {
    lane.deaf = true
    lane.near.pause()
    lane.far.pause()
  }

  #carry(lane, direction, bytes) {
    if (direction === 'up' && lane.kind === 'commands' && subscribes.test(bytes.toString('latin1'))) {
      lane.kind = 'subscriber'
      this.#apply(lane)
    }
    if (direction === 'down' && this.#loses(lane)) return
    const ms = this.ms[direction]
    if (ms === 0 && lane.late[direction] === null) return this.#pass(lane, direction, bytes)
    // What is on its way goes first, whatever the delay is now.
    const due = new Promise((settle) => setTimeout(settle, ms))
    const turn = Promise.all([lane.late[direction], due]).then(() => this.#pass(lane, direction, bytes))
    lane.late[direction] = turn
    turn.then(() => lane.late[direction] === turn && (lane.late[direction] = null))
  }

  #pass(lane, direction, bytes) {
    const to = lane.to(direction)
    if (to.destroyed || to.write(bytes)) return
    lane.from(direction).pause()
    to.once('drain', () => {
      lane.from(direction).resume()
      this.#apply(lane)
      if (lane.deaf) this.#freeze(lane)
    })
  }

  #loses(lane) {
    const losing = this.losing
    if (!losing || (losing.kind && lane.kind !== losing.kind)) return false
    if (losing.cut) {
      this.losing = null
      lane.cut()
    }
    losing.settle()
    return true
  }

  // Nothing is read in this direction any more, on connections of now and later, until `flow`. Nothing
  // is lost: buffers fill up, first ours, then the sender's.
  stall(direction, kind) {
    this.stalled.push({ direction, kind })
    for (const lane of this.lanes) this.#apply(lane)
  }

  flow() {
    this.stalled = []
    for (const lane of this.lanes) {
      if (lane.deaf) continue
      lane.near.resume()
      lane.far.resume()
    }
  }

  // What comes from now on takes so much longer, in order.
  delay(direction, ms) {
    this.ms[direction] = ms
  }

  // Cuts what is connected now; a new connection works at once.
  cut(kind) {
    for (const lane of this.#some(kind)) lane.cut()
  }

  // The connections of now lead nowhere any more, and neither end learns it.
  halfOpen(kind) {
    for (const lane of this.#some(kind)) this.#freeze(lane)
  }

  // New connections are refused, or taken and lead nowhere, until `accept`.
  refuse() {
    this.refusing = true
  }

  swallow() {
    this.swallowing = true
  }

  accept() {
    this.refusing = this.swallowing = false
  }

  // Answers are lost, while what is asked is still executed, until `keepReplies`. Resolves with the
  // first that is lost.
  loseReplies(kind) {
    return new Promise((settle) => (this.losing = { kind, settle, cut: false }))
  }

  keepReplies() {
    this.losing = null
  }

  // The next answer is lost, and its connection is cut: the server has executed something, and nobody
  // knows. Resolves when it happened.
  dropAfterExecution(kind) {
    assert.equal(this.losing, null)
    return new Promise((settle) => (this.losing = { kind, settle, cut: true }))
  }

  async stop() {
    this.refusing = true
    this.cut()
    this.server.close()
    await once(this.server, 'close')
  }
}
