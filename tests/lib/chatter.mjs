// SPDX-License-Identifier: MIT
//
// The client protocol on a bare WebSocket, for what the official client never sends: commands are lines
// of text, replies are kept as text beside their parsed form. Pings are answered unless told otherwise, and so are close
// frames.

import assert from 'node:assert/strict'

import { CLOSE, TEXT, Wire } from './wire.mjs'

export class Chatter {
  // A session that is connected.
  static async join(gateway, { data, ...options } = {}) {
    const chatter = await Chatter.open(gateway, options)
    chatter.connected = await chatter.ok({ connect: data === undefined ? {} : { data } })
    return chatter
  }

  // A connection on which no command was sent yet.
  static async open(gateway, { pongs = true, ...options } = {}) {
    return new Chatter(await Wire.open(gateway, options), pongs)
  }

  constructor(wire, pongs) {
    this.wire = wire
    this.pongs = pongs
    this.nextId = 1
    this.pings = 0
    this.lines = [] // received, not yet asked for: { text, value }
    this.waiting = []
    this.over = false
    this.done = this.#read()
  }

  async #read() {
    try {
      for (let received; (received = await this.wire.next()); ) this.#take(received)
    } catch (error) {
      this.error = error
    }
    this.over = true
    this.#wake()
  }

  #take(received) {
    if (received.opcode === TEXT) {
      for (const text of received.text.split('\n')) this.#line(text)
    } else if (received.opcode === CLOSE) {
      this.close = this.wire.close
      this.wire.answerClose()
    } else {
      this.lines.push({ text: '', value: {}, control: received })
    }
    this.#wake()
  }

  #line(text) {
    if (text !== '{}') {
      this.lines.push({ text, value: JSON.parse(text) })
      return
    }
    this.pings++
    if (this.pongs && !this.wire.socket.destroyed) this.wire.send('{}')
  }

  #wake() {
    for (const settle of this.waiting.splice(0)) settle()
  }

  send(text) {
    return this.wire.send(text)
  }

  // Sends one command and gives its id, or several in one frame and gives their ids.
  command(...commands) {
    const ids = commands.map((one) => one.id ?? this.nextId++)
    this.send(commands.map((one, i) => JSON.stringify({ id: ids[i], ...one })).join('\n'))
    return commands.length === 1 ? ids[0] : ids
  }

  // The first line that fits, taken out; fails when the connection ends without one.
  async line(fits, what) {
    for (;;) {
      const at = this.lines.findIndex(fits)
      if (at >= 0) return this.lines.splice(at, 1)[0]
      if (this.over) {
        const end = this.error ?? new Error(`${what} did not come; close: ${JSON.stringify(this.close)}`)
        throw end
      }
      await this.news()
    }
  }

  // Something has been received.
  news() {
    return new Promise((settle) => this.waiting.push(settle))
  }

  reply(id) {
    return this.line(({ value }) => value.id === id, `the reply to ${id}`)
  }

  push(type, channel) {
    const fits = ({ value }) => value.push?.[type] && (channel === undefined || value.push.channel === channel)
    return this.line(fits, `a ${type} push in ${channel ?? 'any room'}`)
  }

  // The next push of a publication: its object.
  async pub(channel) {
    return (await this.push('pub', channel)).value.push.pub
  }

  // The text of the reply.
  async text(command) {
    return (await this.reply(this.command(command))).text
  }

  // The result of a command that must succeed.
  async ok(command) {
    const { text, value } = await this.reply(this.command(command))
    assert.equal(value.error, undefined, text)
    const [method] = Object.keys(command).filter((key) => key !== 'id')
    assert.deepEqual(Object.keys(value).sort(), ['id', method].sort(), text)
    return value[method]
  }

  // The error of a command that must fail.
  async fails(command, code) {
    const { text, value } = await this.reply(this.command(command))
    assert.deepEqual(Object.keys(value).sort(), ['error', 'id'], text)
    assert.equal(value.error.code, code, text)
    assert.ok(value.error.message.length > 0, text)
    return value.error
  }

  subscribe(channel, options = {}) {
    return this.ok({ subscribe: { channel, ...options } })
  }

  publish(channel, data) {
    return this.ok({ publish: { channel, data } })
  }

  // Everything that the gateway had for us has arrived when this returns: a reply overtakes no line
  // that was written before it. (Publications under way are fenced by a later publication instead.)
  async fence() {
    await this.fails({ rpc: { method: 'no such method' } }, 108)
  }

  // What is left unasked for, as texts.
  rest() {
    return this.lines.map(({ text }) => text)
  }

  // The close frame that must come, and nothing after it. `stuck`: our answer cannot be understood, in
  // the middle of a frame as we are, so we do not wait until the gateway gives up.
  async closed(code, reason, { stuck = false } = {}) {
    while (stuck && !this.close && !this.over) await this.news()
    if (stuck) this.cut()
    await this.done
    if (this.error) throw this.error
    assert.ok(this.close, 'the connection ended without a close frame')
    assert.equal(this.close.code, code)
    if (reason !== undefined) assert.equal(this.close.reason, reason)
    assert.notEqual(this.close.reason, '')
    assert.throws(() => JSON.parse(this.close.reason), 'a reason that is JSON is taken for an instruction')
  }

  async leave() {
    await this.wire.leave()
    await this.done
    if (this.error) throw this.error
  }

  cut() {
    this.wire.cut()
  }
}
