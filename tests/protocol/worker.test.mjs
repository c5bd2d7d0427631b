// SPDX-License-Identifier: MIT
// The worker: webhooks and publications by the one within a gateway, programs by `madang worker`.
import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'

import { Api, KEY } from '../lib/api.mjs'
import { Chatter } from '../lib/chatter.mjs'
import { startGateway } from '../lib/gateway.mjs'
import { freePort } from '../lib/ports.mjs'
import { it } from '../lib/suite.mjs'
import { Target, Worker } from '../lib/worker.mjs'

const folder = mkdtempSync(join(tmpdir(), 'madang-worker-'))
after(() => rmSync(folder, { recursive: true }))

let files = 0
const newFile = (end) => join(folder, `${++files}.${end}`)
const near = ['--webhook-allow-networks', '127.0.0.1']

async function start(...args) {
  const gateway = await startGateway(['--store', newFile('db'), '--api-key', KEY, ...args])
  gateway.api = new Api(gateway)
  return gateway
}

async function put(gateway, queue, job) {
  const { jobs } = await gateway.api.ok('queue_put', { queue, jobs: [{ kind: 'test', ...job }] })
  assert.equal(jobs[0].status, 'ok')
  return jobs[0].id
}

// Looks at the job until it is in that state: each look is a round trip.
async function become(gateway, id, state) {
  for (;;) {
    const job = await gateway.api.ok('queue_get', { id })
    if (job.state === state) return job
    await pause(20)
  }
}

it('a webhook is called, signed, until it is taken', async () => {
  const secret = 'a secret of the tests'
  const statuses = [429, 500, 200]
  const target = await Target.open((request, response, n) => {
    response.writeHead(statuses[n - 1], n === 1 ? { 'Retry-After': '1' } : {})
    response.end('so it is')
  })
  const gateway = await start(...near, '--webhook-secret', secret)
  const id = await put(gateway, '_webhook', { data: { url: `${target.url}/hook?a=1`, body: { text: '말' }, headers: { 'X-Own': 'yes' } } })
  const last = await target.request(3)
  await become(gateway, id, 'unknown')
  for (const [i, request] of target.requests.entries()) {
    const { headers, body } = request
    assert.deepEqual([request.method, request.path], ['POST', '/hook?a=1'])
    assert.equal(body.toString(), '{"text":"말"}')
    assert.deepEqual([headers['x-own'], headers['idempotency-key'], headers['x-delivery']], ['yes', id, String(i + 1)])
    const text = `${headers['webhook-id']}.${headers['webhook-timestamp']}.`
    assert.equal(headers['webhook-signature'], `v1,${createHmac('sha256', secret).update(text).update(body).digest('base64')}`)
  }
  const [first, second] = target.requests
  assert.ok(second.at - first.at >= 1000, 'Retry-After is kept')
  assert.ok(last.at - second.at >= 1000, 'the second failure is waited for, 1 to 2 s')
  const metrics = await gateway.metrics()
  assert.equal(metrics.madang_worker_jobs_held, 0)
  assert.equal(metrics.madang_worker_jobs_total, 3)
  await gateway.stop()
  await target.close()
})

it('what cannot be called is dead, and says why', async () => {
  const target = await Target.open((request, response) => response.writeHead(404).end('nobody'))
  const gateway = await start('--webhook-allow-networks', '127.0.0.2')
  const refused = await put(gateway, '_webhook', { data: { url: target.url } })
  assert.match((await become(gateway, refused, 'dead')).error, /private or reserved/)
  assert.equal(target.requests.length, 0)
  const nonsense = await put(gateway, '_webhook', { data: 7 })
  assert.match((await become(gateway, nonsense, 'dead')).error, /the data is not/)
  await gateway.stop()
  const open = await start(...near)
  const gone = await put(open, '_webhook', { data: { url: target.url } })
  const job = await become(open, gone, 'dead')
  assert.deepEqual([job.reason, job.error, job.deliveries], ['rejected', 'the answer is 404: nobody', 1])
  await open.stop()
  await target.close()
})

it('at the end of a gateway a call that takes too long is given back, and that is no failure', async () => {
  const store = newFile('db')
  const target = await Target.open((request, response, n) => (n === 1 ? undefined : response.end()))
  const args = ['--store', store, '--api-key', KEY, ...near, '--worker-grace', '200ms']
  let gateway = await startGateway(args)
  gateway.api = new Api(gateway)
  const id = await put(gateway, '_webhook', { data: { url: target.url }, max_failures: 1 })
  await target.request(1)
  await gateway.stop()
  gateway = await startGateway(args)
  gateway.api = new Api(gateway)
  assert.equal((await target.request(2)).headers['x-delivery'], '2')
  await become(gateway, id, 'unknown')
  await gateway.stop()
  await target.close()
})

it('an application has something published at a time', async () => {
  const gateway = await start()
  const c = await Chatter.join(gateway)
  await c.subscribe('yard')
  const at = Date.now() + 400
  await put(gateway, '_publish', { at_ms: at, data: { channel: 'yard', data: { good: 'morning' } } })
  const pub = await c.pub('yard')
  assert.ok(Date.now() >= at)
  assert.deepEqual([pub.data, pub.info], [{ good: 'morning' }, undefined])
  const wrong = await put(gateway, '_publish', { data: { channel: 'nowhere:yard', data: 1 } })
  assert.match((await become(gateway, wrong, 'dead')).error, /no such room/)
  await gateway.stop()
})

it('a program is run for each job: data in, result out, nothing else within reach', async () => {
  const gateway = await start()
  const script = newFile('sh')
  writeFileSync(script, '#!/bin/sh\nread data\nenv | grep -E "^(WORKER|MADANG)" | sort\necho "$1 $data"\ncase $data in *bad*) echo oh no >&2; exit 65;; esac\n', { mode: 0o755 })
  const worker = new Worker(gateway, '--exec', `${script} --fast`, '--worker-exec-queues', 'pictures', '--worker-exec-environment', 'WORKER_TEST')
  const id = await put(gateway, 'pictures', { kind: 'resize', data: { a: 1 } })
  const { result } = await become(gateway, id, 'done')
  const lines = [`MADANG_JOB_DELIVERY=1`, `MADANG_JOB_ID=${id}`, 'MADANG_JOB_KIND=resize', 'MADANG_JOB_QUEUE=pictures', 'WORKER_TEST=yes', '--fast {"a":1}']
  assert.equal(result, `${lines.join('\n')}\n`)
  const bad = await become(gateway, await put(gateway, 'pictures', { data: 'bad' }), 'dead')
  assert.deepEqual([bad.reason, bad.error], ['rejected', 'its exit code is 65: oh no\n'])
  await worker.stop()
  await gateway.stop()
})

it('what a program says is its result, whatever it is, up to what a queue keeps', async () => {
  const most = 64 * 1024
  const gateway = await start()
  const script = newFile('sh')
  writeFileSync(script, '#!/bin/sh\nread name\ncat "$(dirname "$0")/said.$(echo $name | tr -d \\")"\n', { mode: 0o755 })
  const says = { quotes: '"'.repeat(most), hangul: '말'.repeat(most), bytes: Buffer.alloc(most, 0xfe), nul: 'a\0b', deep: '['.repeat(63) + ']'.repeat(63), long: JSON.stringify('a'.repeat(most)) }
  for (const [name, said] of Object.entries(says)) writeFileSync(join(folder, `said.${name}`), said)
  const jobs = [...Object.keys(says), ...Array(20).fill('long')].map((data) => ({ kind: 'say', data }))
  const put = await gateway.api.ok('queue_put', { queue: 'said', jobs })
  const worker = new Worker(gateway, '--exec', script, '--worker-exec-queues', 'said', '--worker-exec-places', '30')
  const result = {}
  for (const [i, { id }] of put.jobs.entries()) result[jobs[i].data] = (await become(gateway, id, 'done')).result
  // As JSON no larger than that, and no character is cut: what is cut away is less than one.
  const size = (text) => Buffer.byteLength(JSON.stringify(text))
  for (const [name, character] of [['quotes', '"'], ['hangul', '말'], ['bytes', '\ufffd'], ['long', 'a']]) {
    const text = result[name].replace(/^"(?=a)/, '')
    assert.equal(text, character.repeat(text.length), name)
    assert.ok(size(result[name]) <= most && size(result[name] + character) > most, `${name}: ${size(result[name])}`)
  }
  assert.equal(result.nul, 'a\0b')
  assert.equal(result.deep, says.deep) // as text: as JSON it would be too deep within the call
  const { acked, failed, delivered } = await gateway.api.ok('queue_stats', { queue: 'said' })
  assert.deepEqual({ acked, failed, delivered }, { acked: jobs.length, failed: 0, delivered: jobs.length })
  assert.doesNotMatch(worker.log, / warn /)
  await worker.stop()
  await gateway.stop()
})

it('workers share the jobs, and do each once', async () => {
  const gateway = await start()
  const done = newFile('txt')
  const script = newFile('sh')
  writeFileSync(script, `#!/bin/sh\nread n\necho $n >>${done}\n`, { mode: 0o755 })
  const workers = [1, 2].map(() => new Worker(gateway, '--exec', script, '--worker-exec-queues', 'many'))
  const jobs = Array.from({ length: 40 }, (_, i) => ({ kind: 'n', data: i }))
  const put = await gateway.api.ok('queue_put', { queue: 'many', jobs })
  for (const { id } of put.jobs) await become(gateway, id, 'unknown')
  const lines = readFileSync(done, 'utf8').trim().split('\n')
  assert.deepEqual(lines.map(Number).sort((a, b) => a - b), jobs.map((job) => job.data))
  for (const worker of workers) await worker.stop()
  await gateway.stop()
})

it('a worker on the same machine goes through the file beside the store, and needs no key', async () => {
  const store = newFile('db')
  const gateway = await startGateway(['--store', store, '--api-key', KEY, '--worker-enabled', 'off', ...near])
  gateway.api = new Api(gateway)
  const target = await Target.open((request, response) => response.end())
  const worker = new Worker(null, '--store', store, ...near, '--exec', '/bin/cat', '--worker-exec-queues', 'q')
  assert.equal((await become(gateway, await put(gateway, 'q', { data: 1 }), 'done')).result, 1)
  await become(gateway, await put(gateway, '_webhook', { data: { url: target.url, body: 2 } }), 'unknown')
  assert.equal(target.requests[0].body.toString(), '2')
  await worker.stop()
  await gateway.stop()
  await target.close()
})

it('a worker that stops gives its job back at once; the job of one that is killed is done after its lease', async () => {
  const gateway = await start()
  const [began, pass] = [newFile('began'), newFile('pass')]
  const script = newFile('sh')
  writeFileSync(script, `#!/bin/sh\necho $$ >>${began}\nwhile ! [ -e ${pass} ]; do sleep 0.05; done\n`, { mode: 0o755 })
  const words = ['--exec', script, '--worker-exec-queues', 'slow', '--worker-grace', '100ms', '--worker-lease', '5s', '--webhook-timeout', '1s']
  const beginnings = async (n) => {
    while (!existsSync(began) || readFileSync(began, 'utf8').split('\n').length <= n) await pause(20)
    return Number(readFileSync(began, 'utf8').split('\n')[n - 1])
  }
  const running = (pid) => existsSync(`/proc/${pid}`)
  const id = await put(gateway, 'slow', { max_failures: 2 })
  const first = new Worker(gateway, ...words)
  const pid = await beginnings(1)
  await first.stop()
  assert.ok(!running(pid), 'the program ended with its worker')
  const second = new Worker(gateway, ...words)
  const orphan = await beginnings(2)
  assert.deepEqual(await state(gateway, id), ['leased', 2, 0]) // no failure
  await second.kill()
  const third = new Worker(gateway, ...words)
  await beginnings(3)
  assert.ok(!running(orphan), 'nor does it outlive one that is killed')
  assert.deepEqual(await state(gateway, id), ['leased', 3, 1])
  writeFileSync(pass, '')
  await become(gateway, id, 'unknown')
  await third.stop()
  await gateway.stop()
})

async function state(gateway, id) {
  const { state, deliveries, failures } = await gateway.api.ok('queue_get', { id })
  return [state, deliveries, failures]
}

it('a worker that gets no jobs says why', async () => {
  const gateway = await start()
  const said = async (worker, what) => {
    while (!what.test(worker.log)) {
      assert.equal(worker.child.exitCode, null, worker.log)
      await Promise.race([once(worker.child.stderr, 'data'), once(worker.child, 'exit')])
    }
    await worker.stop()
  }
  await said(new Worker(null, '--url', `http://${gateway.host}:${gateway.port}`, '--api-key', 'wrong'), /does not know this key/)
  const store = newFile('db')
  await said(new Worker(null, '--store', store), new RegExp(`no jobs can be had from ${store}.sock, or settled there: No such file or directory\n`))
  await gateway.stop()
})

it('a worker outlasts the gateway that it works for', async () => {
  const store = newFile('db')
  const args = ['--store', store, '--api-key', KEY]
  const port = await freePort()
  let gateway = await startGateway(args, { port })
  const worker = new Worker(gateway, '--exec', '/bin/cat', '--worker-exec-queues', 'q')
  gateway.api = new Api(gateway)
  await become(gateway, await put(gateway, 'q', { data: 1 }), 'done')
  await gateway.kill()
  gateway = await startGateway(args, { port })
  gateway.api = new Api(gateway)
  assert.equal((await become(gateway, await put(gateway, 'q', { data: 2 }), 'done')).result, 2)
  await worker.stop()
  await gateway.stop()
})
