// SPDX-License-Identifier: MIT
//
// A Sentinel that says what it is told to say of the master, for stories that real ones tell for a
// moment only.

import { once } from 'node:events'
import { createServer } from 'node:net'

const bulk = (text) => `$${Buffer.byteLength(String(text))}\r\n${text}\r\n`
const array = (items) => `*${items.length}\r\n${items.map(bulk).join('')}`

// The whole commands at the front of what came: { commands, rest }.
function take(text) {
  const commands = []
  for (;;) {
    const count = Number(/^\*(\d+)\r\n/.exec(text)?.[1])
    const whole = count && new RegExp(`^\\*\\d+\\r\\n${'\\$\\d+\\r\\n(.*)\\r\\n'.repeat(count)}`).exec(text)
    if (!whole) return { commands, rest: text }
    commands.push(whole.slice(1))
    text = text.slice(whole[0].length)
  }
}

export class Teller {
  // `epoch`, `port`: of the master as SENTINEL MASTER has it; `now`: the port as it is asked for by name.
  static async start(story) {
    const teller = new Teller(story)
    teller.server.listen(0, '127.0.0.1')
    await once(teller.server, 'listening')
    return teller
  }

  constructor(story) {
    this.story = story
    this.waiting = [] // for it to be asked
    this.sockets = new Set()
    this.server = createServer((socket) => {
      let text = ''
      this.sockets.add(socket.on('error', () => {}))
      socket.on('data', (more) => {
        const { commands, rest } = take(text + more)
        text = rest
        for (const words of commands) socket.write(this.#answer(words))
      })
    })
  }

  get address() {
    return `127.0.0.1:${this.server.address().port}`
  }

  #answer([verb, what]) {
    const { epoch, port, now = port } = this.story
    if (verb === 'CLIENT') return '+OK\r\n'
    if (verb === 'ROLE') return `*2\r\n${bulk('sentinel')}${array(['yard'])}`
    if (verb === 'INFO') return bulk('# Server\r\nredis_version:7.0.15\r\nredis_mode:sentinel\r\n')
    if (what === 'MASTER') return array(['name', 'yard', 'ip', '127.0.0.1', 'port', port, 'config-epoch', epoch])
    for (const settle of this.waiting.splice(0)) settle()
    return array(['127.0.0.1', now])
  }

  // Resolves when it was asked so many times; what it said the time before the last has been heard.
  async asked(times) {
    for (let i = 0; i < times; i++) await new Promise((settle) => this.waiting.push(settle))
  }

  async stop() {
    for (const socket of this.sockets) socket.destroy()
    this.server.close()
    await once(this.server, 'close')
  }
}
