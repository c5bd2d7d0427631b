// SPDX-License-Identifier: MIT
//
// What holds of a queue whatever happens to it, asked of what its clients wrote down. A log is a list of
// entries in any order, by any number of clients on the machine of the store:
//
//   { op: 'put', t0, t1, id, result, key, window, delay_ms, group, max_failures }   of each job
//   { op: 'take', t0, t1, id, token, deliveries, failures, until, lease_ms }        of each job handed out
//   { op: 'take', t0, t1: null, max }                                               of each call without an answer
//   { op: 'ack' | 'nack' | 'release' | 'extend' | 'cancel', t0, t1, id, token, result, ms, fatal, until }
//
// `t0` is the time before it was asked, `t1` that of the answer, null: none came, so that nobody knows whether it
// happened; who may be killed writes that first. `result` is the status of the job. Ids are those of the server
// API, `queue:number`, or the numbers of one queue. `ms` is what a nack or an extend asked for. Other entries are
// left alone. Jobs that begin anew (`again`, dead ones that are tried again) are not for this.

import assert from 'node:assert/strict'

const number = (id) => Number(String(id).split(':').at(-1))
const count = (token) => Number(String(token).split('.')[0])
const happened = (entry) => entry.t1 === null || entry.result === 'ok' || entry.result === 'cancelled'
const clock = 1 // ms: clocks that are read in whole ms

// Of each job: how it was put, its leases in the order of their numbers, what was said of each, what ended it.
function histories(log) {
  const jobs = new Map()
  const of = (id) => {
    if (!jobs.has(id)) jobs.set(id, { id, puts: [], leases: [], said: [], cancels: [] })
    return jobs.get(id)
  }
  for (const entry of log) {
    if (entry.id === undefined || entry.id === null) continue
    const job = of(entry.id)
    if (entry.op === 'put') job.puts.push(entry)
    else if (entry.op === 'take') job.leases.push({ ...entry, n: count(entry.token), said: [] })
    else if (entry.op === 'cancel') job.cancels.push(entry)
    else job.said.push(entry)
  }
  for (const job of jobs.values()) {
    job.leases.sort((a, b) => a.n - b.n)
    for (const entry of job.said) job.leases.find(({ token }) => token === entry.token)?.said.push(entry)
  }
  return jobs
}

const acks = (job, sure) => job.said.filter((entry) => entry.op === 'ack' && (sure ? entry.result === 'ok' : happened(entry)))
const ends = (lease) => lease.said.filter((entry) => /^(nack|release)$/.test(entry.op) && happened(entry))
const start = (lease) => lease.until - lease.lease_ms // by the clock of the store

// The earliest end that the lease may have, after what is known of its extensions.
function end(lease) {
  const extensions = lease.said.filter((entry) => entry.op === 'extend' && happened(entry)).sort((a, b) => a.t0 - b.t0)
  return extensions.reduce((until, { t0, t1, ms, ...entry }) => (t1 === null ? Math.min(until, t0 + ms) : entry.until), lease.until)
}

class Checker {
  constructor(log, end) {
    this.log = log
    this.jobs = histories(log)
    this.dead = new Map((end.dead ?? []).map((job) => [job.id, job]))
    this.left = new Map(Object.entries(end.left ?? {}))
    this.end = { max_failures: 12, max_deliveries: 24, ...end }
    this.wrong = []
  }

  must(holds, which, job, words) {
    if (!holds) this.wrong.push(`${which}: ${job.id ?? ''} ${words}`)
  }

  // Nothing that was told as put is missing, and nothing is there that nobody put.
  I1() {
    const strange = [...this.jobs.values()].filter(({ puts }) => puts.length === 0)
    const doubtful = this.log.filter((entry) => entry.op === 'put' && entry.t1 === null)
    this.must(strange.length <= doubtful.length, 'I1', {}, `${strange.length} jobs that nobody put`)
    for (const job of this.jobs.values()) {
      const known = job.puts.filter(({ result }) => result === 'ok' || result === 'repeated')
      const there = acks(job).length > 0 || this.dead.has(job.id) || this.left.has(job.id) || job.cancels.some(happened)
      this.must(!known.length || there || this.end.mayBeLost?.(known[0]), 'I1', job, 'was put and is lost')
    }
    const owner = new Map()
    for (const put of this.log.filter(({ op, window, id }) => op === 'put' && window && id)) {
      const first = owner.get(put.key) ?? put.id
      this.must(first === put.id, 'I1', put, `was put twice, also as ${first}`)
      owner.set(put.key, first)
    }
  }

  // A job is done once.
  I2() {
    for (const job of this.jobs.values()) this.must(acks(job, true).length <= 1, 'I2', job, 'was done twice')
  }

  // Nothing is taken of a holder after the next one was given the job, and a job that is done is given to nobody.
  I3() {
    for (const job of this.jobs.values())
      for (const entry of job.said.filter(({ result }) => result === 'ok')) {
        const later = job.leases.filter(({ n }) => n > count(entry.token))
        const before = later.filter(({ t1 }) => entry.op === 'ack' || t1 < entry.t0)
        this.must(before.length === 0, 'I3', job, `${entry.op} with ${entry.token}, after ${before[0]?.token} was given`)
      }
  }

  // A lease begins when the one before is over, by the clock of the store, or was given back.
  I4() {
    this.each((job, lease, next) => {
      const back = ends(lease).some(({ t0 }) => next.t1 >= t0)
      this.must(back || start(next) >= end(lease), 'I4', job, `${next.token} begins while ${lease.token} holds`)
    })
  }

  // Tokens grow, and no two leases have the same.
  I5() {
    const all = [...this.jobs.values()].flatMap(({ leases }) => leases)
    this.must(new Set(all.map(({ id, token }) => `${id} ${token}`)).size === all.length, 'I5', {}, 'a token was given twice')
    this.each((job, lease, next) => {
      const grows = next.n > lease.n && next.deliveries > lease.deliveries && next.t1 >= lease.t0 && start(next) >= start(lease)
      this.must(grows, 'I5', job, `${next.token} follows ${lease.token}`)
    })
  }

  // The counts are those of the leases that were given, and of those that failed; of a lease that nobody heard
  // of it is not known how it ended.
  I6() {
    const takes = this.log.filter((entry) => entry.op === 'take' && entry.t1 === null)
    let unseen = 0
    for (const job of this.jobs.values()) {
      const first = { deliveries: 0, failures: 0, none: true }
      for (const [i, next] of job.leases.entries()) {
        const lease = job.leases[i - 1] ?? first
        const hidden = next.deliveries - lease.deliveries - 1
        const [least, most] = lease.none ? [0, 0] : failed(lease)
        const grown = next.failures - lease.failures
        unseen += Math.max(hidden, 0)
        this.must(hidden >= 0 && grown >= least && grown <= most + hidden, 'I6', job, `${next.token} is delivery ${next.deliveries} after ${next.failures} failures; before it ${lease.deliveries} and ${lease.failures}`)
      }
    }
    const possible = takes.reduce((sum, { max }) => sum + max, 0)
    this.must(unseen <= possible, 'I6', {}, `${unseen} deliveries that nobody got, and only ${possible} got lost`)
  }

  // Nothing is early.
  I7() {
    const late = []
    for (const job of this.jobs.values()) {
      const [put] = job.puts.filter(({ result }) => result === 'ok')
      if (put?.delay_ms && job.leases.length) {
        const by = start(job.leases[0]) - put.t0 - put.delay_ms
        this.must(by >= -clock, 'I7', job, `is early by ${-by} ms`)
        late.push(start(job.leases[0]) - (put.t1 ?? put.t0) - put.delay_ms)
      }
    }
    this.each((job, lease, next) => {
      for (const { op, t0, ms, result } of lease.said)
        if (op === 'nack' && result === 'ok' && ms) this.must(start(next) >= t0 + ms - clock, 'I7', job, `comes again ${t0 + ms - start(next)} ms early`)
    })
    late.sort((a, b) => a - b)
    this.late = late[Math.floor(late.length * 0.99)] ?? 0
  }

  // Ids grow with time; of a group the next begins when the one before is over.
  I8() {
    const puts = this.log.filter(({ op, result }) => op === 'put' && result === 'ok')
    const answered = [...puts].sort((a, b) => a.t1 - b.t1)
    let highest = 0, next = 0
    for (const put of [...puts].sort((a, b) => a.t0 - b.t0)) {
      while (next < answered.length && answered[next].t1 < put.t0) highest = Math.max(highest, number(answered[next++].id))
      this.must(number(put.id) > highest, 'I8', put, 'is lower than one before it')
    }
    for (const group of new Set(puts.map(({ group }) => group).filter((name) => name))) {
      const jobs = puts.filter((put) => put.group === group).map(({ id }) => this.jobs.get(id))
      jobs.sort((a, b) => number(a.id) - number(b.id))
      for (const [i, job] of jobs.entries()) if (i && job.leases.length) this.follows(jobs[i - 1], job)
    }
  }

  follows(job, next) {
    const [first] = next.leases
    const over = [...acks(job), ...job.cancels.filter(happened)]
    this.must(!job.leases.length || job.leases.at(-1).n < first.n, 'I8', next, `began before the last try of ${job.id}`)
    this.must(this.dead.has(job.id) || over.some(({ t0 }) => t0 <= first.t1), 'I8', next, `began before ${job.id} was over`)
  }

  // Dead when the limits say so, and not before.
  I9() {
    const most = (job) => job.puts[0]?.max_failures ?? this.end.max_failures
    for (const { id, reason, failures, deliveries } of this.dead.values()) {
      const job = this.jobs.get(id) ?? { id, puts: [], said: [], leases: [] }
      const why = {
        max_failures: failures >= most(job),
        max_deliveries: deliveries >= this.end.max_deliveries,
        rejected: job.said.some((entry) => entry.op === 'nack' && entry.fatal && happened(entry)),
        expired: job.puts.some(({ ttl_ms }) => ttl_ms),
      }
      this.must(why[reason], 'I9', job, `is dead of ${reason} after ${deliveries} deliveries, ${failures} failures`)
      this.must(!acks(job, true).length, 'I9', job, 'is dead and done')
    }
    for (const job of this.jobs.values())
      for (const { failures, deliveries, token } of job.leases)
        this.must(failures < most(job) && deliveries <= this.end.max_deliveries, 'I9', job, `${token} was given although it is dead`)
  }

  // What the queue counts is what there is.
  I10() {
    const { stats } = this.end
    if (!stats) return
    const states = [...this.left.values()]
    for (const state of ['ready', 'leased', 'delayed', 'blocked']) {
      const there = states.filter((one) => one === state).length
      this.must(stats[state] === there, 'I10', {}, `${stats[state]} ${state}, counted ${there}`)
    }
    this.must(stats.dead === this.dead.size, 'I10', {}, `${stats.dead} dead, counted ${this.dead.size}`)
    const sure = this.log.filter(({ op, result }) => op === 'ack' && result === 'ok').length
    const doubtful = this.log.filter(({ op, t1 }) => op === 'ack' && t1 === null).length
    this.must(stats.acked >= sure && stats.acked <= sure + doubtful, 'I10', {}, `${stats.acked} done, counted ${sure} and ${doubtful} that nobody knows of`)
  }

  // Pairs of leases of a job that follow each other.
  each(body) {
    for (const job of this.jobs.values())
      for (let i = 1; i < job.leases.length; i++) body(job, job.leases[i - 1], job.leases[i])
  }
}

// How many failures a lease was that another followed: at least, at most.
function failed(lease) {
  const back = ends(lease)
  if (back.some(({ op, t1 }) => op === 'release' && t1 !== null)) return [0, 0]
  return back.some(({ op }) => op === 'release') ? [0, 1] : [1, 1]
}

export const invariants = ['I1', 'I2', 'I3', 'I4', 'I5', 'I6', 'I7', 'I8', 'I9', 'I10']

// Throws if one of `which` does not hold. `end` is what there is when all is over, or still: { dead: jobs of
// `queue_dead`, left: { id: state }, stats: of `queue_stats`, max_failures, max_deliveries, mayBeLost(put) }.
// Gives numbers: of jobs, of leases, of leases more than jobs, and by how many ms 99 % of what was delayed came late.
export function checkJobs(log, end = {}, which = invariants) {
  const checker = new Checker(log, end)
  for (const name of which) checker[name]()
  const some = checker.wrong.slice(0, 10).join('\n')
  assert.equal(checker.wrong.length, 0, `${checker.wrong.length} times not as promised:\n${some}`)
  const leases = [...checker.jobs.values()].reduce((sum, { leases }) => sum + leases.length, 0)
  const taken = [...checker.jobs.values()].filter(({ leases }) => leases.length).length
  return { jobs: checker.jobs.size, leases, again: leases - taken, late: checker.late ?? 0 }
}
