// SPDX-License-Identifier: MIT
// What Centrifugo has and this gateway has not is refused by name: as an option, in tokens and keys, in
// commands, in paths. docs/PROTOCOL.md lists it.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { generateKeyPairSync, sign } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe } from 'node:test'

import { Api, KEY, post } from '../lib/api.mjs'
import { Chatter } from '../lib/chatter.mjs'
import { request, startGateway } from '../lib/gateway.mjs'
import { it, suite } from '../lib/suite.mjs'
import { keyPair, token } from '../lib/token.mjs'
import { Wire } from '../lib/wire.mjs'

const bin = process.env.MADANG_BIN
const folder = mkdtempSync(join(tmpdir(), 'left-out-'))
after(() => rmSync(folder, { recursive: true }))

const file = (name, text) => {
  const path = join(folder, name)
  writeFileSync(path, text)
  return path
}

const run = (...args) =>
  new Promise((settle) => execFile(bin, args, { timeout: 100_000, env: { PATH: process.env.PATH } }, (error, out, text) => settle({ code: error?.code ?? 0, text })))

// As people who come from Centrifugo write them: section, key, what it is of.
const options = [
  ['rooms chat', 'allow_tags_filter', 'tags filters'],
  ['rooms chat', 'subscription_type', 'maps and shared polls'],
  ['rooms chat', 'map_clients_presence_channel_prefix', 'maps'],
  ['rooms chat', 'map', 'maps'],
  ['rooms chat', 'shared_poll', 'shared polls'],
  ['rooms chat', 'subscribe_proxy_enabled', 'backend proxies'],
  ['rooms chat', 'publish_proxy_name', 'backend proxies'],
  ['client', 'proxy_connect_endpoint', 'backend proxies'],
  ['client', 'connect_proxy_name', 'backend proxies'],
  ['gateway', 'websocket_protobuf', 'protobuf'],
  ['gateway', 'http_stream', 'HTTP fallbacks'],
  ['gateway', 'sse', 'HTTP fallbacks'],
  ['gateway', 'emulation', 'HTTP fallbacks'],
  ['gateway', 'uni_websocket', 'unidirectional transports'],
  ['gateway', 'grpc_api', 'gRPC'],
  ['jwt', 'eddsa_public_key', 'EdDSA'],
]

describe('options of what is left out', () => {
  it('are refused by name, each', async () => {
    const lines = options.flatMap(([section, key]) => [`[${section}]`, `${key} = on`])
    const { code, text } = await run('check', '--config', file('options.ini', lines.join('\n')))
    assert.equal(code, 1)
    const said = text.trim().split('\n')
    assert.equal(said.length, options.length, text)
    for (const [i, [section, key, feature]] of options.entries())
      assert.equal(said[i].slice(said[i].indexOf('unknown')), `unknown option "${key}" in [${section.split(' ')[0]}]; not offered: ${feature}`)
  })

  it('and sections too', async () => {
    const rows = { http_stream: 'HTTP fallbacks', sse: 'HTTP fallbacks', proxies: 'backend proxies', shared_poll: 'shared polls', 'client.proxy': 'backend proxies', grpc_api: 'gRPC' }
    const { code, text } = await run('check', '--config', file('sections.ini', Object.keys(rows).map((name) => `[${name}]\n`).join('')))
    assert.equal(code, 1)
    const said = text.trim().split('\n').map((line) => line.slice(line.indexOf('unknown')))
    assert.deepEqual(said, Object.entries(rows).map(([name, feature]) => `unknown section "${name}"; not offered: ${feature}`))
  })

  it('stand in the documentation', () => {
    const doc = readFileSync(new URL('../../docs/PROTOCOL.md', import.meta.url), 'utf8')
    const list = doc.slice(doc.indexOf('**Not offered**'))
    const features = new Set(options.map(([, , feature]) => feature).flatMap((name) => name.split(' and ')))
    for (const feature of features) assert.ok(list.includes(feature), feature)
  })
})

suite('commands that ask for it', {}, (at, session) => {
  const rows = [
    [{ subscribe: { type: 1 } }, 'maps'],
    [{ subscribe: { type: 2, phase: 2, limit: 10 } }, 'maps'],
    [{ subscribe: { type: 3 } }, 'maps'],
    [{ subscribe: { type: 4 } }, 'shared polls'],
    [{ subscribe: { tf: { key: 'a', cmp: 'eq', val: 'b' } } }, 'tags filters'],
    [{ publish: { type: 1, key: 'k', data: {} } }, 'maps'],
    [{ publish: { type: 1, key: 'k', removed: true } }, 'maps'],
    [{ sub_refresh: { type: 1, track: [{ keys: ['a'] }] } }, 'shared polls'],
  ]
  it('are answered 107, by name, and nothing of them is done', async () => {
    const c = await session()
    for (const [command, feature] of rows) {
      const [method] = Object.keys(command)
      const { message } = await c.fails({ [method]: { channel: 'x', ...command[method] } }, 107)
      assert.equal(message, `bad request; not offered: ${feature}`)
    }
    assert.deepEqual(await c.ok({ presence_stats: { channel: 'x' } }), { num_clients: 0, num_users: 0 })
    assert.equal((await c.ok({ history: { channel: 'x' } })).offset, 0)
    await c.subscribe('x', { type: 0 })
    await c.leave()
  })

  it('paths of other transports are 404, by name', async () => {
    const paths = ['/connection/http_stream', '/connection/sse', '/emulation', '/connection/sockjs', '/connection/uni_websocket', '/connection/uni_sse', '/connection/uni_http_stream', '/connection/webtransport']
    for (const path of paths) {
      for (const method of ['GET', 'POST']) {
        const { status, body } = await request(at.gateway, path, {}, method)
        assert.equal(status, 404, path)
        assert.match(body, /^Not offered: .+ by WebSocket at \/connection\/websocket\n$/)
      }
    }
  })

  it('protobuf is 400 at the handshake, whichever way it is asked for', async () => {
    const asked = [
      { headers: { 'Sec-WebSocket-Protocol': 'centrifuge-protobuf' } },
      { path: '/connection/websocket?format=protobuf' },
      { path: '/connection/websocket?cf_protocol=protobuf' },
    ]
    for (const one of asked) await assert.rejects(Wire.open(at.gateway, one), { status: 400 })
  })
})

suite('calls of the server API for it', { args: ['--api-key', KEY] }, (at) => {
  it('are 404, and 104 within a batch', async () => {
    const methods = ['map_publish', 'map_remove', 'map_read_state', 'map_read_stream', 'map_stats', 'map_clear', 'shared_poll_publish']
    for (const method of methods) {
      const { status, body } = await post(at.gateway, `/api/${method}`, { channel: 'x' })
      assert.deepEqual([status, body], [404, 'Maps and shared polls are not offered.\n'])
      const { replies } = await new Api(at.gateway).ok('batch', { commands: [{ [method]: { channel: 'x' } }] })
      assert.equal(replies[0].error.code, 104)
    }
  })
})

describe('EdDSA', () => {
  const edwards = generateKeyPairSync('ed25519')
  const other = keyPair('ES256', { kid: 'other' })
  const jwk = { ...edwards.publicKey.export({ format: 'jwk' }), kid: 'edwards', alg: 'EdDSA', use: 'sig' }

  function signed() {
    const part = (value) => Buffer.from(JSON.stringify(value)).toString('base64url')
    const text = `${part({ alg: 'EdDSA', kid: 'edwards' })}.${part({ sub: '42' })}`
    return `${text}.${sign(null, Buffer.from(text), edwards.privateKey).toString('base64url')}`
  }

  it('public keys and sets with nothing else stop the start, by name', async () => {
    const pem = file('edwards.pem', edwards.publicKey.export({ type: 'spki', format: 'pem' }))
    const set = file('edwards.json', JSON.stringify({ keys: [jwk] }))
    const serve = ['serve', '--listen', '127.0.0.1:0', '--auth', 'jwt']
    for (const [args, words] of [
      [['--jwt-public-key-files', pem], 'edwards.pem: it is a key for EdDSA, which is not offered'],
      [['--jwt-jwks', set], 'edwards.json: it holds no RSA or EC key for signatures; EdDSA is not offered'],
    ]) {
      const { code, text } = await run(...serve, ...args)
      assert.equal(code, 1, text)
      assert.ok(text.includes(words), text)
    }
  })

  it('madang token does not sign with it', async () => {
    const pem = file('edwards.key', edwards.privateKey.export({ type: 'pkcs8', format: 'pem' }))
    const { code, text } = await run('token', '--private-key-file', pem, '--user', '42')
    assert.equal(code, 1)
    assert.ok(text.includes('it holds no RSA or EC private key'), text)
  })

  it('a key of a set is passed over, and tokens signed with it are refused though their signature is right', async () => {
    const set = file('both.json', JSON.stringify({ keys: [jwk, other.jwk] }))
    const gateway = await startGateway(['--jwt-jwks', set], { auth: 'jwt' })
    const refused = await Chatter.open(gateway)
    refused.command({ connect: { token: signed() } })
    await refused.closed(3500, 'invalid token')
    const c = await Chatter.open(gateway)
    await c.ok({ connect: { token: token({ sub: '42' }, { alg: 'ES256', key: other.privateKey, header: { kid: 'other' } }) } })
    await c.leave()
    await gateway.stop()
  })
})
