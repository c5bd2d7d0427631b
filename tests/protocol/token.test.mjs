// SPDX-License-Identifier: MIT
// Tokens of connections: who gets in, as whom, and for how long.
import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join as path } from 'node:path'
import { after, before, describe } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'

import { Centrifuge } from 'centrifuge'
import WebSocket from 'ws'

import { Chatter } from '../lib/chatter.mjs'
import { startGateway } from '../lib/gateway.mjs'
import { it, suite, suites } from '../lib/suite.mjs'
import { keyPair, now, past, token } from '../lib/token.mjs'

const config = ['--config', new URL('token.ini', import.meta.url).pathname]
const jwt = { auth: 'jwt', args: config }

async function connect(gateway, connect) {
  const c = await Chatter.open(gateway)
  c.connected = await c.ok({ connect })
  return c
}

async function closes(gateway, connect, code, reason) {
  const c = await Chatter.open(gateway)
  c.command({ connect })
  await c.closed(code, reason)
}

async function refuses(gateway, connect, code) {
  const c = await Chatter.open(gateway)
  await c.fails({ connect }, code)
  await c.leave()
}

// What a subscriber of the room is shown as.
async function appearance(c) {
  await c.subscribe('chat:all')
  const { presence } = await c.ok({ presence: { channel: 'chat:all' } })
  return presence[c.connected.client]
}

suites('connection tokens', jwt, (at) => {
  it('say who connects', async () => {
    const c = await connect(at.gateway, { token: token({ sub: '42', info: { name: 'Ada', n: 1.0 } }) })
    assert.deepEqual(Object.keys(c.connected).sort(), ['client', 'ping', 'pong', 'version'])
    assert.deepEqual(await appearance(c), { user: '42', client: c.connected.client, conn_info: { name: 'Ada', n: 1 } })
    await c.leave()
  })

  it('name users in any script', async () => {
    for (const sub of ['홍길동', 'a"b\\c', 'x@example.org', 'ü'.repeat(127), 'G_x']) {
      const c = await connect(at.gateway, { token: token({ sub }) })
      assert.equal((await appearance(c)).user, sub)
      await c.leave()
    }
  })

  it('may be signed with the secret that was replaced', async () => {
    const c = await connect(at.gateway, { token: token({ sub: '42' }, { key: 'the secret before' }) })
    await c.leave()
  })

  it('are refused with 3500 if anything is wrong with them', async () => {
    const good = token({ sub: '42' })
    const [header, , signature] = good.split('.')
    const tampered = `${header}.${Buffer.from('{"sub":"43"}').toString('base64url')}.${signature}`
    const none = `${Buffer.from('{"alg":"none"}').toString('base64url')}.${good.split('.')[1]}.`
    const bad = [
      'x', `${good}x`, `${good}=`, ` ${good}`, good.slice(0, -1), tampered, none, none.slice(0, -1),
      token({ sub: '42' }, { key: 'a foreign secret' }),
      token({ sub: '42' }, { key: '' }),
      token({ sub: 42 }),
      token({ sub: 'g_abcdefghijklmnopqrstuvwxyz' }),
      token({ sub: 'line\nbreak' }),
      token({ sub: '42', channel: 'chat:all' }),
      token({ sub: '42', exp: '2000000000' }),
      token({ sub: '42', info: 'i'.repeat(5000) }),
      token({ sub: '42' }, { header: { alg: 'HS384' } }),
      token({ sub: '42' }, { alg: 'RS256', key: keyPair('RS256').privateKey }),
    ]
    for (const one of bad) await closes(at.gateway, { token: one }, 3500, 'invalid token')
  })

  it('are answered 109 when they are over or not yet good, and 110 if the connection would be', async () => {
    await refuses(at.gateway, { token: token({ sub: '42', exp: now() - 1 }) }, 109)
    await refuses(at.gateway, { token: token({ sub: '42', exp: 1 }) }, 109)
    await refuses(at.gateway, { token: token({ sub: '42', nbf: now() + 100 }) }, 109)
    await refuses(at.gateway, { token: token({ sub: '42', exp: now() + 100, expire_at: now() - 1 }) }, 110)
  })

  it('are needed: without one the connection is closed with 3501', async () => {
    await closes(at.gateway, {}, 3501, 'bad request')
    await closes(at.gateway, { token: '' }, 3501)
    await closes(at.gateway, { data: { guest: { key: 'k'.repeat(20), name: 'n' } } }, 3501)
  })

  it('after an error nothing else of the frame is done', async () => {
    const c = await Chatter.open(at.gateway)
    const [id] = c.command({ connect: { token: token({ sub: '42', exp: 1 }) } }, { subscribe: { channel: 'chat:all' } })
    assert.equal((await c.reply(id)).value.error.code, 109)
    await c.leave()
    assert.deepEqual(c.rest(), [])
  })

  it('say when the connection ends', async () => {
    const ttl = async (claims) => {
      const c = await connect(at.gateway, { token: token({ sub: '42', ...claims }) })
      await c.leave()
      return c.connected
    }
    // What is left of it when it is told, which is a while after it was said.
    const near = (value, end, begun) => assert.ok(value <= end - begun && value >= end - now() - 1, `${value}`)
    const begun = now()
    const hour = await ttl({ exp: begun + 3600 })
    assert.equal(hour.expires, true)
    near(hour.ttl, begun + 3600, begun)
    near((await ttl({ exp: begun + 3600, expire_at: begun + 60 })).ttl, begun + 60, begun)
    assert.equal((await ttl({ exp: now() + 1e9 })).ttl, 365 * 24 * 3600)
    for (const forever of [{ exp: now() + 60, expire_at: 0 }, { expire_at: -1 }, {}]) {
      const { expires, ttl: none } = await ttl(forever)
      assert.deepEqual({ expires, none }, { expires: undefined, none: undefined })
    }
  })

  it('nothing is open with auth jwt until it is set', async () => {
    const c = await connect(at.gateway, { token: token({ sub: '42' }) })
    await c.fails({ subscribe: { channel: 'shut:a' } }, 103)
    await c.fails({ publish: { channel: 'shut:a', data: 1 } }, 103)
    await c.fails({ presence: { channel: 'shut:a' } }, 108)
    await c.fails({ history: { channel: 'shut:a' } }, 108)
    assert.deepEqual(await c.subscribe('plain'), {})
    await c.leave()
  })

  it('the user without a name gets only what is granted to it', async () => {
    const c = await connect(at.gateway, { token: token({ sub: '' }) })
    await c.fails({ subscribe: { channel: 'chat:all' } }, 103)
    await c.subscribe('open:all')
    await c.leave()
  })
})

suites('refresh', { auth: 'jwt', args: [...config, '--expired-close-delay', '0s'], together: true }, (at) => {
  const soon = () => now() + 5 // what comes before that has to come before that on a busy machine, too
  const short = (claims = {}) => token({ sub: '42', exp: soon(), ...claims })

  it('a connection that is not refreshed is closed with 3005', async () => {
    const exp = soon()
    const c = await connect(at.gateway, { token: short({ exp }) })
    await c.closed(3005, 'connection expired')
    assert.ok(now() >= exp - 1, 'not before its time')
  })

  it('a refreshed one lives on', async () => {
    const exp = soon()
    const c = await connect(at.gateway, { token: short({ exp }) })
    const { expires, ttl } = await c.ok({ refresh: { token: token({ sub: '42', exp: now() + 600 }) } })
    assert.deepEqual([expires, ttl > 500 && ttl <= 600], [true, true])
    assert.deepEqual(await c.ok({ refresh: { token: token({ sub: '42' }) } }), {})
    await past(exp)
    await c.subscribe('chat:all')
    await c.leave()
  })

  it('a refresh that is no good ends the connection', async () => {
    const rows = [
      [{ token: token({ sub: '43' }) }, 3500],
      [{ token: 'x' }, 3500],
      [{ token: token({ sub: '42' }, { key: 'foreign' }) }, 3500],
      [{ token: token({ sub: '42', exp: now() - 1 }) }, 3005],
      [{ token: token({ sub: '42', channels: ['chat:all'] }) }, 3010],
      [{ token: '' }, 3501],
      [{}, 3501],
    ]
    for (const [refresh, code] of rows) {
      const c = await connect(at.gateway, { token: short({ exp: now() + 600 }) })
      c.command({ refresh })
      await c.closed(code)
    }
    const c = await connect(at.gateway, { token: short({ exp: now() + 600 }) })
    await c.fails({ refresh: { token: token({ sub: '42', expire_at: now() - 5 }) } }, 110)
    await c.leave()
  })

  it('new info is what others see from then on', async () => {
    const c = await connect(at.gateway, { token: short({ exp: now() + 600, info: 'old' }) })
    await c.subscribe('chat:info')
    await c.publish('chat:info', 1)
    assert.equal((await c.pub('chat:info')).info.conn_info, 'old')
    await c.ok({ refresh: { token: token({ sub: '42', info: 'new' }) } })
    await c.publish('chat:info', 2)
    assert.equal((await c.pub('chat:info')).info.conn_info, 'new')
    await c.leave()
  })
})

suite('the official client', jwt, (at) => {
  it('renews its token', async () => {
    let made = 0
    const client = new Centrifuge(at.gateway.url, {
      websocket: WebSocket,
      getToken: async () => token({ sub: '42', exp: now() + (made++ === 0 ? -5 : 3) }),
      minReconnectDelay: 10,
      maxReconnectDelay: 50,
    })
    const states = []
    client.on('state', ({ newState }) => states.push(newState))
    client.connect() // the first token is over: 109, another is fetched
    await client.ready()
    while (made < 4) await pause(50)
    await assert.rejects(client.rpc('no such method', {}), { code: 108 }) // it is still connected
    assert.deepEqual(states, ['connecting', 'connected'])
    client.disconnect()
  })
})

suite('users without a token', { auth: 'jwt', args: [...config, '--allow-anonymous-connect-without-token', 'on', '--disallow-anonymous-connection-tokens', 'on'] }, (at) => {
  it('may connect where that is allowed', async () => {
    const c = await connect(at.gateway, {})
    await c.subscribe('open:all')
    await c.fails({ subscribe: { channel: 'chat:all' } }, 103)
    await c.leave()
  })

  it('but a token for nobody may be refused', async () => {
    await closes(at.gateway, { token: token({ sub: '' }) }, 3507, 'permission denied')
    await (await connect(at.gateway, { token: token({ sub: 'a' }) })).leave()
  })
})

suite('audience, issuer and user claim', { auth: 'jwt', args: [...config, '--jwt-audience', 'chat', '--jwt-issuer', 'shop', '--jwt-user-claim', 'uid'] }, (at) => {
  it('must be as configured', async () => {
    const right = { aud: ['other', 'chat'], iss: 'shop', uid: 'u', sub: 's' }
    const c = await connect(at.gateway, { token: token(right) })
    assert.equal((await appearance(c)).user, 'u')
    await c.leave()
    for (const wrong of [{ aud: 'x' }, { iss: 'x' }, { uid: 7 }, { aud: undefined }, { iss: undefined }])
      await closes(at.gateway, { token: token({ ...right, ...wrong }) }, 3500)
  })
})

suite('auth insecure with a key', { args: ['--jwt-hmac-secret', 'the secret of the tests', '--expired-close-delay', '0s'] }, (at) => {
  it('verifies the tokens that are shown, and lets them never end', async () => {
    const exp = now() + 4
    const c = await connect(at.gateway, { token: token({ sub: '42', exp }) })
    assert.equal(c.connected.expires, undefined)
    await closes(at.gateway, { token: token({ sub: '42' }, { key: 'foreign' }) }, 3500)
    await refuses(at.gateway, { token: token({ sub: '42', exp: 1 }) }, 109)
    await (await connect(at.gateway, {})).leave()
    await past(exp)
    await c.subscribe('$any')
    await c.leave()
  })
})

suite('auth guest', { auth: 'guest' }, (at) => {
  it('has no key to check a token with', () => refuses(at.gateway, { token: token({ sub: '42' }) }, 101))
})

describe('public keys', () => {
  const algorithms = ['RS256', 'RS384', 'RS512', 'ES256', 'ES384', 'ES512']
  const pairs = { RS: keyPair('RS256'), ES256: keyPair('ES256'), ES384: keyPair('ES384'), ES512: keyPair('ES512') }
  const pairOf = (alg) => pairs[alg] ?? pairs.RS
  let folder, gateway
  before(async () => {
    folder = await mkdtemp(path(tmpdir(), 'madang-keys-'))
    const files = []
    for (const [name, { pem }] of Object.entries(pairs)) {
      files.push(path(folder, `${name}.pem`))
      await writeFile(files.at(-1), pem)
    }
    gateway = await startGateway([...config.slice(2), '--jwt-public-key-files', files.join(',')], { auth: 'jwt' })
  })
  after(async () => {
    await gateway?.stop()
    await rm(folder, { recursive: true })
  })

  it('verify what their private keys have signed', async () => {
    for (const alg of algorithms) {
      const c = await connect(gateway, { token: token({ sub: alg }, { alg, key: pairOf(alg).privateKey }) })
      await c.leave()
      const foreign = keyPair(alg).privateKey
      await closes(gateway, { token: token({ sub: alg }, { alg, key: foreign }) }, 3500)
    }
  })

  it('are never taken for secrets', async () => {
    for (const { pem } of Object.values(pairs))
      for (const alg of ['HS256', 'HS384', 'HS512'])
        await closes(gateway, { token: token({ sub: 'a' }, { alg, key: pem }) }, 3500)
  })

  it('a signature of PS256 or EdDSA is not looked at', async () => {
    const one = token({ sub: 'a' }, { alg: 'RS256', key: pairs.RS.privateKey, header: { alg: 'PS256' } })
    await closes(gateway, { token: one }, 3500)
    await closes(gateway, { token: token({ sub: 'a' }, { alg: 'RS256', key: pairs.RS.privateKey, header: { alg: 'EdDSA' } }) }, 3500)
  })
})
