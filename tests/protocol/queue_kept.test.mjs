// SPDX-License-Identifier: MIT
// Queues of a gateway that is killed again and again: what its clients wrote down is as promised, whoever they are.
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'

import { Centrifuge } from 'centrifuge'
import WebSocket from 'ws'

import { Api, KEY } from '../lib/api.mjs'
import { startGateway } from '../lib/gateway.mjs'
import { checkJobs } from '../lib/jobs_checker.mjs'
import { drained, JobsClient, queueEnd } from '../lib/jobs_client.mjs'
import { freePort } from '../lib/ports.mjs'
import { lookInto } from '../lib/store_file.mjs'
import { it, returns } from '../lib/suite.mjs'

const torture = process.env.MADANG_TORTURE === '1'
const folder = mkdtempSync(join(tmpdir(), 'madang-queue-kept-'))
after(() => rmSync(folder, { recursive: true }))

const QUEUE = 'work'
const rules = ['--queue-backoff', '10ms', '--queue-backoff-max', '50ms', '--queue-max-failures', '30', '--queue-max-deliveries', '60']

// Puts jobs of every sort, and some that the gateway itself does, until `over()`.
async function produce(client, name, over) {
  let n = 0
  for (; !over(); n++) {
    const key = `${name}${n}`
    const job = [{}, { delay_ms: 40 }, { group: `${name}${n % 3}` }, { priority: n % 4 }, { max_failures: 2 }][n % 5]
    await client.insist(QUEUE, [{ key, data: n, ...job }, { key: `${key}+`, data: n }])
    if (n % 4 === 0) await client.insist('_publish', [{ kind: 'publish', key, data: { channel: 'r', data: key } }])
  }
}

// An official client that must hear everything once, without a gap.
function listen(port) {
  const client = returns(new Centrifuge(`ws://127.0.0.1:${port}/connection/websocket`, { websocket: WebSocket, minReconnectDelay: 20, maxReconnectDelay: 200 }))
  const room = client.newSubscription('r', { recoverable: true, positioned: true, minResubscribeDelay: 20, maxResubscribeDelay: 200 })
  const heard = []
  room.on('publication', ({ offset, data }) => {
    assert.equal(offset, heard.push(data), 'a gap, or an offset twice')
  })
  room.on('subscribed', ({ wasRecovering, recovered }) => assert.ok(!wasRecovering || recovered, 'it could not recover'))
  room.subscribe()
  client.connect()
  return heard
}

function assertWhole(store) {
  const { check, queues } = lookInto(store)
  assert.equal(check, 'ok')
  for (const [name, { says, has }] of Object.entries(queues)) assert.deepEqual(says, has, name)
}

it('kill -9 under load: no job is lost or given to two, and what the gateway does itself is done once', async () => { // S2
  const rounds = torture ? 200 : 4
  const store = join(folder, 'killed.db')
  const args = ['--store', store, '--api-key', KEY, '--rooms-history-size', '100000', '--worker-lease', '5s', '--webhook-timeout', '1s', ...rules]
  const port = await freePort()
  let gateway = await startGateway(args, { port })
  const heard = listen(port)
  const log = []
  const clients = Array.from({ length: 6 }, () => new JobsClient(log, () => gateway))
  let enough = false, done = false
  const producing = clients.slice(0, 2).map((client, i) => produce(client, 'ab'[i], () => enough))
  const working = clients.slice(2).map((client) => client.work(QUEUE, () => done))
  const acked = () => log.filter(({ op, result }) => op === 'ack' && result === 'ok').length
  try {
    for (let round = 0; round < rounds; round++) {
      for (const before = acked(); acked() < before + 5 + 20 * Math.random(); ) await pause(5)
      await gateway.kill()
      assertWhole(store)
      gateway = await startGateway(args, { port })
    }
    enough = true
    await Promise.all(producing)
    const api = new Api(gateway)
    await drained(api, QUEUE)
    await drained(api, '_publish')
    const numbers = checkJobs(log.filter(({ queue }) => queue !== '_publish'), { ...(await queueEnd(api, QUEUE)), max_failures: 30, max_deliveries: 60 })
    assert.ok(numbers.again > 0, 'nothing was tried')
    const published = log.filter(({ queue, result }) => queue === '_publish' && result).map(({ key }) => key)
    while (heard.length < new Set(published).size) await pause(5)
    assert.deepEqual([...heard].sort(), [...new Set(published)].sort())
    console.log(`${rounds} kills: ${numbers.jobs} jobs, ${numbers.leases} leases; ${heard.length} published`)
  } finally {
    enough = done = true
    await Promise.all(working)
    for (const client of clients) client.close()
  }
  await gateway.stop()
  assertWhole(store)
})
