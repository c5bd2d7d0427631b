// SPDX-License-Identifier: MIT
// The one process that has a store: it is stopped again and again, stands still, dies, and is followed by another.
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after } from 'node:test'

import { Api, KEY } from '../lib/api.mjs'
import { Chatter } from '../lib/chatter.mjs'
import { startGateway } from '../lib/gateway.mjs'
import { run } from '../lib/program.mjs'
import { progress } from '../lib/progress.mjs'
import { it } from '../lib/suite.mjs'

const torture = process.env.MADANG_TORTURE === '1'
const folder = mkdtempSync(join(tmpdir(), 'madang-owner-'))
after(() => rmSync(folder, { recursive: true }))

let files = 0
const newStore = () => join(folder, `${++files}.db`)
const start = (store) => startGateway(['--store', store, '--api-key', KEY, '--rooms-history-size', '1000000', '--rooms-history-bytes', '64MiB', '--history-limit', '10000'])

const madang = (words) => run(process.env.MADANG_BIN, words)

it('a gateway that is stopped and started again and again under load loses nothing and never complains', async (t) => { // S3
  const rounds = torture ? 500 : 6
  const say = progress(t)
  const store = newStore()
  const messages = []
  const jobs = new Set()
  for (let round = 0; round < rounds; round++) {
    const gateway = await start(store)
    const c = await Chatter.join(gateway)
    const api = new Api(gateway)
    let going = true
    const ends = [
      (async () => {
        while (going) {
          const n = messages.length + 1
          await c.ok({ publish: { channel: `r${round >> 5}`, data: { n, cid: `${n}` } } })
          messages.push(n)
        }
      })(),
      (async () => {
        while (going) jobs.add((await api.ok('queue_put', { queue: 'work', jobs: [{ kind: 'k', key: `${jobs.size}` }] })).jobs[0].id)
      })(),
    ].map((end) => end.catch((error) => { if (going) throw error })) // the end comes in the middle of something
    // Of each so many more: one must not have to come up with the other, which is faster in each round.
    const some = 1 + Math.floor(Math.random() * 10)
    const enough = [messages.length + some, jobs.size + some]
    while (messages.length < enough[0] || jobs.size < enough[1]) await new Promise(setImmediate)
    going = false
    await gateway.stop() // and nothing alarming was logged
    await Promise.all(ends)
    say(() => `${round + 1} of ${rounds} restarts, ${messages.length} messages, ${jobs.size} jobs`)
  }
  const gateway = await start(store)
  const api = new Api(gateway)
  const kept = new Set()
  for (let round = 0; round < rounds; round += 32) {
    const { publications } = await api.ok('history', { channel: `r${round >> 5}`, limit: -1 })
    for (const { data } of publications) kept.add(data.n)
  }
  assert.deepEqual(messages.filter((n) => !kept.has(n)), [])
  const taken = new Set()
  for (let some; (some = (await api.ok('queue_take', { queue: 'work', max: 100 })).jobs).length; ) for (const { id } of some) taken.add(id)
  assert.deepEqual([...jobs].filter((id) => !taken.has(id)), [])
  await gateway.stop()
  const { code, err } = await madang(['check', store])
  assert.equal(code, 0, err)
})

it('while its process stands still everybody waits, and no job is held twice behind that', async () => {
  const store = newStore()
  const gateway = await start(store)
  const api = new Api(gateway)
  const c = await Chatter.join(gateway)
  await c.publish('r', 1)
  await api.ok('queue_put', { queue: 'work', jobs: [{ kind: 'a' }, { kind: 'b' }] })
  const lease = torture ? 5000 : 1000
  const [long] = (await api.ok('queue_take', { queue: 'work', lease_ms: 3_600_000 })).jobs
  const [short] = (await api.ok('queue_take', { queue: 'work', lease_ms: lease })).jobs
  await gateway.freeze()
  let here = true
  const waiting = [c.publish('r', 2), madang(['queue', 'stats', '--store', store]), api.ok('queue_take', { queue: 'work', wait_ms: 20_000 }), api.ok('queue_take', { queue: 'work', wait_ms: 20_000 })]
  Promise.race(waiting).then(() => assert.ok(!here, 'somebody was answered'), () => assert.ok(!here))
  while (Date.now() < short.lease_until + 100) await new Promise((settle) => setTimeout(settle, 50)) // the lease runs out meanwhile
  here = false
  gateway.signal('SIGCONT')
  const [, stats, ...takes] = await Promise.all([waiting[0], waiting[1], Promise.race(waiting.slice(2))])
  assert.equal(stats.code, 0, stats.err)
  assert.deepEqual(takes[0].jobs.map(({ id }) => id), [short.id])
  assert.notEqual(takes[0].jobs[0].token, short.token)
  const settled = async ({ id, token }) => (await api.ok('queue_ack', { jobs: [{ id, token }] })).jobs[0].status
  assert.equal(await settled(short), 'lease_lost')
  assert.equal(await settled(long), 'ok')
  assert.equal(await settled(takes[0].jobs[0]), 'ok')
  assert.equal((await c.ok({ history: { channel: 'r', limit: 0 } })).offset, 2)
  const over = gateway.stop() // answers the take that waits still
  const left = (await Promise.all(waiting.slice(2))).filter(({ jobs }) => jobs.length === 0)
  assert.equal(left.length, 1)
  await over
})

it('a gateway that is killed is followed at once by another, and leases go on', async () => {
  const store = newStore()
  let gateway = await start(store)
  let api = new Api(gateway)
  await api.ok('queue_put', { queue: 'work', jobs: [{ kind: 'a' }, { kind: 'b' }] })
  const [held] = (await api.ok('queue_take', { queue: 'work', lease_ms: 3_600_000 })).jobs
  await assert.rejects(start(store), /is in use by another process/)
  await gateway.kill()
  gateway = await start(store)
  api = new Api(gateway)
  const { jobs } = await api.ok('queue_take', { queue: 'work', max: 10 })
  assert.deepEqual(jobs.map(({ kind }) => kind), ['b'])
  assert.equal((await api.ok('queue_ack', { jobs: [{ id: held.id, token: held.token }] })).jobs[0].status, 'ok')
  await gateway.stop()
})

it('four processes share the jobs of a store, and none is given twice', async () => {
  const store = newStore()
  const gateway = await start(store)
  const api = new Api(gateway)
  const total = torture ? 2000 : 80
  const taker = async (name) => {
    const ids = []
    for (;;) {
      const { code, out, err } = await madang(['queue', 'take', 'work', '--store', store, '--owner', name, '--ack', '--max', '5', '--wait', '1s'])
      assert.equal(code, 0, err)
      const lines = out.split('\n').filter((line) => /^\S+\t/.test(line))
      if (!lines.length) return ids
      ids.push(...lines.map((line) => line.split('\t')[0]))
    }
  }
  const takers = ['a', 'b', 'c', 'd'].map(taker)
  for (let n = 0; n < total; n += 20) await api.ok('queue_put', { queue: 'work', jobs: Array.from({ length: 20 }, () => ({ kind: 'k' })) })
  const all = await Promise.all(takers)
  const ids = all.flat()
  let rest = 0 // of takers that found nothing for a second before the first put
  for (let some; (some = (await api.ok('queue_take', { queue: 'work', max: 100 })).jobs).length; ) rest += some.length
  assert.equal(new Set(ids).size, ids.length, 'given twice')
  assert.equal(ids.length + rest, total)
  if (torture) assert.ok(Math.max(...all.map((some) => some.length)) <= 2 * Math.min(...all.map((some) => some.length)), all.map((some) => some.length).join())
  await gateway.stop()
})
