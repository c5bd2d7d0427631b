// SPDX-License-Identifier: MIT
//
// What a browser test plays on: a gateway in guest mode, people at browsers, raw clients and cables. A test
// is a `scene`: it is given the stage, and in the end nobody may have complained, neither a browser nor the
// gateway in its log, and the gateway must stop as it should.
//
// MADANG_TORTURE=1 plays the long versions. MADANG_SHOTS=FOLDER keeps a picture of every window of a
// scene that failed.

import { test } from 'node:test'
import { join } from 'node:path'

import { Chatter } from '../lib/chatter.mjs'
import { startGateway } from '../lib/gateway.mjs'
import { theBrowser } from './browser.mjs'
import { Cable } from './cable.mjs'
import { Person } from './person.mjs'

export const torture = process.env.MADANG_TORTURE === '1'

// No gateway outlives the tests, however they end.
const running = new Set()
process.on('exit', () => {
  for (const gateway of running) gateway.signal('SIGKILL')
})

// The last resort against a test that hangs; everything in it has limits of its own.
const TIMEOUT = torture ? 1_800_000 : 300_000

export function scene(name, play, { args = [], host } = {}) {
  test(name, { timeout: TIMEOUT }, async () => {
    const stage = new Stage(args, host)
    try {
      await stage.raise()
      await play(stage)
      stage.assertContent()
    } catch (error) {
      throw await stage.explain(error, name)
    } finally {
      await stage.clear()
    }
    await stage.gateway.stop()
  })
}

class Stage {
  constructor(args, host) {
    this.args = args
    this.host = host
    this.people = []
    this.cables = []
    this.chatters = []
  }

  async raise(port = 0, args = this.args) {
    this.gateway = await startGateway(args, { port, auth: 'guest', hubs: 2, ...(this.host && { host: this.host }) })
    const { gateway } = this
    running.add(gateway)
    gateway.ended.then(() => running.delete(gateway))
  }

  // The gateway dies as by power loss, and its log must have been clean until then.
  killGateway() {
    for (const person of this.people) person.expectOutage()
    return this.gateway.kill()
  }

  // Another gateway process where the first one was.
  restart(args) {
    return this.raise(this.gateway.port, args)
  }

  // A window at the gateway, or at the end of a `cable`, with the `room` in the address.
  async window({ cable, room, host, ...options } = {}) {
    const at = cable ?? this.gateway
    const path = room === undefined ? '/' : `/#/r/${encodeURIComponent(room)}`
    const url = `http://${host ?? at.host}:${at.port}${path}`
    const person = await Person.sit(await theBrowser(), url, options)
    this.people.push(person)
    return person
  }

  // Somebody who has given a name and is in the room ('general' unless told otherwise).
  async person(name, options = {}) {
    const person = await this.window(options)
    await person.enter(name)
    return person
  }

  async secondTab(person) {
    const twin = await person.secondTab()
    this.people.push(twin)
    return twin
  }

  async cable() {
    const cable = await Cable.lay(this.gateway)
    this.cables.push(cable)
    return cable
  }

  // A client without a page: a guest, subscribed to the channels.
  async chatter(name, ...channels) {
    const guest = { name, key: `a key of ${name} that is long enough` }
    const chatter = await Chatter.join(this.gateway, { data: { guest } })
    this.chatters.push(chatter)
    for (const channel of channels) await chatter.subscribe(channel)
    return chatter
  }

  assertContent() {
    for (const person of this.people) person.assertContent()
  }

  // The error, with what else is known.
  async explain(error, name) {
    const notes = this.people.flatMap((person) => person.complaints)
    if (notes.length) error.message += `\ncomplaints of the browser:\n  ${notes.join('\n  ')}`
    if (this.gateway?.log) error.message += `\nlog of the gateway:\n${this.gateway.log}`
    for (const [i, { page }] of process.env.MADANG_SHOTS ? this.people.entries() : []) {
      const path = join(process.env.MADANG_SHOTS, `${name.replace(/\W+/g, '-')}-${i}.png`)
      await page.screenshot({ path }).catch((cause) => (error.message += `\nno picture: ${cause.message}`))
    }
    this.failed = true
    return error
  }

  // The browsers go first, so that nobody sees the end of the gateway.
  async clear() {
    for (const context of new Set(this.people.map((person) => person.context))) await context.close()
    for (const cable of this.cables) await cable.remove()
    for (const chatter of this.chatters) chatter.cut()
    if (this.failed) this.gateway?.signal('SIGKILL')
  }
}
