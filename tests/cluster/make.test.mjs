// SPDX-License-Identifier: MIT
//
// What `make cluster` starts: gateways that share rooms, and nothing of it is left afterwards.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { existsSync, readFileSync, readdirSync } from 'node:fs'
import { describe } from 'node:test'
import { fileURLToPath } from 'node:url'

import { Chatter } from '../lib/chatter.mjs'
import { freePort } from '../lib/ports.mjs'
import { it } from '../lib/suite.mjs'

const script = fileURLToPath(new URL('../../.ci/cluster', import.meta.url))

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

// The script in a process group of its own, as in a terminal.
function start(ports) {
  const env = { PATH: process.env.PATH, PORTS: ports }
  const child = spawn(script, [process.env.MADANG_BIN], { env, detached: true, stdio: ['ignore', 'pipe', 'pipe'] })
  const cluster = { child, out: '', err: '' }
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

describe('make cluster', () => {
  it('starts gateways that share rooms, and Ctrl-C leaves nothing behind', async () => {
    const cluster = start('0 0 0')
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
    assert.equal(await cluster.ended, 0)
    assertGone(cluster)
  })

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
    assert.match(cluster.err, new RegExp(`${port}.*(in use|taken)`))
  })
})
