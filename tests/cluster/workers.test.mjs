// SPDX-License-Identifier: MIT
//
// Workers of three kinds at one queue over Redis: `madang worker` twice, and those in Python and JavaScript that
// speak to Redis themselves. They are killed and stopped; what became of every job is told by Redis.

import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'

import { Api } from '../lib/api.mjs'
import { Chatter } from '../lib/chatter.mjs'
import { Cluster } from '../lib/cluster.mjs'
import { DocWorker } from '../lib/doc_workers.mjs'
import { LeaseStory } from '../lib/lease_story.mjs'
import { freeze } from '../lib/program.mjs'
import { Redis } from '../lib/redis.mjs'
import { it } from '../lib/suite.mjs'
import { Worker } from '../lib/worker.mjs'

const torture = process.env.MADANG_TORTURE === '1'
const folder = mkdtempSync(join(tmpdir(), 'madang-workers-'))
after(() => rmSync(folder, { recursive: true }))

// The work of all: to say that it begins, a short while, and to say that it is done. In a job `wait` whoever has it
// first waits for a word in the list `go`, the next one in `go2`.
const work = {
  py: `note = {"id": job["id"], "delivery": job["deliveries"], "by": me, "token": job["token"], "failures": job["failures"]}
    server.xadd("log", {"what": "begin", **note})
    server.blpop(["go", "go2"][job["deliveries"] - 1]) if job["kind"] == "wait" else time.sleep(0.02)
    server.xadd("log", {"what": "done", **note})`,
  mjs: `const { id, deliveries, token, failures } = job
    const note = { id, delivery: deliveries, by: me, token, failures }
    const say = (what) => server.xadd('log', '*', ...Object.entries({ what, ...note }).flat())
    await say('begin')
    if (job.kind === 'wait') await server.duplicate().blpop(['go', 'go2'][deliveries - 1], 0)
    else await new Promise((settle) => setTimeout(settle, 20))
    await say('done')`,
}

// Written once: whoever runs it reads it as it goes.
function script(redis) {
  const path = join(folder, `${redis.port}.sh`)
  if (existsSync(path)) return path
  const text = `#!/bin/sh
cli() { redis-cli -p ${redis.port} "$@" >&2; }
say() { cli XADD log '*' what $1 id \${MADANG_JOB_ID#*:} delivery $MADANG_JOB_DELIVERY by $by; }
by=$1
say begin
if [ $MADANG_JOB_KIND = wait ]; then cli BLPOP go 0; else sleep 0.02; fi
say done
`
  writeFileSync(path, text, { mode: 0o755 })
  return path
}

let programs = 0

const kinds = {
  py: ({ redis }, lease) => direct('redis_worker.py', 'py', redis, lease),
  mjs: ({ redis }, lease) => direct('redis_worker.mjs', 'js', redis, lease),
  exec: ({ redis, gateways }) => {
    const by = `exec-${programs++}`
    const words = ['--exec', `${script(redis)} ${by}`, '--worker-exec-queues', 'work', '--worker-lease', '5s', '--webhook-timeout', '1s']
    return Object.assign(new Worker(gateways[programs % gateways.length], ...words), { by })
  },
}

function direct(name, language, redis, lease = 2000) {
  const worker = new DocWorker(name, redis, { lease, work })
  return Object.assign(worker, { by: `${language}-${worker.child.pid}` })
}

async function scene(body, args = ['--queue-backoff', '10ms'], options = {}) {
  const cluster = await Cluster.start(await Redis.start(), { gateways: 2, args, ...options })
  const story = await LeaseStory.watch(cluster.redis)
  try {
    await body(cluster, story, new Api(cluster.gateways[0]))
  } finally {
    story.close()
    await cluster.stop()
  }
}

async function put(api, count, kind = 'count') {
  const ids = []
  while (ids.length < count) {
    const jobs = Array.from({ length: Math.min(100, count - ids.length) }, (_, i) => ({ kind, data: ids.length + i }))
    ids.push(...(await api.ok('queue_put', { queue: 'work', jobs })).jobs.map(({ id }) => id.split(':')[1]))
  }
  return ids
}

const statsOf = (api) => api.ok('queue_stats', { queue: 'work' })

// Puts jobs as they are done, until there were so many and nobody needs more; resolves with their ids.
async function feed(api, count, wanted) {
  const ids = []
  while (ids.length < count || wanted()) {
    const { ready } = ids.length ? await statsOf(api) : { ready: 0 }
    if (ready < 100) ids.push(...(await put(api, 100)))
    else await pause(50)
  }
  return ids
}

// One that holds a job is killed -9, and another one of its kind begins.
async function replace(workers, i, kind, cluster, story) {
  const holds = (by) => story.leasesOf(by).some(({ done }) => !done)
  while (!holds(workers[i].by)) await story.news()
  await workers[i].kill()
  workers[i] = kinds[kind](cluster)
}

// `deaths`: how many at least, one after the other; with `rest` one every so many ms, as long as there are jobs.
async function compete(names, { count, deaths, rest }) {
  await scene(async (cluster, story, api) => {
    const workers = names.map((name) => kinds[name](cluster))
    let died = 0
    let fed = false
    try {
      const feeding = feed(api, count, () => died < deaths).finally(() => (fed = true))
      while (died < deaths || (rest && !fed)) {
        const i = died % names.length
        await Promise.all([replace(workers, i, names[i], cluster, story), pause(rest)])
        died++
      }
      const ids = await feeding
      while ((await statsOf(api)).acked < ids.length) await pause(50)
      await story.fence(cluster.redis)
      story.judge(ids)
      const { delivered, lapsed, failed, leased, ready, delayed, dead } = await statsOf(api)
      const leases = story.leases()
      const again = leases.filter(({ returned }) => !returned).length - ids.length
      assert.ok(again > 0, 'somebody died at work')
      assert.deepEqual({ delivered, lapsed, failed }, { delivered: leases.length, lapsed: again, failed: 0 })
      assert.deepEqual([leased, ready, delayed, dead], [0, 0, 0, 0])
    } finally {
      await Promise.all(workers.map((worker) => worker.kill()))
    }
  })
}

describe('workers at one queue', () => {
  it('do each job, none at once, and those of the dead', async () => {
    await compete(['exec', 'py', 'mjs', 'exec'], { count: torture ? 10_000 : 300, deaths: 4 })
  })

  const eight = ['py', 'mjs', 'exec', 'py', 'mjs', 'py', 'mjs', 'exec']
  if (torture)
    it('do so while eight of them die all the time', () => compete(eight, { count: 3000, deaths: 100, rest: 200 }))

  it('learn that they slept through the end of a lease', async () => {
    await Promise.all([sleepThrough('py', 'mjs'), sleepThrough('mjs', 'py'), sleepThrough('exec', 'py')])
  })

  it('in Python and JavaScript come back with the server', async () => {
    const redis = await Redis.start(['--appendonly', 'yes'])
    const cluster = await Cluster.start(redis, { gateways: 1 })
    const api = new Api(cluster.gateways[0])
    const workers = ['redis_worker.py', 'redis_worker.mjs'].map((name) => new DocWorker(name, redis))
    while (workers.some(({ done }) => done.length === 0)) await putAndWait(api)
    await cluster.outage(async () => {
      await redis.kill()
      await redis.restart()
    })
    await cluster.well()
    const before = workers.map(({ done }) => done.length)
    while (workers.some(({ done }, i) => done.length === before[i])) await putAndWait(api)
    await Promise.all(workers.map((worker) => worker.kill()))
    await cluster.stop()
  })
})

// The first one is stopped at work, until the second one has its job.
async function sleepThrough(first, second) {
  await scene(async (cluster, story, api) => {
    const sleeper = kinds[first](cluster)
    const workers = [sleeper]
    try {
      const ids = await put(api, 1, 'wait')
      while (story.leasesOf(sleeper.by).length === 0) await story.news()
      await freeze(sleeper.child)
      const other = kinds[second](cluster, 60_000)
      workers.push(other)
      while (story.leasesOf(other.by).length === 0) await story.news()
      await cluster.redis.say('RPUSH', 'go', 'on')
      sleeper.child.kill('SIGCONT')
      if (first !== 'exec') await said(sleeper, new RegExp(`^${ids[0]}: lease_lost$`, 'm'))
      ids.push(...(await put(api, 1))) // the other one is at work: this is for the sleeper
      while ((await statsOf(api)).acked < 1) await pause(20)
      await story.fence(cluster.redis)
      assert.deepEqual(ids.map((id) => story.jobs.get(id).gone), [0, 1])
      await cluster.redis.say('RPUSH', 'go2', 'on')
      while ((await statsOf(api)).acked < 2) await pause(20)
      await story.fence(cluster.redis)
      const holders = ids.map((id) => story.jobs.get(id).leases.map(({ by }) => by))
      assert.deepEqual(holders, [[sleeper.by, other.by], [sleeper.by]])
      story.judge(ids)
    } finally {
      await Promise.all(workers.map((worker) => worker.kill()))
    }
  })
}

async function putAndWait(api) {
  await put(api, 10)
  while ((await statsOf(api)).ready > 0) await pause(20)
}

// Resolves when a process has said this.
async function said(worker, pattern) {
  while (!pattern.test(worker.err)) await pause(20)
}

describe('jobs of clients over Redis', () => {
  const guest = (name) => ({ data: { guest: { key: `the-secret-key-of-${name}`, name } } })
  const rpc = async (c, method, data) => (await c.ok({ rpc: { method, data } })).data
  const submit = (c, data, when) => rpc(c, 'jobs.submit', { kind: 'publish', ...when, data: { channel: 'yard', data } })

  it('are published once, whichever gateway does it, and are seen and cancelled from all', async () => {
    const cluster = await Cluster.start(await Redis.start(), { gateways: 2, auth: 'guest', args: ['--jobs-per-user', '3'] })
    const [ann, other] = await Promise.all(cluster.gateways.map((gateway) => Chatter.join(gateway, guest('ann'))))
    const bob = await Chatter.join(cluster.gateways[1], guest('bob'))
    for (const c of [ann, other, bob]) await c.subscribe('yard')
    const api = new Api(cluster.gateways[0])
    await api.ok('queue_pause', { queue: '_clients' }) // until all has been looked at
    const before = Date.now()
    const { id } = await submit(ann, 'tea', { delay_ms: 300 })
    const late = await submit(other, 'never', { delay_ms: 3600_000 })
    const { id: third } = await submit(ann, 'cake', { delay_ms: 600 })
    assert.equal((await other.reply(other.command({ rpc: { method: 'jobs.submit', data: { kind: 'publish', data: { channel: 'yard', data: 4 } } } }))).value.error.code, 106)
    assert.equal((await rpc(ann, 'jobs.get', { id: late.id })).state, 'delayed')
    assert.deepEqual(await rpc(bob, 'jobs.cancel', { id: late.id }), { status: 'gone' }) // it is not bob's
    assert.deepEqual(await rpc(ann, 'jobs.cancel', { id: late.id }), { status: 'ok' })
    await api.ok('queue_resume', { queue: '_clients' })
    for (const c of [ann, other, bob]) {
      const pubs = [await c.pub('yard'), await c.pub('yard')]
      assert.deepEqual(pubs.map(({ offset }) => offset), [1, 2])
      assert.deepEqual(pubs.map(({ data }) => data).sort(), ['cake', 'tea']) // each gateway may take one
      assert.deepEqual(pubs.map(({ info, tags }) => [info.conn_info.name, tags.job]), [['ann', '1'], ['ann', '1']])
    }
    assert.ok(Date.now() >= before + 600, 'none is early')
    const keyed = (c) => rpc(c, 'jobs.submit', { kind: 'publish', key: 'k', delay_ms: 3600_000, data: { channel: 'yard', data: 'once' } })
    const [one, two] = await Promise.all([keyed(ann), keyed(other)]) // as after an answer that was lost
    assert.deepEqual([one.id, [one, two].filter(({ repeated }) => repeated).length], [two.id, 1])
    for (const one of [id, third]) while ((await rpc(other, 'jobs.get', { id: one })).state !== 'unknown') await pause(20)
    const { publications } = await bob.ok({ history: { channel: 'yard', limit: 10 } })
    assert.equal(publications.length, 2)
    for (const c of [ann, other, bob]) c.cut()
    await cluster.stop()
  })
})
