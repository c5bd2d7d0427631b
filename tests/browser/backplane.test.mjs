// SPDX-License-Identifier: MIT
//
// What the page shows while the server behind the gateway is away.

import assert from 'node:assert/strict'
import { after, before } from 'node:test'

import { Redis } from '../lib/redis.mjs'
import { scene } from './stage.mjs'

let redis
const args = []

before(async () => {
  redis = await Redis.start(['--appendonly', 'yes', '--appendfsync', 'always'])
  args.push('--backplane', 'redis', '--redis-url', redis.url)
})
after(() => redis.stop())

scene('messages wait while Redis is away, the page says so, and they go out when it is back', async (stage) => {
  stage.gateway.expect(/ (warn|error) .*redis/)
  const ann = await stage.person('Ann')
  const ben = await stage.person('Ben')
  await ann.say('before')
  await ben.sees('before')
  await redis.kill()
  for (const text of ['one', 'two']) await ann.say(text)
  await ann.seesBanner('held')
  assert.match(await ann.get('banner').textContent(), /cannot pass messages on right now/)
  await ann.sees('one', 'queued')
  await ann.get('message').filter({ hasText: 'Waiting for the gateway…' }).first().waitFor()
  assert.equal(await ann.get('connection').getAttribute('data-phase'), 'connected')
  await redis.restart()
  for (const one of [ann, ben]) await one.seesExactly(['before', 'one', 'two'])
  await ann.seesBanner(null)
}, { args })
