// SPDX-License-Identifier: MIT
// The server API: every method, every error, and what reaches the sessions.
import assert from 'node:assert/strict'

import { Api, KEY } from '../lib/api.mjs'
import { it, suite, suites } from '../lib/suite.mjs'

const config = ['--config', new URL('rooms.ini', import.meta.url).pathname, '--api-key', KEY]

let nth = 0
const room = (namespace) => `${namespace ? `${namespace}:` : ''}api${++nth}`
const publications = async (api, channel, options) => (await api.ok('history', { channel, limit: -1, ...options })).publications
const datas = (list) => list.map(({ data }) => data)

suites('server API, rooms', { args: config }, (at, join) => {
  const api = () => new Api(at.gateway)

  it('publish reaches subscribers, says where, and names no sender', async () => {
    const c = await join()
    const r = room()
    await c.subscribe(r)
    const first = await api().ok('publish', { channel: r, data: { a: 1 } })
    const second = await api().ok('publish', { channel: r, data: 'two' })
    assert.equal(first.offset, 1)
    assert.match(first.epoch, /^[a-z]{8}$/)
    assert.deepEqual(second, { offset: 2, epoch: first.epoch })
    const pub = await c.pub(r)
    assert.deepEqual(pub.data, { a: 1 })
    assert.equal(pub.info, undefined)
    assert.equal(pub.offset, 1)
    assert.equal((await c.pub(r)).data, 'two')
    await c.leave()
  })

  it('publish into a room without a stream says nothing of a place', async () => {
    const c = await join()
    const r = room('bare')
    await c.subscribe(r)
    assert.deepEqual(await api().ok('publish', { channel: r, data: 1 }), {})
    assert.deepEqual(await c.pub(r), { data: 1 })
    await c.leave()
  })

  it('data passes on byte for byte, without the line breaks between tokens, live and recovered', async () => {
    const c = await join()
    const r = room()
    await c.subscribe(r)
    const { epoch } = await api().ok('publish', { channel: r, data: 0 })
    const pretty = '{\r\n  "a" : 1.10,\n  "b" : [\n1e400, "line\\nbreak" ]\r\n}'
    const flat = '{  "a" : 1.10,  "b" : [1e400, "line\\nbreak" ]}'
    await api().ok('publish', `{"channel":"${r}",\n"data":${pretty}}`)
    await c.pub(r)
    const { text } = await c.push('pub', r)
    assert.ok(text.includes(`"data":${flat}`), text)
    await c.ok({ unsubscribe: { channel: r } })
    const id = c.command({ subscribe: { channel: r, recover: true, offset: 1, epoch } })
    const recovered = (await c.reply(id)).text
    assert.ok(recovered.includes(`"data":${flat}`), recovered)
    const other = await join()
    const past = other.command({ history: { channel: r, limit: 10 } })
    assert.ok((await other.reply(past)).text.includes(`"data":${flat}`))
    await Promise.all([c.leave(), other.leave()])
  })

  it('data may come in base64, and must be JSON there too', async () => {
    const r = room()
    const base64 = (text) => Buffer.from(text).toString('base64')
    await api().ok('publish', { channel: r, b64data: base64('{"x":\n[1,2]}') })
    await api().ok('publish', { channel: r, b64data: base64('12') })
    assert.deepEqual(datas(await publications(api(), r)), [{ x: [1, 2] }, 12])
    for (const bad of [base64('no json'), base64('1 2'), base64(''), 'MTI', 'M T=', '====', base64(Buffer.from([0x22, 0xff, 0x22]))])
      await api().fails('publish', { channel: r, b64data: bad }, 107)
    await api().fails('publish', { channel: r, data: 1, b64data: base64('1') }, 107)
  })

  it('tags travel with a publication, beside the time', async () => {
    const r = room()
    await api().ok('publish', { channel: r, data: 1, tags: { kind: 'note', 'a"b': 'ü' } })
    await api().ok('publish', { channel: r, data: 2, tags: { t: '5' } })
    await api().ok('publish', { channel: r, data: 3, tags: {} })
    const [first, second, third] = await publications(api(), r)
    assert.deepEqual(Object.keys(first.tags), ['kind', 'a"b', 't'])
    assert.equal(first.tags['a"b'], 'ü')
    assert.deepEqual(second.tags, { t: '5' }) // who sends a time is believed
    assert.deepEqual(Object.keys(third.tags), ['t'])
    await api().fails('publish', { channel: r, data: 1, tags: { n: 1 } }, 107)
    await api().fails('publish', { channel: r, data: 1, tags: [] }, 107)
    const escaped = `\n${'A'.repeat(1000)}` // is unescaped to be looked at
    assert.match((await api().fails('publish', { channel: escaped, data: 1, tags: 5 }, 107)).message, /tags must be an object/)
  })

  it('skip_history reaches subscribers and leaves the stream as it is', async () => {
    const c = await join()
    const r = room()
    await c.subscribe(r)
    await api().ok('publish', { channel: r, data: 1 })
    assert.deepEqual(await api().ok('publish', { channel: r, data: 2, skip_history: true }), {})
    assert.equal((await api().ok('publish', { channel: r, data: 3 })).offset, 2)
    assert.equal((await c.pub(r)).offset, 1)
    const skipped = await c.pub(r)
    assert.deepEqual([skipped.data, skipped.offset], [2, undefined])
    assert.equal((await c.pub(r)).offset, 2)
    assert.deepEqual(datas(await publications(api(), r)), [1, 3])
    await c.leave()
  })

  it('a repeated idempotency key gives the first result and publishes nothing', async () => {
    const c = await join()
    for (const r of [room(), room('bare'), room('small')]) {
      await c.subscribe(r)
      const first = await api().ok('publish', { channel: r, data: 1, idempotency_key: 'once' })
      for (let i = 0; i < 3; i++) await api().ok('publish', { channel: r, data: `other ${i}` })
      const again = await api().ok('publish', { channel: r, data: 'a retry', idempotency_key: 'once' })
      assert.deepEqual(again, first)
      await api().ok('publish', { channel: r, data: 'end', idempotency_key: 'another' })
      const seen = []
      while (seen.at(-1) !== 'end') seen.push((await c.pub(r)).data)
      assert.deepEqual(seen, [1, 'other 0', 'other 1', 'other 2', 'end'])
    }
    const [a, b] = [room(), room()] // a key is of its room
    assert.equal((await api().ok('publish', { channel: a, data: 1, idempotency_key: 'k' })).offset, 1)
    assert.equal((await api().ok('publish', { channel: b, data: 1, idempotency_key: 'k' })).offset, 1)
    await c.leave()
  })

  it('two publishes with one key at the same time are one publication', async () => {
    const r = room()
    const results = await Promise.all(
      Array.from({ length: 20 }, (_, i) => api().ok('publish', { channel: r, data: i, idempotency_key: 'race' })),
    )
    for (const result of results) assert.deepEqual(result, results[0])
    assert.equal((await publications(api(), r)).length, 1)
  })

  it('publish tells what is wrong', async () => {
    await api().fails('publish', { channel: '', data: 1 }, 107)
    await api().fails('publish', { data: 1 }, 107)
    await api().fails('publish', { channel: room() }, 107)
    await api().fails('publish', { channel: 5, data: 1 }, 107)
    await api().fails('publish', { channel: 'a'.repeat(256), data: 1 }, 107)
    await api().fails('publish', { channel: 'a\u0001b', data: 1 }, 107)
    await api().fails('publish', { channel: 'nowhere:r', data: 1 }, 102)
    await api().fails('publish', { channel: room(), data: 1, idempotency_key: 'k'.repeat(257) }, 107)
    await api().fails('publish', { channel: room(), data: 1, skip_history: 'yes' }, 107)
    await api().fails('publish', { channel: room(), data: 1, version: 3, version_epoch: 'e'.repeat(65) }, 107)
    await api().fails('publish', { channel: room(), data: 1, version: -3 }, 107)
    await api().ok('publish', { channel: room(), data: null, delta: true, version: 0, unknown: [] })
  })

  it('of versions only newer ones are published; what is held back is answered with the top', async () => {
    const c = await join()
    const r = room()
    await c.subscribe(r)
    const version = async (data, more) => (await api().ok('publish', { channel: r, data, ...more })).offset
    assert.equal(await version('a', { version: 5 }), 1)
    assert.equal(await version('b', { version: 5 }), 1)
    assert.equal(await version('c', { version: 4, idempotency_key: 'k' }), 1)
    assert.equal(await version('d', { version: 6 }), 2)
    assert.equal(await version('e', { version: 1, version_epoch: 'second' }), 3)
    assert.equal(await version('f', { version: 1, version_epoch: 'second' }), 3)
    assert.equal(await version('g'), 4)
    assert.deepEqual(datas(await publications(api(), r)), ['a', 'd', 'e', 'g'])
    for (const data of ['a', 'd', 'e', 'g']) assert.equal((await c.pub(r)).data, data)
    const both = await api().ok('broadcast', { channels: [r, room()], data: 'h', version: 2, version_epoch: 'second' })
    assert.deepEqual(both.responses.map(({ result }) => result.offset), [5, 1])
    await c.leave()
  })

  it('broadcast publishes into every room and answers for each, in order', async () => {
    const c = await join()
    const [a, b] = [room(), room('bare')]
    await c.subscribe(a)
    await c.subscribe(b)
    const channels = [a, 'nowhere:x', b, '', a]
    const { responses } = await api().ok('broadcast', { channels, data: { all: true }, tags: { x: 'y' } })
    assert.equal(responses.length, 5)
    assert.equal(responses[0].result.offset, 1)
    assert.equal(responses[1].error.code, 102)
    assert.deepEqual(responses[2].result, {})
    assert.equal(responses[3].error.code, 107)
    assert.equal(responses[4].result.offset, 2)
    for (const r of [a, b, a]) {
      const pub = await c.pub(r)
      assert.deepEqual(pub.data, { all: true })
      assert.equal(pub.tags.x, 'y')
    }
    await api().fails('broadcast', { channels: [], data: 1 }, 107)
    await api().fails('broadcast', { data: 1 }, 107)
    await api().fails('broadcast', { channels: 'a', data: 1 }, 107)
    await api().fails('broadcast', { channels: [a] }, 107)
    await api().fails('broadcast', { channels: Array(10001).fill(a), data: 1 }, 106)
    const once = { channels: [a, b], data: 'once', idempotency_key: 'bk' }
    assert.deepEqual(await api().ok('broadcast', once), await api().ok('broadcast', once))
    await c.leave()
  })

  it('a broadcast into thousands of rooms leaves nobody out', async () => {
    const channels = Array.from({ length: 5000 }, () => room())
    const { responses } = await api().ok('broadcast', { channels, data: 1 })
    assert.equal(responses.length, 5000)
    for (const { result } of responses) assert.equal(result.offset, 1)
  })

  it('history reads both ways from anywhere, without the limit of clients', async () => {
    const r = room()
    for (let base = 0; base < 400; base += 100)
      await api().ok('batch', {
        commands: Array.from({ length: 100 }, (_, i) => ({ publish: { channel: r, data: base + i + 1 } })),
      })
    const top = await api().ok('history', { channel: r })
    assert.deepEqual(Object.keys(top), ['publications', 'epoch', 'offset'])
    assert.deepEqual([top.publications, top.offset], [[], 400])
    assert.equal((await publications(api(), r)).length, 400)
    assert.equal((await publications(api(), r, { limit: 350 })).length, 350)
    assert.deepEqual(datas(await publications(api(), r, { limit: 2 })), [1, 2])
    assert.deepEqual(datas(await publications(api(), r, { limit: 2, reverse: true })), [400, 399])
    const since = { offset: 10, epoch: top.epoch }
    assert.deepEqual(datas(await publications(api(), r, { limit: 2, since })), [11, 12])
    assert.deepEqual(datas(await publications(api(), r, { limit: 2, since, reverse: true })), [9, 8])
    await api().fails('history', { channel: r, limit: 1, since: { offset: 1, epoch: 'other' } }, 112)
    await api().fails('history', { channel: r, limit: 1, since: { offset: 1, epoch: 'x'.repeat(40) } }, 112)
    await api().fails('history', { channel: r, limit: 1, since: { offset: 0 }, reverse: true }, 107)
    await api().fails('history', { channel: r, limit: 'x' }, 107)
    await api().fails('history', { channel: r, since: 5 }, 107)
    await api().fails('history', { channel: room('bare') }, 108)
    await api().fails('history', { channel: 'nowhere:x' }, 102)
    await api().fails('history', {}, 107)
  })

  it('history_remove takes the publications, not the position', async () => {
    const r = room()
    await api().ok('publish', { channel: r, data: 1 })
    const { epoch } = await api().ok('publish', { channel: r, data: 2 })
    assert.deepEqual(await api().ok('history_remove', { channel: r }), {})
    assert.deepEqual(await api().ok('history', { channel: r, limit: -1 }), { publications: [], epoch, offset: 2 })
    const c = await join()
    const lost = await c.subscribe(r, { recover: true, offset: 1, epoch })
    assert.equal(lost.recovered, undefined)
    assert.equal(lost.was_recovering, true)
    assert.equal((await api().ok('publish', { channel: r, data: 3 })).offset, 3)
    assert.equal((await c.pub(r)).offset, 3)
    assert.deepEqual(await api().ok('history_remove', { channel: room() }), {})
    await api().fails('history_remove', { channel: room('bare') }, 108)
    await api().fails('history_remove', { channel: 'nowhere:x' }, 102)
    await c.leave()
  })

  it('presence and its statistics tell who is there', async () => {
    const r = room()
    const [a, b] = await Promise.all([join(), join()])
    await a.subscribe(r)
    await b.subscribe(r)
    const { presence } = await api().ok('presence', { channel: r })
    const ids = [a.connected.client, b.connected.client]
    assert.deepEqual(Object.keys(presence).sort(), ids.sort())
    for (const id of ids) assert.deepEqual(presence[id], { user: '', client: id })
    assert.deepEqual(await api().ok('presence_stats', { channel: r }), { num_clients: 2, num_users: 1 })
    assert.deepEqual(await api().ok('presence', { channel: room() }), { presence: {} })
    assert.deepEqual(await api().ok('presence_stats', { channel: room() }), { num_clients: 0, num_users: 0 })
    await api().fails('presence', { channel: room('none') }, 108)
    await api().fails('presence_stats', { channel: room('none') }, 108)
    await api().fails('presence', { channel: 'nowhere:x' }, 102)
    await api().fails('presence_stats', {}, 107)
    await Promise.all([a.leave(), b.leave()])
  })

  it('channels lists the rooms with subscribers that fit a pattern', async () => {
    const [a, b] = await Promise.all([join(), join()])
    const mine = `list${++nth}`
    await a.subscribe(`${mine}-one`)
    await b.subscribe(`${mine}-one`)
    await a.subscribe(`${mine}-two`)
    await api().ok('publish', { channel: `${mine}-empty`, data: 1 })
    const { channels } = await api().ok('channels', { pattern: `${mine}-*` })
    assert.deepEqual(channels, { [`${mine}-one`]: { num_clients: 2 }, [`${mine}-two`]: { num_clients: 1 } })
    assert.deepEqual(await api().ok('channels', { pattern: `${mine}-t?o` }), { channels: { [`${mine}-two`]: { num_clients: 1 } } })
    assert.deepEqual(await api().ok('channels', { pattern: 'nothing like it' }), { channels: {} })
    const all = (await api().ok('channels')).channels
    assert.equal(all[`${mine}-one`].num_clients, 2)
    await a.ok({ unsubscribe: { channel: `${mine}-two` } })
    assert.deepEqual(Object.keys((await api().ok('channels', { pattern: `${mine}*` })).channels), [`${mine}-one`])
    await api().fails('channels', { pattern: 5 }, 107)
    await Promise.all([a.leave(), b.leave()])
  })

  it('channels walks more rooms than one turn has', async () => {
    const clients = await Promise.all(Array.from({ length: 30 }, () => join()))
    const mine = `walk${++nth}`
    await Promise.all(
      clients.map(async (c, i) => {
        const ids = c.command(...Array.from({ length: 100 }, (_, j) => ({ subscribe: { channel: `${mine}-${i}-${j}` } })))
        for (const id of ids) await c.reply(id)
      }),
    )
    const { channels } = await api().ok('channels', { pattern: `${mine}*` })
    assert.equal(Object.keys(channels).length, 3000)
    await Promise.all(clients.map((c) => c.leave()))
  })

  it('info tells of this gateway', async () => {
    const c = await join()
    await c.subscribe(room())
    const { nodes } = await api().ok('info')
    assert.equal(nodes.length, 1)
    const [node] = nodes
    assert.match(node.uid, /^[0-9a-f-]{36}$/)
    assert.match(node.version, /^madang /)
    for (const key of ['num_clients', 'num_users', 'num_subs', 'num_channels']) assert.ok(node[key] >= 1, `${key}: ${node[key]}`)
    assert.ok(node.uptime >= 0)
    await c.leave()
  })

  it('rpc has no methods', async () => {
    await api().fails('rpc', { method: 'anything', params: {} }, 104)
  })

  it('batch answers each command, in order, side by side if asked to', async () => {
    for (const parallel of [false, true]) {
      const r = room()
      const { replies } = await api().ok('batch', {
        parallel,
        commands: [
          { publish: { channel: r, data: 1 } },
          { publish: { channel: 'nowhere:x', data: 1 } },
          { history: { channel: r, limit: 10 } },
          { nonsense: {} },
          {},
          { batch: { commands: [] } },
          { broadcast: { channels: [r, r], data: 2 } },
          { presence_stats: { channel: r } },
          { publish: 5 },
        ],
      })
      assert.equal(replies[0].publish.offset, 1)
      assert.equal(replies[1].error.code, 102)
      assert.deepEqual(datas(replies[2].history.publications), [1])
      for (const i of [3, 4, 5]) assert.equal(replies[i].error.code, 104)
      assert.deepEqual(replies[6].broadcast.responses.map(({ result }) => result.offset), [2, 3])
      assert.deepEqual(replies[7].presence_stats, { num_clients: 0, num_users: 0 })
      assert.equal(replies[8].error.code, 107)
    }
    await api().fails('batch', {}, 107)
    await api().fails('batch', { commands: [] }, 107)
    await api().fails('batch', { commands: Array(10001).fill({ info: {} }) }, 106)
  })

  it('many calls at once are all answered', async () => {
    const c = await join()
    const r = room()
    await c.subscribe(r)
    const results = await Promise.all(Array.from({ length: 300 }, (_, i) => api().ok('publish', { channel: r, data: i })))
    assert.deepEqual(results.map(({ offset }) => offset).sort((a, b) => a - b), Array.from({ length: 300 }, (_, i) => i + 1))
    for (let i = 1; i <= 300; i++) assert.equal((await c.pub(r)).offset, i)
    await c.leave()
  })
})

suites('server API, sessions', { args: config, auth: 'guest' }, (at, join) => {
  const api = () => new Api(at.gateway)

  // A guest of the given key, and the user id that it got.
  async function guest(key) {
    const c = await join({ data: { guest: { key } } })
    const r = room()
    await c.subscribe(r)
    c.user = (await api().ok('presence', { channel: r })).presence[c.connected.client].user
    await c.ok({ unsubscribe: { channel: r } })
    return c
  }

  const keyOf = () => `a guest with the number ${++nth}`

  it('disconnect closes all of a user and nobody else', async () => {
    const [mine, yours] = [keyOf(), keyOf()]
    const clients = await Promise.all([mine, mine, mine, yours].map(guest))
    const other = clients.pop()
    assert.deepEqual(await api().ok('disconnect', { user: clients[0].user }), {})
    for (const c of clients) await c.closed(3503, 'force disconnect')
    await other.fence()
    await other.leave()
  })

  it('disconnect can narrow, spare, and say why', async () => {
    const key = keyOf()
    const [a, b, c] = await Promise.all([key, key, key].map(guest))
    const user = a.user
    await api().ok('disconnect', { user, client: a.connected.client, disconnect: { code: 4001, reason: 'be nice' } })
    await a.closed(4001, 'be nice')
    await api().ok('disconnect', { user, whitelist: [c.connected.client, 'nobody'], disconnect: { code: 4999 } })
    await b.closed(4999, 'force disconnect')
    await c.fence()
    await api().ok('disconnect', { user, session: 'of no connection here' })
    await api().ok('disconnect', { user: 'somebody else', client: c.connected.client })
    await api().ok('disconnect', { client: c.connected.client }) // the user "" is another one
    await c.fence()
    await c.leave()
  })

  it('disconnect refuses what clients would misunderstand', async () => {
    for (const code of [1, 1000, 3000, 3501, 3999, 5000, 70000, -1, '4000'])
      await api().fails('disconnect', { user: 'u', disconnect: { code } }, 107)
    for (const reason of ['{"reconnect":true}', '42', 'true', '"text"', 'x'.repeat(124), 'nul\u0000'])
      await api().fails('disconnect', { user: 'u', disconnect: { code: 4000, reason } }, 107)
    await api().fails('disconnect', { user: 'u', whitelist: [5] }, 107)
    await api().fails('disconnect', { user: 5 }, 107)
    await api().fails('disconnect', { user: 'u', disconnect: 5 }, 107)
    await api().ok('disconnect', { user: 'u', disconnect: { code: 4000, reason: 'ü'.repeat(61) } })
  })

  it('unsubscribe ends a subscription of all of a user, with 2000', async () => {
    const key = keyOf()
    const [a, b] = await Promise.all([key, key].map(guest))
    const r = room()
    await a.subscribe(r)
    await b.subscribe(r)
    await api().ok('unsubscribe', { user: a.user, channel: r })
    for (const c of [a, b]) {
      const { value } = await c.push('unsubscribe', r)
      assert.deepEqual(value.push.unsubscribe, { code: 2000, reason: 'server unsubscribe' })
    }
    await api().ok('publish', { channel: r, data: 1 })
    assert.deepEqual(await api().ok('presence', { channel: r }), { presence: {} })
    await a.fence()
    assert.ok(!a.rest().some((text) => text.includes('"pub"')), a.rest())
    await a.subscribe(r)
    await api().ok('unsubscribe', { user: a.user, channel: r, client: b.connected.client })
    await api().ok('publish', { channel: r, data: 2 })
    assert.equal((await a.pub(r)).data, 2)
    await api().fails('unsubscribe', { user: a.user }, 107)
    await api().fails('unsubscribe', { user: a.user, channel: 'nowhere:x' }, 102)
    await Promise.all([a.leave(), b.leave()])
  })

  it('subscribe makes a server-side subscription', async () => {
    const c = await guest(keyOf())
    const r = room('closed')
    await api().ok('publish', { channel: r, data: 'before' })
    await api().ok('subscribe', { user: c.user, channel: r, data: { hello: ['there'] } })
    const { text, value } = await c.push('subscribe', r)
    const { subscribe } = value.push
    assert.match(subscribe.epoch, /^[a-z]{8}$/, text)
    assert.deepEqual(subscribe, { recoverable: true, positioned: true, epoch: subscribe.epoch, offset: 1, data: { hello: ['there'] } })
    await api().ok('publish', { channel: r, data: 'after' })
    assert.equal((await c.pub(r)).data, 'after')
    assert.deepEqual(Object.keys((await api().ok('presence', { channel: r })).presence), [c.connected.client])
    await c.fails({ subscribe: { channel: r } }, 105)
    await api().ok('subscribe', { user: c.user, channel: r }) // a second time changes nothing
    await c.fence()
    assert.deepEqual(c.rest(), [])
    await api().ok('unsubscribe', { user: c.user, channel: r })
    await c.push('unsubscribe', r)
    await c.leave()
  })

  it('subscribe without a stream has no position, and data in lines becomes one', async () => {
    const c = await guest(keyOf())
    const r = room('bare')
    await api().ok('subscribe', `{"user":"${c.user}","channel":"${r}","data":{\n"a"\r\n:1}}`)
    const { text, value } = await c.push('subscribe', r)
    assert.deepEqual(value.push.subscribe, { data: { a: 1 } }, text)
    await api().ok('publish', { channel: r, data: 1 })
    await c.pub(r)
    const bare = room('bare')
    await api().ok('subscribe', { user: c.user, channel: bare })
    assert.deepEqual((await c.push('subscribe', bare)).value.push.subscribe, {})
    await c.leave()
  })

  it('subscribe brings what was missed since a position', async () => {
    const c = await guest(keyOf())
    const r = room()
    const { epoch } = await api().ok('publish', { channel: r, data: 1 })
    await api().ok('publish', { channel: r, data: 2 })
    await api().ok('publish', { channel: r, data: 3 })
    await api().ok('subscribe', { user: c.user, channel: r, recover_since: { offset: 1, epoch } })
    const { value } = await c.push('subscribe', r)
    assert.equal(value.push.subscribe.offset, 1)
    assert.deepEqual([(await c.pub(r)).data, (await c.pub(r)).data], [2, 3])
    await api().ok('publish', { channel: r, data: 4 })
    assert.equal((await c.pub(r)).data, 4)
    await api().fails('subscribe', { user: c.user, channel: r, recover_since: { offset: 'x' } }, 107)
    await c.leave()
  })

  it('subscribe says what it cannot do', async () => {
    await api().fails('subscribe', { user: 'u' }, 107)
    await api().fails('subscribe', { user: 'u', channel: 'nowhere:x' }, 102)
  })

  it('one server-side subscription too many closes the session with 3505', async () => {
    const c = await guest(keyOf())
    const ids = c.command(...Array.from({ length: 128 }, () => ({ subscribe: { channel: room() } })))
    for (const id of ids) await c.reply(id)
    await api().ok('subscribe', { user: c.user, channel: room() })
    await c.closed(3505, 'channel limit')
  })

  it('an unsubscribe that meets a subscribe under way ends it after its reply', async () => {
    const c = await guest(keyOf())
    for (let i = 0; i < 20; i++) {
      const r = room()
      const id = c.command({ subscribe: { channel: r } })
      const order = api().ok('unsubscribe', { user: c.user, channel: r })
      await c.reply(id)
      await order
      await api().ok('unsubscribe', { user: c.user, channel: r }) // if the first came too early
      await c.push('unsubscribe', r)
      assert.deepEqual(await api().ok('presence', { channel: r }), { presence: {} })
    }
    await c.leave()
  })

  it('refresh can tell a session that it has expired', async () => {
    const c = await guest(keyOf())
    await api().ok('refresh', { user: c.user })
    await api().ok('refresh', { user: c.user, expired: true })
    await c.closed(3005, 'connection expired')
  })
})

suite('server API, a hub that is left behind', { args: [...config, '--hub-inbox-bytes', '4KiB'], auth: 'guest', hubs: 2 }, (at, join) => {
  it('closes server-side subscriptions that lost publications with 3010', async () => {
    const api = new Api(at.gateway)
    const clients = await Promise.all(Array.from({ length: 4 }, () => join({ data: { guest: { key: `the behind ${++nth} guest` } } })))
    const r = room('bare')
    for (const c of clients) {
      const where = room()
      await c.subscribe(where)
      const { user } = (await api.ok('presence', { channel: where })).presence[c.connected.client]
      await api.ok('subscribe', { user, channel: r })
      await c.push('subscribe', r)
    }
    const big = 'x'.repeat(3000)
    while (!clients.some((c) => c.close)) {
      const commands = Array.from({ length: 60 }, () => ({ publish: { channel: r, data: big } }))
      await api.ok('batch', { commands, parallel: true })
    }
    await clients.find((c) => c.close).closed(3010, 'insufficient state')
    for (const c of clients) if (!c.close) c.cut()
  })
})
