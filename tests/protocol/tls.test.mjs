// SPDX-License-Identifier: MIT
// https and wss: the same gateway behind TLS, and certificates that are replaced while it serves.
import assert from 'node:assert/strict'
import { execFile, spawn } from 'node:child_process'
import { copyFile, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, afterEach, before, describe, it as plainIt } from 'node:test'

import { Centrifuge } from 'centrifuge'
import WebSocket from 'ws'

import { Api } from '../lib/api.mjs'
import { lockKey, makeCertificate } from '../lib/certificate.mjs'
import { Chatter } from '../lib/chatter.mjs'
import { request, startGateway } from '../lib/gateway.mjs'
import { it, returns } from '../lib/suite.mjs'
import { Wire, dial, readHead } from '../lib/wire.mjs'

let folder, ec, other, rsa, old, gateway
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'madang-tls-'))
  ec = await makeCertificate(folder, 'ec')
  other = await makeCertificate(folder, 'other')
  rsa = await makeCertificate(folder, 'rsa', { kind: 'rsa' })
  old = await makeCertificate(folder, 'old', { expired: true })
})
after(() => rm(folder, { recursive: true }))
afterEach(async () => {
  const was = gateway
  gateway = undefined
  await was?.stop()
})

const inUse = (name) => join(folder, `in-use.${name}`)

async function install({ cert, key }) {
  await copyFile(cert, inUse('cert'))
  await copyFile(key, inUse('key'))
}

async function start(args = [], { certificate = ec, ...options } = {}) {
  await install(certificate)
  const tls = { ca: [ec, other, rsa].map(({ pem }) => pem) }
  gateway = await startGateway(['--tls-cert', inUse('cert'), '--tls-key', inUse('key'), ...args], { hubs: 2, tls, ...options })
}

const shown = async (options) => {
  const socket = await dial(gateway, options)
  const { fingerprint256 } = socket.getPeerCertificate()
  socket.destroy()
  return fingerprint256
}

// What the openssl command says of an attempt to renegotiate; its R begins one.
function renegotiation() {
  const child = spawn('openssl', ['s_client', '-tls1_2', '-connect', `127.0.0.1:${gateway.port}`, '-CAfile', ec.cert])
  let said = ''
  return new Promise((settle, fail) => {
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (more) => {
        if (!said.includes('Verify return code') && (said + more).includes('Verify return code')) child.stdin.write('R\n')
        said += more
        if (/no renegotiation/.test(said)) child.stdin.end()
      })
    child.on('error', fail)
    child.on('close', () => settle(said))
  })
}

const refused = (options, what) => assert.rejects(dial(gateway, options), what)

describe('over TLS', () => {
  it('the official client chats', async () => {
    await start(['--api-key', 'k'])
    assert.match(gateway.out, /^ +page +https:\/\/localhost:\d+$/m)
    class Secure extends WebSocket {
      constructor(url, protocols) {
        super(url, protocols, gateway.tls)
      }
    }
    const [a, b] = [0, 1].map(() => returns(new Centrifuge(gateway.url, { websocket: Secure })))
    const got = []
    const all = [a, b].map((client) => {
      const sub = client.newSubscription('r')
      const done = new Promise((settle) => sub.on('publication', ({ data }) => got.push(data) % 6 === 0 && settle()))
      sub.subscribe()
      client.connect()
      return { sub, done }
    })
    for (const { sub } of all) await sub.ready()
    for (let i = 0; i < 2; i++) await all[i].sub.publish(i)
    await new Api(gateway, { key: 'k' }).ok('publish', { channel: 'r', data: 2 })
    await Promise.race(all.map(({ done }) => done))
    assert.deepEqual(got.sort(), [0, 0, 1, 1, 2, 2])
    assert.equal((await all[0].sub.history({ limit: 10 })).publications.length, 3)
    assert.equal((await request(gateway, '/readyz')).status, 200)
  })

  it('only TLS 1.2 and 1.3 are spoken, with forward secrecy and HTTP/1.1, and never renegotiated', async () => {
    await start()
    for (const version of ['TLSv1.2', 'TLSv1.3']) {
      const socket = await dial(gateway, { minVersion: version, maxVersion: version, ALPNProtocols: ['h2', 'http/1.1'] })
      assert.equal(socket.getProtocol(), version)
      assert.equal(socket.alpnProtocol, 'http/1.1')
      socket.destroy()
    }
    assert.match(await renegotiation(), /no renegotiation/)
    await refused({ minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'ALL:@SECLEVEL=0' }, /alert|version/)
    for (const ciphers of ['AES128-SHA256:@SECLEVEL=0', 'ECDHE-ECDSA-AES128-SHA:@SECLEVEL=0', 'NULL:@SECLEVEL=0'])
      await refused({ maxVersion: 'TLSv1.2', ciphers }, /handshake failure/)
  })

  it('pages of https come from this host, those of http do not', async () => {
    await start(['--public-names', 'chat.example'])
    const open = (Host, Origin) => Wire.open(gateway, { headers: { Host, Origin } })
    for (const [host, origin] of [['chat.example', 'https://chat.example'], ['localhost:1', 'https://localhost:1'], ['chat.example', undefined]]) await (await open(host, origin)).leave()
    for (const [host, origin] of [['chat.example', 'http://chat.example'], ['chat.example', 'https://evil.example']]) await assert.rejects(open(host, origin), { status: 403 })
    await assert.rejects(open('evil.example', 'https://evil.example'), { status: 421 })
  })

  it('large frames arrive whole, both ways, to a reader that pauses', async () => {
    await start(['--queue-bytes', '16MiB', '--queue-time', '1m', '--command-size', '256KiB'])
    const [reader, writer] = [await Chatter.join(gateway), await Chatter.join(gateway)]
    await reader.subscribe('r')
    reader.wire.socket.pause()
    const text = 'x'.repeat(200_000)
    for (let i = 0; i < 40; i++) await writer.publish('r', { i, text })
    reader.wire.socket.resume()
    for (let i = 0; i < 40; i++) assert.deepEqual((await reader.pub('r')).data, { i, text })
    await reader.fence()
  })

  it('a frame of many commands is carried out to its end while reading stops and goes on', async () => {
    await start(['--credits', '2'])
    const [one, two] = [await Chatter.join(gateway), await Chatter.join(gateway)]
    for (const who of [one, two]) {
      await who.subscribe('r')
      const all = Array.from({ length: 400 }, (_, i) => ({ publish: { channel: 'r', data: `${i}`.padEnd(500) } }))
      for (const id of who.command(...all)) assert.equal((await who.reply(id)).value.error, undefined)
    }
  })

  it('a reader that never reads is closed with 3008, and alone', async () => {
    await start(['--queue-bytes', '256KiB', '--queue-time', '20s'])
    const [slow, well] = [await Chatter.join(gateway), await Chatter.join(gateway)]
    for (const who of [slow, well]) await who.subscribe('r')
    slow.wire.socket.pause()
    const text = 'x'.repeat(50_000)
    for (let i = 0; (await gateway.metrics()).madang_closes_total === 0; i++) {
      assert.ok(i < 1000, 'it was never closed')
      await well.publish('r', { i, text })
      assert.equal((await well.pub('r')).data.i, i)
    }
    slow.wire.socket.resume()
    await slow.closed(3008)
    await well.fence()
  })

  it('close frames carry their codes', async () => {
    await start()
    const one = await Chatter.open(gateway)
    one.send('{"id":1,"publish":{"channel":"r","data":1}}')
    await one.closed(3501)
    const rest = await Chatter.join(gateway)
    gateway.signal('SIGTERM')
    await rest.closed(3001)
    assert.deepEqual(await gateway.ended, { code: 0, signal: null })
    gateway.assertQuiet()
    gateway = undefined
  })
})

describe('a TLS handshake', () => {
  it('that is never finished is cut, and counts until then', async () => {
    await start()
    const hello = Buffer.from('16030100c8010000c40303', 'hex') // a record that announces more than comes
    const half = []
    for (const bytes of [Buffer.alloc(0), hello, hello.subarray(0, 3)]) {
      const socket = await dial(gateway, { plain: true })
      socket.write(bytes)
      half.push(new Promise((settle) => socket.once('close', settle)))
      socket.resume()
    }
    const pending = async () => (await gateway.metrics()).madang_handshakes_pending
    while ((await pending()) < 3) await new Promise((settle) => setTimeout(settle, 20)) // two hubs take them over
    assert.equal(await pending(), 3, 'without the connection that asks')
    await Promise.all(half)
    assert.equal(await pending(), 0)
  })

  it('of garbage or plain HTTP costs that connection and nothing else', async () => {
    await start()
    const well = await Chatter.join(gateway)
    for (const bytes of ['GET / HTTP/1.1\r\nHost: localhost\r\n\r\n', Buffer.alloc(3000, 0x16), Buffer.from('80', 'hex'), Buffer.alloc(70_000, 0xff)]) {
      const socket = await dial(gateway, { plain: true })
      const closed = new Promise((settle) => socket.once('close', settle))
      let got = Buffer.alloc(0)
      socket.on('data', (more) => (got = Buffer.concat([got, more])))
      socket.end(bytes)
      await closed
      assert.doesNotMatch(got.toString('latin1'), /HTTP/)
    }
    await well.fence()
  })

  it('is short for who comes back, on any hub', async () => {
    await start([], { hubs: 3 })
    for (const version of ['TLSv1.2', 'TLSv1.3']) {
      const options = { minVersion: version, maxVersion: version }
      const socket = await dial(gateway, options)
      let session = socket.getSession()
      socket.on('session', (ticket) => (session = ticket))
      socket.write('GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n')
      await readHead(socket)
      socket.destroy()
      for (let i = 0; i < 6; i++) {
        const again = await dial(gateway, { ...options, session })
        assert.ok(again.isSessionReused(), `${version}, connection ${i}`)
        again.destroy()
      }
    }
  })
})

describe('SIGHUP', () => {
  it('brings a new certificate for new connections, also of another kind', async () => {
    await start()
    const before = await Chatter.join(gateway)
    for (const one of [rsa, other, rsa, ec]) {
      await install(one)
      await gateway.reload()
      for (const version of ['TLSv1.2', 'TLSv1.3']) for (let i = 0; i < 2; i++) assert.equal(await shown({ minVersion: version, maxVersion: version }), one.fingerprint)
    }
    await before.fence()
  })

  it('does not resume what was begun with the old one', async () => {
    await start()
    for (const version of ['TLSv1.2', 'TLSv1.3']) {
      await install(ec)
      await gateway.reload()
      const options = { minVersion: version, maxVersion: version }
      const socket = await dial(gateway, options)
      let session = socket.getSession()
      socket.on('session', (ticket) => (session = ticket))
      socket.write('GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n')
      await readHead(socket)
      socket.destroy()
      await gateway.reload() // the same certificate: nothing is lost
      const same = await dial(gateway, { ...options, session })
      assert.ok(same.isSessionReused(), version)
      same.destroy()
      await install(other)
      await gateway.reload()
      for (let i = 0; i < 4; i++) {
        const again = await dial(gateway, { ...options, session })
        assert.ok(!again.isSessionReused(), version)
        assert.equal(again.getPeerCertificate().fingerprint256, other.fingerprint)
        again.destroy()
      }
    }
  })

  it('refuses what cannot be used, and goes on with what there is', async () => {
    await start()
    const session = await Chatter.join(gateway)
    const attempts = [
      [() => copyFile(other.cert, inUse('cert')), /\[tls\] key: .*in-use\.key: the key does not belong to the certificate in .*in-use\.cert/],
      [() => writeFile(inUse('cert'), 'nonsense'), /\[tls\] cert: .*in-use\.cert: not a certificate in PEM/],
      [() => rm(inUse('key')), /\[tls\] key: .*in-use\.key: No such file/],
    ]
    for (const [spoil, words] of attempts) {
      await install(ec)
      await spoil()
      assert.match(await gateway.reload({ refused: true }), words)
      assert.equal(await shown(), ec.fingerprint)
    }
    await session.fence()
    await install(other)
    await gateway.reload()
    assert.equal(await shown(), other.fingerprint)
  })

  it('takes other files, but does not turn TLS off or on', async () => {
    const file = join(folder, 'madang.ini')
    const say = (...lines) => writeFile(file, lines.join('\n') + '\n')
    await say('[tls]', `cert = ${ec.cert}`, `key = ${ec.key}`)
    gateway = await startGateway(['--config', file], { hubs: 2, tls: { ca: [ec.pem, other.pem] } })
    await say('[tls]', `cert = ${other.cert}`, `key = ${other.key}`)
    await gateway.reload()
    assert.equal(await shown(), other.fingerprint)
    await say('')
    assert.match(await gateway.reload(), /\[tls\] cert: changed from .* to nothing; takes effect after a restart/)
    assert.equal(await shown(), other.fingerprint)
    await gateway.stop()
    gateway = await startGateway(['--config', file], { hubs: 2 })
    await say('[tls]', `cert = ${ec.cert}`, `key = ${ec.key}`)
    assert.match(await gateway.reload(), /\[tls\] cert: changed from nothing to .*; takes effect after a restart/)
    await (await Chatter.join(gateway)).fence()
  })

  it('warns of a certificate that has expired', async () => {
    await start()
    await install(old)
    assert.match(await gateway.reload(), /warn +\[tls\] cert: .*: the certificate has expired/)
    assert.equal(await shown({ rejectUnauthorized: false }), old.fingerprint)
  })

  plainIt('under 1000 live sessions: none is dropped, each still gets what is published', { timeout: 120_000 }, async () => {
    await start(['--handshakes', '200'])
    const all = []
    while (all.length < 1000) all.push(...(await Promise.all(Array.from({ length: 50 }, () => Chatter.join(gateway)))))
    await Promise.all(all.map((one) => one.subscribe('r')))
    await all[0].publish('r', 'before')
    for (const one of all) assert.equal((await one.pub('r')).data, 'before')
    await install(other)
    await gateway.reload()
    assert.equal(await shown(), other.fingerprint)
    assert.equal(await shown(), other.fingerprint)
    await all[500].publish('r', 'after')
    for (const one of all) {
      assert.equal((await one.pub('r')).data, 'after')
      assert.equal(one.wire.socket.getPeerCertificate().fingerprint256, ec.fingerprint)
    }
    const { madang_sessions, madang_closes_total } = await gateway.metrics()
    assert.deepEqual([madang_sessions, madang_closes_total], [1000, 0])
  })
})

describe('madang check', () => {
  const check = (...args) =>
    new Promise((settle) =>
      execFile(process.env.MADANG_BIN, ['check', ...args], (error, out, err) => settle({ code: error?.code ?? 0, out, err })))

  it('tells what is wrong with a certificate and its key, by the name of the file', async () => {
    const locked = join(folder, 'locked.key')
    await lockKey(ec.key, locked)
    const rows = [
      [[ec.cert, undefined], /\[tls\] cert .* needs \[tls\] key too/],
      [[undefined, ec.key], /\[tls\] key .* needs \[tls\] cert too/],
      [[join(folder, 'absent'), ec.key], /\[tls\] cert: .*absent: No such file or directory/],
      [[folder, ec.key], /\[tls\] cert: .*: not a certificate in PEM/],
      [[ec.key, ec.key], /\[tls\] cert: .*ec\.key: not a certificate in PEM/],
      [[ec.cert, ec.cert], /\[tls\] key: .*ec\.cert: not a private key in PEM/],
      [[ec.cert, other.key], /\[tls\] key: .*other\.key: the key does not belong to the certificate in .*ec\.cert/],
      [[ec.cert, rsa.key], /does not belong/],
      [[ec.cert, locked], /\[tls\] key: .*locked\.key: the key has a passphrase/],
    ]
    for (const [[cert, key], words] of rows) {
      const { code, out, err } = await check(...(cert ? ['--tls-cert', cert] : []), ...(key ? ['--tls-key', key] : []))
      assert.deepEqual([code, out], [1, ''], err)
      assert.match(err, words)
    }
  })

  it('lets pass what can be used, with a warning if it has expired', async () => {
    for (const one of [ec, rsa]) {
      const { code, err } = await check('--tls-cert', one.cert, '--tls-key', one.key)
      assert.deepEqual([code, err], [0, ''])
    }
    const { code, err } = await check('--tls-cert', old.cert, '--tls-key', old.key)
    assert.equal(code, 0)
    assert.match(err, /old\.cert: the certificate has expired/)
  })
})
