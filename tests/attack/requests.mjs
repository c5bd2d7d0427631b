// SPDX-License-Identifier: MIT
//
// Attacks by HTTP: requests that never end, and requests from where they may not come from.

import { dial, handshakeText, readHead } from '../lib/wire.mjs'
import { head, repeat, statusOf } from './kit.mjs'

// Connections that say a little now and then; `begin` is what they say first, `drop` what then.
async function drip(round, begin, drop) {
  const held = await Promise.all(
    Array.from({ length: round.how.connections }, async () => {
      const socket = await dial(round.target)
      const answer = readHead(socket).then(({ status }) => status, () => 'cut')
      socket.write(begin)
      return { socket, answer }
    }),
  )
  const beat = setInterval(() => held.forEach(({ socket }) => socket.destroyed || socket.write(drop)), 200)
  round.stands()
  await Promise.all(held.map(async ({ socket, answer }) => {
    round.answered(await answer)
    socket.destroy()
  }))
  clearInterval(beat)
  await round.over
}

export const slowHeaders = (round) => drip(round, handshakeText(round.target).slice(0, -2), 'X: y\r\n')

export const slowBodies = (round) =>
  drip(round, head(round.target, 'POST', '/api/publish', { 'X-API-Key': round.how.key, 'Content-Length': 100_000 }), ' ')

// Handshakes and requests that a page of another site makes its visitor's browser send.
export const crossSite = repeat(8, async (round, i) => {
  const Origin = i & 1 ? 'http://evil.example' : 'null'
  const path = ['/connection/websocket', '/', '/metrics', '/api/info'][i >> 1]
  const upgrade = path === '/connection/websocket'
  return statusOf(round.target, upgrade ? handshakeText(round.target, { headers: { Origin } }) : head(round.target, 'GET', path, { Origin }))
})

// A page of evil.example after its name was made to mean 127.0.0.1: host and origin agree.
export const rebinding = repeat(8, async (round, i) => {
  const Host = i & 1 ? `evil.example:${round.target.port}` : '127.0.0.1.evil.example'
  const headers = { Host, Origin: `http://${Host}` }
  const path = ['/connection/websocket', '/', '/metrics', '/api/info'][i >> 1]
  return statusOf(round.target, path.startsWith('/conn') ? handshakeText(round.target, { headers }) : head(round.target, i & 1 ? 'GET' : 'POST', path, headers))
})

const keys = [undefined, '', 'x', 'k'.repeat(1000)]

export const withoutKey = repeat(8, async (round, i) => {
  const headers = { 'X-API-Key': keys[i % keys.length], 'Content-Length': 2 }
  return statusOf(round.target, `${head(round.target, 'POST', i & 4 ? '/api/publish' : '/api', headers)}{}`)
})
