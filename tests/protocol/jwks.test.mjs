// SPDX-License-Identifier: MIT
// JWK sets: from a file, from a URL, replaced while the gateway serves, and not there at all.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe } from 'node:test'

import { Centrifuge } from 'centrifuge'
import WebSocket from 'ws'

import { Chatter } from '../lib/chatter.mjs'
import { startGateway } from '../lib/gateway.mjs'
import { it } from '../lib/suite.mjs'
import { keyPair, token } from '../lib/token.mjs'

const alg = 'ES256'
const a = keyPair(alg, { kid: 'a', alg, use: 'sig' })
const b = keyPair(alg, { kid: 'b', alg, use: 'sig' })
const signed = (pair, kid = pair.jwk.kid) => token({ sub: '42' }, { alg, key: pair.privateKey, header: kid ? { kid } : {} })
const setOf = (...pairs) => JSON.stringify({ keys: pairs.map(({ jwk }) => jwk) })

// A server for keys whose answer can be changed.
class KeyServer {
  constructor() {
    this.asked = 0
    this.answer = (response) => response.end(setOf(a))
    this.server = createServer((request, response) => {
      this.asked++
      this.answer(response)
    })
  }

  async open() {
    this.server.listen(0, '127.0.0.1')
    await once(this.server, 'listening')
    this.url = `http://127.0.0.1:${this.server.address().port}/keys`
  }

  async close() {
    this.server.closeAllConnections()
    this.server.close()
    await once(this.server, 'close')
  }
}

// How a connect ends: 'in', an error code, or a close code.
async function attempt(gateway, token) {
  const c = await Chatter.open(gateway)
  const id = c.command({ connect: { token } })
  try {
    const { value } = await c.reply(id)
    await c.leave()
    return value.error ? value.error.code : 'in'
  } catch {
    return c.close.code
  }
}

async function until(gateway, token, wanted) {
  while ((await attempt(gateway, token)) !== wanted) await new Promise((settle) => setTimeout(settle, 50))
}

// Side by side: they mostly wait.
describe('a JWK set behind a URL', { concurrency: true }, () => {
  const start = (keys, ...args) => startGateway(['--jwt-jwks', keys.url, '--jwt-jwks-cooldown', '1s', ...args], { auth: 'jwt', hubs: 2 })

  const scene = (name, body) =>
    it(name, async () => {
      const keys = new KeyServer()
      await keys.open()
      try {
        await body(keys)
      } finally {
        await keys.close()
      }
    })

  scene('is read at the start, and again when a token has an unknown key', async (keys) => {
    const gateway = await start(keys)
    await until(gateway, signed(a), 'in')
    assert.equal(await attempt(gateway, signed(a, null)), 'in')
    assert.equal(await attempt(gateway, signed(b, 'a')), 3500) // the right id, another key
    await new Promise((settle) => setTimeout(settle, 2500)) // what was asked for is over, and so is its cooldown
    keys.answer = (response) => response.end(setOf(b))
    assert.equal(await attempt(gateway, signed(b)), 100) // come again
    await until(gateway, signed(b), 'in')
    await until(gateway, signed(a), 3500) // gone; the set has just been read
    await gateway.stop()
  })

  scene('is not asked for more often than once per cooldown, whatever comes', async (keys) => {
    keys.answer = (response) => response.end(setOf(a))
    const gateway = await start(keys, '--jwt-jwks-cooldown', '3s')
    await until(gateway, signed(a), 'in')
    const begun = Date.now()
    const before = keys.asked
    while (Date.now() - begun < 4000) await attempt(gateway, signed(b, `k${Math.random()}`))
    const most = 1 + Math.floor((Date.now() - begun) / 3000)
    assert.ok(keys.asked - before <= most, `${keys.asked - before} requests`)
    assert.ok(keys.asked - before >= 1)
    await gateway.stop()
  })

  scene('while it cannot be had, the keys read last stay, and unknown ones are put off', async (keys) => {
    keys.answer = (response) => response.end(setOf(a))
    const gateway = await start(keys, '--jwt-jwks-refresh', '1s')
    await until(gateway, signed(a), 'in')
    const bad = [
      (response) => response.writeHead(500).end('no'),
      (response) => response.end('not JSON'),
      (response) => response.end(setOf()),
      (response) => response.end(' '.repeat(300_000)),
      (response) => response.writeHead(302, { Location: 'file:///etc/passwd' }).end(),
      (response) => response.destroy(),
    ]
    for (const answer of bad) {
      keys.answer = answer
      const { asked } = keys
      while (keys.asked < asked + 2) await new Promise((settle) => setTimeout(settle, 50))
      assert.equal(await attempt(gateway, signed(a)), 'in')
    }
    await new Promise((settle) => setTimeout(settle, 3000))
    assert.equal(await attempt(gateway, signed(b)), 100)
    await gateway.said('JWK sets are not renewed')
    keys.answer = (response) => response.end(setOf(a, b))
    await until(gateway, signed(b), 'in')
    await gateway.stop()
  })

  scene('may be slow: nobody waits for it, and the gateway can stop meanwhile', async (keys) => {
    keys.answer = () => {} // never
    const gateway = await start(keys)
    assert.equal(await attempt(gateway, signed(a)), 100)
    await gateway.stop() // the answer never comes: it is not waited for until that takes too long
    assert.match(gateway.log, /JWK sets are not renewed: .*aborted/)
  })

  scene('the official client gets in after a key was replaced', async (keys) => {
    keys.answer = (response) => response.end(setOf(a))
    const gateway = await start(keys)
    await until(gateway, signed(a), 'in')
    await new Promise((settle) => setTimeout(settle, 3000))
    keys.answer = (response) => response.end(setOf(a, b))
    const client = new Centrifuge(gateway.url, { websocket: WebSocket, token: signed(b), minReconnectDelay: 20, maxReconnectDelay: 100 })
    try {
      client.connect()
      await client.ready()
    } finally {
      client.disconnect()
      await gateway.stop()
    }
  })
})

describe('a JWK set in a file', () => {
  it('is read again too', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'madang-jwks-'))
    const file = join(folder, 'keys.json')
    await writeFile(file, setOf(a))
    const gateway = await startGateway(['--jwt-jwks', file, '--jwt-jwks-cooldown', '1s', '--jwt-hmac-secret', 'beside it'], { auth: 'jwt' })
    assert.equal(await attempt(gateway, signed(a)), 'in')
    assert.equal(await attempt(gateway, token({ sub: 'x' }, { key: 'beside it' })), 'in')
    await new Promise((settle) => setTimeout(settle, 3000))
    await writeFile(file, setOf(b))
    await until(gateway, signed(b), 'in')
    await gateway.stop()
    await rm(folder, { recursive: true })
  })
})
