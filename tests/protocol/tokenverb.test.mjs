// SPDX-License-Identifier: MIT
// `madang token`: what it prints opens the door that it is meant for.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe } from 'node:test'

import { Chatter } from '../lib/chatter.mjs'
import { startGateway } from '../lib/gateway.mjs'
import { it } from '../lib/suite.mjs'
import { keyPair, now } from '../lib/token.mjs'

const bin = process.env.MADANG_BIN
const config = new URL('token.ini', import.meta.url).pathname

function run(...args) {
  return new Promise((settle) =>
    execFile(bin, ['token', ...args], { timeout: 100_000 }, (error, stdout, stderr) => settle({ code: error ? error.code : 0, stdout, stderr })),
  )
}

async function make(...args) {
  const { code, stdout, stderr } = await run(...args)
  assert.deepEqual({ code, stderr }, { code: 0, stderr: '' })
  assert.match(stdout, /^eyJ[\w-]+\.[\w-]+\.[\w-]+\n$/)
  return stdout.trim()
}

async function refused(args, message) {
  const { code, stdout, stderr } = await run(...args)
  assert.deepEqual({ code, stdout, stderr }, { code: 1, stdout: '', stderr: message + '\n' })
}

const decode = (token) => token.split('.').slice(0, 2).map((part) => JSON.parse(Buffer.from(part, 'base64url')))

describe('madang token', () => {
  const pairs = { RS256: keyPair('RS256'), ES256: keyPair('ES256'), ES512: keyPair('ES512') }
  const files = {}
  let folder, gateway
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'madang-token-'))
    const file = async (name, text) => (await writeFile(join(folder, name), text), join(folder, name))
    for (const [alg, { privateKey, pem }] of Object.entries(pairs)) {
      files[alg] = await file(`${alg}.key`, privateKey.export({ type: 'pkcs8', format: 'pem' }))
      files[`${alg}.pub`] = await file(`${alg}.pub`, pem)
    }
    files.secret = await file('secret', 'a secret of a file\r\n')
    files.empty = await file('empty', '\n')
    gateway = await startGateway(['--config', config, '--jwt-public-key-files', Object.keys(pairs).map((alg) => files[`${alg}.pub`]).join(' ')], { auth: 'jwt' })
  })
  after(async () => {
    await gateway?.stop()
    await rm(folder, { recursive: true })
  })

  async function connects(token, user) {
    const c = await Chatter.open(gateway)
    await c.ok({ connect: { token } })
    await c.subscribe('chat:all')
    const { presence } = await c.ok({ presence: { channel: 'chat:all' } })
    assert.ok(Object.values(presence).some((info) => info.user === user), JSON.stringify(presence))
    return c
  }

  it('makes a token for a connection', async () => {
    const token = await make('--config', config, '--user', '홍길동', '--expires', '1h', '--info', '{"n": 1}', '--rooms', 'chat:a,chat:b')
    const [header, claims] = decode(token)
    assert.deepEqual(header, { alg: 'HS256', typ: 'JWT' })
    const { exp, iat, ...rest } = claims
    assert.deepEqual(rest, { sub: '홍길동', info: { n: 1 }, channels: ['chat:a', 'chat:b'] })
    assert.ok(Math.abs(iat - now()) < 20 && exp === iat + 3600)
    await (await connects(token, '홍길동')).leave()
  })

  it('and for a subscription', async () => {
    const c = await connects(await make('--config', config, '--user=42', '--alg=HS512'), '42')
    await c.subscribe('$room', { token: await make('--config', config, '--user', '42', '--room', '$room') })
    await c.leave()
  })

  it('signs with a private key', async () => {
    for (const alg of Object.keys(pairs)) {
      const token = await make('--private-key-file', files[alg], '--user', alg, '--kid', 'k')
      assert.deepEqual(decode(token)[0], { alg, kid: 'k', typ: 'JWT' })
      await (await connects(token, alg)).leave()
    }
    const token = await make('--private-key-file', files.RS256, '--user', 'x', '--alg', 'RS512')
    await (await connects(token, 'x')).leave()
  })

  it('reads the secret from a file, without the end of its line', async () => {
    const other = await startGateway(['--jwt-hmac-secret', 'a secret of a file', '--jwt-audience', 'a', '--jwt-issuer', 'i', '--jwt-user-claim', 'uid'], { auth: 'jwt' })
    const c = await Chatter.open(other)
    const said = ['--jwt-audience', 'a', '--jwt-issuer', 'i', '--jwt-user-claim', 'uid']
    await c.ok({ connect: { token: await make('--jwt-hmac-secret-file', files.secret, '--user', 'u', '--expires', '0', ...said) } })
    await c.leave()
    await other.stop()
  })

  it('says what is wrong', async () => {
    await refused(['--user', 'x'], 'no key to sign with: set [jwt] hmac_secret or hmac_secret_file, as for serve, or --private-key-file')
    await refused(['--user'], '--user: a value is missing')
    await refused(['--usr', 'x'], 'unknown option "--usr"; --help lists what there is')
    await refused(['--config', config, '--user', 'g_x'], '--user: "g_x" cannot be used; allowed: up to 255 bytes without control characters, that do not begin with g_')
    await refused(['--config', config, '--info', '{'], '--info: "{" cannot be used; allowed: JSON of at most 4096 bytes')
    await refused(['--config', config, '--alg', 'RS256'], '--alg: the key is not one for it')
    await refused(['--private-key-file', files.ES256, '--alg', 'ES512'], '--alg: the key is not one for it')
    await refused(['--config', config, '--room', 'a', '--rooms', 'b'], '--room is for a subscription, --rooms for a connection: give one')
    await refused(['--private-key-file', files['ES256.pub']], `${files['ES256.pub']}: it holds no RSA or EC private key in PEM without a passphrase`)
    await refused(['--jwt-hmac-secret-file', files.empty], `${files.empty}: it holds no secret`)
    await refused(['--jwt-hmac-secret-file', join(folder, 'none')], `${join(folder, 'none')}: No such file or directory`)
  })

  it('check shows that there is a secret, and not which', async () => {
    const { stdout } = await new Promise((settle) =>
      execFile(bin, ['check', '--auth', 'jwt', '--jwt-hmac-secret', 'do not tell'], (error, stdout, stderr) => settle({ stdout: stdout + stderr })),
    )
    assert.match(stdout, /^; hmac_secret = \(not shown\) +; --jwt-hmac-secret$/m)
    assert.ok(!stdout.includes('do not tell'))
  })
})

describe('keys that cannot be used', () => {
  it('stop serve before it starts, with a reason', async () => {
    const serve = (...args) =>
      new Promise((settle) =>
        execFile(bin, ['serve', '--listen', '127.0.0.1:0', '--auth', 'jwt', ...args], { timeout: 100_000 }, (error, stdout, stderr) => settle({ code: error?.code, stderr })),
      )
    const rows = [
      [[], /auth jwt needs a key: set \[jwt\] hmac_secret, hmac_secret_file, public_key_files or jwks/],
      [['--jwt-hmac-secret-file', '/nowhere/secret'], /\/nowhere\/secret: No such file or directory/],
      [['--jwt-public-key-files', config], /token\.ini: it holds no public key in PEM/],
      [['--jwt-jwks', config], /token\.ini: it is no JWK set/],
      [['--jwt-jwks', 'ftp://127.0.0.1/keys'], /allowed: a path, or a URL that begins with http:\/\/ or https:\/\//],
      [['--jwt-hmac-secret', 'a', '--jwt-hmac-secret-file', 'b'], /set one of them/],
    ]
    for (const [args, message] of rows) {
      const { code, stderr } = await serve(...args)
      assert.equal(code, 1, stderr)
      assert.match(stderr, message)
    }
  })
})
