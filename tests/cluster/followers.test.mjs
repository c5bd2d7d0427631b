// SPDX-License-Identifier: MIT
//
// Followers and read markers of rooms that several gateways share, on several servers.

import assert from 'node:assert/strict'
import { describe } from 'node:test'

import { Api } from '../lib/api.mjs'
import { Chatter } from '../lib/chatter.mjs'
import { Cluster } from '../lib/cluster.mjs'
import { Servers } from '../lib/servers.mjs'
import { it } from '../lib/suite.mjs'

const limited = ['--rooms-allow-user-limited-channels', 'on', '--personal-room', 'on']
const rooms = ['a', 'b', 'c', 'd', 'e', 'f'] // on both servers

async function guest(gateway, name) {
  const chatter = await Chatter.join(gateway, { data: { guest: { key: `the key of the guest ${name}` } } })
  chatter.own = Object.keys(chatter.connected.subs)[0]
  chatter.user = chatter.own.slice(1)
  return chatter
}

const rpc = (c, method, data) => c.ok({ rpc: { method: `rooms.${method}`, data } }).then((result) => result.data)
const unread = ({ rooms: list }) => list.map((line) => [line.room, line.unread])

describe('followers', () => {
  it('are the same on every gateway, and hear on one what they do on another', async () => {
    const servers = await Servers.start(['a', 'b'])
    const cluster = await Cluster.start(servers, { gateways: 2, auth: 'guest', args: limited })
    try {
      const [one, two] = cluster.gateways
      const [here, there] = [await guest(one, 'me'), await guest(two, 'me')]
      for (const room of rooms) {
        await rpc(here, 'follow', { room })
        for (const c of [here, there]) assert.equal((await c.pub(c.own)).data.room, room)
      }
      for (const channel of rooms) await new Api(two).ok('publish', { channel, data: 1 })
      assert.deepEqual(unread(await rpc(there, 'list', {})), rooms.map((room) => [room, 1]))
      const { epoch, offset } = await rpc(there, 'read', { room: 'c' })
      assert.deepEqual((await here.pub(here.own)).data, { type: 'read', room: 'c', epoch, offset })
      await here.subscribe('d')
      await here.publish('d', 'not having read')
      await here.subscribe('c')
      assert.equal((await there.pub(there.own)).data.offset, offset)
      await here.publish('c', 'having read')
      assert.deepEqual((await there.pub(there.own)).data, { type: 'read', room: 'c', epoch, offset: offset + 1 })
      const page = await rpc(there, 'list', { limit: 4 })
      assert.deepEqual([unread(page), page.more], [[['a', 1], ['b', 1], ['c', 0], ['d', 2]], true])
      for (const i of [0, 1]) await cluster.gateways[i].kill()
      for (const i of [0, 1]) await cluster.again(i)
      await cluster.well()
      const back = await guest(cluster.gateways[1], 'me')
      assert.deepEqual(unread(await rpc(back, 'list', { after: 'b' })), [['c', 0], ['d', 2], ['e', 1], ['f', 1]])
      back.cut()
    } finally {
      await cluster.stop()
    }
  })
})
