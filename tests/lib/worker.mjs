// SPDX-License-Identifier: MIT
//
// `madang worker` as a process, and a target of its webhooks.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { createServer } from 'node:http'

import { KEY } from './api.mjs'
import { withUs } from './running.mjs'

const bin = process.env.MADANG_BIN
const kept = /^(PATH|[ATU]?[BS]?SAN_OPTIONS|LSAN_OPTIONS)$/

export class Worker {
  // For the gateway, with more words; null: they say which.
  constructor(gateway, ...words) {
    const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => kept.test(name)))
    const where = gateway ? ['--url', `http://${gateway.host}:${gateway.port}`, '--api-key', KEY] : []
    const how = { stdio: ['ignore', 'ignore', 'pipe'], env: { ...env, WORKER_TEST: 'yes', WORKER_SECRET: 'no' } }
    this.child = withUs(spawn(bin, ['worker', ...where, ...words], how))
    this.log = ''
    this.child.stderr.on('data', (text) => (this.log += text))
    this.ended = new Promise((settle) => this.child.on('close', (code, signal) => settle({ code, signal })))
  }

  // It ends well.
  async stop() {
    this.child.kill('SIGTERM')
    assert.deepEqual(await this.ended, { code: 0, signal: null }, this.log)
    assert.doesNotMatch(this.log, / error |Sanitizer|runtime error/)
  }

  async kill() {
    this.child.kill('SIGKILL')
    await this.ended
  }
}

// An HTTP server that keeps requests, { method, path, headers, body }; `answer(request, response)` ends them.
export class Target {
  static async open(answer) {
    const target = new Target(answer)
    await new Promise((settle) => target.server.listen(0, '127.0.0.1', settle))
    target.url = `http://127.0.0.1:${target.server.address().port}`
    return target
  }

  constructor(answer) {
    this.requests = []
    this.waiting = []
    this.server = createServer((request, response) => {
      const parts = []
      request.on('data', (part) => parts.push(part))
      request.on('end', () => {
        const { method, url: path, headers } = request
        const whole = { method, path, headers, body: Buffer.concat(parts), at: Date.now(), response }
        this.requests.push(whole)
        for (const settle of this.waiting.splice(0)) settle()
        answer?.(whole, response, this.requests.length)
      })
    })
  }

  // The n-th request, from 1.
  async request(n) {
    while (this.requests.length < n) await new Promise((settle) => this.waiting.push(settle))
    return this.requests[n - 1]
  }

  close() {
    this.server.closeAllConnections()
    return new Promise((settle) => this.server.close(settle))
  }
}
