// SPDX-License-Identifier: MIT
//
// Clients of queues that write down what they did, for jobs_checker.mjs, while the gateway may end at any time:
// producers that put a job under its key until they know it is in, workers that settle jobs in every way.

import { Agent } from 'node:http'
import { setTimeout as pause } from 'node:timers/promises'

import { post } from './api.mjs'

const RETRY = 20 // ms
const chance = (share) => Math.random() < share
const below = (n) => Math.floor(Math.random() * n)

export class JobsClient {
  // `where()` gives the gateway to ask; all that happens is added to `log`.
  constructor(log, where) {
    this.log = log
    this.where = where
    this.agent = new Agent({ keepAlive: true, maxSockets: 1 })
  }

  // The result of a call; null: nobody knows what became of it; undefined: nothing did.
  async #call(method, params) {
    try {
      const { body } = await post(this.where(), `/api/${method}`, params, { agent: this.agent })
      const { result, error } = JSON.parse(body)
      if (error && error.code !== 100 && error.code !== 111) throw new TypeError(`${method}: ${body}`)
      return error ? (error.code === 111 ? undefined : null) : result
    } catch (error) {
      if (error instanceof TypeError) throw error
      return error.code === 'ECONNREFUSED' ? undefined : null
    }
  }

  // Entries stand in the log before anything is asked; those of what never happened are crossed out.
  async #logged(entries, method, params) {
    const t0 = Date.now()
    for (const entry of entries) this.log.push(Object.assign(entry, { t0, t1: null }))
    const result = await this.#call(method, params)
    const t1 = Date.now()
    if (result) for (const entry of entries) entry.t1 = t1
    if (result === undefined) for (const entry of entries) entry.op = 'nothing'
    return result
  }

  // `jobs` as the server API has them, each with a key that holds for long. True: all are in.
  async put(queue, jobs) {
    const entries = jobs.map(({ data, kind, ...job }) => ({ op: 'put', queue, window: true, ...job }))
    const known = await this.#logged(entries, 'queue_put', { queue, jobs: jobs.map((job) => ({ kind: 'k', key_mode: 'window', key_ms: 3_600_000, ...job })) })
    if (!known) return false
    for (const [i, { id, status }] of known.jobs.entries()) Object.assign(entries[i], { id, result: status, durable: known.durable })
    return known.jobs.every(({ status }) => status === 'ok' || status === 'repeated')
  }

  async take(queue, { max = 4, lease_ms = 1000, wait_ms = 0, owner = 'w' } = {}) {
    const call = { op: 'take', max }
    const known = await this.#logged([call], 'queue_take', { queue, max, lease_ms, wait_ms, owner })
    if (!known) return []
    const { t0, t1 } = call
    call.op = 'nothing'
    for (const { id, token, deliveries, failures, lease_until } of known.jobs)
      this.log.push({ op: 'take', t0, t1, id, token, deliveries, failures, until: lease_until, lease_ms })
    return known.jobs
  }

  // `how`: more of what is said, such as delay_ms or fatal.
  async settle(op, jobs, how = {}) {
    const entries = jobs.map(({ id, token }) => ({ op, id, token, ms: how.delay_ms ?? how.lease_ms, ...how }))
    const known = await this.#logged(entries, `queue_${op}`, { jobs: jobs.map(({ id, token }) => ({ id, token, ...how })) })
    for (const [i, { status, lease_until }] of (known?.jobs ?? []).entries()) Object.assign(entries[i], { result: status, until: lease_until })
    return known
  }

  // Puts until it is known that they are in.
  async insist(queue, jobs) {
    while (!(await this.put(queue, jobs))) await pause(RETRY)
  }

  // Takes jobs and settles them, each in one of the ways in which workers do, until `over()`.
  async work(queue, over, { lease_ms = 300, share = {} } = {}) {
    const shares = { extend: 0.1, nack: 0.08, release: 0.08, fatal: 0.01, forget: 0.03, late: 0.02, ...share }
    while (!over()) {
      const jobs = await this.take(queue, { max: 1 + below(4), lease_ms, wait_ms: 100 })
      for (const job of jobs) await this.#end(job, shares, lease_ms)
      if (!jobs.length) await pause(RETRY)
    }
  }

  async #end(job, share, lease_ms) {
    if (chance(share.extend)) await this.settle('extend', [job], { lease_ms: lease_ms + below(100) })
    if (chance(share.late)) await pause(lease_ms + 120)
    if (chance(share.forget)) return
    if (chance(share.fatal)) await this.settle('nack', [job], { fatal: true })
    else if (chance(share.nack)) await this.settle('nack', [job], { delay_ms: below(60) })
    else if (chance(share.release)) await this.settle('release', [job])
    else await this.settle('ack', [job])
  }

  close() {
    this.agent.destroy()
  }
}

// The result of a call that may fail for now.
async function insist(api, method, params) {
  for (;;) {
    const { result, error } = await api.call(method, params)
    if (result) return result
    if (error.code !== 100) throw new Error(`${method}: ${error.code} ${error.message}`)
    await pause(RETRY)
  }
}

// What the checker is to know of the end: the dead, and what the queue counts.
export async function queueEnd(api, queue) {
  const dead = []
  for (let page; !page || page.length === 256; ) {
    page = (await insist(api, 'queue_dead', { queue, limit: 256, ...(dead.length && { after: dead.at(-1).id }) })).jobs
    dead.push(...page)
  }
  return { dead, stats: await insist(api, 'queue_stats', { queue }) }
}

// Until nothing is left but the dead.
export async function drained(api, queue) {
  for (;;) {
    const { ready, leased, delayed, blocked } = await insist(api, 'queue_stats', { queue })
    if (ready + leased + delayed + blocked === 0) return
    await pause(RETRY)
  }
}
