// SPDX-License-Identifier: MIT
// Connections of one user: how many, on whichever hubs they are.
import assert from 'node:assert/strict'

import { Chatter } from '../lib/chatter.mjs'
import { it, suites } from '../lib/suite.mjs'
import { token } from '../lib/token.mjs'

const config = ['--config', new URL('token.ini', import.meta.url).pathname]

async function user(at, claims) {
  const c = await Chatter.open(at.gateway)
  c.connected = await c.ok({ connect: { token: token(claims) } })
  return c
}

async function refused(at, claims) {
  const c = await Chatter.open(at.gateway)
  c.command({ connect: { token: token(claims) } })
  await c.closed(3504, 'connection limit')
}

suites('a limit', { auth: 'jwt', args: [...config, '--user-connection-limit', '3'] }, (at) => {
  it('is kept for each user, over all hubs', async () => {
    const mine = []
    for (let i = 0; i < 3; i++) mine.push(await user(at, { sub: 'a', channels: ['chat:x'] }))
    for (let i = 0; i < 4; i++) await refused(at, { sub: 'a', channels: ['chat:x'] })
    const other = await user(at, { sub: 'b' })
    await mine.pop().leave()
    mine.push(await again(at))
    await refused(at, { sub: 'a' })
    mine.pop().cut()
    mine.push(await again(at))
    await Promise.all([...mine, other].map((c) => c.leave()))
  })

  it('is not for the user without a name', async () => {
    const all = []
    for (let i = 0; i < 6; i++) all.push(await user(at, { sub: '' }))
    await Promise.all(all.map((c) => c.leave()))
  })

  it('holds when all come at once', async () => {
    const all = await Promise.all(Array.from({ length: 20 }, () => Chatter.open(at.gateway)))
    const ids = all.map((c) => c.command({ connect: { token: token({ sub: 'crowd' }) } }))
    const results = await Promise.all(all.map((c, i) => c.reply(ids[i]).then(() => c, () => null)))
    const inside = results.filter(Boolean)
    assert.equal(inside.length, 3)
    await Promise.all(inside.map((c) => c.leave()))
  })
})

// A place is free once the gateway has seen that somebody left.
async function again(at) {
  for (;;) {
    const c = await Chatter.open(at.gateway)
    const id = c.command({ connect: { token: token({ sub: 'a' }) } })
    try {
      await c.reply(id)
      return c
    } catch {
      assert.equal(c.close.code, 3504)
    }
  }
}

suites('one connection per user', { auth: 'jwt', args: [...config, '--single-connection', 'on'] }, (at) => {
  it('the newest stays', async () => {
    const other = await user(at, { sub: 'b' })
    let last = await user(at, { sub: 'a', channels: ['chat:x'] })
    for (let i = 0; i < 5; i++) {
      const next = await user(at, { sub: 'a', channels: ['chat:x'] })
      await last.closed(3504, 'connection limit')
      last = next
    }
    await last.publish('chat:x', 'still here')
    await Promise.all([last.leave(), other.leave()])
  })
})
