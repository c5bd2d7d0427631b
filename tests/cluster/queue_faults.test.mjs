// SPDX-License-Identifier: MIT
//
// Queues over Redis while everything goes wrong that can, one after the other, and nobody stops working: what
// all clients of two gateways wrote down is as promised.

import assert from 'node:assert/strict'
import { setTimeout as pause } from 'node:timers/promises'

import { Api } from '../lib/api.mjs'
import { Cluster } from '../lib/cluster.mjs'
import { FaultProxy } from '../lib/fault_proxy.mjs'
import { checkJobs } from '../lib/jobs_checker.mjs'
import { drained, JobsClient, queueEnd } from '../lib/jobs_client.mjs'
import { Redis } from '../lib/redis.mjs'
import { it } from '../lib/suite.mjs'

const torture = process.env.MADANG_TORTURE === '1'
const QUEUE = 'work'
const LIMITS = { max_failures: 30, max_deliveries: 60 }
const ARGS = ['--queue-backoff', '10ms', '--queue-backoff-max', '50ms', '--queue-max-failures', LIMITS.max_failures, '--queue-max-deliveries', LIMITS.max_deliveries,
  '--redis-appendfsync-always', 'on'].map(String)
const HASTY = ['--redis-command-timeout', '1s'] // where answers do not come
const PATIENT = ['--redis-command-timeout', '1m', '--api-timeout', '5m'] // where each comes, however slowly

// Two gateways, whose Redis is behind a proxy, with producers and workers who ask either.
class Scene {
  static async open(args) {
    const scene = new Scene()
    scene.redis = await Redis.start(['--appendonly', 'yes', '--appendfsync', 'always'])
    scene.proxy = await FaultProxy.start({ port: scene.redis.port })
    scene.cluster = await Cluster.start(scene.redis, { gateways: 2, url: scene.proxy.url, args: [...ARGS, ...args] })
    scene.log = []
    scene.enough = scene.over = false
    const client = () => new JobsClient(scene.log, () => scene.cluster.gateways[Math.floor(Math.random() * 2)])
    scene.clients = Array.from({ length: 6 }, client)
    scene.producing = scene.clients.slice(0, 2).map((one, i) => scene.#produce(one, 'ab'[i]))
    scene.working = scene.clients.slice(2).map((one) => one.work(QUEUE, () => scene.over, { lease_ms: 500 }))
    return scene
  }

  async #produce(client, name) {
    for (let n = 0; !this.enough; n++) {
      const job = [{}, { delay_ms: 40 }, { group: `${name}${n % 3}` }, { priority: n % 4 }, { max_failures: 2 }][n % 5]
      await client.insist(QUEUE, [{ key: `${name}${n}`, data: n, ...job }])
      await pause(5)
    }
  }

  // Some more jobs are done.
  async grown() {
    const acked = () => this.log.filter(({ op, result }) => op === 'ack' && result === 'ok').length
    for (const before = acked(); acked() < before + 8; ) await pause(5)
  }

  // What `fault` does to it; gives how many calls nobody knows the outcome of.
  async meanwhile(fault) {
    await this.grown()
    const from = this.log.length
    await fault(this)
    await this.cluster.well()
    await this.grown()
    return () => this.log.slice(from).filter(({ op, t1 }) => op !== 'nothing' && t1 === null).length
  }

  async close() {
    this.enough = true
    await Promise.all(this.producing)
    const api = new Api(this.cluster.gateways[0])
    await drained(api, QUEUE)
    this.over = true
    await Promise.all(this.working)
    return checkJobs(this.log, { ...(await queueEnd(api, QUEUE)), ...LIMITS })
  }

  async end() {
    this.enough = this.over = true
    await Promise.allSettled([...this.producing, ...this.working])
    for (const client of this.clients) client.close()
    await this.cluster.stop()
    await this.proxy.stop()
  }
}

async function through(fault, { times = 1, args = HASTY } = {}) {
  const scene = await Scene.open(args)
  try {
    const unknown = []
    for (let i = 0; i < times; i++) unknown.push(await scene.meanwhile(fault))
    const numbers = await scene.close()
    return { ...numbers, unknown: unknown.reduce((sum, count) => sum + count(), 0) }
  } finally {
    await scene.end()
  }
}

it('scripts, functions and statistics are forgotten: no caller notices', async () => { // R3
  const { unknown } = await through(async ({ redis }) => {
    for (const command of [['SCRIPT', 'FLUSH'], ['FUNCTION', 'FLUSH'], ['CONFIG', 'RESETSTAT'], ['SCRIPT', 'FLUSH', 'ASYNC']]) await redis.say(...command)
  }, { times: torture ? 50 : 5, args: PATIENT })
  assert.equal(unknown, 0)
})

it('the network cuts, delays, stalls, loses answers and stays half open: jobs are as promised', async () => { // R7
  const faults = [
    ({ proxy }) => proxy.cut(),
    ({ proxy }) => proxy.dropAfterExecution('commands'),
    ({ proxy }) => proxy.halfOpen('commands'),
    async ({ proxy }) => {
      proxy.delay('down', torture ? 2000 : 200)
      await pause(torture ? 5000 : 500)
      proxy.delay('down', 0)
    },
    async ({ proxy }) => {
      proxy.stall('down')
      await pause(torture ? 5000 : 300)
      proxy.flow()
    },
    async ({ proxy }) => {
      proxy.refuse()
      proxy.cut()
      await pause(torture ? 2000 : 100)
      proxy.accept()
    },
  ]
  const { unknown } = await through(async (scene) => {
    for (const fault of faults) {
      await fault(scene)
      await scene.cluster.well()
      await scene.grown()
    }
  }, { times: torture ? 10 : 1 })
  assert.ok(unknown > 0, 'nothing was tried')
})

it('redis-server is killed, shut down while it rewrites its file, or stands still: jobs are as promised', async () => { // R1, R2, R8
  const { unknown } = await through(async (scene) => {
    const { cluster, redis } = scene
    await cluster.outage(() => redis.kill())
    await redis.restart()
    await cluster.well()
    await scene.grown()
    await redis.say('BGREWRITEAOF')
    await cluster.outage(async () => {
      redis.signal('SIGTERM')
      await redis.ended
    })
    await redis.restart()
    await cluster.well()
    await scene.grown()
    await redis.freeze()
    await pause(torture ? 5000 : 300)
    redis.signal('SIGCONT')
  }, { times: torture ? 25 : 1 })
  assert.ok(unknown > 0, 'nothing was tried')
})

it('a gateway is killed: those of the other notice nothing, and jobs are as promised', async () => { // S2
  await through(async ({ cluster }) => {
    await cluster.gateways[1].kill()
    await cluster.again(1)
  }, { times: torture ? 50 : 2 })
})
