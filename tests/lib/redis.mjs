// SPDX-License-Identifier: MIT
//
// Redis servers for tests, each with a folder of its own and a port that the kernel found free, and a
// client that speaks RESP2 and no more.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

async function freePort() {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address()
  server.close()
  await once(server, 'close')
  return port
}

export class Redis {
  static async start(args = []) {
    const redis = new Redis(await freePort(), await mkdtemp(join(tmpdir(), 'madang_redis_')), args)
    await redis.begin()
    return redis
  }

  constructor(port, folder, args) {
    this.port = port
    this.folder = folder
    this.args = args
  }

  get url() {
    return `redis://127.0.0.1:${this.port}`
  }

  // Starts it, also after `kill`: with the same port and folder, so with what it had saved.
  async begin() {
    const place = ['--port', String(this.port), '--bind', '127.0.0.1', '--dir', this.folder, '--save', '']
    this.child = spawn('redis-server', [...place, ...this.args], { stdio: ['ignore', 'pipe', 'inherit'] })
    this.ended = once(this.child, 'close')
    this.log = ''
    await new Promise((settle, fail) => {
      this.child.stdout.on('data', (text) => {
        this.log += text
        if (this.log.includes('Ready to accept connections')) settle()
      })
      this.child.on('error', fail)
      this.child.on('close', () => fail(new Error(`redis-server did not start:\n${this.log}`)))
    })
  }

  signal(name) {
    this.child.kill(name)
  }

  async kill() {
    this.signal('SIGKILL')
    await this.ended
  }

  async stop() {
    await this.kill()
    await rm(this.folder, { recursive: true })
  }

  // One command on a connection of its own.
  async say(...words) {
    const client = await RedisClient.connect(this.port)
    try {
      return await client.say(...words)
    } finally {
      client.close()
    }
  }
}

export class RedisClient {
  static async connect(port) {
    const client = new RedisClient(connect(port, '127.0.0.1'))
    await once(client.socket, 'connect')
    return client
  }

  constructor(socket) {
    this.socket = socket
    this.buffer = Buffer.alloc(0)
    this.waiting = []
    this.pushes = [] // of a subscriber
    this.closed = new Promise((settle) => socket.on('close', settle))
    socket.on('error', () => {}) // seen by 'close'
    socket.on('data', (bytes) => this.#take(bytes))
    this.closed.then(() => this.waiting.splice(0).forEach(({ fail }) => fail(new Error('the connection is gone'))))
  }

  // Resolves with the answer: a string, number, null or array; an error answer is thrown.
  say(...words) {
    const parts = words.map((word) => `$${Buffer.byteLength(String(word))}\r\n${word}\r\n`)
    this.socket.write(`*${words.length}\r\n${parts.join('')}`)
    return new Promise((settle, fail) => this.waiting.push({ settle, fail }))
  }

  close() {
    this.socket.destroy()
  }

  #take(bytes) {
    this.buffer = Buffer.concat([this.buffer, bytes])
    for (;;) {
      const parsed = parse(this.buffer, 0)
      if (!parsed) return
      this.buffer = this.buffer.subarray(parsed.end)
      const { value } = parsed
      const isMessage = Array.isArray(value) && value[0] === 'message'
      if (isMessage || this.waiting.length === 0) this.pushes.push(value)
      else if (value instanceof Error) this.waiting.shift().fail(value)
      else this.waiting.shift().settle(value)
    }
  }
}

// { value, end }, or undefined if it is not whole yet
function parse(buffer, at) {
  const line = buffer.indexOf('\r\n', at)
  if (line < 0) return
  const text = buffer.toString('utf8', at + 1, line)
  const end = line + 2
  const scalar = { '+': () => text, '-': () => new Error(text), ':': () => Number(text) }[String.fromCharCode(buffer[at])]
  if (scalar) return { value: scalar(), end }
  const n = Number(text)
  assert.ok(Number.isInteger(n), `no RESP2: ${text}`)
  if (n < 0) return { value: null, end }
  if (buffer[at] === 0x24) {
    return buffer.length < end + n + 2 ? undefined : { value: buffer.toString('utf8', end, end + n), end: end + n + 2 }
  }
  const value = []
  let next = end
  for (let i = 0; i < n; i++) {
    const item = parse(buffer, next)
    if (!item) return
    value.push(item.value)
    next = item.end
  }
  return { value, end: next }
}
