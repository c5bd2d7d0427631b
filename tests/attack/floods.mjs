// SPDX-License-Identifier: MIT
//
// Attacks by doing what is allowed, too often.

import { Chatter } from '../lib/chatter.mjs'
import { handshakeText } from '../lib/wire.mjs'
import { closeOf, repeat, statusOf } from './kit.mjs'

// A session that repeats frames of commands until it is closed. Errors are answers, each code once.
async function flood(round, i, commands) {
  const c = await Chatter.join(round.target, { pongs: true })
  const told = new Set()
  for (let n = 0; !c.close && !c.over && !round.ceased; n++) {
    await Promise.race([c.wire.send(commands(n).map((one, k) => JSON.stringify({ id: n * 1000 + k + 10, ...one })).join('\n')), c.done])
    await new Promise(setImmediate)
    for (const { value } of c.lines.splice(0)) if (value.error) told.add(value.error.code)
  }
  if (!round.ceased) await closeOf(c) // what is on its way
  for (const { value } of c.lines.splice(0)) if (value.error) told.add(value.error.code)
  for (const code of told) round.answered(code)
  c.cut()
  return c.close?.code ?? 'cut off by us'
}

const many = (n, make) => Array.from({ length: n }, (_, k) => make(k))

export const publishes = repeat(6, (round, i) =>
  flood(round, i, () => many(50, (k) => ({ publish: { channel: `flood-${i}-${k}`, data: 'x'.repeat(200) } }))))

// Rooms that nobody else has ever heard of.
export const subscribes = repeat(6, (round, i) =>
  flood(round, i, (n) => [
    ...many(40, (k) => ({ subscribe: { channel: `room-${i}-${n}-${k}` } })),
    ...(n % 4 === 3 ? many(120, (k) => ({ unsubscribe: { channel: `room-${i}-${n - (k % 3)}-${k % 40}` } })) : []),
  ]))

export const bytes = repeat(6, (round, i) => flood(round, i, () => many(20, () => ({ rpc: { method: 'x', data: 'x'.repeat(40_000) } }))))

// Handshakes of one client behind a proxy that is trusted.
export const handshakes = repeat(16, async ({ target }) => {
  const answer = await statusOf(target, handshakeText(target, { headers: { 'X-Forwarded-For': '203.0.113.7' } }))
  return answer
})
