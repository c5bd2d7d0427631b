// SPDX-License-Identifier: MIT
// Publishing: data that arrives byte for byte, who sent it, retries that are no duplicates, and rpc.
import assert from 'node:assert/strict'

import { Chatter } from '../lib/chatter.mjs'
import { it, suite, suites } from '../lib/suite.mjs'

const config = ['--config', new URL('rooms.ini', import.meta.url).pathname]

let nth = 0
const room = (namespace) => `${namespace ? `${namespace}:` : ''}room${++nth}`

// Publishes the text as it is and gives the line of its push.
async function echo(c, r, data) {
  const id = 1000 + ++nth
  c.send(`{"id":${id},"publish":{"channel":"${r}","data":${data}}}`)
  assert.equal((await c.reply(id)).text, `{"id":${id},"publish":{}}`)
  return (await c.push('pub', r)).text
}

const dataOf = (text) => /^\{"push":\{"channel":"[^"]+","pub":\{"data":(.*),"info":\{"user"/s.exec(text)[1]

suites('publishing', { args: config }, (at, join) => {
  it('a push holds data, sender, time and offset, in this order, and nothing else', async () => {
    const c = await join()
    const r = room()
    await c.subscribe(r)
    const before = Date.now()
    const text = await echo(c, r, '"hi"')
    const time = Number(/"t":"(\d+)"/.exec(text)[1])
    assert.ok(time >= before - 1000 && time <= Date.now() + 1000)
    assert.equal(
      text,
      `{"push":{"channel":"${r}","pub":{"data":"hi","info":{"user":"","client":"${c.connected.client}"},` +
        `"tags":{"t":"${time}"},"offset":1}}}`,
    )
    await c.leave()
  })

  it('where no time is stamped there are no tags', async () => {
    const c = await join()
    const r = room('bare')
    await c.subscribe(r)
    const text = await echo(c, r, '1')
    assert.equal(text, `{"push":{"channel":"${r}","pub":{"data":1,"info":{"user":"","client":"${c.connected.client}"}}}}`)
    await c.leave()
  })

  const values = [
    '1.10', '-0', '1e400', '0.1', '123456789012345678901234567890', '-9007199254740993', '1E+2',
    '"\\u0000"', '"\\u00e9 \\/ \\" \\\\ \\b"', '"\\ud800"', '"é 마당 😀 \u2028\u2029 <&>"', '""',
    'true', 'false', 'null', '[]', '{}',
    '{"a":1,"a":2}', '{ "b" : [ 1 , 2 ] ,\t"a" : { } }', '[[[[1]]]]', '{"":{"":""}}',
    '{"}}":"{\\"push\\":{}}"}', `"${'x'.repeat(20000)}"`,
  ]
  it('data reaches subscribers byte for byte, live, recovered and in history', async () => {
    const c = await join()
    const r = room()
    await c.subscribe(r)
    for (const value of values) assert.equal(dataOf(await echo(c, r, value)), value)
    const history = await c.text({ history: { channel: r, limit: -1 } })
    const other = await join()
    const recovered = await other.text({ subscribe: { channel: r, recover: true } })
    for (const text of [history, recovered]) {
      let at = 0
      for (const value of values) {
        at = text.indexOf(`{"data":${value},"info":`, at) + 1
        assert.notEqual(at, 0, value.slice(0, 80))
      }
    }
    await Promise.all([c.leave(), other.leave()])
  })

  it('CR between tokens of data is removed, live and recovered; within texts there can be none', async () => {
    const c = await join()
    const r = room()
    await c.subscribe(r)
    const text = await echo(c, r, '{\r "a" :\r\r[ 1,\r2 ]\r}')
    assert.equal(dataOf(text), '{ "a" :[ 1,2 ]}')
    const other = await join()
    assert.ok((await other.text({ subscribe: { channel: r, recover: true } })).includes('{"data":{ "a" :[ 1,2 ]},'))
    await Promise.all([c.leave(), other.leave()])
  })

  it('the publisher gets one reply and its own publication, every subscriber gets it too', async () => {
    const r = room()
    const crowd = await Promise.all(Array.from({ length: 9 }, () => join()))
    for (const c of crowd) await c.subscribe(r)
    await crowd[0].publish(r, 'all')
    const texts = await Promise.all(crowd.map(async (c) => (await c.push('pub', r)).text))
    assert.equal(new Set(texts).size, 1)
    for (const c of crowd) await c.fence()
    for (const c of crowd) assert.deepEqual(c.rest(), [])
    await Promise.all(crowd.map((c) => c.leave()))
  })

  it('107 without data, and data that is null is data', async () => {
    const c = await join()
    await c.fails({ publish: { channel: 'x' } }, 107)
    await c.fails({ publish: { channel: 'x'.repeat(256), data: 1 } }, 107)
    await c.fails({ publish: { channel: 'nowhere:x', data: 1 } }, 102)
    await c.publish('x', null)
    await c.leave()
  })

  it('a publication without subscribers is in the stream', async () => {
    const c = await join()
    const r = room()
    await c.publish(r, 'lonely')
    assert.equal((await c.ok({ history: { channel: r, limit: 1 } })).publications[0].data, 'lonely')
    await c.leave()
  })
})

suites('idempotency', { args: config }, (at, join) => {
  const said = async (c, r) => (await c.ok({ history: { channel: r, limit: -1 } })).publications.map(({ data }) => data)

  it('a repeat is answered as the first was, and published once', async () => {
    const c = await join()
    const r = room()
    await c.subscribe(r)
    for (let i = 0; i < 3; i++) {
      const id = c.command({ publish: { channel: r, data: { cid: 'k', text: 'one' } } })
      assert.equal((await c.reply(id)).text, `{"id":${id},"publish":{}}`)
    }
    await c.publish(r, 'fence')
    assert.deepEqual((await c.pub(r)).data, { cid: 'k', text: 'one' })
    assert.equal((await c.pub(r)).data, 'fence')
    assert.deepEqual(await said(c, r), [{ cid: 'k', text: 'one' }, 'fence'])
    await c.leave()
  })

  it('repeats within one frame and from another connection of the same user are repeats too', async () => {
    const r = room()
    const [a, b] = await Promise.all([join(), join()])
    const again = { publish: { channel: r, data: { cid: 'k' } } }
    const ids = a.command(...Array.from({ length: 20 }, () => again))
    const others = b.command(...Array.from({ length: 20 }, () => again))
    for (const id of ids) assert.deepEqual((await a.reply(id)).value.publish, {})
    for (const id of others) assert.deepEqual((await b.reply(id)).value.publish, {})
    assert.equal((await said(a, r)).length, 1)
    await Promise.all([a.leave(), b.leave()])
  })

  it('107 when the key was used for other data, and nothing is published', async () => {
    const c = await join()
    const r = room()
    await c.publish(r, { cid: 'k', text: 'one' })
    await c.fails({ publish: { channel: r, data: { cid: 'k', text: 'two' } } }, 107)
    await c.fails({ publish: { channel: r, data: { text: 'one', cid: 'k' } } }, 107) // other bytes
    await c.publish(room(), { cid: 'k', text: 'two' }) // another room
    assert.equal((await said(c, r)).length, 1)
    await c.leave()
  })

  it('107 for a key over 64 bytes, none at 64', async () => {
    const c = await join()
    const r = room()
    await c.publish(r, { cid: 'x'.repeat(64) })
    await c.fails({ publish: { channel: r, data: { cid: 'x'.repeat(65) } } }, 107)
    await c.fails({ publish: { channel: r, data: { cid: 'é'.repeat(33) } } }, 107)
    await c.leave()
  })

  it('only a text at the top of data is a key', async () => {
    const c = await join()
    const r = room()
    const keyless = [{ cid: 7 }, { cid: null }, { cid: '' }, { in: { cid: 'k' } }, [{ cid: 'k' }], 'cid', { CID: 'k' }]
    for (const data of keyless) for (let i = 0; i < 2; i++) await c.publish(r, data)
    assert.equal((await said(c, r)).length, 2 * keyless.length)
    await c.leave()
  })

  it('a key is forgotten when its publication has left the stream', async () => {
    const c = await join()
    const r = room('small')
    await c.publish(r, { cid: 'k' })
    await c.publish(r, 1)
    await c.publish(r, { cid: 'k' }) // still there: a repeat
    assert.deepEqual(await said(c, r), [{ cid: 'k' }, 1])
    await c.publish(r, 2)
    await c.publish(r, { cid: 'k' })
    assert.deepEqual(await said(c, r), [2, { cid: 'k' }])
    await c.leave()
  })

  it('a room may have another key, or none', async () => {
    const c = await join()
    const named = room('keyed')
    for (let i = 0; i < 2; i++) await c.publish(named, { message_id: 'k' })
    for (let i = 0; i < 2; i++) await c.publish(named, { cid: 'k' })
    assert.equal((await said(c, named)).length, 3)
    const none = room('keyless')
    for (let i = 0; i < 2; i++) await c.publish(none, { cid: 'k' })
    assert.equal((await said(c, none)).length, 2)
    await c.leave()
  })
})

suite('guests', { auth: 'guest', args: config }, (at) => {
  const guest = (key, name = key) => Chatter.join(at.gateway, { data: { guest: { key: key.padEnd(16, '.'), name } } })

  it('two users may use the same key for different messages', async () => {
    const [ann, bob] = await Promise.all([guest('ann'), guest('bob')])
    await ann.subscribe('both')
    await ann.publish('both', { cid: '1', text: 'from ann' })
    await bob.publish('both', { cid: '1', text: 'from bob' })
    await ann.publish('both', { cid: '1', text: 'from ann' })
    await bob.fails({ publish: { channel: 'both', data: { cid: '1', text: 'from ann' } } }, 107)
    assert.equal((await ann.ok({ history: { channel: 'both' } })).offset, 2)
    await Promise.all([ann.leave(), bob.leave()])
  })

  it('a retry over a new connection of the same guest is no duplicate', async () => {
    const first = await guest('ann')
    await first.publish('again', { cid: '1' })
    first.cut()
    const second = await guest('ann')
    await second.publish('again', { cid: '1' })
    assert.equal((await second.ok({ history: { channel: 'again' } })).offset, 1)
    await second.leave()
  })

  it('typing is pushed to everybody in the room and never stored', async () => {
    const [ann, bob] = await Promise.all([guest('ann', 'Ann'), guest('bob')])
    await ann.subscribe('typing')
    await bob.subscribe('typing')
    assert.equal(await ann.text({ rpc: { method: 'rooms.typing', data: { room: 'typing' } } }), '{"id":3,"rpc":{}}')
    const { text } = await bob.push('pub', 'typing')
    assert.match(
      text,
      /^\{"push":\{"channel":"typing","pub":\{"data":\{"type":"typing"\},"info":\{"user":"g_\w+","client":"[-0-9a-f]+","conn_info":\{"name":"Ann"\}\},"tags":\{"quiet":"1","typing":"1"\}\}\}\}$/,
    )
    assert.deepEqual((await bob.ok({ history: { channel: 'typing', limit: -1 } })).offset, 0)
    await Promise.all([ann.leave(), bob.leave()])
  })

  it('typing again at once is answered and not passed on', async () => {
    const [ann, bob] = await Promise.all([guest('ann'), guest('bob')])
    await ann.subscribe('hasty')
    await bob.subscribe('hasty')
    for (let i = 0; i < 5; i++) await ann.ok({ rpc: { method: 'rooms.typing', data: { room: 'hasty' } } })
    await ann.publish('hasty', 'fence')
    assert.deepEqual((await bob.pub('hasty')).data, { type: 'typing' })
    assert.equal((await bob.pub('hasty')).data, 'fence')
    await Promise.all([ann.leave(), bob.leave()])
  })

  it('typing needs a room that one is in and may publish to', async () => {
    const ann = await guest('ann')
    await ann.subscribe('silent:x')
    const typing = (data) => ({ rpc: { method: 'rooms.typing', data } })
    await ann.fails(typing({ room: 'elsewhere' }), 103)
    await ann.fails(typing({ room: 'silent:x' }), 103)
    for (const data of [undefined, null, 7, {}, { room: '' }, { room: 7 }]) await ann.fails(typing(data), 107)
    await ann.leave()
  })

  it('108 for an rpc method that nobody knows', async () => {
    const ann = await guest('ann')
    assert.equal(await ann.text({ rpc: { method: 'nope', data: {} } }), '{"id":2,"error":{"code":108,"message":"not available"}}')
    await ann.fails({ rpc: {} }, 108)
    await ann.leave()
  })
})
