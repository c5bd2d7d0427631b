// SPDX-License-Identifier: MIT
//
// Attacks by number: connections that are only there, and clients that do not read.

import { connect } from 'node:net'

import { closeOf, join } from './kit.mjs'
import { handshakeText } from '../lib/wire.mjs'

// Attackers have many addresses: the i-th of them.
const from = (i) => `127.66.${(i >> 8) & 255}.${i & 255 || 1}`

// A connection that has done its handshake and says nothing. What it is told then is a close frame at the
// end of what it has got; the connection is not ended by us.
function silent(round, i, handshake) {
  return new Promise((settle, fail) => {
    const socket = connect({ host: round.target.host, port: round.target.port, localAddress: from(i >> 6) })
    let last = Buffer.alloc(0)
    socket.on('connect', () => socket.write(handshake))
    socket.on('data', (bytes) => {
      last = Buffer.concat([last, bytes])
      const end = last.indexOf('\r\n\r\n')
      if (end >= 0) settle(socket)
      if (end < 0 || last.length < end + 8) return
      socket.told = last.readUInt16BE(end + 6) // behind the head of the close frame, which is short
      socket.destroy()
    })
    socket.on('error', fail)
  })
}

export async function neverConnect(round) {
  const handshake = handshakeText(round.target)
  const { connections, atOnce = 200 } = round.how
  const held = []
  for (let i = 0; i < connections; i += atOnce) {
    const some = Array.from({ length: Math.min(atOnce, connections - i) }, (_, j) => silent(round, i + j, handshake))
    held.push(...(await Promise.all(some)))
  }
  round.stands()
  for (const socket of held) {
    if (!socket.closed) await new Promise((settle) => socket.once('close', settle))
    round.answered(socket.told ?? 'cut')
  }
  await round.over
}

// TCP connections that say nothing at all.
export async function silence(round) {
  const held = []
  const { connections, addresses, atOnce = 100 } = round.how
  const ends = []
  for (let i = 0; i < connections; i += atOnce) {
    const some = Array.from({ length: Math.min(atOnce, connections - i) }, (_, j) => {
      const socket = connect({ host: round.target.host, port: round.target.port, localAddress: from((i + j) % addresses + 1) })
      socket.resume().on('error', () => {})
      ends.push(new Promise((settle) => socket.once('close', () => settle(round.ceased ? 'ended by us' : 'cut'))))
      held.push(socket)
      return new Promise((settle) => socket.once('connect', settle).once('close', settle))
    })
    await Promise.all(some)
  }
  round.stands()
  await round.over
  for (const socket of held) socket.destroy()
  for (const end of ends) round.answered(await end)
}

const kilobytes = 'x'.repeat(8000)

// Sessions in a room that is talked in, which do not read what they are sent, until none is left in it.
export async function unread(round) {
  const channel = 'unread'
  const publisher = await join(round.target)
  const deaf = await Promise.all(
    Array.from({ length: round.how.connections }, async () => {
      const c = await join(round.target)
      await c.subscribe(channel)
      c.wire.pause()
      return c
    }),
  )
  round.stands()
  const left = async () => (await publisher.ok({ presence_stats: { channel } })).num_clients ?? 0
  while (!round.ceased || (await left()) > 0) await publisher.publish(channel, kilobytes)
  for (const c of deaf) {
    c.wire.resume()
    round.answered(await closeOf(c))
  }
  await publisher.leave()
}

// More connections than there are descriptors.
export async function descriptors(round) {
  const tried = []
  const dialled = Array.from({ length: round.how.connections }, (_, i) => {
    const socket = connect({ host: round.target.host, port: round.target.port, localAddress: from(i) })
    tried.push(socket)
    return new Promise((settle) => {
      socket.resume()
      socket.once('close', () => settle(socket.cut ? 'taken' : 'refused'))
      socket.on('error', () => {})
    })
  })
  const first = Promise.any(dialled)
  await first
  round.stands()
  await round.over
  for (const socket of tried) {
    socket.cut = !socket.closed
    socket.destroy()
  }
  for (const answer of await Promise.all(dialled)) round.answered(answer)
}
