// SPDX-License-Identifier: MIT
//
// Gateways for tests: one is started on a port that the kernel chose, or on a given one, and must end
// by SIGTERM with exit code 0 and with nothing in its log that should not be there.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { get } from 'node:http'
import { get as getSecurely } from 'node:https'

import { freeze } from './program.mjs'
import { started, withUs } from './running.mjs'

const bin = process.env.MADANG_BIN
assert.ok(bin, 'MADANG_BIN must name the program')

const sanitizers = /^(PATH|[ATU]?[BS]?SAN_OPTIONS|LSAN_OPTIONS)$/
const alarming = / error |AddressSanitizer|LeakSanitizer|ThreadSanitizer|runtime error/

// Without the tester's own MADANG_… variables.
const environment = () => Object.fromEntries(Object.entries(process.env).filter(([name]) => sanitizers.test(name)))

// Starts `madang serve`. Options that are not given are those of most tests: everything permitted, and
// a limit for connections (null: the file's) that keeps the library's tables small. `descriptors` limits
// those of the process. Rooms are in memory unless a --store is named, so that gateways do not share a
// file. `listen`: other addresses than host and port. `tls`: how clients connect, if it
// speaks TLS. `env`: more of its environment.
export async function startGateway(args = [], { port = 0, host = '127.0.0.1', listen = `${host}:${port}`, auth = 'insecure', hubs = 1, limit = 2000, descriptors, tls, env = {} } = {}) {
  const most = args.includes('--max-connections') || !limit ? [] : ['--max-connections', String(limit)]
  const store = args.includes('--store') ? [] : ['--store', 'none']
  const all = ['serve', '--listen', listen, '--auth', auth, '--hubs', String(hubs), ...store, ...most, ...args]
  const limited = ['-c', `ulimit -n ${descriptors}; exec "$0" "$@"`, bin]
  const [program, argv] = descriptors ? ['sh', [...limited, ...all]] : [bin, all]
  const stdio = ['ignore', 'pipe', 'pipe']
  const child = withUs(spawn(program, argv, { stdio, env: { ...environment(), ...env } }))
  const gateway = new Gateway(child, host)
  gateway.tls = tls && { servername: 'localhost', ...tls }
  started(gateway)
  await gateway.ready
  return gateway
}

export class Gateway {
  constructor(child, host) {
    this.child = child
    this.host = host
    this.out = ''
    this.log = ''
    this.expected = []
    this.ended = new Promise((settle, fail) => {
      child.on('error', fail)
      child.on('close', (code, signal) => settle({ code, signal }))
    })
    this.ready = new Promise((settle, fail) => {
      child.stdout.on('data', (text) => {
        this.out += text
        if (!/^ +stop /m.test(this.out)) return
        const words = (name) => new RegExp(`^ +${name} +(.*)$`, 'm').exec(this.out)?.[1].split(' ') ?? []
        const numbers = (list) => list.map((word) => Number(/:(\d+)$/.exec(word)?.[1])).filter((n) => n)
        this.ports = numbers(words('listen'))
        this.internalPorts = numbers(words('internal'))
        this.port = this.ports.at(-1)
        settle()
      })
      this.ended.then(() => fail(new Error(`the gateway did not start: ${this.log}`)), fail)
    })
    child.stderr.on('data', (text) => (this.log += text))
  }

  get url() {
    return `ws${this.tls ? 's' : ''}://${this.host}:${this.port}/connection/websocket`
  }

  signal(name) {
    this.child.kill(name)
  }

  // Nothing of it runs until it gets SIGCONT.
  freeze() {
    return freeze(this.child)
  }

  // Has the configuration read again; `refused`: it must not be taken. Gives what was logged for it.
  async reload({ refused = false } = {}) {
    const begin = this.log.length
    this.signal('SIGHUP')
    if (refused) this.expect(/ error {1,}(configuration: |the configuration was read again and cannot be used)/)
    await this.said(/the configuration was read again.*\n/, begin)
    const log = this.log.slice(begin)
    assert.equal(/nothing has changed/.test(log), refused, log)
    return log
  }

  // Resolves when the text, or what fits a pattern, has appeared in the log behind `begin`.
  async said(text, begin = 0) {
    const found = () => (text instanceof RegExp ? text.test(this.log.slice(begin)) : this.log.includes(text, begin))
    while (!found()) {
      const more = new Promise((settle) => this.child.stderr.once('data', settle))
      const { code } = (await Promise.race([more.then(() => ({})), this.ended])) ?? {}
      if (code !== undefined) assert.ok(found(), `it ended without saying '${text}':\n${this.log}`)
    }
  }

  // Lines of the log that fit are not alarming.
  expect(pattern) {
    this.expected.push(pattern)
  }

  assertQuiet() {
    const bad = this.log.split('\n').filter((line) => alarming.test(line) && !this.expected.some((one) => one.test(line)))
    assert.deepEqual(bad, [], `the log of the gateway:\n${this.log}`)
  }

  // The end of every test's gateway.
  async stop() {
    this.signal('SIGTERM')
    const exit = await this.ended
    this.assertQuiet()
    assert.deepEqual(exit, { code: 0, signal: null }, this.log)
  }

  async kill() {
    this.signal('SIGKILL')
    await this.ended
    this.assertQuiet()
  }

  // The sum over all labels of each metric; asking for one that does not exist is an error.
  async metrics() {
    const inside = this.internalPorts.length > 0 && { port: this.internalPorts[0], host: '127.0.0.1' }
    const { body } = await request(inside || this, '/metrics')
    const sums = {}
    for (const line of body.split('\n')) {
      const row = /^(\w+)(?:\{.*\})? (\S+)$/.exec(line)
      if (row) sums[row[1]] = (sums[row[1]] ?? 0) + Number(row[2])
    }
    const existing = (metrics, name) => {
      if (name !== 'then') assert.ok(name in metrics, `there is no metric ${String(name)}`)
      return metrics[name]
    }
    return new Proxy(sums, { get: existing })
  }
}

// One HTTP request: { status, headers, body }.
export function request(gateway, path, headers = {}, method = 'GET') {
  return new Promise((settle, fail) => {
    const options = { host: gateway.host, port: gateway.port, path, headers, method, agent: false, ...gateway.tls }
    const ask = gateway.tls ? getSecurely : get
    ask(options, (response) => {
      let body = ''
      response.setEncoding('utf8')
      response.on('data', (text) => (body += text))
      response.on('end', () => settle({ status: response.statusCode, headers: response.headers, body }))
      response.on('error', fail)
    }).on('error', fail)
  })
}
