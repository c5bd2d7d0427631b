// SPDX-License-Identifier: MIT
//
// What becomes of the jobs of queue `work`, as Redis itself saw it, in one order and by one clock: which lease
// began and ended when, what its holder said in the stream `log` that it did meanwhile, and whether both agree.
// Holders say: what (begin or done), id, delivery, by; if they know them: token, failures.

import assert from 'node:assert/strict'

import { RedisClient } from './redis_client.mjs'

const LEASES = '"madang:queue.lease:work"'
const JOBS = '"madang:queue.job:work"'

export class LeaseStory {
  static async watch(redis) {
    const client = await RedisClient.connect(redis.port)
    const story = new LeaseStory(client)
    await client.say('MONITOR')
    client.pushes = { push: (line) => story.#take(line) }
    return story
  }

  constructor(client) {
    this.client = client
    this.jobs = new Map() // id to { leases, gone }
    this.wrong = []
    this.waiting = []
    this.heard = new Set() // fences
    this.fences = 0
  }

  #take(line) {
    const [, seconds, micros, words] = /^(\d+)\.(\d+) \[\d+ \S+\] (.*)$/.exec(line)
    const at = Number(seconds) * 1000 + Number(micros) / 1000
    if (words.startsWith(`"ZADD" ${LEASES}`)) this.#leased(at, split(words).slice(2))
    else if (words.startsWith(`"ZREM" ${LEASES}`)) this.#left(at, split(words).slice(2))
    else if (words.startsWith(`"HDEL" ${JOBS}`)) for (const id of split(words).slice(2)) this.#job(id).gone++
    else if (/^"xadd" "log"/i.test(words)) this.#said(at, split(words).slice(3))
    else if (words.startsWith('"ECHO"')) this.heard.add(split(words)[1])
    else return
    for (const settle of this.waiting.splice(0)) settle()
  }

  #job(id) {
    if (!this.jobs.has(id)) this.jobs.set(id, { leases: [], gone: 0 })
    return this.jobs.get(id)
  }

  #expect(right, what) {
    if (!right) this.wrong.push(what)
  }

  // A new lease, or the new end of the one there is.
  #leased(at, words) {
    for (let i = 0; i < words.length; i += 2) {
      const { leases, gone } = this.#job(words[i + 1])
      const until = Number(words[i])
      this.#expect(!gone, `${words[i + 1]} is leased after its end`)
      if (leases.at(-1) && !leases.at(-1).ended) leases.at(-1).until = until
      else leases.push({ at, until })
    }
  }

  // A lease ends when its time is over, because its holder is done, or because a gateway gives back what it took
  // for a worker that is gone: nobody has it then.
  #left(at, ids) {
    for (const id of ids) {
      const lease = this.#job(id).leases.at(-1)
      this.#expect(lease && !lease.ended, `${id} is left twice`)
      lease.returned = !lease.begun && at < lease.until
      this.#expect(lease.done || at >= lease.until || lease.returned, `${id} is taken away from its holder`)
      lease.ended = at
    }
  }

  #said(at, words) {
    const { what, id, delivery, by, token, failures } = Object.fromEntries(pairs(words))
    const { leases } = this.#job(id)
    const lease = leases[delivery - 1]
    this.#expect(lease, `${id}: delivery ${delivery} was none`)
    if (what === 'begin') {
      this.#expect(!lease.begun, `${id}: delivery ${delivery} is held by two`)
      // One that is late has lost its lease: then it does not hold it.
      const free = lease.ended || leases.every((one) => !one.begun || one.done || one.ended)
      this.#expect(free, `${id} is held by two`)
      this.#expect(!lease.returned, `${id} was given back`)
      const lapsed = leases.slice(0, delivery - 1).filter(({ returned }) => !returned).length
      this.#expect(!failures || Number(failures) === lapsed, `${id}: ${failures} failures`)
      Object.assign(lease, { begun: at, by, token: token && Number(token.split('.')[0]) })
    } else {
      this.#expect(lease.by === by, `${id} is done by another one`)
      lease.done = at
    }
  }

  // Resolves when something has happened.
  news() {
    return new Promise((settle) => this.waiting.push(settle))
  }

  // Resolves when all is heard that has happened up to now.
  async fence(redis) {
    const word = `fence-${++this.fences}`
    await redis.say('ECHO', word)
    while (!this.heard.has(word)) await this.news()
  }

  leases() {
    return [...this.jobs.values()].flatMap(({ leases }) => leases)
  }

  // All that this one has had.
  leasesOf(by) {
    return this.leases().filter((lease) => lease.by === by)
  }

  // Every one of these jobs came to its end once, and of its leases the last one did that.
  judge(ids) {
    assert.deepEqual(this.wrong, [])
    assert.deepEqual([...this.jobs.keys()].sort(), [...ids].sort())
    for (const [id, { leases, gone }] of this.jobs) {
      assert.equal(gone, 1, id)
      assert.ok(leases.at(-1).done, id)
    }
    const tokens = this.leases().filter(({ token }) => token)
    tokens.sort((a, b) => a.at - b.at)
    for (let i = 1; i < tokens.length; i++) assert.ok(tokens[i].token > tokens[i - 1].token, 'tokens grow')
  }

  close() {
    this.client.close()
  }
}

const split = (words) => [...words.matchAll(/"((?:[^"\\]|\\.)*)"/g)].map(([, word]) => word)
const pairs = (words) => Array.from({ length: words.length / 2 }, (_, i) => [words[2 * i], words[2 * i + 1]])
