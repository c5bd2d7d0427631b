// SPDX-License-Identifier: MIT
// Cron entries of one gateway with a store: each time is one job, also over kill -9; what the file says is
// what holds; people see what comes next.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach } from 'node:test'
import { promisify } from 'node:util'

import { Api, KEY } from '../lib/api.mjs'
import { startGateway } from '../lib/gateway.mjs'
import { it } from '../lib/suite.mjs'

const run = promisify(execFile)

let folder, file, store, gateway
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'madang-cron-'))
  file = join(folder, 'madang.ini')
  store = join(folder, 'madang.db')
})
afterEach(async () => {
  await gateway?.stop()
  gateway = undefined
  await rm(folder, { recursive: true })
})

const write = (...lines) => writeFile(file, lines.join('\n') + '\n')

async function start() {
  gateway = await startGateway(['--config', file, '--store', store, '--local-durability', 'process', '--api-key', KEY])
}

// Takes until there are so many; the times of their keys.
async function taken(queue, count) {
  const slots = []
  while (slots.length < count) {
    const { jobs } = await new Api(gateway).ok('queue_take', { queue, max: 1, wait_ms: 30_000, lease_ms: 3_600_000 })
    for (const job of jobs) slots.push(Number(/^cron:[a-z]+:(\d+)$/.exec(job.key)[1]))
  }
  return slots
}

const EACH_SECOND = ['[cron tick]', 'schedule = @every 1s', 'queue = work', 'catch_up = 1h']

it('each time is one job, and kill -9 loses and repeats none', async () => {
  await write(...EACH_SECOND)
  await start()
  gateway.expect(/cron tick: \d+ times skipped: /) // nobody has put those of the last hour
  const slots = await taken('work', 64 + 1) // what comes at once, and one more
  await gateway.kill()
  await start()
  slots.push(...(await taken('work', 2)))
  const away = Date.now()
  await gateway.kill()
  await start()
  slots.push(...(await taken('work', 2)))
  const meanwhile = Math.ceil((Date.now() - away) / 1000) // times that came since
  slots.forEach((slot, i) => assert.equal(slot, slots[0] + 1000 * i))
  const metrics = await gateway.metrics()
  assert.equal(metrics.madang_cron_entries, 1)
  assert.ok(metrics.madang_cron_fired_total >= 1)
  assert.ok(metrics.madang_cron_repeated_total >= 62 - meanwhile) // those from before
  assert.equal(metrics.madang_cron_skipped_total, 0) // what was before is known to be there
})

it('publishes in a room by a job of the queue _publish', async () => {
  await write('[cron hello]', 'schedule = @every 1s', 'queue = _publish', 'kind = publish', 'data = {"channel":"news","data":{"text":"hello"}}', 'catch_up = 10s')
  await start()
  const api = new Api(gateway)
  for (;;) {
    const { publications } = await api.ok('history', { channel: 'news', limit: 1 })
    if (publications.length === 0) continue
    assert.deepEqual(publications[0].data, { text: 'hello' })
    break
  }
})

it('SIGHUP brings entries and takes them away', async () => {
  await write('[cron old]', 'schedule = @yearly', 'queue = work')
  await start()
  const api = new Api(gateway)
  const names = async () => (await api.ok('queue_cron')).entries.map(({ name }) => name)
  assert.deepEqual(await names(), ['old'])
  await write('[cron new]', 'schedule = @every 1s', 'queue = other')
  const log = await gateway.reload()
  assert.match(log, /\[cron new\]: new/)
  assert.match(log, /\[cron old\]: gone/)
  await taken('other', 1)
  assert.deepEqual(await names(), ['new'])
  await write('[cron new]', 'schedule = 0 0 31 2 *', 'queue = other')
  assert.match(await gateway.reload({ refused: true }), /\[cron new\] schedule .*it never comes: no month of "2" has a day of "31"/)
  assert.deepEqual(await names(), ['new'])
})

it('`madang queue cron` tells what comes when, by the zone that is said', async () => {
  await write('[cron night]', 'schedule = 30 3 * * *', 'queue = work', 'kind = tidy', '[cron local]', 'schedule = 30 3 1 jan *', 'queue = work', 'time_zone = local')
  gateway = await startGateway(['--config', file, '--store', store, '--api-key', KEY], { env: { TZ: 'XYZ-5' } })
  const { stdout } = await run(process.env.MADANG_BIN, ['queue', 'cron', '--store', store])
  const [local, night, ...more] = stdout.trimEnd().split('\n').sort((a, b) => (a.split('\t')[1] < b.split('\t')[1] ? -1 : 1)) // which one is next depends on the day
  assert.match(night, /^\d{4}-\d\d-\d\dT03:30:00Z\tnight\tutc\t30 3 \* \* \*\twork\ttidy$/)
  assert.match(local, /^\d{4}-12-31T22:30:00Z\tlocal\tlocal\t30 3 1 jan \*\twork\tcron$/)
  assert.deepEqual(more, [])
  const { entries } = await new Api(gateway).ok('queue_cron')
  const { next_at } = entries.find(({ name }) => name === 'night')
  assert.equal(new Date(next_at).toISOString().slice(11), '03:30:00.000Z')
  assert.ok(next_at > Date.now() - 60_000)
})

it('what cannot be is refused before anything is served', async () => {
  const refused = async (...args) => {
    const { code, stderr, stdout } = await run(process.env.MADANG_BIN, ['check', '--config', file, ...args]).catch((error) => error)
    assert.equal(code, 1, stdout)
    return stderr
  }
  await write('[cron a]', 'schedule = 61 * * * *', 'queue = work', '[cron b]', 'schedule = @hourly', '[cron c]', 'queue = work', '[cron d]', 'data = 1')
  const text = await refused()
  assert.match(text, /\[cron a\] schedule .*minute "61" cannot be used; allowed: \* or 0 to 59/)
  assert.match(text, /\[cron b\] queue .*say which queue/)
  assert.match(text, /\[cron c\] schedule .*say when/)
  assert.match(text, /\[cron d\] queue .*say which queue/)
  await write('[cron d]', 'data = {', '[cron]')
  const before = await refused()
  assert.match(before, /madang.ini:2: data: "\{" cannot be used; allowed: JSON/)
  assert.match(before, /unknown section "cron"/)
  await write('[cron a]', 'schedule = @hourly', 'queue = work')
  assert.match(await refused('--store', 'none'), /\[cron a\] needs queues/)
})
