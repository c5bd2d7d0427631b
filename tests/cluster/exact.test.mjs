// SPDX-License-Identifier: MIT
//
// The load generator over three gateways, while something breaks that may cost nothing: every
// publication is acknowledged in the end, reaches every subscriber of every gateway once, in one
// order, in one epoch, and nobody is told that anything is missing. Publishers send again what failed
// for now or lost its answer, with the same key.

import assert from 'node:assert/strict'
import { after, before, describe } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'

import { Cluster } from '../lib/cluster.mjs'
import { FaultProxy } from '../lib/fault_proxy.mjs'
import { Redis } from '../lib/redis.mjs'
import { it } from '../lib/suite.mjs'
import { startLoad } from '../load/tool.mjs'

const long = process.env.MADANG_TORTURE === '1'
const ROOMS = 6
const MIB = 1024 * 1024
const HISTORY = ['--rooms-history-size', '100000', '--rooms-history-bytes', String(64 * MIB)]
const ARGS = [...HISTORY, '--redis-command-timeout', '1s']

let runs = 0

// Load on all gateways of a cluster; `fault(moved)` happens meanwhile, where `moved(n)` waits until each
// room has n publications more. Gives the generator's report.
async function under(cluster, fault) {
  const prefix = `run-${runs++}-`
  const run = await startLoad({
    port: cluster.gateways.map(({ port }) => port).join(),
    prefix,
    sessions: 12 * ROOMS,
    publishers: 2 * ROOMS,
    rooms: ROOMS,
    rate: long ? 600 : 150,
    size: 160,
    cid: true,
    recover: true,
    roam: true,
    insist: true,
    warmup: 0,
    settle: 0,
    duration: 600,
    patience: 40,
  })
  const published = async (i) => Number(await cluster.redis.say('HGET', `madang:room:${prefix}${i}`, 'q'))
  const moved = async (n) => {
    const goal = (await published(ROOMS - 1)) + n
    while ((await published(ROOMS - 1)) < goal) await pause(20)
  }
  await run.said('phase measure')
  try {
    await moved(5)
    await fault(moved)
    await cluster.well()
    await moved(10)
  } finally {
    run.child.kill('SIGUSR1')
    const { code, report, err } = await run.finish()
    assert.equal(code, 0, err)
    assert.equal(report.told, 0)
    assert.equal(report.replies, report.all_publications)
    const all = await Promise.all(Array.from({ length: ROOMS }, (_, i) => published(i)))
    assert.equal(all.reduce((a, b) => a + b), report.all_publications)
    run.report = report
  }
  return run.report
}

const times = async (n, what) => {
  for (let i = 0; i < n; i++) await what(i)
}

describe('faults that cost nothing', () => {
  let cluster, proxy

  before(async () => {
    const redis = await Redis.start()
    proxy = await FaultProxy.start({ port: redis.port })
    cluster = await Cluster.start(redis, { args: ARGS, url: proxy.url })
  })

  after(async () => {
    await cluster?.stop()
    await proxy?.stop()
  })

  const kill = (...which) => cluster.redis.say('CLIENT', 'KILL', ...which, 'SKIPME', 'yes')

  it('scripts are forgotten', () => under(cluster, (moved) => times(20, () => cluster.redis.say('SCRIPT', 'FLUSH').then(() => moved(1)))))

  it('what was executed is not answered: it is sent again and published once', async () => {
    const report = await under(cluster, (moved) =>
      times(long ? 20 : 3, async () => {
        await proxy.dropAfterExecution('commands')
        await cluster.well()
        await moved(2)
      }),
    )
    assert.ok(report.sent_again > 0)
  })

  it('answers are lost until the deadline has passed', async () => {
    const report = await under(cluster, async () => {
      await cluster.outage(() => proxy.loseReplies('commands'))
      proxy.keepReplies()
    })
    assert.ok(report.sent_again > 0)
  })

  it('connections are half open', async () => {
    await under(cluster, async () => {
      await cluster.outage(() => proxy.halfOpen('commands'))
      await cluster.well()
      await cluster.outage(() => proxy.halfOpen('subscriber'))
    })
  })

  it('nothing comes through in either direction, and then everything', async () => {
    for (const direction of ['up', 'down']) {
      await under(cluster, async () => {
        await cluster.outage(() => proxy.stall(direction))
        proxy.flow()
      })
    }
  })

  it('the way to Redis is long, and is cut', async () => {
    await under(cluster, async (moved) => {
      proxy.delay('up', 40)
      proxy.delay('down', 40)
      await times(3, () => moved(3).then(() => proxy.cut()))
      proxy.delay('up', 0)
      proxy.delay('down', 0)
    })
  })

  it('Redis is away for connections for a while', async () => {
    await under(cluster, async () => {
      proxy.refuse()
      await cluster.outage(() => proxy.cut())
      proxy.accept()
    })
  })

  it('Redis stands still', async () => {
    await under(cluster, async () => {
      await cluster.outage(() => cluster.redis.freeze())
      if (long) await pause(5000)
      cluster.redis.signal('SIGCONT')
    })
  })

  it('the memory of Redis is full for a while', async () => {
    const report = await under(cluster, async () => {
      await cluster.outage(() => cluster.redis.say('CONFIG', 'SET', 'maxmemory', '1'))
      await cluster.redis.say('CONFIG', 'SET', 'maxmemory', '0')
    })
    assert.ok(report.failed_for_now > 0)
  })

  it('a gateway is killed and comes back: its clients go on elsewhere', async () => {
    const report = await under(cluster, async (moved) => {
      await cluster.gateways[1].kill()
      await moved(10)
      await cluster.again(1)
    })
    assert.ok(report.recovered > 0)
  })

  it('gateways are restarted one after the other: their clients go on elsewhere', async () => {
    const report = await under(cluster, (moved) =>
      times(3, async (i) => {
        await cluster.gateways[i].stop()
        await moved(3)
        await cluster.again(i)
        await moved(3)
      }),
    )
    assert.ok(report.recovered >= 12 * ROOMS)
  })

  it('subscription connections are killed', () => under(cluster, (moved) => times(long ? 10 : 2, () => kill('TYPE', 'pubsub').then(() => moved(3)))))

  it('command connections are killed', () => under(cluster, (moved) => times(long ? 10 : 2, () => kill('TYPE', 'normal').then(() => moved(3)))))

  it('all connections to Redis are killed again and again', async () => {
    const report = await under(cluster, (moved) =>
      times(long ? 10 : 3, async () => {
        await kill('TYPE', 'pubsub')
        await kill('TYPE', 'normal')
        await moved(2)
      }),
    )
    assert.ok(report.sent_again > 0)
  })
})

describe('a server that writes before it answers', () => {
  it('is killed and comes back: nothing is lost', async () => {
    const redis = await Redis.start(['--appendonly', 'yes', '--appendfsync', 'always'])
    const cluster = await Cluster.start(redis, { args: [...ARGS, '--redis-appendfsync-always', 'on'] })
    try {
      await under(cluster, (moved) =>
        times(long ? 5 : 2, async () => {
          await cluster.outage(() => redis.kill())
          await redis.restart()
          await cluster.well()
          await moved(3)
        }),
      )
    } finally {
      await cluster.stop()
    }
  })
})

describe('order over three gateways, at full speed', () => {
  it('is one order for every subscriber', async () => {
    const cluster = await Cluster.start(await Redis.start(), { args: HISTORY })
    try {
      const options = { sessions: 90, rooms: 30, publishers: 60, in_flight: 64, size: 160, cid: true, messages: long ? 60000 : 3000 }
      const port = cluster.gateways.map((one) => one.port).join()
      const { code, report, err } = await (await startLoad({ ...options, port, warmup: 0, duration: 600 })).finish()
      assert.equal(code, 0, err)
      assert.equal(report.all_deliveries, 3 * options.messages)
      assert.equal(await cluster.metric('madang_backplane_lost_total'), 0)
    } finally {
      await cluster.stop()
    }
  })
})
