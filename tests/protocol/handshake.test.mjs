// SPDX-License-Identifier: MIT
// Before the first command: who may come in, from which page, by which name; and plain HTTP beside it.
import assert from 'node:assert/strict'
import { Agent, get } from 'node:http'
import { networkInterfaces } from 'node:os'

import { Chatter } from '../lib/chatter.mjs'
import { request } from '../lib/gateway.mjs'
import { it, suite, suites } from '../lib/suite.mjs'
import { Wire, dial, frame, handshakeText, readHead } from '../lib/wire.mjs'

// The status that a handshake is answered with; 101 is undone at once.
async function status(gateway, options) {
  try {
    const wire = await Wire.open(gateway, options)
    await wire.leave()
    return 101
  } catch (error) {
    if (!error.status) throw error
    return error.status
  }
}

// A plain request with exactly these headers.
async function plain(gateway, path, headers) {
  const socket = await dial(gateway)
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`)
  socket.write(`GET ${path} HTTP/1.1\r\n${lines.join('')}\r\n`)
  const head = await readHead(socket)
  socket.destroy()
  return head
}

const alive = async (gateway) => assert.equal((await request(gateway, '/healthz')).status, 200)

suites('handshakes', {}, (at) => {
  const upgrade = (options) => status(at.gateway, options)
  const withHeaders = (headers) => upgrade({ headers })

  it('no subprotocol is needed, and none is echoed then', async () => {
    const wire = await Wire.open(at.gateway)
    assert.equal(wire.headers['sec-websocket-protocol'], undefined)
    assert.equal(wire.headers['sec-websocket-extensions'], undefined)
    await wire.leave()
  })

  it('centrifuge-json is echoed wherever it stands in the list', async () => {
    for (const list of ['centrifuge-json', 'centrifuge-protobuf, centrifuge-json', 'x,centrifuge-json', 'centrifuge-json, x']) {
      const wire = await Wire.open(at.gateway, { headers: { 'Sec-WebSocket-Protocol': list } })
      assert.equal(wire.headers['sec-websocket-protocol'], 'centrifuge-json', list)
      const c = new Chatter(wire, true)
      await c.ok({ connect: {} })
      await c.leave()
    }
  })

  it('400 for subprotocols that are not spoken, protobuf among them, however it is asked for', async () => {
    for (const list of ['centrifuge-protobuf', 'chat', 'chat, soap', 'centrifuge-jsonx', 'x'.repeat(200)]) {
      assert.equal(await withHeaders({ 'Sec-WebSocket-Protocol': list }), 400, list)
    }
    for (const query of ['format=protobuf', 'cf_protocol=protobuf', 'a=1&format=protobuf']) {
      assert.equal(await upgrade({ path: `/connection/websocket?${query}` }), 400, query)
    }
  })

  it('query parameters that nobody knows are ignored', async () => {
    assert.equal(await upgrade({ path: '/connection/websocket?cf_protocol_version=v2&x=y&format=json' }), 101)
  })

  it('an offer of compression is not taken', async () => {
    const wire = await Wire.open(at.gateway, { headers: { 'Sec-WebSocket-Extensions': 'permessage-deflate; client_max_window_bits' } })
    assert.equal(wire.headers['sec-websocket-extensions'], undefined)
    const c = new Chatter(wire, true)
    await c.ok({ connect: {} })
    await c.leave()
  })

  it('404 for any other path', async () => {
    for (const path of ['/', '/connection', '/connection/websockets', '/connection/websocket/x', '/healthz', '/connection/sockjs']) {
      assert.equal(await upgrade({ path }), 404, path)
    }
  })

  it('405 for a handshake that is not a GET', async () => {
    for (const method of ['POST', 'PUT', 'HEAD']) assert.equal(await upgrade({ method }), 405, method)
  })

  it('400 for any version but 13', async () => {
    for (const version of ['8', '12', '14', '0', '113', 'x', undefined]) {
      assert.equal(await withHeaders({ 'Sec-WebSocket-Version': version }), 400, version)
    }
  })

  it('an upgrade to anything else is refused, HTTP/2 among it', async () => {
    // The library answers some of them itself, with 403.
    const h2 = { Upgrade: 'h2c', Connection: 'Upgrade, HTTP2-Settings', 'HTTP2-Settings': 'AAMAAABkAAQAoAAAAAIAAAAA' }
    assert.equal(await withHeaders(h2), 400)
    assert.equal(await upgrade({ path: '/', headers: h2 }), 400)
    for (const other of ['foo', 'websockets', 'TLS/1.0', 'websocket, foo']) {
      assert.ok([400, 403].includes(await withHeaders({ Upgrade: other })), other)
    }
    await alive(at.gateway)
  })

  it('a second request on a kept connection that asks for a foreign upgrade does no harm', async () => {
    for (const path of ['/healthz', '/', '/nothing']) {
      for (const value of ['foo', 'h2c', 'x'.repeat(500)]) {
        const socket = await dial(at.gateway)
        const host = `Host: ${at.gateway.host}:${at.gateway.port}\r\n`
        socket.write(`GET ${path} HTTP/1.1\r\n${host}\r\n`)
        await readHead(socket)
        const over = new Promise((settle) => socket.once('close', settle))
        socket.resume()
        socket.write(`GET ${path} HTTP/1.1\r\n${host}Upgrade: ${value}\r\nConnection: Upgrade\r\n\r\n`)
        socket.write(`GET ${path} HTTP/1.1\r\n${host}Connection: close\r\n\r\n`)
        socket.end()
        await over
      }
    }
    await alive(at.gateway)
  })

  it('handshakes that are nonsense do no harm', async () => {
    const texts = [
      '\r\n\r\n', 'GET\r\n\r\n', 'GET / HTTP/1.1\r\n\r\n', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
      `GET /${'x'.repeat(20_000)} HTTP/1.1\r\nHost: localhost\r\n\r\n`,
      `GET / HTTP/1.1\r\nHost: localhost\r\nCookie: ${'x'.repeat(20_000)}\r\n\r\n`,
      `GET / HTTP/1.1\r\nHost: localhost\r\n${'X: y\r\n'.repeat(2000)}\r\n`,
      handshakeText(at.gateway, { headers: { 'Sec-WebSocket-Key': undefined } }),
      handshakeText(at.gateway, { headers: { 'Sec-WebSocket-Key': '' } }),
      handshakeText(at.gateway, { headers: { 'Sec-WebSocket-Key': 'x'.repeat(1000) } }),
      handshakeText(at.gateway, { headers: { Connection: undefined } }),
      handshakeText(at.gateway, { headers: { Connection: 'close' } }),
      `${handshakeText(at.gateway)}${'\x81'.repeat(3000)}`,
      `POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\nabc`,
      `POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nffffffffff\r\n`,
    ]
    for (const text of texts) {
      const socket = await dial(at.gateway)
      const over = new Promise((settle) => socket.once('close', settle))
      socket.resume()
      socket.end(text, 'latin1')
      await over
    }
    await alive(at.gateway)
  })

  it('handshakes that are broken off at any point do no harm', async () => {
    const text = handshakeText(at.gateway)
    for (let n = 0; n < text.length; n += 7) {
      const socket = await dial(at.gateway)
      socket.write(text.slice(0, n))
      socket.resetAndDestroy()
    }
    await alive(at.gateway)
  })

  it('a handshake may come in pieces, cut anywhere', async () => {
    const text = handshakeText(at.gateway)
    for (let cut = 1; cut < text.length; cut += 3) {
      const socket = await dial(at.gateway)
      const head = readHead(socket)
      await new Promise((settle) => socket.write(text.slice(0, cut), settle))
      socket.write(text.slice(cut))
      assert.equal((await head).status, 101, `cut at ${cut}`)
      socket.destroy()
    }
    const socket = await dial(at.gateway)
    const head = readHead(socket)
    for (const letter of text) await new Promise((settle) => socket.write(letter, settle))
    assert.equal((await head).status, 101)
    socket.destroy()
  })

  it('commands that come with the handshake, against the rules, do no harm', async () => {
    const all = Buffer.concat([Buffer.from(handshakeText(at.gateway)), frame('{"id":1,"connect":{}}\n{"id":2,"presence_stats":{"channel":"x"}}')])
    for (let cut = 1; cut < all.length; cut += 3) {
      const socket = await dial(at.gateway)
      const answered = new Promise((settle) => {
        socket.once('close', settle)
        socket.on('data', (bytes) => bytes.includes('"id":2') && settle())
      })
      await new Promise((settle) => socket.write(all.subarray(0, cut), settle))
      socket.end(all.subarray(cut))
      await answered // or given up: the library takes some for bytes of the handshake
      socket.destroy()
    }
    await alive(at.gateway)
  })
})

suite('slow handshakes', {}, (at) => {
  it('headers that never end are cut off, and nobody else waits for them', async () => {
    const sockets = await Promise.all(Array.from({ length: 20 }, () => dial(at.gateway)))
    const ends = sockets.map((socket) => new Promise((settle) => socket.once('close', settle)))
    const text = handshakeText(at.gateway)
    sockets.forEach((socket, i) => socket.resume().write(text.slice(0, i * 5)))
    const c = await Chatter.join(at.gateway)
    await c.fence()
    await Promise.all(ends)
    await c.fence()
    await c.leave()
  })
})

for (const auth of ['insecure', 'guest']) {
  const args = ['--public-names', 'chat.example.org', '--allowed-origins', 'https://app.example.org', '--allowed-origins', 'http://dev.example.org:3000']
  suite(`hosts and origins, ${auth}`, { auth, args }, (at) => {
    const port = () => at.gateway.port
    const cases = {
      'no origin': [{}, 200],
      'the page of the gateway itself': [{ Origin: 'http://127.0.0.1:PORT' }, 200],
      'localhost by that name': [{ Host: 'localhost:PORT', Origin: 'http://localhost:PORT' }, 200],
      'localhost in capitals': [{ Host: 'LOCALHOST:PORT', Origin: 'http://localhost:PORT' }, 200],
      'a host without a port': [{ Host: 'localhost' }, 200],
      'IPv6 loopback': [{ Host: '[::1]:PORT', Origin: 'http://[::1]:PORT' }, 200],
      'the public name': [{ Host: 'chat.example.org', Origin: 'https://chat.example.org' }, 200],
      'the public name with a port': [{ Host: 'chat.example.org:8443', Origin: 'https://chat.example.org:8443' }, 200],
      'an allowed origin': [{ Origin: 'https://app.example.org' }, 200],
      'an allowed origin with its usual port': [{ Origin: 'https://app.example.org:443' }, 200],
      'an allowed origin with another port': [{ Origin: 'http://dev.example.org:3000' }, 200],
      'another scheme': [{ Origin: 'http://app.example.org' }, 403],
      'an origin that only begins like an allowed one': [{ Origin: 'https://app.example.org.evil.example' }, 403],
      'an allowed origin without its port': [{ Origin: 'http://dev.example.org' }, 403],
      'a stranger': [{ Origin: 'https://evil.example' }, 403],
      'another port of this machine': [{ Origin: 'http://127.0.0.1:1' }, 403],
      'another name of this machine': [{ Origin: 'http://localhost:PORT' }, 403],
      'an opaque origin': [{ Origin: 'null' }, 403],
      'an empty origin': [{ Origin: '' }, 200],
      'no origin at all, in letters': [{ Origin: 'nonsense' }, 403],
      'a file': [{ Origin: 'file://' }, 403],
      'a very long origin': [{ Origin: `http://${'a'.repeat(3000)}` }, 403],
      'a rebound name, with the origin that goes with it': [{ Host: 'evil.example:PORT', Origin: 'http://evil.example:PORT' }, 421],
      'a rebound name without origin': [{ Host: 'evil.example:PORT' }, 421],
      'a name that ends like ours': [{ Host: 'evilchat.example.org' }, 421],
      'an address that is not ours': [{ Host: '192.0.2.1:PORT' }, 421],
      'an empty host': [{ Host: '' }, 421],
      'a host with a user': [{ Host: 'localhost@evil.example' }, 421],
      'a very long host': [{ Host: 'a'.repeat(3000) }, 421],
    }
    const fill = (headers) => Object.fromEntries(Object.entries(headers).map(([k, v]) => [k, v.replace('PORT', port())]))

    for (const [what, [headers, expected]] of Object.entries(cases)) {
      it(`${expected === 200 ? 'welcome' : expected}: ${what}`, async () => {
        const sent = fill(headers)
        assert.equal(await status(at.gateway, { headers: sent }), expected === 200 ? 101 : expected)
        for (const path of ['/healthz', '/metrics', '/nothing']) {
          const { status: code } = await plain(at.gateway, path, { Host: `127.0.0.1:${port()}`, ...sent })
          assert.equal(code, expected === 200 && path === '/nothing' ? 404 : expected, path)
        }
      })
    }
  })
}

suite('HTTP', {}, (at) => {
  it('the page is served with its policy, or said not to be built in', async () => {
    const { status: code, headers, body } = await request(at.gateway, '/')
    if (code === 404) assert.match(body, /without the chat page/)
    else assert.match(headers['content-type'], /^text\/html/)
    assert.ok(headers['content-security-policy'].includes("default-src 'none'") || headers['content-security-policy'].includes("default-src 'self'"))
    assert.equal(headers['x-content-type-options'], 'nosniff')
  })

  it('/healthz and /readyz say that all is well', async () => {
    for (const path of ['/healthz', '/readyz']) assert.equal((await request(at.gateway, path)).status, 200)
  })

  it('/metrics is Prometheus text that counts what happens', async () => {
    const before = await at.gateway.metrics()
    const c = await Chatter.join(at.gateway)
    await c.subscribe('m')
    await c.publish('m', { cid: 'x' })
    await c.publish('m', { cid: 'x' })
    const { headers } = await request(at.gateway, '/metrics')
    assert.match(headers['content-type'], /^text\/plain; version=0\.0\.4/)
    const now = await at.gateway.metrics()
    assert.equal(now.madang_publications_total - before.madang_publications_total, 1)
    assert.equal(now.madang_publication_repeats_total - before.madang_publication_repeats_total, 1)
    await c.leave()
  })

  it('HEAD is answered without a body, other methods with 405, other paths with 404', async () => {
    const head = await request(at.gateway, '/healthz', {}, 'HEAD')
    assert.deepEqual([head.status, head.body], [200, ''])
    assert.equal((await request(at.gateway, '/healthz', {}, 'DELETE')).status, 405)
    assert.equal((await request(at.gateway, '/nothing')).status, 404)
    assert.equal((await request(at.gateway, '/api/publish')).status, 405)
  })

  it('many requests may follow each other on one connection', async () => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 })
    const ports = new Set()
    for (let i = 0; i < 50; i++) {
      const options = { host: at.gateway.host, port: at.gateway.port, path: '/readyz', agent }
      const response = await new Promise((settle, fail) => get(options, settle).on('error', fail))
      assert.equal(response.statusCode, 200)
      ports.add(response.socket.localPort)
      await new Promise((settle) => response.resume().on('end', settle))
    }
    assert.equal(ports.size, 1)
    agent.destroy()
  })

  it('426 for a request to the endpoint that asks for no upgrade', async () => {
    const { status: code, headers } = await request(at.gateway, '/connection/websocket')
    assert.deepEqual([code, headers.upgrade], [426, 'websocket'])
  })
})

suite('guests', { auth: 'guest' }, (at) => {
  const join = (data, more = {}) => Chatter.join(at.gateway, { data, ...more })
  const userOf = async (c) => {
    const channel = `who-${c.connected.client}`
    await c.subscribe(channel)
    const { presence } = await c.ok({ presence: { channel } })
    await c.ok({ unsubscribe: { channel } })
    return presence[c.connected.client]
  }
  const whois = async (data) => {
    const c = await join(data)
    const info = await userOf(c)
    await c.leave()
    return info
  }

  it('the same key is the same user over reconnects, another key another one', async () => {
    const key = 'k'.repeat(16)
    const first = await whois({ guest: { key, name: 'Ann' } })
    const second = await whois({ guest: { key, name: 'Other Ann' } })
    const other = await whois({ guest: { key: `${key}x`, name: 'Ann' } })
    assert.match(first.user, /^g_[a-z2-7]{26}$/)
    assert.equal(second.user, first.user)
    assert.notEqual(other.user, first.user)
    assert.deepEqual(second.conn_info, { name: 'Other Ann' })
    assert.ok(!JSON.stringify(first).includes(key))
  })

  it('nobody becomes another by claiming to be: only the key counts', async () => {
    const ann = await whois({ guest: { key: 'a'.repeat(16), name: 'Ann' } })
    const claims = [
      { guest: { key: 'b'.repeat(16), name: 'Ann', user: ann.user }, user: ann.user, client: ann.client, conn_info: { admin: true } },
      { guest: { key: ann.user.padEnd(16, '.'), name: 'Ann' } },
      { user: ann.user },
    ]
    for (const claim of claims) {
      const c = await join(claim)
      const info = await userOf(c)
      assert.notEqual(info.user, ann.user)
      assert.notEqual(info.client, ann.client)
      assert.equal(info.conn_info?.admin, undefined)
      await c.publish('claims', { user: ann.user, info: { user: ann.user } })
      const { publications } = await c.ok({ history: { channel: 'claims', limit: 1, reverse: true } })
      assert.equal(publications[0].info.user, info.user)
      await c.leave()
    }
  })

  it('without a key everybody is somebody new', async () => {
    const users = []
    for (const data of [undefined, null, {}, { guest: { name: 'x' } }, { other: 1 }]) users.push((await whois(data)).user)
    assert.equal(new Set(users).size, users.length)
  })

  it('names are cleaned and cut, never refused for what is in them', async () => {
    const { conn_info: info } = await whois({ guest: { key: 'n'.repeat(16), name: `\u202eA\u0000\n"마\u200b당"${'x'.repeat(200)}` } })
    assert.equal(info.name, `A"마당"${'x'.repeat(200)}`.slice(0, 64))
  })

  it('107 for a guest that is no guest; the connection is of no use then', async () => {
    const wrong = [{ guest: 7 }, { guest: [] }, { guest: { key: 'short' } }, { guest: { key: 7 } }, { guest: { key: 'x'.repeat(257) } }, { guest: { key: 'k'.repeat(16), name: 7 } }]
    for (const data of wrong) {
      const c = await Chatter.open(at.gateway)
      const [connect, subscribe] = c.command({ connect: { data } }, { subscribe: { channel: 'x' } })
      assert.equal((await c.reply(connect)).text, `{"id":${connect},"error":{"code":107,"message":"bad request"}}`)
      c.send('{"id":9,"connect":{}}')
      await c.leave()
      assert.deepEqual(c.rest(), [], `${subscribe} must not be answered`)
    }
  })

  it('101 for a token, for there is no key to check it with', async () => {
    const c = await Chatter.open(at.gateway)
    await c.fails({ connect: { token: 'eyJhbGciOiJub25lIn0.e30.' } }, 101)
    await c.leave()
  })

  it('a client that stays after its connect was refused is cut off', async () => {
    const c = await Chatter.open(at.gateway)
    await c.fails({ connect: { data: { guest: 1 } } }, 107)
    await c.done
  })
})

suite('insecure', {}, (at, join) => {
  it('everybody is the user without a name, with or without a token', async () => {
    for (const connect of [{}, { token: 'eyJ.x.y' }, { data: { guest: { key: 'k'.repeat(16), name: 'x' } } }]) {
      const c = await Chatter.open(at.gateway)
      const { client } = await c.ok({ connect })
      await c.subscribe('me')
      assert.equal(await c.text({ presence: { channel: 'me' } }), `{"id":3,"presence":{"presence":{"${client}":{"user":"","client":"${client}"}}}}`)
      await c.leave()
    }
  })

  it('private rooms are open too', async () => {
    const c = await join()
    await c.subscribe('$secret')
    await c.publish('$secret', 1)
    await c.leave()
  })
})

const six = Object.values(networkInterfaces()).flat().some(({ address }) => address === '::1')
if (six) {
  suite('IPv6', { host: '[::1]' }, (at) => {
    it('is served as well', async () => {
      at.gateway.host = '::1'
      const c = await Chatter.join(at.gateway, { headers: { Host: `[::1]:${at.gateway.port}` } })
      await c.fence()
      await c.leave()
    })
  })
}
