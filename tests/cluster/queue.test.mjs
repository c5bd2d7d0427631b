// SPDX-License-Identifier: MIT
//
// Queues over Redis as other programs use them, by the functions that docs/QUEUE.md names: without a gateway
// in between, in the words and in the order that are written there.

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { describe } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'

import { Api } from '../lib/api.mjs'
import { Cluster } from '../lib/cluster.mjs'
import { FaultProxy } from '../lib/fault_proxy.mjs'
import { Redis } from '../lib/redis.mjs'
import { RedisClient } from '../lib/redis_client.mjs'
import { it } from '../lib/suite.mjs'

const doc = readFileSync(new URL('../../docs/QUEUE.md', import.meta.url), 'utf8')
const lua = (name) => readFileSync(new URL(`../../backplane/lua/${name}.lua`, import.meta.url), 'utf8')

const parts = ['queue', ...['job', 'data', 'ready', 'lease', 'delayed', 'expire', 'group', 'blocked', 'key', 'ends', 'result', 'dead', 'buried'].map((part) => `queue.${part}`)]
const keysOf = (...queues) => ['madang:jobs', 'madang:queues', 'madang:queues.due', ...queues.flatMap((queue) => parts.map((part) => `madang:${part}:${queue}`))]

// What a program of few lines needs.
class Worker {
  constructor(client, queue = 'work') {
    this.client = client
    this.queue = queue
    this.keys = keysOf(queue)
  }

  call(name, ...args) {
    return this.client.say('FCALL', `madang_queue_${name}`, this.keys.length, ...this.keys, ...args)
  }

  async put(...jobs) {
    const words = jobs.flatMap(({ kind = 'k', data = '', ...options }) => [kind, data, Object.keys(options).length ? JSON.stringify(options) : ''])
    const [due, ready, ...answers] = await this.call('put', 'test', this.queue, '', ...words)
    return { due, ready, jobs: pairs(answers).map(([status, id]) => ({ status, id })) }
  }

  async take(max = 10, lease = 30_000) {
    const nonce = randomBytes(8).toString('hex')
    const [, more, ...jobs] = await this.call('take', 'test', 0, max, 0, lease, 'worker', nonce, this.queue, '')
    return { more, jobs: jobs.map(([queue, id, token, kind, data, deliveries, failures]) => ({ queue, id, token, kind, data, deliveries, failures })) }
  }

  async settle(verb, job, ms = '', text = '') {
    const [, , status, until] = await this.call('settle', 'test', this.queue, '', 0, verb, job.id, job.token ?? '', ms, text)
    return { status, until }
  }

  look(...args) {
    return this.call('look', this.queue, '', ...args)
  }

  async stats() {
    return Object.fromEntries(pairs(await this.look('stats', 0)))
  }
}

const pairs = (list) => Array.from({ length: list.length / 2 }, (_, i) => [list[2 * i], list[2 * i + 1]])

async function hasFunctions(redis) {
  while ((await redis.say('FUNCTION', 'LIST', 'LIBRARYNAME', 'madang_queue')).length === 0) await pause(20)
}

// One gateway gives the functions; what follows needs it no more.
async function scene(body, args = []) {
  const cluster = await Cluster.start(await Redis.start(args), { gateways: 1 })
  try {
    await hasFunctions(cluster.redis)
    const client = await RedisClient.connect(cluster.redis.port)
    await body(new Worker(client), cluster)
    client.close()
  } finally {
    await cluster.stop()
  }
}

describe('queues of other programs', () => {
  it('have the keys and the words that are written down', async () => {
    for (const key of keysOf('Q')) assert.ok(doc.includes(key.replace('madang', 'P')), key)
    await scene(async (worker) => {
      const { jobs, ready, due } = await worker.put(
        { kind: 'letter', data: '{"to":"ann"}', key: 'ann', priority: 1 },
        { data: 'second', group: 'g' },
        { data: 'third', group: 'g' },
        { data: 'later', delay_ms: 60_000 },
        { data: 'bad', delay_ms: 1, group: 'g' },
        { data: 'again', key: 'ann' },
      )
      assert.deepEqual(jobs.map(({ status }) => status), ['ok', 'ok', 'ok', 'ok', 'bad', 'repeated'])
      assert.equal(jobs[5].id, jobs[0].id)
      assert.equal(ready, 2)
      assert.ok(due > 50_000 && due <= 60_000)
      const taken = await worker.take()
      assert.deepEqual(taken.jobs.map(({ data }) => data), ['second', '{"to":"ann"}']) // by priority
      const [second, letter] = taken.jobs
      assert.deepEqual({ ...letter, id: 0, token: '' }, { queue: 'work', id: 0, token: '', kind: 'letter', data: '{"to":"ann"}', deliveries: 1, failures: 0 })
      assert.equal((await worker.settle('ack', { ...letter, token: `${letter.token}0` })).status, 'lease_lost')
      const extended = await worker.settle('extend', letter, 90_000)
      assert.ok(extended.until > Date.now() + 60_000)
      assert.equal((await worker.settle('ack', letter, '', '42')).status, 'ok')
      assert.deepEqual((await worker.look('get', letter.id)).slice(0, 3), ['done', letter.id, '42'])
      assert.equal((await worker.settle('ack', letter)).status, 'gone')
      assert.equal((await worker.settle('nack', second, 'fatal', 'no such person')).status, 'ok')
      const [[id, , data, , , , , group, , error, , death]] = await worker.look('dead', 0, 10)
      assert.deepEqual([id, data, group, error, death], [second.id, 'second', 'g', 'no such person', 'rejected'])
      assert.equal((await worker.take()).jobs[0].data, 'third')
      assert.deepEqual((await worker.call('pick', 'test', 'work', '', 'retry', 0, 0, 10)).slice(2), [1, 0])
      await worker.call('control', 'test', 'work', '', 'pause')
      const { put, acked, failed, paused, delayed, dead } = await worker.stats()
      assert.deepEqual({ put, acked, failed, paused, delayed, dead }, { put: 4, acked: 1, failed: 1, paused: 1, delayed: 1, dead: 0 })
      assert.equal((await worker.settle('cancel', { id: jobs[3].id })).status, 'ok')
    })
  })

  it('are called from a shell with the lines of the page', async () => {
    await scene(async (worker, { redis }) => {
      const [, block] = doc.match(/```sh\n(keys=[^]*?)```/)
      const lines = block.replace(/^redis-cli SUBSCRIBE.*$/m, '').replace(/^redis-cli .*ack ID TOKEN.*$/m, '').replaceAll('5000', '0')
      const out = execFileSync('bash', ['-ec', lines.replaceAll('redis-cli', `redis-cli -p ${redis.port}`)], { encoding: 'utf8' })
      assert.match(out, /ok[^]*letter[^]*"?\{"to":"ann"\}[^]*leased\n1\n/)
      const ack = block.match(/^redis-cli (.*ack ID TOKEN.*)$/m)[1]
      const [, id, token] = out.match(/(\d{16})\n(\d+\.[0-9a-f]{16})/)
      const words = `${block.slice(0, block.indexOf('\n\n'))}\nredis-cli -p ${redis.port} ${ack.replace('ID', id).replace('TOKEN', token)}`
      assert.match(execFileSync('bash', ['-ec', words], { encoding: 'utf8' }), /^ok$/m)
    })
  })

  it('are told on a channel of what becomes ready, by a gateway of what becomes due', async () => {
    await scene(async (worker, { redis }) => {
      const listener = await RedisClient.connect(redis.port)
      await listener.say('SUBSCRIBE', 'madang:jobs')
      await worker.put({ data: 'now' })
      await worker.put({ data: 'and another' }) // there was one already: nothing new is told
      assert.equal((await worker.take()).jobs.length, 2)
      await worker.put({ delay_ms: 100 })
      while (listener.pushes.length < 2) await pause(20)
      const [first, second] = listener.pushes.map(([, , text]) => text)
      assert.equal(first, 'test 1 work')
      assert.match(second, /^[0-9a-f]{16} 1 work$/) // whoever made it ready was the gateway
      assert.equal((await worker.take()).jobs.length, 1)
      listener.close()
    })
  })

  it('have their functions again after the server forgot them, and after it came back empty', async () => {
    await scene(async (worker, { redis }) => {
      await redis.say('FUNCTION', 'FLUSH')
      await assert.rejects(worker.put({}), /Function not found/)
      await redis.kill()
      await redis.restart()
      await hasFunctions(redis)
      const client = await RedisClient.connect(redis.port)
      assert.equal((await new Worker(client).put({})).jobs[0].status, 'ok')
      client.close()
    })
  })

  it('refuse nonsense, and change nothing then', async () => {
    await scene(async (worker, { redis }) => {
      const none = new Worker(worker.client, '')
      await assert.rejects(none.put({}), /1 to 64 bytes/)
      const words = Array.from({ length: 257 }, () => ['k', 'd', '']).flat()
      await assert.rejects(worker.call('put', 'test', 'work', '', ...words), /more than 256/)
      await assert.rejects(worker.call('settle', 'test', 'work', '', 0, 'eat', 1, '', '', ''), /unknown verb/)
      for (const options of ['{', '[1]x', '"text"', '{"priority":4}', '{"priority":0.5}', '{"delay_ms":-1}', '{"key":7}', '{"again":true}', `{"group":"${'g'.repeat(256)}"}`])
        assert.deepEqual((await worker.call('put', 'test', 'work', '', 'k', 'd', options)).slice(2), ['bad', 0], options)
      assert.equal((await worker.stats()).put, 0)
      assert.equal(await redis.say('HLEN', 'madang:queue.job:work'), 0)
    })
  })

  it('need no more rights than the page of the backplane names', async () => {
    const backplane = readFileSync(new URL('../../docs/BACKPLANE.md', import.meta.url), 'utf8')
    const least = backplane.match(/^ {4}(ACL SETUSER madang .* -@all .*)$/m)[1].replace('PASSWORD', 'right')
    const redis = await Redis.start()
    try {
      await redis.say(...least.split(' '))
      const client = await RedisClient.connect(redis.port)
      await client.say('AUTH', 'madang', 'right')
      const run = (name, keys, ...args) => client.say('EVAL', `#!lua\n${lua('queue')}${lua('queue_job')}${lua(`queue_${name}`)}`, keys.length, ...keys, ...args)
      const keys = keysOf('q')
      await run('put', keys, 'me', 'q', '', 'k', 'd', '{"key":"a","group":"g","ttl_ms":90000}', 'k', 'd', '{"group":"g"}', 'k', 'd', '{"delay_ms":1}')
      await pause(5)
      await run('sweep', keys, 'me', 'q', 0)
      const [, , [, id, token]] = await run('take', keys, 'me', 0, 1, 0, 60_000, 'w', '0123456789abcdef', 'q', '')
      assert.deepEqual((await run('settle', keys, 'me', 'q', '', 0, 'nack', id, token, 'fatal', '')).slice(2), ['ok', 0])
      await run('pick', keys, 'me', 'q', '', 'retry', 0, 0, 9)
      const [, , [, next, lease]] = await run('take', keys, 'me', 0, 1, 0, 60_000, 'w', '0123456789abcdef', 'q', '')
      assert.deepEqual((await run('settle', keys, 'me', 'q', '', 0, 'ack', next, lease, '', 'well')).slice(2), ['ok', 0])
      await run('look', keys, 'q', '', 'dead', 0, 9)
      await run('look', keys, 'q', '', 'get', next)
      await run('look', keys, 'q', '', 'stats', 1)
      await run('control', keys, 'me', 'q', '', 'resume')
      await run('due', keys.slice(0, 3), 0, 16)
      client.close()
    } finally {
      await redis.stop()
    }
  })
})

describe('queues of gateways', () => {
  it('are the same on all, and one that waits hears what another takes in', async () => {
    const cluster = await Cluster.start(await Redis.start(), { gateways: 2 })
    try {
      const [a, b] = cluster.gateways.map((gateway) => new Api(gateway))
      const waiting = b.ok('queue_take', { queue: 'work', max: 10, lease_ms: 30_000, wait_ms: 30_000, owner: 'w' })
      await pause(50)
      const { jobs } = await a.ok('queue_put', { queue: 'work', jobs: [{ kind: 'k', data: { n: 1 } }] })
      const taken = await waiting
      assert.deepEqual(taken.jobs.map(({ id, data }) => ({ id, data })), [{ id: jobs[0].id, data: { n: 1 } }])
      const [{ id, token }] = taken.jobs
      assert.equal((await a.ok('queue_ack', { jobs: [{ id, token }] })).jobs[0].status, 'ok')
      assert.equal((await b.ok('queue_ack', { jobs: [{ id, token }] })).jobs[0].status, 'gone')
    } finally {
      await cluster.stop()
    }
  })

  // R7: whatever became of the first, saying it again is right.
  it('are asked again when an answer was lost: nothing is put twice, and an ack was done', async () => {
    const redis = await Redis.start()
    const proxy = await FaultProxy.start({ port: redis.port })
    const cluster = await Cluster.start(redis, { gateways: 1, url: `redis://127.0.0.1:${proxy.port}` })
    try {
      const api = new Api(cluster.gateways[0])
      const again = async (method, params) => {
        for (;;) {
          const { result, error } = await api.call(method, params)
          if (result) return result
          assert.equal(error.code, 100)
          await pause(20)
        }
      }
      const ids = new Set()
      for (let i = 0; i < 3; i++) {
        const dropped = proxy.dropAfterExecution('commands')
        const { jobs } = await again('queue_put', { queue: 'work', jobs: [{ kind: 'k', data: i, key: `k${i}` }] })
        await dropped
        ids.add(jobs[0].id)
      }
      await cluster.well()
      const taken = await again('queue_take', { queue: 'work', max: 10, lease_ms: 60_000, owner: 'w' })
      assert.deepEqual(new Set(taken.jobs.map(({ id }) => id)), ids)
      for (const { id, token } of taken.jobs) {
        const dropped = proxy.dropAfterExecution('commands')
        const { jobs } = await again('queue_ack', { jobs: [{ id, token }] })
        assert.match(jobs[0].status, /^(ok|gone)$/)
        await dropped
      }
      await cluster.well()
      assert.deepEqual((await again('queue_take', { queue: 'work', max: 10, lease_ms: 60_000, owner: 'w' })).jobs, [])
    } finally {
      await cluster.stop()
      await proxy.stop()
    }
  })
})
