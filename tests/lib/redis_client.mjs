// SPDX-License-Identifier: MIT
//
// A client of Redis that speaks RESP2 and no more.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect } from 'node:net'

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
