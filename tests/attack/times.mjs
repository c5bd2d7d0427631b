// SPDX-License-Identifier: MIT
//
// What the kernel counts for a thread: how long it has run, and how long it could have but others did.

import { closeSync, openSync, readSync, readdirSync } from 'node:fs'

export const threadsOf = (pid) => readdirSync(`/proc/${pid}/task`).map(Number)

export class Times {
  #line = Buffer.alloc(100)

  constructor(pid, thread) {
    this.file = openSync(`/proc/${pid}/task/${thread}/schedstat`)
  }

  // In milliseconds. The time of a thread that is running is as of the last tick, some milliseconds ago.
  read() {
    const length = readSync(this.file, this.#line, 0, this.#line.length, 0)
    const [ran, waited] = this.#line.toString('latin1', 0, length).split(' ')
    return { ran: Number(ran) / 1e6, waited: Number(waited) / 1e6 }
  }

  close() {
    closeSync(this.file)
  }
}
