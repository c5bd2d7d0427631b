// SPDX-License-Identifier: MIT
// Cron entries of several gateways over one Redis: each time is one job, whoever is there.

import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { Api } from '../lib/api.mjs'
import { Cluster } from '../lib/cluster.mjs'
import { Redis } from '../lib/redis.mjs'
import { it } from '../lib/suite.mjs'

it('two gateways put each job once, and one that is killed is not missed', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'madang-cron-'))
  const file = join(folder, 'madang.ini')
  await writeFile(file, '[cron tick]\nschedule = @every 1s\nqueue = work\ncatch_up = 1h\n')
  const cluster = await Cluster.start(await Redis.start(), { gateways: 2, args: ['--config', file] })
  const slots = []
  const take = async (gateway, count) => {
    for (const end = slots.length + count; slots.length < end;) {
      const { jobs } = await new Api(gateway).ok('queue_take', { queue: 'work', wait_ms: 30_000, lease_ms: 3_600_000 })
      for (const job of jobs) slots.push(Number(job.key.split(':')[2]))
    }
  }
  try {
    await take(cluster.gateways[0], 64 + 1)
    await cluster.gateways[0].kill()
    await take(cluster.gateways[1], 2)
    await cluster.again(0)
    await cluster.well()
    await cluster.gateways[1].kill()
    await take(cluster.gateways[0], 2)
    await cluster.again(1)
    await cluster.well()
    const sum = async () => (await cluster.metric('madang_cron_fired_total')) + (await cluster.metric('madang_cron_repeated_total'))
    for (const before = await sum(); (await sum()) < before + 2;) await take(cluster.gateways[1], 1)
    // A gateway that comes at first may find some times older than those of the other: they come out of order.
    slots.sort((a, b) => a - b)
    const first = slots.length - new Set(slots).size
    assert.equal(first, 0, 'a time came twice')
    for (let i = 1; i < slots.length; i++) assert.equal(slots[i], slots[i - 1] + 1000, 'a time did not come')
    assert.ok((await cluster.metric('madang_cron_repeated_total')) > 0)
  } finally {
    await cluster.stop()
    await rm(folder, { recursive: true })
  }
})
