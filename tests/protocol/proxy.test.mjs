// SPDX-License-Identifier: MIT
// The PROXY protocol: a connection says first whom it comes from, and only then speaks HTTP.
import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join as pathOf } from 'node:path'

import { Chatter } from '../lib/chatter.mjs'
import { startGateway } from '../lib/gateway.mjs'
import { it, suite, suites } from '../lib/suite.mjs'
import { Wire, dial, handshakeText, readHead } from '../lib/wire.mjs'

const SIGNATURE = Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1')

const v1 = (source) => Buffer.from(`PROXY ${source.includes(':') ? 'TCP6' : 'TCP4'} ${source} ${source} 4711 80\r\n`)

// Version 2 for IPv4, with so many bytes behind the addresses.
function v2(source, { command = 1, extra = 0 } = {}) {
  const address = Buffer.from(source.split('.').map(Number))
  const ports = Buffer.from([0x12, 0x67, 0, 80])
  const head = Buffer.from([0x20 | command, 0x11, (12 + extra) >> 8, (12 + extra) & 255])
  return Buffer.concat([SIGNATURE, head, address, address, ports, Buffer.alloc(extra, 4)])
}

const local = Buffer.concat([SIGNATURE, Buffer.from([0x20, 0, 0, 0])])
const unknown = Buffer.from('PROXY UNKNOWN\r\n')

const at0 = (gateway) => ({ host: gateway.host, port: gateway.ports[0] })

// A WebSocket behind a header, which comes in these pieces, the handshake right behind the last.
async function open(gateway, ...pieces) {
  const socket = await dial(at0(gateway))
  for (const piece of pieces.slice(0, -1)) await new Promise((done) => socket.write(piece, done))
  socket.write(Buffer.concat([pieces.at(-1), Buffer.from(handshakeText(at0(gateway)))]))
  const head = await readHead(socket)
  if (head.status !== 101) throw Object.assign(new Error(`refused: ${head.status}`), head)
  return new Wire(socket, head)
}

async function session(gateway, ...pieces) {
  const c = new Chatter(await open(gateway, ...pieces), true)
  await c.ok({ connect: {} })
  return c
}

// Resolves when the gateway has closed the connection without a word.
async function closed(gateway, bytes) {
  const socket = await dial(at0(gateway))
  let said = 0
  socket.on('data', (more) => (said += more.length))
  const end = new Promise((settle) => socket.on('close', settle))
  socket.write(bytes)
  await end
  assert.equal(said, 0)
}

const proxied = { listen: 'proxy:127.0.0.1:0 127.0.0.1:0', args: ['--max-connections-per-address', '2'] }

suites('addresses with proxy: in front', proxied, (at, join) => {
  it('take headers of both versions, and a session is like any other', async () => {
    const a = await session(at.gateway, v1('192.0.2.1'))
    const b = await session(at.gateway, v2('192.0.2.2', { extra: 300 }))
    const c = await join() // by the other address, where there is no header
    await a.subscribe('x')
    await b.subscribe('x')
    await c.publish('x', 'to both')
    for (const who of [a, b]) assert.equal((await who.pub('x')).data, 'to both')
    await Promise.all([a.leave(), b.leave(), c.leave()])
  })

  it('take a header byte by byte, and in one piece with what follows', async () => {
    for (const header of [v1('2001:db8::1'), v2('192.0.2.3', { extra: 20 }), local, unknown]) {
      const c = await session(at.gateway, ...[...header].map((byte) => Buffer.from([byte])))
      await c.leave()
      await (await session(at.gateway, header)).leave()
    }
  })

  it('count connections for the address in the header', async () => {
    const two = [await open(at.gateway, v1('192.0.2.4')), await open(at.gateway, v2('192.0.2.4'))]
    await closed(at.gateway, v1('192.0.2.4'))
    await at.gateway.said('192.0.2.4 has as many connections')
    const other = await open(at.gateway, v1('192.0.2.5'))
    assert.ok((await at.gateway.metrics()).madang_connections_crowded_total >= 1)
    two[0].cut()
    for (;;) {
      const again = await open(at.gateway, v1('192.0.2.4')).catch(() => null)
      if (!again) continue
      await again.leave()
      break
    }
    await Promise.all([two[1].leave(), other.leave()])
  })

  it('do not count what a proxy does for itself', async () => {
    const wires = await Promise.all([local, local, local, unknown, unknown].map((header) => open(at.gateway, header)))
    await Promise.all(wires.map((wire) => wire.leave()))
  })

  it('close connections with no header or a bad one, and count them', async () => {
    const before = (await at.gateway.metrics()).madang_proxy_headers_bad_total
    const bad = [
      handshakeText(at.gateway),
      'PROXY TCP4 192.0.2.1 nowhere 1 2\r\n',
      `PROXY UNKNOWN ${'x'.repeat(200)}`,
      Buffer.concat([SIGNATURE, Buffer.from([0x31, 0x11, 0, 12])]),
      Buffer.concat([SIGNATURE, Buffer.from([0x21, 0x11, 0xff, 0xff])]),
      Buffer.from([0x16, 0x03, 0x01, 0x02, 0x00]),
    ]
    for (const bytes of bad) await closed(at.gateway, bytes)
    assert.equal((await at.gateway.metrics()).madang_proxy_headers_bad_total, before + bad.length)
    await (await session(at.gateway, v1('192.0.2.6'))).leave()
  })

  it('close a header that does not come to its end', async () => {
    await Promise.all([closed(at.gateway, ''), closed(at.gateway, v1('192.0.2.7').subarray(0, -1)), closed(at.gateway, v2('192.0.2.7').subarray(0, 20))])
  })

  it('hold nobody up while headers do not come', async () => {
    const silent = await Promise.all(Array.from({ length: 300 }, () => dial(at0(at.gateway))))
    await (await session(at.gateway, v1('192.0.2.8'))).leave()
    for (const socket of silent) socket.destroy()
  })
})

suite('few handshakes', { ...proxied, args: ['--handshakes', '10'] }, (at) => {
  it('of those who wait for a header the first go when there are too many', async () => {
    const first = await dial(at0(at.gateway))
    const gone = new Promise((settle) => first.on('close', settle))
    const silent = await Promise.all(Array.from({ length: 10 }, () => dial(at0(at.gateway))))
    await gone
    await (await session(at.gateway, v1('192.0.2.1'))).leave()
    for (const socket of silent) socket.destroy()
  })
})

suite('trusted proxies', { ...proxied, args: ['--trusted-proxies', '127.0.0.1', '--max-connections-per-address', '1'] }, (at) => {
  it('may send headers, and are looked behind by both ways at once', async () => {
    const c = await open(at.gateway, v1('192.0.2.1'))
    await closed(at.gateway, v1('192.0.2.1'))
    // The header names another trusted proxy, and that one its client.
    const socket = await dial(at0(at.gateway))
    socket.write(v1('127.0.0.1') + handshakeText(at0(at.gateway), { headers: { 'X-Forwarded-For': '192.0.2.1' } }))
    assert.equal((await readHead(socket)).status, 429)
    socket.destroy()
    await c.leave()
  })
})

suite('trusting others', { ...proxied, args: ['--trusted-proxies', '10.0.0.0/8'] }, (at) => {
  it('takes no header from anybody else', async () => {
    const socket = await dial(at0(at.gateway))
    await new Promise((settle) => socket.on('close', settle))
    await at.gateway.said('PROXY headers are taken from trusted_proxies only')
    assert.equal((await at.gateway.metrics()).madang_proxy_headers_bad_total, 1)
  })
})

it('a unix socket may want headers too, and stopping closes who waits', async () => {
  const folder = await mkdtemp(pathOf(tmpdir(), 'madang-proxy-'))
  const path = pathOf(folder, 'sock')
  const gateway = await startGateway(['--trusted-proxies', 'unix'], { listen: `proxy:unix:${path} 127.0.0.1:0` })
  const socket = connect(path)
  socket.write(v1('192.0.2.1') + handshakeText({ host: 'localhost', port: 80 }))
  const head = await readHead(socket)
  assert.equal(head.status, 101)
  const c = new Chatter(new Wire(socket, head), true)
  await c.ok({ connect: {} })
  const waiting = connect(path)
  waiting.on('error', () => {})
  const gone = new Promise((settle) => waiting.on('close', settle))
  waiting.write('PROXY ')
  await new Promise((settle) => waiting.once('connect', settle))
  await c.leave()
  await gateway.stop()
  await gone
  await rm(folder, { recursive: true })
})
