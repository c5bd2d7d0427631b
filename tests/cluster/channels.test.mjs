// SPDX-License-Identifier: MIT
//
// Which rooms have subscribers, on all gateways together, whichever of them is asked.

import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { describe } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'

import { Api } from '../lib/api.mjs'
import { Chatter } from '../lib/chatter.mjs'
import { Cluster } from '../lib/cluster.mjs'
import { Redis } from '../lib/redis.mjs'
import { RedisClient } from '../lib/redis_client.mjs'
import { Servers } from '../lib/servers.mjs'
import { it } from '../lib/suite.mjs'

const LARGE = 16 * 1024 * 1024 // an answer of the API is not larger
const PATIENT = ['--api-timeout', '5m'] // questions are put one after the other, on a busy machine too

async function among(redis, how, body) {
  const cluster = await Cluster.start(redis, how)
  try {
    await body(cluster, ...cluster.gateways)
  } finally {
    await cluster.stop()
  }
}

async function sits(gateway, ...rooms) {
  const chatter = await Chatter.join(gateway)
  const ids = [chatter.command(...rooms.map((channel) => ({ subscribe: { channel } })))].flat()
  for (const id of ids) assert.equal((await chatter.reply(id)).value.error, undefined)
  return chatter
}

async function rooms(gateway, pattern) {
  const { channels } = await new Api(gateway).ok('channels', { pattern })
  return Object.fromEntries(Object.entries(channels).map(([name, { num_clients }]) => [name, num_clients]))
}

// What a gateway would say, said by the test: it is alive, hears the questions, and answers as it likes.
class Impostor {
  static async appear(redis) {
    const one = new Impostor(redis)
    one.hears = await RedisClient.connect(redis.port)
    one.says = await RedisClient.connect(redis.port)
    await one.hears.say('SUBSCRIBE', 'madang:pub:\tcontrol', `madang:pub:\tto:${one.name}`)
    await one.says.say('ZADD', 'madang:nodes', Date.now() + 600_000, one.name) // a long lease
    return one
  }

  constructor() {
    this.name = randomUUID()
  }

  // The next signal of a kind: { from, words }.
  async heard(what) {
    for (;;) {
      const i = this.hears.pushes.findIndex(([kind, , text]) => kind === 'message' && text.split(' ')[2] === what)
      if (i < 0) {
        await pause(10)
        continue
      }
      const [, from, , ...words] = this.hears.pushes.splice(i, 1)[0][2].split(' ')
      return { from, words }
    }
  }

  answer(to, id, more, lines, from = this.name) {
    return this.says.say('PUBLISH', `madang:pub:\tto:${to}`, `s ${this.name} a ${id} ${from} ${more}\n${lines}`)
  }

  leave() {
    this.hears.close()
    this.says.close()
  }
}

describe('channels over several gateways', () => {
  it('every gateway lists all rooms with all their subscribers', async () => {
    await among(await Servers.start(['a', 'b']), { gateways: 3, args: PATIENT }, async (cluster, a, b, c) => {
      const odd = 'two  words, "quotes" \\ 마당'
      const all = [await sits(a, 'r', 'here'), await sits(b, 'r', odd), await sits(b, 'r'), await sits(c, odd, 'there')]
      const wanted = { r: 3, here: 1, there: 1, [odd]: 2 }
      for (const gateway of cluster.gateways) {
        assert.deepEqual(await rooms(gateway), wanted)
        assert.deepEqual(await rooms(gateway, '*here'), { here: 1, there: 1 })
        assert.deepEqual(await rooms(gateway, 'two  *'), { [odd]: 2 })
        assert.deepEqual(await rooms(gateway, 'nothing like it'), {})
      }
      const { replies } = await new Api(a).ok('batch', { commands: Array(50).fill({ channels: { pattern: 'r' } }), parallel: true })
      for (const { channels } of replies) assert.deepEqual(channels, { channels: { r: { num_clients: 3 } } })
      await all[3].ok({ unsubscribe: { channel: odd } })
      assert.deepEqual(await rooms(a, 'two*'), { [odd]: 1 })
      for (const one of all) one.cut()
    })
  })

  it('what is more than one piece comes in several', async () => {
    const args = [...PATIENT, '--channel-limit', '3000', '--limits-session-commands', '0']
    await among(await Redis.start(), { gateways: 2, args }, async (cluster, a, b) => {
      const names = Array.from({ length: 1500 }, (_, i) => `${i} ${'x'.repeat(200)}`) // of 64 KiB each
      const [here, there] = [await sits(a, ...names.slice(500)), await sits(b, ...names.slice(0, 1000))]
      const wanted = Object.fromEntries(names.map((name, i) => [name, i >= 500 && i < 1000 ? 2 : 1]))
      for (const gateway of [a, b]) assert.deepEqual(await rooms(gateway), wanted)
      here.cut()
      there.cut()
    })
  })

  it('a gateway that does not answer fails the question, and so does Redis that is away', async () => {
    await among(await Redis.start(), { gateways: 2, args: ['--api-timeout', '2s'] }, async (cluster, a, b) => {
      const there = await sits(b, 'r')
      await b.freeze()
      await new Api(a).fails('channels', {}, 100)
      b.signal('SIGCONT')
      while ((await new Api(a).call('channels')).result?.channels.r?.num_clients !== 1) await pause(50)
      there.cut()
      await cluster.redis.kill()
      await cluster.degraded()
      await new Api(a).fails('channels', {}, 100)
    })
  })

  it('what other programs answer is taken for no more than it is', async () => {
    await among(await Redis.start(), { gateways: 1, args: PATIENT }, async (cluster, a) => {
      const here = await sits(a, 'r', 'mine')
      const other = await Impostor.appear(cluster.redis)
      const ask = async (pattern) => {
        const answer = new Api(a).call('channels', { pattern })
        const { from, words } = await other.heard('q')
        assert.equal(words[1], from)
        return { answer, from, id: words[0], pattern: words.slice(2).join(' ') }
      }
      const first = await ask('*')
      assert.equal(first.pattern, '*')
      await other.answer(first.from, Number(first.id) + 1, 0, '9 of another question\n')
      await other.answer(first.from, first.id, 0, '9 of nobody\n', randomUUID())
      await other.answer(first.from, first.id, 1, '2 r\n1 a b\n')
      const next = await other.heard('n')
      assert.deepEqual(next.words, [first.id, first.from, other.name])
      await other.answer(first.from, first.id, 0, '3 r\n')
      assert.deepEqual((await first.answer).result, { channels: { r: { num_clients: 6 }, mine: { num_clients: 1 }, 'a b': { num_clients: 1 } } })

      const spoilt = await ask()
      await other.answer(spoilt.from, spoilt.id, 0, 'no number\n')
      assert.equal((await spoilt.answer).error.code, 100)

      const huge = await ask()
      const line = `1 ${'x'.repeat(1000)}`
      await other.answer(huge.from, huge.id, 1, Array.from({ length: LARGE / 1000 + 10 }, (_, i) => `${line}${i}\n`).join(''))
      assert.equal((await huge.answer).error.code, 106)
      other.leave()
      here.cut()
    })
  })
})
