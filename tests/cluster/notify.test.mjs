// SPDX-License-Identifier: MIT
//
// Telling who is away, where users may be on any of several gateways.

import assert from 'node:assert/strict'
import { describe } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'

import { Api } from '../lib/api.mjs'
import { Chatter } from '../lib/chatter.mjs'
import { Cluster } from '../lib/cluster.mjs'
import { Redis } from '../lib/redis.mjs'
import { it } from '../lib/suite.mjs'
import { Target } from '../lib/worker.mjs'

const room = 'yard'
const leases = ['--worker-lease', '5s', '--notify-timeout', '2400ms', '--webhook-timeout', '1s']
const users = ({ body }) => JSON.parse(body).users.map(({ user, unread, range }) => [user, unread, ...range])

// A guest who follows the room.
async function guest(gateway, name) {
  const chatter = await Chatter.join(gateway, { data: { guest: { key: `the key of the guest ${name}` } } })
  chatter.user = Object.keys(chatter.connected.subs)[0].slice(1)
  await chatter.ok({ rpc: { method: 'rooms.follow', data: { room } } })
  return chatter
}

// Until so many more jobs have run to an end, on whichever gateway.
async function runs(cluster, n) {
  const done = () => cluster.metric('madang_worker_jobs_total')
  const before = await done()
  while ((await done()) < before + n) await pause(20)
}

describe('who is away', () => {
  it('is connected to no gateway, or to one whose lease has ended', async () => {
    const target = await Target.open((request, response) => response.end())
    const told = ['--notify-url', target.url, '--notify-delay', '200ms', ...leases]
    const args = ['--rooms-allow-user-limited-channels', 'on', '--personal-room', 'on', ...told]
    const cluster = await Cluster.start(await Redis.start(), { gateways: 2, auth: 'guest', args })
    try {
      const [one, two] = cluster.gateways
      const [here, there, lost, away] = [await guest(one, 'a'), await guest(two, 'b'), await guest(two, 'c'), await guest(two, 'd')]
      await away.leave()
      const connections = (user) => cluster.redis.say('HGETALL', `madang:connections:${user}`)
      while ((await connections(away.user)).length) await pause(20)
      await new Api(one).ok('queue_pause', { queue: '_notify' })
      for (const gateway of [one, two]) await new Api(gateway).ok('publish', { channel: room, data: 1 })
      await new Api(one).ok('queue_resume', { queue: '_notify' })
      assert.deepEqual(users(await target.request(1)), [[away.user, 2, 1, 2]])
      await runs(cluster, 4) // both have done some, most likely
      assert.equal(target.requests.length, 1)
      await there.leave()
      assert.deepEqual(users(await target.request(2)), [[there.user, 2, 1, 2]])
      const [dead] = await connections(lost.user)
      cluster.gateways.splice(1, 1)
      await two.kill()
      await cluster.redis.say('ZADD', 'madang:nodes', '1', dead) // that it ends by itself is proved with presence
      assert.deepEqual(users(await target.request(3)), [[lost.user, 2, 1, 2]])
      await here.ok({ rpc: { method: 'rooms.read', data: { room } } })
      const jobs = async () => (await cluster.redis.say('HLEN', 'madang:queue.job:_notify'))
      while (await jobs()) await pause(20)
      assert.equal(target.requests.length, 3)
      here.cut()
    } finally {
      await cluster.stop()
      await target.close()
    }
  })
})
