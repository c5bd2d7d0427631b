// SPDX-License-Identifier: MIT
// The workers of docs/QUEUE.md, as they stand there, compete for jobs, over a store and over Redis.
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'

import { Api, KEY } from '../lib/api.mjs'
import { DocWorker } from '../lib/doc_workers.mjs'
import { startGateway } from '../lib/gateway.mjs'
import { Redis } from '../lib/redis.mjs'

const torture = process.env.MADANG_TORTURE === '1'
// A bound against hanging.
const limit = { timeout: torture ? 600_000 : 300_000 }
const folder = mkdtempSync(join(tmpdir(), 'madang-store-'))
after(() => rmSync(folder, { recursive: true }))

// The first worker is killed, the others have to do something.
async function compete(gateway, workers, waiting) {
  const api = new Api(gateway)
  const least = torture ? 10_000 : 200
  const [killed, ...others] = workers
  let count = 0
  const acked = async (n) => {
    while ((await api.ok('queue_stats', { queue: 'work' })).acked < n) await pause(20)
  }
  try {
    await waiting()
    while (count < least || others.some(({ done }) => done.length === 0)) {
      const jobs = Array.from({ length: 100 }, () => ({ kind: 'count', data: count++ }))
      await api.ok('queue_put', { queue: 'work', jobs })
      if (count === least / 2) await killed.kill()
      if (count >= least) await acked(count)
    }
    const done = workers.flatMap((worker) => worker.done)
    const leases = done.map(([id, deliveries]) => `${id} ${deliveries}`)
    assert.equal(new Set(leases).size, leases.length, 'a lease was held by two')
    assert.deepEqual([...new Set(done.map(([, , data]) => Number(data)))].sort((a, b) => a - b), [...Array(count).keys()])
    const { ready, leased, delayed, dead } = await api.ok('queue_stats', { queue: 'work' })
    assert.deepEqual([ready, leased, delayed, dead], [0, 0, 0, 0])
  } catch (error) {
    for (const { err } of workers) console.error(err)
    throw error
  } finally {
    await Promise.all(workers.map((worker) => worker.kill()))
  }
}

const start = (...args) => startGateway(['--api-key', KEY, '--queue-backoff', '10ms', ...args])

const begin = (names, place) => names.map((name) => new DocWorker(name, place))
const pairs = (name) => [`${name}.py`, `${name}.mjs`, `${name}.py`, `${name}.mjs`]

async function waits(gateway, n) {
  while ((await gateway.metrics()).madang_queue_takes_waiting < n) await pause(20)
}

const overHttp = (gateway) => compete(gateway, begin(pairs('worker'), gateway), () => waits(gateway, 4))

test('workers in Python and JavaScript compete for jobs of a store, one is killed, and each job is done', limit, async () => {
  const gateway = await start('--store', join(folder, 'a.db'), '--local-durability', 'process')
  await overHttp(gateway)
  await gateway.stop()
})

test('workers in Python and JavaScript compete for jobs over Redis, one is killed, and each job is done', limit, async () => {
  const redis = await Redis.start()
  const gateway = await start('--backplane', 'redis', '--redis-url', redis.url)
  await overHttp(gateway)
  await gateway.stop()
  await redis.stop()
})

test('so do those that speak to Redis themselves, beside one that does not', limit, async () => {
  const redis = await Redis.start()
  const gateway = await start('--backplane', 'redis', '--redis-url', redis.url)
  const workers = [...begin(pairs('redis_worker'), redis), ...begin(['worker.mjs'], gateway)]
  await compete(gateway, workers, async () => {
    await waits(gateway, 1)
    while ((await redis.say('PUBSUB', 'NUMSUB', 'madang:jobs'))[1] < workers.length) await pause(20)
  })
  await gateway.stop()
  await redis.stop()
})
