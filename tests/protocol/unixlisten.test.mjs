// SPDX-License-Identifier: MIT
// Unix sockets: who may open them, who is let in, and what is left of them.
import assert from 'node:assert/strict'
import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises'
import { get } from 'node:http'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join as pathOf } from 'node:path'
import { after, before, describe } from 'node:test'

import { Chatter } from '../lib/chatter.mjs'
import { startGateway } from '../lib/gateway.mjs'
import { it } from '../lib/suite.mjs'
import { Wire, handshakeText, readHead } from '../lib/wire.mjs'

const request = (socketPath, path, host) =>
  new Promise((settle, fail) => {
    get({ socketPath, path, headers: { Host: host }, agent: false }, (response) => {
      response.resume()
      response.on('end', () => settle(response.statusCode))
    }).on('error', fail)
  })

async function chatter(path, host) {
  const socket = connect(path)
  socket.write(handshakeText({ host, port: 80 }, { headers: { Host: host, Origin: `https://${host}` } }))
  const head = await readHead(socket)
  assert.equal(head.status, 101)
  const c = new Chatter(new Wire(socket, head), true)
  await c.ok({ connect: {} })
  return c
}

describe('a unix socket', () => {
  let folder, path
  before(async () => {
    folder = await mkdtemp(pathOf(tmpdir(), 'madang-unix-'))
    path = pathOf(folder, 'sock')
  })
  after(() => rm(folder, { recursive: true }))
  const start = (args = [], listen = `unix:${path}`) => startGateway(['--public-names', 'chat.example.org', ...args], { listen })

  it('serves chat and HTTP to a proxy that passes the public name, and to nobody by another', async () => {
    const gateway = await start()
    const [a, b] = [await chatter(path, 'chat.example.org'), await chatter(path, 'localhost')]
    await a.subscribe('x')
    await b.publish('x', 'through a file')
    assert.equal((await a.pub('x')).data, 'through a file')
    assert.equal(await request(path, '/healthz', 'chat.example.org'), 200)
    assert.equal(await request(path, '/healthz', 'evil.example'), 421)
    assert.equal(await request(path, '/healthz', 'unix'), 421)
    await Promise.all([a.leave(), b.leave()])
    await gateway.stop()
  })

  it('may be opened by its group, and is gone when the gateway is', async () => {
    const gateway = await start()
    const { mode } = await stat(path)
    assert.equal(mode & 0o7777, 0o660)
    await gateway.stop()
    await assert.rejects(stat(path), { code: 'ENOENT' })
  })

  it('that a killed gateway left is taken over; one that is served, or a file, is not', async () => {
    const killed = await start()
    await killed.kill()
    assert.ok((await stat(path)).isSocket())
    const gateway = await start()
    await assert.rejects(start(), /another program listens there/)
    assert.equal(await request(path, '/readyz', 'localhost'), 200)
    await gateway.stop()
    await writeFile(path, 'mine')
    await assert.rejects(start(), /no socket/)
    await rm(path)
  })

  it('stands beside TCP addresses', async () => {
    const gateway = await start([], `unix:${path} 127.0.0.1:0`)
    const c = await Chatter.join(gateway)
    const other = await chatter(path, 'localhost')
    await c.subscribe('x')
    await other.publish('x', 1)
    assert.equal((await c.pub('x')).data, 1)
    await Promise.all([c.leave(), other.leave()])
    await gateway.stop()
  })
})
