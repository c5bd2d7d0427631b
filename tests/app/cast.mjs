// SPDX-License-Identifier: MIT
//
// People for tests of the application: each is a Member with the official client and a socket that can be
// cut; what they see is waited for, not polled.

import { Centrifuge, UnauthorizedError } from 'centrifuge'
import WebSocket from 'ws'

import { returns } from '../lib/suite.mjs'
import { Member } from './member.mjs'

export class Actor {
  static async login(house, name) {
    const actor = new Actor()
    class Cuttable extends WebSocket {
      constructor(...args) {
        super(...args)
        actor.socket = this
      }
    }
    const tools = { Centrifuge, UnauthorizedError, websocket: Cuttable, minReconnectDelay: 1, maxReconnectDelay: 50 }
    actor.member = await Member.login(house.backend.url, name, tools)
    actor.member.changed = () => actor.#wake()
    return actor
  }

  static async connected(house, name) {
    const actor = await Actor.login(house, name)
    await actor.connect()
    return actor
  }

  constructor() {
    this.waiting = []
  }

  #wake() {
    for (const settle of this.waiting.splice(0)) settle()
  }

  async connect() {
    await this.member.connect()
    returns(this.member.client)
    return this
  }

  get me() {
    return this.member.me
  }

  room(name) {
    return this.member.rooms.get(name)
  }

  texts(name) {
    return this.room(name).messages.map(({ text }) => text)
  }

  people(name) {
    return [...new Set(this.room(name).people.values())].sort()
  }

  // Resolves when `holds` does, which is asked whenever the member has seen something new.
  async sees(holds) {
    while (!holds(this.member)) await new Promise((settle) => this.waiting.push(settle))
  }

  // The connection breaks as when a network goes away.
  cut() {
    this.socket.terminate()
  }
}
