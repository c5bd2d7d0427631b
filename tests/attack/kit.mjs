// SPDX-License-Identifier: MIT
//
// What attacks have in common.

import { Chatter } from '../lib/chatter.mjs'
import { dial, readHead } from '../lib/wire.mjs'

// An attack by workers that do one thing again and again; `one` gives what it was answered.
export const repeat = (workers, one) => (round) => {
  const work = async (_, i) => {
    while (!round.ceased) round.answered(await one(round, i))
  }
  return Promise.all(Array.from({ length: workers }, work))
}

// The text of a head: `headers` that are undefined are left out.
export function head(target, method, path, headers = {}) {
  const all = { Host: `${target.host}:${target.port}`, ...headers }
  const lines = Object.entries(all).filter(([, value]) => value !== undefined)
  return [`${method} ${path} HTTP/1.1`, ...lines.map(([name, value]) => `${name}: ${value}`), '', ''].join('\r\n')
}

// The status of a request on a connection of its own, 'cut' if the connection ends without.
export async function statusOf(target, text) {
  const socket = await dial(target)
  try {
    socket.write(text)
    return (await readHead(socket)).status
  } catch {
    return 'cut'
  } finally {
    socket.destroy()
  }
}

export const join = (target, data) => Chatter.join(target, { pongs: true, data })

// The code of the close frame; we do not wait for more.
export async function closeOf(chatter) {
  while (!chatter.close && !chatter.over) await chatter.news()
  chatter.cut()
  if (chatter.error) throw chatter.error
  return chatter.close?.code ?? 'cut'
}

// Writes pieces as fast as they are taken, until the peer has had enough.
export async function pour(chatter, pieces) {
  for (const piece of pieces) {
    if (chatter.close || chatter.over) return
    await Promise.race([chatter.wire.write(piece), chatter.done])
  }
}
