// SPDX-License-Identifier: MIT
// Recovery of the newest publication alone: rooms that hold a state rather than a conversation.
import assert from 'node:assert/strict'

import { it, suites } from '../lib/suite.mjs'

const config = ['--config', new URL('rooms.ini', import.meta.url).pathname]

let nth = 0
const room = (namespace) => `${namespace}:room${++nth}`

suites('cache recovery', { args: config }, (at, join) => {
  const subscribe = (c, channel, rest = {}) => c.ok({ subscribe: { channel, ...rest } })
  async function filled(c, r, count) {
    for (let n = 1; n <= count; n++) await c.ok({ publish: { channel: r, data: n } })
    return c.ok({ history: { channel: r, limit: 0 } })
  }
  const dataOf = ({ publications = [] }) => publications.map(({ data }) => data)

  it('who comes back gets the newest publication, however many it missed', async () => {
    const c = await join()
    const r = room('newest')
    const { epoch } = await filled(c, r, 5)
    const got = await subscribe(c, r, { recover: true, offset: 2, epoch })
    assert.deepEqual([got.recovered, got.was_recovering, got.offset, dataOf(got)], [true, true, 5, [5]])
    await c.leave()
  })

  it('who has it already gets nothing', async () => {
    const c = await join()
    const r = room('newest')
    const { epoch, offset } = await filled(c, r, 3)
    const got = await subscribe(c, r, { recover: true, offset, epoch })
    assert.deepEqual([got.recovered, dataOf(got)], [true, []])
    await c.leave()
  })

  it('another epoch does not matter, for a state needs no past', async () => {
    const c = await join()
    const r = room('newest')
    await filled(c, r, 3)
    const got = await subscribe(c, r, { recover: true, offset: 3, epoch: 'other' })
    assert.deepEqual([got.recovered, dataOf(got)], [true, [3]])
    await c.leave()
  })

  it('where nothing was published there is nothing to recover', async () => {
    const c = await join()
    const got = await subscribe(c, room('newest'), { recover: true, offset: 1, epoch: 'x' })
    assert.deepEqual([got.recovered, got.was_recovering, dataOf(got)], [undefined, true, []])
    await c.leave()
  })

  it('who does not ask gets nothing, unless the room gives it to all', async () => {
    const c = await join()
    const [asked, given] = [room('newest'), room('given')]
    await filled(c, asked, 2)
    await filled(c, given, 2)
    const silent = await subscribe(c, asked)
    assert.deepEqual([silent.was_recovering, dataOf(silent)], [undefined, []])
    const got = await subscribe(c, given)
    assert.deepEqual([got.recovered, got.was_recovering, dataOf(got)], [true, true, [2]])
    await c.ok({ publish: { channel: given, data: 3 } })
    assert.deepEqual([(await c.pub(given)).data, (await c.ok({ history: { channel: given } })).offset], [3, 3])
    await c.leave()
  })
})
