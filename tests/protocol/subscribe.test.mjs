// SPDX-License-Identifier: MIT
// Subscribing: what is refused and in which order, positions, recovery, and the way out.
import assert from 'node:assert/strict'

import { Chatter } from '../lib/chatter.mjs'
import { it, suite, suites } from '../lib/suite.mjs'

const rooms = [
  '--channel-limit', '128',
  '--config', new URL('rooms.ini', import.meta.url).pathname,
]

let nth = 0
const room = (namespace) => `${namespace ? `${namespace}:` : ''}room${++nth}`

suites('subscribing', { args: rooms }, (at, join) => {
  it('a recoverable subscription tells flags, epoch and position, and nothing else', async () => {
    const c = await join()
    const r = room()
    const empty = await c.text({ subscribe: { channel: r, flag: 1 } })
    assert.match(empty, /^\{"id":2,"subscribe":\{"recoverable":true,"positioned":true,"epoch":"[A-Za-z0-9]+"\}\}$/)
    await c.publish(r, 1)
    const other = await join()
    const text = await other.text({ subscribe: { channel: r } })
    assert.equal(text, empty.replace('}}', ',"offset":1}}'))
    await Promise.all([c.leave(), other.leave()])
  })

  it('where recovery is not forced, a subscription is what the client asked for', async () => {
    const c = await join()
    const results = []
    for (const asked of [{}, { positioned: true }, { recoverable: true }]) {
      const id = c.command({ subscribe: { channel: room('asked'), ...asked } })
      results.push((await c.reply(id)).text.replace(/"epoch":"\w+"/, '"epoch":E'))
    }
    assert.deepEqual(results, [
      '{"id":2,"subscribe":{}}',
      '{"id":3,"subscribe":{"positioned":true,"epoch":E}}',
      '{"id":4,"subscribe":{"recoverable":true,"positioned":true,"epoch":E}}',
    ])
    await c.leave()
  })

  it('a room without history has no position, whatever is asked', async () => {
    const c = await join()
    const r = room('bare')
    assert.equal(await c.text({ subscribe: { channel: r, positioned: true, recoverable: true } }), '{"id":2,"subscribe":{}}')
    const other = await join()
    const text = await other.text({ subscribe: { channel: r, recover: true, offset: 3, epoch: 'x' } })
    assert.equal(text, '{"id":2,"subscribe":{"was_recovering":true}}')
    await c.publish(r, 1)
    assert.equal((await c.push('pub', r)).text.replace(/"client":"[^"]+"/, '"client":C'),
      `{"push":{"channel":"${r}","pub":{"data":1,"info":{"user":"","client":C}}}}`)
    await Promise.all([c.leave(), other.leave()])
  })

  it('errors come in the order of the protocol', async () => {
    const c = await join()
    const long = 'é'.repeat(128) // 256 bytes
    await c.fails({ subscribe: { channel: long } }, 107)
    await c.fails({ subscribe: { channel: `nowhere:${long}` } }, 107)
    await c.subscribe('é'.repeat(127)) // 254 bytes
    await c.subscribe('x'.repeat(255))
    await c.fails({ subscribe: { channel: 'x'.repeat(255) } }, 105)
    await c.fails({ subscribe: { channel: 'x'.repeat(255), type: 1 } }, 105)
    await c.fails({ subscribe: { channel: 'nowhere:x', type: 1 } }, 102)
    await c.fails({ subscribe: { channel: 'tab\tbed' } }, 107)
    for (const type of [1, 2, 3, 4]) await c.fails({ subscribe: { channel: room(), type } }, 107)
    await c.fails({ subscribe: { channel: room(), tf: { key: 'a', cmp: 'eq', val: 'b' } } }, 107)
    await c.subscribe(room(), { type: 0 })
    const ids = c.command(...Array.from({ length: 125 }, () => ({ subscribe: { channel: room() } })))
    for (const id of ids) assert.ok((await c.reply(id)).value.subscribe)
    await c.fails({ subscribe: { channel: room() } }, 106)
    await c.fails({ subscribe: { channel: 'nowhere:x' } }, 106)
    await c.fails({ subscribe: { channel: 'x'.repeat(255) } }, 105)
    await c.fails({ subscribe: { channel: long } }, 107)
    await c.ok({ unsubscribe: { channel: 'x'.repeat(255) } })
    await c.subscribe(room())
    await c.leave()
  })

  it('105 while the first subscribe of the room is still under way', async () => {
    const c = await join()
    const r = room()
    const [first, second] = c.command({ subscribe: { channel: r } }, { subscribe: { channel: r } })
    assert.equal((await c.reply(second)).text, `{"id":${second},"error":{"code":105,"message":"already subscribed"}}`)
    assert.ok((await c.reply(first)).value.subscribe)
    await c.leave()
  })

  it('errors are told by code and message, and as temporary only if they are', async () => {
    const c = await join()
    assert.equal(await c.text({ subscribe: { channel: 'nowhere:x' } }), '{"id":2,"error":{"code":102,"message":"unknown channel"}}')
    assert.equal(await c.text({ history: { channel: 'bare:x' } }), '{"id":3,"error":{"code":108,"message":"not available"}}')
    assert.equal(await c.text({ publish: { channel: 'x' } }), '{"id":4,"error":{"code":107,"message":"bad request"}}')
    await c.leave()
  })

  it('unsubscribe never fails, and ends the subscription before its reply', async () => {
    const c = await join()
    const r = room()
    const publisher = await join()
    for (const channel of [r, 'nowhere:x', 'x'.repeat(400), 'tab\t']) {
      const id = c.command({ unsubscribe: { channel } })
      assert.equal((await c.reply(id)).text, `{"id":${id},"unsubscribe":{}}`)
    }
    await c.subscribe(r)
    await c.ok({ unsubscribe: { channel: r } })
    await publisher.publish(r, 'not for c')
    await c.subscribe(r)
    await publisher.publish(r, 'for c')
    assert.equal((await c.pub(r)).data, 'for c')
    assert.deepEqual(c.rest(), [])
    await Promise.all([c.leave(), publisher.leave()])
  })

  it('a burst of subscribes and unsubscribes in one frame is carried out in order', async () => {
    const c = await join()
    const r = room()
    const burst = []
    for (let i = 0; i < 20; i++) burst.push({ subscribe: { channel: r } }, { unsubscribe: { channel: r } })
    const ids = c.command(...burst, { subscribe: { channel: r } }, { publish: { channel: r, data: 'once' } })
    for (const id of ids) assert.equal((await c.reply(id)).value.error, undefined)
    assert.equal((await c.pub(r)).data, 'once')
    assert.deepEqual(await c.ok({ presence_stats: { channel: r } }), { num_clients: 1, num_users: 1 })
    await c.ok({ unsubscribe: { channel: r } })
    assert.deepEqual(await c.ok({ presence_stats: { channel: r } }), { num_clients: 0, num_users: 0 })
    assert.deepEqual(c.rest(), [])
    await c.leave()
  })

  it('the subscribe reply comes before any publication of the room', async () => {
    const r = room()
    const publisher = await join()
    const storm = publisher.command(...Array.from({ length: 200 }, (_, i) => ({ publish: { channel: r, data: i } })))
    const c = await join()
    const id = c.command({ subscribe: { channel: r } })
    const { offset = 0 } = (await c.line(() => true, 'the first line')).value.subscribe
    await publisher.reply(storm.at(-1))
    await publisher.publish(r, 'last')
    const expected = []
    for (let o = offset + 1; o <= 201; o++) expected.push(o)
    const seen = []
    while (seen.at(-1) !== 201) seen.push((await c.pub(r)).offset)
    assert.deepEqual(seen, expected)
    assert.equal(id, 2)
    await Promise.all([c.leave(), publisher.leave()])
  })
})

// A room with five publications: { epoch, texts: the publications as they were pushed }.
async function filled(join, r, count = 5) {
  const c = await join()
  const { epoch } = await c.subscribe(r)
  const texts = []
  for (let i = 1; i <= count; i++) {
    await c.publish(r, { n: i, x: [1.10, null] })
    texts.push(/"pub":(.*)\}\}$/.exec((await c.push('pub', r)).text)[1])
  }
  await c.leave()
  return { epoch, texts }
}

suites('recovery', { args: rooms }, (at, join) => {
  const recover = (c, channel, since, more = {}) => c.text({ subscribe: { channel, recover: true, ...since, ...more } })

  it('recovered: all that was missed, as it was pushed, behind the offset that the client named', async () => {
    const r = room()
    const { epoch, texts } = await filled(join, r)
    const c = await join()
    assert.equal(
      await recover(c, r, { offset: 2, epoch }),
      `{"id":2,"subscribe":{"recoverable":true,"positioned":true,"epoch":"${epoch}","offset":2,` +
        `"was_recovering":true,"recovered":true,"publications":[${texts.slice(2).join(',')}]}}`,
    )
    await c.publish(r, 'next')
    assert.equal((await c.pub(r)).offset, 6)
    await c.leave()
  })

  it('recovered with nothing missed has no publications', async () => {
    const r = room()
    const { epoch } = await filled(join, r)
    const c = await join()
    assert.equal(
      await recover(c, r, { offset: 5, epoch }),
      `{"id":2,"subscribe":{"recoverable":true,"positioned":true,"epoch":"${epoch}","offset":5,"was_recovering":true,"recovered":true}}`,
    )
    await c.leave()
  })

  it('recovered from offset 0: everything, and no offset in the reply', async () => {
    const r = room()
    const { epoch, texts } = await filled(join, r)
    for (const since of [{ epoch }, { offset: 0, epoch: '' }, { offset: 0 }, {}]) {
      const c = await join()
      assert.equal(
        await recover(c, r, since),
        `{"id":2,"subscribe":{"recoverable":true,"positioned":true,"epoch":"${epoch}","was_recovering":true,"recovered":true,` +
          `"publications":[${texts.join(',')}]}}`,
      )
      await c.leave()
    }
  })

  it('an empty room is recovered from offset 0', async () => {
    const c = await join()
    const text = await recover(c, room(), {})
    assert.match(text, /^\{"id":2,"subscribe":\{"recoverable":true,"positioned":true,"epoch":"\w+","was_recovering":true,"recovered":true\}\}$/)
    await c.leave()
  })

  const strangers = {
    'another epoch': { offset: 3, epoch: 'nope' },
    'another epoch and the right top': { offset: 5, epoch: 'nope' },
    'an epoch that is much too long': { offset: 5, epoch: 'e'.repeat(500) },
    'an offset above the top': { offset: 6 },
    'the largest offset there is': { offset: 18446744073709551615n },
  }
  for (const [what, since] of Object.entries(strangers)) {
    it(`not recovered with ${what}: the top and no publications; 112 for who asked for that`, async () => {
      const r = room()
      const { epoch } = await filled(join, r)
      const asked = { epoch, ...since }
      const command = (flag) =>
        `{"id":9,"subscribe":{"channel":"${r}","recover":true,"offset":${asked.offset},"epoch":"${asked.epoch}","flag":${flag}}}`
      const c = await join()
      c.send(command(3))
      assert.equal((await c.reply(9)).text, '{"id":9,"error":{"code":112,"message":"unrecoverable position"}}')
      assert.deepEqual(await c.ok({ presence_stats: { channel: r } }), { num_clients: 0, num_users: 0 })
      c.send(command(1))
      assert.equal(
        (await c.reply(9)).text,
        `{"id":9,"subscribe":{"recoverable":true,"positioned":true,"epoch":"${epoch}","offset":5,"was_recovering":true}}`,
      )
      await c.publish(r, 'next')
      assert.equal((await c.pub(r)).offset, 6)
      await c.leave()
    })
  }

  it('not recovered when the stream no longer holds what follows the offset', async () => {
    const r = room('small')
    const { epoch, texts } = await filled(join, r)
    const c = await join()
    assert.match(await recover(c, r, { offset: 2, epoch }), /"offset":5,"was_recovering":true\}\}$/)
    const other = await join()
    assert.ok((await recover(other, r, { offset: 3, epoch })).endsWith(`"publications":[${texts.slice(3).join(',')}]}}`))
    await Promise.all([c.leave(), other.leave()])
  })

  it('recover where nothing can be recovered only says that it was asked', async () => {
    const r = room('asked')
    const c = await join()
    assert.equal(await recover(c, r, { offset: 0 }), '{"id":2,"subscribe":{"was_recovering":true}}')
    await c.leave()
  })

  it('recovery races with publications: nothing is missing and nothing comes twice', async () => {
    const r = room()
    const { epoch } = await filled(join, r)
    const publisher = await join()
    for (let round = 0; round < 10; round++) {
      const storm = publisher.command(...Array.from({ length: 40 }, (_, i) => ({ publish: { channel: r, data: i } })))
      const c = await join()
      const { publications = [], recovered } = await c.subscribe(r, { recover: true, offset: 5, epoch })
      assert.equal(recovered, true)
      await publisher.reply(storm.at(-1))
      const top = 5 + (round + 1) * 40
      const seen = publications.map(({ offset }) => offset)
      while (seen.at(-1) !== top) seen.push((await c.pub(r)).offset)
      assert.deepEqual(seen, Array.from({ length: top - 5 }, (_, i) => i + 6))
      await c.leave()
    }
    await publisher.leave()
  })

  it('the epoch stays and the offset goes on while the room lives, and another room has another', async () => {
    const r = room()
    const { epoch } = await filled(join, r)
    const c = await join()
    assert.deepEqual(await c.ok({ history: { channel: r } }), { epoch, offset: 5, publications: [] })
    assert.notEqual((await c.subscribe(room())).epoch, epoch)
    await c.leave()
  })
})

suite('rules of guests', { auth: 'guest', args: rooms }, (at) => {
  const guest = (key) => Chatter.join(at.gateway, { data: { guest: { key: key.padEnd(16, '.'), name: key } } })

  it('103 for what a room does not allow', async () => {
    const c = await guest('ann')
    await c.fails({ subscribe: { channel: 'closed:x' } }, 103)
    await c.fails({ publish: { channel: 'closed:x', data: 1 } }, 103)
    await c.fails({ presence: { channel: 'closed:x' } }, 103)
    await c.fails({ presence_stats: { channel: 'closed:x' } }, 103)
    await c.fails({ history: { channel: 'closed:x' } }, 103)
    await c.leave()
  })

  it('some things are for subscribers only', async () => {
    const c = await guest('ann')
    const r = 'members:x'
    const wishes = [{ publish: { channel: r, data: 1 } }, { presence: { channel: r } }, { presence_stats: { channel: r } }, { history: { channel: r } }]
    for (const wish of wishes) await c.fails(wish, 103)
    await c.subscribe(r)
    for (const wish of wishes) await c.ok(wish)
    await c.ok({ unsubscribe: { channel: r } })
    for (const wish of wishes) await c.fails(wish, 103)
    await c.leave()
  })

  it('103 for private rooms, which need a token', async () => {
    const c = await guest('ann')
    await c.fails({ subscribe: { channel: '$secret' } }, 103)
    await c.fails({ publish: { channel: '$secret', data: 1 } }, 103)
    await c.fails({ history: { channel: '$secret' } }, 103)
    await c.leave()
  })

  it('108 comes before 103 where a room does not have the thing at all', async () => {
    const c = await guest('ann')
    await c.fails({ presence: { channel: 'none:x' } }, 108)
    await c.fails({ presence_stats: { channel: 'none:x' } }, 108)
    await c.fails({ history: { channel: 'none:x' } }, 108)
    await c.leave()
  })
})
