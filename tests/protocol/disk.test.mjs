// SPDX-License-Identifier: MIT
// A disk that does not answer for seconds: only what needs it waits, and nobody is thrown out.
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe } from 'node:test'

import { Centrifuge } from 'centrifuge'
import WebSocket from 'ws'

import { Chatter } from '../lib/chatter.mjs'
import { request, startGateway } from '../lib/gateway.mjs'
import { StallingDisk } from '../lib/stalling_disk.mjs'
import { it, returns } from '../lib/suite.mjs'

const folder = mkdtempSync(join(tmpdir(), 'madang-disk-'))
after(() => rmSync(folder, { recursive: true }))

const torture = process.env.MADANG_TORTURE === '1'
const patience = torture ? 6000 : 3000 // of official clients, in ms; the disk stands still for longer

describe('side by side', { concurrency: true }, () => {
  for (const hubs of [1, 3]) {
    it(`a disk that stands still delays only what needs it, and no client comes again, ${hubs} hub(s)`, async () => {
      const here = mkdtempSync(join(folder, 'disk-'))
      const disk = new StallingDisk(here)
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
