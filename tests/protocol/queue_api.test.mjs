// SPDX-License-Identifier: MIT
// Queues over the server API: every method, every error, takes that wait, peers that leave.
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { Agent, request as httpRequest } from 'node:http'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after } from 'node:test'

import { Api, KEY, post } from '../lib/api.mjs'
import { startGateway } from '../lib/gateway.mjs'
import { it, suites } from '../lib/suite.mjs'

const torture = process.env.MADANG_TORTURE === '1'
const folder = mkdtempSync(join(tmpdir(), 'madang-queue-'))
after(() => rmSync(folder, { recursive: true }))
let files = 0
// The worker within would wait for jobs too.
const stored = () => ['--worker-enabled', 'off', '--store', join(folder, `${++files}.db`), '--local-durability', 'process', '--api-key', KEY]

let nth = 0
const fresh = () => `q${++nth}`
const kind = 'k'
const stats = (api, queue) => api.ok('queue_stats', { queue })
const settled = ({ jobs }) => jobs.map(({ status }) => status)

// Resolves when so many takes wait.
async function waiting(gateway, count) {
  while ((await gateway.metrics()).madang_queue_takes_waiting !== count) await new Promise((settle) => setTimeout(settle, 5))
}

// Who has failed waits for longer than it takes to look.
suites('queues', { args: [...stored(), '--queue-backoff', '1m'] }, (at) => {
  const api = () => new Api(at.gateway)
  const put = async (queue, ...jobs) => (await api().ok('queue_put', { queue, jobs: jobs.map((job) => ({ kind, ...job })) })).jobs
  const take = async (queue, more) => (await api().ok('queue_take', { queue, owner: 'w1', ...more })).jobs

  it('what is put is taken under a lease, and gone when acked', async () => {
    const queue = fresh()
    const [{ id, status }] = await put(queue, { data: { to: 'me' } })
    assert.equal(status, 'ok')
    const before = Date.now()
    const [job] = await take(queue, { lease_ms: 60_000 })
    assert.deepEqual(
      { ...job, token: '', created_at: 0, lease_until: 0 },
      { id, token: '', queue, kind, data: { to: 'me' }, priority: 0, deliveries: 1, failures: 0, created_at: 0, lease_until: 0 },
    )
    assert.ok(Math.abs(job.lease_until - before - 60_000) < 30_000)
    assert.deepEqual(await take(queue), [])
    const ack = { jobs: [{ id, token: job.token }] }
    assert.deepEqual(await api().ok('queue_ack', ack), { jobs: [{ id, status: 'ok' }] })
    assert.deepEqual(settled(await api().ok('queue_ack', ack)), ['gone'])
    const { ready, leased, acked } = await stats(api(), queue)
    assert.deepEqual([ready, leased, acked], [0, 0, 1])
  })

  it('data passes on byte for byte, without the line breaks between tokens', async () => {
    const queue = fresh()
    const body = `{"queue":"${queue}","jobs":[{"kind":"k","data":{\r\n"a" : 1.10,\n"b":[1e400,"line\\nbreak"]}},{"kind":"k"}]}`
    await api().ok('queue_put', body)
    const { body: text } = await post(at.gateway, '/api/queue_take', { queue, max: 2 })
    assert.ok(text.includes('"data":{"a" : 1.10,"b":[1e400,"line\\nbreak"]}'), text)
    assert.equal(JSON.parse(text).result.jobs[1].data, null)
  })

  it('data that would be too deep within an answer comes in base64, and its neighbours as they are', async () => {
    const queue = fresh()
    const [before, beyond] = [60, 61].map((depth) => '['.repeat(depth) + ']'.repeat(depth))
    await api().ok('queue_put', `{"queue":"${queue}","jobs":[{"kind":"k","data":${before}},{"kind":"k","data":${beyond}}]}`)
    const [first, second] = await take(queue, { max: 2 })
    assert.equal(JSON.stringify(first.data), before)
    assert.equal(Buffer.from(second.data_b64, 'base64').toString(), beyond)
  })

  it('one take serves several queues, and one ack jobs of them, in the order asked for', async () => {
    const [a, b] = [fresh(), fresh()]
    await put(b, { data: 'b1' })
    await put(a, { data: 'a2', priority: 2 }, { data: 'a1', priority: 1 })
    const { jobs } = await api().ok('queue_take', { queues: [a, b], max: 10 })
    assert.deepEqual(jobs.map(({ data }) => data), ['a1', 'a2', 'b1'])
    const mixed = [jobs[2], jobs[0], jobs[1]].map(({ id, token }) => ({ id, token }))
    const { jobs: acked } = await api().ok('queue_ack', { jobs: mixed })
    assert.deepEqual(acked, mixed.map(({ id }) => ({ id, status: 'ok' })))
  })

  it('each job of a put has an answer of its own', async () => {
    const queue = fresh()
    const jobs = await put(queue, { key: 'x' }, { key: 'x' }, { kind: '' }, { delay_ms: 1, group: 'g' }, { data: 'y'.repeat(300_000) })
    assert.deepEqual(settled({ jobs }), ['ok', 'repeated', 'bad', 'bad', 'too_big'])
    assert.deepEqual([jobs[2].error, jobs[3].error], ['kind must be 1 to 64 bytes of UTF-8', 'a job of a group cannot be delayed'])
    assert.equal(jobs[0].id, jobs[1].id)
    assert.equal((await api().ok('queue_put', { queue, jobs: [{ kind }] })).durable, 'os')
  })

  it('a lease can be extended, given back, or failed with words and a time', async () => {
    const queue = fresh()
    const [{ id }] = await put(queue, {})
    let [job] = await take(queue)
    const [longer] = (await api().ok('queue_extend', { jobs: [{ id, token: job.token, lease_ms: 90_000 }] })).jobs
    assert.equal(longer.status, 'ok')
    assert.ok(longer.lease_until > job.lease_until)
    assert.deepEqual(settled(await api().ok('queue_release', { jobs: [{ id, token: job.token }] })), ['ok'])
    ;[job] = await take(queue)
    assert.deepEqual([job.deliveries, job.failures], [2, 0])
    const fail = { jobs: [{ id, token: job.token, error: 'no route', delay_ms: 0 }] }
    assert.deepEqual(settled(await api().ok('queue_nack', { queue, ...fail })), ['ok'])
    assert.deepEqual(settled(await api().ok('queue_nack', fail)), ['lease_lost'])
    ;[job] = await take(queue)
    assert.deepEqual([job.id, job.deliveries, job.failures, job.error], [id, 3, 1, 'no route'])
    await api().ok('queue_nack', { jobs: [{ id, token: job.token }] }) // the queue's own time
    assert.equal((await api().ok('queue_get', { id })).state, 'delayed')
  })

  it('get tells the state of a job, and later its result', async () => {
    const queue = fresh()
    const get = (id) => api().ok('queue_get', { id })
    const [{ id }, { id: late }] = await put(queue, { data: [1] }, { delay_ms: 3_600_000 })
    assert.equal((await get(id)).state, 'ready')
    assert.ok((await get(late)).due_at > Date.now())
    const [{ token }] = await take(queue)
    const leased = await get(id)
    assert.deepEqual([leased.state, leased.data, leased.token], ['leased', [1], undefined])
    await api().ok('queue_ack', { jobs: [{ id, token, result: { sum: 3 } }] })
    const done = await get(id)
    assert.deepEqual([done.state, done.result], ['done', { sum: 3 }])
    assert.deepEqual(settled(await api().ok('queue_cancel', { jobs: [{ id: late }, { id }] })), ['ok', 'gone'])
    assert.deepEqual(await get(late), { id: late, state: 'unknown' })
  })

  it('the dead are listed by pages, tried again and purged', async () => {
    const queue = fresh()
    await put(queue, { data: 1 }, { data: 2 }, { data: 3 })
    const jobs = await take(queue, { max: 3 })
    await api().ok('queue_nack', { jobs: jobs.map(({ id, token }) => ({ id, token, fatal: true, error: 'never' })) })
    const first = await api().ok('queue_dead', { queue, limit: 2 })
    assert.deepEqual(first.jobs.map(({ data, reason, error }) => [data, reason, error]), [[1, 'rejected', 'never'], [2, 'rejected', 'never']])
    const rest = await api().ok('queue_dead', { queue, after: first.jobs[1].id })
    assert.deepEqual(rest.jobs.map(({ data }) => data), [3])
    assert.deepEqual(await api().ok('queue_retry', { queue, ids: [jobs[1].id] }), { changed: 1, repeated: 0 })
    assert.equal((await take(queue))[0].data, 2)
    assert.deepEqual(await api().ok('queue_purge', { queue, limit: 100 }), { changed: 2 })
    assert.equal((await stats(api(), queue)).dead, 0)
  })

  it('of several dead with one key one is tried again, and that is said', async () => {
    const queue = fresh()
    for (let i = 0; i < 3; i++) {
      await put(queue, { data: i, key: 'k' })
      const [{ id, token }] = await take(queue)
      await api().ok('queue_nack', { jobs: [{ id, token, fatal: true }] })
    }
    assert.deepEqual(await api().ok('queue_retry', { queue, limit: 100 }), { changed: 1, repeated: 2 })
    assert.equal((await stats(api(), queue)).dead, 2)
    const { jobs: [again] } = await api().ok('queue_put', { queue, jobs: [{ kind: 'k', key: 'k' }] })
    assert.equal(again.status, 'repeated')
  })

  it('pause hands nothing out, drain takes nothing in, resume ends both', async () => {
    const queue = fresh()
    await put(queue, {})
    await api().ok('queue_pause', { queue })
    assert.deepEqual(await take(queue), [])
    await api().ok('queue_drain', { queue })
    assert.deepEqual(settled({ jobs: await put(queue, {}) }), ['draining'])
    const { paused, draining } = await stats(api(), queue)
    assert.ok(paused && draining)
    await api().ok('queue_resume', { queue })
    assert.equal((await take(queue)).length, 1)
    const { queues } = await api().ok('queue_stats')
    assert.ok(queues.some((one) => one.queue === queue && one.leased === 1))
  })

  it('what cannot be understood is refused as a whole', async () => {
    const queue = fresh()
    const [{ id }] = await put(queue, {})
    const wrong = {
      queue_put: [{}, { queue }, { queue, jobs: [] }, { queue, jobs: [1] }, { jobs: [{ kind }] }, { queue, jobs: [{ kind, priority: 'high' }] }, { queue, jobs: [{ kind, key_mode: 'x' }] }],
      queue_take: [{}, { queue, max: 257 }, { queue, wait_ms: 30_001 }, { queue, lease_ms: 43_200_001 }, { queue, queues: [queue] }, { queues: [] }, { queues: [1] }, { queue: 'n'.repeat(65) }],
      queue_ack: [{}, { jobs: [{}] }, { jobs: [{ id: 'x' }] }, { jobs: [{ id: `${queue}:x` }] }, { queue: 'other', jobs: [{ id }] }, { jobs: [{ id: `${queue}:9007199254740992` }] }],
      queue_extend: [{ jobs: [{ id, lease_ms: 43_200_001 }] }],
      queue_get: [{}, { id: queue }, { id: ':1' }],
      queue_dead: [{}, { queue, limit: 257 }, { queue, after: 'other:1' }],
      queue_retry: [{ queue }, { queue, ids: [id], limit: 1 }, { queue, ids: ['other:1'] }],
      queue_purge: [{ queue }, { limit: 1 }],
      queue_pause: [{}],
    }
    for (const [method, all] of Object.entries(wrong)) {
      for (const params of all) assert.match((await api().fails(method, params, 107)).message, /^bad request: ./, `${method} ${JSON.stringify(params)}`)
    }
    const said = async (method, params) => (await api().fails(method, params, 107)).message.slice('bad request: '.length)
    assert.equal(await said('queue_put', { queue, jobs: [{ kind, delay_ms: '5' }] }), 'delay_ms must be a whole number, not below 0')
    assert.equal(await said('queue_take', { queue, lease_ms: 43_200_001 }), 'lease_ms must be 1 to 43200000 (12 hours)')
    assert.equal(await said('queue_ack', { jobs: [{ id: 7 }] }), 'id must be a string')
    await api().fails('queue_ack', { jobs: Array(257).fill({ id }) }, 106)
    assert.deepEqual(settled(await api().ok('queue_ack', { jobs: [{ id, token: 'none' }] })), ['lease_lost'])
  })

  it('a take that waits is answered when there is something, or with nothing in the end', async () => {
    const queue = fresh()
    const took = take(queue, { wait_ms: 30_000 })
    await waiting(at.gateway, 1)
    await put(queue, { data: 'now' })
    assert.equal((await took)[0].data, 'now')
    assert.deepEqual(await take(queue, { wait_ms: 50 }), [])
  })

  it('who goes while waiting leaves nothing leased', async () => {
    const queue = fresh()
    const socket = connect(at.gateway.port, at.gateway.host)
    const body = JSON.stringify({ queue, wait_ms: 30_000, lease_ms: 600_000 })
    socket.write(`POST /api/queue_take HTTP/1.1\r\nHost: localhost\r\nX-API-Key: ${KEY}\r\nContent-Length: ${body.length}\r\n\r\n${body}`)
    await waiting(at.gateway, 1)
    socket.destroy()
    await waiting(at.gateway, 0)
    await put(queue, {})
    assert.equal((await stats(api(), queue)).ready, 1)
  })

  it('takes may wait in a batch too, one behind the other', async () => {
    const [a, b] = [fresh(), fresh()]
    await put(b, { data: 2 })
    const commands = [{ queue_take: { queue: a, wait_ms: 50 } }, { queue_take: { queue: b, wait_ms: 50 } }]
    const { replies } = await api().ok('batch', { commands })
    assert.deepEqual([replies[0].queue_take.jobs.length, replies[1].queue_take.jobs[0].data], [0, 2])
  })
})

it('of many takes that wait one is woken by a put, and the end of the gateway answers the others', async () => {
  const gateway = await startGateway(stored(), { hubs: 2 })
  const api = new Api(gateway)
  const count = torture ? 1000 : 300 // they wait for 30 s: all have to come meanwhile
  const agent = new Agent({ keepAlive: false, maxSockets: Infinity })
  const body = JSON.stringify({ queue: 'work', wait_ms: 30_000 })
  const headers = { 'X-API-Key': KEY, 'Content-Length': body.length }
  const poll = () =>
    new Promise((settle, fail) => {
      const asked = httpRequest({ host: gateway.host, port: gateway.port, path: '/api/queue_take', method: 'POST', headers, agent }, (answer) => {
        let text = ''
        answer.on('data', (more) => (text += more))
        answer.on('end', () => settle(JSON.parse(text).result.jobs.length))
      })
      asked.on('error', fail)
      asked.end(body)
    })
  const polls = []
  for (let i = 0; i < count; i++) {
    polls.push(poll())
    if (i % 100 === 99) await waiting(gateway, i + 1)
  }
  const { madang_queue_takes_woken_total: before, process_cpu_seconds_total: cpu } = await gateway.metrics()
  const began = performance.now()
  await new Promise((settle) => setTimeout(settle, 500))
  const share = ((await gateway.metrics()).process_cpu_seconds_total - cpu) / ((performance.now() - began) / 1000)
  assert.ok(share < 0.25, `waiting takes ${share} of a core`) // with sanitizers, and two looks at the metrics
  await api.ok('queue_put', { queue: 'work', jobs: [{ kind }] })
  assert.equal(await Promise.race(polls), 1)
  assert.equal((await gateway.metrics()).madang_queue_takes_woken_total - before, 1)
  const ended = gateway.stop()
  const lengths = await Promise.all(polls)
  assert.equal(lengths.reduce((sum, n) => sum + n), 1)
  await ended
})

it('more takes than may wait are told to come again', async () => {
  const gateway = await startGateway([...stored(), '--queue-waits', '1'])
  const api = new Api(gateway)
  const first = api.ok('queue_take', { queue: 'work', wait_ms: 30_000 })
  await waiting(gateway, 1)
  await api.fails('queue_take', { queue: 'work', wait_ms: 1 }, 111)
  assert.deepEqual(await api.ok('queue_take', { queue: 'work' }), { jobs: [] })
  await api.ok('queue_put', { queue: 'work', jobs: [{ kind }] })
  assert.equal((await first).jobs.length, 1)
  await gateway.stop()
})

it('a queue has the rules of its section, others those of [queue], and new ones after a reload', async () => {
  const file = join(folder, 'rules.ini')
  const rules = (small, others) => writeFileSync(file, `[queue small]\nmax_jobs = ${small}\n[queue]\nmax_jobs = ${others}\n`)
  rules(1, 2)
  const gateway = await startGateway([...stored(), '--config', file])
  const api = new Api(gateway)
  const put = async (queue) => settled(await api.ok('queue_put', { queue, jobs: [{ kind }, { kind }, { kind }] }))
  assert.deepEqual(await put('small'), ['ok', 'full', 'full'])
  assert.deepEqual(await put('other'), ['ok', 'ok', 'full'])
  rules(2, 2)
  await gateway.reload()
  assert.deepEqual(await put('small'), ['ok', 'full', 'full'])
  await gateway.stop()
})

it('a key without the scope for jobs may do nothing here', async () => {
  const keys = join(folder, 'keys')
  writeFileSync(keys, 'reader read publish\nworker jobs\n')
  const gateway = await startGateway([...stored(), '--api-key-file', keys])
  const [reader, worker] = ['reader', 'worker'].map((key) => new Api(gateway, { key }))
  await reader.fails('queue_put', { queue: 'work', jobs: [{ kind }] }, 103)
  await worker.ok('queue_put', { queue: 'work', jobs: [{ kind }] })
  await worker.fails('publish', { channel: 'r', data: 1 }, 103)
  await gateway.stop()
})

it('without a store there are no queues, and it is said why', async () => {
  const gateway = await startGateway(['--api-key', KEY])
  const { message } = await new Api(gateway).fails('queue_put', { queue: 'work', jobs: [{ kind }] }, 108)
  assert.match(message, /no queues/)
  await gateway.stop()
})
