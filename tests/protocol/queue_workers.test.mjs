// SPDX-License-Identifier: MIT
// The workers of docs/QUEUE.md, as they stand there, compete for jobs, over a store and over Redis.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'

import { Api, KEY } from '../lib/api.mjs'
import { startGateway } from '../lib/gateway.mjs'
import { Redis } from '../lib/redis.mjs'

const torture = process.env.MADANG_TORTURE === '1'
// A bound against hanging.
const limit = { timeout: torture ? 600_000 : 60_000 }
const folder = mkdtempSync(join(tmpdir(), 'madang-workers-'))
after(() => rmSync(folder, { recursive: true }))

const text = readFileSync(new URL('../../docs/QUEUE.md', import.meta.url), 'utf8')
const programs = {}
for (const [language, program, name] of [['python', 'python3', 'worker.py'], ['js', process.execPath, 'worker.mjs']]) {
  const code = new RegExp('^```' + language + '\\n([^]*?)^```', 'm').exec(text)[1]
  const path = join(folder, name)
  writeFileSync(path, code)
  programs[language] = [program, path]
}

class Worker {
  constructor(gateway, language) {
    const [program, path] = programs[language]
    const env = { PATH: process.env.PATH, MADANG_URL: `http://127.0.0.1:${gateway.port}`, MADANG_API_KEY: KEY, LEASE_MS: '1000' }
    this.child = spawn(program, [path], { env, stdio: ['ignore', 'pipe', 'inherit'] })
    this.out = ''
    this.child.stdout.on('data', (more) => (this.out += more))
    this.ended = new Promise((settle) => this.child.on('close', settle))
  }

  // What it did: [id, deliveries, data] each.
  get done() {
    return this.out.split('\n').slice(0, -1).map((line) => line.split(' '))
  }

  async kill() {
    this.child.kill('SIGKILL')
    await this.ended
  }
}

async function compete(args) {
  const gateway = await startGateway(['--api-key', KEY, '--queue-backoff', '10ms', ...args])
  const api = new Api(gateway)
  const count = torture ? 10_000 : 200
  const workers = ['python', 'js', 'python', 'js'].map((language) => new Worker(gateway, language))
  const [killed] = workers
  const pause = () => new Promise((settle) => setTimeout(settle, 20))
  try {
    while ((await gateway.metrics()).madang_queue_takes_waiting < workers.length) await pause()
    for (let first = 0; first < count; first += 100) {
      const jobs = Array.from({ length: 100 }, (_, i) => ({ kind: 'count', data: first + i }))
      await api.ok('queue_put', { queue: 'work', jobs })
      if (first + 100 === count / 2) await killed.kill()
    }
    const all = () => workers.flatMap(({ done }) => done)
    while ((await api.ok('queue_stats', { queue: 'work' })).acked < count) await pause()
    const leases = all().map(([id, deliveries]) => `${id} ${deliveries}`)
    assert.equal(new Set(leases).size, leases.length, 'a lease was held by two')
    assert.deepEqual([...new Set(all().map(([, , data]) => Number(data)))].sort((a, b) => a - b), [...Array(count).keys()])
    for (const worker of workers.slice(2)) assert.ok(worker.done.length > 0)
    const { ready, leased, delayed, dead } = await api.ok('queue_stats', { queue: 'work' })
    assert.deepEqual([ready, leased, delayed, dead], [0, 0, 0, 0])
  } finally {
    await Promise.all(workers.map((worker) => worker.kill()))
  }
  await gateway.stop()
}

test('workers in Python and JavaScript compete for jobs of a store, one is killed, and each job is done', limit, () =>
  compete(['--store', join(folder, 'a.db'), '--local-durability', 'process']))

test('workers in Python and JavaScript compete for jobs over Redis, one is killed, and each job is done', limit, async () => {
  const redis = await Redis.start()
  try {
    await compete(['--backplane', 'redis', '--redis-url', redis.url])
  } finally {
    await redis.stop()
  }
})
