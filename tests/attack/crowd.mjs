// SPDX-License-Identifier: MIT
//
// Well-behaved people, in a process of their own: pairs that talk at a steady, modest rate. Told to, they
// measure how long a publication takes from one to the other.

import { performance } from 'node:perf_hooks'

import { CLOSE, TEXT, Wire } from '../lib/wire.mjs'

const PACE_MS = 2 // between two publications of all of them together
const PATIENCE_MS = 20_000 // for what was published to arrive

const { target, connects } = JSON.parse(process.argv[2])
const members = []
let window = null // the measurement under way
let fault = null

const fail = (why) => (fault ??= why)

class Member {
  static async join(room, connect) {
    const member = new Member(await Wire.open(target))
    member.command({ connect })
    if (room) member.command({ subscribe: { channel: room } })
    await member.settled(room ? 2 : 1)
    member.room = room
    return member
  }

  constructor(wire) {
    this.wire = wire
    this.id = 0
    this.replies = 0
    this.leaving = false
    this.done = this.#read()
  }

  command(command) {
    this.wire.send(JSON.stringify({ id: ++this.id, ...command }))
  }

  // As many commands have been answered.
  async settled(count) {
    while (this.replies < count && !fault) await new Promise((settle) => (this.wake = settle))
    if (fault) throw new Error(fault)
  }

  async #read() {
    for (let got; (got = await this.wire.next()); ) {
      if (got.opcode === TEXT) for (const line of got.text.split('\n')) this.#line(line)
      if (got.opcode === CLOSE) this.#closed()
    }
    if (!this.leaving) fail('one of the crowd lost its connection')
    this.wake?.()
  }

  #closed() {
    if (!this.leaving) fail(`one of the crowd was closed with ${this.wire.close.code} ${this.wire.close.reason}`)
    this.wire.answerClose()
  }

  #line(text) {
    if (text === '{}') return void this.wire.send('{}')
    const { error, push } = JSON.parse(text)
    if (error) fail(`one of the crowd was told ${text}`)
    if (!push) this.replies++
    else if (push.pub) this.#publication(push.pub)
    this.wake?.()
  }

  // Offsets go up one by one, also over what nobody measures.
  #publication({ offset, data }) {
    if (this.offset !== undefined && offset !== this.offset + 1) fail(`a gap in ${this.room}: ${offset} after ${this.offset}`)
    this.offset = offset
    if (data.to === members.indexOf(this)) window?.arrived(performance.now() - data.at)
  }

  async leave() {
    this.leaving = true
    await this.wire.leave()
  }
}

class Window {
  constructor() {
    this.sent = 0
    this.latencies = []
  }

  arrived(latency) {
    this.latencies.push(latency)
    if (this.latencies.length === this.sent) this.all?.()
  }

  // Partners sit side by side; they take turns.
  publish() {
    const from = (this.sent * 2 + (Math.floor((this.sent * 2) / members.length) & 1)) % members.length
    this.sent++
    members[from].command({ publish: { channel: members[from].room, data: { to: from ^ 1, at: performance.now() } } })
  }

  async everything() {
    if (this.latencies.length === this.sent) return
    const late = setTimeout(() => (fail(`${this.sent - this.latencies.length} publications did not arrive`), this.all()), PATIENCE_MS)
    await new Promise((settle) => (this.all = settle))
    clearTimeout(late)
  }
}

const quantile = (sorted, q) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))]

// { count, p50, p99 } in milliseconds, of what is published from now on for so long.
async function measure(ms) {
  window = new Window()
  const beat = setInterval(() => window.publish(), PACE_MS)
  await new Promise((settle) => setTimeout(settle, ms))
  clearInterval(beat)
  await window.everything()
  const sorted = window.latencies.sort((a, b) => a - b)
  return { count: sorted.length, p50: quantile(sorted, 0.5), p99: quantile(sorted, 0.99) }
}

// Somebody comes in, says hello and goes.
async function visit() {
  const guest = await Member.join(null, connects[0])
  await guest.leave()
  return {}
}

async function leave() {
  await Promise.all(members.map((member) => member.leave()))
  process.disconnect()
  return null
}

const orders = { measure, visit, leave }

process.on('message', async ({ order, with: argument }) => {
  try {
    const found = await orders[order](argument)
    if (found) process.send(fault ? { fault } : found)
  } catch (error) {
    process.send({ fault: fault ?? error.stack })
  }
})

for (const [i, connect] of connects.entries()) members.push(await Member.join(`crowd-${i >> 1}`, connect))
process.send(fault ? { fault } : {})
