// SPDX-License-Identifier: MIT
// Limits per address behind a proxy: whom a handshake is counted for, and that places come back.
import assert from 'node:assert/strict'

import { Chatter } from '../lib/chatter.mjs'
import { it, suite, suites } from '../lib/suite.mjs'
import { Wire, dial, handshakeText, readHead } from '../lib/wire.mjs'

const most = ['--max-connections-per-address', '2']
const trusting = [...most, '--trusted-proxies', '127.0.0.0/8,10.0.0.0/8', '--public-names', 'chat.example.org']

const open = (gateway, forwarded, headers = {}) =>
  Wire.open(gateway, { headers: { ...(forwarded === undefined ? {} : { 'X-Forwarded-For': forwarded }), ...headers } })

const refused = (gateway, forwarded, status) =>
  assert.rejects(open(gateway, forwarded), (error) => (assert.equal(error.status, status, error.message), true))

// A place comes back when the hub has seen the connection go, which is a little later.
async function openSoon(gateway, forwarded) {
  for (;;) {
    try {
      return await open(gateway, forwarded)
    } catch (error) {
      if (error.status !== 429) throw error
    }
  }
}

suites('behind a trusted proxy', { args: trusting }, (at) => {
  it('connections are counted for the client that X-Forwarded-For names', async () => {
    const a = [await open(at.gateway, '192.0.2.1'), await open(at.gateway, '192.0.2.1')]
    await refused(at.gateway, '192.0.2.1', 429)
    await at.gateway.said('192.0.2.1 has as many connections as max_connections_per_address allows')
    const b = await open(at.gateway, '192.0.2.2')
    assert.ok((await at.gateway.metrics()).madang_handshakes_crowded_total >= 1)
    a[0].cut()
    const back = await openSoon(at.gateway, '192.0.2.1')
    await refused(at.gateway, '192.0.2.1', 429)
    await Promise.all([a[1].leave(), b.leave(), back.leave()])
  })

  it('of a chain the last hop that is not trusted counts, whatever the client wrote before it', async () => {
    const chain = (first) => `${first}, 192.0.2.3, 10.1.2.3`
    const two = [await open(at.gateway, chain('198.51.100.1')), await open(at.gateway, chain('nonsense'))]
    await refused(at.gateway, chain('198.51.100.2'), 429)
    await Promise.all(two.map((wire) => wire.leave()))
  })

  it('headers that come in several lines are one list', async () => {
    const lines = '192.0.2.4\r\nX-Forwarded-For: 10.0.0.1\r\nX-Forwarded-For: 10.0.0.2, 10.0.0.3'
    const two = [await open(at.gateway, lines), await open(at.gateway, '192.0.2.4')]
    await refused(at.gateway, lines, 429)
    const other = '192.0.2.4\r\nX-Forwarded-For: 192.0.2.5' // the last line is what the proxy wrote
    const wire = await open(at.gateway, other)
    await Promise.all([...two, wire].map((w) => w.leave()))
  })

  it('IPv6 counts by /64, with brackets and ports or without, and mapped IPv4 is IPv4', async () => {
    const two = [await open(at.gateway, '[2001:db8:1:2::1]:4711'), await open(at.gateway, '2001:db8:1:2:ffff::9')]
    await refused(at.gateway, '2001:db8:1:2::3', 429)
    const next = await open(at.gateway, '2001:db8:1:3::1')
    const mapped = [await open(at.gateway, '::ffff:192.0.2.6'), await open(at.gateway, '192.0.2.6:80')]
    await refused(at.gateway, '[::ffff:c000:206]', 429)
    await Promise.all([...two, ...mapped, next].map((wire) => wire.leave()))
  })

  it('400 for what is no list of addresses where the proxy wrote', async () => {
    for (const bad of ['unknown', '192.0.2.1,', '192.0.2.1, _x', '::', '192.0.2.1:x', 'x'.repeat(2000)]) {
      await refused(at.gateway, bad, 400)
    }
  })

  it('the proxy itself is not counted', async () => {
    const wires = await Promise.all(Array.from({ length: 10 }, () => open(at.gateway)))
    await Promise.all(wires.map((wire) => wire.leave()))
  })

  it('handshakes that are refused for another reason leave no trace in the count', async () => {
    for (let i = 0; i < 5; i++) {
      await assert.rejects(open(at.gateway, '192.0.2.7', { 'Sec-WebSocket-Version': '8' }), { status: 400 })
      await assert.rejects(open(at.gateway, '192.0.2.7', { 'Sec-WebSocket-Protocol': 'x' }), { status: 400 })
    }
    const two = [await open(at.gateway, '192.0.2.7'), await open(at.gateway, '192.0.2.7')]
    await Promise.all(two.map((wire) => wire.leave()))
  })

  it('handshakes broken off as they are answered give their places back', async () => {
    for (let i = 0; i < 20; i++) {
      const socket = await dial(at.gateway)
      socket.write(handshakeText(at.gateway, { headers: { 'X-Forwarded-For': '192.0.2.8' } }))
      socket.destroy()
    }
    const two = [await openSoon(at.gateway, '192.0.2.8'), await openSoon(at.gateway, '192.0.2.8')]
    await refused(at.gateway, '192.0.2.8', 429)
    await Promise.all(two.map((wire) => wire.leave()))
  })

  it('a page over https is of the same origin as its host, and X-Forwarded-Host changes nothing', async () => {
    const named = { Host: 'chat.example.org', Origin: 'https://chat.example.org' }
    const wire = await open(at.gateway, '192.0.2.9', { ...named, 'X-Forwarded-Proto': 'https' })
    await wire.leave()
    const forged = { ...named, Host: 'evil.example', 'X-Forwarded-Host': 'chat.example.org' }
    await assert.rejects(open(at.gateway, '192.0.2.9', forged), { status: 421 })
  })
})

suites('silence from one address', { listen: 'proxy:127.0.0.1:0 127.0.0.1:0', args: ['--handshakes', '48'] }, (at) => {
  it('has a share of the unfinished handshakes, and others keep their places', async () => {
    const gateway = { host: at.gateway.host, port: at.gateway.ports[0] }
    const from = async (address) => {
      const socket = await dial(gateway)
      socket.gone = new Promise((settle) => socket.on('close', settle))
      socket.write(`PROXY TCP4 ${address} 192.0.2.200 4711 80\r\n`)
      return socket
    }
    const slow = await from('192.0.2.1') // has not said more yet
    const flood = []
    for (let i = 0; i < 100; i++) flood.push(await from('192.0.2.2'))
    await Promise.all(flood.slice(0, 60).map((socket) => socket.gone))
    slow.write(handshakeText(gateway))
    assert.equal((await readHead(slow)).status, 101)
    for (const socket of [slow, ...flood]) socket.destroy()
  })
})

suite('without trusted proxies', { args: most }, (at) => {
  it('X-Forwarded-For is not looked at, be it nonsense', async () => {
    const wires = await Promise.all(['192.0.2.1', '192.0.2.1', '192.0.2.1', 'x'].map((value) => open(at.gateway, value)))
    await Promise.all(wires.map((wire) => wire.leave()))
  })
})

suite('trusting somebody else', { args: [...most, '--trusted-proxies', '10.0.0.0/8 fd00::/8 unix'] }, (at) => {
  it('X-Forwarded-For is not looked at either', async () => {
    const wires = await Promise.all(['192.0.2.1', '192.0.2.1', '192.0.2.1', 'x'].map((value) => open(at.gateway, value)))
    await Promise.all(wires.map((wire) => wire.leave()))
  })
})

suite('with no bound', { args: ['--max-connections-per-address', '0', '--trusted-proxies', '127.0.0.1'] }, (at) => {
  it('one address has as many as it likes', async () => {
    const wires = await Promise.all(Array.from({ length: 20 }, () => open(at.gateway, '192.0.2.1')))
    const c = new Chatter(wires[0], true)
    await c.ok({ connect: {} })
    await Promise.all(wires.map((wire) => wire.leave()))
  })
})
