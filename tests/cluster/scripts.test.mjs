// SPDX-License-Identifier: MIT
//
// The scripts as other programs run them (docs/BACKPLANE.md), and what a server's generation says of it.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'

import { Cluster } from '../lib/cluster.mjs'
import { Redis } from '../lib/redis.mjs'
import { it } from '../lib/suite.mjs'

const lua = (name) => readFileSync(new URL(`../../backplane/lua/${name}.lua`, import.meta.url), 'utf8')
const script = (name) => `#!lua\n${lua('room')}${lua(name)}`

function publish(redis, room, data, { info = '', tags = '', flags = '-', count = 100 } = {}) {
  const keys = [`madang:room:${room}`, `madang:stream:${room}`, `madang:keys:${room}`, 'madang:generation']
  const args = [`madang:pub:${room}`, data, info, tags, flags, count, 1048576, 86400000, 2592000000, '', '', 0, 0, '']
  return redis.say('EVAL', script('commit'), keys.length, ...keys, ...args)
}

// What the server is, for the script that every connection begins with.
async function generation(redis, declared) {
  const { run_id, master_replid, master_replid2 } = await redis.info()
  return redis.say('EVAL', script('generation'), 1, 'madang:generation', run_id, master_replid, master_replid2, declared ? 1 : 0)
}

describe('other programs', () => {
  it('publish with the script, and gateways bring it to everybody', async () => {
    const cluster = await Cluster.start(await Redis.start(), { gateways: 2 })
    try {
      const [a, b] = await cluster.listen('lobby')
      const [what, offset, epoch, number] = await publish(cluster.redis, 'lobby', '{"text":"from the shell"}', {
        info: '{"user":"42","client":"shell"}',
        tags: '"from":"shell"',
        flags: 't',
      })
      assert.deepEqual([what, offset, number], [0, 1, 1])
      for (const one of [a, b]) await one.until(epoch, 1)
      assert.equal(a.seen.get(`${epoch}/1`), '{"text":"from the shell"}')
      const { publications } = await b.chatter.ok({ history: { channel: 'lobby', limit: 1 } })
      assert.deepEqual(publications[0].info, { user: '42', client: 'shell' })
      assert.equal(publications[0].tags.from, 'shell')
      assert.ok(Math.abs(Number(publications[0].tags.t) - Date.now()) < 60_000)
      const [, second] = await publish(cluster.redis, 'lobby', '{"text":"two"}')
      assert.equal(second, 2)
      await cluster.compare('lobby')
    } finally {
      await cluster.stop()
    }
  })

  it('who write nonsense hurt nobody', async () => {
    const cluster = await Cluster.start(await Redis.start(), { gateways: 1 })
    try {
      const [a] = await cluster.listen('r')
      await publish(cluster.redis, 'r', '{"text":') // no JSON
      await publish(cluster.redis, 'r', '{\n"pretty": 1}') // a line end would cut the frame
      const [, , epoch] = await publish(cluster.redis, 'r', '"well"')
      await a.until(epoch, 3)
      assert.deepEqual([...a.seen.values()], ['null', 'null', '"well"'])
      assert.equal((await a.chatter.ok({ history: { channel: 'r', limit: 9 } })).publications.length, 3)
    } finally {
      await cluster.stop()
    }
  })
})

describe("a server's generation", () => {
  it('stays while the server runs, and is another one after a restart that may have lost something', async () => {
    const redis = await Redis.start(['--appendonly', 'yes', '--appendfsync', 'always'])
    try {
      const first = await generation(redis, false)
      assert.equal(await generation(redis, false), first)
      await redis.kill()
      await redis.restart()
      const second = await generation(redis, false)
      assert.ok(BigInt(second) > BigInt(first))
    } finally {
      await redis.stop()
    }
  })

  it('stays after a restart of which the operator says that it loses nothing', async () => {
    const redis = await Redis.start(['--appendonly', 'yes', '--appendfsync', 'always'])
    try {
      const first = await generation(redis, true)
      await redis.kill()
      await redis.restart()
      assert.equal(await generation(redis, true), first)
    } finally {
      await redis.stop()
    }
  })

  it('is another one after a promotion, whatever the operator says', async () => {
    const always = ['--appendonly', 'yes', '--appendfsync', 'always']
    const master = await Redis.start(always)
    const replica = await Redis.start([...always, '--replicaof', '127.0.0.1', master.port, '--repl-diskless-sync-delay', '0'])
    try {
      const first = await generation(master, true)
      while ((await replica.say('HGET', 'madang:generation', 'n')) !== first) await pause(20)
      await master.kill()
      await replica.say('REPLICAOF', 'NO', 'ONE')
      const second = await generation(replica, true)
      assert.ok(BigInt(second) > BigInt(first))
      assert.equal(await generation(replica, true), second)
    } finally {
      await replica.stop()
      await master.stop()
    }
  })

  it('gives a room another epoch, and leaves what it holds where it is', async () => {
    const redis = await Redis.start()
    try {
      const [, , before] = await publish(redis, 'r', '1')
      await generation(redis, false)
      const [what, offset, after] = await publish(redis, 'r', '2')
      assert.deepEqual([what, offset], [0, 2])
      assert.notEqual(after, before)
      assert.equal(await redis.say('XLEN', 'madang:stream:r'), 2)
    } finally {
      await redis.stop()
    }
  })
})
