// SPDX-License-Identifier: MIT
//
// Redis servers for tests: each has a folder of its own and a port that was free, and dies with the test.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { freePort } from './ports.mjs'
import { freeze } from './program.mjs'
import { RedisClient } from './redis_client.mjs'
import { withUs } from './running.mjs'

export class Redis {
  // `args`: further options, such as ['--appendonly', 'yes'].
  static async start(args = []) {
    const redis = new Redis(await freePort(), mkdtempSync(join(tmpdir(), 'madang-redis-')), args)
    await redis.restart()
    return redis
  }

  constructor(port, folder, args) {
    this.port = port
    this.folder = folder
    this.args = args
    this.url = `redis://127.0.0.1:${port}`
  }

  // Starts it, perhaps with other options, in the same folder and on the same port; it takes connections
  // then and has loaded what it had saved.
  async restart(args = this.args) {
    const all = ['--port', this.port, '--bind', '127.0.0.1', '--dir', this.folder, '--save', '', '--loglevel', 'notice', ...args]
    this.child = withUs(spawn('redis-server', all, { stdio: ['ignore', 'pipe', 'inherit'] }))
    this.ended = new Promise((settle) => this.child.on('close', settle))
    let log = ''
    await new Promise((settle, fail) => {
      this.child.on('error', fail)
      this.child.stdout.on('data', (text) => {
        log += text
        if (/Ready to accept connections/.test(log)) settle()
      })
      this.ended.then(() => fail(new Error(`redis-server did not start:\n${log}`)))
    })
  }

  // One command over a connection of its own.
  async say(...words) {
    const client = await RedisClient.connect(this.port)
    try {
      return await client.say(...words)
    } finally {
      client.close()
    }
  }

  // The numbers and words of INFO.
  async info() {
    const text = await this.say('INFO')
    return Object.fromEntries([...text.matchAll(/^(\w+):(.*?)\r?$/gm)].map(([, name, value]) => [name, value]))
  }

  // How many of the clients there are of a kind: normal or pubsub.
  async clients(kind) {
    return (await this.say('CLIENT', 'LIST', 'TYPE', kind)).split('\n').filter((line) => / name=madang/.test(line)).length
  }

  signal(name) {
    this.child.kill(name)
  }

  // Nothing of it runs until it gets SIGCONT.
  freeze() {
    return freeze(this.child)
  }

  // At once, as a power cut would.
  async kill() {
    this.signal('SIGKILL')
    await this.ended
  }

  async stop() {
    if (this.child.exitCode === null && this.child.signalCode === null) await this.kill()
    rmSync(this.folder, { recursive: true, force: true })
    assert.ok(this.child.exitCode !== null || this.child.signalCode !== null)
  }
}
