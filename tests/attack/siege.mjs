// SPDX-License-Identifier: MIT
//
// A gateway under attack, and a crowd of well-behaved people on it. Quiet and attacked windows take turns,
// so that what else the machine does meets both; of each kind the median p99 of its windows counts. While it
// is attacked, others wait at most twice as long as in quiet (times below a floor count as that much: less
// is what two cores for everybody do to a process now and then). The same is asked of the gateway's own work:
// what it has run between a publication and its arrival (see crowd.mjs). Where other programs take the processor
// from it, only that counts: what others wait is not its doing. Afterwards descriptors and memory come back.
// With sanitizers, which keep memory and take time, only the answers and the descriptors count.

import assert from 'node:assert/strict'
import { fork } from 'node:child_process'
import { appendFileSync, readFileSync, readdirSync } from 'node:fs'
import { setPriority } from 'node:os'
import { describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'

import { startGateway } from '../lib/gateway.mjs'
import { Times, threadsOf } from './times.mjs'

export const torture = process.env.MADANG_TORTURE === '1'

const WINDOW_MS = torture ? 1000 : 250
const ROUNDS = torture ? 9 : 3
const MOST_ROUNDS = torture ? 15 : 9
const RATIO = 2
const PRIORITY = -10 // of the gateway and the crowd, where that is allowed
const FLOORS_MS = { wait: 2, work: 5 } // the kernel counts work by ticks of up to 4 ms
// Of the time that the gateway wanted while it was attacked, what it may go without for the times to mean something.
const STARVED = 0.1
const MEMBERS = 40
// What the allocator and the library may keep for the next time, more or less of it by chance.
const SLACK_BYTES = 8 * 1048576
const PATIENCE_MS = 30_000
const AT_ONCE = 3

const here = (file) => fileURLToPath(new URL(file, import.meta.url))
const sleep = (ms) => new Promise((settle) => setTimeout(settle, ms))
const median = (list) => [...list].sort((a, b) => a - b)[list.length >> 1]

// A child that is given orders and answers them one after the other. Its first word is that it is ready.
class Squad {
  constructor(file, argument) {
    const child = fork(here(file), [JSON.stringify(argument)])
    this.child = child
    this.words = []
    this.ended = new Promise((settle) => child.on('exit', settle))
    child.on('message', (word) => this.#heard(word))
    this.ended.then((code) => this.#heard({ fault: `it ended with ${code}` }))
  }

  #heard(word) {
    this.words.push(word)
    this.wake?.()
  }

  order(order, argument) {
    this.child.send({ order, with: argument })
  }

  async word() {
    while (!this.words.length) await new Promise((settle) => (this.wake = settle))
    const word = this.words.shift()
    if (word.fault) throw new Error(word.fault)
    return word
  }

  ask(order, argument) {
    this.order(order, argument)
    return this.word()
  }

  async leave() {
    if (this.child.connected) this.order('leave')
    await this.ended
  }
}

function spent(pid) {
  const kib = Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))[1])
  return { memory: kib * 1024, descriptors: readdirSync(`/proc/${pid}/fd`).length }
}

// Before what else the machine does: each thread by itself. Who may not, measures more noise.
function prefer(pid) {
  try {
    for (const thread of threadsOf(pid)) setPriority(thread, PRIORITY)
  } catch (error) {
    if (!/EACCES|EPERM/.test(error.info?.code ?? error.code)) throw error
  }
}

// Of all threads of a process together.
function share(pid) {
  const sum = { ran: 0, waited: 0 }
  for (const thread of threadsOf(pid)) {
    const times = new Times(pid, thread)
    const { ran, waited } = times.read()
    times.close()
    sum.ran += ran
    sum.waited += waited
  }
  return sum
}

// Only one siege at a time measures; others begin and end meanwhile, or wait for their answers.
let turn = Promise.resolve()
function alone(work) {
  const mine = turn.then(work)
  turn = mine.catch(() => {}) // whoever asked for it hears of it
  return mine
}

class Siege {
  constructor(gateway, crowd, attackers) {
    Object.assign(this, { gateway, crowd, attackers })
    this.quiet = []
    this.attacked = []
    this.answers = {}
    this.share = { ran: 0, waited: 0 } // of the gateway while it was attacked
    this.sanitized = /lib[at]san/.test(readFileSync(`/proc/${gateway.child.pid}/maps`, 'utf8'))
  }

  async round(options) {
    const word = await alone(async () => {
      await this.windows(options)
      return options.outlasts && this.attackers.word()
    })
    const { answers } = word || (await this.attackers.word())
    for (const [answer, count] of Object.entries(answers)) this.answers[answer] = (this.answers[answer] ?? 0) + count
  }

  // A quiet one, and one while it is attacked.
  async windows({ visit }) {
    this.quiet.push(await this.crowd.ask('measure', WINDOW_MS))
    this.attackers.order('begin')
    await this.attackers.word() // it stands
    const before = share(this.gateway.child.pid)
    this.attacked.push(await this.crowd.ask('measure', WINDOW_MS))
    const after = share(this.gateway.child.pid)
    this.share.ran += after.ran - before.ran
    this.share.waited += after.waited - before.waited
    if (visit) await this.crowd.ask('visit')
    this.peak = Math.max(this.peak ?? 0, spent(this.gateway.child.pid).memory)
    this.attackers.order('cease')
  }

  // Medians of the windows: [quiet, attacked].
  medians(what) {
    return [this.quiet, this.attacked].map((list) => median(list.map((one) => one[what])))
  }

  ratio(what) {
    const [quiet, attacked] = this.medians(what).map((time) => Math.max(time, FLOORS_MS[what]))
    return attacked / quiet
  }

  // The machine has other things to do: what the gateway could not do in time says nothing about it.
  get starved() {
    return this.share.waited / (this.share.ran + this.share.waited)
  }

  // Rounds until the answer is clear; none is left out of it.
  async rounds(options) {
    const { rounds = ROUNDS } = options
    for (let n = 0; n < rounds; n++) await this.round(options)
    while (this.unfair.length && this.quiet.length < MOST_ROUNDS) await this.round(options)
  }

  // The gateway's own work, and what others waited unless it did not get the processor.
  get counts() {
    return this.starved > STARVED ? ['work'] : ['work', 'wait']
  }

  get unfair() {
    return this.counts.filter((what) => !this.sanitized && this.ratio(what) > RATIO)
  }

  judge() {
    const told = this.counts.map((what) => `${what} ${this.ratio(what).toFixed(2)} times`).join(', ')
    assert.deepEqual(this.unfair, [], `between a publication and its arrival: ${told}: ${JSON.stringify([this.quiet, this.attacked])}`)
    return `${told} as long; the gateway got ${Math.round(100 - 100 * this.starved)} % of the time it wanted`
  }

  // Waits until what was taken is given back; after some seconds it is a leak.
  async recovers(before) {
    const slack = this.sanitized ? Infinity : SLACK_BYTES
    const until = Date.now() + PATIENCE_MS
    for (;;) {
      const now = spent(this.gateway.child.pid)
      if (now.descriptors === before.descriptors && now.memory <= before.memory + slack) return now
      assert.ok(Date.now() < until, `not given back: ${JSON.stringify({ before, now })}`)
      await sleep(100)
    }
  }
}

// One line per attack for docs/RELIABILITY.md, into the file that MADANG_ATTACK_REPORT names.
function report(name, siege, before, after) {
  const mib = (bytes) => (bytes / 1048576).toFixed(1)
  const [quiet, attacked] = siege.medians('wait').map((time) => time.toFixed(2))
  const answers = Object.entries(siege.answers).map(([answer, count]) => `${answer} × ${count}`).join(', ')
  const memory = [before.memory, siege.peak, after.memory].map(mib).join(' → ')
  const line = `| ${name} | ${answers} | ${quiet} → ${attacked} ms | ${(attacked / quiet).toFixed(2)} | ${memory} |`
  if (process.env.MADANG_ATTACK_REPORT) appendFileSync(process.env.MADANG_ATTACK_REPORT, `${line}\n`)
  return line
}

const pad = (n) => String(n).padStart(4, '0')

// How each of the crowd connects. Guests have keys of their own.
const guests = () => Array.from({ length: MEMBERS }, (_, i) => ({ data: { guest: { key: `the key of crowd ${pad(i)}` } } }))

// The tests of a file.
export const attacks = (tests) => void describe('a gateway under attack', { concurrency: AT_ONCE }, tests)

// One test: `attack` is the function in this folder that attacks, `answers` what it may be answered, and how
// often at least, `allowed` what else may be. `visit`: somebody new must be able to come in while the attack stands.
// `outlasts`: it goes on for a while when it is to cease, so nobody else measures before it has ended.
export function attack(name, { attack: which, answers, allowed = [], how, args = [], connects = guests(), auth = 'insecure', hubs = 1, descriptors, check, ...options }) {
  it(name, { timeout: torture ? 1_200_000 : 300_000 }, async (t) => {
    const gateway = await startGateway(args, { auth, hubs, descriptors })
    const target = { host: gateway.host, port: gateway.port }
    const squads = []
    try {
      const siege = await alone(async () => {
        const crowd = new Squad('crowd.mjs', { target, connects, gateway: gateway.child.pid })
        squads.push(crowd)
        const attackers = new Squad('attacker.mjs', { attack: which, target: { ...target, from: '127.66.0.1' }, how })
        squads.push(attackers)
        await Promise.all(squads.map((squad) => squad.word()))
        for (const { pid } of [gateway.child, crowd.child]) prefer(pid)
        await crowd.ask('measure', WINDOW_MS) // warm
        return new Siege(gateway, crowd, attackers)
      })
      const before = spent(gateway.child.pid)
      await siege.rounds(options)
      const after = await siege.recovers(before)
      t.diagnostic(report(name, siege, before, after))
      const wanted = Object.keys(answers).sort()
      assert.deepEqual(Object.keys(siege.answers).filter((answer) => !allowed.includes(answer)).sort(), wanted)
      for (const [answer, least] of Object.entries(answers)) assert.ok(siege.answers[answer] >= least, `${answer} only ${siege.answers[answer]} times`)
      t.diagnostic(siege.judge())
      await check?.(gateway, siege)
    } finally {
      await Promise.all(squads.map((squad) => squad.leave()))
      await gateway.stop()
    }
  })
}
