// SPDX-License-Identifier: MIT
// history: positions, pages in both directions, and their bounds.
import assert from 'node:assert/strict'

import { it, suite, suites } from '../lib/suite.mjs'

const config = ['--config', new URL('rooms.ini', import.meta.url).pathname]

let nth = 0
const room = (namespace) => `${namespace ? `${namespace}:` : ''}room${++nth}`

// A room with publications 1…count, and its epoch.
async function filled(c, r, count) {
  const ids = c.command(...Array.from({ length: count }, (_, i) => ({ publish: { channel: r, data: i + 1 } })))
  for (const id of [ids].flat()) await c.reply(id)
  return (await c.ok({ history: { channel: r } })).epoch
}

const up = (from, to) => Array.from({ length: to - from + 1 }, (_, i) => from + i)
const down = (from, to) => up(to, from).reverse()

suites('history', { args: config }, (at, join) => {
  it('without limit it is the position alone, and every member is there', async () => {
    const c = await join()
    const r = room()
    const text = await c.text({ history: { channel: r } })
    assert.match(text, /^\{"id":2,"history":\{"epoch":"\w+","offset":0,"publications":\[\]\}\}$/)
    const epoch = await filled(c, r, 3)
    for (const limit of [undefined, 0]) {
      const id = c.command({ history: { channel: r, limit } })
      assert.equal((await c.reply(id)).text, `{"id":${id},"history":{"epoch":"${epoch}","offset":3,"publications":[]}}`)
    }
    await c.leave()
  })

  it('publications are what was pushed', async () => {
    const c = await join()
    const r = room()
    const { epoch } = await c.subscribe(r)
    await c.publish(r, [1.10])
    const pushed = /"pub":(.*)\}\}$/.exec((await c.push('pub', r)).text)[1]
    const id = c.command({ history: { channel: r, limit: 1 } })
    assert.equal((await c.reply(id)).text, `{"id":${id},"history":{"epoch":"${epoch}","offset":1,"publications":[${pushed}]}}`)
    await c.leave()
  })

  it('pages forwards begin behind the offset, pages backwards before it', async () => {
    const c = await join()
    const r = room()
    const epoch = await filled(c, r, 20)
    const page = async (asked) => {
      const { publications, ...position } = await c.ok({ history: { channel: r, ...asked } })
      assert.deepEqual(position, { epoch, offset: 20 })
      for (const { data, offset } of publications) assert.equal(data, offset)
      return publications.map(({ offset }) => offset)
    }
    const since = (offset) => ({ since: { offset, epoch } })
    assert.deepEqual(await page({ limit: 3 }), [1, 2, 3])
    assert.deepEqual(await page({ limit: 3, reverse: true }), [20, 19, 18])
    assert.deepEqual(await page({ limit: 3, ...since(3) }), [4, 5, 6])
    assert.deepEqual(await page({ limit: 3, ...since(0) }), [1, 2, 3])
    assert.deepEqual(await page({ limit: 3, since: { offset: 3 } }), [4, 5, 6])
    assert.deepEqual(await page({ limit: 3, ...since(18), reverse: true }), [17, 16, 15])
    assert.deepEqual(await page({ limit: 30, ...since(15) }), up(16, 20))
    assert.deepEqual(await page({ limit: 30, ...since(4), reverse: true }), [3, 2, 1])
    assert.deepEqual(await page({ limit: 3, ...since(1), reverse: true }), [])
    assert.deepEqual(await page({ limit: 3, ...since(20) }), [])
    assert.deepEqual(await page({ limit: 3, ...since(500) }), [])
    assert.deepEqual(await page({ limit: 3, ...since(500), reverse: true }), [20, 19, 18])
    assert.deepEqual(await page({ limit: -1 }), up(1, 20))
    assert.deepEqual(await page({ limit: -1, reverse: true }), down(20, 1))
    assert.deepEqual(await page({ limit: 0, reverse: true }), [])
    await c.leave()
  })

  it('a client can page through everything, forwards and backwards, while more is published', async () => {
    const c = await join()
    const r = room()
    const epoch = await filled(c, r, 100)
    const seen = { false: [], true: [] }
    for (const reverse of [false, true]) {
      let since
      for (;;) {
        await c.publish(r, 'more')
        const { publications } = await c.ok({ history: { channel: r, limit: 7, reverse, since } })
        const offsets = publications.map(({ offset }) => offset).filter((offset) => offset <= 100)
        seen[reverse].push(...offsets)
        if (publications.length < 7 || (!reverse && offsets.at(-1) === 100)) break
        since = { epoch, offset: publications.at(-1).offset }
      }
    }
    assert.deepEqual(seen.false, up(1, 100))
    assert.deepEqual(seen.true, down(100, 1))
    await c.leave()
  })

  it('300 publications are the most of one reply', async () => {
    const c = await join()
    const r = room()
    const epoch = await filled(c, r, 310)
    for (const limit of [-1, 300, 301, 1_000_000]) {
      const { publications, offset } = await c.ok({ history: { channel: r, limit } })
      assert.equal(offset, 310)
      assert.deepEqual(publications.map((p) => p.offset), up(1, 300))
    }
    const back = await c.ok({ history: { channel: r, limit: -1, reverse: true } })
    assert.deepEqual(back.publications.map((p) => p.offset), down(310, 11))
    assert.equal(back.epoch, epoch)
    await c.leave()
  })

  it('a stream that forgot its beginning starts where it still is', async () => {
    const c = await join()
    const r = room('small')
    const epoch = await filled(c, r, 5)
    const { publications } = await c.ok({ history: { channel: r, limit: -1, since: { offset: 0, epoch } } })
    assert.deepEqual(publications.map((p) => p.offset), [4, 5])
    await c.leave()
  })

  it('112 for another epoch, 107 for backwards from nothing', async () => {
    const c = await join()
    const r = room()
    const epoch = await filled(c, r, 2)
    for (const wrong of ['x', `${epoch}x`, 'e'.repeat(300)]) {
      await c.fails({ history: { channel: r, limit: 1, since: { offset: 1, epoch: wrong } } }, 112)
      await c.fails({ history: { channel: r, since: { offset: 1, epoch: wrong } } }, 112)
    }
    await c.fails({ history: { channel: r, limit: 1, since: { offset: 0, epoch }, reverse: true } }, 107)
    await c.fails({ history: { channel: r, limit: 1, since: { epoch }, reverse: true } }, 107)
    await c.fails({ history: { channel: 'x'.repeat(256) } }, 107)
    await c.fails({ history: { channel: 'nowhere:x' } }, 102)
    await c.leave()
  })

  it('a member of the wrong kind is 3501', async () => {
    for (const wrong of ['"limit":"1"', '"since":7', '"since":{"offset":-1}', '"reverse":1', '"limit":1.5']) {
      const c = await join()
      c.send(`{"id":2,"history":{"channel":"x",${wrong}}}`)
      await c.closed(3501)
    }
  })

  it('when a stream has aged away the position stays and recovery says so', async () => {
    const c = await join()
    const r = room('brief')
    const epoch = await filled(c, r, 3)
    let left
    do left = await c.ok({ history: { channel: r, limit: -1 } })
    while (left.publications.length)
    assert.deepEqual(left, { epoch, offset: 3, publications: [] })
    assert.equal((await c.subscribe(r, { recover: true, offset: 1, epoch })).recovered, undefined)
    await c.ok({ unsubscribe: { channel: r } })
    assert.equal((await c.subscribe(r, { recover: true, offset: 3, epoch })).recovered, true)
    await c.publish(r, 'next')
    assert.equal((await c.pub(r)).offset, 4)
    await c.leave()
  })
})

suite('replies bounded by bytes', { args: ['--history-bytes', '64KiB', ...config] }, (at, join) => {
  const big = 'x'.repeat(20_000)

  it('history gives as many whole publications as fit, and at least one', async () => {
    const c = await join()
    const r = room()
    for (let i = 0; i < 10; i++) await c.publish(r, big)
    const page = async (asked) => (await c.ok({ history: { channel: r, limit: -1, ...asked } })).publications.map((p) => p.offset)
    assert.deepEqual(await page({}), [1, 2, 3])
    assert.deepEqual(await page({ since: { offset: 3 } }), [4, 5, 6])
    assert.deepEqual(await page({ reverse: true }), [10, 9, 8])
    await c.leave()
  })

  it('one publication larger than the bound is given alone', async () => {
    const c = await join()
    const r = room()
    for (let i = 0; i < 3; i++) await c.publish(r, 'x'.repeat(65_400))
    const { publications } = await c.ok({ history: { channel: r, limit: -1 } })
    assert.deepEqual(publications.map((p) => p.offset), [1])
    await c.leave()
  })

  it('what does not fit into one reply is not recovered, rather than in part', async () => {
    const c = await join()
    const r = room()
    for (let i = 0; i < 10; i++) await c.publish(r, big)
    const some = await c.subscribe(r, { recover: true, offset: 7 })
    assert.equal(some.recovered, true)
    assert.deepEqual(some.publications.map((p) => p.offset), [8, 9, 10])
    await c.ok({ unsubscribe: { channel: r } })
    const { recovered, publications, offset } = await c.subscribe(r, { recover: true, offset: 2 })
    assert.deepEqual([recovered, publications, offset], [undefined, undefined, 10])
    await c.leave()
  })
})
