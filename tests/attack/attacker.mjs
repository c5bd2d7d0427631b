// SPDX-License-Identifier: MIT
//
// An attack, in a process of its own with low priority: what is to be seen is what the gateway spends on
// it, not what an attacker on the same machine takes from everybody.

import { getPriority, setPriority } from 'node:os'

import * as crowds from './crowds.mjs'
import * as floods from './floods.mjs'
import * as frames from './frames.mjs'
import * as requests from './requests.mjs'

const PRIORITY = 10

const { attack, target, how } = JSON.parse(process.argv[2])
const run = { ...crowds, ...floods, ...frames, ...requests }[attack]

// One round of an attack, from `begin` to `cease`.
class Round {
  constructor() {
    this.target = target
    this.how = how
    this.answers = {}
    this.ceased = false
    this.cease = () => {}
    this.over = new Promise((settle) => (this.cease = settle))
    this.over.then(() => (this.ceased = true))
  }

  // What the gateway answered; an attack stands, at the latest, when the first answer is there.
  answered(answer) {
    this.answers[answer] = (this.answers[answer] ?? 0) + 1
    this.stands()
  }

  stands() {
    if (this.standing) return
    this.standing = true
    process.send({ stands: true })
  }

  async run() {
    try {
      await run(this)
      process.send({ answers: this.answers })
    } catch (error) {
      process.send({ fault: error.stack })
    }
  }
}

let round = null
const orders = {
  begin() {
    round = new Round()
    round.run()
  },
  cease: () => round.cease(),
  leave: () => process.disconnect(),
}

setPriority(Math.max(getPriority(), PRIORITY)) // who was begun lower may not rise
process.on('message', ({ order }) => orders[order]())
process.send({})
