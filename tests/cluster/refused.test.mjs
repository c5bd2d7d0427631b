// SPDX-License-Identifier: MIT
//
// Servers that a gateway does not begin with, each said in one sentence.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe } from 'node:test'

import { makeCertificate } from '../lib/certificate.mjs'
import { freePort } from '../lib/ports.mjs'
import { Redis } from '../lib/redis.mjs'
import { startGateway } from '../lib/gateway.mjs'
import { run } from '../lib/servers.mjs'
import { it } from '../lib/suite.mjs'

// What `serve` and `check` say, which is the same, in one line, and how both end.
async function refusal(...args) {
  const verbs = [['check'], ['serve', '--listen', '127.0.0.1:0', '--store', 'none']]
  const lines = await Promise.all(
    verbs.map(async ([verb, ...more]) => {
      const { code, err } = await run([verb, ...more, '--backplane', 'redis', ...args])
      assert.equal(code, 1, `${verb}: ${err}`)
      assert.equal(err.trim().split('\n').length, 1, err)
      return err.trim().replace(/^\S+ error /, '')
    }),
  )
  assert.equal(lines[1], lines[0])
  return lines[0]
}

async function withRedis(args, body) {
  const redis = await Redis.start(args)
  try {
    await body(redis)
  } finally {
    await redis.stop()
  }
}

// What a server of an older version says to those who come: AUTH and the like, ROLE, INFO.
async function pretend(version) {
  const info = `redis_version:${version}\r\nredis_mode:standalone\r\nrole:master\r\nmaxmemory_policy:noeviction\r\n`
  const answers = { ROLE: '*3\r\n$6\r\nmaster\r\n:0\r\n*0\r\n', INFO: `$${info.length}\r\n${info}\r\n` }
  const server = createServer((socket) => {
    socket.on('error', () => {})
    socket.on('data', (text) => {
      for (const [, word] of String(text).matchAll(/\*\d+\r\n\$\d+\r\n([A-Z]+)\r\n/g)) socket.write(answers[word] ?? '+OK\r\n')
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return server
}

describe('a gateway refuses to start, and check says why', () => {
  it('with a wrong password or user, and never shows it', async () => {
    await withRedis(['--requirepass', 'right'], async (redis) => {
      for (const [login, why] of Object.entries({
        '': 'the server wants a password, and the URL has none',
        ':wrong@': 'the password or the user name is wrong',
        'ann:wrong@': 'the password or the user name is wrong',
        'ann:right@': 'the password or the user name is wrong',
      })) {
        const line = await refusal('--redis-url', `redis://${login}127.0.0.1:${redis.port}`)
        assert.equal(line, `[redis] redis://127.0.0.1:${redis.port}: ${why}`)
      }
    })
    await withRedis([], async (redis) => {
      const line = await refusal('--redis-url', `redis://:useless@127.0.0.1:${redis.port}`)
      assert.match(line, /: a password was given, but the server has none for this user$/)
      assert.doesNotMatch(line, /useless/)
    })
  })

  it('with a database that is not there', async () => {
    await withRedis([], async (redis) => {
      assert.match(await refusal('--redis-url', `${redis.url}/99`), /\/99: it has no database of this number$/)
    })
  })

  it('with a replica', async () => {
    const port = await freePort()
    await withRedis(['--replicaof', '127.0.0.1', String(port)], async (redis) => {
      assert.match(await refusal('--redis-url', redis.url), new RegExp(`: it is a replica of 127.0.0.1:${port}, not a master$`))
    })
  })

  it('with a cluster', async () => {
    await withRedis(['--cluster-enabled', 'yes', '--cluster-port', String(await freePort())], async (redis) => {
      assert.match(await refusal('--redis-url', redis.url), /: it is in cluster mode, which is not supported$/)
    })
  })

  it('with a server that evicts', async () => {
    await withRedis(['--maxmemory', '100mb', '--maxmemory-policy', 'allkeys-lru'], async (redis) => {
      const why = /: it may drop messages when its memory is full \(maxmemory-policy allkeys-lru\); set maxmemory-policy noeviction there$/
      assert.match(await refusal('--redis-url', redis.url), why)
    })
  })

  it('with a version that is too old', async () => {
    const server = await pretend('6.2.14')
    try {
      assert.match(await refusal('--redis-url', `redis://127.0.0.1:${server.address().port}`), /6\.2\.14/)
    } finally {
      server.close()
    }
  })

  it('with TLS where there is none, or none where there is, or with a certificate that nobody vouches for', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'madang-refused-'))
    const { cert, key } = await makeCertificate(folder, 'redis')
    const secure = await freePort()
    const args = ['--tls-port', secure, '--tls-cert-file', cert, '--tls-key-file', key, '--tls-ca-cert-file', cert, '--tls-auth-clients', 'no']
    try {
      await withRedis(args, async (redis) => {
        const why = async (url, ...more) => refusal('--redis-url', url, '--redis-required', 'on', ...more)
        assert.match(await why(`redis://127.0.0.1:${secure}`), /: does it want TLS \(rediss:\/\/\)\?$/)
        assert.match(await why(`rediss://127.0.0.1:${secure}`), /: its certificate is not accepted: self.signed certificate$/)
        const named = ['--redis-tls-ca-file', cert, '--redis-tls-server-name', 'elsewhere.example']
        assert.match(await why(`rediss://127.0.0.1:${secure}`, ...named), /: its certificate is not accepted: hostname mismatch$/)
        assert.match(await why(`rediss://127.0.0.1:${redis.port}`, '--redis-connect-timeout', '500ms'), /TLS/)
        const line = await refusal('--redis-url', `rediss://127.0.0.1:${secure}`, '--redis-tls-ca-file', `${folder}/none`)
        assert.match(line, /^\[redis\] .*the CA file .*\/none cannot be used/)
      })
    } finally {
      rmSync(folder, { recursive: true, force: true })
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
