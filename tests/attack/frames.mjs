// SPDX-License-Identifier: MIT
//
// Attacks by what is in a connection: frames that are wrong, or never end.

import { TEXT, frame } from '../lib/wire.mjs'
import { Chatter } from '../lib/chatter.mjs'
import { closeOf, join, pour, repeat } from './kit.mjs'

const MIB = 1048576

// A piece of n fragments of one byte each; the mask is 0.
const crumbs = (n, first) => {
  const piece = Buffer.alloc(n * 7)
  for (let at = 0; at < piece.length; at += 7) piece.set([0, 0x81, 0, 0, 0, 0, 0x78], at)
  if (first) piece[0] = TEXT
  return piece
}

const firstCrumbs = crumbs(8192, true)
const moreCrumbs = crumbs(8192, false)

function* message(size) {
  yield firstCrumbs
  for (let sent = 8192; sent <= size; sent += 8192) yield moreCrumbs
}

// A message of single bytes that is never done.
export const fragmented = repeat(4, async ({ target }) => {
  const c = await join(target)
  await pour(c, message(2 * MIB))
  return closeOf(c)
})

// The header of a frame of n bytes, and a little of it.
function claim(n) {
  const bytes = Buffer.alloc(1000, 0x78)
  bytes.set([0x80 | TEXT, 0x80 | 127])
  bytes.writeBigUInt64BE(BigInt(n), 2)
  return bytes
}

const command = (size) => frame(JSON.stringify({ id: 9, publish: { channel: 'x', data: 'x'.repeat(size) } }))
const oversizedFrames = [claim(MIB + 1), claim(2 ** 32), claim(2 ** 62), command(65536), command(MIB)]

export const oversized = repeat(8, async (round, i) => {
  const c = await join(round.target)
  round.turns = (round.turns ?? i) + 1
  await pour(c, [oversizedFrames[round.turns % oversizedFrames.length]])
  return closeOf(c)
})

const half = frame('x'.repeat(60_000)).subarray(0, 40_000)

// Messages of which half comes, and then nothing.
export async function halfSent(round) {
  const held = await Promise.all(
    Array.from({ length: round.how.connections }, async () => {
      const c = await join(round.target)
      c.wire.write(half)
      return c
    }),
  )
  round.stands()
  await Promise.all(held.map(async (c) => round.answered(await closeOf(c))))
  await round.over
}

// As a client may not send it (RFC 6455 5.1).
const bare = (text) => {
  const payload = Buffer.from(text)
  return Buffer.concat([Buffer.from([0x80 | TEXT, payload.length]), payload])
}

export const unmasked = repeat(8, async ({ target }) => {
  const c = await Chatter.open(target)
  c.wire.write(bare('{"id":1,"connect":{}}'))
  const { value } = await c.reply(1)
  c.cut()
  return value.connect ? 'taken' : 'refused'
})

const notText = Buffer.from('{"id":9,"publish":{"channel":"x","data":"?"}}')
notText[notText.indexOf('?')] = 0xff

export const invalidText = repeat(8, async ({ target }) => {
  const c = await join(target)
  c.wire.send(notText)
  return closeOf(c)
})

const deeps = ['['.repeat(60_000), `${'{"a":'.repeat(10_000)}1${'}'.repeat(10_000)}`, `${'['.repeat(65)}${']'.repeat(65)}`]

export const deep = repeat(8, async (round, i) => {
  const c = await join(round.target)
  round.turns = (round.turns ?? i) + 1
  c.send(`{"id":9,"publish":{"channel":"x","data":${deeps[round.turns % deeps.length]}}}`)
  return closeOf(c)
})

const hugeToken = (size) => `eyJhbGciOiJIUzI1NiJ9.${'a'.repeat(size)}.${'b'.repeat(43)}`
const tokens = [hugeToken(60_000), `eyJ${'.'.repeat(60_000)}`, hugeToken(100_000), hugeToken(900_000)]

export const token = repeat(8, async (round, i) => {
  const c = await Chatter.open(round.target)
  round.turns = (round.turns ?? i) + 1
  c.command({ connect: { token: tokens[round.turns % tokens.length] } })
  return closeOf(c)
})

