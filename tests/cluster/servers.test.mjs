// SPDX-License-Identifier: MIT
//
// Several Redis servers that share the rooms: one order all the same, one that is away takes only its own
// rooms along, and who knows another set of servers does not serve.

import assert from 'node:assert/strict'
import { describe } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'

import { Api } from '../lib/api.mjs'
import { Chatter } from '../lib/chatter.mjs'
import { assertAll, Cluster } from '../lib/cluster.mjs'
import { Servers, run } from '../lib/servers.mjs'
import { it } from '../lib/suite.mjs'

const ROOMS = Array.from({ length: 12 }, (_, i) => `room ${i}`)
const HISTORY = ['--rooms-history-size', '1000']

const homes = (servers, rooms) => Promise.all(rooms.map((room) => servers.home(`madang:room:${room}`)))

async function publish(chatter, channel, data = { a: 1 }) {
  return (await chatter.reply(chatter.command({ publish: { channel, data } }))).value
}

// Each room's position, after one more publication.
async function positions(gateway) {
  const chatter = await Chatter.join(gateway)
  const found = new Map()
  for (const channel of ROOMS) {
    assert.equal((await publish(chatter, channel)).error, undefined)
    found.set(channel, await chatter.ok({ history: { channel } }))
  }
  chatter.cut()
  return found
}

const FOLLOWERS = ['ann', 'ben']

async function follow(gateway) {
  const api = new Api(gateway)
  for (const user of FOLLOWERS) for (const channel of ROOMS) await api.ok('follow', { user, channel })
}

// All of them follow every room, and have the one message to read that is new.
async function stillFollow(gateway) {
  const api = new Api(gateway)
  for (const user of FOLLOWERS) {
    const { channels } = await api.ok('follows', { user })
    assert.deepEqual(channels.map((one) => [one.channel, one.unread]), [...ROOMS].sort().map((room) => [room, 1]))
  }
}

describe('several servers', () => {
  it('share the rooms, and every room has one order', async () => {
    const servers = await Servers.start(['b', 'a'])
    const cluster = await Cluster.start(servers, { args: HISTORY })
    try {
      for (const room of ROOMS) {
        await cluster.listen(room)
        for (const gateway of cluster.gateways) await cluster.publisher(gateway, room)
      }
      await Promise.all(cluster.publishers.map((one) => one.publishMany(10)))
      for (const room of ROOMS) {
        const { offset, listeners } = await cluster.compare(room)
        assert.equal(offset, 30)
        for (const listener of listeners) {
          assert.equal(listener.told + listener.stops, 0)
          for (const one of cluster.publishers.filter((p) => p.room === room)) assertAll(one, listener)
        }
      }
      const where = await homes(servers, ROOMS)
      assert.deepEqual([...new Set(where)].sort(), ['a', 'b'])
      for (const redis of servers.all.values()) assert.equal(await redis.say('GET', 'madang:servers'), 'a b')
    } finally {
      await cluster.stop()
    }
  })

  it('fail one by one: rooms of the others go on', async () => {
    const servers = await Servers.start(['a', 'b'])
    const cluster = await Cluster.start(servers, { gateways: 2, args: HISTORY })
    try {
      const chatter = await Chatter.join(cluster.gateways[0])
      for (const room of ROOMS) await publish(chatter, room)
      const where = await homes(servers, ROOMS)
      await servers.all.get('b').kill()
      await cluster.degraded()
      for (const { degraded } of await cluster.readiness()) assert.deepEqual(degraded, ['redis b'])
      for (const [i, room] of ROOMS.entries()) {
        const { error } = await publish(chatter, room)
        assert.equal(error?.code, where[i] === 'b' ? 100 : undefined, `${room} of ${where[i]}`)
      }
      await servers.all.get('b').restart()
      await cluster.well()
      for (const room of ROOMS) assert.equal((await publish(chatter, room)).error, undefined)
      chatter.cut()
    } finally {
      await cluster.stop()
    }
  })
})

describe('the set of servers', { concurrency: 2 }, () => {
  it('is one for all: who knows another does not start, and says which it is', async () => {
    const servers = await Servers.start(['a', 'b', 'c'])
    servers.names = ['a', 'b']
    const cluster = await Cluster.start(servers, { gateways: 1 })
    try {
      for (const verb of ['serve', 'check']) {
        const { code, err } = await run([verb, ...servers.config(['a', 'b', 'c'])])
        assert.equal(code, 1)
        assert.match(err, /\[redis a\] it belongs to the servers "a b", but this gateway is set up for "a b c"/)
      }
      const { code, out } = await run(['servers', 'show', ...servers.config(['a', 'b', 'c'])])
      assert.equal(code, 0)
      assert.deepEqual(out.match(/^a .*belongs to: a b$/gm)?.length, 1, out)
      assert.match(out, /^c .*belongs to no set yet$/m)
    } finally {
      await cluster.stop()
    }
  })

  it('is changed by a command: rooms that move begin a new epoch, the others go on', async () => {
    const servers = await Servers.start(['a', 'b', 'c'])
    servers.names = ['a', 'b']
    const old = await Cluster.start(servers, { gateways: 1, args: HISTORY })
    const gone = []
    try {
      const before = await positions(old.gateways[0])
      const from = await homes(servers, ROOMS)
      await follow(old.gateways[0])
      const add = ['servers', 'add', 'c', ...servers.config(['a', 'b', 'c'])]
      const added = await run(add)
      assert.equal(added.code, 0, added.err)
      old.gateways[0].expect(/ error /)
      await old.degraded()
      const chatter = await Chatter.join(old.gateways[0])
      for (const room of ROOMS) assert.equal((await publish(chatter, room)).error.code, 100)
      assert.match((await run(add)).out, /already/)

      servers.names = ['a', 'b', 'c']
      const larger = await Cluster.start(servers, { gateways: 1, args: HISTORY })
      gone.push(larger)
      const after = await positions(larger.gateways[0])
      let moved = 0
      for (const [i, room] of ROOMS.entries()) {
        const here = servers.all.get('c').say('EXISTS', `madang:room:${room}`)
        if (await here) {
          moved++
          assert.notEqual(after.get(room).epoch, before.get(room).epoch)
          assert.equal(after.get(room).offset, 1)
        } else {
          assert.equal(after.get(room).epoch, before.get(room).epoch, `${room} of ${from[i]}`)
          assert.equal(after.get(room).offset, 2)
        }
      }
      assert.ok(moved > 0 && moved < ROOMS.length)
      assert.match(added.out, new RegExp(`; ${2 * moved} followers went along`))
      await stillFollow(larger.gateways[0])

      // And back: what was left behind on the first two does not return with its old epoch.
      const [, , , was] = servers.config(['a', 'b', 'c'])
      const remove = ['servers', 'remove', 'c', '--was', was, ...servers.config(['a', 'b'])]
      const removed = await run(remove)
      assert.equal(removed.code, 0, removed.err)
      assert.match(removed.out, new RegExp(`; ${moved} rooms that were left over were removed; ${2 * moved} followers went along`))
      assert.match((await run(remove)).out, /already; nothing was changed/)
      larger.gateways[0].expect(/ error /)
      await larger.degraded()
      await old.well() // a gateway whose set it is again serves again
      const back = await positions(old.gateways[0])
      for (const room of ROOMS) {
        const stayed = before.get(room).epoch === after.get(room).epoch
        assert.equal(back.get(room).epoch === before.get(room).epoch, stayed, room)
        assert.equal(back.get(room).offset, stayed ? 3 : 1, room)
      }
      for (const user of FOLLOWERS) {
        const { channels } = await new Api(old.gateways[0]).ok('follows', { user })
        const unread = [...ROOMS].sort().map((room) => [room, before.get(room).epoch === after.get(room).epoch ? 2 : 1])
        assert.deepEqual(channels.map((one) => [one.channel, one.unread]), unread)
        assert.equal(await servers.all.get('c').say('EXISTS', `madang:follows:${user}`), 0)
      }
      chatter.cut()
    } finally {
      for (const { gateways } of gone) for (const gateway of gateways) await gateway.stop()
      await old.stop()
    }
  })

  it('takes along what belongs to no room, when another server becomes the first', async () => {
    const servers = await Servers.start(['a', 'b', 'c'])
    servers.names = ['b', 'c']
    const old = await Cluster.start(servers, { gateways: 1, auth: 'guest' })
    const gone = []
    const decided = async (gateway) => {
      const api = new Api(gateway)
      const { bans } = await api.ok('bans')
      const { mutes } = await api.ok('mutes')
      return [...bans, ...mutes, await api.ok('slow_mode', { channel: 'r' })]
    }
    try {
      const api = new Api(old.gateways[0])
      await api.ok('ban', { user: 'ann', reason: 'spam' })
      await api.ok('ban', { user: 'bob', channel: 'r' })
      await api.ok('unban', { user: 'bob', channel: 'r' })
      await api.ok('mute', { user: 'dan', channel: 'r' })
      await api.ok('slow_mode', { channel: 'r', interval_ms: 5000 })
      const before = await decided(old.gateways[0])
      assert.deepEqual(before.map(({ user }) => user), ['ann', 'dan', undefined])
      const added = await run(['servers', 'add', 'a', ...servers.config(['a', 'b', 'c'])])
      assert.equal(added.code, 0, added.err)
      old.gateways[0].expect(/ error /)

      servers.names = ['a', 'b', 'c']
      const larger = await Cluster.start(servers, { gateways: 1, auth: 'guest' })
      gone.push(larger)
      while (!(await decided(larger.gateways[0])).some(({ user }) => user)) await pause(20) // it reads them first
      assert.deepEqual(await decided(larger.gateways[0]), before)
      await new Api(larger.gateways[0]).ok('unban', { user: 'ann' })
      assert.deepEqual(await decided(larger.gateways[0]), before.slice(1))
    } finally {
      for (const { gateways } of gone) for (const gateway of gateways) await gateway.stop()
      await old.stop()
    }
  })

  it('is not changed by a configuration that does not fit', async () => {
    const servers = await Servers.start(['a', 'b', 'c'])
    servers.names = ['a', 'b']
    const cluster = await Cluster.start(servers, { gateways: 1 })
    try {
      const refused = async (words, names, why) => {
        const { code, err } = await run(['servers', ...words, ...servers.config(names)])
        assert.equal(code, 1)
        assert.match(err, why)
      }
      await refused(['add', 'c'], ['a', 'b'], /does not name c/)
      const file = (names) => servers.config(names)[3]
      await refused(['remove', 'b', '--was', file(['a', 'b'])], ['a', 'b'], /still names b/)
      await refused(['remove', 'b'], ['a'], /say `--was FILE`.*If it is gone for good say `--lost`/s)
      await refused(['remove', 'b', '--was', file(['a', 'c'])], ['a'], /does not name b/)
      servers.all.set('b2', servers.all.get('b')).set('b', servers.all.get('a')) // its address is another one's
      await refused(['remove', 'b', '--was', file(['a', 'b'])], ['a'], /\[redis b\] is a server that stays/)
      servers.all.set('b', servers.all.get('c'))
      await refused(['remove', 'b', '--was', file(['a', 'b'])], ['a'], /\[redis b\] belongs to "", not to "a b"/)
      servers.all.set('b', servers.all.get('b2')).delete('b2')
      await refused(['add', 'b'], ['b', 'c'], /no server says that it belongs to "c"/)
      await refused(['add'], ['a', 'b'], /say `madang servers show`/)
      await servers.all.get('c').kill()
      await refused(['add', 'c'], ['a', 'b', 'c'], /\[redis c\] redis:\/\/127.0.0.1:\d+: /)
      assert.deepEqual((await cluster.readiness())[0].degraded, [])
      assert.equal(await servers.all.get('a').say('GET', 'madang:servers'), 'a b')
    } finally {
      await cluster.stop()
    }
  })
})
