// SPDX-License-Identifier: MIT
//
// The workers of docs/QUEUE.md as processes. They are named as they name themselves in their first line.

import { spawn } from 'node:child_process'
import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

import { KEY } from './api.mjs'
import { withUs } from './running.mjs'

// Debian's packages are those of Debian's Python.
const python = existsSync('/usr/bin/python3') ? '/usr/bin/python3' : 'python3'
const interpreters = { py: python, mjs: process.execPath }
const text = readFileSync(new URL('../../docs/QUEUE.md', import.meta.url), 'utf8')

const folder = mkdtempSync(join(tmpdir(), 'madang-workers-'))
symlinkSync(fileURLToPath(new URL('../node_modules', import.meta.url)), join(folder, 'node_modules'))
process.on('exit', () => rmSync(folder, { recursive: true }))

// The lines of handle(), "your work", are what stands there, or others.
const bodies = { py: /(^def handle\(job\):.*\n) +.*\n/m, mjs: /(^async function handle\(job\).*\n) +.*\n/m }

let made = 0

function program(name, work) {
  const code = new RegExp('^```\\w+\\n((?:#|//) ' + name.replace('.', '\\.') + ':[^]*?)^```', 'm').exec(text)?.[1]
  assert.ok(code, name)
  const [, end] = name.split('.')
  assert.match(code, bodies[end])
  const path = join(folder, `${++made}-${name}`)
  writeFileSync(path, work ? code.replace(bodies[end], (_, head) => `${head}    ${work[end]}\n`) : code)
  return [interpreters[end], path]
}

export class DocWorker {
  // `place`: a gateway or a Redis; `work`: other lines of work, { py, mjs }.
  constructor(name, place, { lease = 1000, work } = {}) {
    const [command, path] = program(name, work)
    const where = place.port && place.host
      ? { MADANG_URL: `http://127.0.0.1:${place.port}`, MADANG_API_KEY: KEY }
      : { REDIS_URL: place.url }
    const env = { PATH: process.env.PATH, LEASE_MS: String(lease), ...where }
    this.child = withUs(spawn(command, [path], { env, stdio: ['ignore', 'pipe', 'pipe'] }))
    this.out = ''
    this.err = ''
    this.child.stdout.on('data', (more) => (this.out += more))
    this.child.stderr.on('data', (more) => (this.err += more))
    this.ended = new Promise((settle) => this.child.on('close', settle))
  }

  // What it did: [id, deliveries, data] each.
  get done() {
    return this.out.split('\n').slice(0, -1).map((line) => line.split(' '))
  }

  async kill() {
    this.child.kill('SIGKILL')
    await this.ended
  }
}
