// SPDX-License-Identifier: MIT
// How commands come in and replies go out: lines, frames, ids, pings, and the ends of connections.
import assert from 'node:assert/strict'

import { Chatter } from '../lib/chatter.mjs'
import { it, suite, suites } from '../lib/suite.mjs'
import { CLOSE, frame } from '../lib/wire.mjs'

suites('framing', {}, (at, join) => {
  it('connect is answered with a client id, a version and the ping to expect, and nothing more', async () => {
    const c = await Chatter.open(at.gateway)
    const text = await c.text({ connect: {} })
    assert.match(
      text,
      /^\{"id":1,"connect":\{"client":"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}","version":"madang [^"]+","ping":25,"pong":true\}\}$/,
    )
    await c.leave()
  })

  it('connect and everything behind it in one frame are carried out in order', async () => {
    const c = await Chatter.open(at.gateway)
    c.send(
      '{"id":5,"connect":{"name":"js","version":"5","headers":{"a":"b"},"subs":{},"flag":1}}\n' +
        '{"id":6,"subscribe":{"channel":"frame"}}\n' +
        '{"id":7,"publish":{"channel":"frame","data":1}}\n' +
        '{"id":8,"history":{"channel":"frame","limit":-1}}',
    )
    const replies = []
    for (let i = 0; i < 5; i++) {
      const { value } = await c.line(() => true, 'the next line')
      if (value.id) replies.push(value.id)
      else assert.ok(replies.includes(6), 'a push before the subscribe reply')
      if (value.history) assert.equal(value.history.publications.length, 1)
    }
    assert.deepEqual(replies, [5, 6, 7, 8])
    await c.leave()
  })

  it('ids go on where the client left off, up to the largest there is', async () => {
    const c = await Chatter.open(at.gateway)
    c.send('{"id":4294967295,"connect":{}}')
    await c.reply(4294967295)
    await c.leave()
  })

  it('one trailing newline is tolerated, spaces and tabs between tokens too', async () => {
    const c = await join()
    c.send(' { "id" : 2 ,\t"presence_stats" : { "channel" : "t" } } \n')
    assert.equal((await c.reply(2)).text, '{"id":2,"presence_stats":{"num_clients":0,"num_users":0}}')
    await c.leave()
  })

  it('a room name may be written with escapes', async () => {
    const c = await join()
    await c.subscribe('r\u{1f600}')
    c.send('{"id":77,"presence_stats":{"channel":"\\u0072\\ud83d\\ude00"}}')
    assert.equal((await c.reply(77)).text, '{"id":77,"presence_stats":{"num_clients":1,"num_users":1}}')
    await c.leave()
  })

  it('members that nobody knows are ignored, whatever they are', async () => {
    const c = await join()
    c.send('{"x":[{"connect":1}],"id":2,"y":null,"presence_stats":{"channel":"t","z":{"channel":5},"":[]},"map_publish":{}}')
    assert.equal((await c.reply(2)).text, '{"id":2,"presence_stats":{"num_clients":0,"num_users":0}}')
    await c.leave()
  })

  it('of several methods in one object the first of the protocol\'s order counts', async () => {
    const c = await join()
    c.send('{"rpc":{"method":"no"},"id":2,"history":{"channel":""},"presence_stats":{"channel":"t"},"send":{}}')
    assert.ok((await c.reply(2)).value.presence_stats)
    c.send('{"id":3,"send":{},"rpc":{"method":"no"}}')
    assert.equal((await c.reply(3)).value.error.code, 108)
    c.send('{"id":4,"unsubscribe":{"channel":"u"},"presence_stats":{"channel":"t"}}')
    assert.equal((await c.reply(4)).text, '{"id":4,"unsubscribe":{}}')
    await c.leave()
  })

  const malformed = {
    'an empty frame': '',
    'a frame of one newline': '\n',
    'an empty line between commands': '{"id":2,"presence_stats":{"channel":"t"}}\n\n{"id":3,"presence_stats":{"channel":"t"}}',
    'two trailing newlines': '{"id":2,"presence_stats":{"channel":"t"}}\n\n',
    'a line of spaces': '{"id":2,"presence_stats":{"channel":"t"}}\n  \n',
    'words': 'hello',
    'an array': '[]',
    'a number': '7',
    'a string': '"connect"',
    'half an object': '{"id":2,"presence_stats":{"channel":"t"}',
    'two objects on one line': '{"id":2,"presence_stats":{"channel":"t"}}{"id":3,"presence_stats":{"channel":"t"}}',
    'a trailing comma': '{"id":2,"presence_stats":{"channel":"t"},}',
    'single quotes': "{'id':2}",
    'a literal that is none': '{"id":2,"presence_stats":{"channel":"t","x":nul}}',
    'a number with a leading zero': '{"id":2,"presence_stats":{"channel":"t","x":01}}',
    'a number without digits behind the point': '{"id":2,"presence_stats":{"channel":"t","x":1.}}',
    'a control character in a string': '{"id":2,"presence_stats":{"channel":"t","x":"a\u0001"}}',
    'a broken escape': '{"id":2,"presence_stats":{"channel":"t","x":"\\x"}}',
    'half an escape': '{"id":2,"presence_stats":{"channel":"t","x":"\\u00"}}',
    'a room name that is half a surrogate pair': '{"id":2,"presence_stats":{"channel":"\\ud83d"}}',
    'an object nested without end': `{"id":2,"presence_stats":{"channel":"t","x":${'['.repeat(5000)}${']'.repeat(5000)}}}`,
    'no method': '{"id":2}',
    'only methods that do not exist': '{"id":2,"map_publish":{"channel":"x"}}',
    'the ping command': '{"id":2,"ping":{}}',
    'refresh, which needs a token': '{"id":2,"refresh":{"token":""}}',
    'a method that is null': '{"id":2,"subscribe":null}',
    'a method that is a list': '{"id":2,"subscribe":[]}',
    'an id that is a string': '{"id":"2","presence_stats":{"channel":"t"}}',
    'an id below zero': '{"id":-1,"presence_stats":{"channel":"t"}}',
    'an id with a fraction': '{"id":2.5,"presence_stats":{"channel":"t"}}',
    'an id too large': '{"id":4294967296,"presence_stats":{"channel":"t"}}',
    'a room name that is a number': '{"id":2,"subscribe":{"channel":5}}',
    'recover as a number': '{"id":2,"subscribe":{"channel":"t","recover":1}}',
    'an offset that is a string': '{"id":2,"subscribe":{"channel":"t","offset":"1"}}',
    'an offset below zero': '{"id":2,"subscribe":{"channel":"t","offset":-1}}',
    'a second connect': '{"id":2,"connect":{}}',
    'an empty room name in subscribe': '{"id":2,"subscribe":{"channel":""}}',
    'no room name in subscribe': '{"id":2,"subscribe":{}}',
    'an empty room name in unsubscribe': '{"id":2,"unsubscribe":{"channel":""}}',
    'an empty room name in publish': '{"id":2,"publish":{"channel":"","data":1}}',
    'an empty room name in presence': '{"id":2,"presence":{"channel":""}}',
    'an empty room name in presence_stats': '{"id":2,"presence_stats":{}}',
    'an empty room name in history': '{"id":2,"history":{"limit":1}}',
    'a pong that nobody asked for': '{}',
    'a command without id, which is taken for a pong': '{"subscribe":{"channel":"t"}}',
  }
  for (const [what, text] of Object.entries(malformed)) {
    it(`3501 for ${what}`, async () => {
      const c = await join()
      c.send(text)
      await c.closed(3501, 'bad request')
    })
  }

  const bytes = {
    'bytes that are no UTF-8': Buffer.from('{"id":2,"presence_stats":{"channel":"t","x":"\xff"}}', 'latin1'),
    'an overlong character': Buffer.from('{"id":2,"presence_stats":{"channel":"t","x":"\xc0\xaf"}}', 'latin1'),
    'a NUL behind the command': Buffer.from('{"id":2,"presence_stats":{"channel":"t"}}\0'),
  }
  for (const [what, payload] of Object.entries(bytes)) {
    it(`3501 for ${what}`, async () => {
      const c = await join()
      c.wire.send(payload)
      await c.closed(3501, 'bad request')
    })
  }

  it('what came before a bad line is answered, what comes behind it is not carried out', async () => {
    const watcher = await join()
    await watcher.subscribe('bad')
    const c = await join()
    c.send('{"id":2,"publish":{"channel":"bad","data":"before"}}\noops\n{"id":3,"publish":{"channel":"bad","data":"behind"}}')
    await c.closed(3501)
    assert.equal((await watcher.pub('bad')).data, 'before')
    await watcher.publish('bad', 'later')
    assert.equal((await watcher.pub('bad')).data, 'later')
    await watcher.leave()
  })

  for (const command of ['subscribe', 'unsubscribe', 'publish', 'presence', 'presence_stats', 'history', 'rpc', 'send']) {
    it(`3501 for ${command} before connect`, async () => {
      const c = await Chatter.open(at.gateway)
      c.command({ [command]: { channel: 'early', data: 1 } })
      await c.closed(3501, 'bad request')
    })
  }

  it('3501 for a pong before connect', async () => {
    const c = await Chatter.open(at.gateway)
    c.send('{}')
    await c.closed(3501, 'bad request')
  })

  it('3508 for send, with or without id: nobody is there to receive it', async () => {
    for (const text of ['{"send":{"data":1}}', '{"id":2,"send":{"data":1}}']) {
      const c = await join()
      c.send(text)
      await c.closed(3508, 'not available')
    }
  })

  it('the opcode of a message does not matter', async () => {
    const c = await join()
    c.wire.send('{"id":2,"presence_stats":{"channel":"t"}}', { opcode: 2 })
    assert.equal((await c.reply(2)).text, '{"id":2,"presence_stats":{"num_clients":0,"num_users":0}}')
    await c.leave()
  })

  it('1009 for a command over 64 KiB, and none just below', async () => {
    const command = (n) => {
      const text = '{"id":2,"publish":{"channel":"big","data":""}}'
      return text.replace('""', `"${'x'.repeat(n - text.length)}"`)
    }
    const c = await join()
    c.send(command(65536))
    assert.equal((await c.reply(2)).text, '{"id":2,"publish":{}}')
    c.send(command(65537))
    await c.closed(1009, 'message size limit exceeded')
  })

  it('1009 for a command over 64 KiB before its end has come, also behind others', async () => {
    for (const before of ['', '{"id":2,"presence_stats":{"channel":"t"}}\n']) {
      const c = await join()
      c.wire.send(`${before}{"id":3,"publish":{"channel":"x","data":"${'x'.repeat(65500)}`, { fin: false })
      await c.closed(1009, 'message size limit exceeded', { stuck: true })
    }
  })

  it('1009 for a frame over 1 MiB, before it has been sent', async () => {
    const c = await join()
    const whole = frame('x'.repeat(1024 * 1024 + 1))
    c.wire.write(whole.subarray(0, 1000))
    await c.closed(1009, undefined, { stuck: true })
  })

  it('1009 for a frame that says it holds 2^62 bytes', async () => {
    const c = await join()
    c.wire.write(Buffer.from([0x81, 0xff, 0x40, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7]))
    await c.closed(1009, undefined, { stuck: true })
  })

  it('1009 for fragments that exceed 1 MiB together', async () => {
    const c = await join()
    const piece = `${'x'.repeat(60_000)}\n`
    c.wire.send(piece, { fin: false })
    for (let i = 0; i < 20 && !c.over; i++) await c.wire.send(piece, { opcode: 0, fin: false })
    await c.closed(1009)
  })

  it('a frame of 96 KiB with connect and 128 subscriptions is taken like any other', async () => {
    const c = await Chatter.open(at.gateway)
    const token = 'x'.repeat(750)
    const lines = ['{"id":1000,"connect":{"data":{}}}']
    for (let i = 1; i <= 128; i++) lines.push(JSON.stringify({ id: i, subscribe: { channel: `many${i}`, token } }))
    const text = lines.join('\n')
    assert.ok(text.length > 96 * 1024)
    c.send(text)
    for (let i = 1; i <= 128; i++) assert.ok((await c.reply(i)).value.subscribe)
    await c.leave()
  })

  it('a close frame of the client is answered with one close frame', async () => {
    const c = await join()
    c.wire.write(frame(Buffer.from([0x03, 0xe8]), { opcode: CLOSE }))
    await c.done
    assert.equal(c.close.code, 1000)
  })

  it('replies of one turn share frames, and no frame is empty or holds a blank line', async () => {
    const c = await join()
    const ids = c.command(...Array.from({ length: 200 }, () => ({ presence_stats: { channel: 't' } })))
    const order = []
    for (let i = 0; i < ids.length; i++) order.push((await c.line(() => true)).value.id)
    assert.deepEqual(order, ids)
    await c.leave()
  })
})

// So long that who has to answer in time can, on a busy machine.
const hasty = ['--ping-interval', '2s', '--pong-timeout', '1900ms', '--stale-close-delay', '2s']

suite('pings and delays', { args: hasty, together: true }, (at, join) => {
  // A session that does not answer its pings.
  const silent = () => join({ pongs: false })
  const pinged = async (c, n) => {
    while (c.pings < n && !c.over) await c.news()
    assert.ok(c.pings >= n)
  }

  it('a session that answers its pings goes on being pinged', async () => {
    const c = await join()
    assert.equal(c.connected.ping, 2)
    await pinged(c, 3)
    assert.equal(c.over, false)
    await c.leave()
  })

  it('3012 when no pong comes', async () => {
    const c = await silent()
    await pinged(c, 1)
    await c.closed(3012, 'no pong')
  })

  it('3012 even when other commands come instead', async () => {
    const c = await silent()
    await pinged(c, 1)
    await c.fence()
    await c.closed(3012, 'no pong')
  })

  it('3501 for a second pong to one ping', async () => {
    const c = await silent()
    await pinged(c, 1)
    c.send('{}\n{}')
    await c.closed(3501, 'bad request')
  })

  it('any command without id but send counts as the pong', async () => {
    const c = await silent()
    await pinged(c, 1)
    c.send('{"presence":{"channel":"t"}}')
    await pinged(c, 2)
    await c.closed(3012)
    assert.deepEqual(c.rest(), [])
  })

  it('3502 for a connection that never sends connect', async () => {
    const c = await Chatter.open(at.gateway)
    await c.closed(3502, 'stale')
  })

  it('3012 for a message that is begun and never ended, for no pong can come meanwhile', async () => {
    const c = await silent()
    c.wire.send('{"id":2,"presence_stats"', { fin: false })
    await c.closed(3012, 'no pong')
  })

  it('3502 for a frame of which half is sent', async () => {
    const c = await Chatter.open(at.gateway)
    const whole = frame('{"id":1,"connect":{}}')
    c.wire.write(whole.subarray(0, 12))
    await c.closed(3502, 'stale', { stuck: true })
  })
})
