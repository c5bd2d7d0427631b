// SPDX-License-Identifier: MIT
// Queues that people pause and drain under load, keys over kill -9, owners that hold as many jobs as they may.
import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'

import { Api, KEY } from '../lib/api.mjs'
import { startGateway } from '../lib/gateway.mjs'
import { it } from '../lib/suite.mjs'

const torture = process.env.MADANG_TORTURE === '1'
const queue = 'work'

let folder, args, gateway
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'madang-load-'))
  args = ['--worker-enabled', 'off', '--store', join(folder, 'madang.db'), '--local-durability', 'process', '--api-key', KEY]
})
afterEach(async () => {
  await gateway?.stop()
  gateway = undefined
  await rm(folder, { recursive: true })
})

const api = () => new Api(gateway)
const put = async (...jobs) => (await api().ok('queue_put', { queue, jobs: jobs.map((job) => ({ kind: 'k', ...job })) })).jobs
const stats = () => api().ok('queue_stats', { queue })

it('pause, drain and resume hold from their answer on, whatever goes on', async () => { // C8
  gateway = await startGateway(args)
  const lease_ms = 3_600_000
  const done = new Map() // id: how often
  const ready = [] // ids that were put
  let taken = [], over = false
  const produce = async () => {
    for (let n = 0; !over; n++) {
      const jobs = await put({ data: n }, { data: n })
      for (const { id, status } of jobs) {
        assert.ok(status === 'ok' || status === 'draining', status)
        if (status === 'ok') ready.push(id)
      }
      if (jobs[0].status === 'draining') await pause(1)
    }
  }
  const work = async () => {
    while (!over) {
      const { jobs } = await api().ok('queue_take', { queue, max: 3, wait_ms: 50, lease_ms })
      taken.push(...jobs.map(({ lease_until }) => lease_until - lease_ms))
      for (const { id } of jobs) done.set(id, (done.get(id) ?? 0) + 1)
      if (jobs.length) await api().ok('queue_ack', { jobs: jobs.map(({ id, token }) => ({ id, token })) })
    }
  }
  const crowd = [produce(), work(), work(), work()]
  const some = async (list, count) => {
    for (const before = list.length; list.length < before + count; ) await pause(5)
  }
  for (let round = 0; round < (torture ? 100 : 4); round++) {
    await some(taken, 5)
    await api().ok('queue_pause', { queue })
    const paused = (await stats()).delivered
    await some(ready, 4) // puts go on
    assert.equal((await stats()).delivered, paused, 'something was handed out')
    await api().ok('queue_resume', { queue })
    await some(taken, 5)
    await api().ok('queue_drain', { queue })
    const drained = (await stats()).put
    while ((await stats()).ready) await pause(5) // taking goes on
    assert.equal((await stats()).put, drained, 'something was taken in')
    await api().ok('queue_resume', { queue })
    taken = []
  }
  await api().ok('queue_drain', { queue })
  while (done.size < ready.length) await pause(5)
  over = true
  await Promise.all(crowd)
  assert.deepEqual([...done.values()].filter((times) => times !== 1), [])
  assert.deepEqual([...done.keys()].sort(), ready.sort())
})

it('a key is free again after its job, and after its time, whenever the gateway was killed', async () => { // C6
  gateway = await startGateway(args)
  const keys = Array.from({ length: 20 }, (_, i) => `key${i}`)
  const key_ms = 2000
  for (let round = 0; round < (torture ? 50 : 3); round++) {
    // Each key is somewhere in its life when the end comes.
    const life = keys.map(async (key, i) => {
      await pause(5 * Math.random() * i)
      await put({ key, key_ms })
      const { jobs } = await api().ok('queue_take', { queue, lease_ms: 60_000 })
      if (jobs.length && i % 2) await api().ok('queue_ack', { jobs: jobs.map(({ id, token }) => ({ id, token })) })
    })
    const ends = Promise.allSettled(life) // calls that are cut fail
    await pause(50 * Math.random())
    await gateway.kill()
    await ends
    gateway = await startGateway(args)
  }
  const free = new Set()
  while (free.size < keys.length) {
    const left = keys.filter((key) => !free.has(key))
    const jobs = await put(...left.map((key) => ({ key, key_ms: 3_600_000 })))
    jobs.forEach(({ status }, i) => status === 'ok' && free.add(left[i]))
    if (free.size < keys.length) await pause(20)
  }
})

it('one owner holds as many jobs as max_inflight says, and waits for the next', async () => {
  const file = join(folder, 'madang.ini')
  await writeFile(file, `[queue ${queue}]\nmax_inflight = 2\n`)
  gateway = await startGateway([...args, '--config', file])
  await put({}, {}, {}, {}, {})
  const take = async (owner, wait_ms = 0) => (await api().ok('queue_take', { queue, max: 10, owner, wait_ms })).jobs
  const held = await take('a')
  assert.equal(held.length, 2)
  assert.equal((await take('a')).length, 0)
  assert.equal((await take('b')).length, 2)
  const waits = take('a', 30_000)
  while ((await gateway.metrics()).madang_queue_takes_waiting < 1) await pause(5)
  const [{ id, token }] = held
  await api().ok('queue_ack', { jobs: [{ id, token }] })
  assert.equal((await waits).length, 1)
})

it('a take that waits goes by no rules from before a reload: it ends, and who asks again is served', async () => {
  const file = join(folder, 'again.ini')
  const rules = (most) => writeFile(file, `[queue ${queue}]\nmax_inflight = ${most}\n`)
  await rules(1)
  gateway = await startGateway([...args, '--config', file])
  await put({}, {})
  const take = async (wait_ms, from = queue) => (await api().ok('queue_take', { queue: from, owner: 'a', wait_ms })).jobs
  assert.equal((await take(0)).length, 1)
  const waits = take(30_000)
  while ((await gateway.metrics()).madang_queue_takes_waiting < 1) await pause(5)
  await rules(2)
  await gateway.reload()
  const ends = [waits.then(() => 'the one from before'), take(10_000, 'empty').then(() => 'a later one')]
  assert.equal(await Promise.race(ends), 'the one from before')
  assert.deepEqual(await waits, [])
  assert.equal((await take(0)).length, 1)
})

it('a batch has the time of its longest take, side by side with short ones', async () => {
  gateway = await startGateway([...args, '--api-timeout', '3s'])
  const commands = [{ queue_take: { queue, wait_ms: 4000 } }, { queue_take: { queue, wait_ms: 1 } }]
  const { replies } = await api().ok('batch', { parallel: true, commands })
  assert.deepEqual(replies.map(({ queue_take: { jobs } }) => jobs), [[], []])
})
