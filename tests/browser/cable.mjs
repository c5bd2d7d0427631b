// SPDX-License-Identifier: MIT
//
// The way between a browser and its gateway, which can be cut. 'up' is towards the gateway, 'down' is
// towards the browser.

import { once } from 'node:events'
import { connect, createServer } from 'node:net'

export class Cable {
  static async lay(gateway) {
    const cable = new Cable(gateway)
    cable.server.listen(0, '127.0.0.1')
    await once(cable.server, 'listening')
    return cable
  }

  constructor(gateway) {
    this.gateway = gateway
    this.pairs = new Set()
    this.isDown = false
    this.losing = null // direction whose bytes are lost, with what to call then
    this.holding = null // direction whose bytes wait
    this.held = []
    this.attempts = 0
    this.server = createServer((near) => this.#plug(near))
  }

  get host() {
    return '127.0.0.1'
  }

  get port() {
    return this.server.address().port
  }

  #plug(near) {
    this.attempts++
    near.on('error', () => {}) // a cut is seen by 'close'
    if (this.isDown) return near.resetAndDestroy()
    const far = connect({ host: this.gateway.host, port: this.gateway.port, noDelay: true })
    far.on('error', () => {})
    near.setNoDelay(true)
    const pair = { near, far }
    this.pairs.add(pair)
    near.on('data', (bytes) => this.#carry('up', far, bytes))
    far.on('data', (bytes) => this.#carry('down', near, bytes))
    for (const [one, other] of [[near, far], [far, near]]) {
      one.on('close', () => {
        this.pairs.delete(pair)
        other.destroy()
      })
    }
  }

  #carry(direction, to, bytes) {
    if (this.losing?.direction === direction) return this.losing.settle()
    if (this.holding === direction) return void this.held.push(() => to.write(bytes))
    to.write(bytes)
  }

  // Cuts what is connected now; a new connection works at once.
  cut() {
    for (const { near, far } of this.pairs) {
      near.resetAndDestroy()
      far.resetAndDestroy()
    }
    this.pairs.clear()
    this.held = []
  }

  // Loses what goes into one direction, at least one packet of it, then cuts.
  async cutLosing(direction) {
    await new Promise((settle) => (this.losing = { direction, settle }))
    this.cut()
    this.losing = null
  }

  // Cut, and every new connection is refused; until `repair`.
  sever() {
    this.isDown = true
    this.cut()
  }

  repair() {
    this.isDown = false
  }

  // What goes into one direction waits until `release`.
  hold(direction) {
    this.holding = direction
  }

  release() {
    this.holding = null
    for (const write of this.held.splice(0)) write()
  }

  async remove() {
    this.sever()
    this.server.close()
    await once(this.server, 'close')
  }
}
