// SPDX-License-Identifier: MIT
//
// A WebSocket client that does what it is told, wrong things too: frames are made byte by byte, nothing
// is answered by itself, and reading can be stopped. It is strict about what it receives.

import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { connect } from 'node:net'
import { connect as connectTls } from 'node:tls'

export const TEXT = 1
export const CLOSE = 8
export const PING = 9
export const PONG = 10

const GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11'

// One frame as a client sends it: masked.
export function frame(payload, { opcode = TEXT, fin = true } = {}) {
  const body = Buffer.from(payload)
  const n = body.length
  const head = n < 126 ? Buffer.alloc(2) : n < 65536 ? Buffer.alloc(4) : Buffer.alloc(10)
  head[0] = (fin ? 0x80 : 0) | opcode
  head[1] = 0x80 | (n < 126 ? n : n < 65536 ? 126 : 127)
  if (head.length === 4) head.writeUInt16BE(n, 2)
  if (head.length === 10) head.writeBigUInt64BE(BigInt(n), 2)
  const mask = randomBytes(4)
  for (let i = 0; i < n; i++) body[i] ^= mask[i & 3]
  return Buffer.concat([head, mask, body])
}

// A connection whose answers are HTTP, or bytes that nobody looks at; with TLS if the gateway speaks that
// (`plain`: not even then). `from`: an address of our own.
export async function dial(gateway, { plain = !gateway.tls, ...tls } = {}) {
  const at = { host: gateway.host, port: gateway.port, localAddress: gateway.from, noDelay: true }
  const socket = plain ? connect(at) : connectTls({ ...at, ...gateway.tls, ...tls })
  let why = 'no connection'
  socket.on('error', (error) => (why = error.message)) // a cut connection is seen by 'close'
  await new Promise((settle, fail) => {
    socket.once(plain ? 'connect' : 'secureConnect', settle)
    socket.once('close', () => fail(new Error(why)))
  })
  return socket
}

// Reads one HTTP response and whatever follows it: { status, headers, rest }.
export function readHead(socket) {
  return new Promise((settle, fail) => {
    let bytes = Buffer.alloc(0)
    const onClose = () => fail(new Error(`closed after '${bytes}'`))
    const onData = (more) => {
      bytes = Buffer.concat([bytes, more])
      const end = bytes.indexOf('\r\n\r\n')
      if (end < 0) return
      socket.off('data', onData)
      socket.off('close', onClose)
      const [first, ...lines] = bytes.subarray(0, end).toString().split('\r\n')
      const headers = Object.fromEntries(lines.map((line) => line.split(/:\s*/, 2)).map(([k, v]) => [k.toLowerCase(), v]))
      settle({ status: Number(first.split(' ')[1]), headers, rest: bytes.subarray(end + 4) })
    }
    socket.on('data', onData)
    socket.on('close', onClose)
  })
}

export function handshakeText(gateway, { path = '/connection/websocket', headers = {}, method = 'GET' } = {}) {
  const all = {
    Host: `${gateway.host}:${gateway.port}`,
    Upgrade: 'websocket',
    Connection: 'Upgrade',
    'Sec-WebSocket-Key': 'MDEyMzQ1Njc4OWFiY2RlZg==',
    'Sec-WebSocket-Version': '13',
    ...headers,
  }
  const lines = Object.entries(all).filter(([, value]) => value !== undefined)
  return [`${method} ${path} HTTP/1.1`, ...lines.map(([k, v]) => `${k}: ${v}`), '', ''].join('\r\n')
}

// The header of the frame at the front, as a server may send it; null if it is not complete.
function header(bytes) {
  if (bytes.length < 2) return null
  assert.equal(bytes[0] & 0x70, 0, 'reserved bits must be 0')
  assert.equal(bytes[1] & 0x80, 0, 'a server does not mask')
  const short = bytes[1]
  const at = short < 126 ? 2 : short === 126 ? 4 : 10
  if (bytes.length < at) return null
  const n = short < 126 ? short : short === 126 ? bytes.readUInt16BE(2) : Number(bytes.readBigUInt64BE(2))
  return { opcode: bytes[0] & 15, fin: (bytes[0] & 0x80) !== 0, at, n }
}

export class Wire {
  // Opens a WebSocket; refused handshakes reject with an error that has `status`.
  static async open(gateway, options = {}) {
    const socket = await dial(gateway, options.tls)
    socket.write(handshakeText(gateway, options))
    const head = await readHead(socket)
    if (head.status !== 101) {
      socket.destroy()
      throw Object.assign(new Error(`handshake refused: ${head.status}`), head)
    }
    const accept = createHash('sha1').update(`MDEyMzQ1Njc4OWFiY2RlZg==${GUID}`).digest('base64')
    assert.equal(head.headers['sec-websocket-accept'], accept)
    return new Wire(socket, head)
  }

  constructor(socket, head) {
    this.socket = socket
    this.headers = head.headers
    this.frames = [] // received and not yet asked for
    this.chunks = [] // of a frame that is not complete
    this.size = 0 // of these chunks
    this.need = 0 // bytes of that frame, as far as known
    this.message = null // fragments so far
    this.waiting = []
    this.error = null
    this.close = null // {code, reason} of the peer's close frame
    this.closing = false // we have sent ours
    this.ended = new Promise((settle) => socket.on('close', () => settle(this.close)))
    this.ended.then(() => this.#wake())
    socket.on('data', (more) => this.#guard(() => this.#received(more)))
    if (head.rest.length) this.#guard(() => this.#received(head.rest))
  }

  #guard(work) {
    try {
      work()
    } catch (error) {
      this.error ??= error
      this.socket.destroy()
      this.#wake()
    }
  }

  #received(more) {
    this.chunks.push(more)
    this.size += more.length
    if (this.size < this.need) return
    let bytes = this.chunks.length === 1 ? this.chunks[0] : Buffer.concat(this.chunks)
    let head
    while ((head = header(bytes)) && bytes.length >= head.at + head.n) {
      this.#frame(head, bytes.subarray(head.at, head.at + head.n))
      bytes = bytes.subarray(head.at + head.n)
    }
    this.chunks = [bytes]
    this.size = bytes.length
    this.need = head ? head.at + head.n : 0
  }

  #frame({ opcode, fin }, payload) {
    assert.equal(this.close, null, 'nothing may follow a close frame')
    if (opcode >= CLOSE) {
      assert.ok(fin && payload.length <= 125, 'a control frame is short and whole')
      this.#control(opcode, payload)
    } else {
      this.#data(opcode, fin, payload)
    }
  }

  #control(opcode, payload) {
    if (opcode === CLOSE) {
      const code = payload.length < 2 ? 1005 : payload.readUInt16BE(0)
      this.close = { code, reason: payload.subarray(2).toString() }
    }
    this.#keep({ opcode, payload: Buffer.from(payload) })
  }

  #data(opcode, fin, payload) {
    if (this.message) assert.equal(opcode, 0, 'a message inside a message')
    else {
      assert.equal(opcode, TEXT, 'only text is sent here')
      this.message = []
    }
    this.message.push(Buffer.from(payload))
    if (!fin) return
    const fragments = this.message.length
    const text = new TextDecoder('utf-8', { fatal: true }).decode(Buffer.concat(this.message))
    this.message = null
    assert.notEqual(text, '', 'an empty message breaks clients')
    for (const line of text.split('\n')) assert.notEqual(line, '', 'a blank line breaks clients')
    this.#keep({ opcode: TEXT, text, fragments })
  }

  #keep(received) {
    this.frames.push(received)
    this.#wake()
  }

  #wake() {
    for (const settle of this.waiting.splice(0)) settle()
  }

  // The next frame (control frames too): { opcode, text | payload }; null when the connection is over.
  async next() {
    while (!this.frames.length) {
      if (this.error) throw this.error
      if (this.socket.closed || this.socket.destroyed) return null
      await new Promise((settle) => this.waiting.push(settle))
    }
    return this.frames.shift()
  }

  write(bytes) {
    return new Promise((settle) => this.socket.write(bytes, settle))
  }

  send(payload, options) {
    return this.write(frame(payload, options))
  }

  // Stops reading, so that the peer's output piles up; and goes on.
  pause() {
    this.socket.pause()
  }

  resume() {
    this.socket.resume()
  }

  answerClose(code = this.close.code) {
    if (this.closing || this.socket.destroyed) return
    this.closing = true
    const payload = Buffer.alloc(2)
    payload.writeUInt16BE(code)
    this.send(payload, { opcode: CLOSE })
  }

  // Ends as a proper client does: begins the closing handshake and waits for the end.
  async leave(code = 1000) {
    this.resume()
    this.answerClose(code)
    await this.ended
  }

  // As a machine that loses its power would, seen from here: the kernel sends a reset.
  cut() {
    this.socket.resetAndDestroy()
  }
}
