// SPDX-License-Identifier: MIT
//
// Well-behaved people, in a process of their own: pairs that talk at a steady, modest rate. Told to, they
// measure how long a publication takes from one to the other, and how much of that the gateway has worked.

import { performance } from 'node:perf_hooks'

import { CLOSE, TEXT, Wire } from '../lib/wire.mjs'
import { Times, threadsOf } from './times.mjs'

const PACE_MS = 2 // between two publications of all of them together
const PATIENCE_MS = 20_000 // for what was published to arrive

const { target, connects, gateway } = JSON.parse(process.argv[2])
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
    if (data.to === members.indexOf(this)) window?.arrived(data)
  }

  async leave() {
    this.leaving = true
    await this.wire.leave()
  }
}

// A gateway that is at work on something else keeps people waiting; so do other programs, which take the
// processor from it and from us. Only the first is its own doing: what the busiest of its threads has run
// between a publication and its arrival. When that was we learn late, where we have to wait for the processor.
// But what we read in one turn of our loop had not come in the turn before, when we asked for what had come;
// so all that the gateway had run when we looked yet a turn earlier, it ran before it sent this on. Its first
// thread only accepts connections: no publication passes it.
class Work {
  constructor() {
    this.threads = threadsOf(gateway).filter((thread) => thread !== gateway).map((thread) => new Times(gateway, thread))
    this.begun = new Map()
    this.looks = [this.now(), this.now(), this.now()] // the last three turns, this one included
  }

  now() {
    return this.threads.map((thread) => thread.read().ran)
  }

  // To be called whenever something happens.
  look() {
    if (this.hasLooked) return
    this.hasLooked = true
    setImmediate(() => (this.hasLooked = false))
    this.looks = [...this.looks.slice(1), this.now()]
  }

  begins(id) {
    this.begun.set(id, this.now())
  }

  done(id) {
    const from = this.begun.get(id)
    this.begun.delete(id)
    return Math.max(0, ...this.looks[0].map((ran, i) => ran - from[i]))
  }

  close() {
    for (const times of this.threads) times.close()
  }
}

class Window {
  constructor() {
    this.sent = 0
    this.latencies = []
    this.works = []
    this.work = new Work()
  }

  arrived({ at, id }) {
    this.latencies.push(performance.now() - at)
    this.work.look()
    this.works.push(this.work.done(id))
    if (this.latencies.length === this.sent) this.all?.()
  }

  // Partners sit side by side; they take turns.
  publish() {
    const from = (this.sent * 2 + (Math.floor((this.sent * 2) / members.length) & 1)) % members.length
    const id = this.sent++
    this.work.look()
    this.work.begins(id)
    members[from].command({ publish: { channel: members[from].room, data: { to: from ^ 1, at: performance.now(), id } } })
  }

  async everything() {
    if (this.latencies.length === this.sent) return
    const late = setTimeout(() => (fail(`${this.sent - this.latencies.length} publications did not arrive`), this.all()), PATIENCE_MS)
    await new Promise((settle) => (this.all = settle))
    clearTimeout(late)
  }
}

function quantile(list, q) {
  const sorted = [...list].sort((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))]
}

// Of what is published from now on for so long: the p99 of what it took, and of the gateway's work, ms.
async function measure(ms) {
  window = new Window()
  const beat = setInterval(() => window.publish(), PACE_MS)
  await new Promise((settle) => setTimeout(settle, ms))
  clearInterval(beat)
  await window.everything()
  window.work.close()
  return { wait: quantile(window.latencies, 0.99), work: quantile(window.works, 0.99) }
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
