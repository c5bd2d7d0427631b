// SPDX-License-Identifier: MIT
//
// What `make cluster` starts: gateways that share rooms, and nothing of it is left afterwards.

import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import { existsSync, readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe } from 'node:test'
import { fileURLToPath } from 'node:url'

import { Chatter } from '../lib/chatter.mjs'
import { request } from '../lib/gateway.mjs'
import { freePort } from '../lib/ports.mjs'
import { it } from '../lib/suite.mjs'

const root = fileURLToPath(new URL('../..', import.meta.url))
const script = join(root, '.ci/cluster')
const built = existsSync(join(root, 'build/release/madang'))

// Processes that have a word in their command line.
function processes(word) {
  return readdirSync('/proc').filter((pid) => {
    try {
      return /^\d+$/.test(pid) && readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(word)
    } catch {
      return false // it has ended meanwhile
    }
  })
}

// What a test that failed has left.
const started = []
after(() => started.filter((child) => child.exitCode === null && child.signalCode === null).forEach(({ pid }) => process.kill(-pid, 'SIGTERM')))

// The command in a process group of its own, as in a terminal; without one the script that it runs, on
// the program under test.
function start(ports, [program, ...args] = [script, process.env.MADANG_BIN]) {
  const env = { PATH: process.env.PATH, PORTS: ports }
  const child = spawn(program, args, { env, detached: true, stdio: ['ignore', 'pipe', 'pipe'] })
  const cluster = { child, out: '', err: '' }
  started.push(child)
  child.stderr.on('data', (text) => (cluster.err += text))
  cluster.ended = new Promise((settle) => child.on('close', settle))
  cluster.ready = new Promise((settle, fail) => {
    child.stdout.on('data', (text) => {
      cluster.out += text
      if (!/^ +stop /m.test(cluster.out)) return
      cluster.folder = /^ +logs +(\S+)$/m.exec(cluster.out)[1]
      cluster.gateways = [...cluster.out.matchAll(/^ +page +http:\/\/localhost:(\d+)$/gm)].map(([, port]) => ({ host: 'localhost', port: Number(port) }))
      settle()
    })
    cluster.ended.then(() => fail(new Error(`it did not start: ${cluster.err}`)))
  })
  cluster.ready.catch(() => {}) // whoever waits for it is told
  return cluster
}

function assertGone(cluster) {
  assert.deepEqual(processes(cluster.folder), [])
  assert.equal(existsSync(cluster.folder), false)
}

const guest = (name) => ({ data: { guest: { key: `the key of the guest ${name}`, name } } })

// Messages pass between its gateways, and Ctrl-C ends it.
async function use(cluster) {
  await cluster.ready
  assert.equal(cluster.gateways.length, 3)
  assert.equal(processes(cluster.folder).length, 4)
  const chatters = []
  for (const [i, gateway] of cluster.gateways.entries()) {
    chatters.push(await Chatter.join(gateway, guest(`${i}`)))
    await chatters[i].ok({ subscribe: { channel: 'yard' } })
  }
  await chatters[0].ok({ publish: { channel: 'yard', data: { text: 'hello' } } })
  for (const chatter of chatters) await chatter.line(({ value }) => value.push?.pub?.data.text === 'hello', 'the message')
  process.kill(-cluster.child.pid, 'SIGINT')
  await cluster.ended
  assert.match(cluster.out, /Stopped/)
  assert.equal(cluster.err, '')
  assertGone(cluster)
}

describe('make cluster', () => {
  it('starts gateways that share rooms, and Ctrl-C leaves nothing behind', () => use(start('0 0 0')))

  it('ends as a whole when one of them does, and says why', async () => {
    const cluster = start('0 0 0')
    await cluster.ready
    const [one] = processes(`${cluster.folder}/redis`).filter((pid) => readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('serve\0'))
    process.kill(Number(one), 'SIGKILL')
    assert.equal(await cluster.ended, 1)
    assert.match(cluster.err, /One of them has ended/)
    assertGone(cluster)
  })

  it('does not start on a port that is taken, and says so', async () => {
    const port = await freePort()
    const cluster = start(`0 ${port} ${port}`)
    await assert.rejects(cluster.ready)
    assert.equal(await cluster.ended, 1)
    assert.match(cluster.err, new RegExp(`${port}.*in use[^]*make cluster PORTS=`))
  })
})

describe('make cluster, as it is typed', { skip: !built && 'nothing is built here' }, () => {
  // If something is to be done still, it may take longer than a test.
  before(() => execFileSync('cmake', ['--build', join(root, 'build/release'), '--target', 'madang']))

  it('serves the page on the ports that are asked for, and does so again when it was stopped', async () => {
    const ports = [await freePort(), await freePort(), await freePort()]
    for (let i = 0; i < 2; i++) {
      const cluster = start(ports.join(' '), ['make', '-C', root, 'cluster'])
      await cluster.ready
      assert.deepEqual(cluster.gateways.map(({ port }) => port), ports)
      for (const gateway of cluster.gateways) assert.match((await request(gateway, '/')).body, /<title>/)
      await use(cluster)
    }
  })
})
