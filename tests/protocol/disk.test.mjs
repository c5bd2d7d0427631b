// SPDX-License-Identifier: MIT
// A disk that does not answer for seconds, or that is full: only what needs it waits or is refused, and
// nobody is thrown out.
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe } from 'node:test'

import { Centrifuge } from 'centrifuge'
import WebSocket from 'ws'

import { Chatter } from '../lib/chatter.mjs'
import { request, startGateway } from '../lib/gateway.mjs'
import { SickDisk } from '../lib/sick_disk.mjs'
import { it, returns } from '../lib/suite.mjs'

const folder = mkdtempSync(join(tmpdir(), 'madang-disk-'))
after(() => rmSync(folder, { recursive: true }))

const torture = process.env.MADANG_TORTURE === '1'
const patience = torture ? 6000 : 3000 // of official clients, in ms; the disk stands still for longer

describe('side by side', { concurrency: true }, () => {
  for (const hubs of [1, 3]) {
    it(`a disk that stands still delays only what needs it, and no client comes again, ${hubs} hub(s)`, async () => {
      const here = mkdtempSync(join(folder, 'disk-'))
      const disk = new SickDisk(here)
      const store = join(here, 'madang.db')
      const gateway = await startGateway(['--store', store], { hubs, env: disk.env })
      const client = returns(new Centrifuge(gateway.url, { websocket: WebSocket, timeout: patience, minReconnectDelay: 10 }))
      const comings = []
      client.on('connecting', ({ reason }) => comings.push(reason))
      const room = client.newSubscription('r')
      const heard = []
      let woken = () => {}
      room.on('publication', ({ data }) => {
        heard.push(data.i)
        woken()
      })
      room.subscribe()
      client.connect()
      await room.ready()
      const writer = await Chatter.join(gateway)
      await writer.ok({ publish: { channel: 'r', data: { i: 0 } } })

      disk.stall()
      const waiting = [1, 2, 3].map((i) => writer.ok({ publish: { channel: 'r', data: { i } } }))
      const given = await room.publish({ i: 4 }).then(() => 'done', () => 'given up') // after `patience`
      assert.equal(given, 'given up')
      assert.deepEqual(heard, [0], 'shown before it was kept')
      await Chatter.join(gateway) // who needs no disk is served
      assert.equal((await request(gateway, '/readyz')).status, 200)
      assert.equal((await client.presenceStats('r')).numClients, 1)
      disk.goOn()

      await Promise.all(waiting)
      while (heard.length < 5) await new Promise((settle) => (woken = settle))
      assert.deepEqual(heard.filter((i) => i !== 4), [0, 1, 2, 3])
      assert.equal(heard.length, 5)
      assert.deepEqual(comings, ['connect called'])
      client.disconnect()
      await gateway.stop()
    })
  }
})

it('a full disk refuses publications and says so; with space again all goes on', async () => {
  const here = mkdtempSync(join(folder, 'full-'))
  const disk = new SickDisk(here)
  const gateway = await startGateway(['--store', join(here, 'madang.db')], { env: disk.env })
  const readiness = async () => {
    const { status, body } = await request(gateway, '/readyz')
    return { status, degraded: JSON.parse(body).degraded }
  }
  const c = await Chatter.join(gateway)
  const publish = { publish: { channel: 'r', data: 'x'.repeat(10_000) } }
  await c.ok({ subscribe: { channel: 'r' } })
  await c.ok(publish)
  gateway.expect(/disk is full|disk I\/O|a statement failed|opened anew|there is space again/)

  // What was written beside the file and merged since is space that a full disk still has.
  let kept = 1
  const refusal = async () => {
    for (;;) {
      const { error } = (await c.reply(c.command(publish))).value
      if (error) return error
      kept++
    }
  }
  disk.fill()
  const refused = await refusal()
  assert.deepEqual([refused.code, refused.temporary], [100, true])
  assert.deepEqual(await readiness(), { status: 200, degraded: ['store full'] })
  assert.equal((await gateway.metrics()).madang_store_full, 1)
  assert.equal((await c.ok({ history: { channel: 'r', limit: -1 } })).publications.length, kept)

  disk.goOn()
  while ((await readiness()).degraded.length) await new Promise((settle) => setTimeout(settle, 50))
  await c.ok(publish)
  await gateway.stop()
  assert.match(gateway.log, /there is space again/)
})
