// SPDX-License-Identifier: MIT
//
// What may be missing when a server comes back without its last writes, that nothing else is, and that
// everybody who had seen it is told.

import assert from 'node:assert/strict'
import { setTimeout as pause } from 'node:timers/promises'

// Every publisher has been answered so many times more. (Or why not.)
export async function grown(cluster, n) {
  const goals = cluster.publishers.map((one) => one.sent + n)
  while (cluster.publishers.some((one, i) => one.sent < goals[i])) {
    for (const one of cluster.publishers) await Promise.race([one.running, pause(5)])
  }
}

// Load on every gateway while `loss({ settled, gone })` happens, which calls `settled` when what is
// acknowledged so far must be kept (if never: nothing), and `gone` when nothing more can be lost. Gives
// the story of each room.
export async function losing(cluster, rooms, loss) {
  for (const room of rooms) {
    await cluster.listen(room)
    for (const gateway of cluster.gateways) (await cluster.publisher(gateway, room)).run()
  }
  await grown(cluster, 20)
  const counts = () => cluster.publishers.map((one) => one.sent)
  const before = await Promise.all(rooms.map((room) => cluster.stream(room)))
  let settled = counts().map(() => 0)
  let later
  // Of each one publication may be under way then, and even be acknowledged after it.
  const gone = () => (later = counts().map((n) => n + 1))
  await loss({ settled: () => (settled = counts()), gone })
  await cluster.well()
  await grown(cluster, 20)
  await Promise.all(cluster.publishers.map((one) => one.stop()))
  return Promise.all(
    rooms.map(async (room, i) => {
      await cluster.compare(room)
      const { epoch, pubs } = await cluster.stream(room)
      const publishers = cluster.publishers
        .map(({ name, sent, room: of }, k) => ({ of, name, sent, settled: settled[k], later: later[k] }))
        .filter(({ of }) => of === room)
      return { pubs, epoch, before: before[i].epoch, listeners: cluster.listeners.filter((one) => one.room === room), publishers }
    }),
  )
}

// What was shown in the epoch of before: offset to data.
function shownBefore({ epoch, before, listeners }) {
  const shown = new Map()
  for (const one of listeners) {
    for (const [position, text] of one.seen) {
      const [of, offset] = position.split('/')
      assert.ok(of === before || of === epoch, position)
      if (of === before) shown.set(Number(offset), text)
    }
  }
  return shown
}

// Checks a room's story: there is a new epoch, and everybody was told once; what is left of the old one
// is its beginning; of each publisher just what was not settled, and was sent before, may be missing,
// and nothing stands there twice. Gives how many publications were shown and lost.
export function judge(story) {
  const { pubs, epoch, before, listeners, publishers } = story
  assert.notEqual(epoch, before, 'positions of before mean nothing any more')
  for (const one of listeners) assert.equal(one.told, 1, one.story())
  const shown = shownBefore(story)
  const kept = [...shown].filter(([offset, text]) => JSON.stringify(pubs.get(offset)) === text).map(([offset]) => offset)
  const top = Math.max(0, ...kept)
  for (const offset of shown.keys()) assert.equal(offset <= top, kept.includes(offset), `${offset} of ${top}`)
  for (const { name, sent, settled, later } of publishers) {
    const there = [...pubs.values()].filter(({ from }) => from === name).map(({ n }) => n)
    assert.equal(new Set(there).size, there.length, `${name} twice`)
    for (let n = 0; n < sent; n++) {
      assert.ok(there.includes(n) || (n >= settled && n < later), `${n} of ${name}: ${settled} were settled, ${later} came later`)
    }
  }
  return [...shown].filter(([offset]) => offset > top).length
}
