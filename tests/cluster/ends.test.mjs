// SPDX-License-Identifier: MIT
//
// A gateway ends in order while it is connecting to Redis, whether it never began or was told to stop.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { describe } from 'node:test'

import { Cluster } from '../lib/cluster.mjs'
import { FaultProxy } from '../lib/fault_proxy.mjs'
import { Redis } from '../lib/redis.mjs'
import { withUs } from '../lib/running.mjs'
import { it } from '../lib/suite.mjs'

const TIMES = 10 // it was a matter of luck

// Runs it until it ends: { code, signal, log }. It is told to stop when its log says `until`.
async function ends(args, until) {
  const words = ['serve', '--auth', 'insecure', '--store', 'none', ...args]
  const child = withUs(spawn(process.env.MADANG_BIN, words, { stdio: ['ignore', 'ignore', 'pipe'] }))
  let log = ''
  child.stderr.on('data', (text) => {
    log += text
    if (until && log.includes(until)) child.kill('SIGTERM')
  })
  const [code, signal] = await once(child, 'close')
  return { code, signal, log }
}

describe('the end of a gateway that uses Redis', () => {
  it('is an error message where its address is taken', async () => {
    const redis = await Redis.start()
    const taken = createServer().listen(0, '127.0.0.1')
    await once(taken, 'listening')
    try {
      for (const hubs of [1, 2])
        for (let i = 0; i < TIMES; i++) {
          const { code, signal, log } = await ends(['--listen', `127.0.0.1:${taken.address().port}`, '--hubs', hubs, '--backplane', 'redis', '--redis-url', redis.url])
          assert.deepEqual([code, signal], [1, null], log)
          assert.match(log, /Address already in use/)
        }
    } finally {
      taken.close()
      await redis.stop()
    }
  })

  it('is orderly before it takes connections', async () => {
    const redis = await Redis.start()
    const far = await FaultProxy.start({ port: redis.port })
    far.delay('down', 150)
    try {
      for (const hubs of [1, 2]) {
        const { code, signal, log } = await ends(['--listen', '127.0.0.1:0', '--hubs', hubs, '--backplane', 'redis', '--redis-url', `redis://127.0.0.1:${far.port}`], 'connected to')
        assert.deepEqual([code, signal], [0, null], log)
      }
    } finally {
      await far.stop()
      await redis.stop()
    }
  })

  it('is orderly while Redis is away', async () => {
    const redis = await Redis.start()
    const cluster = await Cluster.start(redis, { gateways: 3 })
    try {
      for (let i = 0; i < 3; i++) await cluster.listen(`r${i}`)
      await redis.kill()
      await cluster.degraded()
    } finally {
      await cluster.stop() // each must end by itself with 0
    }
  })
})
