// SPDX-License-Identifier: MIT
// The examples in docs/OPERATIONS.md, run by nginx and HAProxy as they stand there, but for ports and
// certificates.
import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join as pathOf } from 'node:path'
import { after, before, describe } from 'node:test'

import { Chatter } from '../lib/chatter.mjs'
import { request, startGateway } from '../lib/gateway.mjs'
import { it } from '../lib/suite.mjs'
import { Wire, handshakeText, readHead } from '../lib/wire.mjs'

const env = { PATH: `${process.env.PATH}:/usr/sbin` }
const text = await readFile(new URL('../../docs/OPERATIONS.md', import.meta.url), 'utf8')
const examples = (language) => [...text.matchAll(new RegExp(`^\`\`\`${language}\n(.*?)^\`\`\`$`, 'gms'))].map(([, body]) => body)

const missing = (program, flag) => spawnSync(program, [flag], { env }).error && `${program} is not installed`

function freePort() {
  return new Promise((settle) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address()
      server.close(() => settle(port))
    })
  })
}

// Resolves when somebody listens there.
async function listening(port, ended) {
  for (;;) {
    const socket = connect(port, '127.0.0.1')
    const there = new Promise((settle) => socket.once('connect', () => settle(true)).once('error', () => settle(false)))
    const ok = await Promise.race([there, ended.then((why) => Promise.reject(new Error(`it ended: ${why}`)))])
    socket.destroy()
    if (ok) return
  }
}

class Proxy {
  static async start(program, config, args) {
    const proxy = new Proxy()
    proxy.folder = await mkdtemp(pathOf(tmpdir(), 'madang-behind-'))
    proxy.port = await freePort()
    const file = pathOf(proxy.folder, 'conf')
    await writeFile(file, config(proxy.port, proxy.folder))
    proxy.child = spawn(program, args(file, proxy.folder), { env, stdio: ['ignore', 'ignore', 'pipe'] })
    let log = ''
    proxy.child.stderr.on('data', (more) => (log += more))
    proxy.ended = new Promise((settle) => proxy.child.on('close', () => settle(log)))
    await listening(proxy.port, proxy.ended)
    return proxy
  }

  async stop() {
    this.child.kill('SIGTERM')
    await this.ended
    await rm(this.folder, { recursive: true })
  }

  // The answer to a handshake as a browser makes it, from an address of this machine.
  async handshake(localAddress, headers = {}) {
    const socket = connect({ host: '127.0.0.1', port: this.port, localAddress })
    socket.on('error', () => {})
    const named = { Host: 'chat.example.org', Origin: 'https://chat.example.org' }
    socket.write(handshakeText({ host: '', port: 0 }, { headers: { ...named, ...headers } }))
    try {
      return { socket, head: await readHead(socket) }
    } catch (error) {
      socket.destroy()
      throw error
    }
  }

  async open(localAddress, headers) {
    const { socket, head } = await this.handshake(localAddress, headers)
    assert.equal(head.status, 101)
    return new Wire(socket, head)
  }
}

const nginx = (gateway) => (port, folder) => {
  const temp = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((name) => `${name}_temp_path ${folder}/${name};`)
  const body = examples('nginx')[0]
    .replace('listen 443 ssl;', `listen 127.0.0.1:${port};`)
    .replace(/^ +ssl_.*\n/gm, '')
    .replace('127.0.0.1:8000', `127.0.0.1:${gateway.ports[0]}`)
  return `daemon off;\npid ${folder}/pid;\nerror_log stderr;\nevents {}\nhttp {\naccess_log off;\n${temp.join('\n')}\n${body}}\n`
}

const haproxy = (number) => (gateway) => (port) =>
  `${examples('haproxy')[number]}`
    .replace(/bind :443.*/, `bind 127.0.0.1:${port}`)
    .replace('127.0.0.1:8000', `127.0.0.1:${gateway.ports[0]}`)
    .replace('127.0.0.1:8001', `127.0.0.1:${gateway.ports[1]}`)
    .replace('port 9000', `port ${gateway.internalPorts[0]} inter 50ms`)

const inFront = {
  nginx: ['nginx', '-v', nginx, (file, folder) => ['-c', file, '-p', folder, '-e', 'stderr']],
  'HAProxy by HTTP': ['haproxy', '-v', haproxy(0), (file) => ['-f', file, '-db', '-q']],
  'HAProxy by the PROXY protocol': ['haproxy', '-v', haproxy(1), (file) => ['-f', file, '-db', '-q']],
}

for (const [name, [program, flag, config, args]] of Object.entries(inFront)) {
  describe(name, { skip: missing(program, flag) }, () => {
    let gateway, proxy
    before(async () => {
      const options = ['--public-names', 'chat.example.org', '--trusted-proxies', '127.0.0.1', '--max-connections-per-address', '2', '--internal-listen', '127.0.0.1:0']
      gateway = await startGateway(options, { listen: '127.0.0.1:0 proxy:127.0.0.1:0' })
      proxy = await Proxy.start(program, config(gateway), args)
    })
    after(async () => {
      await proxy?.stop()
      await gateway?.stop()
    })

    it('passes chat of a page that was opened over https', async () => {
      const [a, b] = [new Chatter(await proxy.open('127.0.0.1'), true), new Chatter(await proxy.open('127.0.0.1'), true)]
      await Promise.all([a.ok({ connect: {} }), b.ok({ connect: {} })])
      await a.subscribe('x')
      await b.publish('x', 'z'.repeat(10_000))
      assert.equal((await a.pub('x')).data.length, 10_000)
      await Promise.all([a.leave(), b.leave()])
    })

    it('passes plain requests, and refuses pages of others', async () => {
      const through = { host: '127.0.0.1', port: proxy.port }
      const named = { Host: 'chat.example.org' }
      assert.equal((await request(through, '/healthz', named)).status, 200)
      assert.equal((await request(through, '/metrics', named)).status, 404)
      const { socket, head } = await proxy.handshake('127.0.0.1', { Origin: 'https://evil.example' })
      assert.equal(head.status, 403)
      socket.destroy()
    })

    // 127.0.0.1 is trusted, so from there the header stands for a proxy further out.
    it('says who the client is', async () => {
      const client = { 'X-Forwarded-For': '192.0.2.1' }
      const two = [await proxy.open('127.0.0.1', client), await proxy.open('127.0.0.1', client)]
      const { socket, head } = await proxy.handshake('127.0.0.1', client)
      assert.equal(head.status, 429)
      socket.destroy()
      // 127.0.0.9 is a client like any other, which may say what it wants.
      const liar = await proxy.open('127.0.0.9', client)
      await Promise.all([...two, liar].map((wire) => wire.leave()))
    })
  })
}
