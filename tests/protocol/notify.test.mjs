// SPDX-License-Identifier: MIT
// Telling an application who is away and has not read.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { createHmac } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'

import { Api, KEY } from '../lib/api.mjs'
import { Chatter } from '../lib/chatter.mjs'
import { startGateway } from '../lib/gateway.mjs'
import { it } from '../lib/suite.mjs'
import { token } from '../lib/token.mjs'
import { Target } from '../lib/worker.mjs'

const folder = mkdtempSync(join(tmpdir(), 'madang-notify-'))
const left = [] // ends what a failed test has left
after(() => {
  for (const end of left) end()
  rmSync(folder, { recursive: true })
})

let files = 0
const newFile = (end) => join(folder, `${++files}.${end}`)
const plain = new URL('token.ini', import.meta.url).pathname
const short = ['--worker-lease', '5s', '--notify-timeout', '2400ms', '--webhook-timeout', '1s']
const room = 'chat:yard'
const taken = (request, response) => response.end()

async function open(answer) {
  const target = await Target.open(answer)
  left.push(() => target.close())
  return target
}

// A gateway that tells `target`, if there is one.
async function start(target, { args = [], ini = plain, store = newFile('db'), ...how } = {}) {
  const told = target ? ['--notify-url', `${target.url}/unread`] : []
  const delay = args.includes('--notify-delay') ? [] : ['--notify-delay', '200ms']
  const gateway = await startGateway(['--config', ini, '--api-key', KEY, '--store', store, ...told, ...delay, ...args], { auth: 'jwt', ...how })
  left.push(() => gateway.signal('SIGKILL'))
  return Object.assign(gateway, { api: new Api(gateway), store })
}

async function follow(gateway, ...users) {
  const commands = users.map((user) => ({ follow: { user, channel: room } }))
  const { replies } = await gateway.api.ok('batch', { commands })
  for (const { error } of replies) assert.equal(error, undefined)
}

const say = (gateway, data, more = {}) => gateway.api.ok('publish', { channel: room, data, ...more })

async function come(gateway, sub) {
  const chatter = await Chatter.open(gateway)
  await chatter.ok({ connect: { token: token({ sub }) } })
  return chatter
}

const read = (chatter) => chatter.ok({ rpc: { method: 'rooms.read', data: { room } } })

// What a request says: [user, unread, first, last] of each.
const users = ({ body }) => JSON.parse(body).users.map(({ user, unread, range }) => [user, unread, ...range])

const stats = (gateway) => gateway.api.ok('queue_stats', { queue: '_notify' })

// Until what is in the queue fits.
async function queue(gateway, fits) {
  for (;;) {
    const now = await stats(gateway)
    if (fits(now)) return now
    await pause(20)
  }
}

const empty = ({ ready, leased, delayed }) => ready + leased + delayed === 0

// Until so many more jobs have run to an end.
async function runs(gateway, n) {
  const done = async () => (await gateway.metrics()).madang_worker_jobs_total
  const before = await done()
  while ((await done()) < before + n) await pause(20)
}

// Side by side: they mostly wait.
describe('telling who is away', { concurrency: 2 }, () => {
  for (const hubs of [1, 3]) {
    describe(`hubs: ${hubs}`, () => {
      it('who is away and has not read is told of, once, and nobody else', async () => {
        const target = await open(taken)
        const gateway = await start(target, { hubs })
        await follow(gateway, 'away', 'here', 'quick')
        const here = await come(gateway, 'here')
        await gateway.api.ok('queue_pause', { queue: '_notify' }) // the grace period lasts until it is resumed
        for (const text of ['one', 'two']) await say(gateway, text)
        const quick = await come(gateway, 'quick')
        const { data } = await read(quick)
        await quick.leave()
        await gateway.api.ok('queue_resume', { queue: '_notify' })
        const { method, path, body } = await target.request(1)
        assert.deepEqual([method, path], ['POST', '/unread'])
        const away = { user: 'away', unread: 2, range: [1, 2] }
        assert.deepEqual(JSON.parse(body), { type: 'unread', channel: room, epoch: data.epoch, top: 2, users: [away] })
        await runs(gateway, 3) // for the one who is here
        assert.equal(target.requests.length, 1)
        await here.leave()
        assert.deepEqual(users(await target.request(2)), [['here', 2, 1, 2]])
        await queue(gateway, empty)
        await gateway.api.ok('queue_pause', { queue: '_notify' })
        await say(gateway, 'a reaction', { tags: { quiet: '1' } })
        await say(gateway, 'three')
        await gateway.api.ok('queue_resume', { queue: '_notify' })
        assert.deepEqual(users(await target.request(3)), [['away', 3, 3, 4], ['here', 3, 3, 4], ['quick', 1, 3, 4]])
        await queue(gateway, empty)
        assert.equal(target.requests.length, 3)
        const count = await gateway.metrics()
        assert.deepEqual([count.madang_notify_told_total, count.madang_notify_calls_total, count.madang_notify_calls_failed_total], [5, 3, 0])
        assert.ok(count.madang_notify_connected_total >= 3 && count.madang_notify_nothing_new_total >= 2)
        await gateway.stop()
        await target.close()
      })
    })
  }

  it('who is connected and reads, or follows no more, is never told of', async () => {
    const target = await open(taken)
    const gateway = await start(target)
    await follow(gateway, 'one', 'two')
    const [one, two] = [await come(gateway, 'one'), await come(gateway, 'two')]
    await say(gateway, 'one')
    await runs(gateway, 2)
    await read(one)
    await gateway.api.ok('unfollow', { user: 'two', channel: room })
    await queue(gateway, empty)
    for (const c of [one, two]) await c.leave()
    assert.equal(target.requests.length, 0)
    await gateway.stop()
    await target.close()
  })

  it('who is banned is not told of, and the call is signed with the secret of webhooks or its own', async () => {
    const signed = ({ headers, body }, secret) => {
      const text = `${headers['webhook-id']}.${headers['webhook-timestamp']}.`
      const mac = createHmac('sha256', secret).update(text).update(body).digest('base64')
      return headers['webhook-signature'] === `v1,${mac}` && headers['webhook-id'] === headers['idempotency-key']
    }
    const target = await open(taken)
    let gateway = await start(target, { args: ['--webhook-secret', 'of webhooks'] })
    await follow(gateway, 'banned', 'muted', 'out')
    await gateway.api.ok('ban', { user: 'banned', channel: room })
    await gateway.api.ok('ban', { user: 'out' })
    await gateway.api.ok('mute', { user: 'muted', channel: room })
    await say(gateway, 'one')
    const first = await target.request(1)
    assert.deepEqual(users(first), [['muted', 1, 1, 1]])
    assert.ok(signed(first, 'of webhooks'))
    await queue(gateway, empty)
    assert.ok((await gateway.metrics()).madang_notify_banned_total >= 2)
    await gateway.stop()
    gateway = await start(target, { store: gateway.store, args: ['--webhook-secret', 'of webhooks', '--notify-secret', 'its own'] })
    await gateway.api.ok('unban', { user: 'out' })
    await say(gateway, 'two')
    const second = await target.request(2)
    assert.deepEqual(users(second), [['muted', 2, 2, 2], ['out', 2, 1, 2]])
    assert.ok(signed(second, 'its own'))
    await gateway.stop()
    await target.close()
  })

  it('a target that is slow, answers 429 or fails is called again with the same key, until it takes it', async () => {
    const answers = [null, [429, { 'Retry-After': '1' }], [200, {}]]
    const target = await open((request, response, n) => {
      const answer = answers[n - 1] ?? (n > 1 && [200, {}])
      if (answer) response.writeHead(...answer).end()
    })
    const gateway = await start(target, { args: ['--notify-timeout', '3s'] })
    await follow(gateway, 'away')
    await say(gateway, 'one')
    await target.request(3)
    await queue(gateway, empty)
    const [first, ...others] = target.requests
    for (const { body, headers } of others) {
      assert.deepEqual(body, first.body)
      assert.equal(headers['idempotency-key'], first.headers['idempotency-key'])
    }
    assert.deepEqual(target.requests.map(({ headers }) => headers['x-delivery']), ['1', '2', '3'])
    assert.ok(target.requests[2].at - target.requests[1].at >= 1000, 'Retry-After is kept')
    assert.equal((await stats(gateway)).failed, 2)
    await say(gateway, 'two')
    assert.notEqual((await target.request(4)).headers['idempotency-key'], first.headers['idempotency-key'])
    await gateway.stop()
    await target.close()
  })

  it('a target that refuses is called again, too', async () => {
    const target = await open((request, response, n) => response.writeHead(n === 1 ? 404 : 204).end())
    const gateway = await start(target)
    await follow(gateway, 'away')
    await say(gateway, 'one')
    assert.deepEqual((await target.request(2)).body, target.requests[0].body)
    const { failed, dead } = await queue(gateway, empty)
    assert.deepEqual([failed, dead], [1, 0])
    const { madang_notify_told_total: told, madang_notify_calls_failed_total: refused } = await gateway.metrics()
    assert.deepEqual([told, refused], [1, 1])
    await gateway.stop()
    await target.close()
  })

  it('[queue _notify] holds, and of several dead jobs that are tried again one runs and tells it all', async () => {
    let well = false
    const target = await open((request, response) => setTimeout(() => response.writeHead(well ? 204 : 500).end(), well ? 100 : 0))
    const ini = newFile('ini')
    writeFileSync(ini, `${readFileSync(plain, 'utf8')}\n[queue _notify]\nmax_failures = 1\n`)
    const gateway = await start(target, { ini, args: ['--notify-delay', '100ms'] })
    await follow(gateway, 'away')
    for (let n = 1; n <= 3; n++) {
      await say(gateway, n)
      await queue(gateway, ({ dead }) => dead === n)
    }
    const { jobs } = await gateway.api.ok('queue_dead', { queue: '_notify' })
    assert.deepEqual([jobs[0].reason, jobs[0].error, jobs[0].data], ['max_failures', 'the answer is 500', { channel: room }])
    well = true
    assert.deepEqual(await gateway.api.ok('queue_retry', { queue: '_notify', limit: 100 }), { changed: 1, repeated: 2 })
    await queue(gateway, (now) => now.acked === 1 && empty(now))
    assert.deepEqual(target.requests.slice(3).map(users), [['away', 3, 1, 3]].map((one) => [one]))
    await gateway.stop()
    await target.close()
  })

  it('[queue _notify] as it is after a SIGHUP holds for the next message', async () => {
    const target = await open((request, response) => response.writeHead(500).end())
    const ini = newFile('ini')
    const rules = (text) => writeFileSync(ini, `${readFileSync(plain, 'utf8')}\n[queue _notify]\nbackoff = 10ms\n${text}\n`)
    rules('max_failures = 1')
    const gateway = await start(target, { ini, args: ['--notify-delay', '100ms'] })
    await follow(gateway, 'away')
    await say(gateway, 'one')
    assert.equal((await queue(gateway, ({ dead }) => dead === 1)).failed, 1)
    rules('max_failures = 3')
    await gateway.reload()
    await say(gateway, 'two')
    assert.equal((await queue(gateway, ({ dead }) => dead === 2)).failed, 1 + 3)
    await gateway.stop()
    await target.close()
  })

  it('nobody there to be told: messages go on as ever, and there is one job for a room', async () => {
    const target = await open(taken)
    await target.close()
    const gateway = await start(target, { args: ['--queue-max-jobs', '1'] })
    await follow(gateway, 'away')
    for (let n = 0; n < 50; n++) await say(gateway, n)
    await gateway.api.ok('follow', { user: 'away', channel: 'chat:other' })
    await gateway.api.ok('publish', { channel: 'chat:other', data: 'beyond the bound' })
    await queue(gateway, ({ failed }) => failed > 0)
    const { ready, leased, delayed, dead } = await stats(gateway)
    assert.deepEqual([ready + leased + delayed, dead], [2, 0])
    await gateway.stop()
  })

  it('a message that comes while the target is called is told too', async () => {
    const target = await open((request, response, n) => n > 1 && response.end())
    const gateway = await start(target)
    await follow(gateway, 'away')
    await say(gateway, 'one')
    const { response } = await target.request(1)
    await say(gateway, 'two')
    response.end()
    assert.deepEqual(users(await target.request(2)), [['away', 2, 2, 2]])
    await queue(gateway, empty)
    assert.equal(target.requests.length, 2)
    await gateway.stop()
    await target.close()
  })

  it('a gateway is killed while it calls: the call is made again, with the same key', async () => {
    const target = await open((request, response, n) => n > 1 && response.end())
    let gateway = await start(target, { args: short })
    await follow(gateway, 'away')
    await say(gateway, 'one')
    const first = await target.request(1)
    await gateway.kill()
    gateway = await start(target, { store: gateway.store, args: short })
    const second = await target.request(2)
    assert.deepEqual(second.body, first.body)
    assert.equal(second.headers['idempotency-key'], first.headers['idempotency-key'])
    await queue(gateway, empty)
    await gateway.stop()
    await target.close()
  })

  it('after a restart people may come back before they are taken for away', async () => {
    const target = await open(taken)
    const slow = ['--notify-delay', '10m'] // longer than this may take
    let gateway = await start(target, { args: slow })
    await follow(gateway, 'here')
    await say(gateway, 'one')
    await gateway.api.ok('queue_pause', { queue: '_notify' })
    const { jobs } = await gateway.api.ok('queue_put', { queue: '_notify', jobs: [{ kind: 'notify', data: { channel: room } }] })
    await gateway.stop()
    gateway = await start(target, { store: gateway.store, args: slow })
    await gateway.api.ok('queue_resume', { queue: '_notify' })
    await queue(gateway, ({ acked }) => acked >= 1)
    assert.equal((await gateway.api.ok('queue_get', { id: jobs[0].id })).state, 'unknown')
    assert.equal((await stats(gateway)).delayed, 1)
    assert.equal(target.requests.length, 0)
    await gateway.stop()
    await target.close()
  })

  it('more than go into one call are told by several', async () => {
    const target = await open(taken)
    const gateway = await start(target, { args: ['--api-timeout', '5m'] }) // they are many for one call
    const names = Array.from({ length: 1001 }, (_, i) => `user ${String(i).padStart(4, '0')}`)
    await follow(gateway, ...names)
    await say(gateway, 'one')
    await target.request(2)
    assert.deepEqual(target.requests.map((one) => users(one).length), [1000, 1])
    assert.deepEqual(target.requests.flatMap((one) => users(one).map(([user]) => user)), names)
    await queue(gateway, empty)
    await gateway.stop()
    await target.close()
  })

  it('without a target nothing is recorded', async () => {
    const gateway = await start(null)
    await follow(gateway, 'away')
    await say(gateway, 'one')
    const { result } = await gateway.api.call('queue_stats', {})
    assert.ok(!JSON.stringify(result).includes('_notify'))
    await gateway.stop()
  })

  it('the receiver of docs/QUEUE.md, as it stands there, takes what is signed, and nothing else', async () => {
    const text = readFileSync(new URL('../../docs/QUEUE.md', import.meta.url), 'utf8')
    const path = newFile('py')
    writeFileSync(path, /^```python\n(# unread\.py[^]*?)^```/m.exec(text)[1])
    const child = spawn('python3', [path], { env: { PATH: process.env.PATH, NOTIFY_SECRET: 'said to both', PORT: '0' }, stdio: ['ignore', 'pipe', 'inherit'] })
    left.push(() => child.kill())
    const lines = []
    let out = ''
    child.stdout.on('data', (more) => {
      const all = (out + more).split('\n')
      out = all.pop()
      lines.push(...all)
    })
    const line = async (n) => {
      while (lines.length < n) await new Promise((settle) => child.stdout.once('data', settle))
      return lines[n - 1]
    }
    const url = `http://127.0.0.1:${/port (\d+)/.exec(await line(1))[1]}`
    const gateway = await start({ url }, { args: ['--notify-secret', 'said to both'] })
    await follow(gateway, 'away')
    await say(gateway, 'one')
    assert.equal(await line(2), 'away has 1 unread in chat:yard, new are 1 to 1')
    await queue(gateway, empty)
    await gateway.stop()
    const wrong = await start({ url }, { args: ['--notify-secret', 'another'], store: gateway.store })
    await say(wrong, 'two')
    await queue(wrong, ({ failed }) => failed > 0)
    assert.equal(lines.length, 2)
    await wrong.stop()
    const ended = new Promise((settle) => child.on('close', settle))
    child.kill()
    await ended
  })
})
