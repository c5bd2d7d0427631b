// SPDX-License-Identifier: MIT
//
// The examples of docs/OPERATIONS.md, run by nginx and HAProxy as they stand there, but for addresses,
// ports and certificates.

import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { makeCertificate } from './certificate.mjs'
import { freePort } from './ports.mjs'
import { withUs } from './running.mjs'

const env = { PATH: `${process.env.PATH}:/usr/sbin` }
const text = await readFile(new URL('../../docs/OPERATIONS.md', import.meta.url), 'utf8')
const examples = (language) => [...text.matchAll(new RegExp(`^\`\`\`${language}\n(.*?)^\`\`\`$`, 'gms'))].map(([, body]) => body)

// Replaces what must be there.
function put(body, what, by) {
  assert.match(body, what)
  return body.replace(what, by)
}

// The addresses that an example has for gateways become theirs; `port(gateway)`: where it is reached.
function place(body, gateways, port) {
  return gateways.reduce((so, gateway, i) => {
    const placed = put(so, gateways.length > 1 ? new RegExp(`10\\.0\\.0\\.${i + 1}:\\d+`) : /127\.0\.0\.1:800\d/, `127.0.0.1:${port(gateway)}`)
    return placed.replace('port 9000', `port ${gateway.internalPorts[0]}`)
  }, body)
}

function nginx(gateways, { port, folder, cert, key }) {
  const [alone, several] = examples('nginx')
  const whole = gateways.length > 1 ? put(alone, /^upstream .*?^}\n/ms, several) : alone
  const body = [
    [/listen 443 ssl/, `listen 127.0.0.1:${port} ssl`],
    [/(ssl_certificate) .*;/, `$1 ${cert};`],
    [/(ssl_certificate_key) .*;/, `$1 ${key};`],
  ].reduce((so, [what, by]) => put(so, what, by), place(whole, gateways, (one) => one.ports[1]))
  const temp = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((name) => `${name}_temp_path ${folder}/${name};`)
  return `daemon off;\npid ${folder}/pid;\nerror_log stderr;\nevents {}\nhttp {\naccess_log off;\n${temp.join('\n')}\n${body}}\n`
}

// The first example speaks HTTP, the second passes bytes; each has its lines for several gateways.
const haproxy = (nth, listener) => (gateways, { port, pem }) => {
  const [all, servers] = [examples('haproxy')[nth], examples('haproxy')[nth + 2]]
  const whole = gateways.length > 1 ? put(all, /^ +server .*\n/m, servers) : all
  const bound = put(whole, /bind :443/, `bind 127.0.0.1:${port}`).replace(/crt \S+/, `crt ${pem}`)
  return place(bound, gateways, (one) => one.ports[listener])
}

// Gateways behind them listen at a proxy: address, at one without, and at one for the inside.
export const kinds = {
  nginx: { program: 'nginx', ends: true, config: nginx, args: (file, folder) => ['-c', file, '-p', folder, '-e', 'stderr'] },
  'HAProxy by HTTP': { program: 'haproxy', ends: true, config: haproxy(0, 1), args: (file) => ['-f', file, '-db', '-q'] },
  'HAProxy by the PROXY protocol': { program: 'haproxy', ends: false, config: haproxy(1, 0), args: (file) => ['-f', file, '-db', '-q'] },
}

// Why tests of a kind cannot run here, if so.
export const missing = ({ program }) => spawnSync(program, ['-v'], { env }).error && `${program} is not installed`

// Resolves when somebody listens there.
async function listening(port, ended) {
  for (;;) {
    const socket = connect(port, '127.0.0.1')
    const there = new Promise((settle) => socket.once('connect', () => settle(true)).once('error', () => settle(false)))
    const ok = await Promise.race([there, ended.then((why) => Promise.reject(new Error(`it ended: ${why}`)))])
    socket.destroy()
    if (ok) return
  }
}

// One of them in front of gateways: { host, port, tls } as clients of it need them.
export class Proxy {
  static async start(kind, gateways) {
    const proxy = new Proxy()
    proxy.host = '127.0.0.1'
    proxy.folder = await mkdtemp(join(tmpdir(), 'madang-behind-'))
    proxy.port = await freePort()
    const { cert, key, pem: ca } = await makeCertificate(proxy.folder, 'front')
    const pem = join(proxy.folder, 'pem')
    await writeFile(pem, ca + (await readFile(key, 'utf8')))
    proxy.tls = kind.ends ? { ca, servername: 'localhost' } : undefined
    const file = join(proxy.folder, 'conf')
    await writeFile(file, kind.config(gateways, { port: proxy.port, folder: proxy.folder, cert, key, pem }))
    proxy.child = withUs(spawn(kind.program, kind.args(file, proxy.folder), { env, stdio: ['ignore', 'ignore', 'pipe'] }))
    let log = ''
    proxy.child.stderr.on('data', (more) => (log += more))
    proxy.ended = new Promise((settle) => proxy.child.on('close', () => settle(log)))
    await listening(proxy.port, proxy.ended)
    return proxy
  }

  get url() {
    return `ws${this.tls ? 's' : ''}://127.0.0.1:${this.port}/connection/websocket`
  }

  async stop() {
    this.child.kill('SIGTERM')
    await this.ended
    await rm(this.folder, { recursive: true })
  }
}
