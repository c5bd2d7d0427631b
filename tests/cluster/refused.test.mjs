// SPDX-License-Identifier: MIT
//
// Servers that a gateway does not begin with, each said in one sentence.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { describe } from 'node:test'

import { freePort } from '../lib/ports.mjs'
import { Redis } from '../lib/redis.mjs'
import { startGateway } from '../lib/gateway.mjs'
import { it } from '../lib/suite.mjs'

// The line of the log with which the gateway ends, without time and level.
function refusal(...args) {
  const child = spawn(process.env.MADANG_BIN, ['serve', '--listen', '127.0.0.1:0', '--backplane', 'redis', ...args])
  let log = ''
  child.stderr.on('data', (text) => (log += text))
  return new Promise((settle, fail) => {
    child.on('error', fail)
    child.on('close', (code) => {
      assert.equal(code, 1, log)
      const lines = log.trim().split('\n')
      assert.equal(lines.length, 1, log)
      settle(lines[0].replace(/^\S+ error /, ''))
    })
  })
}

describe('a gateway refuses to start', () => {
  it('with a wrong password, and never shows it', async () => {
    const redis = await Redis.start(['--requirepass', 'right'])
    try {
      for (const login of ['', ':wrong@', 'ann:wrong@']) {
        const line = await refusal('--redis-url', `redis://${login}127.0.0.1:${redis.port}`)
        assert.match(line, new RegExp(`^\\[redis\\] redis://127\\.0\\.0\\.1:${redis.port}: .*password`), line)
        assert.doesNotMatch(line, /wrong@|ann:/)
      }
    } finally {
      await redis.stop()
    }
  })

  it('with a replica', async () => {
    const redis = await Redis.start(['--replicaof', '127.0.0.1', String(await freePort())])
    try {
      assert.match(await refusal('--redis-url', redis.url), /replica/)
    } finally {
      await redis.stop()
    }
  })

  it('with a cluster', async () => {
    const redis = await Redis.start(['--cluster-enabled', 'yes', '--cluster-port', String(await freePort())])
    try {
      assert.match(await refusal('--redis-url', redis.url), /cluster/)
    } finally {
      await redis.stop()
    }
  })

  it('with a server that evicts', async () => {
    const redis = await Redis.start(['--maxmemory', '100mb', '--maxmemory-policy', 'allkeys-lru'])
    try {
      assert.match(await refusal('--redis-url', redis.url), /allkeys-lru/)
    } finally {
      await redis.stop()
    }
  })

  it('with what is no URL, or a file that is not there', async () => {
    assert.match(await refusal('--redis-url', 'http://127.0.0.1'), /^\[redis\] url /)
    assert.match(await refusal('--redis-url-file', '/nowhere/url'), /\/nowhere\/url/)
  })

  it('with a server that cannot be reached, only if it is required', async () => {
    const url = `redis://127.0.0.1:${await freePort()}`
    assert.match(await refusal('--redis-url', url, '--redis-required', 'on'), /cannot connect/)
    const gateway = await startGateway(['--backplane', 'redis', '--redis-url', url])
    await gateway.said('cannot be reached')
    await gateway.stop()
  })
})
