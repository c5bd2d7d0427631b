// SPDX-License-Identifier: MIT
//
// Several named Redis servers that share the rooms, and the configuration that names them.

import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { Redis } from './redis.mjs'

// Runs the program to its end: { code, out, err }.
export function run(words) {
  return new Promise((settle) => {
    const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^MADANG_/.test(name)))
    execFile(process.env.MADANG_BIN, words, { env }, (error, out, err) => settle({ code: error ? error.code : 0, out, err }))
  })
}

export class Servers {
  static async start(names) {
    const servers = new Servers()
    for (const name of names) servers.all.set(name, await Redis.start())
    servers.names = names
    return servers
  }

  constructor() {
    this.all = new Map()
    this.folder = mkdtempSync(join(tmpdir(), 'madang-servers-'))
  }

  // Options that name these servers.
  config(names = this.names) {
    const path = join(this.folder, `${names.join('-')}.ini`)
    writeFileSync(path, names.map((name) => `[redis ${name}]\nurl = ${this.all.get(name).url}\n`).join(''))
    return ['--backplane', 'redis', '--config', path]
  }

  get options() {
    return this.config()
  }

  // Where a key is: its server's name.
  async home(key) {
    for (const [name, redis] of this.all) {
      if (redis.child.exitCode !== null || redis.child.signalCode !== null) continue
      if (await redis.say('EXISTS', key)) return name
    }
    return undefined
  }

  // A command about a key, on the server that has it.
  async say(verb, key, ...more) {
    const home = (await this.home(key)) ?? this.names[0]
    return this.all.get(home).say(verb, key, ...more)
  }

  async stop() {
    for (const redis of this.all.values()) await redis.stop()
    rmSync(this.folder, { recursive: true, force: true })
  }
}
